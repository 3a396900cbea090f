//! The lock checker of debug builds: finds what may deadlock when it is done for the first time, not when it does.
//!
//! Every lock belongs to a class, the place in the source where locks like it are made. Whenever a lock is waited for
//! while others are held, the order "held before wanted" is noted between their classes, with the places where both were
//! taken. Stopped with a panic that names all places concerned are:
//!
//! * a lock that its holder wants once more;
//! * two classes that are taken in either order, directly or around other classes;
//! * a sleeping lock wanted under a spinning one, and a program entered or a task left under any;
//! * a lock that leaves interrupts on and is taken by an interrupt handler, or under a lock that a handler takes: the
//!   handler may wait for what the interrupted code holds;
//! * waiting for other processors with interrupts off.
//!
//! Locks of one class may be held together; their order is for their room to decide. Attempts that do not wait note no
//! order. In release builds all of this is nothing.

#[cfg(debug_assertions)]
use core::panic::Location;

/// How a lock waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Spins; interrupts stay on.
    Spin,
    /// Spins with interrupts off.
    Irq,
    /// Sleeps.
    Sleep,
}

/// Where locks of a class are made.
#[derive(Clone, Copy)]
pub struct Class {
    #[cfg(debug_assertions)]
    made: &'static Location<'static>,
}

impl Class {
    #[cfg_attr(debug_assertions, track_caller)]
    pub const fn here() -> Class {
        Class {
            #[cfg(debug_assertions)]
            made: Location::caller(),
        }
    }
}

#[cfg(not(debug_assertions))]
mod checker {
    use super::{Class, Kind};

    #[inline(always)]
    pub fn wanted(_class: Class, _kind: Kind, _lock: usize) {}

    #[inline(always)]
    pub fn taken(_class: Class, _kind: Kind, _lock: usize) {}

    #[inline(always)]
    pub fn released(_kind: Kind, _lock: usize) {}

    #[inline(always)]
    pub fn nothing_held(_what: &str) {}

    #[inline(always)]
    pub fn may_wait_for_cpus() {}
}

#[cfg(debug_assertions)]
mod checker {
    use core::cell::Cell;
    use core::fmt::{self, Write};
    use core::panic::Location;
    use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

    use super::{Class, Kind};
    use crate::machine;

    type Place = &'static Location<'static>;

    /// Locks that a processor or a task holds at the most; more are not checked.
    const DEPTH: usize = 24;
    /// Classes at the most; more are not checked.
    const CLASSES: usize = 1024;
    /// Noted orders at the most. A power of two.
    const ORDERS: usize = 8192;

    /// A lock that is held.
    #[derive(Clone, Copy)]
    struct Entry {
        class: u16,
        kind: Kind,
        lock: usize,
        taken: Place,
    }

    /// The locks of a processor (spinning) or of a task (sleeping), in the order in which they were taken.
    pub struct Held {
        entries: Cell<[Option<Entry>; DEPTH]>,
    }

    impl Held {
        pub const fn new() -> Held {
            Held { entries: Cell::new([None; DEPTH]) }
        }

        fn push(&self, entry: Entry) {
            let mut entries = self.entries.get();
            if let Some(slot) = entries.iter_mut().find(|slot| slot.is_none()) {
                *slot = Some(entry);
            }
            self.entries.set(entries);
        }

        fn remove(&self, lock: usize) {
            let mut entries = self.entries.get();
            if let Some(at) = entries.iter().rposition(|slot| slot.is_some_and(|entry| entry.lock == lock)) {
                entries[at..].rotate_left(1);
                entries[DEPTH - 1] = None;
            }
            self.entries.set(entries);
        }
    }

    impl Default for Held {
        fn default() -> Held {
            Held::new()
        }
    }

    /// What is known of a class.
    struct Known {
        made: AtomicPtr<Location<'static>>,
        /// An interrupt handler has taken a lock of it.
        in_handler: AtomicBool,
    }

    static KNOWN: [Known; CLASSES] =
        [const { Known { made: AtomicPtr::new(core::ptr::null_mut()), in_handler: AtomicBool::new(false) } }; CLASSES];

    /// That a lock of one class was wanted while one of another was held, and where. Written once, under [`NOTING`].
    struct Order {
        /// Both classes plus one, the first in the upper half; 0 while nothing is noted.
        pair: AtomicU32,
        held_at: AtomicPtr<Location<'static>>,
        wanted_at: AtomicPtr<Location<'static>>,
    }

    static NOTED: [Order; ORDERS] = [const {
        Order {
            pair: AtomicU32::new(0),
            held_at: AtomicPtr::new(core::ptr::null_mut()),
            wanted_at: AtomicPtr::new(core::ptr::null_mut()),
        }
    }; ORDERS];

    /// One writer at a time. Not one of the locks that are checked.
    static NOTING: AtomicBool = AtomicBool::new(false);
    /// Something was found: what the panic does is not checked.
    static FOUND: AtomicBool = AtomicBool::new(false);

    fn raw(place: Place) -> *mut Location<'static> {
        core::ptr::from_ref(place).cast_mut()
    }

    fn place(raw: &AtomicPtr<Location<'static>>) -> Option<Place> {
        // SAFETY: only pointers made of `&'static Location` are ever stored.
        unsafe { raw.load(Ordering::Acquire).as_ref() }
    }

    /// The class's number; `None` when there are too many.
    fn number(class: Class) -> Option<u16> {
        let key = raw(class.made);
        let start = (key as usize >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        for step in 0..CLASSES {
            let index = (start + step) % CLASSES;
            let slot = &KNOWN[index].made;
            let mut there = slot.load(Ordering::Acquire);
            if there.is_null() {
                match slot.compare_exchange(there, key, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => there = key,
                    Err(other) => there = other,
                }
            }
            if there == key {
                return Some(index as u16);
            }
        }
        None
    }

    fn pair(first: u16, second: u16) -> u32 {
        (u32::from(first) + 1) << 16 | (u32::from(second) + 1)
    }

    /// Where a pair is noted, or would be.
    fn find(wanted: u32) -> Option<&'static Order> {
        let start = wanted.wrapping_mul(0x9e37_79b9) as usize >> 8;
        (0..ORDERS).map(|step| &NOTED[(start + step) % ORDERS]).find(|order| {
            let there = order.pair.load(Ordering::Acquire);
            there == wanted || there == 0
        })
    }

    fn is_noted(wanted: u32) -> bool {
        find(wanted).is_some_and(|order| order.pair.load(Ordering::Acquire) == wanted)
    }

    /// The way from `from` to `to` over noted orders, in `way`; its length, 0 for none.
    fn path(from: u16, to: u16, way: &mut [u16; CLASSES]) -> usize {
        // Breadth first, with the class each was reached from.
        static REACHED: [AtomicU32; CLASSES] = [const { AtomicU32::new(0) }; CLASSES];
        REACHED.iter().for_each(|class| class.store(0, Ordering::Relaxed));
        let queue = way;
        let (mut head, mut tail) = (0, 1);
        queue[0] = from;
        REACHED[usize::from(from)].store(u32::from(from) + 1, Ordering::Relaxed);
        while head < tail {
            let class = queue[head];
            head += 1;
            if class == to {
                break;
            }
            for order in &NOTED {
                let both = order.pair.load(Ordering::Acquire);
                if both >> 16 != u32::from(class) + 1 {
                    continue;
                }
                let next = (both & 0xffff) as u16 - 1;
                if REACHED[usize::from(next)].load(Ordering::Relaxed) == 0 {
                    REACHED[usize::from(next)].store(u32::from(class) + 1, Ordering::Relaxed);
                    queue[tail] = next;
                    tail += 1;
                }
            }
        }
        if REACHED[usize::from(to)].load(Ordering::Relaxed) == 0 {
            return 0;
        }
        let mut length = 0;
        let mut class = to;
        loop {
            queue[length] = class;
            length += 1;
            if class == from {
                break;
            }
            class = (REACHED[usize::from(class)].load(Ordering::Relaxed) - 1) as u16;
        }
        queue[..length].reverse();
        length
    }

    fn made(class: u16) -> Option<Place> {
        place(&KNOWN[usize::from(class)].made)
    }

    /// Prints a place, or that there is none.
    struct Show(Option<Place>);

    impl fmt::Display for Show {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {
                Some(place) => write!(f, "{}:{}", place.file(), place.line()),
                None => f.write_str("?"),
            }
        }
    }

    /// The text of a panic, which must not allocate: an allocation takes locks.
    struct Text {
        bytes: [u8; 2048],
        length: usize,
    }

    impl Write for Text {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = &mut self.bytes[self.length..];
            let count = text.len().min(room.len());
            room[..count].copy_from_slice(&text.as_bytes()[..count]);
            self.length += count;
            Ok(())
        }
    }

    #[track_caller]
    fn stop(explain: impl FnOnce(&mut Text)) -> ! {
        FOUND.store(true, Ordering::SeqCst);
        let mut text = Text { bytes: [0; 2048], length: 0 };
        explain(&mut text);
        panic!("lock checker: {}", core::str::from_utf8(&text.bytes[..text.length]).unwrap_or("?"));
    }

    fn held_list(text: &mut Text) {
        for entry in held() {
            // Writing to a buffer does not fail.
            let _ = write!(text, "\n  holding {}, taken at {}", Show(made(entry.class)), Show(Some(entry.taken)));
        }
    }

    /// Everything the caller holds: its task's locks, then its processor's.
    fn held() -> impl Iterator<Item = Entry> {
        let task = machine::with_task_locks(|held| held.entries.get()).unwrap_or([None; DEPTH]);
        let cpu = machine::with_cpu_locks(|held| held.entries.get());
        task.into_iter().chain(cpu).flatten()
    }

    fn skip() -> bool {
        FOUND.load(Ordering::Relaxed) || !machine::has_cpu_locks()
    }

    /// Before a lock is waited for.
    #[track_caller]
    pub fn wanted(class: Class, kind: Kind, lock: usize) {
        if skip() {
            return;
        }
        let here = Location::caller();
        let Some(wanted) = number(class) else { return };
        let in_handler = machine::in_interrupt();
        if in_handler && kind != Kind::Irq {
            stop(|text| {
                let _ = write!(text, "an interrupt handler takes the lock made at {}, ", Show(Some(class.made)));
                let _ = write!(text, "which leaves interrupts on or sleeps");
                held_list(text);
            });
        }
        if in_handler {
            KNOWN[usize::from(wanted)].in_handler.store(true, Ordering::Relaxed);
        }
        for entry in held() {
            if entry.lock == lock {
                stop(|text| {
                    let _ = write!(text, "the lock made at {} is wanted by its holder", Show(Some(class.made)));
                    held_list(text);
                });
            }
            if kind == Kind::Sleep && entry.kind != Kind::Sleep {
                stop(|text| {
                    let _ = write!(text, "the sleeping lock made at {} is wanted", Show(Some(class.made)));
                    let _ = write!(text, " under a spinning one");
                    held_list(text);
                });
            }
            if kind == Kind::Spin && KNOWN[usize::from(entry.class)].in_handler.load(Ordering::Relaxed) {
                stop(|text| {
                    let _ = write!(text, "the lock made at {}, which leaves interrupts on, ", Show(Some(class.made)));
                    let _ = write!(text, "is wanted under one that interrupt handlers take");
                    held_list(text);
                });
            }
            if entry.class != wanted {
                note(entry, wanted, here);
            }
        }
    }

    /// Notes that `wanted` comes after `before`, unless that is known or turns an order around.
    #[track_caller]
    fn note(before: Entry, wanted: u16, here: Place) {
        let both = pair(before.class, wanted);
        if is_noted(both) {
            return;
        }
        let _off = crate::cpu::IrqGuard::new();
        while NOTING.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
        let mut way = [0; CLASSES];
        let length = path(wanted, before.class, &mut way);
        if length == 0
            && let Some(order) = find(both)
        {
            order.held_at.store(raw(before.taken), Ordering::Relaxed);
            order.wanted_at.store(raw(here), Ordering::Relaxed);
            order.pair.store(both, Ordering::Release);
        }
        NOTING.store(false, Ordering::Release);
        if length == 0 {
            return;
        }
        stop(|text| {
            let _ = write!(text, "the lock made at {} is wanted, but was held before", Show(made(wanted)));
            let _ = write!(text, " when one that is held now was wanted:");
            for step in way[..length].windows(2) {
                let order = find(pair(step[0], step[1]));
                let at = |which: fn(&Order) -> &AtomicPtr<Location<'static>>| Show(order.and_then(|o| place(which(o))));
                let _ = write!(
                    text,
                    "\n  earlier: {} (taken at {}) before {} (at {})",
                    Show(made(step[0])),
                    at(|order| &order.held_at),
                    Show(made(step[1])),
                    at(|order| &order.wanted_at)
                );
            }
            held_list(text);
        });
    }

    /// The caller has it now.
    #[track_caller]
    pub fn taken(class: Class, kind: Kind, lock: usize) {
        if skip() {
            return;
        }
        let Some(class) = number(class) else { return };
        let entry = Entry { class, kind, lock, taken: Location::caller() };
        if kind == Kind::Sleep {
            machine::with_task_locks(|held| held.push(entry));
        } else {
            machine::with_cpu_locks(|held| held.push(entry));
        }
    }

    pub fn released(kind: Kind, lock: usize) {
        if skip() {
            return;
        }
        if kind == Kind::Sleep {
            machine::with_task_locks(|held| held.remove(lock));
        } else {
            machine::with_cpu_locks(|held| held.remove(lock));
        }
    }

    /// Fails when the caller holds any lock.
    pub fn nothing_held(what: &str) {
        if !skip() && held().next().is_some() {
            stop(|text| {
                let _ = write!(text, "{what} with locks held");
                held_list(text);
            });
        }
    }

    /// Fails when waiting for other processors may be waiting for oneself.
    pub fn may_wait_for_cpus() {
        if !skip() && (machine::in_interrupt() || held().any(|entry| entry.kind == Kind::Irq)) {
            stop(|text| {
                let _ = write!(text, "other processors are waited for with interrupts off");
                held_list(text);
            });
        }
    }
}

#[cfg(debug_assertions)]
pub use checker::Held;
pub use checker::{may_wait_for_cpus, nothing_held, released, taken, wanted};

#[cfg(all(test, debug_assertions))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::process::Command;
    use std::string::String;

    use super::may_wait_for_cpus;
    use crate::lock::{IrqLock, SpinLock};

    /// What goes wrong in `act` says so. In a process of its own, since the checker stops looking once it found something.
    fn finds(name: &str, act: impl FnOnce()) -> String {
        if std::env::var("CHECKER_CASE").as_deref() == Ok(name) {
            let _ = catch_unwind(AssertUnwindSafe(act));
            std::process::exit(0);
        }
        let test = std::format!("lock::check::tests::{name}");
        let run = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", &test, "--nocapture"])
            .env("CHECKER_CASE", name)
            .output()
            .expect("a run of this test");
        String::from_utf8_lossy(&run.stderr).into_owned()
    }

    #[test]
    fn both_orders() {
        let (one, two, three) = (SpinLock::new(1), SpinLock::new(2), SpinLock::new(3));
        let text = finds("both_orders", || {
            {
                let _one = one.lock();
                let _two = two.lock();
            }
            {
                let _two = two.lock();
                let _three = three.lock();
            }
            let _three = three.lock();
            let _one = one.lock();
        });
        assert!(text.contains("was held before") && text.matches("earlier:").count() == 2, "{text}");
    }

    #[test]
    fn one_lock_twice() {
        let lock = IrqLock::new(());
        let text = finds("one_lock_twice", || {
            let _first = lock.lock();
            let _second = lock.lock();
        });
        assert!(text.contains("wanted by its holder"), "{text}");
    }

    #[test]
    fn waiting_with_interrupts_off() {
        let lock = IrqLock::new(());
        let text = finds("waiting_with_interrupts_off", || {
            let _held = lock.lock();
            may_wait_for_cpus();
        });
        assert!(text.contains("with interrupts off"), "{text}");
    }

    #[test]
    fn an_order_that_holds_is_no_mistake() {
        let (one, two) = (SpinLock::new(1), IrqLock::new(2));
        for _ in 0..3 {
            let _one = one.lock();
            let _two = two.lock();
        }
        let _two = two.lock();
        // Without waiting, any order is allowed.
        assert!(one.try_lock().is_some());
    }
}
