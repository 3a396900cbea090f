//! Files in memory: fetched once, written back when changed, given up when memory is short.

use alloc::sync::Arc;
use alloc::vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SIZE, Virt};
use kernel_hal::frame::Frame;
use kernel_hal::paging::Prot;
use kernel_hal::usermem::Access;

use crate::io::{Sink, Source};
use crate::testing::machine;
use crate::{Account, AddressSpace, FaultError, MapBacking, MapFlags, MapRequest, MemoryObject, PageSource, stats};

const PAGE: u64 = PAGE_SIZE as u64;

/// A file whose every byte is the number of its page, on a disk that can be told to fail.
#[derive(Default)]
struct Numbers {
    reads: AtomicUsize,
    writes: AtomicUsize,
    fails: AtomicBool,
}

impl PageSource for Numbers {
    fn read_page(&self, index: u64, frame: &Frame) -> Result<(), Errno> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(Errno::EIO);
        }
        self.reads.fetch_add(1, Ordering::SeqCst);
        frame.write(0, &[index as u8; PAGE_SIZE]);
        Ok(())
    }

    fn write_page(&self, _index: u64, _frame: &Frame, _valid: usize) -> Result<(), Errno> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(Errno::EIO);
        }
        self.writes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

fn numbers(account: &Arc<Account>, pages: u64) -> (Arc<Numbers>, Arc<MemoryObject>) {
    let disk = Arc::new(Numbers::default());
    let object = MemoryObject::with_source(disk.clone(), account);
    object.set_size(pages * PAGE);
    (disk, object)
}

/// Reads all of a file and checks it.
fn read_through(object: &MemoryObject) -> Result<(), Errno> {
    let mut buffer = vec![0; 5 * PAGE_SIZE / 2];
    let mut at = 0;
    while at < object.size() {
        let mut sink = Sink::kernel(&mut buffer);
        object.read_at(at, object.size(), &mut sink)?;
        let done = sink.done();
        for (offset, byte) in (at..).zip(&buffer[..done]).step_by(511) {
            assert_eq!(*byte, (offset / PAGE) as u8, "byte {offset:#x}");
        }
        at += done as u64;
    }
    Ok(())
}

fn mapped(space: &AddressSpace, object: &Arc<MemoryObject>, shared: bool) -> Virt {
    let backing = MapBacking::Object { object: object.clone(), offset: 0, file: None, max: Prot::RW };
    let flags = MapFlags { shared, ..MapFlags::default() };
    let request = MapRequest { hint: Virt(0), len: object.size(), prot: Prot::RW, flags, backing, label: "" };
    space.map(request).expect("a mapping")
}

#[test]
fn a_page_is_fetched_once_and_written_when_changed() {
    let _alone = machine();
    let account = Account::new(usize::MAX, None).expect("an account");
    let (disk, object) = numbers(&account, 10);
    assert_eq!(read_through(&object), Ok(()));
    assert_eq!(read_through(&object), Ok(()));
    assert_eq!(disk.reads.load(Ordering::SeqCst), 10);
    assert_eq!(object.write_back(), Ok(()));
    assert_eq!(disk.writes.load(Ordering::SeqCst), 0);
    assert_eq!(object.write_at(3 * PAGE + 1, &mut Source::kernel(&[3])), Ok(()));
    let space = AddressSpace::new(&account).expect("a space");
    let start = mapped(&space, &object, true);
    let page = |number: u64| Virt(start.0 + number * PAGE);
    space.fault(page(5), Access::Read).expect("a page");
    assert_eq!(object.dirty_pages(), 1, "reading a mapping changes nothing");
    space.write_bytes(page(6), &[6]).expect("a page");
    assert_eq!(object.write_back(), Ok(()));
    assert_eq!(disk.writes.load(Ordering::SeqCst), 2);
    space.write_bytes(page(6), &[6]).expect("a page");
    assert_eq!(object.dirty_pages(), 1, "the second write through a mapping is seen too");
    disk.fails.store(true, Ordering::SeqCst);
    assert_eq!(object.write_back(), Err(Errno::EIO));
    assert_eq!(object.dirty_pages(), 1, "what could not be written stays to be written");
}

#[test]
fn neighbours_in_memory_are_mapped_together() {
    let _alone = machine();
    let account = Account::new(usize::MAX, None).expect("an account");
    let (disk, object) = numbers(&account, 40);
    let space = AddressSpace::new(&account).expect("a space");
    let start = mapped(&space, &object, false);
    space.fault(Virt(start.0 + 9 * PAGE), Access::Read).expect("a page");
    assert_eq!((space.resident(), disk.reads.load(Ordering::SeqCst)), (1, 1), "nothing is fetched for neighbours");
    assert_eq!(read_through(&object), Ok(()));
    space.fault(Virt(start.0 + 30 * PAGE), Access::Read).expect("a page");
    assert!(space.resident() > 8 && space.resident() <= 17, "{} pages", space.resident());
    let mut byte = [0];
    space.read_bytes(Virt(start.0 + 31 * PAGE), &mut byte).expect("a page");
    assert_eq!(byte, [31]);
}

#[test]
fn a_fetch_that_fails_is_a_bus_error_to_who_touches_it() {
    let _alone = machine();
    let account = Account::new(usize::MAX, None).expect("an account");
    let (disk, object) = numbers(&account, 4);
    let space = AddressSpace::new(&account).expect("a space");
    let start = mapped(&space, &object, false);
    disk.fails.store(true, Ordering::SeqCst);
    assert_eq!(space.fault(start, Access::Read), Err(FaultError::Bus));
    let mut byte = [0];
    assert_eq!(object.read_at(0, PAGE, &mut Sink::kernel(&mut byte)), Err(Errno::EIO));
    disk.fails.store(false, Ordering::SeqCst);
    assert_eq!(space.fault(start, Access::Read), Ok(()));
}

#[test]
fn a_file_larger_than_memory_can_be_read() {
    let _alone = machine();
    let before = stats();
    let account = Account::new(usize::MAX, None).expect("an account");
    let (_, object) = numbers(&account, before.total as u64 + 500);
    assert_eq!(read_through(&object), Ok(()));
    let space = AddressSpace::new(&account).expect("a space");
    let start = space.map(MapRequest::anonymous(1000 * PAGE, Prot::RW)).expect("a mapping");
    for page in 0..1000 {
        space.write_bytes(Virt(start.0 + page * PAGE), &[1]).expect("a program's page comes before a cached one");
    }
    drop((space, object));
    assert_eq!((account.used(), stats()), (0, before));
}

#[test]
fn an_account_reads_more_than_it_may_hold() {
    let _alone = machine();
    let account = Account::new(60, None).expect("an account");
    let (_, object) = numbers(&account, 500);
    assert_eq!(read_through(&object), Ok(()));
    assert!(account.peak() <= 60);
    let space = AddressSpace::new(&account).expect("a space");
    let start = mapped(&space, &object, false);
    // What is mapped stays, so the limit is felt in the end, and leaves a way out.
    let touched = (0..500).take_while(|page| space.fault(Virt(start.0 + page * PAGE), Access::Read).is_ok()).count();
    assert!((30..60).contains(&touched), "{touched} pages");
    assert_eq!(space.fault(Virt(start.0 + 400 * PAGE), Access::Read), Err(FaultError::OutOfMemory));
    space.unmap(start, 500 * PAGE).expect("a mapping");
    assert_eq!(read_through(&object), Ok(()));
}

#[test]
fn what_is_changed_or_mapped_is_not_given_up() {
    let _alone = machine();
    let account = Account::new(usize::MAX, None).expect("an account");
    let (disk, object) = numbers(&account, 100);
    assert_eq!(read_through(&object), Ok(()));
    assert_eq!(object.write_at(7 * PAGE, &mut Source::kernel(&[7])), Ok(()));
    let space = AddressSpace::new(&account).expect("a space");
    let start = mapped(&space, &object, false);
    space.fault(Virt(start.0 + 50 * PAGE), Access::Read).expect("a page");
    let kept = 1 + space.resident();
    assert_eq!(object.drop_clean(10), 10);
    assert_eq!(object.drop_clean(usize::MAX), 90 - kept);
    assert_eq!(object.pages(), kept);
    assert_eq!(read_through(&object), Ok(()));
    assert_eq!(disk.reads.load(Ordering::SeqCst), 200 - kept);
}
