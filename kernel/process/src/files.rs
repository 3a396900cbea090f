//! The descriptor table.
//!
//! Its slots lie in chunks, made when the first of them is used: a table needs no adjoining memory however large it is,
//! and little when few of its numbers are used. Chunks and open descriptors are charged to the agent.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use kernel_cap::{Domain, Hold};
use kernel_fs::File;
use kernel_fs::locks::{self, Owner};
use kernel_mm::{KernelCharge, charge_kernel_bytes};
use kernel_sync::SpinLock;

/// The hard ceiling of descriptors of one process (Linux's `fs.nr_open`).
pub const MAX_DESCRIPTORS: usize = 1 << 20;

/// One entry.
#[derive(Clone)]
pub struct Descriptor {
    pub file: Arc<File>,
    pub close_on_exec: bool,
    _paid: Arc<Paid>,
}

/// What a descriptor costs in kernel memory, about: its own, and what most kinds of open file take.
const DESCRIPTOR_BYTES: usize = 640;

/// What an open descriptor costs its agent, once for all copies that forks make.
struct Paid {
    /// What the meter of open files counts.
    _hold: Hold,
    _charge: KernelCharge,
}

/// Slots of a chunk.
const CHUNK: usize = 32;

struct Chunk {
    slots: Box<[Option<Descriptor>]>,
    _charge: KernelCharge,
}

impl Chunk {
    /// All slots free. `ENOMEM` when there is no memory for it.
    fn new(domain: &Domain) -> Result<Chunk, Errno> {
        let charge = charge_kernel_bytes(domain.memory(), CHUNK * size_of::<Option<Descriptor>>())?;
        let mut slots = Vec::new();
        slots.try_reserve_exact(CHUNK).map_err(|_| Errno::ENOMEM)?;
        slots.resize(CHUNK, None);
        Ok(Chunk { slots: slots.into_boxed_slice(), _charge: charge })
    }
}

#[derive(Default)]
struct Table {
    chunks: Vec<Option<Chunk>>,
    /// No slot below it is free.
    lowest: usize,
}

/// The descriptors that one or more threads share.
pub struct Files {
    domain: Arc<Domain>,
    table: SpinLock<Table>,
}

impl Files {
    pub fn new(domain: &Arc<Domain>) -> Arc<Files> {
        Arc::new(Files { domain: domain.clone(), table: SpinLock::default() })
    }

    /// A table with the same entries (`fork`).
    pub fn duplicate(&self) -> Result<Arc<Files>, Errno> {
        // Sized before the lock, so that nothing is allocated under it; it may grow meanwhile, hence the loop.
        let mut chunks = Vec::new();
        let mut spare = Vec::new();
        loop {
            let (all, used) = self.table.lock().chunks_in_all_and_used();
            chunks.try_reserve(all).map_err(|_| Errno::ENOMEM)?;
            spare.try_reserve(used).map_err(|_| Errno::ENOMEM)?;
            while spare.len() < used {
                spare.push(Chunk::new(&self.domain)?);
            }
            let table = self.table.lock();
            let (all, used) = table.chunks_in_all_and_used();
            if all > chunks.capacity() || used > spare.len() {
                continue;
            }
            for chunk in &table.chunks {
                let copy = chunk.as_ref().and_then(|chunk| {
                    let mut copy = spare.pop()?;
                    copy.slots.clone_from_slice(&chunk.slots);
                    Some(copy)
                });
                chunks.push(copy);
            }
            let lowest = table.lowest;
            drop(table);
            let table = SpinLock::new(Table { chunks, lowest });
            return Ok(Arc::new(Files { domain: self.domain.clone(), table }));
        }
    }

    /// The open file of a descriptor; `EBADF` when it is not open.
    #[inline]
    pub fn get(&self, fd: i32) -> Result<Arc<File>, Errno> {
        let slot = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        match self.table.lock().get(slot) {
            Some(entry) => Ok(entry.file.clone()),
            None => Err(Errno::EBADF),
        }
    }

    /// The whole entry.
    pub fn descriptor(&self, fd: i32) -> Result<Descriptor, Errno> {
        let slot = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        self.table.lock().get(slot).cloned().ok_or(Errno::EBADF)
    }

    /// Gives `file` the lowest free descriptor from `from` on that is below `limit` (`RLIMIT_NOFILE`): `EMFILE` when
    /// there is none, `ENFILE` when the agent may not have another.
    pub fn add(&self, file: Arc<File>, from: usize, limit: u64, close_on_exec: bool) -> Result<i32, Errno> {
        let entry = self.entry(file, close_on_exec)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(MAX_DESCRIPTORS);
        let mut table = self.table.lock();
        let free = table.first_free(from.max(table.lowest));
        if free >= limit {
            return Err(Errno::EMFILE);
        }
        *table.slot(free, &self.domain)? = Some(entry);
        if from <= table.lowest {
            table.lowest = free + 1;
        }
        Ok(free as i32)
    }

    /// Puts `file` at exactly `fd` and returns what was there (`dup2`). `EBADF` when `fd` is out of range.
    pub fn put(&self, file: Arc<File>, fd: i32, limit: u64, close_on_exec: bool) -> Result<Option<Descriptor>, Errno> {
        let entry = self.entry(file, close_on_exec)?;
        let slot = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        if slot as u64 >= limit || slot >= MAX_DESCRIPTORS {
            return Err(Errno::EBADF);
        }
        let mut table = self.table.lock();
        let before = table.slot(slot, &self.domain)?.replace(entry);
        if slot == table.lowest {
            table.lowest = slot + 1;
        }
        drop(table);
        if let Some(before) = &before {
            self.release_locks(before);
        }
        Ok(before)
    }

    fn entry(&self, file: Arc<File>, close_on_exec: bool) -> Result<Descriptor, Errno> {
        let hold = self.domain.files().take(1).map_err(|_| Errno::ENFILE)?;
        let charge = charge_kernel_bytes(self.domain.memory(), DESCRIPTOR_BYTES)?;
        Ok(Descriptor { file, close_on_exec, _paid: Arc::new(Paid { _hold: hold, _charge: charge }) })
    }

    /// Takes a descriptor out; the caller drops the file with no lock held.
    pub fn remove(&self, fd: i32) -> Result<Descriptor, Errno> {
        let slot = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        let mut table = self.table.lock();
        let entry = table.get_mut(slot).and_then(Option::take).ok_or(Errno::EBADF)?;
        table.lowest = table.lowest.min(slot);
        drop(table);
        self.release_locks(&entry);
        Ok(entry)
    }

    /// Gives up the table's record locks of a file, as every close of one of its descriptors does (`fcntl(2)`).
    fn release_locks(&self, closed: &Descriptor) {
        locks::release(closed.file.inode(), Owner::of_table(self));
    }

    /// Sets or clears the close-on-exec flag.
    pub fn set_close_on_exec(&self, fd: i32, on: bool) -> Result<(), Errno> {
        let slot = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        match self.table.lock().get_mut(slot) {
            Some(Some(entry)) => {
                entry.close_on_exec = on;
                Ok(())
            }
            _ => Err(Errno::EBADF),
        }
    }

    /// Closes what `exec` closes.
    pub fn close_on_exec(&self) {
        self.close_where(|entry| entry.close_on_exec);
    }

    pub fn close_all(&self) {
        self.close_where(|_| true);
    }

    fn close_where(&self, wanted: impl Fn(&Descriptor) -> bool) {
        let mut slot = 0;
        loop {
            let mut table = self.table.lock();
            let Some(found) = table.first_open(slot, &wanted) else { return };
            let entry = table.get_mut(found).and_then(Option::take);
            table.lowest = table.lowest.min(found);
            drop(table);
            // With no lock held: the last use of a file may wait.
            if let Some(entry) = entry {
                self.release_locks(&entry);
            }
            slot = found + 1;
        }
    }

    /// Open descriptors in ascending order, from `from` on: the first one.
    pub fn next_open(&self, from: usize) -> Option<(i32, Descriptor)> {
        let table = self.table.lock();
        let found = table.first_open(from, &|_| true)?;
        table.get(found).map(|entry| (found as i32, entry.clone()))
    }

    /// How many slots the table has room for (`FDSize` of `/proc/PID/status`).
    pub fn capacity(&self) -> usize {
        (self.table.lock().chunks.len() * CHUNK).next_multiple_of(64).max(64)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for chunk in core::mem::take(&mut self.table.get_mut().chunks).into_iter().flatten() {
            for entry in chunk.slots.into_iter().flatten() {
                self.release_locks(&entry);
            }
        }
    }
}

impl Table {
    #[inline]
    fn get(&self, slot: usize) -> Option<&Descriptor> {
        self.chunks.get(slot / CHUNK)?.as_ref()?.slots.get(slot % CHUNK)?.as_ref()
    }

    fn get_mut(&mut self, slot: usize) -> Option<&mut Option<Descriptor>> {
        self.chunks.get_mut(slot / CHUNK)?.as_mut()?.slots.get_mut(slot % CHUNK)
    }

    /// The slot, made when it is not there. `ENOMEM` when it cannot be.
    fn slot(&mut self, slot: usize, domain: &Domain) -> Result<&mut Option<Descriptor>, Errno> {
        let number = slot / CHUNK;
        if number >= self.chunks.len() {
            self.chunks.try_reserve(number + 1 - self.chunks.len()).map_err(|_| Errno::ENOMEM)?;
            self.chunks.resize_with(number + 1, || None);
        }
        let chunk = self.chunks.get_mut(number).ok_or(Errno::EBADF)?;
        if chunk.is_none() {
            *chunk = Some(Chunk::new(domain)?);
        }
        chunk.as_mut().and_then(|chunk| chunk.slots.get_mut(slot % CHUNK)).ok_or(Errno::EBADF)
    }

    /// The first free slot from `from` on; it may not be there yet.
    fn first_free(&self, from: usize) -> usize {
        let mut slot = from;
        while self.get(slot).is_some() {
            slot += 1;
        }
        slot
    }

    /// The first slot from `from` on with a descriptor that is wanted.
    fn first_open(&self, from: usize, wanted: &dyn Fn(&Descriptor) -> bool) -> Option<usize> {
        let mut slot = from;
        while let Some(chunk) = self.chunks.get(slot / CHUNK) {
            let base = slot - slot % CHUNK;
            let slots = chunk.as_ref().and_then(|chunk| chunk.slots.get(slot % CHUNK..)).unwrap_or_default();
            if let Some(place) = slots.iter().position(|entry| entry.as_ref().is_some_and(wanted)) {
                return Some(slot + place);
            }
            slot = base + CHUNK;
        }
        None
    }

    fn chunks_in_all_and_used(&self) -> (usize, usize) {
        (self.chunks.len(), self.chunks.iter().flatten().count())
    }
}
