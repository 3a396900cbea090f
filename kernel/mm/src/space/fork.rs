//! Forking: a second space that shares every page until one side writes it.

use alloc::sync::Arc;

use aios_abi::Errno;

use super::{AddressSpace, Inner};
use crate::object::reclaim::relieve;

impl AddressSpace {
    /// A copy of this space, charged to the same account: private pages are copied on the first write of either side,
    /// shared ones stay shared. `ENOMEM` leaves this space as it was.
    pub fn fork(&self) -> Result<Arc<AddressSpace>, Errno> {
        match self.try_fork() {
            Err(Errno::ENOMEM) if relieve(&self.account) => self.try_fork(),
            result => result,
        }
    }

    fn try_fork(&self) -> Result<Arc<AddressSpace>, Errno> {
        // Made and registered first, so that nobody who visits all spaces misses the pages it is about to get.
        let child = AddressSpace::new(&self.account)?;
        {
            let mut parent = self.inner.lock();
            let mut inner = child.inner.lock();
            let Inner { table, areas, ledger, heap, limits, resident, peak_resident, .. } = &mut *inner;
            ledger.cover(parent.areas.count())?;
            *areas = parent.areas.clone();
            areas.drop_what_a_child_lacks();
            *heap = parent.heap.clone();
            *limits = parent.limits;
            for area in areas.iter().filter(|area| !area.flags.wipe_on_fork) {
                let shared = parent.table.share_range(table, area.range(), area.is_private());
                *resident += shared.map_err(|_| Errno::ENOMEM)?;
            }
            *peak_resident = *resident;
        }
        Ok(child)
    }
}
