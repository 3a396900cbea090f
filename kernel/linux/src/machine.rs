//! What `/proc` says of the machine that calls of this personality say too.

use alloc::vec::Vec;

use aios_abi::Errno;
use kernel_fs::procfs::{Entry, Text, register};

use crate::identity::{self, RELEASE, VERSION};
use crate::mounts;

/// The number of the last Linux capability (`CAP_CHECKPOINT_RESTORE`).
const LAST_CAPABILITY: u32 = 40;
/// Supplementary groups that one may have.
const MAX_GROUPS: u32 = 65_536;

/// Shows names, versions and the kernel's command line. Called once at start-up.
pub fn register_machine(command_line: &str) {
    register("version", Entry::constant(format_args!("Linux version {RELEASE} {VERSION}")));
    register("cmdline", Entry::constant(command_line));
    register("filesystems", Entry::new(|_| file_systems()));
    register("sys/kernel/ostype", Entry::constant("Linux"));
    register("sys/kernel/osrelease", Entry::constant(RELEASE));
    register("sys/kernel/version", Entry::constant(VERSION));
    register("sys/kernel/hostname", Entry::new(|_| line(&identity::host_and_domain().0)).fixed());
    register("sys/kernel/domainname", Entry::new(|_| line(&identity::host_and_domain().1)).fixed());
    register("sys/kernel/cap_last_cap", Entry::constant(LAST_CAPABILITY));
    register("sys/kernel/ngroups_max", Entry::constant(MAX_GROUPS));
}

fn line(text: &[u8]) -> Result<Vec<u8>, Errno> {
    Ok([text, b"\n"].concat())
}

/// None of them lives on a block device.
fn file_systems() -> Result<Vec<u8>, Errno> {
    let mut text = Text::new();
    mounts::kinds().into_iter().try_for_each(|kind| text.put(format_args!("nodev\t{kind}\n")))?;
    Ok(text.into_bytes())
}
