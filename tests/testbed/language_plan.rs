//! Scenario files become plans: draws are stable, independent of each other, and survive `expand`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sim_runner::scenario::model::{Action, Boot, Plan, Profile, Seed, Target, Trigger};
use sim_runner::scenario::{Field, expand, fill, load, load_text, lower, titles};

/// The repository's scenarios.
fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")
}

fn seed(text: &str) -> Seed {
    Seed::parse(text).expect("the tests' seeds are seeds")
}

fn plan_of(text: &str, number: u64) -> Plan {
    let source = load_text("test.toml", text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    lower(&source, &seed(&number.to_string())).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A plan without the places of its tables, which an expanded scenario cannot keep.
fn placeless(mut plan: Plan) -> Plan {
    plan.steps.iter_mut().for_each(|step| step.place.clear());
    plan.expects.iter_mut().for_each(|expect| expect.place.clear());
    plan
}

fn round_trip(name: &str, text: &str, numbers: impl Iterator<Item = u64>) {
    let source = load_text(name, text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    for number in numbers {
        let seed = seed(&number.to_string());
        let plan = lower(&source, &seed).unwrap_or_else(|errors| panic!("{errors}"));
        let printed = expand(&source, &seed, &BTreeMap::new()).expect("it lowers");
        let again = load_text("expanded.toml", &printed, &[])
            .unwrap_or_else(|errors| panic!("{name} seed {number}:\n{printed}\n{errors}"));
        let replan = lower(&again, &seed).expect("it lowers");
        assert_eq!(placeless(replan), placeless(plan), "{name} seed {number}:\n{printed}");
        let reprinted = expand(&again, &seed, &BTreeMap::new()).expect("it lowers");
        assert_eq!(reprinted, printed, "{name} seed {number}: expanding twice changes nothing");
    }
}

/// Words that the repository's scenarios do not use.
const ODDITIES: &str = r#"
title = "oddities \"quoted\", tabs\t and \\"
[cluster]
servers = ["alpha", "beta", "gamma"]
boot = "manual"
node.servers = { a = 1, deep = { x = [1, 2.5, true], "odd key" = "ü\u0007" } }
node.beta = { deep = { y = "{beta}" } }
[time]
settle = "0s"
[[workload]]
kind = "kv"
rate = "90/m"
via = ["alpha", "not(beta)"]
[[step]]
do = "start"
target = "all"
[[step]]
id = "a"
after = "logged('x + y') + 1s..2s"
when = "not (up(alpha) at not(beta)) or count(mark:x.y) != 3"
do = "http"
via = "alpha"
request = "POST /v1/kv/{alpha.name}"
expect = { json = { "0.Key" = { a = 1 } }, header = { X-A = "{{" } }
[[step]]
every = "1s..2s"
between = "a..late"
times = 4
do = "kill"
target = ["random:2", "same-as:a"]
disk = "some"
[[step]]
id = "late"
at = "50s..50.5s"
do = "wait"
for = "1us..9us"
while = "leaders <= 1"
[[step]]
do = "wait"
until = "mark:election.lost"
[[chaos]]
every = "100ms..9s"
faults = { kill = 1, stop = 1, partition = 5, pause = 1, restart = 1 }
swarm = true
[[chaos]]
between = "70s..80s"
faults = { pause = 1 }
targets = ["alpha", "minority"]
[[expect]]
eventually = 'logged("it''s") '
within = "10s..24s"
between = "a..90s"
[[expect]]
violates = "linearizable"
"#;

#[test]
fn every_scenario_of_the_repository_survives_expand() {
    let list = titles(&scenarios());
    assert!(list.len() >= 10, "{list:?}");
    for (path, _) in list {
        let text = std::fs::read_to_string(&path).expect("it was just listed");
        round_trip(&path.display().to_string(), &text, 0..20);
    }
}

#[test]
fn odd_words_survive_expand() {
    round_trip("oddities.toml", &ODDITIES.replace("''s", "s"), 0..200);
}

/// The example of the language reference.
const EXAMPLE: &str = r#"
title = "leader loss under write load"
story = "The leader is killed while users write. No acknowledged write may be lost, and service resumes."
source = "where it comes from: an outage thread, a paper, an article"        # optional

[cluster]
servers = 3                      # n1 n2 n3; or names: ["alpha", "beta"]
clients = 2                      # c1 c2: agents in client mode; or names
config = { performance = { raft_multiplier = 1 } }      # any agent config key, for every node
node.servers = { leave_on_terminate = false }           # the same, for one role (servers, clients)
node.n2 = { rejoin_after_leave = true }                 # the same, for one node
protect = { max_dead_servers = 1 }                      # chaos never takes more down at once; steps may

[network]
latency = "1ms..10ms"            # drawn per message
loss = "1/1000"

[time]
run = "60s"
settle = "300s"

[[workload]]
kind = "kv"
users = 3
keys = 5
rate = "20/s"
mix = { get = 5, put = 4, cas = 1 }
consistency = { default = 2, consistent = 1 }
via = "server:any"

[[step]]
id = "cut"
at = "10s..12s"
do = "kill"
target = "leader"

[[step]]
after = "cut + 5s"
do = "restart"
target = "last-killed"

[[chaos]]
between = "20s..60s"
every = "2s..6s"
faults = { partition = 3, kill = 2, pause = 1 }

[[expect]]
eventually = "one-leader"
within = "8s"
of = "cut"

[[expect]]
seen = "leader-change"
"#;

#[test]
fn the_example_of_the_reference_is_a_plan() {
    round_trip("example.toml", EXAMPLE, 0..50);
    let plan = plan_of(EXAMPLE, 42);
    assert_eq!(plan.cluster.max_dead_servers, 1);
    assert_eq!(
        plan.steps[1].trigger,
        Trigger::AfterStep { step: 0, delay: Duration::from_secs(5) }
    );
    let chaos = plan.steps.iter().filter(|step| step.chaos).collect::<Vec<_>>();
    assert!((6..20).contains(&chaos.len()), "{}", chaos.len());
    assert!(chaos.iter().all(|step| step.optional && step.undo_after.is_some()));
    assert_eq!(plan.expects[0].within, Some((Duration::ZERO, Duration::from_secs(8))));
}

/// The story without times of the language reference.
const PEERS_JSON: &str = r#"
title = "peers.json turns null when the leader of two leaves, and how to recover"
[cluster]
profile = "legacy"
boot = "manual"
servers = ["n1", "n2"]
node.servers = { bootstrap_expect = 2 }

[[step]]
do = "start"
target = "servers"
[[step]]
do = "cli"
via = "n2"
run = "join {n1}"
expect = { exit = 0, contains = ["Successfully joined cluster by contacting 1 nodes."] }
[[step]]
do = "wait"
until = "one-leader"
[[step]]
id = "leaves"
do = "leave"
target = "leader"
[[step]]
do = "file"
target = "same-as:leaves"
path = "raft/peers.json"
expect = { content = "null\n" }
[[step]]
do = "wait"
for = "40s"
while = "no-leader"
[[step]]
do = "file"
target = "servers"
path = "raft/peers.json"
write = '["{n1}:8300","{n2}:8300"]'
[[step]]
do = "start"
target = "same-as:leaves"
args = ["-rejoin"]
[[step]]
do = "wait"
until = "one-leader and writable"
"#;

/// Members, links, blocks: what the scenarios of the repository do not say.
const MEMBERS: &str = r#"
title = "members"
[cluster]
servers = ["alpha", "beta", "gamma"]
clients = 2
config = { log_level = "DEBUG" }
node.clients = { leave_on_terminate = true }
node.c2 = { log_level = "WARN" }
[network]
latency = "1ms..2ms"
duplicate = "1/50"
reorder = "1/60"
corrupt = "1/70"
bandwidth = "10Mbit/s"
wan = { latency = "40ms..60ms", loss = "1/100" }
link."alpha -> beta" = { latency = "5ms..9ms" }
link."clients <-> servers" = { bandwidth = "1Mbit/s", corrupt = "1/1000" }
[[workload]]
kind = "event"
users = 2
rate = "30/m"
size = "64B"
via = "client:any"
[[step]]
id = "rounds"
do = "repeat"
times = 3
  [[step.step]]
  do = "leave"
  target = "c1"
  [[step.step]]
  id = "inner"
  do = "parallel"
    [[step.step.step]]
    do = "wait"
    for = "2s..3s"
    [[step.step.step]]
    id = "last"
    after = "member-left(c1) + 1s"
    do = "force-leave"
    target = "c1"
    prune = true
  [[step.step]]
  do = "start"
  target = "c1"
  args = ["-rejoin"]
[[step]]
do = "join"
target = "clients"
to = ["alpha", "beta"]
wan = true
[[step]]
do = "force-leave"
target = "c2"
via = "server:any"
[[step]]
do = "readdress"
target = ["c1", "server:any"]
[[step]]
after = "last + 2s"
do = "dns-fail"
target = "not(leader)"
for = "3s"
[[step]]
after = "promoted(beta) + 1s"
when = "alive(c1) and not failed(c2) and members >= 5 and members-converged at beta"
do = "parallel"
  [[step.step]]
  do = "note"
  text = "{c1} {c1.name}"
[[expect]]
eventually = "left(c1) at alpha or member(c2)"
[[expect]]
seen = "recovered-from-peers-json"
[[expect]]
in_order = ["member-joined(clients)", "member-failed(c1)", "member-left(same-as:rounds.x)"]
"#;

#[test]
fn what_is_said_of_members_survives_expand() {
    round_trip("peers.toml", PEERS_JSON, 0..3);
    let plan = plan_of(PEERS_JSON, 1);
    assert_eq!((plan.cluster.boot, plan.cluster.profile), (Boot::Manual, Profile::Legacy));
    let text = MEMBERS.replace("same-as:rounds.x", "client:any");
    round_trip("members.toml", &text, 0..50);
    let plan = plan_of(&text, 1);
    let names: Vec<(&str, bool)> =
        plan.cluster.nodes.iter().map(|node| (node.name.as_str(), node.server)).collect();
    let expected = [("alpha", true), ("beta", true), ("gamma", true), ("c1", false), ("c2", false)];
    assert_eq!(names, expected);
    let config = |at: usize| plan.cluster.nodes[at].config.to_string();
    assert_eq!(config(0), r#"{"log_level":"DEBUG"}"#);
    assert_eq!(config(3), r#"{"leave_on_terminate":true,"log_level":"DEBUG"}"#);
    assert_eq!(config(4), r#"{"leave_on_terminate":true,"log_level":"WARN"}"#);
    assert_eq!(plan.network.links.len(), 2);
    let parents: Vec<Option<usize>> = plan.steps.iter().map(|step| step.parent).collect();
    let outside = None;
    let expected = [
        outside,
        Some(0),
        Some(0),
        Some(2),
        Some(2),
        Some(0),
        outside,
        outside,
        outside,
        outside,
        outside,
        Some(10),
    ];
    assert_eq!(parents, expected);
}

#[test]
fn a_block_lasts_as_long_as_what_is_in_it() {
    let run = |steps: &str| plan_of(&format!("title = 't'\n{steps}"), 1).time.run.as_secs();
    let wait = |depth: &str, span: u32| format!("[[{depth}]]\ndo = 'wait'\nfor = '{span}s'\n");
    let inner = format!("{}{}", wait("step.step", 7), wait("step.step", 20));
    let after = wait("step", 10);
    let repeat = "[[step]]\ndo = 'repeat'\ntimes = 3\n";
    assert_eq!(run(&format!("{repeat}{inner}{after}")), 81 + 10 + 10);
    assert_eq!(run(&format!("[[step]]\ndo = 'parallel'\n{inner}{after}")), 20 + 10 + 10);
}

#[test]
fn conditions_bind_as_the_reference_says() {
    let condition = |text: &str| {
        let text = format!("title = 't'\ncluster.servers = 3\n[[expect]]\nat_end = \"{text}\"\n");
        plan_of(&text, 1).expects[0].rule.clone()
    };
    let same = |a: &str, b: &str| assert_eq!(condition(a), condition(b));
    same("one-leader or writable and no-leader", "one-leader or (writable and no-leader)");
    same("not one-leader and writable", "(not one-leader) and writable");
    same("one-leader and writable at n1", "one-leader and (writable at n1)");
    same("not one-leader at n1", "not (one-leader at n1)");
    same("voters>=3 at not(n1)", "(voters >= 3) at not(n1)");
    same("leader(n1)", "leader('n1')");
    same("count(leader-elected) = 2", "count('leader-elected')=2");
    assert_ne!(
        condition("(one-leader or writable) and voters = 1"),
        condition("one-leader or (writable and voters = 1)")
    );
}

#[test]
fn titles_are_listed_in_order_of_paths() {
    let list = titles(&scenarios());
    let paths: Vec<_> = list.iter().map(|(path, _)| path.clone()).collect();
    assert!(paths.is_sorted());
    for (path, title) in &list {
        assert!(!title.starts_with("(not"), "{}: {title}", path.display());
        let source = load(path, &[]).unwrap_or_else(|errors| panic!("{errors}"));
        let plan = lower(&source, &seed("1")).expect("it lowers");
        assert!(plan.story.is_some(), "{} tells no story", path.display());
        assert!(!plan.expects.is_empty(), "{} expects nothing", path.display());
    }
}

#[test]
fn the_main_scenario_keeps_its_contract() {
    let source = load(&scenarios().join("leader_loss.toml"), &[]).expect("it is a scenario");
    let plan = lower(&source, &seed("42")).expect("it lowers");
    assert_eq!(plan.cluster.nodes.len(), 5);
    assert_eq!(plan.cluster.nodes.iter().filter(|node| node.server).count(), 3);
    assert!(plan.cluster.nodes.iter().all(|n| n.config["performance"]["raft_multiplier"] == 1));
    assert_eq!(plan.time.run.as_secs(), 60);
    assert!(!plan.time.settle.is_zero(), "liveness is judged");
    let workload = &plan.workloads[0];
    assert!(workload.users >= 3 && workload.per_minute == 1200);
    let sim_runner::scenario::model::WorkloadKind::Kv(kv) = &workload.kind else {
        panic!("{:?}", workload.kind);
    };
    let modes = kv.consistency;
    assert!(kv.keys == 5 && modes.consistent * 3 >= modes.consistent + modes.default + modes.stale);
    let leaders = |step: &&sim_runner::scenario::model::Step| {
        matches!(&step.action, Action::Kill { target: Target::Leader, .. })
    };
    assert!(plan.steps.iter().filter(leaders).count() >= 2);
}

/// Draws are a promise: a change here changes every digest ever published.
#[test]
fn draws_are_pinned() {
    let text = "title = 't'\n[[step]]\nid = 'a'\nat = '10s..12s'\ndo = 'kill'\ntarget = 'leader'\nfor = '1s..2s'\n\
                [[chaos]]\nbetween = '20s..40s'\nfaults = { partition = 3, kill = 2, pause = 1 }";
    let plan = plan_of(text, 42);
    let facts: Vec<String> = plan
        .steps
        .iter()
        .map(|step| match step.trigger {
            Trigger::At(at) => {
                format!("{} {at:?} {} {:?}", step.id, step.action.verb(), step.undo_after)
            }
            ref other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(facts, PINNED);
}

const PINNED: [&str; 5] = [
    "a 11.492s kill Some(1.806s)",
    "chaos-1-1 23.182s partition Some(9.063s)",
    "chaos-1-2 25.676s partition Some(5.168s)",
    "chaos-1-3 31.092s pause Some(3.056s)",
    "chaos-1-4 38.378s kill Some(4.279s)",
];

#[test]
fn a_new_step_moves_no_other_draw() {
    let first = "[[step]]\nid = 'a'\nat = '10s..12s'\ndo = 'kill'\ntarget = 'leader'\n";
    let other = "[[step]]\nid = 'b'\nat = '1s..50s'\ndo = 'heal'\n";
    let chaos = "[[chaos]]\nbetween = '20s..90s'\nfaults = { kill = 1, pause = 1 }\n";
    let more = "[[chaos]]\nbetween = '20s..90s'\nfaults = { stop = 1 }\n";
    let find = |plan: &Plan, id: &str| plan.steps.iter().find(|s| s.id == id).cloned();
    for number in 0..20 {
        let small = placeless(plan_of(&format!("title = 't'\n{first}{chaos}"), number));
        let large =
            placeless(plan_of(&format!("title = 't'\n{other}{first}{chaos}{more}"), number));
        for step in &small.steps {
            assert_eq!(find(&large, &step.id).as_ref(), Some(step));
        }
    }
}

#[test]
fn draws_stay_in_their_ranges_and_differ_between_seeds() {
    let text = "title = 't'\n[[step]]\nat = '10s..12s'\ndo = 'heal'\n";
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..100 {
        let Trigger::At(at) = plan_of(text, number).steps[0].trigger else { panic!("it has `at`") };
        assert!((10_000..12_000).contains(&at.as_millis()), "{at:?}");
        seen.insert(at);
    }
    assert!(seen.len() > 80, "{}", seen.len());
}

#[test]
fn a_run_without_a_length_ends_after_its_last_step() {
    let run = |steps: &str| plan_of(&format!("title = 't'\n{steps}"), 1).time.run.as_secs();
    assert_eq!(run(""), 30);
    assert_eq!(run("[[step]]\nat = '50s'\ndo = 'heal'\n"), 60);
    assert_eq!(run("[[step]]\nat = '50s'\ndo = 'pause'\ntarget = 'n1'\nfor = '5s'\n"), 65);
    assert_eq!(
        run("[[step]]\ndo = 'wait'\nuntil = 'one-leader'\n[[step]]\ndo = 'wait'\nfor = '7s'\n"),
        77
    );
    assert_eq!(run("[[step]]\nevery = '5s'\ntimes = 10\ndo = 'heal'\n"), 60);
}

#[test]
fn drawn_targets_become_the_nodes_of_a_run() {
    let text = "title = 't'\ncluster.servers = 3\n[[step]]\nid = 'a'\ndo = 'kill'\ntarget = 'random:2'\n\
                [[step]]\nid = 'b'\ndo = 'kill'\ntarget = 'leader'\n";
    let source = load_text("test.toml", text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let mut resolved = BTreeMap::new();
    resolved.insert("a".to_owned(), vec!["n2".to_owned(), "n3".to_owned()]);
    resolved.insert("b".to_owned(), vec!["n1".to_owned()]);
    let printed = expand(&source, &seed("1"), &resolved).expect("it lowers");
    assert!(printed.contains("target = [\"n2\", \"n3\"]"), "{printed}");
    assert!(printed.contains("target = \"leader\""), "what is no draw stays: {printed}");
}

#[test]
fn overrides_replace_and_add() {
    let text = "title = 't'\n[[step]]\nid = 'cut'\nat = '1s'\ndo = 'pause'\ntarget = 'n1'\n";
    let sets =
        ["step.cut.at=20s", "cluster.servers=5", "step.1.for = \"3s\"", "cluster.config.a.b=[1]"];
    let sets = sets.map(str::to_owned);
    let source = load_text("test.toml", text, &sets).unwrap_or_else(|errors| panic!("{errors}"));
    let plan = lower(&source, &seed("1")).expect("it lowers");
    assert_eq!(plan.cluster.nodes.len(), 5);
    assert_eq!(plan.steps[0].trigger, Trigger::At(Duration::from_secs(20)));
    assert_eq!(plan.steps[0].undo_after, Some(Duration::from_secs(3)));
    assert_eq!(plan.cluster.nodes[0].config["a"]["b"][0], 1);
}

#[test]
fn configuration_is_merged_in_order() {
    let text = "title = 't'\n[cluster]\nservers = 2\nconfig = { a = { x = 1, y = 1 } }\n\
                node.servers = { a = { y = 2, z = 2 } }\nnode.n2 = { a = { z = 3 } }\n";
    let plan = plan_of(text, 1);
    assert_eq!(plan.cluster.nodes[0].config.to_string(), r#"{"a":{"x":1,"y":2,"z":2}}"#);
    assert_eq!(plan.cluster.nodes[1].config.to_string(), r#"{"a":{"x":1,"y":2,"z":3}}"#);
}

#[test]
fn includes_come_first_and_the_including_file_wins() {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let write =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write(
        "base.toml",
        "title = 'base'\n[cluster]\nservers = 5\nboot = 'manual'\n[[step]]\nid = 'x'\ndo = 'heal'\n",
    );
    write(
        "top.toml",
        "title = 'top'\ninclude = 'base.toml'\n[cluster]\nservers = 3\n[[step]]\nafter = 'x'\ndo = 'heal'\n",
    );
    write("loop.toml", "title = 'l'\ninclude = ['loop.toml']\n");
    let source =
        load(&folder.path().join("top.toml"), &[]).unwrap_or_else(|errors| panic!("{errors}"));
    let plan = lower(&source, &seed("1")).expect("it lowers");
    assert_eq!((plan.title.as_str(), plan.cluster.nodes.len(), plan.steps.len()), ("top", 3, 2));
    assert_eq!(plan.steps[0].id, "x");
    let errors = load(&folder.path().join("loop.toml"), &[]).expect_err("it includes itself");
    assert!(errors.to_string().contains("includes itself"), "{errors}");
}

#[test]
fn braces_are_filled_in() {
    let plan = plan_of("title = 't'\n[[step]]\nid = 'cut'\ndo = 'kill'\ntarget = 'leader'\n", 1);
    let mut resolve = |target: &Target, field: Field| match target {
        Target::Node(name) => Some(format!("<{name} {field:?}>")),
        Target::SameAs(0) => Some("<cut>".to_owned()),
        _ => None,
    };
    let mut filled = |text: &str| fill(&plan, text, &mut resolve);
    assert_eq!(filled("a {n1}:8300 {n1.id} {{n1}").unwrap(), "a <n1 Address>:8300 <n1 Id> {n1}");
    assert_eq!(filled("{same-as:cut}").unwrap(), "<cut>");
    assert_eq!(filled("{leader}").unwrap_err(), "{leader} is not exactly one node now");
}
