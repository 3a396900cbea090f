//! The Linux ABI for x86-64: the call table, wire structures, constants, and text for traces.

pub mod call;
pub mod consts;
pub mod structs;
pub mod table;
pub mod trace;

pub use call::{Arg, ArgType, Call, FlagSet, ReturnType, Struct, Support};
pub use table::{by_name, lookup, nr};
