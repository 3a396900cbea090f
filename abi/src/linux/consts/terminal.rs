//! Terminals and `ioctl`.

/// Control characters in the kernel's `termios`.
pub const NCCS: usize = 19;
/// A control character with this value is switched off.
pub const POSIX_VDISABLE: u8 = 0;

families! {
    /// `ioctl(2)`: requests.
    ioctl: u32 {
        TCGETS = 0x5401,
        TCSETS = 0x5402,
        TCSETSW = 0x5403,
        TCSETSF = 0x5404,
        TCGETA = 0x5405,
        TCSETA = 0x5406,
        TCSETAW = 0x5407,
        TCSETAF = 0x5408,
        TCSBRK = 0x5409,
        TCXONC = 0x540a,
        TCFLSH = 0x540b,
        TIOCEXCL = 0x540c,
        TIOCNXCL = 0x540d,
        TIOCSCTTY = 0x540e,
        TIOCGPGRP = 0x540f,
        TIOCSPGRP = 0x5410,
        TIOCOUTQ = 0x5411,
        TIOCSTI = 0x5412,
        TIOCGWINSZ = 0x5413,
        TIOCSWINSZ = 0x5414,
        TIOCMGET = 0x5415,
        TIOCMSET = 0x5418,
        FIONREAD = 0x541b,
        TIOCCONS = 0x541d,
        TIOCPKT = 0x5420,
        FIONBIO = 0x5421,
        TIOCNOTTY = 0x5422,
        TIOCSETD = 0x5423,
        TIOCGETD = 0x5424,
        TCSBRKP = 0x5425,
        TIOCGSID = 0x5429,
        TCGETS2 = 0x802c_542a,
        TCSETS2 = 0x402c_542b,
        TCSETSW2 = 0x402c_542c,
        TCSETSF2 = 0x402c_542d,
        TIOCGPTN = 0x8004_5430,
        TIOCSPTLCK = 0x4004_5431,
        TIOCGPTPEER = 0x5441,
        FIONCLEX = 0x5450,
        FIOCLEX = 0x5451,
        FIOASYNC = 0x5452,
        FIOQSIZE = 0x5460,
        FICLONE = 0x4004_9409,
        FS_IOC_GETFLAGS = 0x8008_6601,
        FS_IOC_SETFLAGS = 0x4008_6602,
        RNDGETENTCNT = 0x8004_5200,
    }
    /// `c_iflag`: input.
    iflag: u32 {
        IGNBRK = 0o1,
        BRKINT = 0o2,
        IGNPAR = 0o4,
        PARMRK = 0o10,
        INPCK = 0o20,
        ISTRIP = 0o40,
        INLCR = 0o100,
        IGNCR = 0o200,
        ICRNL = 0o400,
        IUCLC = 0o1_000,
        IXON = 0o2_000,
        IXANY = 0o4_000,
        IXOFF = 0o10_000,
        IMAXBEL = 0o20_000,
        IUTF8 = 0o40_000,
    }
    /// `c_oflag`: output.
    oflag: u32 {
        OPOST = 0o1,
        OLCUC = 0o2,
        ONLCR = 0o4,
        OCRNL = 0o10,
        ONOCR = 0o20,
        ONLRET = 0o40,
        OFILL = 0o100,
        OFDEL = 0o200,
        TABDLY = 0o14_000,
    }
    /// `c_cflag`: line. The speed is `c_cflag & CBAUD`.
    cflag: u32 {
        CBAUD = 0o10_017,
        CSIZE = 0o60,
        B9600 = 0o15,
        B38400 = 0o17,
        B115200 = 0o10_002,
        CS5 = 0o0,
        CS6 = 0o20,
        CS7 = 0o40,
        CS8 = 0o60,
        CSTOPB = 0o100,
        CREAD = 0o200,
        PARENB = 0o400,
        PARODD = 0o1_000,
        HUPCL = 0o2_000,
        CLOCAL = 0o4_000,
    }
    /// `c_lflag`: line discipline.
    lflag: u32 {
        ISIG = 0o1,
        ICANON = 0o2,
        XCASE = 0o4,
        ECHO = 0o10,
        ECHOE = 0o20,
        ECHOK = 0o40,
        ECHONL = 0o100,
        NOFLSH = 0o200,
        TOSTOP = 0o400,
        ECHOCTL = 0o1_000,
        ECHOPRT = 0o2_000,
        ECHOKE = 0o4_000,
        FLUSHO = 0o10_000,
        PENDIN = 0o40_000,
        IEXTEN = 0o100_000,
        EXTPROC = 0o200_000,
    }
    /// Indices into `c_cc`.
    cc: usize {
        VINTR = 0,
        VQUIT = 1,
        VERASE = 2,
        VKILL = 3,
        VEOF = 4,
        VTIME = 5,
        VMIN = 6,
        VSWTC = 7,
        VSTART = 8,
        VSTOP = 9,
        VSUSP = 10,
        VEOL = 11,
        VREPRINT = 12,
        VDISCARD = 13,
        VWERASE = 14,
        VLNEXT = 15,
        VEOL2 = 16,
    }
    /// `TCFLSH`: which queue.
    tcflush: u32 {
        TCIFLUSH = 0,
        TCOFLUSH = 1,
        TCIOFLUSH = 2,
    }
}
