//! Sets of watched files (`epoll(7)`).
//!
//! Each watched file has a [`Bell`] in the wait queues that it polls on. A bell that rings puts its number into the
//! set's list of those to look at; [`Epoll::wait`] looks at each, reports what it is ready for, and puts what is watched by
//! level back. A bell is rung with a wait queue's lock held, so it touches only that list, which never grows in it:
//! room for every watched file was made before.
//!
//! A set does not keep files open: what was closed everywhere leaves it.
//!
//! Lock order: `items` (sleeps), then `rung`, then wait queues.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aios_abi::Errno;
use aios_abi::linux::consts::{epoll as flag, open};
use kernel_hal::time::Instant;
use kernel_mm::{Account, KernelCharge, charge_kernel_bytes};
use kernel_sync::{IrqLock, Mutex, Poller, WaitError, WaitQueue, Wake};

use crate::file::{File, FileOps, Position};
use crate::poll;
use crate::types::FileType;

/// Files that one set may watch.
const MAX_ITEMS: usize = 1 << 16;
/// Sets that may watch each other in a row, as on Linux.
const MAX_DEPTH: usize = 5;
/// Reported whether asked for or not.
const ALWAYS: u32 = flag::EPOLLERR | flag::EPOLLHUP;
/// What is an option rather than an event.
const OPTIONS: u32 = flag::EPOLLEXCLUSIVE | flag::EPOLLWAKEUP | flag::EPOLLONESHOT | flag::EPOLLET;

/// What a program wants to know of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Interest {
    /// `EPOLL*` events and options.
    pub events: u32,
    /// Handed back with each event.
    pub data: u64,
}

/// Something happened to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    pub events: u32,
    pub data: u64,
}

/// What bells and the set share.
struct Rung {
    list: IrqLock<VecDeque<u64>>,
    queue: Arc<WaitQueue>,
}

impl Rung {
    fn is_empty(&self) -> bool {
        self.list.lock().is_empty()
    }
}

/// Sits in the wait queues of one watched file.
struct Bell {
    number: u64,
    rung: Arc<Rung>,
    /// Its number is in the list.
    listed: AtomicBool,
}

impl Wake for Bell {
    fn wake(&self) {
        if !self.listed.swap(true, Ordering::AcqRel) {
            self.rung.list.lock().push_back(self.number);
        }
        self.rung.queue.wake_one();
    }
}

/// A descriptor and the file that it was when it was added: the number may since stand for another.
type Key = (i32, usize);

struct Item {
    key: Key,
    file: Weak<File>,
    interest: Interest,
    bell: Arc<Bell>,
    /// Keeps the bell in its queues.
    _hung: Poller,
    _charge: KernelCharge,
}

/// What a watched file costs in kernel memory, about: item, bell, their places in maps, lists and queues.
const ITEM_BYTES: usize = 448;

impl Item {
    /// What the file is ready for, of what is wanted; `None` once it is closed.
    fn ready(&self) -> Option<u32> {
        let file = self.file.upgrade()?;
        let wanted = self.interest.events & !OPTIONS;
        // After its one event an item is asleep, errors included.
        Some(if wanted == 0 { 0 } else { file.poll(None) & (wanted | ALWAYS) })
    }
}

#[derive(Default)]
struct Items {
    by_number: BTreeMap<u64, Item>,
    numbers: BTreeMap<Key, u64>,
}

impl Items {
    fn remove(&mut self, number: u64) -> Option<Item> {
        let item = self.by_number.remove(&number)?;
        self.numbers.remove(&item.key);
        Some(item)
    }
}

/// A set of watched files.
pub struct Epoll {
    items: Mutex<Items>,
    rung: Arc<Rung>,
    next: AtomicU64,
    account: Arc<Account>,
}

impl Epoll {
    /// `epoll_create1(2)`; what is watched is charged to `account`.
    pub fn create(account: &Arc<Account>) -> Arc<File> {
        let epoll = Epoll {
            items: Mutex::default(),
            rung: Arc::new(Rung { list: IrqLock::new(VecDeque::new()), queue: Arc::default() }),
            next: AtomicU64::new(0),
            account: account.clone(),
        };
        super::open(Arc::new(epoll), b"anon_inode:[eventpoll]", open::O_RDWR)
    }

    /// The set behind an open file: `EINVAL` for any other file.
    pub fn of(file: &File) -> Result<Arc<Epoll>, Errno> {
        let ops: Arc<dyn Any + Send + Sync> = file.ops().clone();
        ops.downcast().map_err(|_| Errno::EINVAL)
    }

    fn key(fd: i32, file: &Arc<File>) -> Key {
        (fd, Arc::as_ptr(file) as usize)
    }

    /// `EPOLL_CTL_ADD`. `EEXIST` when it is watched, `EPERM` for what is always ready, `ELOOP` for sets that would watch
    /// themselves, `ENOSPC` for too many files.
    pub fn add(self: &Arc<Epoll>, fd: i32, file: &Arc<File>, interest: Interest) -> Result<(), Errno> {
        let always_ready = matches!(file.kind(), FileType::Regular | FileType::Directory);
        if always_ready || file.ops().position() == Position::Ignored {
            return Err(Errno::EPERM);
        }
        if let Ok(inner) = Epoll::of(file) {
            inner.check_nesting(self, 1)?;
        }
        let key = Epoll::key(fd, file);
        let mut items = self.items.lock();
        // A file at the same address as one that was closed: that one's item goes.
        if let Some(number) = items.numbers.get(&key).copied() {
            if items.by_number.get(&number).is_some_and(|item| item.file.strong_count() > 0) {
                return Err(Errno::EEXIST);
            }
            items.remove(number);
        }
        self.make_room(&mut items)?;
        let charge = charge_kernel_bytes(&self.account, ITEM_BYTES)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let bell = Arc::new(Bell { number, rung: self.rung.clone(), listed: AtomicBool::new(false) });
        let mut hung = Poller::for_waiter(bell.clone());
        // Hangs the bell before looking: what happens in between rings it.
        let _ = file.poll(Some(&mut hung));
        let item = Item { key, file: Arc::downgrade(file), interest, bell, _hung: hung, _charge: charge };
        self.ring_if_ready(&item);
        items.numbers.insert(key, number);
        items.by_number.insert(number, item);
        Ok(())
    }

    /// Makes room for one more file, in the list too, so that bells need not.
    fn make_room(&self, items: &mut Items) -> Result<(), Errno> {
        if items.by_number.len() >= MAX_ITEMS {
            return Err(Errno::ENOSPC);
        }
        // Twice over: numbers of removed items stay in the list until it is looked at.
        let wanted = (items.by_number.len() + 1) * 2;
        let mut fresh = VecDeque::new();
        fresh.try_reserve(wanted.next_power_of_two()).map_err(|_| Errno::ENOMEM)?;
        let mut list = self.rung.list.lock();
        list.retain(|number| items.by_number.contains_key(number));
        if list.capacity() < wanted {
            fresh.extend(list.iter().copied());
            core::mem::swap(&mut *list, &mut fresh);
        }
        drop(list);
        drop(fresh);
        Ok(())
    }

    fn ring_if_ready(&self, item: &Item) {
        if item.ready().is_some_and(|events| events != 0) {
            item.bell.wake();
        }
    }

    /// `EPOLL_CTL_MOD`: `ENOENT` when it is not watched.
    pub fn modify(&self, fd: i32, file: &Arc<File>, interest: Interest) -> Result<(), Errno> {
        let mut items = self.items.lock();
        let number = *items.numbers.get(&Epoll::key(fd, file)).ok_or(Errno::ENOENT)?;
        let item = items.by_number.get_mut(&number).ok_or(Errno::ENOENT)?;
        if item.interest.events & flag::EPOLLEXCLUSIVE != 0 {
            return Err(Errno::EINVAL);
        }
        item.interest = interest;
        self.ring_if_ready(item);
        Ok(())
    }

    /// `EPOLL_CTL_DEL`: `ENOENT` when it is not watched.
    pub fn remove(&self, fd: i32, file: &Arc<File>) -> Result<(), Errno> {
        let mut items = self.items.lock();
        let number = *items.numbers.get(&Epoll::key(fd, file)).ok_or(Errno::ENOENT)?;
        let gone = items.remove(number);
        drop(items);
        drop(gone);
        Ok(())
    }

    /// Refuses that `self` is watched by `outer`: `ELOOP` when it watches `outer`, or too many in a row.
    fn check_nesting(self: &Arc<Epoll>, outer: &Arc<Epoll>, depth: usize) -> Result<(), Errno> {
        if Arc::ptr_eq(self, outer) || depth >= MAX_DEPTH {
            return Err(Errno::ELOOP);
        }
        let mut sets: Vec<Arc<Epoll>> = Vec::new();
        for file in self.items.lock().by_number.values().filter_map(|item| item.file.upgrade()) {
            if let Ok(set) = Epoll::of(&file) {
                sets.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                sets.push(set);
            }
        }
        for inner in &sets {
            inner.check_nesting(outer, depth + 1)?;
        }
        Ok(())
    }

    /// Waits until something happened, and returns up to `most` events; none at the deadline. `EINTR` when a signal
    /// comes first.
    pub fn wait(&self, most: usize, deadline: Option<Instant>) -> Result<Vec<Event>, Errno> {
        loop {
            let events = self.collect(most);
            if !events.is_empty() {
                return Ok(events);
            }
            let rung = || (!self.rung.is_empty()).then_some(());
            match self.rung.queue.wait_until_deadline(deadline, rung) {
                Ok(()) => {}
                Err(WaitError::TimedOut) => return Ok(Vec::new()),
                Err(WaitError::Interrupted) => return Err(Errno::EINTR),
            }
        }
    }

    /// Looks at what is in the list now, each file once.
    fn collect(&self, most: usize) -> Vec<Event> {
        let mut events = Vec::new();
        let mut items = self.items.lock();
        let mut left = self.rung.list.lock().len();
        let mut closed = Vec::new();
        while left > 0 && events.len() < most {
            left -= 1;
            let Some(number) = self.rung.list.lock().pop_front() else { break };
            let Some(item) = items.by_number.get_mut(&number) else { continue };
            // Before looking: what happens from here on rings again.
            item.bell.listed.store(false, Ordering::Release);
            match item.ready() {
                None => closed.push(number),
                Some(0) => {}
                Some(ready) => {
                    events.push(Event { events: ready, data: item.interest.data });
                    if item.interest.events & flag::EPOLLONESHOT != 0 {
                        item.interest.events &= OPTIONS;
                    } else if item.interest.events & flag::EPOLLET == 0
                        && !item.bell.listed.swap(true, Ordering::AcqRel)
                    {
                        self.rung.list.lock().push_back(number);
                    }
                }
            }
        }
        let gone: Vec<Item> = closed.into_iter().filter_map(|number| items.remove(number)).collect();
        drop(items);
        drop(gone);
        if left > 0 {
            // There is more than this caller took.
            self.rung.queue.wake_one();
        }
        events
    }
}

impl FileOps for Epoll {
    fn position(&self) -> Position {
        Position::Still
    }

    fn poll(&self, _file: &File, poller: Option<&mut Poller>) -> u32 {
        if let Some(poller) = poller {
            poller.watch(&self.rung.queue);
        }
        let items = self.items.lock();
        let list: Vec<u64> = self.rung.list.lock().iter().copied().collect();
        let ready = |number| items.by_number.get(number).and_then(Item::ready).is_some_and(|events| events != 0);
        if list.iter().any(ready) { poll::READABLE } else { 0 }
    }

    fn allocate(&self, _file: &File, _mode: u32, _offset: u64, _length: u64) -> Result<(), Errno> {
        Err(Errno::ENODEV)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::counter;
    use crate::testing::account;
    use kernel_hal::time::now;
    use kernel_mm::io::{Sink, Source};

    const IN: u32 = flag::EPOLLIN;

    fn add(file: &File, value: u64) {
        assert_eq!(file.write(&mut Source::kernel(&value.to_ne_bytes())), Ok(8));
    }

    fn take(file: &File) {
        assert_eq!(file.read(&mut Sink::kernel(&mut [0; 8])), Ok(8));
    }

    fn set() -> Arc<Epoll> {
        Epoll::of(&Epoll::create(&account())).unwrap()
    }

    /// Data of what is ready now.
    fn ready(set: &Epoll) -> Vec<u64> {
        set.wait(16, Some(now())).unwrap().iter().map(|event| event.data).collect()
    }

    #[test]
    fn level_reports_until_it_is_over_and_edge_once() {
        let set = set();
        let (level, edge) = (counter(1, false, 0), counter(1, false, 0));
        set.add(3, &level, Interest { events: IN, data: 3 }).unwrap();
        set.add(4, &edge, Interest { events: IN | flag::EPOLLET, data: 4 }).unwrap();
        assert_eq!(ready(&set), [3, 4]);
        assert_eq!(ready(&set), [3]);
        add(&edge, 1);
        assert_eq!(ready(&set), [3, 4]);
        take(&level);
        assert_eq!(ready(&set), []);
        add(&level, 1);
        assert_eq!(ready(&set), [3]);
    }

    #[test]
    fn one_shot_sleeps_until_it_is_set_again() {
        let set = set();
        let file = counter(1, false, 0);
        let once = Interest { events: IN | flag::EPOLLONESHOT, data: 9 };
        set.add(3, &file, once).unwrap();
        assert_eq!(ready(&set), [9]);
        add(&file, 1);
        assert_eq!(ready(&set), []);
        set.modify(3, &file, once).unwrap();
        assert_eq!(ready(&set), [9]);
    }

    #[test]
    fn membership_is_by_descriptor_and_file() {
        let set = set();
        let file = counter(1, false, 0);
        let interest = Interest { events: IN, data: 1 };
        assert_eq!(set.modify(3, &file, interest), Err(Errno::ENOENT));
        set.add(3, &file, interest).unwrap();
        assert_eq!(set.add(3, &file, interest), Err(Errno::EEXIST));
        set.add(4, &file, interest).unwrap();
        set.remove(3, &file).unwrap();
        assert_eq!(set.remove(3, &file), Err(Errno::ENOENT));
        assert_eq!(ready(&set), [1]);
        drop(file);
        assert_eq!(ready(&set), []);
        assert!(set.items.lock().by_number.is_empty());
    }

    #[test]
    fn a_waiter_is_woken_by_a_watched_file() {
        let set = set();
        let file = counter(0, false, 0);
        set.add(3, &file, Interest { events: IN, data: 5 }).unwrap();
        let writer = std::thread::spawn(move || {
            add(&file, 1);
            file
        });
        assert_eq!(set.wait(4, None).unwrap(), [Event { events: IN, data: 5 }]);
        drop(writer.join().unwrap());
    }

    #[test]
    fn sets_nest_but_not_in_circles() {
        let (outer, inner) = (Epoll::create(&account()), Epoll::create(&account()));
        let sets = [&outer, &inner].map(|file| Epoll::of(file).unwrap());
        let interest = Interest { events: IN, data: 7 };
        let file = counter(0, false, 0);
        sets[1].add(3, &file, interest).unwrap();
        sets[0].add(4, &inner, interest).unwrap();
        assert_eq!(sets[1].add(5, &outer, interest), Err(Errno::ELOOP));
        assert_eq!(sets[0].add(5, &outer, interest), Err(Errno::ELOOP));
        assert_eq!(ready(&sets[0]), []);
        add(&file, 1);
        assert_eq!(ready(&sets[0]), [7]);
    }

    #[test]
    fn many_watched_and_removed_files_fit_the_list() {
        let set = set();
        let interest = Interest { events: IN, data: 0 };
        for round in 0..50 {
            let files: Vec<_> = (0..20).map(|_| counter(1, false, 0)).collect();
            for (fd, file) in files.iter().enumerate() {
                set.add(fd as i32, file, interest).unwrap();
            }
            if round % 2 == 0 {
                files.iter().enumerate().for_each(|(fd, file)| set.remove(fd as i32, file).unwrap());
            }
        }
        assert_eq!(ready(&set), []);
    }
}
