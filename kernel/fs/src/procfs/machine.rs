//! What this room and those below it know of the machine.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SIZE, USER_MIN};
use kernel_hal::random;

use super::entries::{Entry, MachineLink, register, register_link};
use super::{Processes, Text, cpuinfo};
use crate::{device, pipe};

/// Areas that an address space may have (`vm.max_map_count`).
const MAX_AREAS: u32 = 65_530;

/// Registers what is here; once, whoever comes first.
pub(super) fn register_once() {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Ordering::AcqRel) {
        return;
    }
    register_link("self", MachineLink::Current);
    register_link("thread-self", MachineLink::CurrentThread);
    register_link("mounts", MachineLink::Fixed("self/mounts"));
    register("meminfo", Entry::new(meminfo));
    register("vmstat", Entry::new(virtual_memory));
    register("cpuinfo", Entry::new(|_| cpuinfo::text()));
    register("devices", Entry::new(|_| devices()));
    register("sys/fs/pipe-max-size", Entry::constant(pipe::MAX_CAPACITY));
    register("sys/vm/max_map_count", Entry::constant(MAX_AREAS));
    register("sys/vm/mmap_min_addr", Entry::constant(USER_MIN));
    // Memory is promised as far as it seems to be there.
    register("sys/vm/overcommit_memory", Entry::constant(0));
    register("sys/kernel/random/uuid", Entry::new(|_| Ok(format!("{}\n", uuid()).into_bytes())).fixed());
    // The same until the machine starts again.
    register("sys/kernel/random/boot_id", Entry::constant(uuid()));
    // The generator never runs dry: 256 bits, as Linux says since 5.18.
    register("sys/kernel/random/entropy_avail", Entry::constant(256));
    register("sys/kernel/random/poolsize", Entry::constant(256));
}

/// A random UUID (RFC 9562 §5.4).
fn uuid() -> String {
    let mut bytes = [0; 16];
    random::fill(&mut bytes);
    let number = u128::from_be_bytes(bytes);
    // Version 4, variant 10.
    let number = number & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        number >> 96,
        number >> 80 & 0xffff,
        number >> 64 & 0xffff,
        number >> 48 & 0xffff,
        number & 0xffff_ffff_ffff
    )
}

/// The agent's share of the machine's memory: no more than its limit, no more than there is.
fn meminfo(processes: &dyn Processes) -> Result<Vec<u8>, Errno> {
    let stats = kernel_mm::stats();
    let account = processes.account();
    let total = stats.total.min(account.limit());
    let free = stats.free.min(account.available()).min(total);
    let available = stats.free.saturating_sub(stats.reserve).min(free);
    let kib = |frames: usize| frames.saturating_mul(PAGE_SIZE / 1024);
    let mut text = Text::new();
    let mut put =
        |name: &str, frames: usize| text.put(format_args!("{:<16}{:>8} kB\n", format!("{name}:"), kib(frames)));
    put("MemTotal", total)?;
    put("MemFree", free)?;
    put("MemAvailable", available)?;
    // Not told apart from memory in use.
    for name in ["Buffers", "Cached", "SwapCached", "Active", "Inactive", "SwapTotal", "SwapFree", "Dirty", "Writeback"]
    {
        put(name, 0)?;
    }
    put("AnonPages", account.used().min(total))?;
    for name in ["Mapped", "Shmem", "Slab", "SReclaimable"] {
        put(name, 0)?;
    }
    put("CommitLimit", total)?;
    put("Committed_AS", account.used().min(total))?;
    Ok(text.into_bytes())
}

/// Counts of pages: what `meminfo` says, and that nothing is ever swapped. Others are not counted, and not there.
fn virtual_memory(processes: &dyn Processes) -> Result<Vec<u8>, Errno> {
    let account = processes.account();
    let free = kernel_mm::stats().free.min(account.available());
    let mut text = Text::new();
    text.put(format_args!("nr_free_pages {free}\nnr_anon_pages {}\npswpin 0\npswpout 0\n", account.used()))?;
    Ok(text.into_bytes())
}

/// Numbers and names of devices. All are character devices.
fn devices() -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    text.bytes(b"Character devices:\n")?;
    for entry in device::registered() {
        text.put(format_args!("{:3} {}\n", entry.number.major, entry.name))?;
    }
    text.bytes(b"\nBlock devices:\n")?;
    Ok(text.into_bytes())
}
