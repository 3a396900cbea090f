//! A few words that are read often, as one, by whoever likes, and changed by one writer that never waits for them.
//!
//! The writer counts before and after a change; a reader whose count was odd, or is another one afterwards, reads again.
//! What the words mean is the owner's business. Two writers at once leave a mixture of their words, nothing worse.
//!
//! A reader waits while a change is under way: a writer that an interrupt could stop for long keeps interrupts off.

use kernel_hal::model::{AtomicU64, Ordering, fence, spin};

pub struct Sequence<const WORDS: usize> {
    /// Odd while the words are changed.
    changes: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl<const WORDS: usize> Sequence<WORDS> {
    pub fn new(words: [u64; WORDS]) -> Sequence<WORDS> {
        Sequence { changes: AtomicU64::new(0), words: words.map(AtomicU64::new) }
    }

    /// The words as one change left them.
    #[inline]
    pub fn read(&self) -> [u64; WORDS] {
        loop {
            let before = self.changes.load(Ordering::Acquire);
            let words = core::array::from_fn(|index| self.words[index].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if before & 1 == 0 && self.changes.load(Ordering::Relaxed) == before {
                return words;
            }
            spin();
        }
    }

    /// Changes the words. The caller is the only writer.
    #[inline]
    pub fn write(&self, change: impl FnOnce([u64; WORDS]) -> [u64; WORDS]) {
        let before = self.changes.load(Ordering::Relaxed);
        self.changes.store(before.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let words = change(core::array::from_fn(|index| self.words[index].load(Ordering::Relaxed)));
        for (place, word) in self.words.iter().zip(words) {
            place.store(word, Ordering::Relaxed);
        }
        self.changes.store(before.wrapping_add(2), Ordering::Release);
    }
}

#[cfg(all(test, not(feature = "model")))]
mod tests {
    extern crate std;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::Sequence;

    #[test]
    fn no_reader_sees_half_a_change() {
        let words = Arc::new(Sequence::new([0, 0, 0]));
        let over = Arc::new(AtomicBool::new(false));
        let readers: std::vec::Vec<_> = (0..2)
            .map(|_| {
                let (words, over) = (words.clone(), over.clone());
                std::thread::spawn(move || {
                    let mut last = 0;
                    while !over.load(Ordering::Relaxed) {
                        let [one, two, three] = words.read();
                        assert_eq!((two, three), (one * 2, one * 3));
                        assert!(one >= last, "an old change came back");
                        last = one;
                    }
                })
            })
            .collect();
        for number in 1..=200_000 {
            words.write(|[one, ..]| {
                assert_eq!(one, number - 1);
                [number, number * 2, number * 3]
            });
        }
        over.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().expect("a reader"));
    }
}
