//! The upper half of every address space, fixed.

/// All RAM below the direct limit, in order: `phys + DIRECT`.
pub const DIRECT: u64 = 0xffff_8000_0000_0000;
/// Bytes of the direct map: 64 TiB, half of the upper half less the rest below.
pub const DIRECT_LEN: u64 = 64 << 40;
/// Kernel stacks, each above its guard.
pub const STACKS: u64 = 0xffff_c000_0000_0000;
/// Device registers.
pub const DEVICES: u64 = 0xffff_d000_0000_0000;
pub const DEVICES_LEN: u64 = 1 << 36;
/// Nothing is ever mapped here.
pub const NOTHING: u64 = DEVICES + DEVICES_LEN;
/// The kernel image is linked here plus its physical address.
pub const KERNEL: u64 = 0xffff_ffff_8000_0000;

pub const KERNEL_CODE: u16 = 0x08;
pub const KERNEL_DATA: u16 = 0x10;
/// `sysret` wants user data at its base + 8 and 64-bit user code at base + 16 (SDM 2B SYSRET).
pub const USER_DATA: u16 = 0x20 | 3;
pub const USER_CODE: u16 = 0x28 | 3;
pub const TSS: u16 = 0x38;
