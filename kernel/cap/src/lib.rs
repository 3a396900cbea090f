//! What an agent may do and how much it may take.
//!
//! A [`Domain`] is the protection and accounting side of an agent: its identity, its rights, its memory account and its
//! meters. Every object of an agent leads to its domain, and every room asks it: [`Domain::check`] before something
//! outside the calling process is touched, [`Meter::take`] before something is made.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod domain;
mod meter;
mod rights;

pub use domain::{Domain, Limits};
pub use meter::{Hold, Meter};
pub use rights::Rights;
