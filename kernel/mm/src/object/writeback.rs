//! Writing dirty pages to where they belong.

use alloc::collections::BTreeSet;
use core::ops::Range;

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SHIFT, PAGE_SIZE};
use kernel_hal::frame::Frame;

use super::MemoryObject;
use crate::space::registry;

/// Pages taken from the dirty set at a time.
const BATCH: usize = 32;

impl MemoryObject {
    /// Writes all dirty pages back. What cannot be written stays dirty; the first error is returned, after the others
    /// were tried. May sleep.
    pub fn write_back(&self) -> Result<(), Errno> {
        self.write_back_range(0..u64::MAX)
    }

    /// Writes the dirty pages among `range` back.
    pub fn write_back_range(&self, range: Range<u64>) -> Result<(), Errno> {
        let Some(source) = &self.source else { return Ok(()) };
        let mut failed = BTreeSet::new();
        let mut first_error = None;
        let mut next = range.start;
        loop {
            let mut batch: [Option<(u64, Frame)>; BATCH] = [const { None }; BATCH];
            self.take_dirty(next..range.end, &mut batch);
            let Some(last) = batch.iter().flatten().last().map(|(index, _)| *index) else { break };
            let first = batch.iter().flatten().next().map_or(last, |(index, _)| *index);
            if self.is_mapped() {
                // From here on a program's write faults and marks the page dirty again.
                registry::write_protect_object(self, first..last + 1);
            }
            for (index, frame) in batch.iter().flatten() {
                let left = self.size().saturating_sub(index << PAGE_SHIFT);
                let valid = usize::try_from(left).unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
                if valid == 0 {
                    continue;
                }
                if let Err(error) = source.write_page(*index, frame, valid) {
                    first_error.get_or_insert(error);
                    failed.insert(*index);
                }
            }
            next = last + 1;
        }
        for index in failed {
            self.mark_dirty(index);
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Whether any page waits to be written back.
    pub fn is_dirty(&self) -> bool {
        !self.pages.lock().dirty.is_empty()
    }

    /// Pages that wait to be written back, for whoever limits them.
    pub fn dirty_pages(&self) -> usize {
        self.pages.lock().dirty.len()
    }

    fn take_dirty(&self, range: Range<u64>, into: &mut [Option<(u64, Frame)>; BATCH]) {
        let mut pages = self.pages.lock();
        let super::Pages { frames, dirty, .. } = &mut *pages;
        for (slot, index) in into.iter_mut().zip(dirty.range(range)) {
            *slot = frames.get(index).map(|frame| (*index, frame.clone()));
        }
        for (index, _) in into.iter().flatten() {
            dirty.remove(index);
        }
    }
}
