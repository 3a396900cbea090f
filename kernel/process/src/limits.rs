//! Resource limits (`getrlimit(2)`).

use aios_abi::Errno;
use aios_abi::linux::consts::RLIM_INFINITY;
use aios_abi::linux::consts::resource::*;
use aios_abi::linux::structs::Rlimit;
use kernel_sync::SpinLock;

const COUNT: usize = 16;

/// The limits of a process, inherited by its children.
pub struct ResourceLimits(SpinLock<[Rlimit; COUNT]>);

impl ResourceLimits {
    /// What the first process of an agent starts with: Linux's defaults for the superuser.
    pub fn initial() -> ResourceLimits {
        let both = |value| Rlimit { current: value, maximum: value };
        let mut limits = [both(RLIM_INFINITY); COUNT];
        let mut set = |resource: u32, current, maximum| {
            if let Some(limit) = limits.get_mut(resource as usize) {
                *limit = Rlimit { current, maximum };
            }
        };
        set(RLIMIT_STACK, 8 << 20, RLIM_INFINITY);
        set(RLIMIT_CORE, 0, RLIM_INFINITY);
        set(RLIMIT_NOFILE, 1024, 1 << 20);
        set(RLIMIT_MEMLOCK, 8 << 20, 8 << 20);
        set(RLIMIT_MSGQUEUE, 819_200, 819_200);
        set(RLIMIT_NICE, 0, 0);
        set(RLIMIT_RTPRIO, 0, 0);
        set(RLIMIT_NPROC, 32_768, 32_768);
        set(RLIMIT_SIGPENDING, 32_768, 32_768);
        ResourceLimits(SpinLock::new(limits))
    }

    pub fn duplicate(&self) -> ResourceLimits {
        ResourceLimits(SpinLock::new(*self.0.lock()))
    }

    /// The limit of a resource; `EINVAL` for a number there is none of.
    pub fn get(&self, resource: u32) -> Result<Rlimit, Errno> {
        self.0.lock().get(resource as usize).copied().ok_or(Errno::EINVAL)
    }

    /// The soft limit; none for a number there is none of.
    #[inline]
    pub fn current(&self, resource: u32) -> u64 {
        self.0.lock().get(resource as usize).map_or(RLIM_INFINITY, |limit| limit.current)
    }

    /// Sets a limit. `EINVAL` when soft is above hard or there is no such resource, `EPERM` when the hard limit would
    /// rise and the caller is not `privileged`.
    pub fn set(&self, resource: u32, limit: Rlimit, privileged: bool) -> Result<(), Errno> {
        let mut limits = self.0.lock();
        let slot = limits.get_mut(resource as usize).ok_or(Errno::EINVAL)?;
        if limit.current > limit.maximum {
            return Err(Errno::EINVAL);
        }
        if resource == RLIMIT_NOFILE && limit.maximum > crate::files::MAX_DESCRIPTORS as u64 {
            return Err(Errno::EPERM);
        }
        if limit.maximum > slot.maximum && !privileged {
            return Err(Errno::EPERM);
        }
        *slot = limit;
        Ok(())
    }
}
