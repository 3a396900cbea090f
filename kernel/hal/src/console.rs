//! The kernel's own voice: lines to the log port, written and waited for on the spot.

use core::fmt;

use crate::lock::IrqLock;
use crate::machine;

static LOCK: IrqLock<()> = IrqLock::new(());

struct LogPort;

impl fmt::Write for LogPort {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        machine::log_bytes(text.as_bytes());
        machine::keep(text.as_bytes());
        Ok(())
    }
}

/// Writes one line to the log, with the time in front.
pub fn line(text: fmt::Arguments<'_>) {
    let _one_at_a_time = LOCK.lock();
    write_line(text);
}

/// The same for a machine that stops: waits for nobody.
#[cfg(target_os = "none")]
pub(crate) fn last_words(text: fmt::Arguments<'_>) {
    let _maybe = LOCK.try_lock();
    write_line(text);
}

fn write_line(text: fmt::Arguments<'_>) {
    use fmt::Write;
    let now = crate::time::now().0;
    // Writing to the port cannot fail.
    let _ = writeln!(LogPort, "[{:5}.{:06}] {text}", now / 1_000_000_000, now / 1000 % 1_000_000);
}

/// Writes bytes to the log as they are. They are not kept for the next kernel.
pub fn bytes(text: &[u8]) {
    let _one_at_a_time = LOCK.lock();
    machine::log_bytes(text);
}

/// Sends the `log` crate's records to the log.
pub fn install_logger(level: log::LevelFilter) {
    struct Logger;
    impl log::Log for Logger {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            line(format_args!("{}: {}", record.target(), record.args()));
        }
        fn flush(&self) {}
    }
    static LOGGER: Logger = Logger;
    // A second call finds one installed, which is the same one.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(level);
}
