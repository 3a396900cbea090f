//! The hosted machine behaves like the one it stands for.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Device, activate, add_device, add_ports, deactivate, raise_isa, raise_msi, read_phys, write_phys};
use crate::addr::{PAGE_SIZE, Phys, Virt};
use crate::frame::{AccountId, Frame};
use crate::mmio::Region;
use crate::paging::{PageTable, Prot};
use crate::port::Ports;
use crate::user::{Trap, UserContext};
use crate::usermem::{self, Fault};
use crate::{cpu, dma, irq, time};

const PAGE: u64 = PAGE_SIZE as u64;
const HERE: Virt = Virt(0x40_0000);

/// Frames are handed out by the early allocator here, which is for one caller at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    super::init(16 << 20);
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn table_with(pages: &[(u64, Prot)]) -> PageTable {
    let mut table = PageTable::new(AccountId::KERNEL).expect("a table");
    for (page, prot) in pages {
        let frame = Frame::zeroed(AccountId::KERNEL).expect("a frame");
        table.map(Virt(HERE.0 + page * PAGE), frame, *prot).expect("a page");
    }
    table
}

#[test]
fn copies_cross_pages_and_stop_where_rights_end() {
    let _alone = alone();
    let mut table = table_with(&[(0, Prot::RW), (1, Prot::RW), (2, Prot::R)]);
    activate(&table);
    let at = Virt(HERE.0 + PAGE - 3);
    assert_eq!(usermem::copy_out(at, &[1, 2, 3, 4, 5]), Ok(()));
    let mut bytes = [0; 7];
    assert_eq!(usermem::copy_in(&mut bytes, at), Ok(()));
    assert_eq!(bytes, [1, 2, 3, 4, 5, 0, 0]);
    assert_eq!(usermem::copy_out(Virt(HERE.0 + 2 * PAGE - 2), &[9; 5]), Err(Fault { copied: 2 }));
    assert_eq!(usermem::copy_in(&mut bytes, Virt(HERE.0 + 3 * PAGE - 4)), Err(Fault { copied: 4 }));
    table.write_protect_range(HERE..Virt(HERE.0 + PAGE));
    assert_eq!(usermem::copy_out(HERE, &[1]), Err(Fault { copied: 0 }));
    deactivate();
    assert_eq!(usermem::copy_in(&mut bytes, HERE), Err(Fault { copied: 0 }));
}

#[test]
fn accesses_leave_their_marks() {
    let _alone = alone();
    let table = table_with(&[(0, Prot::RW)]);
    let marks = || table.lookup(HERE).map(|page| (page.accessed, page.dirty));
    assert_eq!(marks(), Some((false, false)));
    activate(&table);
    assert_eq!(usermem::load_u32(HERE), Ok(0));
    assert_eq!(marks(), Some((true, false)));
    assert_eq!(usermem::compare_exchange_u32(Virt(HERE.0 + 4), 0, 7), Ok(Ok(0)));
    assert_eq!(usermem::compare_exchange_u32(Virt(HERE.0 + 4), 0, 8), Ok(Err(7)));
    assert_eq!(usermem::load_u64(HERE), Ok(7 << 32));
    assert_eq!(marks(), Some((true, true)));
    assert!(usermem::load_u32(Virt(HERE.0 + 2)).is_err(), "misaligned");
    deactivate();
}

#[derive(Default)]
struct Register(AtomicU64);

impl Device for Register {
    fn read(&self, offset: usize, width: usize) -> u64 {
        self.0.load(Ordering::SeqCst) + (offset * 256 + width) as u64
    }

    fn write(&self, _offset: usize, _width: usize, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }
}

#[test]
fn devices_answer_in_memory_and_port_space() {
    let base = Phys(0xfe00_0000_0000);
    add_device(base, 64, Arc::new(Register::default()));
    let region = Region::map(base, 64).expect("a region");
    region.write32(8, 0x10000);
    assert_eq!(region.read16(4), 0x0402);
    assert_eq!(region.read64(0), 0x10008);
    assert!(Region::map(Phys(PAGE), 8).is_none(), "RAM is no device");
    let nobody = Region::map(Phys(base.0 + PAGE), 8).expect("a region");
    assert_eq!(nobody.read32(0), u32::MAX);
    add_ports(0x300, 4, Arc::new(Register::default()));
    let ports = Ports::new(0x300, 4).expect("ports");
    ports.out8(0, 3);
    assert_eq!(ports.in8(0), 4);
}

#[test]
fn dma_is_memory_that_a_device_sees() {
    let _alone = alone();
    let buffer = dma::Buffer::new(2 * PAGE_SIZE).expect("a buffer");
    buffer.write_u32(PAGE_SIZE - 4, 0x0102_0304);
    let mut bytes = [0; 6];
    read_phys(buffer.phys().0 + PAGE - 5, &mut bytes);
    assert_eq!(bytes, [0, 4, 3, 2, 1, 0]);
    write_phys(buffer.phys().0 + PAGE, &[0xaa, 0xbb]);
    assert_eq!((buffer.read_u16(PAGE_SIZE), buffer.read_u8(PAGE_SIZE + 1)), (0xbbaa, 0xbb));
}

#[test]
fn interrupts_reach_their_handler() {
    let count = Arc::new(AtomicU64::new(0));
    let counter = count.clone();
    let handler = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        irq::Claim::Mine
    };
    let vector = irq::allocate_vector("test", Box::new(handler)).expect("a vector");
    assert!(raise_msi(vector.message().address, vector.message().data));
    assert!(!raise_msi(0x1234, vector.message().data));
    assert!(!raise_isa(5));
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn time_moves_when_told_and_guards_nest() {
    let start = time::now();
    time::arm_timer(start + Duration::from_secs(1));
    assert_eq!(super::armed_timer(), Some(start + Duration::from_secs(1)));
    super::advance(Duration::from_secs(2));
    assert_eq!(time::now().since(start), Duration::from_secs(2));
    assert_eq!(super::armed_timer(), None);
    let outer = cpu::PreemptGuard::new();
    drop(cpu::PreemptGuard::new());
    assert!(!cpu::may_sleep());
    drop(outer);
    assert!(cpu::may_sleep());
}

#[test]
fn a_program_does_not_run_while_the_kernel_wants_its_thread() {
    super::set_program(Box::new(|_| Trap::Syscall));
    let mut context = UserContext::new(Virt(0x1000), Virt(0x2000));
    assert_eq!(context.run(|| true), Trap::Interrupt);
    assert_eq!(context.run(|| false), Trap::Syscall);
}
