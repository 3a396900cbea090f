//! Translation caches: the hosted machine has none, but an access in flight on another thread is one.
//!
//! Each software access holds `IN_FLIGHT` shared from its walk to its last byte; a flush waits for all of them, as a
//! shootdown waits for all processors. So a frame that was unmapped and flushed is no longer being accessed.

use alloc::sync::Arc;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use crate::addr::Virt;
use crate::paging::{Root, Table};

static IN_FLIGHT: RwLock<()> = RwLock::new(());

pub(super) fn access() -> RwLockReadGuard<'static, ()> {
    IN_FLIGHT.read().unwrap_or_else(PoisonError::into_inner)
}

/// The kernel half has no translations here: kernel code runs on host addresses.
pub(crate) fn share_kernel_half(_root: &Table) {}

pub(crate) fn flush_page(root: &Arc<Root>, _page: Virt) {
    flush_all(root);
}

pub(crate) fn flush_all(_root: &Arc<Root>) {
    drop(IN_FLIGHT.write().unwrap_or_else(PoisonError::into_inner));
}
