//! The end: what failed, where, and how the kernel got there, to both serial ports; then the machine stops.

use core::arch::asm;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{apic, cpus, msr, percpu, phys, ports, serial};
use crate::once::Once;

/// Sorted function addresses and names, as the build wrote them.
static SYMBOLS: Once<&'static [u8]> = Once::new();
/// The CPU that panics.
static PANICKING: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;
/// The machine halts, in order.
static HALTING: AtomicBool = AtomicBool::new(false);
/// QEMU's debug exit device; writing `v` ends QEMU with status `2v + 1`.
const EXIT_PORT: u16 = 0xf4;

const MAGIC: &[u8; 8] = b"AIOSSYM1";

/// Takes the symbol table: magic, count, then pairs of 32-bit words (address less the image's base, offset of the
/// name from the end of the pairs), then names that end with NUL. Malformed tables only cost names.
pub fn set_symbols(table: &'static [u8]) -> bool {
    let fits = table.starts_with(MAGIC) && SYMBOLS.get().is_none();
    if fits {
        SYMBOLS.set(table);
    }
    fits
}

fn word(table: &[u8], at: usize) -> Option<u32> {
    let bytes = table.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// The function that holds `address`, and the offset in it.
fn symbol(address: u64) -> Option<(&'static str, u64)> {
    let table = SYMBOLS.get()?;
    let count = word(table, 8)? as usize;
    let target = u32::try_from(address.checked_sub(super::layout::KERNEL)?).ok()?;
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if word(table, 12 + middle * 8)? <= target {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let row = 12 + low.checked_sub(1)? * 8;
    let names = table.get(12 + count * 8..)?;
    let name = names.get(word(table, row + 4)? as usize..)?;
    let end = name.iter().position(|byte| *byte == 0)?;
    Some((core::str::from_utf8(name.get(..end)?).ok()?, u64::from(target - word(table, row)?)))
}

struct BothPorts;

impl Write for BothPorts {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        serial::log_bytes(text.as_bytes());
        serial::console_bytes(text.as_bytes());
        Ok(())
    }
}

/// Follows the chain of frame pointers.
fn backtrace(out: &mut impl Write) {
    let mut frame: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nostack, nomem, preserves_flags)) };
    for depth in 0..48 {
        // Frame pointers are only followed on kernel stacks and in the image, upwards.
        if !frame.is_multiple_of(8) || frame < super::layout::STACKS {
            break;
        }
        // SAFETY: a frame pointer on a mapped stack; were it wild, the fault would panic again and end here.
        let (next, address) =
            unsafe { ((frame as *const u64).read_volatile(), (frame as *const u64).add(1).read_volatile()) };
        if address < super::layout::KERNEL {
            break;
        }
        let _ = match symbol(address) {
            Some((name, offset)) => writeln!(out, "  {depth:2} {address:#x} {name}+{offset:#x}"),
            None => writeln!(out, "  {depth:2} {address:#x}"),
        };
        if next <= frame {
            break;
        }
        frame = next;
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    msr::interrupts_off();
    let me = percpu::cpu_id();
    if let Err(other) = PANICKING.compare_exchange(NOBODY, me, Ordering::SeqCst, Ordering::SeqCst) {
        if other != me {
            msr::halt();
        }
        serial::log_bytes(b"panic while panicking\n");
        stop();
    }
    // The others stop where they are, so that the words below are not mixed with theirs.
    if cpus::cpu_count() > 1 {
        apic::send_nmi_to_others();
    }
    let mut out = BothPorts;
    // The ports do not fail.
    let _ = match info.location() {
        Some(place) => writeln!(out, "\nkernel panic on CPU {}: {} ({place})", me, info.message()),
        None => writeln!(out, "\nkernel panic on CPU {}: {}", me, info.message()),
    };
    backtrace(&mut out);
    crate::console::last_words(format_args!("{} frames of RAM; stopped", phys::frame_count()));
    stop();
}

/// For the non-maskable interrupt: stops this CPU when another panics or halts the machine.
pub fn stop_if_asked() {
    let panicking = PANICKING.load(Ordering::SeqCst);
    if HALTING.load(Ordering::SeqCst) || panicking != NOBODY && panicking != percpu::cpu_id() {
        msr::halt();
    }
}

/// Stops all CPUs for good.
pub fn halt() -> ! {
    msr::interrupts_off();
    HALTING.store(true, Ordering::SeqCst);
    if cpus::cpu_count() > 1 {
        apic::send_nmi_to_others();
    }
    msr::halt();
}

fn stop() -> ! {
    ports::out8(EXIT_PORT, 0x7f);
    msr::halt();
}
