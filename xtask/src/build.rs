//! `cargo xtask build`: every artefact that a machine boots from.
//!
//! Each compilation that needs its own compiler flags has its own cargo target directory, so that none invalidates another.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::cpio::Archive;
use crate::exec;
use crate::paths;
use crate::symbols;
use crate::toolchain::{self, KERNEL_TARGET, LOADER_TARGET, Toolchain};

/// How to compile.
#[derive(clap::Args)]
pub struct Arguments {
    /// Optimise (the default)
    #[arg(long, conflicts_with = "debug")]
    release: bool,
    /// Compile with debug assertions, overflow checks and the lock checker
    #[arg(long)]
    debug: bool,
}

/// How to compile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Release,
    Debug,
}

/// Whether suites boot the kernel with its own checks.
static CHECKED: AtomicBool = AtomicBool::new(false);

/// Has [`Profile::of_tests`] name the kernel with its own checks.
pub fn check_in_tests(checked: bool) {
    CHECKED.store(checked, Ordering::Relaxed);
}

impl Profile {
    /// How the kernel is compiled that suites boot.
    pub fn of_tests() -> Profile {
        if CHECKED.load(Ordering::Relaxed) { Profile::Debug } else { Profile::Release }
    }
}

/// What a machine boots from.
pub struct Artefacts {
    pub kernel: PathBuf,
    pub initramfs: PathBuf,
}

/// Flags of kernel code: linked in the top 2 GiB, no relocation, frame pointers for backtraces.
const KERNEL_FLAGS: &[&str] =
    &["-Crelocation-model=static", "-Ccode-model=kernel", "-Cforce-frame-pointers=yes", "-Clink-arg=--build-id=none"];

/// Directories that the first process finds.
const DIRECTORIES: &[&str] = &["dev", "proc", "mnt", "tmp", "sys", "image", "agent", "share", "root", "run"];

/// Runs the command.
pub fn command(arguments: &Arguments) -> Result<()> {
    let profile = if arguments.debug { Profile::Debug } else { Profile::Release };
    println!("using {}", toolchain::find()?.describe());
    let artefacts = build(profile)?;
    for path in [artefacts.kernel, artefacts.initramfs, loader()?] {
        let size = path.metadata().with_context(|| format!("cannot read {}", path.display()))?.len();
        println!("{size:>10} bytes  {}", path.display());
    }
    Ok(())
}

/// Builds the kernel and the initramfs. The loader is built where it is needed, by [`loader`].
pub fn build(profile: Profile) -> Result<Artefacts> {
    let toolchain = toolchain::find()?;
    let vdso = vdso(&toolchain)?;
    let (kernel, supervisor) = thread::scope(|scope| {
        let supervisor = scope.spawn(supervisor);
        let kernel = kernel(&toolchain, profile, &vdso);
        (kernel, supervisor.join())
    });
    let Ok(supervisor) = supervisor else { bail!("the build of the supervisor broke off") };
    let kernel = kernel?;
    let initramfs = initramfs(&kernel, &supervisor?, &profile.artefact("initramfs", "cpio"))?;
    Ok(Artefacts { kernel, initramfs })
}

impl Profile {
    fn select(self, cargo: &mut Command) -> &'static str {
        match self {
            Profile::Debug => {
                cargo.args(["--profile", "checked"]);
                "checked"
            }
            Profile::Release => {
                cargo.arg("--release");
                "release"
            }
        }
    }

    /// The name of an artefact, which is kept apart for each way to compile.
    fn artefact(self, stem: &str, extension: &str) -> PathBuf {
        match self {
            Profile::Release => paths::artefact(&format!("{stem}.{extension}")),
            Profile::Debug => paths::artefact(&format!("{stem}-debug.{extension}")),
        }
    }
}

/// A cargo target directory for one set of flags.
fn target_dir(name: &str) -> PathBuf {
    paths::aios().join("build").join(name)
}

/// The code that the kernel maps into every process, so that clocks are read without a system call.
pub fn vdso(toolchain: &Toolchain) -> Result<PathBuf> {
    // Beside the kernel, with its flags, so that `core` is compiled once. What differs is said behind them; it reaches `core`
    // too, because link-time optimisation compiles the whole library here. The linker script refuses what would not fit.
    let dir = target_dir("kernel");
    let mut cargo = kernel_cargo(toolchain, "rustc");
    cargo.args(["--package", "aios-vdso", "--release", "--"]);
    cargo.args(["-Crelocation-model=pic", "-Ccode-model=small", "-Cforce-unwind-tables=yes"]);
    exec::build("Building the vDSO", &mut cargo)?;
    let source = paths::root().join("kernel/hal/vdso");
    let linked = dir.join("vdso.so");
    let archive = dir.join(KERNEL_TARGET).join("release/libaios_vdso.a");
    let (script, map) = (source.join("vdso.ld"), source.join("vdso.map"));
    let vdso = paths::artefact("vdso.so");
    if paths::is_newer(&linked, &[&archive, &script, &map]) {
        paths::copy_if_changed(&linked, &vdso)?;
        return Ok(vdso);
    }
    let mut linker = toolchain.linker();
    linker.args(["-shared", "-soname=linux-vdso.so.1", "--hash-style=both", "--eh-frame-hdr", "--build-id=none"]);
    linker.args(["-z", "defs", "-z", "noexecstack", "--gc-sections", "--strip-all", "-T"]).arg(&script);
    linker.arg("--version-script").arg(&map).arg("-o").arg(&linked);
    linker.arg("--whole-archive").arg(&archive);
    exec::run("Linking the vDSO", &mut linker)?;
    paths::copy_if_changed(&linked, &vdso)?;
    Ok(vdso)
}

/// Cargo with the kernel's flags and target directory.
fn kernel_cargo(toolchain: &Toolchain, verb: &str) -> Command {
    let script = format!("-Clink-arg=-T{}", paths::root().join("kernel/kernel.ld").display());
    let mut flags = KERNEL_FLAGS.to_vec();
    flags.push(&script);
    toolchain.cargo(verb, KERNEL_TARGET, &target_dir("kernel"), &flags)
}

fn kernel(toolchain: &Toolchain, profile: Profile, vdso: &Path) -> Result<PathBuf> {
    let mut cargo = kernel_cargo(toolchain, "build");
    cargo.args(["--package", "kernel"]);
    cargo.env("AIOS_VDSO", vdso);
    let folder = profile.select(&mut cargo);
    exec::build("Building the kernel", &mut cargo)?;
    let elf = profile.artefact("kernel", "elf");
    paths::copy_if_changed(&target_dir("kernel").join(KERNEL_TARGET).join(folder).join("kernel"), &elf)?;
    Ok(elf)
}

/// Builds the UEFI loader.
pub fn loader() -> Result<PathBuf> {
    let toolchain = toolchain::find()?;
    let dir = target_dir("loader");
    let mut cargo = toolchain.cargo("build", LOADER_TARGET, &dir, &[]);
    cargo.args(["--package", "aios-boot", "--release"]);
    exec::build("Building the UEFI loader", &mut cargo)?;
    let efi = paths::artefact("aios-boot.efi");
    paths::copy_if_changed(&dir.join(LOADER_TARGET).join("release/aios-boot.efi"), &efi)?;
    Ok(efi)
}

/// The first process, static so that it needs no file but itself.
fn supervisor() -> Result<PathBuf> {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    let dir = target_dir("user");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::root());
    cargo.env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static\u{1f}-Cstrip=symbols");
    cargo.args(["build", "--color=never", "--release", "--package", "aios-supervisor", "--target", TARGET]);
    cargo.arg("--target-dir").arg(&dir);
    exec::build("Building the supervisor", &mut cargo)?;
    Ok(dir.join(TARGET).join("release/aios-supervisor"))
}

/// The first process in an archive with the directories it expects and the names of the kernel's functions.
fn initramfs(kernel: &Path, supervisor: &Path, path: &Path) -> Result<PathBuf> {
    let init = std::fs::read(supervisor).with_context(|| format!("cannot read {}", supervisor.display()))?;
    let kernel = std::fs::read(kernel).with_context(|| format!("cannot read {}", kernel.display()))?;
    let mut archive = Archive::default();
    archive.file("kernel.sym", 0o400, &symbols::table(&kernel)?);
    for directory in DIRECTORIES {
        archive.directory(directory, 0o755);
    }
    archive.file("init", 0o755, &init);
    paths::write_if_changed(path, &archive.finish())?;
    Ok(path.to_owned())
}
