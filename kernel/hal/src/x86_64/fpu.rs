//! The extended registers of programs: x87, SSE and wider. The kernel itself uses none.
//!
//! Saved areas are in the standard (not compacted) XSAVE format, which is also what signal frames hold. An area that
//! came from a program is cleaned before it is loaded, since `xrstor` faults on what it does not know.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::asm;

use super::features;

/// Bytes of the legacy area and of the header after it (SDM 1 §13.4).
const LEGACY: usize = 512;
const HEADER: usize = 64;
/// MXCSR bits that may be set; the rest fault.
const MXCSR_MASK: u32 = 0xffff;
const MXCSR_DEFAULT: u32 = 0x1f80;

#[repr(C, align(64))]
#[derive(Clone)]
struct Line([u8; 64]);

/// One program's extended registers in memory.
#[derive(Clone)]
pub struct FpuState {
    lines: Box<[Line]>,
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
        let count = features::xsave_size().max(LEGACY + HEADER).div_ceil(64);
        let mut lines: Vec<Line> = Vec::with_capacity(count);
        lines.resize(count, Line([0; 64]));
        let mut state = FpuState { lines: lines.into_boxed_slice() };
        // All components are in their initial state but for these two control words.
        state.put(0, &0x037fu16.to_le_bytes());
        state.put(24, &MXCSR_DEFAULT.to_le_bytes());
        state
    }

    /// Bytes of an area.
    pub fn size() -> usize {
        features::xsave_size()
    }

    fn pointer(&self) -> *const u8 {
        self.lines.as_ptr().cast()
    }

    fn get(&self, at: usize) -> u8 {
        self.lines[at / 64].0[at % 64]
    }

    /// Writes `bytes` from `at` on.
    fn put(&mut self, at: usize, bytes: &[u8]) {
        let mut rest = bytes;
        let mut at = at;
        while !rest.is_empty() {
            let line = &mut self.lines[at / 64].0[at % 64..];
            let (now, later) = rest.split_at(rest.len().min(line.len()));
            line[..now.len()].copy_from_slice(now);
            at += now.len();
            rest = later;
        }
    }

    /// Writes the running program's registers here.
    pub fn save(&mut self) {
        let area = self.lines.as_mut_ptr();
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
        let area = self.pointer();
        let mask = features::xsave_mask();
        // SAFETY: the area came from `new`, `save` or `set_bytes`, which keep it well formed; the kernel uses none of
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
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.lines.len() * 64);
        self.lines.iter().for_each(|line| bytes.extend_from_slice(&line.0));
        bytes.truncate(Self::size());
        bytes
    }

    /// Takes an area that a program made. What the processor would refuse is dropped: unknown components, reserved
    /// bits. An area of `LEGACY` bytes sets only x87 and SSE; shorter ones are refused.
    pub fn set_bytes(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() < LEGACY {
            return false;
        }
        *self = FpuState::new();
        let count = bytes.len().min(Self::size());
        self.put(0, &bytes[..count]);
        let mxcsr = u32::from_le_bytes([self.get(24), self.get(25), self.get(26), self.get(27)]) & MXCSR_MASK;
        self.put(24, &mxcsr.to_le_bytes());
        if features::xsave_mask() != 0 {
            let mut header = [0; HEADER];
            let present = if count >= LEGACY + HEADER {
                let mut word = [0; 8];
                (0..8).for_each(|index| word[index] = bytes[LEGACY + index]);
                u64::from_le_bytes(word) & features::xsave_mask()
            } else {
                0b11
            };
            header[..8].copy_from_slice(&present.to_le_bytes());
            self.put(LEGACY, &header);
        }
        true
    }
}

impl Default for FpuState {
    fn default() -> FpuState {
        FpuState::new()
    }
}
