//! Ownership of physical frames.
//!
//! Which frame to hand out is decided by an allocator that safe code injects ([`install_allocator`]); that the choice
//! is sound is decided here. Every frame of RAM has a [`Meta`]: its kind, the number of references to it, and the
//! account that pays for it. A frame that the allocator offers must be marked free, or the machine stops: a wrong
//! allocator can waste memory, it cannot make two owners of one frame.
//!
//! A [`Frame`] is one counted reference. Page-table entries hold references too; when the last one goes, the frame
//! returns to the allocator together with its account, so that charges are returned exactly.
//!
//! The bytes of a frame may be mapped into user space at any time. They are therefore only copied in and out, never
//! borrowed.

use core::ops::Range;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering, fence};

use crate::addr::{PAGE_SIZE, Pfn};
use crate::machine;
use crate::once::Once;

/// Who pays for a frame: an index that the memory room gives a meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct AccountId(pub u32);

impl AccountId {
    /// The kernel's own account.
    pub const KERNEL: AccountId = AccountId(0);
}

/// There is no free frame, or the account may not have one more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfMemory;

/// The policy that picks frames; runs at any time, also with interrupts off, and never allocates from the heap.
pub trait FrameAllocator: Sync {
    /// `1 << order` frames, naturally aligned, charged to `account`.
    fn alloc(&self, order: u8, account: AccountId) -> Result<Pfn, OutOfMemory>;
    /// Takes back what `alloc` gave, uncharging `account`.
    fn free(&self, pfn: Pfn, order: u8, account: AccountId);
}

/// What a frame is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Not RAM, or taken before the allocator existed.
    Reserved = 0,
    Free = 1,
    /// Contents belong to programs: anonymous memory, file pages.
    Data = 2,
    Table = 3,
    Heap = 4,
    Dma = 5,
}

/// What hal knows of one frame. The allocator keeps its own books elsewhere.
#[repr(C)]
pub(crate) struct Meta {
    refs: AtomicU32,
    owner: AtomicU32,
    kind: AtomicU8,
    order: AtomicU8,
    /// Free for the kind's own use: live entries of a table, free objects of a slab.
    pub(crate) count: AtomicU32,
}

impl Meta {
    #[cfg_attr(
        target_os = "none",
        allow(dead_code, reason = "the hosted machine builds its array of metadata with it")
    )]
    pub(crate) const fn reserved() -> Meta {
        Meta {
            refs: AtomicU32::new(0),
            owner: AtomicU32::new(0),
            kind: AtomicU8::new(Kind::Reserved as u8),
            order: AtomicU8::new(0),
            count: AtomicU32::new(0),
        }
    }

    pub(crate) fn set_free(&self) {
        self.kind.store(Kind::Free as u8, Ordering::Release);
    }

    pub(crate) fn kind_is(&self, kind: Kind) -> bool {
        self.kind.load(Ordering::Relaxed) == kind as u8
    }

    pub(crate) fn owner(&self) -> AccountId {
        AccountId(self.owner.load(Ordering::Relaxed))
    }

    pub(crate) fn order(&self) -> u8 {
        self.order.load(Ordering::Relaxed)
    }
}

static ALLOCATOR: Once<&'static dyn FrameAllocator> = Once::new();
static EARLY: EarlyFrames = EarlyFrames { next: AtomicUsize::new(0), end: AtomicUsize::new(0) };

/// Frames handed out in order before the allocator exists; they are never given back.
struct EarlyFrames {
    next: AtomicUsize,
    end: AtomicUsize,
}

impl EarlyFrames {
    fn alloc(&self, order: u8) -> Option<Pfn> {
        let count = 1usize << order;
        let next = self.next.load(Ordering::Relaxed).next_multiple_of(count);
        if next + count > self.end.load(Ordering::Relaxed) {
            return None;
        }
        self.next.store(next + count, Ordering::Relaxed);
        Some(Pfn(next))
    }
}

/// Lets frames be taken from `range` until the allocator is installed. Called once by the machine's start-up.
pub(crate) fn set_early(range: Range<Pfn>) {
    EARLY.next.store(range.start.0, Ordering::Relaxed);
    EARLY.end.store(range.end.0, Ordering::Relaxed);
}

/// Installs the allocator. Before it, [`free_ranges`] tells which frames it may hand out; asking for those ends the
/// early allocation, so the caller makes all its own allocations first and then installs at once.
pub fn install_allocator(allocator: &'static dyn FrameAllocator) {
    ALLOCATOR.set(allocator);
}

/// The frames that are free now, as the allocator must begin with. Calls `each` in ascending order. From here on no
/// frame can be had until [`install_allocator`].
pub fn free_ranges(each: &mut dyn FnMut(Range<Pfn>)) {
    EARLY.end.store(0, Ordering::Relaxed);
    let mut start = None;
    let count = machine::frame_count();
    for number in 0..count {
        let free = machine::meta(Pfn(number)).is_some_and(|meta| meta.kind_is(Kind::Free));
        match (free, start) {
            (true, None) => start = Some(number),
            (false, Some(first)) => {
                each(Pfn(first)..Pfn(number));
                start = None;
            }
            _ => {}
        }
    }
    if let Some(first) = start {
        each(Pfn(first)..Pfn(count));
    }
}

/// One past the highest frame number of RAM.
pub fn frame_limit() -> Pfn {
    Pfn(machine::frame_count())
}

pub(crate) fn meta(pfn: Pfn) -> &'static Meta {
    match machine::meta(pfn) {
        Some(meta) => meta,
        None => panic!("frame {pfn} is not RAM"),
    }
}

/// Takes `1 << order` frames for `kind`, checking the allocator's choice.
pub(crate) fn take(order: u8, kind: Kind, account: AccountId) -> Result<Pfn, OutOfMemory> {
    let pfn = match ALLOCATOR.get() {
        Some(allocator) => allocator.alloc(order, account)?,
        None => EARLY.alloc(order).ok_or(OutOfMemory)?,
    };
    assert!(pfn.0.is_multiple_of(1 << order), "frame allocator gave a misaligned run {pfn} of order {order}");
    for number in pfn.0..pfn.0 + (1 << order) {
        let claimed =
            meta(Pfn(number)).kind.compare_exchange(Kind::Free as u8, kind as u8, Ordering::Acquire, Ordering::Relaxed);
        assert!(claimed.is_ok(), "frame allocator gave frame {number:#x}, which is not free");
    }
    let head = meta(pfn);
    head.owner.store(account.0, Ordering::Relaxed);
    head.order.store(order, Ordering::Relaxed);
    head.refs.store(1, Ordering::Relaxed);
    head.count.store(0, Ordering::Relaxed);
    Ok(pfn)
}

/// Gives frames back; the caller held the only reference.
pub(crate) fn give_back(pfn: Pfn) {
    let head = meta(pfn);
    let order = head.order();
    let owner = head.owner();
    for number in pfn.0..pfn.0 + (1 << order) {
        meta(Pfn(number)).kind.store(Kind::Free as u8, Ordering::Release);
    }
    if let Some(allocator) = ALLOCATOR.get() {
        allocator.free(pfn, order, owner);
    }
}

/// One more reference to a live frame.
pub(crate) fn add_ref(pfn: Pfn) {
    // Relaxed: the caller holds a reference, so the frame cannot go away meanwhile.
    let before = meta(pfn).refs.fetch_add(1, Ordering::Relaxed);
    assert!(before != 0 && before < u32::MAX / 2, "reference to a dead frame {pfn}");
}

/// One reference less; true when it was the last and the caller must give the frame back.
#[must_use]
pub(crate) fn drop_ref(pfn: Pfn) -> bool {
    if meta(pfn).refs.fetch_sub(1, Ordering::Release) != 1 {
        return false;
    }
    fence(Ordering::Acquire);
    true
}

/// Drops one reference and frees the frame with the last.
pub(crate) fn release(pfn: Pfn) {
    if drop_ref(pfn) {
        give_back(pfn);
    }
}

/// A counted reference to one frame of program data.
#[derive(Debug)]
pub struct Frame(Pfn);

impl Frame {
    /// A frame filled with zeros, charged to `account`.
    pub fn zeroed(account: AccountId) -> Result<Frame, OutOfMemory> {
        let frame = Frame(take(0, Kind::Data, account)?);
        machine::zero_frame(frame.0);
        Ok(frame)
    }

    /// A new frame with the same bytes, charged to `account`.
    pub fn duplicate(&self, account: AccountId) -> Result<Frame, OutOfMemory> {
        let copy = Frame(take(0, Kind::Data, account)?);
        machine::copy_frame(copy.0, self.0);
        Ok(copy)
    }

    /// Takes over a reference that was counted before, such as that of a page-table entry.
    pub(crate) fn from_counted(pfn: Pfn) -> Frame {
        Frame(pfn)
    }

    /// Gives the counted reference to someone else, such as a page-table entry.
    pub(crate) fn into_counted(self) -> Pfn {
        let pfn = self.0;
        core::mem::forget(self);
        pfn
    }

    pub fn pfn(&self) -> Pfn {
        self.0
    }

    /// The account that pays for the frame.
    pub fn account(&self) -> AccountId {
        meta(self.0).owner()
    }

    /// True when this is the only reference: no mapping, no cache and nobody else holds the frame.
    pub fn is_unique(&self) -> bool {
        meta(self.0).refs.load(Ordering::Acquire) == 1
    }

    /// References to the frame now, for statistics.
    pub fn references(&self) -> u32 {
        meta(self.0).refs.load(Ordering::Relaxed)
    }

    /// Copies bytes out, from `offset` on. Returns how many: fewer than asked at the end of the frame.
    pub fn read(&self, offset: usize, into: &mut [u8]) -> usize {
        let count = into.len().min(PAGE_SIZE.saturating_sub(offset));
        machine::read_frame(self.0, offset, &mut into[..count]);
        count
    }

    /// Copies bytes in, from `offset` on. Returns how many: fewer than asked at the end of the frame.
    pub fn write(&self, offset: usize, from: &[u8]) -> usize {
        let count = from.len().min(PAGE_SIZE.saturating_sub(offset));
        machine::write_frame(self.0, offset, &from[..count]);
        count
    }

    /// Zeros from `range.start` up to `range.end`, cut at the end of the frame.
    pub fn zero(&self, range: Range<usize>) {
        let end = range.end.min(PAGE_SIZE);
        const ZEROS: [u8; 256] = [0; 256];
        let mut at = range.start;
        while at < end {
            let count = (end - at).min(ZEROS.len());
            machine::write_frame(self.0, at, &ZEROS[..count]);
            at += count;
        }
    }
}

impl Clone for Frame {
    fn clone(&self) -> Frame {
        add_ref(self.0);
        Frame(self.0)
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        release(self.0);
    }
}
