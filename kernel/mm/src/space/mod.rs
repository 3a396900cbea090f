//! Address spaces: what a process's memory is made of, and how it changes.
//!
//! A space is a set of areas ([`areas`]) and a page table that holds what has been touched of them. Pages come with faults
//! ([`fault`]); every other call changes areas and takes pages away. Private pages are shared after a fork until one
//! side writes; a page-table entry is writable only when a write needs nothing to be done first.
//!
//! One sleeping lock guards a space. It is never held while a page is fetched, while a file is closed or while user
//! memory is copied: any of these may come back here. Errors and their order are Linux's.

mod access;
mod advise;
mod area;
mod areas;
mod brk;
mod fault;
mod fork;
mod map;
mod protect;
pub(crate) mod registry;
mod remap;
mod show;
mod unmap;

#[cfg(test)]
mod tests;

use alloc::sync::{Arc, Weak};
use core::fmt;
use core::ops::Range;

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SIZE, USER_END, Virt};
use kernel_hal::frame::{AccountId, Frame};
use kernel_hal::paging::{PageTable, Root};
use kernel_hal::random;
use kernel_sync::{Mutex, Once};

use crate::account::{Account, Ledger};
use crate::object::reclaim::make_room;
use areas::Areas;
use fault::Recent;

pub use fault::{FaultError, SegvCode};
pub use map::{MapBacking, MapFlags, MapRequest};
pub use remap::RemapFlags;
pub use show::AreaInfo;

/// What an area costs in kernel memory, about.
const AREA_BYTES: usize = 192;
/// The room that is left above the mapping area for the stack, at least and at most (Linux's `mmap_base`).
const MIN_STACK_ROOM: u64 = 128 << 20;
const MAX_STACK_ROOM: u64 = USER_END / 6 * 5;
/// Pages by which the mapping area is moved at random (Linux's `vm.mmap_rnd_bits`).
const RANDOM_BITS: u32 = 28;

/// Pages by which exec moves the top of a stack at random, at most; mappings keep clear of them.
pub const STACK_RANDOM_PAGES: u64 = 1 << 22;

/// The frame behind pages that were only read.
static ZERO: Once<Frame> = Once::new();

pub(crate) fn init() {
    match Frame::zeroed(AccountId::KERNEL) {
        Ok(frame) => ZERO.set(frame),
        Err(_) => panic!("no memory for the frame of zeros"),
    }
}

/// What a process may have of memory, in bytes; `u64::MAX` is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// `RLIMIT_AS`
    pub address_space: u64,
    /// `RLIMIT_DATA`
    pub data: u64,
    /// `RLIMIT_STACK`
    pub stack: u64,
}

impl Limits {
    /// Linux's defaults.
    pub const DEFAULT: Limits = Limits { address_space: u64::MAX, data: u64::MAX, stack: 8 << 20 };
}

/// The memory of one process.
pub struct AddressSpace {
    id: u64,
    account: Arc<Account>,
    root: Arc<Root>,
    inner: Mutex<Inner>,
}

struct Inner {
    table: PageTable,
    areas: Areas,
    /// The kernel memory that the areas take.
    ledger: Ledger,
    /// From the start of the heap to the program break.
    heap: Range<u64>,
    limits: Limits,
    /// Pages that are mapped.
    resident: usize,
    peak_resident: usize,
    recent: Option<Recent>,
}

impl AddressSpace {
    /// An empty space whose tables, pages and areas `account` pays for.
    pub fn new(account: &Arc<Account>) -> Result<Arc<AddressSpace>, Errno> {
        make_room(account)?;
        let table = PageTable::new(account.id()).map_err(|_| Errno::ENOMEM)?;
        let inner = Inner {
            table,
            areas: Areas::new(mapping_base(Limits::DEFAULT.stack, 0)),
            ledger: Ledger::new(account, AREA_BYTES),
            heap: 0..0,
            limits: Limits::DEFAULT,
            resident: 0,
            peak_resident: 0,
            recent: None,
        };
        Ok(Arc::new_cyclic(|weak: &Weak<AddressSpace>| AddressSpace {
            id: registry::add(weak),
            account: account.clone(),
            root: inner.table.root(),
            inner: Mutex::new(inner),
        }))
    }

    /// A number that no other space ever has: half of a private futex's key.
    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// What a CPU needs to run on this space.
    pub fn root(&self) -> Arc<Root> {
        self.root.clone()
    }

    pub fn limits(&self) -> Limits {
        self.inner.lock().limits
    }

    pub fn set_limits(&self, limits: Limits) {
        self.inner.lock().limits = limits;
    }

    /// Sets where mappings are placed: downwards from below the room for a stack of `limits().stack`, moved by a random
    /// distance when `randomize`. Called by exec before anything is mapped.
    pub fn place_mappings(&self, randomize: bool) {
        let mut inner = self.inner.lock();
        let pages = if randomize { STACK_RANDOM_PAGES + (random::word() >> (64 - RANDOM_BITS)) } else { 0 };
        let base = mapping_base(inner.limits.stack, pages * PAGE_SIZE as u64);
        inner.areas.set_base(base);
    }

    /// Removes everything, without needing memory for it. The space can be used again.
    pub fn clear(&self) {
        let mut inner = self.inner.lock();
        let areas = inner.areas.take();
        inner.resident -= inner.table.unmap_range(Virt(0)..Virt(USER_END));
        inner.heap = 0..0;
        // Covering nothing asks for nothing, so it cannot fail.
        let _shrunk = inner.ledger.cover(0);
        drop(inner);
        // With no lock held: the last user of a file closes it.
        drop(areas);
    }

    #[cfg(test)]
    pub(crate) fn activate(&self) {
        kernel_hal::hosted::activate(&self.inner.lock().table);
    }
}

/// The top of the mapping area (Linux's `mmap_base`).
fn mapping_base(stack_limit: u64, random: u64) -> u64 {
    let room = stack_limit.saturating_add(area::STACK_GUARD).clamp(MIN_STACK_ROOM, MAX_STACK_ROOM);
    Virt(USER_END - room - random).page_down().0
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        registry::remove(self.id);
    }
}

impl fmt::Debug for AddressSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressSpace").field("id", &self.id).finish_non_exhaustive()
    }
}
