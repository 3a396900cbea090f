//! Why the kernel could not be started, in a sentence and as a status for the firmware.

use alloc::format;
use alloc::string::String;
use core::fmt::Display;
use core::time::Duration;

use uefi::{Status, boot, println};

/// How long the sentence stays readable before the firmware goes on.
const PAUSE: Duration = Duration::from_secs(3);

/// A failure before boot services ended.
#[derive(Debug)]
pub struct Failure {
    status: Status,
    message: String,
}

impl Failure {
    pub fn new(status: Status, message: &str) -> Failure {
        Failure { status, message: message.into() }
    }

    /// "`what` `error`".
    pub fn about(status: Status, what: impl Display, error: impl Display) -> Failure {
        Failure { status, message: format!("{what} {error}") }
    }

    /// Shows the sentence and returns the status.
    pub fn report(self) -> Status {
        println!("aios-boot: {} ({})", self.message, self.status);
        super::serial::write(&format!("aios-boot: {} ({})\r\n", self.message, self.status));
        boot::stall(PAUSE);
        self.status
    }
}
