//! The table of function names that the kernel's panic handler reads, made from the linked kernel.
//!
//! It travels as the file `kernel.sym` in the initramfs, so that the kernel is linked once. Layout, little endian: the magic,
//! a 32-bit count, that many pairs of 32-bit words (address less [`IMAGE_BASE`], offset of the name from the end of the
//! pairs), sorted by address; then the names, each ended by a zero byte. `kernel/hal` reads it.

use anyhow::{Context, Result, bail};

/// What the table starts with.
const MAGIC: &[u8] = b"AIOSSYM1";
/// Addresses in the table count from here (`KERNEL_BASE` in `kernel/kernel.ld`).
const IMAGE_BASE: u64 = 0xffff_ffff_8000_0000;
/// Longer names are cut: those of deeply generic functions fill screens.
const LONGEST_NAME: usize = 120;

const SECTION_SYMBOLS: u32 = 2;
const TYPE_FUNCTION: u8 = 2;
const SYMBOL_SIZE: usize = 24;

/// Makes the table from an ELF64 file.
///
/// # Errors
/// When the file is no ELF64 file, or its symbol table is broken or missing.
pub fn table(elf: &[u8]) -> Result<Vec<u8>> {
    let mut functions = functions(elf).context("the kernel's symbols cannot be read")?;
    functions.sort();
    functions.dedup_by_key(|(offset, _)| *offset);
    let mut table = MAGIC.to_vec();
    table.extend(u32::try_from(functions.len())?.to_le_bytes());
    let mut names = Vec::new();
    for (offset, name) in &functions {
        table.extend(offset.to_le_bytes());
        table.extend(u32::try_from(names.len())?.to_le_bytes());
        names.extend_from_slice(name.as_bytes());
        names.push(0);
    }
    table.extend(names);
    Ok(table)
}

/// Offset from the base, and name, of every function.
fn functions(elf: &[u8]) -> Result<Vec<(u32, String)>> {
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        bail!("it is no 64-bit little-endian ELF file");
    }
    let table = number(elf, 0x28, 8)?;
    let (size, count) = (number(elf, 0x3a, 2)?, number(elf, 0x3c, 2)?);
    let header = |index: usize| -> Result<Section> {
        let at = table + index * size;
        let kind = u32::try_from(number(elf, at + 4, 4)?)?;
        Ok(Section {
            kind,
            start: number(elf, at + 0x18, 8)?,
            size: number(elf, at + 0x20, 8)?,
            link: number(elf, at + 0x28, 4)?,
        })
    };
    let mut found = Vec::new();
    for index in 0..count {
        let symbols = header(index)?;
        if symbols.kind != SECTION_SYMBOLS {
            continue;
        }
        let names = header(symbols.link)?;
        for at in (symbols.start..symbols.start + symbols.size).step_by(SYMBOL_SIZE) {
            let address = number(elf, at + 8, 8)? as u64;
            let offset = address.checked_sub(IMAGE_BASE).and_then(|offset| u32::try_from(offset).ok());
            let function = number(elf, at + 4, 1)? as u8 & 0xf == TYPE_FUNCTION;
            if let (Some(offset), true) = (offset, function) {
                found.push((offset, name(elf, names.start + number(elf, at, 4)?)?));
            }
        }
        return Ok(found);
    }
    bail!("it has no symbol table")
}

struct Section {
    kind: u32,
    start: usize,
    size: usize,
    link: usize,
}

fn number(elf: &[u8], at: usize, bytes: usize) -> Result<usize> {
    let field = at.checked_add(bytes).and_then(|end| elf.get(at..end)).context("it is cut short")?;
    Ok(field.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
}

fn name(elf: &[u8], at: usize) -> Result<String> {
    let rest = elf.get(at..).context("it is cut short")?;
    let mangled = String::from_utf8_lossy(rest.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
    // `{:#}` leaves the hash out.
    let mut name = format!("{:#}", rustc_demangle::demangle(&mangled));
    if name.len() > LONGEST_NAME {
        let cut = (0..=LONGEST_NAME).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
        name.truncate(cut);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file with three sections (none, symbols, names) and the given functions.
    fn elf(functions: &[(u64, &str)]) -> Vec<u8> {
        let mut names = vec![0];
        let mut symbols = Vec::new();
        for (address, name) in functions {
            symbols.extend((names.len() as u32).to_le_bytes());
            symbols.extend([TYPE_FUNCTION, 0, 1, 0]);
            symbols.extend(address.to_le_bytes());
            symbols.extend(0_u64.to_le_bytes());
            names.extend(name.as_bytes());
            names.push(0);
        }
        let mut file = b"\x7fELF\x02\x01".to_vec();
        file.resize(0x40 + 3 * 64, 0);
        file[0x28] = 0x40;
        file[0x3a] = 64;
        file[0x3c] = 3;
        let mut section = |index: usize, kind: u8, content: &[u8], link: u8| {
            let at = 0x40 + index * 64;
            let start = file.len() as u64;
            file[at + 4] = kind;
            file[at + 0x18..at + 0x20].copy_from_slice(&start.to_le_bytes());
            file[at + 0x20..at + 0x28].copy_from_slice(&(content.len() as u64).to_le_bytes());
            file[at + 0x28] = link;
            file.extend(content);
        };
        section(1, SECTION_SYMBOLS as u8, &symbols, 2);
        section(2, 3, &names, 0);
        file
    }

    #[test]
    fn functions_are_sorted_and_demangled() {
        let file = elf(&[
            (IMAGE_BASE + 0x30, "_ZN6kernel4main17h0123456789abcdefE"),
            (IMAGE_BASE + 0x10, "start"),
            (8, "low"),
        ]);
        let table = table(&file).unwrap();
        let (head, names) = table.split_at(12 + 2 * 8);
        let mut expected = MAGIC.to_vec();
        for word in [2_u32, 0x10, 0, 0x30, 6] {
            expected.extend(word.to_le_bytes());
        }
        assert_eq!(head, expected);
        assert_eq!(names, b"start\0kernel::main\0");
    }

    #[test]
    fn cut_files_are_errors() {
        let file = elf(&[(IMAGE_BASE, "start")]);
        for length in 0..file.len() - 6 {
            assert!(table(&file[..length]).is_err(), "{length}");
        }
    }
}
