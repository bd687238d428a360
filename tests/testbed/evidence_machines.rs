//! Verbs on clocks, disks, files, links and commands, each in a small scenario whose verdict is known.

use crate::evidence::{holds, judged, misses, trace};
use crate::runner::Desk;

/// What a host's events of a kind say, one line each.
fn told(body: &str, kind: &str) -> Vec<String> {
    let of_kind = trace(body).into_iter().filter(|(_, _, found, _)| found == kind);
    of_kind.map(|(_, host, _, event)| format!("{host} {event}")).collect()
}

#[test]
fn files_are_written_looked_at_changed_and_deleted() {
    holds(
        r#"
[[step]]
do = "file"
target = "servers"
path = "notes/{n1.name}.json"
write = '[{"id": "{n1.id}", "at": "{n1}:8300"}]'
[[step]]
do = "file"
target = "servers"
path = "notes/n1.json"
expect = { contains = "10.0.0.1:8300", excludes = ["10.0.0.2"], json."0.id" = "{n1.id}" }
[[step]]
do = "file"
target = "n2"
path = "notes/n1.json"
truncate = "3B"
[[step]]
do = "file"
target = "n2"
path = "notes/n1.json"
expect = { content = '[{"' }
[[step]]
do = "file"
target = "n3"
path = "notes/n1.json"
delete = true
[[step]]
do = "file"
target = "n3"
path = "notes/n1.json"
expect = { absent = true }
[[step]]
id = "shut"
do = "kill"
target = "n1"
[[step]]
do = "file"
target = "same-as:shut"
path = "notes/n1.json"
expect = { contains = "8300" }
"#,
    );
}

#[test]
fn a_file_that_is_not_as_expected_says_both() {
    let step = "[[step]]\ndo = \"file\"\ntarget = \"n1\"\npath = \"a\"\n";
    misses(&format!("{step}expect = {{ content = \"x\" }}"), &["a of n1", "expected a file"]);
    misses(&format!("{step}delete = true"), &["a of n1: there is no such file"]);
    let written = format!("{step}write = \"is\"\n{step}");
    misses(&format!("{written}expect = {{ content = \"be\" }}"), &["expected \"be\"", "\"is\""]);
    misses(&format!("{written}expect = {{ absent = true }}"), &["expected no file", "\"is\""]);
    misses(&format!("{written}truncate = \"5B\""), &["it has only 2 bytes"]);
}

#[test]
fn a_wiped_server_comes_back_empty_and_that_is_no_loss_of_its_own() {
    holds(
        r#"
[[workload]]
kind = "kv"
between = "0s..20s"
[[step]]
at = "8s"
id = "gone"
do = "stop"
target = "follower:any"
[[step]]
do = "wipe"
target = "same-as:gone"
[[step]]
do = "file"
target = "same-as:gone"
path = "raft/0000000000000001.wal"
expect = { absent = true }
[[step]]
do = "start"
target = "same-as:gone"
[[expect]]
at_end = "logs-converged"
"#,
    );
    misses("[[step]]\ndo = \"wipe\"\ntarget = \"n1\"", &["cannot wipe n1: it is up"]);
}

#[test]
fn changed_configuration_is_told_and_holds_from_the_next_start() {
    holds(
        r#"
[[step]]
do = "config"
target = "n1"
set = { node_name = "renamed" }
[[step]]
do = "wait"
for = "1s"
[[step]]
do = "http"
via = "n1"
request = "GET /v1/agent/self"
expect = { json."Config.NodeName" = "n1" }
[[step]]
do = "restart"
target = "n1"
[[step]]
do = "http"
via = "n1"
request = "GET /v1/agent/self"
expect = { json."Config.NodeName" = "renamed" }
[[expect]]
seen = "logged('Caught: signal=hangup')"
[[expect]]
skip = "gossip-accuracy"
because = "under another name it is another member, and the old one has failed"
[[expect]]
skip = "liveness"
because = "the member of the old name stays listed"
[[expect]]
skip = "views-converge"
because = "the same"
[[expect]]
skip = "gossip-completeness"
because = "the same"
"#,
    );
}

#[test]
fn commands_run_the_shipped_code_and_their_writes_are_judged() {
    let done = holds(
        r#"
[[step]]
do = "cli"
via = "leader"
run = "kv put greeting 'hello {n2.name}'"
expect = { exit = 0, contains = "Success! Data written to: greeting" }
[[step]]
do = "cli"
via = "follower:any"
run = "kv get greeting"
expect = { exit = 0, matches = "hello n2*", excludes = ["Error"] }
[[step]]
do = "cli"
via = "n1"
run = "kv delete greeting"
[[step]]
do = "cli"
via = "n1"
run = "kv get greeting"
expect = { exit = 1, contains = "Error! No key exists at: greeting" }
[[step]]
do = "http"
via = "n1"
request = "GET /v1/kv/greeting"
expect = { status = 404 }
[[step]]
do = "cli"
via = "n1"
run = "version"
expect = { contains = ["Consul v1.9.8"] }
"#,
    );
    assert_eq!(done.json()["operations"]["ok"], 5, "{}", done.out);
}

#[test]
fn a_command_that_goes_otherwise_says_how() {
    misses(
        "[[step]]\ndo = \"cli\"\nvia = \"n1\"\nrun = \"kv get nothing\"\nexpect = { exit = 0 }",
        &["expected exit code 0, found exit code 1", "No key exists at: nothing"],
    );
    misses(
        "[[step]]\ndo = \"kill\"\ntarget = \"n1\"\n[[step]]\ndo = \"cli\"\nvia = \"n1\"\nrun = \"version\"",
        &["n1 has no power: nobody can run a command there"],
    );
    misses(
        "[[step]]\ndo = \"cli\"\nvia = \"n1\"\nrun = \"kv put a @file\"",
        &["what this command writes cannot be told"],
    );
    misses(
        "[[step]]\ndo = \"stop\"\ntarget = \"n1\"\n[[step]]\ndo = \"cli\"\nvia = \"n1\"\nrun = \"kv get a\"\nexpect = { exit = 0 }",
        &["expected exit code 0, found exit code 1", "refused"],
    );
}

/// Whether the endpoint is there or not, its answer is what decides.
#[test]
fn a_transfer_is_asked_of_the_leader_and_judged_by_its_answer() {
    let done = judged("[[step]]\ndo = \"transfer-leader\"\nto = \"follower:any\"");
    let said = done.violations("script").join("\n");
    assert!(said.is_empty() || said.contains("the agent answered "), "{said}");
}

#[test]
fn clocks_are_set_wrong_and_right_again() {
    let body = r#"
[clock]
skew = "-20ms..20ms"
drift = "100ppm"
[[step]]
at = "1s"
do = "drift"
target = "n1"
by = "-500000ppm"
for = "2s"
[[step]]
at = "1500ms"
do = "skew"
target = "n1"
by = "-3s..-2s"
for = "500ms"
[[step]]
at = "4s"
do = "jump"
target = "n2"
by = "1h"
[[step]]
at = "5s"
do = "strobe"
target = "n3"
by = "200ms"
every = "100ms"
for = "350ms"
"#;
    let set = told(body, "clock");
    let of = |host: &str| set.iter().filter(|line| line.starts_with(host)).collect::<Vec<_>>();
    // As given; slow; slow and off; slow; right again.
    assert_eq!(of("n1").len(), 5, "{set:#?}");
    assert!(of("n1")[2].contains("-500000") && of("n1")[2].contains("-2"), "{set:#?}");
    assert!(of("n1")[4].contains("100"), "{set:#?}");
    // As given; ahead; and back at settle.
    assert_eq!(of("n2").len(), 3, "{set:#?}");
    // As given; there and back twice.
    assert_eq!(of("n3").len(), 5, "{set:#?}");
    holds(body);
}

#[test]
fn a_slow_clock_lets_a_deposed_leader_answer_and_the_checker_knows() {
    let body = r#"
[time]
run = "30s"
[[workload]]
kind = "kv"
users = 4
rate = "60/s"
keys = 2
[[step]]
at = "5s"
id = "slow"
do = "drift"
target = "leader"
by = "-900000ppm"
[[step]]
at = "6s"
do = "partition"
shape = "isolate"
target = "same-as:slow"
for = "10s"
"#;
    let desk = Desk::new();
    let five = "title = \"t\"\n[cluster]\nservers = 5\nconfig = { performance = { raft_multiplier = 1 } }\n";
    let mut in_window = 0;
    for seed in ["1", "2", "3", "4"] {
        let more = ["--seed", seed];
        desk.write("s.toml", format!("{five}{body}"));
        let fixed = ["s.toml", "--json", "--no-replay", "--no-report"];
        let done = desk.run(fixed.iter().chain(&more));
        assert_eq!(done.code, 0, "{}", done.out);
        in_window += done.json()["reads"]["in_window"].as_u64().expect("a number");
    }
    assert!(in_window > 0, "no read fell into the window of a deposed leader");
}

#[test]
fn disks_ail_and_recover() {
    let body = r#"
[disk]
fsync = "1ms..4ms"
read = "10us..20us"
write = "5us"
capacity = "100MB"
[time]
run = "30s"
[[workload]]
kind = "kv"
between = "0s..20s"
value = "16KB"
[[step]]
at = "2s"
do = "slow-fsync"
target = "follower:any"
by = "20ms..80ms"
for = "3s"
[[step]]
do = "disk-full"
target = "n1"
after = "2KB"
for = "5s"
[[step]]
at = "12s"
do = "io-error"
target = "n2"
op = "write fsync"
nth = 3
for = "3s"
[[step]]
at = "16s"
do = "lose-unsynced"
target = "n3"
[[step]]
do = "torn-write"
target = "n3"
[[step]]
do = "kill"
target = "n3"
disk = "all"
for = "2s"
"#;
    holds(body);
    let states = told(body, "disk-fault").join("\n");
    for kind in ["slow-fsync", "disk-full", "io-error", "lose-unsynced", "torn-write"] {
        assert!(states.contains(kind), "{kind} is not in:\n{states}");
    }
    let struck = told(body, "disk-struck").join("\n");
    assert!(struck.contains("disk-full") && struck.contains("io-error"), "{struck}");
}

#[test]
fn a_rotten_log_is_not_believed() {
    let rot = |verb: &str, path: &str| {
        format!(
            "[[workload]]\nkind = \"kv\"\n[time]\nrun = \"20s\"\nsettle = \"0s\"\n[[step]]\nat = \"10s\"\n\
             do = \"stop\"\ntarget = \"n1\"\n[[step]]\ndo = \"{verb}\"\ntarget = \"n1\"\npath = \"{path}\"\n\
             count = 2\n[[step]]\ndo = \"start\"\ntarget = \"n1\"\n"
        )
    };
    // It heals, refuses to start, or was struck where nothing stands; it never goes on from nonsense.
    holds(&rot("bit-rot", "raft/*.wal"));
    holds(&rot("misdirect", "raft/*.wal"));
    misses(&rot("bit-rot", "raft/*.log"), &["no file of n1 that matches \"raft/*.log\""]);
}

#[test]
fn a_disk_that_lies_breaks_the_promise_that_the_log_builds_on() {
    let done = judged(
        r#"
[[workload]]
kind = "kv"
[[step]]
at = "5s"
do = "fsync-lies"
target = "servers"
for = "10s"
[[step]]
at = "10s"
do = "kill"
target = "servers"
for = "1s"
"#,
    );
    assert!(!done.violations("durability").is_empty(), "{}", done.out);
}

#[test]
fn links_suffer_and_are_mended() {
    let body = r#"
[time]
run = "60s"
[[workload]]
kind = "kv"
[[step]]
do = "slow"
target = "leader"
by = "20ms..60ms"
for = "3s"
[[step]]
do = "lose"
link = "leader -> rest"
ratio = "1/4"
proto = "tcp"
for = "3s"
[[step]]
do = "reorder"
target = "n1"
ratio = "1/2"
for = "2s"
[[step]]
do = "duplicate"
link = "n1 <-> n2"
ratio = "1/2"
for = "1s"
[[step]]
do = "corrupt"
target = "follower:any"
ratio = "1/10"
for = "2s"
[[step]]
do = "throttle"
target = "follower:any"
to = "64Kbit/s"
for = "2s"
[[step]]
do = "clog"
link = "leader -> n3"
for = "2s"
optional = true
[[step]]
do = "reset"
target = "leader"
for = "1s"
[[step]]
do = "refuse"
target = "follower:any"
for = "2s"
[[step]]
do = "blackhole"
link = "leader <-> follower:any"
[[step]]
after = "step-10 + 2s"
do = "heal"
"#;
    holds(body);
    let faults = told(body, "link-fault");
    for kind in
        "slow lose reorder duplicate corrupt throttle reset refuse blackhole".split_whitespace()
    {
        let of_kind = |on: bool| {
            let (kind, on) = (format!("\"{kind}\""), format!("\"on\":{on}"));
            faults.iter().filter(|line| line.contains(&kind) && line.contains(&on)).count()
        };
        assert!(of_kind(true) > 0 && of_kind(true) == of_kind(false), "{kind}: {faults:#?}");
    }
}

#[test]
fn chaos_over_clocks_disks_and_packets_breaks_nothing() {
    let body = "[time]\nrun = \"60s\"\n[[workload]]\nkind = \"kv\"\nusers = 3\n\
                consistency = { default = 1, consistent = 1, stale = 1 }\n[[chaos]]\n\
                every = \"1s..3s\"\nfaults = { clock = 2, disk = 3, packet = 2, kill = 1 }\n";
    let desk = Desk::new();
    desk.write("s.toml", format!("{}{body}", crate::runner::THREE));
    for seed in 0..12 {
        let seed = seed.to_string();
        let done = desk.run(["s.toml", "--seed", &seed, "--json", "--no-replay", "--no-report"]);
        assert_eq!(done.code, 0, "seed {seed}: {}", done.json()["violations"]);
    }
}
