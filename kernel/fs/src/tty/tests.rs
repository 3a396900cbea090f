use std::vec::Vec;

use alloc::sync::Arc;

use aios_abi::linux::consts::{cc, iflag, lflag, open, signal};

use super::*;
use crate::file::File;
use crate::testing::{World, read};

/// Types `input` and returns what is shown, and the events.
fn type_in(discipline: &mut Discipline, input: &[u8]) -> (Vec<u8>, Vec<Event>) {
    let mut out = Vec::new();
    let events = input.iter().filter_map(|byte| discipline.receive(*byte, &mut out)).collect();
    (out, events)
}

fn take(discipline: &mut Discipline, len: usize) -> Option<Vec<u8>> {
    let mut bytes = std::vec![0; len];
    match discipline.take(&mut bytes) {
        Taken::Nothing => None,
        Taken::Bytes(count) => {
            bytes.truncate(count);
            Some(bytes)
        }
    }
}

fn with(change: impl FnOnce(&mut Settings)) -> Discipline {
    let mut discipline = Discipline::default();
    let mut settings = *discipline.settings();
    change(&mut settings);
    discipline.set_settings(settings);
    discipline
}

fn raw() -> Discipline {
    with(|settings| settings.0.lflag &= !(lflag::ICANON | lflag::ECHO | lflag::ISIG))
}

#[test]
fn a_line_is_read_when_it_is_finished() {
    let mut tty = Discipline::default();
    assert_eq!(type_in(&mut tty, b"ls -l"), (b"ls -l".to_vec(), Vec::new()));
    assert_eq!((take(&mut tty, 100), tty.is_ready()), (None, false));
    assert_eq!(type_in(&mut tty, b"\recho\r").0, b"\r\necho\r\n");
    assert_eq!(tty.readable(), 11);
    assert_eq!(take(&mut tty, 3), Some(b"ls ".to_vec()));
    assert_eq!(take(&mut tty, 100), Some(b"-l\n".to_vec()));
    assert_eq!(take(&mut tty, 100), Some(b"echo\n".to_vec()));
    assert_eq!(take(&mut tty, 100), None);
}

#[test]
fn erasing_takes_back_what_was_shown() {
    let mut tty = Discipline::default();
    assert_eq!(type_in(&mut tty, b"ab\x7f").0, b"ab\x08 \x08");
    // A control character was shown as two, a tab as wide as it was, a UTF-8 character is one.
    assert_eq!(type_in(&mut tty, b"\x01\x7f").0, b"^A\x08 \x08\x08 \x08");
    assert_eq!(type_in(&mut tty, b"\t\x7f").0, b"\t\x08\x08\x08\x08\x08\x08\x08");
    assert_eq!(type_in(&mut tty, "é\x7f".as_bytes()).0, "é\x08 \x08".as_bytes());
    assert_eq!(type_in(&mut tty, b"\x7f\x7f\x7f").0, b"\x08 \x08");
    assert_eq!(type_in(&mut tty, b"one two  \x17").0, b"one two  \x08 \x08\x08 \x08\x08 \x08\x08 \x08\x08 \x08");
    assert_eq!(type_in(&mut tty, b"\x12").0, b"^R\r\none ");
    assert_eq!(type_in(&mut tty, b"\x15").0, b"\x08 \x08\x08 \x08\x08 \x08\x08 \x08");
    type_in(&mut tty, b"x\n");
    assert_eq!(take(&mut tty, 100), Some(b"x\n".to_vec()));
}

#[test]
fn the_end_of_file_is_an_empty_read_at_the_start_of_a_line() {
    let mut tty = Discipline::default();
    type_in(&mut tty, b"ab\x04\x04c\n");
    assert_eq!(take(&mut tty, 100), Some(b"ab".to_vec()));
    assert_eq!(take(&mut tty, 100), Some(Vec::new()));
    assert_eq!(take(&mut tty, 100), Some(b"c\n".to_vec()));
    // A read of just the bytes before it takes it along.
    type_in(&mut tty, b"ab\x04");
    assert_eq!(take(&mut tty, 2), Some(b"ab".to_vec()));
    assert_eq!(take(&mut tty, 2), None);
}

#[test]
fn control_characters_become_signals_and_drop_the_line() {
    let mut tty = Discipline::default();
    type_in(&mut tty, b"done\nhalf");
    assert_eq!(type_in(&mut tty, b"\x03"), (b"^C".to_vec(), std::vec![Event::Signal(signal::SIGINT)]));
    assert_eq!(take(&mut tty, 100), None);
    assert_eq!(type_in(&mut tty, b"\x1a").1, [Event::Signal(signal::SIGTSTP)]);
    assert_eq!(type_in(&mut tty, b"\x1c").1, [Event::Signal(signal::SIGQUIT)]);
    let mut kept = with(|settings| settings.0.lflag |= lflag::NOFLSH);
    type_in(&mut kept, b"a\n\x03");
    assert_eq!(take(&mut kept, 100), Some(b"a\n".to_vec()));
    // Taken literally, it is a byte like others.
    assert_eq!(type_in(&mut tty, b"\x16\x03\n"), (b"^\x08^C\r\n".to_vec(), Vec::new()));
    assert_eq!(take(&mut tty, 100), Some(b"\x03\n".to_vec()));
}

#[test]
fn raw_mode_hides_nothing() {
    let mut tty = raw();
    assert_eq!(type_in(&mut tty, b"a\x03\x04\x7f\r").0, b"");
    assert_eq!(take(&mut tty, 3), Some(b"a\x03\x04".to_vec()));
    assert_eq!(take(&mut tty, 3), Some(b"\x7f\n".to_vec()));
    let mut tty = with(|settings| {
        settings.0.lflag &= !lflag::ICANON;
        settings.0.iflag &= !iflag::ICRNL;
        settings.0.cc[cc::VMIN] = 3;
    });
    assert_eq!(type_in(&mut tty, b"\r").0, b"^M");
    assert!(!tty.is_ready());
    type_in(&mut tty, b"bc");
    assert!(tty.is_ready());
}

#[test]
fn a_change_of_mode_keeps_what_was_typed() {
    let mut tty = Discipline::default();
    type_in(&mut tty, b"half");
    tty.set_settings(*raw().settings());
    assert_eq!(take(&mut tty, 2), Some(b"ha".to_vec()));
    type_in(&mut tty, b"more");
    tty.set_settings(Settings::default());
    assert_eq!(take(&mut tty, 100), Some(b"lfmore".to_vec()));
    type_in(&mut tty, b"line\n");
    assert_eq!(take(&mut tty, 100), Some(b"line\n".to_vec()));
}

#[test]
fn output_is_stopped_and_processed() {
    let mut tty = Discipline::default();
    type_in(&mut tty, b"\x13");
    assert!(tty.is_stopped());
    assert_eq!(type_in(&mut tty, b"\x11").1, [Event::Restarted]);
    let mut out = Vec::new();
    tty.send(b"a\nb\tc", &mut out);
    assert_eq!(out, b"a\r\nb\tc");
    // Erasing a tab knows where the output had left the column.
    assert_eq!(type_in(&mut tty, b"\t\x7f").0, b"\t\x08\x08\x08\x08\x08\x08\x08");
}

#[test]
fn a_full_queue_drops_characters_and_still_ends_the_line() {
    let mut tty = Discipline::default();
    type_in(&mut tty, &[b'x'; 5000]);
    type_in(&mut tty, b"\n");
    let line = take(&mut tty, 10_000).expect("line");
    assert_eq!((line.len(), line.last()), (4096, Some(&b'\n')));
}

#[test]
fn there_is_room_unless_input_waits_that_can_be_read() {
    let mut tty = Discipline::default();
    type_in(&mut tty, &[b'x'; 5000]);
    assert!(tty.has_room(), "only the end of an overlong line helps");
    type_in(&mut tty, b"\n");
    assert!(!tty.has_room());
    take(&mut tty, 5000);
    assert!(tty.has_room());
    let mut tty = raw();
    type_in(&mut tty, &[b'x'; 4095]);
    assert!(!tty.has_room());
    tty.flush_input();
    assert!(tty.has_room());
}

/// What a terminal shows, for nobody.
struct NoScreen;

impl TtyPort for NoScreen {
    fn write(&self, _bytes: &[u8]) {}
}

/// Everything that came over the line is read, however slow the reader and whatever the mode.
#[test]
fn a_port_waits_for_the_reader_and_loses_nothing() {
    let sent: Vec<u8> = (0..20_000).flat_map(|number| std::format!("{number}\n").into_bytes()).collect();
    for canonical in [true, false] {
        let world = World::new();
        let tty = Tty::new(Arc::new(NoScreen));
        if !canonical {
            tty.discipline.lock().set_settings(*raw().settings());
        }
        let file = File::new(world.root.clone(), tty.clone(), open::O_RDWR);
        let mut got = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| sent.chunks(300).for_each(|piece| tty.input(piece)));
            while got.len() < sent.len() {
                got.extend(read(&file, 700).expect("input"));
            }
        });
        assert!(got == sent, "canonical: {canonical}");
    }
}

#[test]
fn a_port_whose_terminal_hangs_up_waits_no_longer() {
    let tty = Tty::new(Arc::new(NoScreen));
    std::thread::scope(|scope| {
        let port = scope.spawn(|| tty.input(&[b'\n'; 10_000]));
        while tty.discipline.lock().has_room() {
            std::thread::yield_now();
        }
        tty.hang_up();
        port.join().expect("the port's thread");
    });
}
