//! What the user sees while something takes long: a spinner or bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Steps that run side by side each have a line.
static LINES: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// One long step. On a terminal it is a spinner with the latest detail; elsewhere one line when it ends, if it took long.
pub struct Step {
    bar: ProgressBar,
    what: String,
    started: Instant,
    idle: bool,
}

/// A step that ends sooner leaves no line behind: a second run prints little.
const WORTH_A_LINE: Duration = Duration::from_millis(1500);

impl Step {
    /// Starts a step; `what` is a phrase such as "Building the kernel".
    pub fn new(what: &str) -> Step {
        let bar = LINES.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {wide_msg:.dim}") {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Step { bar, what: what.to_owned(), started: Instant::now(), idle: false }
    }

    /// Shows what the step does right now.
    pub fn detail(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    /// The step found everything done already: it leaves no line behind, however long the look took.
    pub fn idle(&mut self) {
        self.idle = true;
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        let took = self.started.elapsed();
        if took >= WORTH_A_LINE && !self.idle && !std::thread::panicking() {
            above(|| eprintln!("{} ({:.1} s)", self.what, took.as_secs_f32()));
        }
    }
}

/// A bar over `length` things, hidden where stderr is no terminal.
pub fn bar(length: u64, what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = LINES.add(ProgressBar::new(length));
    if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {wide_msg:.dim}") {
        bar.set_style(style);
    }
    bar.set_prefix(what.to_owned());
    bar
}

/// Prints something while bars and spinners are out of the way.
pub fn above(print: impl FnOnce()) {
    LINES.suspend(print);
}
