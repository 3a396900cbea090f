//! What is the same, what differs, and what is known to differ.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// How many differing lines are shown.
const SHOWN: usize = 5;

/// The first differing lines of two outputs, line by line.
pub fn difference(expected: &str, found: &str) -> String {
    let (mut here, mut there) = (expected.lines(), found.lines());
    let (mut text, mut shown, mut number) = (String::new(), 0, 0);
    loop {
        let (left, right) = (here.next(), there.next());
        number += 1;
        if left.is_none() && right.is_none() {
            return text.trim_end().to_owned();
        }
        if left == right {
            continue;
        }
        if shown == SHOWN {
            text.push_str("and more");
            return text;
        }
        shown += 1;
        let name = |line: Option<&str>| line.map_or("(ended)".to_owned(), |line| line.chars().take(300).collect());
        // Writing to a string cannot fail.
        let _ = write!(text, "line {number}\n  Linux: {}\n  AIOS:  {}\n", name(left), name(right));
    }
}

/// Names and reasons in `tests/known-failures.md`: lines such as ``- `name`: reason``.
pub fn known_failures(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text)
}

fn parse(text: &str) -> Result<BTreeMap<String, String>> {
    let mut known = BTreeMap::new();
    for line in text.lines() {
        let Some(item) = line.strip_prefix("- ") else { continue };
        let parts = item.strip_prefix('`').and_then(|item| item.split_once("`:"));
        let Some((name, reason)) = parts.filter(|(_, reason)| !reason.trim().is_empty()) else {
            bail!("a known failure is written - `name`: reason, not: {line}");
        };
        known.insert(name.to_owned(), reason.trim().to_owned());
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::{difference, parse};

    #[test]
    fn differing_lines_are_told_with_their_numbers() {
        let text = difference("a\nb\nc\n", "a\nx\nc\nd\n");
        assert_eq!(text, "line 2\n  Linux: b\n  AIOS:  x\nline 4\n  Linux: (ended)\n  AIOS:  d");
    }

    #[test]
    fn only_some_are_shown() {
        let text = difference("1\n2\n3\n4\n5\n6\n7\n", "");
        assert!(text.ends_with("and more") && text.contains("line 5") && !text.contains("line 6"));
    }

    #[test]
    fn known_failures_need_a_reason() {
        let known = parse("# Title\n\n    - `example`: indented, so no entry\n- `one`: no sockets yet\n").unwrap();
        assert_eq!(known.into_iter().collect::<Vec<_>>(), [("one".to_owned(), "no sockets yet".to_owned())]);
        assert!(parse("- `two`:\n").is_err() && parse("- three\n").is_err());
    }
}
