//! `maps`, and what the areas of a space add up to.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Range;

use aios_abi::Errno;
use kernel_fs::procfs::Text;
use kernel_fs::{File, Path};
use kernel_hal::addr::Virt;
use kernel_hal::paging::Prot;
use kernel_mm::AddressSpace;

use super::subject::Found;
use crate::Thread;

/// Where the name of an area stands in its line.
const NAME_COLUMN: usize = 73;

/// One area, out of the space's lock: asking a file for its attributes may wait for its host.
struct Line {
    range: Range<Virt>,
    prot: Prot,
    shared: bool,
    offset: u64,
    file: Option<Arc<dyn Any + Send + Sync>>,
    label: &'static str,
}

fn collect(space: &AddressSpace) -> Result<Vec<Line>, Errno> {
    let mut lines: Vec<Line> = Vec::new();
    let mut enough_memory = true;
    space.for_each_area(&mut |area| {
        enough_memory &= lines.try_reserve(1).is_ok();
        if enough_memory {
            lines.push(Line {
                range: area.range,
                prot: area.prot,
                shared: area.shared,
                offset: area.offset,
                file: area.file.cloned(),
                label: area.label,
            });
        }
    });
    if enough_memory { Ok(lines) } else { Err(Errno::ENOMEM) }
}

pub(super) fn maps(found: &Found, text: &mut Text) -> Result<(), Errno> {
    let Some(space) = found.process.space() else { return Ok(()) };
    // Paths are as the reader sees them; one of another agent sees none of these files.
    let reader = Thread::current().filter(|reader| Arc::ptr_eq(reader.process().pids(), found.process.pids()));
    let reader = reader.map(|reader| reader.place().view().root.clone());
    let root = reader.or_else(|| Some(found.thread.as_ref()?.place().view().root.clone()));
    collect(&space)?.into_iter().try_for_each(|line| put(line, root.as_ref(), text))
}

fn put(line: Line, root: Option<&Path>, text: &mut Text) -> Result<(), Errno> {
    let start = text.len();
    let flag = |on: bool, letter: char| if on { letter } else { '-' };
    let file = line.file.and_then(|file| file.downcast::<File>().ok());
    let (device, inode) = match file.as_ref().map(|file| file.metadata()) {
        Some(Ok(metadata)) => (metadata.device, metadata.inode),
        _ => Default::default(),
    };
    text.put(format_args!(
        "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {inode} ",
        line.range.start.0,
        line.range.end.0,
        flag(line.prot.read, 'r'),
        flag(line.prot.write, 'w'),
        flag(line.prot.exec, 'x'),
        if line.shared { 's' } else { 'p' },
        line.offset,
        device.major,
        device.minor,
    ))?;
    let name = match (&file, root) {
        (Some(file), Some(root)) => file.path().display(root),
        (Some(file), None) => file.path().display(&file.path().mount.root_path()),
        (None, _) => line.label.as_bytes().to_vec(),
    };
    if !name.is_empty() {
        text.pad(start, NAME_COLUMN)?;
        text.escaped(&name, b"\n")?;
    }
    text.bytes(b"\n")
}

/// Sizes that `status` and `statm` tell, in bytes, and resident pages.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Sums {
    pub locked: u64,
    pub stack: u64,
    /// Of programs and libraries.
    pub code: u64,
    pub resident_anonymous: usize,
    pub resident_file: usize,
    pub resident_shared: usize,
}

pub(super) fn sums(space: &AddressSpace) -> Sums {
    let mut sums = Sums::default();
    space.for_each_area_counted(&mut |area| {
        let bytes = area.range.end.0.saturating_sub(area.range.start.0);
        sums.locked += if area.locked { bytes } else { 0 };
        sums.stack += if area.grows_down { bytes } else { 0 };
        sums.code += if area.prot.exec && area.file.is_some() { bytes } else { 0 };
        match (area.file.is_some(), area.shared) {
            (true, _) => sums.resident_file += area.resident,
            (false, true) => sums.resident_shared += area.resident,
            (false, false) => sums.resident_anonymous += area.resident,
        }
    });
    sums
}
