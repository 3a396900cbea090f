//! The virtual machine that AIOS runs in, as one typed description for `run`, `test` and `bench`.
//!
//! Two serial ports: COM1 is the agent's console, COM2 the kernel's log and the control channel. Standard streams that are
//! not the console's are ports of a virtio serial device. All are Unix sockets that this process listens on; a socket holds
//! what was written last even after QEMU has gone. Host directories are 9p mounts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

use crate::build::{self, Artefacts};
use crate::exec;
use crate::firmware::{self, Medium, Ovmf};
use crate::packages;

/// How the kernel is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Firmware {
    /// QEMU enters the kernel directly: the quick way
    #[default]
    Pvh,
    /// UEFI firmware starts the loader, which starts the kernel
    Uefi,
    /// BIOS firmware starts GRUB from a CD, which enters the kernel through Multiboot2
    Grub,
}

/// Names of the sockets behind the two serial ports.
pub const COM1: &str = "com1";
pub const COM2: &str = "com2";
/// Name of the socket behind which QEMU takes commands (QMP).
pub const MONITOR: &str = "monitor";

/// A byte stream between this process and the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// The agent's standard input, output and error.
    Stdin,
    Stdout,
    Stderr,
    /// Messages to the supervisor.
    Messages,
    /// What the kernel's scheduler does.
    Trace,
}

impl Stream {
    /// Its port of the device; port 0 is for a console.
    pub fn number(self) -> u32 {
        match self {
            Stream::Stdin => 1,
            Stream::Stdout => 2,
            Stream::Stderr => 3,
            Stream::Messages => 4,
            Stream::Trace => 5,
        }
    }

    /// The name of its socket.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdin => "stdin",
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
            Stream::Messages => "messages",
            Stream::Trace => "trace",
        }
    }
}

/// CPUs of machines that are not told how many.
static DEFAULT_CPUS: AtomicU32 = AtomicU32::new(1);

/// Sets how many CPUs a machine has that is not told how many.
pub fn set_default_cpus(cpus: u32) {
    DEFAULT_CPUS.store(cpus, Ordering::Relaxed);
}

/// A machine that can be started any number of times.
#[derive(Clone)]
pub struct Machine {
    kernel: PathBuf,
    initramfs: PathBuf,
    firmware: Firmware,
    memory: String,
    cpus: u32,
    words: Vec<String>,
    shares: Vec<Share>,
    streams: Vec<Stream>,
    debugger: Option<u16>,
    counting: bool,
    resets: bool,
}

#[derive(Clone)]
struct Share {
    tag: &'static str,
    path: PathBuf,
    writable: bool,
}

impl Machine {
    /// AIOS as built: 512 MiB, one CPU (or what [`set_default_cpus`] says), entered through PVH, an empty command line, no shared directories.
    pub fn new(artefacts: &Artefacts) -> Machine {
        Machine {
            kernel: artefacts.kernel.clone(),
            initramfs: artefacts.initramfs.clone(),
            firmware: Firmware::Pvh,
            memory: "512M".to_owned(),
            cpus: DEFAULT_CPUS.load(Ordering::Relaxed),
            words: Vec::new(),
            shares: Vec::new(),
            streams: Vec::new(),
            debugger: None,
            counting: false,
            resets: false,
        }
    }

    /// Another system in the same machine: its kernel, entered directly, and its initramfs.
    pub fn foreign(kernel: &Path, initramfs: &Path) -> Machine {
        Machine::new(&Artefacts { kernel: kernel.to_owned(), initramfs: initramfs.to_owned() })
    }

    /// Guest time is the number of instructions executed, so that repeated runs are identical. One CPU only.
    pub fn counting(mut self, counting: bool) -> Machine {
        self.counting = counting;
        if counting {
            self.cpus = 1;
        }
        self
    }

    /// The way in.
    pub fn firmware(mut self, firmware: Firmware) -> Machine {
        self.firmware = firmware;
        self
    }

    /// Size of the memory as QEMU writes it: a number with the suffix `M` or `G`.
    pub fn memory(mut self, size: &str) -> Machine {
        self.memory = size.to_owned();
        self
    }

    /// Number of CPUs.
    pub fn cpus(mut self, cpus: u32) -> Machine {
        self.cpus = cpus;
        self
    }

    /// Adds a word to the kernel's command line.
    pub fn word(mut self, word: impl Into<String>) -> Machine {
        self.words.push(word.into());
        self
    }

    /// Offers a host directory to the guest under a 9p mount tag.
    pub fn share(mut self, tag: &'static str, path: &Path, writable: bool) -> Machine {
        self.shares.push(Share { tag, path: path.to_owned(), writable });
        self
    }

    /// Adds a stream.
    pub fn stream(mut self, stream: Stream) -> Machine {
        self.streams.push(stream);
        self
    }

    /// The streams that it has.
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// Starts halted, and waits for a debugger on that port of this machine.
    pub fn debugger(mut self, port: Option<u16>) -> Machine {
        self.debugger = port;
        self
    }

    /// A reset starts the machine anew, with its memory as it was; else it ends the machine.
    pub fn goes_on_after_reset(mut self) -> Machine {
        self.resets = true;
        self
    }

    /// Whether firmware writes to the console before the kernel does.
    pub fn has_chatty_firmware(&self) -> bool {
        self.firmware != Firmware::Pvh
    }

    /// The command line so far.
    fn command_line(&self) -> String {
        self.words.join(" ")
    }

    /// The QEMU command. It connects to the sockets [`COM1`], [`COM2`] and those of its streams in `dir`, which must be
    /// listened on by then, and keeps what else it needs for one run there.
    ///
    /// # Errors
    /// When QEMU or the firmware is missing and cannot be installed, or a file cannot be prepared.
    pub fn command(&self, dir: &Path) -> Result<Command> {
        packages::ensure(packages::EMULATOR)?;
        let mut qemu = emulator();
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none"]);
        if !self.resets {
            qemu.arg("-no-reboot");
        }
        let mut monitor = option("unix:", &dir.join(MONITOR));
        monitor.push_str(",server=on,wait=off");
        qemu.arg("-qmp").arg(monitor);
        qemu.args(["-machine", "q35", "-m", &self.memory, "-smp", &self.cpus.to_string()]);
        self.processor(&mut qemu);
        for id in [COM1, COM2] {
            qemu.arg("-chardev").arg(option(&format!("socket,id={id},server=off,path="), &dir.join(id)));
            qemu.arg("-serial").arg(format!("chardev:{id}"));
        }
        qemu.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
        for share in &self.shares {
            let tag = share.tag;
            let access = if share.writable { "" } else { ",readonly=on" };
            let start = format!("local,id={tag},security_model=none,multidevs=remap{access},path=");
            qemu.arg("-fsdev").arg(option(&start, &share.path));
            qemu.arg("-device").arg(format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"));
        }
        if let Some(last) = self.streams.iter().map(|stream| stream.number()).max() {
            qemu.arg("-device").arg(format!("virtio-serial-pci,id=streams,max_ports={}", last + 1));
        }
        for stream in &self.streams {
            let (name, number) = (stream.name(), stream.number());
            qemu.arg("-chardev").arg(option(&format!("socket,id={name},server=off,path="), &dir.join(name)));
            qemu.arg("-device")
                .arg(format!("virtserialport,bus=streams.0,nr={number},chardev={name},name=aios.{name}"));
        }
        if let Some(port) = self.debugger {
            qemu.args(["-S", "-gdb", &format!("tcp:127.0.0.1:{port}")]);
        }
        match self.firmware {
            Firmware::Pvh => self.direct(&mut qemu),
            Firmware::Uefi => self.uefi(&mut qemu, dir)?,
            Firmware::Grub => self.grub(&mut qemu, dir)?,
        }
        Ok(qemu)
    }

    fn processor(&self, qemu: &mut Command) {
        if self.counting {
            // Guest time is the number of instructions: repeated runs are identical to the byte.
            qemu.args(["-accel", "tcg", "-icount", "shift=0,sleep=off", "-seed", "1"]);
            qemu.args(["-rtc", "base=2026-01-01,clock=vm", "-cpu", "max,-erms,-fsrm"]);
        } else {
            qemu.args(["-accel", if has_virtualisation() { "kvm" } else { "tcg" }, "-cpu", "max"]);
        }
    }

    fn direct(&self, qemu: &mut Command) {
        qemu.arg("-kernel").arg(&self.kernel).arg("-append").arg(self.command_line());
        qemu.arg("-initrd").arg(&self.initramfs);
    }

    fn uefi(&self, qemu: &mut Command, dir: &Path) -> Result<()> {
        let firmware = Ovmf::find()?;
        let loader = build::loader()?;
        let disk = firmware::esp_image(&self.kernel, &loader, Some(&self.initramfs), &self.command_line(), dir)?;
        qemu.args(firmware.arguments()).args(Medium::Disk(disk).arguments());
        // The firmware offers a framebuffer only where there is a display.
        qemu.args(["-device", "VGA"]);
        Ok(())
    }

    fn grub(&self, qemu: &mut Command, dir: &Path) -> Result<()> {
        let cd = firmware::grub_iso(&self.kernel, Some(&self.initramfs), &self.command_line(), dir)?;
        qemu.args(Medium::Cd(cd).arguments());
        qemu.args(["-device", "VGA"]);
        Ok(())
    }
}

/// QEMU, made to end when the thread that starts it does, however that ends.
fn emulator() -> Command {
    const NAME: &str = "qemu-system-x86_64";
    if !exec::exists("setpriv") {
        return Command::new(NAME);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", NAME]);
    command
}

/// Whether the processor can run a guest itself (Intel VT-x or AMD-V) and lets us.
fn has_virtualisation() -> bool {
    let capable = fs::read_to_string("/proc/cpuinfo")
        .is_ok_and(|info| info.split_ascii_whitespace().any(|flag| flag == "svm" || flag == "vmx"));
    capable && fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok()
}

/// A QEMU option that ends in a path; a comma in it must be doubled.
fn option(start: &str, path: &Path) -> String {
    format!("{start}{}", path.display().to_string().replace(',', ",,"))
}

/// Checks a memory size: a whole number of MiB (`M`) or GiB (`G`); a bare number counts MiB.
pub fn parse_memory(text: &str) -> Result<String> {
    let digits = text.trim_end_matches(|end: char| end.is_ascii_alphabetic());
    let suffix = match text.get(digits.len()..).unwrap_or_default().to_ascii_uppercase().as_str() {
        "" | "M" | "MB" | "MIB" => "M",
        "G" | "GB" | "GIB" => "G",
        other => bail!("unknown unit `{other}`: write for example 512M or 2G"),
    };
    let number: u32 = digits.parse().with_context(|| format!("`{text}` is no size: write for example 512M or 2G"))?;
    if number == 0 {
        bail!("a machine needs memory: write for example 512M or 2G");
    }
    Ok(format!("{number}{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::{option, parse_memory};
    use std::path::Path;

    #[test]
    fn memory_sizes() {
        assert_eq!(parse_memory("512M").unwrap(), "512M");
        assert_eq!(parse_memory("2GiB").unwrap(), "2G");
        assert_eq!(parse_memory("128").unwrap(), "128M");
        assert!(parse_memory("lots").is_err() && parse_memory("0").is_err() && parse_memory("1T").is_err());
    }

    #[test]
    fn commas_in_paths_are_doubled() {
        assert_eq!(option("path=", Path::new("/a,b")), "path=/a,,b");
    }
}
