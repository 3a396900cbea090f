//! `status`: most of `stat` and more, for people.

use core::sync::atomic::Ordering;

use aios_abi::Errno;
use aios_abi::linux::consts::resource::RLIMIT_SIGPENDING;
use kernel_fs::Credentials;
use kernel_fs::credentials::ALL_CAPABILITIES;
use kernel_fs::procfs::Text;
use kernel_hal::addr::PAGE_SIZE;
use kernel_hal::cpu;
use kernel_hal::cpuset::CpuSet;

use super::subject::Found;
use super::{areas, stat};
use crate::Process;

const PAGE_KIB: u64 = PAGE_SIZE as u64 / 1024;

pub(super) fn status(found: &Found, text: &mut Text) -> Result<(), Errno> {
    let process = &found.process;
    let (letter, state) = stat::state(found);
    text.bytes(b"Name:\t")?;
    text.escaped(stat::trimmed(&stat::name(found)), b"\n\\")?;
    if let Some(thread) = &found.thread {
        text.put(format_args!("\nUmask:\t{:04o}", thread.place().view().umask))?;
    }
    text.put(format_args!(
        "\nState:\t{letter} ({state})\nTgid:\t{}\nNgid:\t0\nPid:\t{}\nPPid:\t{}\nTracerPid:\t0\n",
        process.pid(),
        found.number,
        process.parent_pid(),
    ))?;
    let who = found.thread.as_ref().map(|thread| thread.credentials()).or_else(|| process.credentials());
    if let Some(who) = &who {
        identity(who, found, text)?;
    }
    let number = found.number;
    text.put(format_args!(
        "NStgid:\t{}\nNSpid:\t{number}\nNSpgid:\t{}\nNSsid:\t{}\nKthread:\t0\n",
        process.pid(),
        process.group(),
        process.session(),
    ))?;
    memory(process, text)?;
    text.put(format_args!("CoreDumping:\t0\nTHP_enabled:\t0\nThreads:\t{}\n", process.thread_count().max(1)))?;
    signals(found, text)?;
    if let Some(who) = &who {
        let held = who.effective;
        text.put(format_args!(
            "CapInh:\t{:016x}\nCapPrm:\t{held:016x}\nCapEff:\t{held:016x}\nCapBnd:\t{ALL_CAPABILITIES:016x}\nCapAmb:\t{:016x}\n",
            0, 0,
        ))?;
    }
    let no_new_privileges = u8::from(process.no_new_privileges.load(Ordering::Relaxed));
    text.put(format_args!("NoNewPrivs:\t{no_new_privileges}\nSeccomp:\t0\nSeccomp_filters:\t0\n"))?;
    let online = CpuSet::first(cpu::count());
    let kernel = found.thread.as_ref().and_then(|thread| thread.kernel());
    processors(&kernel.map_or(online, |kernel| kernel.usable().and(&online)), cpu::count(), text)?;
    let switches = kernel.map_or_else(Default::default, |kernel| kernel.stats());
    text.put(format_args!(
        "voluntary_ctxt_switches:\t{}\nnonvoluntary_ctxt_switches:\t{}\n",
        switches.voluntary, switches.involuntary
    ))
}

fn identity(who: &Credentials, found: &Found, text: &mut Text) -> Result<(), Errno> {
    let table = found.thread.as_ref().map_or(0, |thread| thread.files().capacity());
    text.put(format_args!(
        "Uid:\t{}\t{}\t{}\t{}\nGid:\t{}\t{}\t{}\t{}\nFDSize:\t{table}\nGroups:\t",
        who.uid, who.euid, who.suid, who.fsuid, who.gid, who.egid, who.sgid, who.fsgid,
    ))?;
    who.groups.iter().try_for_each(|group| text.put(format_args!("{group} ")))?;
    text.bytes(if who.groups.is_empty() { b" \n" } else { b"\n" })
}

/// Of a process that still has memory. The largest size it ever had is not kept: `VmPeak` is the size now.
fn memory(process: &Process, text: &mut Text) -> Result<(), Errno> {
    let Some(space) = process.space() else { return Ok(()) };
    let sums = areas::sums(&space);
    let (start, end) = process.layout.lock().code;
    let program = end.saturating_sub(start).next_multiple_of(PAGE_SIZE as u64).min(sums.code);
    let pages = |count: usize| count as u64 * PAGE_KIB;
    let resident = pages(sums.resident_anonymous + sums.resident_file + sums.resident_shared);
    let size = space.size() / 1024;
    for (name, kib) in [
        ("VmPeak", size),
        ("VmSize", size),
        ("VmLck", sums.locked / 1024),
        ("VmPin", 0),
        ("VmHWM", pages(space.peak_resident()).max(resident)),
        ("VmRSS", resident),
        ("RssAnon", pages(sums.resident_anonymous)),
        ("RssFile", pages(sums.resident_file)),
        ("RssShmem", pages(sums.resident_shared)),
        ("VmData", space.data_size() / 1024),
        ("VmStk", sums.stack / 1024),
        ("VmExe", program / 1024),
        ("VmLib", (sums.code - program) / 1024),
        ("VmPTE", pages(space.table_frames())),
        ("VmSwap", 0),
    ] {
        text.put(format_args!("{name}:\t{kib:>8} kB\n"))?;
    }
    Ok(())
}

fn signals(found: &Found, text: &mut Text) -> Result<(), Errno> {
    let process = &found.process;
    let (pending, blocked) = found.thread.as_ref().map_or((0, 0), |thread| {
        let signals = thread.signals.lock();
        (signals.pending(), signals.mask())
    });
    let (shared, queued) = {
        let pending = process.pending.lock();
        (pending.set(), pending.queued())
    };
    let (ignored, caught) = stat::handled(process);
    text.put(format_args!(
        "SigQ:\t{queued}/{}\nSigPnd:\t{pending:016x}\nShdPnd:\t{shared:016x}\nSigBlk:\t{blocked:016x}\n\
         SigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n",
        process.limits.current(RLIMIT_SIGPENDING),
    ))
}

/// A set of the first `count` processors, as a mask in words of 32 bits and as a list.
fn processors(set: &CpuSet, count: usize, text: &mut Text) -> Result<(), Errno> {
    text.bytes(b"Cpus_allowed:\t")?;
    let words = count.div_ceil(32);
    for word in (0..words).rev() {
        let bits = (count - word * 32).min(32) as u32;
        let mask = (set.words().get(word / 2).copied().unwrap_or(0) >> (word % 2 * 32)) as u32;
        let digits = if words > 1 && word + 1 < words { 8 } else { bits.div_ceil(4) as usize };
        text.put(format_args!("{mask:0digits$x}{}", if word > 0 { "," } else { "\n" }))?;
    }
    text.put(format_args!("Cpus_allowed_list:\t{set}"))?;
    text.bytes(b"\nMems_allowed:\t1\nMems_allowed_list:\t0\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn processors_are_told_as_linux_does() {
        for (count, expected) in
            [(1, "1\t0"), (2, "3\t0-1"), (5, "1f\t0-4"), (32, "ffffffff\t0-31"), (40, "ff,ffffffff\t0-39")]
        {
            let mut text = Text::new();
            processors(&CpuSet::first(count), count, &mut text).expect("memory");
            let text = String::from_utf8(text.into_bytes()).expect("text");
            let (mask, list) = expected.split_once('\t').expect("two");
            assert!(
                text.starts_with(&std::format!("Cpus_allowed:\t{mask}\nCpus_allowed_list:\t{list}\n")),
                "{count}: {text}"
            );
        }
    }
}
