//! No memory, at every place in turn: an error comes back and nothing is lost.

use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SIZE, Virt};
use kernel_hal::paging::Prot;

use crate::io::Source;
use crate::testing::machine;
use crate::{Account, AddressSpace, FaultError, MapFlags, MapRequest, MemoryObject, RemapFlags, stats};

const PAGE: u64 = PAGE_SIZE as u64;

fn write(space: &AddressSpace, at: u64) -> Result<(), Errno> {
    space.write_bytes(Virt(at), &[1]).map_err(|(error, _)| match error {
        FaultError::OutOfMemory => Errno::ENOMEM,
        _ => Errno::EFAULT,
    })
}

/// A program's life in small: maps, touches, forks, copies, moves, writes a file.
fn life(account: &Arc<Account>) -> Result<(), Errno> {
    let space = AddressSpace::new(account)?;
    // What is only reserved is not refused: here pages are to run out when they are touched.
    let reserved = MapFlags { no_reserve: true, ..MapFlags::default() };
    let start = space.map(MapRequest { flags: reserved, ..MapRequest::anonymous(20 * PAGE, Prot::RW) })?.0;
    for page in 0..12 {
        write(&space, start + page * PAGE)?;
    }
    let child = space.fork()?;
    for page in 0..6 {
        write(&child, start + page * PAGE)?;
        write(&space, start + (page + 4) * PAGE)?;
    }
    let flags = RemapFlags { may_move: true, ..RemapFlags::default() };
    let moved = space.remap(Virt(start + PAGE), 12 * PAGE, 700 * PAGE, flags, Virt(0))?.0;
    for page in 0..600 {
        write(&space, moved + page * 31 % 600 * PAGE)?;
    }
    space.protect(Virt(moved + PAGE), PAGE, Prot::R, false)?;
    space.unmap(Virt(moved + 3 * PAGE), PAGE)?;
    let shared = MapFlags { shared: true, populate: true, ..MapFlags::default() };
    let both = space.map(MapRequest { flags: shared, ..MapRequest::anonymous(9 * PAGE, Prot::RW) })?;
    write(&space, both.0 + 8 * PAGE)?;
    let file = MemoryObject::anonymous(account);
    file.write_at(5, &mut Source::kernel(&[3; 5 * PAGE_SIZE]))?;
    Ok(())
}

#[test]
fn an_account_may_run_out_anywhere() {
    let _alone = machine();
    let before = stats();
    let account = Account::new(usize::MAX, None).expect("an account");
    assert_eq!(life(&account), Ok(()));
    let needed = account.peak();
    assert_eq!((account.used(), stats()), (0, before));
    for limit in 0..needed {
        account.set_limit(limit);
        assert_eq!(life(&account), Err(Errno::ENOMEM), "with {limit} of {needed} frames");
        assert_eq!((account.used(), stats()), (0, before), "with {limit} of {needed} frames");
    }
    account.set_limit(needed);
    assert_eq!(life(&account), Ok(()));
}

#[test]
fn what_cannot_be_had_is_refused_when_it_is_asked_for() {
    let _alone = machine();
    let account = Account::new(256, None).expect("an account");
    let space = AddressSpace::new(&account).expect("a space");
    let ask = |pages: u64, flags: MapFlags| {
        space.map(MapRequest { flags, ..MapRequest::anonymous(pages * PAGE, Prot::RW) }).map(|start| start.0)
    };
    let plain = MapFlags::default();
    assert_eq!(ask(257, plain), Err(Errno::ENOMEM), "more than the account may ever have");
    assert!(ask(257, MapFlags { no_reserve: true, ..plain }).is_ok());
    let start = ask(200, plain).expect("a mapping");
    for page in 0..200 {
        write(&space, start + page * PAGE).expect("a page");
    }
    assert_eq!(ask(100, plain), Err(Errno::ENOMEM), "more than is left");
    assert!(ask(20, plain).is_ok());
    space.set_brk_base(Virt(0x10_0000));
    assert_eq!(space.brk(Virt(0x10_0000 + 100 * PAGE)), Virt(0x10_0000));
    assert_eq!(space.brk(Virt(0x10_0000 + 20 * PAGE)), Virt(0x10_0000 + 20 * PAGE));
    space.unmap(Virt(start), 200 * PAGE).expect("unmapped");
    assert!(ask(100, plain).is_ok());
}

#[test]
fn the_machine_may_run_out() {
    let _alone = machine();
    let before = stats();
    let account = Account::new(usize::MAX, None).expect("an account");
    let glutton = AddressSpace::new(&account).expect("a space");
    let bytes = before.total as u64 * PAGE;
    let start = glutton.map(MapRequest::anonymous(bytes, Prot::RW)).expect("a mapping").0;
    let eaten = (start..start + bytes).step_by(PAGE_SIZE).take_while(|at| write(&glutton, *at).is_ok()).count();
    assert!(eaten > before.total / 2);
    assert!(stats().free >= before.reserve, "a program does not get the reserve");
    assert_eq!(life(&account), Err(Errno::ENOMEM));
    assert!(glutton.fork().is_err());
    // The kernel itself goes on.
    let kernel = Account::kernel();
    let frames: Vec<_> = (0..50).map_while(|_| kernel_hal::frame::Frame::zeroed(kernel.id()).ok()).collect();
    assert_eq!(frames.len(), 50);
    drop(frames);
    drop(glutton);
    assert_eq!((account.used(), stats()), (0, before));
}
