//! `/dev/provoke`, only with `aios.provoke` on the command line: what is written to it goes wrong in the kernel, so that tests
//! see what the kernel then does. Whoever chooses the command line may stop the machine anyway.

use alloc::sync::Arc;

use aios_abi::Errno;
use kernel_fs::device::{self, Device};
use kernel_fs::file::{File, FileOps, Position};
use kernel_fs::types::DeviceNumber;
use kernel_fs::vfs::OpenRequest;
use kernel_hal::boot::Boot;
use kernel_hal::cpu;
use kernel_mm::io::Source;
use kernel_sync::{Mutex, SpinLock};

#[derive(Clone, Copy)]
struct Provoke;

static SPINNING: SpinLock<()> = SpinLock::new(());
static SLEEPING: Mutex<()> = Mutex::new(());

impl Device for Provoke {
    fn open(&self, _request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno> {
        Ok(Arc::new(*self))
    }
}

impl FileOps for Provoke {
    /// One word a write: `panic` and `page` fail with nothing held, `spinlock` and `mutex` with such a lock held.
    fn write(&self, _file: &File, _offset: &mut u64, source: &mut Source) -> Result<usize, Errno> {
        let mut word = [0; 16];
        let count = source.take(&mut word)?;
        match word.get(..count).unwrap_or_default().trim_ascii() {
            b"panic" => panic!("provoked"),
            b"page" => cpu::touch_nothing(),
            b"spinlock" => {
                let _held = SPINNING.lock();
                panic!("provoked with a spinning lock held");
            }
            b"mutex" => {
                let _held = SLEEPING.lock();
                panic!("provoked with a sleeping lock held");
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn position(&self) -> Position {
        Position::Stream
    }
}

/// Registers the device, where the command line wants it.
pub fn register(boot: &Boot) {
    if boot.option("aios.provoke").is_some() {
        log::warn!("aios.provoke: any agent can make the kernel fail");
        device::register("provoke", DeviceNumber::new(10, 60), 0o200, Arc::new(Provoke));
    }
}
