//! Character devices: who answers for which number, and the devices that are only memory.
//!
//! A device node in any file system holds a number; opening it asks this table. Rooms above add theirs (terminals,
//! the kernel log) with [`register`] at start-up.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use kernel_hal::random;
use kernel_mm::io::{Sink, Source};
use kernel_sync::SpinLock;

use crate::file::{File, FileOps, Position};
use crate::types::DeviceNumber;
use crate::vfs::OpenRequest;

/// A device that can be opened.
pub trait Device: Send + Sync {
    fn open(&self, request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno>;
}

/// A device as `/dev` shows it.
#[derive(Clone)]
pub struct Registered {
    pub name: &'static str,
    pub number: DeviceNumber,
    pub permissions: u16,
    device: Arc<dyn Device>,
}

static DEVICES: SpinLock<BTreeMap<DeviceNumber, Registered>> = SpinLock::new(BTreeMap::new());

/// Makes `device` answer for `number`; new instances of `/dev` show it under `name`.
pub fn register(name: &'static str, number: DeviceNumber, permissions: u16, device: Arc<dyn Device>) {
    let before = DEVICES.lock().insert(number, Registered { name, number, permissions, device });
    drop(before);
}

/// Registers null, zero, full, random and urandom (`mem(4)`, `random(4)`).
pub fn register_memory_devices() {
    for device in
        [MemoryDevice::Null, MemoryDevice::Zero, MemoryDevice::Full, MemoryDevice::Random, MemoryDevice::URandom]
    {
        let (name, minor) = device.identity();
        register(name, DeviceNumber::new(1, minor), 0o666, Arc::new(device));
    }
}

/// All devices, by number.
pub fn registered() -> Vec<Registered> {
    DEVICES.lock().values().cloned().collect()
}

/// Opens the device with that number. `ENXIO` when there is none.
pub(crate) fn open(number: DeviceNumber, request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno> {
    let device = DEVICES.lock().get(&number).map(|entry| entry.device.clone());
    device.ok_or(Errno::ENXIO)?.open(request)
}

/// A device without hardware.
#[derive(Clone, Copy)]
enum MemoryDevice {
    Null,
    Zero,
    Full,
    Random,
    URandom,
}

impl MemoryDevice {
    const fn identity(self) -> (&'static str, u32) {
        match self {
            MemoryDevice::Null => ("null", 3),
            MemoryDevice::Zero => ("zero", 5),
            MemoryDevice::Full => ("full", 7),
            MemoryDevice::Random => ("random", 8),
            MemoryDevice::URandom => ("urandom", 9),
        }
    }
}

impl Device for MemoryDevice {
    fn open(&self, _request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno> {
        Ok(Arc::new(*self))
    }
}

impl FileOps for MemoryDevice {
    fn read(&self, _file: &File, _offset: &mut u64, sink: &mut Sink) -> Result<usize, Errno> {
        let before = sink.done();
        let outcome = match self {
            MemoryDevice::Null => Ok(()),
            MemoryDevice::Zero | MemoryDevice::Full => sink.put_zeros(sink.remaining()),
            MemoryDevice::Random | MemoryDevice::URandom => put_random(sink),
        };
        let moved = sink.done() - before;
        if moved > 0 { Ok(moved) } else { outcome.map(|()| 0) }
    }

    fn write(&self, _file: &File, _offset: &mut u64, source: &mut Source) -> Result<usize, Errno> {
        match self {
            MemoryDevice::Full => Err(Errno::ENOSPC),
            // What is written is not looked at: an address that cannot be read is no error, as on Linux.
            _ => Ok(source.remaining()),
        }
    }

    fn position(&self) -> Position {
        Position::Ignored
    }
}

fn put_random(sink: &mut Sink) -> Result<(), Errno> {
    let mut block = [0; 256];
    while sink.remaining() > 0 {
        let count = sink.remaining().min(block.len());
        let (chunk, _) = block.split_at_mut(count);
        random::fill(chunk);
        sink.put(chunk)?;
    }
    Ok(())
}
