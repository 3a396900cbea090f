//! Groups of threads that share CPUs as one: agents.

use alloc::sync::Arc;
use core::time::Duration;

use aios_abi::Errno;
use kernel_hal::cpuset::CpuSet;
use kernel_sync::IrqLock;

use crate::cpus;
use crate::policy::{Bandwidth, Group, GroupId, RunQueue, weight};
use crate::thread::Thread;

/// What a group gets of the CPUs.
#[derive(Clone, Copy, Debug)]
pub struct CpuLimits {
    /// Its share against others beside it, 1 to 10,000.
    pub share: u32,
    /// What it may use at most.
    pub bandwidth: Option<Bandwidth>,
    /// Where its threads may run.
    pub cpus: CpuSet,
}

impl CpuLimits {
    /// The usual share, and no limit.
    pub const NONE: CpuLimits = CpuLimits { share: weight::USUAL_SHARE, bandwidth: None, cpus: CpuSet::ALL };
}

/// A group. Its threads and the groups below it keep it.
pub struct CpuGroup {
    id: GroupId,
    parent: Option<Arc<CpuGroup>>,
    group: Arc<Group>,
    limits: IrqLock<CpuLimits>,
}

impl core::fmt::Debug for CpuGroup {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "CpuGroup({})", self.id.0)
    }
}

impl CpuGroup {
    /// A group below `parent`, or below none.
    pub fn new(parent: Option<&Arc<CpuGroup>>, limits: CpuLimits) -> Result<Arc<CpuGroup>, Errno> {
        cpus::reserve_queues();
        cpus::add_group(|number| {
            Arc::new(CpuGroup {
                id: GroupId(number),
                parent: parent.cloned(),
                group: Arc::new(Group::new(limits.share, limits.bandwidth)),
                limits: IrqLock::new(limits),
            })
        })
    }

    pub(crate) fn id(&self) -> GroupId {
        self.id
    }

    pub(crate) fn add_to(&self, queue: &mut RunQueue<Arc<Thread>>) -> Result<(), Errno> {
        let parent = self.parent.as_ref().map_or(GroupId::ROOT, |parent| parent.id);
        queue.add_group(self.id, parent, self.group.clone()).map_err(|_| Errno::ENOMEM)
    }

    pub fn limits(&self) -> CpuLimits {
        *self.limits.lock()
    }

    /// The CPUs that it and all above it may use.
    pub fn cpus(&self) -> CpuSet {
        let above = self.parent.as_ref().map_or(CpuSet::ALL, |parent| parent.cpus());
        cpus::first_usable(&[above.and(&self.limits().cpus), above])
    }

    /// Time on CPUs of its threads and of those of groups below, those that ended included.
    pub fn cpu_time(&self) -> Duration {
        Duration::from_nanos(cpus::possible().map(|cpu| cpu.lock().queue.group_ran(self.id)).sum())
    }

    /// Periods of its limit so far, and how often a CPU stopped its threads because the quota was used up.
    pub fn throttled(&self) -> (u64, u64) {
        self.group.throttled()
    }
}

impl Drop for CpuGroup {
    fn drop(&mut self) {
        cpus::possible().for_each(|cpu| {
            cpu.lock().queue.remove_group(self.id);
        });
        // Only now may another group have the number.
        cpus::forget_group(self.id.0);
    }
}
