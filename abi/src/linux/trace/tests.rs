//! Lines must read as `strace` prints them, and no argument may break the printer.

use super::*;
use crate::linux::structs::{Dirent64, IntoBytes, PollFd, Stat, Timespec};
use proptest::prelude::*;
extern crate std;
use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

/// Memory of a pretended program: pieces at addresses.
#[derive(Default)]
struct Program(BTreeMap<u64, Vec<u8>>);

impl Program {
    fn with(mut self, addr: u64, bytes: impl AsRef<[u8]>) -> Program {
        self.0.insert(addr, bytes.as_ref().to_vec());
        self
    }

    fn read(&self, addr: u64, out: &mut [u8]) -> usize {
        let Some((start, bytes)) = self.0.range(..=addr).next_back() else { return 0 };
        let rest = bytes.get((addr - start) as usize..).unwrap_or(&[]);
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        count
    }

    fn line(&self, name: &str, args: &[u64], outcome: Outcome) -> String {
        let number = crate::linux::by_name(name).expect("a known call").number.into();
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        let mut out = String::new();
        format_call(number, all, outcome, &|addr, bytes| self.read(addr, bytes), &mut out).expect("strings take all");
        out
    }
}

fn ok(value: i64) -> Outcome {
    Outcome::Returned(value)
}

#[test]
fn paths_and_flags() {
    let program = Program::default().with(0x1000, b"/etc/passwd\0");
    let cwd = -100_i64 as u64;
    assert_eq!(
        program.line("openat", &[cwd, 0x1000, 0o2_000_000, 0xffff], ok(3)),
        r#"openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3"#
    );
    assert_eq!(
        program.line("openat", &[7, 0x1000, 0o1102, 0o644], ok(-2)),
        r#"openat(7, "/etc/passwd", O_RDWR|O_CREAT|O_TRUNC, 0644) = -1 ENOENT (No such file or directory)"#
    );
    assert_eq!(program.line("access", &[0x5000, 0], ok(-14)), "access(0x5000, F_OK) = -1 EFAULT (Bad address)");
    assert_eq!(program.line("unlink", &[0], ok(-14)), "unlink(NULL) = -1 EFAULT (Bad address)");
}

#[test]
fn buffers_are_shown_when_they_are_known() {
    let program = Program::default().with(0x1000, b"hello\n\x01\"2").with(0x2000, [b'x'; 100]);
    assert_eq!(program.line("write", &[1, 0x1000, 9], ok(9)), r#"write(1, "hello\n\1\"2", 9) = 9"#);
    assert_eq!(program.line("read", &[0, 0x1000, 512], ok(5)), r#"read(0, "hello", 512) = 5"#);
    assert_eq!(
        program.line("read", &[0, 0x1000, 512], ok(-4)),
        "read(0, 0x1000, 512) = -1 EINTR (Interrupted system call)"
    );
    let long = program.line("write", &[1, 0x2000, 100], ok(100));
    assert_eq!(long, std::format!(r#"write(1, "{}"..., 100) = 100"#, "x".repeat(32)));
}

#[test]
fn outputs_wait_for_the_call() {
    let program = Program::default().with(0x1000, b"/x\0").with(0x2000, [3_i32, 4].as_bytes());
    let mut out = String::new();
    let memory = |addr, bytes: &mut [u8]| program.read(addr, bytes);
    format_enter(u64::from(nr::PIPE2), [0x2000, 0o2_000_000, 0, 0, 0, 0], &memory, &mut out).expect("fits");
    assert_eq!(out, "pipe2(");
    out.clear();
    format_result(u64::from(nr::PIPE2), [0x2000, 0o2_000_000, 0, 0, 0, 0], ok(0), &memory, &mut out).expect("fits");
    assert_eq!(out, "[3, 4], O_CLOEXEC) = 0");
}

#[test]
fn structures() {
    let stat = Stat { mode: 0o100_644, size: 42, ..Stat::default() };
    let poll = [PollFd { fd: 3, events: 1, revents: 1 }, PollFd { fd: 4, events: 4, revents: 0 }];
    let program = Program::default()
        .with(0x1000, stat.as_bytes())
        .with(0x2000, poll.as_bytes())
        .with(0x3000, Timespec { sec: 1, nsec: 5 }.as_bytes())
        .with(0x4000, 0x1_0002_u64.as_bytes())
        .with(0x5000, 0x100_i32.as_bytes());
    assert_eq!(program.line("fstat", &[3, 0x1000], ok(0)), "fstat(3, {st_mode=S_IFREG|0644, st_size=42, ...}) = 0");
    assert_eq!(
        program.line("poll", &[0x2000, 2, u64::MAX], ok(1)),
        "poll([{fd=3, events=POLLIN}, {fd=4, events=POLLOUT}], 2, -1) = 1 ([{fd=3, revents=POLLIN}])"
    );
    assert_eq!(
        program.line("nanosleep", &[0x3000, 0], ok(-516)),
        "nanosleep({tv_sec=1, tv_nsec=5}, NULL) = ? ERESTART_RESTARTBLOCK (To be restarted)"
    );
    assert_eq!(
        program.line("rt_sigprocmask", &[0, 0x4000, 0, 8], ok(0)),
        "rt_sigprocmask(SIG_BLOCK, [INT CHLD], NULL, 8) = 0"
    );
    assert_eq!(
        program.line("wait4", &[u64::MAX, 0x5000, 1, 0], ok(9)),
        "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 1}], WNOHANG, NULL) = 9"
    );
}

#[test]
fn memory_and_threads() {
    let program = Program::default();
    assert_eq!(
        program.line("mmap", &[0, 8192, 3, 0x22, u64::MAX, 0], ok(0x7f00_0000_0000)),
        "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000"
    );
    assert_eq!(program.line("futex", &[0x1000, 0x81, 1, 7, 7, 7], ok(1)), "futex(0x1000, FUTEX_WAKE_PRIVATE, 1) = 1");
    assert_eq!(
        program.line("futex", &[0x1000, 0x80, 2, 0, 0, 0], ok(-11)),
        "futex(0x1000, FUTEX_WAIT_PRIVATE, 2, NULL) = -1 EAGAIN (Resource temporarily unavailable)"
    );
    assert_eq!(
        program.line("mknodat", &[3, 0x5000, 0o010_600, 9], ok(-14)),
        "mknodat(3, 0x5000, S_IFIFO|0600) = -1 EFAULT (Bad address)"
    );
    assert_eq!(program.line("exit_group", &[3], Outcome::Gone), "exit_group(3) = ?");
    assert_eq!(program.line("kill", &[5, 15], ok(0)), "kill(5, SIGTERM) = 0");
    assert_eq!(
        program.line("clone", &[0x0120_0011, 0, 0, 0x9000, 0], ok(7)),
        "clone(CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD, NULL, NULL, 0x9000, 0) = 7"
    );
}

#[test]
fn programs_start_with_their_arguments() {
    let program = Program::default()
        .with(0x1000, b"/bin/ls\0")
        .with(0x2000, [0x1000_u64, 0x3000, 0].as_bytes())
        .with(0x3000, b"-l\0")
        .with(0x4000, [0x3000_u64, 0x3000, 0].as_bytes());
    assert_eq!(
        program.line("execve", &[0x1000, 0x2000, 0x4000], ok(0)),
        r#"execve("/bin/ls", ["/bin/ls", "-l"], 0x4000 /* 2 vars */) = 0"#
    );
}

#[test]
fn unknown_calls_have_a_number() {
    let mut out = String::new();
    format_call(400, [1, 2, 3, 4, 5, 6], ok(-38), &|_, _| 0, &mut out).expect("fits");
    assert_eq!(out, "syscall_0x190(0x1, 0x2, 0x3, 0x4, 0x5, 0x6) = -1 ENOSYS (Function not implemented)");
}

#[test]
fn every_set_has_names_that_print_as_themselves() {
    for call in table::CALLS {
        for arg in call.args {
            let (ArgType::One(set) | ArgType::Flags(set)) = arg.ty else { continue };
            assert!(!flags::names(set).is_empty(), "{set:?}");
        }
    }
    assert_eq!(Dirent64::record_len(0), 24);
}

proptest! {
    /// Whatever the arguments and whatever the memory: some line comes out, of bounded length.
    #[test]
    fn nothing_breaks_the_printer(
        number in 0u64..470,
        args in prop::array::uniform6(prop_oneof![any::<u64>(), 0u64..64, Just(u64::MAX), 0x1000u64..0x1040]),
        result in prop_oneof![any::<i64>(), -4096i64..64],
        readable in 0usize..200,
        fill in any::<u8>(),
    ) {
        let memory = move |addr: u64, bytes: &mut [u8]| {
            let got = bytes.len().min(readable);
            for (offset, byte) in bytes[..got].iter_mut().enumerate() {
                *byte = fill.wrapping_add((addr as u8).wrapping_mul(31)).wrapping_add(offset as u8);
            }
            got
        };
        let mut out = String::new();
        format_call(number, args, Outcome::Returned(result), &memory, &mut out).expect("strings take all");
        prop_assert!(out.len() < 64 << 10, "{} bytes", out.len());
    }
}
