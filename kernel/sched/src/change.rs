//! Changes of what a thread is scheduled by, wherever it is.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use aios_abi::Errno;
use kernel_hal::cpu;
use kernel_hal::cpuset::CpuSet;
use kernel_hal::ipi;
use kernel_hal::task::HasTask;
use kernel_hal::time::now;
use kernel_sync::IrqLock;

use crate::Class;
use crate::cpus::{CPUS, arm, first_usable, online};
use crate::policy::{Admission, Entity, Reservation};
use crate::switch;
use crate::thread::{State, Status, Thread};
use crate::wake::{elsewhere, insert};

/// What deadline threads reserved. Lock order: taken under a thread's status.
static ADMISSION: IrqLock<Admission> = IrqLock::new(Admission::new());

impl Thread {
    pub fn class(&self) -> Class {
        self.status.lock().class
    }

    /// The CPUs where it may run, as far as it was told; those that its group may use count besides.
    pub fn allowed(&self) -> CpuSet {
        self.status.lock().allowed
    }

    /// Schedules it by `class` from now on. `EBUSY` when no CPU has room for a reservation.
    pub fn set_class(&self, class: Class) -> Result<(), Errno> {
        let mut status = self.status.lock();
        if status.state == State::Dead {
            return Err(Errno::ESRCH);
        }
        let before = status.reserved.take();
        let mut admission = ADMISSION.lock();
        if let Some((reservation, cpu)) = before {
            admission.release(&reservation, cpu);
        }
        if let Class::Deadline(reservation) = class {
            let usable = self.within(&status.allowed).and(&online());
            match admission.admit(&reservation, &usable) {
                Some(cpu) => status.reserved = Some((reservation, cpu)),
                None => {
                    if let Some((reservation, cpu)) = before {
                        admission.admit(&reservation, &CpuSet::only(cpu));
                    }
                    status.reserved = before;
                    return Err(Errno::EBUSY);
                }
            }
        }
        drop(admission);
        let old = core::mem::replace(&mut status.class, class);
        let allowed = self.effective(&status);
        self.apply(status, old, |entity| {
            entity.set_class(class);
            entity.set_allowed(allowed);
        });
        Ok(())
    }

    /// Lets it run on these CPUs only. `EINVAL` when there is none that it can use, `EBUSY` for a deadline thread whose
    /// reservation is on another.
    pub fn set_allowed(&self, allowed: CpuSet) -> Result<(), Errno> {
        let mut status = self.status.lock();
        if self.within(&allowed).and(&online()).is_empty() {
            return Err(Errno::EINVAL);
        }
        if status.reserved.is_some_and(|(_, cpu)| !allowed.contains(cpu)) {
            return Err(Errno::EBUSY);
        }
        status.allowed = allowed;
        let (class, allowed) = (status.class, self.effective(&status));
        self.apply(status, class, |entity| entity.set_allowed(allowed));
        Ok(())
    }

    /// Where it may run, its group's bounds included.
    pub fn usable(&self) -> CpuSet {
        self.within(&self.allowed())
    }

    /// Those of `allowed` that its group may use.
    fn within(&self, allowed: &CpuSet) -> CpuSet {
        self.group().map_or(*allowed, |group| allowed.and(&group.cpus()))
    }

    /// Where it runs: a deadline thread on the CPU that holds its reservation.
    pub(crate) fn effective(&self, status: &Status) -> CpuSet {
        let within = || first_usable(&[self.within(&status.allowed), self.within(&CpuSet::ALL)]);
        status.reserved.map_or_else(within, |(_, cpu)| CpuSet::only(cpu))
    }

    /// Changes its entity, which is in the status, in the queue of its home, or about to leave that; `old` is the class
    /// it is queued by.
    fn apply(
        &self,
        mut status: kernel_hal::lock::IrqLockGuard<'_, Status>,
        old: Class,
        change: impl Fn(&mut Entity<Arc<Thread>>),
    ) {
        if let Some(entity) = status.entity.as_mut() {
            return change(entity);
        }
        let at = now();
        loop {
            let number = self.home.load(Ordering::Relaxed);
            let cpu = &CPUS[number];
            let mut local = cpu.lock();
            if self.home.load(Ordering::Relaxed) != number {
                continue;
            }
            let is_current = local.queue.current().is_some_and(|entity| entity.id() == self.id);
            let taken = if is_current {
                local.queue.block(at.0)
            } else {
                local.queue.remove(old, self.group_id(), self.key(), at.0)
            };
            let Some((mut entity, thread)) = taken else {
                if let Some((entity, _)) = local.outgoing.as_mut().filter(|(entity, _)| entity.id() == self.id) {
                    change(entity);
                }
                return;
            };
            change(&mut entity);
            if !entity.allowed().contains(number) && !self.task().is_on_cpu() {
                drop(local);
                let to = elsewhere(self, &entity);
                insert(to, entity, thread, at);
                return;
            }
            // While it runs it stays here: this CPU sends it on when it leaves it.
            local.queue.enqueue(entity, thread, at.0);
            cpu.need.store(true, Ordering::Relaxed);
            cpu.publish(&mut local, at);
            if number == cpu::id() {
                arm(&local);
            }
            drop(local);
            drop(status);
            if number != cpu::id() {
                ipi::reschedule(number);
            } else if crate::running().is_some_and(|running| running.id == self.id) && cpu::may_sleep() {
                switch::reschedule();
            }
            return;
        }
    }
}

/// Gives back what a thread that ends has reserved.
pub(crate) fn release(status: &mut Status) {
    if let Some((reservation, cpu)) = status.reserved.take() {
        ADMISSION.lock().release(&reservation, cpu);
    }
}

/// The CPU and the reservation that a deadline thread holds there.
pub(crate) type Reserved = Option<(Reservation, usize)>;
