//! A terminal: a line discipline between a port and those who have it open, and whose terminal it is.
//!
//! Lock order: `discipline` (sleeps; held while the port writes, so that echo and output do not mix), then `owner`.
//! Signals are sent with neither held.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;

use aios_abi::Errno;
use aios_abi::linux::consts::{cc, lflag, signal};
use aios_abi::linux::structs::Winsize;
use kernel_hal::addr::Virt;
use kernel_hal::time::{Instant, now};
use kernel_mm::io::{Sink, Source, finish};
use kernel_sync::{Mutex, Once, Poller, SpinLock, WaitError, WaitQueue};

use super::{Discipline, Event, Taken};
use crate::device::{self, Device};
use crate::file::{File, FileOps, Position};
use crate::poll;
use crate::types::DeviceNumber;
use crate::vfs::OpenRequest;

/// Bytes of output that are processed at a time.
const CHUNK: usize = 512;

/// What a terminal is connected to.
pub trait TtyPort: Send + Sync {
    /// Sends bytes; may sleep until they are on their way.
    fn write(&self, bytes: &[u8]);
}

/// A session: agents number their own, so a number alone does not name one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session {
    /// The agent, by its identity.
    pub agent: u64,
    pub number: u32,
}

/// The calling process, as job control sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Process group.
    pub group: u32,
    pub session: Session,
    pub is_leader: bool,
}

/// What terminals ask the process room.
pub trait JobControl: Sync {
    /// The calling process; `None` for the kernel's own threads.
    fn caller(&self) -> Option<Caller>;
    /// True when the caller blocks or ignores `signal`.
    fn is_ignored(&self, signal: u32) -> bool;
    /// True when nobody could continue the group after it stopped.
    fn is_orphaned(&self, group: u32) -> bool;
    /// The session that a group of the caller's agent is in.
    fn session_of(&self, group: u32) -> Option<Session>;
    /// Signals a group of `session`'s agent.
    fn signal_group(&self, session: Session, group: u32, signal: u32);
    /// The controlling terminal of the caller's session.
    fn terminal(&self) -> Option<Arc<Tty>>;
    /// Makes `terminal` the controlling terminal of the caller's session, or leaves the session without one.
    fn set_terminal(&self, terminal: Option<Arc<Tty>>);
}

static JOB_CONTROL: Once<&'static dyn JobControl> = Once::new();

/// Installs the process room's answers. Called once at start-up; until then nobody is refused or signalled.
pub fn set_job_control(job_control: &'static dyn JobControl) {
    JOB_CONTROL.set(job_control);
}

pub(super) fn job_control() -> Option<&'static dyn JobControl> {
    JOB_CONTROL.get().copied()
}

/// Whose terminal it is.
#[derive(Clone, Copy, Default)]
pub(super) struct Owner {
    pub session: Option<Session>,
    /// The process group that may read, and gets the signals.
    pub foreground: Option<u32>,
}

/// A terminal.
pub struct Tty {
    port: Arc<dyn TtyPort>,
    pub(super) discipline: Mutex<Discipline>,
    pub(super) owner: SpinLock<Owner>,
    pub(super) window: SpinLock<Winsize>,
    hung_up: AtomicBool,
    /// Its device number, encoded as `stat` has it; 0 before it is registered.
    number: AtomicU64,
    readable: Arc<WaitQueue>,
    writable: Arc<WaitQueue>,
    /// Woken when there may be room for input again.
    drained: WaitQueue,
}

impl Tty {
    pub fn new(port: Arc<dyn TtyPort>) -> Arc<Tty> {
        let window = Winsize { rows: 24, columns: 80, ..Winsize::default() };
        Arc::new(Tty {
            port,
            discipline: Mutex::default(),
            owner: SpinLock::default(),
            window: SpinLock::new(window),
            hung_up: AtomicBool::new(false),
            number: AtomicU64::new(0),
            readable: Arc::default(),
            writable: Arc::default(),
            drained: WaitQueue::new(),
        })
    }

    /// The number of its device, if it has one.
    pub fn number(&self) -> Option<DeviceNumber> {
        let number = self.number.load(Ordering::Relaxed);
        if number == 0 { None } else { Some(DeviceNumber::decode_wide(number)) }
    }

    /// Takes what the port received. Not for interrupt handlers: it sleeps while the echo is written, and while input waits
    /// to be read and there is no room for more, so that the port holds its sender back and nothing is lost.
    pub fn input(&self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() && !self.hung_up.load(Ordering::Acquire) {
            let taken = self.receive(rest);
            rest = rest.get(taken..).unwrap_or_default();
            if !rest.is_empty() {
                let room = || self.discipline.lock().has_room() || self.hung_up.load(Ordering::Acquire);
                self.drained.wait_uninterruptible(|| room().then_some(()));
            }
        }
    }

    /// Takes bytes as long as there is room; returns how many.
    fn receive(&self, bytes: &[u8]) -> usize {
        let mut events = Vec::new();
        let mut taken = 0;
        let mut discipline = self.discipline.lock();
        let mut echo = Vec::new();
        for byte in bytes {
            if !discipline.has_room() {
                break;
            }
            events.extend(discipline.receive(*byte, &mut echo));
            taken += 1;
        }
        if !echo.is_empty() {
            self.port.write(&echo);
        }
        let ready = discipline.is_ready() || !discipline.settings().is_canonical();
        let running = !discipline.is_stopped();
        drop(discipline);
        for event in events {
            if let Event::Signal(signal) = event {
                self.signal_foreground(signal);
            }
        }
        if running {
            self.writable.wake_all();
        }
        if ready {
            self.readable.wake_all();
        }
        taken
    }

    /// Sets the size of the window, rows and columns of characters, and tells the foreground group when it changed.
    pub fn set_window(&self, window: Winsize) {
        let before = core::mem::replace(&mut *self.window.lock(), window);
        if before != window {
            self.signal_foreground(signal::SIGWINCH);
        }
    }

    /// The line is gone: reads end, writes fail, the foreground group is told.
    pub fn hang_up(&self) {
        self.hung_up.store(true, Ordering::Release);
        self.signal_foreground(signal::SIGHUP);
        self.signal_foreground(signal::SIGCONT);
        self.readable.wake_all();
        self.writable.wake_all();
        self.drained.wake_all();
    }

    pub(super) fn signal_foreground(&self, signal: u32) {
        let owner = *self.owner.lock();
        if let (Some(job_control), Some(session), Some(group)) = (job_control(), owner.session, owner.foreground) {
            job_control.signal_group(session, group, signal);
        }
    }

    pub(super) fn wake_readers(&self) {
        self.readable.wake_all();
    }

    pub(super) fn wake_writers(&self) {
        self.writable.wake_all();
    }

    /// Input was read or dropped.
    pub(super) fn wake_port(&self) {
        self.drained.wake_all();
    }

    /// The session that this is the controlling terminal of.
    pub fn session(&self) -> Option<Session> {
        self.owner.lock().session
    }

    /// The foreground process group.
    pub fn foreground(&self) -> Option<u32> {
        self.owner.lock().foreground
    }

    /// Makes `group` of `session` the foreground, and the terminal that session's.
    pub fn give_to(&self, session: Session, group: u32) {
        *self.owner.lock() = Owner { session: Some(session), foreground: Some(group) };
    }

    /// Ends `session`'s hold of the terminal, as when its leader exits. Returns the foreground group, which the
    /// caller tells.
    pub fn release_session(&self, session: Session) -> Option<u32> {
        let mut owner = self.owner.lock();
        if owner.session != Some(session) {
            return None;
        }
        core::mem::take(&mut *owner).foreground
    }

    /// Lets the foreground pass; tells the others with `signal` and has their call restarted. `EIO` for who would
    /// wait for ever.
    pub(super) fn check_foreground(&self, signal: u32) -> Result<(), Errno> {
        let Some(job_control) = job_control() else { return Ok(()) };
        let Some(caller) = job_control.caller() else { return Ok(()) };
        let owner = *self.owner.lock();
        if owner.session != Some(caller.session) || owner.foreground.is_none_or(|group| group == caller.group) {
            return Ok(());
        }
        if job_control.is_ignored(signal) {
            return if signal == signal::SIGTTIN { Err(Errno::EIO) } else { Ok(()) };
        }
        if job_control.is_orphaned(caller.group) {
            return Err(Errno::EIO);
        }
        job_control.signal_group(caller.session, caller.group, signal);
        Err(Errno::ERESTARTSYS)
    }

    /// When a raw read that has `have` bytes must end; `None` for never.
    fn deadline(&self, have: usize) -> Option<Instant> {
        let discipline = self.discipline.lock();
        let settings = discipline.settings();
        if settings.is_canonical() {
            return None;
        }
        let tenths = Duration::from_millis(100 * u64::from(settings.control(cc::VTIME)));
        match (settings.control(cc::VMIN), tenths.is_zero()) {
            (0, _) => Some(now() + tenths),
            (_, true) => None,
            // Between bytes only: the first is waited for.
            (_, false) => (have > 0).then(|| now() + tenths),
        }
    }

    /// Copies what is there. `None` when there is nothing yet.
    fn read_ready(&self, sink: &mut Sink) -> Option<Result<usize, Errno>> {
        let mut buffer = [0; 256];
        let mut discipline = self.discipline.lock();
        let count = sink.remaining().min(buffer.len());
        let place = buffer.get_mut(..count)?;
        match discipline.take(place) {
            Taken::Nothing => None,
            Taken::Bytes(count) => {
                let line = discipline.settings().is_canonical();
                drop(discipline);
                self.wake_port();
                let before = sink.done();
                let result = sink.put(buffer.get(..count).unwrap_or_default());
                let mut moved = sink.done() - before;
                // A long line, or more raw input, goes on in the next piece.
                if result.is_ok() && count == buffer.len() && (!line || buffer.last() != Some(&b'\n')) {
                    moved += self.read_ready(sink).and_then(Result::ok).unwrap_or(0);
                }
                Some(finish(moved, result))
            }
        }
    }

    fn enough(&self, have: usize) -> bool {
        let discipline = self.discipline.lock();
        let settings = discipline.settings();
        settings.is_canonical() || have >= usize::from(settings.control(cc::VMIN).max(1))
    }
}

impl FileOps for Tty {
    fn read(&self, file: &File, _offset: &mut u64, sink: &mut Sink) -> Result<usize, Errno> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        self.check_foreground(signal::SIGTTIN)?;
        let mut have = 0;
        loop {
            match self.read_ready(sink) {
                Some(Ok(count)) => have += count,
                Some(Err(error)) => return finish(have, Err(error)),
                None if self.hung_up.load(Ordering::Acquire) => return Ok(have),
                None => {
                    if file.is_nonblocking() {
                        return finish(have, Err(Errno::EAGAIN));
                    }
                    let ready = || {
                        let come = self.discipline.lock().has_input() || self.hung_up.load(Ordering::Acquire);
                        come.then_some(())
                    };
                    match self.readable.wait_until_deadline(self.deadline(have), ready) {
                        Ok(()) => continue,
                        Err(WaitError::TimedOut) => return Ok(have),
                        Err(WaitError::Interrupted) => return finish(have, Err(Errno::ERESTARTSYS)),
                    }
                }
            }
            if self.enough(have) || sink.remaining() == 0 {
                return Ok(have);
            }
        }
    }

    fn write(&self, file: &File, _offset: &mut u64, source: &mut Source) -> Result<usize, Errno> {
        if self.discipline.lock().settings().local(lflag::TOSTOP) {
            self.check_foreground(signal::SIGTTOU)?;
        }
        let mut moved = 0;
        let mut chunk = [0; CHUNK];
        let mut out = Vec::with_capacity(2 * CHUNK);
        while source.remaining() > 0 {
            if self.hung_up.load(Ordering::Acquire) {
                return finish(moved, Err(Errno::EIO));
            }
            // User memory first: it may fault, and the discipline must not wait for that.
            let before = source.done();
            let taken = source.take(&mut chunk);
            let count = source.done() - before;
            loop {
                let mut discipline = self.discipline.lock();
                if !discipline.is_stopped() {
                    out.clear();
                    discipline.send(chunk.get(..count).unwrap_or_default(), &mut out);
                    self.port.write(&out);
                    break;
                }
                drop(discipline);
                if file.is_nonblocking() {
                    return finish(moved, Err(Errno::EAGAIN));
                }
                let running = || {
                    let on = !self.discipline.lock().is_stopped() || self.hung_up.load(Ordering::Acquire);
                    on.then_some(())
                };
                if let Err(interrupted) = self.writable.wait_until(running) {
                    return finish(moved, Err(interrupted.into()));
                }
            }
            moved += count;
            if let Err(error) = taken {
                return finish(moved, Err(error));
            }
        }
        Ok(moved)
    }

    fn position(&self) -> Position {
        Position::Stream
    }

    fn poll(&self, _file: &File, poller: Option<&mut Poller>) -> u32 {
        if let Some(poller) = poller {
            poller.watch(&self.readable);
            poller.watch(&self.writable);
        }
        if self.hung_up.load(Ordering::Acquire) {
            return poll::READABLE | poll::WRITABLE | poll::HANGUP | poll::ERROR;
        }
        let discipline = self.discipline.lock();
        let input = if discipline.is_ready() { poll::READABLE } else { 0 };
        let output = if discipline.is_stopped() { 0 } else { poll::WRITABLE };
        input | output
    }

    fn ioctl(&self, file: &File, command: u32, argument: Virt) -> Result<usize, Errno> {
        self.control(file, command, argument)
    }
}

/// A device node that leads to one terminal.
struct TtyDevice(Arc<Tty>);

impl Device for TtyDevice {
    fn open(&self, request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno> {
        let tty = &self.0;
        if let Some(job_control) = job_control()
            && let Some(caller) = job_control.caller()
            && !request.no_terminal
            && caller.is_leader
            && tty.session().is_none()
            && job_control.terminal().is_none()
        {
            tty.give_to(caller.session, caller.group);
            job_control.set_terminal(Some(tty.clone()));
        }
        Ok(tty.clone())
    }
}

/// `/dev/tty`: the caller's controlling terminal.
struct ControllingTerminal;

impl Device for ControllingTerminal {
    fn open(&self, _request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno> {
        let terminal = job_control().and_then(|job_control| job_control.terminal()).ok_or(Errno::ENXIO)?;
        Ok(terminal)
    }
}

/// Registers `tty` as device `name`, and `/dev/tty` with the first one.
pub fn register(name: &'static str, number: DeviceNumber, tty: &Arc<Tty>) {
    tty.number.store(number.encode(), Ordering::Relaxed);
    device::register(name, number, 0o620, Arc::new(TtyDevice(tty.clone())));
    device::register("tty", DeviceNumber::new(5, 0), 0o666, Arc::new(ControllingTerminal));
}
