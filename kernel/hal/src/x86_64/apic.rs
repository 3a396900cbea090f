//! The local APIC with its timer.

use core::sync::atomic::{AtomicU64, Ordering};

use super::{kmap, msr, percpu};
use crate::irq::{self, Local, pic};
use crate::once::Once;

/// Above the device vectors of [`irq`](crate::irq).
pub const TIMER: u8 = 0xf0;
pub const ERROR: u8 = 0xfe;
pub const SPURIOUS: u8 = 0xff;

/// Register offsets (SDM 3A table 11-1).
const ID: usize = 0x20;
const TASK_PRIORITY: usize = 0x80;
const END_OF_INTERRUPT: usize = 0xb0;
const SPURIOUS_VECTOR: usize = 0xf0;
const LVT_TIMER: usize = 0x320;
const LVT_LINT0: usize = 0x350;
const LVT_LINT1: usize = 0x360;
const LVT_ERROR: usize = 0x370;
const INITIAL_COUNT: usize = 0x380;
const CURRENT_COUNT: usize = 0x390;
const DIVIDE: usize = 0x3e0;
const ERROR_STATUS: usize = 0x280;
const MASKED: u32 = 1 << 16;
/// Delivery by the old controllers, which name the vector.
const EXTERNAL: u32 = 0b111 << 8;

/// Errors of a processor's controller that are worth a line in the log.
const ERRORS_TOLD: u64 = 8;

static LOCAL: Once<usize> = Once::new();
/// Timer ticks in 2^32 ns.
static RATE: AtomicU64 = AtomicU64::new(0);

fn read(register: usize) -> u32 {
    LOCAL.get().map_or(0, |base| kmap::read_device(base + register))
}

fn write(register: usize, value: u32) {
    if let Some(base) = LOCAL.get() {
        kmap::write_device(base + register, value);
    }
}

/// Turns this CPU's local APIC on.
pub fn init() {
    pic::silence();
    let base = msr::read(msr::APIC_BASE);
    if base & 1 << 10 != 0 {
        // Firmware left it in x2APIC mode; from there the way back leads through off (SDM 3A §11.12.5).
        msr::write(msr::APIC_BASE, base & !(1 << 10 | 1 << 11));
    }
    // Enabled, in the mode with registers in memory.
    msr::write(msr::APIC_BASE, (base | 1 << 11) & !(1 << 10));
    let Some(registers) = kmap::map_device(base & 0x000f_ffff_ffff_f000, 4096) else {
        panic!("no room to map the local APIC");
    };
    LOCAL.set(registers);
    write(SPURIOUS_VECTOR, 0x100 | u32::from(SPURIOUS));
    write(TASK_PRIORITY, 0);
    write(LVT_LINT0, MASKED);
    write(LVT_LINT1, 0x400);
    write(ERROR_STATUS, 0);
    write(LVT_ERROR, u32::from(ERROR));
    write(DIVIDE, 0b1011);
    write(LVT_TIMER, MASKED);
}

/// Starts the timer counting down from its highest value, masked, to measure its rate.
pub fn start_measuring() {
    write(INITIAL_COUNT, u32::MAX);
}

/// Ticks since [`start_measuring`].
pub fn measured() -> u32 {
    u32::MAX - read(CURRENT_COUNT)
}

/// Sets the rate: `ticks` in `ns`.
pub fn set_timer_rate(ticks: u32, ns: u64) {
    RATE.store((u128::from(ticks) << 32).checked_div(u128::from(ns)).unwrap_or(1) as u64, Ordering::Relaxed);
    write(LVT_TIMER, u32::from(TIMER));
    write(INITIAL_COUNT, 0);
}

/// Makes the timer interrupt come `ns` from now, at the earliest one tick.
pub fn arm_after(ns: u64) {
    let ticks = ((u128::from(ns) * u128::from(RATE.load(Ordering::Relaxed))) >> 32) as u64;
    write(INITIAL_COUNT, ticks.clamp(1, u64::from(u32::MAX)) as u32);
}

pub fn disarm() {
    write(INITIAL_COUNT, 0);
}

pub fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// The error interrupt: counted, and the first ones told (SDM 3A §11.5.3 names the bits).
pub fn error() {
    write(ERROR_STATUS, 0);
    let status = read(ERROR_STATUS);
    irq::count(Local::Error);
    if irq::counted(percpu::cpu_id(), Local::Error) <= ERRORS_TOLD {
        log::error!("local APIC error, status {status:#x}");
    }
    end_of_interrupt();
}

fn local_id() -> u32 {
    read(ID) >> 24
}

/// The APIC ID of a processor, to send interrupts to.
pub fn destination(cpu: usize) -> Option<u32> {
    (cpu == 0).then(local_id)
}

pub const LEGACY_CHIP: &str = "XT-PIC";

/// Lets the old controllers' interrupts through to this CPU.
pub fn accept_legacy_interrupts() {
    write(LVT_LINT0, EXTERNAL);
}

/// Routes a line of the old controllers.
pub fn set_line(line: u8, vector: u8, masked: bool) -> bool {
    pic::set(line, vector, masked)
}
