//! The driver against a model of the UART: FIFOs, edge-triggered interrupts, a line that is slow or noisy.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use std::vec::Vec;

use kernel_hal::hosted;

use super::Uart;

/// What arrives on the line: a byte, with error bits of the line status register.
type Arrival = (u8, u8);

#[derive(Default)]
struct State {
    enabled: u8,
    fifo_on: bool,
    scratch: u8,
    latch_open: bool,
    incoming: VecDeque<Arrival>,
    input: VecDeque<Arrival>,
    output: VecDeque<u8>,
    sent: Vec<u8>,
    /// An output interrupt that was not acknowledged.
    output_event: bool,
    line_high: bool,
    edges: usize,
}

impl State {
    fn depth(&self) -> usize {
        if self.fifo_on { 16 } else { 1 }
    }

    fn settle(&mut self) {
        while self.input.len() < self.depth()
            && let Some(arrival) = self.incoming.pop_front()
        {
            self.input.push_back(arrival);
        }
        let high = self.enabled & 1 != 0 && !self.input.is_empty() || self.enabled & 2 != 0 && self.output_event;
        if high && !self.line_high {
            self.edges += 1;
        }
        self.line_high = high;
    }
}

struct Model {
    state: Mutex<State>,
    edge: Condvar,
}

impl hosted::Device for Model {
    fn read(&self, offset: usize, _width: usize) -> u64 {
        let mut state = self.state.lock().expect("state");
        let value = match offset {
            0 => state.input.pop_front().map_or(0, |arrival| arrival.0),
            1 => state.enabled,
            5 => {
                let errors = state.input.front().map_or(0, |arrival| 1 | arrival.1);
                if let Some(front) = state.input.front_mut() {
                    front.1 = 0;
                }
                errors | if state.output.is_empty() { 0x60 } else { 0 }
            }
            7 => state.scratch,
            _ => 0,
        };
        if offset != 0 {
            return u64::from(value);
        }
        // The line refills only after the register was read, which may raise it again.
        state.line_high = false;
        state.settle();
        drop(state);
        self.edge.notify_all();
        u64::from(value)
    }

    fn write(&self, offset: usize, _width: usize, value: u64) {
        let mut state = self.state.lock().expect("state");
        match offset {
            0 | 1 if state.latch_open => {}
            0 => {
                assert!(state.output.len() < state.depth(), "output lost");
                state.output.push_back(value as u8);
                state.output_event = false;
            }
            1 => {
                state.enabled = value as u8;
                state.output_event = value & 2 != 0 && state.output.is_empty();
            }
            2 if !state.fifo_on => {
                state.input.clear();
                state.fifo_on = value & 1 != 0;
            }
            3 => state.latch_open = value & 0x80 != 0,
            7 => state.scratch = value as u8,
            _ => {}
        }
        state.settle();
        drop(state);
        self.edge.notify_all();
    }
}

static NEXT: AtomicU8 = AtomicU8::new(0);

/// A UART with its own ports and line, whose line carries away up to `burst` bytes a turn. Threads of it never end.
fn machine(burst: usize, before: &[Arrival]) -> (Arc<Model>, Uart) {
    hosted::init(64 << 20);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let (base, line) = (0x2000 + 8 * u16::from(number), number);
    let state = State { incoming: before.iter().copied().collect(), ..State::default() };
    let model = Arc::new(Model { state: Mutex::new(state), edge: Condvar::new() });
    model.state.lock().expect("state").settle();
    hosted::add_ports(base, 8, model.clone());
    let interrupts = model.clone();
    std::thread::spawn(move || {
        loop {
            let mut state = interrupts.state.lock().expect("state");
            while state.edges == 0 {
                state = interrupts.edge.wait(state).expect("state");
            }
            state.edges = 0;
            drop(state);
            hosted::raise_isa(line);
        }
    });
    let shifter = model.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_micros(100));
            let mut state = shifter.state.lock().expect("state");
            let count = burst.min(state.output.len());
            let sent: Vec<u8> = state.output.drain(..count).collect();
            state.sent.extend(sent);
            state.output_event |= count != 0 && state.output.is_empty() && state.enabled & 2 != 0;
            state.settle();
            drop(state);
            shifter.edge.notify_all();
        }
    });
    (model, Uart::new((base, line)).expect("a UART"))
}

fn arrive(model: &Model, arrivals: impl Iterator<Item = Arrival>) {
    let mut state = model.state.lock().expect("state");
    state.incoming.extend(arrivals);
    state.settle();
    drop(state);
    model.edge.notify_all();
}

fn read(uart: &Uart, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 64];
    while bytes.len() < count {
        uart.input().wait_uninterruptible(|| uart.read_ready().then_some(()));
        let got = uart.pop(&mut buffer);
        bytes.extend_from_slice(&buffer[..got]);
    }
    bytes
}

#[test]
fn a_slow_line_loses_no_output_and_keeps_writes_together() {
    let (model, uart) = machine(3, &[]);
    let line = |thread: u8| -> Vec<u8> { [std::vec![b'a' + thread; 70], b"\n".to_vec()].concat() };
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let uart = &uart;
            scope.spawn(move || (0..5).for_each(|_| uart.write(&line(thread))));
        }
    });
    while model.state.lock().expect("state").sent.len() < 3 * 5 * 71 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let sent = model.state.lock().expect("state").sent.clone();
    let lines: Vec<&[u8]> = sent.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 15);
    assert!(lines.iter().all(|line| line.len() == 71 && line[..70].iter().all(|byte| *byte == line[0])));
}

#[test]
fn input_waits_in_the_line_while_the_ring_is_full() {
    let (model, uart) = machine(16, &[(b'!', 0)]);
    let bytes: Vec<u8> = (0..20_000u32).map(|number| (number % 251) as u8).collect();
    arrive(&model, bytes.iter().map(|byte| (*byte, 0)));
    std::thread::sleep(Duration::from_millis(20));
    let got = read(&uart, 20_001);
    assert_eq!(got[0], b'!', "typed before the driver came");
    assert!(got[1..] == bytes);
    assert_eq!(uart.errors(), super::LineErrors::default());
}

#[test]
fn breaks_and_garbled_bytes_are_counted_and_dropped() {
    let (model, uart) = machine(16, &[]);
    arrive(&model, [(b'a', 0), (0, 0x18), (b'x', 0x08), (b'y', 0x04), (b'b', 0x02), (b'c', 0)].into_iter());
    assert_eq!(read(&uart, 3), b"abc");
    assert_eq!(uart.errors(), super::LineErrors { overruns: 1, garbled: 2, breaks: 1 });
}

#[test]
fn a_break_and_a_character_command_the_kernel() {
    let (model, uart) = machine(16, &[]);
    let commands = Arc::new(Mutex::new(Vec::new()));
    let list = commands.clone();
    uart.on_command(std::boxed::Box::new(move |byte| {
        list.lock().expect("commands").push(byte);
        byte == b'n'
    }));
    let broken = (0, 0x18);
    arrive(&model, [(b'n', 0), broken, (b'n', 0), (b'n', 0), broken, (b'y', 0), broken, broken].into_iter());
    arrive(&model, [(b'n', 0), (b'z', 0)].into_iter());
    assert_eq!(read(&uart, 4), b"nnyz", "what is no command is input");
    assert_eq!(*commands.lock().expect("commands"), b"nyn");
}

#[test]
fn an_absent_port_is_not_a_uart() {
    hosted::init(64 << 20);
    assert!(Uart::new((0x7000, 15)).is_none());
}
