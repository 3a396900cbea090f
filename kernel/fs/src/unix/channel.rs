//! One direction between two sockets: messages on their way.
//!
//! A stream is messages whose edges are not shown. Who waits looks only at the atomics; `queue` may be held over copies to
//! and from user memory.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aios_abi::Errno;
use kernel_mm::io::{Sink, Source, finish};
use kernel_mm::{Account, KernelCharge, charge_kernel_bytes};
use kernel_sync::{Mutex, WaitQueue};

/// Bytes on their way at most (Linux's `net.core.wmem_default`).
pub const CAPACITY: usize = 212_992;
/// Messages on their way at most, where their edges count (`net.unix.max_dgram_qlen` and the one being sent).
const MAX_MESSAGES: usize = 11;
/// A stream's bytes travel in messages of at most this size.
const CHUNK: usize = 32 * 1024;

struct Message {
    bytes: Vec<u8>,
    /// Bytes that a stream's reader has taken.
    taken: usize,
    _charge: KernelCharge,
}

impl Message {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }
}

/// How to receive.
#[derive(Clone, Copy, Default, Debug)]
pub struct Receive {
    /// `MSG_PEEK`: leave what is read.
    pub peek: bool,
    /// Fail with `EAGAIN` instead of waiting.
    pub nonblocking: bool,
    /// `MSG_WAITALL`: wait until the buffer is full.
    pub fill: bool,
}

/// What was received.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Received {
    /// Bytes put into the buffer.
    pub count: usize,
    /// Bytes of the message, when it was longer than the buffer.
    pub whole: usize,
}

pub struct Channel {
    queue: Mutex<VecDeque<Message>>,
    /// Messages and bytes in the queue.
    messages: AtomicUsize,
    bytes: AtomicUsize,
    /// The sender, or the receiver, is done.
    no_more: AtomicBool,
    unwanted: AtomicBool,
    account: Arc<Account>,
    pub data: Arc<WaitQueue>,
    pub space: Arc<WaitQueue>,
}

impl Channel {
    pub fn new(account: &Arc<Account>) -> Arc<Channel> {
        Arc::new(Channel {
            queue: Mutex::default(),
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            no_more: AtomicBool::new(false),
            unwanted: AtomicBool::new(false),
            account: account.clone(),
            data: Arc::default(),
            space: Arc::default(),
        })
    }

    /// The sender sends no more: the receiver comes to the end.
    pub fn end(&self) {
        self.no_more.store(true, Ordering::Release);
        self.data.wake_all();
        self.space.wake_all();
    }

    /// The receiver takes no more: sending fails with `EPIPE`.
    pub fn refuse(&self) {
        self.unwanted.store(true, Ordering::Release);
        self.data.wake_all();
        self.space.wake_all();
    }

    pub fn is_ended(&self) -> bool {
        self.no_more.load(Ordering::Acquire)
    }

    pub fn is_refused(&self) -> bool {
        self.unwanted.load(Ordering::Acquire)
    }

    /// Bytes that can be received now.
    pub fn len(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    /// A message, be it empty, can be received now.
    pub fn has_message(&self) -> bool {
        self.messages.load(Ordering::Acquire) > 0
    }

    /// Bytes of the first message.
    pub fn first_len(&self) -> usize {
        self.queue.lock().front().map_or(0, |message| message.rest().len())
    }

    /// There is room for more, as `poll` tells it: at least half of it is free.
    pub fn is_writable(&self, edges: bool) -> bool {
        self.len() * 2 < CAPACITY && !(edges && self.messages.load(Ordering::Acquire) >= MAX_MESSAGES)
    }

    fn has_room(&self, len: usize, edges: bool) -> bool {
        let queued = self.messages.load(Ordering::Acquire);
        queued == 0 || self.len() + len <= CAPACITY && !(edges && queued >= MAX_MESSAGES)
    }

    /// Sends what the source holds: with `edges` as one message (`EMSGSIZE` when it is too long), else in pieces.
    pub fn send(&self, source: &mut Source, edges: bool, nonblocking: bool) -> Result<usize, Errno> {
        let whole = source.remaining();
        if edges && whole > CAPACITY {
            return Err(Errno::EMSGSIZE);
        }
        if !edges && whole == 0 {
            return Ok(0);
        }
        let mut sent = 0;
        loop {
            let len = if edges { whole } else { CHUNK.min(source.remaining()) };
            match self.send_one(source, len, edges, nonblocking) {
                Ok(()) => sent += len,
                Err(error) => return finish(sent, Err(error)),
            }
            if source.remaining() == 0 {
                return Ok(sent);
            }
        }
    }

    fn send_one(&self, source: &mut Source, len: usize, edges: bool, nonblocking: bool) -> Result<(), Errno> {
        // The read end first: what cannot arrive is not looked at.
        self.check_open()?;
        let charge = charge_kernel_bytes(&self.account, size_of::<Message>() + len)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(len, 0);
        source.take(&mut bytes)?;
        let mut message = Some(Message { bytes, taken: 0, _charge: charge });
        loop {
            let mut queue = self.queue.lock();
            self.check_open()?;
            if self.has_room(len, edges) {
                queue.extend(message.take());
                self.count(&queue, len as isize);
                drop(queue);
                self.data.wake_one();
                return Ok(());
            }
            drop(queue);
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            let ready = || (self.has_room(len, edges) || self.check_open().is_err()).then_some(());
            self.space.wait_until(ready)?;
        }
    }

    fn check_open(&self) -> Result<(), Errno> {
        if self.is_ended() || self.is_refused() { Err(Errno::EPIPE) } else { Ok(()) }
    }

    fn count(&self, queue: &VecDeque<Message>, bytes: isize) {
        self.bytes.store(self.len().saturating_add_signed(bytes), Ordering::Release);
        self.messages.store(queue.len(), Ordering::Release);
    }

    /// Receives into the sink: one message with `edges`, else what there is. Nothing at the end.
    pub fn receive(&self, sink: &mut Sink, edges: bool, how: Receive) -> Result<Received, Errno> {
        let mut received = Received::default();
        if !edges && sink.remaining() == 0 {
            return Ok(received);
        }
        loop {
            let mut queue = self.queue.lock();
            if !queue.is_empty() {
                let outcome =
                    if edges { self.take_one(&mut queue, sink, how) } else { self.take(&mut queue, sink, how) };
                drop(queue);
                self.space.wake_one();
                match outcome {
                    Ok(got) => {
                        received.count += got.count;
                        received.whole = got.whole;
                    }
                    Err(error) => return finish(received.count, Err(error)).map(|_| received),
                }
                if edges || how.peek || !how.fill || sink.remaining() == 0 {
                    return Ok(received);
                }
                continue;
            }
            drop(queue);
            if self.is_ended() || self.is_refused() {
                // A sender's last message comes before its leaving.
                if self.has_message() {
                    continue;
                }
                return Ok(received);
            }
            let waited = if how.nonblocking {
                Err(Errno::EAGAIN)
            } else {
                let ready = || (self.has_message() || self.is_ended() || self.is_refused()).then_some(());
                self.data.wait_until(ready).map_err(Errno::from)
            };
            if let Err(error) = waited {
                return finish(received.count, Err(error)).map(|_| received);
            }
        }
    }

    /// One message; what does not fit is dropped with it.
    fn take_one(&self, queue: &mut VecDeque<Message>, sink: &mut Sink, how: Receive) -> Result<Received, Errno> {
        let Some(message) = queue.front() else { return Ok(Received::default()) };
        let whole = message.rest().len();
        let before = sink.done();
        let outcome = sink.put(message.rest());
        if !how.peek {
            let gone = queue.pop_front();
            self.count(queue, -(whole as isize));
            drop(gone);
        }
        outcome.map(|()| Received { count: sink.done() - before, whole })
    }

    /// Bytes of as many messages as fit.
    fn take(&self, queue: &mut VecDeque<Message>, sink: &mut Sink, how: Receive) -> Result<Received, Errno> {
        let before = sink.done();
        let mut outcome = Ok(());
        let mut index = 0;
        while sink.remaining() > 0 && outcome.is_ok() {
            let Some(message) = queue.get_mut(index) else { break };
            let start = sink.done();
            outcome = sink.put(message.rest());
            if how.peek {
                index += 1;
                continue;
            }
            message.taken += sink.done() - start;
            if message.rest().is_empty() {
                queue.pop_front();
            }
        }
        let count = sink.done() - before;
        if !how.peek {
            self.count(queue, -(count as isize));
        }
        finish(count, outcome).map(|count| Received { count, whole: count })
    }
}
