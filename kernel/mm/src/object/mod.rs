//! Memory objects: pages by number, shared by all who map, read or write them.
//!
//! With a [`PageSource`] an object is the page cache of a file: pages are fetched when first needed, marked dirty when
//! changed and written back on demand. Without one it is anonymous memory: pages are zero until written, and live as
//! long as the object does (shared anonymous mappings, tmpfs files).
//!
//! The size is the file's, kept by the inode, which tells it here ([`MemoryObject::set_size`],
//! [`MemoryObject::truncate`]); pages wholly beyond it cannot be faulted in. The inode serialises writers and size
//! changes; readers and faults come at any time.
//!
//! Order of locks: an address space's lock may be held while a page is looked up, never while one is fetched or while
//! `truncate` or `write_back` run, because those call the source and visit address spaces.

pub(crate) mod reclaim;
mod transfer;
mod writeback;

#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SHIFT, PAGE_SIZE};
use kernel_hal::frame::Frame;
use kernel_sync::SpinLock;

use crate::account::{Account, Ledger};
use crate::frames::gate;
use crate::space::registry;

/// Where the pages of a file come from and go to. Calls may sleep.
pub trait PageSource: Send + Sync {
    /// Fills `frame`, which is zero, with what there is of page `index`.
    fn read_page(&self, index: u64, frame: &Frame) -> Result<(), Errno>;
    /// Stores the first `valid` bytes of page `index`: fewer than a page at the end of the file.
    fn write_page(&self, index: u64, frame: &Frame, valid: usize) -> Result<(), Errno>;
}

/// What one page costs in the index of its object, about.
const INDEX_ENTRY: usize = 48;

struct Pages {
    frames: BTreeMap<u64, Frame>,
    dirty: BTreeSet<u64>,
    ledger: Ledger,
    /// Counts truncations: a page fetched across one is stale.
    truncations: u64,
}

pub struct MemoryObject {
    id: u64,
    source: Option<Arc<dyn PageSource>>,
    account: Arc<Account>,
    size: AtomicU64,
    pages: SpinLock<Pages>,
    /// Areas of address spaces that map the object.
    mapped: AtomicUsize,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl MemoryObject {
    /// Memory that is zero until written; pages are charged to `account`. Its size is 0 until set.
    pub fn anonymous(account: &Arc<Account>) -> Arc<MemoryObject> {
        MemoryObject::new(None, account)
    }

    /// The page cache of what `source` stores; pages are charged to `account`. Its size is 0 until set.
    pub fn with_source(source: Arc<dyn PageSource>, account: &Arc<Account>) -> Arc<MemoryObject> {
        let object = MemoryObject::new(Some(source), account);
        reclaim::add(&object);
        object
    }

    fn new(source: Option<Arc<dyn PageSource>>, account: &Arc<Account>) -> Arc<MemoryObject> {
        Arc::new(MemoryObject {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            source,
            account: account.clone(),
            size: AtomicU64::new(0),
            pages: SpinLock::new(Pages {
                frames: BTreeMap::new(),
                dirty: BTreeSet::new(),
                ledger: Ledger::new(account, INDEX_ENTRY),
                truncations: 0,
            }),
            mapped: AtomicUsize::new(0),
        })
    }

    /// A number that no other object ever has: half of a shared futex's key.
    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Whether pages have a place to be written back to.
    pub fn has_source(&self) -> bool {
        self.source.is_some()
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Tells the first size, or one that grew because of a write. For any other see [`MemoryObject::truncate`].
    pub fn set_size(&self, bytes: u64) {
        self.size.store(bytes, Ordering::Release);
    }

    /// Pages in memory.
    pub fn pages(&self) -> usize {
        self.pages.lock().frames.len()
    }

    /// The page, if it is in memory.
    #[inline]
    pub fn lookup(&self, index: u64) -> Option<Frame> {
        self.pages.lock().frames.get(&index).cloned()
    }

    /// Calls `each` with the pages of `from..to` that are in memory, in order, until it returns false. It runs under a
    /// spinning lock: it may neither sleep nor come back here.
    pub(crate) fn for_each_cached(&self, from: u64, to: u64, each: &mut dyn FnMut(u64, &Frame) -> bool) {
        for (index, frame) in self.pages.lock().frames.range(from..to) {
            if !each(*index, frame) {
                break;
            }
        }
    }

    /// The page, fetched or made when it is not in memory; marked dirty when `for_write`. May sleep.
    ///
    /// The page need not be within the size: whoever extends a file writes first and then tells the size.
    pub fn page(&self, index: u64, for_write: bool) -> Result<Frame, Errno> {
        loop {
            let truncations = {
                let mut pages = self.pages.lock();
                if let Some(frame) = pages.frames.get(&index).cloned() {
                    if for_write && self.source.is_some() {
                        pages.dirty.insert(index);
                    }
                    return Ok(frame);
                }
                pages.truncations
            };
            let frame = self.new_page()?;
            if let Some(source) = &self.source
                && index << PAGE_SHIFT < self.size()
            {
                source.read_page(index, &frame)?;
            }
            match self.insert(index, frame, Some(truncations), for_write) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(error) if !reclaim::relieve(&self.account) => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// A frame of zeros; clean pages are given up for it when there is no other.
    fn new_page(&self) -> Result<Frame, Errno> {
        loop {
            let frame = gate().and_then(|()| Frame::zeroed(self.account.id()).map_err(|_| Errno::ENOMEM));
            if frame.is_ok() || !reclaim::relieve(&self.account) {
                return frame;
            }
        }
    }

    /// Adds a page unless there is one now; returns the one that is there. `None` when a truncation came between.
    fn insert(&self, index: u64, frame: Frame, fetched_at: Option<u64>, dirty: bool) -> Result<Option<Frame>, Errno> {
        let mut pages = self.pages.lock();
        if fetched_at.is_some_and(|at| at != pages.truncations) {
            return Ok(None);
        }
        let count = pages.frames.len() + 1;
        pages.ledger.cover(count)?;
        let frame = pages.frames.entry(index).or_insert(frame).clone();
        if dirty && self.source.is_some() {
            pages.dirty.insert(index);
        }
        Ok(Some(frame))
    }

    /// Notes that page `index` was changed and must be written back. Of no effect when it is not in memory.
    pub fn mark_dirty(&self, index: u64) {
        if self.source.is_some() {
            let mut pages = self.pages.lock();
            if pages.frames.contains_key(&index) {
                pages.dirty.insert(index);
            }
        }
    }

    /// Makes the object end at `bytes`. When it shrinks, pages beyond are dropped and unmapped everywhere and the tail of the
    /// last page is zeroed; when it grows, what programs wrote through mappings beyond the old end is zeroed. May sleep.
    pub fn truncate(&self, bytes: u64) {
        let before = self.size.swap(bytes, Ordering::AcqRel);
        if bytes >= before {
            self.zero_from(before, bytes);
            return;
        }
        let first = bytes.div_ceil(PAGE_SIZE as u64);
        let dropped = {
            let mut pages = self.pages.lock();
            pages.truncations += 1;
            drop(pages.dirty.split_off(&first));
            let tail = (bytes % PAGE_SIZE as u64) as usize;
            if tail != 0
                && let Some(last) = pages.frames.get(&(first - 1))
            {
                last.zero(tail..PAGE_SIZE);
            }
            pages.frames.split_off(&first)
        };
        if self.is_mapped() {
            registry::unmap_object(self, first..u64::MAX);
        }
        drop(dropped);
        self.shrink_ledger();
    }

    /// Zeros the bytes from `from` up to `to`, or to the end of the page that `from` lies in, if it is in memory.
    fn zero_from(&self, from: u64, to: u64) {
        let (index, tail) = (from >> PAGE_SHIFT, (from % PAGE_SIZE as u64) as usize);
        if tail != 0
            && to > from
            && let Some(frame) = self.lookup(index)
        {
            let count = usize::try_from(to - from).unwrap_or(PAGE_SIZE);
            frame.zero(tail..tail.saturating_add(count).min(PAGE_SIZE));
        }
    }

    /// Drops the pages `from..to` of anonymous memory, which read as zeros from then on (`fallocate`'s punched hole).
    pub fn discard(&self, from: u64, to: u64) {
        let dropped = {
            let mut pages = self.pages.lock();
            pages.truncations += 1;
            let mut dropped = pages.frames.split_off(&from);
            let mut rest = dropped.split_off(&to);
            pages.frames.append(&mut rest);
            dropped
        };
        if self.is_mapped() {
            registry::unmap_object(self, from..to);
        }
        drop(dropped);
        self.shrink_ledger();
    }

    fn shrink_ledger(&self) {
        let mut pages = self.pages.lock();
        let count = pages.frames.len();
        // Covering fewer entries than before asks for nothing, so it cannot fail.
        let _shrunk = pages.ledger.cover(count);
    }

    fn is_mapped(&self) -> bool {
        self.mapped.load(Ordering::SeqCst) != 0
    }
}

impl Drop for MemoryObject {
    fn drop(&mut self) {
        if self.source.is_some() {
            reclaim::remove(self.id);
        }
    }
}

impl fmt::Debug for MemoryObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryObject").field("id", &self.id).field("size", &self.size()).finish_non_exhaustive()
    }
}

/// An object as an area maps it: counted, so that an object that nobody maps need not search for mappings.
pub(crate) struct MappedObject(Arc<MemoryObject>);

impl MappedObject {
    pub(crate) fn new(object: Arc<MemoryObject>) -> MappedObject {
        object.mapped.fetch_add(1, Ordering::SeqCst);
        MappedObject(object)
    }

    pub(crate) fn object(&self) -> &Arc<MemoryObject> {
        &self.0
    }
}

impl Clone for MappedObject {
    fn clone(&self) -> MappedObject {
        MappedObject::new(self.0.clone())
    }
}

impl Drop for MappedObject {
    fn drop(&mut self) {
        self.0.mapped.fetch_sub(1, Ordering::SeqCst);
    }
}
