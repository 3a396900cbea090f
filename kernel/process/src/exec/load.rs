//! From a program file to an address space that runs it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use aios_abi::Errno;
use aios_abi::linux::consts::USER_HZ;
use aios_abi::linux::consts::auxv::*;
use aios_abi::linux::consts::resource::{RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK};
use kernel_fs::{Credentials, File};
use kernel_hal::addr::{PAGE_SHIFT, PAGE_SIZE, USER_END, Virt};
use kernel_hal::paging::Prot;
use kernel_hal::task::FpuState;
use kernel_hal::{cpu, random};
use kernel_mm::{AddressSpace, FaultError, Limits, MapBacking, MapFlags, MapRequest, MemoryObject, STACK_RANDOM_PAGES};

use super::Refusal;
use super::elf::{Header, Image, PROGRAM_HEADER, Segment};
use super::stack::{self, Contents};
use super::strings::Strings;
use super::vdso;
use crate::ResourceLimits;
use crate::process::Layout;

/// Where programs that can be anywhere go, before randomisation (Linux's `ELF_ET_DYN_BASE`).
const RELOCATABLE_BASE: u64 = USER_END / 3 * 2;
/// Pages by which they are moved at random (`vm.mmap_rnd_bits`).
const BASE_RANDOM_PAGES: u64 = 1 << 28;
/// Pages by which the heap is moved.
const HEAP_RANDOM_PAGES: u64 = 1 << 13;
/// Bytes by which the stack pointer is moved.
const POINTER_RANDOM: u64 = 8192;
/// Stack that is there from the start, below what `exec` puts on it.
const STACK_START: u64 = 128 << 10;
/// What a signal frame takes besides the extended registers: context, information, red zone, alignment.
const SIGNAL_FRAME: u64 = 440 + 128 + 64 + 8;
/// The part of `struct rseq` that this kernel fills, and how it must be aligned.
const RSEQ_FEATURES: u64 = 28;
const RSEQ_ALIGNMENT: u64 = 32;

/// What a program is to be started with.
pub(super) struct Start<'a> {
    pub file: Arc<File>,
    /// The first bytes of the file.
    pub head: &'a [u8],
    pub name: &'a [u8],
    /// Where the file was found.
    pub path: &'a [u8],
    pub arguments: &'a Strings,
    pub environment: &'a Strings,
    pub credentials: &'a Credentials,
    pub limits: &'a ResourceLimits,
    pub randomize: bool,
}

/// A program ready to run.
pub(super) struct Loaded {
    pub space: Arc<AddressSpace>,
    pub entry: u64,
    pub pointer: u64,
    pub layout: Layout,
    pub file: Arc<File>,
}

/// A random number below `below`; 0 when nothing is to be random.
fn random_below(randomize: bool, below: u64) -> u64 {
    if randomize { random::word() % below } else { 0 }
}

/// Loads a program into `space`, which is empty. `open` opens its interpreter. All errors leave the caller as it was.
pub(super) fn load(
    space: Arc<AddressSpace>,
    start: Start<'_>,
    open: impl FnOnce(&[u8]) -> Result<Arc<File>, Errno>,
) -> Result<Loaded, Refusal> {
    let image = read_image(&start.file, start.head)?;
    let interpreter = match interpreter_name(&start.file, &image)? {
        None => None,
        Some(name) => {
            let found = open(&name).and_then(read_interpreter);
            Some(found.map_err(|error| Refusal::of_interpreter(error, &name, start.path))?)
        }
    };
    let limit = |resource| start.limits.current(resource);
    space.set_limits(Limits { address_space: limit(RLIMIT_AS), data: limit(RLIMIT_DATA), stack: limit(RLIMIT_STACK) });
    space.place_mappings(start.randomize);

    let bias = program_bias(&image, start.randomize)?;
    map_image(&space, &start.file, &image, bias)?;
    let entry = image.header.entry.wrapping_add(bias);
    let (base, first) = match &interpreter {
        None => (0, entry),
        Some((file, image)) => {
            let bias = find_bias(&space, image)?;
            map_image(&space, file, image, bias)?;
            (image.span().start.wrapping_add(bias), image.header.entry.wrapping_add(bias))
        }
    };
    if !Virt(first).is_user() {
        return Err(Errno::EINVAL.into());
    }
    let vdso = vdso::map(&space)?;
    let mut layout = layout_of(&image, bias);
    layout.heap = layout.heap.saturating_add(random_below(start.randomize, HEAP_RANDOM_PAGES) << PAGE_SHIFT);
    space.set_brk_base(Virt(layout.heap));

    let credentials = start.credentials;
    let headers = image.headers_address();
    let auxiliary = [
        (if vdso.is_some() { AT_SYSINFO_EHDR } else { AT_IGNORE }, vdso.unwrap_or(0)),
        (AT_MINSIGSTKSZ, FpuState::size() as u64 + SIGNAL_FRAME),
        (AT_HWCAP, cpu::hwcap()),
        (AT_PAGESZ, PAGE_SIZE as u64),
        (AT_CLKTCK, USER_HZ),
        (AT_PHDR, if headers == 0 { 0 } else { headers.wrapping_add(bias) }),
        (AT_PHENT, PROGRAM_HEADER as u64),
        (AT_PHNUM, u64::from(image.header.header_count)),
        (AT_BASE, base),
        (AT_FLAGS, 0),
        (AT_ENTRY, entry),
        (AT_UID, u64::from(credentials.uid)),
        (AT_EUID, u64::from(credentials.euid)),
        (AT_GID, u64::from(credentials.gid)),
        (AT_EGID, u64::from(credentials.egid)),
        (AT_SECURE, 0),
        (AT_HWCAP2, 0),
        (AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURES),
        (AT_RSEQ_ALIGN, RSEQ_ALIGNMENT),
    ];
    let mut seed = [0; 16];
    random::fill(&mut seed);
    let contents = Contents {
        arguments: start.arguments,
        environment: start.environment,
        name: start.name,
        random: seed,
        auxiliary: &auxiliary,
        gap: random_below(start.randomize, POINTER_RANDOM) as usize,
    };
    let pointer = make_stack(&space, &contents, &image, &mut layout, &start)?;
    Ok(Loaded { space, entry: first, pointer, layout, file: start.file })
}

fn read_image(file: &File, head: &[u8]) -> Result<Image, Errno> {
    let header = Header::parse(head)?;
    let from = usize::try_from(header.headers_at).map_err(|_| Errno::ENOEXEC)?;
    let end = from.checked_add(header.headers_len()).ok_or(Errno::ENOEXEC)?;
    // Most programs have few enough headers that they were read with the file's first bytes.
    if let Some(table) = head.get(from..end) {
        return Image::parse(header, table);
    }
    Image::parse(header, &read_exactly(file, header.headers_at, header.headers_len(), Errno::ENOEXEC)?)
}

/// `short` when the file ends before.
fn read_exactly(file: &File, offset: u64, len: usize, short: Errno) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(len, 0);
    if i64::try_from(offset).is_err() || file.read_bytes(offset, &mut bytes)? != len {
        return Err(short);
    }
    Ok(bytes)
}

fn interpreter_name(file: &File, image: &Image) -> Result<Option<Vec<u8>>, Errno> {
    let Some(range) = &image.interpreter else { return Ok(None) };
    let mut name = read_exactly(file, range.start, (range.end - range.start) as usize, Errno::EIO)?;
    if name.last() != Some(&0) {
        return Err(Errno::ENOEXEC);
    }
    let len = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    name.truncate(len);
    Ok(Some(name))
}

fn read_interpreter(file: Arc<File>) -> Result<(Arc<File>, Image), Errno> {
    let mut head = [0; super::script::HEAD];
    let len = file.read_bytes(0, &mut head)?;
    let image = read_image(&file, head.get(..len).unwrap_or_default());
    // A broken interpreter is not a broken program.
    let image = image.map_err(|error| if error == Errno::ENOEXEC { Errno::ELIBBAD } else { error })?;
    Ok((file, image))
}

/// What is added to the addresses of the program.
fn program_bias(image: &Image, randomize: bool) -> Result<u64, Errno> {
    if !image.header.relocatable {
        return Ok(0);
    }
    let span = image.span();
    let base = Virt(RELOCATABLE_BASE).page_down().0 + (random_below(randomize, BASE_RANDOM_PAGES) << PAGE_SHIFT);
    let base = base & !(image.alignment - 1);
    if span.end - span.start > USER_END - base {
        return Err(Errno::ENOMEM);
    }
    Ok(base.wrapping_sub(span.start))
}

/// The same for an interpreter, which goes where `mmap` puts it.
fn find_bias(space: &AddressSpace, image: &Image) -> Result<u64, Errno> {
    if !image.header.relocatable {
        return Ok(0);
    }
    let span = image.span();
    // More than a page of alignment is had by asking for so much more room.
    let slack = image.alignment - PAGE_SIZE as u64;
    let len = (span.end - span.start).checked_add(slack).ok_or(Errno::ENOMEM)?;
    let room = space.map(MapRequest::anonymous(len, Prot::NONE))?;
    space.unmap(room, len)?;
    let base = room.0.checked_add(slack).ok_or(Errno::ENOMEM)? & !(image.alignment - 1);
    Ok(base.wrapping_sub(span.start))
}

fn map_image(space: &AddressSpace, file: &Arc<File>, image: &Image, bias: u64) -> Result<(), Errno> {
    let object = file.map()?;
    image.segments.iter().try_for_each(|segment| map_segment(space, file, &object, segment, bias))
}

fn map_segment(
    space: &AddressSpace,
    file: &Arc<File>,
    object: &Arc<MemoryObject>,
    segment: &Segment,
    bias: u64,
) -> Result<(), Errno> {
    // Sums without bias were checked when the segment was read; those with it wrap at most to what `map` refuses.
    let Segment { address, offset, file_size, memory_size, prot } = *segment;
    let pages = segment.pages();
    let fixed = |start: u64, end: u64, backing| MapRequest {
        hint: Virt(start.wrapping_add(bias)),
        len: end - start,
        prot,
        flags: MapFlags { fixed: true, ..MapFlags::default() },
        backing,
        label: "",
    };
    let file_end = address + file_size;
    let mut filled = pages.start;
    if file_size != 0 {
        filled = file_end.next_multiple_of(PAGE_SIZE as u64);
        let backing = MapBacking::Object {
            object: object.clone(),
            offset: Virt(offset).page_down().0,
            file: Some(file.clone() as Arc<dyn Any + Send + Sync>),
            max: Prot::RX,
        };
        space.map(fixed(pages.start, filled, backing))?;
        if memory_size > file_size && prot.write {
            const ZEROS: [u8; PAGE_SIZE] = [0; PAGE_SIZE];
            let tail = ZEROS.get(..(filled - file_end) as usize).unwrap_or(&ZEROS);
            write(space, file_end.wrapping_add(bias), tail)?;
        }
    }
    if pages.end > filled {
        space.map(fixed(filled, pages.end, MapBacking::Anonymous))?;
    }
    Ok(())
}

fn write(space: &AddressSpace, at: u64, bytes: &[u8]) -> Result<(), Errno> {
    space.write_bytes(Virt(at), bytes).map_err(|(error, _)| match error {
        FaultError::OutOfMemory => Errno::ENOMEM,
        FaultError::Segv(_) | FaultError::Bus => Errno::EFAULT,
    })
}

/// Where code, data and heap are (Linux's `mm_struct` has them the same way).
fn layout_of(image: &Image, bias: u64) -> Layout {
    let at = |address: u64| address.wrapping_add(bias);
    let segments = || image.segments.iter();
    let file_end = |segment: &Segment| segment.address + segment.file_size;
    let end = segments().map(|segment| segment.address + segment.memory_size).max().unwrap_or(0);
    Layout {
        code: (
            at(segments().map(|segment| segment.address).min().unwrap_or(0)),
            at(segments().filter(|segment| segment.prot.exec).map(file_end).max().unwrap_or(0)),
        ),
        data: (
            at(segments().map(|segment| segment.address).max().unwrap_or(0)),
            at(segments().map(file_end).max().unwrap_or(0)),
        ),
        heap: at(end.next_multiple_of(PAGE_SIZE as u64)),
        ..Layout::default()
    }
}

/// Maps the stack with its contents and returns the stack pointer.
fn make_stack(
    space: &AddressSpace,
    contents: &Contents<'_>,
    image: &Image,
    layout: &mut Layout,
    start: &Start<'_>,
) -> Result<u64, Errno> {
    let top = USER_END - (random_below(start.randomize, STACK_RANDOM_PAGES) << PAGE_SHIFT);
    let stack = stack::build(contents, top)?;
    let used = stack.bytes.len().next_multiple_of(PAGE_SIZE) as u64;
    let limit = Virt(start.limits.current(RLIMIT_STACK).min(USER_END)).page_down().0;
    let len = (used + STACK_START).min(limit).max(used);
    space.map(MapRequest {
        hint: Virt(top.checked_sub(len).ok_or(Errno::ENOMEM)?),
        len,
        prot: if image.executable_stack { Prot::RWX } else { Prot::RW },
        flags: MapFlags { no_replace: true, grows_down: true, ..MapFlags::default() },
        backing: MapBacking::Anonymous,
        label: "[stack]",
    })?;
    write(space, stack.pointer, &stack.bytes)?;
    layout.stack = stack.pointer;
    layout.arguments = stack.arguments;
    layout.environment = stack.environment;
    layout.auxiliary = stack.auxiliary;
    Ok(stack.pointer)
}
