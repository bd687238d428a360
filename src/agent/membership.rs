//! What happens to an agent among the others, as facts.

use std::net::SocketAddr;

use crate::base::{Duration, NodeName, ServerAddress};
use crate::gossip::{self, JoinReport, MemberEventKind, UserEvent};

use super::autopilot;
use super::members::{PoolId, ServerInfo};
use super::user_events::UserEventFact;

/// The user event by which a leader tells of itself.
pub(super) const NEW_LEADER: &str = "consul:new-leader";

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// From a pool's core.
    Gossip(PoolId, gossip::Event),
    /// A user event reached this agent; each once.
    UserEvent(UserEvent),
    /// A server of the own datacenter is there.
    ServerAdded(Box<ServerInfo>),
    /// It no longer is.
    ServerRemoved(Box<ServerInfo>),
    /// A server of another datacenter is in this one's pool.
    WrongDatacenter {
        /// Its name.
        server: NodeName,
        /// What it says.
        datacenter: String,
    },
    /// A server is there, or no longer, in the pool of all servers.
    WanServer(MemberEventKind, Box<ServerInfo>),
    /// A join begins.
    Joining(PoolId, Vec<SocketAddr>),
    /// A join of several addresses has ended.
    Joined(PoolId, JoinReport),
    /// Somebody leads, by what its user event says; it may be an old one.
    NewLeader {
        /// Node name.
        node: String,
    },
    /// A graceful leave begins.
    LeaveBegun {
        /// Of a server.
        server: bool,
    },
    /// Leadership could not be handed over: this server removes itself.
    HandOverFailed(String),
    /// Reads are served a while longer.
    Draining(Duration),
    /// Nobody has removed this server from Raft's configuration in time.
    RemovalTimedOut,
    /// Somebody is made to leave.
    ForceLeave {
        /// Whom.
        node: String,
    },
    /// There is Raft data: `bootstrap_expect` means nothing any more.
    BootstrapDisabled,
    /// Members are not of one mind.
    BootstrapConflict {
        /// Which.
        member: NodeName,
        /// Consul's text.
        why: &'static str,
    },
    /// A server that was found has peers already: nothing is bootstrapped.
    PeersReported {
        /// Which.
        by: NodeName,
    },
    /// The first set of servers.
    Bootstrapping(Vec<ServerAddress>),
    /// The leader brings the catalog in line with a member.
    MemberReconciled {
        /// Which.
        node: NodeName,
        /// How.
        how: Reconciled,
    },
    /// What the autopilot says.
    Autopilot(autopilot::Level, String),
    /// Of Consul's user events.
    UserEvents(UserEventFact),
    /// This agent's coordinate did not reach the leader.
    CoordinateNotSent(String),
    /// So many coordinates were told that a leader dropped some.
    CoordinatesDiscarded(usize),
    /// A leader could not write the coordinates that it was told.
    CoordinatesNotStored(String),
    /// A key is closed by a lock delay.
    LockRefused {
        /// Which.
        key: String,
    },
    /// Its time was over.
    SessionExpired {
        /// Its id.
        session: String,
    },
    /// It was, and yet it could not be ended.
    SessionNotEnded {
        /// Its id.
        session: String,
        /// Why.
        why: String,
    },
    /// Old tombstones stay a while longer.
    TombstonesNotReaped {
        /// Up to which index.
        up_to: u64,
        /// Why.
        why: String,
    },
    /// It could not.
    ReconcileFailed {
        /// Which.
        node: NodeName,
        /// Why.
        why: String,
    },
}

/// What a leader does about a member (spec cluster 6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Reconciled {
    Alive,
    Failed,
    Left,
    Reaped,
    Itself,
    AddedToRaft,
    RemovedFromRaft,
    TwoBootstrapModes,
}

impl Membership {
    /// The fact in a user event of Consul's own.
    #[must_use]
    pub(super) fn of_user_event(event: &UserEvent) -> Option<Self> {
        let payload = event.payload.as_deref().unwrap_or_default();
        let node = String::from_utf8_lossy(payload).into_owned();
        (event.name == NEW_LEADER).then_some(Membership::NewLeader { node })
    }
}
