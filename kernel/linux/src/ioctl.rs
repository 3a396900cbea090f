//! `ioctl(2)`: the requests every file answers; the rest is the file's own.

use aios_abi::Errno;
use aios_abi::linux::consts::{ioctl as request, open};
use aios_abi::linux::table::nr;
use kernel_fs::{File, FileType};

use crate::call::CallResult;
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[(nr::IOCTL, ioctl)];

fn ioctl(call: &mut Call<'_>) -> CallResult {
    let file = call.fd(0)?;
    let (number, argument) = (call.uint(1), call.ptr(2));
    match number {
        request::FIOCLEX => call.thread.files().set_close_on_exec(call.int(0), true)?,
        request::FIONCLEX => call.thread.files().set_close_on_exec(call.int(0), false)?,
        request::FIONBIO => set_flag(&file, open::O_NONBLOCK, call.read::<i32>(argument)? != 0),
        request::FIOASYNC => set_flag(&file, open::O_ASYNC, call.read::<i32>(argument)? != 0),
        request::FIOQSIZE => match file.kind() {
            FileType::Regular | FileType::Directory | FileType::Symlink => {
                call.write(argument, &file.metadata()?.size)?;
            }
            _ => return Err(Errno::ENOTTY),
        },
        request::FIONREAD if file.kind() == FileType::Regular => {
            let left = file.ops().size(&file)?.saturating_sub(file.offset());
            call.write(argument, &i32::try_from(left).unwrap_or(i32::MAX))?;
        }
        _ => return file.ioctl(number, argument),
    }
    Ok(0)
}

fn set_flag(file: &File, flag: u32, on: bool) {
    file.set_flags(if on { file.flags() | flag } else { file.flags() & !flag });
}
