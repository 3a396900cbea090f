//! Fake devices: registers in memory space and in port space.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::{Range, RangeInclusive};
use std::sync::{PoisonError, RwLock};

use crate::addr::{PAGE_SIZE, Phys};

use super::ram::{self, Scalar};

/// A device that a test puts into the machine. Widths are 1, 2, 4 or 8 bytes.
pub trait Device: Send + Sync {
    /// The register at `offset` bytes into the device's window.
    fn read(&self, offset: usize, width: usize) -> u64;
    fn write(&self, offset: usize, width: usize, value: u64);
}

type Windows = RwLock<Vec<(Range<usize>, Arc<dyn Device>)>>;

static MEMORY: Windows = RwLock::new(Vec::new());
static PORTS: Windows = RwLock::new(Vec::new());

/// No port is spoken for.
pub(crate) const RESERVED_PORTS: [RangeInclusive<u16>; 0] = [];

/// Puts `device` at `len` bytes from `base`, which must be above RAM and free.
pub fn add_device(base: Phys, len: usize, device: Arc<dyn Device>) {
    let start = base.0 as usize;
    assert!(!overlaps_ram(base.0, base.0 + len as u64), "{base} is RAM");
    add(&MEMORY, start..start + len, device);
}

/// Puts `device` at `len` ports from `base`.
pub fn add_ports(base: u16, len: u16, device: Arc<dyn Device>) {
    add(&PORTS, usize::from(base)..usize::from(base) + usize::from(len), device);
}

fn add(windows: &Windows, range: Range<usize>, device: Arc<dyn Device>) {
    let mut windows = windows.write().unwrap_or_else(PoisonError::into_inner);
    let overlap = windows.iter().any(|(other, _)| other.start < range.end && range.start < other.end);
    assert!(!overlap, "two devices at {range:#x?}");
    windows.push((range, device));
}

fn find(windows: &Windows, address: usize, len: usize) -> Option<(Arc<dyn Device>, usize)> {
    let windows = windows.read().unwrap_or_else(PoisonError::into_inner);
    let end = address.checked_add(len)?;
    let (range, device) = windows.iter().find(|(range, _)| range.start <= address && end <= range.end)?;
    Some((device.clone(), address - range.start))
}

/// All ones where no device answers, as on a PCI bus.
fn read<T: Scalar>(windows: &Windows, at: usize) -> T {
    let answer = find(windows, at, size_of::<T>()).map(|(device, offset)| device.read(offset, size_of::<T>()));
    T::narrow(answer.unwrap_or(u64::MAX))
}

fn write<T: Scalar>(windows: &Windows, at: usize, value: T) {
    if let Some((device, offset)) = find(windows, at, size_of::<T>()) {
        device.write(offset, size_of::<T>(), value.widen());
    }
}

pub(crate) fn overlaps_ram(start: u64, end: u64) -> bool {
    start < (ram::frame_count() * PAGE_SIZE) as u64 && start < end
}

/// Device memory is addressed by its physical address: there is nothing to map.
pub(crate) fn map_device(start: u64, _len: usize) -> Option<usize> {
    usize::try_from(start).ok()
}

pub(crate) fn read_device<T: Scalar>(at: usize) -> T {
    read(&MEMORY, at)
}

pub(crate) fn write_device<T: Scalar>(at: usize, value: T) {
    write(&MEMORY, at, value);
}

pub(crate) fn in8(port: u16) -> u8 {
    read(&PORTS, usize::from(port))
}

pub(crate) fn in16(port: u16) -> u16 {
    read(&PORTS, usize::from(port))
}

pub(crate) fn in32(port: u16) -> u32 {
    read(&PORTS, usize::from(port))
}

pub(crate) fn out8(port: u16, value: u8) {
    write(&PORTS, usize::from(port), value);
}

pub(crate) fn out16(port: u16, value: u16) {
    write(&PORTS, usize::from(port), value);
}

pub(crate) fn out32(port: u16, value: u32) {
    write(&PORTS, usize::from(port), value);
}
