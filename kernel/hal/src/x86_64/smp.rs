//! The other CPUs: started one after the other from the first, each into its own idle loop.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::percpu::PerCpu;
use super::stack::KernelStack;
use super::trampoline::{Start, Trampoline};
use super::{apic, clock, cpus, features, gdt, mce, msr, percpu, phys, traps};
use crate::cpu::{self, IrqGuard, MAX_CPUS};
use crate::cpuset::CpuSet;
use crate::lock::SpinLock;
use crate::once::Once;
use crate::time::{Instant, now};

/// How long a CPU is given after each message, nanoseconds (SDM 3A §9.4.4.1), and until it counts as dead.
const AFTER_INIT: u64 = 10_000_000;
const AFTER_START: u64 = 200_000;
const UNTIL_DEAD: u64 = 1_000_000_000;

static MAIN: Once<fn() -> !> = Once::new();

fn wait_for(ns: u64, done: impl Fn() -> bool) -> bool {
    let end = Instant(now().0.saturating_add(ns));
    while !done() {
        if now() >= end {
            return done();
        }
        core::hint::spin_loop();
    }
    true
}

/// Starts the CPUs with these local APIC numbers; each calls `main`. Returns how many CPUs run afterwards. Called once.
pub fn start_cpus(apics: &[u32], main: fn() -> !) -> usize {
    MAIN.set(main);
    let own = apic::local_id();
    let others: alloc::vec::Vec<u32> =
        apics.iter().copied().filter(|apic| *apic != own && apic::can_name(*apic)).take(MAX_CPUS - 1).collect();
    if others.is_empty() {
        return cpus::cpu_count();
    }
    let Some(trampoline) = Trampoline::new() else {
        log::warn!("no memory below 1 MiB: the other processors stay off");
        return cpus::cpu_count();
    };
    others.iter().for_each(|apic| apic::send_init(*apic));
    wait_for(AFTER_INIT, || false);
    for apic in others {
        start(&trampoline, apic);
    }
    cpus::cpu_count()
}

fn start(trampoline: &Trampoline, apic: u32) {
    let number = cpus::cpu_count();
    let stacks = (KernelStack::new(), gdt::exception_stacks());
    let (Ok(stack), Some(exceptions)) = stacks else {
        log::warn!("no memory to start the processor with APIC number {apic}");
        return;
    };
    let mut cpu = Box::new(PerCpu::new(number as u32));
    cpu.tables.set_exception_stacks(exceptions);
    let cpu = Box::into_raw(cpu);
    cpus::remote(number).apic.store(apic, Ordering::Relaxed);
    trampoline.prepare(&Start { stack: stack.top(), argument: cpu as u64, entry: begin });
    clock::expect_other();
    let running = || cpus::cpu_count() > number;
    for _ in 0..2 {
        apic::send_start(apic, trampoline.page());
        if wait_for(AFTER_START, running) {
            break;
        }
    }
    let started = wait_for(UNTIL_DEAD, running);
    // Its stack and data stay its own for ever; also when it is dead, since it may wake up late.
    core::mem::forget(stack);
    if !started {
        apic::send_init(apic);
        log::warn!("the processor with APIC number {apic} does not start");
        return;
    }
    clock::check_synchronised();
}

/// The first Rust code of another CPU.
extern "C" fn begin(cpu: u64) -> ! {
    msr::write_cr3(phys::kernel_root_phys());
    // SAFETY: 1. `start` leaked the box for this CPU alone and does not touch it any more. 2. The processor passes the
    // argument on as it is.
    let cpu: &'static mut PerCpu = unsafe { &mut *(cpu as *mut PerCpu) };
    let number = cpu.number as usize;
    let tables: *mut gdt::Tables = &mut cpu.tables;
    // SAFETY: `tables` lives as long as the CPU's data; the two borrows do not overlap in time.
    unsafe { (*tables).load() };
    cpu.install();
    traps::load();
    features::init();
    percpu::number_for_programs();
    mce::init();
    apic::init_this_cpu();
    clock::start_timer();
    cpus::set_running(number + 1);
    clock::compare_counters();
    match MAIN.get() {
        Some(main) => main(),
        None => msr::halt(),
    }
}

/// A function that other CPUs are to call.
struct Calling {
    function: AtomicPtr<&'static (dyn Fn() + Sync)>,
    left: AtomicUsize,
}

static CALLING: Calling = Calling { function: AtomicPtr::new(core::ptr::null_mut()), left: AtomicUsize::new(0) };
/// One call at a time.
static CALLER: SpinLock<()> = SpinLock::new(());

pub fn call_on(targets: &CpuSet, function: &(dyn Fn() + Sync)) {
    // Whoever waits here goes on taking interrupts, so two callers do not wait for each other.
    let _one = CALLER.lock();
    let mut others = targets.and(&CpuSet::first(cpus::cpu_count()));
    let me = cpu::id();
    if others.contains(me) {
        others.remove(me);
        let _off = IrqGuard::new();
        function();
    }
    if others.is_empty() {
        return;
    }
    // SAFETY: only the lifetime changes; this call does not return before every CPU that may look at it is done.
    let function: &'static (dyn Fn() + Sync) = unsafe { core::mem::transmute(function) };
    let mut place = function;
    CALLING.left.store(others.count(), Ordering::Relaxed);
    CALLING.function.store(&raw mut place, Ordering::Release);
    others.iter().for_each(|cpu| apic::send(cpu, apic::CALL));
    while CALLING.left.load(Ordering::Acquire) != 0 {
        core::hint::spin_loop();
    }
}

/// Handles the interrupt that asks to call.
pub fn called() {
    let place = CALLING.function.load(Ordering::Acquire);
    // SAFETY: `call_on` stored a pointer to its own variable before it sent the interrupt, and waits.
    unsafe { (*place)() };
    CALLING.left.fetch_sub(1, Ordering::Release);
}
