//! `expand` prints a scenario that is one, runs to the same digest, and expands to itself.

use std::fs;
use std::path::Path;

use crate::runner::{Desk, THREE, leader_loss, root};

/// Chaos, ranges, drawn targets, every shape, and steps that hang on each other and on events.
const EVERYTHING: &str = r#"
[network]
latency = "1ms..8ms"
loss = "1/500"
[time]
run = "50s"
settle = "90s"
[[workload]]
kind = "kv"
users = 2
keys = 3
rate = "10/s"
mix = { get = 2, put = 2, delete = 1, cas = 1, list = 1 }
consistency = { default = 1, consistent = 1, stale = 1 }
value = "20B"
between = "1s..45s"
[[workload]]
kind = "kv"
rate = "90/m"
consistency = "consistent"
via = ["n1", "n3"]
timeout = "900ms"
[[step]]
id = "any"
at = "2s..4s"
do = "kill"
target = "server:any"
disk = "some"
[[step]]
after = "any + 1s..3s"
do = "restart"
target = "last-killed"
config = { performance = { raft_multiplier = 2 }, node_name = "{n1.name}", log_level = "WARN" }
[[step]]
id = "two"
at = "9s..11s"
for = "1s..2s"
do = "pause"
target = "random:2"
[[step]]
do = "partition"
shape = "bridge"
for = "2s"
[[step]]
do = "partition"
shape = "one-way"
target = "follower:any"
for = "1s"
[[step]]
do = "partition"
groups = [["minority"], ["rest"]]
[[step]]
do = "heal"
[[step]]
id = "flap"
do = "partition"
shape = "flapping"
target = "any"
period = "2s"
for = "4s"
[[step]]
every = "3s..5s"
times = 3
do = "http"
via = "server:any"
request = "PUT /v1/kv/k1"
body = "quoted \"text\" with \\ and {{brace} and {n2}"
optional = true
[[step]]
after = "leader-change + 500ms"
do = "note"
text = "another leader\nsince {n1.id}"
optional = true
[[step]]
every = "4s"
between = "any..two"
do = "http"
via = "follower:any"
request = "GET /v1/kv/k1?consistent"
expect = { status = 200, excludes = ["x\ty"], header."X-Consul-KnownLeader" = "true" }
within = "20s"
[[step]]
when = "one-leader and not (term < 1 or leaders > 1) and up(n1)"
within = "25s"
do = "wait"
for = "1s..2s"
while = "leaders <= 2"
[[chaos]]
between = "5s..30s"
every = "3s..5s"
for = "1s..2s"
targets = "server:any"
faults = { partition = 3, kill = 1, stop = 1, pause = 1, restart = 1 }
[[chaos]]
every = "8s"
faults = { pause = 1, partition = 1 }
swarm = true
[[expect]]
eventually = "one-leader"
within = "10s..90s"
of = "any"
[[expect]]
eventually = "leaders = 1"
between = "any..flap"
for = "100ms"
[[expect]]
at_end = "logs-converged"
[[expect]]
in_order = ["leader-lost", "leader-elected"]
[[expect]]
sometimes = "count(logged(\"a ) b\")) > 3"
[[expect]]
skip = "boot"
because = "to have one of these"
"#;

/// Clocks, disks, files, links and commands; ranges, drawn targets, and chaos over all of them.
const MACHINES: &str = r#"
[disk]
fsync = "0.5ms..3ms"
read = "10us..90us"
write = "3us"
capacity = "50MB"
[clock]
skew = "-1s..1s"
drift = "-500ppm..500ppm"
[time]
run = "60s"
settle = "200s"
[[workload]]
kind = "kv"
rate = "10/s"
[[step]]
at = "2s..3s"
do = "drift"
target = "server:any"
by = "-90000ppm..90000ppm"
for = "3s..5s"
[[step]]
do = "skew"
target = "random:2"
by = "-9s..9s"
[[step]]
do = "jump"
target = "any"
by = "1500ms"
for = "1s"
[[step]]
do = "strobe"
target = "follower:any"
by = "-1s..1s"
every = "70ms"
for = "400ms"
[[step]]
do = "slow-fsync"
target = "minority"
by = "5ms..30ms"
for = "2s"
[[step]]
do = "io-error"
target = "follower:any"
op = "fsync"
ratio = "1/50"
for = "1s"
[[step]]
do = "disk-full"
target = "follower:any"
after = "1KB"
for = "1s"
optional = true
[[step]]
do = "torn-write"
target = "server:any"
[[step]]
do = "lose-unsynced"
target = "server:any"
[[step]]
id = "down"
do = "kill"
target = "server:any"
disk = "some"
for = "2s"
[[step]]
do = "fsync-lies"
target = "n1"
for = "100ms"
[[step]]
do = "file"
target = "servers"
path = "notes/a b.txt"
write = "first {n1}\n\"second\"\n"
[[step]]
do = "bit-rot"
target = "servers"
path = "notes/*"
count = 2
[[step]]
do = "misdirect"
target = "server:any"
path = "notes/*"
[[step]]
do = "file"
target = "server:any"
path = "notes/a b.txt"
corrupt = 3
[[step]]
do = "file"
target = "servers"
path = "notes/a b.txt"
expect = { contains = ["s"], excludes = ["\u0007x"] }
optional = true
[[step]]
do = "config"
target = "server:any"
set = { log_level = "WARN", node_meta = { a = "{n1.name}" } }
[[step]]
do = "cli"
via = "server:any"
run = "kv put k1 'from \"cli\"'"
expect = { exit = 0 }
within = "20s"
[[step]]
do = "cli"
via = "server:any"
run = "kv get -stale k1"
[[step]]
do = "dns"
via = "server:any"
query = "{n1.name}.node.consul"
expect = { rcode = "NOERROR", answers = ["{n1}"], contains = ["IN A {n1}"], excludes = ["\u0007x"] }
optional = true
[[step]]
do = "dns"
via = "server:any"
query = "consul.service.consul SRV"
tcp = true
expect = { answers = 3 }
within = "20s"
[[step]]
do = "transfer-leader"
to = "follower:any"
[[step]]
do = "lose"
link = "leader <-> rest"
ratio = "1/9"
proto = "tcp"
for = "1s"
optional = true
[[step]]
do = "throttle"
target = "server:any"
to = "100Kbit/s"
for = "1s"
[[chaos]]
between = "5s..50s"
every = "2s..4s"
for = "1s..2s"
faults = { clock = 1, disk = 1, packet = 1 }
"#;

/// Run, expanded, run again, expanded again.
fn assert_round_trip(scenario: &Path, seed: &str) {
    let desk = Desk::new();
    let text = fs::read_to_string(scenario).expect("a scenario");
    let path = scenario.display().to_string();
    let expanded = desk.run(["expand", &path, "--seed", seed]);
    assert_eq!(expanded.code, 0, "{expanded:?}");
    desk.write("expanded.toml", &expanded.out);
    let quiet = ["--seed", seed, "--json", "--no-replay", "--no-report"];
    let run = |path: &str| desk.run([path].iter().chain(&quiet));
    let (first, second) = (run(&path), run("expanded.toml"));
    assert!(first.code < 2 && second.code < 2, "{first:?}\n{second:?}\n{}", expanded.out);
    let told = format!("{path}, seed {seed}:\n{text}\n----\n{}", expanded.out);
    assert_eq!(first.digest(), second.digest(), "{told}");
    assert_eq!(first.code, second.code, "{told}");
    for key in ["verdict", "properties", "seen", "operations", "reads", "expected"] {
        assert_eq!(first.json()[key], second.json()[key], "{key} of {told}");
    }
    let again = desk.run(["expand", "expanded.toml", "--seed", seed]);
    assert_eq!(again.out, expanded.out, "expanding twice changes nothing: {told}");
    assert!(!expanded.out.contains("[[chaos]]"), "chaos is steps: {told}");
}

#[test]
fn the_main_scenario() {
    for seed in ["1", "42", "0xbeef"] {
        assert_round_trip(&leader_loss(), seed);
    }
}

#[test]
fn everything_at_once() {
    let desk = Desk::new();
    let path = desk.write("everything.toml", format!("{THREE}{EVERYTHING}"));
    for seed in ["1", "2", "3", "4", "5", "6"] {
        assert_round_trip(&path, seed);
    }
}

#[test]
fn machines_and_links_at_once() {
    let desk = Desk::new();
    let path = desk.write("machines.toml", format!("{THREE}{MACHINES}"));
    for seed in ["1", "2", "3"] {
        assert_round_trip(&path, seed);
    }
}

/// Blocks, lookups, and links that `[network]` names.
const BLOCKS: &str = r#"
[network]
loss = "1/200"
duplicate = "1/50"
reorder = "1/50"
corrupt = "1/500"
bandwidth = "50Mbit/s"
link."n1 <-> n2" = { latency = "2ms..30ms" }
link."servers -> users" = { loss = "0/1" }
[[workload]]
kind = "kv"
rate = "20/s"
[[workload]]
kind = "event"
rate = "60/m"
between = "1s..5s"
[[step]]
at = "2s..4s"
do = "repeat"
times = 3
  [[step.step]]
  id = "cut"
  do = "kill"
  target = "server:any"
  for = "1s..3s"
  [[step.step]]
  do = "parallel"
    [[step.step.step]]
    id = "short"
    do = "pause"
    target = "follower:any"
    for = "500ms"
    optional = true
    [[step.step.step]]
    after = "short + 1s..2s"
    do = "note"
    text = "the leader is {leader}"
    when = "one-leader"
  [[step.step]]
  do = "dns-fail"
  target = "random:2"
  for = "1s"
[[step]]
after = "cut + 1s"
do = "note"
text = "cut for the first time"
[[step]]
at = "1s"
do = "wait"
for = "60s"
"#;

#[test]
fn blocks_of_steps() {
    let desk = Desk::new();
    let path = desk.write("blocks.toml", format!("{THREE}{BLOCKS}"));
    for seed in ["1", "2", "3"] {
        assert_round_trip(&path, seed);
    }
    let run = desk.run([path.to_str().expect("a path"), "--seed", "1", "--json", "--no-replay"]);
    assert_eq!(run.code, 0, "{run:?}");
}

#[test]
fn a_run_whose_length_is_not_written() {
    let desk = Desk::new();
    let path = desk.write(
        "open.toml",
        format!(
            "{THREE}[[workload]]\nkind = \"kv\"\n[[step]]\nat = \"2s..9s\"\nfor = \"1s..5s\"\n\
             do = \"kill\"\ntarget = \"server:any\"\n[[step]]\ndo = \"wait\"\nuntil = \"one-leader\"\n\
             [[chaos]]\nfaults = {{ pause = 1 }}\n"
        ),
    );
    for seed in ["1", "2"] {
        assert_round_trip(&path, seed);
    }
    let manual = desk.write(
        "manual.toml",
        "title = \"manual\"\n[cluster]\nboot = \"manual\"\nservers = [\"x-1\", \"y_2\"]\n\
         node.servers = { bootstrap_expect = 2, retry_join = [\"{x-1}\", \"{y_2}\"] }\n\
         node.y_2 = { performance = { raft_multiplier = 1 } }\n[[step]]\ndo = \"start\"\n\
         target = \"servers\"\n[[step]]\ndo = \"wait\"\nuntil = \"one-leader\"\n",
    );
    assert_round_trip(&manual, "1");
}

#[test]
fn an_override_is_part_of_what_is_expanded() {
    let desk = Desk::with_leader_loss();
    let change = ["--seed", "5", "--set", "step.first-loss.at=5s", "--set", "workload.1.keys=2"];
    let expanded = desk.run(["expand", "leader_loss.toml"].iter().chain(&change));
    assert!(
        expanded.out.contains("at = \"5s\"") && expanded.out.contains("keys = 2"),
        "{expanded:?}"
    );
    desk.write("expanded.toml", &expanded.out);
    let quiet = ["--json", "--no-replay", "--no-report"];
    let first = desk.run(["leader_loss.toml"].iter().chain(&change).chain(&quiet));
    let second = desk.run(["expanded.toml", "--seed", "5"].iter().chain(&quiet));
    assert_eq!(first.digest(), second.digest());
}

/// The scenarios that every change is held to; there are more of them as the language grows.
#[test]
fn the_fast_scenarios() {
    let folder = root().join("scenarios/fast");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("skipped: there is no {}", folder.display());
        return;
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "toml")) {
        assert_round_trip(path, "3");
    }
}

/// What lies beside the evidence of a run is that run.
#[test]
fn the_scenario_in_a_folder_is_the_expanded_one() {
    let desk = Desk::with_leader_loss();
    desk.run(["leader_loss.toml", "--seed", "9", "--no-replay", "--out", "r"]);
    let expanded = desk.run(["expand", "leader_loss.toml", "--seed", "9"]);
    assert_eq!(desk.read("r/scenario.toml"), expanded.out);
}
