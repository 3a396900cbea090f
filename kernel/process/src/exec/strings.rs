//! Argument and environment strings on their way into a program.

use alloc::vec::Vec;

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SIZE, Virt};
use kernel_hal::usermem::{self, StringError};

/// Most bytes of one string with its terminator (Linux's `MAX_ARG_STRLEN`).
pub const MAX_STRING: usize = 32 * PAGE_SIZE;
/// What strings and their pointers may always take (Linux's `ARG_MAX`).
const ALWAYS: u64 = 32 * PAGE_SIZE as u64;
/// What they may take at most: three quarters of Linux's default stack limit.
const MOST: u64 = 6 << 20;

/// Strings one after the other, each with its terminating NUL.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Strings {
    bytes: Vec<u8>,
    count: usize,
}

impl Strings {
    /// `ENOMEM` when there is no room for them.
    pub fn from_slices<'a>(strings: impl IntoIterator<Item = &'a [u8]>) -> Result<Strings, Errno> {
        let mut all = Strings::default();
        for string in strings {
            all.push(string)?;
        }
        Ok(all)
    }

    /// Adds one; a NUL in it would end it early.
    pub fn push(&mut self, string: &[u8]) -> Result<(), Errno> {
        self.bytes.try_reserve(string.len() + 1).map_err(|_| Errno::ENOMEM)?;
        self.bytes.extend(string.iter().take_while(|byte| **byte != 0));
        self.bytes.push(0);
        self.count += 1;
        Ok(())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// The same without the first.
    pub fn without_first(&self) -> (&[u8], usize) {
        let end = self.bytes.iter().position(|byte| *byte == 0).map_or(self.bytes.len(), |end| end + 1);
        (self.bytes.get(end..).unwrap_or_default(), self.count.saturating_sub(1))
    }

    /// Puts `first` in place of the first string.
    pub fn replace_first<'a>(&mut self, first: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Errno> {
        let mut all = Strings::from_slices(first)?;
        let (rest, count) = self.without_first();
        all.bytes.try_reserve(rest.len()).map_err(|_| Errno::ENOMEM)?;
        all.bytes.extend_from_slice(rest);
        all.count += count;
        *self = all;
        Ok(())
    }
}

/// What is left of the room that a program's strings and pointers may take.
#[derive(Clone, Copy, Debug)]
pub struct Budget(u64);

impl Budget {
    /// A quarter of the stack limit, between 128 KiB and 6 MiB.
    pub fn new(stack_limit: u64) -> Budget {
        Budget((stack_limit / 4).clamp(ALWAYS, MOST))
    }

    /// Takes `bytes` of it: `E2BIG` when there are not so many.
    pub fn spend(&mut self, bytes: u64) -> Result<(), Errno> {
        self.0 = self.0.checked_sub(bytes).ok_or(Errno::E2BIG)?;
        Ok(())
    }
}

/// Reads a NULL-terminated array of pointers to strings from the running program's memory; a null `array` is an empty
/// one, as on Linux. `EFAULT` for bad addresses, `E2BIG` when a string or all are too long.
pub fn copy_in(array: Virt, budget: &mut Budget) -> Result<Strings, Errno> {
    let mut strings = Strings::default();
    if array.0 == 0 {
        return Ok(strings);
    }
    let mut at = array;
    loop {
        let string = usermem::load_u64(at).map_err(|_| Errno::EFAULT)?;
        if string == 0 {
            return Ok(strings);
        }
        let before = strings.bytes.len();
        copy_string(&mut strings.bytes, Virt(string))?;
        strings.count += 1;
        budget.spend((strings.bytes.len() - before + size_of::<u64>()) as u64)?;
        at = at.checked_add(size_of::<u64>() as u64).ok_or(Errno::EFAULT)?;
    }
}

/// Appends the string at `from` with its terminator.
fn copy_string(bytes: &mut Vec<u8>, from: Virt) -> Result<(), Errno> {
    let start = bytes.len();
    let mut room = 128;
    loop {
        bytes.try_reserve(room).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(start + room, 0);
        match usermem::copy_string(bytes.get_mut(start..).unwrap_or_default(), from) {
            Ok(len) => {
                // The terminator is there: the buffer was zero, or it was copied.
                bytes.truncate(start + len);
                bytes.push(0);
                return Ok(());
            }
            Err(StringError::Fault) => return Err(Errno::EFAULT),
            Err(StringError::TooLong) if room >= MAX_STRING => return Err(Errno::E2BIG),
            Err(StringError::TooLong) => {
                bytes.truncate(start);
                room = (room * 16).min(MAX_STRING);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_string_is_replaced() {
        let mut strings = Strings::from_slices([&b"old"[..], b"x", b""]).expect("memory");
        strings.replace_first([&b"sh"[..], b"-e", b"script"]).expect("memory");
        assert_eq!((strings.bytes(), strings.count()), (&b"sh\0-e\0script\0x\0\0"[..], 5));
        let mut none = Strings::default();
        none.replace_first([&b"sh"[..]]).expect("memory");
        assert_eq!((none.bytes(), none.count()), (&b"sh\0"[..], 1));
    }

    #[test]
    fn the_budget_follows_the_stack_limit() {
        for (limit, room) in [(0, ALWAYS), (8 << 20, 2 << 20), (u64::MAX, MOST)] {
            let mut budget = Budget::new(limit);
            assert_eq!(budget.spend(room), Ok(()));
            assert_eq!(budget.spend(1), Err(Errno::E2BIG));
        }
    }
}
