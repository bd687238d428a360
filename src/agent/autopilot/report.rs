//! What the autopilot shows of the servers' health, with times that mean something on another machine.

use crate::base::{Duration, Instant, LogIndex, ServerAddress, ServerId, Term, WallTime};
use crate::gossip::Status;

use super::{Health, Role, ServerHealth};

/// `/v1/operator/autopilot/health`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthReport {
    /// Every server of the configuration is.
    pub healthy: bool,
    /// So many healthy voters can be lost.
    pub failure_tolerance: u64,
    /// In the order of the Raft configuration; empty while the leader has not looked yet.
    pub servers: Vec<ServerReport>,
}

/// One server of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// Its id.
    pub id: ServerId,
    /// Its member name; empty for one that gossip does not know.
    pub name: String,
    /// In the Raft configuration.
    pub address: ServerAddress,
    /// What gossip makes of it; leaving counts as alive.
    pub status: Status,
    /// Of its software.
    pub version: String,
    /// It leads.
    pub leader: bool,
    /// It votes.
    pub voter: bool,
    /// Since it heard from the leader; zero for one that said nothing; none for one that never did.
    pub last_contact: Option<Duration>,
    /// Term of its last entry.
    pub last_term: Term,
    /// Its last entry.
    pub last_index: LogIndex,
    /// Whether all is well with it.
    pub healthy: bool,
    /// Since when that is so.
    pub stable_since: WallTime,
}

impl HealthReport {
    /// The health as it is told; `wall` is the wall clock at an instant.
    #[must_use]
    pub fn of(health: &Health, wall: impl Fn(Instant) -> WallTime) -> Self {
        Self {
            healthy: health.healthy,
            failure_tolerance: health.failure_tolerance as u64,
            servers: health.servers.iter().map(|server| report(server, &wall)).collect(),
        }
    }
}

fn report(server: &ServerHealth, wall: impl Fn(Instant) -> WallTime) -> ServerReport {
    let said = server.stats;
    ServerReport {
        id: server.id.clone(),
        name: server.name.clone(),
        address: server.address.clone(),
        status: if server.status == Status::Leaving { Status::Alive } else { server.status },
        version: server.version.clone(),
        leader: server.role == Role::Leader,
        voter: server.role != Role::NonVoter,
        last_contact: said.map_or(Some(Duration::ZERO), |said| said.last_contact),
        last_term: said.map_or(Term(0), |said| said.last_term),
        last_index: said.map_or(LogIndex(0), |said| said.last_index),
        healthy: server.healthy,
        stable_since: wall(server.stable_since),
    }
}
