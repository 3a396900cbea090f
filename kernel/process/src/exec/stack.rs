//! What a program finds on its stack (AMD64 ABI 3.4.1): argument count, pointers to arguments and environment, auxiliary
//! vector; above them the strings they point to. Built as bytes, to be copied below the stack's top in one piece.

use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::auxv::{AT_EXECFN, AT_NULL, AT_PLATFORM, AT_RANDOM};

use super::strings::Strings;

const PLATFORM: &[u8] = b"x86_64\0";
const WORD: usize = size_of::<u64>();

/// What goes onto the stack.
pub struct Contents<'a> {
    pub arguments: &'a Strings,
    pub environment: &'a Strings,
    /// The name the program was started by.
    pub name: &'a [u8],
    pub random: [u8; 16],
    /// Entries of the auxiliary vector but those that point into the stack, which are added.
    pub auxiliary: &'a [(u64, u64)],
    /// Bytes left free between strings and vectors, so that the stack pointer is hard to guess.
    pub gap: usize,
}

/// The finished stack.
#[derive(Debug, PartialEq, Eq)]
pub struct Stack {
    /// From the stack pointer to the top.
    pub bytes: Vec<u8>,
    pub pointer: u64,
    /// Address ranges, for `/proc`.
    pub arguments: (u64, u64),
    pub environment: (u64, u64),
    pub auxiliary: (u64, u64),
}

/// Lays everything out below `top`, a multiple of 16. `E2BIG` when it does not fit below it, `ENOMEM` without memory.
pub fn build(contents: &Contents<'_>, top: u64) -> Result<Stack, Errno> {
    let Contents { arguments, environment, name, random, auxiliary, gap } = contents;
    let mut at = top;
    let mut take = |bytes: usize, alignment: u64| -> Result<u64, Errno> {
        at = at.checked_sub(bytes as u64).ok_or(Errno::E2BIG)? & !(alignment - 1);
        Ok(at)
    };
    // From the top down, as on Linux: a word of zeros, name, environment, arguments, gap, platform, random bytes, vectors.
    take(WORD, 1)?;
    let name_at = take(name.len() + 1, 1)?;
    let environment_at = take(environment.bytes().len(), 1)?;
    let arguments_at = take(arguments.bytes().len(), 1)?;
    take(*gap, 16)?;
    let platform_at = take(PLATFORM.len(), 1)?;
    let random_at = take(random.len(), 16)?;
    // Count, pointers with their two NULLs, entries of two words with the three added and the last.
    let words = 1 + arguments.count() + 1 + environment.count() + 1 + 2 * (auxiliary.len() + 4);
    let pointer = take(words * WORD, 16)?;

    let len = usize::try_from(top - pointer).map_err(|_| Errno::E2BIG)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(len, 0);
    let mut put = |at: u64, what: &[u8]| {
        let start = (at - pointer) as usize;
        if let Some(place) = bytes.get_mut(start..start + what.len()) {
            place.copy_from_slice(what);
        }
    };
    put(name_at, name);
    put(environment_at, environment.bytes());
    put(arguments_at, arguments.bytes());
    put(platform_at, PLATFORM);
    put(random_at, random);
    let mut next = pointer;
    let mut word = |value: u64| {
        put(next, &value.to_le_bytes());
        next += WORD as u64;
        next
    };
    word(arguments.count() as u64);
    each_start(arguments_at, arguments, &mut word);
    word(0);
    each_start(environment_at, environment, &mut word);
    let auxiliary_at = word(0);
    let added = [(AT_RANDOM, random_at), (AT_EXECFN, name_at), (AT_PLATFORM, platform_at), (AT_NULL, 0)];
    let mut auxiliary_end = auxiliary_at;
    for (key, value) in auxiliary.iter().chain(&added) {
        word(*key);
        auxiliary_end = word(*value);
    }
    Ok(Stack {
        bytes,
        pointer,
        arguments: (arguments_at, environment_at),
        environment: (environment_at, name_at),
        auxiliary: (auxiliary_at, auxiliary_end),
    })
}

/// Calls `word` with the address of each string, given the address of the first.
fn each_start(first: u64, strings: &Strings, word: &mut dyn FnMut(u64) -> u64) {
    let mut at = first;
    for string in strings.bytes().split_inclusive(|byte| *byte == 0) {
        word(at);
        at += string.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const TOP: u64 = 0x7fff_0000_0000;

    fn word(stack: &Stack, at: u64) -> u64 {
        let start = (at - stack.pointer) as usize;
        u64::from_le_bytes(stack.bytes[start..start + 8].try_into().expect("eight bytes"))
    }

    fn string(stack: &Stack, at: u64) -> &[u8] {
        stack.bytes[(at - stack.pointer) as usize..].split(|byte| *byte == 0).next().expect("a string")
    }

    #[test]
    fn a_program_finds_what_it_was_given() {
        for (arguments, environment, gap) in [
            (&[&b"prog"[..], b"", b"two words"][..], &[&b"A=1"[..], b"B="][..], 0),
            (&[&b""[..]], &[], 5000),
            (&[&b"x"[..]; 7], &[&b"PATH=/bin"[..]; 3], 17),
        ] {
            let stack = build(
                &Contents {
                    arguments: &Strings::from_slices(arguments.iter().copied()).expect("memory"),
                    environment: &Strings::from_slices(environment.iter().copied()).expect("memory"),
                    name: b"/bin/prog",
                    random: [7; 16],
                    auxiliary: &[(6, 4096)],
                    gap,
                },
                TOP,
            )
            .expect("fits");
            assert_eq!(stack.pointer % 16, 0);
            assert_eq!(stack.pointer + stack.bytes.len() as u64, TOP);
            assert_eq!(word(&stack, TOP - 8), 0);
            let mut at = stack.pointer;
            assert_eq!(word(&stack, at), arguments.len() as u64);
            for list in [arguments, environment] {
                for text in list {
                    at += 8;
                    assert_eq!(string(&stack, word(&stack, at)), *text);
                }
                at += 8;
                assert_eq!(word(&stack, at), 0);
            }
            at += 8;
            assert_eq!(stack.auxiliary.0, at);
            let entries: Vec<(u64, u64)> =
                (at..stack.auxiliary.1).step_by(16).map(|at| (word(&stack, at), word(&stack, at + 8))).collect();
            assert_eq!(entries[0], (6, 4096));
            let find = |key| entries.iter().find(|entry| entry.0 == key).expect("there").1;
            assert_eq!(string(&stack, find(AT_EXECFN)), b"/bin/prog");
            assert_eq!(string(&stack, find(AT_PLATFORM)), b"x86_64");
            assert_eq!(find(AT_RANDOM) % 16, 0);
            assert_eq!(word(&stack, find(AT_RANDOM)), 0x0707_0707_0707_0707);
            assert_eq!(entries.last(), Some(&(AT_NULL, 0)));
            let (start, end) = stack.arguments;
            assert_eq!(end - start, arguments.iter().map(|text| text.len() as u64 + 1).sum::<u64>());
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let long = Strings::from_slices([&[b'x'; 5000][..]]).expect("memory");
        let contents =
            Contents { arguments: &long, environment: &long, name: b"", random: [0; 16], auxiliary: &[], gap: 0 };
        assert_eq!(build(&contents, 0x1000), Err(Errno::E2BIG));
    }
}
