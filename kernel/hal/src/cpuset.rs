//! Sets of CPUs, plain and shared.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::cpu::MAX_CPUS;

const WORDS: usize = MAX_CPUS / 64;

/// A set of CPU numbers.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuSet([u64; WORDS]);

impl CpuSet {
    pub const EMPTY: CpuSet = CpuSet([0; WORDS]);
    pub const ALL: CpuSet = CpuSet([u64::MAX; WORDS]);

    /// The CPUs from 0 up to `count`.
    pub fn first(count: usize) -> CpuSet {
        let mut set = CpuSet::EMPTY;
        (0..count.min(MAX_CPUS)).for_each(|cpu| set.insert(cpu));
        set
    }

    /// The one CPU.
    pub fn only(cpu: usize) -> CpuSet {
        let mut set = CpuSet::EMPTY;
        set.insert(cpu);
        set
    }

    /// Numbers from [`MAX_CPUS`] on are never in a set.
    pub fn insert(&mut self, cpu: usize) {
        if let Some(word) = self.0.get_mut(cpu / 64) {
            *word |= 1 << (cpu % 64);
        }
    }

    pub fn remove(&mut self, cpu: usize) {
        if let Some(word) = self.0.get_mut(cpu / 64) {
            *word &= !(1 << (cpu % 64));
        }
    }

    #[inline]
    pub fn contains(&self, cpu: usize) -> bool {
        self.0.get(cpu / 64).is_some_and(|word| word & 1 << (cpu % 64) != 0)
    }

    pub fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub fn and(&self, other: &CpuSet) -> CpuSet {
        let mut both = *self;
        both.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
        both
    }

    /// In ascending order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(index, word)| {
            let mut left = *word;
            core::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(index * 64 + bit as usize)
            })
        })
    }

    /// 64 CPUs a word, the lowest first.
    pub fn words(&self) -> &[u64] {
        &self.0
    }

    /// The set of words as [`words`](CpuSet::words) gives them; what is missing is empty, what is too much is dropped.
    pub fn from_words(words: impl Iterator<Item = u64>) -> CpuSet {
        let mut set = CpuSet::EMPTY;
        set.0.iter_mut().zip(words).for_each(|(to, from)| *to = from);
        set
    }
}

impl FromIterator<usize> for CpuSet {
    fn from_iter<I: IntoIterator<Item = usize>>(cpus: I) -> CpuSet {
        let mut set = CpuSet::EMPTY;
        cpus.into_iter().for_each(|cpu| set.insert(cpu));
        set
    }
}

/// A list such as `0-3,6`.
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cpus = self.iter().peekable();
        let mut comma = "";
        while let Some(first) = cpus.next() {
            let mut last = first;
            while cpus.next_if_eq(&(last + 1)).is_some() {
                last += 1;
            }
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

/// A set of CPU numbers that CPUs change at the same time. Changes and looks are in one order for all CPUs.
#[derive(Default)]
pub struct AtomicCpuSet([AtomicU64; WORDS]);

impl AtomicCpuSet {
    pub const fn new() -> AtomicCpuSet {
        AtomicCpuSet([const { AtomicU64::new(0) }; WORDS])
    }

    #[inline]
    pub fn insert(&self, cpu: usize) {
        if let Some(word) = self.0.get(cpu / 64) {
            word.fetch_or(1 << (cpu % 64), Ordering::SeqCst);
        }
    }

    /// Takes `cpu` out; true when it was in.
    #[inline]
    pub fn remove(&self, cpu: usize) -> bool {
        let bit = 1 << (cpu % 64);
        self.0.get(cpu / 64).is_some_and(|word| word.fetch_and(!bit, Ordering::SeqCst) & bit != 0)
    }

    #[inline]
    pub fn contains(&self, cpu: usize) -> bool {
        self.0.get(cpu / 64).is_some_and(|word| word.load(Ordering::SeqCst) & 1 << (cpu % 64) != 0)
    }

    /// The set as it is now, or word by word was.
    #[inline]
    pub fn load(&self) -> CpuSet {
        CpuSet::from_words(self.0.iter().map(|word| word.load(Ordering::SeqCst)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn sets_hold_what_was_put_in() {
        let mut set = CpuSet::first(3);
        set.insert(64);
        set.insert(255);
        set.insert(256);
        set.remove(1);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 2, 64, 255]);
        assert_eq!((set.count(), set.contains(255), set.contains(256), set.contains(1)), (4, true, false, false));
        assert_eq!(set.and(&CpuSet::only(64)), CpuSet::only(64));
        assert!(CpuSet::EMPTY.is_empty() && !set.is_empty());
        assert_eq!(CpuSet::from_words(set.words().iter().copied()), set);
        let shared = AtomicCpuSet::new();
        shared.insert(200);
        assert!(shared.contains(200) && !shared.remove(1) && shared.remove(200) && !shared.remove(200));
        assert_eq!(shared.load(), CpuSet::EMPTY);
    }

    #[test]
    fn lists_name_ranges() {
        let set: CpuSet = [0, 1, 2, 6, 64, 255].into_iter().collect();
        assert_eq!(std::format!("{set}"), "0-2,6,64,255");
        assert_eq!(std::format!("{}", CpuSet::ALL), "0-255");
        assert_eq!(std::format!("{}", CpuSet::EMPTY), "");
    }
}
