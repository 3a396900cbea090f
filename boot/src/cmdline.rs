//! The command line as people write it into `cmdline.txt`, made one line.

use aios_abi::boot::MAX_CMDLINE;

/// Why a command line was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CmdlineError {
    NotUtf8,
    /// Longer than the kernel takes ([`MAX_CMDLINE`]).
    TooLong,
}

impl core::fmt::Display for CmdlineError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            CmdlineError::NotUtf8 => f.write_str("is not UTF-8 text"),
            CmdlineError::TooLong => write!(f, "is longer than {MAX_CMDLINE} bytes"),
        }
    }
}

/// Makes one line of `text` in place and returns it: words joined by single spaces, so that line ends (of either kind), a byte
/// order mark and NUL padding disappear.
pub fn normalize(text: &mut [u8]) -> Result<&str, CmdlineError> {
    let body = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    core::str::from_utf8(text).map_err(|_| CmdlineError::NotUtf8)?;
    let mut len = 0;
    let mut gap = false;
    for at in body..text.len() {
        let Some(&byte) = text.get(at) else { break };
        if byte == 0 || byte.is_ascii_whitespace() {
            gap = len > 0;
            continue;
        }
        // The output never gets ahead of the input: each space stands for at least one separator.
        for byte in gap.then_some(b' ').into_iter().chain([byte]) {
            if let Some(place) = text.get_mut(len) {
                *place = byte;
                len += 1;
            }
        }
        gap = false;
    }
    if len as u64 > MAX_CMDLINE {
        return Err(CmdlineError::TooLong);
    }
    let line: &[u8] = text.get(..len).unwrap_or(&[]);
    core::str::from_utf8(line).map_err(|_| CmdlineError::NotUtf8)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    fn line(text: &str) -> Result<String, CmdlineError> {
        normalize(&mut Vec::from(text)).map(String::from)
    }

    #[test]
    fn what_editors_add_disappears() {
        assert_eq!(line("\u{feff}aios.run  quiet\r\n"), Ok("aios.run quiet".into()));
        assert_eq!(line("\n one\n\ntwo\t\0\0"), Ok("one two".into()));
        assert_eq!(line(" \n"), Ok("".into()));
    }

    #[test]
    fn what_the_kernel_would_refuse_is_refused_here() {
        assert_eq!(normalize(&mut [b'a', 0xff]), Err(CmdlineError::NotUtf8));
        assert_eq!(line(&"x".repeat(MAX_CMDLINE as usize + 1)), Err(CmdlineError::TooLong));
        assert!(line(&"x".repeat(MAX_CMDLINE as usize)).is_ok());
    }

    proptest! {
        #[test]
        fn words_survive_in_order(text in "[a-zé=\\s\0]{0,200}") {
            let words = text.split(|c: char| c == '\0' || c.is_ascii_whitespace()).filter(|w| !w.is_empty());
            prop_assert_eq!(line(&text), Ok(words.collect::<Vec<_>>().join(" ")));
        }

        #[test]
        fn any_bytes_are_handled(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = normalize(&mut bytes);
        }
    }
}
