//! All address spaces, for the rare work that concerns whoever maps an object.
//!
//! Spaces are visited in the order of their numbers, and a number is given before the space gets its first page. So a
//! child that is forked during a visit is either visited later, or copied from a parent that was visited before.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::ops::Range;

use kernel_sync::SpinLock;

use super::AddressSpace;
use crate::object::MemoryObject;

struct Registry {
    spaces: BTreeMap<u64, Weak<AddressSpace>>,
    next: u64,
}

static REGISTRY: SpinLock<Registry> = SpinLock::new(Registry { spaces: BTreeMap::new(), next: 1 });

/// A number for a space that is being made.
pub(super) fn add(space: &Weak<AddressSpace>) -> u64 {
    let mut registry = REGISTRY.lock();
    let id = registry.next;
    registry.next += 1;
    registry.spaces.insert(id, space.clone());
    id
}

pub(super) fn remove(id: u64) {
    REGISTRY.lock().spaces.remove(&id);
}

fn for_each(mut visit: impl FnMut(&AddressSpace)) {
    let mut after = 0;
    loop {
        let next: Option<(u64, Option<Arc<AddressSpace>>)> = {
            let registry = REGISTRY.lock();
            registry.spaces.range(after + 1..).next().map(|(id, space)| (*id, space.upgrade()))
        };
        let Some((id, space)) = next else { break };
        after = id;
        if let Some(space) = space {
            visit(&space);
        }
    }
}

/// Removes the shared and the unchanged private pages of `pages` of the object from all spaces.
pub(crate) fn unmap_object(object: &MemoryObject, pages: Range<u64>) {
    for_each(|space| space.unmap_object(object, pages.clone()));
}

/// Makes the next write to `pages` of the object fault, in all spaces that share it.
pub(crate) fn write_protect_object(object: &MemoryObject, pages: Range<u64>) {
    for_each(|space| space.write_protect_object(object, pages.clone()));
}
