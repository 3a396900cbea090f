//! The vDSO: code of the kernel's that runs in every program, and the page it reads the time from.
//!
//! Both are pages of the kernel's own that all programs share. The data page lies directly below the code, which finds
//! it by that. See [`aios_abi::vdso`] for what is in it and how readers tell a write under way.

use alloc::sync::Arc;
use core::sync::atomic::{Ordering, fence};

use aios_abi::Errno;
use aios_abi::vdso::{CLOCK_NONE, CLOCK_TSC, CPU_TSC_AUX, CPU_UNKNOWN, DATA_BEFORE_CODE, VdsoData};
use kernel_hal::addr::{PAGE_SIZE, Virt};
use kernel_hal::cpu;
use kernel_hal::frame::Frame;
use kernel_hal::paging::Prot;
use kernel_hal::time::{self, Change};
use kernel_mm::{Account, AddressSpace, MapBacking, MapFlags, MapRequest, MemoryObject};
use kernel_sync::{Once, SpinLock};

/// What `clock_getres` says of the coarse clocks, as the system call does: Linux's tick at 250 Hz.
const COARSE_RESOLUTION_NS: u64 = 4_000_000;

struct Vdso {
    code: Arc<MemoryObject>,
    code_len: u64,
    data: Arc<MemoryObject>,
    page: Frame,
    writer: SpinLock<Writer>,
}

/// Held by who writes the data page.
#[derive(Default)]
struct Writer {
    /// The sequence counter of the page, even.
    sequence: u32,
    /// The machine's clock is changing: programs ask the kernel.
    changing: bool,
}

static VDSO: Once<Vdso> = Once::new();

/// Takes the vDSO's bytes. Called once at start-up; without it, or when there is no memory, programs run without.
pub fn install_vdso(code: &'static [u8]) {
    match prepare(code) {
        Ok(vdso) => {
            VDSO.set(vdso);
            update_vdso();
            time::on_change(|change| write_page(Some(change == Change::Begins)));
        }
        Err(error) => log::warn!("programs run without vDSO: {error}"),
    }
}

fn prepare(code: &[u8]) -> Result<Vdso, Errno> {
    if code.is_empty() {
        return Err(Errno::ENOEXEC);
    }
    let pages = |object: &MemoryObject, bytes: &[u8]| -> Result<(), Errno> {
        for (index, part) in (0..).zip(bytes.chunks(PAGE_SIZE)) {
            object.page(index, true)?.write(0, part);
        }
        Ok(())
    };
    let object = MemoryObject::anonymous(&Account::kernel());
    let code_len = code.len().next_multiple_of(PAGE_SIZE) as u64;
    object.set_size(code_len);
    pages(&object, code)?;
    let data = MemoryObject::anonymous(&Account::kernel());
    data.set_size(DATA_BEFORE_CODE);
    let page = data.page(0, true)?;
    Ok(Vdso { code: object, code_len, data, page, writer: SpinLock::default() })
}

/// Tells programs the clock anew. Called after the wall clock was set.
pub fn update_vdso() {
    write_page(None);
}

/// Tells programs the clock, or to ask the kernel while the machine's clock changes: from now on or no longer, if that is
/// given.
fn write_page(changing: Option<bool>) {
    let Some(vdso) = VDSO.get() else { return };
    let mut writer = vdso.writer.lock();
    writer.changing = changing.unwrap_or(writer.changing);
    let clock = time::parameters();
    let next = writer.sequence.wrapping_add(2);
    let data = VdsoData {
        sequence: writer.sequence.wrapping_add(1),
        clock_mode: if clock.readable && !writer.changing { CLOCK_TSC } else { CLOCK_NONE },
        counter_base: clock.base,
        multiplier: clock.mult,
        shift: clock.shift,
        cpu_mode: if cpu::programs_read_number() { CPU_TSC_AUX } else { CPU_UNKNOWN },
        monotonic_base_ns: clock.base_ns,
        realtime_offset_ns: time::wall_offset_ns(),
        boottime_offset_ns: 0,
        coarse_resolution_ns: COARSE_RESOLUTION_NS,
        generation: 0,
    };
    let bytes = data.encode();
    let (head, rest) = bytes.split_at(size_of::<u32>());
    vdso.page.write(0, head);
    fence(Ordering::SeqCst);
    vdso.page.write(head.len(), rest);
    fence(Ordering::SeqCst);
    vdso.page.write(0, &next.to_le_bytes());
    writer.sequence = next;
}

/// Maps data page and code into a program and returns where the code is; `None` without vDSO.
pub(super) fn map(space: &AddressSpace) -> Result<Option<u64>, Errno> {
    let Some(vdso) = VDSO.get() else { return Ok(None) };
    // Room for both first, so that they lie side by side.
    let base = space.map(MapRequest::anonymous(DATA_BEFORE_CODE + vdso.code_len, Prot::NONE))?.0;
    let fixed = |at: u64, len, prot, shared, object: &Arc<MemoryObject>, label| MapRequest {
        hint: Virt(at),
        len,
        prot,
        flags: MapFlags { fixed: true, shared, ..MapFlags::default() },
        backing: MapBacking::Object { object: object.clone(), offset: 0, file: None, max: prot },
        label,
    };
    // Shared, so that no program can make itself a copy that it may write.
    space.map(fixed(base, DATA_BEFORE_CODE, Prot::R, true, &vdso.data, "[vvar]"))?;
    let code = base + DATA_BEFORE_CODE;
    space.map(fixed(code, vdso.code_len, Prot::RX, false, &vdso.code, "[vdso]"))?;
    Ok(Some(code))
}
