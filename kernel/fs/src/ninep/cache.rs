//! Read-ahead. A round trip to the server costs far more than the bytes it carries, so a page is fetched together with
//! its neighbours, as many as one message holds; they wait here until they are asked for.
//!
//! Windows are few, so the memory that waits is bounded, whatever is read.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kernel_hal::addr::PAGE_SIZE;
use kernel_hal::frame::Frame;
use kernel_sync::SpinLock;

/// Windows that one mounted tree keeps.
const MOST: usize = 8;

/// Bytes of a file, from a page boundary on.
struct Window {
    file: u64,
    first_page: u64,
    /// Fewer than a whole number of pages only at the end of the file.
    bytes: Vec<u8>,
}

/// The most recently fetched stretches of all files of a tree.
pub(super) struct Windows(SpinLock<VecDeque<Arc<Window>>>);

impl Windows {
    pub fn new() -> Windows {
        Windows(SpinLock::new(VecDeque::new()))
    }

    /// Fills `frame` with page `index` of `file` if it waits here.
    pub fn take(&self, file: u64, index: u64, frame: &Frame) -> bool {
        let covers = |window: &Arc<Window>| {
            let pages = window.bytes.len().div_ceil(PAGE_SIZE) as u64;
            window.file == file && index.checked_sub(window.first_page).is_some_and(|page| page < pages)
        };
        let found = self.0.lock().iter().find(|window| covers(window)).cloned();
        let Some(window) = found else { return false };
        fill(frame, &window.bytes, (index - window.first_page) as usize);
        true
    }

    /// Keeps what was fetched.
    pub fn put(&self, file: u64, first_page: u64, bytes: Vec<u8>) {
        let fresh = Arc::new(Window { file, first_page, bytes });
        let mut windows = self.0.lock();
        windows.push_front(fresh);
        let oldest = if windows.len() > MOST { windows.pop_back() } else { None };
        drop(windows);
        drop(oldest);
    }

    /// Forgets what was fetched of a file that has changed.
    pub fn forget(&self, file: u64) {
        let mut windows = self.0.lock();
        let (gone, kept): (VecDeque<_>, VecDeque<_>) = windows.drain(..).partition(|window| window.file == file);
        *windows = kept;
        drop(windows);
        drop(gone);
    }
}

/// Copies page `page` of `bytes` into a frame that is zero.
pub(super) fn fill(frame: &Frame, bytes: &[u8], page: usize) {
    if let Some(rest) = page.checked_mul(PAGE_SIZE).and_then(|start| bytes.get(start..)) {
        frame.write(0, rest.get(..PAGE_SIZE).unwrap_or(rest));
    }
}
