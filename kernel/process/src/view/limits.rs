//! `limits`

use aios_abi::Errno;
use aios_abi::linux::consts::RLIM_INFINITY;
use aios_abi::linux::consts::resource::*;
use kernel_fs::procfs::Text;

use crate::Process;

/// Linux's names and units, by number.
const ROWS: [(u32, &str, &str); 16] = [
    (RLIMIT_CPU, "Max cpu time", "seconds"),
    (RLIMIT_FSIZE, "Max file size", "bytes"),
    (RLIMIT_DATA, "Max data size", "bytes"),
    (RLIMIT_STACK, "Max stack size", "bytes"),
    (RLIMIT_CORE, "Max core file size", "bytes"),
    (RLIMIT_RSS, "Max resident set", "bytes"),
    (RLIMIT_NPROC, "Max processes", "processes"),
    (RLIMIT_NOFILE, "Max open files", "files"),
    (RLIMIT_MEMLOCK, "Max locked memory", "bytes"),
    (RLIMIT_AS, "Max address space", "bytes"),
    (RLIMIT_LOCKS, "Max file locks", "locks"),
    (RLIMIT_SIGPENDING, "Max pending signals", "signals"),
    (RLIMIT_MSGQUEUE, "Max msgqueue size", "bytes"),
    (RLIMIT_NICE, "Max nice priority", ""),
    (RLIMIT_RTPRIO, "Max realtime priority", ""),
    (RLIMIT_RTTIME, "Max realtime timeout", "us"),
];

pub(super) fn table(process: &Process, text: &mut Text) -> Result<(), Errno> {
    text.put(format_args!("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units"))?;
    for (resource, name, unit) in ROWS {
        let limit = process.limits.get(resource)?;
        text.put(format_args!("{name:<25} "))?;
        for value in [limit.current, limit.maximum] {
            match value {
                RLIM_INFINITY => text.put(format_args!("{:<20} ", "unlimited"))?,
                value => text.put(format_args!("{value:<20} "))?,
            }
        }
        if unit.is_empty() { text.bytes(b"\n")? } else { text.put(format_args!("{unit:<10}\n"))? }
    }
    Ok(())
}
