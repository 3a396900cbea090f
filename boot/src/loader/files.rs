//! Reads whole files from the volume the loader came from.

use alloc::boxed::Box;

use uefi::boot;
use uefi::proto::media::file::{Directory, File, FileAttribute, FileInfo, FileMode, RegularFile};
use uefi::{CStr16, Status};

use super::failure::Failure;
use super::pages::{Pages, Placement};

/// Some firmware fails on larger single reads.
const CHUNK: usize = 1 << 20;

/// The boot volume, opened at its root.
pub struct Volume {
    root: core::cell::RefCell<Directory>,
}

impl Volume {
    pub fn open() -> Result<Volume, Failure> {
        let open = || boot::get_image_file_system(boot::image_handle())?.open_volume();
        let root = open()
            .map_err(|error| Failure::new(error.status(), "the volume that holds the loader cannot be opened"))?;
        Ok(Volume { root: root.into() })
    }

    /// The file's bytes in pages of their own; nothing when there is no such file.
    pub fn read(&self, path: &CStr16) -> Result<Option<Pages>, Failure> {
        let failed = |error: uefi::Error| Failure::about(error.status(), path, "cannot be read");
        let opened = self.root.borrow_mut().open(path, FileMode::Read, FileAttribute::empty());
        let handle = match opened {
            Err(error) if error.status() == Status::NOT_FOUND => return Ok(None),
            other => other.map_err(failed)?,
        };
        let not_a_file = Failure::about(Status::LOAD_ERROR, path, "is a directory");
        let mut file = handle.into_regular_file().ok_or(not_a_file)?;
        let info: Box<FileInfo> = file.get_boxed_info().map_err(failed)?;
        let mut pages = Pages::allocate(info.file_size(), Placement::Data)?;
        fill(&mut file, pages.bytes()).map_err(failed)?;
        Ok(Some(pages))
    }
}

fn fill(file: &mut RegularFile, mut rest: &mut [u8]) -> uefi::Result {
    while !rest.is_empty() {
        let ask = rest.len().min(CHUNK);
        let read = file.read(&mut rest[..ask])?;
        if read == 0 || read > ask {
            return Err(Status::END_OF_FILE.into());
        }
        rest = &mut rest[read..];
    }
    Ok(())
}
