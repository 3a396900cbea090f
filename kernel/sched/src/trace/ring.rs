//! Records of one CPU on their way out: written by that CPU alone, with interrupts off, and taken by one reader. Neither
//! waits for the other: what finds no room is counted and gone.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use aios_abi::Errno;
use aios_abi::sched_trace::{SIZE, to_bytes};

const WORDS: usize = SIZE / 8;

type Slot = [AtomicU64; WORDS];

pub(super) struct Ring {
    slots: Box<[Slot]>,
    /// Records written and taken since the start; what lies between them is there.
    written: AtomicU64,
    taken: AtomicU64,
    lost: AtomicU64,
}

impl Ring {
    /// Room for so many records, a power of two.
    pub fn new(records: usize) -> Result<Ring, Errno> {
        let mut slots = Vec::new();
        slots.try_reserve_exact(records).map_err(|_| Errno::ENOMEM)?;
        slots.resize_with(records, Slot::default);
        let counter = || AtomicU64::new(0);
        Ok(Ring { slots: slots.into_boxed_slice(), written: counter(), taken: counter(), lost: counter() })
    }

    fn slot(&self, number: u64) -> Option<&Slot> {
        self.slots.get((number % self.slots.len().max(1) as u64) as usize)
    }

    /// Adds a record. Called by the ring's CPU only.
    pub fn put(&self, record: &[u64; WORDS]) {
        let number = self.written.load(Ordering::Relaxed);
        let there = number - self.taken.load(Ordering::Acquire);
        match self.slot(number) {
            Some(slot) if there < self.slots.len() as u64 => {
                slot.iter().zip(record).for_each(|(place, word)| place.store(*word, Ordering::Relaxed));
                self.written.store(number + 1, Ordering::Release);
            }
            _ => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Moves records to the end of `into` while it has room for them without growing. Called by one reader at a time.
    pub fn take(&self, into: &mut Vec<u8>) {
        let mut number = self.taken.load(Ordering::Relaxed);
        let end = self.written.load(Ordering::Acquire);
        while number < end && into.capacity() - into.len() >= SIZE {
            let Some(slot) = self.slot(number) else { break };
            into.extend_from_slice(&to_bytes(&slot.each_ref().map(|word| word.load(Ordering::Relaxed))));
            number += 1;
        }
        // The slots may be written again from here on.
        self.taken.store(number, Ordering::Release);
    }

    /// How many records were lost since this was asked last.
    pub fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::vec::Vec;

    use super::{Ring, SIZE};

    fn numbers(bytes: &[u8]) -> Vec<u64> {
        let (records, rest) = bytes.as_chunks::<SIZE>();
        assert!(rest.is_empty());
        records
            .iter()
            .map(|record| {
                let (words, _) = record.as_chunks();
                let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
                assert_eq!(words[1..], [words[0]; 3], "a torn record");
                words[0]
            })
            .collect()
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let ring = Ring::new(4).expect("memory");
        (0..7).for_each(|number| ring.put(&[number; 4]));
        let mut bytes = Vec::with_capacity(3 * SIZE + SIZE / 2);
        ring.take(&mut bytes);
        assert_eq!(numbers(&bytes), [0, 1, 2]);
        assert_eq!((ring.take_lost(), ring.take_lost()), (3, 0));
        ring.put(&[9; 4]);
        let mut bytes = Vec::with_capacity(100 * SIZE);
        ring.take(&mut bytes);
        assert_eq!(numbers(&bytes), [3, 9]);
    }

    #[test]
    fn a_writer_and_a_reader_agree() {
        const COUNT: u64 = 100_000;
        let ring = Arc::new(Ring::new(64).expect("memory"));
        let writer = {
            let ring = ring.clone();
            thread::spawn(move || (0..COUNT).for_each(|number| ring.put(&[number; 4])))
        };
        let (mut seen, mut lost, mut last) = (0, 0, None);
        while seen + lost < COUNT {
            let mut bytes = Vec::with_capacity(10 * SIZE);
            ring.take(&mut bytes);
            for number in numbers(&bytes) {
                assert!(last.is_none_or(|last| last < number), "{number} came after {last:?}");
                last = Some(number);
                seen += 1;
            }
            lost += ring.take_lost();
        }
        writer.join().expect("the writer");
        assert_eq!(seen + lost, COUNT);
        assert!(seen >= 64);
    }
}
