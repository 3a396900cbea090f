//! The descriptor table.

use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use kernel_cap::{Domain, Hold};
use kernel_fs::File;
use kernel_fs::locks::{self, Owner};
use kernel_sync::SpinLock;

/// The hard ceiling of descriptors of one process (Linux's `fs.nr_open`).
pub const MAX_DESCRIPTORS: usize = 1 << 20;

/// One entry.
#[derive(Clone)]
pub struct Descriptor {
    pub file: Arc<File>,
    pub close_on_exec: bool,
    /// What the agent's meter of open files counts.
    _hold: Arc<Hold>,
}

#[derive(Default)]
struct Table {
    slots: Vec<Option<Descriptor>>,
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
        let mut slots = Vec::new();
        loop {
            let wanted = self.table.lock().slots.len();
            slots.try_reserve(wanted).map_err(|_| Errno::ENOMEM)?;
            let table = self.table.lock();
            if table.slots.len() <= slots.capacity() {
                slots.extend(table.slots.iter().cloned());
                let lowest = table.lowest;
                drop(table);
                return Ok(Arc::new(Files {
                    domain: self.domain.clone(),
                    table: SpinLock::new(Table { slots, lowest }),
                }));
            }
        }
    }

    /// The open file of a descriptor; `EBADF` when it is not open.
    #[inline]
    pub fn get(&self, fd: i32) -> Result<Arc<File>, Errno> {
        let slot = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        match self.table.lock().slots.get(slot) {
            Some(Some(entry)) => Ok(entry.file.clone()),
            _ => Err(Errno::EBADF),
        }
    }

    /// The whole entry.
    pub fn descriptor(&self, fd: i32) -> Result<Descriptor, Errno> {
        let slot = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        self.table.lock().slots.get(slot).cloned().flatten().ok_or(Errno::EBADF)
    }

    /// Gives `file` the lowest free descriptor from `from` on that is below `limit` (`RLIMIT_NOFILE`): `EMFILE` when
    /// there is none, `ENFILE` when the agent may not have another.
    pub fn add(&self, file: Arc<File>, from: usize, limit: u64, close_on_exec: bool) -> Result<i32, Errno> {
        let entry = self.entry(file, close_on_exec)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(MAX_DESCRIPTORS);
        let mut table = self.table.lock();
        let start = from.max(table.lowest);
        let free = (start..table.slots.len())
            .find(|slot| table.slots[*slot].is_none())
            .unwrap_or(table.slots.len().max(start));
        if free >= limit {
            return Err(Errno::EMFILE);
        }
        table.grow(free + 1)?;
        table.slots[free] = Some(entry);
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
        table.grow(slot + 1)?;
        let before = table.slots[slot].replace(entry);
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
        Ok(Descriptor { file, close_on_exec, _hold: Arc::new(hold) })
    }

    /// Takes a descriptor out; the caller drops the file with no lock held.
    pub fn remove(&self, fd: i32) -> Result<Descriptor, Errno> {
        let slot = usize::try_from(fd).map_err(|_| Errno::EBADF)?;
        let mut table = self.table.lock();
        let entry = table.slots.get_mut(slot).and_then(Option::take).ok_or(Errno::EBADF)?;
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
        match self.table.lock().slots.get_mut(slot) {
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
            let Some(found) = (slot..table.slots.len()).find(|slot| table.slots[*slot].as_ref().is_some_and(&wanted))
            else {
                return;
            };
            let entry = table.slots[found].take();
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
        (from..table.slots.len()).find_map(|slot| table.slots[slot].clone().map(|entry| (slot as i32, entry)))
    }

    /// How many slots the table has room for (`FDSize` of `/proc/PID/status`).
    pub fn capacity(&self) -> usize {
        self.table.lock().slots.len().next_multiple_of(64).max(64)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for entry in core::mem::take(&mut self.table.get_mut().slots).into_iter().flatten() {
            self.release_locks(&entry);
        }
    }
}

impl Table {
    fn grow(&mut self, slots: usize) -> Result<(), Errno> {
        if slots > self.slots.len() {
            self.slots.try_reserve(slots - self.slots.len()).map_err(|_| Errno::ENOMEM)?;
            self.slots.resize(slots, None);
        }
        Ok(())
    }
}
