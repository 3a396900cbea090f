//! The frame of a handler on the program's stack, and the way back from it.
//!
//! The layout is Linux's, bit by bit: the C library's restorer, debuggers and unwinders read it. What a program wrote
//! into its frame is taken with `rt_sigreturn` as far as it could have set it by itself.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use aios_abi::linux::consts::{sa_flags, ss_flags, uc_flags};
use aios_abi::linux::structs::{
    FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2, FP_XSTATE_MAGIC2_SIZE, FromBytes, FromZeros, FxSoftware, FxState, IntoBytes,
    RED_ZONE, Sigaction, Sigaltstack, Sigcontext, Siginfo, SignalFrame, Ucontext, XsaveHeader,
};
use kernel_hal::addr::{USER_END, Virt};
use kernel_hal::task::{self, FpuArea, FpuState};
use kernel_hal::user::{Registers, UserContext};
use kernel_hal::usermem;

use super::set::{SignalSet, bit};
use super::state::{ThreadSignals, TrapInfo};
use super::{action, fault, waiting};
use crate::Thread;

const LEGACY: usize = size_of::<FxState>();
const HEADER_END: usize = LEGACY + size_of::<XsaveHeader>();
/// x87 and SSE, which every area has.
const LEGACY_FEATURES: u64 = 3;
/// Flags a handler does not start with: direction, trap, resume.
const CLEARED_FLAGS: u64 = 1 << 10 | 1 << 8 | 1 << 16;
/// Flags that the frame decides: carry, parity, adjust, zero, sign, trap, direction, overflow, resume, alignment check.
const FRAME_FLAGS: u64 = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000;
/// Selectors as the program sees them in its frame.
const USER_CS: u16 = 0x33;
const USER_SS: u16 = 0x2b;

/// Where the parts of a frame go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    frame: u64,
    fpstate: u64,
}

/// Lays a frame out below `sp`, or on the alternate stack; `None` when it would not fit there.
fn place(signals: &ThreadSignals, sp: u64, on_stack: bool, state_size: usize) -> Option<Place> {
    let nested = signals.on_altstack(sp);
    let below = sp.wrapping_sub(RED_ZONE);
    let entering = on_stack && signals.altstack.size != 0 && !signals.on_altstack(below);
    let top = if entering { signals.altstack.sp.wrapping_add(signals.altstack.size) } else { below };
    let fpstate = top.wrapping_sub(state_size as u64) & !63;
    // The handler is entered as if it had been called: 8 bytes off a 16-byte boundary.
    let frame = (fpstate.wrapping_sub(size_of::<SignalFrame>() as u64) & !15).wrapping_sub(8);
    if (nested || entering) && !signals.in_altstack(frame) { None } else { Some(Place { frame, fpstate }) }
}

/// The processor state as frames hold it, which is the first bytes of the area, that many.
fn state_area() -> (FpuArea, usize) {
    let mut area = task::save_fpu().into_area();
    let size = FpuState::size();
    if size < HEADER_END {
        return (area, size);
    }
    let present = word(&area, LEGACY) | LEGACY_FEATURES;
    let software = FxSoftware {
        magic1: FP_XSTATE_MAGIC1,
        extended_size: (size + FP_XSTATE_MAGIC2_SIZE) as u32,
        xfeatures: present,
        xstate_size: size as u32,
        ..FxSoftware::default()
    };
    put(&mut area, LEGACY - size_of::<FxSoftware>(), software.as_bytes());
    put(&mut area, LEGACY, &present.to_le_bytes());
    put(&mut area, size, &FP_XSTATE_MAGIC2.to_le_bytes());
    (area, size + FP_XSTATE_MAGIC2_SIZE)
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| u64::read_from_prefix(rest).ok()).map_or(0, |(word, _)| word)
}

fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    if let Some(to) = bytes.get_mut(at..at + part.len()) {
        to.copy_from_slice(part);
    }
}

/// What a thread contributes to a frame besides its registers.
#[derive(Clone, Copy)]
struct Around {
    place: Place,
    trap: TrapInfo,
    altstack: Sigaltstack,
    /// In force again after the handler.
    mask: SignalSet,
}

/// Makes the program continue in the handler of a signal. The error is where the frame could not be written.
pub(super) fn push(
    thread: &Arc<Thread>,
    context: &mut UserContext,
    info: &Siginfo,
    action: &Sigaction,
) -> Result<(), Virt> {
    let (area, len) = state_area();
    let state = area.get(..len).unwrap_or(&area);
    let around = {
        let signals = thread.signals.lock();
        let on_stack = action.flags & sa_flags::SA_ONSTACK != 0;
        let place = place(&signals, context.regs.rsp, on_stack, state.len());
        place.map(|place| Around {
            place,
            trap: signals.trap,
            altstack: signals.altstack,
            mask: signals.saved.unwrap_or(signals.mask),
        })
    };
    let around = around.ok_or(Virt(context.regs.rsp))?;
    write(&mut context.regs, state, &around, info, action)?;
    context.set_full_return();

    let blocked = {
        let mut signals = thread.signals.lock();
        signals.saved = None;
        if around.altstack.flags & ss_flags::SS_AUTODISARM != 0 {
            signals.clear_altstack();
        }
        let own = if action.flags & sa_flags::SA_NODEFER != 0 { 0 } else { bit(info.signo as u32) };
        signals.mask | action.mask | own
    };
    waiting::set_mask(thread, blocked);
    Ok(())
}

/// Writes the frame and sets the registers that a handler is entered with.
fn write(regs: &mut Registers, state: &[u8], around: &Around, info: &Siginfo, action: &Sigaction) -> Result<(), Virt> {
    let Place { frame, fpstate } = around.place;
    if action.flags & sa_flags::SA_RESTORER == 0 {
        return Err(Virt(frame));
    }
    let flags = if state.len() > LEGACY { uc_flags::UC_FP_XSTATE } else { 0 };
    let image = SignalFrame {
        restorer: action.restorer,
        context: Ucontext {
            flags: flags | uc_flags::UC_SIGCONTEXT_SS | uc_flags::UC_STRICT_RESTORE_SS,
            link: 0,
            stack: around.altstack,
            mcontext: save(regs, around.trap, around.mask, fpstate),
            sigmask: around.mask,
        },
        info: *info,
    };
    let at = |start: u64| move |fault: usermem::Fault| Virt(start.wrapping_add(fault.copied as u64));
    usermem::copy_out(Virt(fpstate), state).map_err(at(fpstate))?;
    usermem::copy_out(Virt(frame), image.as_bytes()).map_err(at(frame))?;

    regs.rip = action.handler;
    regs.rsp = frame;
    regs.rax = 0;
    regs.rdi = info.signo as u64;
    regs.rsi = frame.wrapping_add(core::mem::offset_of!(SignalFrame, info) as u64);
    regs.rdx = frame.wrapping_add(core::mem::offset_of!(SignalFrame, context) as u64);
    regs.rflags &= !CLEARED_FLAGS;
    Ok(())
}

fn save(regs: &Registers, trap: TrapInfo, mask: u64, fpstate: u64) -> Sigcontext {
    Sigcontext {
        r8: regs.r8,
        r9: regs.r9,
        r10: regs.r10,
        r11: regs.r11,
        r12: regs.r12,
        r13: regs.r13,
        r14: regs.r14,
        r15: regs.r15,
        rdi: regs.rdi,
        rsi: regs.rsi,
        rbp: regs.rbp,
        rbx: regs.rbx,
        rdx: regs.rdx,
        rax: regs.rax,
        rcx: regs.rcx,
        rsp: regs.rsp,
        rip: regs.rip,
        eflags: regs.rflags,
        cs: USER_CS,
        gs: 0,
        fs: 0,
        ss: USER_SS,
        err: trap.error,
        trapno: trap.number,
        oldmask: mask,
        cr2: trap.address,
        fpstate,
        reserved: [0; 8],
    }
}

fn restore(regs: &mut Registers, saved: &Sigcontext) {
    regs.r8 = saved.r8;
    regs.r9 = saved.r9;
    regs.r10 = saved.r10;
    regs.r11 = saved.r11;
    regs.r12 = saved.r12;
    regs.r13 = saved.r13;
    regs.r14 = saved.r14;
    regs.r15 = saved.r15;
    regs.rdi = saved.rdi;
    regs.rsi = saved.rsi;
    regs.rbp = saved.rbp;
    regs.rbx = saved.rbx;
    regs.rdx = saved.rdx;
    regs.rax = saved.rax;
    regs.rcx = saved.rcx;
    regs.rsp = saved.rsp;
    regs.rip = saved.rip;
    regs.rflags = regs.rflags & !FRAME_FLAGS | saved.eflags & FRAME_FLAGS;
}

/// Goes back to where a handler's frame says (`rt_sigreturn(2)`). A frame that cannot be read raises `SIGSEGV`.
pub fn sigreturn(thread: &Arc<Thread>, context: &mut UserContext) {
    // The registers come from the frame: none of them is this call's result.
    thread.call.store(-1, Ordering::Relaxed);
    *thread.restart.lock() = None;
    // The handler's return took the restorer's address off.
    let at = Virt(context.regs.rsp.wrapping_sub(8));
    context.set_full_return();
    match take_frame(&mut context.regs, at) {
        Ok(saved) => {
            waiting::set_mask(thread, saved.sigmask);
            // As on Linux a stack that cannot be set is left as it is.
            let _left = action::set_altstack(thread, context.regs.rsp, saved.stack);
        }
        Err(at) => fault::frame_fault(thread, context, at),
    }
}

/// Loads the registers of a frame, and returns what else it holds.
fn take_frame(regs: &mut Registers, at: Virt) -> Result<Ucontext, Virt> {
    let mut saved = Ucontext::new_zeroed();
    let place = Virt(at.0.wrapping_add(core::mem::offset_of!(SignalFrame, context) as u64));
    usermem::copy_in(saved.as_mut_bytes(), place).map_err(|_| at)?;
    take_state(saved.mcontext.fpstate)?;
    restore(regs, &saved.mcontext);
    Ok(saved)
}

/// Loads the extended registers that a frame points to; none are the initial ones.
fn take_state(at: u64) -> Result<(), Virt> {
    let state = if at == 0 {
        FpuState::new()
    } else {
        let mut area = FpuArea::zeroed();
        let read = read_state(&mut area, at).ok_or(Virt(at))?;
        let len = extended_size(&area, read).unwrap_or(LEGACY);
        FpuState::from_area(area, len)
    };
    task::load_fpu(state);
    Ok(())
}

/// Reads as much of a state as there can be, and says how much there is; `None` when even the legacy part cannot be
/// read.
fn read_state(area: &mut [u8], at: u64) -> Option<usize> {
    let most = (FpuState::size() + FP_XSTATE_MAGIC2_SIZE) as u64;
    let most = most.min(USER_END.saturating_sub(at)) as usize;
    let read = match usermem::copy_in(area.get_mut(..most)?, Virt(at)) {
        Ok(()) => most,
        Err(fault) => fault.copied,
    };
    (read >= LEGACY).then_some(read)
}

/// How much of what was read is a state beyond its legacy part, when both magics say that there is more.
fn extended_size(area: &[u8], read: usize) -> Option<usize> {
    let (software, _) = FxSoftware::read_from_prefix(area.get(LEGACY - size_of::<FxSoftware>()..)?).ok()?;
    let size = software.xstate_size as usize;
    let plausible = software.magic1 == FP_XSTATE_MAGIC1
        && size >= HEADER_END
        && size <= FpuState::size()
        && software.xstate_size <= software.extended_size;
    if !plausible {
        return None;
    }
    let (magic, _) = u32::read_from_prefix(area.get(size..read)?).ok()?;
    (magic == FP_XSTATE_MAGIC2).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel_hal::frame::{AccountId, Frame};
    use kernel_hal::hosted::{activate, deactivate};
    use kernel_hal::paging::{PageTable, Prot};

    fn with_stack(sp: u64, size: u64, flags: u32) -> ThreadSignals {
        ThreadSignals { altstack: Sigaltstack { sp, flags, pad0: 0, size }, ..ThreadSignals::default() }
    }

    #[test]
    fn a_frame_keeps_the_red_zone_and_the_call_alignment() {
        let signals = ThreadSignals::default();
        for sp in (0x7000_0000u64..0x7000_0100).step_by(8) {
            let place = place(&signals, sp, true, 580).expect("no alternate stack");
            assert_eq!((place.frame % 16, place.fpstate % 64), (8, 0));
            assert!(place.fpstate + 580 <= sp - RED_ZONE);
            assert!(place.frame + size_of::<SignalFrame>() as u64 <= place.fpstate);
        }
    }

    #[test]
    fn the_alternate_stack_is_entered_once_and_never_left_downwards() {
        let signals = with_stack(0x10_0000, 0x2000, 0);
        let first = place(&signals, 0x7000_0000, true, 580).expect("fits");
        assert!(signals.in_altstack(first.frame));
        let nested = place(&signals, first.frame, true, 580).expect("fits");
        assert!(nested.frame < first.frame && signals.in_altstack(nested.frame));
        // Without SA_ONSTACK it is not entered, but a handler that runs on it stays on it.
        assert!(!signals.in_altstack(place(&signals, 0x7000_0000, false, 580).expect("fits").frame));
        assert_eq!(place(&signals, 0x10_0100, false, 580), None);
        assert_eq!(place(&with_stack(0x10_0000, 512, 0), 0x7000_0000, true, 580), None);
    }

    #[test]
    fn a_stack_that_disarms_itself_is_entered_from_its_top_each_time() {
        let signals = with_stack(0x10_0000, 0x2000, ss_flags::SS_AUTODISARM);
        let inside = place(&signals, 0x10_1000, true, 580).expect("fits");
        assert!(inside.frame > 0x10_1000);
    }

    #[test]
    fn registers_survive_the_frame() {
        let mut regs = Registers::default();
        (regs.rax, regs.rip, regs.rsp, regs.r15, regs.rflags) = (1, 2, 3, 4, 0x246);
        let saved = save(&regs, TrapInfo::default(), 5, 6);
        assert_eq!((saved.oldmask, saved.fpstate, saved.cs, saved.ss), (5, 6, 0x33, 0x2b));
        regs = Registers::default();
        regs.rflags = 0x202;
        let raised = Sigcontext { eflags: saved.eflags | 3 << 12, ..saved };
        restore(&mut regs, &raised);
        assert_eq!((regs.rax, regs.rip, regs.rsp, regs.r15), (1, 2, 3, 4));
        // The input-output privilege is not the frame's to give.
        assert_eq!(regs.rflags, 0x246);
    }

    /// A page for a stack, in use on this host thread.
    fn stack() -> (PageTable, u64) {
        crate::testing::start();
        let mut table = PageTable::new(AccountId::KERNEL).expect("memory");
        let base = 0x7000_0000;
        for page in 0..2u64 {
            let frame = Frame::zeroed(AccountId::KERNEL).expect("memory");
            table.map(Virt(base + page * 4096), frame, Prot::RW).expect("memory");
        }
        activate(&table);
        (table, base)
    }

    fn around(sp: u64, state: &[u8]) -> Around {
        let signals = ThreadSignals::default();
        let place = place(&signals, sp, false, state.len()).expect("no alternate stack");
        Around { place, trap: TrapInfo { number: 14, error: 6, address: 9 }, altstack: signals.altstack, mask: 0x20 }
    }

    #[test]
    fn what_a_handler_leaves_alone_comes_back() {
        let (_table, base) = stack();
        let mut marked = task::save_fpu().into_area();
        put(&mut marked, 160, &[7; 16]);
        task::load_fpu(FpuState::from_area(marked, FpuState::size()));

        let mut regs = Registers::default();
        (regs.rip, regs.rsp, regs.rbx, regs.rax, regs.rflags) = (0x40_1000, base + 8192, 11, 12, 0x646);
        let before = regs;
        let action = Sigaction { handler: 0x40_2000, flags: sa_flags::SA_RESTORER, restorer: 0x40_3000, mask: 0 };
        let info = Siginfo::fault(11, 1, 9);
        let (area, len) = state_area();
        let state = &area[..len];
        write(&mut regs, state, &around(before.rsp, state), &info, &action).expect("writable");
        assert_eq!((regs.rip, regs.rdi, regs.rsp % 16, regs.rflags & CLEARED_FLAGS), (0x40_2000, 11, 8, 0));
        assert_eq!(usermem::load_u64(Virt(regs.rsp)), Ok(0x40_3000));
        let mut seen = Siginfo::default();
        usermem::copy_in(seen.as_mut_bytes(), Virt(regs.rsi)).expect("readable");
        assert_eq!(seen, info);

        // The handler uses registers, and returns through the restorer.
        task::load_fpu(FpuState::new());
        regs.rbx = 0;
        let at = Virt(regs.rsp);
        let saved = take_frame(&mut regs, at).expect("readable");
        assert_eq!((saved.sigmask, saved.mcontext.trapno, saved.mcontext.cr2), (0x20, 14, 9));
        assert_eq!((regs.rip, regs.rsp, regs.rbx, regs.rax), (before.rip, before.rsp, before.rbx, before.rax));
        assert_eq!(task::save_fpu().into_area().get(160..176), Some(&[7; 16][..]));
        deactivate();
    }

    #[test]
    fn a_frame_that_does_not_fit_says_where() {
        let (_table, base) = stack();
        let mut regs = Registers::default();
        regs.rsp = base + 256;
        let action = Sigaction { handler: 0x40_2000, flags: sa_flags::SA_RESTORER, restorer: 0x40_3000, mask: 0 };
        let (area, len) = state_area();
        let state = &area[..len];
        let around = around(regs.rsp, state);
        let failed = write(&mut regs, state, &around, &Siginfo::kernel(10), &action);
        assert!(failed.is_err_and(|at| at.0 < base));
        assert_eq!(regs.rsp, base + 256);
        // The restorer's address is not read.
        assert!(take_frame(&mut regs, Virt(base - 16)).is_err());
        deactivate();
    }

    #[test]
    fn of_a_state_counts_what_can_be_read_and_says_so() {
        let (_table, base) = stack();
        let (mut area, len) = state_area();
        put(&mut area, 160, &[7; 16]);
        let end = base + 8192;
        let taken = |at: u64| take_state(at).map(|()| task::save_fpu().into_area());
        let put_at = |at: u64| usermem::copy_out(Virt(at), &area[..(end - at).min(len as u64) as usize]);
        // Whole; cut off after the legacy part, which alone counts then; cut off in it.
        for (at, header) in [(end - 1024, LEGACY_FEATURES), (end - LEGACY as u64, 0)] {
            put_at(at).expect("writable");
            let area = taken(at).expect("readable");
            assert_eq!((area.get(160..176), word(&area, LEGACY)), (Some(&[7; 16][..]), header));
        }
        assert_eq!(taken(end - 500).err(), Some(Virt(end - 500)));
        assert_eq!(taken(USER_END - 8).err(), Some(Virt(USER_END - 8)));
        deactivate();
    }
}
