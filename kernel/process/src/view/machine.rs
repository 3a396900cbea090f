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

/// Shows `stat`, `interrupts`, `uptime`, `loadavg`, `schedstat` and what limits processes. Called once at start-up.
pub fn register_machine() {
    register("stat", Entry::new(stat));
    interrupts::register_table();
    register("uptime", Entry::new(|_| uptime()));
    register("loadavg", Entry::new(load_average));
    register("schedstat", Entry::new(|_| scheduler_statistics()));
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

/// Nanoseconds that a processor has run something, and that it had nothing to run or was off.
fn processor_time(cpu: usize) -> (u64, u64) {
    let whole = time::now().0;
    let stats = kernel_sched::cpu_stats(cpu);
    // One that never ran anything has not been on for long enough to tell.
    let idle = kernel_sched::idle_time_of(cpu).as_nanos().min(u128::from(whole)) as u64;
    if stats.choices == 0 { (0, whole) } else { (whole - idle, idle) }
}

/// What processors did is the machine's, what processes and threads did the agent's.
fn stat(processes: &dyn Processes) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    let times: Vec<(u64, u64)> = (0..cpu::count()).map(processor_time).collect();
    let (busy, idle) = times.iter().fold((0, 0), |(busy, idle), time| (busy + time.0, idle + time.1));
    // User, nice, system, idle and six more. What is not idle is not told apart.
    text.put(format_args!("cpu  {} 0 0 {} 0 0 0 0 0 0\n", ticks(busy), ticks(idle)))?;
    for (number, (busy, idle)) in times.iter().enumerate() {
        text.put(format_args!("cpu{number} {} 0 0 {} 0 0 0 0 0 0\n", ticks(*busy), ticks(*idle)))?;
    }
    interrupts::stat_line(&mut text)?;
    let switches: u64 = (0..cpu::count()).map(|cpu| kernel_sched::cpu_stats(cpu).switches).sum();
    let ours = processes.statistics();
    text.put(format_args!(
        "ctxt {switches}\nbtime {}\nprocesses {}\nprocs_running {}\nprocs_blocked {}\n",
        time::wall_offset_ns() / 1_000_000_000,
        ours.made,
        ours.running,
        ours.blocked,
    ))?;
    Ok(text.into_bytes())
}

/// Version 16 of `Documentation/scheduler/sched-stats.rst`. There are no scheduling domains to tell of.
fn scheduler_statistics() -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    text.put(format_args!("version 16\ntimestamp {}\n", ticks(time::now().0)))?;
    for number in 0..cpu::count() {
        let stats = kernel_sched::cpu_stats(number);
        let (busy, _) = processor_time(number);
        text.put(format_args!(
            "cpu{number} {} 0 {} {} {} {} {busy} {} {}\n",
            stats.yields,
            stats.choices,
            stats.idles,
            stats.wakes,
            stats.local_wakes,
            stats.delay,
            stats.switches - stats.idles.min(stats.switches),
        ))?;
    }
    Ok(text.into_bytes())
}

fn uptime() -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    let idle = (0..cpu::count()).map(|cpu| processor_time(cpu).1).sum();
    let mut put =
        |ns: u64, end: &str| text.put(format_args!("{}.{:02}{end}", ns / 1_000_000_000, ns / 10_000_000 % 100));
    put(time::now().0, " ")?;
    put(idle, "\n")?;
    Ok(text.into_bytes())
}

/// The agent's: what others do is not its business.
fn load_average(processes: &dyn Processes) -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    let ours = processes.statistics();
    for average in ours.load {
        text.put(format_args!("{}.{:02} ", average / 100, average % 100))?;
    }
    text.put(format_args!("{}/{} {}\n", ours.running, ours.threads, ours.last))?;
    Ok(text.into_bytes())
}
