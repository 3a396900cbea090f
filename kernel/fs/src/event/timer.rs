//! A timer to wait for (`timerfd_create(2)`).
//!
//! What has run out is computed when somebody looks: the file keeps the next expiration that nobody has read, and a timer of
//! the scheduler's only wakes those who wait for it. So a timer with a tiny interval costs an interrupt for each read.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::time::Duration;

use aios_abi::Errno;
use aios_abi::linux::consts::open;
use kernel_hal::time::{self, Instant, now};
use kernel_mm::io::Sink;
use kernel_sched::timer::Timer;
use kernel_sync::{Poller, SpinLock, WaitQueue, Wake};

use crate::file::{File, FileOps, Position};
use crate::poll;

/// What a timer is set to, or what is left of it, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Setting {
    /// Until it runs out first, or that time on its clock; 0 stops it.
    pub value: u64,
    /// Between further expirations; 0 for none.
    pub interval: u64,
}

#[derive(Default)]
struct State {
    /// The next expiration that was not read, on the monotonic clock; `None` while it is stopped.
    next: Option<u64>,
    interval: u64,
    /// The same expiration on the wall clock, where that counts.
    wall: Option<u64>,
    /// Setting the wall clock ends a read with `ECANCELED`; and that has happened.
    cancels: bool,
    canceled: bool,
}

impl State {
    /// How often it has run out since the last read.
    fn expirations(&self, now: u64) -> u64 {
        match self.next {
            Some(next) if next <= now => 1 + (now - next).checked_div(self.interval).unwrap_or(0),
            _ => 0,
        }
    }

    /// Counts what has run out as read.
    fn forward(&mut self, now: u64) -> u64 {
        let count = self.expirations(now);
        if count != 0 {
            let by = self.interval.saturating_mul(count);
            let on = |at: u64| at.saturating_add(by);
            (self.next, self.wall) =
                if self.interval == 0 { (None, None) } else { (self.next.map(on), self.wall.map(on)) };
        }
        count
    }

    fn left(&self, now: u64) -> Setting {
        let ahead = self.next.map(|next| next.saturating_add(self.interval.saturating_mul(self.expirations(now))));
        Setting { value: ahead.map_or(0, |ahead| ahead.saturating_sub(now)), interval: self.interval }
    }
}

/// Who waits for the file.
#[derive(Default)]
struct Bell {
    queue: Arc<WaitQueue>,
}

impl Wake for Bell {
    fn wake(&self) {
        self.queue.wake_all();
    }
}

/// The file.
pub struct TimerFile {
    /// On the wall clock, else on the monotonic one.
    wall: bool,
    state: SpinLock<State>,
    timer: Timer,
    bell: Arc<Bell>,
}

/// Files whose timer is set to a time on the wall clock. Those that are gone are dropped when the clock is set, and when
/// there are many.
static ON_WALL_CLOCK: SpinLock<Vec<Weak<TimerFile>>> = SpinLock::new(Vec::new());

/// Whoever set the wall clock tells so: timers on it run out at their time on the new one.
pub fn wall_clock_was_set() {
    let files = {
        let mut files = ON_WALL_CLOCK.lock();
        core::mem::take(&mut *files)
    };
    for file in files.iter().filter_map(Weak::upgrade) {
        file.clock_was_set();
    }
    let mut list = ON_WALL_CLOCK.lock();
    list.extend(files.into_iter().filter(|file| file.strong_count() != 0));
}

fn until_wall(at: u64) -> u64 {
    let ahead = Duration::from_nanos(at).saturating_sub(time::wall_clock());
    (now() + ahead).0
}

impl TimerFile {
    /// `timerfd_create(2)`, on the wall clock or on the monotonic one. `flags` may hold `O_NONBLOCK`.
    pub fn create(wall: bool, flags: u32) -> Result<Arc<File>, Errno> {
        let file = Arc::new(TimerFile { wall, state: SpinLock::default(), timer: Timer::new()?, bell: Arc::default() });
        if wall {
            let mut list = ON_WALL_CLOCK.lock();
            if list.len() == list.capacity() {
                list.retain(|file| file.strong_count() != 0);
                list.try_reserve(16).map_err(|_| Errno::ENOMEM)?;
            }
            list.push(Arc::downgrade(&file));
        }
        Ok(super::open(file, b"anon_inode:[timerfd]", open::O_RDWR | flags & open::O_NONBLOCK))
    }

    /// The timer behind an open file: `EINVAL` for any other file.
    pub fn of(file: &File) -> Result<Arc<TimerFile>, Errno> {
        let ops: Arc<dyn Any + Send + Sync> = file.ops().clone();
        ops.downcast().map_err(|_| Errno::EINVAL)
    }

    /// Sets it and returns what was left (`timerfd_settime(2)`). An `absolute` value is a time on the file's clock; only with
    /// one of the wall clock does `cancels` mean anything.
    pub fn set(&self, setting: Setting, absolute: bool, cancels: bool) -> Setting {
        let mut state = self.state.lock();
        let at = now().0;
        let old = state.left(at);
        let wall = self.wall && absolute && setting.value != 0;
        let next = match (setting.value, absolute) {
            (0, _) => None,
            (value, false) => Some(at.saturating_add(value)),
            (value, true) if self.wall => Some(until_wall(value)),
            (value, true) => Some(value),
        };
        *state = State {
            next,
            interval: setting.interval,
            wall: wall.then_some(setting.value),
            cancels: cancels && self.wall && absolute,
            canceled: false,
        };
        self.arrange(&state);
        old
    }

    /// What is left (`timerfd_gettime(2)`).
    pub fn get(&self) -> Setting {
        self.state.lock().left(now().0)
    }

    /// Sets the scheduler's timer to the next expiration that nobody has been woken for.
    fn arrange(&self, state: &State) {
        match state.next {
            Some(next) => self.timer.set(Instant(next), Duration::ZERO, self.bell.clone()),
            None => {
                self.timer.cancel();
            }
        }
    }

    fn clock_was_set(&self) {
        let mut state = self.state.lock();
        if let Some(wall) = state.wall {
            state.next = Some(until_wall(wall));
            self.arrange(&state);
        }
        if state.cancels {
            state.canceled = true;
            drop(state);
            self.bell.wake();
        }
    }

    /// Expirations since the last read, at least one; `None` when there is none yet.
    fn take(&self) -> Option<Result<u64, Errno>> {
        let mut state = self.state.lock();
        if core::mem::take(&mut state.canceled) {
            return Some(Err(Errno::ECANCELED));
        }
        let count = state.forward(now().0);
        if count == 0 {
            return None;
        }
        self.arrange(&state);
        Some(Ok(count))
    }
}

impl FileOps for TimerFile {
    fn read(&self, file: &File, _offset: &mut u64, sink: &mut Sink) -> Result<usize, Errno> {
        if sink.remaining() < size_of::<u64>() {
            return Err(Errno::EINVAL);
        }
        let count = match self.take() {
            Some(count) => count,
            None if file.is_nonblocking() => return Err(Errno::EAGAIN),
            None => self.bell.queue.wait_until(|| self.take())?,
        }?;
        sink.put(&count.to_ne_bytes())?;
        Ok(size_of::<u64>())
    }

    fn position(&self) -> Position {
        Position::Still
    }

    fn poll(&self, _file: &File, poller: Option<&mut Poller>) -> u32 {
        if let Some(poller) = poller {
            poller.watch(&self.bell.queue);
        }
        let state = self.state.lock();
        if state.canceled || state.expirations(now().0) != 0 { poll::READABLE } else { 0 }
    }

    fn allocate(&self, _file: &File, _mode: u32, _offset: u64, _length: u64) -> Result<(), Errno> {
        Err(Errno::ENODEV)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_out_is_counted_on_the_grid() {
        let mut state = State { next: Some(100), interval: 30, ..State::default() };
        assert_eq!((state.expirations(99), state.left(99)), (0, Setting { value: 1, interval: 30 }));
        assert_eq!((state.expirations(100), state.left(100)), (1, Setting { value: 30, interval: 30 }));
        assert_eq!(state.expirations(189), 3);
        assert_eq!(state.left(189), Setting { value: 1, interval: 30 }, "nothing is lost by looking");
        assert_eq!((state.forward(189), state.next), (3, Some(190)));
        assert_eq!(state.forward(189), 0);
    }

    #[test]
    fn once_is_once() {
        let mut state = State { next: Some(100), ..State::default() };
        assert_eq!((state.left(40), state.left(200)), (Setting { value: 60, interval: 0 }, Setting::default()));
        assert_eq!((state.forward(u64::MAX), state.forward(u64::MAX)), (1, 0));
        assert_eq!(state.left(300), Setting::default());
    }

    #[test]
    fn the_end_of_time_does_not_wrap() {
        let mut state = State { next: Some(1), interval: u64::MAX, ..State::default() };
        assert_eq!((state.forward(5), state.next), (1, Some(u64::MAX)));
        let mut fast = State { next: Some(0), interval: 1, ..State::default() };
        assert_eq!(fast.forward(u64::MAX - 1), u64::MAX);
        assert!(fast.next.is_some());
    }

    /// Nothing else in these tests reads the wall clock to the second, so it may be moved for a moment.
    #[test]
    fn setting_the_clock_moves_and_cancels() {
        kernel_hal::hosted::init(16 << 20);
        let wall = || u64::try_from(time::wall_clock().as_nanos()).expect("within centuries");
        let second = 1_000_000_000;
        let file = TimerFile::create(true, open::O_NONBLOCK).expect("a file");
        let timer = TimerFile::of(&file).expect("a timer");
        let read = |file: &File| {
            let mut bytes = [0; 8];
            file.read(&mut Sink::kernel(&mut bytes)).map(|_| u64::from_ne_bytes(bytes))
        };
        let start = wall();
        timer.set(Setting { value: start + 100 * second, interval: 0 }, true, false);
        assert_eq!(read(&file), Err(Errno::EAGAIN));
        time::set_wall_clock(Duration::from_nanos(start + 200 * second));
        wall_clock_was_set();
        assert_eq!((file.poll(None), read(&file)), (poll::READABLE, Ok(1)), "its time has passed on the new clock");
        timer.set(Setting { value: start + 300 * second, interval: 0 }, true, true);
        time::set_wall_clock(Duration::from_nanos(start));
        wall_clock_was_set();
        assert_eq!((file.poll(None), read(&file)), (poll::READABLE, Err(Errno::ECANCELED)));
        assert_eq!((file.poll(None), read(&file)), (0, Err(Errno::EAGAIN)));
        let left = timer.get().value;
        assert!(left > 299 * second && left <= 300 * second, "{left}");
        drop((file, timer));
        wall_clock_was_set();
        assert!(ON_WALL_CLOCK.lock().is_empty());
    }
}
