//! The serial ports as devices: the first is the console of agents, the second the control channel.

use alloc::boxed::Box;
use alloc::sync::Arc;

use aios_abi::Errno;
use kernel_drivers::serial::{self, Uart};
use kernel_fs::device::{self, Device};
use kernel_fs::file::{File, FileOps, Position};
use kernel_fs::tty::{self, Tty, TtyPort};
use kernel_fs::types::DeviceNumber;
use kernel_fs::vfs::OpenRequest;
use kernel_hal::{console, cpu};
use kernel_mm::io::Source;

struct Port(Arc<Uart>);

impl TtyPort for Port {
    fn write(&self, bytes: &[u8]) {
        self.0.write(bytes);
    }
}

/// The control channel: what is written goes out between the lines of the kernel's log, a whole write at a time.
struct ControlChannel;

impl Device for ControlChannel {
    fn open(&self, _request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno> {
        let thread = kernel_process::Thread::current().ok_or(Errno::ENXIO)?;
        thread.process().domain().check(kernel_cap::Rights::DEVICE, "opening the control channel")?;
        Ok(Arc::new(ControlChannel))
    }
}

/// Bytes of one write that are sent together.
const LINE: usize = 4096;

impl FileOps for ControlChannel {
    fn write(&self, _file: &File, _offset: &mut u64, source: &mut Source) -> Result<usize, Errno> {
        let mut line = alloc::vec![0; source.remaining().min(LINE)];
        let count = source.take(&mut line)?;
        console::bytes(line.get(..count).unwrap_or(&[]));
        Ok(count)
    }

    fn position(&self) -> Position {
        Position::Stream
    }
}

/// Registers the memory devices, the terminal on the first port and the control channel on the second.
pub fn register() {
    device::register_memory_devices();
    device::register("ttyS1", DeviceNumber::new(4, 65), 0o600, Arc::new(ControlChannel));
    kernel_process::jobs::init();
    let Some(uart) = Uart::new(serial::COM1).map(Arc::new) else {
        log::warn!("no first serial port, so no console");
        return;
    };
    // A break and `n`: where is every processor?
    uart.on_command(Box::new(|byte| {
        let known = byte == b'n';
        if known {
            cpu::dump_all();
        }
        known
    }));
    let terminal = Tty::new(Arc::new(Port(uart.clone())));
    tty::register("ttyS0", DeviceNumber::new(4, 64), &terminal);
    tty::register("console", DeviceNumber::new(5, 1), &terminal);
    if kernel_sched::spawn("console", move || feed(&uart, &terminal)).is_err() {
        log::error!("no memory for the console's thread, so no input");
    }
}

/// Hands what the port receives to the terminal, for ever.
fn feed(uart: &Uart, terminal: &Tty) {
    let mut buffer = [0; 256];
    loop {
        let count = uart.input().wait_uninterruptible(|| Some(uart.pop(&mut buffer)).filter(|count| *count > 0));
        terminal.input(buffer.get(..count).unwrap_or(&[]));
    }
}
