//! Strings and buffers of the traced program, quoted like C literals.

use core::fmt::{self, Write};

use super::Memory;

/// Bytes of a buffer or string that are shown.
const SHOWN: usize = 32;
/// Bytes read at a time.
const PIECE: usize = 64;
/// Strings of an argument vector that are shown.
const STRINGS: u64 = 32;
/// Environment strings that are counted.
const COUNTED: u64 = 1 << 16;

fn quoted(bytes: &[u8], out: &mut dyn Write) -> fmt::Result {
    for (position, &byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => out.write_str("\\\"")?,
            b'\\' => out.write_str("\\\\")?,
            b'\n' => out.write_str("\\n")?,
            b'\t' => out.write_str("\\t")?,
            b'\r' => out.write_str("\\r")?,
            0x20..=0x7e => out.write_char(char::from(byte))?,
            // Octal as short as possible, unless a digit follows.
            _ if bytes.get(position + 1).is_some_and(u8::is_ascii_digit) => write!(out, "\\{byte:03o}")?,
            _ => write!(out, "\\{byte:o}")?,
        }
    }
    Ok(())
}

/// An address that is not followed.
pub(super) fn address(addr: u64, out: &mut dyn Write) -> fmt::Result {
    if addr == 0 { out.write_str("NULL") } else { write!(out, "{addr:#x}") }
}

/// A NUL-terminated string of at most `limit` bytes.
fn string(addr: u64, limit: usize, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    let mut piece = [0; PIECE];
    let mut done = 0_usize;
    while done < limit {
        let wanted = PIECE.min(limit - done);
        let Some(place) = piece.get_mut(..wanted) else { break };
        let got = memory(addr.wrapping_add(done as u64), place).min(wanted);
        let bytes = piece.get(..got).unwrap_or(&[]);
        if done == 0 {
            if bytes.is_empty() {
                return address(addr, out);
            }
            out.write_str("\"")?;
        }
        let end = bytes.iter().position(|&byte| byte == 0);
        quoted(bytes.get(..end.unwrap_or(got)).unwrap_or(&[]), out)?;
        if end.is_some() {
            return out.write_str("\"");
        }
        if got == 0 {
            break;
        }
        done += got;
    }
    out.write_str("\"...")
}

/// A path, whole.
pub(super) fn path(addr: u64, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    string(addr, super::super::consts::PATH_MAX, memory, out)
}

/// A string, cut.
pub(super) fn short_string(addr: u64, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    string(addr, SHOWN + 1, memory, out)
}

/// `len` bytes, cut.
pub(super) fn buffer(addr: u64, len: u64, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    if len == 0 && addr != 0 {
        return out.write_str("\"\"");
    }
    let mut bytes = [0; SHOWN];
    let wanted = usize::try_from(len).unwrap_or(SHOWN).min(SHOWN);
    let got = bytes.get_mut(..wanted).map_or(0, |place| memory(addr, place).min(wanted));
    if got < wanted || wanted == 0 {
        return address(addr, out);
    }
    out.write_str("\"")?;
    quoted(bytes.get(..got).unwrap_or(&[]), out)?;
    out.write_str(if len > SHOWN as u64 { "\"..." } else { "\"" })
}

fn pointer(array: u64, index: u64, memory: Memory<'_>) -> Option<u64> {
    let mut word = [0; 8];
    let got = memory(array.wrapping_add(index.wrapping_mul(8)), &mut word);
    (got == word.len()).then(|| u64::from_le_bytes(word))
}

/// A NULL-terminated array of strings.
pub(super) fn strings(array: u64, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    for index in 0..STRINGS {
        match pointer(array, index, memory) {
            None if index == 0 => return address(array, out),
            None => return out.write_str(", ...]"),
            Some(0) => return out.write_str(if index == 0 { "[]" } else { "]" }),
            Some(addr) => {
                out.write_str(if index == 0 { "[" } else { ", " })?;
                string(addr, PIECE * 2, memory, out)?;
            }
        }
    }
    out.write_str(", ...]")
}

/// An environment: where it is and how much.
pub(super) fn environment(array: u64, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    address(array, out)?;
    let count = (0..COUNTED).take_while(|&index| pointer(array, index, memory).is_some_and(|addr| addr != 0)).count();
    if array == 0 { Ok(()) } else { write!(out, " /* {count} vars */") }
}
