//! The machine's own devices, seen from a shell: which interrupt controllers work, what counts, and what tells the time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Report, booted};
use crate::guest::{End, Guest};
use crate::machine::Machine;

/// How long the shell may take to answer, under emulation.
const ANSWER: Duration = Duration::from_secs(60);

/// Lines of the log that are looked at, from the end: all of it.
const LOG: usize = 1000;

/// One boot, and what is typed and must be printed. What is typed comes back on the console too, so it must not hold the
/// answer.
struct Case {
    name: &'static str,
    cpus: u32,
    words: &'static [&'static str],
    /// What the kernel must have said of itself.
    log: &'static str,
    steps: &'static [(&'static str, &'static str)],
}

const CASES: &[Case] = &[
    Case {
        name: "interrupts through the I/O APIC",
        cpus: 1,
        words: &[],
        log: "clock: ",
        steps: &[
            ("grep serial /proc/interrupts | tr -s ' ' : | grep -o '[A-Z-]*:4-edge'", "IO-APIC:4-edge"),
            ("grep -c virtio /proc/interrupts | sed 's/^/lines=/' | tr = :", "lines:2"),
            ("grep ^intr /proc/stat | cut -c1-4 | rev", "rtni"),
            ("cat /proc/irq/4/smp_affinity_list | sed 's/^/cpu=/' | tr = :", "cpu:0"),
            // Only who has the right to devices may move them.
            ("echo 0 > /proc/irq/4/smp_affinity_list", "not permitted"),
        ],
    },
    Case {
        name: "interrupts through the old controllers",
        cpus: 2,
        words: &["noapic"],
        log: "no I/O APIC",
        steps: &[("grep serial /proc/interrupts | tr -s ' ' : | grep -o '[A-Z-]*:4-edge'", "XT-PIC:4-edge")],
    },
    Case {
        name: "interrupts at another processor",
        cpus: 4,
        words: &["irqaffinity=2"],
        log: "4 of 4 processors run",
        // What is typed and what is read from the image comes there, and nowhere else.
        steps: &[
            ("cat /proc/irq/4/smp_affinity", "4\r\n"),
            (
                "awk '/serial|requests/ {print ($2+$3+$5 == 0 && $4 > 0) ? \"ye\" \"s\" : \"no\"}' /proc/interrupts",
                "yes\r\nyes\r\n",
            ),
        ],
    },
    Case { name: "time by the HPET", cpus: 4, words: &["clocksource=hpet"], log: "time is told by hpet", steps: TIME },
    Case {
        name: "time by the ACPI timer",
        cpus: 2,
        words: &["clocksource=acpi_pm"],
        log: "time is told by acpi_pm",
        steps: TIME,
    },
    Case {
        name: "the interval timer as reference",
        cpus: 1,
        words: &["clocksource=tsc"],
        log: "Hz by pit",
        steps: TIME,
    },
];

/// A second takes a second, and no clock goes back.
const TIME: &[(&str, &str)] = &[
    ("a=$(date +%s%N); sleep 1; b=$(date +%s%N); [ $((b-a)) -ge 1000000000 ] && echo sl''ept", "slept"),
    ("for i in 1 2 3 4 5 6 7 8; do date +%s%N; done | sort -nc && echo asc''ending", "ascending"),
    ("set -- $(cat /proc/uptime); [ ${1%.*} -lt 100 ] && echo pl''ausible", "plausible"),
];

/// Boots for each case.
pub fn run(report: &mut Report) -> Result<()> {
    let machine = booted::shell("base")?;
    report.each(&EVENTS, |event| event.name.to_owned(), outside);
    let cases: Vec<(&Case, Machine)> = CASES
        .iter()
        .map(|case| {
            let machine = machine.clone().cpus(case.cpus);
            (case, case.words.iter().fold(machine, |machine, word| machine.word(*word)))
        })
        .collect();
    report.each(&cases, |(case, _)| case.name.to_owned(), |(case, machine)| session(case, machine));
    Ok(())
}

fn session(case: &Case, machine: &Machine) -> Result<()> {
    let mut guest = Guest::start(machine)?;
    let steps = |guest: &mut Guest| -> Result<()> {
        guest.wait_for_agent(ANSWER)?;
        guest.expect("# ", ANSWER)?;
        for (line, answer) in case.steps {
            guest.send(line.as_bytes());
            guest.send(b"\r");
            guest.expect(answer, ANSWER)?;
            guest.expect("# ", ANSWER)?;
        }
        if !guest.last_lines(LOG).contains(case.log) {
            bail!("the log does not say '{}'", case.log);
        }
        Ok(())
    };
    if let Err(error) = steps(&mut guest) {
        bail!("{error:#}\nthe log ends with:\n{}", guest.last_lines(15));
    }
    Ok(())
}

/// Something that comes from outside the machine, and what the log must say then.
struct Event {
    name: &'static str,
    cpus: u32,
    command: &'static str,
    /// Does the machine go on?
    survives: bool,
    log: &'static [&'static str],
}

const EVENTS: [Event; 3] = [
    Event {
        name: "every processor tells where it is",
        cpus: 3,
        command: "nmi",
        survives: true,
        log: &["non-maskable interrupt from outside", "CPU 0 in", "CPU 1 in", "CPU 2 in", "run_idle"],
    },
    Event {
        name: "a machine check that nobody suffers from is told",
        cpus: 1,
        // Processor, bank, status (valid, enabled, address), global status (may go on), address, misc.
        command: "mce 0 5 0xb4000000000000c2 0x5 0x12340 0",
        survives: true,
        log: &[
            "machine check: bank 5: memory controller error in scrubbing, channel 2, not corrected",
            "address 0x12340",
        ],
    },
    Event {
        name: "a fatal machine check names its bank",
        cpus: 1,
        command: "mce 0 9 0xb600000000000814 0x4 0x56780 0",
        survives: false,
        log: &["machine check: bank 9: bus error", "kernel panic on CPU 0: machine check at", "bank 9"],
    },
];

fn outside(event: &Event) -> Result<()> {
    let mut guest = Guest::start(&booted::shell("base")?.cpus(event.cpus))?;
    let result = strike(event, &mut guest);
    result.map_err(|error| anyhow::anyhow!("{error:#}\nthe log ends with:\n{}", guest.last_lines(40)))
}

fn strike(event: &Event, guest: &mut Guest) -> Result<()> {
    guest.wait_for_agent(ANSWER)?;
    guest.expect("# ", ANSWER)?;
    let printed = guest.monitor(event.command)?;
    if !printed.trim().is_empty() {
        bail!("QEMU says: {printed}");
    }
    if event.survives {
        guest.send(b"echo al''ive\r");
        guest.expect("alive", ANSWER)?;
        guest.expect("# ", ANSWER)?;
    } else if !matches!(guest.finish(ANSWER)?, End::Panic(_)) {
        bail!("the machine did not panic");
    }
    // Processors tell in any order, and may take their time.
    let deadline = Instant::now() + ANSWER;
    for text in event.log {
        while !guest.last_lines(LOG).contains(text) {
            if guest.next(deadline).is_none() && (guest.is_over() || Instant::now() >= deadline) {
                bail!("the log does not say '{text}'");
            }
        }
    }
    Ok(())
}
