//! Where time comes from: the processor's counter measured against the board's, or one of those itself.
//!
//! What decides and computes is here, for machines that have such devices and for tests over models of them; the real
//! machine puts it together.

pub mod calibrate;
pub mod choice;
pub mod live;
pub mod rate;
pub mod reference;
pub mod rtc;
pub mod timer;
pub mod warp;
