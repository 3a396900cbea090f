//! The first instructions: from PVH, Multiboot2 or the UEFI loader to Rust in the upper half.
//!
//! The two 32-bit entries (PVH: `xen/include/public/arch-x86/hvm/start_info.h`; Multiboot2 §3.3) find the image at its
//! linked physical address. They map the first 4 GiB one to one and enter long mode. The 64-bit entry may find the
//! image anywhere below 4 GiB at a 2 MiB boundary. From there on all share one path, which builds the kernel's own
//! tables: image pages executable or writable or neither, the direct map never executable, and one identity page
//! that only carries execution over the switch.

use core::arch::global_asm;

use super::layout;

/// Page tables for the kernel image: 2 MiB each; the linker script checks the image's size against them.
pub const IMAGE_TABLES: usize = 8;

global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .align 4
    .long 4                         // name size
    .long 8                         // description size: QEMU reads eight bytes
    .long 18                        // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_entry - {KERNEL}

    .section .text.boot, "ax"
    .align 8
multiboot2_header:
    .long 0xe85250d6
    .long 0
    .long multiboot2_end - multiboot2_header
    .long -(0xe85250d6 + (multiboot2_end - multiboot2_header))
    .align 8                        // entry address
    .short 3
    .short 0
    .long 12
    .long multiboot2_entry - {KERNEL}
    .align 8                        // modules on page boundaries
    .short 6
    .short 0
    .long 8
    .align 8                        // framebuffer wanted, not required
    .short 5
    .short 1
    .long 20
    .long 0
    .long 0
    .long 32
    .align 8
    .short 0
    .short 0
    .long 8
multiboot2_end:

    .code32
    .global pvh_entry
pvh_entry:
    mov edi, ebx
    mov esi, 2
    jmp protected_mode
multiboot2_entry:
    mov edi, ebx
    mov esi, 3

protected_mode:
    cli
    cld
    // Does the processor have long mode at all?
    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb 9f
    mov eax, 0x80000001
    cpuid
    test edx, 1 << 29
    jz 9f
    // Four directories of 2 MiB pages: the first 4 GiB.
    mov ebx, offset boot_direct_directories - {KERNEL}
    mov eax, 0x83
    xor ecx, ecx
1:  mov [ebx + ecx * 8], eax
    mov dword ptr [ebx + ecx * 8 + 4], 0
    add eax, 0x200000
    inc ecx
    cmp ecx, 2048
    jne 1b
    mov ecx, offset boot_direct_pointers - {KERNEL}
    lea eax, [ebx + 3]
    mov [ecx], eax
    add eax, 0x1000
    mov [ecx + 8], eax
    add eax, 0x1000
    mov [ecx + 16], eax
    add eax, 0x1000
    mov [ecx + 24], eax
    mov ebx, offset boot_trampoline_root - {KERNEL}
    lea eax, [ecx + 3]
    mov [ebx], eax
    mov cr3, ebx
    mov eax, cr4
    or eax, 1 << 5                  // PAE
    mov cr4, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 1 << 8                  // EFER.LME
    wrmsr
    mov eax, cr0
    or eax, 0x80000001              // PG, PE
    mov cr0, eax
    lgdt [boot_gdt_pointer - {KERNEL}]
    // A far jump by return: 32-bit code has no relocation for the selector's partner.
    mov esp, offset __boot_stack_top - {KERNEL}
    push 0x08
    mov eax, offset long_mode - {KERNEL}
    push eax
    retf
9:  hlt
    jmp 9b

    .align 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
boot_gdt_pointer:
    .short boot_gdt_pointer - boot_gdt - 1
    .quad boot_gdt - {KERNEL}

    .code64
    .global uefi_entry
uefi_entry:
    cli
    cld
    mov esi, 1
long_mode:
    // rdi: boot information, physical; esi: who left it. Running at physical addresses.
    lea rbx, [rip + __image_start]
    mov ecx, 0xc0000080
    rdmsr
    or eax, (1 << 0) | (1 << 11)    // EFER.SCE, EFER.NXE
    wrmsr

    // The image, page by page.
    lea r8, [rip + boot_image_tables]
    lea r9, [rip + __image_end]
    lea r12, [rip + __text_end]
    lea r13, [rip + __rodata_end]
    lea r14, [rip + __boot_stack_guard]
    mov r15, 1
    shl r15, 63                     // NX
    mov rax, rbx
2:  mov rcx, rax
    or rcx, 0x101                   // present, global
    cmp rax, r12
    jb 3f
    or rcx, r15
    cmp rax, r13
    jb 3f
    or rcx, 2
    cmp rax, r14
    jne 3f
    xor ecx, ecx
3:  mov [r8], rcx
    add r8, 8
    add rax, 0x1000
    cmp rax, r9
    jb 2b

    // The direct map of the first 4 GiB.
    lea r8, [rip + boot_direct_directories]
    mov rax, 0x183                  // present, write, 2 MiB, global
    xor ecx, ecx
4:  mov [r8 + rcx * 8], rax
    add rax, 0x200000
    inc ecx
    cmp ecx, 2048
    jne 4b
    lea r9, [rip + boot_direct_pointers]
    lea rax, [r8 + 3]
    xor ecx, ecx
5:  mov [r9 + rcx * 8], rax
    add rax, 0x1000
    inc ecx
    cmp ecx, 4
    jne 5b

    // The tables above: image, direct map, and the one identity page this code runs on.
    lea r8, [rip + boot_image_tables]
    lea r10, [rip + boot_image_directory]
    lea rax, [r8 + 3]
    xor ecx, ecx
6:  mov [r10 + rcx * 8 + 8], rax    // linked 2 MiB above the base
    add rax, 0x1000
    inc ecx
    cmp ecx, {IMAGE_TABLES}
    jne 6b
    lea r11, [rip + boot_image_pointers]
    lea rax, [r10 + 3]
    mov [r11 + 510 * 8], rax
    lea r12, [rip + boot_root]
    lea rax, [r11 + 3]
    mov [r12 + 511 * 8], rax
    lea rax, [r9 + 3]
    or rax, r15
    mov [r12 + 256 * 8], rax
    lea r13, [rip + boot_identity_pointers]
    lea rax, [r13 + 3]
    mov [r12], rax
    lea r14, [rip + boot_identity_directory]
    mov rcx, rbx
    shr rcx, 30
    and ecx, 511
    lea rax, [r14 + 3]
    mov [r13 + rcx * 8], rax
    mov rcx, rbx
    shr rcx, 21
    and ecx, 511
    mov rax, rbx
    or rax, 0x81                    // present, 2 MiB, read and execute only
    mov [r14 + rcx * 8], rax

    mov rax, cr4
    or rax, (1 << 5) | (1 << 7)     // PAE, PGE
    mov cr4, rax
    mov cr3, r12
    mov rax, cr0
    or rax, (1 << 16)               // write protection holds for the kernel too
    mov cr0, rax
    lea rsp, [rip + __boot_stack_top]
    sub rsp, rbx
    movabs rax, offset __image_start
    add rsp, rax
    movabs rax, offset upper_half
    jmp rax
upper_half:
    mov qword ptr [rip + boot_root], 0
    mov rax, cr3
    mov cr3, rax
    mov rdx, rbx
    xor ebp, ebp
    push rbp
    push rbp
    call {start}
8:  hlt
    jmp 8b

    .section .bss.boot, "aw", @nobits
    .align 4096
    .global boot_root, boot_trampoline_root, boot_identity_pointers, boot_identity_directory
boot_root: .skip 4096
boot_trampoline_root: .skip 4096
boot_direct_pointers: .skip 4096
boot_direct_directories: .skip 4 * 4096
boot_image_pointers: .skip 4096
boot_image_directory: .skip 4096
boot_image_tables: .skip {IMAGE_TABLES} * 4096
boot_identity_pointers: .skip 4096
boot_identity_directory: .skip 4096

    .section .bss.boot_stack, "aw", @nobits
    .align 4096
    .global __boot_stack_guard
__boot_stack_guard: .skip 4096
    .skip 16 * 4096
    .global __boot_stack_top
__boot_stack_top:
    .text
    "#,
    KERNEL = const layout::KERNEL,
    IMAGE_TABLES = const IMAGE_TABLES,
    start = sym super::start::start,
);
