//! Reaching into a space from outside, whoever runs: programs that exec builds, other processes' memory.

use alloc::sync::Arc;

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SIZE, Virt};
use kernel_hal::usermem::Access;

use super::area::Backing;
use super::{AddressSpace, FaultError};
use crate::object::MemoryObject;

impl AddressSpace {
    /// Copies from the space. The error says why it ended early; the number is how many bytes were copied before.
    pub fn read_bytes(&self, from: Virt, into: &mut [u8]) -> Result<(), (FaultError, usize)> {
        each_page(from, into.len(), |va, at, count| {
            self.frame(va, Access::Read)?.read(va.page_offset(), &mut into[at..at + count]);
            Ok(())
        })
    }

    /// Copies into the space, as a program with the right to would.
    pub fn write_bytes(&self, to: Virt, from: &[u8]) -> Result<(), (FaultError, usize)> {
        each_page(to, from.len(), |va, at, count| {
            self.frame(va, Access::Write)?.write(va.page_offset(), &from[at..at + count]);
            Ok(())
        })
    }

    /// The shared object behind `va` and the byte in it: what identifies a futex that processes share. `None` where
    /// memory is private; `EFAULT` where there is none.
    pub fn shared_object(&self, va: Virt) -> Result<Option<(Arc<MemoryObject>, u64)>, Errno> {
        let inner = self.inner.lock();
        let area = inner.areas.find(va.0).ok_or(Errno::EFAULT)?;
        Ok(match &area.backing {
            Backing::Object(map) if area.flags.shared => {
                let page = area.object_page(map, va.0);
                Some((map.object.object().clone(), page * PAGE_SIZE as u64 + va.page_offset() as u64))
            }
            _ => None,
        })
    }
}

/// Calls `transfer(address, done, count)` for each page's part of a range.
fn each_page(
    start: Virt,
    len: usize,
    mut transfer: impl FnMut(Virt, usize, usize) -> Result<(), FaultError>,
) -> Result<(), (FaultError, usize)> {
    let mut done = 0;
    while done < len {
        let va = start.checked_add(done as u64).ok_or((FaultError::Segv(super::SegvCode::Maperr), done))?;
        let count = (PAGE_SIZE - va.page_offset()).min(len - done);
        transfer(va, done, count).map_err(|error| (error, done))?;
        done += count;
    }
    Ok(())
}
