//! The order of things: files, kernel image, boot information, exit from boot services, jump.

mod failure;
mod files;
mod jump;
mod pages;
mod screen;
mod serial;

use alloc::vec;
use alloc::vec::Vec;
use core::mem::size_of;

use aios_abi::boot::{BOOT_MAGIC, BOOT_VERSION, BootInfo, MAX_REGIONS, MemoryRegion, memory_kind, method};
use aios_boot::cmdline;
use aios_boot::elf::Image;
use aios_boot::memory::{Descriptor, convert};
use uefi::boot::{self, MemoryType};
use uefi::mem::memory_map::MemoryMap;
use uefi::table::cfg::ConfigTableEntry;
use uefi::{Status, cstr16, println, system};

pub use failure::Failure;
use pages::{Pages, Placement};

/// Where the image may lie modulo this.
const IMAGE_ALIGN: u64 = 2 << 20;
/// Descriptors that the firmware's map may gain between the last look and the exit.
const MAP_GROWTH: usize = 64;

/// All that is ready when only the exit from boot services is left.
pub struct Handoff {
    info: BootInfo,
    /// Physical address of the entry point.
    entry: u64,
    /// Takes the `BootInfo`, then the memory map.
    block: Pages,
    /// What must not become usable memory.
    held: Vec<MemoryRegion>,
    work: Vec<MemoryRegion>,
    map: Vec<MemoryRegion>,
}

/// Does everything that can fail.
pub fn prepare() -> Result<Handoff, Failure> {
    let volume = files::Volume::open()?;
    let kernel = volume.read(cstr16!("\\aios\\kernel.elf"))?;
    let kernel = kernel.ok_or(Failure::new(Status::NOT_FOUND, "\\aios\\kernel.elf is not on the boot volume"))?;
    let initramfs = volume.read(cstr16!("\\aios\\initramfs.cpio"))?;
    let cmdline = volume.read(cstr16!("\\aios\\cmdline.txt"))?;

    let (image, entry) = place(&kernel)?;
    kernel.free();
    let mut info = BootInfo {
        magic: BOOT_MAGIC,
        version: BOOT_VERSION,
        size: BootInfo::SIZE_V1,
        method: method::UEFI,
        rsdp: acpi_root(),
        kernel_start: image.start(),
        kernel_len: image.len(),
        framebuffer: screen::framebuffer(),
        ..BootInfo::default()
    };
    let mut held = vec![image.held()];
    match initramfs {
        Some(pages) => {
            (info.initramfs, info.initramfs_len) = (pages.start(), pages.len());
            held.push(pages.held());
        }
        None => println!("aios-boot: \\aios\\initramfs.cpio is not on the boot volume, going on without it"),
    }
    if let Some(mut pages) = cmdline {
        info.cmdline_len = cmdline::normalize(pages.bytes())
            .map_err(|error| Failure::about(Status::LOAD_ERROR, "\\aios\\cmdline.txt", error))?
            .len() as u64;
        info.cmdline = pages.start();
        held.push(pages.held());
    }
    let block = Pages::allocate(block_len(), Placement::Data)?;
    held.push(block.held());
    info.memory_map = block.start() + MAP_OFFSET as u64;
    for region in &held {
        jump::check(region, region.start == info.kernel_start)?;
    }

    let firmware = boot::memory_map(MemoryType::LOADER_DATA)
        .map_err(|error| Failure::new(error.status(), "the firmware does not give its memory map"))?;
    let descriptors = firmware.len();
    let work = vec![MemoryRegion::default(); descriptors + MAP_GROWTH + held.len()];
    let map = vec![MemoryRegion::default(); MAX_REGIONS];
    Ok(Handoff { info, entry, block, held, work, map })
}

/// Where in its block the memory map starts.
const MAP_OFFSET: usize = 512;

fn block_len() -> u64 {
    (MAP_OFFSET + MAX_REGIONS * size_of::<MemoryRegion>()) as u64
}

/// Loads the kernel file; returns the image and its entry's physical address.
fn place(kernel: &Pages) -> Result<(Pages, u64), Failure> {
    let refused = |error| Failure::about(Status::LOAD_ERROR, "\\aios\\kernel.elf", error);
    let plan = Image::plan(kernel.as_bytes()).map_err(refused)?;
    let mut image = Pages::allocate(plan.span(), Placement::Image { congruent: plan.start() % IMAGE_ALIGN })?;
    plan.load(kernel.as_bytes(), image.bytes()).map_err(refused)?;
    let entry = image.start() + plan.entry();
    Ok((image, entry))
}

/// The ACPI root pointer, that of ACPI 2.0 if there are two (UEFI 2.10 §4.6); 0 without ACPI.
fn acpi_root() -> u64 {
    system::with_config_table(|tables| {
        let find = |guid| tables.iter().find(|table| table.guid == guid).map(|table| table.address as u64);
        find(ConfigTableEntry::ACPI2_GUID).or(find(ConfigTableEntry::ACPI_GUID)).unwrap_or(0)
    })
}

impl Handoff {
    /// Ends boot services and starts the kernel. Nothing here allocates, frees, prints or panics.
    pub fn enter(mut self) -> ! {
        // SAFETY: 1. No protocol is open any more: `prepare` dropped them all. 2. Memory from the firmware stays
        // allocated: nothing is dropped from here on, since this function does not return.
        let firmware = unsafe { boot::exit_boot_services(None) };
        let descriptors = firmware.entries().map(|entry| Descriptor {
            kind: entry.ty.0,
            start: entry.phys_start,
            pages: entry.page_count,
            attributes: entry.att.bits(),
        });
        let len = convert(descriptors, &self.held, &mut self.work, &mut self.map);
        self.info.memory_map_len = len as u32;
        let places = self.block.bytes();
        if let Some((head, map)) = places.split_at_mut_checked(MAP_OFFSET) {
            let info = self.info.to_bytes();
            head.iter_mut().zip(info).for_each(|(place, byte)| *place = byte);
            let regions = self.map.iter().take(len).flat_map(MemoryRegion::to_bytes);
            map.iter_mut().zip(regions).for_each(|(place, byte)| *place = byte);
        }
        jump::enter(self.entry, self.block.start())
    }
}

impl Pages {
    /// The region that these pages keep from becoming usable.
    fn held(&self) -> MemoryRegion {
        MemoryRegion::new(self.start(), self.len(), memory_kind::KERNEL)
    }
}
