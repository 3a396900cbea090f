//! Advisory locks: records of a file (`fcntl(2)`), and whole files (`flock(2)`).
//!
//! A lock belongs to a descriptor table or to an open file, known by its address: what goes away gives its locks up
//! with [`release`] before the address can be used again. Both kinds of lock are ranges; that of `flock` is everything,
//! and the two do not see each other.
//!
//! One spinning lock guards all of it. Files with locks are few, and [`release`], which every close calls, costs one load
//! while there are none.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use aios_abi::Errno;
use kernel_sync::{SpinLock, WaitQueue};

use crate::file::File;
use crate::vfs::Inode;

/// The end of a range without one.
pub const FOREVER: u64 = 1 << 63;

/// Most locks of one file, each way.
const MAX_RECORDS: usize = 4096;
/// Owners that wait for each other, at most, in what is recognised as a deadlock.
const MAX_CHAIN: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Shared with other readers.
    Read,
    Write,
}

/// Who holds a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner(usize);

impl Owner {
    pub fn of_file(file: &File) -> Owner {
        Owner(core::ptr::from_ref(file) as usize)
    }

    /// A descriptor table.
    pub fn of_table<T>(table: &T) -> Owner {
        Owner(core::ptr::from_ref(table) as usize)
    }
}

/// A lock, held or asked for, on the bytes `start..end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    pub owner: Owner,
    pub kind: Kind,
    pub start: u64,
    pub end: u64,
    /// Whom `F_GETLK` names: -1 for an open file.
    pub pid: i32,
}

impl Request {
    fn excludes(&self, other: &Request) -> bool {
        self.owner != other.owner
            && self.start < other.end
            && other.start < self.end
            && (self.kind == Kind::Write || other.kind == Kind::Write)
    }
}

/// Locks of one file of one sort.
#[derive(Default)]
struct Held(Vec<Request>);

impl Held {
    /// The first lock, by position, that keeps `wanted` from being granted.
    fn conflict(&self, wanted: &Request) -> Option<Request> {
        self.0.iter().filter(|held| held.excludes(wanted)).min_by_key(|held| held.start).copied()
    }

    /// Takes a range away from what its owner holds; true when there was something to take.
    fn remove(&mut self, owner: Owner, start: u64, end: u64) -> bool {
        let mut changed = false;
        let mut index = 0;
        while let Some(held) = self.0.get(index).copied() {
            if held.owner != owner || held.end <= start || end <= held.start {
                index += 1;
                continue;
            }
            changed = true;
            self.0.swap_remove(index);
            if held.start < start {
                self.0.push(Request { end: start, ..held });
            }
            if end < held.end {
                self.0.push(Request { start: end, ..held });
            }
        }
        changed
    }

    /// Adds a lock that conflicts with none, joined with its neighbours.
    fn add(&mut self, mut lock: Request) -> Result<(), Errno> {
        if self.0.len() >= MAX_RECORDS {
            return Err(Errno::ENOLCK);
        }
        self.remove(lock.owner, lock.start, lock.end);
        self.0.retain(|held| {
            let joins = held.owner == lock.owner
                && held.kind == lock.kind
                && (held.end == lock.start || lock.end == held.start);
            if joins {
                lock.start = lock.start.min(held.start);
                lock.end = lock.end.max(held.end);
            }
            !joins
        });
        self.0.push(lock);
        Ok(())
    }
}

/// Which of a file's locks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Record,
    Whole,
}

struct Locks {
    /// Keeps the key's address in use.
    _inode: Arc<dyn Inode>,
    records: Held,
    whole: Held,
    /// Woken when something is given up.
    freed: Arc<WaitQueue>,
}

impl Locks {
    fn of(&mut self, sort: Sort) -> &mut Held {
        match sort {
            Sort::Record => &mut self.records,
            Sort::Whole => &mut self.whole,
        }
    }
}

struct Table {
    files: BTreeMap<usize, Locks>,
    /// Owners that wait for a record lock, and for whom.
    waiting: Vec<(Owner, Owner)>,
}

impl Table {
    fn of(&mut self, inode: &Arc<dyn Inode>) -> &mut Locks {
        FILES.store(self.files.len().max(1), Ordering::Release);
        self.files.entry(key(inode)).or_insert_with(|| Locks {
            _inode: inode.clone(),
            records: Held::default(),
            whole: Held::default(),
            freed: Arc::default(),
        })
    }

    /// Forgets a file without locks that nobody waits for; the caller drops it with no lock held.
    fn forget_unused(&mut self, inode: &Arc<dyn Inode>) -> Option<Locks> {
        let locks = self.files.get(&key(inode))?;
        let unused = locks.records.0.is_empty() && locks.whole.0.is_empty() && Arc::strong_count(&locks.freed) == 1;
        let gone = if unused { self.files.remove(&key(inode)) } else { None };
        FILES.store(self.files.len(), Ordering::Release);
        gone
    }

    /// True when `blocker` waits, itself or through others, for `owner`.
    fn waits_for(&self, mut blocker: Owner, owner: Owner) -> bool {
        for _ in 0..MAX_CHAIN {
            let Some((_, next)) = self.waiting.iter().find(|(waiter, _)| *waiter == blocker) else { return false };
            if *next == owner {
                return true;
            }
            blocker = *next;
        }
        false
    }
}

static TABLE: SpinLock<Table> = SpinLock::new(Table { files: BTreeMap::new(), waiting: Vec::new() });
/// Zero while no file has locks.
static FILES: AtomicUsize = AtomicUsize::new(0);

fn key(inode: &Arc<dyn Inode>) -> usize {
    Arc::as_ptr(inode).cast::<()>() as usize
}

/// The record lock that would keep `wanted` from being granted.
pub fn find_conflict(inode: &Arc<dyn Inode>, wanted: &Request) -> Option<Request> {
    TABLE.lock().files.get(&key(inode))?.records.conflict(wanted)
}

/// Takes a record lock (`F_SETLK`, `F_SETLKW`). `EAGAIN` when it is held and the caller does not wait, `EDEADLK` when
/// it would wait for who waits for it.
pub fn lock(file: &File, wanted: &Request, wait: bool) -> Result<(), Errno> {
    file.note_lock();
    take(file.inode(), Sort::Record, wanted, wait)
}

/// Gives up what `owner` has locked of a range (`F_UNLCK`).
pub fn unlock(file: &File, owner: Owner, start: u64, end: u64) {
    give_up(file.inode(), |locks| locks.records.remove(owner, start, end));
}

/// `flock(2)`: locks the file for this open file, or with `None` unlocks it. `EWOULDBLOCK` when it is locked and the
/// caller does not wait. A lock held in the other way is given up first, as on Linux.
pub fn flock(file: &File, kind: Option<Kind>, wait: bool) -> Result<(), Errno> {
    let owner = Owner::of_file(file);
    file.note_lock();
    give_up(file.inode(), |locks| match locks.whole.0.iter().find(|held| held.owner == owner) {
        Some(held) if Some(held.kind) != kind => locks.whole.remove(owner, 0, FOREVER),
        _ => false,
    });
    match kind {
        None => Ok(()),
        Some(kind) => {
            let wanted = Request { owner, kind, start: 0, end: FOREVER, pid: 0 };
            take(file.inode(), Sort::Whole, &wanted, wait)
        }
    }
}

/// Gives up everything that `owner` has locked of a file: called when a descriptor or open file of it goes.
#[inline]
pub fn release(inode: &Arc<dyn Inode>, owner: Owner) {
    if FILES.load(Ordering::Acquire) != 0 {
        give_up(inode, |locks| locks.records.remove(owner, 0, FOREVER) | locks.whole.remove(owner, 0, FOREVER));
    }
}

fn give_up(inode: &Arc<dyn Inode>, change: impl FnOnce(&mut Locks) -> bool) {
    let mut table = TABLE.lock();
    let Some(locks) = table.files.get_mut(&key(inode)) else { return };
    let freed = change(locks).then(|| locks.freed.clone());
    if let Some(queue) = &freed {
        queue.wake_all();
    }
    drop(freed);
    let gone = table.forget_unused(inode);
    drop(table);
    drop(gone);
}

fn take(inode: &Arc<dyn Inode>, sort: Sort, wanted: &Request, wait: bool) -> Result<(), Errno> {
    let queue = TABLE.lock().of(inode).freed.clone();
    let outcome = queue.wait_until(|| match attempt(inode, sort, wanted, wait) {
        Err(Errno::EAGAIN) if wait => None,
        outcome => Some(outcome),
    });
    drop(queue);
    let mut table = TABLE.lock();
    table.waiting.retain(|(waiter, _)| *waiter != wanted.owner);
    let gone = table.forget_unused(inode);
    drop(table);
    drop(gone);
    outcome?
}

/// Tries once; who will wait is noted, so that a circle of waiters is seen.
fn attempt(inode: &Arc<dyn Inode>, sort: Sort, wanted: &Request, wait: bool) -> Result<(), Errno> {
    let mut table = TABLE.lock();
    let Some(held) = table.of(inode).of(sort).conflict(wanted) else {
        return table.of(inode).of(sort).add(*wanted);
    };
    if wait && sort == Sort::Record && wanted.pid >= 0 {
        if table.waits_for(held.owner, wanted.owner) {
            return Err(Errno::EDEADLK);
        }
        table.waiting.retain(|(waiter, _)| *waiter != wanted.owner);
        table.waiting.push((wanted.owner, held.owner));
    }
    Err(Errno::EAGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(owner: usize, kind: Kind, start: u64, end: u64) -> Request {
        Request { owner: Owner(owner), kind, start, end, pid: 1 }
    }

    /// The lock of each byte for one owner.
    fn bytes(held: &Held, owner: usize) -> [Option<Kind>; 32] {
        core::array::from_fn(|byte| {
            let byte = byte as u64;
            let mut over =
                held.0.iter().filter(|lock| lock.owner == Owner(owner) && lock.start <= byte && byte < lock.end);
            let kind = over.next().map(|lock| lock.kind);
            assert!(over.next().is_none(), "two locks of one owner on byte {byte}");
            kind
        })
    }

    #[test]
    fn ranges_behave_like_an_array_of_bytes() {
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % below
        };
        for _ in 0..200 {
            let mut held = Held::default();
            let mut model = [[None; 32]; 3];
            for _ in 0..60 {
                let (owner, start) = (random(3) as usize, random(31));
                let end = start + 1 + random(32 - start);
                let kind = [Some(Kind::Read), Some(Kind::Write), None][random(3) as usize];
                let range = start as usize..end as usize;
                let Some(kind) = kind else {
                    held.remove(Owner(owner), start, end);
                    model[owner][range].fill(None);
                    continue;
                };
                let wanted = request(owner, kind, start, end);
                let blocked = (0..3).filter(|other| *other != owner).any(|other| {
                    model[other][range.clone()]
                        .iter()
                        .any(|held| *held == Some(Kind::Write) || held.is_some() && kind == Kind::Write)
                });
                assert_eq!(held.conflict(&wanted).is_some(), blocked);
                if !blocked {
                    assert_eq!(held.add(wanted), Ok(()));
                    model[owner][range].fill(Some(kind));
                }
                for (owner, model) in model.iter().enumerate() {
                    assert_eq!(&bytes(&held, owner), model);
                }
            }
        }
    }

    #[test]
    fn neighbours_are_joined() {
        let mut held = Held::default();
        for start in [0, 20, 10] {
            assert_eq!(held.add(request(1, Kind::Read, start, start + 10)), Ok(()));
        }
        assert_eq!(held.0, [request(1, Kind::Read, 0, 30)]);
    }

    #[test]
    fn a_circle_of_waiters_is_seen() {
        let waiting = alloc::vec![(Owner(1), Owner(2)), (Owner(2), Owner(3))];
        let table = Table { files: BTreeMap::new(), waiting };
        assert!(table.waits_for(Owner(1), Owner(3)));
        assert!(!table.waits_for(Owner(3), Owner(1)));
    }
}
