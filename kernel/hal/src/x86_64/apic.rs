//! The local APIC: its timer, and its messages to other CPUs.
//!
//! Its registers are in memory (xAPIC) or, where the processor has that, model-specific registers (x2APIC, SDM 3A §11.12),
//! which need no memory access and have room for all CPU numbers.

use core::sync::atomic::{AtomicBool, Ordering};

use super::{cpus, features, kmap, msr, percpu};
use crate::clock::choice::TimerMode;
use crate::clock::timer::Setting;
use crate::cpu::IrqGuard;
use crate::irq::{self, Local, pic};
use crate::once::Once;

/// Above the device vectors of [`irq`](crate::irq).
pub const TIMER: u8 = 0xf0;
pub const RESCHEDULE: u8 = 0xf1;
pub const CALL: u8 = 0xf2;
pub const FLUSH: u8 = 0xf3;
pub const ERROR: u8 = 0xfe;
pub const SPURIOUS: u8 = 0xff;

/// Register offsets (SDM 3A table 11-1).
const ID: usize = 0x20;
const TASK_PRIORITY: usize = 0x80;
const END_OF_INTERRUPT: usize = 0xb0;
const SPURIOUS_VECTOR: usize = 0xf0;
const COMMAND: usize = 0x300;
const COMMAND_HIGH: usize = 0x310;
const LVT_TIMER: usize = 0x320;
const LVT_LINT0: usize = 0x350;
const LVT_LINT1: usize = 0x360;
const LVT_ERROR: usize = 0x370;
const INITIAL_COUNT: usize = 0x380;
const CURRENT_COUNT: usize = 0x390;
const DIVIDE: usize = 0x3e0;
const ERROR_STATUS: usize = 0x280;
const MASKED: u32 = 1 << 16;
/// The timer's mode that compares with the time-stamp counter.
const BY_DEADLINE: u32 = 0b10 << 17;
/// Delivery by the old controllers, which name the vector.
const EXTERNAL: u32 = 0b111 << 8;

/// Errors of a processor's controller that are worth a line in the log.
const ERRORS_TOLD: u64 = 8;

/// Bits of the command register (SDM 3A §11.6.1).
const DELIVERY_NMI: u32 = 0b100 << 8;
const DELIVERY_INIT: u32 = 0b101 << 8;
const DELIVERY_START: u32 = 0b110 << 8;
const ASSERT: u32 = 1 << 14;
const PENDING: u32 = 1 << 12;
const ALL_OTHERS: u32 = 0b11 << 18;

/// x2APIC: the register at offset `o` is model-specific register `FIRST + o / 16`.
const FIRST_REGISTER: u32 = 0x800;
const ENABLE: u64 = 1 << 11;
const ENABLE_X2: u64 = 1 << 10;

static LOCAL: Once<usize> = Once::new();
static X2: AtomicBool = AtomicBool::new(false);

fn read(register: usize) -> u32 {
    if X2.load(Ordering::Relaxed) {
        return msr::read(FIRST_REGISTER + (register >> 4) as u32) as u32;
    }
    LOCAL.get().map_or(0, |base| kmap::read_device(base + register))
}

fn write(register: usize, value: u32) {
    if X2.load(Ordering::Relaxed) {
        msr::write(FIRST_REGISTER + (register >> 4) as u32, u64::from(value));
    } else if let Some(base) = LOCAL.get() {
        kmap::write_device(base + register, value);
    }
}

/// Turns the first CPU's local APIC on and decides how registers are reached.
pub fn init() {
    pic::silence();
    let base = msr::read(msr::APIC_BASE);
    // Firmware that left it in x2APIC mode had a reason, such as numbers that xAPIC cannot say.
    if features::x2apic() || base & ENABLE_X2 != 0 {
        X2.store(true, Ordering::Relaxed);
    } else {
        let Some(registers) = kmap::map_device(base & 0x000f_ffff_ffff_f000, 4096) else {
            panic!("no room to map the local APIC");
        };
        LOCAL.set(registers);
    }
    init_this_cpu();
    cpus::remote(0).apic.store(local_id(), Ordering::Relaxed);
    // Nothing is known of lines that bypass the I/O APIC but that the second is NMI.
    write(LVT_LINT0, MASKED);
    write(LVT_LINT1, DELIVERY_NMI);
}

/// Turns the running CPU's local APIC on.
pub fn init_this_cpu() {
    let base = msr::read(msr::APIC_BASE) | ENABLE;
    msr::write(msr::APIC_BASE, base);
    if X2.load(Ordering::Relaxed) {
        msr::write(msr::APIC_BASE, base | ENABLE_X2);
    }
    write(SPURIOUS_VECTOR, 0x100 | u32::from(SPURIOUS));
    write(TASK_PRIORITY, 0);
    write(LVT_LINT0, MASKED);
    write(LVT_LINT1, MASKED);
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

/// Lets this CPU's timer interrupt in that mode, off for now.
pub fn start_timer(mode: TimerMode) {
    write(DIVIDE, 0b1011);
    write(INITIAL_COUNT, 0);
    let mode = if mode == TimerMode::Deadline { BY_DEADLINE } else { 0 };
    write(LVT_TIMER, u32::from(TIMER) | mode);
    // The mode is seen before any deadline is written (SDM 3A §11.5.4.1).
    // SAFETY: every x86-64 processor has MFENCE.
    unsafe { core::arch::x86_64::_mm_mfence() };
}

/// Sets this CPU's timer.
#[inline]
pub fn set_timer(setting: Setting) {
    match setting {
        Setting::Off => write(INITIAL_COUNT, 0),
        Setting::Count(count) => write(INITIAL_COUNT, count),
        Setting::Deadline(at) => msr::write(msr::TSC_DEADLINE, at),
    }
}

#[inline]
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

pub fn local_id() -> u32 {
    let id = read(ID);
    if X2.load(Ordering::Relaxed) { id } else { id >> 24 }
}

fn command(destination: u32, order: u32) {
    if X2.load(Ordering::Relaxed) {
        // Writes to model-specific registers of the APIC are not ordered after stores (SDM 3A §11.12.3): what the
        // receiver is to see must be visible first.
        core::sync::atomic::fence(Ordering::SeqCst);
        msr::write(FIRST_REGISTER + (COMMAND >> 4) as u32, u64::from(destination) << 32 | u64::from(order));
        return;
    }
    // Two registers, and the interrupt handlers of this CPU use them too.
    let _off = IrqGuard::new();
    write(COMMAND_HIGH, destination << 24);
    write(COMMAND, order);
    while read(COMMAND) & PENDING != 0 {
        core::hint::spin_loop();
    }
}

/// Interrupts another CPU.
pub fn send(cpu: usize, vector: u8) {
    command(cpus::remote(cpu).apic.load(Ordering::Relaxed), ASSERT | u32::from(vector));
}

/// Interrupts all other CPUs, whatever they do.
pub fn send_nmi_to_others() {
    command(0, ASSERT | ALL_OTHERS | DELIVERY_NMI);
}

/// Resets a CPU that does not run the kernel, by the number of its local APIC (SDM 3A §9.4.4).
pub fn send_init(apic: u32) {
    command(apic, ASSERT | DELIVERY_INIT);
}

/// Starts such a CPU in real mode at `page << 12`.
pub fn send_start(apic: u32, page: u8) {
    command(apic, ASSERT | DELIVERY_START | u32::from(page));
}

/// True when this machine's controllers can name that CPU.
pub fn can_name(apic: u32) -> bool {
    X2.load(Ordering::Relaxed) || apic < 0xff
}

/// The APIC number of a processor that runs, to send interrupts to.
pub fn destination(cpu: usize) -> Option<u32> {
    (cpu < cpus::cpu_count()).then(|| cpus::remote(cpu).apic.load(Ordering::Relaxed))
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
