//! The autopilot at the wheel: what it asks for is done here, while this server leads (spec cluster 6.6).
//!
//! ```text
//!   Autopilot ──► FetchStats ─► Status.RaftStats of each server ─► Stats, after a second at most
//!             ──► Promote, RemoveServer ─► Raft        ForceLeave ─► the LAN pool
//! ```
//!
//! `legacy` has none: 0.5.2 adds servers as voters and never removes one by itself.

use std::collections::BTreeMap;

use crate::base::{CallId, Duration, Instant, LogIndex, ServerAddress, ServerId, WallTime};
use crate::gossip;
use crate::raft::{Change, ChangeCommand};
use crate::state::{AutopilotCommand, Command, Query, Rows};

use super::autopilot::{Action, Autopilot, HealthReport, Input, KnownServer, Picture, ServerStats};
use super::core::Agent;
use super::duties::Duty;
use super::io::Output;
use super::members::{OWN, PoolId, ServerInfo};
use super::membership::Membership;
use super::types::{Failure, Reply, Request};

/// How long the servers' answers are waited for.
const STATS_TIMEOUT: Duration = Duration::from_secs(1);

/// The autopilot, and its questions.
#[derive(Debug)]
pub(super) struct Steering {
    autopilot: Autopilot,
    asking: Option<Asking>,
}

#[derive(Debug)]
struct Asking {
    until: Instant,
    calls: BTreeMap<CallId, ServerId>,
    answers: BTreeMap<ServerId, ServerStats>,
}

impl Steering {
    pub fn deadline(&self) -> Instant {
        let asking = self.asking.as_ref().map(|asking| asking.until);
        asking.into_iter().chain([self.autopilot.deadline()]).min().unwrap_or_default()
    }
}

impl Agent {
    /// This server leads, and has applied all that came before.
    pub(super) fn begin_steering(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.is_legacy() || self.members.is_none() {
            return;
        }
        self.steering = Some(Steering { autopilot: Autopilot::new(now), asking: None });
        let rows = self.state.query(&Query::AutopilotConfiguration).rows;
        if !matches!(rows, Rows::Autopilot(Some(_))) {
            let configuration = self.config.autopilot.clone();
            let command = AutopilotCommand { configuration, cas: false };
            let id = self.begin(Duty::Autopilot);
            self.on_ask(now, id, Request::Write(Command::Autopilot(command)), out);
        }
    }

    pub(super) fn on_steering_deadline(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(steering) = &mut self.steering else { return };
        if steering.asking.as_ref().is_some_and(|asking| asking.until <= now) {
            self.take_stats(now, out);
        }
        if self.steering.as_ref().is_some_and(|it| it.autopilot.deadline() <= now) {
            self.steer(now, Input::Wake, out);
        }
    }

    /// A server came or went: dead ones are looked for at once.
    pub(super) fn prune_dead_servers(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.steer(now, Input::Prune, out);
    }

    fn steer(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        let (Some(members), Some(mut steering)) = (&self.members, self.steering.take()) else {
            return;
        };
        let servers = members.lan().members().filter_map(ServerInfo::parse);
        let known: Vec<KnownServer> = servers.map(KnownServer::from).collect();
        let stored = match self.state.query(&Query::AutopilotConfiguration).rows {
            Rows::Autopilot(stored) => stored,
            _ => None,
        };
        let configuration = stored.unwrap_or_else(|| self.config.autopilot.clone());
        let picture = Picture {
            raft: self.raft.configuration(),
            leader: &self.config.raft.id,
            known: &known,
            configuration: &configuration,
            // A tenth of the timeout, and up to twice that (spec cluster 4.2).
            heartbeat_pause: self.config.raft.heartbeat_timeout / 5,
        };
        let mut actions = Vec::new();
        steering.autopilot.step(now, input, &picture, &mut actions);
        self.steering = Some(steering);
        actions.into_iter().for_each(|action| self.carry_out(now, action, out));
    }

    fn carry_out(&mut self, now: Instant, action: Action, out: &mut Vec<Output>) {
        match action {
            Action::FetchStats(servers) => {
                let mut calls = BTreeMap::new();
                for (id, to) in servers {
                    if id != self.config.raft.id {
                        let call = self.pending.new_call();
                        calls.insert(call, id);
                        out.push(Output::Forward { call, to, request: Request::StatusRaftStats });
                    }
                }
                let own = (self.config.raft.id.clone(), self.raft_stats(now));
                let asking =
                    Asking { until: now + STATS_TIMEOUT, calls, answers: BTreeMap::from([own]) };
                if let Some(steering) = &mut self.steering {
                    steering.asking = Some(asking);
                }
                self.take_stats_when_complete(now, out);
            }
            Action::Promote { id, address } => {
                self.change_set(now, ChangeCommand::AddVoter, (id, address), out);
            }
            Action::RemoveServer(id) => {
                let servers = &self.raft.configuration().servers;
                let found = servers.iter().find(|server| server.id == id);
                if let Some(address) = found.map(|server| server.address.clone()) {
                    self.change_set(now, ChangeCommand::RemoveServer, (id, address), out);
                }
            }
            Action::ForceLeave(node) => {
                if let Some(members) = &mut self.members {
                    let input = gossip::Input::ForceLeave { request: OWN, node, prune: false };
                    members.step(now, PoolId::Lan, input, out);
                }
            }
            Action::Log(level, text) => {
                out.push(Output::member(Membership::Autopilot(level, text)));
            }
        }
    }

    fn change_set(
        &mut self,
        now: Instant,
        command: ChangeCommand,
        (id, address): (ServerId, ServerAddress),
        out: &mut Vec<Output>,
    ) {
        let change = Change { command, id, address, prev_index: LogIndex(0) };
        let request = self.begin(Duty::Autopilot);
        self.change_servers(now, request, change, out);
    }

    /// The end of a call, when it was one of these.
    pub(super) fn on_stats_reported(
        &mut self,
        now: Instant,
        call: CallId,
        result: &Result<Reply, Failure>,
        out: &mut Vec<Output>,
    ) -> bool {
        let asking = self.steering.as_mut().and_then(|steering| steering.asking.as_mut());
        let Some(asking) = asking else { return false };
        let Some(server) = asking.calls.remove(&call) else { return false };
        if let Ok(Reply::RaftStats(stats)) = result {
            asking.answers.insert(server, *stats);
        }
        self.take_stats_when_complete(now, out);
        true
    }

    fn take_stats_when_complete(&mut self, now: Instant, out: &mut Vec<Output>) {
        let asking = self.steering.as_ref().and_then(|steering| steering.asking.as_ref());
        if asking.is_some_and(|asking| asking.calls.is_empty()) {
            self.take_stats(now, out);
        }
    }

    fn take_stats(&mut self, now: Instant, out: &mut Vec<Output>) {
        let asking = self.steering.as_mut().and_then(|steering| steering.asking.take());
        if let Some(asking) = asking {
            self.steer(now, Input::Stats(asking.answers), out);
        }
    }

    /// The servers' health, as this server's autopilot last saw it; nothing before it has looked.
    pub(super) fn health_report(&self, now: Instant) -> HealthReport {
        let began = self.config.began;
        let nanos = |at: Instant| i64::try_from(at.since(began.0).as_nanos()).unwrap_or(i64::MAX);
        let wall = |at: Instant| WallTime(began.1.0.saturating_add(nanos(at.min(now))));
        let health = self.steering.as_ref().map(|steering| steering.autopilot.health());
        health.map_or_else(HealthReport::default, |health| HealthReport::of(health, wall))
    }

    /// How far this server's log is.
    pub(super) fn raft_stats(&self, now: Instant) -> ServerStats {
        ServerStats {
            last_contact: self.leader_silence(now),
            last_term: self.raft.last_term(),
            last_index: self.raft.last_index(),
        }
    }
}

impl From<ServerInfo> for KnownServer {
    fn from(server: ServerInfo) -> Self {
        let ServerInfo { id, name, address, status, version, read_replica, .. } = server;
        Self { id, name, address, status, version, read_replica }
    }
}
