//! Finding functions: every device of a bus, and through each bridge the bus behind it.
//!
//! Bus numbers are those that firmware gave out. Each bus is visited once whatever the bridges say, so a wrong bridge
//! cannot make the scan run in circles.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::config::{Address, ConfigAccess};
use super::function::{Function, Header};

/// All functions of `segment` that can be reached from bus `first`, in the order of their addresses.
pub(super) fn scan(access: &Arc<dyn ConfigAccess>, segment: u16, first: u8) -> Vec<Function> {
    let mut found = Vec::new();
    let mut seen = [false; 256];
    let mut buses = alloc::vec![first];
    while let Some(bus) = buses.pop() {
        if core::mem::replace(&mut seen[usize::from(bus)], true) {
            continue;
        }
        for device in 0..32 {
            scan_device(access, Address { segment, bus, device, function: 0 }, &mut |function| {
                if let Header::Bridge { secondary } = function.header
                    && secondary > first
                {
                    buses.push(secondary);
                }
                found.push(function);
            });
        }
    }
    found.sort_by_key(|function| function.address);
    found
}

fn scan_device(access: &Arc<dyn ConfigAccess>, first: Address, each: &mut dyn FnMut(Function)) {
    let Some((function, several)) = Function::probe(access, first) else { return };
    each(function);
    if !several {
        return;
    }
    for function in 1..8 {
        if let Some((function, _)) = Function::probe(access, Address { function, ..first }) {
            each(function);
        }
    }
}
