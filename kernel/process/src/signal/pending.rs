//! Signals that were sent and not yet taken.
//!
//! Those below `SIGRTMIN` merge: a second one is dropped while the first waits. Real-time signals queue, in order, each
//! with what its sender said; the kernel memory of each entry is charged to the agent.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use aios_abi::linux::consts::{SIGRTMIN, si_code};
use aios_abi::linux::structs::Siginfo;
use kernel_mm::KernelCharge;

use super::set::{SignalSet, bit, first};

/// What an entry costs in kernel memory, about.
pub(super) const ENTRY_BYTES: usize = size_of::<Entry>() * 2;

struct Entry {
    info: Siginfo,
    _charge: Option<KernelCharge>,
}

/// A set of pending signals with what is known of each.
#[derive(Default)]
pub struct Pending {
    set: SignalSet,
    standard: Vec<Siginfo>,
    realtime: BTreeMap<u32, VecDeque<Entry>>,
    queued: usize,
}

impl Pending {
    pub fn set(&self) -> SignalSet {
        self.set
    }

    /// How many real-time entries wait.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Adds a signal. A real-time one comes with the charge of its entry; without one (`None`) only the fact that it was
    /// sent is kept, as Linux does when it has no room for more.
    pub(super) fn add(&mut self, info: Siginfo, charge: Option<KernelCharge>) {
        let signal = info.signo as u32;
        if signal < SIGRTMIN {
            if self.set & bit(signal) == 0 {
                self.standard.push(info);
            }
        } else if charge.is_some() {
            self.realtime.entry(signal).or_default().push_back(Entry { info, _charge: charge });
            self.queued += 1;
        }
        self.set |= bit(signal);
    }

    /// Takes the signal of `wanted` whose turn it is.
    #[inline]
    pub(super) fn take(&mut self, wanted: SignalSet) -> Option<Siginfo> {
        if self.set & wanted == 0 {
            return None;
        }
        self.take_first(first(self.set & wanted)?)
    }

    fn take_first(&mut self, signal: u32) -> Option<Siginfo> {
        if signal < SIGRTMIN {
            self.set &= !bit(signal);
            let place = self.standard.iter().position(|info| info.signo as u32 == signal);
            return Some(place.map_or_else(|| unknown(signal), |place| self.standard.remove(place)));
        }
        let mut more = false;
        let entry = self.realtime.get_mut(&signal).and_then(|queue| {
            let entry = queue.pop_front();
            more = !queue.is_empty();
            entry
        });
        if entry.is_some() {
            self.queued = self.queued.saturating_sub(1);
        }
        if !more {
            self.set &= !bit(signal);
            self.realtime.remove(&signal);
        }
        Some(entry.map_or_else(|| unknown(signal), |entry| entry.info))
    }

    /// Forgets all signals of `set`.
    pub(super) fn discard(&mut self, set: SignalSet) {
        if self.set & set == 0 {
            return;
        }
        self.set &= !set;
        self.standard.retain(|info| bit(info.signo as u32) & set == 0);
        let mut left = 0;
        self.realtime.retain(|signal, queue| {
            let stays = bit(*signal) & set == 0;
            left += if stays { queue.len() } else { 0 };
            stays
        });
        self.queued = left;
    }

    /// Forgets the entry of a POSIX timer, and the signal with it when nothing else keeps it.
    pub(super) fn discard_timer(&mut self, signal: u32, timer: i32) {
        let ours = |info: &Siginfo| {
            info.signo as u32 == signal && info.code == si_code::SI_TIMER && info.pid() as i32 == timer
        };
        let before = self.standard.len();
        self.standard.retain(|info| !ours(info));
        if self.standard.len() != before {
            self.set &= !bit(signal);
        }
        if let Some(queue) = self.realtime.get_mut(&signal) {
            let before = queue.len();
            queue.retain(|entry| !ours(&entry.info));
            self.queued = self.queued.saturating_sub(before - queue.len());
            if queue.is_empty() {
                self.realtime.remove(&signal);
                self.set &= !bit(signal);
            }
        }
    }
}

/// For a signal whose sender is no longer known.
fn unknown(signal: u32) -> Siginfo {
    Siginfo::kill(signal, si_code::SI_USER, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aios_abi::linux::consts::signal::*;
    use kernel_mm::{Account, charge_kernel_bytes};

    fn charge() -> Option<KernelCharge> {
        crate::testing::start();
        Some(charge_kernel_bytes(&Account::kernel(), ENTRY_BYTES).expect("memory"))
    }

    #[test]
    fn standard_signals_merge_and_keep_the_first_sender() {
        let mut pending = Pending::default();
        pending.add(Siginfo::kill(SIGUSR1, si_code::SI_USER, 7, 0), None);
        pending.add(Siginfo::kill(SIGUSR1, si_code::SI_USER, 8, 0), None);
        pending.add(Siginfo::kill(SIGHUP, si_code::SI_USER, 9, 0), None);
        assert_eq!(pending.take(!bit(SIGHUP)).map(|info| info.pid()), Some(7));
        assert_eq!(pending.take(!0).map(|info| info.pid()), Some(9));
        assert_eq!((pending.take(!0), pending.set()), (None, 0));
    }

    #[test]
    fn real_time_signals_queue_in_order_lowest_first() {
        let mut pending = Pending::default();
        for (signal, value) in [(40, 1), (35, 2), (40, 3), (35, 4)] {
            pending.add(Siginfo::queue(signal, si_code::SI_QUEUE, 1, 1, value), charge());
        }
        let order: std::vec::Vec<_> =
            core::iter::from_fn(|| pending.take(!0)).map(|info| (info.signo, info.value())).collect();
        assert_eq!(order, [(35, 2), (35, 4), (40, 1), (40, 3)]);
        assert_eq!((pending.set(), pending.queued()), (0, 0));
    }

    #[test]
    fn a_signal_without_room_for_its_sender_still_comes() {
        let mut pending = Pending::default();
        pending.add(Siginfo::kill(50, si_code::SI_USER, 5, 5), None);
        assert_eq!(pending.take(!0), Some(unknown(50)));
        assert_eq!(pending.set(), 0);
    }

    #[test]
    fn discarding_takes_the_entries_with_the_signal() {
        let mut pending = Pending::default();
        pending.add(Siginfo::kill(SIGCONT, si_code::SI_USER, 1, 1), None);
        pending.add(Siginfo::timer(40, 3, 0, 0), charge());
        pending.add(Siginfo::timer(40, 4, 0, 0), charge());
        pending.discard(bit(SIGCONT));
        pending.discard_timer(40, 3);
        assert_eq!(pending.queued(), 1);
        assert_eq!(pending.take(!0).map(|info| info.pid()), Some(4));
        assert_eq!(pending.take(!0), None);
    }
}
