//! `sched` and `schedstat`: how a thread was scheduled.

use aios_abi::Errno;
use kernel_fs::procfs::Text;
use kernel_hal::time::now;
use kernel_sched::Class;

use super::stat;
use super::subject::Found;

/// `schedstat`: nanoseconds on a processor, nanoseconds of waiting for one, how often it got one.
pub(super) fn line(found: &Found, text: &mut Text) -> Result<(), Errno> {
    let kernel = found.thread.as_ref().and_then(|thread| thread.kernel());
    let (ran, stats) = kernel.map_or_else(Default::default, |kernel| (kernel.cpu_time().as_nanos(), kernel.stats()));
    text.put(format_args!("{ran} {} {}\n", stats.delay, stats.runs))
}

/// `sched`, with those of Linux's rows that mean something here.
pub(super) fn table(found: &Found, text: &mut Text) -> Result<(), Errno> {
    text.bytes(stat::trimmed(&stat::name(found)))?;
    let threads = found.process.thread_count();
    text.put(format_args!(" ({}, #threads: {threads})\n{:-<67}\n", found.number, ""))?;
    let Some((thread, kernel)) = found.thread.as_ref().and_then(|thread| Some((thread, thread.kernel()?))) else {
        return Ok(());
    };
    let (stats, class) = (kernel.stats(), kernel.class());
    let scheduled = stat::scheduled(thread);
    time(text, "se.exec_start", stats.started.0 as i64)?;
    time(text, "se.vruntime", kernel.virtual_time())?;
    time(text, "se.sum_exec_runtime", kernel.cpu_time().as_nanos() as i64)?;
    number(text, "se.nr_migrations", stats.migrations)?;
    time(text, "wait_sum", stats.delay as i64)?;
    number(text, "wait_count", stats.runs)?;
    number(text, "nr_switches", stats.voluntary + stats.involuntary)?;
    number(text, "nr_voluntary_switches", stats.voluntary)?;
    number(text, "nr_involuntary_switches", stats.involuntary)?;
    number(text, "se.load.weight", class.weight())?;
    number(text, "policy", scheduled.policy)?;
    // As the kernel counts: 100 more than `stat` shows.
    number(text, "prio", scheduled.priority + 100)?;
    match class {
        Class::Deadline(reservation) => {
            number(text, "dl.runtime", reservation.runtime)?;
            number(text, "dl.deadline", reservation.deadline)?;
        }
        class if class.is_fair() => number(text, "se.slice", class.slice())?,
        _ => {}
    }
    let start = now();
    number(text, "clock-delta", now().since(start).as_nanos())
}

fn number(text: &mut Text, name: &str, value: impl core::fmt::Display) -> Result<(), Errno> {
    text.put(format_args!("{name:<45}:{value:>21}\n"))
}

/// Nanoseconds as milliseconds.
fn time(text: &mut Text, name: &str, ns: i64) -> Result<(), Errno> {
    text.put(format_args!("{name:<45}:{:>14}.{:06}\n", ns / 1_000_000, (ns % 1_000_000).unsigned_abs()))
}
