//! From the entry code to the kernel's `main`: decode what the loader left, take over memory, processor and clock.

use aios_abi::boot::{BootError, PhysRead, RawBoot, method, multiboot2, native, pvh};

use super::{apic, clock, features, gdt, kept, kmap, mce, msr, percpu, phys, serial, traps};
use crate::boot::Boot;
use crate::lock::TryLock;
use crate::once::Once;

struct Memory;

impl PhysRead for Memory {
    fn read(&self, addr: u64, out: &mut [u8]) -> bool {
        phys::read_any(addr, out)
    }
}

static RAW: TryLock<RawBoot> = TryLock::new(RawBoot::new());
static CMDLINE: TryLock<[u8; 4096]> = TryLock::new([0; 4096]);
static BOOT: Once<Boot> = Once::new();

struct FirstCpu(core::cell::UnsafeCell<percpu::PerCpu>);

// SAFETY: `start` borrows it once, before any other code runs; afterwards only its own CPU uses it.
unsafe impl Sync for FirstCpu {}

static FIRST_CPU: FirstCpu = FirstCpu(core::cell::UnsafeCell::new(percpu::PerCpu::new(0)));

unsafe extern "Rust" {
    /// The kernel's own start, made by `entry!`.
    safe fn kernel_main(boot: &'static Boot) -> !;
}

/// First Rust code: `info` is the physical address of the loader's information, `image` that of the kernel.
pub extern "C" fn start(info: u64, loader: u32, image: u64) -> ! {
    let start_tsc = msr::read_tsc();
    serial::init();
    phys::set_image_base(image);
    // SAFETY: the only borrow ever made of the cell; the entry code runs on one CPU only.
    let cpu: &'static mut percpu::PerCpu = unsafe { &mut *FIRST_CPU.0.get() };
    let tables: *mut gdt::Tables = &mut cpu.tables;
    // SAFETY: `tables` lives as long as the CPU's data; the two borrows do not overlap in time.
    unsafe { (*tables).load() };
    cpu.install();
    traps::init();
    traps::load();
    features::init();
    take_memory(info, loader);
    kmap::init();
    let Some(stacks) = gdt::exception_stacks() else { panic!("no memory for exception stacks") };
    // SAFETY: as above; interrupts are off and no exception has used the stacks yet.
    unsafe { (*tables).set_exception_stacks(stacks) };
    percpu::number_for_programs();
    mce::init();
    apic::init();
    clock::begin(start_tsc);
    match BOOT.get() {
        Some(boot) => kernel_main(boot),
        None => panic!("no boot information"),
    }
}

fn take_memory(info: u64, loader: u32) {
    let (Some(mut raw), Some(mut text)) = (RAW.try_lock(), CMDLINE.try_lock()) else {
        panic!("started twice");
    };
    let image = phys::image_range();
    let parsed = match loader {
        method::PVH => pvh::parse(&Memory, info, image, &mut raw),
        method::MULTIBOOT2 => multiboot2::parse(&Memory, info, image, &mut raw),
        _ => native::parse(&Memory, info, &mut raw),
    };
    if let Err(error) = parsed {
        panic!("bad boot information from loader {loader}: {error}");
    }
    let kept = phys::init(raw.regions());
    let cmdline = match raw.info.read_cmdline(&Memory, &mut *text) {
        Ok(cmdline) => alloc::string::String::from(cmdline),
        Err(BootError::Unreadable(address)) => panic!("the command line at {address:#x} cannot be read"),
        Err(error) => panic!("bad command line: {error}"),
    };
    let initramfs = phys::bytes(raw.info.initramfs, raw.info.initramfs_len);
    let previous = kept.as_ref().and_then(kept::begin);
    BOOT.set(Boot { info: raw.info, cmdline, initramfs, previous });
}

/// The number of CPUs that may ever run.
pub fn cpu_limit() -> usize {
    crate::cpu::MAX_CPUS
}

/// Unpredictable bits: the processor's generator where it has one, the counter's jitter always.
pub fn entropy() -> u32 {
    let mut mixed = msr::read_tsc();
    if features::rdrand() {
        for _ in 0..16 {
            let (value, good): (u64, u8);
            // SAFETY: the processor has RDRAND.
            unsafe { core::arch::asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) good, options(nostack)) };
            if good != 0 {
                mixed ^= value;
                break;
            }
        }
    }
    for _ in 0..8 {
        mixed = mixed.rotate_left(13) ^ msr::read_tsc().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    (mixed ^ mixed >> 32) as u32
}
