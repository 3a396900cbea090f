//! Restartable sequences (`rseq(2)`): a program's short critical sections on data of one processor, which start over
//! when they are interrupted.
//!
//! The program keeps in a registered area which section it is in. After an interrupt or a fault, when another thread
//! may have run, [`interrupted`] sends it to the section's abort handler. The area also shows which processor the
//! program runs on; [`moved`] tells when that must be written again.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use aios_abi::Errno;
use aios_abi::linux::consts::rseq_cpu::RSEQ_CPU_ID_UNINITIALIZED;
use aios_abi::linux::consts::signal::SIGSEGV;
use aios_abi::linux::structs::{FromZeros, IntoBytes, Rseq, RseqCs, Siginfo};
use kernel_hal::addr::{USER_END, Virt, is_user_range};
use kernel_hal::user::UserContext;
use kernel_hal::{cpu, usermem};

use crate::{Thread, signal};

/// From the area's start to the address of the section's description, bytes.
const SECTION: u64 = 8;
/// The area's flags follow the section.
const FLAGS: u64 = 16;
/// The signature stands before the abort handler.
const SIGNATURE: u64 = size_of::<u32>() as u64;

/// What a thread registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    pub address: u64,
    /// Bytes.
    pub length: u32,
    /// Must stand before each abort handler, so that nothing else can be jumped to.
    pub signature: u32,
}

fn registered(thread: &Thread) -> Option<Area> {
    match thread.rseq.load(Ordering::Relaxed) {
        0 => None,
        address => Some(Area {
            address,
            length: thread.rseq_length.load(Ordering::Relaxed),
            signature: thread.rseq_signature.load(Ordering::Relaxed),
        }),
    }
}

fn set(thread: &Thread, area: Area) {
    thread.rseq_length.store(area.length, Ordering::Relaxed);
    thread.rseq_signature.store(area.signature, Ordering::Relaxed);
    thread.rseq.store(area.address, Ordering::Relaxed);
}

/// `EINVAL` unless both are the same place, `EPERM` when the signatures differ.
fn compare(area: Area, known: Area) -> Result<(), Errno> {
    if (area.address, area.length) != (known.address, known.length) {
        return Err(Errno::EINVAL);
    }
    if area.signature == known.signature { Ok(()) } else { Err(Errno::EPERM) }
}

/// `EBUSY` when it is registered already, `EINVAL` for a wrong size or place, `EFAULT` for one outside user space.
pub fn register(thread: &Thread, area: Area) -> Result<(), Errno> {
    if let Some(known) = registered(thread) {
        compare(area, known)?;
        return Err(Errno::EBUSY);
    }
    let size = size_of::<Rseq>();
    if (area.length as usize) < size || !area.address.is_multiple_of(size as u64) {
        return Err(Errno::EINVAL);
    }
    if area.address == 0 || !is_user_range(Virt(area.address), area.length as usize) {
        return Err(Errno::EFAULT);
    }
    show_here(thread, area.address)?;
    set(thread, area);
    Ok(())
}

/// `EINVAL` when another area, or none, is registered; `EPERM` for the wrong signature.
pub fn unregister(thread: &Thread, area: Area) -> Result<(), Errno> {
    compare(area, registered(thread).ok_or(Errno::EINVAL)?)?;
    show(area.address, 0, RSEQ_CPU_ID_UNINITIALIZED)?;
    set(thread, Area { address: 0, length: 0, signature: 0 });
    Ok(())
}

/// Writes the processor's number; the number to start with is always one that exists.
fn show(address: u64, start: u32, cpu: u32) -> Result<(), Errno> {
    let mut bytes = [0; 8];
    let (first, current) = bytes.split_at_mut(4);
    first.copy_from_slice(&start.to_ne_bytes());
    current.copy_from_slice(&cpu.to_ne_bytes());
    usermem::copy_out(Virt(address), &bytes).map_err(|_| Errno::EFAULT)
}

/// Writes the number of the processor that the thread runs on.
fn show_here(thread: &Thread, address: u64) -> Result<(), Errno> {
    // The thread may be moved right after, or while the area is brought in: then `moved` is true again.
    let here = cpu::id() as u32;
    thread.rseq_cpu.store(here, Ordering::Relaxed);
    show(address, here, here)
}

/// True when the area does not show the processor that the thread runs on. Asked with interrupts off, just before the
/// program goes on.
#[inline]
pub(crate) fn moved(thread: &Thread) -> bool {
    thread.rseq_cpu.load(Ordering::Relaxed) != cpu::id() as u32 && thread.rseq.load(Ordering::Relaxed) != 0
}

/// The program was interrupted, or stopped by a fault: a section under way starts over. A description that makes no
/// sense is answered with `SIGSEGV`.
#[inline]
pub(crate) fn interrupted(thread: &Arc<Thread>, context: &mut UserContext) {
    if let Some(area) = registered(thread) {
        let shown = if moved(thread) { show_here(thread, area.address) } else { Ok(()) };
        if shown.and_then(|()| abort_section(area, context)).is_err() {
            signal::force(thread, context, Siginfo::kernel(SIGSEGV));
        }
    }
}

fn abort_section(area: Area, context: &mut UserContext) -> Result<(), Errno> {
    let fault = |_: usermem::Fault| Errno::EFAULT;
    let place = Virt(area.address.wrapping_add(SECTION));
    let at = usermem::load_u64(place).map_err(fault)?;
    if at == 0 {
        return Ok(());
    }
    let mut section = RseqCs::new_zeroed();
    usermem::copy_in(section.as_mut_bytes(), Virt(at)).map_err(fault)?;
    let handler = handler(&section).ok_or(Errno::EINVAL)?;
    let signature = usermem::load_u32(Virt(handler.wrapping_sub(SIGNATURE))).map_err(fault)?;
    if signature != area.signature {
        return Err(Errno::EINVAL);
    }
    usermem::store_u64(place, 0).map_err(fault)?;
    if context.regs.rip.wrapping_sub(section.start_ip) >= section.post_commit_offset {
        return Ok(());
    }
    // Flags once let sections go on; Linux refuses them now.
    let flags = usermem::load_u32(Virt(area.address.wrapping_add(FLAGS))).map_err(fault)?;
    if flags | section.flags != 0 {
        return Err(Errno::EINVAL);
    }
    context.regs.rip = handler;
    Ok(())
}

/// Where a section's abort handler is, if the section makes sense: all in user space, the handler outside it.
fn handler(section: &RseqCs) -> Option<u64> {
    let end = section.start_ip.checked_add(section.post_commit_offset)?;
    let handler = section.abort_ip;
    let fits = section.version == 0 && end < USER_END && (SIGNATURE..USER_END).contains(&handler);
    (fits && handler.wrapping_sub(section.start_ip) >= section.post_commit_offset).then_some(handler)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_must_make_sense() {
        let good = RseqCs { start_ip: 0x1000, post_commit_offset: 0x20, abort_ip: 0x2000, ..RseqCs::default() };
        assert_eq!(handler(&good), Some(0x2000));
        assert_eq!(handler(&RseqCs { abort_ip: 0x1020, ..good }), Some(0x1020));
        for bad in [
            RseqCs { version: 1, ..good },
            RseqCs { abort_ip: 0x101f, ..good },
            RseqCs { abort_ip: 2, ..good },
            RseqCs { abort_ip: USER_END, ..good },
            RseqCs { start_ip: u64::MAX, ..good },
            RseqCs { post_commit_offset: USER_END, ..good },
        ] {
            assert_eq!(handler(&bad), None, "{bad:?}");
        }
    }
}
