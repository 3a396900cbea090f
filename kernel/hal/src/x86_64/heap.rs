//! The kernel heap: size classes cut from slabs; larger blocks are runs of frames.
//!
//! A slab is one frame whose first bytes are its header, so that an object finds its slab by masking its address. That no
//! slab needs adjoining frames keeps small allocations possible when free memory is in pieces. A slab with free objects is
//! in its class's list; an empty one goes back to the allocator, except one a class. Every class has its own lock, taken
//! with interrupts off.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use super::layout::DIRECT;
use crate::addr::{PAGE_SIZE, Phys};
use crate::frame::{self, AccountId, Kind};
use crate::lock::IrqLock;

/// Object sizes: multiples of 16, the larger ones such that six, five, four, three and two fill a frame.
const CLASSES: [usize; 15] = [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 672, 800, 1008, 1344, 2016];
const LARGEST: usize = CLASSES[CLASSES.len() - 1];
/// The largest class whose objects are aligned to their size.
const LARGEST_ALIGNED: usize = 512;
/// Bytes of a cache line, and the class whose objects are aligned to it: for the extended registers, which each signal saves.
const LINE: usize = 64;
const LINED: usize = 1344;
const _: () = assert!(LINED.is_multiple_of(LINE) && size_of::<Slab>() <= LINE && LINE + 3 * LINED <= PAGE_SIZE);
/// The class of each multiple of 16 up to the largest object.
const CLASS_OF: [u8; LARGEST / 16 + 1] = class_of();

const fn class_of() -> [u8; LARGEST / 16 + 1] {
    let mut table = [0; LARGEST / 16 + 1];
    let (mut index, mut class) = (0, 0);
    while index < table.len() {
        if index * 16 > CLASSES[class] {
            class += 1;
        }
        table[index] = class as u8;
        index += 1;
    }
    table
}

#[repr(C)]
struct Slab {
    next: *mut Slab,
    previous: *mut Slab,
    /// First free object; each holds the address of the next.
    free: *mut u8,
    used: u32,
    listed: bool,
}

struct Class {
    /// Slabs with free objects.
    partial: *mut Slab,
}

// SAFETY: slabs are reached only under the class's lock.
unsafe impl Send for Class {}

struct Heap {
    classes: [IrqLock<Class>; CLASSES.len()],
}

#[global_allocator]
static HEAP: Heap = Heap { classes: [const { IrqLock::new(Class { partial: ptr::null_mut() }) }; CLASSES.len()] };

/// The class for a layout; `None` for large blocks.
fn class_for(layout: &Layout) -> Option<usize> {
    let mut size = layout.size().max(1);
    if layout.align() > 16 {
        if layout.align() <= LINE && (LARGEST_ALIGNED + 1..=LINED).contains(&size) {
            return Some(CLASS_OF[LINED / 16] as usize);
        }
        // Objects of a power-of-two size are aligned to it.
        size = size.max(layout.align()).next_power_of_two();
        if size > LARGEST_ALIGNED {
            return None;
        }
    }
    if size > LARGEST {
        return None;
    }
    Some(CLASS_OF[size.div_ceil(16)] as usize)
}

fn large_order(layout: &Layout) -> u8 {
    let pages = layout.size().max(layout.align()).div_ceil(PAGE_SIZE).next_power_of_two();
    pages.trailing_zeros() as u8
}

fn run(order: u8) -> Option<*mut u8> {
    let pfn = frame::take(order, Kind::Heap, AccountId::KERNEL).ok()?;
    Some((DIRECT + pfn.phys().0) as *mut u8)
}

fn give_run_back(start: *mut u8) {
    frame::release(Phys(start as u64 - DIRECT).pfn());
}

impl Class {
    fn link(&mut self, slab: *mut Slab) {
        // SAFETY: `slab` and the list's first are live slabs of this class, reached under its lock.
        unsafe {
            (*slab).previous = ptr::null_mut();
            (*slab).next = self.partial;
            (*slab).listed = true;
            if let Some(first) = NonNull::new(self.partial) {
                (*first.as_ptr()).previous = slab;
            }
        }
        self.partial = slab;
    }

    fn unlink(&mut self, slab: *mut Slab) {
        // SAFETY: as above; `slab` is in the list.
        unsafe {
            let (next, previous) = ((*slab).next, (*slab).previous);
            match NonNull::new(previous) {
                Some(previous) => (*previous.as_ptr()).next = next,
                None => self.partial = next,
            }
            if let Some(next) = NonNull::new(next) {
                (*next.as_ptr()).previous = previous;
            }
            (*slab).listed = false;
        }
    }

    fn grow(&mut self, class: usize) -> Option<*mut Slab> {
        let size = CLASSES[class];
        let start = run(0)?;
        let slab = start.cast::<Slab>();
        let end = PAGE_SIZE;
        let first = size_of::<Slab>().next_multiple_of(if size.is_power_of_two() { size } else { LINE });
        let mut free = ptr::null_mut::<u8>();
        let mut at = first + (end - first) / size * size;
        // SAFETY: the run is this slab's alone; header and objects lie in it and do not overlap. Objects are linked
        // from the last to the first so that they are handed out in order.
        unsafe {
            while at > first {
                at -= size;
                let object = start.add(at);
                object.cast::<*mut u8>().write(free);
                free = object;
            }
            slab.write(Slab { next: ptr::null_mut(), previous: ptr::null_mut(), free, used: 0, listed: false });
        }
        self.link(slab);
        Some(slab)
    }
}

// SAFETY: 1. `alloc` returns null or a block of the layout's size and alignment: classes are at least as large, sizes
// that are powers of two are laid out at their own multiples, other sizes at multiples of 16 from a multiple of `LINE`
// on, so those of `LINED`, itself one, at multiples of it; runs at multiples of their length. 2. A block is handed out
// once until `dealloc`: it leaves the free list under the class's lock, or is a run that the frame layer checked.
// 3. Neither unwinds.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class_for(&layout) else {
            return run(large_order(&layout)).unwrap_or_default();
        };
        let mut state = self.classes[class].lock();
        let slab = if state.partial.is_null() {
            match state.grow(class) {
                Some(slab) => slab,
                None => return ptr::null_mut(),
            }
        } else {
            state.partial
        };
        // SAFETY: a listed slab of this class has a free object, which holds the address of the next.
        unsafe {
            let object = (*slab).free;
            let next = object.cast::<*mut u8>().read();
            (*slab).free = next;
            (*slab).used += 1;
            if next.is_null() {
                state.unlink(slab);
            }
            object
        }
    }

    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        let Some(class) = class_for(&layout) else {
            give_run_back(object);
            return;
        };
        let mut state = self.classes[class].lock();
        let slab = ((object as usize) & !(PAGE_SIZE - 1)) as *mut Slab;
        // SAFETY: the caller gives back what `alloc` gave for this layout, so the masked address is its slab's header.
        unsafe {
            object.cast::<*mut u8>().write((*slab).free);
            (*slab).free = object;
            (*slab).used -= 1;
            if !(*slab).listed {
                state.link(slab);
            } else if (*slab).used == 0 && !((*slab).next.is_null() && (*slab).previous.is_null()) {
                // Empty and not the only one with room.
                state.unlink(slab);
                drop(state);
                give_run_back(slab.cast());
            }
        }
    }
}
