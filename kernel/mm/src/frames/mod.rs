//! Which frame to hand out: the policy that hal asks.
//!
//! Single frames come from a small cache of the CPU, refilled and emptied in batches; runs, and batches, come from one
//! buddy system behind one lock. A count of all free frames, caches included, keeps a reserve that only the kernel's
//! own account may use, so that a program that takes all memory cannot stop the kernel from undoing it.
//!
//! Order of locks: a cache's before the buddy's. Both are held with interrupts off and for bounded work.

mod bits;
mod buddy;

use alloc::boxed::Box;
use core::sync::atomic::{AtomicUsize, Ordering};

use aios_abi::Errno;
use kernel_hal::addr::Pfn;
use kernel_hal::cpu::{self, MAX_CPUS};
use kernel_hal::frame::{AccountId, FrameAllocator, OutOfMemory, frame_limit, free_ranges, install_allocator};
use kernel_sync::{IrqLock, Once};

use crate::account;
use buddy::{Buddy, MAX_ORDER};

/// Frames a CPU's cache holds at most; half of it moves at a time.
const CACHE: usize = 128;
/// The kernel's reserve is at least so many frames...
const MIN_RESERVE: usize = 256;
/// ...and one part in so many of the memory.
const RESERVE_SHARE: usize = 64;

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
    free: AtomicUsize,
    total: usize,
    reserve: usize,
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
    let caches = [const { Once::new() }; MAX_CPUS];
    for cache in caches.iter().take(cpu::count().max(1)) {
        cache.set(Box::new(IrqLock::new(Cache::EMPTY)));
    }
    // From the first range on there is no memory until the allocator is installed: nothing below allocates.
    free_ranges(&mut |range| buddy.add_range(range.start.0..range.end.0));
    let total = buddy.free_frames();
    FRAMES.set(Frames {
        buddy: IrqLock::new(buddy),
        caches,
        free: AtomicUsize::new(total),
        total,
        reserve: (total / RESERVE_SHARE).max(MIN_RESERVE).min(total / 2),
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
        free: frames.free.load(Ordering::Relaxed),
        reserve: frames.reserve,
    })
}

/// Whether a program's request that makes the kernel allocate small objects of its own may go ahead: `ENOMEM` when only
/// the reserve is left.
pub fn gate() -> Result<(), Errno> {
    match FRAMES.get() {
        Some(frames) if frames.free.load(Ordering::Relaxed) <= frames.reserve => Err(Errno::ENOMEM),
        _ => Ok(()),
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
        frames.claim(count, account)?;
        if account::charge(account, count).is_err() {
            frames.free.fetch_add(count, Ordering::Relaxed);
            return Err(OutOfMemory);
        }
        let taken = if order == 0 { frames.take_single() } else { frames.take_run(order) };
        if taken.is_none() {
            account::uncharge(account, count);
            frames.free.fetch_add(count, Ordering::Relaxed);
        }
        taken.map(Pfn).ok_or(OutOfMemory)
    }

    fn free(&self, pfn: Pfn, order: u8, account: AccountId) {
        let Some(frames) = FRAMES.get() else { return };
        let order = usize::from(order);
        if order == 0 {
            frames.give_single(pfn.0);
        } else {
            frames.buddy.lock().free_block(pfn.0, order);
        }
        frames.free.fetch_add(1 << order, Ordering::Relaxed);
        account::uncharge(account, 1 << order);
    }
}

impl Frames {
    /// Takes `count` off the free count, leaving the reserve to the kernel. Frames are added to the count only after they
    /// can be found, so whoever has claimed one finds one.
    #[inline]
    fn claim(&self, count: usize, account: AccountId) -> Result<(), OutOfMemory> {
        let keep = if account == AccountId::KERNEL { 0 } else { self.reserve };
        let before = self.free.fetch_sub(count, Ordering::Relaxed);
        // Concurrent claims may take the count below zero for a moment: it is read as signed.
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
