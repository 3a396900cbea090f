//! I/O APICs: each turns its pins into messages to processors (82093AA data sheet §3).
//!
//! A machine may have several. Their pins have one numbering, global system interrupts; each controller has those from
//! its base on. Two registers in memory, an index and a window, reach all others.

use alloc::vec::Vec;

use super::redirection::Redirection;
use crate::addr::Phys;
use crate::mmio::Region;

/// Where a controller is and what it serves, as firmware says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoApicAt {
    /// Physical address of its registers.
    pub address: u64,
    /// Global system interrupt of its first pin.
    pub gsi_base: u32,
}

const WINDOW: usize = 0x10;
const LENGTH: usize = 0x20;
const VERSION: u32 = 1;
const TABLE: u32 = 0x10;
/// More pins than a version register can name.
const MAX_PINS: u32 = 240;

struct IoApic {
    registers: Region,
    gsi_base: u32,
    pins: u32,
}

impl IoApic {
    fn read(&self, register: u32) -> u32 {
        self.registers.write32(0, register);
        self.registers.read32(WINDOW)
    }

    fn write(&self, register: u32, value: u32) {
        self.registers.write32(0, register);
        self.registers.write32(WINDOW, value);
    }

    /// Masks every pin. `None` when nothing answers there.
    fn take(at: IoApicAt) -> Option<IoApic> {
        let registers = Region::map(Phys(at.address), LENGTH)?;
        let mut controller = IoApic { registers, gsi_base: at.gsi_base, pins: 0 };
        let version = controller.read(VERSION);
        if version == u32::MAX || version == 0 {
            return None;
        }
        controller.pins = ((version >> 16 & 0xff) + 1).min(MAX_PINS);
        let off = Redirection { vector: 0, destination: 0, wiring: Default::default(), masked: true };
        (0..controller.pins).for_each(|pin| controller.set(pin, off));
        Some(controller)
    }

    /// Masked while the two halves do not belong together.
    fn set(&self, pin: u32, entry: Redirection) {
        let bits = entry.encode();
        let at = TABLE + pin * 2;
        self.write(at, Redirection { masked: true, ..entry }.encode() as u32);
        self.write(at + 1, (bits >> 32) as u32);
        self.write(at, bits as u32);
    }
}

/// All controllers of the machine.
pub(super) struct IoApics(Vec<IoApic>);

impl IoApics {
    /// Takes them over with every pin masked; those that do not answer are logged and left out.
    pub fn take(places: &[IoApicAt]) -> IoApics {
        let answers = |at: &IoApicAt| {
            let taken = IoApic::take(*at);
            if taken.is_none() {
                log::warn!("the I/O APIC at {:#x} does not answer", at.address);
            }
            taken
        };
        IoApics(places.iter().filter_map(answers).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One past the highest interrupt that any serves.
    pub fn end(&self) -> u32 {
        self.0.iter().map(|controller| controller.gsi_base.saturating_add(controller.pins)).max().unwrap_or(0)
    }

    fn pin(&self, gsi: u32) -> Option<(&IoApic, u32)> {
        self.0.iter().find_map(|controller| {
            let pin = gsi.checked_sub(controller.gsi_base)?;
            (pin < controller.pins).then_some((controller, pin))
        })
    }

    /// Writes the entry of an interrupt; false when no controller serves it.
    pub fn set(&self, gsi: u32, entry: Redirection) -> bool {
        self.pin(gsi).map(|(controller, pin)| controller.set(pin, entry)).is_some()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use alloc::sync::Arc;
    use std::sync::Mutex;

    use super::super::redirection::{Polarity, Trigger, Wiring};
    use super::*;
    use crate::hosted::{self, Device};

    /// A controller as the data sheet has it, with its entries for a test to look at.
    pub struct Model {
        state: Mutex<(u32, Vec<u64>)>,
    }

    impl Model {
        /// Put into the hosted machine at `address` with that many pins, all as after a reset but one left open.
        pub fn add(address: u64, pins: usize) -> Arc<Model> {
            hosted::init(16 << 20);
            let mut entries = std::vec![1 << 16; pins];
            entries[pins - 1] = 0x39;
            let model = Arc::new(Model { state: Mutex::new((0, entries)) });
            hosted::add_device(Phys(address), 0x20, model.clone());
            model
        }

        pub fn entry(&self, pin: usize) -> Redirection {
            let bits = self.state.lock().expect("state").1[pin];
            Redirection::decode(bits).expect("an entry of ours")
        }

        /// The line of `pin` asks; false when its entry is masked or nobody handles the vector.
        pub fn assert_pin(&self, pin: usize) -> bool {
            let entry = self.entry(pin);
            let address = 0xfee0_0000 | u64::from(entry.destination) << 12;
            !entry.masked && hosted::raise_msi(address, u32::from(entry.vector))
        }
    }

    impl Device for Model {
        fn read(&self, offset: usize, width: usize) -> u64 {
            assert_eq!(width, 4);
            let state = self.state.lock().expect("state");
            match (offset, state.0) {
                (0x10, 1) => 0x20 | (state.1.len() as u64 - 1) << 16,
                (0x10, index @ 0x10..) => {
                    let entry = state.1[(index as usize - 0x10) / 2];
                    if index % 2 == 0 { entry & 0xffff_ffff } else { entry >> 32 }
                }
                _ => 0,
            }
        }

        fn write(&self, offset: usize, width: usize, value: u64) {
            assert_eq!(width, 4);
            let mut state = self.state.lock().expect("state");
            match (offset, state.0) {
                (0, _) => state.0 = value as u32,
                (0x10, index @ 0x10..) => {
                    let entry = &mut state.1[(index as usize - 0x10) / 2];
                    if index % 2 == 0 {
                        *entry = *entry & !0xffff_ffff | value;
                    } else {
                        assert!(*entry & 1 << 16 != 0, "the destination of an open pin changes in two steps");
                        *entry = *entry & 0xffff_ffff | value << 32;
                    }
                }
                _ => {}
            }
        }
    }

    #[test]
    fn each_controller_serves_its_own_numbers() {
        let (first, second) = (Model::add(0x1_fec0_0000, 24), Model::add(0x1_fec0_1000, 32));
        let places = [0x1_fec0_0000, 0x1_fec0_1000, 0x1_fec0_2000];
        let places: Vec<_> =
            places.iter().zip([0, 24, 56]).map(|(&address, gsi_base)| IoApicAt { address, gsi_base }).collect();
        let controllers = IoApics::take(&places);
        assert_eq!(controllers.end(), 56, "the third does not answer");
        assert!(first.entry(23).masked && second.entry(31).masked, "what firmware left open is closed");
        let wiring = Wiring { trigger: Trigger::Level, polarity: Polarity::Low };
        let entry = Redirection { vector: 0x55, destination: 3, wiring, masked: false };
        assert!(controllers.set(24 + 7, entry));
        assert_eq!(second.entry(7), entry);
        assert!(first.entry(7).masked);
        assert!(controllers.set(4, Redirection { masked: true, ..entry }));
        assert_eq!(first.entry(4), Redirection { masked: true, ..entry });
        assert!(!controllers.set(56, entry), "nobody's");
    }
}
