//! Copies to and from the running program, with a way out when they fault.
//!
//! An instruction that may fault is listed in a table with the place to go on at. The page-fault handler first tries
//! to resolve the fault; when it cannot, it goes there instead. `stac`/`clac` open user memory only around the copy
//! (they are patched in as no-ops by a flag test where the processor lacks SMAP).

use core::arch::{asm, global_asm};

use super::{features, phys};
use crate::addr::{Pfn, Virt};

// rdi: destination, rsi: source, rdx: bytes. Returns in rax the bytes not copied.
global_asm!(
    r#"
    .text
    .global user_copy
user_copy:
    mov rcx, rdx
    shr rcx, 3
    and edx, 7
1:  rep movsq
    mov ecx, edx
2:  rep movsb
    xor eax, eax
    ret
3:  lea rcx, [rdx + rcx * 8]        // in words: on byte by byte, up to the one that cannot be reached
5:  rep movsb
    xor eax, eax
    ret
4:  mov rax, rcx
    ret

    .section .rodata.fixups, "a"
    .align 8
user_fixups:
    .quad 1b, 3b
    .quad 2b, 4b
    .quad 5b, 4b
    .quad user_load_u32_at, user_word_fault
    .quad user_exchange_u32_at, user_word_fault
user_fixups_end:

    .text
    // rdi: address; returns the value in eax and 0 in edx, or 1 in edx.
    .global user_load_u32
user_load_u32:
    xor edx, edx
user_load_u32_at:
    mov eax, [rdi]
    ret
    // rdi: address, esi: old, ecx: new; returns the value found and 0 in edx, or 1 in edx.
    .global user_exchange_u32
user_exchange_u32:
    xor edx, edx
    mov eax, esi
user_exchange_u32_at:
    lock cmpxchg [rdi], ecx
    ret
user_word_fault:
    mov edx, 1
    ret
    "#
);

unsafe extern "C" {
    fn user_copy(to: *mut u8, from: *const u8, len: usize) -> usize;
    static user_fixups: [u64; 2];
    static user_fixups_end: [u64; 2];
}

/// Where a faulting instruction goes on, if it is one of the table's.
pub fn fixup(rip: u64) -> Option<u64> {
    // SAFETY: the two symbols bound the table, which is constant.
    let table = unsafe {
        let start = &raw const user_fixups;
        core::slice::from_raw_parts(start, (&raw const user_fixups_end).offset_from(start) as usize)
    };
    table.iter().find(|row| row[0] == rip).map(|row| row[1])
}

#[inline]
fn open<T>(access: impl FnOnce() -> T) -> T {
    if !features::smap() {
        return access();
    }
    // SAFETY: AC only matters in ring 0 for data accesses to user pages; it is cleared again right after, and by the
    // trap entry for whatever runs in between.
    unsafe { asm!("stac", options(nostack)) };
    let value = access();
    // SAFETY: as above.
    unsafe { asm!("clac", options(nostack)) };
    value
}

/// Both return the bytes not copied; the user range was checked by the caller.
pub fn copy_from_user(into: &mut [u8], from: Virt) -> usize {
    // SAFETY: the destination is a live slice; the source is user memory whose faults the table catches.
    open(|| unsafe { user_copy(into.as_mut_ptr(), from.0 as *const u8, into.len()) })
}

pub fn copy_to_user(to: Virt, from: &[u8]) -> usize {
    // SAFETY: the source is a live slice; the destination is user memory, which no Rust reference covers.
    open(|| unsafe { user_copy(to.0 as *mut u8, from.as_ptr(), from.len()) })
}

pub fn copy_frame_to_user(to: Virt, pfn: Pfn, offset: usize, len: usize) -> usize {
    // SAFETY: the caller checked that the run is inside the frame, which it holds a reference to.
    open(|| unsafe { user_copy(to.0 as *mut u8, phys::frame_address(pfn, offset), len) })
}

pub fn copy_frame_from_user(pfn: Pfn, offset: usize, from: Virt, len: usize) -> usize {
    // SAFETY: as above.
    open(|| unsafe { user_copy(phys::frame_address(pfn, offset), from.0 as *const u8, len) })
}

pub fn load_user_u32(at: Virt) -> Option<u32> {
    let (value, failed) = open(|| {
        let (value, failed): (u32, u32);
        // SAFETY: the address is in user space and aligned; a fault sets the flag instead.
        unsafe { asm!("call user_load_u32", in("rdi") at.0, lateout("eax") value, lateout("edx") failed) };
        (value, failed)
    });
    (failed == 0).then_some(value)
}

pub fn compare_exchange_user_u32(at: Virt, old: u32, new: u32) -> Option<u32> {
    let (value, failed) = open(|| {
        let (value, failed): (u32, u32);
        // SAFETY: as above.
        unsafe {
            asm!("call user_exchange_u32", in("rdi") at.0, in("esi") old, in("ecx") new, lateout("eax") value, lateout("edx") failed);
        }
        (value, failed)
    });
    (failed == 0).then_some(value)
}
