//! The scenario language, sentence by sentence: small scenarios whose verdict is known. Verbs here,
//! times, conditions and expectations in `evidence_times`.
//!
//! `holds`: nothing is violated. `misses`: the run is violated, all of it by `script`, and the
//! summaries contain every given part, so that what was expected and what was found are both said.

use serde_json::Value;

use crate::runner::{Desk, Done, THREE};

pub fn judged(body: &str) -> Done {
    let done = Desk::new().judge(&format!("{THREE}{body}"), &[]);
    assert!(done.code < 2, "{body}\n{}", done.err);
    done
}

#[track_caller]
pub fn holds(body: &str) -> Done {
    let done = judged(body);
    assert_eq!(done.code, 0, "{body}\n{}", done.json()["violations"]);
    done
}

#[track_caller]
pub fn misses(body: &str, parts: &[&str]) -> Done {
    let done = judged(body);
    assert_eq!(done.code, 1, "{body}\n{}", done.out);
    let said = done.violations("script").join("\n");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
    let all = done.json()["violations"].as_array().map_or(0, Vec::len);
    assert_eq!(done.violations("script").len(), all, "{body}\n{}", done.json()["violations"]);
    done
}

/// Events of the trace of a run, as (seconds, host, kind, whole event).
pub fn trace(body: &str) -> Vec<(f64, String, String, Value)> {
    let desk = Desk::new();
    desk.write("s.toml", format!("{THREE}{body}"));
    let done = desk.run(["s.toml", "--seed", "7", "--json", "--no-replay", "--out", "r"]);
    assert!(done.code < 2, "{done:?}");
    let parse = |line: &str| {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let text = |key: &str| event[key].as_str().expect("a text").to_owned();
        (text("at").parse().expect("seconds"), text("host"), text("t"), event)
    };
    desk.read("r/trace.jsonl").lines().skip(1).map(parse).collect()
}

/// When steps with this id started, in seconds.
pub fn starts(events: &[(f64, String, String, Value)], id: &str) -> Vec<f64> {
    let of =
        |event: &&(f64, String, String, Value)| event.2 == "step-started" && event.3["id"] == id;
    events.iter().filter(of).map(|event| event.0).collect()
}

pub fn near(found: &[f64], expected: &[f64]) -> bool {
    found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.002)
}

#[test]
fn every_verb_that_takes_nodes() {
    holds(
        r#"
[[step]]
do = "note"
text = "the leader is {leader.name} at {leader}, n1 is {n1.id}, {{ and { 1 } stay"
[[step]]
id = "hit"
do = "kill"
target = "leader"
[[step]]
do = "wait"
until = "one-leader and down(last-killed) and not leader(same-as:hit)"
[[step]]
do = "start"
target = "last-killed"
[[step]]
do = "wait"
until = "logs-converged and up(all)"
[[step]]
do = "kill"
target = "followers"
disk = "all"
[[step]]
do = "restart"
target = "same-as:step-6"
args = ["-node={n1.name}"]
optional = true
[[step]]
do = "wait"
until = "one-leader"
[[step]]
do = "kill"
target = "server:any"
disk = "some"
[[step]]
do = "restart"
target = "last-killed"
[[step]]
do = "wait"
until = "one-leader and writable"
[[step]]
do = "stop"
target = "follower:any"
signal = "INT"
[[step]]
do = "start"
target = "same-as:step-12"
config = { performance = { raft_multiplier = 2 } }
[[step]]
do = "stop"
target = "n2"
[[step]]
do = "wait"
for = "1s"
while = "down(n2)"
[[step]]
do = "start"
target = "servers"
[[step]]
do = "wait"
until = "one-leader"
[[step]]
do = "pause"
target = "leader"
[[step]]
do = "wait"
until = "leader-change"
[[step]]
do = "resume"
target = "same-as:step-18"
[[step]]
do = "restart"
target = "all"
[[step]]
do = "wait"
until = "one-leader and writable and logs-converged"
within = "30s"
[[expect]]
at_end = "up(n1) and up(n2) and up(n3) and voters = 3 and leaders = 1"
[[expect]]
seen = "leader-lost"
[[expect]]
always = "leaders-per-term <= 1"
"#,
    );
}

#[test]
fn verbs_that_cannot_act() {
    misses(
        r#"
[[step]]
do = "kill"
target = "n1"
[[step]]
do = "kill"
target = "n1"
[[step]]
do = "kill"
target = "n1"
optional = true
[[step]]
do = "pause"
target = "n1"
[[step]]
do = "stop"
target = "n1"
[[step]]
do = "start"
target = "n2"
[[step]]
do = "resume"
target = "n2"
[[step]]
do = "resume"
target = "servers"
[[step]]
do = "start"
target = "old-leader"
optional = true
"#,
        &[
            "`step-2` failed at 0.000 s: cannot kill n1: it is down",
            "cannot pause n1: it is down",
            "cannot stop n1: it is down",
            "cannot start n2: it is up",
            "cannot resume n2: it is not paused",
            "nobody to resume",
        ],
    );
    misses(
        r#"
[[step]]
do = "http"
via = "old-leader"
request = "GET /v1/kv/a"
[[step]]
do = "http"
via = "old-leader"
request = "GET /v1/kv/a"
optional = true
[[step]]
do = "kill"
target = "n1"
[[step]]
do = "http"
via = "n1"
request = "GET /v1/kv/a"
[[step]]
do = "start"
target = ["n1", "n2"]
"#,
        &["`step-1`", "`via` resolves to no", "`step-4`", "no answer", "cannot start n2: it is up"],
    );
    // Who is drawn is up, so that this is answered whatever the seed.
    holds(
        r#"
[[step]]
do = "kill"
target = "follower:any"
[[step]]
every = "100ms"
times = 12
do = "http"
via = "server:any"
request = "GET /v1/status/leader"
expect = { status = 200 }
"#,
    );
}

#[test]
fn every_shape_of_a_partition() {
    for shape in [
        "groups = [\"leader\", \"rest\"]",
        "groups = [[\"n1\", \"n2\"], [\"n3\"]]",
        "groups = [\"minority\", \"majority\"]",
        "groups = [\"users\", \"rest\"]",
        "shape = \"isolate\"\ntarget = \"leader\"",
        "shape = \"isolate\"\ntarget = \"random:2\"",
        "shape = \"split\"",
        "shape = \"bridge\"",
        "shape = \"majorities-ring\"",
        "shape = \"one-way\"\ntarget = \"leader\"",
        "shape = \"flapping\"\ntarget = \"leader\"\nperiod = \"4s\"",
    ] {
        let events = trace(&format!(
            "[time]\nrun = \"25s\"\n[[workload]]\nkind = \"kv\"\nusers = 2\n[[step]]\n\
             at = \"5s\"\ndo = \"partition\"\nfor = \"12s\"\n{shape}\n"
        ));
        let of =
            |kind: &str| events.iter().filter(|e| e.2 == kind).map(|e| e.0).collect::<Vec<_>>();
        let (cuts, heals) = (of("cut"), of("healed"));
        assert!(!cuts.is_empty(), "{shape}: nothing was cut");
        assert_eq!(cuts.len(), heals.len(), "{shape}: everything is healed");
        assert!(cuts.iter().all(|at| (5.0..17.001).contains(at)), "{shape}: {cuts:?}");
        assert!(heals.iter().all(|at| (5.0..17.002).contains(at)), "{shape}: {heals:?}");
        assert_eq!(of("settled").len(), 1, "{shape}");
    }
}

#[test]
fn a_partition_keeps_the_minority_from_writing() {
    holds(
        r#"
[[step]]
id = "cut"
do = "partition"
groups = ["leader", "rest"]
[[step]]
do = "wait"
until = "no-leader at same-as:cut"
[[step]]
do = "http"
via = "same-as:cut"
request = "PUT /v1/kv/a"
body = "lost"
expect = { status = 500 }
[[step]]
do = "wait"
until = "not leader(same-as:cut)"
[[step]]
do = "http"
via = "leader"
request = "PUT /v1/kv/a"
body = "kept"
expect = { status = 200, body = "true" }
within = "10s"
[[step]]
do = "heal"
of = "cut"
[[step]]
do = "http"
via = "same-as:cut"
request = "GET /v1/kv/a?consistent&raw"
expect = { body = "kept" }
within = "20s"
[[step]]
do = "partition"
shape = "isolate"
target = "n1"
[[step]]
do = "heal"
[[step]]
do = "wait"
until = "one-leader"
"#,
    );
}

#[test]
fn every_key_of_an_expected_answer() {
    let good = r#"
[[step]]
do = "http"
via = "n1"
request = "PUT /v1/kv/app/a?flags=7"
body = "hello {n2.name}"
expect = { status = 200, body = "true", header."Content-Type" = "application/json" }
[[step]]
do = "http"
via = "server:any"
request = "GET /v1/kv/app/a"
expect = { status = 200, contains = ["\"Key\":\"app/a\"", "Flags"], excludes = ["Session"], matches = "[[]*[]]*", json."0.Key" = "app/a", json."0.Flags" = 7 }
"#;
    // A pattern knows `*` and `?` only: brackets are brackets.
    let done = judged(good);
    assert!(done.violations("script").iter().all(|v| v.contains("matches")), "{}", done.out);
    holds(&good.replace(", matches = \"[[]*[]]*\"", ", matches = \"[*LockIndex*]*\""));
    misses(
        r#"
[[step]]
do = "http"
via = "n1"
request = "PUT /v1/kv/a"
body = "hello"
[[step]]
do = "http"
via = "n1"
request = "GET /v1/kv/a?raw"
expect = { status = 404 }
[[step]]
do = "http"
via = "n1"
request = "GET /v1/kv/a?raw"
expect = { body = "hallo {n1.name}" }
[[step]]
do = "http"
via = "n1"
request = "GET /v1/kv/a?raw"
expect = { contains = ["ell", "xyz"] }
[[step]]
do = "http"
via = "n1"
request = "GET /v1/kv/a?raw"
expect = { excludes = ["ell"] }
[[step]]
do = "http"
via = "n1"
request = "GET /v1/kv/a?raw"
expect = { matches = "h?llo?" }
[[step]]
do = "http"
via = "n1"
request = "GET /v1/kv/a"
expect = { json."0.Flags" = 9 }
"#,
        &[
            "expected status 404, found 200 \"hello\"",
            "expected the body \"hallo n1\", found 200 \"hello\"",
            "contains \"xyz\", found 200 \"hello\"",
            "without \"ell\", found 200 \"hello\"",
            "matches \"h?llo?\", found 200 \"hello\"",
            "expected 9 at 0.Flags, found 0",
        ],
    );
    misses(
        r#"
[[step]]
do = "http"
via = "n1"
request = "PUT /v1/kv/a"
[[step]]
do = "http"
via = "n1"
request = "GET /v1/kv/a"
expect = { json."1.Flags" = 0 }
[[step]]
do = "http"
via = "n1"
request = "GET /v1/kv/a"
expect = { header."X-Consul-KnownLeader" = "false" }
[[step]]
do = "http"
via = "n1"
request = "GET /v1/kv/none?raw"
expect = { status = 200 }
within = "3s"
[[step]]
do = "http"
via = "n1"
request = "GET /v1/kv/a?raw"
expect = { json."0.Key" = "a" }
"#,
        &[
            "expected 0 at 1.Flags, found nothing",
            "expected the header X-Consul-KnownLeader: false, found true",
            "expected status 200, found 404",
            "expected JSON",
        ],
    );
}

#[test]
fn requests_of_steps_belong_to_the_history() {
    let done = holds(
        r#"
[[step]]
do = "http"
via = "n1"
request = "PUT /v1/kv/a"
body = "1"
[[step]]
do = "http"
via = "n2"
request = "GET /v1/kv/a?consistent"
expect = { json."0.Value" = "MQ==" }
[[step]]
do = "http"
via = "n3"
request = "GET /v1/kv/a?stale"
[[step]]
do = "http"
via = "n3"
request = "DELETE /v1/kv/a"
[[step]]
do = "http"
via = "n3"
request = "GET /v1/kv/a"
expect = { status = 404 }
[[step]]
do = "http"
via = "n3"
request = "PUT /v1/kv/app/x"
body = "1"
[[step]]
do = "http"
via = "n3"
request = "DELETE /v1/kv/app?recurse"
"#,
    );
    let object = done.json();
    assert_eq!(object["operations"]["ok"], 7);
    assert_eq!(object["reads"]["consistent"], 1);
    assert_eq!(object["reads"]["stale"], 1);
    assert_eq!(object["reads"]["default"], 1);
}
