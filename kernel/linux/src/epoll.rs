//! `epoll(7)`: sets of watched files.

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::{epoll as flag, epoll_create, epoll_op, open};
use aios_abi::linux::structs::EpollEvent;
use aios_abi::linux::table::nr;
use kernel_fs::event::{Epoll, Interest};
use kernel_hal::addr::is_user_range;
use kernel_process::signal;

use crate::call::CallResult;
use crate::wait::{Timeout, signal_mask};
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::EPOLL_CREATE, epoll_create),
    (nr::EPOLL_CREATE1, epoll_create1),
    (nr::EPOLL_CTL, epoll_ctl),
    (nr::EPOLL_WAIT, epoll_wait),
    (nr::EPOLL_PWAIT, epoll_pwait),
    (nr::EPOLL_PWAIT2, epoll_pwait2),
];

/// What may stand beside `EPOLLEXCLUSIVE`.
const WITH_EXCLUSIVE: u32 = flag::EPOLLIN
    | flag::EPOLLOUT
    | flag::EPOLLERR
    | flag::EPOLLHUP
    | flag::EPOLLWAKEUP
    | flag::EPOLLET
    | flag::EPOLLEXCLUSIVE;

fn create(call: &Call<'_>, close_on_exec: bool) -> CallResult {
    call.thread.add_file(Epoll::create(call.process().domain().memory()), close_on_exec).map(|fd| fd as usize)
}

/// The size says nothing since Linux 2.6.8, and must be positive all the same.
fn epoll_create(call: &mut Call<'_>) -> CallResult {
    if call.int(0) <= 0 { Err(Errno::EINVAL) } else { create(call, false) }
}

fn epoll_create1(call: &mut Call<'_>) -> CallResult {
    let flags = call.uint(0);
    if flags & !epoll_create::EPOLL_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    create(call, flags & open::O_CLOEXEC != 0)
}

fn epoll_ctl(call: &mut Call<'_>) -> CallResult {
    let operation = call.uint(1);
    let interest = if operation == epoll_op::EPOLL_CTL_DEL {
        Interest::default()
    } else {
        let event: EpollEvent = call.read(call.ptr(3))?;
        Interest { events: event.events, data: event.data }
    };
    let (watcher, fd) = (call.fd(0)?, call.int(2));
    let file = call.fd(2)?;
    if Arc::ptr_eq(&watcher, &file) {
        return Err(Errno::EINVAL);
    }
    let set = Epoll::of(&watcher)?;
    if interest.events & flag::EPOLLEXCLUSIVE != 0 {
        let adds = operation == epoll_op::EPOLL_CTL_ADD;
        if !adds || Epoll::of(&file).is_ok() || interest.events & !WITH_EXCLUSIVE != 0 {
            return Err(Errno::EINVAL);
        }
    }
    match operation {
        epoll_op::EPOLL_CTL_ADD => set.add(fd, &file, interest)?,
        epoll_op::EPOLL_CTL_MOD => set.modify(fd, &file, interest)?,
        epoll_op::EPOLL_CTL_DEL => set.remove(fd, &file)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// Events that fit an address range that can be spoken of.
const MOST_EVENTS: i32 = i32::MAX / size_of::<EpollEvent>() as i32;

fn wait(call: &Call<'_>, timeout: Timeout) -> CallResult {
    let file = call.fd(0)?;
    let (at, most) = (call.ptr(1), call.int(2));
    if most <= 0 || most > MOST_EVENTS {
        return Err(Errno::EINVAL);
    }
    let most = most as usize;
    if !is_user_range(at, most * size_of::<EpollEvent>()) {
        return Err(Errno::EFAULT);
    }
    let events = Epoll::of(&file)?.wait(most, timeout.deadline())?;
    for (index, event) in events.iter().enumerate() {
        let place = at.checked_add((index * size_of::<EpollEvent>()) as u64).ok_or(Errno::EFAULT)?;
        call.write(place, &EpollEvent { events: event.events, data: event.data })?;
    }
    Ok(events.len())
}

fn epoll_wait(call: &mut Call<'_>) -> CallResult {
    wait(call, Timeout::after_millis(call.int(3)))
}

fn epoll_pwait(call: &mut Call<'_>) -> CallResult {
    let mask = signal_mask(call, call.ptr(4), call.arg(5))?;
    signal::with_temporary_mask(call.thread, mask, || wait(call, Timeout::after_millis(call.int(3))))
}

fn epoll_pwait2(call: &mut Call<'_>) -> CallResult {
    let timeout = Timeout::from_timespec(call, call.ptr(3))?;
    let mask = signal_mask(call, call.ptr(4), call.arg(5))?;
    signal::with_temporary_mask(call.thread, mask, || wait(call, timeout))
}
