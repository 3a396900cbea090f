//! Typed reading of a TOML file that goes on after a mistake, so that all of them are told at once, each with its line,
//! its key and what was expected there.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::{Fault, Faults};

/// Most characters of a wrong value that are shown.
const SHOWN: usize = 40;

/// A key, and what its value must be, to be read after "must be".
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub name: &'static str,
    pub expected: &'static str,
}

/// A table of the file: the file itself, or one with a name.
pub(crate) struct Table<'f, 't> {
    name: Option<&'static str>,
    entries: &'f DeTable<'t>,
}

impl<'f, 't> Table<'f, 't> {
    /// The file itself.
    pub fn root(document: &'f Spanned<DeTable<'t>>) -> Table<'f, 't> {
        Table { name: None, entries: document.get_ref() }
    }

    pub fn entries(&self) -> impl Iterator<Item = (&'f Spanned<DeString<'t>>, &'f Spanned<DeValue<'t>>)> {
        self.entries.iter()
    }

    fn get(&self, key: Key) -> Option<&'f Spanned<DeValue<'t>>> {
        self.entries.get(key.name)
    }

    /// How a key of it is called in a message.
    fn path(&self, key: &str) -> String {
        match self.name {
            Some(table) => format!("`{key}` in [{table}]"),
            None => format!("`{key}`"),
        }
    }
}

/// The file as tables.
///
/// # Errors
/// The first place that is not TOML.
pub(crate) fn document(text: &str) -> Result<Spanned<DeTable<'_>>, Faults> {
    DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| line(text, span.start));
        Faults(vec![Fault { line, what: error.message().replace('\n', " ") }])
    })
}

/// The line, from 1, that an offset lies in.
fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// Collects what is wrong.
pub(crate) struct Reader<'t> {
    text: &'t str,
    faults: Vec<Fault>,
}

impl<'t> Reader<'t> {
    pub fn new(text: &'t str) -> Reader<'t> {
        Reader { text, faults: Vec::new() }
    }

    /// Refuses keys of `table` that are not in `known`: a misspelt limit would be none.
    pub fn only(&mut self, table: &Table<'_, '_>, known: &[Key], elsewhere: &[Key]) {
        for (key, _) in table.entries() {
            let name = key.get_ref().as_ref();
            if known.iter().any(|known| known.name == name) {
                continue;
            }
            let place = table.name.map_or_else(String::new, |table| format!(" in [{table}]"));
            let names: Vec<String> = known.iter().map(|key| format!("`{}`", key.name)).collect();
            let hint = if elsewhere.iter().any(|key| key.name == name) {
                "; it belongs above the first [table]".to_owned()
            } else {
                format!("; known there: {}", names.join(", "))
            };
            self.fault(key.span().start, format!("unknown key `{}`{place}{hint}", name.escape_debug()));
        }
    }

    /// The value of a key that may be missing.
    pub fn optional<'f, 'v, T>(
        &mut self,
        table: &Table<'f, 'v>,
        key: Key,
        read: fn(&'f Spanned<DeValue<'v>>) -> Result<T, &'f Spanned<DeValue<'v>>>,
    ) -> Option<T> {
        match read(table.get(key)?) {
            Ok(value) => Some(value),
            Err(value) => {
                self.wrong(table, key.name, key.expected, value);
                None
            }
        }
    }

    /// The value of a key that must be there; the type's default where it is not, or is wrong.
    pub fn required<'f, 'v, T: Default>(
        &mut self,
        table: &Table<'f, 'v>,
        key: Key,
        read: fn(&'f Spanned<DeValue<'v>>) -> Result<T, &'f Spanned<DeValue<'v>>>,
    ) -> T {
        if table.get(key).is_none() {
            let what = format!("{} is missing: it must be {}", table.path(key.name), key.expected);
            self.faults.push(Fault { line: None, what });
        }
        self.optional(table, key, read).unwrap_or_default()
    }

    /// The table of that name, where there is one.
    pub fn table<'f, 'v>(&mut self, parent: &Table<'f, 'v>, key: Key) -> Option<Table<'f, 'v>> {
        let entries = self.optional(parent, key, |value| value.get_ref().as_table().ok_or(value))?;
        Some(Table { name: Some(key.name), entries })
    }

    /// Refuses a key that is known, but not here.
    pub fn unwanted(&mut self, table: &Table<'_, '_>, key: Key, why: &str) {
        if let Some(value) = table.get(key) {
            self.fault(value.span().start, format!("{} {why}", table.path(key.name)));
        }
    }

    /// Says that `value` is not what `key` wants.
    pub fn wrong(&mut self, table: &Table<'_, '_>, key: &str, expected: &str, value: &Spanned<DeValue<'_>>) {
        let what = format!("{} must be {expected}, not {}", table.path(key), shown(value.get_ref()));
        self.fault(value.span().start, what);
    }

    fn fault(&mut self, at: usize, what: String) {
        self.faults.push(Fault { line: Some(line(self.text, at)), what });
    }

    /// The result, or all that was wrong, by line.
    pub fn finish<T>(mut self, result: T) -> Result<T, Faults> {
        self.faults.sort_by_key(|fault| fault.line);
        if self.faults.is_empty() { Ok(result) } else { Err(Faults(self.faults)) }
    }
}

/// A value as a message shows it.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() <= SHOWN => format!("{:?}", text.as_ref()),
        DeValue::String(text) => format!("{:?}...", text.chars().take(SHOWN).collect::<String>()),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(list) if list.is_empty() => "an empty list".to_owned(),
        DeValue::Array(_) => "this list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
