//! What the scheduler does, written down as it does it: the records of [`aios_abi::sched_trace`].
//!
//! Each CPU writes into a ring of its own and no lock is taken, so that looking does not change what is seen. While it is
//! off, an event costs a load and a branch that is never taken. It is switched on before the first thread runs and off at
//! the end, so that every thread and agent is announced.

mod ring;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aios_abi::sched_trace::{Event, Header, NAME_PIECE, Record, Role};
use kernel_hal::cpu::{self, IrqGuard, MAX_CPUS};
use kernel_hal::time::{self, now};
use kernel_sync::Once;

use crate::group::CpuGroup;
use crate::policy::GroupId;
use crate::thread::{self, Thread};
use ring::Ring;

/// Records that a CPU may be ahead of the reader: 512 KiB.
const RECORDS: usize = 1 << 14;

static ON: AtomicBool = AtomicBool::new(false);
static START: AtomicU64 = AtomicU64::new(0);
static RINGS: [Once<Ring>; MAX_CPUS] = [const { Once::new() }; MAX_CPUS];
/// Records of CPUs that have no ring, for want of memory.
static HOMELESS: AtomicU64 = AtomicU64::new(0);

/// Begins to record. Called before [`init`](crate::init).
pub fn start() {
    START.store(now().0, Ordering::Relaxed);
    (0..cpu::count()).for_each(make_ring);
    ON.store(true, Ordering::SeqCst);
}

/// Ends recording. What was recorded waits for the reader.
pub fn stop() {
    ON.store(false, Ordering::SeqCst);
}

/// Whether events are recorded.
#[inline]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// A CPU is about to run threads.
pub(crate) fn add_cpu(number: usize) {
    if is_on() {
        make_ring(number);
    }
}

fn make_ring(number: usize) {
    let Some(place) = RINGS.get(number).filter(|place| place.get().is_none()) else { return };
    // Without memory its records are lost, and counted.
    if let Ok(ring) = Ring::new(RECORDS) {
        place.set(ring);
    }
}

/// Writes an event down, which happens now.
#[cold]
pub(crate) fn record(event: Event) {
    let _here = IrqGuard::new();
    let number = cpu::id();
    let record = Record { time: now().0, cpu: number as u16, event };
    match RINGS.get(number).and_then(Once::get) {
        Some(ring) => ring.put(&record.to_words()),
        None => {
            HOMELESS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A thread as traces name it.
pub(crate) fn number(thread: &Thread) -> u32 {
    thread.id as u32
}

/// The thread that runs here, 0 where there is none yet.
pub(crate) fn running() -> u32 {
    thread::running().map_or(0, |thread| number(&thread))
}

/// A new thread of the kernel, until [`program`] says that it is an agent's.
pub(crate) fn announce(thread: u32, name: &str, is_idle: bool) {
    if is_on() {
        record(Event::ThreadName { thread, name: padded(name.as_bytes()) });
        let role = if is_idle { Role::Idle } else { Role::Kernel };
        record(Event::ThreadRole { thread, role, agent: GroupId::ROOT.0 });
    }
}

/// A thread runs a program of its group's agent, where it has these numbers.
pub fn program(thread: &Thread, pid: u32, tid: u32) {
    if is_on() {
        let role = Role::Program { pid, tid };
        record(Event::ThreadRole { thread: number(thread), role, agent: thread.group_id().0 });
    }
}

/// A thread has another name.
pub fn rename(thread: &Thread, name: &[u8]) {
    if is_on() {
        record(Event::ThreadName { thread: number(thread), name: padded(name) });
    }
}

/// The agent whose threads are in a group, or in none, has this name. Said before it has threads.
pub fn agent(group: Option<&Arc<CpuGroup>>, name: &str) {
    if is_on() {
        let agent = group.map_or(GroupId::ROOT, |group| group.id()).0;
        for (piece, part) in (0..=u8::MAX).zip(name.as_bytes().chunks(NAME_PIECE)) {
            record(Event::AgentName { agent, piece, name: padded(part) });
        }
    }
}

fn padded(name: &[u8]) -> [u8; NAME_PIECE] {
    let mut padded = [0; NAME_PIECE];
    padded.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
    padded
}

/// Takes the records of all CPUs out.
pub struct Reader(());

/// The reader, for the first who asks while events are recorded.
pub fn reader() -> Option<Reader> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    (is_on() && !TAKEN.swap(true, Ordering::Relaxed)).then_some(Reader(()))
}

impl Reader {
    /// What a trace begins with; asked for once all CPUs run.
    pub fn header(&self) -> Header {
        let start = START.load(Ordering::Relaxed);
        Header { cpus: cpu::count() as u32, start, wall_offset: time::wall_offset_ns() }
    }

    /// Appends records to `into` while it has room for them without growing, and how many are lost.
    pub fn take(&mut self, into: &mut Vec<u8>) {
        let homeless = HOMELESS.swap(0, Ordering::Relaxed);
        for (number, ring) in RINGS.iter().enumerate().filter_map(|(number, ring)| Some((number, ring.get()?))) {
            let lost = ring.take_lost() + if number == 0 { homeless } else { 0 };
            if lost > 0 {
                let event = Event::Lost { count: lost };
                into.extend_from_slice(&Record { time: now().0, cpu: number as u16, event }.to_bytes());
            }
            ring.take(into);
        }
    }

    /// The record that says that all are taken.
    pub fn end(self) -> Record {
        Record { time: now().0, cpu: 0, event: Event::End }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use aios_abi::sched_trace::{Event, Record, SIZE};

    use super::*;
    use crate::group::CpuLimits;

    /// A number that no thread has.
    const WORKER: u32 = u32::MAX;

    /// The only test that switches it on: others of this process are in the trace too.
    #[test]
    fn what_is_recorded_is_read_and_then_it_is_over() {
        kernel_hal::hosted::init(64 << 20);
        announce(WORKER, "before", false);
        start();
        let mut reader = reader().expect("nobody reads yet");
        assert!(super::reader().is_none(), "a second reader");
        let group = CpuGroup::new(None, CpuLimits::NONE).expect("a group");
        agent(Some(&group), "a name of more than 16 bytes");
        announce(WORKER, "kernel worker with a long name", true);
        stop();
        announce(WORKER, "after", false);
        let mut bytes = Vec::with_capacity(1 << 20);
        reader.take(&mut bytes);
        let (records, rest) = bytes.as_chunks::<SIZE>();
        assert!(rest.is_empty());
        let records: Vec<Record> =
            records.iter().map(|record| Record::parse(record).expect("a record of a known kind")).collect();
        let pieces: Vec<_> = records
            .iter()
            .filter_map(|record| match record.event {
                Event::AgentName { agent, piece, name } if agent == group.id().0 => Some((piece, name)),
                _ => None,
            })
            .collect();
        assert_eq!(pieces, [(0, *b"a name of more t"), (1, *b"han 16 bytes\0\0\0\0")]);
        let of_worker: Vec<Event> = records
            .iter()
            .map(|record| record.event)
            .filter(|event| {
                matches!(event, Event::ThreadName { thread: WORKER, .. } | Event::ThreadRole { thread: WORKER, .. })
            })
            .collect();
        let name = Event::ThreadName { thread: WORKER, name: *b"kernel worker wi" };
        assert_eq!(of_worker, [name, Event::ThreadRole { thread: WORKER, role: Role::Idle, agent: 0 }]);
        assert!(reader.header().start <= reader.end().time);
    }
}
