//! Exceptions, interrupts and system calls: from the processor into Rust.
//!
//! A trap from user mode finds the stack pointer set to the end of the user context's register area, so the processor
//! and the entry code push straight into it; then the kernel stack and registers of whoever called
//! [`UserContext::run`](crate::user::UserContext::run) come back, and that call returns. A trap from the kernel is
//! handled where it happened and returns to it.
//!
//! NMI, double fault, machine check and debug use stacks of their own and cannot trust `gs`: they look at GS_BASE,
//! whose kernel value is in the upper half.

use core::arch::global_asm;
use core::cell::UnsafeCell;

use super::{apic, clock, features, gdt, layout, mce, msr, nmi, percpu, smp, stack, tlb, usercopy};
use crate::addr::Virt;
use crate::irq::{self, Local, pic};
use crate::user::Registers;
use crate::usermem::{self, Access};

pub const DEBUG: u64 = 1;
pub const NMI: u64 = 2;
pub const DOUBLE_FAULT: u64 = 8;
pub const PAGE_FAULT: u64 = 14;
pub const MACHINE_CHECK: u64 = 18;
/// Stands in the vector field for a system call.
pub const SYSCALL: u64 = 0x100;

global_asm!(
    r#"
    .macro push_registers
    push rdi
    push rsi
    push rdx
    push rcx
    push rax
    push r8
    push r9
    push r10
    push r11
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    .endm

    .macro pop_registers
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    pop r11
    pop r10
    pop r9
    pop r8
    pop rax
    pop rcx
    pop rdx
    pop rsi
    pop rdi
    .endm

    // One entry each 16 bytes: error code (the processor's or 0), vector, on to the common part.
    .text
    .balign 16
    .global trap_entries
trap_entries:
    .set vector, 0
    .rept 256
    .balign 16
    .if vector == 8 || vector == 10 || vector == 11 || vector == 12 || vector == 13 || vector == 14 || vector == 17 || vector == 21 || vector == 29 || vector == 30
    .else
    push 0
    .endif
    push vector
    .if vector == 1 || vector == 2 || vector == 8 || vector == 18
    jmp trap_own_stack
    .else
    jmp trap_common
    .endif
    .set vector, vector + 1
    .endr

trap_common:
    test byte ptr [rsp + 24], 3
    jz trap_from_kernel
    swapgs
trap_from_user:
    push_registers
    // Back to whoever called `enter_user`.
    mov rsp, gs:[{KERNEL_SP}]
    cld
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

trap_from_kernel:
    push_registers
    cld
    mov rdi, rsp
    call {kernel_trap}
    pop_registers
    add rsp, 16
    iretq

trap_own_stack:
    test byte ptr [rsp + 24], 3
    jnz 1f
    // From the kernel, perhaps before `gs` was swapped: the sign of GS_BASE tells.
    push_registers
    cld
    xor ebx, ebx
    mov ecx, 0xc0000101
    rdmsr
    test edx, edx
    js 2f
    swapgs
    inc ebx
2:  mov rdi, rsp
    call {kernel_trap}
    test ebx, ebx
    jz 3f
    swapgs
3:  pop_registers
    add rsp, 16
    iretq
1:  // From user mode: move what was pushed into the context and go the usual way.
    swapgs
    push rdi
    mov rdi, rsp
    mov rsp, gs:[{CONTEXT_TOP}]
    push [rdi + 56]
    push [rdi + 48]
    push [rdi + 40]
    push [rdi + 32]
    push [rdi + 24]
    push [rdi + 16]
    push [rdi + 8]
    mov rdi, [rdi]
    jmp trap_from_user

    .global syscall_entry
syscall_entry:
    swapgs
    mov gs:[{SCRATCH}], rsp
    mov rsp, gs:[{CONTEXT_TOP}]
    push {USER_DATA}
    push gs:[{SCRATCH}]
    push r11
    push {USER_CODE}
    push rcx
    push 0
    push {SYSCALL}
    jmp trap_from_user

    // rdi: the registers to go on with. Returns when the program traps. Interrupts are off on both ways.
    .global enter_user
enter_user:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    mov gs:[{KERNEL_SP}], rsp
    lea rax, [rdi + {FRAME}]
    mov gs:[{CONTEXT_TOP}], rax
    mov gs:[{RSP0}], rax
    mov rsp, rdi
    // After a system call whose return state is the one `sysret` can make, use it.
    cmp qword ptr [rsp + 15 * 8], {SYSCALL}
    jne 1f
    mov rax, [rsp + 17 * 8]         // rip
    cmp rax, [rsp + 11 * 8]         // rcx
    jne 1f
    mov rcx, rax
    shr rcx, 47                     // never with an address that would fault in ring 0
    jnz 1f
    mov rcx, [rsp + 19 * 8]         // flags
    cmp rcx, [rsp + 6 * 8]          // r11
    jne 1f
    test ecx, 0x10100               // resume and trap flags need the long way
    jnz 1f
    pop_registers
    mov rsp, [rsp + 5 * 8]
    swapgs
    sysretq
1:  pop_registers
    add rsp, 16
    swapgs
    iretq
    "#,
    KERNEL_SP = const percpu::KERNEL_SP,
    CONTEXT_TOP = const percpu::CONTEXT_TOP,
    SCRATCH = const percpu::SCRATCH,
    RSP0 = const percpu::RSP0,
    USER_DATA = const layout::USER_DATA,
    USER_CODE = const layout::USER_CODE,
    SYSCALL = const SYSCALL,
    FRAME = const size_of::<Registers>(),
    kernel_trap = sym kernel_trap,
);

unsafe extern "C" {
    static trap_entries: [[u8; 16]; 256];
    fn syscall_entry();
    pub fn enter_user(registers: *mut Registers);
}

#[repr(C, align(16))]
struct InterruptTable(UnsafeCell<[[u64; 2]; 256]>);

// SAFETY: written once by `init` before any CPU loads it, read by processors only.
unsafe impl Sync for InterruptTable {}

static TABLE: InterruptTable = InterruptTable(UnsafeCell::new([[0; 2]; 256]));

/// Fills the interrupt table. Called once, on the first CPU.
pub fn init() {
    // SAFETY: only this call writes the table, before anything loads it.
    let table = unsafe { &mut *TABLE.0.get() };
    for (vector, gate) in table.iter_mut().enumerate() {
        // SAFETY: taking the address of a symbol; nothing is read.
        let address = unsafe { (&raw const trap_entries).cast::<[u8; 16]>().add(vector) } as u64;
        let own_stack = match vector as u64 {
            NMI => gdt::IST_NMI,
            DOUBLE_FAULT => gdt::IST_DOUBLE_FAULT,
            MACHINE_CHECK => gdt::IST_MACHINE_CHECK,
            DEBUG => gdt::IST_DEBUG,
            _ => 0,
        };
        // Breakpoint and overflow may be raised by programs (SDM 3A §6.12.1.2).
        let privilege: u64 = if vector == 3 || vector == 4 { 3 } else { 0 };
        gate[0] = (address & 0xffff)
            | u64::from(layout::KERNEL_CODE) << 16
            | u64::from(own_stack) << 32
            | (0x8e | privilege << 5) << 40
            | (address >> 16 & 0xffff) << 48;
        gate[1] = address >> 32;
    }
}

/// Makes this CPU use the table and take system calls.
pub fn load() {
    #[repr(C, packed)]
    struct Pointer {
        limit: u16,
        base: u64,
    }
    let pointer = Pointer { limit: 256 * 16 - 1, base: TABLE.0.get() as u64 };
    // SAFETY: the table is filled in and lives for ever.
    unsafe { core::arch::asm!("lidt [{}]", in(reg) &pointer, options(nostack, preserves_flags)) };
    msr::write(msr::STAR, u64::from(layout::KERNEL_CODE) << 32 | u64::from(layout::USER_DATA - 8) << 48);
    msr::write(msr::LSTAR, syscall_entry as *const () as u64);
    // Off in the kernel: interrupts, trap, direction, alignment check, nested task, I/O privilege.
    msr::write(msr::SFMASK, 0x200 | 0x100 | 0x400 | 0x4_0000 | 0x4000 | 0x3000);
}

/// Resets the processor, and with it the machine: without an interrupt table an exception ends in a shutdown (SDM 3A 6.15).
pub fn fault_thrice() -> ! {
    let nothing = [0u16; 5];
    // SAFETY: nothing runs on this processor after it.
    unsafe { core::arch::asm!("lidt [{}]", "int3", in(reg) &nothing, options(noreturn)) }
}

/// Follows a bad pointer.
pub fn touch_nothing() -> ! {
    // SAFETY: nothing is ever mapped there, so nothing is read: the processor refuses it.
    unsafe { (layout::NOTHING as *const u8).read_volatile() };
    unreachable!("something is mapped where nothing may be");
}

/// Decodes a page fault's error code.
pub fn fault_access(error: u64) -> Access {
    if error & 1 << 4 != 0 {
        Access::Execute
    } else if error & 1 << 1 != 0 {
        Access::Write
    } else {
        Access::Read
    }
}

/// Handles a vector of the interrupt range. Runs with interrupts off.
pub fn interrupt(vector: u64) {
    let cpu = percpu::this();
    cpu.handlers.set(cpu.handlers.get() + 1);
    handle(vector as u8);
    cpu.handlers.set(cpu.handlers.get() - 1);
}

fn handle(vector: u8) {
    match vector {
        apic::TIMER => {
            irq::count(Local::Timer);
            apic::end_of_interrupt();
            clock::timer_came();
            crate::time::timer_fired();
        }
        apic::RESCHEDULE => {
            irq::count(Local::Reschedule);
            apic::end_of_interrupt();
            crate::ipi::rescheduled();
        }
        apic::CALL => {
            irq::count(Local::Call);
            apic::end_of_interrupt();
            smp::called();
        }
        apic::FLUSH => {
            irq::count(Local::TlbShootDown);
            apic::end_of_interrupt();
            tlb::serve();
        }
        apic::SPURIOUS => irq::count(Local::Spurious),
        apic::ERROR => apic::error(),
        vector @ pic::FIRST_VECTOR..irq::FIRST_VECTOR => irq::handle_legacy(vector - pic::FIRST_VECTOR),
        vector => {
            irq::handle(vector);
            apic::end_of_interrupt();
        }
    }
}

extern "C" fn kernel_trap(frame: &mut Registers) {
    if features::smap() {
        // SAFETY: closes user memory again; the interrupted code's flag comes back with its flags.
        unsafe { core::arch::asm!("clac", options(nostack)) };
    }
    match frame.vector {
        PAGE_FAULT => kernel_page_fault(frame),
        vector if vector >= 32 => {
            interrupt(vector);
            if frame.rflags & msr::INTERRUPTS_ON != 0 {
                crate::cpu::interrupted(percpu::preempt_depth() == 0);
            }
        }
        NMI => nmi::handle(frame, false),
        MACHINE_CHECK => {
            mce::handle(frame.rip, false);
        }
        vector => {
            let own_stack = matches!(vector, DEBUG | DOUBLE_FAULT);
            if !own_stack {
                remember(frame);
            }
            panic!("{} in the kernel at {:#x}, error {:#x}", name(vector), frame.rip, frame.error)
        }
    }
}

/// Tells the panic that follows that an exception of the kernel's own code is its reason, and where it came.
fn remember(frame: &Registers) {
    percpu::this().fault.set(Some((frame.rip, frame.rflags & msr::INTERRUPTS_ON != 0)));
}

fn kernel_page_fault(frame: &mut Registers) {
    let address = Virt(msr::read_cr2());
    let Some(fixup) = usercopy::fixup(frame.rip) else {
        let what = if stack::is_guard(address.0) { "kernel stack overflow" } else { "page fault in the kernel" };
        remember(frame);
        panic!("{what}: address {address}, at {:#x}, error {:#x}", frame.rip, frame.error);
    };
    let interrupts = frame.rflags & msr::INTERRUPTS_ON != 0;
    assert!(
        interrupts && percpu::preempt_depth() == 0,
        "user memory touched under a spinning lock, at {:#x}",
        frame.rip
    );
    msr::interrupts_on();
    let resolved = usermem::resolve(address, fault_access(frame.error));
    msr::interrupts_off();
    if !resolved {
        frame.rip = fixup;
    }
}

/// What Intel calls the exception (SDM 3A table 6-1).
pub fn name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug exception",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack-segment fault",
        13 => "general protection fault",
        14 => "page fault",
        16 => "x87 floating-point error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD floating-point error",
        20 => "virtualization exception",
        21 => "control protection exception",
        _ => "exception",
    }
}
