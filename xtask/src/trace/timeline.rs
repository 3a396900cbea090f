//! Records put in order: who ran where, who waited for a processor, who woke whom.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use aios_abi::sched_trace::{self as wire, Event, Header, Left, Record, Role};
use anyhow::{Result, anyhow};

/// No run takes as long, in nanoseconds: about two weeks.
const LONGEST: u64 = 1 << 50;
/// The kernel has room for no more.
const MOST_CPUS: u16 = 256;

/// Who runs a thread.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Owner {
    Kernel,
    /// The agent, by its place in [`Timeline::agents`], and the number of the process in it.
    Process {
        agent: usize,
        pid: u32,
    },
}

#[derive(Clone, Debug)]
pub struct Thread {
    /// What it was called last.
    pub name: Rc<str>,
    pub owner: Owner,
    /// The number that programs know.
    pub tid: u32,
    pub is_idle: bool,
    /// Until when its own track is taken.
    busy: u64,
}

/// A thread on a processor. Those of one processor come in order and do not overlap.
#[derive(Clone, Debug)]
pub struct Slice {
    pub cpu: u16,
    pub thread: u32,
    /// What the thread was called.
    pub name: Rc<str>,
    pub start: u64,
    pub end: u64,
    pub left: Left,
}

/// What a thread did. Those of one thread come in order and do not overlap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    pub thread: u32,
    /// The processor where it ran, or `None` while it waited for one.
    pub on: Option<u16>,
    pub start: u64,
    pub end: u64,
}

/// A thread that ran woke another, which went on later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wake {
    pub by: u32,
    pub at: u64,
    pub thread: u32,
    pub runs_at: u64,
}

/// What happened at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    pub at: u64,
    pub what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A waiting thread changed processors.
    Migrate { thread: u32, from: u16, to: u16 },
    /// An agent (by its place, if it is known) used up its quota on a processor, or goes on there.
    Throttle { cpu: u16, agent: Option<usize>, on: bool },
}

/// A trace. All times are nanoseconds from its start.
#[derive(Default)]
pub struct Timeline {
    pub cpus: usize,
    pub end: u64,
    pub agents: Vec<String>,
    pub threads: BTreeMap<u32, Thread>,
    pub slices: Vec<Slice>,
    pub states: Vec<State>,
    pub wakes: Vec<Wake>,
    pub moments: Vec<Moment>,
    pub records: usize,
    /// Records that mean nothing.
    pub unreadable: usize,
    /// Records that the kernel had no room for.
    pub lost: u64,
    /// It ends where the kernel ended it.
    pub is_whole: bool,
    now: Now,
}

/// How things stand at one point of the trace.
#[derive(Default)]
struct Now {
    /// By group: place in the list of agents.
    groups: HashMap<u32, usize>,
    /// By processor: the thread, and since when.
    running: HashMap<u16, (u32, u64)>,
    /// By thread: since when it waits for a processor.
    waiting: HashMap<u32, u64>,
    /// By thread: who woke it, and when.
    woken: HashMap<u32, (u32, u64)>,
}

impl Timeline {
    /// Reads a trace as far as it can be read.
    ///
    /// # Errors
    /// When it does not begin as one.
    pub fn read(bytes: &[u8]) -> Result<Timeline> {
        let header = Header::parse(bytes).map_err(|error| match error {
            wire::NotATrace::Short => anyhow!("there are {} bytes", bytes.len()),
            wire::NotATrace::Magic => anyhow!("it begins like something else"),
            wire::NotATrace::Version(version) => {
                anyhow!("its format has version {version}, this tool reads {}", wire::VERSION)
            }
        })?;
        let (pieces, _) = bytes.as_chunks::<{ wire::SIZE }>();
        let possible = |record: &Record| record.time.saturating_sub(header.start) < LONGEST && record.cpu < MOST_CPUS;
        let mut records: Vec<Record> = pieces.iter().skip(1).filter_map(|piece| Record::parse(piece)).collect();
        records.retain(possible);
        let mut timeline = Timeline {
            cpus: usize::try_from(header.cpus).unwrap_or(0).clamp(1, usize::from(MOST_CPUS)),
            is_whole: matches!(records.last(), Some(Record { event: Event::End, .. })),
            records: records.len(),
            unreadable: pieces.len() - 1 - records.len(),
            ..Timeline::default()
        };
        // Those of one processor are in order already, and stay so.
        records.sort_by_key(|record| record.time);
        for record in &records {
            timeline.take(record.time.saturating_sub(header.start), record.cpu, record.event);
        }
        timeline.close();
        Ok(timeline)
    }

    /// The thread, made up where it was never announced.
    fn thread(&mut self, number: u32) -> &mut Thread {
        self.threads.entry(number).or_insert_with(|| Thread {
            name: format!("thread {number}").into(),
            owner: Owner::Kernel,
            tid: number,
            is_idle: false,
            busy: 0,
        })
    }

    fn is_idle(&self, number: u32) -> bool {
        self.threads.get(&number).is_some_and(|thread| thread.is_idle)
    }

    fn take(&mut self, at: u64, cpu: u16, event: Event) {
        self.end = self.end.max(at);
        match event {
            Event::Switch { from, left, to } => self.switch(at, cpu, from, left, to),
            Event::Wake { thread, by, .. } => {
                self.now.waiting.insert(thread, at);
                self.now.woken.insert(thread, (by, at));
            }
            Event::Migrate { thread, from, to } => {
                self.thread(thread);
                self.moments.push(Moment { at, what: What::Migrate { thread, from, to } });
            }
            Event::Throttle { agent } | Event::Unthrottle { agent } => {
                let on = matches!(event, Event::Throttle { .. });
                let agent = self.now.groups.get(&agent).copied();
                self.moments.push(Moment { at, what: What::Throttle { cpu, agent, on } });
            }
            Event::ThreadName { thread, name } => self.thread(thread).name = text(&name).into(),
            Event::ThreadRole { thread, role, agent } => {
                let agent = match (role, self.now.groups.get(&agent)) {
                    (Role::Program { .. }, None) => self.name_agent(agent, format!("agent {agent}")),
                    (_, known) => known.copied().unwrap_or_default(),
                };
                let thread = self.thread(thread);
                thread.is_idle = role == Role::Idle;
                if let Role::Program { pid, tid } = role {
                    (thread.owner, thread.tid) = (Owner::Process { agent, pid }, tid);
                }
            }
            Event::AgentName { agent, piece: 0, name } => {
                self.name_agent(agent, text(&name));
            }
            Event::AgentName { agent, name, .. } => {
                if let Some(known) = self.now.groups.get(&agent).and_then(|place| self.agents.get_mut(*place)) {
                    known.push_str(&text(&name));
                }
            }
            Event::Lost { count } => self.lost = self.lost.saturating_add(count),
            Event::End => {}
        }
    }

    fn name_agent(&mut self, group: u32, name: String) -> usize {
        let place = self.agents.len();
        self.agents.push(name);
        self.now.groups.insert(group, place);
        place
    }

    fn switch(&mut self, at: u64, cpu: u16, from: u32, left: Left, to: u32) {
        self.cpus = self.cpus.max(usize::from(cpu) + 1);
        self.leave(at, cpu, Some(from), left);
        if left == Left::Runnable {
            self.now.waiting.insert(from, at);
        }
        self.thread(to);
        self.now.running.insert(cpu, (to, at));
        let woken = self.now.woken.remove(&to);
        if let Some(since) = self.now.waiting.remove(&to)
            && !self.is_idle(to)
        {
            self.state(to, None, since, at);
            if let Some((by, woken)) = woken.filter(|(by, _)| !self.is_idle(*by) && self.threads.contains_key(by)) {
                self.wakes.push(Wake { by, at: woken, thread: to, runs_at: at });
            }
        }
    }

    /// A processor goes on from what it runs; `from` is what it should be, unless records are missing.
    fn leave(&mut self, at: u64, cpu: u16, from: Option<u32>, left: Left) {
        let Some((thread, start)) = self.now.running.remove(&cpu) else { return };
        if from.is_some_and(|from| from != thread) || self.is_idle(thread) {
            return;
        }
        let name = self.thread(thread).name.clone();
        self.slices.push(Slice { cpu, thread, name, start, end: at, left });
        self.state(thread, Some(cpu), start, at);
    }

    /// Adds to a thread's own track what is not taken there.
    fn state(&mut self, thread: u32, on: Option<u16>, start: u64, end: u64) {
        let known = self.thread(thread);
        let start = start.max(known.busy);
        if start <= end {
            known.busy = end;
            self.states.push(State { thread, on, start, end });
        }
    }

    /// What runs or waits at the end does so up to there.
    fn close(&mut self) {
        let end = self.end;
        let mut running: Vec<u16> = self.now.running.keys().copied().collect();
        running.sort_unstable();
        for cpu in running {
            self.leave(end, cpu, None, Left::Runnable);
        }
        let mut waiting: Vec<(u32, u64)> = self.now.waiting.drain().collect();
        waiting.sort_unstable();
        for (thread, since) in waiting {
            if !self.is_idle(thread) {
                self.state(thread, None, since, end);
            }
        }
        self.keep_true_wakes();
    }

    /// Leaves only those of which both sides are known to have run.
    fn keep_true_wakes(&mut self) {
        let mut runs: HashMap<u32, Vec<(u64, u64)>> = HashMap::new();
        for state in self.states.iter().filter(|state| state.on.is_some()) {
            runs.entry(state.thread).or_default().push((state.start, state.end));
        }
        let run = |thread: u32, at: u64| {
            let runs = runs.get(&thread)?;
            let after = runs.partition_point(|(start, _)| *start <= at);
            runs.get(after.checked_sub(1)?).filter(|(_, end)| at <= *end)
        };
        self.wakes.retain(|wake| {
            run(wake.by, wake.at).is_some()
                && run(wake.thread, wake.runs_at).is_some_and(|(start, _)| *start == wake.runs_at)
        });
    }

    /// Whose a thread is, in words.
    pub fn owner_name(&self, owner: Owner) -> String {
        match owner {
            Owner::Kernel => "kernel".to_owned(),
            Owner::Process { agent, pid } => {
                let name = self.agents.get(agent).map_or("?", String::as_str);
                format!("agent {name}, process {pid}")
            }
        }
    }
}

/// A name without its padding.
fn text(name: &[u8]) -> String {
    let used = name.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(used).into_owned()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A trace of these events: time, processor, event.
    pub fn trace(events: &[(u64, u16, Event)]) -> Vec<u8> {
        let mut bytes = Header { cpus: 2, start: 1000, wall_offset: 0 }.to_bytes().to_vec();
        for &(at, cpu, event) in events {
            bytes.extend(Record { time: 1000 + at, cpu, event }.to_bytes());
        }
        bytes
    }

    fn name(text: &str) -> [u8; wire::NAME_PIECE] {
        let mut name = [0; wire::NAME_PIECE];
        for (to, from) in name.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        name
    }

    /// Two threads of an agent: the first wakes the second, which moves to the other processor.
    pub fn example() -> Vec<(u64, u16, Event)> {
        let program = |thread, tid| Event::ThreadRole { thread, role: Role::Program { pid: 1, tid }, agent: 1 };
        vec![
            (0, 0, Event::ThreadRole { thread: 1, role: Role::Idle, agent: 0 }),
            (0, 1, Event::ThreadRole { thread: 2, role: Role::Idle, agent: 0 }),
            (0, 0, Event::AgentName { agent: 1, piece: 0, name: name("an agent with a ") }),
            (0, 0, Event::AgentName { agent: 1, piece: 1, name: name("long name") }),
            (10, 0, program(3, 1)),
            (10, 0, Event::ThreadName { thread: 3, name: name("first") }),
            (10, 0, program(4, 2)),
            (10, 0, Event::ThreadName { thread: 4, name: name("second \"quoted\"") }),
            (20, 0, Event::Wake { thread: 3, by: 1, on: 0, new: true }),
            (30, 0, Event::Switch { from: 1, left: Left::Waiting, to: 3 }),
            (50, 0, Event::Wake { thread: 4, by: 3, on: 0, new: false }),
            (60, 1, Event::Migrate { thread: 4, from: 0, to: 1 }),
            (70, 1, Event::Switch { from: 2, left: Left::Waiting, to: 4 }),
            (80, 0, Event::Throttle { agent: 1 }),
            (80, 0, Event::Switch { from: 3, left: Left::Runnable, to: 1 }),
            (90, 0, Event::Unthrottle { agent: 1 }),
            (90, 0, Event::Switch { from: 1, left: Left::Waiting, to: 3 }),
            (95, 0, Event::ThreadName { thread: 3, name: name("renamed") }),
            (100, 0, Event::Switch { from: 3, left: Left::Ended, to: 1 }),
            (110, 0, Event::End),
        ]
    }

    #[test]
    fn who_ran_where_and_who_waited() {
        let timeline = Timeline::read(&trace(&example())).unwrap();
        let slices: Vec<_> =
            timeline.slices.iter().map(|slice| (slice.cpu, &*slice.name, slice.start, slice.end, slice.left)).collect();
        assert_eq!(
            slices,
            [
                (0, "first", 30, 80, Left::Runnable),
                (0, "renamed", 90, 100, Left::Ended),
                (1, "second \"quoted\"", 70, 110, Left::Runnable),
            ]
        );
        let waits: Vec<_> = timeline.states.iter().filter(|state| state.on.is_none()).collect();
        let waits: Vec<_> = waits.iter().map(|state| (state.thread, state.start, state.end)).collect();
        assert_eq!(waits, [(3, 20, 30), (4, 50, 70), (3, 80, 90)]);
        // The first was woken by an interrupt of an idle processor: nobody's doing.
        assert_eq!(timeline.wakes, [Wake { by: 3, at: 50, thread: 4, runs_at: 70 }]);
        assert_eq!(timeline.agents, ["an agent with a long name"]);
        assert_eq!(timeline.moments.len(), 3);
        assert!(timeline.is_whole && timeline.lost == 0);
    }

    #[test]
    fn what_is_missing_is_told() {
        let bytes = trace(&[(5, 1, Event::Lost { count: 7 }), (6, 1, Event::Lost { count: 1 })]);
        let timeline = Timeline::read(&bytes).unwrap();
        assert_eq!((timeline.lost, timeline.is_whole), (8, false));
        let whole = trace(&example());
        assert!(!Timeline::read(&whole[..whole.len() - 1]).unwrap().is_whole);
        assert!(
            Timeline::read(&whole[..31]).is_err() && Timeline::read(b"something else, long enough for one").is_err()
        );
    }

    #[test]
    fn another_agent_may_get_the_number_of_one_that_is_gone() {
        let role = |thread, pid| Event::ThreadRole { thread, role: Role::Program { pid, tid: pid }, agent: 1 };
        let named = |text| Event::AgentName { agent: 1, piece: 0, name: name(text) };
        let timeline =
            Timeline::read(&trace(&[(0, 0, named("a")), (1, 0, role(1, 1)), (2, 0, named("b")), (3, 0, role(2, 1))]));
        let timeline = timeline.unwrap();
        let owner = |thread| timeline.owner_name(timeline.threads[&thread].owner);
        assert_eq!((owner(1).as_str(), owner(2).as_str()), ("agent a, process 1", "agent b, process 1"));
    }
}
