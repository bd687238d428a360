//! What a front end may ask of the agent, and what it gets.
//!
//! The same [`Request`] comes from HTTP, from the command line and from another server that forwards
//! it; the same [`Reply`] goes back. Consul's texts for failures are spec cluster 4.13, 9.5.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::{Duration, LogIndex, NodeName, ServerAddress, ServerId, Term};
use crate::gossip::{Coordinate, JoinReport, MemberView, Pool, Stats};
use crate::raft::{self, Configuration, SnapshotMeta};
use crate::state::{Answer, Command, CommandResult, NodeCoordinate, Query, Session, StateStore};

use super::autopilot::{HealthReport, ServerStats};
use super::keyring::{KeyringOperation, PoolKeys};
use super::local::{LocalReply, LocalRequest};
use super::members::{Members, PoolId};
use super::user_events::FiredEvent;

/// How fresh a read must be (spec cluster 9.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadMode {
    /// The leader answers without confirming that it still leads.
    #[default]
    Default,
    /// The leader confirms with a quorum first: linearizable.
    Consistent,
    /// Any server answers from its own state.
    Stale,
}

/// How a read is to be served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// How fresh.
    pub mode: ReadMode,
    /// Block until the answer's index is above this; 0 answers at once (spec cluster 9.4).
    pub min_index: u64,
    /// For how long to block: already defaulted (300 s), capped (600 s), jitter (up to 1/16) added.
    pub max_wait: Duration,
}

/// A question to the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Through the log.
    Write(Command),
    /// From the state.
    Read {
        /// What.
        query: Query,
        /// How.
        options: ReadOptions,
    },
    /// `/v1/status/leader`; never forwarded.
    StatusLeader,
    /// `/v1/status/peers`; never forwarded.
    StatusPeers,
    /// `Status.RaftStats`: how far this server's log is; never forwarded.
    StatusRaftStats,
    /// `/v1/agent/self`: this agent's own state; never forwarded.
    AgentSelf,
    /// `/v1/agent/members`: this agent's own view; never forwarded.
    Members {
        /// Of the pool of all servers.
        wan: bool,
    },
    /// `/v1/agent/join`: joins a pool through these members; never forwarded.
    Join {
        /// Resolved addresses.
        addresses: Vec<SocketAddr>,
        /// The pool of all servers.
        wan: bool,
    },
    /// `/v1/agent/force-leave`: a failed member counts as left; never forwarded.
    ForceLeave {
        /// Its node name.
        node: String,
        /// It is forgotten at once.
        prune: bool,
        /// Named as in the pool of all servers.
        wan: bool,
    },
    /// `/v1/agent/leave`: this agent leaves the cluster, and ends; never forwarded.
    Leave,
    /// `Operator.RaftGetConfiguration`: the set of servers; the leader's, or with `stale` that of
    /// whoever is asked.
    RaftConfiguration {
        /// Any server may answer.
        stale: bool,
    },
    /// `Operator.ServerHealth`: what the leader's autopilot makes of the servers.
    AutopilotHealth,
    /// `Operator.RaftRemovePeerByID`, `Operator.RaftRemovePeerByAddress`.
    RemoveRaftPeer(PeerName),
    /// `Coordinate.Update`: where a node is; the leader writes it with others a little later.
    CoordinateUpdate(Box<NodeCoordinate>),
    /// `Coordinate.ListDatacenters`: where the servers are, as whichever is asked sees them.
    CoordinateDatacenters,
    /// Leadership goes to another server; none: to the one that is furthest.
    TransferLeadership {
        /// To whom.
        to: Option<ServerId>,
    },
    /// `GET /v1/snapshot`: the state of the leader, or with `stale` of whoever is asked.
    SnapshotSave {
        /// Any server may answer.
        stale: bool,
    },
    /// `PUT /v1/snapshot`: this state takes the place of the cluster's.
    SnapshotRestore(StateImage),
    /// `PUT /v1/event/fire`: the agent names it, and asks for [`Request::EventFire`].
    FireUserEvent(Box<FiredEvent>),
    /// `/v1/event/list`: this agent's own; never forwarded.
    UserEvents {
        /// Only those of this name; empty: all.
        name: String,
        /// Waits while this is the list's index; 0 answers at once.
        index: u64,
        /// For how long at most.
        max_wait: Duration,
    },
    /// `Internal.EventFire`: any server that knows of a leader hands it to Serf.
    EventFire {
        /// Without `consul:event:`.
        name: String,
        /// As it travels.
        payload: Bytes,
    },
    /// `Internal.KeyringOperation`: any server asks its pools; never forwarded.
    Keyring(KeyringOperation),
    /// About the services and checks of this agent itself; never forwarded.
    Local(Box<LocalRequest>),
    /// `Session.Renew`: the leader counts a session's time to live anew, without the log.
    SessionRenew {
        /// Its id.
        id: String,
    },
}

/// A state machine on its way: an O(1) copy, never compared, shown or copied deeply. Boxed, because
/// inputs and outputs are moved often and hold one seldom.
#[derive(Clone)]
pub struct StateImage(pub Box<StateStore>);

impl fmt::Debug for StateImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateImage({})", self.0.applied())
    }
}

impl PartialEq for StateImage {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for StateImage {}

/// How a server is named that is to be removed from the Raft configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// Its id.
    Id(ServerId),
    /// `ip:port`.
    Address(ServerAddress),
}

/// One server of [`Reply::RaftConfiguration`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftServer {
    /// Its id.
    pub id: ServerId,
    /// Its node name; `(unknown)` for one that gossip does not know.
    pub node: String,
    /// `ip:port`.
    pub address: ServerAddress,
    /// Whether it leads.
    pub leader: bool,
    /// Of Raft: `3`.
    pub protocol_version: String,
    /// Whether it votes.
    pub voter: bool,
}

/// The servers of one datacenter, of [`Reply::DatacenterMaps`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatacenterMap {
    /// Its name.
    pub datacenter: String,
    /// The pool in which they were measured: `wan`.
    pub area: String,
    /// Node names without the datacenter, and where they are.
    pub coordinates: Vec<NodeCoordinate>,
}

/// What an answer to a read says about itself: the `X-Consul-*` headers (spec cluster 9.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadMeta {
    /// Never 0.
    pub index: u64,
    /// Whether the answering server knows a leader.
    pub known_leader: bool,
    /// Since it last heard from that leader; zero on the leader itself.
    pub last_contact: Duration,
}

/// This agent's own state, for `/v1/agent/self` and `info`.
#[derive(Clone, Debug, PartialEq)]
pub struct SelfInfo {
    /// Of a server.
    pub raft: Option<RaftInfo>,
    /// Servers that a client knows.
    pub known_servers: usize,
    /// Datacenters that a server knows.
    pub known_datacenters: usize,
    /// This agent as a member of its datacenter's pool.
    pub member: Option<MemberView>,
    /// Where it is.
    pub coordinate: Option<Coordinate>,
    /// Figures of the pool of the datacenter.
    pub serf_lan: Option<Stats>,
    /// Of the pool of all servers.
    pub serf_wan: Option<Stats>,
}

impl SelfInfo {
    /// What there is to say of an agent's pools; nothing of Raft.
    #[must_use]
    pub fn of_pools(members: Option<&Members>) -> Self {
        let lan = members.map(Members::lan);
        let wan = members.and_then(|members| members.pool(PoolId::Wan));
        Self {
            raft: None,
            known_servers: members.map_or(0, |members| members.directory.len()),
            known_datacenters: 1,
            member: members.and_then(|members| {
                members.lan().member(&NodeName::from(members.identity.name.as_str())).cloned()
            }),
            coordinate: lan.map(|pool| pool.coordinate().clone()),
            serf_lan: lan.map(Pool::stats),
            serf_wan: wan.map(Pool::stats),
        }
    }
}

/// A server's consensus, in figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftInfo {
    /// Raft role in Consul's words: `Leader`, `Follower`, `Candidate`.
    pub raft_state: &'static str,
    /// Raft term.
    pub term: Term,
    /// Last log index.
    pub last_log_index: LogIndex,
    /// Its term.
    pub last_log_term: Term,
    /// Commit index.
    pub commit_index: LogIndex,
    /// Applied index.
    pub applied_index: LogIndex,
    /// Other voters; 0 on a server that has no vote itself.
    pub num_peers: usize,
    /// Since the last contact with the leader: none when it never had one; zero on the leader.
    pub last_contact: Option<Duration>,
    /// Known leader.
    pub leader: Option<ServerAddress>,
    /// What the newest snapshot of this process life stands for; zeros without one.
    pub last_snapshot: (LogIndex, Term),
    /// The set of servers in force.
    pub latest_configuration: Configuration,
    /// The entry that brought it.
    pub latest_configuration_index: LogIndex,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A write is committed and applied.
    Written(CommandResult),
    /// A read.
    Read {
        /// The answer.
        answer: Answer,
        /// About it.
        meta: ReadMeta,
    },
    /// `ip:port` of the leader, or none.
    Leader(Option<ServerAddress>),
    /// In the order of the Raft configuration.
    Peers(Vec<ServerAddress>),
    /// How far a server's log is.
    RaftStats(ServerStats),
    /// This agent.
    AgentSelf(Box<SelfInfo>),
    /// The members of a pool; none: this agent does not have that pool.
    Members(Option<Vec<MemberView>>),
    /// How a join ended.
    Joined(JoinReport),
    /// The Raft configuration.
    RaftConfiguration {
        /// In its order.
        servers: Vec<RaftServer>,
        /// The entry that carries it.
        index: LogIndex,
    },
    /// Where the servers are.
    DatacenterMaps(Vec<DatacenterMap>),
    /// The servers' health.
    AutopilotHealth(HealthReport),
    /// Done; nothing to say.
    Done,
    /// The event that was fired, with its id.
    UserEventFired(Box<FiredEvent>),
    /// The events that this agent remembers, the oldest first.
    UserEvents {
        /// They.
        events: Vec<Arc<FiredEvent>>,
        /// Of the list; never 0.
        index: u64,
    },
    /// What the members of each pool said about their keys.
    Keyring(Vec<PoolKeys>),
    /// About this agent's services and checks.
    Local(Box<LocalReply>),
    /// A snapshot of the state.
    Snapshot {
        /// What it stands for; its size is not known yet.
        snapshot: SnapshotMeta,
        /// The state.
        state: StateImage,
        /// About it.
        meta: ReadMeta,
    },
    /// The session that was renewed; none when there is none of this id.
    SessionRenewed(Option<Box<Session>>),
}

/// Why there is no answer. `Display` is Consul's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A client agent knows no server: certainly without effect.
    NoServers,
    /// Nobody led for as long as the agent held the request: not appended by this server.
    NoLeader,
    /// The asked server does not lead: certainly without effect.
    NotLeader,
    /// Appended, then leadership was lost: outcome unknown.
    LeadershipLost,
    /// Raft refused: why. Without effect but for [`raft::Refusal::SnapshotRestored`] and
    /// [`raft::Refusal::TransferTimeout`].
    Raft(raft::Refusal),
    /// A leader that has not applied its predecessors' entries yet held the read too long.
    NotReady,
    /// No connection to the server that was to be asked: certainly without effect.
    NotSent(String),
    /// The connection to the server that was asked broke or gave no answer: outcome unknown.
    Rpc(String),
    /// The server that was asked answered with this text.
    Remote(String),
    /// Refused with this text, which goes to the user as it is. It may come from another server over the
    /// snapshot stream, and then nothing is known of the effect.
    Refused(String),
    /// The agent is shutting down.
    ShuttingDown,
}

impl Failure {
    /// What the asker hears of a failure that another server told; `streamed`: over the stream for
    /// snapshots, where errors are plain texts.
    pub(super) fn heard_elsewhere(self, streamed: bool) -> Self {
        match self {
            Failure::Remote(text) if streamed => Failure::Refused(text),
            Failure::Rpc(_) | Failure::Remote(_) => self,
            other => Failure::Remote(other.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoServers => f.write_str("No known Consul servers"),
            Failure::NoLeader => f.write_str("No cluster leader"),
            Failure::NotLeader => f.write_str("node is not the leader"),
            Failure::LeadershipLost => f.write_str("leadership lost while committing log"),
            Failure::Raft(refusal) => refusal.fmt(f),
            Failure::NotReady => f.write_str("Not ready to serve consistent reads"),
            Failure::NotSent(text) => {
                write!(f, "rpc error getting client: failed to get conn: {text}")
            }
            Failure::Rpc(text) => write!(f, "rpc error making call: {text}"),
            Failure::Remote(text) => write!(f, "rpc error making call: {text}"),
            Failure::Refused(text) => f.write_str(text),
            Failure::ShuttingDown => f.write_str("raft is already shutdown"),
        }
    }
}
