//! `mmap`: adding an area.

use alloc::sync::Arc;
use core::any::Any;

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SHIFT, PAGE_SIZE, USER_END, USER_MIN, Virt};
use kernel_hal::paging::Prot;
use kernel_hal::usermem::Access;

use super::area::{Area, Backing, Flags, ObjectMap};
use super::areas::{Hint, MAX_AREAS};
use super::unmap::Graveyard;
use super::{AddressSpace, Inner};
use crate::account::Account;
use crate::frames::stats;
use crate::object::reclaim::{make_room, relieve};
use crate::object::{MappedObject, MemoryObject};

/// How a mapping is made; all false is private, placed by the kernel near the hint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MapFlags {
    /// `MAP_SHARED`
    pub shared: bool,
    /// `MAP_FIXED`: exactly at the hint, in place of what is there.
    pub fixed: bool,
    /// `MAP_FIXED_NOREPLACE`: exactly at the hint, or `EEXIST`.
    pub no_replace: bool,
    /// `MAP_GROWSDOWN`
    pub grows_down: bool,
    /// `MAP_POPULATE`
    pub populate: bool,
    /// `MAP_LOCKED`
    pub locked: bool,
    /// `MAP_NORESERVE`
    pub no_reserve: bool,
}

/// What a mapping shows.
pub enum MapBacking {
    /// Zeros; shared between the processes that inherit it when the mapping is shared.
    Anonymous,
    Object {
        object: Arc<MemoryObject>,
        /// Bytes into the object; a multiple of the page size.
        offset: u64,
        /// Kept alive as long as any of it is mapped.
        file: Option<Arc<dyn Any + Send + Sync>>,
        /// What the file was opened for, and `exec` unless it lies on a mount without it: `EACCES` when it is not
        /// readable, or shared and to be written without being writable; `EPERM` when it must not be executed.
        max: Prot,
    },
}

/// A mapping to make.
pub struct MapRequest {
    pub hint: Virt,
    /// Bytes, rounded up to pages.
    pub len: u64,
    pub prot: Prot,
    pub flags: MapFlags,
    pub backing: MapBacking,
    /// What `/proc/PID/maps` calls it, such as `[stack]`; empty for none.
    pub label: &'static str,
}

impl MapRequest {
    /// Private zeros somewhere.
    pub fn anonymous(len: u64, prot: Prot) -> MapRequest {
        MapRequest { hint: Virt(0), len, prot, flags: MapFlags::default(), backing: MapBacking::Anonymous, label: "" }
    }
}

impl AddressSpace {
    /// Makes a mapping and returns where it is. Errors are those of `mmap(2)`, in Linux's order.
    pub fn map(&self, request: MapRequest) -> Result<Virt, Errno> {
        let MapRequest { hint, len, prot, flags, backing, label } = request;
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = Virt(len).page_up().map(|len| len.0).filter(|len| *len != 0).ok_or(Errno::ENOMEM)?;
        if let MapBacking::Object { offset, .. } = &backing {
            if !Virt(*offset).is_page_aligned() {
                return Err(Errno::EINVAL);
            }
            offset.checked_add(len).ok_or(Errno::EOVERFLOW)?;
        }
        make_room_for(if prot.write && !flags.shared && !flags.no_reserve { len } else { 0 }, &self.account)?;
        let mut graveyard = Graveyard::default();
        let mut inner = self.inner.lock();
        if inner.areas.count() >= MAX_AREAS {
            return Err(Errno::ENOMEM);
        }
        let (start, hint) = inner.place(hint, len, flags)?;
        if let MapBacking::Object { max, .. } = &backing {
            if !max.read || (flags.shared && prot.write && !max.write) {
                return Err(Errno::EACCES);
            }
            if prot.exec && !max.exec {
                return Err(Errno::EPERM);
            }
        }
        let range = start..start + len;
        let (max, backing) = self.back(backing, len, flags)?;
        let area = Area {
            start,
            end: range.end,
            prot,
            max,
            flags: Flags {
                shared: flags.shared,
                grows_down: flags.grows_down,
                locked: flags.locked,
                no_reserve: flags.no_reserve,
                ..Flags::default()
            },
            backing,
            label,
        };
        let replaced = if flags.fixed { inner.areas.covered(range.clone()) } else { 0 };
        inner.may_grow(len - replaced, if area.is_data() { len } else { 0 })?;
        if area.is_private() && prot.write && !flags.no_reserve {
            match &area.backing {
                Backing::Anonymous => overcommit(len, &self.account)?,
                // Most of a file's pages are only read.
                Backing::Object(_) if len >> PAGE_SHIFT > stats().total as u64 => return Err(Errno::ENOMEM),
                Backing::Object(_) => {}
            }
        }
        let count = inner.areas.count() + 3;
        inner.ledger.cover(count)?;
        if flags.fixed && !flags.no_replace {
            inner.may_bury(range.clone())?;
            inner.remove(range.clone(), &mut graveyard);
        }
        inner.areas.insert(area);
        if let Some(hint) = hint {
            inner.areas.commit(hint);
        }
        drop(inner);
        if flags.populate || flags.locked {
            self.populate(range.start, range.end, prot, flags.shared);
        }
        Ok(Virt(start))
    }

    fn back(&self, backing: MapBacking, len: u64, flags: MapFlags) -> Result<(Prot, Backing), Errno> {
        match backing {
            MapBacking::Anonymous if !flags.shared => Ok((Prot::RWX, Backing::Anonymous)),
            MapBacking::Anonymous => {
                let object = MemoryObject::anonymous(&self.account);
                object.set_size(len);
                Ok((Prot::RWX, Backing::Object(ObjectMap { object: MappedObject::new(object), first: 0, file: None })))
            }
            MapBacking::Object { object, offset, file, max } => {
                let max = if flags.shared { max } else { Prot { write: true, ..max } };
                let map = ObjectMap { object: MappedObject::new(object), first: offset >> PAGE_SHIFT, file };
                Ok((max, Backing::Object(map)))
            }
        }
    }

    /// Brings in the pages of a new mapping, as far as that goes: what fails now will fail again when it is touched.
    pub(super) fn populate(&self, start: u64, end: u64, prot: Prot, shared: bool) {
        if prot.is_none() {
            return;
        }
        let access = if prot.write && !shared { Access::Write } else { Access::Read };
        for page in (start..end).step_by(PAGE_SIZE) {
            if self.fault(Virt(page), access).is_err() {
                break;
            }
        }
    }
}

impl Inner {
    /// Where `len` bytes go (Linux's `get_unmapped_area`).
    pub(super) fn place(&self, wish: Virt, len: u64, flags: MapFlags) -> Result<(u64, Option<Hint>), Errno> {
        if len > USER_END {
            return Err(Errno::ENOMEM);
        }
        if flags.fixed || flags.no_replace {
            if wish.0 > USER_END - len {
                return Err(Errno::ENOMEM);
            }
            if !wish.is_page_aligned() {
                return Err(Errno::EINVAL);
            }
            if wish.0 < USER_MIN {
                return Err(Errno::EPERM);
            }
            if flags.no_replace && self.areas.overlaps(wish.0..wish.0 + len) {
                return Err(Errno::EEXIST);
            }
            return Ok((wish.0, None));
        }
        let wish = match wish.page_down().0 {
            0 => 0,
            wish => wish.max(USER_MIN),
        };
        if wish != 0 && wish <= USER_END - len && self.areas.is_free_with_gaps(wish..wish + len) {
            return Ok((wish, None));
        }
        self.areas.find_room(len).map(|(start, hint)| (start, Some(hint))).ok_or(Errno::ENOMEM)
    }

    /// Whether the process's limits leave room for `bytes` more, `data` of them private and writable.
    pub(super) fn may_grow(&self, bytes: u64, data: u64) -> Result<(), Errno> {
        let over = |used: u64, more: u64, limit: u64| more != 0 && used.saturating_add(more) > limit;
        if over(self.areas.bytes(), bytes, self.limits.address_space)
            || over(self.areas.data_bytes(), data, self.limits.data)
        {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }
}

/// Pages of a request that is taken for one that will be used wholly; larger ones are often reservations.
const SMALL: usize = 2048;

/// Refuses what the whole machine, or the account, could not hold (Linux's heuristic overcommit), and small requests that
/// could not be used now: a program that asks for what it needs then hears of its limit before it meets it.
pub(super) fn overcommit(bytes: u64, account: &Account) -> Result<(), Errno> {
    let pages = usize::try_from(bytes >> PAGE_SHIFT).unwrap_or(usize::MAX);
    let most = account.allowance().min(stats().total);
    if pages > most || pages != 0 && pages <= SMALL && !account.has_room(pages) {
        return Err(Errno::ENOMEM);
    }
    Ok(())
}

/// The same without locks, so that clean pages can be given up for the request.
pub(super) fn make_room_for(bytes: u64, account: &Account) -> Result<(), Errno> {
    make_room(account)?;
    let small = bytes >> PAGE_SHIFT <= SMALL as u64;
    while small && overcommit(bytes, account).is_err() && relieve(account) {}
    Ok(())
}
