//! The vocabulary of the call table: what a row says about a call, its arguments and its result.

use crate::Errno;

/// One system call.
#[derive(Debug, PartialEq, Eq)]
pub struct Call {
    /// What the program puts in `rax`.
    pub number: u16,
    /// The name in section 2 of the Linux manual.
    pub name: &'static str,
    /// In register order: `rdi`, `rsi`, `rdx`, `r10`, `r8`, `r9`.
    pub args: &'static [Arg],
    pub ret: ReturnType,
    pub support: Support,
    /// What a program will notice; empty when there is nothing to say.
    pub note: &'static str,
}

/// How far this kernel implements a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// As Linux, for every argument a program may pass.
    Full,
    /// Works for the common arguments; the note names the others.
    Partial,
    /// Always fails with this error, on purpose; the note says why.
    Refused(Errno),
    /// Not there yet: `ENOSYS`, and the kernel counts it by name.
    Missing,
}

impl Support {
    /// The word that documentation uses.
    pub const fn word(self) -> &'static str {
        match self {
            Support::Full => "full",
            Support::Partial => "partial",
            Support::Refused(_) => "refused",
            Support::Missing => "missing",
        }
    }
}

/// One argument.
#[derive(Debug, PartialEq, Eq)]
pub struct Arg {
    pub name: &'static str,
    pub ty: ArgType,
}

/// What the register of an argument holds. An index is that of the argument with the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgType {
    /// File descriptor.
    Fd,
    /// File descriptor of a directory, or `AT_FDCWD`.
    DirFd,
    /// C `int`.
    Int,
    /// C `unsigned int`.
    UInt,
    /// C `long`.
    Long,
    /// C `unsigned long`.
    ULong,
    /// A word best read in hexadecimal.
    Hex,
    /// Bytes or elements.
    Size,
    /// Signed position in a file, bytes.
    Offset,
    /// Process, thread or process-group number.
    Pid,
    Uid,
    Gid,
    /// Signal number; 0 where only a check is asked for.
    Signal,
    /// Permission bits and file type, octal.
    Mode,
    /// Device number, `makedev` encoding.
    Dev,
    /// An address that the call does not read or write itself.
    Addr,
    /// Pointer whose target is not described further.
    Ptr,
    /// NUL-terminated path.
    Path,
    /// Path that the call writes, NUL-terminated.
    PathOut,
    /// NUL-terminated string.
    Str,
    /// NULL-terminated array of strings.
    StrArray,
    /// Bytes that the call reads.
    BufIn(u8),
    /// Bytes that the call writes: as many as it returns, when it returns a count.
    BufOut(u8),
    /// Structure that the call reads.
    In(Struct),
    /// Structure that the call writes.
    Out(Struct),
    /// Structure that the call reads and then overwrites.
    InOut(Struct),
    InArray(Struct, u8),
    OutArray(Struct, u8),
    InOutArray(Struct, u8),
    /// Socket address of that length.
    SockaddrIn(u8),
    /// Socket address; the length is behind a pointer.
    SockaddrOut(u8),
    /// Bits out of a set.
    Flags(FlagSet),
    /// One value out of a set.
    One(FlagSet),
    /// Third argument of `ioctl`: its meaning follows the request.
    IoctlArg,
    /// Third argument of `fcntl`: its meaning follows the command.
    FcntlArg,
    /// Fourth argument of `futex`: a timeout or a count, by operation.
    FutexTimeout,
}

impl ArgType {
    /// The argument that says how long this one is.
    pub const fn length_argument(self) -> Option<usize> {
        match self {
            ArgType::BufIn(n)
            | ArgType::BufOut(n)
            | ArgType::InArray(_, n)
            | ArgType::OutArray(_, n)
            | ArgType::InOutArray(_, n)
            | ArgType::SockaddrIn(n)
            | ArgType::SockaddrOut(n) => Some(n as usize),
            _ => None,
        }
    }

    /// True when the argument can only be shown after the call has returned.
    pub const fn is_output(self) -> bool {
        matches!(
            self,
            ArgType::BufOut(_)
                | ArgType::PathOut
                | ArgType::Out(_)
                | ArgType::OutArray(..)
                | ArgType::SockaddrOut(_)
                | ArgType::IoctlArg
        )
    }

    /// How the ABI reference writes the type, close to C.
    pub const fn c_type(self) -> CType {
        match self {
            ArgType::Fd | ArgType::DirFd | ArgType::Int | ArgType::Signal => CType::Plain("int"),
            ArgType::UInt => CType::Plain("unsigned int"),
            ArgType::Long => CType::Plain("long"),
            ArgType::ULong | ArgType::Hex => CType::Plain("unsigned long"),
            ArgType::Size => CType::Plain("size_t"),
            ArgType::Offset => CType::Plain("off_t"),
            ArgType::Pid => CType::Plain("pid_t"),
            ArgType::Uid => CType::Plain("uid_t"),
            ArgType::Gid => CType::Plain("gid_t"),
            ArgType::Mode => CType::Plain("mode_t"),
            ArgType::Dev => CType::Plain("dev_t"),
            ArgType::Addr | ArgType::Ptr => CType::Plain("void *"),
            ArgType::Path | ArgType::Str => CType::Plain("const char *"),
            ArgType::PathOut => CType::Plain("char *"),
            ArgType::StrArray => CType::Plain("char *const *"),
            ArgType::BufIn(_) => CType::Plain("const void *"),
            ArgType::BufOut(_) => CType::Plain("void *"),
            ArgType::In(s) | ArgType::InArray(s, _) => CType::Pointer { constant: true, to: s.name() },
            ArgType::Out(s) | ArgType::InOut(s) | ArgType::OutArray(s, _) | ArgType::InOutArray(s, _) => {
                CType::Pointer { constant: false, to: s.name() }
            }
            ArgType::SockaddrIn(_) => CType::Pointer { constant: true, to: "struct sockaddr" },
            ArgType::SockaddrOut(_) => CType::Pointer { constant: false, to: "struct sockaddr" },
            ArgType::Flags(_) | ArgType::One(_) => CType::Plain("int"),
            ArgType::IoctlArg | ArgType::FcntlArg | ArgType::FutexTimeout => CType::Plain("unsigned long"),
        }
    }
}

/// A C type for documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CType {
    Plain(&'static str),
    Pointer { constant: bool, to: &'static str },
}

impl core::fmt::Display for CType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            CType::Plain(name) => f.write_str(name),
            CType::Pointer { constant: true, to } => write!(f, "const {to} *"),
            CType::Pointer { constant: false, to } => write!(f, "{to} *"),
        }
    }
}

/// What the result register holds when the call succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnType {
    /// Nothing but success.
    Zero,
    Fd,
    /// Bytes or elements done.
    Count,
    Pid,
    Uid,
    Addr,
    Offset,
    Int,
    Mode,
    Hex,
    SignalNumber,
    /// The call does not return.
    Never,
}

impl ReturnType {
    /// How the ABI reference writes it.
    pub const fn c_type(self) -> &'static str {
        match self {
            ReturnType::Zero | ReturnType::Fd | ReturnType::Int | ReturnType::SignalNumber => "int",
            ReturnType::Count => "ssize_t",
            ReturnType::Pid => "pid_t",
            ReturnType::Uid => "uid_t",
            ReturnType::Addr => "void *",
            ReturnType::Offset => "off_t",
            ReturnType::Mode => "mode_t",
            ReturnType::Hex => "unsigned long",
            ReturnType::Never => "void",
        }
    }
}

macro_rules! structs {
    ($($variant:ident $name:literal,)*) => {
        /// Structures that arguments point to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Struct {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
            /// Only its name is known: shown as an address.
            Other(&'static str),
        }

        impl Struct {
            /// The C name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Struct::$variant => $name,)*
                    Struct::Other(name) => name,
                }
            }
        }
    };
}

structs! {
    CloneArgs "struct clone_args",
    Dirents "struct linux_dirent64",
    EpollEvent "struct epoll_event",
    FdSet "fd_set",
    Int "int",
    IntPair "int",
    Iovec "struct iovec",
    Itimerspec "struct itimerspec",
    Itimerval "struct itimerval",
    Long "long",
    MsgHdr "struct msghdr",
    OpenHow "struct open_how",
    PollFd "struct pollfd",
    Rlimit "struct rlimit",
    Rseq "struct rseq",
    Rusage "struct rusage",
    SchedAttr "struct sched_attr",
    SchedParam "struct sched_param",
    Sigaction "struct sigaction",
    Sigaltstack "stack_t",
    Sigevent "struct sigevent",
    Siginfo "siginfo_t",
    Sigset "sigset_t",
    Stat "struct stat",
    Statfs "struct statfs",
    Statx "struct statx",
    Sysinfo "struct sysinfo",
    Timespec "struct timespec",
    TimespecPair "struct timespec",
    Timeval "struct timeval",
    TimevalPair "struct timeval",
    Timex "struct timex",
    Timezone "struct timezone",
    Tms "struct tms",
    UInt "unsigned int",
    UserDesc "struct user_desc",
    Utsname "struct utsname",
    WaitStatus "int",
}

/// Sets of named constants that an argument can hold; the names are in [`super::consts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagSet {
    Access,
    AddressFamily,
    ArchPrctl,
    At,
    AtAccess,
    AtRemove,
    Clock,
    Clone,
    CloseRange,
    EpollCreate,
    EpollOp,
    Eventfd,
    Fadvise,
    Fallocate,
    Fcntl,
    FlockOp,
    Futex,
    Getrandom,
    IdType,
    Ioctl,
    Itimer,
    Madvise,
    Map,
    Membarrier,
    Memfd,
    Mlockall,
    Mount,
    Mremap,
    Msg,
    Msync,
    Open,
    /// Those flags of `open` that calls take which only make a descriptor: no access mode.
    OpenBits,
    Prctl,
    Prot,
    Reboot,
    Rename,
    Rlimit,
    Rusage,
    Rwf,
    SchedPolicy,
    Seek,
    Shutdown,
    SigHow,
    Signalfd,
    SockLevel,
    SockOpt,
    SocketType,
    StatxMask,
    TimerFlags,
    Timerfd,
    Umount,
    Wait,
}
