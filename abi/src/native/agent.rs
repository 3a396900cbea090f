//! Wire structures of the agent calls: how to spawn one, what it is doing, how it ended.
//!
//! Enumerations travel as `u32`; a receiver that meets a number it does not know treats it as the enumeration's
//! documented default.

use core::fmt;

use super::wire::{Slice, wire_struct};

/// Longest name of an agent, in bytes of UTF-8.
pub const MAX_NAME: usize = 63;
/// Most binds in one spawn.
pub const MAX_BINDS: usize = 32;
/// Most strings in `argv` and in `env`, each.
pub const MAX_STRINGS: usize = 4096;
/// Most bytes of `argv` and `env` together, terminators included.
pub const MAX_STRING_BYTES: usize = 1 << 20;

/// An agent's identity: an index in the low half, a generation in the high half. Never reused; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId(u64);

impl AgentId {
    pub const fn new(index: u32, generation: u32) -> Self {
        Self((generation as u64) << 32 | index as u64)
    }

    /// The identity in a register or structure, `None` for 0, which means "none", "any" or "self" by context.
    pub const fn from_raw(raw: u64) -> Option<Self> {
        if raw == 0 { None } else { Some(Self(raw)) }
    }

    pub const fn raw(self) -> u64 {
        self.0
    }

    pub const fn index(self) -> u32 {
        self.0 as u32
    }

    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// `index.generation`, as logs and control lines show it.
impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index(), self.generation())
    }
}

/// No identity is written so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoId;

/// Reads what [`Display`](fmt::Display) writes.
impl core::str::FromStr for AgentId {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let (index, generation) = text.split_once('.').ok_or(NoId)?;
        let id = Self::new(index.parse().map_err(|_| NoId)?, generation.parse().map_err(|_| NoId)?);
        Self::from_raw(id.raw()).ok_or(NoId)
    }
}

macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident default $default:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant = $number,)*
        }

        impl $name {
            /// All values, in order.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// The value with that number; the default for a number this version does not know.
            pub const fn from_u32(number: u32) -> Self {
                match number {
                    $($number => $name::$variant,)*
                    _ => $name::$default,
                }
            }

            pub const fn to_u32(self) -> u32 {
                self as u32
            }

            /// A short text for logs and people.
            pub const fn text(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text())
            }
        }
    };
}

wire_enum! {
    /// Where an agent is in its life. Which verb is allowed in which state is decided by the kernel's agent room.
    AgentState default Dead {
        Created = 1 "created",
        Running = 2 "running",
        Frozen = 3 "frozen",
        Upgrading = 4 "upgrading",
        /// Stopped by its fault policy; memory and files can be looked at.
        Faulted = 5 "faulted",
        Dying = 6 "dying",
        Dead = 7 "dead",
    }
}

wire_enum! {
    /// How an agent ended.
    ExitKind default Killed {
        /// Its first process exited; `code` is the exit status.
        Exited = 1 "exited",
        /// Its first process died of `signal`, sent by a program.
        Signaled = 2 "signaled",
        /// A process did what the processor refuses; `fault` says what and where, `signal` which signal it was.
        Faulted = 3 "faulted",
        /// It went over a limit.
        Limit = 4 "limit",
        /// Ended by another agent's AgentKill or by the machine going down.
        Killed = 5 "killed",
        /// Not an end: its fault policy stopped it, and it can be looked at, thawed or killed. AgentWait tells it where it is
        /// asked to.
        Frozen = 6 "frozen by its fault policy",
        /// The kernel failed while it served the agent; `reason` says where.
        KernelFault = 7 "ended by a fault of the kernel",
    }
}

wire_enum! {
    /// What a program did to end its agent.
    FaultKind default Other {
        None = 0 "no fault",
        /// Within the first 64 KiB of the address space.
        NullRead = 1 "null read",
        NullWrite = 2 "null write",
        NullExecute = 3 "null execute",
        ReadUnmapped = 4 "read of unmapped memory",
        WriteUnmapped = 5 "write to unmapped memory",
        ExecuteUnmapped = 6 "execute of unmapped memory",
        /// The page is mapped, but not for this.
        ReadProtected = 7 "read of protected memory",
        WriteReadOnly = 8 "write to read-only memory",
        ExecuteData = 9 "execute of data",
        StackOverflow = 10 "stack overflow",
        /// An address in the kernel's half.
        KernelAddress = 11 "access to a kernel address",
        /// An address that no x86-64 page table can map.
        NonCanonical = 12 "access to a non-canonical address",
        IllegalInstruction = 13 "illegal instruction",
        /// An instruction or operand that user code may not use.
        GeneralProtection = 14 "privileged or malformed instruction",
        DivideError = 15 "division by zero or overflow",
        FloatingPoint = 16 "floating-point exception",
        Alignment = 17 "misaligned access",
        /// A file mapping was touched past the end of its file, or its page could not be read.
        BusError = 18 "access past the end of a mapped file",
        Breakpoint = 19 "breakpoint",
        /// Memory was there to be had by right, but the agent's limit or the machine had none left.
        OutOfMemory = 20 "out of memory",
        /// The program gave itself up: `abort`.
        Abort = 21 "abort",
        Other = 99 "unknown fault",
    }
}

/// Directories that an agent sees besides its image.
pub mod bind_flag {
    /// The agent cannot write through this bind.
    pub const READ_ONLY: u32 = 1;
}

/// A directory of the spawner that the new agent sees under another path.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct AgentBind {
    /// Path in the spawner's mount namespace (bytes).
    pub source: Slice,
    /// Absolute path in the agent's; made in its private layer when the image lacks it (bytes).
    pub target: Slice,
    /// Of [`bind_flag`].
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

wire_struct!(AgentBind { source: Slice, target: Slice, flags: u32, reserved: u32 });

/// Argument of AgentSpawn.
///
/// The agent's root is an overlay of a private layer in memory over the image directory, which is only read. The kernel
/// adds `/proc`, `/dev` (with `/dev/shm`) and `/tmp`. Its first process is process 1 of the agent, in a session of
/// its own. Terminals among the standard streams are opened anew in its `/dev`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct AgentSpawnArgs {
    /// `size_of::<AgentSpawnArgs>()` as the caller knows it.
    pub size: u32,
    /// [`spawn_flag`] bits.
    pub flags: u32,
    /// UTF-8, 1 to [`MAX_NAME`] bytes, no control characters.
    pub name: Slice,
    /// Path of the image's root directory in the spawner's mount namespace (bytes).
    pub image: Slice,
    /// Array of [`AgentBind`].
    pub binds: Slice,
    /// Array of [`Slice`] (bytes each); at least one. The first is the program, searched in the `PATH` of `env` when it has no slash.
    pub argv: Slice,
    /// Array of [`Slice`] (bytes each), `KEY=value`.
    pub env: Slice,
    /// Absolute working directory in the agent (bytes); empty is `/`.
    pub cwd: Slice,
    /// The spawner's descriptors that become 0, 1 and 2; -1 leaves one closed.
    pub stdio: [i32; 3],
    /// Threads of all processes together; 0 is the spawner's limit.
    pub max_threads: u32,
    /// Open descriptors a process; 0 is the spawner's limit.
    pub max_open_files: u32,
    /// The terminal that controls the session of the first process: one more than the spawner's descriptor of it. 0 is
    /// that of descriptor 0 in `stdio`, where that is a terminal.
    pub terminal: u32,
    /// Bytes of memory of all processes together, page tables and private files included; 0 is the spawner's limit.
    pub memory_limit: u64,
    /// Where a failure is told in words (bytes; UTF-8, cut to the length, zero-terminated): which path is at fault, and why.
    /// Written only when the call fails; empty where nobody wants to know.
    pub failure: Slice,
    /// Share of the CPUs against the spawner's other agents, 1 to 10,000; 0 is the usual 100.
    pub cpu_share: u32,
    /// [`cpu_flag`] bits.
    pub cpu_flags: u32,
    /// Nanoseconds that all threads together may run in each `cpu_period`; 0 is no limit. At least 1 ms.
    pub cpu_quota: u64,
    /// Nanoseconds, 1 ms to 1 s; 0 is 100 ms.
    pub cpu_period: u64,
    /// The CPUs to run on as a mask (bytes, little endian); empty is the spawner's.
    pub cpus: Slice,
}

/// Bits of [`AgentSpawnArgs::flags`].
pub mod spawn_flag {
    /// A fault that no process handles stops the agent, so that it can be looked at. Without it the process ends by it.
    pub const FREEZE_ON_FAULT: u32 = 1;
}

/// Bits of [`AgentSpawnArgs::cpu_flags`].
pub mod cpu_flag {
    /// Its programs may use the real-time and deadline classes, as far as the spawner may, and raise limits.
    pub const REALTIME: u32 = 1;
}

wire_struct!(AgentSpawnArgs {
    size: u32,
    flags: u32,
    name: Slice,
    image: Slice,
    binds: Slice,
    argv: Slice,
    env: Slice,
    cwd: Slice,
    stdio: [i32; 3],
    max_threads: u32,
    max_open_files: u32,
    terminal: u32,
    memory_limit: u64,
    failure: Slice,
    cpu_share: u32,
    cpu_flags: u32,
    cpu_quota: u64,
    cpu_period: u64,
    cpus: Slice,
});

impl AgentSpawnArgs {
    /// Size of the structure's first version: the least that AgentSpawn takes.
    pub const LEAST: usize = 136;
}

/// What a program did, and where.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultRecord {
    /// A [`FaultKind`].
    pub kind: u32,
    /// Process, as the agent numbers it.
    pub pid: u32,
    /// The address that was touched; 0 where the kind has none or the processor does not tell it.
    pub address: u64,
    /// The instruction that did it.
    pub pc: u64,
    /// Name of the program, zero-terminated unless full.
    pub program: [u8; 32],
}

wire_struct!(FaultRecord { kind: u32, pid: u32, address: u64, pc: u64, program: [u8; 32] });

impl FaultRecord {
    /// The address that was touched, where the processor tells one.
    fn touched(&self) -> Option<u64> {
        match FaultKind::from_u32(self.kind) {
            FaultKind::None
            | FaultKind::IllegalInstruction
            | FaultKind::GeneralProtection
            | FaultKind::DivideError
            | FaultKind::FloatingPoint
            | FaultKind::Alignment
            | FaultKind::Breakpoint
            | FaultKind::Abort
            | FaultKind::Other => None,
            // Refused as an instruction, the processor keeps the address to itself; refused as a page, it is told.
            FaultKind::NonCanonical => Some(self.address).filter(|address| *address != 0),
            _ => Some(self.address),
        }
    }
}

/// One line for people: `null write at 0x0 (pc 0x401136, pid 2 'prog')`. Kinds without an address name none.
impl fmt::Display for FaultRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        FaultKind::from_u32(self.kind).fmt(f)?;
        if let Some(address) = self.touched() {
            write!(f, " at {address:#x}")?;
        }
        write!(f, " (pc {:#x}, pid {} '{}')", self.pc, self.pid, field_text(&self.program))
    }
}

/// How an agent ended: what AgentWait writes. The caller sets `size` before the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AgentExitRecord {
    pub size: u32,
    /// An [`ExitKind`].
    pub kind: u32,
    /// The [`AgentId`].
    pub id: u64,
    /// Exit status of the first process, 0 to 255; 0 unless it exited.
    pub code: i32,
    /// Linux signal number; 0 unless a signal ended it.
    pub signal: i32,
    pub fault: FaultRecord,
    /// Most bytes it was charged for at one time.
    pub peak_memory: u64,
    /// Processor time of all its threads, nanoseconds.
    pub cpu_ns: u64,
    /// From spawn to end, nanoseconds of the monotonic clock.
    pub wall_ns: u64,
    /// Name of the agent, zero-terminated.
    pub name: [u8; 64],
    /// One line for people (UTF-8, zero-terminated unless full); empty after a plain exit.
    pub reason: [u8; 256],
}

wire_struct!(AgentExitRecord {
    size: u32,
    kind: u32,
    id: u64,
    code: i32,
    signal: i32,
    fault: FaultRecord,
    peak_memory: u64,
    cpu_ns: u64,
    wall_ns: u64,
    name: [u8; 64],
    reason: [u8; 256],
});

impl Default for AgentExitRecord {
    fn default() -> Self {
        Self {
            size: size_of::<Self>() as u32,
            kind: 0,
            id: 0,
            code: 0,
            signal: 0,
            fault: FaultRecord::default(),
            peak_memory: 0,
            cpu_ns: 0,
            wall_ns: 0,
            name: [0; 64],
            reason: [0; 256],
        }
    }
}

/// The registers of a thread, at the user boundary.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadRegisters {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
    pub fs_base: u64,
}

wire_struct!(ThreadRegisters {
    rax: u64,
    rbx: u64,
    rcx: u64,
    rdx: u64,
    rsi: u64,
    rdi: u64,
    rbp: u64,
    rsp: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    rip: u64,
    rflags: u64,
    fs_base: u64,
});

impl ThreadRegisters {
    /// Names and values, in the order in which they are shown.
    pub const fn named(&self) -> [(&'static str, u64); 19] {
        [
            ("rax", self.rax),
            ("rbx", self.rbx),
            ("rcx", self.rcx),
            ("rdx", self.rdx),
            ("rsi", self.rsi),
            ("rdi", self.rdi),
            ("rbp", self.rbp),
            ("rsp", self.rsp),
            ("r8", self.r8),
            ("r9", self.r9),
            ("r10", self.r10),
            ("r11", self.r11),
            ("r12", self.r12),
            ("r13", self.r13),
            ("r14", self.r14),
            ("r15", self.r15),
            ("rip", self.rip),
            ("rflags", self.rflags),
            ("fs_base", self.fs_base),
        ]
    }
}

/// What an agent is and holds now: what AgentInfo writes. The caller sets `size` before the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AgentInfo {
    pub size: u32,
    /// An [`AgentState`].
    pub state: u32,
    /// The [`AgentId`].
    pub id: u64,
    /// The [`AgentId`] that spawned it; 0 for the system agent.
    pub parent: u64,
    pub processes: u32,
    pub threads: u32,
    /// Descriptors of all its processes.
    pub open_files: u32,
    /// Zero.
    pub reserved: u32,
    /// Bytes charged now, at most, and allowed.
    pub memory: u64,
    pub peak_memory: u64,
    pub memory_limit: u64,
    /// Processor time of all its threads so far, nanoseconds.
    pub cpu_ns: u64,
    /// When it was spawned, nanoseconds of the monotonic clock.
    pub started_ns: u64,
    /// Zero-terminated UTF-8.
    pub name: [u8; 64],
    /// What stopped it, while its state is [`AgentState::Faulted`]; kind 0 else.
    pub fault: FaultRecord,
    /// The signal that the fault is; 0 where there is none.
    pub fault_signal: u32,
    /// The thread that did it, as the agent numbers it.
    pub fault_thread: u32,
    /// That thread's registers when it did.
    pub registers: ThreadRegisters,
}

impl AgentInfo {
    /// Size of the structure's first version: the least that AgentInfo writes to.
    pub const LEAST: usize = 144;
}

wire_struct!(AgentInfo {
    size: u32,
    state: u32,
    id: u64,
    parent: u64,
    processes: u32,
    threads: u32,
    open_files: u32,
    reserved: u32,
    memory: u64,
    peak_memory: u64,
    memory_limit: u64,
    cpu_ns: u64,
    started_ns: u64,
    name: [u8; 64],
    fault: FaultRecord,
    fault_signal: u32,
    fault_thread: u32,
    registers: ThreadRegisters,
});

impl Default for AgentInfo {
    fn default() -> Self {
        Self {
            size: size_of::<Self>() as u32,
            state: 0,
            id: 0,
            parent: 0,
            processes: 0,
            threads: 0,
            open_files: 0,
            reserved: 0,
            memory: 0,
            peak_memory: 0,
            memory_limit: 0,
            cpu_ns: 0,
            started_ns: 0,
            name: [0; 64],
            fault: FaultRecord::default(),
            fault_signal: 0,
            fault_thread: 0,
            registers: ThreadRegisters::default(),
        }
    }
}

/// The text in a fixed field: up to the first zero, and up to the first byte that is not UTF-8.
pub fn field_text(field: &[u8]) -> &str {
    let text = field.split(|&byte| byte == 0).next().unwrap_or_default();
    match core::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            text.get(..error.valid_up_to()).and_then(|valid| core::str::from_utf8(valid).ok()).unwrap_or_default()
        }
    }
}

/// Puts a text into a fixed field: cut at a character boundary so that a terminating zero always fits.
pub fn set_field_text(field: &mut [u8], text: &str) {
    field.fill(0);
    let mut len = text.len().min(field.len().saturating_sub(1));
    while !text.is_char_boundary(len) {
        len = len.saturating_sub(1);
    }
    if let (Some(to), Some(from)) = (field.get_mut(..len), text.as_bytes().get(..len)) {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::wire::{Wire, decode_versioned};

    /// The sizes are the ABI: a change here breaks programs that are already built.
    #[test]
    fn sizes_are_what_programs_were_built_with() {
        assert_eq!(size_of::<Slice>(), 16);
        assert_eq!(size_of::<AgentBind>(), 40);
        assert_eq!(size_of::<AgentSpawnArgs>(), 192);
        assert_eq!(size_of::<FaultRecord>(), 56);
        assert_eq!(size_of::<AgentExitRecord>(), 424);
        assert_eq!(size_of::<ThreadRegisters>(), 152);
        assert_eq!(size_of::<AgentInfo>(), 360);
        assert_eq!((AgentSpawnArgs::LEAST, AgentInfo::LEAST), (136, 144));
    }

    #[test]
    fn an_encoded_structure_decodes_to_itself() {
        let args = AgentSpawnArgs {
            size: AgentSpawnArgs::SIZE as u32,
            name: Slice { ptr: 0x1000, len: 6 },
            stdio: [0, 1, -1],
            memory_limit: 1 << 33,
            ..Default::default()
        };
        let mut bytes = [0u8; AgentSpawnArgs::SIZE];
        assert!(args.encode(&mut bytes));
        let back: AgentSpawnArgs = decode_versioned(&bytes).unwrap();
        assert_eq!((back.name, back.stdio, back.memory_limit), (args.name, args.stdio, args.memory_limit));
        assert!(AgentSpawnArgs::decode(&bytes[1..]).is_none());
    }

    #[test]
    fn an_id_shows_index_and_generation() {
        extern crate std;
        use std::string::ToString;
        let id = AgentId::new(3, 7);
        assert_eq!((id.index(), id.generation(), id.to_string().as_str()), (3, 7, "3.7"));
        assert_eq!(AgentId::from_raw(id.raw()), Some(id));
        assert_eq!("3.7".parse(), Ok(id));
        for wrong in ["", "3", "3.", "0.0", "3.7.1", "-1.2"] {
            assert_eq!(wrong.parse::<AgentId>(), Err(NoId), "{wrong}");
        }
        assert_eq!(AgentId::from_raw(0), None);
    }

    #[test]
    fn a_fault_names_an_address_only_where_there_is_one() {
        extern crate std;
        use std::string::ToString;
        let text = |kind: FaultKind, address| {
            let mut fault = FaultRecord { kind: kind.to_u32(), pid: 2, address, pc: 0x401136, program: [0; 32] };
            set_field_text(&mut fault.program, "prog");
            fault.to_string()
        };
        assert_eq!(text(FaultKind::NullWrite, 0), "null write at 0x0 (pc 0x401136, pid 2 'prog')");
        assert_eq!(text(FaultKind::DivideError, 0), "division by zero or overflow (pc 0x401136, pid 2 'prog')");
        assert!(text(FaultKind::NonCanonical, 1 << 60).contains(" at 0x1000000000000000 "));
        for kind in [FaultKind::NonCanonical, FaultKind::IllegalInstruction, FaultKind::GeneralProtection] {
            assert!(!text(kind, 0).contains(" at "), "{kind}");
        }
    }

    #[test]
    fn enumerations_survive_the_wire() {
        for &kind in FaultKind::ALL {
            assert_eq!(FaultKind::from_u32(kind.to_u32()), kind);
        }
        for &state in AgentState::ALL {
            assert_eq!(AgentState::from_u32(state.to_u32()), state);
        }
        assert_eq!(ExitKind::from_u32(77), ExitKind::Killed);
    }

    #[test]
    fn texts_are_cut_at_characters_and_end_in_zero() {
        let mut field = [1u8; 4];
        set_field_text(&mut field, "aé");
        assert_eq!((field, field_text(&field)), (*b"a\xc3\xa9\0", "aé"));
        set_field_text(&mut field, "abé");
        assert_eq!(field_text(&field), "ab");
        set_field_text(&mut field, "abcdef");
        assert_eq!(field_text(&field), "abc");
        assert_eq!(field_text(b"full"), "full");
        assert_eq!(field_text(b"a\xff"), "a");
    }
}
