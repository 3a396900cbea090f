//! Linux's rules, one by one: what is refused with which error, where things go, what a child gets.

use alloc::sync::Arc;
use alloc::vec;

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SIZE, USER_END, USER_MIN, Virt};
use kernel_hal::paging::Prot;
use kernel_hal::usermem::Access;

use crate::testing::machine;
use crate::{
    Account, AddressSpace, FaultError, Limits, MapBacking, MapFlags, MapRequest, MemoryObject, RemapFlags, SegvCode,
};

const PAGE: u64 = PAGE_SIZE as u64;
const MAPERR: FaultError = FaultError::Segv(SegvCode::Maperr);
const ACCERR: FaultError = FaultError::Segv(SegvCode::Accerr);
const HERE: Virt = Virt(0x1000_0000);

fn space() -> Arc<AddressSpace> {
    let account = Account::new(usize::MAX, None).expect("an account");
    AddressSpace::new(&account).expect("a space")
}

fn at(page: u64) -> Virt {
    Virt(HERE.0 + page * PAGE)
}

fn fixed(page: u64, pages: u64, prot: Prot) -> MapRequest {
    let flags = MapFlags { fixed: true, ..MapFlags::default() };
    MapRequest { hint: at(page), flags, ..MapRequest::anonymous(pages * PAGE, prot) }
}

fn byte(space: &AddressSpace, at: Virt) -> u8 {
    let mut byte = [0];
    space.read_bytes(at, &mut byte).expect("a readable byte");
    byte[0]
}

#[test]
fn mmap_refuses_in_order() {
    let _alone = machine();
    let space = space();
    let map = |hint: u64, len: u64, flags: MapFlags| {
        space.map(MapRequest { hint: Virt(hint), flags, ..MapRequest::anonymous(len, Prot::RW) })
    };
    let here = MapFlags { fixed: true, ..MapFlags::default() };
    let no_replace = MapFlags { no_replace: true, ..MapFlags::default() };
    assert_eq!(map(0, 0, MapFlags::default()), Err(Errno::EINVAL));
    assert_eq!(map(0, u64::MAX, MapFlags::default()), Err(Errno::ENOMEM));
    assert_eq!(map(0, USER_END + 1, MapFlags::default()), Err(Errno::ENOMEM));
    assert_eq!(map(USER_END, PAGE, here), Err(Errno::ENOMEM));
    assert_eq!(map(0x1001, PAGE, here), Err(Errno::EINVAL));
    assert_eq!(map(0, PAGE, here), Err(Errno::EPERM));
    assert_eq!(map(USER_MIN, PAGE, here), Ok(Virt(USER_MIN)));
    assert_eq!(map(USER_MIN, PAGE, no_replace), Err(Errno::EEXIST));
    assert_eq!(map(0, 1 << 40, MapFlags::default()), Err(Errno::ENOMEM), "more than the machine has");
    let no_reserve = MapFlags { no_reserve: true, ..MapFlags::default() };
    assert!(map(0, 1 << 40, no_reserve).is_ok());
}

#[test]
fn file_rights_bind_mmap_and_mprotect() {
    let _alone = machine();
    let space = space();
    let object = MemoryObject::anonymous(space.account());
    object.set_size(PAGE);
    let map = |prot: Prot, max: Prot, shared: bool, offset: u64| {
        let flags = MapFlags { shared, ..MapFlags::default() };
        let backing = MapBacking::Object { object: object.clone(), offset, file: None, max };
        space.map(MapRequest { hint: Virt(0), len: PAGE, prot, flags, backing, label: "" })
    };
    assert_eq!(map(Prot::R, Prot::RX, true, 7), Err(Errno::EINVAL));
    assert_eq!(map(Prot::R, Prot::RX, true, !(PAGE - 1)), Err(Errno::EOVERFLOW));
    assert_eq!(map(Prot::RW, Prot::RX, true, 0), Err(Errno::EACCES));
    assert_eq!(map(Prot::RX, Prot::RW, true, 0), Err(Errno::EPERM));
    assert!(map(Prot::RW, Prot::RX, false, 0).is_ok());
    let shared = map(Prot::R, Prot::RX, true, 0).expect("a mapping");
    assert_eq!(space.protect(shared, PAGE, Prot::RW, false), Err(Errno::EACCES));
    assert_eq!(space.protect(shared, PAGE, Prot::RX, false), Ok(()));
    let beyond = map(Prot::R, Prot::RX, true, PAGE).expect("a mapping");
    assert_eq!(space.fault(beyond, Access::Read), Err(FaultError::Bus));
}

#[test]
fn mappings_go_downwards_and_hints_are_kept() {
    let _alone = machine();
    let space = space();
    let first = space.map(MapRequest::anonymous(PAGE, Prot::RW)).expect("a mapping");
    let second = space.map(MapRequest::anonymous(1, Prot::R)).expect("a mapping");
    assert_eq!(second.0, first.0 - PAGE);
    let wish = |hint: u64| space.map(MapRequest { hint: Virt(hint), ..MapRequest::anonymous(PAGE, Prot::R) });
    assert_eq!(wish(HERE.0 + 5), Ok(HERE));
    assert_eq!(wish(HERE.0), Ok(Virt(second.0 - PAGE)), "taken: as without a hint");
    assert_eq!(wish(1), Ok(Virt(second.0 - 2 * PAGE)), "page 0 is no hint");
    assert_eq!(wish(PAGE), Ok(Virt(USER_MIN)), "too low is moved up");
}

#[test]
fn munmap_and_mprotect_refuse_in_order() {
    let _alone = machine();
    let space = space();
    assert_eq!(space.unmap(Virt(1), PAGE), Err(Errno::EINVAL));
    assert_eq!(space.unmap(HERE, 0), Err(Errno::EINVAL));
    assert_eq!(space.unmap(HERE, USER_END), Err(Errno::EINVAL));
    assert_eq!(space.unmap(HERE, PAGE), Ok(()));
    assert_eq!(space.protect(Virt(1), 0, Prot::R, false), Err(Errno::EINVAL));
    assert_eq!(space.protect(HERE, 0, Prot::R, false), Ok(()));
    assert_eq!(space.protect(HERE, PAGE, Prot::R, false), Err(Errno::ENOMEM));
    assert_eq!(space.protect(HERE, u64::MAX, Prot::R, false), Err(Errno::ENOMEM));
    space.map(fixed(0, 1, Prot::RW)).expect("a mapping");
    assert_eq!(space.protect(HERE, 2 * PAGE, Prot::R, false), Err(Errno::ENOMEM));
    assert_eq!(space.fault(HERE, Access::Write), Err(ACCERR), "the first page was changed all the same");
    assert_eq!(space.protect(HERE, PAGE, Prot::R, true), Err(Errno::EINVAL));
}

#[test]
fn rights_are_those_of_the_processor() {
    let _alone = machine();
    let space = space();
    space.map(fixed(0, 1, Prot { write: true, ..Prot::NONE })).expect("a mapping");
    assert_eq!(space.fault(HERE, Access::Read), Ok(()), "writable is readable");
    assert_eq!(space.fault(HERE, Access::Execute), Err(ACCERR));
    assert_eq!(space.fault(at(1), Access::Read), Err(MAPERR));
    assert_eq!(space.fault(Virt(u64::MAX), Access::Read), Err(MAPERR));
    assert_eq!(space.protect(HERE, PAGE, Prot::NONE, false), Ok(()));
    assert_eq!(space.fault(HERE, Access::Read), Err(ACCERR));
}

#[test]
fn reading_costs_no_frame_and_writing_one() {
    let _alone = machine();
    let space = space();
    space.map(fixed(0, 8, Prot::RW)).expect("a mapping");
    space.fault(HERE, Access::Read).expect("a page");
    let before = space.account().used();
    for page in 1..8 {
        space.fault(at(page), Access::Read).expect("a page");
    }
    assert_eq!(space.account().used(), before);
    for page in 0..8 {
        space.fault(at(page), Access::Write).expect("a page");
    }
    assert_eq!(space.account().used(), before + 8);
    assert_eq!(space.resident(), 8);
}

#[test]
fn a_stack_grows_to_its_limit_and_keeps_its_distance() {
    let _alone = machine();
    let space = space();
    space.set_limits(Limits { stack: 600 * PAGE, ..Limits::DEFAULT });
    let flags = MapFlags { fixed: true, grows_down: true, ..MapFlags::default() };
    let stack = MapRequest { hint: at(1000), flags, ..MapRequest::anonymous(2 * PAGE, Prot::RW) };
    space.map(stack).expect("a stack");
    assert_eq!(space.fault(at(990), Access::Write), Ok(()));
    assert_eq!(space.fault(at(401), Access::Write), Err(MAPERR), "over the limit");
    assert_eq!(space.fault(at(402), Access::Write), Ok(()));
    space.set_limits(Limits { stack: 900 * PAGE, ..Limits::DEFAULT });
    space.map(fixed(100, 1, Prot::RW)).expect("a neighbour");
    assert_eq!(space.fault(at(300), Access::Write), Err(MAPERR), "too close to the neighbour");
    assert_eq!(space.fault(at(357), Access::Write), Ok(()));
    space.protect(at(100), PAGE, Prot::NONE, false).expect("a guard page");
    assert_eq!(space.fault(at(300), Access::Write), Ok(()), "a neighbour without rights is a guard itself");
}

#[test]
fn the_heap_grows_shrinks_and_stops() {
    let _alone = machine();
    let space = space();
    space.set_brk_base(Virt(HERE.0 + 100));
    assert_eq!(space.brk(Virt(0)), Virt(HERE.0 + 100));
    assert_eq!(space.brk(Virt(at(3).0 + 5)), Virt(at(3).0 + 5));
    assert_eq!(space.fault(at(3), Access::Write), Ok(()));
    assert_eq!(space.fault(HERE, Access::Write), Err(MAPERR), "the page of the program's end is not the heap's");
    assert_eq!(space.brk(Virt(HERE.0 + 99)), Virt(at(3).0 + 5), "below its start");
    assert_eq!(space.brk(at(2)), at(2));
    assert_eq!(space.fault(at(2), Access::Write), Err(MAPERR));
    space.map(fixed(10, 1, Prot::R)).expect("a neighbour");
    assert_eq!(space.brk(at(10)), at(2), "a page is left free");
    assert_eq!(space.brk(at(9)), at(9));
    space.set_limits(Limits { data: 8 * PAGE, ..Limits::DEFAULT });
    assert_eq!(space.brk(Virt(at(9).0 + 1)), at(9), "over the limit of data");
    let mut heap = 0;
    space.for_each_area(&mut |area| heap += u32::from(area.label == "[heap]"));
    assert_eq!(heap, 1);
}

#[test]
fn mremap_refuses_in_order() {
    let _alone = machine();
    let space = space();
    space.map(fixed(0, 4, Prot::RW)).expect("a mapping");
    let flags = |may_move, fixed, dont_unmap| RemapFlags { may_move, fixed, dont_unmap };
    let remap = |from: Virt, old: u64, new: u64, flags: RemapFlags, to: Virt| {
        space.remap(from, old * PAGE, new * PAGE, flags, to)
    };
    let stay = RemapFlags::default();
    assert_eq!(remap(HERE, 1, 1, flags(false, true, false), at(8)), Err(Errno::EINVAL));
    assert_eq!(remap(HERE, 1, 2, flags(true, false, true), at(8)), Err(Errno::EINVAL));
    assert_eq!(remap(Virt(HERE.0 + 1), 1, 1, stay, at(8)), Err(Errno::EINVAL));
    assert_eq!(remap(HERE, 1, 0, stay, at(8)), Err(Errno::EINVAL));
    assert_eq!(remap(at(9), 1, 1, stay, at(8)), Err(Errno::EFAULT));
    assert_eq!(remap(HERE, 1, 1, flags(true, true, false), Virt(at(8).0 + 1)), Err(Errno::EINVAL));
    assert_eq!(remap(HERE, 4, 4, flags(true, true, false), at(2)), Err(Errno::EINVAL));
    assert_eq!(remap(HERE, 0, 4, flags(true, false, false), at(2)), Err(Errno::EINVAL), "private is not doubled");
    assert_eq!(remap(at(2), 4, 8, stay, at(8)), Err(Errno::EFAULT), "over the end of the area");
    assert_eq!(remap(HERE, 1, 2, stay, at(8)), Err(Errno::ENOMEM), "no room and may not move");
    assert_eq!(remap(HERE, 4, 6, stay, at(8)), Ok(HERE));
    space.write_bytes(at(5), &[42]).expect("a page");
    let moved = remap(at(4), 2, 9, flags(true, false, false), Virt(0)).expect("a new place");
    assert_eq!(byte(&space, Virt(moved.0 + PAGE)), 42);
    assert_eq!(space.fault(at(4), Access::Read), if moved.0 == at(4).0 { Ok(()) } else { Err(MAPERR) });
}

#[test]
fn mremap_can_leave_the_old_range_and_double_shared_memory() {
    let _alone = machine();
    let space = space();
    space.map(fixed(0, 2, Prot::RW)).expect("a mapping");
    space.write_bytes(HERE, &[7]).expect("a page");
    let flags = RemapFlags { may_move: true, fixed: true, dont_unmap: true };
    assert_eq!(space.remap(HERE, 2 * PAGE, 2 * PAGE, flags, at(10)), Ok(at(10)));
    assert_eq!((byte(&space, HERE), byte(&space, at(10))), (0, 7));
    let shared = MapFlags { fixed: true, shared: true, ..MapFlags::default() };
    space.map(MapRequest { flags: shared, ..fixed(20, 2, Prot::RW) }).expect("a mapping");
    let flags = RemapFlags { may_move: true, fixed: true, dont_unmap: false };
    assert_eq!(space.remap(at(20), 0, 2 * PAGE, flags, at(30)), Ok(at(30)));
    space.write_bytes(at(31), &[9]).expect("a page");
    assert_eq!(byte(&space, at(21)), 9);
}

#[test]
fn a_child_gets_what_advice_says() {
    let _alone = machine();
    let space = space();
    space.map(fixed(0, 4, Prot::RW)).expect("a mapping");
    let shared = MapFlags { fixed: true, shared: true, ..MapFlags::default() };
    space.map(MapRequest { flags: shared, ..fixed(4, 1, Prot::RW) }).expect("a mapping");
    for page in 0..5 {
        space.write_bytes(at(page), &[1 + page as u8]).expect("a page");
    }
    assert_eq!(space.advise(at(1), PAGE, 10), Ok(()), "MADV_DONTFORK");
    assert_eq!(space.advise(at(2), PAGE, 18), Ok(()), "MADV_WIPEONFORK");
    assert_eq!(space.advise(at(4), PAGE, 18), Err(Errno::EINVAL), "only private memory is wiped");
    let child = space.fork().expect("a child");
    assert_eq!(byte(&child, at(0)), 1);
    assert_eq!(child.fault(at(1), Access::Read), Err(MAPERR));
    assert_eq!(byte(&child, at(2)), 0);
    child.write_bytes(at(3), &[99]).expect("a page");
    child.write_bytes(at(4), &[98]).expect("a page");
    assert_eq!((byte(&space, at(3)), byte(&space, at(4))), (4, 98));
    assert_eq!((byte(&space, at(1)), byte(&space, at(2))), (2, 3));
}

#[test]
fn a_page_that_nobody_shares_any_more_is_not_copied() {
    let _alone = machine();
    let space = space();
    space.map(fixed(0, 1, Prot::RW)).expect("a mapping");
    space.write_bytes(HERE, &[1]).expect("a page");
    let before = space.frame(HERE, Access::Read).expect("a frame").pfn();
    drop(space.fork());
    space.write_bytes(HERE, &[2]).expect("a page");
    assert_eq!(space.frame(HERE, Access::Read).expect("a frame").pfn(), before);
}

#[test]
fn advice_is_checked_as_linux_does() {
    let _alone = machine();
    let space = space();
    space.map(fixed(0, 2, Prot::RW)).expect("a mapping");
    space.write_bytes(HERE, &[1]).expect("a page");
    assert_eq!(space.advise(HERE, PAGE, 77), Err(Errno::EINVAL));
    assert_eq!(space.advise(Virt(1), 0, 4), Err(Errno::EINVAL));
    assert_eq!(space.advise(HERE, u64::MAX, 4), Err(Errno::EINVAL));
    assert_eq!(space.advise(HERE, 0, 4), Ok(()));
    assert_eq!(space.advise(HERE, 4 * PAGE, 4), Err(Errno::ENOMEM));
    assert_eq!(byte(&space, HERE), 0, "what is mapped was dropped all the same");
    assert_eq!(space.advise(HERE, 2 * PAGE, 23), Ok(()), "MADV_POPULATE_WRITE");
    assert_eq!(space.resident(), 2);
    space.lock(HERE, PAGE, true).expect("a locked page");
    assert_eq!(space.advise(HERE, PAGE, 4), Err(Errno::EINVAL), "locked");
    assert_eq!(space.sync(HERE, PAGE, 2 | 4), Err(Errno::EBUSY));
    assert_eq!(space.sync(HERE, 3 * PAGE, 4), Err(Errno::ENOMEM));
    assert_eq!(space.sync(HERE, PAGE, 1 | 4), Err(Errno::EINVAL));
    let mut present = vec![9; 2];
    space.protect(at(1), PAGE, Prot::R, false).expect("a page");
    space.advise(at(1), PAGE, 4).expect("a page");
    assert_eq!(space.mincore(HERE, &mut present), Ok(()));
    assert_eq!(present, [1, 0]);
    assert_eq!(space.mincore(HERE, &mut [0; 3]), Err(Errno::ENOMEM));
}

#[test]
fn limits_on_address_space_and_data_hold() {
    let _alone = machine();
    let space = space();
    space.set_limits(Limits { address_space: 10 * PAGE, data: 4 * PAGE, ..Limits::DEFAULT });
    assert!(space.map(fixed(0, 5, Prot::RW)).is_err());
    space.map(fixed(0, 4, Prot::RW)).expect("a mapping");
    assert_eq!(space.map(fixed(4, 7, Prot::R)), Err(Errno::ENOMEM));
    space.map(fixed(4, 6, Prot::R)).expect("a mapping");
    assert_eq!(space.map(fixed(4, 6, Prot::R)), Ok(at(4)), "what it replaces does not count");
    let may_move = RemapFlags { may_move: true, ..RemapFlags::default() };
    assert_eq!(space.remap(at(4), 6 * PAGE, 7 * PAGE, may_move, Virt(0)), Err(Errno::ENOMEM));
}
