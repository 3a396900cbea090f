//! The documents against the repository: links lead somewhere, the book lists all of its pages, files that are named are
//! there, and command lines are such that the tool takes them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::CommandFactory;

use crate::paths;

/// Folders of the repository: a name in code that begins with one is a file or folder that must be there.
const FOLDERS: &[&str] =
    &["abi/", "boot/", "docs/", "examples/", "images/", "kernel/", "services/", "tests/", "xtask/", ".ci/"];

/// One document, without the marks that say what is code.
struct Document {
    path: PathBuf,
    /// Line numbers and text of prose; what stands in code is left out.
    prose: Vec<(usize, String)>,
    /// Pieces of code within a line of prose.
    pieces: Vec<(usize, String)>,
    /// Lines of code blocks.
    code: Vec<(usize, String)>,
    headings: BTreeSet<String>,
}

/// Checks all documents.
pub fn check() -> Result<()> {
    let root = paths::root();
    let mut wrong = Vec::new();
    let mut documents = Vec::new();
    for path in super::files(root, ".md")? {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        documents.push(Document::read(path, &text));
    }
    for document in &documents {
        links(document, &documents, &mut wrong);
        names(document, root, &mut wrong);
        commands(document, &mut wrong);
    }
    pages(&documents, &root.join("docs"), &mut wrong);
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

impl Document {
    fn read(path: PathBuf, text: &str) -> Document {
        let mut document =
            Document { path, prose: Vec::new(), pieces: Vec::new(), code: Vec::new(), headings: BTreeSet::new() };
        let mut in_code = false;
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
            } else if in_code {
                document.code.push((number, line.to_owned()));
            } else {
                if line.starts_with('#') {
                    document.headings.insert(anchor(line.trim_start_matches('#').trim()));
                }
                let mut prose = String::new();
                for (index, part) in line.split('`').enumerate() {
                    if index % 2 == 0 {
                        prose.push_str(part);
                    } else {
                        document.pieces.push((number, part.to_owned()));
                    }
                }
                document.prose.push((number, prose));
            }
        }
        document
    }

    fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.strip_prefix(paths::root()).unwrap_or(&self.path).display())
    }
}

/// What a heading is called in a link, as mdBook and the usual hosts have it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Targets of `[text](target)` in a line.
fn targets(prose: &str) -> impl Iterator<Item = &str> {
    prose.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

fn links(document: &Document, all: &[Document], wrong: &mut Vec<String>) {
    for (number, prose) in &document.prose {
        for target in targets(prose).filter(|target| !target.contains("://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = document.path.parent().unwrap_or(&document.path);
            let path = if file.is_empty() { document.path.clone() } else { folder.join(file) };
            let Ok(path) = path.canonicalize() else {
                wrong.push(format!("{}: the link to {target} leads nowhere", document.place(*number)));
                continue;
            };
            let found = all.iter().find(|document| document.path.canonicalize().is_ok_and(|other| other == path));
            if !heading.is_empty() && !found.is_some_and(|found| found.headings.contains(heading)) {
                wrong.push(format!("{}: {file} has no heading #{heading}", document.place(*number)));
            }
        }
    }
}

/// Files and folders that are named in code. Names in capitals stand for others.
fn names(document: &Document, root: &Path, wrong: &mut Vec<String>) {
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || b"/._-0123456789".contains(&byte));
    for (number, piece) in &document.pieces {
        if FOLDERS.iter().any(|folder| piece.starts_with(folder)) && plain(piece) && !root.join(piece).exists() {
            wrong.push(format!("{}: there is no {piece}", document.place(*number)));
        }
    }
}

/// Command lines of the tool, in blocks and in lines: it must take them.
fn commands(document: &Document, wrong: &mut Vec<String>) {
    for (number, code) in document.code.iter().chain(&document.pieces) {
        let line = code.split(['#', '|', '>', '<']).next().unwrap_or_default();
        let Some(arguments) = line.trim().strip_prefix("cargo xtask") else { continue };
        let words = std::iter::once("cargo xtask").chain(arguments.split_whitespace());
        if let Err(error) = crate::Arguments::command().try_get_matches_from(words)
            && error.use_stderr()
        {
            let why = error.to_string();
            let why = why.lines().next().unwrap_or_default();
            wrong.push(format!("{}: `{}` is not taken: {why}", document.place(*number), line.trim()));
        }
    }
}

/// The table of contents names every page of the book.
fn pages(all: &[Document], book: &Path, wrong: &mut Vec<String>) {
    let summary = book.join("SUMMARY.md");
    let Some(contents) = all.iter().find(|document| document.path == summary) else {
        return wrong.push("docs/SUMMARY.md is missing".to_owned());
    };
    let listed: BTreeSet<PathBuf> =
        contents.prose.iter().flat_map(|(_, prose)| targets(prose)).map(|target| book.join(target)).collect();
    for document in all.iter().filter(|document| document.path.starts_with(book) && document.path != summary) {
        if !listed.contains(&document.path) {
            wrong.push(format!("docs/SUMMARY.md does not list {}", document.place(1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> String {
        let document = Document::read(paths::root().join("docs/made-up.md"), text);
        let mut wrong = Vec::new();
        links(&document, std::slice::from_ref(&document), &mut wrong);
        names(&document, paths::root(), &mut wrong);
        commands(&document, &mut wrong);
        wrong.join("\n")
    }

    #[test]
    fn headings_become_anchors() {
        assert_eq!(anchor("The kernel's `heap`, and more"), "the-kernels-heap-and-more");
    }

    #[test]
    fn what_leads_nowhere_is_named_with_its_line() {
        let text = "# A\n\n[gone](gone.md), [here](CAVEATS.md), [web](https://x.org/y)\n[none](#b)\n";
        assert!(complaints(text).starts_with("docs/made-up.md:3: the link to gone.md leads nowhere"));
        assert!(complaints("see `kernel/none/src` and `kernel/ROOM/src`").contains("there is no kernel/none/src"));
        assert_eq!(complaints("`[not](a-link.md)`, `kernel/hal`\n```\n[nor](this.md)\n```\n"), "");
    }

    #[test]
    fn commands_that_the_tool_does_not_take_are_named() {
        let text = "```\ncargo xtask run examples/digest --smp 2 -- --top 20   # fine\ncargo xtask run --none\n```\n";
        assert!(complaints(text).starts_with("docs/made-up.md:3: `cargo xtask run --none` is not taken"));
        assert!(complaints("`cargo xtask frobnicate`").contains("frobnicate"));
    }
}
