//! What a processor's machine-check banks say (SDM 3B chapters 16 and 17): which unit met which error, and whether the
//! kernel can go on.

use core::fmt;

const VALID: u64 = 1 << 63;
const OVERFLOW: u64 = 1 << 62;
const UNCORRECTED: u64 = 1 << 61;
const MISC_VALID: u64 = 1 << 59;
const ADDRESS_VALID: u64 = 1 << 58;
const CONTEXT_CORRUPT: u64 = 1 << 57;
const ACTION_REQUIRED: u64 = 1 << 55;

/// `IA32_MCG_STATUS`: the interrupted program can go on; the banks' addresses belong to it.
const RESTART_VALID: u64 = 1;
const ERROR_AT_INSTRUCTION: u64 = 1 << 1;

/// One bank's registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bank {
    pub number: u32,
    pub status: u64,
    pub address: u64,
    pub misc: u64,
}

/// What can be done after an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing was there.
    Nothing,
    /// It was corrected, or nobody has used what is broken: tell, and go on.
    Continue,
    /// What was about to be used is broken, and nothing else: whoever wanted to use it cannot go on.
    EndUser,
    /// The processor does not know what is right any more.
    Stop,
}

impl Bank {
    pub fn is_valid(&self) -> bool {
        self.status & VALID != 0
    }

    /// What this bank alone asks for.
    fn verdict(&self) -> Verdict {
        if !self.is_valid() {
            Verdict::Nothing
        } else if self.status & UNCORRECTED == 0 {
            Verdict::Continue
        } else if self.status & (CONTEXT_CORRUPT | OVERFLOW) != 0 {
            Verdict::Stop
        } else if self.status & ACTION_REQUIRED != 0 {
            Verdict::EndUser
        } else {
            Verdict::Continue
        }
    }
}

/// What all banks of a processor ask for, given `IA32_MCG_STATUS`.
pub fn verdict(global: u64, banks: &[Bank]) -> Verdict {
    let worst = banks.iter().map(Bank::verdict).max().unwrap_or(Verdict::Nothing);
    match worst {
        // The instruction must be known to be the one that met the error, and be free to run again.
        Verdict::EndUser if global & (RESTART_VALID | ERROR_AT_INSTRUCTION) == 0 => Verdict::Stop,
        Verdict::Nothing | Verdict::Continue if global & RESTART_VALID == 0 => Verdict::Stop,
        worst => worst,
    }
}

/// The error that a status register's code names (SDM 3B §16.9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    None,
    Simple(&'static str),
    Cache { level: u8 },
    Tlb { kind: u8, level: u8 },
    Memory { act: u8, channel: u8 },
    CacheAccess { request: u8, kind: u8, level: u8 },
    Bus { participation: u8, timeout: bool, request: u8, target: u8, level: u8 },
    Unknown(u16),
}

impl Error {
    /// Decodes the low 16 bits of a status register.
    pub fn decode(code: u16) -> Error {
        let bits = |from: u32, count: u32| (code >> from & ((1 << count) - 1)) as u8;
        let (kind, level, request) = (bits(2, 2), bits(0, 2), bits(4, 4));
        // Bit 12 only says that corrected ones may have been left out.
        match code & !(1 << 12) {
            0 => Error::None,
            1 => Error::Simple("unclassified"),
            2 => Error::Simple("microcode ROM parity"),
            3 => Error::Simple("external"),
            4 => Error::Simple("redundancy check"),
            5 => Error::Simple("internal parity"),
            6 => Error::Simple("code outside its memory in management mode"),
            0x400 => Error::Simple("internal timer"),
            0xe0b => Error::Simple("input or output"),
            0x401..=0x7ff => Error::Simple("internal, unclassified"),
            0xc..=0xf => Error::Cache { level },
            0x10..=0x1f => Error::Tlb { kind, level },
            0x80..=0xff | 0x280..=0x2ff => Error::Memory { act: bits(4, 3), channel: bits(0, 4) },
            0x100..=0x1ff => Error::CacheAccess { request, kind, level },
            0x800..=0xfff => {
                Error::Bus { participation: bits(9, 2), timeout: code & 1 << 8 != 0, request, target: kind, level }
            }
            other => Error::Unknown(other),
        }
    }
}

struct Level(u8);

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 3 { write!(f, "level {}", self.0) } else { f.write_str("some level") }
    }
}

fn kind(number: u8) -> &'static str {
    ["instruction", "data", "generic", "unknown"][usize::from(number & 3)]
}

fn request(number: u8) -> &'static str {
    const NAMES: [&str; 9] = [
        "an access",
        "a read",
        "a write",
        "a data read",
        "a data write",
        "a fetch",
        "a prefetch",
        "an eviction",
        "a snoop",
    ];
    NAMES.get(usize::from(number)).copied().unwrap_or("an unknown access")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::None => f.write_str("no error"),
            Error::Simple(name) => write!(f, "{name} error"),
            Error::Cache { level } => write!(f, "cache error, {}", Level(level)),
            Error::Tlb { kind: number, level } => write!(f, "{} TLB error, {}", kind(number), Level(level)),
            Error::Memory { act, channel } => {
                const ACTS: [&str; 5] = ["", " in a read", " in a write", " in an address or command", " in scrubbing"];
                write!(f, "memory controller error{}", ACTS.get(usize::from(act)).copied().unwrap_or(""))?;
                if channel < 15 { write!(f, ", channel {channel}") } else { Ok(()) }
            }
            Error::CacheAccess { request: act, kind: number, level } => {
                write!(f, "{} cache error in {}, {}", kind(number), request(act), Level(level))
            }
            Error::Bus { participation, timeout, request: act, target, level } => {
                let role = ["that it made", "that it answered", "that it observed", "of anyone"];
                let place = ["memory", "a reserved place", "a device", "anything"];
                write!(
                    f,
                    "bus error in {} {} to {}, {}{}",
                    request(act),
                    role[usize::from(participation & 3)],
                    place[usize::from(target & 3)],
                    Level(level),
                    if timeout { ", timed out" } else { "" }
                )
            }
            Error::Unknown(code) => write!(f, "unknown error {code:#06x}"),
        }
    }
}

impl fmt::Display for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = |bit: u64, name: &'static str| if self.status & bit != 0 { name } else { "" };
        write!(
            f,
            "bank {}: {}{}{}{} (status {:#x}",
            self.number,
            Error::decode(self.status as u16),
            if self.status & UNCORRECTED != 0 { ", not corrected" } else { ", corrected" },
            flag(CONTEXT_CORRUPT, ", the processor's state is lost"),
            flag(OVERFLOW, ", others were lost"),
            self.status,
        )?;
        if self.status & ADDRESS_VALID != 0 {
            write!(f, ", address {:#x}", self.address)?;
        }
        if self.status & MISC_VALID != 0 {
            write!(f, ", misc {:#x}", self.misc)?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn codes_are_named() {
        for (code, text) in [
            (0x0000, "no error"),
            (0x0005, "internal parity error"),
            (0x0400, "internal timer error"),
            (0x0406, "internal, unclassified error"),
            (0x0e0b, "input or output error"),
            (0x000d, "cache error, level 1"),
            (0x0014, "data TLB error, level 0"),
            (0x009f, "memory controller error in a read"),
            (0x00c2, "memory controller error in scrubbing, channel 2"),
            (0x0134, "data cache error in a data read, level 0"),
            (0x1152, "instruction cache error in a fetch, level 2"),
            (0x0800, "bus error in an access that it made to memory, level 0"),
            (0x0f0f, "bus error in an access of anyone to anything, some level, timed out"),
            (0x8000, "unknown error 0x8000"),
        ] {
            assert_eq!(format!("{}", Error::decode(code)), text, "{code:#x}");
        }
        // Every code has a name.
        for code in 0..=u16::MAX {
            assert!(!format!("{}", Error::decode(code)).is_empty());
        }
    }

    #[test]
    fn a_bank_tells_all() {
        let bank = Bank { number: 9, status: 0xbd00_0000_0010_0134, address: 0x1234, misc: 0x8c };
        assert_eq!(
            format!("{bank}"),
            "bank 9: data cache error in a data read, level 0, not corrected (status 0xbd00000000100134, address 0x1234, misc 0x8c)"
        );
        let lost = Bank { number: 0, status: 0xf200_0000_0000_0800, ..Bank::default() };
        assert_eq!(
            format!("{lost}"),
            "bank 0: bus error in an access that it made to memory, level 0, not corrected, the processor's state is lost, others were lost (status 0xf200000000000800)"
        );
    }

    #[test]
    fn the_worst_bank_decides() {
        let bank = |status: u64| Bank { number: 1, status, ..Bank::default() };
        let (nothing, corrected) = (bank(0), bank(VALID | 0x9f));
        let optional = bank(VALID | UNCORRECTED | 0xc0);
        let required = bank(VALID | UNCORRECTED | ACTION_REQUIRED | 0x134);
        let corrupt = bank(VALID | UNCORRECTED | CONTEXT_CORRUPT | 0x800);
        let good = RESTART_VALID | 1 << 2;
        assert_eq!(verdict(good, &[nothing]), Verdict::Nothing);
        assert_eq!(verdict(good, &[nothing, corrected, optional]), Verdict::Continue);
        assert_eq!(verdict(good, &[required, corrected]), Verdict::EndUser);
        assert_eq!(verdict(ERROR_AT_INSTRUCTION, &[required]), Verdict::EndUser);
        assert_eq!(verdict(good, &[required, corrupt]), Verdict::Stop);
        assert_eq!(verdict(good, &[bank(VALID | UNCORRECTED | OVERFLOW)]), Verdict::Stop);
        assert_eq!(verdict(0, &[corrected]), Verdict::Stop, "nowhere to go on");
        assert_eq!(verdict(1 << 2, &[required]), Verdict::Stop);
    }
}
