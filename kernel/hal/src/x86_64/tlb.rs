//! Stale translations: forgetting them here and on all CPUs that may hold them.
//!
//! A root knows which CPUs run on it. A CPU adds itself before it loads the root and leaves the set after it loaded
//! another, which forgets all translations but the kernel's. So whoever changes an entry and then looks at the set
//! either finds a CPU there and interrupts it, or that CPU loads the root later and reads the new entry.
//!
//! Each CPU has a list of what it is asked to forget, and numbers: how often it was asked, how often it did. Whoever
//! asks waits until the second has reached the first as it was then; one interrupt serves all who asked before it. A
//! CPU that waits goes on serving, so two that wait for each other with interrupts off both go on.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use super::cpus::{cpu_count, remote};
use super::{apic, kmap, msr, percpu};
use crate::addr::{PAGE_SIZE, Virt};
use crate::cpu::{IrqGuard, PreemptGuard};
use crate::cpuset::CpuSet;
use crate::lock::{IrqLock, check};
use crate::paging::Root;

/// Pages that are forgotten one by one; with more, everything is.
const FEW: usize = 16;

/// What a CPU is to forget.
#[derive(Clone, Copy)]
enum What {
    /// One page.
    Page(u64),
    /// All pages of programs.
    Programs,
    /// Everything, the kernel's global pages too.
    Everything,
}

struct Wanted {
    pages: [u64; FEW],
    count: usize,
    programs: bool,
    everything: bool,
}

impl Wanted {
    const NOTHING: Wanted = Wanted { pages: [0; FEW], count: 0, programs: false, everything: false };

    fn add(&mut self, what: What) {
        match what {
            What::Page(page) => match self.pages.get_mut(self.count) {
                Some(slot) => {
                    *slot = page;
                    self.count += 1;
                }
                // Kernel pages are only ever asked for by What::Everything.
                None => self.programs = true,
            },
            What::Programs => self.programs = true,
            What::Everything => self.everything = true,
        }
    }

    fn forget(&self) {
        if self.everything {
            forget_everything();
        } else if self.programs {
            forget_programs();
        } else {
            self.pages[..self.count].iter().for_each(|page| kmap::invalidate(*page));
        }
    }
}

/// Requests to one CPU.
pub struct Flushes {
    wanted: IrqLock<Wanted>,
    /// How often it was asked; changes under the lock.
    asked: AtomicU64,
    /// Requests up to this one are done.
    done: AtomicU64,
}

impl Flushes {
    pub const fn new() -> Flushes {
        Flushes { wanted: IrqLock::new(Wanted::NOTHING), asked: AtomicU64::new(0), done: AtomicU64::new(0) }
    }

    /// Adds a request. True when the CPU must be interrupted for it: not when one who asked before has done so and is not
    /// served yet.
    fn ask(&self, what: What) -> bool {
        let mut wanted = self.wanted.lock();
        wanted.add(what);
        let before = self.asked.load(Ordering::Relaxed);
        self.asked.store(before + 1, Ordering::Relaxed);
        self.done.load(Ordering::Relaxed) == before
    }

    /// Does what this CPU was asked for, until there is nothing more: who asks meanwhile does not interrupt.
    fn serve(&self) {
        loop {
            let (wanted, number) = {
                let mut wanted = self.wanted.lock();
                let number = self.asked.load(Ordering::Relaxed);
                if self.done.load(Ordering::Relaxed) == number {
                    return;
                }
                (core::mem::replace(&mut *wanted, Wanted::NOTHING), number)
            };
            wanted.forget();
            // Not before the translations are gone.
            self.done.store(number, Ordering::Release);
        }
    }

    /// The last request until now.
    fn last(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn is_done(&self, number: u64) -> bool {
        self.done.load(Ordering::Acquire) >= number
    }
}

/// Forgets all translations of programs on this CPU.
fn forget_programs() {
    // Global pages, which are the kernel's, stay.
    msr::write_cr3(msr::read_cr3());
}

fn forget_everything() {
    let cr4 = msr::read_cr4();
    // Turning global pages off forgets them (SDM 3A §4.10.4.1).
    msr::write_cr4(cr4 & !msr::CR4_PGE);
    msr::write_cr4(cr4);
}

/// Handles the interrupt that asks to forget. Interrupts are off.
pub fn serve() {
    remote(percpu::cpu_id()).flushes.serve();
}

/// Asks `others` and waits until they have done it. This CPU is not among them, and its task stays on it.
fn shoot(others: &CpuSet, what: What) {
    check::may_wait_for_cpus();
    let mine = &remote(percpu::cpu_id()).flushes;
    for cpu in others.iter() {
        if remote(cpu).flushes.ask(what) {
            apic::send(cpu, apic::FLUSH);
        }
    }
    for cpu in others.iter() {
        let theirs = &remote(cpu).flushes;
        let number = theirs.last();
        while !theirs.is_done(number) {
            {
                let _off = IrqGuard::new();
                mine.serve();
            }
            core::hint::spin_loop();
        }
    }
}

fn flush(root: &Arc<Root>, what: What) {
    let _here = PreemptGuard::new();
    let me = percpu::cpu_id();
    // Between the caller's change of an entry and the look at the set.
    fence(Ordering::SeqCst);
    if cpu_count() == 1 {
        if root.cpus.contains(me) {
            forget(what);
        }
        return;
    }
    let mut others = root.cpus.load();
    if others.contains(me) {
        forget(what);
        others.remove(me);
    }
    if !others.is_empty() {
        shoot(&others, what);
    }
}

fn forget(what: What) {
    match what {
        What::Page(page) => kmap::invalidate(page),
        What::Programs => forget_programs(),
        What::Everything => forget_everything(),
    }
}

/// Makes all CPUs forget the translation of one page of `root`.
pub fn flush_page(root: &Arc<Root>, va: Virt) {
    flush(root, What::Page(va.0 & !(PAGE_SIZE as u64 - 1)));
}

/// Makes all CPUs forget all translations of `root`.
pub fn flush_all(root: &Arc<Root>) {
    flush(root, What::Programs);
}

/// Makes all CPUs forget the kernel's own translations too. Interrupts are on, or no other CPU waits for this one.
pub fn flush_kernel() {
    let _here = PreemptGuard::new();
    forget_everything();
    let mut others = CpuSet::first(cpu_count());
    others.remove(percpu::cpu_id());
    if !others.is_empty() {
        shoot(&others, What::Everything);
    }
}
