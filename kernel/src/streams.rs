//! Byte streams to the host as devices: `/dev/vport0p1` and so on, named as on Linux.

use alloc::sync::Arc;

use aios_abi::Errno;
use kernel_drivers::virtio::SerialPorts;
use kernel_fs::device::{self, Device};
use kernel_fs::file::{File, FileOps, Position};
use kernel_fs::poll;
use kernel_fs::types::DeviceNumber;
use kernel_fs::vfs::OpenRequest;
use kernel_mm::io::{Sink, Source};
use kernel_sync::Poller;

use crate::sched_trace;

/// Names by port number, from 1.
const NAMES: [&str; 7] = ["vport0p1", "vport0p2", "vport0p3", "vport0p4", "vport0p5", "vport0p6", "vport0p7"];
/// Major device number, from the range for local use.
const MAJOR: u32 = 240;
/// Bytes moved at a time.
const CHUNK: usize = 32 << 10;

/// Registers the ports, but for the kernel's own.
pub fn register(ports: &Arc<SerialPorts>) {
    for (number, name) in (1..=ports.last()).zip(NAMES) {
        if number == sched_trace::PORT {
            continue;
        }
        let port = Port { ports: ports.clone(), number };
        device::register(name, DeviceNumber::new(MAJOR, number), 0o600, Arc::new(port));
    }
}

#[derive(Clone)]
struct Port {
    ports: Arc<SerialPorts>,
    number: u32,
}

impl Device for Port {
    fn open(&self, request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno> {
        let thread = kernel_process::Thread::current().ok_or(Errno::ENXIO)?;
        thread.process().domain().check(kernel_cap::Rights::DEVICE, "opening a stream to the host")?;
        self.ports.open(self.number, request.read, request.write)?;
        Ok(Arc::new(self.clone()))
    }
}

impl FileOps for Port {
    fn read(&self, file: &File, _offset: &mut u64, sink: &mut Sink) -> Result<usize, Errno> {
        let mut chunk = alloc::vec![0; sink.remaining().min(CHUNK)];
        let count = self.ports.read(self.number, &mut chunk, file.is_nonblocking())?;
        sink.put(chunk.get(..count).unwrap_or_default())?;
        Ok(count)
    }

    fn write(&self, file: &File, _offset: &mut u64, source: &mut Source) -> Result<usize, Errno> {
        let mut chunk = alloc::vec![0; source.remaining().min(CHUNK)];
        let mut moved = 0;
        while source.remaining() > 0 {
            let before = source.done();
            let taken = source.take(&mut chunk);
            let count = source.done() - before;
            let sent = match taken {
                Err(error) if count == 0 => Err(error),
                _ => self.ports.write(self.number, chunk.get(..count).unwrap_or_default(), file.is_nonblocking()),
            };
            match sent {
                Ok(sent) => moved += sent,
                Err(error) if moved == 0 => return Err(error),
                Err(_) => break,
            }
            if sent != Ok(count) || taken.is_err() {
                break;
            }
        }
        Ok(moved)
    }

    fn position(&self) -> Position {
        Position::Stream
    }

    fn poll(&self, _file: &File, poller: Option<&mut Poller>) -> u32 {
        if let Some(poller) = poller {
            poller.watch(self.ports.events());
        }
        let ready = self.ports.readiness(self.number);
        let bit = |set, bit| if set { bit } else { 0 };
        bit(ready.readable, poll::READABLE) | bit(ready.writable, poll::WRITABLE) | bit(ready.hung_up, poll::HANGUP)
    }
}
