//! The trivial model: an array of pages a space, each with its own copy of its bytes.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use aios_abi::Errno;
use kernel_hal::addr::PAGE_SIZE;
use kernel_hal::paging::Prot;

pub(super) type Bytes = Vec<u8>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Anonymous,
    /// Page of an object.
    Object {
        object: usize,
        page: usize,
        shared: bool,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) prot: Prot,
    pub(super) kind: Kind,
    /// Bytes of its own: `None` while anonymous memory is zero, or a private page shows its object.
    pub(super) own: Option<Bytes>,
}

#[derive(Default)]
pub(super) struct Object {
    /// Bytes; pages that do not exist are zeros.
    pub(super) pages: BTreeMap<usize, Bytes>,
    pub(super) size: usize,
    /// May be written where it is shared.
    pub(super) writable: bool,
}

impl Object {
    pub(super) fn limit(&self) -> usize {
        self.size.div_ceil(PAGE_SIZE)
    }

    pub(super) fn page(&mut self, page: usize) -> &mut Bytes {
        self.pages.entry(page).or_insert_with(|| vec![0; PAGE_SIZE])
    }

    /// Ends later; what was written beyond the old end through mappings is zeros then.
    pub(super) fn extend(&mut self, size: usize) {
        let (page, tail) = (self.size / PAGE_SIZE, self.size % PAGE_SIZE);
        let end = PAGE_SIZE.min(tail + size - self.size);
        if tail != 0
            && let Some(last) = self.pages.get_mut(&page)
        {
            last[tail..end].fill(0);
        }
        self.size = size;
    }

    pub(super) fn truncate(&mut self, size: usize) {
        self.size = size;
        let first = self.limit();
        self.pages.split_off(&first);
        if !size.is_multiple_of(PAGE_SIZE)
            && let Some(last) = self.pages.get_mut(&(first - 1))
        {
            last[size % PAGE_SIZE..].fill(0);
        }
    }
}

/// Pages by number.
#[derive(Clone, Default)]
pub(super) struct Space {
    pub(super) pages: BTreeMap<usize, Page>,
}

impl Space {
    /// The end of the area that `page` lies in: as far as pages go on alike.
    pub(super) fn area_end(&self, page: usize) -> Option<usize> {
        let mut end = page;
        let mut last = self.pages.get(&page)?;
        loop {
            end += 1;
            let Some(next) = self.pages.get(&end) else { return Some(end) };
            let follows = match (last.kind, next.kind) {
                (Kind::Anonymous, Kind::Anonymous) => true,
                (
                    Kind::Object { object: a, page: at, shared: s },
                    Kind::Object { object: b, page: then, shared: t },
                ) => a == b && s == t && at + 1 == then,
                _ => false,
            };
            if !follows || last.prot != next.prot {
                return Some(end);
            }
            last = next;
        }
    }

    pub(super) fn map(&mut self, range: Range<usize>, prot: Prot, kind: Kind) {
        for number in range.clone() {
            let kind = match kind {
                Kind::Anonymous => Kind::Anonymous,
                Kind::Object { object, page, shared } => {
                    Kind::Object { object, page: page + number - range.start, shared }
                }
            };
            self.pages.insert(number, Page { prot, kind, own: None });
        }
    }

    pub(super) fn unmap(&mut self, range: Range<usize>) {
        self.pages.retain(|number, _| !range.contains(number));
    }

    pub(super) fn protect(&mut self, range: Range<usize>, prot: Prot, objects: &[Object]) -> Result<(), Errno> {
        for number in range {
            let page = self.pages.get_mut(&number).ok_or(Errno::ENOMEM)?;
            if let Kind::Object { object, shared: true, .. } = page.kind
                && prot.write
                && !objects[object].writable
            {
                return Err(Errno::EACCES);
            }
            page.prot = prot;
        }
        Ok(())
    }

    /// `mremap` of whole pages; `to` is where `MREMAP_FIXED` wants it.
    pub(super) fn remap(&mut self, from: usize, old: usize, new: usize, to: Option<usize>) -> Result<(), Errno> {
        if !self.pages.contains_key(&from) {
            return Err(Errno::EFAULT);
        }
        let Some(to) = to else {
            if old >= new {
                self.unmap(from + new..from + old);
                return Ok(());
            }
            let end = self.area_end(from).unwrap_or(from);
            if from + old > end {
                return Err(Errno::EFAULT);
            }
            let room = from + old == end && (from + old..from + new).all(|page| !self.pages.contains_key(&page));
            if !room {
                return Err(Errno::ENOMEM);
            }
            self.extend(from + old..from + new);
            return Ok(());
        };
        if from + old > to && to + new > from {
            return Err(Errno::EINVAL);
        }
        self.unmap(to..to + new);
        let mut old = old;
        if old > new {
            self.unmap(from + new..from + old);
            old = new;
        }
        if self.area_end(from).is_none_or(|end| from + old > end) {
            return Err(Errno::EFAULT);
        }
        for number in 0..old {
            if let Some(page) = self.pages.remove(&(from + number)) {
                self.pages.insert(to + number, page);
            }
        }
        self.extend(to + old..to + new);
        Ok(())
    }

    /// Continues the page before `range` through it.
    fn extend(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        if let Some(Page { prot, kind, .. }) = self.pages.get(&(range.start - 1)).cloned() {
            let kind = match kind {
                Kind::Anonymous => Kind::Anonymous,
                Kind::Object { object, page, shared } => Kind::Object { object, page: page + 1, shared },
            };
            self.map(range, prot, kind);
        }
    }

    /// What `MADV_DONTNEED` does.
    pub(super) fn forget(&mut self, range: Range<usize>) {
        for (_, page) in self.pages.range_mut(range) {
            page.own = None;
        }
    }

    /// Pages of `object` from `first` on are gone, copies included.
    pub(super) fn truncated(&mut self, of: usize, first: usize) {
        for page in self.pages.values_mut() {
            if let Kind::Object { object, page: number, .. } = page.kind
                && object == of
                && number >= first
            {
                page.own = None;
            }
        }
    }

    /// The bytes of a page as the program may see them.
    pub(super) fn read(&self, number: usize, objects: &mut [Object]) -> Option<Bytes> {
        let page = self.pages.get(&number).filter(|page| !page.prot.is_none())?;
        match (page.kind, &page.own) {
            (_, Some(own)) => Some(own.clone()),
            (Kind::Anonymous, None) => Some(vec![0; PAGE_SIZE]),
            (Kind::Object { object, page, .. }, None) => {
                let object = &mut objects[object];
                (page < object.limit()).then(|| object.page(page).clone())
            }
        }
    }

    /// The bytes of a page for the program to change.
    pub(super) fn write<'a>(&'a mut self, number: usize, objects: &'a mut [Object]) -> Option<&'a mut Bytes> {
        let page = self.pages.get_mut(&number).filter(|page| page.prot.write)?;
        match page.kind {
            Kind::Anonymous => Some(page.own.get_or_insert_with(|| vec![0; PAGE_SIZE])),
            Kind::Object { object, page: at, shared } => {
                let object = &mut objects[object];
                if page.own.is_none() && at >= object.limit() {
                    return None;
                }
                if shared {
                    return Some(object.page(at));
                }
                Some(page.own.get_or_insert_with(|| object.page(at).clone()))
            }
        }
    }
}
