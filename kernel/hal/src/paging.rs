//! The user half of an address space: a four-level x86-64 page table (Intel SDM 3A §4.5).
//!
//! The format is the same on both machines; the hosted one walks it in software. A leaf entry owns one reference to
//! its frame. A table counts its live entries in its frame's metadata and goes away with the last one.
//!
//! Invariants: only entries below [`USER_END`](crate::addr::USER_END) are touched (the upper half of the root is the
//! kernel's and shared by all); a frame leaves a table only after the stale translation is flushed; a writable page
//! is never executable unless the caller asked for both.

use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::addr::{PAGE_SIZE, Pfn, Phys, Virt, checked_user_range};
use crate::cpuset::{AtomicCpuSet, CpuSet};
use crate::frame::{self, AccountId, Frame, Kind, OutOfMemory};
use crate::machine;

/// What a program may do with a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prot {
    pub read: bool,
    pub write: bool,
    pub exec: bool,
}

impl Prot {
    pub const NONE: Prot = Prot { read: false, write: false, exec: false };
    pub const R: Prot = Prot { read: true, write: false, exec: false };
    pub const RW: Prot = Prot { read: true, write: true, exec: false };
    pub const RX: Prot = Prot { read: true, write: false, exec: true };
    pub const RWX: Prot = Prot { read: true, write: true, exec: true };

    pub const fn is_none(self) -> bool {
        !self.read && !self.write && !self.exec
    }

    pub const fn without_write(self) -> Prot {
        Prot { write: false, ..self }
    }
}

pub(crate) mod bits {
    pub const PRESENT: u64 = 1;
    pub const WRITE: u64 = 1 << 1;
    pub const USER: u64 = 1 << 2;
    pub const ACCESSED: u64 = 1 << 5;
    pub const DIRTY: u64 = 1 << 6;
    #[cfg(target_os = "none")]
    pub const HUGE: u64 = 1 << 7;
    #[cfg(target_os = "none")]
    pub const GLOBAL: u64 = 1 << 8;
    pub const NO_EXEC: u64 = 1 << 63;
    /// Software: a frame is held although the program may not touch it.
    pub const HELD: u64 = 1 << 9;
    pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
}

use bits::{ACCESSED, ADDRESS, DIRTY, HELD, NO_EXEC, PRESENT, USER, WRITE};

pub(crate) type Table = [AtomicU64; 512];

/// Entries that user space owns in the root: the lower half.
const USER_ROOT_ENTRIES: usize = 256;
/// Frames that wait for one flush.
const BATCH: usize = 64;

fn encode(pfn: Pfn, prot: Prot) -> u64 {
    let mut entry = pfn.phys().0;
    entry |= if prot.is_none() { HELD } else { PRESENT | USER };
    if prot.write {
        entry |= WRITE;
    }
    if !prot.exec {
        entry |= NO_EXEC;
    }
    entry
}

fn entry_pfn(entry: u64) -> Pfn {
    Phys(entry & ADDRESS).pfn()
}

fn entry_prot(entry: u64) -> Prot {
    if entry & PRESENT == 0 {
        return Prot::NONE;
    }
    Prot { read: true, write: entry & WRITE != 0, exec: entry & NO_EXEC == 0 }
}

/// The index of `va` in a table of `level`: 3 is the root, 0 holds the leaves.
fn index(va: Virt, level: u32) -> usize {
    ((va.0 >> (12 + 9 * level)) & 511) as usize
}

fn span(level: u32) -> u64 {
    1 << (12 + 9 * level)
}

/// A page as a page table has it.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    pub pfn: Pfn,
    pub prot: Prot,
    pub accessed: bool,
    pub dirty: bool,
}

/// The root of a page table; CPUs that run on it keep it alive.
pub struct Root {
    pfn: Pfn,
    /// CPUs that may hold translations of it.
    pub(crate) cpus: AtomicCpuSet,
}

impl Root {
    pub(crate) fn phys(&self) -> Phys {
        self.pfn.phys()
    }

    /// The CPUs that run on it now.
    pub fn cpus(&self) -> CpuSet {
        self.cpus.load()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // No CPU runs on it (each holds the `Arc`), so nothing can be stale: no flush.
        let table = machine::table(self.pfn);
        for entry in table.iter().take(USER_ROOT_ENTRIES) {
            let value = entry.load(Ordering::Relaxed);
            if value & PRESENT != 0 {
                free_subtree(entry_pfn(value), 2);
            }
        }
        frame::give_back(self.pfn);
    }
}

fn free_subtree(pfn: Pfn, level: u32) {
    let live = frame::meta(pfn).count.load(Ordering::Relaxed);
    let mut seen = 0;
    for entry in machine::table(pfn) {
        if seen == live {
            break;
        }
        let value = entry.load(Ordering::Relaxed);
        if value == 0 {
            continue;
        }
        seen += 1;
        if level == 0 {
            frame::release(entry_pfn(value));
        } else {
            free_subtree(entry_pfn(value), level - 1);
        }
    }
    frame::give_back(pfn);
}

/// The user half of an address space. Frames and tables are freed when it and every CPU let go of it.
pub struct PageTable {
    root: Arc<Root>,
    account: AccountId,
}

impl PageTable {
    /// An empty table; its own frames are charged to `account`.
    pub fn new(account: AccountId) -> Result<PageTable, OutOfMemory> {
        let pfn = frame::take(0, Kind::Table, account)?;
        machine::zero_frame(pfn);
        machine::share_kernel_half(machine::table(pfn));
        Ok(PageTable { root: Arc::new(Root { pfn, cpus: AtomicCpuSet::new() }), account })
    }

    /// What a task needs to run on this table.
    pub fn root(&self) -> Arc<Root> {
        self.root.clone()
    }

    /// The leaf entry of `va`, if its tables exist, and the table that holds it.
    fn leaf(&self, va: Virt) -> Option<(&'static AtomicU64, Pfn)> {
        let mut pfn = self.root.pfn;
        for level in (1..=3).rev() {
            let entry = machine::table(pfn)[index(va, level)].load(Ordering::Relaxed);
            if entry & PRESENT == 0 {
                return None;
            }
            pfn = entry_pfn(entry);
        }
        Some((&machine::table(pfn)[index(va, 0)], pfn))
    }

    /// The leaf entry of `va`, making tables as needed.
    fn leaf_or_create(&mut self, va: Virt) -> Result<(&'static AtomicU64, Pfn), OutOfMemory> {
        let mut pfn = self.root.pfn;
        for level in (1..=3).rev() {
            let slot = &machine::table(pfn)[index(va, level)];
            let entry = slot.load(Ordering::Relaxed);
            if entry & PRESENT != 0 {
                pfn = entry_pfn(entry);
                continue;
            }
            let child = frame::take(0, Kind::Table, self.account)?;
            machine::zero_frame(child);
            slot.store(child.phys().0 | PRESENT | WRITE | USER, Ordering::Release);
            frame::meta(pfn).count.fetch_add(1, Ordering::Relaxed);
            pfn = child;
        }
        Ok((&machine::table(pfn)[index(va, 0)], pfn))
    }

    /// Maps `frame` at `va`, which must be a user page. Returns the frame that was there before.
    ///
    /// Panics when `va` is not a page of user space: the caller checks what programs ask for.
    pub fn map(&mut self, va: Virt, frame: Frame, prot: Prot) -> Result<Option<Frame>, OutOfMemory> {
        assert!(va.is_page_aligned() && va.is_user(), "{va} is not a user page");
        let (slot, table) = self.leaf_or_create(va)?;
        let before = slot.swap(encode(frame.into_counted(), prot), Ordering::AcqRel);
        if before == 0 {
            frame::meta(table).count.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        }
        machine::flush_page(&self.root, va);
        Ok(Some(Frame::from_counted(entry_pfn(before))))
    }

    /// Maps frames at consecutive pages from `first` on where nothing is mapped; `None` leaves a page out. Returns how many
    /// pages were mapped. All must be user pages of one aligned 2 MiB block, which the caller sees to.
    pub fn map_missing(&mut self, first: Virt, frames: &mut [Option<Frame>], prot: Prot) -> Result<usize, OutOfMemory> {
        let slots = index(first, 0)..index(first, 0) + frames.len();
        assert!(first.is_page_aligned() && first.is_user() && slots.end <= 512, "{first} begins no run of user pages");
        let (_, table) = self.leaf_or_create(first)?;
        let mut mapped = 0;
        for (slot, frame) in machine::table(table)[slots].iter().zip(frames) {
            if slot.load(Ordering::Relaxed) == 0
                && let Some(frame) = frame.take()
            {
                slot.store(encode(frame.into_counted(), prot), Ordering::Release);
                mapped += 1;
            }
        }
        frame::meta(table).count.fetch_add(mapped, Ordering::Relaxed);
        Ok(mapped as usize)
    }

    /// Removes the page at `va` and returns its frame.
    pub fn unmap(&mut self, va: Virt) -> Option<Frame> {
        let (slot, _) = self.leaf(va)?;
        let before = slot.load(Ordering::Relaxed);
        if before == 0 {
            return None;
        }
        let frame = Frame::from_counted(entry_pfn(before));
        frame::add_ref(frame.pfn());
        let next = va.checked_add(PAGE_SIZE as u64)?;
        self.unmap_range(va..next);
        Some(frame)
    }

    /// Removes all pages of `range` and drops their frames. Returns how many there were.
    pub fn unmap_range(&mut self, range: Range<Virt>) -> usize {
        assert!(checked_user_range(&range), "{range:?} is not a user range");
        let mut sweep = Sweep {
            root: &self.root,
            range: range.clone(),
            frames: [Pfn(0); BATCH],
            held: 0,
            total: 0,
            last: range.start,
        };
        sweep.table(self.root.pfn, 3, Virt(0));
        sweep.flush();
        sweep.total
    }

    /// Changes what the program may do with the pages of `range` that are mapped.
    pub fn protect_range(&mut self, range: Range<Virt>, prot: Prot) {
        self.update_range(range, |entry| encode(entry_pfn(entry), prot) | (entry & (ACCESSED | DIRTY)));
    }

    /// Takes the right to write from all mapped pages of `range`.
    pub fn write_protect_range(&mut self, range: Range<Virt>) {
        self.update_range(range, |entry| entry & !WRITE);
    }

    fn update_range(&mut self, range: Range<Virt>, change: impl Fn(u64) -> u64) {
        assert!(checked_user_range(&range), "{range:?} is not a user range");
        let mut changed = 0;
        let mut last = range.start;
        each_leaf(self.root.pfn, 3, Virt(0), &range, &mut |va, slot| {
            if replace(slot, &change) {
                changed += 1;
                last = va;
            }
        });
        match changed {
            0 => {}
            1 => machine::flush_page(&self.root, last),
            _ => machine::flush_all(&self.root),
        }
    }

    /// The page at `va`.
    pub fn lookup(&self, va: Virt) -> Option<Mapping> {
        if !va.is_user() {
            return None;
        }
        let entry = self.leaf(va)?.0.load(Ordering::Relaxed);
        if entry == 0 {
            return None;
        }
        Some(Mapping {
            pfn: entry_pfn(entry),
            prot: entry_prot(entry),
            accessed: entry & ACCESSED != 0,
            dirty: entry & DIRTY != 0,
        })
    }

    /// A reference to the frame at `va`.
    pub fn frame(&self, va: Virt) -> Option<Frame> {
        let mapping = self.lookup(va)?;
        frame::add_ref(mapping.pfn);
        Some(Frame::from_counted(mapping.pfn))
    }

    /// Changes the rights of the one page at `va`, if it is mapped. Returns whether it was.
    pub fn protect(&mut self, va: Virt, prot: Prot) -> bool {
        let Some((slot, _)) = self.leaf(va) else { return false };
        let before = slot.load(Ordering::Relaxed);
        if before == 0 {
            return false;
        }
        let after = encode(entry_pfn(before), prot);
        replace(slot, |entry| after | (entry & (ACCESSED | DIRTY)));
        // More rights need no flush: a CPU that still holds the old entry faults once and reads the new one.
        if before & !after & (PRESENT | WRITE) != 0 || (after & NO_EXEC) > (before & NO_EXEC) {
            machine::flush_page(&self.root, va);
        }
        true
    }

    /// Gives `child` references to all pages of `range`. With `cow` neither side may write until a fault has told the
    /// caller to copy; without it both keep their rights. When memory runs out, what was shared until then stays.
    pub fn share_range(&mut self, child: &mut PageTable, range: Range<Virt>, cow: bool) -> Result<usize, OutOfMemory> {
        assert!(checked_user_range(&range), "{range:?} is not a user range");
        let mut shared = 0;
        let mut protected = false;
        let mut result = Ok(());
        // The table of the child's leaf, kept while the walk stays within its 2 MiB.
        let mut cache: Option<(u64, Pfn)> = None;
        each_leaf(self.root.pfn, 3, Virt(0), &range, &mut |va, slot| {
            if result.is_err() {
                return;
            }
            let mut entry = slot.load(Ordering::Relaxed);
            if cow && entry & WRITE != 0 {
                entry = slot.fetch_and(!WRITE, Ordering::AcqRel) & !WRITE;
                protected = true;
            }
            let block = va.0 >> 21;
            let table = match cache {
                Some((cached, table)) if cached == block => table,
                _ => match child.leaf_or_create(va) {
                    Ok((_, table)) => {
                        cache = Some((block, table));
                        table
                    }
                    Err(error) => {
                        result = Err(error);
                        return;
                    }
                },
            };
            let target = &machine::table(table)[index(va, 0)];
            assert!(target.load(Ordering::Relaxed) == 0, "the child already maps {va}");
            frame::add_ref(entry_pfn(entry));
            target.store(entry & !(ACCESSED | DIRTY), Ordering::Release);
            frame::meta(table).count.fetch_add(1, Ordering::Relaxed);
            shared += 1;
        });
        if protected {
            machine::flush_all(&self.root);
        }
        result.map(|()| shared)
    }

    /// Moves all pages of `range` so that they start at `to`; the two must not overlap and `to` must be unmapped.
    pub fn move_range(&mut self, range: Range<Virt>, to: Virt) -> Result<(), OutOfMemory> {
        assert!(checked_user_range(&range) && to.is_page_aligned(), "{range:?} is not a user range");
        let length = range.end.0 - range.start.0;
        assert!(crate::addr::is_user_range(to, length as usize), "{to} is not a user range");
        assert!(to.0 >= range.end.0 || to.0 + length <= range.start.0, "moving {range:?} to {to} overlaps");
        let mut va = range.start;
        while va < range.end {
            if let Some(mapping) = self.lookup(va) {
                let target = Virt(to.0 + (va.0 - range.start.0));
                if let Some(frame) = self.frame(va) {
                    self.map(target, frame, mapping.prot)?;
                }
            }
            va = Virt(va.0 + PAGE_SIZE as u64);
        }
        self.unmap_range(range);
        Ok(())
    }

    /// Calls `each` for every mapped page of `range`, in ascending order.
    pub fn for_each(&self, range: Range<Virt>, each: &mut dyn FnMut(Virt, Mapping)) {
        assert!(checked_user_range(&range), "{range:?} is not a user range");
        each_leaf(self.root.pfn, 3, Virt(0), &range, &mut |va, slot| {
            let entry = slot.load(Ordering::Relaxed);
            each(
                va,
                Mapping {
                    pfn: entry_pfn(entry),
                    prot: entry_prot(entry),
                    accessed: entry & ACCESSED != 0,
                    dirty: entry & DIRTY != 0,
                },
            );
        });
    }

    /// Frames that the tables themselves take.
    pub fn table_frames(&self) -> usize {
        fn count(pfn: Pfn, level: u32, entries: usize) -> usize {
            if level == 0 {
                return 1;
            }
            let below = machine::table(pfn).iter().take(entries).map(|entry| entry.load(Ordering::Relaxed));
            1 + below
                .filter(|entry| entry & PRESENT != 0)
                .map(|entry| count(entry_pfn(entry), level - 1, 512))
                .sum::<usize>()
        }
        count(self.root.pfn, 3, USER_ROOT_ENTRIES)
    }
}

/// Changes a live entry, in which processors may set the accessed and dirty bits meanwhile. True when it is another now.
fn replace(slot: &AtomicU64, change: impl Fn(u64) -> u64) -> bool {
    let mut before = slot.load(Ordering::Relaxed);
    loop {
        let after = change(before);
        if after == before {
            return false;
        }
        match slot.compare_exchange_weak(before, after, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(now) => before = now,
        }
    }
}

/// Visits the live leaf entries of `range` below the table `pfn`, which covers addresses from `base` on.
fn each_leaf(pfn: Pfn, level: u32, base: Virt, range: &Range<Virt>, each: &mut dyn FnMut(Virt, &'static AtomicU64)) {
    let step = span(level);
    let table = machine::table(pfn);
    let first = range.start.0.saturating_sub(base.0) / step;
    let end = range.end.0.saturating_sub(base.0).div_ceil(step).min(512);
    for number in first..end {
        let slot = &table[number as usize];
        let entry = slot.load(Ordering::Relaxed);
        if entry == 0 {
            continue;
        }
        let va = Virt(base.0 + number * step);
        if level == 0 {
            each(va, slot);
        } else {
            each_leaf(entry_pfn(entry), level - 1, va, range, each);
        }
    }
}

/// Removal of a range: entries are cleared, frames wait in a batch until the translations are flushed.
struct Sweep<'a> {
    root: &'a Arc<Root>,
    range: Range<Virt>,
    frames: [Pfn; BATCH],
    held: usize,
    total: usize,
    last: Virt,
}

impl Sweep<'_> {
    /// Clears the range below `pfn`; returns true when the table holds nothing any more.
    fn table(&mut self, pfn: Pfn, level: u32, base: Virt) -> bool {
        let step = span(level);
        let table = machine::table(pfn);
        let meta = frame::meta(pfn);
        let first = self.range.start.0.saturating_sub(base.0) / step;
        let end = self.range.end.0.saturating_sub(base.0).div_ceil(step).min(512);
        for number in first..end {
            let slot = &table[number as usize];
            let entry = slot.load(Ordering::Relaxed);
            if entry == 0 {
                continue;
            }
            let va = Virt(base.0 + number * step);
            let child = entry_pfn(entry);
            if level != 0 && !self.table(child, level - 1, va) {
                continue;
            }
            slot.store(0, Ordering::Release);
            let left = meta.count.fetch_sub(1, Ordering::Relaxed) - 1;
            if level == 0 {
                self.total += 1;
                self.last = va;
            }
            self.hold(child);
            if left == 0 {
                break;
            }
        }
        level != 3 && meta.count.load(Ordering::Relaxed) == 0
    }

    fn hold(&mut self, pfn: Pfn) {
        if self.held == BATCH {
            self.flush();
        }
        self.frames[self.held] = pfn;
        self.held += 1;
    }

    fn flush(&mut self) {
        if self.held == 0 {
            return;
        }
        // Flushing one page also flushes the cached upper levels (SDM 3A §4.10.4.1), so emptied tables may go too.
        match self.total {
            1 => machine::flush_page(self.root, self.last),
            _ => machine::flush_all(self.root),
        }
        for pfn in &self.frames[..self.held] {
            frame::release(*pfn);
        }
        self.held = 0;
    }
}
