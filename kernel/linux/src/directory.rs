//! Listing directories: `getdents64(2)` and the older `getdents(2)`.

use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::structs::Dirent64;
use aios_abi::linux::table::nr;
use kernel_fs::FileType;
use kernel_fs::types::DirEntry;
use kernel_hal::usermem;

use crate::call::CallResult;
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[(nr::GETDENTS64, getdents64), (nr::GETDENTS, getdents)];

/// What one call lists at most: more costs memory, and saves a program little.
const MOST: usize = 64 * 1024;

/// Appends one entry to a listing.
type Append = fn(&mut Vec<u8>, &DirEntry<'_>);

/// Lists into the buffer in arguments 1 and 2, with `record_len` telling the bytes of an entry by its name's length.
fn list(call: &Call<'_>, record_len: fn(usize) -> usize, append: Append) -> CallResult {
    let file = call.fd(0)?;
    if file.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    let room = (call.uint(2) as usize).min(MOST);
    let mut listing = Vec::new();
    // Set when an entry was left over: a listing without entries is then not at its end.
    let mut outcome = Ok(());
    file.read_dir(&mut |entry: DirEntry<'_>| {
        let len = record_len(entry.name.len());
        if listing.len() + len > room {
            outcome = Err(Errno::EINVAL);
            return false;
        }
        if listing.try_reserve(len).is_err() {
            outcome = Err(Errno::ENOMEM);
            return false;
        }
        append(&mut listing, &entry);
        true
    })?;
    if listing.is_empty() {
        return outcome.map(|()| 0);
    }
    usermem::copy_out(call.ptr(1), &listing).map_err(|_| Errno::EFAULT)?;
    Ok(listing.len())
}

fn append64(listing: &mut Vec<u8>, entry: &DirEntry<'_>) {
    let start = listing.len();
    listing.resize(start + Dirent64::record_len(entry.name.len()), 0);
    let record = listing.get_mut(start..).unwrap_or_default();
    // Always fits: the record was sized for the name.
    let _ = Dirent64::write(record, entry.inode, entry.next as i64, entry.kind.dirent(), entry.name);
}

fn getdents64(call: &mut Call<'_>) -> CallResult {
    list(call, Dirent64::record_len, append64)
}

/// `struct linux_dirent`: two words, the record's length, the name, its NUL, and in the last byte the kind.
fn old_record_len(name: usize) -> usize {
    (8 + 8 + 2 + name + 2).next_multiple_of(8)
}

fn append_old(listing: &mut Vec<u8>, entry: &DirEntry<'_>) {
    let start = listing.len();
    let len = old_record_len(entry.name.len());
    listing.extend_from_slice(&entry.inode.to_ne_bytes());
    listing.extend_from_slice(&entry.next.to_ne_bytes());
    listing.extend_from_slice(&(len as u16).to_ne_bytes());
    listing.extend_from_slice(entry.name);
    listing.resize(start + len - 1, 0);
    listing.push(entry.kind.dirent());
}

fn getdents(call: &mut Call<'_>) -> CallResult {
    list(call, old_record_len, append_old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_the_lengths_they_say() {
        for name in [&b"a"[..], b"12345", b"123456", b"1234567", &[b'x'; 255]] {
            let entry = DirEntry { name, inode: 0x0102_0304, kind: FileType::Fifo, next: 9 };
            let (mut new, mut old) = (alloc::vec![0xff; 8], Vec::new());
            append64(&mut new, &entry);
            append_old(&mut old, &entry);
            assert_eq!(new.len(), 8 + Dirent64::record_len(name.len()));
            assert_eq!(usize::from(u16::from_ne_bytes([new[8 + 16], new[8 + 17]])), new.len() - 8);
            assert_eq!(old.len() % 8, 0);
            assert_eq!(usize::from(u16::from_ne_bytes([old[16], old[17]])), old.len());
            assert_eq!(&old[18..18 + name.len()], name);
            assert_eq!((old[18 + name.len()], old[old.len() - 1]), (0, FileType::Fifo.dirent()));
        }
    }
}
