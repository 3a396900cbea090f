//! What the processor has and hal turns on.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::msr;

static SMAP: AtomicBool = AtomicBool::new(false);
static FSGSBASE: AtomicBool = AtomicBool::new(false);
static RDRAND: AtomicBool = AtomicBool::new(false);
static X2APIC: AtomicBool = AtomicBool::new(false);
static RDTSCP: AtomicBool = AtomicBool::new(false);
static XSAVEOPT: AtomicBool = AtomicBool::new(false);
static XSAVE_MASK: AtomicU64 = AtomicU64::new(0);
static XSAVE_SIZE: AtomicU32 = AtomicU32::new(0);

const CR4_OSFXSR: u64 = 1 << 9;
const CR4_OSXMMEXCPT: u64 = 1 << 10;
const CR4_UMIP: u64 = 1 << 11;
const CR4_FSGSBASE: u64 = 1 << 16;
const CR4_OSXSAVE: u64 = 1 << 18;
const CR4_SMEP: u64 = 1 << 20;
const CR4_SMAP: u64 = 1 << 21;

/// x87, SSE, AVX, AVX-512 (three parts).
const XSAVE_WANTED: u64 = 0b1110_0111;

#[inline]
pub fn smap() -> bool {
    SMAP.load(Ordering::Relaxed)
}

#[inline]
pub fn fsgsbase() -> bool {
    FSGSBASE.load(Ordering::Relaxed)
}

pub fn rdrand() -> bool {
    RDRAND.load(Ordering::Relaxed)
}

pub fn x2apic() -> bool {
    X2APIC.load(Ordering::Relaxed)
}

/// The processor can read its number with the counter, from a register that the kernel sets.
pub fn rdtscp() -> bool {
    RDTSCP.load(Ordering::Relaxed)
}

#[inline]
pub fn xsaveopt() -> bool {
    XSAVEOPT.load(Ordering::Relaxed)
}

/// The state components that programs may use; 0 where there is only `fxsave`.
#[inline]
pub fn xsave_mask() -> u64 {
    XSAVE_MASK.load(Ordering::Relaxed)
}

/// Bytes of a program's extended state.
pub fn xsave_size() -> usize {
    XSAVE_SIZE.load(Ordering::Relaxed) as usize
}

fn leaf7() -> (u32, u32) {
    if __cpuid(0).eax < 7 {
        return (0, 0);
    }
    let leaf = __cpuid_count(7, 0);
    (leaf.ebx, leaf.ecx)
}

/// The processor's feature bits that programs are told (`AT_HWCAP`, CPUID 1 EDX).
pub fn hwcap() -> u64 {
    u64::from(__cpuid(1).edx)
}

/// A CPUID leaf; zeros above the highest of its range.
pub fn identification(leaf: u32, subleaf: u32) -> [u32; 4] {
    if __cpuid(leaf & 1 << 31).eax < leaf {
        return [0; 4];
    }
    let found = __cpuid_count(leaf, subleaf);
    [found.eax, found.ebx, found.ecx, found.edx]
}

/// Turns on protection and extended state on this CPU.
pub fn init() {
    let one = __cpuid(1);
    let (seven_b, seven_c) = leaf7();
    // Native x87 errors, no emulation, no lazy switching.
    let cr0 = msr::read_cr0();
    msr::write_cr0((cr0 | 1 << 1 | 1 << 5) & !(1 << 2) & !(1 << 3));
    let mut cr4 = msr::read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT;
    if seven_b & 1 << 7 != 0 {
        cr4 |= CR4_SMEP;
    }
    if seven_b & 1 << 20 != 0 {
        cr4 |= CR4_SMAP;
        SMAP.store(true, Ordering::Relaxed);
    }
    if seven_c & 1 << 2 != 0 {
        cr4 |= CR4_UMIP;
    }
    if seven_b & 1 != 0 {
        cr4 |= CR4_FSGSBASE;
        FSGSBASE.store(true, Ordering::Relaxed);
    }
    RDRAND.store(one.ecx & 1 << 30 != 0, Ordering::Relaxed);
    X2APIC.store(one.ecx & 1 << 21 != 0, Ordering::Relaxed);
    RDTSCP.store(__cpuid(0x8000_0000).eax >= 0x8000_0001 && __cpuid(0x8000_0001).edx & 1 << 27 != 0, Ordering::Relaxed);
    let xsave = one.ecx & 1 << 26 != 0;
    if xsave {
        cr4 |= CR4_OSXSAVE;
    }
    msr::write_cr4(cr4);
    if xsave {
        let leaf = __cpuid_count(0xd, 0);
        let mut mask = (u64::from(leaf.edx) << 32 | u64::from(leaf.eax)) & XSAVE_WANTED;
        if mask & 0b1110_0000 != 0b1110_0000 {
            mask &= 0b111;
        }
        super::fpu::set_xcr0(mask);
        XSAVE_MASK.store(mask, Ordering::Relaxed);
        XSAVE_SIZE.store(__cpuid_count(0xd, 0).ebx, Ordering::Relaxed);
        XSAVEOPT.store(__cpuid_count(0xd, 1).eax & 1 != 0, Ordering::Relaxed);
    } else {
        XSAVE_SIZE.store(512, Ordering::Relaxed);
    }
}
