//! Finds a word in Rust source as a token: comments, strings and characters do not count.

/// The lines (from 1) on which the identifier or keyword `word` stands.
pub fn lines_with(source: &str, word: &str) -> Vec<usize> {
    let mut scanner = Scanner { rest: source.as_bytes(), line: 1 };
    let mut lines = Vec::new();
    while let Some(token) = scanner.identifier() {
        if token == word.as_bytes() {
            lines.push(scanner.line);
        }
    }
    lines
}

struct Scanner<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Scanner<'a> {
    /// The next identifier or keyword, with everything that is none skipped.
    fn identifier(&mut self) -> Option<&'a [u8]> {
        loop {
            match *self.rest {
                [] => return None,
                [b'/', b'/', ..] => {
                    self.skip(self.rest.iter().position(|byte| *byte == b'\n').unwrap_or(self.rest.len()))
                }
                [b'/', b'*', ..] => self.comment(),
                [b'"', ..] => self.string(),
                [b'\'', ..] => self.character(),
                [first, ..] if is_word(first) => {
                    let length = self.rest.iter().position(|byte| !is_word(*byte)).unwrap_or(self.rest.len());
                    let (word, after) = self.rest.split_at(length);
                    if self.raw_string(word, after) {
                        continue;
                    }
                    self.rest = after;
                    return Some(word);
                }
                _ => self.skip(1),
            }
        }
    }

    fn skip(&mut self, count: usize) {
        let (gone, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.line += gone.iter().filter(|byte| **byte == b'\n').count();
        self.rest = rest;
    }

    /// A block comment; they nest.
    fn comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match *self.rest {
                [] => return,
                [b'/', b'*', ..] => {
                    depth += 1;
                    self.skip(2);
                }
                [b'*', b'/', ..] => {
                    self.skip(2);
                    depth -= 1;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.skip(1),
            }
        }
    }

    fn string(&mut self) {
        self.skip(1);
        loop {
            match *self.rest {
                [] => return,
                [b'\\', ..] => self.skip(2),
                [b'"', ..] => return self.skip(1),
                _ => self.skip(1),
            }
        }
    }

    /// A character literal, or only the tick of a lifetime.
    fn character(&mut self) {
        match *self.rest {
            [_, b'\\', ..] => {
                self.skip(3);
                while !matches!(*self.rest, [] | [b'\'', ..]) {
                    self.skip(1);
                }
                self.skip(1);
            }
            [_, _, b'\'', ..] => self.skip(3),
            _ => self.skip(1),
        }
    }

    /// Skips `r"..."`, `br##"..."##` and the like, if `word` starts one.
    fn raw_string(&mut self, word: &[u8], after: &[u8]) -> bool {
        if !matches!(word, b"r" | b"br" | b"cr") {
            return false;
        }
        let hashes = after.iter().take_while(|byte| **byte == b'#').count();
        if after.get(hashes) != Some(&b'"') {
            return false;
        }
        let mut end = vec![b'"'];
        end.resize(hashes + 1, b'#');
        let body = word.len() + hashes + 1;
        let length = self.rest.get(body..).and_then(|body| body.windows(end.len()).position(|part| part == end));
        self.skip(length.map_or(self.rest.len(), |length| body + length + end.len()));
        true
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::lines_with;

    #[test]
    fn code_counts() {
        assert_eq!(lines_with("fn a() {\n    unsafe { b() }\n}\n#[unsafe(no_mangle)]", "unsafe"), [2, 4]);
        assert_eq!(lines_with("let c = '\"'; unsafe {}", "unsafe"), [1]);
        assert_eq!(lines_with("fn a<'a>(b: &'a str) { unsafe {} }", "unsafe"), [1]);
        assert_eq!(lines_with(r"let c = '\''; let d = '\u{1F600}'; unsafe {}", "unsafe"), [1]);
    }

    #[test]
    fn comments_and_strings_do_not() {
        assert!(lines_with("// unsafe\n/* unsafe /* unsafe */ unsafe */ \"unsafe \\\" unsafe\"", "unsafe").is_empty());
        assert!(lines_with("r#\"unsafe \" unsafe\"# br\"unsafe\" #![forbid(unsafe_code)]", "unsafe").is_empty());
    }

    #[test]
    fn lines_go_on_after_what_was_skipped() {
        assert_eq!(lines_with("/*\n\n*/\n\"\n\"\nr\"\n\"\nunsafe", "unsafe"), [8]);
    }
}
