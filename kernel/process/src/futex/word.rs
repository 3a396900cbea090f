//! What `FUTEX_WAKE_OP` does with its second word.

use aios_abi::Errno;
use aios_abi::linux::consts::{futex_cmp as compare, futex_op as operation};
use kernel_hal::addr::Virt;
use kernel_hal::usermem;

/// An operation on a word and a comparison of its old value, checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WakeOp {
    operation: u32,
    argument: u32,
    comparison: u32,
    against: i32,
}

impl WakeOp {
    /// Decodes `val3`: operation in bits 28 to 31, comparison in 24 to 27, two signed arguments of 12 bits. `ENOSYS`
    /// for an operation or a comparison that there is none of.
    pub fn decode(bits: u32) -> Result<WakeOp, Errno> {
        let shifted = bits >> 28 & operation::FUTEX_OP_OPARG_SHIFT != 0;
        let code = bits >> 28 & (operation::FUTEX_OP_OPARG_SHIFT - 1);
        let signed = |field: u32| (field << 20) as i32 >> 20;
        let argument = signed(bits >> 12 & 0xfff) as u32;
        let comparison = bits >> 24 & 0xf;
        if code > operation::FUTEX_OP_XOR || comparison > compare::FUTEX_OP_CMP_GE {
            return Err(Errno::ENOSYS);
        }
        let argument = if shifted { 1 << (argument & 31) } else { argument };
        Ok(WakeOp { operation: code, argument, comparison, against: signed(bits & 0xfff) })
    }

    fn result(&self, old: u32) -> u32 {
        match self.operation {
            operation::FUTEX_OP_SET => self.argument,
            operation::FUTEX_OP_ADD => old.wrapping_add(self.argument),
            operation::FUTEX_OP_OR => old | self.argument,
            operation::FUTEX_OP_ANDN => old & !self.argument,
            _ => old ^ self.argument,
        }
    }

    fn compares(&self, old: u32) -> bool {
        let (old, against) = (old as i32, self.against);
        match self.comparison {
            compare::FUTEX_OP_CMP_EQ => old == against,
            compare::FUTEX_OP_CMP_NE => old != against,
            compare::FUTEX_OP_CMP_LT => old < against,
            compare::FUTEX_OP_CMP_LE => old <= against,
            compare::FUTEX_OP_CMP_GT => old > against,
            _ => old >= against,
        }
    }

    /// Changes the word in one atomic step; true when its old value compares.
    pub(super) fn apply(&self, at: Virt) -> Result<bool, Errno> {
        let mut old = usermem::load_u32(at).map_err(|_| Errno::EFAULT)?;
        loop {
            match usermem::compare_exchange_u32(at, old, self.result(old)).map_err(|_| Errno::EFAULT)? {
                Ok(old) => return Ok(self.compares(old)),
                Err(found) => old = found,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(operation: u32, argument: i32, comparison: u32, against: i32) -> u32 {
        operation << 28 | comparison << 24 | (argument as u32 & 0xfff) << 12 | against as u32 & 0xfff
    }

    #[test]
    fn operations_and_comparisons() {
        let decode = |bits| WakeOp::decode(bits).expect("known");
        assert_eq!(decode(encoded(0, -1, 0, 0)).result(7), u32::MAX);
        assert_eq!(decode(encoded(1, 4, 0, 0)).result(3), 7);
        assert_eq!(decode(encoded(1, -4, 0, 0)).result(3), u32::MAX);
        assert_eq!(decode(encoded(2, 4, 0, 0)).result(3), 7);
        assert_eq!(decode(encoded(3, 1, 0, 0)).result(3), 2);
        assert_eq!(decode(encoded(4, 1, 0, 0)).result(3), 2);
        // 8 is the flag for a shifted argument; more than 31 is taken as on Linux.
        assert_eq!(decode(encoded(8, 5, 0, 0)).result(3), 32);
        assert_eq!(decode(encoded(8, 33, 0, 0)).result(3), 2);
        for (comparison, expected) in [
            (0, [false, true, false]),
            (1, [true, false, true]),
            (2, [true, false, false]),
            (3, [true, true, false]),
            (4, [false, false, true]),
            (5, [false, true, true]),
        ] {
            let operation = decode(encoded(0, 0, comparison, -2));
            assert_eq!([-3i32, -2, 5].map(|old| operation.compares(old as u32)), expected, "{comparison}");
        }
        assert_eq!(WakeOp::decode(encoded(5, 0, 0, 0)), Err(Errno::ENOSYS));
        assert_eq!(WakeOp::decode(encoded(0, 0, 6, 0)), Err(Errno::ENOSYS));
    }
}
