//! What the autopilot is told, what it wants done, and what it shows.

use std::collections::BTreeMap;

use crate::base::{Duration, Instant, LogIndex, NodeName, ServerAddress, ServerId, Term};
use crate::gossip::Status;
use crate::raft::Configuration;
use crate::state::AutopilotConfiguration;

/// A server as gossip knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownServer {
    /// Its Raft id: the tag `id`.
    pub id: ServerId,
    /// Its member name.
    pub name: NodeName,
    /// Where its RPC port is.
    pub address: ServerAddress,
    /// What gossip makes of it.
    pub status: Status,
    /// Of the software: the tag `build` up to the colon.
    pub version: String,
    /// It is never to get a vote: the tag `read_replica` or `nonvoter`.
    pub read_replica: bool,
}

/// What a server says of its Raft (`Status.RaftStats`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerStats {
    /// Since it last heard from the leader; none: never. Zero on the leader.
    pub last_contact: Option<Duration>,
    /// Term of its last entry.
    pub last_term: Term,
    /// Its last entry.
    pub last_index: LogIndex,
}

/// The world at one moment, as the leader sees it.
#[derive(Clone, Debug)]
pub struct Picture<'a> {
    /// The set of servers in force.
    pub raft: &'a Configuration,
    /// This server, which leads.
    pub leader: &'a ServerId,
    /// All servers in gossip, whatever their status.
    pub known: &'a [KnownServer],
    /// The shared configuration, or its default.
    pub configuration: &'a AutopilotConfiguration,
    /// The longest pause between two heartbeats.
    pub heartbeat_pause: Duration,
}

/// Everything that can happen to it.
#[derive(Clone, Debug)]
pub enum Input {
    /// The deadline has come.
    Wake,
    /// The end of [`Action::FetchStats`]: what was answered in time, the leader's own included.
    Stats(BTreeMap<ServerId, ServerStats>),
    /// A server joined, left or was forced out: look for dead ones now.
    Prune,
}

/// What it wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask these at once, for at most a second; then [`Input::Stats`].
    FetchStats(Vec<(ServerId, ServerAddress)>),
    /// Give it a vote: Raft's AddVoter.
    Promote {
        /// Whom.
        id: ServerId,
        /// Where it is.
        address: ServerAddress,
    },
    /// Take it out of the Raft configuration: gossip does not know it.
    RemoveServer(ServerId),
    /// Force it out of gossip, from where its removal follows.
    ForceLeave(NodeName),
    /// A line for the log.
    Log(Level, String),
}

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Level {
    Debug,
    Info,
    Error,
}

/// A server's role in the Raft configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Role {
    Leader,
    Voter,
    NonVoter,
}

impl Role {
    /// Consul's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Leader => "leader",
            Role::Voter => "voter",
            Role::NonVoter => "non-voter",
        }
    }
}

/// What is known of one server of the Raft configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerHealth {
    /// Its id.
    pub id: ServerId,
    /// Its member name; empty for one that gossip does not know.
    pub name: String,
    /// Its address in the Raft configuration.
    pub address: ServerAddress,
    /// What gossip makes of it; left, for one that it does not know.
    pub status: Status,
    /// Of its software.
    pub version: String,
    /// In the Raft configuration.
    pub role: Role,
    /// What it last said; none when it did not answer in time.
    pub stats: Option<ServerStats>,
    /// Whether all is well with it.
    pub healthy: bool,
    /// Since when that is so.
    pub stable_since: Instant,
    /// Never to get a vote.
    pub read_replica: bool,
}

/// All of them: `/v1/operator/autopilot/health` and `state`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Every server of the configuration is.
    pub healthy: bool,
    /// So many healthy voters can be lost.
    pub failure_tolerance: usize,
    /// In the order of the Raft configuration.
    pub servers: Vec<ServerHealth>,
}
