//! `select(2)` and `pselect6(2)`.

use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::poll as event;
use aios_abi::linux::structs::{IntoBytes, SigsetArgpack, Timespec, Timeval};
use aios_abi::linux::table::nr;
use kernel_hal::addr::Virt;
use kernel_hal::usermem;
use kernel_process::{Files, Thread, signal};
use kernel_sync::{Poller, WaitError};

use crate::call::CallResult;
use crate::poll::finish;
use crate::wait::{Timeout, signal_mask, until_ready};
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[(nr::SELECT, select), (nr::PSELECT6, pselect6)];

/// What puts a descriptor into each of the three results.
const EVENTS: [u16; 3] = [
    event::POLLRDNORM | event::POLLRDBAND | event::POLLIN | event::POLLHUP | event::POLLERR,
    event::POLLWRBAND | event::POLLWRNORM | event::POLLOUT | event::POLLERR,
    event::POLLPRI,
];

const WORD: usize = 64;

/// Three sets of descriptors, a bit each: to read, to write, exceptions. All have the same length.
#[derive(Clone, Default)]
struct Sets([Vec<u64>; 3]);

impl Sets {
    fn empty(words: usize) -> Result<Sets, Errno> {
        let mut sets = Sets::default();
        for set in &mut sets.0 {
            set.try_reserve_exact(words).map_err(|_| Errno::ENOMEM)?;
            set.resize(words, 0);
        }
        Ok(sets)
    }

    /// Reads the sets that the program gives; one that it does not is empty.
    fn read(places: [Virt; 3], words: usize) -> Result<Sets, Errno> {
        let mut sets = Sets::empty(words)?;
        for (set, at) in sets.0.iter_mut().zip(places).filter(|(_, at)| at.0 != 0) {
            usermem::copy_in(set.as_mut_bytes(), at).map_err(|_| Errno::EFAULT)?;
        }
        Ok(sets)
    }

    fn write(&self, places: [Virt; 3]) -> Result<(), Errno> {
        for (set, at) in self.0.iter().zip(places).filter(|(_, at)| at.0 != 0) {
            usermem::copy_out(at, set.as_bytes()).map_err(|_| Errno::EFAULT)?;
        }
        Ok(())
    }

    /// Leaves only descriptors below `count`.
    fn cut(&mut self, count: usize) {
        let last = count % WORD;
        if last == 0 {
            return;
        }
        for word in self.0.iter_mut().filter_map(|set| set.last_mut()) {
            *word &= (1 << last) - 1;
        }
    }

    fn word(&self, set: usize, index: usize) -> u64 {
        self.0.get(set).and_then(|set| set.get(index)).copied().unwrap_or(0)
    }

    /// The descriptors in any set, with a bit for each set they are in.
    fn members(&self) -> impl Iterator<Item = (i32, [bool; 3])> {
        let words = self.0.first().map_or(0, Vec::len);
        (0..words).flat_map(move |index| {
            let of = [self.word(0, index), self.word(1, index), self.word(2, index)];
            let any = of.into_iter().fold(0, |any, word| any | word);
            (0..WORD).filter(move |bit| any >> bit & 1 != 0).map(move |bit| {
                let fd = (index * WORD + bit) as i32;
                (fd, of.map(|word| word >> bit & 1 != 0))
            })
        })
    }

    fn insert(&mut self, set: usize, fd: i32) {
        let fd = fd as usize;
        if let Some(word) = self.0.get_mut(set).and_then(|set| set.get_mut(fd / WORD)) {
            *word |= 1 << (fd % WORD);
        }
    }

    fn clear(&mut self) {
        self.0.iter_mut().for_each(|set| set.fill(0));
    }
}

/// Looks at every member of `wanted`, leaves those that are ready in `found` and counts their bits.
fn look(files: &Files, wanted: &Sets, found: &mut Sets, mut poller: Option<&mut Poller>) -> usize {
    found.clear();
    let mut ready = 0;
    for (fd, member) in wanted.members() {
        // Closed since the sets were checked: it is ready for whatever comes of that.
        let events = files.get(fd).map_or(u16::MAX, |file| file.poll(poller.as_deref_mut()) as u16);
        for (set, mask) in EVENTS.iter().enumerate() {
            if member.get(set) == Some(&true) && events & mask != 0 {
                found.insert(set, fd);
                ready += 1;
            }
        }
        if ready > 0 {
            poller = None;
        }
    }
    ready
}

/// Waits on the sets in arguments 1 to 3 and writes the results back.
fn select_sets(thread: &Thread, count: i32, places: [Virt; 3], timeout: Timeout) -> CallResult {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    let files = thread.files();
    let count = count.min(files.capacity());
    let words = count.div_ceil(WORD);
    let mut wanted = Sets::read(places, words)?;
    wanted.cut(count);
    for (fd, _) in wanted.members() {
        if files.get(fd)?.is_path_only() {
            return Err(Errno::EBADF);
        }
    }
    let mut found = Sets::empty(words)?;
    match until_ready(timeout, |poller| look(&files, &wanted, &mut found, poller)) {
        Err(WaitError::Interrupted) => Err(Errno::ERESTARTNOHAND),
        Err(WaitError::TimedOut) => Ok(0),
        Ok(ready) => {
            found.write(places)?;
            Ok(ready)
        }
    }
}

fn places(call: &Call<'_>) -> [Virt; 3] {
    [call.ptr(1), call.ptr(2), call.ptr(3)]
}

fn select(call: &mut Call<'_>) -> CallResult {
    let limit = call.ptr(4);
    let timeout = Timeout::from_timeval(call, limit)?;
    let result = select_sets(call.thread, call.int(0), places(call), timeout);
    finish(call, limit, timeout, &Timeval::from_nanos(timeout.left()), result)
}

fn pselect6(call: &mut Call<'_>) -> CallResult {
    let pack = match call.ptr(5) {
        Virt(0) => SigsetArgpack::default(),
        at => call.read(at)?,
    };
    let limit = call.ptr(4);
    let timeout = Timeout::from_timespec(call, limit)?;
    let mask = signal_mask(call, Virt(pack.sigset), pack.size)?;
    let result =
        signal::with_temporary_mask(call.thread, mask, || select_sets(call.thread, call.int(0), places(call), timeout));
    finish(call, limit, timeout, &Timespec::from_nanos(timeout.left()), result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_the_bits_of_all_sets_below_the_count() {
        let mut sets = Sets::empty(2).unwrap();
        for (set, fd) in [(0, 0), (1, 63), (2, 64), (0, 64), (1, 70), (2, 127)] {
            sets.insert(set, fd);
        }
        sets.cut(70);
        let members: Vec<_> = sets.members().collect();
        assert_eq!(members, [(0, [true, false, false]), (63, [false, true, false]), (64, [true, false, true])]);
        sets.clear();
        assert_eq!(sets.members().count(), 0);
    }

    #[test]
    fn a_full_last_word_is_not_cut() {
        let mut sets = Sets::empty(1).unwrap();
        sets.insert(0, 63);
        sets.cut(64);
        assert_eq!(sets.members().count(), 1);
    }
}
