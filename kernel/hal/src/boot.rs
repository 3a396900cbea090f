//! How the machine was started.

use alloc::string::String;

use aios_abi::boot::BootInfo;

use crate::kept::Previous;

/// What the loader left, checked and copied. Its memory map has become the frame allocator's by now.
pub struct Boot {
    pub info: BootInfo,
    pub cmdline: String,
    /// The initial RAM file system as it lies in memory; empty when there is none.
    pub initramfs: &'static [u8],
    /// What the kernel before this one left in memory, where there was one.
    pub previous: Option<Previous>,
}

impl Boot {
    /// The value of `key=value` on the command line; a bare `key` has the value "".
    pub fn option(&self, key: &str) -> Option<&str> {
        self.cmdline.split_ascii_whitespace().find_map(|word| {
            let rest = word.strip_prefix(key)?;
            if rest.is_empty() { Some("") } else { rest.strip_prefix('=') }
        })
    }
}

#[cfg(target_os = "none")]
pub use crate::machine::set_symbols;

/// Names the function that the machine starts: `entry!(main)` with `fn main(boot: &'static Boot) -> !`.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(no_mangle)]
        fn kernel_main(boot: &'static $crate::boot::Boot) -> ! {
            $main(boot)
        }
    };
}
