//! `/proc/interrupts`, `/proc/irq` and the interrupt line of `/proc/stat`, as Linux formats them.

use alloc::string::String;
use alloc::vec::Vec;

use aios_abi::Errno;
use kernel_cap::Rights;
use kernel_fs::procfs::{Entry, Text, register};
use kernel_hal::cpu;
use kernel_hal::irq::redirection::Trigger;
use kernel_hal::irq::{self, Local, Summary, Vector};

use crate::Thread;

/// Shows `interrupts`. Called once at start-up.
pub(super) fn register_table() {
    register("interrupts", Entry::new(|_| table()));
}

/// Shows a directory in `irq` for each interrupt connected by now. Called when the drivers have theirs.
pub fn register_interrupts() {
    for Summary { number, vector, .. } in connected() {
        // Interrupts stay for ever, and so do their names.
        let path = |file: &str| -> &'static str { alloc::format!("irq/{number}/{file}").leak() };
        let target = move || connected().find(|found| found.vector == vector).map_or(0, |found| found.cpu);
        register(
            path("smp_affinity"),
            Entry::new(move |_| Ok(alloc::format!("{}\n", mask_of(target(), cpu::count())).into_bytes()))
                .writable(move |text| redirect(vector, first_in_mask(text))),
        );
        register(
            path("smp_affinity_list"),
            Entry::new(move |_| Ok(alloc::format!("{}\n", target()).into_bytes()))
                .writable(move |text| redirect(vector, first_in_list(text))),
        );
        register(
            path("effective_affinity_list"),
            Entry::new(move |_| Ok(alloc::format!("{}\n", target()).into_bytes())),
        );
        register(
            path("spurious"),
            Entry::new(move |_| {
                let found = connected().find(|found| found.vector == vector);
                let (total, unclaimed) = found.map_or((0, 0), |found| (found.total(), found.unclaimed));
                Ok(alloc::format!("count {total}\nunhandled {unclaimed}\nlast_unhandled 0 ms\n").into_bytes())
            }),
        );
    }
}

fn connected() -> impl Iterator<Item = Summary<'static>> {
    (0..irq::allocated()).filter_map(irq::summary)
}

/// Sends an interrupt to the processor that the writer named.
fn redirect(vector: Vector, cpu: Option<usize>) -> Result<(), Errno> {
    let cpu = cpu.ok_or(Errno::EINVAL)?;
    let thread = Thread::current().ok_or(Errno::EPERM)?;
    thread.process().domain().check(Rights::DEVICE, "moving an interrupt")?;
    if vector.set_cpu(cpu) { Ok(()) } else { Err(Errno::EINVAL) }
}

/// A mask with one processor in it: hexadecimal, in groups of 32 bits, as wide as `count` processors need.
fn mask_of(cpu: usize, count: usize) -> String {
    let groups = count.max(cpu + 1).div_ceil(32);
    let digits = if groups == 1 { count.max(cpu + 1).div_ceil(4) } else { 8 };
    let mut text = String::new();
    for group in (0..groups).rev() {
        let bits = if cpu / 32 == group { 1u32 << (cpu % 32) } else { 0 };
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&alloc::format!("{bits:0digits$x}"));
    }
    text
}

fn line_of(text: &[u8]) -> Option<&str> {
    Some(core::str::from_utf8(text).ok()?.trim())
}

/// The lowest processor of a mask.
fn first_in_mask(text: &[u8]) -> Option<usize> {
    let line = line_of(text)?;
    if line.is_empty() {
        return None;
    }
    for (group, digits) in line.rsplit(',').enumerate() {
        let bits = u32::from_str_radix(digits, 16).ok()?;
        if bits != 0 {
            return Some(group * 32 + bits.trailing_zeros() as usize);
        }
    }
    None
}

/// The first processor of a list such as `2,4-7`.
fn first_in_list(text: &[u8]) -> Option<usize> {
    let first = line_of(text)?.split([',', '-']).next()?;
    first.parse().ok()
}

fn table() -> Result<Vec<u8>, Errno> {
    let cpus = cpu::count();
    let mut text = Text::new();
    text.put(format_args!("{:11}", ""))?;
    (0..cpus).try_for_each(|cpu| text.put(format_args!("CPU{cpu:<8}")))?;
    text.bytes(b"\n")?;
    let mut rows: Vec<_> = connected().collect();
    rows.sort_by_key(|row| row.number);
    for row in &rows {
        text.put(format_args!("{:>3}: ", row.number))?;
        (0..cpus).try_for_each(|cpu| text.put(format_args!("{:>10} ", row.count(cpu))))?;
        let trigger = if row.trigger == Trigger::Level { "fasteoi" } else { "edge" };
        text.put(format_args!(" {:>8} {:>3}-{trigger:<8}  {}\n", row.chip, row.number, row.name))?;
    }
    for local in Local::ALL {
        let (label, description) = local.names();
        text.put(format_args!("{label:>3}: "))?;
        if local == Local::Error {
            let sum: u64 = (0..cpus).map(|cpu| irq::counted(cpu, local)).sum();
            text.put(format_args!("{:>10}\n", sum.saturating_add(irq::unexpected())))?;
            continue;
        }
        (0..cpus).try_for_each(|cpu| text.put(format_args!("{:>10} ", irq::counted(cpu, local))))?;
        text.put(format_args!("  {description}\n"))?;
    }
    Ok(text.into_bytes())
}

/// `intr` in `/proc/stat`: all interrupts, then each number's.
pub(super) fn stat_line(text: &mut Text) -> Result<(), Errno> {
    let mut rows: Vec<_> = connected().map(|row| (row.number, row.total())).collect();
    rows.sort_unstable();
    text.put(format_args!("intr {}", irq::total()))?;
    let mut next = 0;
    for (number, count) in rows {
        while next < number {
            text.bytes(b" 0")?;
            next += 1;
        }
        text.put(format_args!(" {count}"))?;
        next = number.saturating_add(1);
    }
    text.bytes(b"\n")
}

#[cfg(test)]
mod tests {
    use std::boxed::Box;
    use std::string::ToString;

    use kernel_hal::hosted;
    use kernel_hal::irq::{Claim, Message, MessageSource};

    use super::*;

    struct Nowhere;

    impl MessageSource for Nowhere {
        fn set_message(&self, _message: Message) {}

        fn set_mask(&self, _masked: bool) {}

        fn kind(&self) -> &'static str {
            "PCI-MSI"
        }
    }

    #[test]
    fn masks_and_lists_are_linuxes() {
        assert_eq!([mask_of(0, 1), mask_of(2, 4), mask_of(5, 8)], ["1", "4", "20"]);
        assert_eq!([mask_of(33, 40), mask_of(0, 64)], ["00000002,00000000", "00000000,00000001"]);
        for (text, cpu) in [("1\n", Some(0)), ("f0", Some(4)), ("2,00000000\n", Some(33)), ("0", None), ("x", None)] {
            assert_eq!(first_in_mask(text.as_bytes()), cpu, "{text}");
        }
        for (text, cpu) in [("3\n", Some(3)), ("2,4-7", Some(2)), ("5-6", Some(5)), ("", None), ("-1", None)] {
            assert_eq!(first_in_list(text.as_bytes()), cpu, "{text}");
        }
    }

    #[test]
    fn an_interrupt_has_its_row() {
        let vector = irq::allocate_vector("device config", Box::new(|| Claim::Mine)).expect("a vector");
        vector.attach(Box::new(Nowhere));
        let Message { address, data } = vector.message();
        assert!((0..3).all(|_| hosted::raise_msi(address, data)));
        let text = String::from_utf8(table().expect("text")).expect("UTF-8");
        let header = text.lines().next().expect("a header");
        assert!(header.starts_with("           CPU0       CPU1       "), "{header}");
        let found = connected().find(|found| found.vector == vector).expect("connected");
        let row = text.lines().find(|line| line.ends_with("  device config")).expect("a row");
        let mut words = row.split_whitespace();
        assert_eq!(words.next(), Some(std::format!("{}:", found.number).as_str()));
        let counts: u64 =
            (0..cpu::count()).map(|_| words.next().expect("a count").parse::<u64>().expect("digits")).sum();
        assert_eq!(counts, 3);
        assert_eq!(words.next(), Some("PCI-MSI"));
        assert_eq!(words.next(), Some(std::format!("{}-edge", found.number).as_str()));
        for label in ["LOC:", "RES:", "CAL:", "TLB:", "NMI:", "MCE:", "ERR:"] {
            assert!(text.lines().any(|line| line.trim_start().starts_with(label)), "{label}");
        }
        let mut line = Text::new();
        stat_line(&mut line).expect("text");
        let line = String::from_utf8(line.into_bytes()).expect("UTF-8");
        let mut words = line.split_whitespace();
        assert_eq!(words.next(), Some("intr"));
        let column = words.nth(1 + found.number as usize).expect("a column");
        assert_eq!(column, 3.to_string());
    }
}
