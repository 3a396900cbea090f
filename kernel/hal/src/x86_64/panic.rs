//! The end: what failed, where, and how the kernel got there, to both serial ports, with what every other processor did;
//! then the machine stops.

use alloc::format;
use alloc::string::String;
use core::arch::asm;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use super::cpus::{cpu_count, remote};
use super::{apic, kept, msr, percpu, phys, ports, reset, serial, symbols, task};
use crate::containment::{self, KernelFault};
use crate::kept::Ending;
use crate::time::{Instant, now};
use crate::user::Registers;

/// QEMU's debug exit device; writing `v` ends QEMU with status `2v + 1`.
const EXIT_PORT: u16 = 0xf4;

/// The CPU that panics.
static PANICKING: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;
/// The machine halts, in order.
static HALTING: AtomicBool = AtomicBool::new(false);
struct BothPorts;

impl Write for BothPorts {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        serial::log_bytes(text.as_bytes());
        serial::console_bytes(text.as_bytes());
        kept::keep(text.as_bytes());
        Ok(())
    }
}

/// Where a processor was when another stopped it.
pub struct Stopped {
    stopped: AtomicBool,
    /// It ran a program.
    program: AtomicBool,
    rip: AtomicU64,
    rbp: AtomicU64,
}

impl Stopped {
    pub const fn new() -> Stopped {
        Stopped {
            stopped: AtomicBool::new(false),
            program: AtomicBool::new(false),
            rip: AtomicU64::new(0),
            rbp: AtomicU64::new(0),
        }
    }

    fn print(&self, out: &mut impl Write, cpu: usize) {
        let rip = self.rip.load(Ordering::Relaxed);
        let answers = self.stopped.load(Ordering::Acquire);
        let program = self.program.load(Ordering::Relaxed);
        let _ = match (answers, program) {
            (false, _) => writeln!(out, "CPU {cpu} does not answer"),
            (true, true) => writeln!(out, "CPU {cpu} ran a program, at {rip:#x}"),
            (true, false) => writeln!(out, "CPU {cpu}:"),
        };
        if program || !answers {
            return;
        }
        symbols::print(out, 0, rip);
        symbols::backtrace(out, self.rbp.load(Ordering::Relaxed), 1);
    }
}

/// Counter ticks that the others are given to stop: some tens of milliseconds on any machine.
const PATIENCE: u64 = 200_000_000;

/// Stops the others where they are, so that what follows is not mixed with theirs. Those that do not answer are left.
fn stop_others() {
    let count = cpu_count();
    if count == 1 {
        return;
    }
    apic::send_nmi_to_others();
    let start = msr::read_tsc();
    let me = percpu::cpu_id();
    let all = || (0..count).all(|cpu| cpu == me || remote(cpu).stopped.stopped.load(Ordering::Acquire));
    while !all() && msr::read_tsc().saturating_sub(start) < PATIENCE {
        core::hint::spin_loop();
    }
}

/// Bytes of stack that the container gets at least.
const CONTAINER_STACK: u64 = 6 << 10;

/// Keeps the panic from everybody but the agent that the running thread serves, if that is sound: see
/// [`containment`](crate::containment). Returns if it is not. Interrupts are off, and were on.
fn contain(info: &core::panic::PanicInfo<'_>, frame: u64, fault_at: Option<u64>) {
    let cpu = percpu::this();
    let owes = cpu.preempt.get() != 0 || cpu.handlers.get() != 0 || cpu.obligations.get() != 0;
    if owes || PANICKING.load(Ordering::SeqCst) != NOBODY || !task::has_room(frame, CONTAINER_STACK) {
        return;
    }
    let Some(container) = containment::container() else { return };
    // From here on a panic is not contained.
    percpu::oblige();
    msr::interrupts_on();
    let place = info.location();
    let room = match (fault_at.and_then(symbols::name), place) {
        (Some(name), _) => containment::room_of_symbol(name),
        (None, Some(place)) => containment::room_of_file(place.file()),
        (None, None) => "kernel",
    };
    let message = match place.filter(|_| fault_at.is_none()) {
        Some(place) => format!("{} ({place})", info.message()),
        None => format!("{}", info.message()),
    };
    let mut fault = KernelFault { room: String::from(room), message, backtrace: String::new() };
    symbols::backtrace(&mut fault.backtrace, frame, 0);
    container(&fault);
    msr::interrupts_off();
    percpu::discharge();
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let interrupts = msr::interrupts_off();
    let frame: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nostack, nomem, preserves_flags)) };
    let fault = percpu::this().fault.take();
    if fault.map_or(interrupts, |(_, interrupts)| interrupts) {
        contain(info, frame, fault.map(|(at, _)| at));
    }
    let me = percpu::cpu_id();
    if let Err(other) = PANICKING.compare_exchange(NOBODY, me, Ordering::SeqCst, Ordering::SeqCst) {
        if other != me {
            msr::halt();
        }
        serial::log_bytes(b"panic while panicking\n");
        stop();
    }
    stop_others();
    let reset_number = next_reset();
    kept::end(Ending::Panic, reset_number.unwrap_or(0));
    let mut out = BothPorts;
    // The ports do not fail.
    let _ = match info.location() {
        Some(place) => writeln!(out, "\nkernel panic on CPU {}: {} ({place})", me, info.message()),
        None => writeln!(out, "\nkernel panic on CPU {}: {}", me, info.message()),
    };
    symbols::backtrace(&mut out, frame, 0);
    for cpu in (0..cpu_count()).filter(|cpu| *cpu != me) {
        remote(cpu).stopped.print(&mut out, cpu);
    }
    let frames = phys::frame_count();
    if let Some(number) = reset_number {
        crate::console::last_words(format_args!("{frames} frames of RAM; reset {number} of {MOST_RESETS}"));
        reset();
    }
    crate::console::last_words(format_args!("{frames} frames of RAM; stopped"));
    stop();
}

/// Resets by panics in a row until this kernel was started; [`NEVER`] where a panic stops the machine.
static RESETS: AtomicU32 = AtomicU32::new(NEVER);
const NEVER: u32 = u32::MAX;
/// More of them in a row help nobody.
const MOST_RESETS: u32 = 3;
/// A kernel that ran so long was not in a row with those before it.
const QUIET: Instant = Instant(600_000_000_000);

/// Makes a panic reset the machine instead of stopping it, unless it was reset for panics too often: `before` times in a
/// row, until this kernel was started.
pub fn reset_on_panic(before: u32) {
    RESETS.store(before.min(MOST_RESETS), Ordering::Relaxed);
}

/// Which reset in a row a panic now is; `None` to stop.
fn next_reset() -> Option<u32> {
    let before = Some(RESETS.load(Ordering::Relaxed)).filter(|before| *before != NEVER)?;
    let number = if now() >= QUIET { 1 } else { before + 1 };
    Some(number).filter(|number| *number <= MOST_RESETS)
}

/// For the non-maskable interrupt: stops this CPU when another panics or halts the machine.
pub fn stop_if_asked(interrupted: &Registers, program: bool) {
    let me = percpu::cpu_id();
    let panicking = PANICKING.load(Ordering::SeqCst);
    if HALTING.load(Ordering::SeqCst) || panicking != NOBODY && panicking != me {
        let place = &remote(me).stopped;
        place.rip.store(interrupted.rip, Ordering::Relaxed);
        place.rbp.store(interrupted.rbp, Ordering::Relaxed);
        place.program.store(program, Ordering::Relaxed);
        place.stopped.store(true, Ordering::Release);
        msr::halt();
    }
}

/// Stops all CPUs for good.
pub fn halt() -> ! {
    msr::interrupts_off();
    HALTING.store(true, Ordering::SeqCst);
    stop_others();
    msr::halt();
}

fn stop() -> ! {
    ports::out8(EXIT_PORT, 0x7f);
    msr::halt();
}
