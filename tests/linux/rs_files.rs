//! Files as Rust's library uses them: open options, metadata, copies, directories, links, errors.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

fn kind<T>(result: std::io::Result<T>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{:?} {:?}", error.kind(), error.raw_os_error()),
    }
}

fn main() -> std::io::Result<()> {
    fs::write("text", "one\ntwo\nthree\n")?;
    println!("{:?}", BufReader::new(File::open("text")?).lines().collect::<Result<Vec<_>, _>>()?);
    let mut file = OpenOptions::new().read(true).append(true).open("text")?;
    file.write_all(b"four\n")?;
    file.seek(SeekFrom::Start(4))?;
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    println!("{rest:?}");
    let mut part = [0; 3];
    file.read_exact_at(&mut part, 8)?;
    println!("{:?}", std::str::from_utf8(&part).unwrap());
    println!("past the end: {}", kind(file.read_exact_at(&mut part, 18)));
    println!("create_new: {}", kind(File::create_new("text")));
    println!("missing: {}", kind(File::open("missing")));
    println!("a directory: {}", kind(fs::read(".")));
    println!("through a file: {}", kind(fs::metadata("text/x")));

    println!("copied {}", fs::copy("text", "copy")?);
    println!("equal {}", fs::read("text")? == fs::read("copy")?);
    let large: Vec<u8> = (0..3_000_000u32).map(|number| (number ^ (number >> 7)) as u8).collect();
    fs::write("large", &large)?;
    println!("copied {}", fs::copy("large", "large2")?);
    println!("equal {}", fs::read("large2")? == large);

    fs::create_dir_all("a/b/c/d")?;
    fs::write("a/b/file", "")?;
    symlink("../text", "a/link")?;
    fs::hard_link("text", "a/hard")?;
    println!("read_link {:?}", fs::read_link("a/link")?);
    println!("links {}", fs::metadata("text")?.nlink());
    let mut entries = BTreeMap::new();
    for entry in fs::read_dir("a")? {
        let entry = entry?;
        let kind = entry.file_type()?;
        entries.insert(entry.file_name(), (kind.is_dir(), kind.is_file(), kind.is_symlink()));
    }
    println!("{entries:?}");
    println!("remove_dir of a full one: {}", kind(fs::remove_dir("a")));
    fs::rename("a/b", "moved")?;
    println!("moved {} {}", fs::exists("a/b")?, fs::exists("moved/c/d")?);
    fs::remove_dir_all("a")?;
    fs::remove_dir_all("moved")?;
    println!("left {:?}", fs::exists("a")?);

    fs::set_permissions("copy", fs::Permissions::from_mode(0o604))?;
    let metadata = fs::metadata("copy")?;
    println!("mode {:o} size {} read-only {}", metadata.mode() & 0o7777, metadata.len(), metadata.permissions().readonly());
    println!("recent {}", metadata.modified()?.elapsed().is_ok_and(|age| age < Duration::from_secs(60)));
    let past = SystemTime::UNIX_EPOCH + Duration::new(1_000_000, 123_000_000);
    File::options().write(true).open("copy")?.set_times(fs::FileTimes::new().set_modified(past).set_accessed(past))?;
    println!("set {}", fs::metadata("copy")?.modified()? == past);
    let file = File::options().write(true).open("copy")?;
    file.set_len(3)?;
    file.sync_all()?;
    file.sync_data()?;
    println!("cut {:?}", fs::read_to_string("copy")?);
    let canonical = fs::canonicalize("./copy")?;
    println!("canonical {}", canonical.is_absolute() && canonical.ends_with("copy"));
    println!("rename of nothing: {}", kind(fs::rename("nothing", "x")));
    println!("not UTF-8: {}", fs::read_to_string("large").is_err_and(|error| error.kind() == ErrorKind::InvalidData));
    let (mut reader, mut writer) = std::io::pipe()?;
    writer.write_all(b"through a pipe")?;
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text)?;
    println!("{text}");
    Ok(())
}
