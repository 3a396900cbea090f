//! How the other CPUs get from real mode to Rust: a page of code below 1 MiB (SDM 3A §9.4.4), and what it finds there.
//!
//! The code goes from real mode to long mode in one step: with paging and protection turned on together. Its page table
//! maps its own page one to one, executable and not writable, and the kernel's half as always. The table is used
//! only there; the CPU's first Rust code leaves it.

use core::arch::global_asm;
use core::sync::atomic::Ordering;

use super::{layout, phys};
use crate::addr::Phys;
use crate::paging::{Table, bits};

/// Where what the code reads lies in the page.
const GDT_POINTER: u64 = 8;
const FAR_POINTER: u64 = 16;
const ROOT: u64 = 24;
const STACK: u64 = 32;
const ARGUMENT: u64 = 40;
const ENTRY: u64 = 48;
const GDT: u64 = 56;
const CODE: u64 = 80;

global_asm!(
    r#"
    .section .rodata.trampoline, "a"
    .balign 8
    .code16
trampoline:
    jmp 1f
    .org trampoline + {GDT_POINTER}
    .short 23                       // limit; then the address, filled in
    .org trampoline + {FAR_POINTER}
    .long trampoline_long - trampoline // completed by the page's address
    .short {KERNEL_CODE}
    .org trampoline + {GDT}
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
    .org trampoline + {CODE}
1:  cli
    cld
    mov ax, cs
    mov ds, ax
    lgdtd [{GDT_POINTER}]
    mov eax, (1 << 5) | (1 << 7)    // PAE, PGE
    mov cr4, eax
    mov eax, dword ptr [{ROOT}]
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, (1 << 0) | (1 << 8) | (1 << 11) // EFER.SCE, EFER.LME, EFER.NXE
    wrmsr
    mov eax, 0x80010033             // PG, WP, NE, ET, MP, PE; caches on
    mov cr0, eax
    .byte 0x66, 0xff, 0x2e          // far jump through six bytes of memory
    .short {FAR_POINTER}
    .code64
trampoline_long:
    mov rsp, [rip + trampoline + {STACK}]
    mov rdi, [rip + trampoline + {ARGUMENT}]
    xor ebp, ebp
    push rbp
    mov rax, [rip + trampoline + {ENTRY}]
    jmp rax
trampoline_end:
    .text
    "#,
    GDT_POINTER = const GDT_POINTER,
    FAR_POINTER = const FAR_POINTER,
    ROOT = const ROOT,
    STACK = const STACK,
    ARGUMENT = const ARGUMENT,
    ENTRY = const ENTRY,
    GDT = const GDT,
    CODE = const CODE,
    KERNEL_CODE = const layout::KERNEL_CODE,
);

unsafe extern "C" {
    static trampoline: u8;
    static trampoline_end: u8;
    static boot_trampoline_root: Table;
    static boot_identity_pointers: Table;
    static boot_identity_directory: Table;
}

/// What a CPU starts with.
pub struct Start {
    /// One past the highest byte of its stack.
    pub stack: u64,
    /// Given to `entry`.
    pub argument: u64,
    pub entry: extern "C" fn(u64) -> !,
}

/// The page, ready for one CPU after the other.
pub struct Trampoline {
    page: Phys,
}

fn table_entry(table: *const Table, flags: u64) -> u64 {
    phys::image_phys(table as u64) | flags
}

impl Trampoline {
    /// Fills the page that start-up kept for this; `None` when there is no memory below 1 MiB.
    pub fn new() -> Option<Trampoline> {
        let page = phys::low_page()?;
        let start = &raw const trampoline;
        let length = (&raw const trampoline_end) as usize - start as usize;
        // SAFETY: the two symbols bound the code, which is constant data here.
        let code = unsafe { core::slice::from_raw_parts(start, length) };
        phys::write_phys(page.0, code);
        // Addresses that real mode needs as a whole, all below 4 GiB.
        let put = |at: u64, value: u64| phys::write_phys(page.0 + at, &(value as u32).to_le_bytes());
        let mut jump = [0; 4];
        phys::read_phys(page.0 + FAR_POINTER, &mut jump);
        put(GDT_POINTER + 2, page.0 + GDT);
        put(FAR_POINTER, page.0 + u64::from(u32::from_le_bytes(jump)));
        put(ROOT, phys::image_phys((&raw const boot_trampoline_root) as u64));
        // SAFETY: the boot code is done with its tables, which from then on only this function changes, as atomics; it is
        // called once at a time.
        let (root, pointers, directory) =
            unsafe { (&boot_trampoline_root, &boot_identity_pointers, &boot_identity_directory) };
        [root, pointers, directory].into_iter().flatten().for_each(|entry| entry.store(0, Ordering::Relaxed));
        phys::share_kernel_half(root);
        root[0].store(table_entry(pointers, bits::PRESENT), Ordering::Relaxed);
        pointers[0].store(table_entry(directory, bits::PRESENT), Ordering::Relaxed);
        // The first 2 MiB, which the page lies in.
        directory[0].store(bits::PRESENT | bits::HUGE, Ordering::SeqCst);
        Some(Trampoline { page })
    }

    /// Sets what the next CPU finds.
    pub fn prepare(&self, start: &Start) {
        let put = |at: u64, value: u64| phys::write_phys(self.page.0 + at, &value.to_le_bytes());
        put(STACK, start.stack);
        put(ARGUMENT, start.argument);
        put(ENTRY, start.entry as *const () as u64);
        core::sync::atomic::fence(Ordering::SeqCst);
    }

    /// The page's number, as the start message carries it.
    pub fn page(&self) -> u8 {
        (self.page.0 >> 12) as u8
    }
}
