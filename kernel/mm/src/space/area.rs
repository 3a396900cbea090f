//! One area of an address space: a range with the same rights and the same backing.

use alloc::sync::Arc;
use core::any::Any;
use core::ops::Range;

use kernel_hal::addr::{PAGE_SHIFT, PAGE_SIZE, Virt};
use kernel_hal::paging::Prot;

use crate::object::MappedObject;

/// The gap that Linux keeps between a growing stack and its neighbours.
pub(crate) const STACK_GUARD: u64 = 256 * PAGE_SIZE as u64;

/// What an area is, beside its rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Flags {
    /// Changes are seen by all who map the object.
    pub(crate) shared: bool,
    /// Grows towards lower addresses when touched there: a stack.
    pub(crate) grows_down: bool,
    pub(crate) locked: bool,
    /// Not given to a forked child.
    pub(crate) dont_fork: bool,
    /// Given to a forked child empty.
    pub(crate) wipe_on_fork: bool,
    /// Does not count against the machine's memory when it is made.
    pub(crate) no_reserve: bool,
}

#[derive(Clone)]
pub(crate) enum Backing {
    Anonymous,
    Object(ObjectMap),
}

/// Pages of an object from `first` on.
#[derive(Clone)]
pub(crate) struct ObjectMap {
    pub(crate) object: MappedObject,
    /// The page of the object at the start of the area.
    pub(crate) first: u64,
    /// The open file, kept alive by the mapping.
    pub(crate) file: Option<Arc<dyn Any + Send + Sync>>,
}

#[derive(Clone)]
pub(crate) struct Area {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) prot: Prot,
    /// The most that `mprotect` may give.
    pub(crate) max: Prot,
    pub(crate) flags: Flags,
    pub(crate) backing: Backing,
    /// What `/proc/PID/maps` calls it, such as `[stack]`.
    pub(crate) label: &'static str,
}

impl Area {
    pub(crate) fn len(&self) -> u64 {
        self.end - self.start
    }

    pub(crate) fn pages(&self) -> u64 {
        self.len() >> PAGE_SHIFT
    }

    pub(crate) fn range(&self) -> Range<Virt> {
        Virt(self.start)..Virt(self.end)
    }

    /// Where the area begins for its lower neighbours: a stack claims its guard gap too.
    pub(crate) fn start_with_gap(&self) -> u64 {
        if self.flags.grows_down { self.start.saturating_sub(STACK_GUARD) } else { self.start }
    }

    /// The page of the object at `address`, which lies in the area.
    pub(crate) fn object_page(&self, map: &ObjectMap, address: u64) -> u64 {
        map.first + ((address - self.start) >> PAGE_SHIFT)
    }

    /// Whether pages are this space's own as soon as they are written.
    pub(crate) fn is_private(&self) -> bool {
        !self.flags.shared
    }

    /// Rights that page-table entries may have without a fault in between: a private page is written only after a
    /// fault has made it unique, a shared file's only after a fault has marked it dirty.
    pub(crate) fn entry_prot(&self) -> Prot {
        match &self.backing {
            Backing::Object(map) if self.flags.shared && !map.object.object().has_source() => self.prot,
            _ => self.prot.without_write(),
        }
    }

    /// Private and writable, as Linux counts data and promises memory.
    pub(crate) fn is_data(&self) -> bool {
        self.is_private() && self.prot.write && !self.flags.grows_down
    }

    /// Cuts the area at `at`, which lies inside: the upper part is returned.
    pub(crate) fn split_off(&mut self, at: u64) -> Area {
        let mut upper = self.clone();
        upper.start = at;
        if let Backing::Object(map) = &mut upper.backing {
            map.first += (at - self.start) >> PAGE_SHIFT;
        }
        self.end = at;
        upper
    }

    /// Whether `next`, which begins where this ends, could be one area with it.
    pub(crate) fn joins(&self, next: &Area) -> bool {
        let backing = match (&self.backing, &next.backing) {
            (Backing::Anonymous, Backing::Anonymous) => true,
            (Backing::Object(a), Backing::Object(b)) => {
                let same_file = match (&a.file, &b.file) {
                    (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                    (None, None) => true,
                    _ => false,
                };
                Arc::ptr_eq(a.object.object(), b.object.object()) && same_file && a.first + self.pages() == b.first
            }
            _ => false,
        };
        backing
            && self.end == next.start
            && self.prot == next.prot
            && self.max == next.max
            && self.flags == next.flags
            && self.label == next.label
    }
}
