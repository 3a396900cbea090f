//! The 9P transport device. VIRTIO 1.2 §5 reserves its number (9) and says no more; tag and ring are as QEMU and Linux
//! have them: a request goes out in one part of a chain, the reply comes back in the other.
//!
//! Several threads may have requests in flight. Each owns a slot, a pair of DMA buffers, from before it pushes the
//! request until it has copied the reply. The interrupt handler only wakes; whoever wakes collects what the device
//! returned, for itself and for others.
//!
//! A device that breaks the rules of its queue, or takes minutes for a request, is not used any more: all calls fail
//! with `EIO`.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use aios_abi::Errno;
use kernel_bus::pci::{Function, Match, Pci};
use kernel_hal::dma::Buffer;
use kernel_hal::frame::OutOfMemory;
use kernel_hal::lock::Obligation;
use kernel_hal::time::now;
use kernel_sync::{SpinLock, WaitQueue};

use super::queue::{Broken, Part, Queue, Used};
use super::spec;
use super::transport::{Bell, ProbeError, Transport};

const KIND: u16 = 9;
const DEVICES: [u16; 2] = spec::pci_devices(KIND, 0x1009);
const FEATURE_MOUNT_TAG: u64 = 1;
/// Bytes of the longest request and of the longest reply.
const MAX_MESSAGE: usize = 64 << 10;
/// Requests in flight at once. Each pair of buffers is made when it is first needed.
const MAX_SLOTS: usize = 8;
/// One for the request and one for the reply.
const MAX_DESCRIPTORS: usize = 2 * MAX_SLOTS;
/// How long the host may take for one request.
const PATIENCE: Duration = Duration::from_secs(120);
const MAX_TAG: usize = 255;
/// size[4] type[1] tag[2]: no 9P message is shorter.
const HEADER: usize = 7;

/// The buffers of one request.
struct Slot {
    /// Below [`MAX_SLOTS`].
    number: usize,
    request: Buffer,
    reply: Buffer,
}

impl Slot {
    fn new(number: usize) -> Result<Slot, OutOfMemory> {
        Ok(Slot { number, request: Buffer::new(MAX_MESSAGE)?, reply: Buffer::new(MAX_MESSAGE)? })
    }
}

/// Where the request of a slot is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Unused,
    InFlight,
    /// Back, with so many bytes of reply.
    Returned(u32),
}

struct State {
    queue: Queue,
    /// By slot.
    progress: [Progress; MAX_SLOTS],
    /// The slot of each chain that the device has. Not the chain's owner for longer: its descriptors are free again as
    /// soon as it was collected, maybe before the owner looks.
    slot_of: [usize; MAX_DESCRIPTORS],
    idle: Vec<Slot>,
    /// Numbers of the slots that do not exist yet.
    unmade: Vec<usize>,
    broken: bool,
}

impl State {
    fn new(queue: Queue, first: Slot) -> State {
        let most_slots = usize::from(queue.size() / 2).min(MAX_SLOTS);
        // Room for all, so that giving a slot back allocates nothing.
        let mut idle = Vec::with_capacity(MAX_SLOTS);
        idle.push(first);
        State {
            queue,
            progress: [Progress::Unused; MAX_SLOTS],
            slot_of: [0; MAX_DESCRIPTORS],
            idle,
            unmade: (1..most_slots).collect(),
            broken: false,
        }
    }

    /// Notes every chain that came back.
    fn collect(&mut self) {
        while !self.broken {
            match self.queue.pop() {
                Ok(Some(Used { token, written })) => {
                    if let Some(slot) = self.slot_of.get(token.index()) {
                        self.progress[*slot] = Progress::Returned(written);
                    }
                }
                Ok(None) => return,
                Err(Broken) => self.broken = true,
            }
        }
    }
}

/// What the interrupt handlers reach.
struct Events {
    returned: WaitQueue,
    /// The device's state may have changed.
    changed: AtomicBool,
}

/// One 9P device, as a file system client uses it.
pub struct P9Channel {
    // First: dropping it resets the device, after which the buffers in the fields below may go.
    transport: Transport,
    tag: String,
    bell: Bell,
    state: SpinLock<State>,
    events: Arc<Events>,
    slot_free: WaitQueue,
}

impl P9Channel {
    /// Takes over every 9P device of the machine. Devices that cannot be used are logged and left alone.
    pub fn probe_all(pci: &mut Pci) -> Vec<Arc<P9Channel>> {
        let wanted = Match { vendor: Some(spec::VENDOR), devices: &DEVICES, class: None };
        let mut channels = Vec::new();
        while let Some(function) = pci.claim(&wanted) {
            let address = function.address;
            match P9Channel::new(function) {
                Ok(channel) => channels.push(Arc::new(channel)),
                Err(error) => log::warn!("9p device {address}: {error}"),
            }
        }
        channels
    }

    /// Takes over one device.
    pub fn new(function: Function) -> Result<P9Channel, ProbeError> {
        let (transport, features) = Transport::new(function, FEATURE_MOUNT_TAG)?;
        if features & FEATURE_MOUNT_TAG == 0 {
            return Err(ProbeError::Features);
        }
        let tag = read_tag(&transport).ok_or(ProbeError::Configuration("mount tag"))?;
        let events = Arc::new(Events { returned: WaitQueue::new(), changed: AtomicBool::new(false) });
        let on_return = events.clone();
        // Once the device knows the queue nothing fails any more, so the queue is not freed before the device is reset.
        let first = Slot::new(0)?;
        let notice = Box::new(move || on_return.returned.wake_all());
        transport.on_interrupt(0, ("requests", notice))?;
        let (queue, bell) = transport.start_queue(0, MAX_DESCRIPTORS as u16, 0)?;
        let on_change = events.clone();
        transport.on_config_change(
            1,
            Box::new(move || {
                on_change.changed.store(true, Ordering::Release);
                on_change.returned.wake_all();
            }),
        );
        let state = SpinLock::new(State::new(queue, first));
        transport.start();
        Ok(P9Channel { transport, tag, bell, state, events, slot_free: WaitQueue::new() })
    }

    /// The name by which the host offers this share.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Bytes of the longest request and of the longest reply.
    pub fn max_message(&self) -> usize {
        MAX_MESSAGE
    }

    /// Sends one request and waits for its reply, which replaces the contents of `reply`. The request is the
    /// concatenation of `parts`. May be called by several threads at once; must not be called under a spinning lock.
    ///
    /// Errors: `EMSGSIZE` for a request that is too long, `ENOMEM` when there is no room for the reply, `EIO` when the
    /// device failed. Signals do not end the wait, since the host has the request and may be half-way through it.
    pub fn call(&self, parts: &[&[u8]], reply: &mut Vec<u8>) -> Result<(), Errno> {
        let slot = self.take_slot()?;
        // Others wait for the slot.
        let _owed = Obligation::new();
        let result = self.exchange(parts, &slot, reply);
        self.give_back(slot);
        result
    }

    fn exchange(&self, parts: &[&[u8]], slot: &Slot, reply: &mut Vec<u8>) -> Result<(), Errno> {
        let mut len = 0usize;
        for part in parts {
            let end = len.checked_add(part.len()).filter(|end| *end <= MAX_MESSAGE).ok_or(Errno::EMSGSIZE)?;
            slot.request.write(len, part);
            len = end;
        }
        if len < HEADER {
            return Err(Errno::EINVAL);
        }
        self.submit(slot, len as u32)?;
        let deadline = now() + PATIENCE;
        let outcome = self.events.returned.wait_uninterruptible_deadline(deadline, || self.finished(slot.number));
        let written = outcome.unwrap_or_else(|| Err(self.give_up()))? as usize;
        if written < HEADER {
            return Err(Errno::EIO);
        }
        reply.clear();
        reply.try_reserve_exact(written).map_err(|_| Errno::ENOMEM)?;
        reply.resize(written, 0);
        slot.reply.read(0, reply);
        Ok(())
    }

    fn submit(&self, slot: &Slot, len: u32) -> Result<(), Errno> {
        let mut state = self.state.lock();
        if state.broken {
            return Err(Errno::EIO);
        }
        let parts = [
            Part { address: slot.request.phys(), len, device_writes: false },
            Part { address: slot.reply.phys(), len: MAX_MESSAGE as u32, device_writes: true },
        ];
        // There are two descriptors for each slot, so none can be missing.
        let token = state.queue.push(&parts).ok_or(Errno::EIO)?;
        *state.slot_of.get_mut(token.index()).ok_or(Errno::EIO)? = slot.number;
        state.progress[slot.number] = Progress::InFlight;
        let notify = state.queue.wants_notification();
        drop(state);
        if notify {
            self.transport.ring(&self.bell);
        }
        Ok(())
    }

    /// The outcome of the slot's request once there is one.
    fn finished(&self, slot: usize) -> Option<Result<u32, Errno>> {
        let failed = self.events.changed.swap(false, Ordering::AcqRel) && self.transport.has_failed();
        let mut state = self.state.lock();
        let was_broken = state.broken;
        state.broken |= failed;
        state.collect();
        let newly_broken = state.broken && !was_broken;
        let broken = state.broken;
        let progress = &mut state.progress[slot];
        let outcome = match *progress {
            Progress::Returned(written) => {
                *progress = Progress::Unused;
                Some(Ok(written))
            }
            Progress::InFlight | Progress::Unused => broken.then_some(Err(Errno::EIO)),
        };
        drop(state);
        if newly_broken {
            self.report("its device failed or broke the rules of the queue");
        }
        outcome
    }

    /// The host does not answer: nobody waits for it any more.
    fn give_up(&self) -> Errno {
        let before = core::mem::replace(&mut self.state.lock().broken, true);
        if !before {
            self.report("no answer from the host");
        }
        Errno::EIO
    }

    /// Says what happened, and ends all waits.
    fn report(&self, what: &str) {
        log::error!("{}: 9p share '{}': {what}", self.transport, self.tag);
        self.events.returned.wake_all();
        self.slot_free.wake_all();
    }

    /// A free pair of buffers; makes one when there may be more, waits when not.
    fn take_slot(&self) -> Result<Slot, Errno> {
        self.slot_free.wait_uninterruptible(|| {
            let mut state = self.state.lock();
            if state.broken {
                return Some(Err(Errno::EIO));
            }
            if let Some(slot) = state.idle.pop() {
                return Some(Ok(slot));
            }
            let number = state.unmade.pop()?;
            drop(state);
            // Without memory for one more, the call waits for one of those that exist.
            match Slot::new(number) {
                Ok(slot) => Some(Ok(slot)),
                Err(OutOfMemory) => {
                    self.state.lock().unmade.push(number);
                    None
                }
            }
        })
    }

    fn give_back(&self, slot: Slot) {
        let mut state = self.state.lock();
        // Also when the device is broken and may still write to the slot: idle slots go only after the reset.
        state.idle.push(slot);
        drop(state);
        self.slot_free.wake_one();
    }
}

/// The tag is preceded by its length in two bytes.
fn read_tag(transport: &Transport) -> Option<String> {
    let mut len = [0; 2];
    transport.read_config(0, &mut len)?;
    let len = usize::from(u16::from_le_bytes(len));
    if len == 0 || len > MAX_TAG {
        return None;
    }
    let mut bytes = alloc::vec![0; len];
    transport.read_config(2, &mut bytes)?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(len);
    bytes.truncate(end);
    String::from_utf8(bytes).ok().filter(|tag| !tag.is_empty())
}
