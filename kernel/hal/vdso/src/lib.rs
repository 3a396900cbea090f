//! The vDSO: code that the kernel maps into every process, so that reading a clock takes no system call.
//!
//! It runs in user space, is linked as a shared object without relocations (`vdso.ld`) and has the symbols and the
//! version of Linux's (`vdso(7)`). It reads one page, which the kernel maps read-only just below it; what that page
//! does not answer goes to the real system call.
//!
//! It is part of hal, and uses `unsafe`, because it is the other side of the kernel's promise about that page.

#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

use core::arch::asm;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering, fence};

use aios_abi::linux::consts::clock::{
    CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME,
    CLOCK_REALTIME_COARSE, CLOCK_TAI,
};
use aios_abi::linux::table::nr;
use aios_abi::vdso::{CLOCK_TSC, CPU_TSC_AUX, CPU_ZERO, VdsoData, monotonic_ns};

const SECOND: u64 = 1_000_000_000;

/// `struct timespec`.
#[repr(C)]
pub struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// `struct timeval`.
#[repr(C)]
pub struct Timeval {
    seconds: i64,
    microseconds: i64,
}

/// `struct timezone`: always zero.
#[repr(C)]
pub struct Timezone {
    minutes_west: i32,
    daylight_saving: i32,
}

/// The data page, found by its distance from this code.
fn page() -> *const VdsoData {
    let page: *const VdsoData;
    // SAFETY: computes an address and touches nothing. `__ehdr_start` is the first byte of this object.
    unsafe {
        asm!("lea {}, [rip + __ehdr_start - {distance}]", out(reg) page, distance = const aios_abi::vdso::DATA_BEFORE_CODE, options(pure, nomem, nostack, preserves_flags));
    }
    page
}

/// The sequence counter of the page.
fn sequence() -> &'static AtomicU32 {
    // SAFETY: 1. The kernel maps the page, page aligned and readable, for as long as this code. 2. The field is only
    // accessed as an atomic here, and the kernel writes it in one access.
    unsafe { AtomicU32::from_ptr((&raw const (*page()).sequence).cast_mut()) }
}

/// What `look` makes of a copy of the page that no write has torn, and that still held when `look` was done: a counter that
/// was read by then was read while the page was right.
#[inline(always)]
fn with_page<T>(look: impl Fn(&VdsoData) -> T) -> T {
    let sequence = sequence();
    loop {
        let before = sequence.load(Ordering::Acquire);
        // SAFETY: the page is mapped and every bit pattern is a valid `VdsoData`; the access is volatile because the kernel may
        // write meanwhile, and such a copy is thrown away.
        let data = unsafe { ptr::read_volatile(page()) };
        let found = look(&data);
        fence(Ordering::Acquire);
        if before & 1 == 0 && sequence.load(Ordering::Relaxed) == before {
            return found;
        }
        core::hint::spin_loop();
    }
}

/// One field of the page that does not change together with others.
macro_rules! field {
    ($name:ident) => {
        // SAFETY: as in `with_page`; a single aligned access is never torn.
        unsafe { ptr::read_volatile(&raw const (*page()).$name) }
    };
}

/// The time-stamp counter, not read before earlier loads are done.
fn counter() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reads a register that user programs may read (the kernel never sets CR4.TSD).
    unsafe { asm!("lfence", "rdtsc", out("eax") low, out("edx") high, options(nostack, preserves_flags)) };
    u64::from(high) << 32 | u64::from(low)
}

/// A system call with two arguments; its result as the kernel returns it.
///
/// # Safety
/// The call may write through its arguments: they are the caller's own, unchanged.
unsafe fn call(number: u32, first: usize, second: usize) -> i64 {
    let result;
    // SAFETY: the instruction clobbers rcx and r11; what it writes in memory is the caller's promise.
    unsafe {
        asm!("syscall", inlateout("rax") i64::from(number) => result, in("rdi") first, in("rsi") second, out("rcx") _, out("r11") _, options(nostack));
    }
    result
}

/// Nanoseconds of a clock that follows the counter; `None` for those that only the kernel knows.
#[inline(always)]
fn read(clock: i32) -> Option<u64> {
    let offset = |data: &VdsoData| match clock {
        CLOCK_REALTIME | CLOCK_REALTIME_COARSE | CLOCK_TAI => Some(data.realtime_offset_ns),
        CLOCK_MONOTONIC | CLOCK_MONOTONIC_COARSE | CLOCK_MONOTONIC_RAW => Some(0),
        CLOCK_BOOTTIME => Some(data.boottime_offset_ns),
        _ => None,
    };
    with_page(|data| {
        let offset = offset(data)?;
        if data.clock_mode != CLOCK_TSC {
            return None;
        }
        Some(monotonic_ns(data, counter()).wrapping_add(offset))
    })
}

/// `clock_gettime(2)`.
///
/// # Safety
/// As for the system call: `into` is valid for writing a `struct timespec`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_clock_gettime(clock: i32, into: *mut Timespec) -> i32 {
    match read(clock) {
        Some(time) => {
            let value = Timespec { seconds: (time / SECOND) as i64, nanoseconds: (time % SECOND) as i64 };
            // SAFETY: the caller's promise.
            unsafe { into.write(value) };
            0
        }
        // SAFETY: the caller's promise is that of the system call.
        None => unsafe { call(nr::CLOCK_GETTIME, clock as usize, into as usize) as i32 },
    }
}

/// `clock_getres(2)`.
///
/// # Safety
/// As for the system call: `into` is null or valid for writing a `struct timespec`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_clock_getres(clock: i32, into: *mut Timespec) -> i32 {
    let resolution = match clock {
        CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_MONOTONIC_RAW | CLOCK_BOOTTIME | CLOCK_TAI => 1,
        CLOCK_REALTIME_COARSE | CLOCK_MONOTONIC_COARSE => field!(coarse_resolution_ns) as i64,
        // SAFETY: the caller's promise is that of the system call.
        _ => return unsafe { call(nr::CLOCK_GETRES, clock as usize, into as usize) as i32 },
    };
    if !into.is_null() {
        // SAFETY: the caller's promise.
        unsafe { into.write(Timespec { seconds: 0, nanoseconds: resolution }) };
    }
    0
}

/// `gettimeofday(2)`.
///
/// # Safety
/// As for the system call: each pointer is null or valid for writing what it points to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_gettimeofday(into: *mut Timeval, zone: *mut Timezone) -> i32 {
    let Some(time) = read(CLOCK_REALTIME) else {
        // SAFETY: the caller's promise is that of the system call.
        return unsafe { call(nr::GETTIMEOFDAY, into as usize, zone as usize) as i32 };
    };
    if !into.is_null() {
        let value = Timeval { seconds: (time / SECOND) as i64, microseconds: (time % SECOND / 1000) as i64 };
        // SAFETY: the caller's promise.
        unsafe { into.write(value) };
    }
    if !zone.is_null() {
        // SAFETY: the caller's promise.
        unsafe { zone.write(Timezone { minutes_west: 0, daylight_saving: 0 }) };
    }
    0
}

/// `time(2)`.
///
/// # Safety
/// As for the system call: `into` is null or valid for writing a `time_t`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_time(into: *mut i64) -> i64 {
    let Some(time) = read(CLOCK_REALTIME) else {
        // SAFETY: the caller's promise is that of the system call.
        return unsafe { call(nr::TIME, into as usize, 0) };
    };
    let seconds = (time / SECOND) as i64;
    if !into.is_null() {
        // SAFETY: the caller's promise.
        unsafe { into.write(seconds) };
    }
    seconds
}

/// `getcpu(2)`.
///
/// # Safety
/// As for the system call: each pointer is null or valid for writing an `unsigned`; the third is not used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __vdso_getcpu(cpu: *mut u32, node: *mut u32, _unused: *mut u8) -> i64 {
    let number = match field!(cpu_mode) {
        CPU_ZERO => 0,
        CPU_TSC_AUX => processor_register(),
        // SAFETY: the caller's promise is that of the system call.
        _ => return unsafe { call(nr::GETCPU, cpu as usize, node as usize) },
    };
    for (place, value) in [(cpu, number & 0xfff), (node, number >> 12)] {
        if !place.is_null() {
            // SAFETY: the caller's promise.
            unsafe { place.write(value) };
        }
    }
    0
}

/// `TSC_AUX`, which the kernel sets on each processor when it says `CPU_TSC_AUX`.
fn processor_register() -> u32 {
    let value;
    // SAFETY: reads registers that user programs may read; the kernel says `CPU_TSC_AUX` only where the instruction exists.
    unsafe { asm!("rdtscp", out("ecx") value, out("eax") _, out("edx") _, options(nomem, nostack, preserves_flags)) };
    value
}

/// There is nothing here that panics, and the link fails if that changes: no symbol may be left undefined.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

// The note by which the C library's loader learns which kernel this is like: Linux 6.1, as `uname` says too.
core::arch::global_asm!(
    ".pushsection .note.Linux, \"a\", @note",
    ".balign 4",
    ".long 6, 4, 0",
    ".asciz \"Linux\"",
    ".balign 4",
    ".long 0x00060100",
    ".popsection",
);
