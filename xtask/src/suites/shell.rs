//! The interactive shell, driven through its console as a person does.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{Report, booted};
use crate::guest::{End, Guest};

/// How long the shell may take to answer, under emulation.
const ANSWER: Duration = Duration::from_secs(60);
const CTRL_C: &[u8] = b"\x03";
const CTRL_D: &[u8] = b"\x04";

/// One session; each step is a case, since a later one makes no sense after a failed one.
pub fn run(report: &mut Report) -> Result<()> {
    report.expect(STEPS.len());
    let mut guest = Guest::start(&booted::shell("python")?)?;
    for (name, step) in STEPS {
        report.begin(name);
        let result = step(&mut guest);
        let failed = result.is_err();
        report.record(name, result.map_err(|error| with_log(error, &guest)));
        if failed {
            break;
        }
    }
    Ok(())
}

type Step = fn(&mut Guest) -> Result<()>;

const STEPS: &[(&str, Step)] = &[
    ("prompt", prompt),
    ("pipe", pipe),
    ("python", python),
    ("erase", erase),
    ("ctrl-c", interrupt),
    ("ctrl-d", end_of_file),
    ("maps", maps),
    ("terminal's name", name),
    ("paste", paste),
    ("exit", leave),
];

fn with_log(error: anyhow::Error, guest: &Guest) -> anyhow::Error {
    anyhow::anyhow!("{error:#}\nthe log ends with:\n{}", guest.last_lines(15))
}

fn prompt(guest: &mut Guest) -> Result<()> {
    guest.wait_for_agent(ANSWER)?;
    guest.expect("# ", ANSWER)
}

/// Types a line and waits for what the program prints, then for the next prompt. The typed line itself must not hold `answer`.
fn ask(guest: &mut Guest, line: &str, answer: &str) -> Result<()> {
    guest.send(line.as_bytes());
    guest.send(b"\r");
    guest.expect(answer, ANSWER)?;
    guest.expect("# ", ANSWER)
}

fn pipe(guest: &mut Guest) -> Result<()> {
    ask(guest, "ls -la / | head", "total ")?;
    ask(guest, "ls -la / | wc -l | sed 's/^/lines=/' | tr = :", "lines:")
}

fn python(guest: &mut Guest) -> Result<()> {
    ask(guest, "python3 -c 'print(sum(range(10**6)))'", "499999500000")
}

/// Backspace rubs out what was typed.
fn erase(guest: &mut Guest) -> Result<()> {
    ask(guest, "echo wrong\x7f\x7f\x7f\x7f\x7fri''ght", "\nright")
}

/// Ctrl-C ends a running program, not the shell.
fn interrupt(guest: &mut Guest) -> Result<()> {
    // Told by the program itself: by then it is the foreground, and the shell is not.
    guest.send(b"sh -c \"echo st''arted; exec sleep 1000\"\r");
    guest.expect("started", ANSWER)?;
    guest.send(CTRL_C);
    guest.expect("# ", ANSWER)?;
    ask(guest, "echo status=$?", "status=130")
}

/// Ctrl-D ends the input of a program.
fn end_of_file(guest: &mut Guest) -> Result<()> {
    guest.send(b"cat; echo cat en''ded\r");
    guest.expect("\n", ANSWER)?;
    guest.send(b"one line\r");
    guest.expect("one line\r\none line", ANSWER)?;
    guest.send(CTRL_D);
    guest.expect("cat ended", ANSWER)?;
    guest.expect("# ", ANSWER)
}

fn maps(guest: &mut Guest) -> Result<()> {
    ask(guest, "cat /proc/self/maps", "[stack]")
}

/// The terminal has a name, and what has that name is the terminal.
fn name(guest: &mut Guest) -> Result<()> {
    ask(guest, "tty", "/dev/console\r\n")?;
    ask(guest, "echo 'through its na''me' > $(tty)", "through its name")?;
    ask(guest, "test $(stat -Lc %i:%d:%r /proc/self/fd/0) = $(stat -c %i:%d:%r $(tty)) && echo sa''me", "same")
}

/// What comes faster than it is read waits; nothing is lost.
fn paste(guest: &mut Guest) -> Result<()> {
    guest.send(b"stty -echo; echo re''ady; sleep 1; wc; stty echo\r");
    guest.expect("ready\r\n", ANSWER)?;
    let text: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    guest.send(text.as_bytes());
    guest.send(CTRL_D);
    guest.expect(&format!("20000   20000  {}", text.len()), ANSWER)?;
    guest.expect("# ", ANSWER)
}

/// `exit` ends the shell's agent with its code, and the machine powers off.
fn leave(guest: &mut Guest) -> Result<()> {
    guest.send(b"exit 3\r");
    match guest.finish(ANSWER)? {
        End::Agent { code: 3, .. } if guest.is_over() => Ok(()),
        end => bail!("the machine ended so: {end:?}"),
    }
}
