//! Errors of whoever called: a wrong argument, a wrong manifest. They end with their own exit code, as those do that the
//! argument parser finds, so that a script can tell them from what failed.

use std::fmt;

/// The exit code; the argument parser's own.
pub const CODE: u8 = 2;

/// What was wrong with what was asked for.
#[derive(Debug)]
struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An error of whoever called.
pub fn wrong(text: impl Into<String>) -> anyhow::Error {
    Usage(text.into()).into()
}

/// Whether it is one.
pub fn is_wrong(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<Usage>())
}
