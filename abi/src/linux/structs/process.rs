//! Processes, threads, limits, and the system as a whole.

use super::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Timeval};

wire! {
    /// `struct clone_args` of `clone3(2)`, version 2. Addresses and descriptors are 64 bits wide.
    CloneArgs[88] {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        /// Lowest address of the stack.
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    /// `struct robust_list_head`.
    RobustListHead[24] {
        next: u64,
        /// From a list entry to its futex word, bytes.
        futex_offset: i64,
        pending: u64,
    }
    /// `struct rseq`, to the fields that every version has; aligned to 32 bytes in user space.
    Rseq[32] {
        cpu_id_start: u32,
        cpu_id: u32,
        /// Address of the active `struct rseq_cs`, or 0.
        critical_section: u64,
        flags: u32,
        node_id: u32,
        mm_cid: u32,
        pad0: u32,
    }
    /// `struct rseq_cs`: a restartable sequence.
    RseqCs[32] {
        version: u32,
        flags: u32,
        start_ip: u64,
        post_commit_offset: u64,
        abort_ip: u64,
    }
    /// `struct rlimit`.
    Rlimit[16] {
        current: u64,
        maximum: u64,
    }
    /// `struct rusage`.
    Rusage[144] {
        utime: Timeval,
        stime: Timeval,
        /// KiB.
        maxrss: i64,
        ixrss: i64,
        idrss: i64,
        isrss: i64,
        minflt: i64,
        majflt: i64,
        nswap: i64,
        inblock: i64,
        oublock: i64,
        msgsnd: i64,
        msgrcv: i64,
        nsignals: i64,
        nvcsw: i64,
        nivcsw: i64,
    }
    /// `struct utsname`: NUL-terminated texts.
    Utsname[390] {
        sysname: [u8; 65],
        nodename: [u8; 65],
        release: [u8; 65],
        version: [u8; 65],
        machine: [u8; 65],
        domainname: [u8; 65],
    }
    /// `struct sysinfo`. Memory is in units of `mem_unit` bytes.
    Sysinfo[112] {
        /// Seconds.
        uptime: i64,
        /// Load averages, fixed point with 16 fraction bits.
        loads: [u64; 3],
        totalram: u64,
        freeram: u64,
        sharedram: u64,
        bufferram: u64,
        totalswap: u64,
        freeswap: u64,
        procs: u16,
        pad0: [u16; 3],
        totalhigh: u64,
        freehigh: u64,
        mem_unit: u32,
        pad1: u32,
    }
    /// `struct sched_param`.
    SchedParam[4] {
        priority: i32,
    }
    /// `struct sched_attr`.
    SchedAttr[56] {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        /// Nanoseconds, for the deadline class.
        runtime: u64,
        deadline: u64,
        period: u64,
        util_min: u32,
        util_max: u32,
    }
    /// `struct user_desc` of `modify_ldt(2)`.
    UserDesc[16] {
        entry_number: u32,
        base_addr: u32,
        limit: u32,
        /// Bit fields, from bit 0: seg_32bit, contents (2), read_exec_only, limit_in_pages, seg_not_present, useable, lm.
        flags: u32,
    }
    /// `struct __user_cap_header_struct` of `capget(2)`.
    CapHeader[8] {
        version: u32,
        pid: i32,
    }
    /// `struct __user_cap_data_struct`; version 3 has two of them.
    CapData[12] {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    /// `struct getcpu_cache`: accepted and ignored.
    GetcpuCache[128] {
        reserved: [u64; 16],
    }
}

impl Utsname {
    /// Puts a text into a field, cut to fit with its terminator.
    pub fn set(field: &mut [u8; 65], text: &str) {
        field.fill(0);
        for (to, from) in field.iter_mut().take(64).zip(text.bytes()) {
            *to = from;
        }
    }
}

/// The status word of `wait4(2)`.
pub mod wait_status {
    /// Ended by `exit`; the program sees the low 8 bits.
    pub const fn exited(code: u8) -> i32 {
        (code as i32) << 8
    }

    /// Ended by a signal.
    pub const fn signaled(signal: u32, core_dumped: bool) -> i32 {
        (signal & 0x7f) as i32 | if core_dumped { 0x80 } else { 0 }
    }

    /// Stopped by a signal.
    pub const fn stopped(signal: u32) -> i32 {
        ((signal & 0xff) as i32) << 8 | 0x7f
    }

    /// Continued after a stop.
    pub const CONTINUED: i32 = 0xffff;
}
