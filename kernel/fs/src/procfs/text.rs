//! Texts built piece by piece. Memory for one may run out, which is an error for the reader and no more.

use alloc::vec::Vec;
use core::fmt;

use aios_abi::Errno;

/// A text under construction.
#[derive(Default)]
pub struct Text(Vec<u8>);

impl Text {
    pub fn new() -> Text {
        Text::default()
    }

    /// Appends bytes as they are. `ENOMEM` without memory, as with all methods here.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.0.try_reserve(bytes.len()).map_err(|_| Errno::ENOMEM)?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// Appends what `format_args!` makes.
    pub fn put(&mut self, arguments: fmt::Arguments<'_>) -> Result<(), Errno> {
        fmt::write(self, arguments).map_err(|_| Errno::ENOMEM)
    }

    /// Appends a name; bytes among `special` become a backslash and three octal digits, as in `/proc/mounts`.
    pub fn escaped(&mut self, name: &[u8], special: &[u8]) -> Result<(), Errno> {
        for byte in name {
            if special.contains(byte) {
                self.put(format_args!("\\{byte:03o}"))?;
            } else {
                self.bytes(&[*byte])?;
            }
        }
        Ok(())
    }

    /// Appends spaces until `width` bytes follow `start`.
    pub fn pad(&mut self, start: usize, width: usize) -> Result<(), Errno> {
        while self.len() < start.saturating_add(width) {
            self.bytes(b" ")?;
        }
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes()).map_err(|_| fmt::Error)
    }
}
