//! The real machine: a 64-bit PC.

mod apic;
mod clock;
mod cpus;
mod entry;
mod features;
mod fpu;
mod gdt;
mod heap;
mod kept;
mod kmap;
mod layout;
mod mce;
mod msr;
mod nmi;
mod panic;
mod percpu;
mod phys;
mod ports;
mod serial;
mod smp;
mod stack;
mod start;
mod symbols;
mod task;
mod tlb;
mod trampoline;
mod traps;
mod user;
mod usercopy;

pub use apic::{LEGACY_CHIP, accept_legacy_interrupts, destination, set_line};
pub use clock::{
    arm_timer, calibrate, counter_hz, monotonic_ns, parameters as clock_parameters, refine, set_wall_offset_ns,
    source as clock_source, wall_offset_ns,
};
pub use cpus::cpu_count;
pub use features::{hwcap, identification, rdtscp as programs_read_number};
pub use fpu::{FpuArea, FpuState};
pub use kept::{end as end_kept, keep};
pub use kmap::{map_device, read_device, write_device};
pub use msr::{interrupts_off, interrupts_on, wait_for_interrupt};
pub use nmi::dump_cpus;
pub use panic::{halt, reset_on_panic};
pub use percpu::{cpu_id, discharge, oblige, preempt_depth, preempt_off, preempt_on};
#[cfg(debug_assertions)]
pub use percpu::{has_cpu_locks, in_interrupt, with_cpu_locks, with_task_locks};
pub use phys::{
    copy_frame, frame_count, meta, overlaps_ram, read_any, read_frame, read_phys, read_phys_word, share_kernel_half,
    table, write_frame, write_phys, write_phys_word, zero_frame,
};
pub use ports::{RESERVED_PORTS, in8, in16, in32, out8, out16, out32};
pub use serial::log_bytes;
pub use smp::{call_on, start_cpus};
pub use stack::{can_trim as can_trim_stacks, trim as trim_stacks};
pub use start::{cpu_limit, entropy};
pub use symbols::set_symbols;
pub use task::{
    Task, adopt_task, current_task, fs_base, gs_base, load_fpu, save_fpu, set_fs_base, set_gs_base, set_root,
    switch_task, take_previous_task,
};
pub use tlb::{flush_all, flush_page};
pub use traps::touch_nothing;
pub use user::run_user;
pub use usercopy::{
    compare_exchange_user_u32, copy_frame_from_user, copy_frame_to_user, copy_from_user, copy_to_user, load_user_u32,
};

/// Interrupts another CPU for its run queue.
pub fn send_reschedule(cpu: usize) {
    apic::send(cpu, apic::RESCHEDULE);
}

/// Resets the machine: by the keyboard controller (port 0x64, command 0xfe), the chip set's reset register (port 0xcf9), or an
/// exception that no handler takes.
pub fn reset() -> ! {
    msr::interrupts_off();
    let wait = || (0..1_000_000).for_each(|_| core::hint::spin_loop());
    ports::out8(0x64, 0xfe);
    wait();
    for value in [0x02, 0x06] {
        ports::out8(0xcf9, value);
        wait();
    }
    traps::fault_thrice()
}
