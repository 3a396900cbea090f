//! Non-maskable interrupts: the others of this kernel, to stop or to tell where they are; and a button, a watchdog or a
//! monitor from outside, upon which every CPU tells where it is.

use core::arch::asm;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{apic, cpus, layout, msr, panic, percpu, serial, symbols};
use crate::cpuset::{AtomicCpuSet, CpuSet};
use crate::irq::{self, Local};
use crate::time::now;
use crate::user::Registers;

/// CPUs that are to tell.
static WANTED: AtomicCpuSet = AtomicCpuSet::new();
/// When they were asked last, nanoseconds. What comes from outside within [`QUIET`] of it is part of it.
static ASKED: AtomicU64 = AtomicU64::new(0);
const QUIET: u64 = 1_000_000_000;

/// One tells at a time.
static TELLING: AtomicBool = AtomicBool::new(false);
/// Looks until the other who tells is not waited for any more.
const PATIENCE: u32 = 100_000_000;

struct Log;

impl Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        serial::log_bytes(text.as_bytes());
        Ok(())
    }
}

/// Becomes the one who asks all; false when somebody just did.
fn ask() -> bool {
    let (last, at) = (ASKED.load(Ordering::SeqCst), now().0.max(1));
    let free = last == 0 || at.saturating_sub(last) > QUIET;
    free && ASKED.compare_exchange(last, at, Ordering::SeqCst, Ordering::SeqCst).is_ok()
}

fn ask_others() {
    let me = percpu::cpu_id();
    CpuSet::first(cpus::cpu_count()).iter().filter(|cpu| *cpu != me).for_each(|cpu| WANTED.insert(cpu));
    if cpus::cpu_count() > 1 {
        apic::send_nmi_to_others();
    }
}

/// Every CPU writes to the log where it is, whatever it does.
pub fn dump_cpus() {
    if ask() {
        ask_others();
        WANTED.insert(percpu::cpu_id());
        // SAFETY: the gate's handler returns here with all registers as they were.
        unsafe { asm!("int 2") };
    }
}

/// Handles the interrupt, with interrupts off. `registers` are of what it came into, a program or the kernel.
pub fn handle(registers: &Registers, in_program: bool) {
    irq::count(Local::NonMaskable);
    panic::stop_if_asked(registers, in_program);
    let me = percpu::cpu_id();
    if WANTED.remove(me) {
        return tell(registers, in_program);
    }
    if ask() {
        let _ = writeln!(Log, "\nnon-maskable interrupt from outside: where each CPU is");
        ask_others();
        tell(registers, in_program);
    }
}

fn tell(registers: &Registers, in_program: bool) {
    let alone = (0..PATIENCE).any(|_| {
        !TELLING.swap(true, Ordering::Acquire) || {
            core::hint::spin_loop();
            false
        }
    });
    // The log port does not fail.
    let _ = write_state(registers, in_program);
    if alone {
        TELLING.store(false, Ordering::Release);
    }
}

fn write_state(r: &Registers, in_program: bool) -> fmt::Result {
    let mut out = Log;
    let place = if in_program { "in a program" } else { "in the kernel" };
    write!(out, "\nCPU {} {place} at {:#x}", percpu::cpu_id(), r.rip)?;
    let interrupts = if r.rflags & 0x200 != 0 { "on" } else { "off" };
    writeln!(out, ", interrupts {interrupts}, {} locks or guards against preemption", percpu::preempt_depth())?;
    for row in [
        [("rax", r.rax), ("rbx", r.rbx), ("rcx", r.rcx), ("rdx", r.rdx)],
        [("rsi", r.rsi), ("rdi", r.rdi), ("rbp", r.rbp), ("rsp", r.rsp)],
        [("r8 ", r.r8), ("r9 ", r.r9), ("r10", r.r10), ("r11", r.r11)],
        [("r12", r.r12), ("r13", r.r13), ("r14", r.r14), ("r15", r.r15)],
        [("cr2", msr::read_cr2()), ("cr3", msr::read_cr3()), ("cr4", msr::read_cr4()), ("flg", r.rflags)],
    ] {
        for (name, value) in row {
            write!(out, "  {name} {value:016x}")?;
        }
        writeln!(out)?;
    }
    if !in_program && r.rip >= layout::KERNEL {
        symbols::print(&mut out, 0, r.rip);
        symbols::backtrace(&mut out, r.rbp, 1);
    }
    Ok(())
}
