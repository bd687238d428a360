//! From the facts of a node and of the fabric to the events of the trace.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use proconsul::agent::{self, Membership, PoolId, ReadMode};
use proconsul::base::runtime::Level;
use proconsul::base::{Instant, LogIndex};
use proconsul::driver;
use proconsul::raft::{self, Entry, Restored, SnapshotMeta, Suffrage};
use proconsul::state::{Command, CommandResult, KvCommand, Query, Rows, StateStore};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::fabric::{Ended, Fabric, HostId, Message, Observer, Why};
use crate::trace::event::{
    Ending, EntryRef, Host, Pool, REMOVED, REMOVED_TREE, Role, SnapshotRef, What, state_digest,
};

use super::catalog_facts::{catalog_rows, local_row, lock_rows};
use super::gossip_facts::{gossip_fact, user_event_fact};
use super::recorder::Recorder;

/// What stands for the content of an operator's snapshot in the log.
const OPERATORS_STATE: u64 = 0;

/// Watches one agent.
pub struct NodeObserver {
    recorder: Recorder,
    clock: Fabric,
    host: Host,
    /// The node's, in lower case.
    name: String,
    term: AtomicU64,
    /// The state whose tables were told last.
    told: Mutex<StateStore>,
}

impl NodeObserver {
    /// Of the agent of this name on this host.
    #[must_use]
    pub fn new(recorder: Recorder, clock: Fabric, host: Host, name: &str) -> Self {
        let told = Mutex::new(StateStore::new());
        let name = name.to_lowercase();
        Self { recorder, clock, host, name, term: AtomicU64::new(0), told }
    }

    fn push(&self, what: What) {
        self.recorder.push(self.clock.now(), self.host, what);
    }

    fn raft(&self, event: &raft::Event) {
        let what = match event {
            raft::Event::TermChanged(term) => {
                self.term.store(term.0, Ordering::Relaxed);
                What::Term { term: term.0 }
            }
            raft::Event::Voted(vote) => {
                What::Voted { term: vote.term.0, candidate: vote.candidate.to_string() }
            }
            raft::Event::RoleChanged { role, term } => {
                What::Role { role: role_of(*role), term: term.0 }
            }
            raft::Event::LeaderChanged(leader) => What::Leader {
                address: leader.as_ref().map(ToString::to_string).unwrap_or_default(),
            },
            raft::Event::Appended(entries) => {
                What::Append { entries: entries.iter().map(entry_ref).collect() }
            }
            raft::Event::Truncated(from) => What::Truncate { from: from.0 },
            raft::Event::CommitAdvanced(index) => What::Commit { index: index.0 },
            raft::Event::HeartbeatTimeout { .. } => What::HeartbeatTimeout,
            raft::Event::ElectionTimeout(term) => What::ElectionFailed { term: term.0 },
            raft::Event::ElectionWon { term, tally } => {
                What::ElectionWon { term: term.0, tally: *tally as u32 }
            }
            raft::Event::VoteRefused { candidate, term, why, .. } => What::VoteRefused {
                candidate: candidate.to_string(),
                term: term.0,
                why: format!("{why:?}"),
            },
            raft::Event::AppendRejected { peer, next } => {
                What::AppendRejected { peer: peer.to_string(), next: next.0 }
            }
            raft::Event::SteppedDown(why) => {
                let term = self.term.load(Ordering::Relaxed);
                What::StepDown { term, why: format!("{why:?}") }
            }
            raft::Event::ConfigurationInForce { index, configuration } => {
                let of = |votes: bool| {
                    let servers = configuration.servers.iter();
                    let servers =
                        servers.filter(move |it| (it.suffrage == Suffrage::Voter) == votes);
                    servers.map(|server| server.address.to_string()).collect()
                };
                What::Configuration { index: index.0, voters: of(true), others: of(false) }
            }
            // It stands in the log like an entry that nobody else has.
            raft::Event::SnapshotRestored(index) => {
                let term = self.term.load(Ordering::Relaxed);
                let entry = EntryRef { index: index.0, term, hash: OPERATORS_STATE };
                What::Append { entries: vec![entry] }
            }
            raft::Event::SnapshotTaken(index) => What::SnapshotTaken { index: index.0 },
            raft::Event::Healed => What::LogHealed,
            raft::Event::TransferStarted(to) => What::TransferStarted { to: to.to_string() },
            // The agent tells of these with the state beside them.
            raft::Event::SnapshotStarted(_)
            | raft::Event::SnapshotInstalled { .. }
            | raft::Event::Contradicted { .. }
            | raft::Event::ConfigurationChanging { .. }
            | raft::Event::PeerAdded(_)
            | raft::Event::PeerRemoved { .. }
            | raft::Event::BootstrapRefused(_)
            | raft::Event::SnapshotFailed(_)
            | raft::Event::Compacted(_)
            | raft::Event::SnapshotSent { .. }
            | raft::Event::TimeoutNow
            | raft::Event::PreVoteStarted(_)
            | raft::Event::PreVoteFailed(_)
            | raft::Event::Abstaining
            | raft::Event::LeaderUnfit { .. }
            | raft::Event::NoKnownPeers
            | raft::Event::NoVote { .. }
            | raft::Event::EntryRefused { .. }
            | raft::Event::CommittedTruncated { .. }
            | raft::Event::Pipelining(_)
            | raft::Event::PipelineAborted(_)
            | raft::Event::ContactLost { .. } => return,
        };
        self.push(what);
    }
}

impl NodeObserver {
    fn membership(&self, fact: &Membership) {
        match fact {
            Membership::Gossip(pool, event) => {
                if let Some(what) = gossip_fact(pool_of(*pool), event) {
                    self.push(what);
                }
            }
            Membership::Local(fact) => {
                if let Some(row) = local_row(&self.name, fact) {
                    self.push(What::Local { rows: vec![row] });
                }
            }
            Membership::UserEvent(event) => self.push(user_event_fact(Pool::Lan, event)),
            // The rest is in the log, which the trace has.
            _ => {}
        }
    }
}

impl NodeObserver {
    /// Tells what has changed in the catalog, and in who holds what, since it was told last.
    fn tables(&self, index: LogIndex, state: &StateStore) {
        let mut told = self.told.lock().expect("nothing panics while it holds the state");
        let (rows, locks) = (catalog_rows(state, &told), lock_rows(state, &told));
        *told = state.clone();
        if !rows.is_empty() {
            self.push(What::Catalog { index: index.0, rows });
        }
        if !locks.is_empty() {
            self.push(What::Locks { index: index.0, rows: locks });
        }
    }
}

fn pool_of(pool: PoolId) -> Pool {
    match pool {
        PoolId::Lan => Pool::Lan,
        PoolId::Wan => Pool::Wan,
    }
}

impl driver::Observer for NodeObserver {
    fn recovered(&self, restored: &Restored, state: &StateStore) {
        let vote = restored.hard_state.vote.as_ref();
        self.push(What::Recovered {
            term: restored.hard_state.term.0,
            vote_term: vote.map_or(0, |vote| vote.term.0),
            vote_for: vote.map(|vote| vote.candidate.to_string()).unwrap_or_default(),
            snapshot: restored.snapshot.as_ref().map(|meta| snapshot_ref(meta, state)),
            log: restored.entries.iter().map(entry_ref).collect(),
            abstains: restored.abstains,
        });
        *self.told.lock().expect("nothing panics while it holds the state") = StateStore::new();
        if let Some(meta) = &restored.snapshot {
            self.tables(meta.index, state);
        }
    }

    fn event(&self, event: &agent::Event) {
        match event {
            agent::Event::Raft(event) => self.raft(event),
            agent::Event::Applied { entry, done } => {
                let entry = entry_ref(entry);
                let index = entry.index;
                self.push(What::Apply { index, term: entry.term, hash: entry.hash });
                if let Some((Command::Kv(command), result)) = done {
                    let (key, value) = written(command);
                    let done = *result == CommandResult::Flag(true);
                    self.push(What::Wrote { index, key, value, done });
                }
            }
            agent::Event::Served { mode, key, index, applied, term, leads } => {
                self.push(What::Served {
                    mode: mode_name(*mode).to_owned(),
                    key: key.clone(),
                    index: *index,
                    applied: applied.0,
                    term: term.0,
                    leads: *leads,
                });
            }
            agent::Event::VoteTold { term, candidate } => {
                self.push(What::VoteTold { term: term.0, candidate: candidate.to_string() });
            }
            agent::Event::Acked { index, term } => {
                self.push(What::Acked { index: index.0, term: term.0 });
            }
            agent::Event::SnapshotBegun { meta, state } => {
                self.push(What::SnapshotBegun { snapshot: snapshot_ref(meta, &state.0) });
            }
            agent::Event::StateReplaced { meta, operator, state } => {
                let (snapshot, operator) = (snapshot_ref(meta, &state.0), *operator);
                self.push(What::SnapshotInstalled { snapshot, operator });
                self.tables(meta.index, &state.0);
            }
            agent::Event::CatalogChanged { index, state } => self.tables(*index, &state.0),
            agent::Event::Forwarded { to } => self.push(What::Forwarded { to: to.to_string() }),
            agent::Event::Membership(fact) => self.membership(fact),
            agent::Event::LeadershipAcquired
            | agent::Event::LeadershipEstablished
            | agent::Event::LeadershipLost => {}
        }
    }
}

/// Watches the network, the disks and the processes.
pub struct FabricObserver {
    recorder: Recorder,
}

impl FabricObserver {
    /// Writes to this recorder.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self { recorder }
    }
}

impl Observer for FabricObserver {
    fn delivered(&self, at: Instant, message: &Message) {
        let what = What::Deliver {
            from: host(message.from),
            tcp: message.tcp,
            bytes: message.bytes,
            hash: message.hash,
        };
        self.recorder.push(at, host(message.to), what);
    }

    fn dropped(&self, at: Instant, message: &Message, why: Why) {
        let why = match why {
            Why::Cut => "cut",
            Why::Lost => "lost",
            Why::HostDown => "host down",
            Why::ClosedPort => "closed port",
            Why::BufferFull => "buffer full",
        };
        let what = What::Drop { to: host(message.to), tcp: message.tcp, why: why.to_owned() };
        self.recorder.push(at, host(message.from), what);
    }

    fn lost_unsynced(&self, at: Instant, id: HostId, path: &str, bytes: u64) {
        self.recorder.push(at, host(id), What::LostUnsynced { path: path.to_owned(), bytes });
    }

    fn disk_struck(&self, at: Instant, id: HostId, kind: &str, path: &str, detail: &str) {
        let (kind, path, detail) = (kind.to_owned(), path.to_owned(), detail.to_owned());
        self.recorder.push(at, host(id), What::DiskStruck { kind, path, detail });
    }

    /// It is the agent's code that panicked, but not its process: told of the testbed's host.
    fn command_panicked(&self, at: Instant, _id: HostId, detail: &str) {
        let detail = format!("a command: {detail}");
        let what = What::Ended { how: Ending::Panicked, detail };
        self.recorder.push(at, self.recorder.testbed(), what);
    }

    fn log(&self, at: Instant, id: HostId, level: Level, module: &str, text: fmt::Arguments<'_>) {
        let what = What::Log {
            level: level_name(level).to_owned(),
            module: module.to_owned(),
            text: text.to_string(),
        };
        self.recorder.push(at, host(id), what);
    }

    fn process_ended(&self, at: Instant, id: HostId, how: Ended, detail: &str) {
        let how = match how {
            Ended::Killed => Ending::Killed,
            Ended::Terminated => Ending::Killed,
            Ended::Returned if self.recorder.stop_was_expected(host(id)) => Ending::Stopped,
            Ended::Returned => Ending::Exited,
            Ended::Panicked => Ending::Panicked,
        };
        self.recorder.push(at, host(id), What::Ended { how, detail: detail.to_owned() });
    }
}

/// Hosts of the fabric are numbered as those of the trace.
#[must_use]
pub fn host(id: HostId) -> Host {
    Host(id.0)
}

fn entry_ref(entry: &Entry) -> EntryRef {
    let hash = xxh3_64_with_seed(&entry.data, entry.kind as u64);
    EntryRef { index: entry.index.0, term: entry.term.0, hash }
}

fn snapshot_ref(meta: &SnapshotMeta, state: &StateStore) -> SnapshotRef {
    let Rows::Entries(entries) = state.query(&Query::KvList { prefix: String::new() }).rows else {
        unreachable!("a list of entries is asked for")
    };
    let keys = entries.iter().map(|entry| (entry.key.as_str(), xxh3_64(&entry.value)));
    SnapshotRef { index: meta.index.0, term: meta.term.0, state: state_digest(keys) }
}

/// Key and hash of the value; 0 for a removal.
fn written(command: &KvCommand) -> (String, u64) {
    match command {
        KvCommand::Set { key, value, .. }
        | KvCommand::Cas { key, value, .. }
        | KvCommand::Lock { key, value, .. }
        | KvCommand::Unlock { key, value, .. } => (key.clone(), xxh3_64(value)),
        KvCommand::Delete { key } | KvCommand::DeleteCas { key, .. } => (key.clone(), REMOVED),
        KvCommand::DeleteTree { prefix } => (prefix.clone(), REMOVED_TREE),
    }
}

fn role_of(role: raft::Role) -> Role {
    match role {
        raft::Role::Follower => Role::Follower,
        raft::Role::Candidate => Role::Candidate,
        raft::Role::Leader => Role::Leader,
    }
}

/// As histories and traces spell it.
fn mode_name(mode: ReadMode) -> &'static str {
    match mode {
        ReadMode::Default => "default",
        ReadMode::Consistent => "consistent",
        ReadMode::Stale => "stale",
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Trace => "TRACE",
        Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Warn => "WARN",
        Level::Error => "ERROR",
    }
}
