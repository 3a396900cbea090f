//! `agent.toml`: what an agent is made of. Version 0 of the format.
//!
//! The tool on the host reads it before it starts a machine, so that a mistake costs no boot; the supervisor reads it
//! again in the guest, because nobody says that the tool started the machine. Both through [`Manifest::parse`].

mod reader;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use aios_abi::native::agent::{MAX_NAME, MAX_STRING_BYTES, MAX_STRINGS};
use reader::{Key, Reader, Table};
use toml::Spanned;
use toml::de::DeValue;

/// Longest path, in bytes, its terminator not included (Linux's `PATH_MAX`).
const MAX_PATH: usize = 4095;

/// A checked manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// For people and logs.
    pub name: String,
    /// What the agent's file tree begins as: an image of the host.
    pub image: String,
    /// Program and arguments; at least the program.
    pub command: Vec<String>,
    /// Absolute working directory.
    pub cwd: String,
    /// Added to the standard environment.
    pub env: BTreeMap<String, String>,
    /// Bytes of memory, at least one; `None` leaves it to the kernel.
    pub memory: Option<u64>,
    /// What it gets of the CPUs.
    pub cpu: Cpu,
    /// What happens when it does what the processor refuses.
    pub fault: FaultPolicy,
    /// The host directory that becomes `/share`, relative to the manifest.
    pub share: Option<String>,
}

/// The table `[cpu]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Share against other agents, 1 to 10,000; `None` is the usual 100.
    pub weight: Option<u32>,
    /// Nanoseconds on CPUs in each period of so many nanoseconds.
    pub quota: Option<(u64, u64)>,
    /// The CPUs it may run on, by number.
    pub affinity: Option<Vec<usize>>,
    /// Its programs may use real-time classes.
    pub realtime: bool,
}

/// The table `[fault]`: what happens when a program of the agent does what the processor refuses and has no handler for the
/// signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaultPolicy {
    /// The process ends, as on Linux; the agent with its first one.
    #[default]
    Kill,
    /// The agent is stopped as it is, to be looked at.
    Freeze,
    /// As `Kill`; an agent that ended by it is started anew.
    Restart(Restart),
}

/// How often an agent is started anew, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Starts after the first one, at least one, until it has been quiet.
    pub retries: u32,
    /// What is waited before the first of them; twice that before the next, and so on.
    pub backoff: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// An agent that lived so long begins to count anew.
    pub quiet: Duration,
}

impl Default for Restart {
    fn default() -> Restart {
        Restart {
            retries: 5,
            backoff: Duration::from_millis(100),
            longest: Duration::from_secs(30),
            quiet: Duration::from_secs(60),
        }
    }
}

/// One thing that is wrong, and in which line; a key that is missing has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub line: Option<usize>,
    pub what: String,
}

/// Everything that is wrong with a manifest, by line; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            if let Some(line) = fault.line {
                write!(f, "line {line}: ")?;
            }
            f.write_str(&fault.what)?;
        }
        Ok(())
    }
}

const NAME: Key = Key { name: "name", expected: "a text of 1 to 63 bytes without control characters" };
const IMAGE: Key = Key { name: "image", expected: "the name of an image, for example \"base\" or \"python\"" };
const COMMAND: Key = Key { name: "command", expected: "a list of texts: [\"program\", \"argument\", ...]" };
const CWD: Key = Key { name: "cwd", expected: "an absolute path" };
const ENV: Key = Key { name: "env", expected: "a table of texts" };
const LIMITS: Key = Key { name: "limits", expected: "a table" };
const CPU: Key = Key { name: "cpu", expected: "a table" };
const HOST: Key = Key { name: "host", expected: "a table" };
const FAULT: Key = Key { name: "fault", expected: "a table" };
const TOP: &[Key] = &[NAME, IMAGE, COMMAND, CWD, ENV, LIMITS, CPU, FAULT, HOST];

const MEMORY: Key =
    Key { name: "memory", expected: "a size such as \"256 MiB\" (KiB, MiB, GiB) or a number of bytes, not 0" };
const WEIGHT: Key = Key { name: "weight", expected: "a number from 1 to 10000" };
const QUOTA: Key = Key {
    name: "quota",
    expected: "times such as \"20ms/100ms\" (us, ms, s): at least 1ms, in each period of 1ms to 1s",
};
const AFFINITY: Key = Key { name: "affinity", expected: "a list of processors such as \"0-3,6\", below 256" };
const REALTIME: Key = Key { name: "realtime", expected: "true or false" };
const POLICY: Key = Key { name: "policy", expected: "\"kill\", \"freeze\" or \"restart\"" };
const RETRIES: Key = Key { name: "retries", expected: "a number from 1 to 1000000" };
const BACKOFF: Key = Key { name: "backoff", expected: A_TIME };
const LONGEST: Key = Key { name: "longest", expected: A_TIME };
const QUIET: Key = Key { name: "quiet", expected: A_TIME };
const A_TIME: &str = "a time such as \"100 ms\" (us, ms, s), from 1 ms to 3600 s";
/// Keys that mean something only with that policy.
const OF_RESTART: &[Key] = &[RETRIES, BACKOFF, LONGEST, QUIET];
const SHARE: Key = Key { name: "share", expected: "the path of a directory, relative to this file" };

const VARIABLE: &str = "a text; its name may not be empty or hold `=`";

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// All that is wrong with it; only the first thing where it is not even TOML.
    pub fn parse(text: &str) -> Result<Manifest, Faults> {
        let document = reader::document(text)?;
        let (mut reader, root) = (Reader::new(text), Table::root(&document));
        reader.only(&root, TOP, &[]);
        let manifest = Manifest {
            name: reader.required(&root, NAME, name),
            image: reader.required(&root, IMAGE, image),
            command: reader.required(&root, COMMAND, command),
            cwd: reader.optional(&root, CWD, absolute).unwrap_or_else(|| "/".to_owned()),
            env: reader.table(&root, ENV).map_or_else(BTreeMap::new, |table| variables(&mut reader, &table)),
            memory: reader.table(&root, LIMITS).and_then(|table| {
                reader.only(&table, &[MEMORY], TOP);
                reader.optional(&table, MEMORY, size)
            }),
            cpu: reader.table(&root, CPU).map_or_else(Cpu::default, |table| {
                reader.only(&table, &[WEIGHT, QUOTA, AFFINITY, REALTIME], TOP);
                Cpu {
                    weight: reader.optional(&table, WEIGHT, weight),
                    quota: reader.optional(&table, QUOTA, quota),
                    affinity: reader.optional(&table, AFFINITY, processors),
                    realtime: reader.optional(&table, REALTIME, flag).unwrap_or(false),
                }
            }),
            fault: reader.table(&root, FAULT).map_or_else(FaultPolicy::default, |table| fault(&mut reader, &table)),
            share: reader.table(&root, HOST).and_then(|table| {
                reader.only(&table, &[SHARE], TOP);
                reader.optional(&table, SHARE, path)
            }),
        };
        reader.finish(manifest)
    }
}

type Value<'t> = Spanned<DeValue<'t>>;

/// A text that can be passed to a program, which ends at a zero byte.
fn text<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    value.get_ref().as_str().filter(|text| !text.contains('\0'))
}

fn name<'v, 't>(value: &'v Value<'t>) -> Result<String, &'v Value<'t>> {
    let sound = |name: &&str| !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control);
    text(value).filter(sound).map(str::to_owned).ok_or(value)
}

fn image<'v, 't>(value: &'v Value<'t>) -> Result<String, &'v Value<'t>> {
    let plain = |name: &&str| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    text(value).filter(plain).map(str::to_owned).ok_or(value)
}

fn command<'v, 't>(value: &'v Value<'t>) -> Result<Vec<String>, &'v Value<'t>> {
    let list = value.get_ref().as_array().ok_or(value)?;
    let words: Vec<String> =
        list.iter().map(|word| text(word).map(str::to_owned).ok_or(word)).collect::<Result<_, _>>()?;
    let bytes: usize = words.iter().map(|word| word.len() + 1).sum();
    let sound = words.first().is_some_and(|program| !program.is_empty());
    if sound && words.len() <= MAX_STRINGS && bytes <= MAX_STRING_BYTES { Ok(words) } else { Err(value) }
}

fn path<'v, 't>(value: &'v Value<'t>) -> Result<String, &'v Value<'t>> {
    text(value).filter(|path| !path.is_empty() && path.len() <= MAX_PATH).map(str::to_owned).ok_or(value)
}

fn absolute<'v, 't>(value: &'v Value<'t>) -> Result<String, &'v Value<'t>> {
    path(value).and_then(|path| if path.starts_with('/') { Ok(path) } else { Err(value) })
}

fn variables(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (key, value) in table.entries() {
        let name = key.get_ref().as_ref();
        let sound = !name.is_empty() && !name.contains(['=', '\0']);
        match text(value).filter(|_| sound) {
            Some(text) => {
                all.insert(name.to_owned(), text.to_owned());
            }
            None => reader.wrong(table, name, VARIABLE, value),
        }
    }
    all
}

fn fault(reader: &mut Reader<'_>, table: &Table<'_, '_>) -> FaultPolicy {
    reader.only(table, &[POLICY, RETRIES, BACKOFF, LONGEST, QUIET], TOP);
    let policy = reader.required(table, POLICY, |value| match text(value) {
        Some("kill") => Ok(FaultPolicy::Kill),
        Some("freeze") => Ok(FaultPolicy::Freeze),
        Some("restart") => Ok(FaultPolicy::Restart(Restart::default())),
        _ => Err(value),
    });
    let FaultPolicy::Restart(usual) = policy else {
        for key in OF_RESTART {
            reader.unwanted(table, *key, "is for `policy = \"restart\"`");
        }
        return policy;
    };
    let restart = Restart {
        retries: reader.optional(table, RETRIES, retries).unwrap_or(usual.retries),
        backoff: reader.optional(table, BACKOFF, time).unwrap_or(usual.backoff),
        longest: reader.optional(table, LONGEST, time).unwrap_or(usual.longest),
        quiet: reader.optional(table, QUIET, time).unwrap_or(usual.quiet),
    };
    // A first wait that is longer than the usual longest one, which nobody wrote, is the longest.
    FaultPolicy::Restart(Restart { longest: restart.longest.max(restart.backoff), ..restart })
}

fn retries<'v, 't>(value: &'v Value<'t>) -> Result<u32, &'v Value<'t>> {
    number(value).filter(|retries| (1..=1_000_000).contains(retries)).ok_or(value)
}

fn time<'v, 't>(value: &'v Value<'t>) -> Result<Duration, &'v Value<'t>> {
    let sound = |time: &Duration| (Duration::from_millis(1)..=Duration::from_secs(3600)).contains(time);
    text(value).and_then(parse_time).map(Duration::from_nanos).filter(sound).ok_or(value)
}

fn number(value: &Value<'_>) -> Option<u32> {
    match value.get_ref() {
        DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    }
}

fn flag<'v, 't>(value: &'v Value<'t>) -> Result<bool, &'v Value<'t>> {
    value.get_ref().as_bool().ok_or(value)
}

fn weight<'v, 't>(value: &'v Value<'t>) -> Result<u32, &'v Value<'t>> {
    number(value).filter(|weight| (1..=10_000).contains(weight)).ok_or(value)
}

/// `20ms/100ms`: how long in which time, in nanoseconds.
fn quota<'v, 't>(value: &'v Value<'t>) -> Result<(u64, u64), &'v Value<'t>> {
    let parse = |text: &str| {
        let (quota, period) = text.split_once('/')?;
        Some((parse_time(quota)?, parse_time(period)?))
    };
    let sound = |(quota, period): &(u64, u64)| {
        (1_000_000..1 << 40).contains(quota) && (1_000_000..=1_000_000_000).contains(period)
    };
    text(value).and_then(parse).filter(sound).ok_or(value)
}

fn parse_time(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let factor: u64 = match unit.trim() {
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// `0-3,6`: numbers of processors.
fn processors<'v, 't>(value: &'v Value<'t>) -> Result<Vec<usize>, &'v Value<'t>> {
    let parse = |list: &str| {
        let mut all = Vec::new();
        for part in list.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            if first > last || last > 255 {
                return None;
            }
            all.extend(first..=last);
        }
        Some(all)
    };
    text(value).and_then(parse).ok_or(value)
}

/// A size: bytes as a number, or a text such as `256 MiB`.
fn size<'v, 't>(value: &'v Value<'t>) -> Result<u64, &'v Value<'t>> {
    let bytes = match value.get_ref() {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        DeValue::String(text) => parse_size(text),
        _ => None,
    };
    bytes.filter(|bytes| *bytes > 0).ok_or(value)
}

fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests;
