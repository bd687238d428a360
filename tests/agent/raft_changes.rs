//! Random schedules (see `raft_random`) in which the set of servers changes, leadership is handed over,
//! and servers ask for pre-votes or do not.
//!
//! `modern` keeps every invariant. The rules of Consul 0.5.2 do while its set is fixed; under changes
//! those they do not keep are named in `raft::membership`'s module `legacy`, each with the transcript
//! that breaks it, and here in [`NOT_KEPT`].
//!
//! `PROPTEST_CASES=10000 cargo test --test agent raft_changes` runs longer.

use proconsul::base::{LogIndex, Prng, ReplyToken, RequestId, Term};
use proconsul::raft::{
    AppendEntries, Change, ChangeCommand, Entry, EntryKind, Input, Raft, Request,
};
use proptest::prelude::*;

use crate::raft_cluster::Cluster;
use crate::raft_judge::Violation;
use crate::raft_random::{Choice, act, fail, likely_leader, schedule};
use crate::raft_shape::{Discipline, Shape};

/// What 0.5.2 breaks under changes. The last two follow from the first: a read is confirmed by the wrong
/// servers, and two leaders in a term may append two entries of one index.
pub const NOT_KEPT: [&str; 6] = [
    "election-safety",
    "leader-completeness",
    "state-machine-safety",
    "durability",
    "linearizable",
    "log-matching",
];

const LEGACY: Discipline = Discipline::Legacy { enable_single_node: false };

impl Cluster {
    pub fn change(
        &mut self,
        at: usize,
        command: ChangeCommand,
        who: &str,
        address: &str,
        prev_index: LogIndex,
    ) -> Result<(), Violation> {
        let id = self.next_request();
        self.changes.push((id, at, self.nodes[at].life));
        let change = Change { command, id: who.into(), address: address.into(), prev_index };
        self.step(at, Input::ChangeConfiguration { id, change })
    }

    /// Whether a leader may still have a change in its queue, or in its log.
    pub fn has_open_changes(&self) -> bool {
        let is_open = |&&(id, at, life): &&(RequestId, usize, u32)| {
            let asks = self.is_up(at) && self.nodes[at].life == life;
            asks && !self.judge.outcomes.contains(&id)
        };
        self.changes.iter().filter(is_open).count() > 0
    }

    pub fn transfer(&mut self, at: usize, to: Option<&str>) -> Result<(), Violation> {
        let id = self.next_request();
        self.step(at, Input::TransferLeadership { id, to: to.map(Into::into) })
    }
}

/// One choice in ten changes something about who leads or belongs.
pub fn act_or_change(cluster: &mut Cluster, choice: Choice) -> Result<(), Violation> {
    let (what, which) = choice;
    if what < 230 {
        return act(cluster, choice);
    }
    let at = likely_leader(cluster, which).unwrap_or(usize::from(which) % cluster.nodes.len());
    let who = cluster.nodes[usize::from(which >> 4) % cluster.nodes.len()].address.clone();
    let command = match what {
        230..238 => ChangeCommand::AddVoter,
        238..242 => ChangeCommand::AddNonvoter,
        242..244 => ChangeCommand::DemoteVoter,
        244..250 => ChangeCommand::RemoveServer,
        250..254 => return cluster.transfer(at, Some(who.as_str()).filter(|_| which % 2 == 0)),
        _ => return cluster.transfer(at, None),
    };
    // What is left after a damage may be all that is needed.
    if command != ChangeCommand::AddNonvoter && cluster.nodes.iter().any(|it| it.disk.abstains) {
        return Ok(());
    }
    cluster.change(at, command, who.as_str(), who.as_str(), LogIndex(0))
}

fn run(
    mut cluster: Cluster,
    schedule: &[Choice],
    rounds: usize,
) -> (Cluster, Result<(), Violation>) {
    let mut result = Ok(());
    for &choice in schedule {
        result = act_or_change(&mut cluster, choice);
        if result.is_err() {
            break;
        }
    }
    if result.is_ok() && rounds > 0 {
        result = cluster.converge(rounds);
    }
    (cluster, result)
}

fn shape(servers: usize, spares: usize, pre_vote: bool, seed: u64) -> Shape {
    Shape { spares, pre_vote, max_append_entries: 2, max_inflight: 3, ..Shape::of(servers, seed) }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_while_the_set_changes(
        seed in any::<u64>(),
        servers in 1usize..5,
        spares in 0usize..3,
        pre_vote in any::<bool>(),
        schedule in prop::collection::vec(any::<Choice>(), 100..700),
    ) {
        let cluster = Cluster::new(shape(servers, spares, pre_vote, seed));
        let (cluster, result) = run(cluster, &schedule, 4000);
        result.map_err(|violation| fail(&cluster, &violation))?;
    }

    #[test]
    fn legacy_keeps_all_invariants_while_its_set_is_fixed(
        seed in any::<u64>(),
        servers in 2usize..6,
        schedule in prop::collection::vec((0u8..230, any::<u16>()), 100..700),
    ) {
        let shape = Shape { discipline: LEGACY, ..shape(servers, 0, false, seed) };
        let (cluster, result) = run(Cluster::new(shape), &schedule, 4000);
        result.map_err(|violation| fail(&cluster, &violation))?;
    }

    #[test]
    fn legacy_keeps_the_others_while_its_set_changes(
        seed in any::<u64>(),
        servers in 2usize..5,
        spares in 0usize..3,
        schedule in prop::collection::vec(any::<Choice>(), 100..700),
    ) {
        let shape = Shape { discipline: LEGACY, ..shape(servers, spares, false, seed) };
        let mut cluster = Cluster::new(shape);
        cluster.judge.exempt.extend(NOT_KEPT);
        let (cluster, result) = run(cluster, &schedule, 0);
        result.map_err(|violation| fail(&cluster, &violation))?;
    }
}

/// How often each line of these was seen.
fn count(cluster: &Cluster, text: &str) -> usize {
    cluster.transcript.iter().filter(|line| line.contains(text)).count()
}

#[test]
fn schedules_reach_what_they_are_meant_to_change() {
    let seen = [
        "* changing configuration",
        "* replicating to",
        "* no longer replicating to",
        "stepped down: Removed",
        "* told to stand",
        ": transferred r",
        "* pre-vote for",
        "RequestVote term=",
    ];
    let mut counts = seen.map(|_| 0);
    for seed in 0..60 {
        let choices = schedule(&mut Prng::new(seed).fork("changes"), 900);
        let cluster = Cluster::new(shape(3, 2, seed % 2 == 0, seed));
        let (cluster, result) = run(cluster, &choices, 4000);
        result.unwrap_or_else(|violation| panic!("seed {seed}: {violation:?}"));
        for (text, total) in seen.iter().zip(&mut counts) {
            *total += count(&cluster, text);
        }
    }
    println!("{seen:?}\n{counts:?}");
    assert!(counts.iter().all(|&count| count > 5), "{seen:?}: {counts:?}");
}

/// A property that is exempt and never broken would be exempt for nothing.
#[test]
fn legacy_breaks_what_it_is_said_to_break() {
    let mut broken = std::collections::BTreeMap::new();
    for seed in 0..400 {
        let choices = schedule(&mut Prng::new(seed).fork("legacy"), 900);
        let shape = Shape { discipline: LEGACY, ..shape(3, 2, false, seed) };
        let mut cluster = Cluster::new(shape);
        cluster.judge.exempt.extend(NOT_KEPT);
        let (cluster, result) = run(cluster, &choices, 0);
        result.unwrap_or_else(|violation| panic!("seed {seed}: {violation:?}"));
        for (property, count) in cluster.judge.exempted {
            *broken.entry(property).or_insert(0) += count;
        }
    }
    println!("{broken:?}");
    // Two leaders of one term that also append at one index are too rare to wait for.
    assert!(NOT_KEPT[..5].iter().all(|name| broken.contains_key(name)), "{broken:?}");
}

#[test]
fn a_set_that_cannot_be_read_is_refused_with_its_reason() {
    for discipline in [Discipline::Modern, LEGACY] {
        let mut cluster = Cluster::new(Shape { discipline, ..Shape::of(3, 1) });
        let last = cluster.nodes[0].raft.as_ref().map_or(LogIndex(0), Raft::last_index);
        let kind = match discipline {
            Discipline::Modern => EntryKind::Configuration,
            Discipline::Legacy { .. } => EntryKind::AddPeerDeprecated,
        };
        let data = b"\xff".as_slice().into();
        let entry = Entry { index: last.next(), term: Term(7), kind, data };
        let request = Request::AppendEntries(AppendEntries {
            term: Term(7),
            leader: "n2".into(),
            prev_index: last,
            prev_term: Term(last.0),
            entries: vec![entry],
            leader_commit: last,
        });
        cluster.step(0, Input::Request { token: ReplyToken(9), request }).expect("it goes on");
        assert_eq!(count(&cluster, "refused: "), 1);
        assert!(cluster.transcript.iter().any(|line| line.contains("cannot be read")));
        let raft = cluster.nodes[0].raft.as_ref().expect("it runs");
        assert_eq!((raft.last_index(), raft.commit_index()), (last, LogIndex(0)));
    }
}
