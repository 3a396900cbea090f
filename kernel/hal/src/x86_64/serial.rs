//! The second serial port, polled: for the log and for last words. And the first, for a panic.

use super::ports;

const CONSOLE: u16 = 0x3f8;
const LOG: u16 = 0x2f8;

/// 115200 baud, eight bits, no parity, FIFOs on, no interrupts.
pub fn init() {
    for (register, value) in [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 0x03), (2, 0x07), (4, 0x0b)] {
        ports::out8(LOG + register, value);
    }
}

fn put(port: u16, byte: u8) {
    // A port that is not there reads 0xff, which has the bit set; one that is stuck is given up on.
    for _ in 0..100_000 {
        if ports::in8(port + 5) & 0x20 != 0 {
            break;
        }
        core::hint::spin_loop();
    }
    ports::out8(port, byte);
}

pub fn log_bytes(bytes: &[u8]) {
    bytes.iter().for_each(|byte| put(LOG, *byte));
}

pub fn console_bytes(bytes: &[u8]) {
    for byte in bytes {
        if *byte == b'\n' {
            put(CONSOLE, b'\r');
        }
        put(CONSOLE, *byte);
    }
}
