//! `ioctl_tty(2)`.

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::{ioctl, signal, tcflush};
use aios_abi::linux::structs::{FromBytes, IntoBytes, Termios, Termios2, Winsize};
use kernel_hal::addr::Virt;
use kernel_hal::usermem;

use super::terminal::{Tty, job_control};
use super::{Caller, JobControl, Settings};
use crate::file::File;

/// Speed that `termios2` shows, in bits per second.
const SPEED: u32 = 115_200;

fn put<T: IntoBytes + aios_abi::linux::structs::Immutable>(value: &T, at: Virt) -> Result<usize, Errno> {
    usermem::copy_out(at, value.as_bytes()).map_err(|_| Errno::EFAULT)?;
    Ok(0)
}

fn get<T: FromBytes, const SIZE: usize>(at: Virt) -> Result<T, Errno> {
    let mut bytes = [0; SIZE];
    usermem::copy_in(&mut bytes, at).map_err(|_| Errno::EFAULT)?;
    T::read_from_bytes(&bytes).map_err(|_| Errno::EINVAL)
}

impl Tty {
    pub(super) fn control(&self, file: &File, command: u32, argument: Virt) -> Result<usize, Errno> {
        match command {
            ioctl::TCGETS => put(&self.settings(), argument),
            ioctl::TCGETS2 => {
                let Termios { iflag, oflag, cflag, lflag, line, cc } = self.settings();
                put(&Termios2 { iflag, oflag, cflag, lflag, line, cc, ispeed: SPEED, ospeed: SPEED }, argument)
            }
            ioctl::TCSETS | ioctl::TCSETSW | ioctl::TCSETSF => {
                let settings = get::<Termios, { size_of::<Termios>() }>(argument)?;
                self.set(settings, command == ioctl::TCSETSF)
            }
            ioctl::TCSETS2 | ioctl::TCSETSW2 | ioctl::TCSETSF2 => {
                let Termios2 { iflag, oflag, cflag, lflag, line, cc, .. } =
                    get::<Termios2, { size_of::<Termios2>() }>(argument)?;
                self.set(Termios { iflag, oflag, cflag, lflag, line, cc }, command == ioctl::TCSETSF2)
            }
            ioctl::TIOCGWINSZ => {
                let window = *self.window.lock();
                put(&window, argument)
            }
            ioctl::TIOCSWINSZ => {
                self.set_window(get::<Winsize, { size_of::<Winsize>() }>(argument)?);
                Ok(0)
            }
            ioctl::FIONREAD => put(&(self.discipline.lock().readable() as u32), argument),
            ioctl::TIOCOUTQ | ioctl::TIOCGETD => put(&0u32, argument),
            ioctl::TCFLSH => self.flush(argument.0),
            ioctl::TCXONC => self.flow(argument.0),
            ioctl::TCSBRK | ioctl::TCSBRKP => {
                // Output is on its way when write returns, and there is no line to break.
                self.check_foreground(signal::SIGTTOU)?;
                Ok(0)
            }
            ioctl::TIOCEXCL | ioctl::TIOCNXCL => Ok(0),
            // Typing for another user has only ever been an attack.
            ioctl::TIOCSTI => Err(Errno::EIO),
            ioctl::TIOCGPGRP | ioctl::TIOCGSID | ioctl::TIOCSPGRP | ioctl::TIOCSCTTY | ioctl::TIOCNOTTY => {
                self.control_jobs(file, command, argument)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn settings(&self) -> Termios {
        self.discipline.lock().settings().0
    }

    fn set(&self, settings: Termios, flush: bool) -> Result<usize, Errno> {
        self.check_foreground(signal::SIGTTOU)?;
        let mut discipline = self.discipline.lock();
        if flush {
            discipline.flush_input();
        }
        discipline.set_settings(Settings(settings));
        drop(discipline);
        self.wake_writers();
        self.wake_readers();
        self.wake_port();
        Ok(0)
    }

    fn flush(&self, queue: u64) -> Result<usize, Errno> {
        self.check_foreground(signal::SIGTTOU)?;
        match u32::try_from(queue) {
            Ok(tcflush::TCIFLUSH | tcflush::TCIOFLUSH) => {
                self.discipline.lock().flush_input();
                self.wake_port();
            }
            Ok(tcflush::TCOFLUSH) => {}
            _ => return Err(Errno::EINVAL),
        }
        Ok(0)
    }

    /// `TCOOFF`, `TCOON`, `TCIOFF`, `TCION`.
    fn flow(&self, action: u64) -> Result<usize, Errno> {
        self.check_foreground(signal::SIGTTOU)?;
        match action {
            0 | 1 => {
                self.discipline.lock().set_stopped(action == 0);
                self.wake_writers();
            }
            2 | 3 => {}
            _ => return Err(Errno::EINVAL),
        }
        Ok(0)
    }

    fn control_jobs(&self, file: &File, command: u32, argument: Virt) -> Result<usize, Errno> {
        let job_control = job_control().ok_or(Errno::ENOTTY)?;
        let caller = job_control.caller().ok_or(Errno::ENOTTY)?;
        let terminal = job_control.terminal();
        let controls = terminal.as_ref().is_some_and(|terminal| core::ptr::eq(&**terminal, self));
        match command {
            ioctl::TIOCSCTTY => self.acquire(file, job_control, caller, terminal, argument.0),
            _ if !controls => Err(Errno::ENOTTY),
            ioctl::TIOCGPGRP => put(&self.foreground().unwrap_or(0), argument),
            ioctl::TIOCGSID => put(&self.session().ok_or(Errno::ENOTTY)?.number, argument),
            ioctl::TIOCSPGRP => {
                self.check_foreground(signal::SIGTTOU)?;
                let group = usermem::load_u32(argument).map_err(|_| Errno::EFAULT)?;
                if group.cast_signed() < 0 {
                    return Err(Errno::EINVAL);
                }
                match job_control.session_of(group) {
                    None => Err(Errno::ESRCH),
                    Some(session) if session != caller.session => Err(Errno::EPERM),
                    Some(_) => {
                        self.owner.lock().foreground = Some(group);
                        Ok(0)
                    }
                }
            }
            _ => {
                if caller.is_leader
                    && let Some(group) = self.release_session(caller.session)
                {
                    job_control.signal_group(caller.session, group, signal::SIGHUP);
                    job_control.signal_group(caller.session, group, signal::SIGCONT);
                }
                job_control.set_terminal(None);
                Ok(0)
            }
        }
    }

    fn acquire(
        &self,
        file: &File,
        job_control: &dyn JobControl,
        caller: Caller,
        terminal: Option<Arc<Tty>>,
        steal: u64,
    ) -> Result<usize, Errno> {
        let mine = self.session() == Some(caller.session);
        if mine && caller.is_leader {
            return Ok(0);
        }
        // A session has one terminal and a terminal one session; taking another's needs the right to, which agents
        // do not have.
        if !caller.is_leader || terminal.is_some() || self.session().is_some() || steal > 1 {
            return Err(Errno::EPERM);
        }
        let ops: Arc<dyn core::any::Any + Send + Sync> = file.ops().clone();
        let this = ops.downcast::<Tty>().map_err(|_| Errno::ENOTTY)?;
        self.give_to(caller.session, caller.group);
        job_control.set_terminal(Some(this));
        Ok(0)
    }
}
