//! The promises of the command: keys and types of its JSON, its summary, its files and exit codes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::runner::{Desk, Done, THREE, root};

/// Every property that a run of this version judges, in the order of the language.
const PROPERTIES: [&str; 31] = [
    "script",
    "boot",
    "determinism",
    "no-panic",
    "linearizable",
    "election-safety",
    "log-matching",
    "leader-completeness",
    "state-machine-safety",
    "commit-monotonic",
    "vote-durability",
    "durability",
    "storage-recovery",
    "liveness",
    "gossip-completeness",
    "gossip-accuracy",
    "incarnation-monotonic",
    "no-stale-resurrection",
    "views-converge",
    "user-events",
    "catalog-unique",
    "catalog-matches-agents",
    "no-resurrection",
    "serf-health",
    "no-orphan-checks",
    "lock-exclusion",
    "session-lifetime",
    "index-monotonic",
    "watch-complete",
    "dns-sound",
    "transactions",
];

const FILES: [&str; 5] =
    ["history.jsonl", "report.html", "scenario.toml", "trace.jsonl", "verdict.json"];

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn assert_keys(object: &Value, expected: &[&str]) {
    assert_eq!(keys(object), expected.iter().copied().collect(), "{object}");
}

/// A scenario whose expectation cannot be met.
fn failing() -> String {
    format!("{THREE}[time]\nrun = \"5s\"\n[[expect]]\nseen = \"log-truncated\"\n")
}

/// The arguments of a reproduce command, as a shell would take them.
fn words(command: &str) -> Vec<String> {
    let text = command.strip_prefix("sim-runner ").expect("a command of ours");
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            letter => words.last_mut().expect("one at least").push(letter),
        }
    }
    words
}

fn assert_shape(object: &Value) {
    assert_keys(
        object,
        &[
            "scenario",
            "seed",
            "verdict",
            "trace",
            "replayed",
            "virtual_s",
            "wall_s",
            "speed",
            "events",
            "operations",
            "reads",
            "properties",
            "violations",
            "expected",
            "seen",
            "report",
            "reproduce",
        ],
    );
    assert_keys(&object["operations"], &["ok", "fail", "unknown"]);
    assert_keys(&object["reads"], &["default", "consistent", "stale", "in_window"]);
    for text in ["scenario", "seed", "verdict", "trace", "reproduce"] {
        assert!(object[text].is_string(), "{text}: {object}");
    }
    for number in ["virtual_s", "wall_s", "speed"] {
        assert!(object[number].as_f64().is_some_and(|n| n > 0.0), "{number}: {object}");
    }
    let digest = object["trace"].as_str().expect("a text");
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    assert!(digest.len() == 32 && digest.chars().all(hex), "{digest}");
    assert!(object["events"].is_u64() && object["replayed"].is_boolean());
    for count in object["operations"].as_object().into_iter().flatten() {
        assert!(count.1.is_u64(), "{count:?}");
    }
    let verdicts = ["holds", "violated", "undecided", "skipped", "expected"];
    let mut names = Vec::new();
    for property in object["properties"].as_array().expect("a list") {
        assert_keys(property, &["name", "verdict", "judged"]);
        assert!(verdicts.iter().any(|word| property["verdict"] == *word), "{property}");
        assert!(property["judged"].is_u64(), "{property}");
        names.push(property["name"].as_str().expect("a name").to_owned());
    }
    assert_eq!(names, PROPERTIES);
    for list in ["violations", "expected"] {
        for violation in object[list].as_array().expect("a list") {
            assert_keys(violation, &["property", "at_s", "summary", "signature"]);
            assert!(violation["at_s"].is_f64(), "{violation}");
        }
    }
    assert!(object["seen"].as_array().expect("a list").iter().all(Value::is_string));
}

#[test]
fn the_main_job_keeps_its_promises() {
    let desk = Desk::with_leader_loss();
    let done = desk.run(["leader_loss.toml", "--seed", "42", "--json"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.err, "", "a given seed is not announced, and there is nothing to complain of");
    let object = done.json();
    assert_shape(&object);
    assert_eq!(object["seed"], "42");
    assert_eq!(object["verdict"], "holds");
    assert_eq!(object["replayed"], true);
    assert_eq!(object["violations"], json!([]));
    assert_eq!(object["expected"], json!([]));
    assert_eq!(object["report"], "reports/leader_loss-42/report.html");
    assert_eq!(desk.names("reports"), ["leader_loss-42"]);
    assert_eq!(desk.names("reports/leader_loss-42"), FILES);

    let count = |pointer: &str| object.pointer(pointer).and_then(Value::as_u64).expect("a count");
    let (ok, fail) = (count("/operations/ok"), count("/operations/fail"));
    let ended = ok + fail + count("/operations/unknown");
    assert!(ended >= 1000 && ok * 10 >= ended * 6, "{object}");
    let reads = count("/reads/default") + count("/reads/consistent") + count("/reads/stale");
    assert!(count("/reads/consistent") * 3 >= reads, "{object}");
    for event in ["leader-elected", "leader-lost", "leader-change"] {
        assert!(object["seen"].as_array().expect("a list").contains(&json!(event)), "{event}");
    }

    let file: Value = serde_json::from_str(&desk.read("reports/leader_loss-42/verdict.json"))
        .expect("verdict.json is JSON");
    assert_eq!(file, object, "verdict.json and stdout say the same");

    let again = desk.run(words(object["reproduce"].as_str().expect("a text")));
    assert_summary(&again, &object);
    assert_eq!(desk.names("reports"), ["leader_loss-42"], "a run replaces its own folder only");
    assert_check_agrees(&desk, &object);
}

/// The human summary of the same run.
fn assert_summary(done: &Done, object: &Value) {
    assert_eq!(done.code, 0, "{done:?}");
    let text = &done.out;
    let words = ["HOLDS", "speed", "reports/leader_loss-42/report.html", "1,"];
    for word in words.into_iter().chain(PROPERTIES) {
        assert!(text.contains(word), "{word}: {text}");
    }
    for key in ["trace", "reproduce", "seed"] {
        assert!(text.contains(object[key].as_str().expect("a text")), "{key}: {text}");
    }
    assert!(text.lines().count() < 40, "short: {text}");
    assert!(!text.contains('\u{1b}'), "no colours in a pipe");
}

/// `check` of the folder says what the run said.
fn assert_check_agrees(desk: &Desk, object: &Value) {
    let folder = desk.run(["check", "reports/leader_loss-42", "--json"]);
    assert_eq!(folder.code, 0, "{folder:?}");
    for key in ["verdict", "properties", "violations"] {
        assert_eq!(folder.json()[key], object[key], "{key}");
    }
    let history = desk.run(["check", "reports/leader_loss-42/history.jsonl"]);
    assert_eq!(history.code, 0, "{history:?}");
    assert!(history.out.contains("linearizable") && history.out.contains("holds"), "{history:?}");
}

#[test]
fn options_that_write_less_do_less() {
    let desk = Desk::with_leader_loss();
    let start = ["leader_loss.toml", "--seed", "3", "--json"];
    let quiet = desk.run(start.iter().chain(&["--no-replay", "--no-report"])).json();
    assert_shape(&quiet);
    assert_eq!(quiet["replayed"], false);
    assert_eq!(quiet["report"], Value::Null);
    let determinism = &quiet["properties"][2];
    assert_eq!(determinism["verdict"], "skipped", "what was not replayed is not proven");
    assert_eq!(desk.names("."), ["leader_loss.toml"]);

    let placed = desk.run(start.iter().chain(&["--no-replay", "--out", "a/b/c"])).json();
    assert_eq!(placed["report"], "a/b/c/report.html");
    assert_eq!(placed["trace"], quiet["trace"]);
    assert_eq!(desk.names("a/b"), ["c"]);
    assert_eq!(desk.names("a/b/c"), FILES);
}

#[test]
fn options_that_change_the_run_are_reproduced() {
    let desk = Desk::with_leader_loss();
    desk.write("a b's.toml", desk.read("leader_loss.toml"));
    let changes = ["--set", "title=two words", "--set", "workload.1.keys=2", "--seed", "0x10"];
    let fixed = ["a b's.toml", "--json", "--no-replay", "--no-report"];
    let first = desk.run(fixed.iter().chain(&changes)).json();
    assert_eq!(first["seed"], "0x10");
    let command = first["reproduce"].as_str().expect("a text");
    let shell = format!("{} {} --json --no-replay --no-report", crate::runner::PROGRAM, {
        command.strip_prefix("sim-runner ").expect("a command of ours")
    });
    let mut process = std::process::Command::new("sh");
    process.args(["-c", &shell]).current_dir(desk.path("."));
    let again = Done::of(process.output().expect("a shell")).json();
    assert_eq!(again["trace"], first["trace"], "{command}");
    assert_eq!(again["reproduce"], first["reproduce"]);
}

#[test]
fn a_seed_that_is_not_given_is_drawn_and_said_first() {
    let desk = Desk::new();
    desk.write("idle.toml", "title = \"one server\"\n[time]\nrun = \"1s\"\n");
    let arguments = ["run", "idle.toml", "--json", "--no-replay", "--no-report"];
    let (one, two) = (desk.run(arguments), desk.run(arguments));
    for done in [&one, &two] {
        let seed = done.json()["seed"].as_str().expect("a text").to_owned();
        assert!(done.err.contains(&seed), "{done:?}");
    }
    assert_ne!(one.json()["seed"], two.json()["seed"]);
    let git = "0123456789abcdef0123456789abcdef01234567";
    let hash = desk.run(arguments.iter().chain(&["--seed", git]));
    assert_eq!((hash.code, hash.json()["seed"].as_str()), (0, Some(git)));
}

#[test]
fn a_violated_run_exits_1_and_leaves_its_report() {
    let desk = Desk::new();
    desk.write("failing.toml", failing());
    let done = desk.run(["failing.toml", "--seed", "1", "--json", "--no-replay"]);
    assert_eq!(done.code, 1, "{done:?}");
    let object = done.json();
    assert_shape(&object);
    assert_eq!(object["verdict"], "violated");
    let violation = &object["violations"][0];
    assert_eq!(violation["property"], "script");
    assert!(violation["summary"].as_str().expect("a text").contains("log-truncated"));
    assert_eq!(desk.names("reports/failing-1"), FILES);
    let check = desk.run(["check", "reports/failing-1", "--json"]);
    assert_eq!(check.code, 1, "{check:?}");
    for key in ["/verdict", "/properties", "/violations/0/signature", "/violations/0/at_s"] {
        assert_eq!(check.json().pointer(key), object.pointer(key), "{key}");
    }
    let told = desk.run(["failing.toml", "--seed", "1", "--no-replay", "--no-report"]);
    assert_eq!(told.code, 1);
    assert!(told.out.starts_with("VIOLATED"), "{told:?}");
    assert!(told.out.contains("log-truncated"), "{told:?}");
}

#[test]
fn a_violation_that_is_expected_holds() {
    let desk = Desk::new();
    let impatient = format!(
        "{THREE}[time]\nrun = \"5s\"\nsettle = \"1ms\"\n[[step]]\nat = \"4s\"\ndo = \"kill\"\n\
         target = \"leader\"\n[[expect]]\nviolates = \"liveness\"\n"
    );
    let done = desk.judge(&impatient, &[]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(done.property("liveness"), "expected");
    let object = done.json();
    assert_eq!(object["verdict"], "holds");
    assert_eq!(object["violations"], json!([]));
    assert_eq!(object["expected"][0]["property"], "liveness");
}

#[test]
fn a_range_prints_its_runs_in_order_and_sums_up() {
    let desk = Desk::with_leader_loss();
    let done = desk.run(["leader_loss.toml", "--seeds", "0..3", "--json", "--no-replay"]);
    assert_eq!(done.code, 0, "{done:?}");
    let lines = done.lines();
    assert_eq!(lines.len(), 4);
    for (seed, line) in lines[..3].iter().enumerate() {
        assert_shape(line);
        assert_eq!(line["seed"], seed.to_string());
        assert_eq!(line["replayed"], false);
    }
    let counts = json!({
        "runs": 3, "holds": 3, "violated": 0, "undecided": 0, "nondeterministic": 0, "groups": [],
    });
    assert_eq!(lines[3], counts);
    assert_eq!(desk.names("."), ["leader_loss.toml"], "runs that hold leave no folder");
    let alone =
        desk.run(["leader_loss.toml", "--seed", "2", "--json", "--no-replay", "--no-report"]);
    assert_eq!(alone.json()["trace"], lines[2]["trace"], "a seed of a range is that seed alone");
}

#[test]
fn a_range_that_fails_is_grouped_and_can_stop_early() {
    let desk = Desk::new();
    desk.write("failing.toml", failing());
    let start = ["failing.toml", "--seeds", "5..8", "--json", "--no-replay"];
    let done = desk.run(start);
    assert_eq!(done.code, 1, "the code is that of the worst run: {done:?}");
    let lines = done.lines();
    let seeds: Vec<&Value> = lines[..3].iter().map(|line| &line["seed"]).collect();
    assert_eq!(seeds, ["5", "6", "7"]);
    let sum = &lines[3];
    assert_keys(sum, &["runs", "holds", "violated", "undecided", "nondeterministic", "groups"]);
    assert_eq!((&sum["runs"], &sum["violated"]), (&json!(3), &json!(3)));
    let groups = sum["groups"].as_array().expect("a list");
    assert_eq!(groups.len(), 1, "{sum}");
    assert_keys(&groups[0], &["signature", "property", "count", "first_seed", "reproduce"]);
    assert_eq!(groups[0]["count"], 3);
    assert_eq!(groups[0]["first_seed"], "5");
    assert_eq!(groups[0]["reproduce"], "sim-runner failing.toml --seed 5");
    assert_eq!(desk.names("reports"), ["failing-5", "failing-6", "failing-7"]);

    let early = desk.run(start.iter().chain(&["--until-failure", "--no-report"]));
    assert_eq!(early.code, 1, "{early:?}");
    let lines = early.lines();
    assert_eq!(lines.len(), 2, "one run, then the summary: {early:?}");
    assert_eq!((&lines[0]["seed"], &lines[1]["runs"]), (&json!("5"), &json!(1)));
}

#[test]
fn two_runs_are_compared_by_their_first_different_event() {
    let desk = Desk::with_leader_loss();
    for (seed, folder) in [("1", "a"), ("1", "b"), ("2", "c")] {
        desk.run(["leader_loss.toml", "--seed", seed, "--no-replay", "--out", folder]);
    }
    let same = desk.run(["diff", "a", "b"]);
    assert_eq!(same.code, 0, "{same:?}");
    assert!(same.out.contains("no difference"), "{same:?}");
    for right in ["c", "c/trace.jsonl"] {
        let other = desk.run(["diff", "a", right]);
        assert_eq!(other.code, 1, "{other:?}");
        for part in ["differ from event", "left", "right", "started", "n1"] {
            assert!(other.out.contains(part), "{part}: {other:?}");
        }
    }
}

#[test]
fn scenarios_and_plants_are_listed() {
    let desk = Desk::new();
    let folder = root().join("scenarios");
    let done = desk.run(["list".as_ref(), folder.as_os_str(), "--json".as_ref()]);
    assert_eq!(done.code, 0, "{done:?}");
    let object = done.json();
    assert_keys(&object, &["scenarios", "plants"]);
    let scenarios = object["scenarios"].as_array().expect("a list");
    for scenario in scenarios {
        assert_keys(scenario, &["path", "title"]);
    }
    let is_main = |s: &&Value| s["path"].as_str().is_some_and(|p| p.ends_with("/leader_loss.toml"));
    assert_eq!(scenarios.iter().filter(is_main).count(), 1, "{object}");
    for plant in object["plants"].as_array().expect("a list") {
        assert_keys(plant, &["name", "property", "scenario", "story"]);
        assert!(PROPERTIES.iter().any(|name| plant["property"] == *name), "{plant}");
        let scenario = root().join(plant["scenario"].as_str().expect("a path"));
        assert!(scenario.is_file(), "{} does not exist", scenario.display());
    }
    let text = desk.run(["list".as_ref(), folder.as_os_str()]);
    assert!(text.code == 0 && text.out.contains("leader loss under write load"), "{text:?}");
}

/// The detector of non-determinism is an oracle too: real entropy must end in exit code 4.
#[test]
fn a_run_that_is_not_deterministic_exits_4() {
    let desk = Desk::new();
    let folder = root().join("scenarios");
    let list = desk.run(["list".as_ref(), folder.as_os_str(), "--json".as_ref()]).json();
    let plants = list["plants"].as_array().expect("a list");
    let Some(plant) = plants.iter().find(|plant| plant["name"] == "real-entropy") else {
        println!("skipped: this build has no plant real-entropy");
        return;
    };
    assert_eq!(plant["property"], "determinism");
    let scenario = root().join(plant["scenario"].as_str().expect("a path")).display().to_string();
    let arguments = [scenario.as_str(), "--seed", "1", "--plant", "real-entropy"];
    let done = desk.run(arguments.iter().chain(&["--json", "--out", "r"]));
    assert_eq!(done.code, 4, "{done:?}");
    let object = done.json();
    assert_shape(&object);
    assert_eq!(object["verdict"], "nondeterministic");
    assert_eq!(object["replayed"], true);
    assert!(!done.violations("determinism").is_empty(), "{object}");
    let reproduce = object["reproduce"].as_str().expect("a text");
    assert!(reproduce.contains("--plant real-entropy"), "{reproduce}");
    assert_eq!(desk.run(["check", "r"]).code, 4, "check says what the run said");
    let told = desk.run(arguments.iter().chain(&["--no-report"]));
    assert_eq!(told.code, 4);
    for part in ["NOT DETERMINISTIC", "part at event", "first", "second"] {
        assert!(told.out.contains(part), "{part}: {told:?}");
    }
}

#[test]
fn help_and_version_are_answers() {
    let desk = Desk::new();
    for option in ["--help", "-h", "--version", "-V"] {
        let done = desk.run([option]);
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{option}");
        assert!(!done.out.is_empty());
    }
    assert_eq!(desk.run(["run", "--help"]).code, 0);
    assert_eq!(desk.run(Vec::<String>::new()).code, 2, "nothing asked is bad usage");
}
