//! Bad input: exit 2, a message that names the file and the place, no panic, and nothing written.

use std::fs;

use crate::runner::{Desk, Done, THREE};

/// Refused as it should be: each part is in the message, and no report was begun.
fn assert_refused(desk: &Desk, done: &Done, parts: &[&str]) {
    assert_eq!(done.code, 2, "{done:?}");
    assert_eq!(done.out, "", "nothing on stdout: {done:?}");
    for part in parts {
        assert!(done.err.contains(part), "{part:?} is not in: {}", done.err);
    }
    for word in ["panicked", "RUST_BACKTRACE", "unwrap", "src/", "Error {"] {
        assert!(!done.err.contains(word), "{word:?} is in: {}", done.err);
    }
    assert!(done.err.len() < 8000, "a flood: {} bytes", done.err.len());
    assert!(!desk.path("reports").exists(), "something was written");
}

fn refuse(desk: &Desk, arguments: &[&str], parts: &[&str]) {
    assert_refused(desk, &desk.run(arguments), parts);
}

/// A scenario text that must be refused, by every command that reads one.
fn refuse_text(text: &str, parts: &[&str]) {
    let desk = Desk::new();
    desk.write("s.toml", text);
    refuse(&desk, &["s.toml", "--seed", "1", "--json"], parts);
    refuse(&desk, &["expand", "s.toml", "--seed", "1"], parts);
    refuse(&desk, &["s.toml", "--seeds", "0..3", "--json"], parts);
}

#[test]
fn all_mistakes_of_a_scenario_are_said_at_once() {
    let text = r#"title = "many mistakes"
colour = "red"
[cluster]
serverz = 3
servers = 3
[time]
run = "60"
settle = 5
[[workload]]
kind = "kw"
[[step]]
id = "a"
do = "kil"
[[step]]
id = "b"
do = "kill"
target = "n9"
[[step]]
after = "aa + 2s"
do = "note"
text = "{n7} is gone"
[[step]]
at = "5s..3s"
do = "note"
text = "x"
[[expect]]
eventually = "one-leadr"
[[expect]]
violates = "liveliness"
"#;
    let parts = [
        "s.toml:2:1",
        "\"colour\"",
        "s.toml:4:1",
        "\"serverz\"",
        "did you mean \"servers\"?",
        "s.toml:7:8",
        "write \"60s\"",
        "s.toml:8:10",
        "write \"5s\"",
        "s.toml:10:",
        "\"kw\"",
        "s.toml:13:7",
        "did you mean \"kill\"?",
        "s.toml:17:",
        "n9",
        "s.toml:19:",
        "\"aa\"",
        "s.toml:21:",
        "n7",
        "s.toml:23:",
        "s.toml:27:",
        "did you mean \"one-leader\"?",
        "s.toml:29:",
        "did you mean \"liveness\"?",
        "^^^^",
    ];
    refuse_text(text, &parts);
}

#[test]
fn scenarios_that_mean_nothing() {
    let step = |step: &str| format!("{THREE}[[step]]\n{step}\n");
    let cycle = "id = \"a\"\nafter = \"b + 1s\"\ndo = \"note\"\ntext = \"x\"\n[[step]]\nid = \"b\"\n\
                 after = \"a\"\ndo = \"note\"\ntext = \"y\"";
    refuse_text(&step(cycle), &["s.toml:", "wait for each other", "\"a\"", "\"b\""]);
    let itself = "id = \"a\"\nafter = \"a\"\ndo = \"note\"\ntext = \"x\"";
    refuse_text(&step(itself), &["s.toml:7:", "\"a\""]);
    refuse_text(&step("do = \"kill\"\ntarget = \"random:0\""), &["s.toml:7:", "random"]);
    refuse_text(&step("do = \"kill\"\ntarget = \"random:4\""), &["s.toml:7:", "random"]);
    refuse_text(&step("do = \"kill\"\ntarget = \"client:any\""), &["s.toml:7:", "no clients"]);
    refuse_text(&step("do = \"kill\"\ntarget = \"same-as:x\""), &["s.toml:7:", "\"x\""]);
    refuse_text(&step("do = \"kill\"\ntarget = \"users\""), &["s.toml:7:", "partition"]);
    for (target, why) in [
        ("holder:", "the key of a lock"),
        ("not(service:)", "the name of a service"),
        ("holder:a(b)", "no parentheses"),
        ("holdr:a", "\"holder:\""),
        ("dc:dc2", "not built"),
    ] {
        refuse_text(&step(&format!("do = \"kill\"\ntarget = \"{target}\"")), &["s.toml:7:", why]);
    }
    refuse_text(&step("do = \"wait\"\nuntil = \"locked\""), &["s.toml:7:", "the key of a lock"]);
    refuse_text(&step("do = \"kill\""), &["s.toml:6:", "needs `target`"]);
    refuse_text(&step("do = \"note\"\ntext = \"x\"\nfor = \"2s\""), &["s.toml:8:", "undo"]);
    refuse_text(&step("do = \"upgrade\"\ntarget = \"n1\""), &["s.toml:6:", "not built"]);
    refuse_text(&step("do = \"wait\"\nfor = 5"), &["s.toml:7:", "\"5s\""]);
    refuse_text(
        &step("at = \"1s\"\nafter = \"leader-elected\"\ndo = \"note\"\ntext = \"x\""),
        &["s.toml:7:", "exclude"],
    );
    refuse_text("title = \"x\"\n[cluster]\nservers = 0\n", &["s.toml:3:11", "1 to 99"]);
    refuse_text("title = \"x\"\n[cluster]\nservers = [\"leader\"]\n", &["s.toml:3:12", "leader"]);
    refuse_text("title = \"x\"\n[network]\nloss = \"3/2\"\n", &["s.toml:3:"]);
    refuse_text("title = \"x\"\n[network]\nloss = \"1/0\"\n", &["s.toml:3:"]);
    refuse_text("title = \"x\"\n[time]\nrun = \"999999999999h\"\n", &["s.toml:3:"]);
    refuse_text("story = \"no title\"\n", &["s.toml:", "title"]);
    refuse_text("title = \"x\"\ntitle = \"y\"\n", &["s.toml:2:"]);
    refuse_text("title = \"x\"\ninclude = [\"nowhere.toml\"]\n", &["nowhere.toml"]);
    refuse_text("title = \"x\"\ninclude = [\"s.toml\"]\n", &["s.toml"]);
}

#[test]
fn files_that_are_no_scenario() {
    let desk = Desk::new();
    let seed = ["--seed", "1"];
    let refuse_file = |name: &str, parts: &[&str]| {
        refuse(&desk, &[&[name], &seed[..]].concat(), parts);
        refuse(&desk, &[&["expand", name], &seed[..]].concat(), parts);
    };
    refuse_file("nowhere.toml", &["nowhere.toml", "no such file"]);
    fs::create_dir(desk.path("folder")).expect("a folder");
    refuse_file("folder", &["folder", "is a folder"]);
    desk.write("empty.toml", "");
    refuse_file("empty.toml", &["empty.toml", "empty"]);
    desk.write("latin1.toml", b"title = \"x\"\n# caf\xe9\n");
    refuse_file("latin1.toml", &["latin1.toml:2:", "UTF-8"]);
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut garbage = Vec::with_capacity(10_000_000);
    while garbage.len() < 10_000_000 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        garbage.extend_from_slice(&noise.to_le_bytes());
    }
    desk.write("garbage.toml", garbage);
    refuse_file("garbage.toml", &["garbage.toml"]);
    desk.write("deep.toml", "a = ".to_owned() + &"[".repeat(900_000));
    refuse_file("deep.toml", &["deep.toml"]);
    desk.write("many.toml", "[[step]]\n".repeat(5_000));
    refuse_file("many.toml", &["many.toml"]);
    desk.write("nul.toml", "title = \"x\"\n\0\0\0");
    refuse_file("nul.toml", &["nul.toml:2:1"]);
    desk.write("history.jsonl", "{}\n{}\n");
    refuse_file("history.jsonl", &["history.jsonl:1:"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::with_leader_loss();
    let path = desk.path("leader_loss.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("our own file");
    if fs::read(&path).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    refuse(&desk, &["leader_loss.toml", "--seed", "1"], &["leader_loss.toml", "ermission"]);
}

#[test]
fn options_that_mean_nothing() {
    let desk = Desk::with_leader_loss();
    let with = |more: &[&str], parts: &[&str]| {
        refuse(&desk, &[&["leader_loss.toml"], more].concat(), parts);
    };
    for seed in ["", "abc", "-1", "0x", "1.5", "1e3", "99999999999999999999999", "4 2"] {
        with(&[&format!("--seed={seed}")], &["seed"]);
    }
    for seeds in ["5..5", "5..3", "5", "..", "0..x", "a..b", "0..=3", "-1..2", ""] {
        with(&[&format!("--seeds={seeds}")], &["--seeds"]);
    }
    with(&["--seeds", "0..2", "--seed", "1"], &["--seed"]);
    with(&["--until-failure"], &["--seeds"]);
    with(&["--seed", "1", "--until-failure"], &["--until-failure"]);
    with(&["--seed", "1", "--plant", "nope"], &["nope", "list"]);
    with(&["--seeds", "0..2", "--plant", "nope"], &["nope", "list"]);
    with(&["--seed", "1", "--no-report", "--out", "x"], &["--no-report"]);
    with(&["--seed", "1", "--jsn"], &["--jsn", "--json"]);
    with(&["--seed", "1", "--set", "nonsense"], &["nonsense"]);
    with(&["--seed", "1", "--set", "cluster.serverz=1"], &["serverz", "servers"]);
    with(&["--seed", "1", "--set", "cluster.servers=none"], &["servers"]);
    with(&["--seed", "1", "--set", "step.third.at=1s"], &["third"]);
    with(&["--seed", "1", "--set", "time.run=5"], &["run", "5s"]);
    with(&["--seed", "1", "--set", "=5"], &["--set"]);
    refuse(&desk, &["list", "nowhere"], &["nowhere"]);
    refuse(&desk, &["list", "leader_loss.toml"], &["leader_loss.toml"]);
    refuse(&desk, &["expnd", "leader_loss.toml"], &["expnd"]);
    refuse(&desk, &["check"], &["PATH"]);
    refuse(&desk, &["diff", "leader_loss.toml"], &["RIGHT"]);
}

#[test]
fn the_nearest_plant_is_named() {
    let desk = Desk::with_leader_loss();
    let list = desk.run(["list", ".", "--json"]).json();
    let plants = list["plants"].as_array().expect("a list");
    let Some(name) = plants.first().and_then(|plant| plant["name"].as_str()) else {
        println!("skipped: this build has no plants");
        return;
    };
    let slip = &name[..name.len() - 1];
    refuse(&desk, &["leader_loss.toml", "--seed", "1", "--plant", slip], &[name]);
}

#[test]
fn places_that_belong_to_somebody_else() {
    let desk = Desk::with_leader_loss();
    let out = |place: &str, parts: &[&str]| {
        let fixed = ["leader_loss.toml", "--seed", "1", "--no-replay", "--out", place];
        refuse(&desk, &fixed, &[&[place], parts].concat());
    };
    fs::create_dir(desk.path("mine")).expect("a folder");
    desk.write("mine/thesis.tex", "years of work");
    out("mine", &["thesis.tex", "--out"]);
    out("mine/thesis.tex", &["not a folder"]);
    out("mine/thesis.tex/below", &[]);
    out("leader_loss.toml", &["not a folder"]);
    out("/", &[]);
    out("", &[]);
    assert_eq!(desk.read("mine/thesis.tex"), "years of work");
    assert_eq!(desk.names("mine"), ["thesis.tex"]);
    assert_eq!(desk.names("."), ["leader_loss.toml", "mine"]);
}

#[test]
fn a_start_that_fails_leaves_the_earlier_report() {
    let desk = Desk::with_leader_loss();
    let arguments = ["leader_loss.toml", "--seed", "1", "--no-replay"];
    assert_eq!(desk.run(arguments).code, 0);
    let before = desk.read("reports/leader_loss-1/verdict.json");
    let good = desk.read("leader_loss.toml");
    desk.write("leader_loss.toml", good + "\n[[step]]\ndo = \"explode\"\n");
    let done = desk.run(arguments);
    assert_eq!(done.code, 2, "{done:?}");
    assert_eq!(desk.read("reports/leader_loss-1/verdict.json"), before);
    assert_eq!(desk.names("reports"), ["leader_loss-1"]);
    assert_eq!(desk.names("reports/leader_loss-1").len(), 5);
}

#[test]
fn evidence_that_is_damaged() {
    let desk = Desk::new();
    desk.write("idle.toml", format!("{THREE}[time]\nrun = \"2s\"\n[[workload]]\nkind = \"kv\"\n"));
    let run = desk.run(["idle.toml", "--seed", "1", "--no-replay", "--out", "good"]);
    assert_eq!(run.code, 0, "{run:?}");
    let (trace, history) = (desk.read("good/trace.jsonl"), desk.read("good/history.jsonl"));
    let damage = |file: &str, content: &[u8], parts: &[&str]| {
        fs::create_dir_all(desk.path("bad")).expect("a folder");
        for name in desk.names("good") {
            fs::copy(desk.path(&format!("good/{name}")), desk.path(&format!("bad/{name}")))
                .expect("a copy");
        }
        desk.write(&format!("bad/{file}"), content);
        refuse(&desk, &["check", "bad"], parts);
        if file == "trace.jsonl" {
            refuse(&desk, &["diff", "good", "bad"], parts);
            refuse(&desk, &["diff", "bad/trace.jsonl", "good"], parts);
        } else {
            refuse(&desk, &["check", "bad/history.jsonl"], parts);
        }
    };
    let line = |text: &str, from: &str, to: &str| text.replacen(from, to, 1).into_bytes();
    damage("trace.jsonl", &trace.as_bytes()[..trace.len() / 2], &["bad/trace.jsonl:"]);
    damage("trace.jsonl", b"", &["bad/trace.jsonl"]);
    damage("trace.jsonl", b"\xff\xfe\x00", &["bad/trace.jsonl"]);
    damage("trace.jsonl", b"[1,2]\n", &["bad/trace.jsonl:1"]);
    damage("trace.jsonl", &line(&trace, "\"n1\"", "\"n77\""), &["bad/trace.jsonl"]);
    damage("trace.jsonl", &line(&trace, "\"t\":\"started\"", "\"t\":\"x\""), &["bad/trace.jsonl:"]);
    damage("history.jsonl", &history.as_bytes()[..history.len() / 2], &["bad/history.jsonl:"]);
    damage("history.jsonl", b"\xff\xfe\x00", &["bad/history.jsonl"]);
    damage("history.jsonl", b"[1,2]\n", &["bad/history.jsonl:1"]);
    damage("history.jsonl", b"{\"a\":1}\n", &["bad/history.jsonl:1"]);
    // Whole lines that are missing leave a trace and a history, but not those of the run.
    let without = |text: &str| {
        let kept: Vec<&str> = text.lines().collect();
        kept[..kept.len() - 5].join("\n") + "\n"
    };
    for (file, text) in [("trace.jsonl", &trace), ("history.jsonl", &history)] {
        fs::copy(desk.path("good/trace.jsonl"), desk.path("bad/trace.jsonl")).expect("a copy");
        fs::copy(desk.path("good/history.jsonl"), desk.path("bad/history.jsonl")).expect("a copy");
        desk.write(&format!("bad/{file}"), without(text));
        refuse(&desk, &["check", "bad"], &[file, "not as the run wrote it", "verdict.json"]);
    }
    for missing in ["nowhere", "."] {
        refuse(&desk, &["check", missing], &[missing]);
        refuse(&desk, &["diff", "good", missing], &[missing]);
    }
}
