//! Physical memory through the direct map: RAM, its metadata, and reads of firmware tables.

use core::arch::asm;
use core::ops::Range;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use aios_abi::boot::{MemoryRegion, memory_kind};

use super::kept;
use super::layout::{DIRECT, DIRECT_LEN};
use crate::addr::{PAGE_SIZE, Pfn, Phys};
use crate::frame::{self, Meta};
use crate::paging::{Table, bits};

unsafe extern "C" {
    static boot_root: Table;
}

/// Metadata of every frame up to the end of RAM, holes included.
static META: AtomicPtr<Meta> = AtomicPtr::new(core::ptr::null_mut());
static COUNT: AtomicUsize = AtomicUsize::new(0);

#[inline]
pub fn frame_count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

#[inline]
pub fn meta(pfn: Pfn) -> Option<&'static Meta> {
    if pfn.0 >= frame_count() {
        return None;
    }
    // SAFETY: `init` made an array of that many entries that lives for ever; entries are atomics.
    Some(unsafe { &*META.load(Ordering::Relaxed).add(pfn.0) })
}

#[inline]
fn frame_pointer(pfn: Pfn) -> *mut u8 {
    debug_assert!(pfn.0 < frame_count(), "{pfn} is not RAM");
    (DIRECT + pfn.phys().0) as *mut u8
}

pub fn zero_frame(pfn: Pfn) {
    // SAFETY: the frame is RAM in the direct map and the caller owns it; 512 words are one frame.
    unsafe {
        asm!("rep stosq", inout("rcx") PAGE_SIZE / 8 => _, inout("rdi") frame_pointer(pfn) => _, in("rax") 0u64, options(nostack, preserves_flags));
    }
}

pub fn copy_frame(to: Pfn, from: Pfn) {
    // SAFETY: both are RAM in the direct map; the caller owns `to` and holds a reference to `from`. A program that
    // writes `from` meanwhile makes a mixed copy, as it would racing with itself; no Rust reference is involved.
    unsafe {
        asm!("rep movsq", inout("rcx") PAGE_SIZE / 8 => _, inout("rdi") frame_pointer(to) => _, inout("rsi") frame_pointer(from) => _, options(nostack, preserves_flags));
    }
}

/// Copies bytes the compiler knows nothing about: other CPUs, programs and devices may touch them.
fn copy_raw(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the callers checked both ranges; words first, then the rest.
    unsafe {
        asm!(
            "rep movsq",
            "mov rcx, {rest}",
            "rep movsb",
            rest = in(reg) len % 8,
            inout("rcx") len / 8 => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags),
        );
    }
}

pub fn read_frame(pfn: Pfn, offset: usize, into: &mut [u8]) {
    assert!(offset <= PAGE_SIZE && into.len() <= PAGE_SIZE - offset, "read past a frame");
    copy_raw(into.as_mut_ptr(), frame_pointer(pfn).wrapping_add(offset), into.len());
}

pub fn write_frame(pfn: Pfn, offset: usize, from: &[u8]) {
    assert!(offset <= PAGE_SIZE && from.len() <= PAGE_SIZE - offset, "write past a frame");
    copy_raw(frame_pointer(pfn).wrapping_add(offset), from.as_ptr(), from.len());
}

/// The kernel's address of `offset` in a frame.
pub fn frame_address(pfn: Pfn, offset: usize) -> *mut u8 {
    frame_pointer(pfn).wrapping_add(offset)
}

#[inline]
pub fn table(pfn: Pfn) -> &'static Table {
    // SAFETY: hal asks only for frames it took as tables, which are RAM, page aligned and hold 512 words; they are
    // only ever accessed as atomics while they are tables.
    unsafe { &*frame_pointer(pfn).cast::<Table>() }
}

/// The kernel's own root.
pub fn kernel_root() -> &'static Table {
    // SAFETY: the boot code filled it in; all access is atomic from here on.
    unsafe { &boot_root }
}

/// Entries of the upper half are made once at start-up and never change, so roots copy them.
pub fn share_kernel_half(root: &Table) {
    for (to, from) in root.iter().zip(kernel_root()).skip(256) {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Reads or writes a run of a DMA buffer; the caller checked that it is inside.
pub fn read_phys(at: u64, into: &mut [u8]) {
    copy_raw(into.as_mut_ptr(), (DIRECT + at) as *const u8, into.len());
}

pub fn write_phys(at: u64, from: &[u8]) {
    copy_raw((DIRECT + at) as *mut u8, from.as_ptr(), from.len());
}

pub fn read_phys_word<T: Copy>(at: u64) -> T {
    // SAFETY: hal's DMA buffers check bounds and alignment; `T` is one of the unsigned words, valid for any bytes.
    unsafe { ((DIRECT + at) as *const T).read_volatile() }
}

pub fn write_phys_word<T: Copy>(at: u64, value: T) {
    // SAFETY: as above.
    unsafe { ((DIRECT + at) as *mut T).write_volatile(value) }
}

/// Reads physical memory that is mapped: all RAM and everything below 4 GiB. False when it is not.
pub fn read_any(at: u64, into: &mut [u8]) -> bool {
    let limit = ((frame_count() as u64) << 12).max(4 << 30);
    let inside = at.checked_add(into.len() as u64).is_some_and(|end| end <= limit);
    if inside {
        copy_raw(into.as_mut_ptr(), (DIRECT + at) as *const u8, into.len());
    }
    inside
}

/// True when a page of `start..end` is RAM that the kernel manages.
pub fn overlaps_ram(start: u64, end: u64) -> bool {
    (start >> 12..end.div_ceil(PAGE_SIZE as u64)).any(|number| {
        usize::try_from(number)
            .ok()
            .and_then(|number| meta(Pfn(number)))
            .is_some_and(|meta| !meta.kind_is(frame::Kind::Reserved))
    })
}

/// Takes over RAM: extends the direct map over all of it, makes the metadata, marks what is free. Frames of the result are
/// left alone, for last words.
pub fn init(regions: &[MemoryRegion]) -> Option<Range<usize>> {
    let all = || {
        regions.iter().filter(|region| region.kind == memory_kind::USABLE).map(whole_frames).filter(|r| !r.is_empty())
    };
    let left = kept::choose(|frames| all().any(|run| run.start <= frames.start && frames.end <= run.end));
    let without = |run: Range<usize>| match &left {
        Some(left) if run.contains(&left.start) => [run.start..left.start, left.end..run.end],
        _ => [run, 0..0],
    };
    let usable = || all().flat_map(without).filter(|run| !run.is_empty());
    let end = regions
        .iter()
        .filter(|region| {
            matches!(region.kind, memory_kind::USABLE | memory_kind::KERNEL | memory_kind::ACPI_RECLAIMABLE)
        })
        .map(|region| region.start.saturating_add(region.len).min(DIRECT_LEN))
        .max()
        .unwrap_or(0)
        .div_ceil(PAGE_SIZE as u64) as usize;
    let bytes = end * size_of::<Meta>();
    let frames = bytes.div_ceil(PAGE_SIZE);
    // The metadata goes into the first usable run above 1 MiB that can hold it and lies in the boot's direct map.
    // What follows the metadata is all the memory there is until the frame allocator works, and that one's own tables grow
    // with the machine as the metadata does.
    let wanted = frames + frames / 8 + 64;
    let Some(home) = usable().find(|range| range.end <= 4 << 18 && range.start >= 256 && range.len() > wanted) else {
        panic!("no room for {bytes} bytes of frame metadata");
    };
    extend_direct_map(home.start + frames..home.end, end);
    let array = (DIRECT + ((home.start as u64) << 12)) as *mut Meta;
    for number in 0..end {
        // SAFETY: the run has room for `end` entries, is RAM that nothing else uses, and page aligned.
        unsafe { array.add(number).write(Meta::reserved()) };
    }
    META.store(array, Ordering::Relaxed);
    COUNT.store(end, Ordering::Release);
    let taken = TABLES_TAKEN.load(Ordering::Relaxed);
    for range in usable() {
        for number in range {
            // Page 0 stays reserved: a null physical address is never valid. So does one page below 1 MiB.
            let low = number < LOW_END && number != 0;
            if low && LOW_PAGE.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                continue;
            }
            if number != 0
                && !(home.start..home.start + frames + taken).contains(&number)
                && let Some(meta) = meta(Pfn(number))
            {
                meta.set_free();
            }
        }
    }
    frame::set_early(Pfn(home.start + frames + taken)..Pfn(home.end));
    left
}

/// A frame that real mode can reach, kept for starting other CPUs; 0 for none.
static LOW_PAGE: AtomicUsize = AtomicUsize::new(0);
/// The end of conventional memory, in frames.
const LOW_END: usize = 0xa0;

/// The address of a page below 640 KiB that nothing else uses.
pub fn low_page() -> Option<Phys> {
    let number = LOW_PAGE.load(Ordering::Relaxed);
    (number != 0).then(|| Pfn(number).phys())
}

/// Frames that [`extend_direct_map`] used from the start of its pool.
static TABLES_TAKEN: AtomicUsize = AtomicUsize::new(0);

fn whole_frames(region: &MemoryRegion) -> Range<usize> {
    let end = region.start.saturating_add(region.len).min(DIRECT_LEN) >> 12;
    (region.start.div_ceil(PAGE_SIZE as u64)) as usize..end as usize
}

/// Maps RAM from 4 GiB up to frame `end` with 2 MiB pages, taking tables from `pool`.
fn extend_direct_map(pool: Range<usize>, end: usize) {
    let mut next = pool.start;
    let mut new_table = || {
        assert!(next < pool.end, "no room for the direct map's tables");
        let address = (next as u64) << 12;
        next += 1;
        // SAFETY: a frame of the pool: RAM below 4 GiB that nothing uses; zeroed before it becomes a table.
        let table = unsafe {
            let pointer = (DIRECT + address) as *mut u8;
            pointer.write_bytes(0, PAGE_SIZE);
            &*pointer.cast::<Table>()
        };
        (address, table)
    };
    let mut at = 4u64 << 30;
    while at < (end as u64) << 12 {
        let mut table = kernel_root();
        for level in [3, 2] {
            let index = ((DIRECT + at) >> (12 + 9 * level) & 511) as usize;
            let entry = table[index].load(Ordering::Relaxed);
            table = if entry & bits::PRESENT == 0 {
                let (address, fresh) = new_table();
                let no_exec = if level == 3 { bits::NO_EXEC } else { 0 };
                table[index].store(address | bits::PRESENT | bits::WRITE | no_exec, Ordering::Relaxed);
                fresh
            } else {
                // SAFETY: entries above the leaves point at tables made here or by the boot code, below 4 GiB.
                unsafe { &*((DIRECT + (entry & bits::ADDRESS)) as *const Table) }
            };
        }
        let index = (at >> 21 & 511) as usize;
        table[index].store(at | bits::PRESENT | bits::WRITE | bits::HUGE | bits::GLOBAL, Ordering::Relaxed);
        at += 2 << 20;
    }
    TABLES_TAKEN.store(next - pool.start, Ordering::Relaxed);
}

/// The physical address of the kernel's own root.
pub fn kernel_root_phys() -> u64 {
    image_phys(kernel_root() as *const Table as u64)
}

static IMAGE: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);

unsafe extern "C" {
    static __image_start: u8;
    static __image_end: u8;
}

/// Remembers where the image was loaded.
pub fn set_image_base(phys: u64) {
    IMAGE.store(phys, Ordering::Relaxed);
}

/// The physical address of something in the kernel image.
pub fn image_phys(va: u64) -> u64 {
    va - (&raw const __image_start) as u64 + IMAGE.load(Ordering::Relaxed)
}

/// The physical addresses of the image.
pub fn image_range() -> Range<u64> {
    let start = IMAGE.load(Ordering::Relaxed);
    start..start + ((&raw const __image_end) as u64 - (&raw const __image_start) as u64)
}

/// A run of physical memory that the memory map keeps for the kernel, for ever.
pub fn bytes(start: u64, len: u64) -> &'static [u8] {
    let limit = ((frame_count() as u64) << 12).max(4 << 30);
    if len == 0 || start.checked_add(len).is_none_or(|end| end > limit) {
        return &[];
    }
    // SAFETY: 1. The run is in the direct map. 2. Boot information decoding carved it out of usable memory, so no
    // frame of it is ever handed out and nothing writes to it. 3. Any bytes are valid.
    unsafe { core::slice::from_raw_parts((DIRECT + start) as *const u8, len as usize) }
}
