//! The frame that the kernel pushes for a signal handler (`arch/x86` `rt_sigframe`).
//!
//! From low to high address: [`SignalFrame`] (its first word is the handler's return address, so the handler starts with
//! `rsp % 16 == 8`), then at a 64-byte boundary the processor state: [`FxState`], [`XsaveHeader`], the extended
//! components, and last [`FP_XSTATE_MAGIC2`]. `FxState.sw` says how long that is; a reader checks both magics.

use super::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Sigaltstack, Siginfo};

/// First magic, in [`FxSoftware::magic1`].
pub const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
/// Second magic, the four bytes after the XSAVE area.
pub const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
/// Bytes that the second magic takes.
pub const FP_XSTATE_MAGIC2_SIZE: usize = 4;
/// Bytes below a program's stack pointer that belong to it (System V ABI, §3.2.2).
pub const RED_ZONE: u64 = 128;

wire! {
    /// `struct sigcontext`: the interrupted registers.
    Sigcontext[256] {
        r8: u64,
        r9: u64,
        r10: u64,
        r11: u64,
        r12: u64,
        r13: u64,
        r14: u64,
        r15: u64,
        rdi: u64,
        rsi: u64,
        rbp: u64,
        rbx: u64,
        rdx: u64,
        rax: u64,
        rcx: u64,
        rsp: u64,
        rip: u64,
        eflags: u64,
        cs: u16,
        gs: u16,
        fs: u16,
        ss: u16,
        /// Error code and number of the exception.
        err: u64,
        trapno: u64,
        /// Low word of the signal mask, for old programs.
        oldmask: u64,
        /// Address of a page fault.
        cr2: u64,
        /// Address of the processor state, or 0.
        fpstate: u64,
        reserved: [u64; 8],
    }
    /// `struct ucontext` as the kernel lays it out.
    Ucontext[304] {
        flags: u64,
        link: u64,
        stack: Sigaltstack,
        mcontext: Sigcontext,
        sigmask: u64,
    }
    /// `struct rt_sigframe`.
    SignalFrame[440] {
        /// Return address of the handler: the restorer.
        restorer: u64,
        context: Ucontext,
        info: Siginfo,
    }
    /// Software part of the FXSAVE area (`struct _fpx_sw_bytes`).
    FxSoftware[48] {
        magic1: u32,
        /// Bytes of the whole state with the second magic.
        extended_size: u32,
        /// XSAVE components in the area.
        xfeatures: u64,
        /// Bytes of the XSAVE area.
        xstate_size: u32,
        pad0: [u32; 7],
    }
    /// FXSAVE area in 64-bit mode (Intel SDM 1, table 10-2), with Linux's use of its last bytes.
    FxState[512] {
        fcw: u16,
        fsw: u16,
        ftw: u16,
        fop: u16,
        rip: u64,
        rdp: u64,
        mxcsr: u32,
        mxcsr_mask: u32,
        st: [[u64; 2]; 8],
        xmm: [[u64; 2]; 16],
        reserved: [u64; 6],
        sw: FxSoftware,
    }
    /// XSAVE header (Intel SDM 1, §13.4.2).
    XsaveHeader[64] {
        xstate_bv: u64,
        xcomp_bv: u64,
        reserved: [u64; 6],
    }
}
