//! The scheduler's binary trace: what the kernel writes to the host and `cargo xtask run --sched-trace` reads.
//!
//! A header, then records of one size, all little-endian. Records of one processor come in the order of their times, those
//! of several are mixed. Times are nanoseconds of the monotonic clock. Threads have the kernel's own numbers, which are not
//! those that programs see and are never used twice; agents those of their group, which are used again, after a new name.
//!
//! | bytes | header | record |
//! |---|---|---|
//! | 0–7 | `AIOSSCHD` | time |
//! | 8 | version (2 bytes) | kind |
//! | 9 | | detail |
//! | 10–11 | size of a record | processor where it was written |
//! | 12–15 | number of processors | thread, or agent |
//! | 16–23 | time of the start | first value |
//! | 24–31 | wall clock at time 0, nanoseconds since 1970 | second value |

/// What a trace begins with.
pub const MAGIC: u64 = u64::from_le_bytes(*b"AIOSSCHD");
pub const VERSION: u16 = 1;
/// Size of the header and of each record, in bytes.
pub const SIZE: usize = 32;
/// Bytes of a name in one record; longer names take several.
pub const NAME_PIECE: usize = 16;

const WORDS: usize = SIZE / 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub cpus: u32,
    pub start: u64,
    pub wall_offset: u64,
}

/// Why a trace cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotATrace {
    /// It ends within the header.
    Short,
    Magic,
    /// Of another version, or with records of another size.
    Version(u16),
}

/// What became of the thread that a processor left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Left {
    /// It waits for something.
    Waiting,
    /// It would go on: another thread was to run.
    Runnable,
    Ended,
}

/// What kind of thread one is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Runs a program of an agent: process and thread number there.
    Program { pid: u32, tid: u32 },
    /// Of the kernel.
    Kernel,
    /// A processor that has nothing to run.
    Idle,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The processor goes from one thread to another.
    Switch {
        from: u32,
        left: Left,
        to: u32,
    },
    /// A thread has something to do and waits for processor `on`. `by` ran here; with `new` it never ran before.
    Wake {
        thread: u32,
        by: u32,
        on: u16,
        new: bool,
    },
    /// A thread that waits for one processor waits for another from now on.
    Migrate {
        thread: u32,
        from: u16,
        to: u16,
    },
    /// The agent has used up its quota here, or may go on.
    Throttle {
        agent: u32,
    },
    Unthrottle {
        agent: u32,
    },
    /// What a thread is called from now on, padded with NUL.
    ThreadName {
        thread: u32,
        name: [u8; NAME_PIECE],
    },
    /// Whose a thread is.
    ThreadRole {
        thread: u32,
        role: Role,
        agent: u32,
    },
    /// A piece of an agent's name. The first one begins another agent with this number.
    AgentName {
        agent: u32,
        piece: u8,
        name: [u8; NAME_PIECE],
    },
    /// So many records of this processor are missing before this time: they came faster than they were taken.
    Lost {
        count: u64,
    },
    /// The trace is whole.
    End,
}

/// An event with its time and the processor that wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    pub time: u64,
    pub cpu: u16,
    pub event: Event,
}

const SWITCH: u8 = 1;
const WAKE: u8 = 2;
const MIGRATE: u8 = 3;
const THROTTLE: u8 = 4;
const UNTHROTTLE: u8 = 5;
const THREAD_NAME: u8 = 6;
const THREAD_ROLE: u8 = 7;
const AGENT_NAME: u8 = 8;
const LOST: u8 = 9;
const END: u8 = 10;

impl Header {
    pub fn to_bytes(&self) -> [u8; SIZE] {
        let sizes = u64::from(VERSION) | (SIZE as u64) << 16 | u64::from(self.cpus) << 32;
        to_bytes(&[MAGIC, sizes, self.start, self.wall_offset])
    }

    /// Reads the header that a trace begins with.
    pub fn parse(bytes: &[u8]) -> Result<Header, NotATrace> {
        let Some([magic, sizes, start, wall_offset]) = words(bytes) else { return Err(NotATrace::Short) };
        let (version, size) = (sizes as u16, (sizes >> 16) as u16);
        if magic != MAGIC {
            return Err(NotATrace::Magic);
        }
        if version != VERSION || usize::from(size) != SIZE {
            return Err(NotATrace::Version(version));
        }
        Ok(Header { cpus: (sizes >> 32) as u32, start, wall_offset })
    }
}

impl Record {
    /// The record as the words of which it consists.
    pub fn to_words(&self) -> [u64; WORDS] {
        let (kind, detail, subject, a, b) = match self.event {
            Event::Switch { from, left, to } => {
                let left = match left {
                    Left::Waiting => 0,
                    Left::Runnable => 1,
                    Left::Ended => 2,
                };
                (SWITCH, left, to, u64::from(from), 0)
            }
            Event::Wake { thread, by, on, new } => (WAKE, u8::from(new), thread, u64::from(by), u64::from(on)),
            Event::Migrate { thread, from, to } => (MIGRATE, 0, thread, u64::from(from), u64::from(to)),
            Event::Throttle { agent } => (THROTTLE, 0, agent, 0, 0),
            Event::Unthrottle { agent } => (UNTHROTTLE, 0, agent, 0, 0),
            Event::ThreadName { thread, name } => {
                let (a, b) = split(name);
                (THREAD_NAME, 0, thread, a, b)
            }
            Event::ThreadRole { thread, role, agent } => {
                let (detail, numbers) = match role {
                    Role::Program { pid, tid } => (0, u64::from(pid) << 32 | u64::from(tid)),
                    Role::Kernel => (1, 0),
                    Role::Idle => (2, 0),
                };
                (THREAD_ROLE, detail, thread, numbers, u64::from(agent))
            }
            Event::AgentName { agent, piece, name } => {
                let (a, b) = split(name);
                (AGENT_NAME, piece, agent, a, b)
            }
            Event::Lost { count } => (LOST, 0, 0, count, 0),
            Event::End => (END, 0, 0, 0, 0),
        };
        let head = u64::from(kind) | u64::from(detail) << 8 | u64::from(self.cpu) << 16 | u64::from(subject) << 32;
        [self.time, head, a, b]
    }

    pub fn to_bytes(&self) -> [u8; SIZE] {
        to_bytes(&self.to_words())
    }

    /// Reads one record; `None` where `bytes` are too few or it is of no known kind.
    pub fn parse(bytes: &[u8]) -> Option<Record> {
        let [time, head, a, b] = words(bytes)?;
        let (kind, detail, subject) = (head as u8, (head >> 8) as u8, (head >> 32) as u32);
        let event = match (kind, detail) {
            (SWITCH, 0) => Event::Switch { from: narrow(a)?, left: Left::Waiting, to: subject },
            (SWITCH, 1) => Event::Switch { from: narrow(a)?, left: Left::Runnable, to: subject },
            (SWITCH, 2) => Event::Switch { from: narrow(a)?, left: Left::Ended, to: subject },
            (WAKE, 0 | 1) => {
                Event::Wake { thread: subject, by: narrow(a)?, on: u16::try_from(b).ok()?, new: detail == 1 }
            }
            (MIGRATE, 0) => {
                Event::Migrate { thread: subject, from: u16::try_from(a).ok()?, to: u16::try_from(b).ok()? }
            }
            (THROTTLE, 0) => Event::Throttle { agent: subject },
            (UNTHROTTLE, 0) => Event::Unthrottle { agent: subject },
            (THREAD_NAME, 0) => Event::ThreadName { thread: subject, name: join(a, b) },
            (THREAD_ROLE, 0..=2) => {
                let role = match detail {
                    0 => Role::Program { pid: (a >> 32) as u32, tid: a as u32 },
                    1 => Role::Kernel,
                    _ => Role::Idle,
                };
                Event::ThreadRole { thread: subject, role, agent: narrow(b)? }
            }
            (AGENT_NAME, piece) => Event::AgentName { agent: subject, piece, name: join(a, b) },
            (LOST, 0) => Event::Lost { count: a },
            (END, 0) => Event::End,
            _ => return None,
        };
        Some(Record { time, cpu: (head >> 16) as u16, event })
    }
}

fn narrow(value: u64) -> Option<u32> {
    u32::try_from(value).ok()
}

fn words(bytes: &[u8]) -> Option<[u64; WORDS]> {
    let mut words = [0; WORDS];
    let (parts, _) = bytes.get(..SIZE)?.as_chunks();
    for (word, part) in words.iter_mut().zip(parts) {
        *word = u64::from_le_bytes(*part);
    }
    Some(words)
}

/// Words as they are in a trace.
pub fn to_bytes(words: &[u64; WORDS]) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    let (parts, _) = bytes.as_chunks_mut();
    for (part, word) in parts.iter_mut().zip(words) {
        *part = word.to_le_bytes();
    }
    bytes
}

fn split(name: [u8; NAME_PIECE]) -> (u64, u64) {
    let whole = u128::from_le_bytes(name);
    (whole as u64, (whole >> 64) as u64)
}

fn join(a: u64, b: u64) -> [u8; NAME_PIECE] {
    (u128::from(a) | u128::from(b) << 64).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVENTS: [Event; 15] = [
        Event::Switch { from: 1, left: Left::Waiting, to: u32::MAX },
        Event::Switch { from: u32::MAX, left: Left::Runnable, to: 2 },
        Event::Switch { from: 3, left: Left::Ended, to: 2 },
        Event::Wake { thread: 9, by: 0, on: 255, new: true },
        Event::Wake { thread: 9, by: 7, on: 0, new: false },
        Event::Migrate { thread: 5, from: 1, to: 2 },
        Event::Throttle { agent: 4 },
        Event::Unthrottle { agent: 4 },
        Event::ThreadName { thread: 6, name: *b"sixteen letters." },
        Event::ThreadRole { thread: 6, role: Role::Program { pid: 1, tid: 4_194_304 }, agent: 3 },
        Event::ThreadRole { thread: 6, role: Role::Kernel, agent: 0 },
        Event::ThreadRole { thread: 6, role: Role::Idle, agent: 0 },
        Event::AgentName { agent: 1, piece: 3, name: *b"digest\0\0\0\0\0\0\0\0\0\0" },
        Event::Lost { count: u64::MAX },
        Event::End,
    ];

    #[test]
    fn every_event_comes_back() {
        for event in EVENTS {
            let record = Record { time: u64::MAX - 1, cpu: 300, event };
            assert_eq!(Record::parse(&record.to_bytes()), Some(record));
        }
    }

    #[test]
    fn a_header_comes_back_and_others_are_refused() {
        let header = Header { cpus: 4, start: 5, wall_offset: 1 << 60 };
        let mut bytes = header.to_bytes();
        assert_eq!(Header::parse(&bytes), Ok(header));
        assert_eq!(Header::parse(&bytes[..31]), Err(NotATrace::Short));
        bytes[8] = 9;
        assert_eq!(Header::parse(&bytes), Err(NotATrace::Version(9)));
        bytes[0] = 0;
        assert_eq!(Header::parse(&bytes), Err(NotATrace::Magic));
    }

    proptest! {
        /// Whatever the bytes are, they are refused or mean exactly one event.
        #[test]
        fn bytes_mean_one_thing(mut bytes in proptest::collection::vec(any::<u8>(), 0..40), kind in 0..12_u8, detail in 0..4_u8) {
            if bytes.len() >= SIZE {
                bytes[8..10].copy_from_slice(&[kind, detail]);
                bytes[20..24].fill(0);
            }
            if let Some(record) = Record::parse(&bytes) {
                prop_assert_eq!(Record::parse(&record.to_bytes()), Some(record));
            }
        }
    }
}
