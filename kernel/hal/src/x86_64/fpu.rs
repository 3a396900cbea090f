//! The extended registers of programs: x87, SSE and wider. The kernel itself uses none.
//!
//! Saved areas are in the standard (not compacted) XSAVE format, which is also what signal frames hold. As plain bytes
//! ([`FpuArea`]) they are anybody's to change; to be loaded they become a [`FpuState`], which cleans them, since `xrstor`
//! faults on what it does not know.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::asm;
use core::ops::{Deref, DerefMut};
use core::slice;

use super::features;

/// Bytes of the legacy area and of the header after it (SDM 1 §13.4).
const LEGACY: usize = 512;
const HEADER: usize = 64;
/// x87 and SSE, which the legacy area holds.
const LEGACY_FEATURES: u64 = 0b11;
/// Where MXCSR is.
const MXCSR: usize = 24;
/// MXCSR bits that may be set; the rest fault.
const MXCSR_MASK: u32 = 0xffff;
const MXCSR_DEFAULT: u32 = 0x1f80;

#[repr(C, align(64))]
#[derive(Clone)]
struct Line([u8; 64]);

/// The bytes of an area: [`FpuState::size`], and at least a word more, in which signal frames put their end mark.
#[derive(Clone)]
pub struct FpuArea(Box<[Line]>);

impl FpuArea {
    /// All zeros: every component in its initial state, but for the control words.
    pub fn zeroed() -> FpuArea {
        let count = (features::xsave_size().max(LEGACY + HEADER) + size_of::<u64>()).div_ceil(size_of::<Line>());
        let mut lines = Vec::with_capacity(count);
        lines.resize(count, Line([0; 64]));
        FpuArea(lines.into_boxed_slice())
    }
}

impl Deref for FpuArea {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the lines lie one after the other in one allocation, are nothing but bytes, all initialised, and are
        // borrowed for as long as the slice lives.
        unsafe { slice::from_raw_parts(self.0.as_ptr().cast(), size_of_val(&*self.0)) }
    }
}

impl DerefMut for FpuArea {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; the borrow is the only one, and any byte may have any value.
        unsafe { slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), size_of_val(&*self.0)) }
    }
}

/// One program's extended registers in memory, such that loading them cannot fault.
#[derive(Clone)]
pub struct FpuState {
    area: FpuArea,
}

pub fn set_xcr0(mask: u64) {
    // SAFETY: the mask has x87 set and only components the processor offers; CR4.OSXSAVE is on.
    unsafe {
        asm!("xsetbv", in("ecx") 0, in("eax") mask as u32, in("edx") (mask >> 32) as u32, options(nostack, preserves_flags))
    };
}

impl FpuState {
    /// The state a program starts with.
    pub fn new() -> FpuState {
        let mut area = FpuArea::zeroed();
        // All components are in their initial state but for these two control words.
        area[..2].copy_from_slice(&0x037fu16.to_le_bytes());
        area[MXCSR..MXCSR + 4].copy_from_slice(&MXCSR_DEFAULT.to_le_bytes());
        FpuState { area }
    }

    /// The running program's registers.
    pub fn of_program() -> FpuState {
        let mut state = FpuState { area: FpuArea::zeroed() };
        state.save();
        state
    }

    /// Bytes of an area.
    pub fn size() -> usize {
        features::xsave_size()
    }

    /// Writes the running program's registers here.
    pub fn save(&mut self) {
        let area = self.area.0.as_mut_ptr();
        let mask = features::xsave_mask();
        // SAFETY: the area is 64-byte aligned and as large as the enabled components need; saving changes no register.
        unsafe {
            if mask == 0 {
                asm!("fxsave64 [{}]", in(reg) area, options(nostack, preserves_flags));
            } else if features::xsaveopt() {
                asm!("xsaveopt64 [{}]", in(reg) area, in("eax") mask as u32, in("edx") (mask >> 32) as u32, options(nostack, preserves_flags));
            } else {
                asm!("xsave64 [{}]", in(reg) area, in("eax") mask as u32, in("edx") (mask >> 32) as u32, options(nostack, preserves_flags));
            }
        }
    }

    /// Makes these the running program's registers.
    pub fn load(&self) {
        let area = self.area.0.as_ptr();
        let mask = features::xsave_mask();
        // SAFETY: the area came from `new`, `save` or `from_area`, which keep it well formed; the kernel uses none of
        // these registers, so nothing of Rust's is changed.
        unsafe {
            if mask == 0 {
                asm!("fxrstor64 [{}]", in(reg) area, options(nostack, preserves_flags));
            } else {
                asm!("xrstor64 [{}]", in(reg) area, in("eax") mask as u32, in("edx") (mask >> 32) as u32, options(nostack, preserves_flags));
            }
        }
    }

    /// The area as signal frames hold it.
    pub fn into_area(self) -> FpuArea {
        self.area
    }

    /// Takes an area that a program made, of which the first `len` bytes count. What the processor would refuse is
    /// dropped: unknown components, reserved bits. Without a whole header only x87 and SSE are set.
    pub fn from_area(mut area: FpuArea, len: usize) -> FpuState {
        let len = len.min(area.len());
        area[len..].fill(0);
        let mxcsr = word(&area, MXCSR) as u32 & MXCSR_MASK;
        area[MXCSR..MXCSR + 4].copy_from_slice(&mxcsr.to_le_bytes());
        let known = features::xsave_mask();
        let present = if len >= LEGACY + HEADER { word(&area, LEGACY) & known } else { LEGACY_FEATURES & known };
        let header = &mut area[LEGACY..LEGACY + HEADER];
        header.fill(0);
        header[..8].copy_from_slice(&present.to_le_bytes());
        FpuState { area }
    }
}

fn word(area: &FpuArea, at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&area[at..at + 8]);
    u64::from_le_bytes(bytes)
}

impl Default for FpuState {
    fn default() -> FpuState {
        FpuState::new()
    }
}
