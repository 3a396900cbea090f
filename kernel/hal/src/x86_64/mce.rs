//! Machine checks: the processor says that hardware failed.

use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicU32, Ordering};

use super::msr;
use crate::irq::{self, Local};
use crate::machine_check::{Bank, Verdict, verdict};

const GLOBAL_CAPABILITIES: u32 = 0x179;
const GLOBAL_STATUS: u32 = 0x17a;
const GLOBAL_CONTROL: u32 = 0x17b;
const HAS_CONTROL: u64 = 1 << 8;
/// Control, status, address and miscellaneous of the first bank; four registers on are the next one's.
const CONTROL: u32 = 0x400;
const STATUS: u32 = 0x401;
const ADDRESS: u32 = 0x402;
const MISC: u32 = 0x403;
const ADDRESS_VALID: u64 = 1 << 58;
const MISC_VALID: u64 = 1 << 59;
const CR4_MACHINE_CHECK: u64 = 1 << 6;

/// More than any processor has.
const MOST: usize = 64;
/// Banks of this machine's processors; 0 until they are set up, and where there are none.
static BANKS: AtomicU32 = AtomicU32::new(0);

/// Turns reporting on, on this CPU. What is in the banks already was there before the kernel, and is told.
pub fn init() {
    let features = __cpuid(1).edx;
    if features & 1 << 7 == 0 || features & 1 << 14 == 0 {
        return;
    }
    let capabilities = msr::read(GLOBAL_CAPABILITIES);
    let count = ((capabilities & 0xff) as u32).min(MOST as u32);
    if capabilities & HAS_CONTROL != 0 {
        msr::write(GLOBAL_CONTROL, u64::MAX);
    }
    BANKS.store(count, Ordering::Relaxed);
    for number in 0..count {
        let bank = read(number);
        if bank.is_valid() {
            log::warn!("machine check of an earlier time: {bank}");
        }
        msr::write(CONTROL + number * 4, u64::MAX);
        msr::write(STATUS + number * 4, 0);
    }
    msr::write_cr4(msr::read_cr4() | CR4_MACHINE_CHECK);
}

fn read(number: u32) -> Bank {
    let at = |register: u32| msr::read(register + number * 4);
    let status = at(STATUS);
    let told = |bit: u64, register: u32| if status & bit != 0 { at(register) } else { 0 };
    Bank { number, status, address: told(ADDRESS_VALID, ADDRESS), misc: told(MISC_VALID, MISC) }
}

/// Handles the exception at `rip`, with interrupts off. Panics when the machine cannot go on; else says whether the program
/// that was interrupted can.
pub fn handle(rip: u64, in_program: bool) -> bool {
    irq::count(Local::MachineCheck);
    let global = msr::read(GLOBAL_STATUS);
    let mut banks = [Bank::default(); MOST];
    let count = BANKS.load(Ordering::Relaxed) as usize;
    let banks = &mut banks[..count.min(MOST)];
    for (number, bank) in (0..).zip(banks.iter_mut()) {
        *bank = read(number);
        if bank.is_valid() {
            // By the panic's way out, since the log's lock may be held by what was interrupted.
            crate::console::last_words(format_args!("machine check: {bank}"));
        }
    }
    let verdict = verdict(global, banks);
    if verdict == Verdict::Stop || verdict == Verdict::EndUser && !in_program {
        let bank = banks.iter().find(|bank| bank.is_valid());
        match bank {
            Some(bank) => panic!("machine check at {rip:#x}, {bank}"),
            None => panic!("machine check at {rip:#x}, no bank has a reason"),
        }
    }
    for number in 0..count as u32 {
        msr::write(STATUS + number * 4, 0);
    }
    // Cleared last: another one until now would have stopped the processor.
    msr::write(GLOBAL_STATUS, 0);
    verdict != Verdict::EndUser
}
