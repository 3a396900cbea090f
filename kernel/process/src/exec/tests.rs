//! Programs loaded into address spaces, looked at from outside.

use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::auxv::{AT_BASE, AT_ENTRY, AT_EXECFN, AT_PHDR, AT_PHNUM};
use kernel_hal::addr::{PAGE_SIZE, Virt};
use kernel_mm::AddressSpace;

use super::elf::tests::{header_bytes, program_header};
use super::load::Loaded;
use super::{Ingredients, Interpreter, Program, Refusal, Strings, prepare};
use crate::ResourceLimits;
use crate::testing::World;

const EXEC: u16 = 2;
const DYN: u16 = 3;

/// A program file: code of one page, data of `data` bytes with as much zeros after it, and maybe an interpreter.
fn program(kind: u16, base: u64, data: usize, interpreter: Option<&str>) -> Vec<u8> {
    let name = interpreter.map(|name| name.to_string() + "\0").unwrap_or_default();
    let mut headers = vec![
        program_header(1, 5, [0, base, 0x1000, 0x1000, 0x1000]),
        program_header(1, 6, [0x1234, base + 0x2234, data as u64, 2 * data as u64, 0x1000]),
    ];
    if interpreter.is_some() {
        headers.push(program_header(3, 4, [0x800, base + 0x800, name.len() as u64, name.len() as u64, 1]));
    }
    let mut file = header_bytes(kind, base + 0x100, headers.len() as u16);
    file.extend(headers.concat());
    file.resize(0x800, 0);
    file.extend(name.as_bytes());
    file.resize(0x1234, 0xcc);
    file.resize(0x1234 + data, 0xdd);
    // What follows the data in the file must not be seen in memory.
    file.extend([0xee; 100]);
    file
}

fn start(world: &World, path: &str, arguments: &[&str], randomize: bool) -> Result<Loaded, Errno> {
    refused(world, path, arguments, randomize).map_err(|refusal| refusal.error)
}

fn refused(world: &World, path: &str, arguments: &[&str], randomize: bool) -> Result<Loaded, Refusal> {
    let strings = |list: &[&str]| Strings::from_slices(list.iter().map(|text| text.as_bytes())).expect("memory");
    let ingredients = Ingredients {
        program: &Program::at(path.as_bytes()),
        arguments: strings(arguments),
        environment: &strings(&["HOME=/"]),
        limits: &ResourceLimits::initial(),
        account: world.pids.domain().memory(),
        randomize,
    };
    prepare(&world.context(), ingredients)
}

fn bytes(space: &AddressSpace, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    space.read_bytes(Virt(at), &mut bytes).expect("mapped");
    bytes
}

fn word(space: &AddressSpace, at: u64) -> u64 {
    u64::from_le_bytes(bytes(space, at, 8).try_into().expect("eight"))
}

fn text(space: &AddressSpace, mut at: u64) -> String {
    let mut text = String::new();
    loop {
        match bytes(space, at, 1)[0] {
            0 => return text,
            byte => text.push(char::from(byte)),
        }
        at += 1;
    }
}

fn arguments(loaded: &Loaded) -> Vec<String> {
    let count = word(&loaded.space, loaded.pointer);
    (1..=count).map(|index| text(&loaded.space, word(&loaded.space, loaded.pointer + 8 * index))).collect()
}

fn auxiliary(loaded: &Loaded, key: u64) -> u64 {
    let (from, to) = loaded.layout.auxiliary;
    let found = (from..to).step_by(16).find(|at| word(&loaded.space, *at) == key);
    word(&loaded.space, found.expect("the key is there") + 8)
}

#[test]
fn a_static_program_lies_where_it_says() {
    let world = World::new();
    for data in [1, 0xdcc, 0xdcd, 0x2000, 0x5000] {
        world.put(b"/prog", &program(EXEC, 0x400000, data, None));
        let loaded = start(&world, "/prog", &["prog", "-x"], true).expect("loads");
        let space = &loaded.space;
        assert_eq!(loaded.entry, 0x400100);
        assert_eq!(arguments(&loaded), ["prog", "-x"]);
        assert_eq!(bytes(space, 0x400000, 4), b"\x7fELF");
        assert_eq!(bytes(space, 0x402234, data), vec![0xdd; data]);
        assert_eq!(bytes(space, 0x402234 + data as u64, data), vec![0; data], "{data:#x}");
        let end = 0x402234 + 2 * data as u64;
        assert!(loaded.layout.heap >= end && loaded.layout.heap.is_multiple_of(PAGE_SIZE as u64));
        assert_eq!(space.heap().start.0, loaded.layout.heap);
        assert_eq!(auxiliary(&loaded, AT_PHDR), 0x400040);
        assert_eq!(auxiliary(&loaded, AT_PHNUM), 2);
        assert_eq!(auxiliary(&loaded, AT_ENTRY), 0x400100);
        assert_eq!(auxiliary(&loaded, AT_BASE), 0);
        assert_eq!(text(space, auxiliary(&loaded, AT_EXECFN)), "/prog");
        assert_eq!(loaded.pointer % 16, 0);
    }
}

#[test]
fn an_interpreter_is_loaded_beside_the_program() {
    let world = World::new();
    world.put(b"/ld.so", &program(DYN, 0, 0x500, None));
    world.put(b"/prog", &program(DYN, 0, 0x800, Some("/ld.so")));
    let fixed = start(&world, "/prog", &["prog"], false).expect("loads");
    assert_eq!(auxiliary(&fixed, AT_ENTRY), 0x5555_5555_4100);
    let base = auxiliary(&fixed, AT_BASE);
    assert_eq!(fixed.entry, base + 0x100);
    assert!(base > 0x7000_0000_0000);
    assert_eq!(bytes(&fixed.space, base, 4), b"\x7fELF");
    assert_eq!(bytes(&fixed.space, base + 0x2234 + 0x500, 0x500), vec![0; 0x500]);
    let random = start(&world, "/prog", &["prog"], true).expect("loads");
    assert_ne!((random.entry, random.pointer), (fixed.entry, fixed.pointer));

    world.put(b"/ld.so", b"not a program");
    assert_eq!(start(&world, "/prog", &[], true).err(), Some(Errno::ELIBBAD));
    world.put(b"/prog", &program(EXEC, 0x400000, 0x800, Some("/none")));
    assert_eq!(start(&world, "/prog", &[], true).err(), Some(Errno::ENOENT));
}

#[test]
fn scripts_lead_to_their_interpreter() {
    let world = World::new();
    world.put(b"/prog", &program(EXEC, 0x400000, 10, None));
    world.put(b"/s1", b"#!/prog one two \n");
    world.put(b"/s2", b"#! /s1\n");
    let loaded = start(&world, "/s1", &["zero", "first"], true).expect("loads");
    assert_eq!(arguments(&loaded), ["/prog", "one two", "/s1", "first"]);
    assert_eq!(text(&loaded.space, auxiliary(&loaded, AT_EXECFN)), "/s1");
    let nested = start(&world, "/s2", &[], true).expect("loads");
    assert_eq!(arguments(&nested), ["/prog", "one two", "/s1", "/s2"]);
    world.put(b"/self", b"#!/self\n");
    assert_eq!(start(&world, "/self", &["x"], true).err(), Some(Errno::ELOOP));
    // Five scripts may lead to a program, six may not.
    for number in 3..=6 {
        world.put(std::format!("/s{number}").as_bytes(), std::format!("#!/s{}\n", number - 1).as_bytes());
    }
    assert!(start(&world, "/s5", &["x"], true).is_ok());
    assert_eq!(start(&world, "/s6", &["x"], true).err(), Some(Errno::ELOOP));
}

#[test]
fn a_refusal_names_the_interpreter_that_is_to_blame() {
    let world = World::new();
    world.put(b"/prog", &program(EXEC, 0x400000, 10, None));
    world.put(b"/text", b"not a program");
    world.put(b"/dynamic", &program(DYN, 0, 10, Some("/lib/ld.so")));
    world.put(b"/bad", &program(DYN, 0, 10, Some("/text")));
    world.put(b"/good", b"#!/prog\n");
    world.put(b"/lost", b"#!/bin/nosh\n");
    world.put(b"/through", b"#!/lost\n");
    world.put(b"/over", b"#!/text\n");
    world.put(b"/linked", b"#!/dynamic\n");
    assert!(start(&world, "/good", &["x"], true).is_ok());
    for (path, error, interpreter) in [
        ("/dynamic", Errno::ENOENT, Some(("/lib/ld.so", "/dynamic"))),
        ("/bad", Errno::ELIBBAD, Some(("/text", "/bad"))),
        ("/lost", Errno::ENOENT, Some(("/bin/nosh", "/lost"))),
        ("/through", Errno::ENOENT, Some(("/bin/nosh", "/lost"))),
        ("/over", Errno::ENOEXEC, Some(("/text", "/over"))),
        ("/linked", Errno::ENOENT, Some(("/lib/ld.so", "/dynamic"))),
        ("/text", Errno::ENOEXEC, None),
        ("/none", Errno::ENOENT, None),
    ] {
        let refusal = refused(&world, path, &["x"], true).err().expect("refused");
        let blamed =
            interpreter.map(|(path, of): (&str, &str)| Interpreter { path: path.into(), of: of.as_bytes().to_vec() });
        assert_eq!((refusal.error, refusal.interpreter), (error, blamed), "{path}");
    }
}

#[test]
fn what_is_no_program_is_refused_and_leaves_nothing() {
    let world = World::new();
    world.put(b"/text", b"not a program\n");
    world.put(b"/empty", b"");
    // Data at the very top of user space, where the stack has to be.
    world.put(b"/high", &program(EXEC, 0x7fff_ffff_0000, 10, None));
    world.put(b"/low", &program(EXEC, 0, 10, None));
    let used = world.pids.domain().memory().used();
    for (path, error) in [
        ("/text", Errno::ENOEXEC),
        ("/empty", Errno::ENOEXEC),
        ("/", Errno::EACCES),
        ("/missing", Errno::ENOENT),
        ("/text/more", Errno::ENOTDIR),
        ("/high", Errno::EEXIST),
        ("/low", Errno::EPERM),
    ] {
        assert_eq!(start(&world, path, &["x"], false).err(), Some(error), "{path}");
    }
    assert_eq!(world.pids.domain().memory().used(), used);
}

#[test]
fn any_change_of_a_program_file_is_survived() {
    let world = World::new();
    let good = program(DYN, 0, 0x300, None);
    let mut state = 88_172_645_463_325_252u64;
    for _ in 0..2000 {
        let mut file = good.clone();
        for _ in 0..4 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = (state >> 8) as usize % (64 + 2 * 56);
            file[at] = state as u8;
        }
        world.put(b"/prog", &file);
        if let Ok(loaded) = start(&world, "/prog", &["x"], true) {
            assert!(Virt(loaded.entry).is_user());
        }
    }
}
