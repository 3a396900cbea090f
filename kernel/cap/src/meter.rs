//! A limit and a count of one resource.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use aios_abi::Errno;

/// Counts what is in use and refuses more than the limit.
#[derive(Debug)]
pub struct Meter {
    used: AtomicU64,
    peak: AtomicU64,
    limit: AtomicU64,
    parent: Option<Arc<Meter>>,
}

impl Meter {
    /// A meter below `parent`: what is taken here is taken there too.
    pub fn new(limit: u64, parent: Option<Arc<Meter>>) -> Arc<Meter> {
        Arc::new(Meter { used: AtomicU64::new(0), peak: AtomicU64::new(0), limit: AtomicU64::new(limit), parent })
    }

    /// Takes `amount`; `EAGAIN` when that would pass the limit here or above.
    pub fn take(self: &Arc<Meter>, amount: u64) -> Result<Hold, Errno> {
        let limit = self.limit.load(Ordering::Relaxed);
        let fits = |used: u64| used.checked_add(amount).filter(|sum| *sum <= limit);
        let before = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map_err(|_| Errno::EAGAIN)?;
        let above = match &self.parent {
            None => None,
            Some(parent) => match parent.take(amount) {
                Ok(hold) => Some(alloc::boxed::Box::new(hold)),
                Err(error) => {
                    self.used.fetch_sub(amount, Ordering::Relaxed);
                    return Err(error);
                }
            },
        };
        self.peak.fetch_max(before + amount, Ordering::Relaxed);
        Ok(Hold { meter: self.clone(), amount, _above: above })
    }

    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Sets the limit; what is above it already stays until given back.
    pub fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }
}

/// What was taken from a [`Meter`]; dropping it gives it back.
#[derive(Debug)]
pub struct Hold {
    meter: Arc<Meter>,
    amount: u64,
    _above: Option<alloc::boxed::Box<Hold>>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.meter.used.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_here_and_above() {
        let top = Meter::new(3, None);
        let (left, right) = (Meter::new(2, Some(top.clone())), Meter::new(9, Some(top.clone())));
        let held = left.take(2).expect("within both limits");
        assert_eq!(left.take(1).err(), Some(Errno::EAGAIN));
        let other = right.take(1).expect("one is left above");
        assert_eq!(right.take(1).err(), Some(Errno::EAGAIN));
        assert_eq!((top.used(), left.used(), right.used()), (3, 2, 1));
        drop((held, other));
        assert_eq!((top.used(), left.used(), right.used(), top.peak()), (0, 0, 0, 3));
    }
}
