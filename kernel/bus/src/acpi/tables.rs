//! Finding the tables: RSDP, then XSDT or RSDT, then every table they list (ACPI 6.5 §5.2.5 to §5.2.8).
//!
//! Each structure is copied out of firmware memory once and checked (signature, length, checksum) before anything in
//! it is believed. A table that fails its check is left out and reported; the others stay usable.

use alloc::vec::Vec;
use core::fmt;

use aios_abi::boot::PhysRead;

use super::bytes::{sums_to_zero, u8_at, u32_at, u64_at};

/// Bytes of the header that all tables share.
pub(super) const HEADER: usize = 36;
/// More than any real machine's DSDT; a longer claim is a broken table.
const MAX_TABLE: u32 = 4 << 20;
/// More tables than any real machine lists.
const MAX_TABLES: usize = 256;
const RSDP_V1: usize = 20;
const RSDP_V2: usize = 36;

/// Four characters that name a table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 4]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// Why a structure of the firmware was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcpiError {
    /// There is no root pointer, at the given address or in the BIOS area.
    NoRoot,
    /// Memory at this physical address may not or cannot be read.
    Unreadable(u64),
    /// The structure at this address does not begin with what it should.
    BadSignature(u64),
    /// The table claims an impossible number of bytes.
    BadLength(Signature, u32),
    BadChecksum(Signature),
}

impl fmt::Display for AcpiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcpiError::NoRoot => write!(f, "no ACPI root pointer found"),
            AcpiError::Unreadable(at) => write!(f, "ACPI memory at {at:#x} cannot be read"),
            AcpiError::BadSignature(at) => write!(f, "the ACPI structure at {at:#x} has the wrong signature"),
            AcpiError::BadLength(name, len) => write!(f, "ACPI table {name:?} claims {len} bytes"),
            AcpiError::BadChecksum(name) => write!(f, "ACPI table {name:?} has a wrong checksum"),
        }
    }
}

/// A checked copy of one table, header included.
#[derive(Clone)]
pub struct Table {
    pub signature: Signature,
    pub bytes: Vec<u8>,
}

/// Reads and checks the table at physical address `at`.
pub(super) fn read_table(mem: &dyn PhysRead, at: u64) -> Result<Table, AcpiError> {
    let mut header = [0u8; HEADER];
    if !mem.read(at, &mut header) {
        return Err(AcpiError::Unreadable(at));
    }
    let mut signature = Signature([0; 4]);
    signature.0.copy_from_slice(&header[..4]);
    if !signature.0.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_') {
        return Err(AcpiError::BadSignature(at));
    }
    let length = u32_at(&header, 4).unwrap_or(0);
    if length < HEADER as u32 || length > MAX_TABLE {
        return Err(AcpiError::BadLength(signature, length));
    }
    let mut bytes = alloc::vec![0u8; length as usize];
    if !mem.read(at, &mut bytes) {
        return Err(AcpiError::Unreadable(at));
    }
    if !sums_to_zero(&bytes) {
        return Err(AcpiError::BadChecksum(signature));
    }
    Ok(Table { signature, bytes })
}

/// What the root pointer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Root {
    rsdt: u64,
    xsdt: Option<u64>,
}

/// Checks the root pointer at `at`.
fn read_root(mem: &dyn PhysRead, at: u64) -> Option<Root> {
    let mut bytes = [0u8; RSDP_V2];
    let (first, second) = bytes.split_at_mut(RSDP_V1);
    if !mem.read(at, first) || &first[..8] != b"RSD PTR " || !sums_to_zero(first) {
        return None;
    }
    let rsdt = u64::from(u32_at(first, 16)?);
    let revision = u8_at(first, 15)?;
    if revision < 2 || !mem.read(at.checked_add(RSDP_V1 as u64)?, second) {
        return Some(Root { rsdt, xsdt: None });
    }
    // The extended part has its own checksum; where that is wrong the first part still counts.
    let xsdt = u64_at(&bytes, 24).filter(|xsdt| *xsdt != 0 && sums_to_zero(&bytes));
    Some(Root { rsdt, xsdt })
}

/// The root pointer at `hint` (0: none given), or else in the places where a PC BIOS leaves it (ACPI 6.5 §5.2.5.1).
pub(super) fn find_root(mem: &dyn PhysRead, hint: u64) -> Option<Root> {
    if hint != 0
        && let Some(root) = read_root(mem, hint)
    {
        return Some(root);
    }
    (0xe_0000u64..0x10_0000).step_by(16).find_map(|at| {
        let mut start = [0u8; 8];
        (mem.read(at, &mut start) && &start == b"RSD PTR ").then(|| read_root(mem, at)).flatten()
    })
}

/// All tables that the root lists and that pass their checks; the rest go to `refused`.
pub(super) fn read_all(
    mem: &dyn PhysRead,
    root: Root,
    refused: &mut dyn FnMut(AcpiError),
) -> Result<Vec<Table>, AcpiError> {
    let extended = root.xsdt.map(|at| read_table(mem, at).map(|table| (table, 8)));
    let (list, width) = match extended {
        Some(Ok((table, width))) if table.signature.0 == *b"XSDT" => (table, width),
        other => {
            if let Some(Err(error)) = other {
                refused(error);
            }
            (read_table(mem, root.rsdt)?, 4)
        }
    };
    if list.signature.0 != *b"XSDT" && list.signature.0 != *b"RSDT" {
        return Err(AcpiError::BadSignature(root.rsdt));
    }
    let entries = list.bytes.get(HEADER..).unwrap_or(&[]).chunks_exact(width).take(MAX_TABLES);
    let mut tables = Vec::new();
    for entry in entries {
        let at = if width == 8 { u64_at(entry, 0) } else { u32_at(entry, 0).map(u64::from) };
        match read_table(mem, at.unwrap_or(0)) {
            Ok(table) => tables.push(table),
            Err(error) => refused(error),
        }
    }
    Ok(tables)
}
