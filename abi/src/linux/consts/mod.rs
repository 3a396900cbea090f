//! Constants of the Linux ABI, one module per family, under their C names.
//!
//! A family has the type of the C argument or field it is used in (flags are unsigned). `NAMES` in each family lists its
//! values with their names, combined values before the bits they are made of: traces and documentation use it.

/// A value and its C name.
pub type Named = (u64, &'static str);

macro_rules! families {
    ($($(#[$meta:meta])* $module:ident: $ty:ty { $($name:ident = $value:expr,)* })*) => {
        $($(#[$meta])*
        pub mod $module {
            $(pub const $name: $ty = $value;)*
            /// Every constant above.
            pub static NAMES: &[$crate::linux::consts::Named] = &[$(($name as u64, stringify!($name)),)*];
        })*
    };
}

mod event;
mod file;
mod memory;
mod process;
mod signals;
mod socket;
mod terminal;
mod time;

pub use event::*;
pub use file::*;
pub use memory::*;
pub use process::*;
pub use signals::*;
pub use socket::*;
pub use terminal::*;
pub use time::*;
