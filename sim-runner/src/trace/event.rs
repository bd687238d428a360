//! The facts of a run. One typed, time-stamped stream: digested as it grows, folded into views,
//! judged by the checkers, drawn by the report, written to `trace.jsonl`.
//!
//! Everything here is a promise: a serialized event is what `check`, `diff` and readers' scripts see.
//! Two forms come from the one definition: a compact binary one (postcard), which is digested, and
//! lines of JSON ([`crate::trace::json`]), which people read. Hashes are numbers in the first and hex
//! digits in the second, because JSON readers lose the low bits of large numbers.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub use super::catalog::CatalogRow;
pub use super::locks::LockRow;

/// Index into [`Header::hosts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Host(pub u16);

/// The first line of `trace.jsonl`: what an event stream cannot be read without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Format, 1.
    pub version: u32,
    /// The scenario's title.
    pub title: String,
    /// The seed as given.
    pub seed: String,
    /// Servers, then clients, then users, then [`HostKind::Testbed`].
    pub hosts: Vec<HostInfo>,
    /// End of `[time].run`, ns.
    pub run_ns: i64,
    /// `[time].settle`, ns; 0 when nothing is undone and liveness is not judged.
    pub settle_ns: i64,
    /// LeaderLeaseTimeout of the cluster, ns.
    pub lease_ns: i64,
}

/// A host of the simulation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInfo {
    /// `n1`, `c1`, `u1`.
    pub name: String,
    /// What runs there.
    pub kind: HostKind,
    /// Its IP address; with port 8300 the Raft address.
    pub address: String,
}

/// What runs on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum HostKind {
    Server,
    Client,
    User,
    Testbed,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// Virtual ns; 0 is the end of boot, negative before it.
    pub at: i64,
    /// Where.
    pub host: Host,
    /// What.
    pub what: What,
}

/// A log entry, by identity and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRef {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// xxh3-64 of kind byte and data.
    #[serde(with = "hex")]
    pub hash: u64,
}

/// A snapshot of a state machine, by identity and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRef {
    /// The last entry that is in it.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// Digest of the keys and values in it: [`state_digest`].
    #[serde(with = "hex")]
    pub state: u64,
}

/// The digest of a key/value state, given its keys and the hashes of their values (as in
/// [`What::Wrote`]): a sum, so that it can be kept up key by key.
#[must_use]
pub fn state_digest<'a>(entries: impl IntoIterator<Item = (&'a str, u64)>) -> u64 {
    entries.into_iter().fold(0, |sum, (key, value)| sum.wrapping_add(key_digest(key, value)))
}

/// What one key adds to a [`state_digest`].
#[must_use]
pub fn key_digest(key: &str, value: u64) -> u64 {
    xxh3_64_with_seed(key.as_bytes(), value)
}

/// Raft role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Role {
    Follower,
    Candidate,
    Leader,
}

/// What stands for the value of a key that was removed.
pub const REMOVED: u64 = 0;
/// What stands for the value of all keys under a prefix that were removed at once.
pub const REMOVED_TREE: u64 = 1;

/// `kind` of the [`What::DiskStruck`] that says that a data directory was deleted.
pub const WIPE: &str = "wipe";

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Power cut.
    Killed,
    /// By a signal, through the agent's own shutdown path.
    Stopped,
    /// By itself: start refused, or told to leave.
    Exited,
    /// A panic or a failed invariant.
    Panicked,
}

/// Which gossip pool a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// All agents of one datacenter.
    Lan,
    /// The servers of all datacenters; a member's name ends in ".DATACENTER".
    Wan,
}

impl Pool {
    /// As users and logs write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Pool::Lan => "LAN",
            Pool::Wan => "WAN",
        }
    }
}

/// A member's state in SWIM, as some node sees it (spec cluster 1.13 to 1.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum SwimState {
    Alive,
    Suspect,
    Dead,
    Left,
}

/// What an agent was told of a member (spec cluster 2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Change {
    Joined,
    Left,
    Failed,
    Updated,
    Reaped,
}

/// What happened. Variants of one area stand together; fields are few, because each is digested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "field names repeat the documented vocabulary of raft::Event")]
pub enum What {
    // --- life of a process
    /// The agent's process starts on this host.
    Started,
    /// It is gone.
    Ended {
        how: Ending,
        detail: String,
    },
    Paused,
    Resumed,
    /// The host has another address from now on.
    Readdressed {
        address: String,
    },
    /// What storage recovery found: term, vote, the newest snapshot, and the log, which may begin
    /// below the snapshot's index and at most right after it.
    Recovered {
        term: u64,
        vote_term: u64,
        vote_for: String,
        snapshot: Option<SnapshotRef>,
        log: Vec<EntryRef>,
        /// Damage had taken what the server may have acknowledged: it neither votes nor stands until
        /// [`What::LogHealed`].
        abstains: bool,
    },

    // --- raft
    Term {
        term: u64,
    },
    Voted {
        term: u64,
        candidate: String,
    },
    /// This host told another that it voted so: a granting answer leaves, or (for its own vote) the
    /// first request for votes of the term. From here on the vote must survive a crash.
    VoteTold {
        term: u64,
        candidate: String,
    },
    Role {
        role: Role,
        term: u64,
    },
    /// Whom this host takes for leader: an address, or "" for nobody.
    Leader {
        address: String,
    },
    Append {
        entries: Vec<EntryRef>,
    },
    Truncate {
        from: u64,
    },
    /// This host told the leader of `term` (that of the request it answers) that its log is durable
    /// up to this index. Only when that is news: above what it told last in this process life, or
    /// above what a truncation left of that. From here on the entries must survive a crash.
    Acked {
        index: u64,
        term: u64,
    },
    Commit {
        index: u64,
    },
    /// One entry was applied: every committed entry of whatever kind, in order.
    Apply {
        index: u64,
        term: u64,
        #[serde(with = "hex")]
        hash: u64,
    },
    /// What applying that entry did to one key of the store; follows its `Apply`, on every server.
    Wrote {
        index: u64,
        /// The key; the prefix of a delete-tree.
        key: String,
        /// xxh3-64 of the value's bytes; [`REMOVED`] for a removal, [`REMOVED_TREE`] for that of
        /// every key under a prefix.
        #[serde(with = "hex")]
        value: u64,
        /// The command's result: false when a comparison failed.
        done: bool,
    },
    /// The set of servers that is in force on this host: by address, in the order of the entry.
    Configuration {
        /// Of the entry that carries it.
        index: u64,
        voters: Vec<String>,
        others: Vec<String>,
    },
    /// A snapshot of the state machine as it is now is being written.
    SnapshotBegun {
        snapshot: SnapshotRef,
    },
    /// And is durable.
    SnapshotTaken {
        index: u64,
    },
    /// A snapshot replaced the state machine, and the log up to its index.
    SnapshotInstalled {
        snapshot: SnapshotRef,
        /// An operator's restore; otherwise a leader sent it.
        operator: bool,
    },
    /// The server has again what damage had taken.
    LogHealed,
    /// The leader hands over to this address.
    TransferStarted {
        to: String,
    },
    ElectionWon {
        term: u64,
        tally: u32,
    },
    /// A candidate gave up or timed out in this term.
    ElectionFailed {
        term: u64,
    },
    HeartbeatTimeout,
    StepDown {
        term: u64,
        why: String,
    },
    VoteRefused {
        candidate: String,
        term: u64,
        why: String,
    },
    AppendRejected {
        peer: String,
        next: u64,
    },

    // --- service
    /// This host answered a read of a key or prefix from its own state.
    Served {
        mode: String,
        key: String,
        index: u64,
        applied: u64,
        term: u64,
        leads: bool,
    },
    /// This host forwarded a request to the leader it knows.
    Forwarded {
        to: String,
    },
    /// A coverage mark in the code.
    Mark {
        name: String,
    },
    /// A rendered log line (level, module, text).
    Log {
        level: String,
        module: String,
        text: String,
    },

    // --- network (one event a message; hash is xxh3-64 of its bytes)
    /// A chunk of a TCP stream or a datagram was delivered to this host.
    Deliver {
        from: Host,
        tcp: bool,
        bytes: u32,
        #[serde(with = "hex")]
        hash: u64,
    },
    /// A message of this host was lost on its way (cut, loss, dead host).
    Drop {
        to: Host,
        tcp: bool,
        why: String,
    },

    /// Messages from this host to that one are lost from now on.
    Cut {
        to: Host,
    },
    /// And no longer.
    Healed {
        to: Host,
    },

    // --- disk
    /// A power cut voided writes that were never synced.
    LostUnsynced {
        path: String,
        bytes: u64,
    },

    // --- the testbed: script, faults, users
    /// Time zero.
    Booted,
    /// A step (of script or chaos) fired. `step` is its index in the plan.
    StepStarted {
        step: u32,
        id: String,
        verb: String,
        chaos: bool,
        detail: String,
        /// Whom it acts on; of a partition: its first group.
        targets: Vec<Host>,
    },
    StepFinished {
        step: u32,
    },
    /// It was undone (`for`, `heal`, settle).
    StepUndone {
        step: u32,
    },
    /// It had nothing to act on and was optional.
    StepSkipped {
        step: u32,
    },
    /// Expected and found differ, a target was nobody, `when` never held: a violation of `script`.
    StepFailed {
        step: u32,
        id: String,
        message: String,
    },
    Note {
        text: String,
    },
    /// `[time].run` is over: faults are undone from here on.
    SettleBegan,
    /// Converged and stayed so.
    Settled,
    /// It did not, in time; why names what is missing (a fact without ids or times first).
    NotSettled {
        fact: String,
        detail: String,
    },
    /// Boot took longer than `boot_within`.
    NotBooted {
        fact: String,
        detail: String,
    },
    /// A user calls (index into the history).
    Invoke {
        op: u64,
    },
    /// And is answered: `ok`, `fail`, `unknown`.
    Return {
        op: u64,
        outcome: String,
    },
    /// The testbed gave up: no virtual progress, or a budget ran out.
    Watchdog {
        detail: String,
    },

    // --- machines (at the end, because a variant's number is part of every digest)
    /// From now on this host's clocks drift by so much, and its wall clock is off by so much.
    Clock {
        drift_ppm: i64,
        offset_ns: i64,
    },
    /// Its disk ails (`on`), or has got over it; `kind` is the verb.
    DiskFault {
        kind: String,
        on: bool,
        detail: String,
    },
    /// A disk's fault struck: an operation failed or lied, or content was damaged or edited.
    DiskStruck {
        kind: String,
        path: String,
        detail: String,
    },
    /// What this host sends to that one suffers (`on`), or no longer; `kind` is the verb.
    LinkFault {
        to: Host,
        kind: String,
        on: bool,
        detail: String,
    },
    /// A command was run on this host.
    Ran {
        command: String,
        exit: i32,
    },

    /// Name lookups on this host fail (`on`), or no longer.
    LookupsFail {
        on: bool,
    },

    // --- gossip (after the machines, for the same reason)
    /// What this host's SWIM makes of a member changed.
    Swim {
        pool: Pool,
        /// The member's name.
        about: String,
        /// Where the member is: IP and port. A member that has come back elsewhere is another one.
        address: String,
        /// Before; none for one that was not known.
        from: Option<SwimState>,
        to: SwimState,
        /// At which incarnation.
        incarnation: u32,
    },
    /// This host contradicted what was said of it, under this incarnation.
    Refuted {
        pool: Pool,
        by: String,
        /// The incarnation at which it was accused.
        accused: u32,
        incarnation: u32,
    },
    /// This host's agent was told of a change among the members.
    Member {
        pool: Pool,
        /// The member's name.
        about: String,
        change: Change,
        /// By an operator's force-leave.
        forced: bool,
        /// Lamport time of the last intent about it.
        ltime: u64,
    },
    /// This host's agent was given a user event.
    UserEvent {
        pool: Pool,
        name: String,
        ltime: u64,
    },

    // --- catalog (last, for the same reason)
    /// What changed in the catalog of this server's state machine, and how it is now.
    Catalog {
        /// The entry, or the last one in the snapshot, that brought it.
        index: u64,
        rows: Vec<CatalogRow>,
    },
    /// What changed among the services and checks of this host's agent itself, and how it is now.
    Local {
        rows: Vec<CatalogRow>,
    },
    /// Which keys of this server's state machine are held otherwise than before.
    Locks {
        /// As in [`What::Catalog`].
        index: u64,
        rows: Vec<LockRow>,
    },
}

/// A 64-bit hash: a number in binary, 16 hex digits in text.
pub(super) mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(hash: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{hash:016x}"))
        } else {
            serializer.serialize_u64(*hash)
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer);
        }
        let text = String::deserialize(deserializer)?;
        if text.len() != 16 || text.bytes().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(D::Error::custom(format_args!("`{text}` is not 16 hex digits")));
        }
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}
