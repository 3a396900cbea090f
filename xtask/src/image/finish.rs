//! What Debian's triggers do after unpacking, done from outside with the image's own programs; and a last look.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use elf::ElfBytes;
use elf::abi::{DT_NEEDED, DT_NULL};
use elf::endian::AnyEndian;

use crate::exec;

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Writes `/etc/ld.so.cache`, with which the loader finds libraries without searching. The image works without it.
pub fn library_cache(root: &Path) -> Result<()> {
    let Some(ldconfig) = ["/sbin/ldconfig", "/usr/sbin/ldconfig"].iter().find(|path| Path::new(path).exists()) else {
        return Ok(());
    };
    exec::run("Writing the library cache", Command::new(ldconfig).arg("-X").arg("-r").arg(root))?;
    // Its notes for the next run: they hold inode numbers of this host.
    fs::remove_dir_all(root.join("var/cache/ldconfig")).ok();
    Ok(())
}

/// Compiles the Python sources under `directory` (a path of the image) with the image's own Python, which runs here
/// through the image's own loader. The bytecode is tied to no time stamp: the image is read-only where it is used.
pub fn bytecode(root: &Path, directory: &str) -> Result<()> {
    let libraries = root.join(LIBRARIES);
    let mut python = Command::new(libraries.join("ld-linux-x86-64.so.2"));
    python.arg("--inhibit-cache").arg("--library-path").arg(&libraries).arg(root.join("usr/bin/python3"));
    // -B: what this run itself imports must not be cached the usual way, with the host's paths in it.
    python.args(["-B", "-P", "-s", "-m", "compileall", "-f", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]);
    python.arg("-s").arg(root).args(["-p", "/"]).arg(root.join(directory.trim_start_matches('/')));
    // The image's library and not the host's; and sets of constants in the same order each time.
    python.env_clear().env("PYTHONHOME", root.join("usr")).env("PYTHONHASHSEED", "0").env("LC_ALL", "C.UTF-8");
    exec::run("Compiling the Python library", &mut python)?;
    Ok(())
}

/// Fails when a program or library of the image needs a library that the image lacks.
pub fn check_libraries(root: &Path) -> Result<()> {
    let mut scan = Scan::default();
    scan.directory(root, root)?;
    let missing: Vec<String> = scan
        .needed
        .iter()
        .filter(|(library, _)| !scan.present.contains(*library))
        .map(|(library, file)| format!("{library} (for {file})"))
        .collect();
    if !missing.is_empty() {
        bail!("the image lacks libraries: {}. Name their packages in its definition", missing.join(", "));
    }
    Ok(())
}

#[derive(Default)]
struct Scan {
    /// Names of all files that could be libraries.
    present: BTreeSet<String>,
    /// A library, and one file that needs it.
    needed: BTreeMap<String, String>,
}

impl Scan {
    fn directory(&mut self, root: &Path, directory: &Path) -> Result<()> {
        for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                self.directory(root, &path)?;
                continue;
            }
            let name = entry.file_name();
            if name.as_bytes().windows(3).any(|part| part == b".so") {
                self.present.insert(name.to_string_lossy().into_owned());
            }
            if kind.is_file() {
                let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
                for library in needed_by(&path)? {
                    self.needed.entry(library).or_insert_with(|| shown.clone());
                }
            }
        }
        Ok(())
    }
}

/// The libraries that an ELF file names; none for anything else.
fn needed_by(path: &Path) -> Result<Vec<String>> {
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if !content.starts_with(b"\x7fELF") {
        return Ok(Vec::new());
    }
    let names = || -> Result<Vec<String>, elf::ParseError> {
        let file = ElfBytes::<AnyEndian>::minimal_parse(&content)?;
        let common = file.find_common_data()?;
        let (Some(dynamic), Some(strings)) = (common.dynamic, common.dynsyms_strs) else { return Ok(Vec::new()) };
        dynamic
            .iter()
            .take_while(|entry| entry.d_tag != DT_NULL)
            .filter(|entry| entry.d_tag == DT_NEEDED)
            .map(|entry| strings.get(entry.d_val() as usize).map(str::to_owned))
            .collect()
    };
    names().with_context(|| format!("{} is not a sound ELF file", path.display()))
}
