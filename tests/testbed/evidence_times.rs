//! The scenario language, sentence by sentence: when steps fire, what conditions and expectations say,
//! what settle and boot do.

use serde_json::Value;

use crate::evidence::{holds, judged, misses, near, starts, trace};
use crate::runner::{Desk, THREE};

#[test]
fn steps_fire_when_they_should() {
    let note = |id: &str, when: &str| {
        format!("[[step]]\nid = \"{id}\"\n{when}\ndo = \"note\"\ntext = \"x\"\n")
    };
    let body = [
        "[time]\nrun = \"60s\"\n".to_owned(),
        note("first", ""),
        note("second", ""),
        note("at", "at = \"3s\""),
        note("after-at", ""),
        note("after", "after = \"at + 2s\""),
        note("times", "at = \"10s\"\nevery = \"2s\"\ntimes = 3"),
        note("window", "every = \"5s\"\nbetween = \"20s..36s\""),
        "[[step]]\nid = \"pause\"\nat = \"40s\"\nfor = \"3s\"\ndo = \"pause\"\ntarget = \"follower:any\"\n".to_owned(),
        note("undone", "after = \"pause\""),
        "[[step]]\nid = \"again\"\nat = \"20s\"\nevery = \"4s\"\ntimes = 3\nfor = \"1s\"\ndo = \"pause\"\ntarget = \"follower:any\"\n".to_owned(),
        note("between", "every = \"1s\"\nbetween = \"at..after\""),
        "[[step]]\nid = \"waits\"\nat = \"50s\"\ndo = \"wait\"\nfor = \"2s\"\n".to_owned(),
        note("waited", ""),
        note("when", "at = \"45s\"\nwhen = \"one-leader\""),
        note("event", "after = \"leader-elected + 1s\""),
        "[[step]]\nid = \"loss\"\nat = \"46s\"\ndo = \"restart\"\ntarget = \"leader\"\n".to_owned(),
        note("drawn", "at = \"10s..20s\""),
    ]
    .concat();
    let events = trace(&body);
    let expect = |id: &str, times: &[f64]| {
        let found = starts(&events, id);
        assert!(near(&found, times), "{id}: {found:?}, not {times:?}");
    };
    expect("first", &[0.0]);
    expect("second", &[0.0]);
    expect("at", &[3.0]);
    expect("after-at", &[3.0]);
    expect("after", &[5.0]);
    expect("times", &[10.0, 12.0, 14.0]);
    expect("window", &[20.0, 25.0, 30.0, 35.0]);
    expect("pause", &[40.0]);
    expect("undone", &[43.0]);
    expect("again", &[20.0, 24.0, 28.0]);
    expect("between", &[3.0, 4.0]);
    expect("waits", &[50.0]);
    expect("waited", &[52.0]);
    expect("when", &[45.0]);
    let elected = starts(&events, "event");
    assert!(elected.len() == 1 && (21.0..55.0).contains(&elected[0]), "{elected:?}");
    let drawn = starts(&events, "drawn");
    assert!(drawn.len() == 1 && (10.0..20.0).contains(&drawn[0]), "{drawn:?}");
    assert!(events[0].0 < 0.0, "boot has negative times");
}

#[test]
fn conditions_that_never_hold() {
    misses(
        r#"
[[step]]
when = "no-leader"
within = "2s"
do = "note"
text = "never"
[[step]]
when = "no-leader"
within = "1s"
optional = true
do = "note"
text = "never, and that is fine"
[[step]]
do = "wait"
until = "down(n1)"
within = "3s"
[[step]]
do = "wait"
for = "2s"
while = "no-leader"
[[step]]
do = "wait"
until = "leader-elected"
within = "2s"
[[step]]
do = "note"
text = "{old-leader}"
"#,
        &[
            "`step-1`",
            "`when`: no-leader did not hold",
            "`step-3`",
            "`until`: down(n1) did not hold",
            "`step-4`",
            "`while`: no-leader stopped holding before",
            "`step-5`",
            "leader-elected did not occur",
            "`step-6`",
            "{old-leader} is not exactly one node now",
        ],
    );
}

#[test]
fn a_script_must_be_finished_at_the_end_of_an_explicit_run() {
    let late = "[[step]]\nid = \"late\"\nat = \"12s\"\ndo = \"kill\"\ntarget = \"leader\"\n";
    let done = misses(
        &format!("[time]\nrun = \"10s\"\nsettle = \"60s\"\n{late}"),
        &["`late`", "the run was over before this step had finished"],
    );
    assert_eq!(done.json()["seen"], serde_json::json!([]), "it does not fire after the run");
    assert_eq!(done.property("liveness"), "holds");
    holds(late);
    let never = "[[step]]\nafter = \"log-truncated\"\ndo = \"kill\"\ntarget = \"leader\"\n";
    misses(never, &["`step-1`", "had not"]);
}

#[test]
fn what_a_run_without_settle_says() {
    let body = "[time]\nrun = \"5s\"\nsettle = \"0s\"\n[[step]]\ndo = \"kill\"\ntarget = \"n1\"\n\
                [[expect]]\nat_end = \"down(n1)\"\n";
    let done = holds(body);
    assert_eq!(done.property("liveness"), "skipped");
    let desk = Desk::new();
    desk.write("s.toml", format!("{THREE}{body}"));
    let told = desk.run(["s.toml", "--seed", "1", "--no-replay", "--out", "r"]);
    assert!(told.out.contains("settle = \"0s\""), "{told:?}");
    assert!(desk.read("r/report.html").contains("nothing is undone"), "the report says so");
}

#[test]
fn settle_undoes_everything() {
    let events = trace(
        r#"
[time]
run = "20s"
[[step]]
do = "kill"
target = "n1"
[[step]]
do = "partition"
shape = "isolate"
target = "n2"
[[step]]
do = "pause"
target = "n3"
[[step]]
do = "partition"
shape = "flapping"
target = "n3"
period = "3s"
[[expect]]
at_end = "up(all) and one-leader and writable and logs-converged"
"#,
    );
    assert!(events.iter().any(|event| event.2 == "settled"), "it converges");
    let is_open = |event: &(f64, String, String, Value)| {
        i64::from(event.2 == "cut") - i64::from(event.2 == "healed")
    };
    assert_eq!(events.iter().map(is_open).sum::<i64>(), 0, "all cuts are healed");
}

#[test]
fn a_boot_that_takes_too_long() {
    let done = judged("[time]\nboot_within = \"1ms\"\n[[step]]\ndo = \"kill\"\ntarget = \"n1\"\n");
    assert_eq!(done.code, 1);
    assert_eq!(done.property("boot"), "violated");
    let said = done.violations("boot").join("");
    assert!(said.contains("did not boot in time") && said.contains("n3"), "{said}");
}

#[test]
fn a_manual_boot_starts_nothing() {
    let manual = "title = \"manual\"\n[cluster]\nboot = \"manual\"\nservers = [\"a\", \"b\", \"c\"]\n\
        config = { performance = { raft_multiplier = 1 } }\n\
        node.servers = { bootstrap_expect = 2, retry_join = [\"{a}\", \"{b}\", \"{c}\"] }\n";
    let body = r#"
[[step]]
do = "wait"
for = "2s"
while = "down(all)"
[[step]]
do = "start"
target = ["a", "b"]
[[step]]
do = "wait"
until = "one-leader"
[[step]]
do = "http"
via = "leader"
request = "GET /v1/status/leader"
expect = { body = "\"{leader}:8300\"" }
[[step]]
do = "http"
via = "a"
request = "GET /v1/agent/self"
expect = { json."Config.NodeName" = "{a.name}" }
[[expect]]
never = "up(c)"
[[expect]]
seen = "leader-elected"
"#;
    let done = Desk::new().judge(&format!("{manual}{body}"), &[]);
    assert_eq!(done.code, 0, "{}", done.json()["violations"]);
    let alone = "title = \"alone\"\n[cluster]\nboot = \"manual\"\nservers = 3\n[[step]]\n\
        do = \"start\"\ntarget = \"servers\"\n[[step]]\ndo = \"wait\"\nuntil = \"one-leader\"\n\
        [[expect]]\nskip = \"liveness\"\nbecause = \"nobody was told of the others\"\n";
    let done = Desk::new().judge(alone, &[]);
    assert_eq!(done.code, 1, "a manual boot is told nothing of the others: {}", done.out);
    assert_eq!(done.property("liveness"), "skipped");
}

/// A leader is killed at 5 s and started at 15 s.
const LOSS: &str = r#"
[time]
run = "30s"
[[workload]]
kind = "kv"
users = 2
[[step]]
id = "loss"
at = "5s"
do = "kill"
target = "leader"
[[step]]
id = "back"
after = "loss + 10s"
do = "start"
target = "last-killed"
"#;

#[test]
fn expectations_that_are_met() {
    let done = holds(
        &(LOSS.to_owned()
            + r#"
[[expect]]
always = "leaders <= 2"
[[expect]]
always = "down(same-as:loss)"
between = "6s..14s"
[[expect]]
eventually = "one-leader"
within = "8s"
of = "loss"
[[expect]]
eventually = "no-leader"
within = "4s..9s"
[[expect]]
eventually = "one-leader"
within = "2s..20s"
of = "loss"
for = "5s"
[[expect]]
eventually = "leader-elected"
within = "8s"
of = "loss"
[[expect]]
never = "no-leader"
between = "0s..5s"
[[expect]]
never = "log-truncated"
[[expect]]
never = "step-down"
within = "5s"
[[expect]]
never = "no-leader"
for = "20s"
[[expect]]
at_end = "one-leader and writable and logs-converged and up(servers)"
[[expect]]
at_end = "term >= 2 and count(leader-elected) >= 1 and ok-ratio > 50 and unknown-ops <= 100"
[[expect]]
at_end = "longest-outage >= 1 and longest-outage < 12 or not (voters = 3)"
[[expect]]
seen = "leader-change"
[[expect]]
seen = "no-leader"
[[expect]]
sometimes = "log-truncated"
[[expect]]
in_order = ["leader-lost", "leader-elected"]
[[expect]]
eventually = "count(leader-elected) >= 1"
between = "loss..back"
[[expect]]
skip = "no-panic"
because = "to see what that looks like"
[[expect]]
eventually = "voter(n1) and leader(leader) at follower:any"
"#),
    );
    assert_eq!(done.property("no-panic"), "skipped");
}

#[test]
fn expectations_that_are_missed() {
    misses(
        &(LOSS.to_owned()
            + r#"
[[expect]]
always = "up(servers)"
[[expect]]
always = "one-leader"
between = "0s..8s"
[[expect]]
eventually = "no-leader"
within = "4s"
[[expect]]
eventually = "one-leader"
within = "2s"
of = "loss"
for = "60s"
[[expect]]
never = "leader-lost"
[[expect]]
never = "no-leader"
[[expect]]
at_end = "down(n1)"
[[expect]]
seen = "log-truncated"
[[expect]]
in_order = ["log-truncated", "leader-lost"]
[[expect]]
violates = "election-safety"
[[expect]]
eventually = "count(leader-elected) >= 1"
between = "0s..4s"
[[expect]]
at_end = "count(leader-elected) = 77"
"#),
        &[
            "`up(servers)` must hold at every instant, but did not at 5.000 s",
            "`one-leader` must hold at every instant",
            "`no-leader` was expected between 0.000 s and 4.000 s",
            "`one-leader` was expected between 5.000 s and 7.000 s",
            "`leader-lost` must never be, but was at 5.000 s",
            "`no-leader` must never be",
            "`down(n1)` must hold at the end",
            "`log-truncated` was expected",
            "log-truncated is missing",
            "a violation of election-safety was expected",
            "between 0.000 s and 4.000 s",
            "`count(leader-elected) = 77` must hold at the end",
        ],
    );
}

#[test]
fn protect_limits_chaos_and_not_steps() {
    let chaos = "[time]\nrun = \"60s\"\n[[chaos]]\nevery = \"1s..2s\"\nfor = \"5s..10s\"\n\
        targets = \"random:2\"\nfaults = { kill = 1, stop = 1, pause = 1 }\n[[expect]]\nnever = \"no-leader\"\nfor = \"30s\"\n";
    let events = trace(chaos);
    let mut down: Vec<String> = Vec::new();
    let mut most = 0;
    for (at, host, kind, _) in events.iter().filter(|event| (0.0..60.0).contains(&event.0)) {
        match kind.as_str() {
            "paused" | "ended" if !down.contains(host) => down.push(host.clone()),
            "resumed" | "started" => down.retain(|name| name != host),
            _ => {}
        }
        most = most.max(down.len());
        assert!(down.len() <= 1, "{down:?} at {at}");
    }
    assert_eq!(most, 1, "chaos did something");
    holds(
        "[[step]]\ndo = \"kill\"\ntarget = \"servers\"\nfor = \"5s\"\n[[expect]]\nseen = \"no-leader\"\n",
    );
}

#[test]
fn a_workload_does_what_it_says() {
    let done = holds(
        "[time]\nrun = \"30s\"\n[[workload]]\nkind = \"kv\"\nusers = 3\nkeys = 2\nrate = \"20/s\"\n\
         between = \"10s..20s\"\nmix = { get = 3, list = 1, put = 2, delete = 1, cas = 1 }\n\
         consistency = { default = 1, consistent = 1, stale = 1 }\nvalue = \"64B\"\nvia = \"sticky\"\n\
         [[workload]]\nkind = \"kv\"\nrate = \"60/m\"\nmix = { put = 1 }\nvia = \"leader\"\n",
    );
    let object = done.json();
    let count = |pointer: &str| object.pointer(pointer).and_then(Value::as_u64).expect("a count");
    assert!((200..260).contains(&count("/operations/ok")), "{object}");
    assert_eq!(count("/operations/fail") + count("/operations/unknown"), 0, "{object}");
    for mode in ["default", "consistent", "stale"] {
        assert!(count(&format!("/reads/{mode}")) > 15, "{mode}: {object}");
    }
}

#[test]
fn operations_without_an_answer_are_unknown() {
    let done = holds(
        "[time]\nrun = \"30s\"\n[[workload]]\nkind = \"kv\"\nusers = 4\nvia = \"n1\"\ntimeout = \"1s\"\n\
         mix = { put = 1 }\n[[step]]\nat = \"10s\"\nfor = \"10s\"\ndo = \"pause\"\ntarget = \"n1\"\n\
         [[expect]]\nat_end = \"unknown-ops >= 20 and longest-outage >= 9\"\n",
    );
    assert!(done.json()["operations"]["unknown"].as_u64() >= Some(20), "{}", done.out);
    // A value that is too long for the agent is refused, and certainly has no effect.
    let refused = holds(
        "[time]\nrun = \"5s\"\n[[workload]]\nkind = \"kv\"\nvalue = \"1MB\"\nmix = { put = 1 }\n",
    );
    assert_eq!(refused.json()["operations"]["ok"], 0);
    assert!(refused.json()["operations"]["fail"].as_u64() > Some(10), "{}", refused.out);
    let none = Desk::new().judge("title = \"no users\"\n", &[]);
    assert_eq!(none.json()["operations"], serde_json::json!({"ok": 0, "fail": 0, "unknown": 0}));
    assert_eq!(none.code, 0);
}
