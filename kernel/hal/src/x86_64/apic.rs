//! Interrupt controllers: the local APIC with its timer, the I/O APIC for ISA lines, the old pair masked.

use core::sync::atomic::{AtomicU64, Ordering};

use super::{kmap, msr, ports};
use crate::lock::IrqLock;
use crate::once::Once;

/// Above the device vectors of [`irq`](crate::irq).
pub const TIMER: u8 = 0xf0;
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
const MASKED: u32 = 1 << 16;

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

/// Masks the pair of 8259s, after moving them off the exception vectors: a spurious one may still come.
fn silence_legacy() {
    for (port, value) in [
        (0x20, 0x11),
        (0xa0, 0x11),
        (0x21, 0x20),
        (0xa1, 0x28),
        (0x21, 0x04),
        (0xa1, 0x02),
        (0x21, 0x01),
        (0xa1, 0x01),
        (0x21, 0xff),
        (0xa1, 0xff),
    ] {
        ports::out8(port, value);
    }
}

/// Turns this CPU's local APIC on.
pub fn init() {
    silence_legacy();
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
    write(LVT_ERROR, MASKED);
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

fn local_id() -> u32 {
    read(ID) >> 24
}

/// Messages to this CPU: fixed delivery, physical destination (SDM 3A §11.11.1).
pub fn msi_address() -> u64 {
    0xfee0_0000 | u64::from(local_id()) << 12
}

/// The I/O APIC's two windows; QEMU and PCs of the last decades have the first one here, and the ACPI tables, read
/// later, may add others.
const IO_APIC: u64 = 0xfec0_0000;
static IO: IrqLock<Option<usize>> = IrqLock::new(None);

/// Maps the I/O APIC.
pub fn init_io() {
    *IO.lock() = kmap::map_device(IO_APIC, 4096);
}

/// Sends line `line` to `vector` on this CPU: edge triggered, active high, as ISA lines are.
pub fn route_isa(line: u8, vector: u8) -> bool {
    let io = IO.lock();
    let Some(base) = *io else { return false };
    let put = |register: u32, value: u32| {
        kmap::write_device(base, register);
        kmap::write_device(base + 0x10, value);
    };
    let entry = 0x10 + u32::from(line) * 2;
    put(entry + 1, local_id() << 24);
    put(entry, u32::from(vector));
    true
}
