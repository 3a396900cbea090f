//! User memory by a software walk of the page table that is active on this host thread.
//!
//! Each step sets the accessed and dirty bits as the processor would. A page that is missing, or lacks the right, goes to
//! the fault handler and is tried again when that says so. Copies return how many bytes are left: not zero after a fault
//! that the handler did not resolve.

use alloc::sync::Arc;
use core::cell::RefCell;
use core::sync::atomic::Ordering;

use crate::addr::{PAGE_SIZE, Pfn, Phys, USER_END, Virt};
use crate::paging::bits::{ACCESSED, ADDRESS, DIRTY, PRESENT, USER, WRITE};
use crate::paging::{PageTable, Root};
use crate::usermem::{Access, resolve};

use super::{ram, tlb};

std::thread_local! {
    static CURRENT: RefCell<Option<Arc<Root>>> = const { RefCell::new(None) };
}

/// Makes `table` the address space of this host thread.
pub fn activate(table: &PageTable) {
    switch(Some(table.root()));
}

/// Leaves this host thread without an address space.
pub fn deactivate() {
    switch(None);
}

fn switch(root: Option<Arc<Root>>) {
    let before = CURRENT.with(|current| current.replace(root));
    // Outside the borrow: dropping the last reference frees a whole tree.
    drop(before);
}

/// The frame at `va` if `access` is allowed there now.
fn walk(root: &Root, va: Virt, access: Access) -> Option<Pfn> {
    let write = access == Access::Write;
    let mut table = root.phys().pfn();
    for level in (0..4).rev() {
        let slot = &ram::table(table)[((va.0 >> (12 + 9 * level)) & 511) as usize];
        let entry = slot.load(Ordering::Acquire);
        if entry & PRESENT == 0 || entry & USER == 0 || (write && entry & WRITE == 0) {
            return None;
        }
        let mark = if write && level == 0 { ACCESSED | DIRTY } else { ACCESSED };
        if entry & mark != mark {
            // Only if the entry is still the one seen: the processor does the same.
            slot.compare_exchange(entry, entry | mark, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        }
        table = Phys(entry & ADDRESS).pfn();
    }
    Some(table)
}

/// Runs `body` on the frame and offset of `va`, resolving faults. `None` when the access is not allowed.
fn with_page<T>(va: Virt, access: Access, body: impl FnOnce(Pfn, usize) -> T) -> Option<T> {
    /// An entry that changes under the walk is tried again; a handler that claims success forever is a bug.
    const TRIES: usize = 1000;
    if va.0 >= USER_END {
        return None;
    }
    for _ in 0..TRIES {
        let root = CURRENT.with(|current| current.borrow().clone())?;
        {
            let _in_flight = tlb::access();
            if let Some(pfn) = walk(&root, va, access) {
                return Some(body(pfn, va.page_offset()));
            }
        }
        if !resolve(va, access) {
            return None;
        }
    }
    panic!("the fault handler resolves {access:?} at {va} again and again, and the page stays out of reach");
}

/// Runs `body(done, pfn, offset, count)` for each page's part of a range. Returns the bytes left.
fn each_part(start: Virt, len: usize, access: Access, mut body: impl FnMut(usize, Pfn, usize, usize)) -> usize {
    let mut done = 0;
    while done < len {
        let Some(va) = start.checked_add(done as u64) else { break };
        let count = (PAGE_SIZE - va.page_offset()).min(len - done);
        if with_page(va, access, |pfn, offset| body(done, pfn, offset, count)).is_none() {
            break;
        }
        done += count;
    }
    len - done
}

pub(crate) fn copy_from_user(dst: &mut [u8], src: Virt) -> usize {
    each_part(src, dst.len(), Access::Read, |done, pfn, offset, count| {
        ram::read_frame(pfn, offset, &mut dst[done..done + count]);
    })
}

pub(crate) fn copy_to_user(dst: Virt, src: &[u8]) -> usize {
    each_part(dst, src.len(), Access::Write, |done, pfn, offset, count| {
        ram::write_frame(pfn, offset, &src[done..done + count]);
    })
}

pub(crate) fn copy_frame_to_user(dst: Virt, frame: Pfn, offset: usize, len: usize) -> usize {
    let mut bytes = [0; PAGE_SIZE];
    let bytes = &mut bytes[..len];
    ram::read_frame(frame, offset, bytes);
    copy_to_user(dst, bytes)
}

pub(crate) fn copy_frame_from_user(frame: Pfn, offset: usize, src: Virt, len: usize) -> usize {
    let mut bytes = [0; PAGE_SIZE];
    let left = copy_from_user(&mut bytes[..len], src);
    ram::write_frame(frame, offset, &bytes[..len - left]);
    left
}

/// Reads an aligned word in one access.
pub(crate) fn load_user_u32(src: Virt) -> Option<u32> {
    with_page(src, Access::Read, |pfn, offset| ram::read_phys_word::<u32>(pfn.phys().0 + offset as u64))
}

/// Replaces `old` by `new` at an aligned address. Returns what was there.
pub(crate) fn compare_exchange_user_u32(at: Virt, old: u32, new: u32) -> Option<u32> {
    with_page(at, Access::Write, |pfn, offset| {
        let (word, shift) = ram::word::<u32>(pfn.phys().0 + offset as u64);
        let mut whole = word.load(Ordering::SeqCst);
        loop {
            let found = (whole >> shift) as u32;
            if found != old {
                return found;
            }
            let next = whole & !(u64::from(u32::MAX) << shift) | u64::from(new) << shift;
            match word.compare_exchange_weak(whole, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return found,
                Err(seen) => whole = seen,
            }
        }
    })
}
