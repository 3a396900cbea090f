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
        include_str!("../../../examples/faults/freeze/agent.toml"),
        include_str!("../../../examples/faults/restart/agent.toml"),
        include_str!("../../../tests/agents/busy/agent.toml"),
        include_str!("../../../tests/agents/hello/agent.toml"),
        include_str!("../../../tests/agents/provoke/agent.toml"),
    ] {
        Manifest::parse(text).unwrap();
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    let manifest = Manifest::parse(DIGEST).unwrap();
    assert_eq!((manifest.cwd.as_str(), manifest.memory, manifest.share), ("/", None, None));
    assert!(manifest.env.is_empty());
}

#[test]
fn everything_that_can_be_said() {
    let text =
        format!("{DIGEST}cwd = \"/agent\"\n[env]\nA = \"b=c\"\n[limits]\nmemory = \"2 GiB\"\n[host]\nshare = \"..\"\n");
    let manifest = Manifest::parse(&text).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.image.as_str()), ("digest", "python"));
    assert_eq!(
        (manifest.command.as_slice(), manifest.cwd.as_str()),
        (["python3", "x.py"].map(String::from).as_slice(), "/agent")
    );
    assert_eq!(manifest.env["A"], "b=c");
    assert_eq!((manifest.memory, manifest.share.as_deref()), (Some(2 << 30), Some("..")));
}

#[test]
fn processors_are_shared_by_weight_quota_and_number() {
    let cpu = |text: &str| Manifest::parse(&format!("{DIGEST}[cpu]\n{text}\n")).map(|manifest| manifest.cpu);
    assert_eq!(
        cpu("weight = 300\nquota = \"20ms/100ms\"\naffinity = \"0-2,5\"\nrealtime = true"),
        Ok(Cpu {
            weight: Some(300),
            quota: Some((20_000_000, 100_000_000)),
            affinity: Some(vec![0, 1, 2, 5]),
            realtime: true
        })
    );
    assert_eq!(cpu(""), Ok(Cpu::default()));
    for wrong in [
        "weight = 0",
        "weight = 10001",
        "quota = \"20ms\"",
        "quota = \"20us/100ms\"",
        "quota = \"20ms/2s\"",
        "affinity = \"3-1\"",
        "affinity = \"256\"",
        "affinity = \"\"",
        "realtime = 1",
        "shares = 3",
    ] {
        assert!(cpu(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_a_fault_does_is_the_manifests_choice() {
    let policy = |text: &str| Manifest::parse(&format!("{DIGEST}[fault]\n{text}\n")).map(|manifest| manifest.fault);
    assert_eq!(Manifest::parse(DIGEST).unwrap().fault, FaultPolicy::Kill);
    assert_eq!(policy("policy = \"kill\""), Ok(FaultPolicy::Kill));
    assert_eq!(policy("policy = \"freeze\""), Ok(FaultPolicy::Freeze));
    assert_eq!(policy("policy = \"restart\""), Ok(FaultPolicy::Restart(Restart::default())));
    let (ms, s) = (Duration::from_millis, Duration::from_secs);
    assert_eq!(
        policy("policy = \"restart\"\nretries = 3\nbackoff = \"20 ms\"\nlongest = \"1s\"\nquiet = \"5 s\""),
        Ok(FaultPolicy::Restart(Restart { retries: 3, backoff: ms(20), longest: s(1), quiet: s(5) }))
    );
    let Ok(FaultPolicy::Restart(slow)) = policy("policy = \"restart\"\nbackoff = \"90 s\"") else { panic!() };
    assert_eq!((slow.backoff, slow.longest), (s(90), s(90)));
}

#[test]
fn a_wrong_fault_policy_is_told() {
    let wrong = |text: &str| error(&format!("{DIGEST}[fault]\n{text}\n"));
    assert_eq!(
        wrong("policy = \"core\""),
        "line 5: `policy` in [fault] must be \"kill\", \"freeze\" or \"restart\", not \"core\""
    );
    assert_eq!(wrong(""), "`policy` in [fault] is missing: it must be \"kill\", \"freeze\" or \"restart\"");
    assert_eq!(wrong("policy = \"freeze\"\nretries = 3"), "line 6: `retries` in [fault] is for `policy = \"restart\"`");
    for key in ["retries = 0", "retries = \"5\"", "backoff = 100", "backoff = \"0 ms\"", "quiet = \"2 h\"", "tries = 1"]
    {
        assert!(wrong(&format!("policy = \"restart\"\n{key}")).starts_with("line 6: "), "{key}");
    }
    for key in ["longest = \"3601 s\"", "backoff = \"1\""] {
        assert!(wrong(&format!("policy = \"restart\"\n{key}")).contains("a time such as \"100 ms\""), "{key}");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_its_neighbours() {
    let text = error(&format!("{DIGEST}comand = 1\n"));
    assert!(text.starts_with("line 4: unknown key `comand`") && text.contains("`command`"), "{text}");
    let text = error(&format!("{DIGEST}[limits]\nmemroy = \"1 MiB\"\n"));
    assert_eq!(text, "line 5: unknown key `memroy` in [limits]; known there: `memory`");
    let text = error(&format!("{DIGEST}[limits]\ncwd = \"/tmp\"\n"));
    assert_eq!(text, "line 5: unknown key `cwd` in [limits]; it belongs above the first [table]");
}

#[test]
fn a_wrong_type_is_told_with_line_key_and_what_is_expected() {
    let text = error("name = \"x\"\nimage = \"y\"\ncommand = \"sh\"\n");
    assert_eq!(text, "line 3: `command` must be a list of texts: [\"program\", \"argument\", ...], not \"sh\"");
    let text = error("name = \"x\"\nimage = \"y\"\ncommand = [\n\"sh\",\n7,\n]\n");
    assert!(text.starts_with("line 5: `command` must be a list of texts") && text.ends_with("not 7"), "{text}");
    assert!(error(&format!("{DIGEST}limits = 5\n")).starts_with("line 4: `limits` must be a table, not 5"));
    let text = error(&format!("{DIGEST}[env]\nA = 1\n"));
    assert!(text.starts_with("line 5: `A` in [env] must be a text") && text.ends_with("not 1"), "{text}");
    assert!(error("name = \n").starts_with("line 1: "));
}

#[test]
fn all_that_is_wrong_is_told_at_once_in_order() {
    let faults = Manifest::parse("cwd = \"tmp\"\nname = 5\nimage = \"a/b\"\n[limits]\nmemory = 0\n").unwrap_err().0;
    let lines: Vec<_> = faults.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [None, Some(1), Some(2), Some(3), Some(5)]);
    assert!(faults[0].what.starts_with("`command` is missing: it must be a list of texts"), "{}", faults[0].what);
}

#[test]
fn nonsense_is_refused() {
    assert!(error(&DIGEST.replace("digest", "")).contains("`name`"));
    assert!(error(&DIGEST.replace("digest", &"x".repeat(64))).contains("`name`"));
    assert!(error(&DIGEST.replace("digest", "a\\tb")).contains("`name`"));
    for image in ["", "..", "a/b", "a b"] {
        assert!(error(&DIGEST.replace("python\"", &format!("{image}\""))).contains("`image`"), "{image}");
    }
    assert!(error(&DIGEST.replace("[\"python3\", \"x.py\"]", "[]")).ends_with("not an empty list"));
    assert!(error(&DIGEST.replace("python3", "")).contains("`command`"));
    assert!(error(&DIGEST.replace("x.py", "a\\u0000")).contains("`command`"));
    assert!(error(&format!("{DIGEST}cwd = \"tmp\"\n")).contains("`cwd` must be an absolute path, not \"tmp\""));
    assert!(error(&format!("{DIGEST}[env]\n\"A=B\" = \"c\"\n")).contains("`A=B` in [env]"));
    assert!(error(&format!("{DIGEST}[env]\nA = \"\\u0000\"\n")).contains("`A` in [env]"));
    assert!(error(&format!("{DIGEST}[host]\nshare = \"\"\n")).contains("`share` in [host]"));
    for size in ["\"\"", "\"MiB\"", "\"1 MB\"", "\"-1 MiB\"", "0", "-5", "\"99999999999 GiB\"", "1.5", "true"] {
        let text = error(&format!("{DIGEST}[limits]\nmemory = {size}\n"));
        assert!(text.starts_with("line 5: `memory` in [limits] must be a size such as \"256 MiB\""), "{size}: {text}");
    }
}

#[test]
fn sizes_in_every_unit() {
    for (text, bytes) in [("77", 77), ("77 B", 77), ("4KiB", 4096), (" 1 MiB ", 1 << 20), ("3 GiB", 3 << 30)] {
        assert_eq!(parse_size(text), Some(bytes), "{text}");
    }
    for (written, bytes) in [("1_000_000", 1_000_000), ("0x10_0000", 1 << 20)] {
        let manifest = Manifest::parse(&format!("{DIGEST}[limits]\nmemory = {written}\n")).unwrap();
        assert_eq!(manifest.memory, Some(bytes), "{written}");
    }
}
