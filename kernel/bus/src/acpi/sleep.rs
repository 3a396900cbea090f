//! The sleep type of S5 ("soft off"), found in AML without interpreting it.
//!
//! `\_S5` is a package of constants at the top level of the DSDT or an SSDT (ACPI 6.5 §7.4.2.6):
//! `NameOp [RootChar] "_S5_" PackageOp PkgLength NumElements Constant Constant ...` (§20.2). The bytes are searched
//! for that shape. Every step may fail and the search then goes on behind it, so any bytes at all may be given.

/// The values for the two PM1 control registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SleepType {
    pub a: u8,
    pub b: u8,
}

const NAME_OP: u8 = 0x08;
const PACKAGE_OP: u8 = 0x12;
const ROOT: u8 = b'\\';

/// The first well-formed `_S5_` package in `aml`.
pub(super) fn find_s5(aml: &[u8]) -> Option<SleepType> {
    let name = b"_S5_";
    let mut from = 0;
    while let Some(found) = aml.get(from..)?.windows(name.len()).position(|window| window == name) {
        let at = from + found;
        let before = aml.get(..at)?;
        let named = matches!(before, [.., NAME_OP] | [.., NAME_OP, ROOT]);
        if named && let Some(value) = aml.get(at + name.len()..).and_then(package) {
            return Some(value);
        }
        from = at + 1;
    }
    None
}

/// A package whose first two elements are constants of three bits.
fn package(aml: &[u8]) -> Option<SleepType> {
    let (&op, rest) = aml.split_first()?;
    if op != PACKAGE_OP {
        return None;
    }
    // The two top bits of the lead byte count the length bytes that follow it.
    let (&lead, rest) = rest.split_first()?;
    let rest = rest.get(usize::from(lead >> 6)..)?;
    let (&elements, rest) = rest.split_first()?;
    if elements == 0 {
        return None;
    }
    let (a, rest) = constant(rest)?;
    // Some tables give only one element; both registers then take the same value.
    let b = if elements > 1 { constant(rest)?.0 } else { a };
    Some(SleepType { a: a & 7, b: b & 7 })
}

/// A constant's low byte, and what follows it.
fn constant(aml: &[u8]) -> Option<(u8, &[u8])> {
    let (&op, rest) = aml.split_first()?;
    let bytes = match op {
        0x00 | 0x01 => return Some((op, rest)),
        0xff => return Some((0xff, rest)),
        0x0a => 1,
        0x0b => 2,
        0x0c => 4,
        0x0e => 8,
        _ => return None,
    };
    Some((*rest.first()?, rest.get(bytes..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_the_package_of_qemu_and_of_bytes_with_prefixes() {
        let plain = [0x08, b'_', b'S', b'5', b'_', 0x12, 0x06, 0x04, 0, 0, 0, 0];
        assert_eq!(find_s5(&plain), Some(SleepType { a: 0, b: 0 }));
        let prefixed = [9, 8, b'\\', b'_', b'S', b'5', b'_', 0x12, 0x0a, 0x04, 0x0a, 5, 0x0a, 7, 0, 0];
        assert_eq!(find_s5(&prefixed), Some(SleepType { a: 5, b: 7 }));
        let long_length = [8, b'_', b'S', b'5', b'_', 0x12, 0x47, 0, 2, 0x0b, 3, 0, 1];
        assert_eq!(find_s5(&long_length), Some(SleepType { a: 3, b: 1 }));
    }

    #[test]
    fn skips_mentions_that_are_not_the_package() {
        let mut aml = b"call _S5_ then".to_vec();
        assert_eq!(find_s5(&aml), None);
        aml.extend([8, b'_', b'S', b'5', b'_', 0x12, 0x04, 0x01, 0x01]);
        assert_eq!(find_s5(&aml), Some(SleepType { a: 1, b: 1 }));
        aml.truncate(aml.len() - 1);
        assert_eq!(find_s5(&aml), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut aml in proptest::collection::vec(any::<u8>(), 0..64), at in 0usize..64) {
            let at = at.min(aml.len());
            aml.splice(at..at, *b"\x08_S5_\x12");
            if let Some(found) = find_s5(&aml) {
                prop_assert!(found.a < 8 && found.b < 8);
            }
        }
    }
}
