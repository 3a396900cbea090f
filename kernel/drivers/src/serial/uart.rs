//! One 16550 UART (National Semiconductor PC16550D data sheet).

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kernel_hal::irq::{self, Claim};
use kernel_hal::port::Ports;
use kernel_sync::{IrqLock, Mutex, Once, WaitQueue};

use super::ring::Ring;

const DATA: u16 = 0;
const INTERRUPT_ENABLE: u16 = 1;
/// While the divisor latch is open.
const DIVISOR_HIGH: u16 = 1;
const FIFO_CONTROL: u16 = 2;
const LINE_CONTROL: u16 = 3;
const MODEM_CONTROL: u16 = 4;
const LINE_STATUS: u16 = 5;
const SCRATCH: u16 = 7;

const ON_INPUT: u8 = 1;
const ON_OUTPUT_SPACE: u8 = 1 << 1;
const ON_LINE_ERROR: u8 = 1 << 2;

const DIVISOR_LATCH: u8 = 0x80;
const EIGHT_BITS: u8 = 0b11;
/// FIFOs on, interrupt at 14 bytes of input (or a pause). Turning them on clears them, writing it again does not.
const FIFO_ON: u8 = 0b1100_0001;
/// Terminal ready, request to send, and the output that lets interrupts through on a PC.
const MODEM_READY: u8 = 0b1011;

const INPUT_READY: u8 = 1;
const OVERRUN: u8 = 1 << 1;
const PARITY: u8 = 1 << 2;
const FRAMING: u8 = 1 << 3;
const BREAK: u8 = 1 << 4;
const OUTPUT_EMPTY: u8 = 1 << 5;

const FIFO: usize = 16;
/// Looks at the status register before a writer sleeps until the interrupt. Ends at once under an emulator; on
/// hardware a burst takes 1.4 ms.
const SPINS: usize = 200;
/// Bytes taken in one interrupt at most: a device that is stuck must not keep the CPU.
const DRAIN: usize = 256;

/// Input that was lost since start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LineErrors {
    /// Times that characters came while the UART's FIFO was full.
    pub overruns: u32,
    /// Characters with a wrong stop or parity bit.
    pub garbled: u32,
    /// Break conditions, which carry no character.
    pub breaks: u32,
}

#[derive(Default)]
struct Counters {
    overruns: AtomicU32,
    garbled: AtomicU32,
    breaks: AtomicU32,
}

/// The registers, and which interrupts are on.
struct Registers {
    ports: Ports,
    enabled: u8,
}

impl Registers {
    fn enable(&mut self, interrupts: u8) {
        self.enabled = interrupts;
        self.ports.out8(INTERRUPT_ENABLE, interrupts);
    }

    fn has_space(&self) -> bool {
        self.ports.in8(LINE_STATUS) & OUTPUT_EMPTY != 0
    }
}

struct Shared {
    registers: IrqLock<Registers>,
    ring: Ring,
    counters: Counters,
    input: Arc<WaitQueue>,
    output: WaitQueue,
    /// Whether the interrupt line reaches the kernel.
    interrupts: AtomicBool,
    /// The last thing that came was a break.
    broken: AtomicBool,
    on_command: Once<Command>,
}

/// Called, with interrupts off, with the character that came right after a break. True when that was a command to the
/// kernel and no input.
pub type Command = Box<dyn Fn(u8) -> bool + Send + Sync>;

/// A serial port at 115200 baud, 8 bits, no parity.
pub struct Uart {
    shared: Arc<Shared>,
    /// Keeps the bytes of one write together.
    writer: Mutex<()>,
}

impl Uart {
    /// Sets up the UART at `base` with interrupt `line`. `None` when there is none.
    pub fn new((base, line): (u16, u8)) -> Option<Uart> {
        let ports = Ports::new(base, 8)?;
        if !is_present(&ports) {
            return None;
        }
        let shared = Arc::new(Shared {
            registers: IrqLock::new(Registers { ports, enabled: 0 }),
            ring: Ring::new(),
            counters: Counters::default(),
            input: Arc::default(),
            output: WaitQueue::new(),
            interrupts: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            on_command: Once::new(),
        });
        shared.set_up();
        let handler = shared.clone();
        let name = alloc::format!("serial {base:#x}");
        let vector = irq::allocate_vector(&name, Box::new(move || handler.interrupt()));
        let silenced = shared.clone();
        let routed = vector.is_some_and(|vector| {
            vector.on_storm(Box::new(move || silenced.give_up_interrupts()));
            irq::route_isa(line, vector)
        });
        if !routed {
            log::warn!("serial port {base:#x}: no interrupt, so no input");
        }
        shared.interrupts.store(routed, Ordering::Release);
        shared.registers.lock().enable(ON_INPUT | ON_LINE_ERROR);
        // What came meanwhile raised no edge.
        shared.interrupt();
        Some(Uart { shared, writer: Mutex::new(()) })
    }

    /// Writes all of `bytes`, as they are. Sleeps when the line is slower; other writers wait until this one is done.
    pub fn write(&self, bytes: &[u8]) {
        let _whole = self.writer.lock();
        for burst in bytes.chunks(FIFO) {
            while !self.shared.send(burst) {
                self.wait_for_space();
            }
        }
    }

    fn wait_for_space(&self) {
        let shared = &*self.shared;
        for _ in 0..SPINS {
            if shared.registers.lock().has_space() {
                return;
            }
            kernel_hal::cpu::relax();
        }
        if !shared.interrupts.load(Ordering::Acquire) {
            return;
        }
        shared.output.wait_uninterruptible(|| {
            let mut registers = shared.registers.lock();
            if registers.has_space() || !shared.interrupts.load(Ordering::Acquire) {
                return Some(());
            }
            let enabled = registers.enabled | ON_OUTPUT_SPACE;
            registers.enable(enabled);
            None
        });
    }

    /// Lets whoever sits at the line command the kernel: by a break and a character. Called once.
    pub fn on_command(&self, command: Command) {
        self.shared.on_command.set(command);
    }

    /// Takes input that has come; returns how many bytes. One caller at a time.
    pub fn pop(&self, into: &mut [u8]) -> usize {
        let count = self.shared.ring.pop(into);
        if count != 0 {
            self.shared.resume_input();
        }
        count
    }

    /// True when input waits.
    pub fn read_ready(&self) -> bool {
        !self.shared.ring.is_empty()
    }

    /// Woken when input comes.
    pub fn input(&self) -> &Arc<WaitQueue> {
        &self.shared.input
    }

    /// What was lost of the input.
    pub fn errors(&self) -> LineErrors {
        let counters = &self.shared.counters;
        LineErrors {
            overruns: counters.overruns.load(Ordering::Relaxed),
            garbled: counters.garbled.load(Ordering::Relaxed),
            breaks: counters.breaks.load(Ordering::Relaxed),
        }
    }
}

impl Shared {
    fn set_up(&self) {
        let registers = &mut *self.registers.lock();
        registers.enable(0);
        registers.ports.out8(LINE_CONTROL, DIVISOR_LATCH);
        // Divisor 1 of the 1.8432 MHz clock, by 16.
        registers.ports.out8(DATA, 1);
        registers.ports.out8(DIVISOR_HIGH, 0);
        registers.ports.out8(LINE_CONTROL, EIGHT_BITS);
        registers.ports.out8(MODEM_CONTROL, MODEM_READY);
        // What was typed before this moment is kept, as far as the UART still has it.
        self.drain(registers);
        registers.ports.out8(FIFO_CONTROL, FIFO_ON);
    }

    /// Sends up to a FIFO's worth if the FIFO is empty; false when it is not.
    fn send(&self, burst: &[u8]) -> bool {
        let registers = self.registers.lock();
        if !registers.has_space() {
            return false;
        }
        for byte in burst {
            registers.ports.out8(DATA, *byte);
        }
        true
    }

    /// Empties the input FIFO into the ring and lets a waiting writer go on. Leaves no cause pending that is enabled:
    /// the line is edge triggered, and a cause that stays would be the last.
    fn interrupt(&self) -> Claim {
        let mut registers = self.registers.lock();
        let (received, errors) = self.drain(&mut registers);
        let space = registers.enabled & ON_OUTPUT_SPACE != 0 && registers.has_space();
        if space {
            let enabled = registers.enabled & !ON_OUTPUT_SPACE;
            registers.enable(enabled);
        }
        drop(registers);
        if received {
            self.input.wake_all();
        }
        if space {
            self.output.wake_all();
        }
        if received || errors || space { Claim::Mine } else { Claim::NotMine }
    }

    /// The line was silenced because it never ended: writers poll from here on, and input is not noticed any more.
    fn give_up_interrupts(&self) {
        self.interrupts.store(false, Ordering::Release);
        self.output.wake_all();
    }

    /// Whether there was input, and whether there were errors. When the ring fills up, the rest stays in the FIFO, where a sender with flow control
    /// notices, and the input interrupt is off until the reader has made room.
    fn drain(&self, registers: &mut Registers) -> (bool, bool) {
        let (mut received, mut errors) = (false, false);
        for _ in 0..DRAIN {
            if self.ring.is_full() {
                let enabled = registers.enabled & !ON_INPUT;
                registers.enable(enabled);
                return (true, errors);
            }
            let status = registers.ports.in8(LINE_STATUS);
            self.count(status);
            errors |= status & (OVERRUN | BREAK | FRAMING | PARITY) != 0;
            if status & INPUT_READY == 0 {
                return (received, errors);
            }
            let byte = registers.ports.in8(DATA);
            if status & (BREAK | FRAMING | PARITY) != 0 {
                self.broken.store(status & BREAK != 0, Ordering::Relaxed);
            } else if !(self.broken.swap(false, Ordering::Relaxed) && self.commands(byte)) {
                received |= self.ring.push(byte);
            }
        }
        // More than a FIFO holds: give others a turn, and make a new edge for what is left.
        let enabled = registers.enabled;
        registers.enable(0);
        registers.enable(enabled);
        (received, errors)
    }

    fn commands(&self, byte: u8) -> bool {
        self.on_command.get().is_some_and(|command| command(byte))
    }

    /// Takes input again after the ring was full.
    fn resume_input(&self) {
        let mut registers = self.registers.lock();
        if registers.enabled & ON_INPUT == 0 {
            let enabled = registers.enabled | ON_INPUT;
            registers.enable(enabled);
            drop(registers);
            self.interrupt();
        }
    }

    fn count(&self, status: u8) {
        if status & OVERRUN != 0 {
            self.counters.overruns.fetch_add(1, Ordering::Relaxed);
        }
        if status & BREAK != 0 {
            self.counters.breaks.fetch_add(1, Ordering::Relaxed);
        } else if status & (FRAMING | PARITY) != 0 {
            self.counters.garbled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// An absent port reads all ones and keeps nothing.
fn is_present(ports: &Ports) -> bool {
    [0x5a, 0xa5].into_iter().all(|value| {
        ports.out8(SCRATCH, value);
        ports.in8(SCRATCH) == value
    })
}
