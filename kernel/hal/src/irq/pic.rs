//! The pair of 8259 controllers of a PC (Intel 8259A data sheet): silenced where there is an I/O APIC, used where there
//! is none.
//!
//! Their sixteen vectors are fixed, so an arriving one is looked up here to find the vector its line was routed to.

use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::ISA_LINES;
use crate::lock::IrqLock;
use crate::machine;

/// Vector of line 0; the others follow. Below those given to devices.
pub const FIRST_VECTOR: u8 = 0x20;

const COMMAND: [u16; 2] = [0x20, 0xa0];
const DATA: [u16; 2] = [0x21, 0xa1];
/// The line of the first that the second hangs on.
const CASCADE: u8 = 2;
const INITIALISE: u8 = 0x11;
const READ_IN_SERVICE: u8 = 0x0b;
const SPECIFIC_END: u8 = 0x60;

/// Masked lines, a bit each.
static MASKED: IrqLock<u16> = IrqLock::new(0xffff);
static ROUTES: [AtomicU8; ISA_LINES as usize] = [const { AtomicU8::new(0) }; ISA_LINES as usize];
static ENABLED: AtomicBool = AtomicBool::new(false);

/// Moves the vectors off the exceptions and masks every line: a spurious one may still come.
pub(crate) fn silence() {
    let mut masked = MASKED.lock();
    let sequence = [(INITIALISE, INITIALISE), (FIRST_VECTOR, FIRST_VECTOR + 8), (1 << CASCADE, CASCADE), (1, 1)];
    for (step, (first, second)) in sequence.into_iter().enumerate() {
        let ports = if step == 0 { COMMAND } else { DATA };
        machine::out8(ports[0], first);
        machine::out8(ports[1], second);
    }
    *masked = 0xffff;
    write_mask(*masked);
}

fn write_mask(masked: u16) {
    machine::out8(DATA[0], masked as u8);
    machine::out8(DATA[1], (masked >> 8) as u8);
}

/// Sends a line to a vector, masked or not.
pub(crate) fn set(line: u8, vector: u8, masked: bool) -> bool {
    let Some(route) = ROUTES.get(usize::from(line)).filter(|_| line != CASCADE) else { return false };
    if !ENABLED.swap(true, Ordering::Relaxed) {
        machine::accept_legacy_interrupts();
    }
    let mut mask = MASKED.lock();
    route.store(vector, Ordering::Relaxed);
    *mask = *mask & !(1 << line) | u16::from(masked) << line;
    // The second reaches the processor through the first.
    let cascade = if *mask >> 8 == 0xff { 1 << CASCADE } else { 0 };
    *mask = *mask & !(1 << CASCADE) | cascade;
    write_mask(*mask);
    true
}

/// The vector that an arriving line was routed to; `None` for a spurious one, which needs no end (8259A "spurious IRQ").
pub(super) fn arrived(line: u8) -> Option<u8> {
    let (chip, bit) = (usize::from(line / 8), line % 8);
    if bit == 7 {
        machine::out8(COMMAND[chip], READ_IN_SERVICE);
        if machine::in8(COMMAND[chip]) & 1 << 7 == 0 {
            if chip == 1 {
                // The first does not know that the second had nothing.
                machine::out8(COMMAND[0], SPECIFIC_END | CASCADE);
            }
            return None;
        }
    }
    ROUTES.get(usize::from(line)).map(|route| route.load(Ordering::Relaxed))
}

/// Lets the line interrupt again.
pub(super) fn end(line: u8) {
    if line >= 8 {
        machine::out8(COMMAND[1], SPECIFIC_END | (line % 8));
        machine::out8(COMMAND[0], SPECIFIC_END | CASCADE);
    } else {
        machine::out8(COMMAND[0], SPECIFIC_END | line);
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use std::sync::Mutex;

    use super::*;
    use crate::hosted::{self, Device};

    #[derive(Default)]
    struct State {
        /// Steps of the initialisation still to come.
        steps: u8,
        base: u8,
        mask: u8,
        in_service: u8,
    }

    /// One controller.
    #[derive(Default)]
    struct Chip(Mutex<State>);

    impl Device for Chip {
        fn read(&self, offset: usize, _width: usize) -> u64 {
            let state = self.0.lock().expect("state");
            u64::from(if offset == 0 { state.in_service } else { state.mask })
        }

        fn write(&self, offset: usize, _width: usize, value: u64) {
            let (mut state, value) = (self.0.lock().expect("state"), value as u8);
            match (offset, state.steps) {
                (0, _) if value == INITIALISE => state.steps = 3,
                (0, _) if value & 0xf8 == SPECIFIC_END => state.in_service &= !(1 << (value & 7)),
                (0, _) => {}
                (_, 0) => state.mask = value,
                (_, step) => {
                    if step == 3 {
                        state.base = value;
                    }
                    state.steps = step - 1;
                }
            }
        }
    }

    impl Chip {
        fn mask(&self) -> u8 {
            self.0.lock().expect("state").mask
        }

        fn serve(&self, bit: u8) {
            self.0.lock().expect("state").in_service |= 1 << bit;
        }

        fn in_service(&self) -> u8 {
            self.0.lock().expect("state").in_service
        }
    }

    #[test]
    fn the_pair_is_moved_masked_opened_and_ended() {
        hosted::init(16 << 20);
        let (first, second) = (Arc::new(Chip::default()), Arc::new(Chip::default()));
        hosted::add_ports(0x20, 2, first.clone());
        hosted::add_ports(0xa0, 2, second.clone());
        silence();
        let bases = [&first, &second].map(|chip| chip.0.lock().expect("state").base);
        assert_eq!((bases, first.mask(), second.mask()), ([0x20, 0x28], 0xff, 0xff));

        assert!(set(4, 0x44, false) && !set(CASCADE, 0x45, false) && !set(16, 0x46, false));
        assert_eq!((first.mask(), second.mask()), (!(1 << 4), 0xff));
        assert!(set(12, 0x4c, false));
        assert_eq!((first.mask(), second.mask()), (!(1 << 4 | 1 << 2), !(1 << 4)));
        assert!(set(12, 0x4c, true));
        assert_eq!((first.mask(), second.mask()), (!(1 << 4), 0xff), "nothing behind the cascade");

        first.serve(2);
        second.serve(4);
        assert_eq!(arrived(12), Some(0x4c));
        end(12);
        assert_eq!((first.in_service(), second.in_service()), (0, 0));

        assert!(set(7, 0x47, false));
        assert_eq!(arrived(7), None, "spurious");
        first.serve(7);
        assert_eq!(arrived(7), Some(0x47));
        end(7);
        first.serve(2);
        assert_eq!(arrived(15), None, "spurious behind the cascade");
        assert_eq!(first.in_service(), 0, "the first was told");
    }
}
