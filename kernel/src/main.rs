//! Bring-up order and wiring; everything else has a room.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use kernel_hal::boot::Boot;

kernel_hal::entry!(main);

fn main(boot: &'static Boot) -> ! {
    kernel_hal::console::install_logger(log::LevelFilter::Info);
    log::info!("command line: {}", boot.cmdline);
    kernel_hal::power::halt();
}
