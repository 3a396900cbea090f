//! The native ABI: how a program speaks to AIOS as AIOS.
//!
//! The same `syscall` instruction as the Linux personality, `rax = NATIVE_BASE | n`, arguments in
//! `rdi rsi rdx r10 r8 r9`, the result in `rax`: -4095 to -1 is `-errno`, all else is success. Any process may use
//! both personalities.
//!
//! Structures cross the boundary little-endian, without padding, with their own size in the first four bytes
//! (see [`wire`]), so that both sides can grow without breaking each other.

pub mod agent;
pub mod calls;
pub mod wire;

pub use agent::{
    AgentBind, AgentExitRecord, AgentId, AgentInfo, AgentSpawnArgs, AgentState, ExitKind, FaultKind, FaultRecord,
    ThreadRegisters,
};
pub use calls::{CALLS, NativeCall, Support, by_number};
pub use wire::{Slice, Wire};

/// `rax` of native call `n` is `NATIVE_BASE | n`.
pub const NATIVE_BASE: u64 = 0x6169_0000;
/// Bits of `rax` that hold the call number.
pub const NATIVE_NUMBER_MASK: u64 = 0xffff;

/// The native call number in `rax`, if it is a native call.
pub const fn number_of(rax: u64) -> Option<u32> {
    if rax & !NATIVE_NUMBER_MASK == NATIVE_BASE { Some((rax & NATIVE_NUMBER_MASK) as u32) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_native_range_is_native() {
        assert_eq!(number_of(NATIVE_BASE | 1), Some(1));
        assert_eq!(number_of(NATIVE_BASE | 0xffff), Some(0xffff));
        assert_eq!(number_of(1), None);
        assert_eq!(number_of(NATIVE_BASE + 0x1_0000), None);
        assert_eq!(number_of(0x1_0000_0000 | NATIVE_BASE), None);
        assert_eq!(number_of(u64::MAX), None);
    }
}
