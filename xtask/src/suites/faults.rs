//! What becomes of an agent whose programs do what the processor refuses, by the policy of its manifest.

use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::{Report, booted};
use crate::guest::{Event, Guest, Message, Scene};
use crate::machine::{Machine, Stream};
use crate::paths;

const SIGABRT: u32 = 6;
const SIGSEGV: u32 = 11;

type Check = fn(&Machine) -> Result<()>;

/// Case, directory below `examples/faults`, argument, processors.
const CASES: &[(&str, &str, &str, u32, Check)] = &[
    ("frozen", "freeze", "null-write", 1, frozen),
    ("frozen smp=4", "freeze", "in-a-thread", 4, frozen_among_threads),
    ("frozen for a child", "freeze", "child", 2, frozen_for_a_child),
    ("frozen for an abort", "freeze", "child-abort", 1, frozen_for_an_abort),
    ("child without a policy", ".", "child", 1, child),
    ("restarted", "restart", "flaky", 1, restarted),
    ("given up", "restart", "divide", 2, given_up),
];

struct Case {
    name: &'static str,
    machine: Machine,
    check: Check,
}

/// Runs the suite.
pub fn run(report: &mut Report) -> Result<()> {
    let examples = paths::root().join("examples/faults");
    let mut cases = Vec::new();
    for &(name, dir, argument, cpus, check) in CASES {
        let machine = booted::machine("python", &examples.join(dir))?.share("share", &examples, true);
        let machine = machine.word("aios.share").word(format!("aios.args={argument}")).cpus(cpus);
        cases.push(Case { name, machine, check });
    }
    for (name, cpus) in [("frozen and thawed", 1), ("frozen and thawed smp=4", 4)] {
        let machine = booted::machine("base", &paths::root().join("tests/agents/busy"))?;
        let machine = machine.stream(Stream::Messages).word("aios.control").cpus(cpus);
        cases.push(Case { name, machine, check: thawed });
    }
    report.each(&cases, |case| case.name.to_owned(), |case| (case.check)(&case.machine));
    Ok(())
}

/// While it is frozen no thread of it runs, whatever it did; thawed, all go on, and what was typed meanwhile is there.
fn thawed(machine: &Machine) -> Result<()> {
    let mut guest = Guest::start(machine)?;
    guest.expect("busy", booted::TIMEOUT)?;
    let mut host = guest.stream(Stream::Messages).context("there is no way to the supervisor")?;
    let mut last = 0;
    for round in 0..5 {
        let mut frozen = || {
            writeln!(host, "{}", serde_json::json!({ "freeze": true }))?;
            state(&mut guest, "frozen")
        };
        // The last thread to stop may still be on its way to sleep, in the kernel, when all are known to have stopped.
        let readings: Vec<u64> = (0..20).map(|_| frozen()).collect::<Result<_>>()?;
        let stopped = readings.last().copied().unwrap_or_default();
        if readings.iter().rev().take(10).any(|reading| *reading != stopped) {
            bail!("round {round}: a frozen agent uses the processor: {readings:?}");
        }
        if round == 4 {
            guest.send(b"stop now\r");
        }
        writeln!(host, "{}", serde_json::json!({ "freeze": false }))?;
        let before = state(&mut guest, "running")?;
        if stopped != before || stopped <= last {
            bail!("round {round}: {last} ns, frozen after {stopped} ns, thawed after {before} ns of processor time");
        }
        last = stopped;
    }
    guest.expect("heard: stop now", booted::TIMEOUT)?;
    let end = guest.finish(booted::TIMEOUT)?;
    booted::expect_code(&booted::ended(&guest, end)?, 0)
}

/// Processor time when the supervisor says that the agent is in `wanted`.
fn state(guest: &mut Guest, wanted: &str) -> Result<u64> {
    let deadline = Instant::now() + booted::TIMEOUT;
    while !guest.is_over() && Instant::now() < deadline {
        if let Some(Message::Event(Event::AgentState { state, cpu_ns, .. })) = guest.next(deadline)
            && state == wanted
        {
            return Ok(cpu_ns);
        }
    }
    bail!("the agent did not become {wanted}; the log ends with:\n{}", guest.last_lines(20))
}

/// A whole run, with the supervisor's messages.
fn watch(machine: &Machine) -> Result<(booted::Ended, Vec<Event>)> {
    let mut guest = Guest::start(machine)?;
    let mut events = Vec::new();
    let deadline = Instant::now() + booted::TIMEOUT;
    while !guest.is_over() && Instant::now() < deadline {
        if let Some(Message::Event(event)) = guest.next(deadline) {
            events.push(event);
        }
    }
    let end = guest.stop()?;
    Ok((booted::ended(&guest, end)?, events))
}

/// An agent that was frozen, shown and ended.
fn scene(machine: &Machine, signal: u32) -> Result<(booted::Ended, Scene)> {
    let (ended, events) = watch(machine)?;
    booted::expect_code(&ended, 128 + signal as i32)?;
    let mut scenes = events.into_iter().filter_map(|event| match event {
        Event::AgentFrozen { scene, .. } => Some(scene),
        _ => None,
    });
    let scene = scenes.next().context("no frozen agent was shown")?;
    if scenes.next().is_some() {
        bail!("more than one stop was shown");
    }
    if scene.signal != signal {
        bail!("signal {}", scene.signal);
    }
    if ended.reason.as_deref() != Some(scene.reason.as_str()) {
        bail!("shown for `{}`, and ended for {:?}", scene.reason, ended.reason);
    }
    let register = |name: &str| {
        let (_, value) = scene.registers.iter().find(|(there, _)| there == name).context("a register is missing")?;
        u64::from_str_radix(value.trim_start_matches("0x"), 16).context("a register is no number")
    };
    // The instruction is in an executable area, the stack pointer in a writable one, and both are in the map.
    for (name, access) in [("rip", "r-xp"), ("rsp", "rw-p")] {
        let value = register(name)?;
        let area = scene.maps.iter().find(|line| holds(line, value));
        if !area.is_some_and(|line| line.contains(access)) {
            bail!("{name} {value:#x} is in no {access} area of\n{}", scene.maps.join("\n"));
        }
    }
    if !scene.reason.contains(&format!("(pc {:#x}, ", register("rip")?)) {
        bail!("the registers are not those of `{}`", scene.reason);
    }
    Ok((ended, scene))
}

/// Whether a line of `maps` is the area of an address.
fn holds(line: &str, address: u64) -> bool {
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let range = line.split(' ').next().and_then(|range| range.split_once('-'));
    range.and_then(|(start, end)| Some((number(start)?..number(end)?).contains(&address))).unwrap_or(false)
}

fn frozen(machine: &Machine) -> Result<()> {
    let (_, scene) = scene(machine, SIGSEGV)?;
    expect(&scene, 1, 1)
}

/// All threads stop, and the one that did it is named.
fn frozen_among_threads(machine: &Machine) -> Result<()> {
    let (_, scene) = scene(machine, SIGSEGV)?;
    if scene.thread != 2 {
        bail!("thread {} was named instead of thread 2", scene.thread);
    }
    expect(&scene, 1, 2)
}

/// The fault of any process stops the agent; its parent has not noticed anything.
fn frozen_for_a_child(machine: &Machine) -> Result<()> {
    let (ended, scene) = scene(machine, SIGSEGV)?;
    if ended.console.contains("the child ended") {
        bail!("the child's parent went on:\n{}", ended.console);
    }
    expect(&scene, 2, 2)
}

/// A program that gives itself up is as broken as one that the processor stops.
fn frozen_for_an_abort(machine: &Machine) -> Result<()> {
    let (_, scene) = scene(machine, SIGABRT)?;
    if !scene.reason.contains(": abort (pc 0x") {
        bail!("the reason does not tell of an abort: {}", scene.reason);
    }
    expect(&scene, 2, 2)
}

fn expect(scene: &Scene, processes: u32, threads: u32) -> Result<()> {
    if (scene.processes, scene.threads) != (processes, threads) {
        bail!("{} processes, {} threads", scene.processes, scene.threads);
    }
    Ok(())
}

/// As on Linux: the process ends, and its parent hears of it.
fn child(machine: &Machine) -> Result<()> {
    let (ended, events) = watch(machine)?;
    booted::expect_code(&ended, 0)?;
    booted::expect_text(&ended, "the child ended with -11, and its parent goes on")?;
    if events.iter().any(|event| matches!(event, Event::AgentFrozen { .. } | Event::AgentRestarting { .. })) {
        bail!("a policy acted that the manifest does not name: {events:?}");
    }
    Ok(())
}

/// Waits before each restart, in order.
fn waits(events: &[Event]) -> Vec<u64> {
    let wait = |event: &Event| match event {
        Event::AgentRestarting { wait_ms, .. } => Some(*wait_ms),
        _ => None,
    };
    events.iter().filter_map(wait).collect()
}

fn restarted(machine: &Machine) -> Result<()> {
    let (ended, events) = watch(machine)?;
    booted::expect_code(&ended, 0)?;
    for line in ["faults: life 1", "faults: life 2", "faults: life 3", "faults: well again"] {
        booted::expect_text(&ended, line)?;
    }
    if waits(&events) != [50, 100] {
        bail!("the restarts were not two, 50 and 100 ms after the ends: {events:?}");
    }
    Ok(())
}

fn given_up(machine: &Machine) -> Result<()> {
    let (ended, events) = watch(machine)?;
    booted::expect_code(&ended, 136)?;
    if waits(&events) != [50, 100, 200] || !ended.reason.as_deref().unwrap_or_default().ends_with("(after 3 restarts)")
    {
        bail!("not given up after three restarts: {:?}, {events:?}", ended.reason);
    }
    let lives = events.iter().filter(|event| matches!(event, Event::AgentSpawned { .. })).count();
    if lives != 4 {
        bail!("{lives} lives instead of 4");
    }
    Ok(())
}
