//! The scheduler's trace on its way to the host: a thread takes records from the CPUs' rings and writes them to a stream.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use kernel_drivers::virtio::SerialPorts;
use kernel_hal::boot::Boot;
use kernel_hal::time::now;
use kernel_sched::trace::{self, Reader};
use kernel_sync::WaitQueue;

/// The stream, by its number.
pub const PORT: u32 = 5;
/// How long records wait for more to come: rings have room for those of some tens of milliseconds even if the CPUs do
/// nothing but switch.
const INTERVAL: Duration = Duration::from_millis(20);
/// Bytes sent at a time.
const CHUNK: usize = 32 << 10;
/// How long the host may take for what is left at the end.
const PATIENCE: Duration = Duration::from_secs(10);

static ENDING: AtomicBool = AtomicBool::new(false);
static SENT: AtomicBool = AtomicBool::new(false);
static EVENTS: WaitQueue = WaitQueue::new();

/// Begins to record if the command line says so.
pub fn start(boot: &Boot) {
    if boot.option("aios.sched-trace").is_some() {
        trace::start();
    }
}

/// Begins to send what is recorded.
pub fn send(ports: Option<&Arc<SerialPorts>>) {
    let Some(reader) = trace::reader() else { return };
    let Some(ports) = ports.cloned() else {
        trace::stop();
        return log::warn!("the scheduler is not traced: there is no stream to the host");
    };
    let sender = kernel_sched::spawn("sched-trace", move || {
        if let Err(error) = send_all(&ports, reader) {
            trace::stop();
            log::warn!("the scheduler is not traced any more: {error}");
        }
        SENT.store(true, Ordering::Release);
        EVENTS.wake_all();
    });
    if let Err(error) = sender {
        trace::stop();
        SENT.store(true, Ordering::Release);
        log::warn!("the scheduler is not traced: {error}");
    }
}

fn send_all(ports: &SerialPorts, mut reader: Reader) -> Result<(), aios_abi::Errno> {
    ports.open(PORT, false, true)?;
    let write = |bytes: &[u8]| ports.write(PORT, bytes, false).map(drop);
    write(&reader.header().to_bytes())?;
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        // First whether it is the end: nothing is recorded after that.
        let ending = ENDING.load(Ordering::Acquire);
        chunk.clear();
        reader.take(&mut chunk);
        write(&chunk)?;
        if chunk.capacity() - chunk.len() >= CHUNK / 2 {
            if ending {
                return write(&reader.end().to_bytes());
            }
            let over = || ENDING.load(Ordering::Acquire).then_some(());
            EVENTS.wait_uninterruptible_deadline(now() + INTERVAL, over);
        }
    }
}

/// Ends recording and waits until all is sent: the machine is about to be switched off.
pub fn finish() {
    if trace::is_on() {
        trace::stop();
        ENDING.store(true, Ordering::Release);
        EVENTS.wake_all();
        let sent = || SENT.load(Ordering::Acquire).then_some(());
        if EVENTS.wait_uninterruptible_deadline(now() + PATIENCE, sent).is_none() {
            log::warn!("the host does not take the scheduler's trace: its end is missing");
        }
    }
}
