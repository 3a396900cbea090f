//! Counters of the board whose rate is known: what others are measured against, and the clock where the processor's own
//! counter cannot be it.
//!
//! HPET (IA-PC HPET specification 1.0a), the ACPI timer (ACPI 6.5 §4.8.2.1), and channel 2 of the interval timer (Intel
//! 8254), in the order of preference.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::addr::Phys;
use crate::machine;
use crate::mmio::Region;

/// Where a machine's counters are, as firmware says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct References {
    /// Physical address of the HPET's registers.
    pub hpet: Option<u64>,
    pub pm_timer: Option<PmTimerAt>,
    /// The command line wants the clock to be one of these.
    pub distrust_counter: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PmTimerAt {
    pub place: PmTimerPlace,
    /// Counts 32 bits, else 24.
    pub wide: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PmTimerPlace {
    Port(u16),
    Memory(u64),
}

enum Kind {
    Hpet(Region),
    PmPort(u16),
    PmMemory(Region),
    Pit,
}

/// One counter, counting up.
pub struct Reference {
    kind: Kind,
    pub name: &'static str,
    /// All ones: the highest value before it begins again.
    pub mask: u64,
    /// Femtoseconds a tick.
    pub period_fs: u64,
}

const FEMTOSECONDS: u64 = 1_000_000_000_000_000;
const PM_HZ: u64 = 3_579_545;
const PIT_HZ: u64 = 1_193_182;

const HPET_LENGTH: usize = 0x400;
const HPET_CAPABILITIES: usize = 0;
const HPET_CONFIGURATION: usize = 0x10;
const HPET_COUNTER: usize = 0xf0;
const HPET_WIDE: u64 = 1 << 13;
const HPET_ENABLE: u64 = 1;
/// The slowest that the specification allows: 10 MHz.
const HPET_MAX_PERIOD: u64 = 100_000_000;

const PIT_COMMAND: u16 = 0x43;
const PIT_CHANNEL_2: u16 = 0x42;
const GATE: u16 = 0x61;

impl Reference {
    /// Starts the HPET's main counter; its comparators stay off. `None` when what answers there is none.
    pub fn hpet(address: u64) -> Option<Reference> {
        let registers = Region::map(Phys(address), HPET_LENGTH)?;
        // Two halves: some bridges split a wide access.
        let capabilities =
            u64::from(registers.read32(HPET_CAPABILITIES)) | u64::from(registers.read32(HPET_CAPABILITIES + 4)) << 32;
        let period_fs = capabilities >> 32;
        if period_fs == 0 || period_fs > HPET_MAX_PERIOD {
            return None;
        }
        let mask = if capabilities & HPET_WIDE != 0 { u64::MAX } else { u64::from(u32::MAX) };
        let configuration = registers.read32(HPET_CONFIGURATION);
        // Without the legacy replacement route, which would take the ISA lines 0 and 8.
        registers.write32(HPET_CONFIGURATION, configuration & !0b11 | HPET_ENABLE as u32);
        Some(Reference { kind: Kind::Hpet(registers), name: "hpet", mask, period_fs })
    }

    pub fn pm_timer(at: PmTimerAt) -> Option<Reference> {
        let kind = match at.place {
            PmTimerPlace::Port(port) => Kind::PmPort(port),
            PmTimerPlace::Memory(address) => Kind::PmMemory(Region::map(Phys(address), 4)?),
        };
        let mask = if at.wide { u64::from(u32::MAX) } else { 0xff_ffff };
        Some(Reference { kind, name: "acpi_pm", mask, period_fs: FEMTOSECONDS / PM_HZ })
    }

    /// Lets channel 2 of the interval timer count down from its highest value, the speaker off.
    pub fn pit() -> Reference {
        let gate = machine::in8(GATE) & !0b11;
        machine::out8(GATE, gate | 1);
        // Rate generator: begins again by itself, two bytes.
        machine::out8(PIT_COMMAND, 0b1011_0100);
        machine::out8(PIT_CHANNEL_2, 0);
        machine::out8(PIT_CHANNEL_2, 0);
        Reference { kind: Kind::Pit, name: "pit", mask: 0xffff, period_fs: FEMTOSECONDS / PIT_HZ }
    }

    /// The counter now.
    pub fn read(&self) -> u64 {
        let value = match &self.kind {
            Kind::Hpet(registers) if self.mask == u64::MAX => registers.read64(HPET_COUNTER),
            Kind::Hpet(registers) => u64::from(registers.read32(HPET_COUNTER)),
            Kind::PmPort(port) => u64::from(machine::in32(*port)),
            Kind::PmMemory(register) => u64::from(register.read32(0)),
            Kind::Pit => {
                // Latch channel 2, then its two bytes. It counts down.
                machine::out8(PIT_COMMAND, 0b1000_0000);
                let low = machine::in8(PIT_CHANNEL_2);
                let high = machine::in8(PIT_CHANNEL_2);
                u64::from(u16::from_le_bytes([low, high])).wrapping_neg()
            }
        };
        value & self.mask
    }

    /// Ticks from `from` to `to`, once round at the most.
    pub fn passed(&self, from: u64, to: u64) -> u64 {
        to.wrapping_sub(from) & self.mask
    }

    /// Nanoseconds of so many ticks.
    pub fn ns(&self, ticks: u64) -> u64 {
        u64::try_from(u128::from(ticks) * u128::from(self.period_fs) / 1_000_000).unwrap_or(u64::MAX)
    }

    /// Ticks in so many nanoseconds.
    pub fn ticks(&self, ns: u64) -> u64 {
        u64::try_from(u128::from(ns) * 1_000_000 / u128::from(self.period_fs.max(1))).unwrap_or(u64::MAX)
    }

    /// True when it moves.
    pub fn runs(&self) -> bool {
        let first = self.read();
        (0..100_000).any(|_| self.read() != first)
    }

    /// Wide enough to be a clock between two looks at it, which are seconds apart.
    pub fn can_be_clock(&self) -> bool {
        self.ns(self.mask) > 2_000_000_000
    }
}

/// A counter that has become a clock: its turns are counted, as long as it is read at least every half turn.
pub struct Endless {
    last: AtomicU64,
}

impl Endless {
    pub const fn new() -> Endless {
        Endless { last: AtomicU64::new(0) }
    }

    /// Goes on from `value`, a value just read.
    pub fn start(&self, value: u64) {
        self.last.store(value, Ordering::SeqCst);
    }

    /// All ticks, given what the counter shows now. Never less than it told before, to any processor.
    pub fn advance(&self, shows: u64, mask: u64) -> u64 {
        let mut last = self.last.load(Ordering::Acquire);
        loop {
            let passed = shows.wrapping_sub(last) & mask;
            // Read before another processor's, which has been told already.
            if passed > mask / 2 {
                return last;
            }
            match self.last.compare_exchange_weak(last, last + passed, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return last + passed,
                Err(seen) => last = seen,
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use alloc::sync::Arc;
    use std::sync::Mutex;

    use super::*;
    use crate::hosted::{self, Device};

    /// A board's time, which passes by a step with every look at any counter.
    pub struct Board {
        /// Femtoseconds.
        pub time: Mutex<u128>,
        pub step: u128,
    }

    impl Board {
        pub fn new(step_ns: u64) -> Arc<Board> {
            hosted::init(16 << 20);
            Arc::new(Board { time: Mutex::new(0), step: u128::from(step_ns) * 1_000_000 })
        }

        pub fn look(&self) -> u128 {
            let mut time = self.time.lock().expect("time");
            *time += self.step;
            *time
        }

        pub fn now_ns(&self) -> u64 {
            (*self.time.lock().expect("time") / 1_000_000) as u64
        }
    }

    /// An HPET. One that is not enabled stands still.
    pub struct Hpet {
        board: Arc<Board>,
        capabilities: u64,
        enabled: Mutex<bool>,
    }

    impl Hpet {
        pub fn add(board: &Arc<Board>, address: u64, capabilities: u64) {
            let hpet = Hpet { board: board.clone(), capabilities, enabled: Mutex::new(false) };
            hosted::add_device(Phys(address), HPET_LENGTH, Arc::new(hpet));
        }
    }

    impl Device for Hpet {
        fn read(&self, offset: usize, width: usize) -> u64 {
            let enabled = *self.enabled.lock().expect("state");
            let whole = match offset & !7 {
                0 => self.capabilities,
                0xf0 if enabled => (self.board.look() / u128::from(self.capabilities >> 32)) as u64,
                _ => 0,
            };
            if width == 8 { whole } else { whole >> (8 * (offset & 4)) & 0xffff_ffff }
        }

        fn write(&self, offset: usize, _width: usize, value: u64) {
            assert_eq!((offset, value), (0x10, 1), "only the counter is started");
            *self.enabled.lock().expect("state") = true;
        }
    }

    struct PmTimer(Arc<Board>);

    impl Device for PmTimer {
        fn read(&self, _offset: usize, _width: usize) -> u64 {
            (self.0.look() * u128::from(PM_HZ) / u128::from(FEMTOSECONDS)) as u64 & 0xff_ffff
        }

        fn write(&self, _offset: usize, _width: usize, _value: u64) {}
    }

    /// An ACPI timer at a port.
    pub fn add_pm_timer(board: &Arc<Board>, port: u16) -> PmTimerAt {
        hosted::add_ports(port, 4, Arc::new(PmTimer(board.clone())));
        PmTimerAt { place: PmTimerPlace::Port(port), wide: false }
    }

    #[test]
    fn an_hpet_is_started_and_read() {
        let board = Board::new(100);
        Hpet::add(&board, 0x3_0000_0000, 10_000_000 << 32 | HPET_WIDE);
        let hpet = Reference::hpet(0x3_0000_0000).expect("an HPET");
        assert_eq!((hpet.mask, hpet.name), (u64::MAX, "hpet"));
        assert!(hpet.runs() && hpet.can_be_clock());
        let start = hpet.read();
        assert_eq!(hpet.ns(hpet.passed(start, hpet.read())), 100);
        Hpet::add(&board, 0x3_0001_0000, 69_841_279 << 32);
        let narrow = Reference::hpet(0x3_0001_0000).expect("an HPET");
        assert_eq!(narrow.mask, 0xffff_ffff);
        for (place, capabilities) in [(0x3_0002_0000, 0), (0x3_0003_0000, 100_000_001 << 32)] {
            Hpet::add(&board, place, capabilities);
            assert!(Reference::hpet(place).is_none());
        }
        assert!(Reference::hpet(0x3_0004_0000).is_none(), "nothing there reads as all ones");
    }

    #[test]
    fn the_acpi_timer_wraps_at_24_bits() {
        let board = Board::new(1_000_000);
        let timer = Reference::pm_timer(add_pm_timer(&board, 0x608)).expect("a timer");
        assert!(timer.runs() && timer.can_be_clock());
        assert_eq!(timer.passed(0xff_fff0, 0x10), 0x20);
        let start = timer.read();
        *board.time.lock().expect("time") += 4_000_000 * 1_000_000_000;
        let passed = timer.ns(timer.passed(start, timer.read()));
        assert!((4_000_999_000..4_001_001_000).contains(&passed), "{passed}");
        // A dead one.
        let dead = PmTimerAt { place: PmTimerPlace::Port(0x700), wide: true };
        assert!(!Reference::pm_timer(dead).expect("a timer").runs());
    }

    #[test]
    fn turns_are_counted_and_time_never_goes_back() {
        let endless = Endless::new();
        endless.start(0xff_fff0);
        assert_eq!(endless.advance(0xff_fff8, 0xff_ffff), 0xff_fff8);
        assert_eq!(endless.advance(0x8, 0xff_ffff), 0x100_0008);
        assert_eq!(endless.advance(0x4, 0xff_ffff), 0x100_0008, "another processor was later");
        assert_eq!(endless.advance(0x7f_0000, 0xff_ffff), 0x17f_0000);
        assert_eq!(endless.advance(0xf0_0000, 0xff_ffff), 0x1f0_0000);
        assert_eq!(endless.advance(0x10, 0xff_ffff), 0x200_0010);
    }

    #[test]
    fn turns_are_counted_on_all_processors_at_once() {
        let endless = Endless::new();
        let shown = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut before = 0;
                    for _ in 0..20_000 {
                        let shows = shown.fetch_add(3, Ordering::SeqCst) & 0xffff;
                        let told = endless.advance(shows, 0xffff);
                        assert!(told >= before);
                        before = told;
                    }
                });
            }
        });
        let end = shown.load(Ordering::SeqCst);
        assert_eq!(endless.advance(end & 0xffff, 0xffff), end);
    }
}
