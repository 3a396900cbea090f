//! The serial ports of a PC: 16550 UARTs, driven by interrupts for input and in bursts for output.

mod ring;
#[cfg(test)]
mod tests;
mod uart;

pub use uart::{LineErrors, Uart};

/// The two first ports: their I/O base and interrupt line.
pub const COM1: (u16, u8) = (0x3f8, 4);
pub const COM2: (u16, u8) = (0x2f8, 3);
