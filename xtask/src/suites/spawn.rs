//! Agents that cannot be started, and what the user is told: the path that is at fault, and why.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{Report, booted};
use crate::build::{self, Profile};
use crate::guest::{End, Guest};
use crate::machine::Machine;
use crate::paths;

/// A manifest's `command` and what stands below it, and what must be told. The files are those of [`FILES`].
const CASES: &[(&str, &str, &str)] = &[
    ("working directory", "[\"true\"]\ncwd = \"/none\"", "the working directory /none does not exist"),
    ("program", "[\"/agent/none\"]", "the program /agent/none does not exist"),
    ("program in path", "[\"none\"]", "there is no program none in PATH (/usr/local/bin:"),
    ("permission", "[\"/agent/plain.sh\"]", "the program /agent/plain.sh may not be executed: it has no x permission"),
    ("script", "[\"/agent/lost.sh\"]", "the interpreter /bin/nosh of /agent/lost.sh does not exist"),
    ("line end", "[\"/agent/dos.sh\"]", "the interpreter /bin/sh\\r of /agent/dos.sh does not exist"),
    ("loader", "[\"/agent/dynamic\"]", "the interpreter /lib64/ld-none.so.9 of /agent/dynamic does not exist"),
    ("format", "[\"/agent/text\"]", "the program /agent/text is neither an ELF program for x86-64 nor a script"),
    ("limit", "[\"true\"]\n[limits]\nmemory = \"8 KiB\"", "its memory limit of 8 KiB is too little to start it"),
];

/// Files of every case: name, permissions, contents.
const FILES: &[(&str, u32, &[u8])] = &[
    ("plain.sh", 0o644, b"#!/bin/sh\n"),
    ("lost.sh", 0o755, b"#!/bin/nosh\n"),
    ("dos.sh", 0o755, b"#!/bin/sh\r\n"),
    ("text", 0o755, b"hello\n"),
];

struct Case {
    name: &'static str,
    machine: Machine,
    told: &'static str,
}

/// Runs the suite.
pub fn run(report: &mut Report) -> Result<()> {
    let mut cases = Vec::new();
    for &(name, command, told) in CASES {
        let dir = paths::artefact("tests/spawn").join(name.replace(' ', "-"));
        let manifest = format!("name = \"spawn\"\nimage = \"base\"\ncommand = {command}\n");
        paths::write_if_changed(&dir.join("agent.toml"), manifest.as_bytes())?;
        for &(file, permissions, contents) in FILES {
            put(&dir.join(file), permissions, contents)?;
        }
        put(&dir.join("dynamic"), 0o755, &dynamic("/lib64/ld-none.so.9"))?;
        cases.push(Case { name, machine: booted::machine("base", &dir)?, told });
    }
    report.each(&cases, |case| case.name.to_owned(), check);
    let without = Machine::new(&build::build(Profile::Release)?).word("init=/none");
    report.each(&[without], |_| "first process".to_owned(), check_first);
    Ok(())
}

/// A machine whose first process cannot be started ends, and says why.
fn check_first(machine: &Machine) -> Result<()> {
    match Guest::start(machine)?.finish(booted::TIMEOUT)? {
        End::Panic(text) if text.contains("cannot start /none: the program /none does not exist") => Ok(()),
        end => bail!("it ended so: {end:?}"),
    }
}

fn put(path: &Path, permissions: u32, contents: &[u8]) -> Result<()> {
    paths::write_if_changed(path, contents)?;
    fs::set_permissions(path, fs::Permissions::from_mode(permissions))
        .with_context(|| format!("cannot set the permissions of {}", path.display()))
}

/// A program of one page that asks for an interpreter (System V ABI, "Object files").
fn dynamic(interpreter: &str) -> Vec<u8> {
    const HEADERS: u64 = 64 + 2 * 56;
    let name = interpreter.len() as u64 + 1;
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    // Kind and flags of a program header share a word.
    let header = |kind: u64, flags: u64, offset: u64, size: u64, alignment: u64| {
        words(&[flags << 32 | kind, offset, offset, offset, size, size, alignment])
    };
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    // ET_DYN, EM_X86_64, version 1; entry, program headers, section headers; flags; sizes and counts.
    file.extend(words(&[1 << 32 | 62 << 16 | 3, HEADERS, 64, 0, 56 << 48 | 64 << 32, 2]));
    file.extend(header(1, 5, 0, HEADERS + name, 0x1000));
    file.extend(header(3, 4, HEADERS, name, 1));
    file.extend(interpreter.as_bytes());
    file.push(0);
    file
}

fn check(case: &Case) -> Result<()> {
    let mut guest = Guest::start(&case.machine)?;
    let start = "cannot spawn agent spawn (";
    match guest.finish(booted::TIMEOUT)? {
        End::Error(message) if message.starts_with(start) && message.contains(case.told) => Ok(()),
        End::Error(message) => bail!("the message does not tell `{}`: {message}", case.told),
        end => booted::ended(&guest, end).map(|ended| bail!("it ran, and exited with {}", ended.code))?,
    }
}
