//! Segments, the task state segment and the stacks for exceptions that must not use the running one.

use core::arch::asm;
use core::mem::offset_of;

use super::layout;
use super::stack::KernelStack;

/// The interrupt stack table entry of each such exception.
pub const IST_NMI: u8 = 1;
pub const IST_DOUBLE_FAULT: u8 = 2;
pub const IST_MACHINE_CHECK: u8 = 3;
pub const IST_DEBUG: u8 = 4;

/// SDM 3A §8.7.
#[repr(C, packed(4))]
struct TaskState {
    reserved0: u32,
    rsp: [u64; 3],
    reserved1: u64,
    ist: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    io_map: u16,
}

/// A CPU's descriptor table and task state.
#[repr(C, align(16))]
pub struct Tables {
    gdt: [u64; 9],
    state: TaskState,
    stacks: [Option<KernelStack>; 4],
}

impl Tables {
    pub const RSP0: usize = offset_of!(Tables, state) + offset_of!(TaskState, rsp);

    pub const fn new(number: u32) -> Tables {
        Tables {
            gdt: [
                0,
                0x00af_9b00_0000_ffff, // kernel code
                0x00cf_9300_0000_ffff, // kernel data
                0,                     // 32-bit user code: none
                0x00cf_f300_0000_ffff, // user data
                0x00af_fb00_0000_ffff, // user code
                // Expand-up data whose limit is the CPU number: `lsl` on selector 0x33 reads it, as on Linux.
                0x0040_f500_0000_0000 | (number as u64 & 0xffff),
                0, // task state, low
                0, // task state, high
            ],
            state: TaskState {
                reserved0: 0,
                rsp: [0; 3],
                reserved1: 0,
                ist: [0; 7],
                reserved2: 0,
                reserved3: 0,
                // Past the limit: no port is open to user mode.
                io_map: size_of::<TaskState>() as u16,
            },
            stacks: [const { None }; 4],
        }
    }

    /// Makes the table the running CPU's. `self` stays where it is for ever.
    pub fn load(&'static mut self) {
        let base = &raw const self.state as u64;
        let limit = size_of::<TaskState>() as u64 - 1;
        self.gdt[7] = limit | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
        self.gdt[8] = base >> 32;
        #[repr(C, packed)]
        struct Pointer {
            limit: u16,
            base: u64,
        }
        let pointer = Pointer { limit: size_of_val(&self.gdt) as u16 - 1, base: self.gdt.as_ptr() as u64 };
        // SAFETY: 1. The descriptors are well formed and live for ever. 2. Code and data selectors name flat ring-0
        // segments like those in use, so execution goes on unchanged; the far return only reloads CS. 3. `gs` is
        // loaded by `PerCpu::install` after this.
        unsafe {
            asm!(
                "lgdt [{pointer}]",
                "push {code}",
                "lea {scratch}, [rip + 2f]",
                "push {scratch}",
                "retfq",
                "2:",
                "mov ds, {data:e}",
                "mov es, {data:e}",
                "mov ss, {data:e}",
                "mov fs, {zero:e}",
                "mov gs, {zero:e}",
                "ltr {tss:x}",
                pointer = in(reg) &pointer,
                code = in(reg) u64::from(layout::KERNEL_CODE),
                data = in(reg) u32::from(layout::KERNEL_DATA),
                zero = in(reg) 0u32,
                tss = in(reg) layout::TSS,
                scratch = out(reg) _,
            );
        }
    }

    /// Gives the exceptions with stacks of their own those stacks.
    pub fn set_exception_stacks(&mut self, stacks: [KernelStack; 4]) {
        for (index, stack) in stacks.into_iter().enumerate() {
            self.state.ist[index] = stack.top();
            self.stacks[index] = Some(stack);
        }
    }
}

/// Stacks for [`Tables::set_exception_stacks`]; `None` when there is no memory for them.
pub fn exception_stacks() -> Option<[KernelStack; 4]> {
    let new = || KernelStack::new().ok();
    Some([new()?, new()?, new()?, new()?])
}
