//! Random bytes.

use aios_abi::Errno;
use aios_abi::linux::consts::getrandom as flag;
use aios_abi::linux::table::nr;
use kernel_hal::addr::{Virt, is_user_range};
use kernel_hal::{random, usermem};

use crate::call::{Call, CallResult, Handler, MAX_TRANSFER};

pub(crate) const CALLS: &[(u32, Handler)] = &[(nr::GETRANDOM, getrandom)];

/// The generator is seeded before the first program runs, so this never waits.
fn getrandom(call: &mut Call<'_>) -> CallResult {
    let (buffer, flags) = (call.ptr(0), call.uint(2));
    let both = flag::GRND_RANDOM | flag::GRND_INSECURE;
    if flags & !(flag::GRND_NONBLOCK | both) != 0 || flags & both == both {
        return Err(Errno::EINVAL);
    }
    let len = usize::try_from(call.arg(1)).unwrap_or(usize::MAX).min(MAX_TRANSFER);
    if !is_user_range(buffer, len) {
        return Err(Errno::EFAULT);
    }
    let mut chunk = [0; 256];
    let mut done = 0;
    while done < len {
        let count = (len - done).min(chunk.len());
        let bytes = chunk.get_mut(..count).ok_or(Errno::EFAULT)?;
        random::fill(bytes);
        if let Err(fault) = usermem::copy_out(Virt(buffer.0 + done as u64), bytes) {
            done += fault.copied;
            return if done > 0 { Ok(done) } else { Err(Errno::EFAULT) };
        }
        done += count;
        // A large request gives way to signals, as on Linux.
        if done.is_multiple_of(1 << 16) && call.thread.needs_attention() {
            break;
        }
    }
    Ok(done)
}
