//! Signals to this process while a guest runs: they become messages, so that the run ends in an orderly way.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
pub use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;

use crate::guest::{Mailbox, Outside};
use crate::terminal;

/// How long an orderly end may take: output may be waiting for somebody who does not read.
const GRACE: Duration = Duration::from_secs(5);

/// Sends signals to `mailbox` from now on.
pub fn watch(mailbox: Mailbox) -> Result<()> {
    let mut signals =
        Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH]).context("cannot listen for signals")?;
    thread::spawn(move || {
        let mut interrupted = false;
        for signal in signals.forever() {
            if !mailbox.send(Outside::Signal(signal)) {
                break;
            }
            // The first interrupt is the agent's.
            let ends = signal != SIGWINCH && (signal != SIGINT || interrupted);
            interrupted |= signal == SIGINT;
            if ends {
                thread::spawn(move || {
                    thread::sleep(GRACE);
                    terminal::restore();
                    std::process::exit(128 + signal);
                });
            }
        }
    });
    Ok(())
}
