//! Random operations on a tree of forked spaces, compared with the model after each.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use std::sync::Mutex;

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SIZE, Virt};
use kernel_hal::frame::Frame;
use kernel_hal::paging::Prot;
use kernel_hal::usermem;

use super::model::{self, Bytes, Kind};
use crate::io::{Sink, Source};
use crate::testing::{Rng, machine, run_on, run_on_none};
use crate::{Account, AddressSpace, MapBacking, MapFlags, MapRequest, MemoryObject, PageSource, RemapFlags, stats};

const BASE: usize = 0x10000;
const PAGES: usize = 40;
const OBJECT_PAGES: usize = 24;
const PROTS: [Prot; 6] = [Prot::NONE, Prot::R, Prot::RW, Prot::RW, Prot::RX, Prot::RWX];

/// A file in a test's hands: pages that were written back.
#[derive(Default)]
struct Disk(Mutex<BTreeMap<u64, Bytes>>);

impl PageSource for Disk {
    fn read_page(&self, index: u64, frame: &Frame) -> Result<(), Errno> {
        let pages = self.0.lock().map_err(|_| Errno::EIO)?;
        if let Some(bytes) = pages.get(&index) {
            frame.write(0, bytes);
        }
        Ok(())
    }

    fn write_page(&self, index: u64, frame: &Frame, valid: usize) -> Result<(), Errno> {
        let mut bytes = vec![0; PAGE_SIZE];
        frame.read(0, &mut bytes[..valid]);
        self.0.lock().map_err(|_| Errno::EIO)?.insert(index, bytes);
        Ok(())
    }
}

struct World {
    rng: Rng,
    spaces: Vec<(Arc<AddressSpace>, model::Space)>,
    objects: Vec<Arc<MemoryObject>>,
    models: Vec<model::Object>,
    disk: Arc<Disk>,
}

fn va(page: usize) -> Virt {
    Virt((page * PAGE_SIZE) as u64)
}

fn bytes(pages: usize) -> u64 {
    (pages * PAGE_SIZE) as u64
}

impl World {
    fn new(seed: u64, account: &Arc<Account>) -> World {
        let mut rng = Rng::new(seed);
        let disk = Arc::new(Disk::default());
        let mut objects = Vec::new();
        let mut models = Vec::new();
        for number in 0..3 {
            let object = match number {
                0 => MemoryObject::anonymous(account),
                _ => MemoryObject::with_source(disk.clone(), account),
            };
            let size = rng.below(OBJECT_PAGES * PAGE_SIZE);
            object.set_size(size as u64);
            objects.push(object);
            models.push(model::Object { size, writable: number != 2, ..Default::default() });
        }
        // Only the second object writes to the disk; the third has no contents of its own.
        models[2].truncate(0);
        objects[2].truncate(0);
        let space = AddressSpace::new(account).expect("a space");
        World { rng, spaces: vec![(space, model::Space::default())], objects, models, disk }
    }

    fn range(&mut self) -> core::ops::Range<usize> {
        let start = self.rng.below(PAGES);
        let len = 1 + self.rng.below(8).min(PAGES - start - 1);
        BASE + start..BASE + start + len
    }

    fn step(&mut self) {
        let which = self.rng.below(self.spaces.len());
        let space = self.spaces[which].0.clone();
        match self.rng.below(20) {
            0..3 => self.map(which),
            3 => {
                let range = self.range();
                assert_eq!(space.unmap(va(range.start), bytes(range.len())), Ok(()));
                self.spaces[which].1.unmap(range);
            }
            4..6 => {
                let range = self.range();
                let prot = PROTS[self.rng.below(PROTS.len())];
                let expected = self.spaces[which].1.protect(range.clone(), prot, &self.models);
                assert_eq!(space.protect(va(range.start), bytes(range.len()), prot, false), expected);
            }
            6 => self.remap(which),
            7 => {
                let range = self.range();
                let mapped = range.clone().all(|page| self.spaces[which].1.pages.contains_key(&page));
                let expected = if mapped { Ok(()) } else { Err(Errno::ENOMEM) };
                assert_eq!(space.advise(va(range.start), bytes(range.len()), 4), expected);
                self.spaces[which].1.forget(range);
            }
            8 => self.fork_or_drop(which),
            9 => self.resize(),
            10 => self.file_io(),
            11 => assert_eq!(self.objects[self.rng.below(3)].write_back(), Ok(())),
            12..17 => self.write(which),
            _ => self.read(which),
        }
    }

    fn map(&mut self, which: usize) {
        let range = self.range();
        let mut prot = PROTS[self.rng.below(PROTS.len())];
        let shared = self.rng.below(2) == 0;
        let mut flags = MapFlags { fixed: true, shared, ..MapFlags::default() };
        let object = self.rng.below(5);
        let page = self.rng.below(OBJECT_PAGES);
        let (backing, kind) = if object < 3 {
            if shared && !self.models[object].writable {
                prot.write = false;
            }
            let backing = MapBacking::Object {
                object: self.objects[object].clone(),
                offset: bytes(page),
                file: None,
                max: Prot { write: self.models[object].writable, ..Prot::RWX },
            };
            (backing, Kind::Object { object, page, shared })
        } else {
            flags.shared = false;
            (MapBacking::Anonymous, Kind::Anonymous)
        };
        flags.populate = self.rng.below(6) == 0;
        let request = MapRequest { hint: va(range.start), len: bytes(range.len()), prot, flags, backing, label: "" };
        let (space, model) = &mut self.spaces[which];
        assert_eq!(space.map(request), Ok(va(range.start)));
        model.map(range.clone(), prot, kind);
        if flags.populate && !shared && prot.write {
            // A private page is copied at once.
            for page in range {
                if model.write(page, &mut self.models).is_none() {
                    break;
                }
            }
        }
    }

    fn remap(&mut self, which: usize) {
        let range = self.range();
        let new = 1 + self.rng.below(6);
        let to = if self.rng.below(3) == 0 { None } else { Some(BASE + self.rng.below(PAGES)) };
        let flags = RemapFlags { may_move: to.is_some(), fixed: to.is_some(), dont_unmap: false };
        let (space, model) = &mut self.spaces[which];
        let expected = model.remap(range.start, range.len(), new, to);
        let target = to.unwrap_or(range.start);
        let result = space.remap(va(range.start), bytes(range.len()), bytes(new), flags, va(target));
        assert_eq!(result, expected.map(|()| va(target)), "remap {range:x?} to {new} pages at {to:x?}");
    }

    fn fork_or_drop(&mut self, which: usize) {
        if self.spaces.len() < 5 && self.rng.below(3) != 0 {
            let child = self.spaces[which].0.fork().expect("a fork");
            let model = self.spaces[which].1.clone();
            self.spaces.push((child, model));
        } else if self.spaces.len() > 1 {
            self.spaces.swap_remove(which);
        }
    }

    fn resize(&mut self) {
        let object = self.rng.below(2);
        let size = self.rng.below(OBJECT_PAGES * PAGE_SIZE);
        self.objects[object].truncate(size as u64);
        if size < self.models[object].size {
            if object == 1 {
                let first = size.div_ceil(PAGE_SIZE) as u64;
                let mut disk = self.disk.0.lock().expect("the disk");
                disk.split_off(&first);
                if !size.is_multiple_of(PAGE_SIZE)
                    && let Some(last) = disk.get_mut(&(first - 1))
                {
                    last[size % PAGE_SIZE..].fill(0);
                }
            }
            self.models[object].truncate(size);
            let first = self.models[object].limit();
            for (_, model) in &mut self.spaces {
                model.truncated(object, first);
            }
        } else {
            self.models[object].extend(size);
        }
    }

    /// `pread` and `pwrite` on an object.
    fn file_io(&mut self) {
        let object = self.rng.below(2);
        let offset = self.rng.below(OBJECT_PAGES * PAGE_SIZE);
        let len = self.rng.below(3 * PAGE_SIZE);
        if self.rng.below(2) == 0 {
            let data: Bytes = (0..len).map(|_| self.rng.next() as u8).collect();
            let mut source = Source::kernel(&data);
            assert_eq!(self.objects[object].write_at(offset as u64, &mut source), Ok(()));
            let model = &mut self.models[object];
            let size = model.size;
            if len != 0 && offset > size {
                model.extend(offset);
            }
            model.size = size.max(if len != 0 { offset + len } else { 0 });
            self.objects[object].set_size(model.size as u64);
            for (at, byte) in (offset..).zip(data) {
                model.page(at / PAGE_SIZE)[at % PAGE_SIZE] = byte;
            }
        } else {
            let mut buffer = vec![7; len];
            let mut sink = Sink::kernel(&mut buffer);
            let model = &mut self.models[object];
            assert_eq!(self.objects[object].read_at(offset as u64, model.size as u64, &mut sink), Ok(()));
            let expected = len.min(model.size.saturating_sub(offset));
            assert_eq!(sink.done(), expected);
            for (at, byte) in (offset..).zip(&buffer[..expected]) {
                assert_eq!(model.page(at / PAGE_SIZE)[at % PAGE_SIZE], *byte);
            }
        }
    }

    fn place(&mut self) -> (usize, usize) {
        let start = BASE * PAGE_SIZE + self.rng.below(PAGES * PAGE_SIZE);
        (start, 1 + self.rng.below(3 * PAGE_SIZE))
    }

    fn write(&mut self, which: usize) {
        let (start, len) = self.place();
        let data: Bytes = (0..len).map(|_| self.rng.next() as u8).collect();
        let (space, model) = &mut self.spaces[which];
        run_on(space);
        let result = usermem::copy_out(Virt(start as u64), &data);
        let mut done = 0;
        while done < len {
            let at = start + done;
            let count = (PAGE_SIZE - at % PAGE_SIZE).min(len - done);
            let Some(page) = model.write(at / PAGE_SIZE, &mut self.models) else { break };
            page[at % PAGE_SIZE..][..count].copy_from_slice(&data[done..done + count]);
            done += count;
        }
        assert_eq!(result.map_or_else(|fault| fault.copied, |()| len), done, "write of {len} at {start:#x}");
    }

    fn read(&mut self, which: usize) {
        let (start, len) = self.place();
        let mut data = vec![0; len];
        let (space, model) = &mut self.spaces[which];
        run_on(space);
        let result = usermem::copy_in(&mut data, Virt(start as u64));
        let mut done = 0;
        while done < len {
            let at = start + done;
            let count = (PAGE_SIZE - at % PAGE_SIZE).min(len - done);
            let Some(page) = model.read(at / PAGE_SIZE, &mut self.models) else { break };
            assert!(page[at % PAGE_SIZE..][..count] == data[done..done + count], "bytes at {at:#x} differ");
            done += count;
        }
        assert_eq!(result.map_or_else(|fault| fault.copied, |()| len), done, "read of {len} at {start:#x}");
    }

    /// Every page of every space, and the counts.
    fn check(&mut self) {
        for (space, model) in &self.spaces {
            let mut buffer = vec![0; PAGE_SIZE];
            for page in BASE..BASE + PAGES + 12 {
                let expected = model.read(page, &mut self.models);
                let result = space.read_bytes(va(page), &mut buffer);
                assert_eq!(result.is_ok(), expected.is_some(), "page {page:#x}");
                if let Some(expected) = expected {
                    assert!(expected == buffer, "bytes of page {page:#x} differ");
                }
            }
            let mut resident = 0;
            let mut size = 0;
            space.for_each_area_counted(&mut |area| {
                resident += area.resident;
                size += area.range.end.0 - area.range.start.0;
            });
            assert_eq!(resident, space.resident());
            assert_eq!((size, size), (space.size(), bytes(model.pages.len())));
        }
    }
}

#[test]
fn spaces_behave_like_arrays_of_pages() {
    let _alone = machine();
    let before = stats();
    for seed in 0..150 {
        let account = Account::new(usize::MAX, None).expect("an account");
        let mut world = World::new(seed, &account);
        for _ in 0..250 {
            world.step();
        }
        world.check();
        run_on_none();
        // What was changed through any mapping reaches the disk.
        assert_eq!(world.objects[1].write_back(), Ok(()));
        let size = world.models[1].size;
        let limit = world.models[1].limit();
        for (index, bytes) in world.models[1].pages.range(..limit) {
            let valid = PAGE_SIZE.min(size - index * PAGE_SIZE);
            let disk = world.disk.0.lock().expect("the disk");
            let zeros = vec![0; PAGE_SIZE];
            let stored = disk.get(&(*index as u64)).unwrap_or(&zeros);
            assert!(stored[..valid] == bytes[..valid], "seed {seed}: page {index} was lost");
        }
        drop(world);
        assert_eq!(account.used(), 0, "seed {seed}");
        assert_eq!(stats(), before, "seed {seed}");
    }
}
