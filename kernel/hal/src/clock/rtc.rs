//! The battery-backed clock of a PC (Motorola MC146818A data sheet), which is taken to hold UTC.

use crate::machine;

const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
/// Keeps non-maskable interrupts as they are at reset: on, in the index register's top bit.
const UPDATING: u8 = 0x80;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const BINARY: u8 = 1 << 2;
const DAY_OF_24: u8 = 1 << 1;
const AFTERNOON: u8 = 0x80;
/// Second, minute, hour, day, month, year.
const FIELDS: [u8; 6] = [0, 2, 4, 7, 8, 9];
/// Looks at the updating bit, which is up for two milliseconds in a second.
const PATIENCE: u32 = 10_000;

fn register(number: u8) -> u8 {
    machine::out8(INDEX, number);
    machine::in8(DATA)
}

/// Seconds since 1970. 0 when it makes no sense.
pub fn read() -> u64 {
    let look = || {
        // Not while it changes.
        for _ in 0..PATIENCE {
            if register(STATUS_A) & UPDATING == 0 {
                break;
            }
        }
        FIELDS.map(register)
    };
    let mut fields = look();
    for _ in 0..4 {
        let again = look();
        if again == fields {
            break;
        }
        fields = again;
    }
    decode(fields, register(STATUS_B)).unwrap_or(0)
}

/// Seconds since 1970 of the registers' values; years are of this century. `None` for what no clock shows.
fn decode([second, minute, hour, day, month, year]: [u8; 6], mode: u8) -> Option<u64> {
    let number = |value: u8| {
        let decimal = value & 0x0f < 10 && value >> 4 < 10;
        let read = if mode & BINARY != 0 { value } else { (value >> 4) * 10 + (value & 0x0f) };
        (mode & BINARY != 0 || decimal).then_some(u64::from(read))
    };
    let hour = if mode & DAY_OF_24 != 0 {
        number(hour)?
    } else {
        number(hour & !AFTERNOON)? % 12 + if hour & AFTERNOON != 0 { 12 } else { 0 }
    };
    let (second, minute, day, month) = (number(second)?, number(minute)?, number(day)?, number(month)?);
    let year = 2000 + number(year)?;
    let possible = second < 60 && minute < 60 && hour < 24 && (1..=31).contains(&day) && (1..=12).contains(&month);
    if !possible || year > 2099 {
        return None;
    }
    // Days since 1970 in the proleptic Gregorian calendar, years beginning in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_and_both_kinds_of_day() {
        // 2026-11-24 14:35:59.
        let right = Some(1_795_530_959);
        assert_eq!(decode([0x59, 0x35, 0x14, 0x24, 0x11, 0x26], 0b10), right);
        assert_eq!(decode([59, 35, 14, 24, 11, 26], 0b110), right);
        assert_eq!(decode([0x59, 0x35, 0x82, 0x24, 0x11, 0x26], 0), right);
        assert_eq!(decode([59, 35, 0x80 | 2, 24, 11, 26], 0b100), right);
        assert_eq!(decode([0, 0, 0x12, 1, 1, 0], 0), Some(946_684_800), "twelve at night");
        assert_eq!(decode([0, 0, 0x92, 1, 1, 0], 0), Some(946_684_800 + 43_200), "noon");
        assert_eq!(decode([0, 0, 0, 0x29, 2, 0], 0b10), Some(951_782_400), "a leap day");
    }

    #[test]
    fn nonsense_is_none() {
        for fields in
            [[0xff; 6], [0x60, 0, 0, 1, 1, 0], [0, 0, 0x24, 1, 1, 0], [0, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0x13, 0]]
        {
            assert_eq!(decode(fields, 0b10), None, "{fields:x?}");
        }
        // Any byte in any place at any setting ends in a number or in none.
        for value in 0..=255 {
            for mode in 0..8 {
                decode([value; 6], mode);
            }
        }
    }

    #[test]
    fn an_absent_clock_is_zero() {
        crate::hosted::init(16 << 20);
        assert_eq!(read(), 0);
    }
}
