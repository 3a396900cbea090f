//! Builds the argument of AgentSpawn from a manifest and makes the call.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use aios_abi::native::agent::{AgentId, bind_flag};
use aios_manifest::{FaultPolicy, Manifest};

use crate::cmdline::Cmdline;
use crate::error::{Context, Error};
use crate::mounts;
use crate::native::{self, Bind, Request};
use crate::streams::Streams;

/// Environment of an agent that its manifest can override.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("HOME", "/root"),
    ("LANG", "C.UTF-8"),
    ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"),
    ("TERM", "vt220"),
    ("USER", "root"),
];

/// Spawns the agent with these standard streams, after it was started `restarts` times before.
pub fn spawn(manifest: &Manifest, cmdline: &Cmdline, streams: &Streams, restarts: u32) -> Result<AgentId, Error> {
    let argv = command(manifest, cmdline);
    let env = environment(manifest, cmdline, restarts);
    let mut binds = Vec::new();
    if cmdline.mode == crate::cmdline::Mode::Run {
        binds.push(Bind { source: mounts::AGENT, target: "/agent", flags: bind_flag::READ_ONLY });
    }
    if cmdline.share {
        binds.push(Bind { source: mounts::SHARE, target: "/share", flags: 0 });
    }
    native::spawn(&Request {
        name: &manifest.name,
        image: mounts::IMAGE,
        binds: &binds,
        argv: &argv,
        env: &env,
        cwd: &manifest.cwd,
        stdio: streams.stdio(),
        terminal: streams.console.as_fd(),
        memory_limit: manifest.memory.unwrap_or(0),
        cpu: &manifest.cpu,
        freeze_on_fault: manifest.fault == FaultPolicy::Freeze,
    })
    .context(&format!("cannot spawn agent {} ({})", manifest.name, manifest.command.join(" ")))
}

fn command(manifest: &Manifest, cmdline: &Cmdline) -> Vec<Vec<u8>> {
    manifest.command.iter().map(|word| word.as_bytes().to_vec()).chain(cmdline.args.iter().cloned()).collect()
}

fn environment(manifest: &Manifest, cmdline: &Cmdline, restarts: u32) -> Vec<Vec<u8>> {
    let restarts = restarts.to_string();
    let mut all: BTreeMap<&str, &str> = ENVIRONMENT.iter().copied().collect();
    all.extend(cmdline.term.as_deref().map(|term| ("TERM", term)));
    all.insert("AIOS_AGENT", &manifest.name);
    if let FaultPolicy::Restart(_) = manifest.fault {
        all.insert("AIOS_RESTARTS", &restarts);
    }
    all.extend(manifest.env.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    all.iter().map(|(key, value)| format!("{key}={value}").into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_overrides_and_arguments_are_added() {
        let manifest =
            Manifest::parse("name=\"n\"\nimage=\"i\"\ncommand=[\"p\",\"q\"]\nenv={TERM=\"dumb\",X=\"1\"}").unwrap();
        let cmdline = Cmdline::parse("aios.run aios.args=r aios.term=xterm").unwrap();
        assert_eq!(command(&manifest, &cmdline), [b"p", b"q", b"r"]);
        let environment = environment(&manifest, &cmdline, 0);
        for wanted in ["TERM=dumb", "X=1", "AIOS_AGENT=n", "HOME=/root"] {
            assert!(environment.contains(&wanted.as_bytes().to_vec()), "{wanted}");
        }
        let count = |name: &[u8]| environment.iter().filter(|entry| entry.starts_with(name)).count();
        assert_eq!((count(b"TERM="), count(b"AIOS_RESTARTS=")), (1, 0));
    }

    #[test]
    fn an_agent_that_is_started_anew_is_told_so() {
        let text = "name=\"n\"\nimage=\"i\"\ncommand=[\"p\"]\nfault={policy=\"restart\"}";
        let cmdline = Cmdline::parse("aios.run").unwrap();
        let environment = environment(&Manifest::parse(text).unwrap(), &cmdline, 3);
        assert!(environment.contains(&b"AIOS_RESTARTS=3".to_vec()));
    }
}
