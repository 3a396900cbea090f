//! Which frame to hand out: the policy that hal asks.
//!
//! Single frames come from a small cache of the CPU, refilled and emptied in batches; runs, and batches, come from one
//! buddy system behind one lock.
//!
//! A program that takes all memory must not stop the kernel from undoing it, so two parts are the kernel's alone:
//!
//! * a [`Pool`] of adjoining frames that is touched only when the rest has nothing that fits: there the kernel finds
//!   runs of frames however the rest is cut up by programs;
//! * of the rest, as many frames as there is [`Headroom`]: what calls on their way may take without asking.
//!
//! The [`gate`] is shut while only these are left.
//!
//! Order of locks: a cache's before the buddy's. All are held with interrupts off and for bounded work.

mod bits;
mod buddy;
mod pool;

use alloc::boxed::Box;
use core::sync::atomic::{AtomicUsize, Ordering};

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SIZE, Pfn};
use kernel_hal::cpu::{self, MAX_CPUS};
use kernel_hal::frame::{AccountId, FrameAllocator, OutOfMemory, frame_limit, free_ranges, install_allocator};
use kernel_sync::{IrqLock, Once};

use crate::account;
use buddy::{Buddy, MAX_ORDER};
use pool::Pool;

/// Frames a CPU's cache holds at most; half of it moves at a time.
const CACHE: usize = 128;
/// Frames that one thread's call may take for the kernel between two looks at the [`gate`].
const CALL_FRAMES: usize = 2;

/// Frames of the machine, counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryStats {
    /// Frames that the allocator manages.
    pub total: usize,
    /// Frames that nobody owns.
    pub free: usize,
    /// Free frames that only the kernel may take.
    pub reserve: usize,
}

struct Frames {
    buddy: IrqLock<Buddy>,
    caches: [Once<Box<IrqLock<Cache>>>; MAX_CPUS],
    /// Free frames outside the pool.
    free: AtomicUsize,
    total: usize,
    /// How many of them are kept for calls on their way.
    headroom: AtomicUsize,
    pool: Pool,
    /// Frames a cache holds before half of them go back; less than [`CACHE`] on small machines.
    cache_limit: usize,
}

/// A stack of free frames. Aligned so that two CPUs do not share a line.
#[repr(align(64))]
struct Cache {
    held: usize,
    frames: [u32; CACHE],
}

impl Cache {
    const EMPTY: Cache = Cache { held: 0, frames: [0; CACHE] };
}

struct Allocator;

static ALLOCATOR: Allocator = Allocator;
static FRAMES: Once<Frames> = Once::new();

/// Takes over all free memory from hal. Called once.
pub(crate) fn init() {
    let limit = frame_limit().0;
    let mut buddy = Buddy::new(limit);
    let mut pool = Pool::new(limit);
    let caches = [const { Once::new() }; MAX_CPUS];
    for cache in caches.iter().take(cpu::count().max(1)) {
        cache.set(Box::new(IrqLock::new(Cache::EMPTY)));
    }
    // From the first range on there is no memory until the allocator is installed: nothing below allocates.
    free_ranges(&mut |range| pool.cut_from(range.start.0..range.end.0, &mut |rest| buddy.add_range(rest)));
    let free = buddy.free_frames();
    let total = free + pool.free();
    FRAMES.set(Frames {
        buddy: IrqLock::new(buddy),
        caches,
        free: AtomicUsize::new(free),
        total,
        headroom: AtomicUsize::new(0),
        pool,
        cache_limit: (total / 256).clamp(2, CACHE),
    });
    install_allocator(&ALLOCATOR);
}

/// Gives the calling CPU, which has just started, a cache of frames. Without memory for it, it does without.
pub fn add_cpu() {
    let cache = FRAMES.get().and_then(|frames| frames.caches.get(cpu::id()));
    if let Some(cache) = cache.filter(|cache| cache.get().is_none())
        && gate().is_ok()
    {
        cache.set(Box::new(IrqLock::new(Cache::EMPTY)));
    }
}

/// The machine's memory now.
pub fn stats() -> MemoryStats {
    FRAMES.get().map_or(MemoryStats { total: 0, free: 0, reserve: 0 }, |frames| MemoryStats {
        total: frames.total,
        free: frames.free.load(Ordering::Relaxed) + frames.pool.free(),
        reserve: frames.headroom.load(Ordering::Relaxed) + frames.pool.free(),
    })
}

/// Whether a program's request that makes the kernel allocate small objects of its own may go ahead: `ENOMEM` when only
/// what is the kernel's alone is left.
#[inline]
pub fn gate() -> Result<(), Errno> {
    gate_for(0)
}

/// The same for a request that makes the kernel take `more` frames at once.
#[inline]
pub fn gate_for(more: usize) -> Result<(), Errno> {
    match FRAMES.get() {
        Some(frames) if !frames.has_room(more) => Err(Errno::ENOMEM),
        _ => Ok(()),
    }
}

/// The same for a request that makes the kernel allocate `bytes`.
pub fn gate_for_bytes(bytes: usize) -> Result<(), Errno> {
    gate_for(bytes.div_ceil(PAGE_SIZE))
}

/// Frames kept for what the call of one thread takes between two looks at the gate: as long as each thread has its own,
/// however many are on their way, the kernel's small allocations find memory.
#[derive(Debug)]
pub struct Headroom(());

impl Headroom {
    /// What it costs, to be charged by whoever makes the thread.
    pub const BYTES: usize = CALL_FRAMES * PAGE_SIZE;

    /// Keeps frames for one more thread. `ENOMEM` when there are none.
    pub fn new() -> Result<Headroom, Errno> {
        gate_for(CALL_FRAMES)?;
        if let Some(frames) = FRAMES.get() {
            frames.headroom.fetch_add(CALL_FRAMES, Ordering::Relaxed);
        }
        Ok(Headroom(()))
    }
}

impl Drop for Headroom {
    fn drop(&mut self) {
        if let Some(frames) = FRAMES.get() {
            frames.headroom.fetch_sub(CALL_FRAMES, Ordering::Relaxed);
        }
    }
}

impl FrameAllocator for Allocator {
    fn alloc(&self, order: u8, account: AccountId) -> Result<Pfn, OutOfMemory> {
        let frames = FRAMES.get().ok_or(OutOfMemory)?;
        let order = usize::from(order);
        if order > MAX_ORDER {
            return Err(OutOfMemory);
        }
        let count = 1 << order;
        account::charge(account, count)?;
        let mut taken = frames.take(order, account);
        if taken.is_none() && account == AccountId::KERNEL {
            taken = frames.pool.take(order);
        }
        if taken.is_none() {
            account::uncharge(account, count);
        }
        taken.map(Pfn).ok_or(OutOfMemory)
    }

    fn free(&self, pfn: Pfn, order: u8, account: AccountId) {
        let Some(frames) = FRAMES.get() else { return };
        let order = usize::from(order);
        if frames.pool.holds(pfn.0) {
            frames.pool.give_back(pfn.0, order);
        } else {
            if order == 0 {
                frames.give_single(pfn.0);
            } else {
                frames.buddy.lock().free_block(pfn.0, order);
            }
            frames.free.fetch_add(1 << order, Ordering::Relaxed);
        }
        account::uncharge(account, 1 << order);
    }
}

impl Frames {
    /// True when `more` frames can be taken, and at least one then is left, without what is the kernel's alone.
    #[inline]
    fn has_room(&self, more: usize) -> bool {
        let taken = self.headroom.load(Ordering::Relaxed).saturating_add(more);
        // Concurrent claims may take the count below zero for a moment: it is read as signed.
        isize::try_from(taken).is_ok_and(|taken| self.free.load(Ordering::Relaxed) as isize > taken)
            && self.pool.is_mostly_free()
    }

    /// Takes frames from outside the pool.
    #[inline]
    fn take(&self, order: usize, account: AccountId) -> Option<usize> {
        let count = 1 << order;
        self.claim(count, account).ok()?;
        let taken = if order == 0 { self.take_single() } else { self.take_run(order) };
        if taken.is_none() {
            self.free.fetch_add(count, Ordering::Relaxed);
        }
        taken
    }

    /// Takes `count` off the free count, leaving the headroom to the kernel. Frames are added to the count only after they
    /// can be found, so whoever has claimed one finds one.
    #[inline]
    fn claim(&self, count: usize, account: AccountId) -> Result<(), OutOfMemory> {
        let keep = if account == AccountId::KERNEL { 0 } else { self.headroom.load(Ordering::Relaxed) };
        let before = self.free.fetch_sub(count, Ordering::Relaxed);
        if (before as isize) < (count + keep) as isize {
            self.free.fetch_add(count, Ordering::Relaxed);
            return Err(OutOfMemory);
        }
        Ok(())
    }

    /// This CPU's cache; `None` on a CPU that came late and has none, which is as good but slower.
    #[inline]
    fn cache(&self) -> Option<&IrqLock<Cache>> {
        self.caches.get(cpu::id()).and_then(Once::get).map(Box::as_ref)
    }

    #[inline]
    fn take_single(&self) -> Option<usize> {
        let Some(cache) = self.cache() else { return self.take_run(0) };
        let mut cache = cache.lock();
        if let Some(held) = cache.held.checked_sub(1) {
            cache.held = held;
            return cache.frames.get(held).map(|frame| *frame as usize);
        }
        let batch = self.cache_limit / 2;
        let got = self.buddy.lock().take_singles(&mut cache.frames[..batch]);
        match got.checked_sub(1) {
            Some(last) => {
                // Ascending addresses come out in ascending order.
                cache.frames[..got].reverse();
                cache.held = last;
                Some(cache.frames[last] as usize)
            }
            None => {
                drop(cache);
                self.drain();
                self.buddy.lock().take(0)
            }
        }
    }

    #[inline]
    fn give_single(&self, frame: usize) {
        let Some(cache) = self.cache() else { return self.buddy.lock().free_block(frame, 0) };
        let mut cache = cache.lock();
        debug_assert!(!cache.frames[..cache.held].contains(&(frame as u32)), "frame {frame:#x} freed twice");
        if cache.held >= self.cache_limit {
            // The oldest half goes: what was freed last is warm.
            let half = self.cache_limit / 2;
            let mut buddy = self.buddy.lock();
            for frame in &cache.frames[..half] {
                buddy.free_block(*frame as usize, 0);
            }
            drop(buddy);
            let held = cache.held;
            cache.frames.copy_within(half..held, 0);
            cache.held -= half;
        }
        let held = cache.held;
        cache.frames[held] = frame as u32;
        cache.held += 1;
    }

    fn take_run(&self, order: usize) -> Option<usize> {
        let taken = self.buddy.lock().take(order);
        if taken.is_some() {
            return taken;
        }
        self.drain();
        self.buddy.lock().take(order)
    }

    /// Empties the caches of all CPUs into the buddy system.
    fn drain(&self) {
        for cache in self.caches.iter().filter_map(Once::get) {
            let mut cache = cache.lock();
            let mut buddy = self.buddy.lock();
            for frame in &cache.frames[..cache.held] {
                buddy.free_block(*frame as usize, 0);
            }
            drop(buddy);
            cache.held = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{gate, stats};
    use crate::testing::{Rng, machine};
    use alloc::vec::Vec;
    use kernel_hal::frame::{AccountId, Frame};

    #[test]
    fn every_frame_comes_back_from_many_threads() {
        let _alone = machine();
        let before = stats();
        std::thread::scope(|scope| {
            for seed in 0..4 {
                scope.spawn(move || {
                    let mut rng = Rng::new(seed);
                    let mut held: Vec<(Frame, u64)> = Vec::new();
                    for _ in 0..20_000 {
                        if rng.below(100) < 52 && held.len() < 1500 {
                            if let Ok(frame) = Frame::zeroed(AccountId::KERNEL) {
                                let mark = rng.next();
                                frame.write(8, &mark.to_le_bytes());
                                held.push((frame, mark));
                            }
                        } else if !held.is_empty() {
                            let (frame, mark) = held.swap_remove(rng.below(held.len()));
                            let mut bytes = [0; 8];
                            frame.read(8, &mut bytes);
                            assert_eq!(u64::from_le_bytes(bytes), mark, "two owners of one frame");
                        }
                    }
                });
            }
        });
        assert_eq!(stats(), before);
    }

    #[test]
    fn the_last_frames_are_the_kernels() {
        let _alone = machine();
        let before = stats();
        let account = crate::Account::new(usize::MAX, None).expect("an account");
        let mut held = Vec::new();
        while let Ok(frame) = Frame::zeroed(account.id()) {
            held.push(frame);
        }
        assert_eq!(held.len(), before.free - before.reserve);
        assert!(gate().is_err());
        for _ in 0..before.reserve {
            held.push(Frame::zeroed(AccountId::KERNEL).expect("a frame of the reserve"));
        }
        assert!(Frame::zeroed(AccountId::KERNEL).is_err());
        drop(held);
        assert_eq!(stats(), before);
        assert!(gate().is_ok());
    }
}
