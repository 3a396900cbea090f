//! `agent.toml`: what an agent is made of. Version 0 of the format.

use std::collections::BTreeMap;

use aios_abi::native::agent::MAX_NAME;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::error::Error;

/// A checked manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// For people and logs.
    pub name: String,
    /// The image that the host made ready; what it is called matters to the host only.
    #[serde(rename = "image")]
    _image: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Working directory.
    #[serde(default = "root")]
    pub cwd: String,
    /// Added to the standard environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default, rename = "host")]
    _host: Host,
}

/// The `[limits]` table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of memory; none is what the machine has.
    #[serde(default, deserialize_with = "memory")]
    pub memory: Option<u64>,
}

/// The `[host]` table: read by the tool on the host, known here so that its misspelling is an error here too.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    #[serde(default, rename = "share")]
    _share: Option<String>,
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// One line with the line number of the file and what is wrong there.
    pub fn parse(text: &str) -> Result<Manifest, Error> {
        let manifest: Manifest = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                text.bytes().take(span.start).filter(|&byte| byte == b'\n').count().saturating_add(1)
            });
            Error::new(format!("agent.toml, line {line}: {}", error.message().replace('\n', " ")))
        })?;
        match manifest.fault() {
            Some(fault) => Err(Error::new(format!("agent.toml: {fault}"))),
            None => Ok(manifest),
        }
    }

    /// The agent of an interactive machine.
    pub fn shell() -> Manifest {
        Manifest {
            name: "shell".into(),
            _image: String::new(),
            command: vec!["bash".into(), "-i".into()],
            cwd: "/root".into(),
            env: BTreeMap::new(),
            limits: Limits::default(),
            _host: Host::default(),
        }
    }

    /// What is wrong although the form is right.
    fn fault(&self) -> Option<String> {
        if self.name.is_empty() || self.name.len() > MAX_NAME || self.name.chars().any(char::is_control) {
            return Some(format!("`name` must be 1 to {MAX_NAME} bytes without control characters"));
        }
        if self.command.first().is_none_or(String::is_empty) {
            return Some("`command` must name a program: [\"program\", \"argument\", ...]".into());
        }
        if !self.cwd.starts_with('/') {
            return Some(format!("`cwd` must be an absolute path, not `{}`", self.cwd));
        }
        if let Some(key) = self.env.keys().find(|key| key.is_empty() || key.contains('=')) {
            return Some(format!("`{key}` in [env] is not the name of a variable"));
        }
        let texts = self.command.iter().chain(self.env.keys()).chain(self.env.values()).chain([&self.cwd]);
        if texts.into_iter().any(|text| text.contains('\0')) {
            return Some("a zero byte cannot be passed to a program".into());
        }
        None
    }
}

fn root() -> String {
    "/".into()
}

/// A size: bytes as a number, or a text such as `256 MiB`.
fn memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Bytes(u64),
        Text(String),
    }
    let wrong = || D::Error::custom("memory must be a number of bytes or a text such as \"256 MiB\" (KiB, MiB, GiB)");
    let bytes = match Size::deserialize(deserializer).map_err(|_| wrong())? {
        Size::Bytes(bytes) => Some(bytes),
        Size::Text(text) => parse_size(&text),
    };
    bytes.filter(|&bytes| bytes > 0).map(Some).ok_or_else(wrong)
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
mod tests {
    use super::*;

    const DIGEST: &str = "name = \"digest\"\nimage = \"python\"\ncommand = [\"python3\", \"x.py\"]\n";

    fn error(text: &str) -> String {
        Manifest::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_examples_are_sound() {
        for text in [
            include_str!("../../../examples/digest/agent.toml"),
            include_str!("../../../examples/shell/agent.toml"),
            include_str!("../../../examples/faults/agent.toml"),
        ] {
            Manifest::parse(text).unwrap();
        }
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let manifest = Manifest::parse(DIGEST).unwrap();
        assert_eq!((manifest.cwd.as_str(), manifest.limits.memory, manifest.env.len()), ("/", None, 0));
    }

    #[test]
    fn everything_that_can_be_said() {
        let text = format!(
            "{DIGEST}cwd = \"/agent\"\n[env]\nA = \"b=c\"\n[limits]\nmemory = \"2 GiB\"\n[host]\nshare = \"..\"\n"
        );
        let manifest = Manifest::parse(&text).unwrap();
        assert_eq!(manifest.command, ["python3", "x.py"]);
        assert_eq!(manifest.env["A"], "b=c");
        assert_eq!(manifest.limits.memory, Some(2 << 30));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let text = error(&format!("{DIGEST}comand = 1\n"));
        assert!(text.contains("line 4") && text.contains("`comand`"), "{text}");
        let text = error(&format!("{DIGEST}[limits]\nmemroy = \"1 MiB\"\n"));
        assert!(text.contains("line 5") && text.contains("`memroy`"), "{text}");
    }

    #[test]
    fn a_missing_key_and_a_wrong_type_are_named() {
        assert!(error("name = \"x\"\nimage = \"y\"\n").contains("`command`"));
        let text = error("name = \"x\"\nimage = \"y\"\ncommand = \"sh\"\n");
        assert!(text.contains("line 3") && !text.contains('\n'), "{text}");
        assert!(error("name = \n").contains("line 1"));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(error(&DIGEST.replace("digest", "")).contains("`name`"));
        assert!(error(&DIGEST.replace("digest", &"x".repeat(64))).contains("`name`"));
        assert!(error(&DIGEST.replace("[\"python3\", \"x.py\"]", "[]")).contains("`command`"));
        assert!(error(&format!("{DIGEST}cwd = \"tmp\"\n")).contains("`cwd`"));
        assert!(error(&format!("{DIGEST}[env]\n\"A=B\" = \"c\"\n")).contains("[env]"));
        assert!(error(&format!("{DIGEST}[env]\nA = \"\\u0000\"\n")).contains("zero byte"));
        for size in ["\"\"", "\"MiB\"", "\"1 MB\"", "\"-1 MiB\"", "0", "-5", "\"99999999999 GiB\"", "1.5"] {
            let text = error(&format!("{DIGEST}[limits]\nmemory = {size}\n"));
            assert!(text.contains("256 MiB"), "{size}: {text}");
        }
    }

    #[test]
    fn sizes_in_every_unit() {
        for (text, bytes) in [("77", 77), ("77 B", 77), ("4KiB", 4096), (" 1 MiB ", 1 << 20), ("3 GiB", 3 << 30)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
    }
}
