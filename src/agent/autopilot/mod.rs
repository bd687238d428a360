//! Autopilot: the leader looks after the set of servers (spec cluster 6.6). Sans-IO; alive only while
//! its server leads.
//!
//! ```text
//!   every 2 s   FetchStats ──► (each server, 1 s) ──► Stats ──► health of each, since when
//!   every 10 s  reconcile: promote who is stable; when nobody was, look for dead servers
//!   Prune       look for dead servers now
//! ```
//!
//! * Healthy: alive or leaving in gossip, in contact, in the leader's term, not far behind.
//! * A server that is not in the set but should be is put there by whoever handles its join; here it
//!   gets its vote, once it was healthy for the stabilization time. Only while the autopilot is younger
//!   than that time itself, a healthy server is stable at once: a new leader has no memory.
//! * In contact: silent no longer than the threshold and the longest pause between two heartbeats.
//!   hashicorp/raft sends an empty append every 50 to 100 ms to everybody, so that its followers hear
//!   something within 200 ms whatever the heartbeat; a leader of ours is silent while nothing happens.
//! * Servers that are gone are removed as long as that is no majority of the potential voters and
//!   leaves `min_quorum` (`prune.rs`).
//!
//! Invariants: at most `(potential voters - 1) / 2` voters are removed in a round, and never the leader;
//! only healthy servers are promoted.
//!
//! Deliberately not here: Raft calls, gossip, the catalog, redundancy zones and upgrades of the
//! enterprise release.

mod prune;
mod report;
mod types;

use std::collections::BTreeMap;

pub use report::{HealthReport, ServerReport};
pub use types::*;

use crate::base::quorum::majority;
use crate::base::{Duration, Instant, ServerId};
use crate::gossip::Status;
use crate::raft::Suffrage;

/// Between two looks at the servers' health.
const UPDATE_INTERVAL: Duration = Duration::from_secs(2);
/// Between two looks at what is to be changed.
const RECONCILE_INTERVAL: Duration = Duration::from_secs(10);

/// The autopilot of a server since it leads.
#[derive(Clone, Debug)]
pub struct Autopilot {
    since: Instant,
    next_update: Instant,
    next_reconcile: Instant,
    /// Of each server of the configuration: whether it is healthy, and since when that is so.
    stable: BTreeMap<ServerId, (bool, Instant)>,
    health: Health,
}

impl Autopilot {
    /// Begins with a look at everybody.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            next_update: now,
            next_reconcile: now + RECONCILE_INTERVAL,
            stable: BTreeMap::new(),
            health: Health::default(),
        }
    }

    /// When it wants to be woken.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.next_update.min(self.next_reconcile)
    }

    /// What it last made of the servers.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Takes in what happened.
    pub fn step(
        &mut self,
        now: Instant,
        input: Input,
        picture: &Picture<'_>,
        out: &mut Vec<Action>,
    ) {
        match input {
            Input::Wake => {
                if now >= self.next_update {
                    self.next_update = now + UPDATE_INTERVAL;
                    out.push(Action::FetchStats(asked(picture)));
                }
                if now >= self.next_reconcile {
                    self.next_reconcile = now + RECONCILE_INTERVAL;
                    self.reconcile(now, picture, out);
                }
            }
            Input::Stats(stats) => self.update(now, picture, &stats),
            Input::Prune => prune::prune(picture, out),
        }
    }

    fn update(
        &mut self,
        now: Instant,
        picture: &Picture<'_>,
        stats: &BTreeMap<ServerId, ServerStats>,
    ) {
        let leader = stats.get(picture.leader).copied();
        let mut servers = Vec::new();
        for server in &picture.raft.servers {
            let known = picture.known.iter().find(|known| known.id == server.id);
            let said = stats.get(&server.id).copied();
            let healthy = known.is_some_and(|known| is_present(known.status))
                && is_keeping_up(said, leader, &server.id == picture.leader, picture);
            let before = self.stable.get(&server.id).filter(|(was, _)| *was == healthy);
            let stable_since = before.map_or(now, |(_, since)| *since);
            servers.push(ServerHealth {
                id: server.id.clone(),
                name: known.map_or_else(String::new, |known| known.name.to_string()),
                address: server.address.clone(),
                status: known.map_or(Status::Left, |known| known.status),
                version: known.map_or_else(String::new, |known| known.version.clone()),
                role: match server.suffrage {
                    Suffrage::Voter if &server.id == picture.leader => Role::Leader,
                    Suffrage::Voter => Role::Voter,
                    _ => Role::NonVoter,
                },
                stats: said,
                healthy,
                stable_since,
                read_replica: known.is_some_and(|known| known.read_replica),
            });
        }
        let memory = servers.iter().map(|it| (it.id.clone(), (it.healthy, it.stable_since)));
        self.stable = memory.collect();
        self.health = summed_up(servers);
    }

    fn reconcile(&mut self, now: Instant, picture: &Picture<'_>, out: &mut Vec<Action>) {
        let needed = picture.configuration.server_stabilization_time;
        let needed = if now.since(self.since) > needed { needed } else { Duration::ZERO };
        let mut promoted = false;
        for server in picture.raft.servers.iter().filter(|it| it.suffrage != Suffrage::Voter) {
            let Some(known) = picture.known.iter().find(|known| known.id == server.id) else {
                continue;
            };
            let Some((true, since)) = self.stable.get(&server.id) else { continue };
            if known.read_replica || !is_present(known.status) || now.since(*since) < needed {
                continue;
            }
            let (id, address) = (server.id.clone(), server.address.clone());
            let text = format!("Promoting server: id={id} address={address} name={}", known.name);
            out.push(Action::Log(Level::Info, text));
            out.push(Action::Promote { id, address });
            promoted = true;
        }
        if !promoted {
            prune::prune(picture, out);
        }
    }
}

/// Leaving counts as alive: such a server still serves.
fn is_present(status: Status) -> bool {
    matches!(status, Status::Alive | Status::Leaving)
}

fn asked(picture: &Picture<'_>) -> Vec<(ServerId, crate::base::ServerAddress)> {
    let alive = picture.known.iter().filter(|known| is_present(known.status));
    alive.map(|known| (known.id.clone(), known.address.clone())).collect()
}

fn is_keeping_up(
    said: Option<ServerStats>,
    leader: Option<ServerStats>,
    leads: bool,
    picture: &Picture<'_>,
) -> bool {
    let (Some(said), Some(leader)) = (said, leader) else { return false };
    let configuration = picture.configuration;
    let contact = if leads { Some(Duration::ZERO) } else { said.last_contact };
    let silence = configuration.last_contact_threshold + picture.heartbeat_pause;
    contact.is_some_and(|since| since <= silence)
        && said.last_term == leader.last_term
        && said.last_index.0.saturating_add(configuration.max_trailing_logs) >= leader.last_index.0
}

fn summed_up(servers: Vec<ServerHealth>) -> Health {
    let voters = servers.iter().filter(|it| it.role != Role::NonVoter);
    let (all, healthy) =
        voters.fold((0, 0), |(all, healthy), it| (all + 1, healthy + usize::from(it.healthy)));
    Health {
        healthy: servers.iter().all(|it| it.healthy),
        failure_tolerance: usize::saturating_sub(healthy, majority(all)),
        servers,
    }
}
