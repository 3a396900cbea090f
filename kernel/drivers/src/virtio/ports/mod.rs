//! Byte streams to and from the host: the ports of a console device with the multiport feature (VIRTIO 1.2 §5.3).
//!
//! Port 0 is the console proper and is not used. Every other port is a stream in each direction. Both have flow control:
//! what nobody reads waits at the host, and a write lasts until the host has taken the bytes. So nothing is lost, and
//! what a write returned for is out of the machine.
//!
//! All queues share one interrupt, whose handler only wakes; whoever wakes collects control messages for itself and others.
//! What the device writes is foreign input. A device that breaks the rules of a queue is not used any more: all calls
//! fail with `EIO`.
//!
//! Lock order: a port's `pending`, then the queues, each alone.

mod boxes;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use aios_abi::Errno;
use kernel_bus::pci::{Function, Match, Pci};
use kernel_hal::time::now;
use kernel_sync::{Mutex, SpinLock, WaitQueue};

use super::queue::Broken;
use super::spec::{self, console};
use super::transport::{Bell, ProbeError, Transport};
use boxes::{Inbox, Outbox};

const DEVICES: [u16; 2] = spec::pci_devices(console::KIND, console::TRANSITIONAL);
/// Ports that are used at most, port 0 counted.
const MAX_PORTS: u32 = 8;
/// Interrupts of all queues, and of the device's state.
const QUEUES_ENTRY: u16 = 0;
const STATE_ENTRY: u16 = 1;
/// Buffers for input of one port, and their size: that of the pieces in which QEMU reads.
const PIECES: u16 = 8;
const PIECE: usize = 4096;
/// Bytes sent at a time.
const MOST_SENT: usize = 32 << 10;
/// Buffers for control messages; the longest that matters has 8 bytes, names are cut.
const MESSAGES: u16 = 32;
const MESSAGE: usize = 64;
/// How long the device may take to announce a port or to take a control message.
const PATIENCE: Duration = Duration::from_secs(2);

/// One stream.
struct Port {
    receive_bell: Bell,
    send_bell: Bell,
    inbox: SpinLock<Inbox>,
    outbox: SpinLock<Outbox>,
    /// Input that was taken from the device and not read yet.
    pending: Mutex<Pending>,
    has_pending: AtomicBool,
    /// The device has announced it.
    added: AtomicBool,
    /// The device was told that somebody uses it.
    opened: AtomicBool,
    /// The host has closed its end. Until it says so it is taken to be there.
    closed: AtomicBool,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    at: usize,
}

/// The control queues.
struct Control {
    /// With room for one message that was received.
    inbox: SpinLock<(Inbox, Vec<u8>)>,
    receive_bell: Bell,
    outbox: SpinLock<Outbox>,
    send_bell: Bell,
    /// One message at a time.
    sender: Mutex<()>,
}

/// What could be done on a port without waiting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Readiness {
    pub readable: bool,
    pub writable: bool,
    /// The host has closed its end, or the device failed.
    pub hung_up: bool,
}

/// A device with its ports.
pub struct SerialPorts {
    // First: dropping it resets the device, after which the buffers in the fields below may go.
    transport: Transport,
    control: Control,
    /// From port 1 on.
    ports: Vec<Port>,
    events: Arc<WaitQueue>,
    /// The device's state changed.
    changed: Arc<AtomicBool>,
    broken: AtomicBool,
}

impl SerialPorts {
    /// Takes over the first such device of the machine. One that cannot be used is logged and left alone.
    pub fn probe(pci: &mut Pci) -> Option<Arc<SerialPorts>> {
        let wanted = Match { vendor: Some(spec::VENDOR), devices: &DEVICES, class: None };
        let function = pci.claim(&wanted)?;
        let address = function.address;
        match SerialPorts::new(function) {
            Ok(ports) => Some(Arc::new(ports)),
            Err(error) => {
                log::warn!("serial ports {address}: {error}");
                None
            }
        }
    }

    /// Takes over one device.
    pub fn new(function: Function) -> Result<SerialPorts, ProbeError> {
        let (transport, features) = Transport::new(function, console::MULTIPORT)?;
        if features & console::MULTIPORT == 0 {
            return Err(ProbeError::Features);
        }
        let mut count = [0; 4];
        transport.read_config(console::MAX_PORTS, &mut count).ok_or(ProbeError::Configuration("number of ports"))?;
        let count = u32::from_le_bytes(count).min(MAX_PORTS);
        let events = Arc::new(WaitQueue::new());
        let on_return = events.clone();
        transport.on_interrupt(QUEUES_ENTRY, ("streams", Box::new(move || on_return.wake_all())))?;
        let (on_change, changed) = (events.clone(), Arc::new(AtomicBool::new(false)));
        let flag = changed.clone();
        transport.on_config_change(
            STATE_ENTRY,
            Box::new(move || {
                flag.store(true, Ordering::Release);
                on_change.wake_all();
            }),
        );
        let (queue, receive_bell) = transport.start_queue(console::CONTROL_RECEIVE, MESSAGES, QUEUES_ENTRY)?;
        let inbox = Inbox::new(queue, MESSAGE);
        let (queue, send_bell) = transport.start_queue(console::CONTROL_SEND, 2, QUEUES_ENTRY)?;
        let control = Control {
            inbox: SpinLock::new((inbox, Vec::with_capacity(MESSAGE))),
            receive_bell,
            outbox: SpinLock::new(Outbox::new(queue)),
            send_bell,
            sender: Mutex::new(()),
        };
        let mut ports = Vec::new();
        for number in 1..count {
            let (queue, receive_bell) = transport.start_queue(console::receive_queue(number), PIECES, QUEUES_ENTRY)?;
            let inbox = SpinLock::new(Inbox::new(queue, PIECE));
            let (queue, send_bell) = transport.start_queue(console::send_queue(number), 2, QUEUES_ENTRY)?;
            ports.push(Port {
                receive_bell,
                send_bell,
                inbox,
                outbox: SpinLock::new(Outbox::new(queue)),
                pending: Mutex::default(),
                has_pending: AtomicBool::new(false),
                added: AtomicBool::new(false),
                opened: AtomicBool::new(false),
                closed: AtomicBool::new(false),
            });
        }
        let device = SerialPorts { transport, control, ports, events, changed, broken: AtomicBool::new(false) };
        // Before the device may work: its first messages need a place.
        device.control.inbox.lock().0.provide()?;
        device.control.outbox.lock().provide(MESSAGE)?;
        device.transport.start();
        device.transport.ring(&device.control.receive_bell);
        match device.tell(0, console::DEVICE_READY, 1) {
            Ok(()) => Ok(device),
            Err(_) => Err(ProbeError::Configuration("control queue")),
        }
    }

    /// Ports from number 1 to this, whether the host connected them or not.
    pub fn last(&self) -> u32 {
        self.ports.len() as u32
    }

    /// Woken whenever something may have changed on any port.
    pub fn events(&self) -> &Arc<WaitQueue> {
        &self.events
    }

    fn port(&self, number: u32) -> Result<&Port, Errno> {
        let index = number.checked_sub(1).ok_or(Errno::ENXIO)?;
        self.ports.get(index as usize).ok_or(Errno::ENXIO)
    }

    /// Makes a port ready for reading, writing or both. `ENXIO` when the host has no such port, `ENOMEM` without memory for
    /// its buffers.
    pub fn open(&self, number: u32, read: bool, write: bool) -> Result<(), Errno> {
        let port = self.port(number)?;
        let announced = || (self.collect().is_err() || port.added.load(Ordering::Acquire)).then_some(());
        self.events.wait_uninterruptible_deadline(now() + PATIENCE, announced).ok_or(Errno::ENXIO)?;
        self.check()?;
        if read {
            port.inbox.lock().provide().map_err(|_| Errno::ENOMEM)?;
            self.transport.ring(&port.receive_bell);
        }
        if write {
            port.outbox.lock().provide(MOST_SENT).map_err(|_| Errno::ENOMEM)?;
        }
        if !port.opened.swap(true, Ordering::AcqRel) {
            self.tell(number, console::PORT_READY, 1)?;
            self.tell(number, console::PORT_OPEN, 1)?;
        }
        Ok(())
    }

    /// Takes what came, at most `into`'s length; waits for something unless `nonblocking`. 0 when all was read that the host
    /// sent before it closed its end.
    pub fn read(&self, number: u32, into: &mut [u8], nonblocking: bool) -> Result<usize, Errno> {
        let port = self.port(number)?;
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            // First whether it is the end: what comes before it is in the queue by then.
            self.collect()?;
            let closed = port.closed.load(Ordering::Acquire);
            let count = self.drain(port, into)?;
            if count > 0 || closed {
                return Ok(count);
            }
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            self.events.wait_until(|| self.can_read(port).then_some(()))?;
        }
    }

    /// Moves what is there.
    fn drain(&self, port: &Port, into: &mut [u8]) -> Result<usize, Errno> {
        let mut pending = port.pending.lock();
        let mut count = 0;
        while let Some(place) = into.get_mut(count..).filter(|place| !place.is_empty()) {
            let left = pending.bytes.get(pending.at..).unwrap_or_default();
            if left.is_empty() {
                pending.at = 0;
                pending.bytes.reserve(PIECE);
                let mut inbox = port.inbox.lock();
                let taken = inbox.take(&mut pending.bytes);
                let notify = inbox.wants_notification();
                drop(inbox);
                match taken {
                    Ok(true) if notify => self.transport.ring(&port.receive_bell),
                    Ok(true) => {}
                    Ok(false) => {
                        pending.bytes.clear();
                        break;
                    }
                    Err(Broken) => return Err(self.break_off()),
                }
                continue;
            }
            let moved = left.len().min(place.len());
            for (to, from) in place.iter_mut().zip(left) {
                *to = *from;
            }
            pending.at += moved;
            count += moved;
        }
        port.has_pending.store(pending.at < pending.bytes.len(), Ordering::Release);
        Ok(count)
    }

    /// Sends `bytes` and waits until the host has taken them. `EPIPE` when it has closed its end; returns early when a signal
    /// comes, or with `nonblocking`.
    pub fn write(&self, number: u32, bytes: &[u8], nonblocking: bool) -> Result<usize, Errno> {
        let port = self.port(number)?;
        let mut moved = 0;
        for piece in bytes.chunks(MOST_SENT) {
            let sent = match (self.try_send(port, piece), nonblocking) {
                (Some(sent), _) => sent,
                (None, true) => Err(Errno::EAGAIN),
                (None, false) => match self.events.wait_until(|| self.try_send(port, piece)) {
                    Ok(sent) => sent,
                    Err(interrupted) => Err(interrupted.into()),
                },
            };
            match sent {
                Ok(()) => moved += piece.len(),
                Err(_) if moved > 0 => break,
                Err(error) => return Err(error),
            }
        }
        if !nonblocking {
            // Also when a signal ends this wait: the device has the bytes, and the next write waits for it. A host that has
            // closed its end may keep a buffer that it took a part of.
            let done = || self.settled(port).map(drop).or(port.closed.load(Ordering::Acquire).then_some(()));
            let _taken = self.events.wait_until(done);
        }
        Ok(moved)
    }

    /// Sends a piece if the last one was taken. `None` when it was not.
    fn try_send(&self, port: &Port, piece: &[u8]) -> Option<Result<(), Errno>> {
        if let Err(error) = self.collect() {
            return Some(Err(error));
        }
        if port.closed.load(Ordering::Acquire) {
            return Some(Err(Errno::EPIPE));
        }
        if let Err(error) = self.settled(port)? {
            return Some(Err(error));
        }
        let mut outbox = port.outbox.lock();
        if !outbox.send(piece) {
            return None;
        }
        let notify = outbox.wants_notification();
        drop(outbox);
        if notify {
            self.transport.ring(&port.send_bell);
        }
        Some(Ok(()))
    }

    /// Whether the device has taken all that was sent; an error when it never will.
    fn settled(&self, port: &Port) -> Option<Result<(), Errno>> {
        if let Err(error) = self.collect() {
            return Some(Err(error));
        }
        let settled = port.outbox.lock().settle();
        match settled {
            Ok(true) => Some(Ok(())),
            Ok(false) => None,
            Err(Broken) => Some(Err(self.break_off())),
        }
    }

    fn can_read(&self, port: &Port) -> bool {
        self.collect().is_err()
            || port.closed.load(Ordering::Acquire)
            || port.has_pending.load(Ordering::Acquire)
            || port.inbox.lock().has_input()
    }

    /// What could be done without waiting.
    pub fn readiness(&self, number: u32) -> Readiness {
        let Ok(port) = self.port(number) else { return Readiness { readable: true, writable: true, hung_up: true } };
        let readable = self.can_read(port);
        let settled = self.settled(port).is_some();
        let hung_up = port.closed.load(Ordering::Acquire) || self.check().is_err();
        Readiness { readable, writable: settled || hung_up, hung_up }
    }

    /// Sends a control message (§5.3.6.2).
    fn tell(&self, port: u32, event: u16, value: u16) -> Result<(), Errno> {
        let _one = self.control.sender.lock();
        let message = console::message(port, event, value);
        let sent = || {
            let mut outbox = self.control.outbox.lock();
            match outbox.settle() {
                Ok(_) => outbox.send(&message).then_some(Ok(())),
                Err(Broken) => Some(Err(Errno::EIO)),
            }
        };
        let sent = self.events.wait_uninterruptible_deadline(now() + PATIENCE, sent);
        if !matches!(sent, Some(Ok(()))) {
            return Err(self.break_off());
        }
        self.transport.ring(&self.control.send_bell);
        Ok(())
    }

    /// Takes note of what the device said about its ports. `EIO` when it cannot be used.
    fn collect(&self) -> Result<(), Errno> {
        if self.changed.swap(false, Ordering::AcqRel) && self.transport.has_failed() {
            return Err(self.break_off());
        }
        self.check()?;
        loop {
            let mut control = self.control.inbox.lock();
            let (inbox, message) = &mut *control;
            let taken = inbox.take(message).map(|taken| taken.then(|| console::parse(message)));
            drop(control);
            match taken {
                Ok(Some(message)) => {
                    self.transport.ring(&self.control.receive_bell);
                    if let Some((port, event, value)) = message {
                        self.note(port, event, value);
                    }
                }
                Ok(None) => return Ok(()),
                Err(Broken) => return Err(self.break_off()),
            }
        }
    }

    fn note(&self, number: u32, event: u16, value: u16) {
        let Ok(port) = self.port(number) else { return };
        match event {
            console::PORT_ADD => port.added.store(true, Ordering::Release),
            console::PORT_REMOVE => port.closed.store(true, Ordering::Release),
            console::PORT_OPEN => port.closed.store(value == 0, Ordering::Release),
            // Names, sizes and which port is a console: not needed.
            _ => return,
        }
        self.events.wake_all();
    }

    fn check(&self) -> Result<(), Errno> {
        if self.broken.load(Ordering::Acquire) { Err(Errno::EIO) } else { Ok(()) }
    }

    /// The device cannot be used any more: says so once, and ends all waits.
    fn break_off(&self) -> Errno {
        if !self.broken.swap(true, Ordering::AcqRel) {
            log::error!("{}: serial ports: the device failed or broke the rules of a queue", self.transport);
            self.events.wake_all();
        }
        Errno::EIO
    }
}
