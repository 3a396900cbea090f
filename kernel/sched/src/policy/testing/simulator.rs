//! CPUs and threads in virtual time: drives run queues and placement as the kernel does, and checks at each step what
//! must always hold.

use std::boxed::Box;
use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;
use std::sync::Arc;
use std::vec::Vec;

use super::Random;
use crate::policy::machine::IDLE;
use crate::policy::place::{self, Balance, Waking};
use crate::policy::{
    Bandwidth, Class, CpuSet, CpuView, Entity, Group, GroupId, Key, NEVER, RunQueue, Runnable, Topology,
};

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000_000_000;
const BALANCE_EVERY: u64 = 4 * MS;

#[derive(Clone)]
pub struct Handle(Rc<(usize, Cell<Key>)>);

impl Runnable for Handle {
    fn placed(&self, key: Key) {
        self.0.1.set(key);
    }
}

/// What a thread does.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    Spin,
    /// Runs and sleeps for times between these, in nanoseconds.
    Sleepy {
        run: (u64, u64),
        sleep: (u64, u64),
    },
    /// Runs for `run` from each multiple of `period` on.
    Periodic {
        run: u64,
        period: u64,
    },
    /// Yields each time it ran so long.
    Yielding {
        run: u64,
    },
}

pub struct Thread {
    pub class: Class,
    pub group: GroupId,
    pub allowed: CpuSet,
    work: Work,
    handle: Handle,
    entity: Option<Box<Entity<Handle>>>,
    pub cpu: usize,
    pub runnable: bool,
    /// Nanoseconds until it sleeps or yields.
    left: u64,
    pub ran: u64,
    /// What an ideal machine would have given it.
    pub due: f64,
    waiting_since: u64,
    pub longest_wait: u64,
    released: u64,
    /// When each job was released and done.
    pub jobs: Vec<(u64, u64)>,
}

struct Cpu {
    queue: RunQueue<Handle>,
    running: Option<usize>,
    resched: bool,
    view: CpuView,
    next_balance: u64,
}

struct SimGroup {
    parent: GroupId,
    share: f64,
}

pub struct Simulator {
    pub now: u64,
    pub random: Random,
    pub threads: Vec<Thread>,
    pub topology: Topology,
    online: CpuSet,
    cpus: Vec<Cpu>,
    groups: BTreeMap<u32, SimGroup>,
    wakes: BinaryHeap<Reverse<(u64, usize)>>,
    rates: Option<Vec<f64>>,
    pub moves: usize,
}

impl Simulator {
    pub fn new(cpus: usize, seed: u64) -> Simulator {
        let root = Arc::new(Group::new(100, None));
        let cpu = |index| Cpu {
            queue: RunQueue::new(seed as u32 ^ index as u32, root.clone()),
            running: None,
            resched: false,
            view: CpuView::default(),
            next_balance: NEVER,
        };
        Simulator {
            now: SECOND,
            random: Random(seed),
            threads: Vec::new(),
            topology: Topology::flat(),
            online: CpuSet::first(cpus),
            cpus: (0..cpus).map(cpu).collect(),
            groups: BTreeMap::new(),
            wakes: BinaryHeap::new(),
            rates: None,
            moves: 0,
        }
    }

    pub fn group(&mut self, parent: GroupId, share: u32, limit: Option<Bandwidth>) -> GroupId {
        let id = GroupId(self.groups.len() as u32 + 1);
        let group = Arc::new(Group::new(share, limit));
        for cpu in &mut self.cpus {
            assert!(cpu.queue.add_group(id, parent, group.clone()).is_ok());
        }
        self.groups.insert(id.0, SimGroup { parent, share: f64::from(share) * 10.24 });
        id
    }

    pub fn thread(&mut self, class: Class, group: GroupId, allowed: CpuSet, work: Work) -> usize {
        let index = self.threads.len();
        let entity = Entity::thread(index as u64 + 1, class, group, allowed);
        self.threads.push(Thread {
            class,
            group,
            allowed,
            work,
            handle: Handle(Rc::new((index, Cell::default()))),
            entity: Some(Box::new(entity)),
            cpu: allowed.and(&self.online).iter().next().expect("some CPU is allowed"),
            runnable: false,
            left: 0,
            ran: 0,
            due: 0.0,
            waiting_since: 0,
            longest_wait: 0,
            released: 0,
            jobs: Vec::new(),
        });
        self.wakes.push(Reverse((self.now, index)));
        index
    }

    /// A fair thread in the root group that may run anywhere.
    pub fn fair(&mut self, nice: i8, work: Work) -> usize {
        self.thread(Class::Normal { nice, slice: 0 }, GroupId::ROOT, CpuSet::ALL, work)
    }

    pub fn group_ran(&self, id: GroupId) -> u64 {
        self.cpus.iter().map(|cpu| cpu.queue.group_ran(id)).sum()
    }

    /// Goes on for `span` nanoseconds.
    pub fn run(&mut self, span: u64) {
        let end = self.now + span;
        let mut still = 0;
        loop {
            let next = self.next_time().min(end);
            still = if next == self.now { still + 1 } else { 0 };
            assert!(still < 1000, "time stands still");
            self.pass(next);
            if next == end {
                return;
            }
            self.step();
        }
    }

    fn next_time(&self) -> u64 {
        let mut next = self.wakes.peek().map_or(NEVER, |Reverse((at, _))| *at);
        for cpu in &self.cpus {
            next = next.min(cpu.queue.next_event()).min(cpu.next_balance);
            if let Some(running) = cpu.running {
                next = next.min(self.now.saturating_add(self.threads[running].left));
            }
        }
        next.max(self.now)
    }

    /// Time passes; nothing else happens.
    fn pass(&mut self, to: u64) {
        let span = to - self.now;
        if span == 0 {
            return;
        }
        if self.rates.is_none() {
            self.rates = Some(self.ideal_rates());
        }
        for (thread, rate) in self.threads.iter_mut().zip(self.rates.iter().flatten()) {
            thread.due += span as f64 * rate;
        }
        for cpu in &self.cpus {
            if let Some(running) = cpu.running {
                self.threads[running].ran += span;
                self.threads[running].left -= span;
            }
        }
        self.now = to;
    }

    fn step(&mut self) {
        while self.wakes.peek().is_some_and(|Reverse((at, _))| *at <= self.now) {
            let Some(Reverse((_, index))) = self.wakes.pop() else { break };
            self.wake(index);
        }
        for cpu in 0..self.cpus.len() {
            if self.cpus[cpu].queue.next_event() <= self.now {
                self.cpus[cpu].resched |= self.cpus[cpu].queue.tick(self.now);
            }
            if let Some(running) = self.cpus[cpu].running
                && self.threads[running].left == 0
            {
                self.finish(cpu, running);
            }
            if self.cpus[cpu].next_balance <= self.now {
                self.balance(cpu);
            }
        }
        for cpu in 0..self.cpus.len() {
            if self.cpus[cpu].resched {
                self.switch(cpu, false);
            }
        }
    }

    fn wake(&mut self, index: usize) {
        self.rates = None;
        let views: Vec<CpuView> = self.cpus.iter().map(|cpu| cpu.view).collect();
        let left = self.draw_run(index);
        let thread = &mut self.threads[index];
        thread.left = left;
        let waking = Waking {
            last: thread.cpu,
            waker: None,
            sync: false,
            new: thread.ran == 0,
            class: thread.class,
            allowed: &thread.allowed,
        };
        let to = if matches!(thread.class, Class::Deadline(_)) {
            thread.cpu
        } else {
            place::on_wake(&waking, &self.online, &self.topology, |cpu| views[cpu]).expect("some CPU is allowed")
        };
        assert!(thread.allowed.contains(to));
        thread.cpu = to;
        thread.runnable = true;
        thread.waiting_since = self.now;
        thread.released = self.now;
        let (entity, handle) = (thread.entity.take().expect("it slept"), thread.handle.clone());
        self.cpus[to].resched |= self.cpus[to].queue.enqueue(entity, handle, self.now);
        self.cpus[to].resched |= self.cpus[to].running.is_none();
        self.publish(to);
    }

    fn draw_run(&mut self, index: usize) -> u64 {
        match self.threads[index].work {
            Work::Spin => NEVER,
            Work::Sleepy { run, .. } => self.random.between(run.0, run.1),
            Work::Periodic { run, .. } | Work::Yielding { run } => run,
        }
    }

    /// The running thread did what it had to do.
    fn finish(&mut self, cpu: usize, index: usize) {
        let until = match self.threads[index].work {
            Work::Spin => return,
            Work::Yielding { run } => {
                self.threads[index].left = run;
                self.switch(cpu, true);
                return;
            }
            Work::Sleepy { sleep, .. } => self.now + self.random.between(sleep.0, sleep.1),
            Work::Periodic { period, .. } => {
                let released = self.threads[index].released;
                self.threads[index].jobs.push((released, self.now));
                // A late job's successor is released at once.
                (released + period).max(self.now)
            }
        };
        self.rates = None;
        let (entity, handle) = self.cpus[cpu].queue.block(self.now).expect("it runs");
        assert_eq!(handle.0.0, index);
        let thread = &mut self.threads[index];
        assert_eq!(entity.ran(), thread.ran, "thread {index} is accounted exactly");
        thread.entity = Some(entity);
        thread.runnable = false;
        self.cpus[cpu].running = None;
        self.wakes.push(Reverse((until, index)));
        self.switch(cpu, false);
    }

    fn switch(&mut self, cpu: usize, pass: bool) {
        if let Some(running) = self.cpus[cpu].running {
            self.threads[running].waiting_since = self.now;
        }
        let mut next = self.cpus[cpu].queue.pick(self.now, pass);
        self.cpus[cpu].running = None;
        self.publish(cpu);
        let views: Vec<CpuView> = self.cpus.iter().map(|cpu| cpu.view).collect();
        if let Some(from) = place::pull_from(cpu, &self.online, &self.topology, |cpu| views[cpu]) {
            let above = views[cpu].priority.max(views[cpu].waiting);
            let behind = views[cpu].vtime.wrapping_sub(views[from].vtime).clamp(0, 16 * MS as i64);
            let behind = if above == IDLE { 0 } else { behind };
            if self.take(cpu, from, above, views[from].load / 2, behind) {
                next = self.cpus[cpu].queue.pick(self.now, false);
                self.publish(cpu);
            }
        }
        self.cpus[cpu].resched = false;
        self.cpus[cpu].running = next.map(|handle| handle.0.0);
        if let Some(index) = self.cpus[cpu].running {
            let thread = &mut self.threads[index];
            assert!(thread.runnable && thread.cpu == cpu && thread.allowed.contains(cpu), "thread {index} on {cpu}");
            thread.longest_wait = thread.longest_wait.max(self.now - thread.waiting_since);
        }
        let busy = self.cpus[cpu].view.fair != 0;
        if busy && self.cpus[cpu].next_balance == NEVER && self.cpus.len() > 1 {
            self.cpus[cpu].next_balance = self.now + BALANCE_EVERY;
        }
    }

    fn balance(&mut self, cpu: usize) {
        for other in 0..self.cpus.len() {
            self.cpus[other].queue.account(self.now);
            self.publish(other);
        }
        let idle = self.cpus[cpu].view.fair == 0;
        self.cpus[cpu].next_balance = if idle { NEVER } else { self.now + BALANCE_EVERY };
        for _ in 0..place::MOVES {
            let views: Vec<CpuView> = self.cpus.iter().map(|cpu| cpu.view).collect();
            match place::balance(cpu, &self.online, &self.topology, |cpu| views[cpu]) {
                Balance::Even => break,
                Balance::Forget(vtime) => self.cpus[cpu].queue.catch_up(vtime),
                Balance::Take { from, weight, behind } => {
                    if !self.take(cpu, from, IDLE, weight, behind) {
                        break;
                    }
                }
            }
            self.publish(cpu);
        }
    }

    fn take(&mut self, to: usize, from: usize, above: u8, weight: u64, behind: i64) -> bool {
        let Some((entity, handle)) = self.cpus[from].queue.steal(to, above, weight, behind, self.now) else {
            return false;
        };
        self.moves += 1;
        let thread = &mut self.threads[handle.0.0];
        assert!(thread.allowed.contains(to));
        assert_ne!(self.cpus[from].running, Some(handle.0.0));
        thread.cpu = to;
        self.cpus[to].resched |= self.cpus[to].queue.enqueue(entity, handle, self.now);
        self.publish(from);
        self.publish(to);
        true
    }

    /// Changes where a thread may run, now.
    pub fn set_allowed(&mut self, index: usize, allowed: CpuSet) {
        let views: Vec<CpuView> = self.cpus.iter().map(|cpu| cpu.view).collect();
        let cpu = self.threads[index].cpu;
        self.threads[index].allowed = allowed;
        if let Some(entity) = self.threads[index].entity.as_mut() {
            entity.set_allowed(allowed);
            return;
        }
        let thread = &self.threads[index];
        let runs = self.cpus[cpu].running == Some(index);
        let taken = if runs {
            self.cpus[cpu].queue.block(self.now)
        } else {
            self.cpus[cpu].queue.remove(thread.class, thread.group, thread.handle.0.1.get(), self.now)
        };
        let (mut entity, handle) = taken.expect("it is in the queue where it was placed");
        assert_eq!(handle.0.0, index);
        entity.set_allowed(allowed);
        let waking = Waking { last: cpu, waker: None, sync: false, new: false, class: thread.class, allowed: &allowed };
        let to = place::on_wake(&waking, &self.online, &self.topology, |cpu| views[cpu]).expect("some CPU is allowed");
        self.threads[index].cpu = to;
        self.threads[index].waiting_since = self.now;
        self.cpus[to].resched |= self.cpus[to].queue.enqueue(entity, handle, self.now);
        self.cpus[to].resched |= self.cpus[to].running.is_none();
        self.publish(to);
        if runs {
            self.cpus[cpu].running = None;
            self.switch(cpu, false);
        }
        self.publish(cpu);
        for cpu in 0..self.cpus.len() {
            if self.cpus[cpu].resched {
                self.switch(cpu, false);
            }
        }
    }

    fn publish(&mut self, cpu: usize) {
        let view = self.cpus[cpu].queue.view();
        let here = self.threads.iter().filter(|thread| thread.runnable && thread.cpu == cpu && thread.entity.is_none());
        assert_eq!(view.runnable, here.count(), "CPU {cpu} counts its threads");
        self.cpus[cpu].view = view;
    }

    /// What each fair thread gets on an ideal machine now: its group's part by weight, at most a CPU.
    fn ideal_rates(&self) -> Vec<f64> {
        let fair = |thread: &&Thread| thread.runnable && thread.class.is_fair();
        let mut loads: BTreeMap<u32, f64> = BTreeMap::new();
        for thread in self.threads.iter().filter(fair) {
            *loads.entry(thread.group.0).or_default() += thread.class.weight() as f64;
        }
        // Groups were made parents first: from the last to the first, the active ones weigh on their parents.
        for (id, group) in self.groups.iter().rev() {
            if loads.get(id).is_some_and(|load| *load > 0.0) {
                *loads.entry(group.parent.0).or_default() += group.share * 1024.0;
            }
        }
        let weight = |thread: &Thread| {
            let (mut weight, mut at) = (thread.class.weight() as f64, thread.group.0);
            while let Some(group) = self.groups.get(&at) {
                weight *= group.share * 1024.0 / loads[&at];
                at = group.parent.0;
            }
            weight
        };
        let weights: Vec<f64> =
            self.threads.iter().map(|thread| if fair(&thread) { weight(thread) } else { 0.0 }).collect();
        let mut rates = std::vec![0.0; weights.len()];
        let (mut capacity, mut total) = (self.cpus.len() as f64, weights.iter().sum::<f64>());
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]));
        for index in order {
            if weights[index] > 0.0 {
                rates[index] = (weights[index] / total * capacity).min(1.0);
                total -= weights[index];
                capacity -= rates[index];
            }
        }
        rates
    }
}
