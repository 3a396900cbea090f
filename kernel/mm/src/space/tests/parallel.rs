//! Many threads in one space, while it is forked, remapped and its file truncated.

use core::sync::atomic::{AtomicBool, Ordering};

use kernel_hal::addr::{PAGE_SIZE, Virt};
use kernel_hal::paging::Prot;
use kernel_hal::usermem;

use crate::testing::{Rng, machine, run_on, run_on_none};
use crate::{Account, AddressSpace, MapBacking, MapFlags, MapRequest, MemoryObject, stats};

const PAGE: u64 = PAGE_SIZE as u64;
const PAGES: usize = 64;
const WRITERS: usize = 3;
const ROUNDS: usize = 6000;

#[test]
fn no_write_is_lost_and_no_frame() {
    let _alone = machine();
    let before = stats();
    let account = Account::new(usize::MAX, None).expect("an account");
    let space = AddressSpace::new(&account).expect("a space");
    let bytes = PAGES as u64 * PAGE;
    let private = space.map(MapRequest::anonymous(bytes, Prot::RW)).expect("a mapping").0;
    let object = MemoryObject::anonymous(&account);
    object.set_size(bytes);
    let backing = MapBacking::Object { object: object.clone(), offset: 0, file: None, max: Prot::RW };
    let flags = MapFlags { shared: true, ..MapFlags::default() };
    let shared = space
        .map(MapRequest { hint: Virt(0), len: bytes, prot: Prot::RW, flags, backing, label: "" })
        .expect("a mapping")
        .0;
    let running = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let writers: [_; WRITERS] = core::array::from_fn(|lane| {
            let space = &space;
            scope.spawn(move || {
                run_on(space);
                let mut rng = Rng::new(lane as u64);
                let mut model = [0u64; PAGES];
                for _ in 0..ROUNDS {
                    let page = rng.below(PAGES);
                    let at = Virt(private + page as u64 * PAGE + 8 * lane as u64);
                    assert_eq!(usermem::load_u64(at), Ok(model[page]), "a write was lost");
                    model[page] = rng.next();
                    assert_eq!(usermem::store_u64(at, model[page]), Ok(()));
                    // The file may end before it: then the access fails, and nothing else does.
                    let _ = usermem::store_u64(Virt(shared + page as u64 * PAGE), 1);
                }
                run_on_none();
            })
        });
        scope.spawn(|| {
            let mut rng = Rng::new(77);
            while running.load(Ordering::Relaxed) {
                let child = space.fork().expect("a child");
                let page = Virt(private + rng.below(PAGES) as u64 * PAGE);
                let mut first = [0; 16];
                child.read_bytes(page, &mut first).expect("a page");
                let mut again = [0; 16];
                child.read_bytes(page, &mut again).expect("a page");
                assert_eq!(first, again, "the parent writes into the child");
                child.write_bytes(page, &[0xff; PAGE_SIZE]).expect("a page");
            }
        });
        scope.spawn(|| {
            let mut rng = Rng::new(78);
            while running.load(Ordering::Relaxed) {
                object.truncate(rng.below(PAGES * PAGE_SIZE) as u64);
                let other = space.map(MapRequest::anonymous(3 * PAGE, Prot::RW)).expect("a mapping");
                space.write_bytes(Virt(other.0 + PAGE), &[1]).expect("a page");
                space.protect(Virt(other.0 + PAGE), PAGE, Prot::R, false).expect("a page");
                space.unmap(other, 3 * PAGE).expect("a mapping");
            }
        });
        let all_well = writers.map(|writer| writer.join().is_ok());
        running.store(false, Ordering::Relaxed);
        assert_eq!(all_well, [true; WRITERS]);
    });
    drop(space);
    drop(object);
    assert_eq!((account.used(), stats()), (0, before));
}
