//! The hosted machine: what the kernel stands on inside an ordinary host process, for tests, fuzzing and models.
//!
//! RAM is one zeroed host allocation, seen only as atomic words: many host threads may play processors and devices
//! at once without a data race. Translations are walked in software by the same format as the processor's, time is
//! virtual, randomness is a fixed sequence, devices are objects that a test registers. Nothing here needs privileges.
//!
//! `init` may be called by every test; whoever comes first decides the size of RAM.

mod clock;
mod cpu;
mod device;
mod irq;
mod power;
mod ram;
mod random;
mod task;
mod tlb;
mod user;

#[cfg(test)]
mod tests;

pub use clock::{advance, armed_timer, set_time};
pub use device::{Device, add_device, add_ports};
pub use irq::{raise_isa, raise_msi};
pub use ram::{init, read_phys, write_phys};
pub use random::seed;
pub use task::{FpuArea, FpuState, Program, Task, set_program};
pub use user::{activate, deactivate};

pub(crate) use clock::{
    arm_timer, calibrate, clock_parameters, clock_source, counter_hz, monotonic_ns, refine, set_wall_offset_ns,
    wall_offset_ns,
};
pub(crate) use cpu::{call_on, send_reschedule, start_cpus};
pub(crate) use cpu::{
    cpu_count, cpu_id, cpu_limit, discharge, interrupts_off, interrupts_on, oblige, preempt_depth, preempt_off,
    preempt_on, wait_for_interrupt,
};
#[cfg(debug_assertions)]
pub(crate) use cpu::{has_cpu_locks, in_interrupt, with_cpu_locks, with_task_locks};
pub(crate) use device::{
    RESERVED_PORTS, in8, in16, in32, map_device, out8, out16, out32, overlaps_ram, read_device, write_device,
};
#[cfg(test)]
pub(crate) use irq::accept_legacy_interrupts;
pub(crate) use irq::{LEGACY_CHIP, destination, set_line};
pub(crate) use power::{
    dump_cpus, end_kept, halt, hwcap, identification, keep, log_bytes, programs_read_number, reset, reset_on_panic,
    touch_nothing,
};
pub(crate) use ram::{
    copy_frame, frame_count, meta, read_any, read_frame, read_phys_word, table, write_frame, write_phys_word,
    zero_frame,
};
pub(crate) use random::entropy;
pub(crate) use task::{
    adopt_task, can_trim_stacks, current_task, fs_base, gs_base, load_fpu, run_user, save_fpu, set_fs_base,
    set_gs_base, set_root, switch_task, take_previous_task, trim_stacks,
};
pub(crate) use tlb::{flush_all, flush_page, share_kernel_half};
pub(crate) use user::{
    compare_exchange_user_u32, copy_frame_from_user, copy_frame_to_user, copy_from_user, copy_to_user, load_user_u32,
};
