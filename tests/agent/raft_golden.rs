//! Golden transcripts: small stories of consensus, one file each in `golden/raft/`, with everything
//! the servers do. `UPDATE_GOLDENFILES=1 cargo test --test agent raft_golden` writes them anew; read
//! the difference before it is committed.
//!
//! A story is a list of commands:
//!
//! | command | what it does |
//! |---|---|
//! | `cluster 3 [entries=2] [inflight=4] [nonvoters=1]` | starts n1, n2, …, bootstrapped; the last do not vote |
//! | `… [threshold=4] [trailing=2] [bytes=100]` | a snapshot after so many entries, looked for every 10 to 20 ms; what stays behind it; bytes in an append |
//! | `campaign n1` | runs n1's clock until it stands for election |
//! | `elect n1` | the same, and everything after it until nothing moves |
//! | `run 500ms` | lets time pass with a network and disks that take no time |
//! | `advance 50ms [n1]` | moves the clocks (or one clock), waking whoever is due |
//! | `persist [n1]` | completes all batches on their way to the disk |
//! | `fail-disk n1` | the oldest batch on its way cannot be written |
//! | `deliver [n1] [n2]` | delivers what is in flight now (from n1; from n1 to n2) |
//! | `drop [n1] [n2]` | loses it; callers learn that they have no answer |
//! | `settle` | completes and delivers until nothing moves |
//! | `propose n1 x [y…]`, `verify n1` | a proposal each, a read |
//! | `crash n1 [kept=1]`, `restart n1` | power cut (the first so many batches were written), start |
//! | `save n1`, `fail-save n1` | the snapshot that n1 makes is on disk, or cannot be written |
//! | `restore n1` | an operator gives n1 a new state |
//! | `crash-in-batch n1` | power cut between the snapshot in a batch and what it does to the log |
//! | `damage n1 [entries=1]` | power cut, and the last entries on disk cannot be read afterwards |
//! | `vote n1 …`, `append n1 …`, `install n1 …` | a hand-made request, see the scripts |
//! | `state`, `flying`, `disk n1` | shows roles, messages in flight, a disk |
//!
//! and those of [`raft_membership`](crate::raft_membership).

use std::error::Error;
use std::fmt::Write as _;

use goldenscript::{ArgumentConsumer, Command, Context, Runner};
use proconsul::base::{Duration, Instant, LogIndex, ReplyToken, Term};
use proconsul::raft::describe::{
    describe_entry, describe_request, describe_response, describe_snapshot,
};
use proconsul::raft::{
    AppendEntries, Entry, EntryKind, Input, InstallSnapshot, Raft, Request, RequestVote, Role,
    SnapshotMeta,
};

use crate::raft_cluster::{Body, Cluster};
use crate::raft_disk::Disk;
use crate::raft_judge::Violation;
use crate::raft_shape::Shape;

pub type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Default)]
pub struct Script {
    cluster: Option<Cluster>,
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Outcome<String> {
        let mut args = command.consume_args();
        if command.name == "cluster" {
            let servers = args.next_pos().ok_or("how many servers?")?.parse()?;
            let mut shape = Shape::of(servers, 42);
            shape.max_append_entries = number(&mut args, "entries", 64)? as usize;
            shape.max_inflight = number(&mut args, "inflight", 64)? as usize;
            let threshold = number(&mut args, "threshold", 0)?;
            if threshold > 0 {
                shape.snapshot_threshold = threshold;
                shape.snapshot_interval = Duration::from_millis(10);
            }
            shape.trailing_logs = number(&mut args, "trailing", shape.trailing_logs)?;
            shape.max_append_bytes = number(&mut args, "bytes", 1 << 20)? as usize;
            shape.nonvoters = number(&mut args, "nonvoters", 0)? as usize;
            crate::raft_membership::take_shape(&mut shape, &mut args)?;
            args.reject_next()?;
            let mut cluster = Cluster::new(shape);
            cluster.transcript.clear();
            self.cluster = Some(cluster);
            return Ok(String::new());
        }
        let cluster = self.cluster.as_mut().ok_or("begin with: cluster 3")?;
        let shown = run_command(cluster, &command.name, &mut args)?;
        args.reject_next()?;
        let mut lines = std::mem::take(&mut cluster.transcript);
        lines.extend(shown);
        Ok(lines.join("\n"))
    }
}

fn run_command(
    cluster: &mut Cluster,
    name: &str,
    args: &mut ArgumentConsumer<'_>,
) -> Outcome<Vec<String>> {
    match name {
        "campaign" => campaign(cluster, node(cluster, args)?)?,
        "elect" => {
            campaign(cluster, node(cluster, args)?)?;
            cluster.run_dry().map_err(broken)?;
        }
        "advance" => {
            let span = duration(args.next_pos().ok_or("how long?")?)?;
            let only = optional_node(cluster, args)?;
            advance(cluster, span, only)?;
        }
        "run" => run_time(cluster, duration(args.next_pos().ok_or("how long?")?)?)?,
        "persist" => {
            let only = optional_node(cluster, args)?;
            for at in 0..cluster.nodes.len() {
                while only.is_none_or(|only| only == at) && cluster.persist(at).map_err(broken)? {}
            }
        }
        "fail-disk" => {
            let at = node(cluster, args)?;
            let batch = cluster.nodes[at].writing.pop_front().ok_or("nothing to write")?;
            cluster.nodes[at].writing.clear();
            cluster.step(at, Input::PersistFailed(batch.id)).map_err(broken)?;
        }
        "deliver" => through(cluster, args, Cluster::deliver)?,
        "drop" => through(cluster, args, Cluster::lose)?,
        "settle" => cluster.run_dry().map_err(broken)?,
        "propose" => {
            let at = node(cluster, args)?;
            while let Some(data) = args.next_pos() {
                cluster.propose(at, data).map_err(broken)?;
            }
        }
        "verify" => cluster.verify(node(cluster, args)?).map_err(broken)?,
        "crash" => {
            let at = node(cluster, args)?;
            cluster.crash(at, number(args, "kept", 0)? as usize);
        }
        "crash-in-batch" => cluster.crash_in_batch(node(cluster, args)?),
        "damage" => {
            let at = node(cluster, args)?;
            cluster.crash(at, 0);
            cluster.nodes[at].disk.damage(number(args, "entries", 1)? as usize);
        }
        "save" => {
            let at = node(cluster, args)?;
            if !cluster.save_snapshot(at).map_err(broken)? {
                return Err("it makes no snapshot".into());
            }
        }
        "fail-save" => cluster.fail_snapshot(node(cluster, args)?).map_err(broken)?,
        "restore" => cluster.restore(node(cluster, args)?).map_err(broken)?,
        "restart" => cluster.restart(node(cluster, args)?).map_err(broken)?,
        "vote" | "append" | "install" => {
            let at = node(cluster, args)?;
            let token = ReplyToken(u64::MAX - cluster.transcript.len() as u64);
            let request = match name {
                "vote" => vote(args)?,
                "append" => append(args)?,
                _ => install(cluster, at, token, args)?,
            };
            cluster.step(at, Input::Request { token, request }).map_err(broken)?;
        }
        "state" => return Ok(state(cluster)),
        "flying" => return Ok(flying(cluster)),
        "disk" => return Ok(vec![disk(cluster, node(cluster, args)?)]),
        _ => return crate::raft_membership::run_command(cluster, name, args),
    }
    Ok(Vec::new())
}

/// Lets time pass; what is under way arrives at once, and whoever is due is woken in its time.
fn run_time(cluster: &mut Cluster, mut left: Duration) -> Outcome<()> {
    cluster.run_dry().map_err(broken)?;
    while !left.is_zero() {
        let span = cluster.until_deadline().unwrap_or(left).min(left);
        cluster.pass(span).map_err(broken)?;
        cluster.run_dry().map_err(broken)?;
        left -= span;
    }
    Ok(())
}

/// Runs one clock until its server is a candidate (again).
fn campaign(cluster: &mut Cluster, at: usize) -> Outcome<()> {
    let term = |cluster: &Cluster| cluster.nodes[at].raft.as_ref().map(Raft::term);
    let before = term(cluster);
    for _ in 0..500 {
        cluster.fire(at).map_err(broken)?;
        if term(cluster) != before {
            return Ok(());
        }
    }
    Err("it does not stand for election".into())
}

/// Moves clocks in steps from deadline to deadline, so that everything happens in its time.
fn advance(cluster: &mut Cluster, span: Duration, only: Option<usize>) -> Outcome<()> {
    for at in 0..cluster.nodes.len() {
        if only.is_some_and(|only| only != at) {
            continue;
        }
        let end = cluster.nodes[at].clock + span;
        while let Some(due) = deadline(cluster, at).filter(|due| *due <= end) {
            cluster.nodes[at].clock = cluster.nodes[at].clock.max(due);
            cluster.step(at, Input::Wake).map_err(broken)?;
        }
        cluster.nodes[at].clock = end;
    }
    Ok(())
}

fn deadline(cluster: &Cluster, at: usize) -> Option<Instant> {
    cluster.nodes[at].raft.as_ref()?.deadline()
}

/// Applies `what` to the messages that are in flight now, oldest first.
fn through(
    cluster: &mut Cluster,
    args: &mut ArgumentConsumer<'_>,
    what: fn(&mut Cluster, usize) -> Result<(), Violation>,
) -> Outcome<()> {
    let from = optional_node(cluster, args)?;
    let to = optional_node(cluster, args)?;
    let mut left = cluster.messages.len();
    let mut position = 0;
    while left > 0 {
        left -= 1;
        // One that was lost may have taken others with it.
        let Some(message) = cluster.messages.get(position) else { break };
        let chosen =
            from.is_none_or(|from| from == message.from) && to.is_none_or(|to| to == message.to);
        if chosen {
            what(cluster, position).map_err(broken)?;
        } else {
            position += 1;
        }
    }
    Ok(())
}

fn state(cluster: &Cluster) -> Vec<String> {
    let line = |node: &crate::raft_cluster::Node| {
        let Some(raft) = &node.raft else { return format!("{}: down", node.address) };
        let mut line = format!(
            "{}: {:?} term={} last={}@{} commit={}",
            node.address,
            raft.role(),
            raft.term(),
            raft.last_index(),
            raft.last_term(),
            raft.commit_index()
        );
        if let Some(leader) = raft.leader().filter(|_| raft.role() != Role::Leader) {
            let _ = write!(line, " leader={leader}");
        }
        line
    };
    cluster.nodes.iter().map(line).collect()
}

fn flying(cluster: &Cluster) -> Vec<String> {
    let line = |message: &crate::raft_cluster::Message| {
        let text = match &message.body {
            Body::Request(request) => describe_request(request),
            Body::Response(Ok(response)) => describe_response(response),
            Body::Response(Err(_)) => "unreachable".to_owned(),
        };
        let (from, to) = (&cluster.nodes[message.from].address, &cluster.nodes[message.to].address);
        format!("{from} -> {to} {text}")
    };
    cluster.messages.iter().map(line).collect()
}

fn disk(cluster: &Cluster, at: usize) -> String {
    let node = &cluster.nodes[at];
    let Disk { hard_state, log, snapshot, abstains, .. } = &node.disk;
    let vote = hard_state.vote.as_ref();
    let vote = vote.map_or("none".to_owned(), |vote| format!("{}@{}", vote.candidate, vote.term));
    let entries: Vec<String> = log.entries.iter().map(describe_entry).collect();
    let snapshot = snapshot.as_ref().map(|(meta, _)| format!(" {}", describe_snapshot(meta)));
    format!(
        "{}: term={} vote={vote}{} [{}]{}",
        node.address,
        hard_state.term,
        snapshot.unwrap_or_default(),
        entries.join(", "),
        if *abstains { " abstains" } else { "" }
    )
}

/// `term=5 candidate=n2 last=3@2 [transfer=1]`
fn vote(args: &mut ArgumentConsumer<'_>) -> Outcome<Request> {
    let (last_log_index, last_log_term) = position(args.take_key("last").ok_or("last?")?)?;
    Ok(Request::RequestVote(RequestVote {
        term: Term(number(args, "term", 0)?),
        candidate: args.take_key("candidate").ok_or("candidate?")?.into(),
        last_log_index,
        last_log_term,
        leadership_transfer: number(args, "transfer", 0)? == 1,
    }))
}

/// `term=5 leader=n2 prev=3@2 commit=3 4@5 5@5`; prev 0@0, no entries and commit 0 is a heartbeat.
fn append(args: &mut ArgumentConsumer<'_>) -> Outcome<Request> {
    let (prev_index, prev_term) = position(args.take_key("prev").unwrap_or("0@0"))?;
    let leader = args.take_key("leader").ok_or("leader?")?.into();
    let (term, leader_commit) = (Term(number(args, "term", 0)?), number(args, "commit", 0)?);
    let mut entries = Vec::new();
    while let Some(text) = args.next_pos() {
        let (index, term) = position(text)?;
        let data = format!("{index}@{term}").into();
        entries.push(Entry { index, term, kind: EntryKind::Command, data });
    }
    let leader_commit = LogIndex(leader_commit);
    Ok(Request::AppendEntries(AppendEntries {
        term,
        leader,
        prev_index,
        prev_term,
        entries,
        leader_commit,
    }))
}

/// `term=5 leader=n2 snapshot=8@4`, with the servers that there are.
fn install(
    cluster: &mut Cluster,
    at: usize,
    token: ReplyToken,
    args: &mut ArgumentConsumer<'_>,
) -> Outcome<Request> {
    let (index, term) = position(args.take_key("snapshot").ok_or("snapshot?")?)?;
    let leader = args.take_key("leader").ok_or("leader?")?.into();
    let configuration = cluster.nodes[at].raft.as_ref().ok_or("it is down")?.configuration();
    let snapshot = SnapshotMeta {
        index,
        term,
        configuration: configuration.clone(),
        configuration_index: LogIndex(1),
        size: 8,
    };
    cluster.judge.sets.entry(LogIndex(1)).or_insert_with(|| snapshot.configuration.clone());
    cluster.receive_by_hand(at, token, index);
    Ok(Request::InstallSnapshot(InstallSnapshot {
        term: Term(number(args, "term", 0)?),
        leader,
        snapshot,
    }))
}

pub fn position(text: &str) -> Outcome<(LogIndex, Term)> {
    let (index, term) = text.split_once('@').ok_or("index@term?")?;
    Ok((LogIndex(index.parse()?), Term(term.parse()?)))
}

pub fn node(cluster: &Cluster, args: &mut ArgumentConsumer<'_>) -> Outcome<usize> {
    optional_node(cluster, args)?.ok_or_else(|| "which server?".into())
}

pub fn optional_node(cluster: &Cluster, args: &mut ArgumentConsumer<'_>) -> Outcome<Option<usize>> {
    match args.next_pos() {
        Some(name) => Ok(Some(cluster.find(&name.into()).ok_or(format!("no server {name}"))?)),
        None => Ok(None),
    }
}

pub fn number(args: &mut ArgumentConsumer<'_>, key: &str, default: u64) -> Outcome<u64> {
    Ok(args.take_key(key).map_or(Ok(default), str::parse)?)
}

fn duration(text: &str) -> Outcome<Duration> {
    let millis = text.strip_suffix("ms").ok_or("a duration looks like 50ms")?;
    Ok(Duration::from_millis(millis.parse()?))
}

pub fn broken(violation: Violation) -> Box<dyn Error> {
    format!("{}: {}", violation.property, violation.detail).into()
}

macro_rules! stories {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            let path = concat!(
                env!("CARGO_MANIFEST_DIR"), "/tests/agent/golden/raft/", stringify!($name), ".txt"
            );
            goldenscript::run(&mut Script::default(), path).expect("a readable script");
        }
    )*};
}

stories! {
    backtracking,
    candidate_yields,
    commit_own_term_only,
    conflict_truncation,
    crash_before_persist,
    deposed_leader,
    disk_failure,
    election,
    heartbeats,
    lease,
    nonvoter,
    reads,
    replication,
    restart,
    single_server,
    snapshot_abstention,
    snapshot_append_bytes,
    snapshot_contradictions,
    snapshot_crash_in_batch,
    snapshot_follower_behind,
    snapshot_install,
    snapshot_restore,
    snapshot_restore_too_early,
    snapshot_brings_the_set,
    snapshot_slow_disk,
    snapshot_take,
    split_vote,
    stale_messages,
    vote_rules,
}
