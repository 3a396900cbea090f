//! The first line of a script: `#!`, an interpreter, and at most one argument (`execve(2)`, "Interpreter scripts").

use aios_abi::Errno;

/// Bytes of a file that are looked at (Linux's `BINPRM_BUF_SIZE`).
pub const HEAD: usize = 256;

/// What a script's first line names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line<'a> {
    pub interpreter: &'a [u8],
    pub argument: Option<&'a [u8]>,
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn ends_word(byte: u8) -> bool {
    is_blank(byte) || byte == 0
}

fn until(bytes: &[u8], mut end: impl FnMut(u8) -> bool) -> &[u8] {
    let len = bytes.iter().position(|byte| end(*byte)).unwrap_or(bytes.len());
    bytes.get(..len).unwrap_or(bytes)
}

/// Reads the first bytes of a file, at most [`HEAD`] of them. `None` when it is no script; `ENOEXEC` when it is one
/// that names no interpreter, or whose interpreter's name does not end within [`HEAD`] bytes.
pub fn parse(head: &[u8]) -> Option<Result<Line<'_>, Errno>> {
    let rest = head.strip_prefix(b"#!")?;
    Some(line(rest, head.len() >= HEAD).ok_or(Errno::ENOEXEC))
}

fn line(rest: &[u8], is_cut: bool) -> Option<Line<'_>> {
    let ended = until(rest, |byte| byte == 0).contains(&b'\n');
    let text = until(rest, |byte| byte == b'\n').trim_ascii_start_blank();
    if !ended && is_cut && !text.iter().copied().any(ends_word) {
        return None;
    }
    let interpreter = until(text, ends_word);
    if interpreter.is_empty() {
        return None;
    }
    let after = text.get(interpreter.len()..).unwrap_or_default();
    // A NUL after the name ends the line.
    let argument = match after.first() {
        Some(0) | None => &[],
        Some(_) => until(after, |byte| byte == 0).trim_ascii_start_blank(),
    };
    let len = argument.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |last| last + 1);
    let argument = argument.get(..len).filter(|argument| !argument.is_empty());
    Some(Line { interpreter, argument })
}

trait TrimBlank {
    fn trim_ascii_start_blank(&self) -> &Self;
}

impl TrimBlank for [u8] {
    fn trim_ascii_start_blank(&self) -> &[u8] {
        let start = self.iter().position(|byte| !is_blank(*byte)).unwrap_or(self.len());
        self.get(start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn parsed(head: &[u8]) -> Result<(&[u8], Option<&[u8]>), Errno> {
        parse(head).expect("begins with #!").map(|line| (line.interpreter, line.argument))
    }

    #[test]
    fn names_and_arguments() {
        assert_eq!(parse(b"\x7fELF"), None);
        assert_eq!(parsed(b"#!/bin/sh\nrest"), Ok((&b"/bin/sh"[..], None)));
        assert_eq!(parsed(b"#!/bin/sh"), Ok((&b"/bin/sh"[..], None)));
        assert_eq!(parsed(b"#! \t/bin/awk  -f x \t\n"), Ok((&b"/bin/awk"[..], Some(&b"-f x"[..]))));
        assert_eq!(parsed(b"#!/bin/sh \t\n"), Ok((&b"/bin/sh"[..], None)));
        assert_eq!(parsed(b"#!/bin/sh\0junk\n"), Ok((&b"/bin/sh"[..], None)));
        for bad in [&b"#!\n"[..], b"#!  \t \n", b"#!", b"#!\0/bin/sh\n"] {
            assert_eq!(parsed(bad), Err(Errno::ENOEXEC), "{bad:?}");
        }
    }

    #[test]
    fn a_name_that_may_be_cut_short_is_refused_an_argument_is_not() {
        let mut head = b"#!/".to_vec();
        head.resize(HEAD, b'x');
        assert_eq!(parsed(&head), Err(Errno::ENOEXEC));
        head[100] = b' ';
        let line: Vec<u8> = head[2..100].to_vec();
        assert_eq!(parsed(&head), Ok((&line[..], Some(&head[101..]))));
    }
}
