//! The first process of AIOS.
//!
//! It is the `/init` of the system agent: mounts what the machine offers, spawns the agent that the kernel command line
//! asks for, waits for its end, reports, and powers the machine off. Whatever goes wrong ends in an error line for the
//! host and a power-off: nobody is there to restart a first process, and a machine that hangs tells nobody why.

mod cmdline;
mod control;
mod error;
mod frozen;
mod life;
mod mounts;
mod native;
mod report;
mod restart;
mod spawn;
mod streams;

use std::collections::BTreeMap;
use std::fs;

use aios_manifest::{Cpu, FaultPolicy, Manifest};
use cmdline::{Cmdline, Mode};
use control::Control;
use error::{Context, Error};
use streams::Streams;

fn main() {
    // Told to the host alone: the console is the agent's, and its output may go into a pipe.
    if let Err(error) = run() {
        Control::open().error(&error.to_string());
    }
    let error = power_off();
    // The kernel takes it from here: the end of the first process stops the machine. The console is the agent's.
    Control::open().log(&format!("aios: cannot power off: {error}"));
    std::process::exit(1);
}

fn run() -> Result<(), Error> {
    mounts::basic()?;
    let text = fs::read_to_string("/proc/cmdline").context("cannot read /proc/cmdline")?;
    let cmdline = Cmdline::parse(&text)?;
    mounts::shared("image", mounts::IMAGE, true)?;
    let manifest = match cmdline.mode {
        Mode::Run => {
            mounts::shared("agent", mounts::AGENT, true)?;
            let text = fs::read_to_string(mounts::MANIFEST).context("cannot read the agent's agent.toml")?;
            Manifest::parse(&text).context("agent.toml")?
        }
        Mode::Shell => shell(!cmdline.stdin),
    };
    if cmdline.share {
        mounts::shared("share", mounts::SHARE, false)?;
    }
    let mut streams = Streams::open(&cmdline)?;
    let lives = life::Lives::of(&manifest);
    if cmdline.control {
        streams::obey(&streams.console, lives.clone())?;
    }
    let last = life::live(&manifest, &cmdline, &mut streams, &lives)?;
    streams.flush();
    reap();
    Control::open().exited(&manifest.name, last.id, &last.end);
    Ok(())
}

/// The agent of a machine without one: a shell, with prompts where somebody types.
fn shell(interactive: bool) -> Manifest {
    let command = if interactive { vec!["bash".into(), "-i".into()] } else { vec!["bash".into()] };
    Manifest {
        name: "shell".into(),
        image: String::new(),
        command,
        cwd: "/root".into(),
        env: BTreeMap::new(),
        memory: None,
        cpu: Cpu::default(),
        fault: FaultPolicy::Kill,
        share: None,
    }
}

/// Collects the processes that were left to us. An agent's own go to the agent's first process, so there are rarely any.
fn reap() {
    while let Ok(Some(_)) = rustix::process::waitpid(None, rustix::process::WaitOptions::NOHANG) {}
}

/// Writes files back and switches the machine off; comes back only with an error.
fn power_off() -> std::io::Error {
    rustix::fs::sync();
    match rustix::system::reboot(rustix::system::RebootCommand::PowerOff) {
        Err(errno) => errno.into(),
        Ok(()) => std::io::Error::other("the machine is still on"),
    }
}
