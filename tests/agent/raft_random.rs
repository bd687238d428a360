//! Random schedules: messages lost, doubled and reordered, disks that lag, crashes that lose what was
//! not written, clocks that drift, proposals and reads at anybody. After every step the judge looks;
//! at the end everything works again and the cluster has to agree.
//!
//! `PROPTEST_CASES=10000 cargo test --test agent raft_random` runs longer. With the feature
//! `buggify` each planted bug is run through the same schedules, and the property that owns it must
//! find it.

use proconsul::base::{CallId, LogIndex, PersistId, Prng, ReplyToken, Term};
use proconsul::raft::{
    AppendEntries, AppendEntriesResponse, Entry, EntryKind, Input, InstallSnapshot,
    InstallSnapshotResponse, Lane, Raft, Request, RequestPreVote, RequestVote, RequestVoteResponse,
    Response, SnapshotMeta,
};
use proptest::prelude::*;

use crate::raft_cluster::{Body, Cluster, Message};
use crate::raft_judge::Violation;
use crate::raft_shape::Shape;

/// What happens next, and to what: reduced to what is there at that moment.
pub type Choice = (u8, u16);

pub fn act(cluster: &mut Cluster, (what, which): Choice) -> Result<(), Violation> {
    let at = usize::from(which) % cluster.nodes.len();
    let flying = cluster.messages.len();
    let position = (flying > 0).then(|| usize::from(which) % flying.max(1));
    match (what % 64, position) {
        (0..24, Some(position)) => cluster.deliver(position),
        (24..34, Some(_)) => cluster.deliver(0),
        (34..37, Some(position)) => cluster.lose(position),
        (37, Some(position)) => {
            let copy: Message = cluster.messages[position].clone();
            let repeats = !(cluster.keeps_streams() && copy.lane == Lane::Replication);
            if matches!(copy.body, Body::Request(_)) && repeats {
                cluster.messages.push(copy);
            }
            Ok(())
        }
        (38..48, _) => cluster.persist(at).map(|_| ()),
        // The rest of the world goes on while a server is cut off.
        (48..52, _) if cluster.cut == Some(at) => Ok(()),
        (48..52, _) => cluster.fire(at),
        (52, _) => {
            cluster.crash(at, usize::from(which) / 7 % 3);
            Ok(())
        }
        (53..55, _) => cluster.restart(at),
        (55..59, _) => match likely_leader(cluster, which) {
            Some(leader) => cluster.propose(leader, &format!("x{which}")),
            None => cluster.persist(at).map(|_| ()),
        },
        (59..61, _) => cluster.verify(likely_leader(cluster, which).unwrap_or(at)),
        (61, _) => cluster.run_dry(),
        (62, _) => {
            let leader = likely_leader(cluster, which).unwrap_or(at);
            cluster.cut = if cluster.cut.is_none() { Some(leader) } else { None };
            Ok(())
        }
        _ => cluster.pass(cluster.until_deadline().unwrap_or_default()),
    }
}

/// One of those that believe to lead.
pub fn likely_leader(cluster: &Cluster, which: u16) -> Option<usize> {
    let leads = |at: &usize| cluster.nodes[*at].raft.as_ref().is_some_and(Raft::is_leader);
    let leaders: Vec<usize> = (0..cluster.nodes.len()).filter(leads).collect();
    (!leaders.is_empty()).then(|| leaders[usize::from(which) % leaders.len()])
}

fn run(shape: Shape, schedule: &[Choice]) -> (Cluster, Result<(), Violation>) {
    let mut cluster = Cluster::new(shape);
    let mut result = Ok(());
    for &choice in schedule {
        result = act(&mut cluster, choice);
        if result.is_err() {
            break;
        }
    }
    if result.is_ok() {
        result = cluster.converge(3000);
    }
    (cluster, result)
}

fn shape(servers: usize, max_append_entries: usize, max_inflight: usize, seed: u64) -> Shape {
    Shape { max_append_entries, max_inflight, ..Shape::of(servers, seed) }
}

pub fn fail(cluster: &Cluster, violation: &Violation) -> TestCaseError {
    let tail = cluster.transcript.len().saturating_sub(60);
    TestCaseError::fail(format!(
        "{}: {}\n{}",
        violation.property,
        violation.detail,
        cluster.transcript[tail..].join("\n")
    ))
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn three_servers_keep_the_invariants(
        seed in any::<u64>(),
        sizes in (1usize..5, 1usize..5),
        schedule in prop::collection::vec(any::<Choice>(), 50..500),
    ) {
        let (cluster, result) = run(shape(3, sizes.0, sizes.1, seed), &schedule);
        result.map_err(|violation| fail(&cluster, &violation))?;
    }

    #[test]
    fn five_servers_keep_the_invariants(
        seed in any::<u64>(),
        schedule in prop::collection::vec(any::<Choice>(), 50..800),
    ) {
        let (cluster, result) = run(shape(5, 2, 3, seed), &schedule);
        result.map_err(|violation| fail(&cluster, &violation))?;
    }
}

/// Small numbers, which mean something, and the largest, which overflow.
fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0u64..6, 1 => Just(u64::MAX), 1 => Just(u64::MAX / 2), 1 => any::<u64>()]
}

fn any_request() -> impl Strategy<Value = Request> {
    let entry = (any_number(), any_number()).prop_map(|(index, term)| Entry {
        index: LogIndex(index),
        term: Term(term),
        // A set of servers that nobody can read is refused, whatever index it names.
        kind: if term == 5 { EntryKind::Configuration } else { EntryKind::Command },
        data: format!("{index}@{term}").into(),
    });
    let append = (any_number(), any_number(), any_number(), prop::collection::vec(entry, 0..4));
    let vote = (any_number(), any_number(), any_number(), any::<bool>());
    prop_oneof![
        append.prop_map(|(term, prev_index, prev_term, entries)| {
            Request::AppendEntries(AppendEntries {
                term: Term(term),
                leader: "n2".into(),
                prev_index: LogIndex(prev_index),
                prev_term: Term(prev_term),
                entries,
                leader_commit: LogIndex(0),
            })
        }),
        (any_number(), any_number(), any_number()).prop_map(|(term, index, last_term)| {
            Request::InstallSnapshot(InstallSnapshot {
                term: Term(term),
                leader: "n2".into(),
                snapshot: SnapshotMeta {
                    index: LogIndex(index),
                    term: Term(last_term),
                    ..SnapshotMeta::default()
                },
            })
        }),
        vote.prop_map(|(term, index, last_term, leadership_transfer)| {
            Request::RequestVote(RequestVote {
                term: Term(term),
                candidate: "n2".into(),
                last_log_index: LogIndex(index),
                last_log_term: Term(last_term),
                leadership_transfer,
            })
        }),
        (any_number(), any_number(), any_number()).prop_map(|(term, index, last_term)| {
            Request::RequestPreVote(RequestPreVote {
                term: Term(term),
                candidate: "n2".into(),
                last_log_index: LogIndex(index),
                last_log_term: Term(last_term),
            })
        }),
        Just(Request::TimeoutNow),
    ]
}

fn any_response() -> impl Strategy<Value = Response> {
    let fields = (any_number(), any_number(), any::<bool>(), any::<bool>());
    prop_oneof![
        fields.prop_map(|(term, last_log, success, no_retry_backoff)| {
            Response::AppendEntries(AppendEntriesResponse {
                term: Term(term),
                last_log: LogIndex(last_log),
                success,
                no_retry_backoff,
            })
        }),
        (any_number(), any::<bool>()).prop_map(|(term, success)| {
            Response::InstallSnapshot(InstallSnapshotResponse { term: Term(term), success })
        }),
        (any_number(), any::<bool>()).prop_map(|(term, granted)| {
            Response::RequestVote(RequestVoteResponse { term: Term(term), granted })
        }),
    ]
}

fn any_input() -> impl Strategy<Value = Input> {
    prop_oneof![
        any_request().prop_map(|request| Input::Request { token: ReplyToken(9), request }),
        (0u64..12, any_response())
            .prop_map(|(call, response)| Input::Reply { call: CallId(call), result: Ok(response) }),
        (0u64..6).prop_map(|id| Input::Persisted(PersistId(id))),
        Just(Input::Wake),
    ]
}

proptest! {
    /// No message brings a server down, whatever is in it: neither a second leader of its own term, nor
    /// one that contradicts what is committed.
    #[test]
    fn garbage_is_survived(inputs in prop::collection::vec(any_input(), 1..80)) {
        // The judge is no judge of lies.
        let mut cluster = Cluster::new(Shape::of(3, 1));
        let mut raft = cluster.nodes[0].raft.take().expect("it runs");
        let mut now = cluster.nodes[0].clock;
        for input in inputs {
            if matches!(input, Input::Wake) {
                now = now.max(raft.deadline().expect("its disk works"));
            }
            raft.step(now, input, &mut Vec::new());
            raft.check_invariants();
        }
    }
}

pub fn schedule(prng: &mut Prng, length: usize) -> Vec<Choice> {
    (0..length).map(|_| (prng.below(256) as u8, prng.below(65_536) as u16)).collect()
}

#[test]
fn schedules_reach_what_they_are_meant_to_test() {
    let (mut commits, mut reads, mut truncations) = (0, 0, 0);
    for seed in 0..40 {
        let choices = schedule(&mut Prng::new(seed), 600);
        let (cluster, result) = run(shape(3, 2, 3, seed), &choices);
        result.unwrap_or_else(|violation| panic!("seed {seed}: {violation:?}"));
        commits += cluster.judge.commits;
        reads += cluster.judge.reads_confirmed;
        truncations +=
            cluster.transcript.iter().filter(|line| line.contains("* truncated")).count();
    }
    assert!(commits > 400, "{commits} entries committed");
    assert!(reads > 40, "{reads} reads confirmed");
    assert!(truncations > 10, "{truncations} truncations");
}

#[cfg(feature = "buggify")]
mod planted {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use proconsul::base::Faults;

    use super::*;

    /// Seeds tried before a planted bug counts as missed.
    const SEEDS: u64 = 3000;

    /// The first seed whose run is violated, and the property.
    fn hunt(plant: &str) -> (u64, String) {
        for seed in 0..SEEDS {
            let choices = schedule(&mut Prng::new(seed).fork(plant), 600);
            let servers = if seed % 2 == 0 { 3 } else { 5 };
            let faults = Faults::armed(Some(plant), None);
            let shape = Shape { faults, ..shape(servers, 2, 3, seed) };
            match catch_unwind(AssertUnwindSafe(|| run(shape, &choices).1)) {
                Ok(Ok(())) => {}
                Ok(Err(violation)) => return (seed, violation.property.to_owned()),
                Err(_) => return (seed, "no-panic".to_owned()),
            }
        }
        panic!("{plant} was not found in {SEEDS} seeds");
    }

    fn is_found_by(plant: &str, properties: &[&str]) {
        let (seed, property) = hunt(plant);
        println!("{plant}: {property} at seed {seed}");
        assert!(
            properties.contains(&property.as_str()),
            "{plant} was found by {property} (seed {seed}), not by {properties:?}"
        );
    }

    #[test]
    fn vote_not_persisted() {
        is_found_by("vote-not-persisted", &["vote-durability"]);
    }

    #[test]
    fn double_vote() {
        is_found_by("double-vote", &["election-safety"]);
    }

    #[test]
    fn commit_older_term() {
        is_found_by("commit-older-term", &["leader-completeness", "state-machine-safety"]);
    }

    #[test]
    fn append_skips_log_check() {
        is_found_by("append-skips-log-check", &["log-matching"]);
    }

    #[test]
    fn election_ignores_log() {
        is_found_by("election-ignores-log", &["leader-completeness"]);
    }

    #[test]
    fn ack_before_durable() {
        is_found_by("ack-before-durable", &["durability"]);
    }

    #[test]
    fn commit_goes_back() {
        is_found_by("commit-goes-back", &["commit-monotonic"]);
    }

    #[test]
    fn apply_before_commit() {
        is_found_by("apply-before-commit", &["state-machine-safety"]);
    }

    #[test]
    fn stuck_follower() {
        is_found_by("stuck-follower", &["liveness"]);
    }

    #[test]
    fn verify_counts_old_heartbeats() {
        is_found_by("verify-counts-old-heartbeats", &["linearizable"]);
    }

    #[test]
    fn panic_on_truncate() {
        is_found_by("panic-on-truncate", &["no-panic"]);
    }
}
