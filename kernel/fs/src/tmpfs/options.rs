//! What `mount` can ask of a file system in memory (`tmpfs(5)`).

use aios_abi::Errno;

use super::Options;
use crate::types::PERMISSIONS;

/// A number with a unit of 1024, as Linux reads sizes: `k`, `m`, `g` or `t` in either case.
fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()?.to_ascii_lowercase() {
        b'k' => (text.get(..text.len() - 1)?, 10),
        b'm' => (text.get(..text.len() - 1)?, 20),
        b'g' => (text.get(..text.len() - 1)?, 30),
        b't' => (text.get(..text.len() - 1)?, 40),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

impl Options {
    /// Reads `size=`, `mode=` (octal), `uid=` and `gid=`, separated by commas; without them the root is open to all, as
    /// for `/tmp`. `EINVAL` for what cannot be read. Other options are let be: how many inodes there may be is up to
    /// the account, and so is where pages go.
    pub fn parse(text: &[u8]) -> Result<Options, Errno> {
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        let mut options = Options { permissions: 0o1777, ..Options::default() };
        for (name, value) in text.split(',').filter_map(|option| option.split_once('=')) {
            let number = || value.parse::<u32>().map_err(|_| Errno::EINVAL);
            match name {
                // A share of memory, or 0 for no limit: the account's limit is all there is.
                "size" if value.ends_with('%') || value == "0" => options.size = None,
                "size" => options.size = Some(size(value).ok_or(Errno::EINVAL)?),
                "mode" => {
                    let mode = u16::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)?;
                    options.permissions = mode & PERMISSIONS;
                }
                "uid" => options.owner = number()?,
                "gid" => options.group = number()?,
                _ => {}
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_mount_passes_them() {
        let options = Options::parse(b"rw,size=64K,mode=0750,uid=3,gid=4,nr_inodes=5").expect("options");
        assert_eq!((options.size, options.permissions, options.owner, options.group), (Some(65536), 0o750, 3, 4));
        let options = Options::parse(b"").expect("options");
        assert_eq!((options.size, options.permissions, options.owner), (None, 0o1777, 0));
        assert_eq!(Options::parse(b"size=50%").expect("options").size, None);
        assert_eq!(Options::parse(b"size=4096").expect("options").size, Some(4096));
        for wrong in [&b"size="[..], b"size=x", b"size=99999999999999g", b"mode=9", b"uid=-1", b"size=\xff"] {
            assert_eq!(Options::parse(wrong).err(), Some(Errno::EINVAL), "{wrong:?}");
        }
    }
}
