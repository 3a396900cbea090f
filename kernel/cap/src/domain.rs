//! The domain of one agent.

use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use aios_abi::Errno;
use aios_abi::native::AgentId;
use kernel_mm::Account;
use kernel_sched::{CpuGroup, CpuLimits};

use crate::{Meter, Rights};

/// Limits of a new domain; `u64::MAX` is none of its own.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Frames of memory.
    pub frames: u64,
    pub threads: u64,
    /// Open files of all processes together.
    pub files: u64,
    /// What it gets of the CPUs.
    pub cpu: CpuLimits,
}

impl Limits {
    pub const NONE: Limits = Limits { frames: u64::MAX, threads: u64::MAX, files: u64::MAX, cpu: CpuLimits::NONE };
}

/// Protection and accounting of one agent.
#[derive(Debug)]
pub struct Domain {
    id: AgentId,
    name: String,
    rights: Rights,
    memory: Arc<Account>,
    threads: Arc<Meter>,
    files: Arc<Meter>,
    /// The first agent's threads are in no group: they share the CPUs with agents, not as one.
    cpu: Option<Arc<CpuGroup>>,
    denials: AtomicU64,
}

impl Domain {
    /// A domain with at most the rights and limits of `parent`.
    pub fn new(
        id: AgentId,
        name: String,
        rights: Rights,
        limits: Limits,
        parent: Option<&Domain>,
    ) -> Result<Arc<Domain>, Errno> {
        let frames = usize::try_from(limits.frames).unwrap_or(usize::MAX);
        let memory = Account::new(frames, parent.map(|parent| &parent.memory))?;
        let below =
            |limit, meter: fn(&Domain) -> &Arc<Meter>| Meter::new(limit, parent.map(|parent| meter(parent).clone()));
        let cpu = parent.map(|parent| CpuGroup::new(parent.cpu.as_ref(), limits.cpu)).transpose()?;
        kernel_sched::trace::agent(cpu.as_ref(), &name);
        Ok(Arc::new(Domain {
            id,
            name,
            rights: parent.map_or(rights, |parent| parent.rights.and(rights)),
            memory,
            threads: below(limits.threads, Domain::threads),
            files: below(limits.files, Domain::files),
            cpu,
            denials: AtomicU64::new(0),
        }))
    }

    pub fn id(&self) -> AgentId {
        self.id
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// Who pays for the agent's memory.
    pub fn memory(&self) -> &Arc<Account> {
        &self.memory
    }

    pub fn threads(&self) -> &Arc<Meter> {
        &self.threads
    }

    /// Whose share of the CPUs its threads run on.
    pub fn cpu(&self) -> Option<&Arc<CpuGroup>> {
        self.cpu.as_ref()
    }

    pub fn files(&self) -> &Arc<Meter> {
        &self.files
    }

    /// `EPERM` unless the agent has all the rights `wanted`; the denial is recorded with the act it stopped.
    pub fn check(&self, wanted: Rights, act: &str) -> Result<(), Errno> {
        if self.rights.contains(wanted) {
            return Ok(());
        }
        let count = self.denials.fetch_add(1, Ordering::Relaxed) + 1;
        // A program that tries the same again and again must not flood the log: powers of two only.
        if count.is_power_of_two() {
            log::warn!("agent {} '{}' denied: {act} needs the right {wanted} (denial {count})", self.id, self.name);
        }
        Err(Errno::EPERM)
    }

    pub fn denials(&self) -> u64 {
        self.denials.load(Ordering::Relaxed)
    }
}
