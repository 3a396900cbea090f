//! Who pays for memory: a tree of accounts, each with a count of frames and a limit.
//!
//! A charge goes to an account and all those above it, or to none. Counts are exact at every moment and kept without a
//! lock: each is one atomic number, and an attempt over a limit takes back what it added. A frame remembers its
//! account by number, so the number stays taken until the last handle *and* the last frame are gone.
//!
//! Invariant: what an account uses is part of what its parent uses. So a parent outlives its children's charges.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

use aios_abi::Errno;
use kernel_hal::addr::PAGE_SIZE;
use kernel_hal::frame::{AccountId, OutOfMemory};
use kernel_sync::{IrqLock, Once};

use crate::frames::{gate, gate_for, gate_for_bytes, stats};

/// Slots are made so many at a time and never moved.
const CHUNK: usize = 256;
const CHUNKS: usize = 256;
/// The part of an account that calls leave to touched pages: one in so many, and so many frames at the most.
const SPARE_SHARE: usize = 64;
const MOST_SPARE: usize = 256;
/// No account: the parent of a root, the end of the free list.
const NONE: u32 = u32::MAX;

static TABLE: [Once<Box<[Slot]>>; CHUNKS] = [const { Once::new() }; CHUNKS];
static FREE_SLOTS: IrqLock<FreeSlots> = IrqLock::new(FreeSlots { first: NONE, made: 0 });
static KERNEL: Once<Arc<Account>> = Once::new();

/// Numbers that are free: a list through the slots' `parent`, and all that were never made.
struct FreeSlots {
    first: u32,
    made: usize,
}

#[repr(u8)]
enum State {
    Free = 0,
    /// An [`Account`] refers to it.
    Open = 1,
    /// Only frames refer to it.
    Closed = 2,
}

struct Slot {
    used: AtomicUsize,
    limit: AtomicUsize,
    peak: AtomicUsize,
    /// Bytes of kernel objects; their pages, rounded up, are part of `used`.
    bytes: AtomicUsize,
    parent: AtomicU32,
    state: AtomicU8,
}

fn slot(id: u32) -> Option<&'static Slot> {
    TABLE.get(id as usize / CHUNK)?.get()?.get(id as usize % CHUNK)
}

/// An account; frames are charged to its [`id`](Account::id).
pub struct Account {
    id: u32,
    slot: &'static Slot,
    /// Keeps the parent open: its limit goes on to bind.
    parent: Option<Arc<Account>>,
}

impl Account {
    /// A new account that may use `limit` frames, itself and through its children, within what `parent` may use.
    ///
    /// `ENOMEM` when memory is short, `EAGAIN` when there are too many accounts.
    pub fn new(limit: usize, parent: Option<&Arc<Account>>) -> Result<Arc<Account>, Errno> {
        gate()?;
        let id = take_slot()?;
        let slot = slot(id).ok_or(Errno::EAGAIN)?;
        slot.used.store(0, Ordering::Relaxed);
        slot.peak.store(0, Ordering::Relaxed);
        slot.bytes.store(0, Ordering::Relaxed);
        slot.limit.store(limit, Ordering::Relaxed);
        slot.parent.store(parent.map_or(NONE, |parent| parent.id), Ordering::Relaxed);
        slot.state.store(State::Open as u8, Ordering::SeqCst);
        Ok(Arc::new(Account { id, slot, parent: parent.cloned() }))
    }

    /// The kernel's own account: it has no limit and may use the reserve.
    pub fn kernel() -> Arc<Account> {
        match KERNEL.get() {
            Some(kernel) => kernel.clone(),
            None => panic!("memory is not started"),
        }
    }

    pub fn id(&self) -> AccountId {
        AccountId(self.id)
    }

    pub fn parent(&self) -> Option<&Arc<Account>> {
        self.parent.as_ref()
    }

    /// Frames in use now, children included.
    pub fn used(&self) -> usize {
        self.slot.used.load(Ordering::Relaxed)
    }

    /// The most frames that were in use at once. A refused charge may show in it for the part that other accounts of
    /// the tree refused.
    pub fn peak(&self) -> usize {
        self.slot.peak.load(Ordering::Relaxed)
    }

    pub fn limit(&self) -> usize {
        self.slot.limit.load(Ordering::Relaxed)
    }

    /// Sets the limit in frames. Nothing is taken away: an account above its new limit gets no more until it is below.
    pub fn set_limit(&self, frames: usize) {
        self.slot.limit.store(frames, Ordering::Relaxed);
    }

    /// The most frames that could ever be charged here, as the limits of this account and those above it stand now.
    pub fn allowance(&self) -> usize {
        let mut least = self.limit();
        let mut above = self.parent();
        while let Some(account) = above {
            least = least.min(account.limit());
            above = account.parent();
        }
        least
    }

    /// Frames that are left to pages which programs touch: what a call asks for is refused before, so that the program that
    /// is refused has memory to act on it.
    pub fn spare(&self) -> usize {
        (self.allowance().min(stats().total) / SPARE_SHARE).min(MOST_SPARE)
    }

    /// Whether a call may take so many frames here.
    pub fn has_room(&self, frames: usize) -> bool {
        self.available() >= frames.saturating_add(self.spare())
    }

    /// Frames that could still be charged here, as the limits of this account and those above it stand now.
    pub fn available(&self) -> usize {
        let mut least = self.limit().saturating_sub(self.used());
        let mut above = self.parent();
        while let Some(account) = above {
            least = least.min(account.limit().saturating_sub(account.used()));
            above = account.parent();
        }
        least
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("used", &self.used())
            .field("limit", &self.limit())
            .finish()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.slot.state.store(State::Closed as u8, Ordering::SeqCst);
        if self.slot.used.load(Ordering::SeqCst) == 0 {
            give_slot(self.id, self.slot);
        }
    }
}

/// Makes the kernel's account, which must be the first.
pub(crate) fn init() {
    match Account::new(usize::MAX, None) {
        Ok(kernel) if kernel.id() == AccountId::KERNEL => KERNEL.set(kernel),
        _ => panic!("the kernel's account is not the first"),
    }
}

fn take_slot() -> Result<u32, Errno> {
    {
        let mut free = FREE_SLOTS.lock();
        if let Some(slot) = slot(free.first) {
            let id = free.first;
            free.first = slot.parent.load(Ordering::Relaxed);
            return Ok(id);
        }
    }
    // Made outside the lock; when two come at once, the one that is late gives its chunk up.
    let chunk: Box<[Slot]> = (0..CHUNK)
        .map(|_| Slot {
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            parent: AtomicU32::new(NONE),
            state: AtomicU8::new(State::Free as u8),
        })
        .collect();
    let mut free = FREE_SLOTS.lock();
    if free.first == NONE {
        let number = free.made;
        let home = TABLE.get(number).ok_or(Errno::EAGAIN)?;
        let first = (number * CHUNK) as u32;
        for (id, slot) in (first..).zip(&chunk) {
            slot.parent.store(if id as usize % CHUNK == CHUNK - 1 { NONE } else { id + 1 }, Ordering::Relaxed);
        }
        home.set(chunk);
        free.made += 1;
        free.first = first;
    }
    let id = free.first;
    free.first = slot(id).map_or(NONE, |slot| slot.parent.load(Ordering::Relaxed));
    Ok(id)
}

/// Puts a closed slot without charges on the free list, once.
fn give_slot(id: u32, slot: &Slot) {
    let closed = State::Closed as u8;
    if slot.state.compare_exchange(closed, State::Free as u8, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
        let mut free = FREE_SLOTS.lock();
        slot.parent.store(free.first, Ordering::Relaxed);
        free.first = id;
    }
}

/// Charges `frames` to the account and all above it.
pub(crate) fn charge(account: AccountId, frames: usize) -> Result<(), OutOfMemory> {
    let mut id = account.0;
    while let Some(slot) = slot(id) {
        let used = slot.used.fetch_add(frames, Ordering::Relaxed) + frames;
        if used > slot.limit.load(Ordering::Relaxed) {
            take_back(id, slot, frames);
            uncharge_until(account.0, id, frames);
            return Err(OutOfMemory);
        }
        if used > slot.peak.load(Ordering::Relaxed) {
            slot.peak.fetch_max(used, Ordering::Relaxed);
        }
        id = slot.parent.load(Ordering::Relaxed);
    }
    Ok(())
}

/// Takes back what `charge` added.
pub(crate) fn uncharge(account: AccountId, frames: usize) {
    uncharge_until(account.0, NONE, frames);
}

fn uncharge_until(mut id: u32, end: u32, frames: usize) {
    while id != end {
        let Some(slot) = slot(id) else { break };
        // Read first: when this was the last charge, the slot may be someone else's at once.
        let parent = slot.parent.load(Ordering::Relaxed);
        take_back(id, slot, frames);
        id = parent;
    }
}

#[inline]
fn take_back(id: u32, slot: &Slot, frames: usize) {
    let before = slot.used.fetch_sub(frames, Ordering::SeqCst);
    debug_assert!(before >= frames, "account {id} gives back more than it took");
    if before == frames && slot.state.load(Ordering::SeqCst) == State::Closed as u8 {
        give_slot(id, slot);
    }
}

/// A charge for kernel objects, taken back when dropped.
#[derive(Debug)]
pub struct KernelCharge {
    account: Arc<Account>,
    bytes: usize,
}

/// Charges `bytes` of kernel objects to `account`: whole pages of their sum.
pub fn charge_kernel_bytes(account: &Arc<Account>, bytes: usize) -> Result<KernelCharge, Errno> {
    gate_for_bytes(bytes)?;
    let slot = account.slot;
    let before = slot.bytes.fetch_add(bytes, Ordering::Relaxed);
    // Each caller sees its own stretch of the sum, so the pages of all stretches add up to the pages of the sum.
    let pages = (before + bytes).div_ceil(PAGE_SIZE) - before.div_ceil(PAGE_SIZE);
    if pages != 0 && (!account.has_room(pages) || charge(account.id(), pages).is_err()) {
        force(account.id(), pages);
        take_bytes(account, bytes);
        return Err(Errno::ENOMEM);
    }
    Ok(KernelCharge { account: account.clone(), bytes })
}

/// Charges without regard to limits, for a charge that is about to be taken back in other parts.
fn force(account: AccountId, frames: usize) {
    let mut id = account.0;
    while let Some(slot) = slot(id) {
        slot.used.fetch_add(frames, Ordering::Relaxed);
        id = slot.parent.load(Ordering::Relaxed);
    }
}

fn take_bytes(account: &Account, bytes: usize) {
    let before = account.slot.bytes.fetch_sub(bytes, Ordering::Relaxed);
    let pages = before.div_ceil(PAGE_SIZE) - (before - bytes).div_ceil(PAGE_SIZE);
    if pages != 0 {
        uncharge(account.id(), pages);
    }
}

impl Drop for KernelCharge {
    fn drop(&mut self) {
        take_bytes(&self.account, self.bytes);
    }
}

/// Kernel memory of a container that grows and shrinks with what a program does, charged in whole pages.
#[derive(Debug)]
pub(crate) struct Ledger {
    account: Arc<Account>,
    pages: usize,
    /// Entries that one page of kernel memory holds.
    per_page: usize,
}

impl Ledger {
    pub(crate) fn new(account: &Arc<Account>, entry_bytes: usize) -> Ledger {
        Ledger { account: account.clone(), pages: 0, per_page: (PAGE_SIZE / entry_bytes).max(1) }
    }

    /// Makes the charge that of `entries`. One page more than needed is kept, so that a container that goes up and down
    /// around a page does not charge each time. `ENOMEM` at the limit; shrinking never fails.
    #[inline]
    pub(crate) fn cover(&mut self, entries: usize) -> Result<(), Errno> {
        if entries > self.pages * self.per_page {
            let more = entries.div_ceil(self.per_page) - self.pages;
            gate_for(more)?;
            charge(self.account.id(), more).map_err(|_| Errno::ENOMEM)?;
            self.pages += more;
        } else if entries + 2 * self.per_page <= self.pages * self.per_page {
            let less = self.pages - entries.div_ceil(self.per_page) - 1;
            uncharge(self.account.id(), less);
            self.pages -= less;
        }
        Ok(())
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if self.pages != 0 {
            uncharge(self.account.id(), self.pages);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, KernelCharge, charge_kernel_bytes};
    use crate::testing::{Rng, machine};
    use alloc::sync::Arc;
    use alloc::vec::Vec;
    use kernel_hal::addr::PAGE_SIZE;
    use kernel_hal::frame::Frame;

    #[test]
    fn a_charge_binds_the_whole_chain() {
        let _alone = machine();
        let group = Account::new(10, None).expect("an account");
        let a = Account::new(8, Some(&group)).expect("an account");
        let b = Account::new(8, Some(&group)).expect("an account");
        let of_a: Vec<Frame> = (0..8).map(|_| Frame::zeroed(a.id()).expect("a frame")).collect();
        assert!(Frame::zeroed(a.id()).is_err());
        let of_b: Vec<Frame> = (0..2).map(|_| Frame::zeroed(b.id()).expect("a frame")).collect();
        assert!(Frame::zeroed(b.id()).is_err());
        assert_eq!((a.used(), b.used(), group.used(), b.available()), (8, 2, 10, 0));
        drop(of_a);
        assert_eq!((a.used(), b.used(), group.used(), b.available()), (0, 2, 2, 6));
        drop(of_b);
        assert_eq!((group.used(), group.peak()), (0, 10));
    }

    #[test]
    fn a_number_is_reused_only_after_its_last_frame() {
        let _alone = machine();
        let account = Account::new(10, None).expect("an account");
        let id = account.id();
        let frame = Frame::zeroed(id).expect("a frame");
        drop(account);
        let other = Account::new(10, None).expect("an account");
        assert_ne!(other.id(), id);
        drop(frame);
        let third = Account::new(10, None).expect("an account");
        assert_eq!(third.id(), id);
        assert_eq!(third.used(), 0);
    }

    #[test]
    fn many_accounts_come_and_go() {
        let _alone = machine();
        for _ in 0..3 {
            let all: Vec<Arc<Account>> = (0..1000).map(|_| Account::new(1, None).expect("an account")).collect();
            let mut ids: Vec<u32> = all.iter().map(|account| account.id().0).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), 1000);
            assert!(ids[999] < 2048, "numbers are not reused");
        }
    }

    #[test]
    fn bytes_of_kernel_objects_are_charged_in_whole_pages() {
        let _alone = machine();
        let mut rng = Rng::new(5);
        let account = Account::new(20, None).expect("an account");
        let mut held: Vec<(KernelCharge, usize)> = Vec::new();
        for _ in 0..3000 {
            if rng.below(2) == 0 {
                let bytes = rng.below(9000);
                if let Ok(charge) = charge_kernel_bytes(&account, bytes) {
                    held.push((charge, bytes));
                }
            } else if !held.is_empty() {
                held.swap_remove(rng.below(held.len()));
            }
            let sum: usize = held.iter().map(|(_, bytes)| bytes).sum();
            assert_eq!(account.used(), sum.div_ceil(PAGE_SIZE));
            assert!(account.used() <= 20);
        }
        drop(held);
        assert_eq!(account.used(), 0);
    }
}
