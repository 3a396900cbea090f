//! Bring-up order and wiring; everything else has a room.
//!
//! `main` runs on the boot stack until there is a scheduler, which it then becomes the idle thread of. All that may
//! sleep happens in a thread of its own, [`bring_up`].

#![no_std]
#![no_main]
// One exception: `entry!` names the function that the machine starts.
#![deny(unsafe_code)]

extern crate alloc;

mod console;
mod hardware;
mod mounts;
mod platform;
mod previous;
mod provoke;
mod root;
mod sched_trace;
mod streams;

use alloc::vec::Vec;

use kernel_bus::acpi::Acpi;
use kernel_hal::boot::Boot;
use kernel_hal::{boot, cpu, random, time};
use kernel_linux::Linux;

kernel_hal::entry!(main);

fn main(start: &'static Boot) -> ! {
    let quiet = start.option("quiet").is_some();
    kernel_hal::console::install_logger(if quiet { log::LevelFilter::Warn } else { log::LevelFilter::Info });
    kernel_mm::init();
    let acpi = platform::tables(start);
    platform::start_clock(start, acpi.as_ref());
    sched_trace::start(start);
    kernel_sched::init();
    if let Err(error) = kernel_sched::spawn("start", move || bring_up(start, acpi.as_ref())) {
        panic!("no memory for the first thread: {error}");
    }
    cpu::enable_interrupts();
    kernel_sched::run_idle();
}

fn bring_up(start: &'static Boot, acpi: Option<&Acpi>) {
    random::mix(&time::wall_clock().as_nanos().to_le_bytes());
    previous::tell(start);
    let memory = kernel_mm::stats();
    log::info!("AIOS {}: {} MiB free, command line '{}'", env!("CARGO_PKG_VERSION"), memory.free / 256, start.cmdline);
    kernel_process::install_personality(&Linux);
    kernel_linux::set_native(kernel_native::handle);
    kernel_linux::set_trace(start.option("aios.trace").is_some());
    kernel_process::exec::set_randomize(start.option("norandmaps").is_none());
    kernel_process::exec::install_vdso(VDSO);
    kernel_process::shortage::set_keeper(kernel_agent::make_room);
    kernel_process::contain::install(kernel_agent::end_for_kernel_fault);
    kernel_process::register_machine();
    if let Err(error) = kernel_process::start_averages() {
        log::warn!("no load averages: {error}");
    }
    kernel_linux::register_machine(&start.cmdline);
    let hardware = hardware::find(start, acpi);
    console::register();
    provoke::register(start);
    kernel_process::register_interrupts();
    platform::refine_clock();
    sched_trace::send(hardware.streams.as_ref());
    if let Some(ports) = &hardware.streams {
        streams::register(ports);
    }
    mounts::register(hardware);
    let namespace = root::make(start);
    if let Some(symbols) = root::symbols(start)
        && !boot::set_symbols(symbols)
    {
        log::warn!("the symbol table is malformed: panics will show addresses");
    }
    let env: Vec<Vec<u8>> =
        alloc::vec![b"PATH=/sbin:/usr/sbin:/bin:/usr/bin".to_vec(), b"HOME=/".to_vec(), b"TERM=linux".to_vec()];
    let program = start.option("init").unwrap_or("/init");
    if let Err(failure) = kernel_agent::spawn_system(&namespace, program.as_bytes(), b"/dev/console", env) {
        // Nobody is left who could do anything; whoever started the machine is told, and does not wait for ever.
        panic!("cannot start {program}: {}", failure.text);
    }
}

/// The shared object that programs read the clock from; the build makes it first.
static VDSO: &[u8] = include_bytes!(env!("AIOS_VDSO"));
