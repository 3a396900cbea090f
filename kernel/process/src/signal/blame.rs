//! Saying what a program did when it ends by it.

use aios_abi::native::{FaultKind, FaultRecord};
use kernel_hal::addr::{USER_END, USER_MIN, Virt};
use kernel_hal::user::{Registers, UserContext};
use kernel_hal::usermem::{self, Access};
use kernel_mm::{FaultError, SegvCode};

use crate::Thread;

/// How far from a stack pointer a program touches its stack, at most, without moving it first.
const STACK_REACH: u64 = 64 << 10;

fn record(thread: &Thread, kind: FaultKind, address: u64, pc: u64) -> FaultRecord {
    let mut program = [0; 32];
    for (to, from) in program.iter_mut().zip(thread.name()) {
        *to = from;
    }
    FaultRecord { kind: kind.to_u32(), pid: thread.process().pid(), address, pc, program }
}

pub(super) fn out_of_memory(thread: &Thread, pc: u64, address: Virt) -> FaultRecord {
    record(thread, FaultKind::OutOfMemory, address.0, pc)
}

pub(super) fn abort(thread: &Thread, pc: u64) -> FaultRecord {
    record(thread, FaultKind::Abort, 0, pc)
}

/// Blames an access to memory.
pub(super) fn memory(
    thread: &Thread,
    pc: u64,
    sp: u64,
    address: Virt,
    access: Access,
    error: FaultError,
) -> FaultRecord {
    let kind = if left_stack(thread, sp, address, access, error) {
        FaultKind::StackOverflow
    } else {
        memory_kind(address, access, error)
    };
    record(thread, kind, address.0, pc)
}

fn memory_kind(address: Virt, access: Access, error: FaultError) -> FaultKind {
    const LOWER_END: u64 = 1 << 47;
    if error == FaultError::OutOfMemory {
        return FaultKind::OutOfMemory;
    }
    if error == FaultError::Bus {
        return FaultKind::BusError;
    }
    if address.0 >= LOWER_END {
        let canonical = (address.0 as i64) << 16 >> 16 == address.0 as i64;
        return if canonical { FaultKind::KernelAddress } else { FaultKind::NonCanonical };
    }
    let mapped = error == FaultError::Segv(SegvCode::Accerr);
    match (address.0 < USER_MIN, mapped, access) {
        (true, _, Access::Read) => FaultKind::NullRead,
        (true, _, Access::Write) => FaultKind::NullWrite,
        (true, _, Access::Execute) => FaultKind::NullExecute,
        (false, false, Access::Read) => FaultKind::ReadUnmapped,
        (false, false, Access::Write) => FaultKind::WriteUnmapped,
        (false, false, Access::Execute) => FaultKind::ExecuteUnmapped,
        (false, true, Access::Read) => FaultKind::ReadProtected,
        (false, true, Access::Write) => FaultKind::WriteReadOnly,
        (false, true, Access::Execute) => FaultKind::ExecuteData,
    }
}

/// True when the address is just past a stack's end: near the stack pointer, and below an area that grows down, or in
/// the guard below another thread's stack.
fn left_stack(thread: &Thread, sp: u64, address: Virt, access: Access, error: FaultError) -> bool {
    if access == Access::Execute
        || !matches!(error, FaultError::Segv(_))
        || address.0 < USER_MIN
        || address.0 >= USER_END
    {
        return false;
    }
    if address.0.abs_diff(sp) > STACK_REACH {
        return false;
    }
    let Some(space) = thread.process().space() else { return false };
    let mut found = None;
    space.for_each_area(&mut |area| {
        if area.range.end.0 > address.0 && found.is_none() {
            let inside = area.range.start.0 <= address.0;
            let guard = inside && area.prot.is_none();
            found = Some(guard || !inside && area.grows_down);
        }
    });
    found == Some(true)
}

/// Blames another exception.
pub(super) fn exception(thread: &Thread, context: &UserContext, vector: u8, error: u64) -> FaultRecord {
    let regs = &context.regs;
    let kind = match vector {
        0 | 4 => FaultKind::DivideError,
        1 | 3 => FaultKind::Breakpoint,
        6 => FaultKind::IllegalInstruction,
        // A stack access with an address that no table maps.
        12 => FaultKind::NonCanonical,
        13 => general_protection(regs, error),
        16 | 19 => FaultKind::FloatingPoint,
        17 => FaultKind::Alignment,
        _ => FaultKind::Other,
    };
    record(thread, kind, 0, regs.rip)
}

fn is_canonical(address: u64) -> bool {
    (address as i64) << 16 >> 16 == address as i64
}

/// The processor does not say what it refused: a privileged instruction, or an address of more than 48 bits.
fn general_protection(regs: &Registers, error: u64) -> FaultKind {
    if !is_canonical(regs.rip) {
        return FaultKind::NonCanonical;
    }
    let mut code = [0; 15];
    let copied = match usermem::copy_in(&mut code, Virt(regs.rip)) {
        Ok(()) => code.len(),
        Err(fault) => fault.copied,
    };
    if error != 0 || is_privileged(code.get(..copied).unwrap_or(&[])) {
        return FaultKind::GeneralProtection;
    }
    let general = [
        regs.rax, regs.rbx, regs.rcx, regs.rdx, regs.rsi, regs.rdi, regs.rbp, regs.rsp, regs.r8, regs.r9, regs.r10,
        regs.r11, regs.r12, regs.r13, regs.r14, regs.r15,
    ];
    if general.into_iter().all(is_canonical) { FaultKind::GeneralProtection } else { FaultKind::NonCanonical }
}

/// True for the encodings that user mode may not execute (SDM 3A §5.9, and input and output).
fn is_privileged(code: &[u8]) -> bool {
    let mut bytes = code.iter().copied().skip_while(|byte| {
        matches!(byte, 0x66 | 0x67 | 0xf2 | 0xf3 | 0x2e | 0x36 | 0x3e | 0x26 | 0x64 | 0x65 | 0x40..=0x4f)
    });
    match bytes.next() {
        // hlt, cli, sti; ins, outs, in, out.
        Some(0xf4 | 0xfa | 0xfb | 0x6c..=0x6f | 0xe4..=0xe7 | 0xec..=0xef) => true,
        // Descriptor tables and machine status; clts, sysret, invd, wbinvd; control and debug registers; model-specific ones.
        Some(0x0f) => matches!(bytes.next(), Some(0x00 | 0x01 | 0x06..=0x09 | 0x20..=0x23 | 0x30 | 0x32 | 0x33 | 0x35)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_are_named() {
        let maperr = FaultError::Segv(SegvCode::Maperr);
        let accerr = FaultError::Segv(SegvCode::Accerr);
        for (address, access, error, kind) in [
            (0, Access::Write, maperr, FaultKind::NullWrite),
            (0xffff, Access::Read, accerr, FaultKind::NullRead),
            (0, Access::Execute, maperr, FaultKind::NullExecute),
            (0x1_0000, Access::Read, maperr, FaultKind::ReadUnmapped),
            (0x40_0000, Access::Write, accerr, FaultKind::WriteReadOnly),
            (0x40_0000, Access::Execute, accerr, FaultKind::ExecuteData),
            (0x40_0000, Access::Read, FaultError::Bus, FaultKind::BusError),
            (0xffff_8000_0000_0000, Access::Read, maperr, FaultKind::KernelAddress),
            (0x8000_0000_0000, Access::Read, maperr, FaultKind::NonCanonical),
        ] {
            assert_eq!(memory_kind(Virt(address), access, error), kind, "{address:#x}");
        }
    }

    #[test]
    fn a_refused_instruction_is_told_from_a_refused_address() {
        assert!(is_privileged(&[0xf4]));
        assert!(is_privileged(&[0x66, 0xef]));
        assert!(is_privileged(&[0x0f, 0x20, 0xd8]));
        assert!(is_privileged(&[0x44, 0x0f, 0x22, 0xc0]));
        assert!(!is_privileged(&[0x48, 0x8b, 0x00]));
        assert!(!is_privileged(&[0x0f, 0x05]));
        assert!(!is_privileged(&[]));
    }
}
