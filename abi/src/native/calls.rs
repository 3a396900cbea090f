//! The table of native calls: dispatch, tracing, documentation and SDK bindings come from it.

/// How much of a call works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Everything the documentation says.
    Full,
    /// The note says what is missing.
    Partial,
    /// Named and numbered; returns `ENOSYS`.
    Absent,
}

impl Support {
    /// The word of the reference.
    pub const fn word(self) -> &'static str {
        match self {
            Support::Full => "full",
            Support::Partial => "partial",
            Support::Absent => "absent",
        }
    }
}

/// One native call.
#[derive(Clone, Copy, Debug)]
pub struct NativeCall {
    pub number: u32,
    pub name: &'static str,
    /// `name: type` for each argument, in order.
    pub args: &'static [&'static str],
    /// The right that the caller's agent must have; empty when none is needed.
    pub right: &'static str,
    pub support: Support,
    /// What it does, or what is missing.
    pub note: &'static str,
}

/// The call with that number.
pub fn by_number(number: u32) -> Option<&'static NativeCall> {
    CALLS.iter().find(|call| call.number == number)
}

/// Number ranges of the groups; each has room to grow.
pub mod group {
    use core::ops::RangeInclusive;

    pub const CORE: RangeInclusive<u32> = 1..=31;
    pub const AGENT: RangeInclusive<u32> = 32..=63;
    pub const CAPABILITY: RangeInclusive<u32> = 64..=95;
    pub const FABRIC: RangeInclusive<u32> = 96..=127;
    pub const IPC: RangeInclusive<u32> = 128..=159;
    pub const AUDIT: RangeInclusive<u32> = 160..=191;
    pub const ENCLAVE: RangeInclusive<u32> = 192..=223;
    pub const GPU: RangeInclusive<u32> = 224..=255;

    /// All groups by number, with their titles. A number in none of them, and one in a group that no call has, is unknown:
    /// `ENOSYS`.
    pub static ALL: &[(&str, RangeInclusive<u32>)] = &[
        ("Core", CORE),
        ("Agents", AGENT),
        ("Capabilities", CAPABILITY),
        ("Fabric", FABRIC),
        ("Messages", IPC),
        ("Audit and observation", AUDIT),
        ("Enclaves and TPM", ENCLAVE),
        ("GPU queues", GPU),
    ];
}

macro_rules! calls {
    ($($number:literal $constant:ident $name:literal [$($arg:literal),*] $right:literal $support:ident $note:literal;)*) => {
        /// The call numbers by name.
        pub mod number {
            $(#[doc = $note] pub const $constant: u32 = $number;)*
        }

        /// Every native call, by number.
        pub static CALLS: &[NativeCall] = &[$(NativeCall {
            number: $number,
            name: $name,
            args: &[$($arg),*],
            right: $right,
            support: Support::$support,
            note: $note,
        }),*];
    };
}

calls! {
    1 AGENT_SPAWN "AgentSpawn" ["args: *AgentSpawnArgs"] "spawn" Full
        "Makes an agent from an image and starts its first process; returns the new AgentId. Says in words why it cannot.";
    2 AGENT_SUPERVISOR_REGISTER "AgentSupervisorRegister" [] "agent.supervise" Absent
        "Names the caller as the one that hears of every agent's end.";
    3 AGENT_REGISTER "AgentRegister" [] "" Absent "Publishes the calling agent under a name.";
    4 AGENT_KILL "AgentKill" ["agent: AgentId", "reason: i32"] "kill" Full
        "Ends an agent and all it owns; `reason` goes to its exit record. AgentId 0, and no right, for the caller's own.";
    5 IPC_SEND "IpcSend" [] "ipc.send" Absent "Sends a message to an endpoint.";
    6 IPC_RECV "IpcRecv" [] "ipc.receive" Absent "Waits for a message at an endpoint.";
    7 AGENT_MEM_ALLOC "AgentMemAlloc" [] "memory.allocate" Absent "Maps anonymous memory, charged to the agent.";
    8 AGENT_MEM_FREE "AgentMemFree" [] "memory.allocate" Absent "Gives back what AgentMemAlloc mapped.";
    9 FRAME_ALLOC "FrameAlloc" [] "memory.frame" Absent "Takes physical frames, for drivers in user space.";
    10 PAGE_MAP "PageMap" [] "memory.frame" Absent "Maps frames of FrameAlloc.";
    11 AGENT_POOL_ALLOC "AgentPoolAlloc" [] "memory.pool" Absent
        "Memory in the pool window, at the same address in all processes of the agent.";
    12 PQC_OPERATION "PqcOperation" [] "crypto.use" Absent "Signs, verifies or exchanges keys with the agent's identity.";
    13 GET_ASYNC_RESULT "GetAsyncResult" [] "" Absent "Result of an operation that was started earlier.";
    14 FRAMEBUFFER_ALLOC "FramebufferAlloc" [] "display.draw" Absent "A buffer that can be shown.";
    15 FRAMEBUFFER_FREE "FramebufferFree" [] "display.draw" Absent "Gives a buffer back.";
    16 FRAMEBUFFER_PRESENT "FramebufferPresent" [] "display.draw" Absent "Shows a buffer.";
    17 DISPLAY_GET "DisplayGet" [] "display.read" Absent "Displays and their modes.";
    18 DISPLAY_SET_MODE "DisplaySetMode" [] "display.configure" Absent "Changes a display's mode.";
    19 INPUT_READ "InputRead" [] "input.read" Absent "Waits for input events.";
    20 INPUT_GET_DEVICES "InputGetDevices" [] "input.read" Absent "Input devices and what they can report.";
    32 AGENT_CLONE "AgentClone" [] "agent.clone" Absent "Live copies of a whole agent.";
    33 AGENT_MERGE "AgentMerge" [] "agent.merge" Absent "Brings a clone's work back to its origin.";
    34 AGENT_SPLIT "AgentSplit" [] "agent.split" Absent "Moves part of an agent into a new one.";
    35 AGENT_UPGRADE "AgentUpgrade" [] "agent.upgrade" Absent "Replaces image or manifest while the agent runs.";
    36 AGENT_SPECIALIZE "AgentSpecialize" [] "agent.specialize" Absent "Narrows rights, sets limits and scheduling class.";
    37 AGENT_FREEZE "AgentFreeze" ["agent: AgentId"] "freeze" Full
        "Stops all threads of an agent that the caller's own spawned; returns when they stand at the user boundary.";
    38 AGENT_THAW "AgentThaw" ["agent: AgentId"] "freeze" Full
        "Lets a frozen agent go on; one that its fault policy stopped ends, or loses the process, by its fault.";
    39 AGENT_CHECKPOINT "AgentCheckpoint" [] "agent.checkpoint" Absent "Writes a frozen agent to a descriptor.";
    40 AGENT_RESTORE "AgentRestore" [] "spawn" Absent "Makes an agent from a checkpoint.";
    41 AGENT_INFO "AgentInfo" ["agent: AgentId", "info: *AgentInfo"] "inspect" Full
        "State, counts and charges of an agent; AgentId 0, and no right, for the caller's own.";
    42 AGENT_LIST "AgentList" ["ids: *AgentId", "capacity: usize"] "inspect" Full
        "Writes the ids of up to `capacity` agents; returns how many there are.";
    43 AGENT_WAIT "AgentWait" ["agent: AgentId", "record: *AgentExitRecord", "flags: u32"] "inspect" Full
        "Waits for the end of an agent the caller's agent spawned (AgentId 0: any); returns its AgentId and forgets it. With FAULTED also for one that its fault policy stops, which stays.";
}

/// Flags of AgentWait.
pub mod wait_flag {
    /// Return 0 at once when no such agent has ended.
    pub const NO_HANG: u32 = 1;
    /// Return also, once each time, when the fault policy of such an agent has stopped it: the record's kind is then
    /// [`ExitKind::Frozen`](super::super::ExitKind::Frozen) and the agent is still there.
    pub const FAULTED: u32 = 2;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_names_are_unique() {
        for pair in CALLS.windows(2) {
            assert!(pair[0].number < pair[1].number, "{} comes before {}", pair[0].name, pair[1].name);
            assert!(CALLS.iter().filter(|call| call.name == pair[0].name).count() == 1);
        }
    }

    #[test]
    fn every_call_lies_in_a_group_and_groups_follow_each_other() {
        for call in CALLS {
            assert!(group::ALL.iter().any(|(_, range)| range.contains(&call.number)), "{}", call.name);
        }
        for pair in group::ALL.windows(2) {
            assert_eq!(pair[0].1.end() + 1, *pair[1].1.start(), "{}", pair[1].0);
        }
        assert_eq!((group::CORE.start(), group::GPU.end()), (&1, &255));
    }

    /// These numbers were given out before there was a kernel: they may gain a meaning, and never change it.
    #[test]
    fn the_first_twenty_are_all_there() {
        let names: [&str; 20] = [
            "AgentSpawn",
            "AgentSupervisorRegister",
            "AgentRegister",
            "AgentKill",
            "IpcSend",
            "IpcRecv",
            "AgentMemAlloc",
            "AgentMemFree",
            "FrameAlloc",
            "PageMap",
            "AgentPoolAlloc",
            "PqcOperation",
            "GetAsyncResult",
            "FramebufferAlloc",
            "FramebufferFree",
            "FramebufferPresent",
            "DisplayGet",
            "DisplaySetMode",
            "InputRead",
            "InputGetDevices",
        ];
        for (number, name) in (1..).zip(names) {
            assert_eq!(by_number(number).map(|call| call.name), Some(name));
        }
    }

    #[test]
    fn lookup_finds_what_the_constants_name() {
        assert_eq!(by_number(number::AGENT_SPAWN).map(|call| call.name), Some("AgentSpawn"));
        assert_eq!(by_number(number::AGENT_WAIT).map(|call| call.number), Some(43));
        assert!(by_number(0).is_none() && by_number(21).is_none());
    }
}
