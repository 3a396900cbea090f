//! What this room and the scheduler tell of the machine as a whole.

use alloc::vec::Vec;

use aios_abi::Errno;
use kernel_fs::procfs::{Entry, Processes, Text, register};
use kernel_hal::{cpu, time};

use super::interrupts;
use super::stat::ticks;
use crate::exec;
use crate::files::MAX_DESCRIPTORS;
use crate::ids::PID_MAX;

/// Shows `stat`, `interrupts`, `uptime`, `loadavg` and what limits processes. Called once at start-up.
pub fn register_machine() {
    register("stat", Entry::new(stat));
    interrupts::register_table();
    register("uptime", Entry::new(|_| uptime()));
    register("loadavg", Entry::new(load_average));
    register("sys/kernel/pid_max", Entry::constant(PID_MAX));
    register("sys/kernel/threads-max", Entry::constant(PID_MAX));
    register(
        "sys/kernel/randomize_va_space",
        Entry::new(|_| Ok(if exec::is_random() { b"2\n" } else { b"0\n" }.to_vec())).fixed(),
    );
    register("sys/fs/nr_open", Entry::constant(MAX_DESCRIPTORS));
    // Each agent has a limit of its own.
    register("sys/fs/file-max", Entry::constant(i64::MAX));
}

/// Time that the processors have spent, in nanoseconds: with nothing to run, and running.
fn processor_time() -> (u64, u64) {
    let whole = time::now().0.saturating_mul(cpu::count() as u64);
    let idle = u64::try_from(kernel_sched::idle_time().as_nanos()).unwrap_or(u64::MAX).min(whole);
    (idle, whole - idle)
}

fn stat(processes: &dyn Processes) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    let count = cpu::count() as u64;
    let (idle, busy) = processor_time();
    // User, nice, system, idle and six more. What is not idle is not told apart, and neither are the processors.
    text.put(format_args!("cpu  {} 0 0 {} 0 0 0 0 0 0\n", ticks(busy), ticks(idle)))?;
    for number in 0..count {
        text.put(format_args!("cpu{number} {} 0 0 {} 0 0 0 0 0 0\n", ticks(busy / count), ticks(idle / count)))?;
    }
    interrupts::stat_line(&mut text)?;
    let (running, _) = kernel_sched::load();
    text.put(format_args!(
        "btime {}\nprocesses {}\nprocs_running {running}\nprocs_blocked 0\n",
        time::wall_offset_ns() / 1_000_000_000,
        processes.numbers().last().copied().unwrap_or(0),
    ))?;
    Ok(text.into_bytes())
}

fn uptime() -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    let (idle, _) = processor_time();
    let mut put =
        |ns: u64, end: &str| text.put(format_args!("{}.{:02}{end}", ns / 1_000_000_000, ns / 10_000_000 % 100));
    put(time::now().0, " ")?;
    put(idle, "\n")?;
    Ok(text.into_bytes())
}

/// No averages are kept: the three are what runs now, as `sysinfo(2)` says too.
fn load_average(processes: &dyn Processes) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    let (running, threads) = kernel_sched::load();
    let last = processes.numbers().last().copied().unwrap_or(0);
    text.put(format_args!("{running}.00 {running}.00 {running}.00 {running}/{threads} {last}\n"))?;
    Ok(text.into_bytes())
}
