//! Device interrupts: vectors with handlers, for message-signalled interrupts and for the ISA lines.

use alloc::boxed::Box;

use crate::lock::IrqLock;
use crate::machine;
use crate::once::Once;

/// First and last vector given to devices; those below are exceptions, those above belong to the local APIC.
pub const FIRST_VECTOR: u8 = 0x30;
pub const LAST_VECTOR: u8 = 0xdf;
const COUNT: usize = (LAST_VECTOR - FIRST_VECTOR) as usize + 1;

/// Called with interrupts off: acknowledges the device and wakes whoever does the work.
pub type Handler = Box<dyn Fn() + Send + Sync>;

static HANDLERS: [Once<Handler>; COUNT] = [const { Once::new() }; COUNT];
static NEXT: IrqLock<usize> = IrqLock::new(0);

/// A vector with its handler; drivers live as long as the machine, and so do vectors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vector(u8);

impl Vector {
    /// The vector number that a message carries.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The address a device writes its message to (SDM 3A §11.11.1): CPU 0, fixed.
    pub fn msi_address(self) -> u64 {
        machine::msi_address()
    }

    /// The data of that message: edge triggered, fixed delivery.
    pub fn msi_data(self) -> u32 {
        u32::from(self.0)
    }
}

/// A free vector that calls `handler`; `None` when all are taken.
pub fn allocate_vector(handler: Handler) -> Option<Vector> {
    let mut next = NEXT.lock();
    let slot = HANDLERS.get(*next)?;
    slot.set(handler);
    let vector = Vector(FIRST_VECTOR + *next as u8);
    *next += 1;
    Some(vector)
}

/// Sends an ISA interrupt line (0–15, edge triggered) to `vector`. False when the machine has no such line.
pub fn route_isa(line: u8, vector: Vector) -> bool {
    line < 16 && machine::route_isa(line, vector.0)
}

/// Calls the handler of a device vector; false when there is none.
pub(crate) fn dispatch(vector: u8) -> bool {
    let handler = vector.checked_sub(FIRST_VECTOR).and_then(|slot| HANDLERS.get(slot as usize)).and_then(Once::get);
    match handler {
        Some(handler) => {
            handler();
            true
        }
        None => false,
    }
}
