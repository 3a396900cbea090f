//! How an interrupt line reaches a processor: one entry of an I/O APIC's redirection table
//! (82093AA data sheet §3.2.4, Intel SDM 3A §11.6).

/// When a line asks for attention.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trigger {
    /// At a change, once.
    #[default]
    Edge,
    /// As long as it is at its active level.
    Level,
}

/// Which level is the active one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Polarity {
    #[default]
    High,
    Low,
}

/// How a line behaves. ISA lines are edge triggered and active high, PCI lines level triggered and active low.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wiring {
    pub trigger: Trigger,
    pub polarity: Polarity,
}

/// An entry: fixed delivery to one processor by its physical APIC ID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redirection {
    pub vector: u8,
    /// APIC ID; an entry has eight bits for it.
    pub destination: u8,
    pub wiring: Wiring,
    pub masked: bool,
}

const LOW: u64 = 1 << 13;
const LEVEL: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;
const DELIVERY_MODE: u64 = 0b111 << 8;
const LOGICAL: u64 = 1 << 11;

impl Redirection {
    /// The entry's 64 bits.
    pub fn encode(self) -> u64 {
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        u64::from(self.vector)
            | flag(self.wiring.polarity == Polarity::Low, LOW)
            | flag(self.wiring.trigger == Trigger::Level, LEVEL)
            | flag(self.masked, MASKED)
            | u64::from(self.destination) << 56
    }

    /// Reads an entry; the bits that only the controller writes (delivery status, remote IRR) do not count. `None` for
    /// another delivery mode than fixed and for logical destinations, which firmware may have left.
    pub fn decode(bits: u64) -> Option<Redirection> {
        (bits & (DELIVERY_MODE | LOGICAL) == 0).then_some(Redirection {
            vector: bits as u8,
            destination: (bits >> 56) as u8,
            wiring: Wiring {
                trigger: if bits & LEVEL != 0 { Trigger::Level } else { Trigger::Edge },
                polarity: if bits & LOW != 0 { Polarity::Low } else { Polarity::High },
            },
            masked: bits & MASKED != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_what_the_data_sheet_says() {
        let isa = Redirection { vector: 0x31, destination: 0, wiring: Wiring::default(), masked: false };
        assert_eq!(isa.encode(), 0x31);
        let pci = Wiring { trigger: Trigger::Level, polarity: Polarity::Low };
        let pci = Redirection { vector: 0x42, destination: 7, wiring: pci, masked: true };
        assert_eq!(pci.encode(), 0x0700_0000_0001_a042);
    }

    #[test]
    fn every_entry_comes_back() {
        for bits in 0..8u64 {
            let wiring = Wiring {
                trigger: if bits & 1 != 0 { Trigger::Level } else { Trigger::Edge },
                polarity: if bits & 2 != 0 { Polarity::Low } else { Polarity::High },
            };
            for (vector, destination) in [(0x30, 0), (0xdf, 254), (0x80, 1)] {
                let entry = Redirection { vector, destination, wiring, masked: bits & 4 != 0 };
                assert_eq!(Redirection::decode(entry.encode()), Some(entry));
                assert_eq!(Redirection::decode(entry.encode() | 1 << 12 | 1 << 14), Some(entry), "status bits");
            }
        }
    }

    #[test]
    fn foreign_modes_are_not_ours() {
        for bits in [0b001u64 << 8, 0b010 << 8, 0b100 << 8, 0b111 << 8, LOGICAL] {
            assert_eq!(Redirection::decode(bits | 0x31), None);
        }
    }
}
