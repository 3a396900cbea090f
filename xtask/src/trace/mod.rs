//! The scheduler's trace of a run: read, made into a timeline, and written for people.
//!
//! What the kernel sent may end anywhere and hold anything: whatever it is, it becomes a timeline in which no processor runs
//! two threads at once and time does not go back, and what is missing is told.

mod chrome;
mod picture;
pub mod rules;
mod timeline;

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};

use crate::usage;
pub use timeline::Timeline;

/// Fails where no file can be made, before a run is spent on it.
pub fn check(path: &Path) -> Result<()> {
    let made = File::options().create(true).append(true).open(path);
    made.map(drop).map_err(|error| usage::wrong(format!("cannot write {}: {error}", path.display())))
}

/// A trace that is being received, and where it is to go.
pub struct Recorder {
    receiver: JoinHandle<Vec<u8>>,
    path: PathBuf,
}

impl Recorder {
    /// Starts to receive; the file is made when all is there.
    pub fn start(mut stream: UnixStream, path: &Path) -> Recorder {
        let receive = move || {
            let mut bytes = Vec::new();
            // One that breaks off is read as far as it goes.
            let _ = stream.read_to_end(&mut bytes);
            bytes
        };
        Recorder { receiver: thread::spawn(receive), path: path.to_owned() }
    }

    /// Writes the file of a machine that has ended, and says what is in it.
    pub fn finish(self) -> Result<String> {
        let bytes = self.receiver.join().map_err(|_| anyhow!("the trace could not be received"))?;
        let timeline = Timeline::read(&bytes).context("the kernel sent no trace")?;
        write(&timeline, &self.path)?;
        let mut lacks = Vec::new();
        if timeline.lost > 0 {
            lacks.push(format!("{} lost because they came too fast", timeline.lost));
        }
        if timeline.unreadable > 0 {
            lacks.push(format!("{} unreadable", timeline.unreadable));
        }
        if !timeline.is_whole {
            lacks.push("the end is missing".to_owned());
        }
        let lacks = if lacks.is_empty() { "none lost".to_owned() } else { lacks.join(", ") };
        Ok(format!("{}: {} events of the scheduler, {lacks}", self.path.display(), timeline.records))
    }
}

/// Writes a timeline as the file's name says: `.svg` is a picture, everything else trace events in JSON.
fn write(timeline: &Timeline, path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut file = BufWriter::new(file);
    let written = if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg")) {
        file.write_all(picture::draw(timeline).as_bytes())
    } else {
        chrome::write(timeline, &mut file)
    };
    written.and_then(|()| file.flush()).with_context(|| format!("cannot write {}", path.display()))
}
