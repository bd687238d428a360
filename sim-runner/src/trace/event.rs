//! The facts of a run. One typed, time-stamped stream: digested as it grows, folded into views,
//! judged by the checkers, drawn by the report, written to `trace.jsonl`.
//!
//! Everything here is a promise: a serialized event is what `check`, `diff` and readers' scripts see.

use serde::{Deserialize, Serialize};

/// Index into [`Header::hosts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Host(pub u16);

/// The first line of `trace.jsonl`: what an event stream cannot be read without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    pub hash: u64,
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

/// What happened. Variants of one area stand together; fields are few, because each is digested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "t")]
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
    /// What storage recovery found: term, vote and the whole log.
    Recovered {
        term: u64,
        vote_term: u64,
        vote_for: String,
        log: Vec<EntryRef>,
    },

    // --- raft
    Term {
        term: u64,
    },
    Voted {
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
    Commit {
        index: u64,
    },
    /// One entry was applied to the state machine.
    Apply {
        index: u64,
        term: u64,
        hash: u64,
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
        hash: u64,
    },
    /// A message of this host was lost on its way (cut, loss, dead host).
    Drop {
        to: Host,
        tcp: bool,
        why: String,
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
}
