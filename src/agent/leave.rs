//! A server's graceful leave, in Consul's order (spec cluster 7.2; `legacy`: 4.15).
//!
//! ```text
//!   Leave ─► leads others? hand over, or remove itself ─► leave WAN ─► leave LAN
//!         ─► drain: reads are served, what needs a leader is refused ─► wait for the removal ─► Exit
//! ```
//!
//! The one that leads then removes this server from Raft's configuration; it waits for that, but not for
//! ever: a server that nobody removes is one that nobody can remove. A lone server stays in its own
//! configuration, and starts again with it. `legacy` removes itself as the leader it is, does not drain,
//! and gives its peer set up for good at the end: the `null` in `peers.json`.

use crate::base::{Duration, Instant, LogIndex, RequestId};
use crate::gossip;
use crate::raft::{Change, ChangeCommand, Suffrage};

use super::core::Agent;
use super::duties::Duty;
use super::io::Output;
use super::members::PoolId;
use super::membership::Membership;
use super::types::{Failure, Reply, Request};

/// How long the removal from Raft's configuration is waited for (`raftRemoveGracePeriod`).
const REMOVAL_GRACE: Duration = Duration::from_secs(5);

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    HandingOver,
    RemovingItself,
    LeavingWan,
    LeavingLan,
    Draining { until: Instant },
    AwaitingRemoval { until: Instant },
}

/// A leave that is under way.
#[derive(Debug)]
pub(super) struct Leave {
    asked_by: Vec<RequestId>,
    phase: Phase,
}

impl Leave {
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Draining { until } | Phase::AwaitingRemoval { until } => Some(until),
            _ => None,
        }
    }

    /// From here on nothing is done that needs a leader.
    pub fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining { .. } | Phase::AwaitingRemoval { .. })
    }
}

impl Agent {
    pub(super) fn on_leave(&mut self, now: Instant, id: RequestId, out: &mut Vec<Output>) {
        if let Some(leave) = &mut self.leave {
            leave.asked_by.push(id);
            return;
        }
        out.push(Output::member(Membership::LeaveBegun { server: true }));
        self.leave = Some(Leave { asked_by: vec![id], phase: Phase::HandingOver });
        if let Some(local) = &mut self.local {
            local.leave(out);
        }
        let servers = &self.raft.configuration().servers;
        let voters = servers.iter().filter(|server| server.suffrage == Suffrage::Voter).count();
        if !self.raft.is_leader() || voters <= 1 {
            self.leave_wan(now, out);
        } else if self.is_legacy() {
            self.remove_itself(now, out);
        } else {
            let id = self.begin(Duty::HandOver);
            self.on_ask(now, id, Request::TransferLeadership { to: None }, out);
        }
    }

    /// The end of the one attempt to hand leadership over.
    pub(super) fn on_handed_over(
        &mut self,
        now: Instant,
        result: Result<Reply, Failure>,
        out: &mut Vec<Output>,
    ) {
        match result {
            Err(failure) if self.raft.is_leader() => {
                out.push(Output::member(Membership::HandOverFailed(failure.to_string())));
                self.remove_itself(now, out);
            }
            _ => self.leave_wan(now, out),
        }
    }

    fn remove_itself(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.enter(Phase::RemovingItself);
        let id = self.begin(Duty::RemoveItself);
        let change = Change {
            command: ChangeCommand::RemoveServer,
            id: self.config.raft.id.clone(),
            address: self.config.raft.address.clone(),
            prev_index: LogIndex(0),
        };
        self.change_servers(now, id, change, out);
    }

    pub(super) fn leave_wan(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.enter(Phase::LeavingWan);
        match &mut self.members {
            Some(members) if members.pool(PoolId::Wan).is_some() => {
                members.step(now, PoolId::Wan, gossip::Input::Leave, out);
            }
            _ => self.leave_lan(now, out),
        }
    }

    fn leave_lan(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.enter(Phase::LeavingLan);
        match &mut self.members {
            Some(members) => members.step(now, PoolId::Lan, gossip::Input::Leave, out),
            None => self.drain(now, out),
        }
    }

    /// A pool has been left.
    pub(super) fn on_pool_left(&mut self, now: Instant, pool: PoolId, out: &mut Vec<Output>) {
        match (self.leave.as_ref().map(|leave| leave.phase), pool) {
            (Some(Phase::LeavingWan), PoolId::Wan) => self.leave_lan(now, out),
            (Some(Phase::LeavingLan), PoolId::Lan) => self.drain(now, out),
            _ => {}
        }
    }

    fn drain(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.config.leave_drain.is_zero() {
            self.await_removal(now, out);
            return;
        }
        out.push(Output::member(Membership::Draining(self.config.leave_drain)));
        self.enter(Phase::Draining { until: now + self.config.leave_drain });
    }

    fn await_removal(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.enter(Phase::AwaitingRemoval { until: now + REMOVAL_GRACE });
        self.check_leave(now, out);
    }

    /// Looks whether the leave can go on: after each step, and at its deadline.
    pub(super) fn check_leave(&mut self, now: Instant, out: &mut Vec<Output>) {
        match self.leave.as_ref().map(|leave| leave.phase) {
            Some(Phase::Draining { until }) if until <= now => self.await_removal(now, out),
            Some(Phase::AwaitingRemoval { until }) => {
                if self.raft.is_leader() || self.is_removed() {
                    self.finish_leave(now, out);
                } else if until <= now {
                    out.push(Output::member(Membership::RemovalTimedOut));
                    self.finish_leave(now, out);
                }
            }
            _ => {}
        }
    }

    /// Nobody counts on this server: `legacy` knows nobody else, `modern` is not in the set.
    fn is_removed(&self) -> bool {
        let servers = &self.raft.configuration().servers;
        let me = &self.config.raft.address;
        match self.is_legacy() {
            true => servers.iter().all(|server| server.address == *me),
            false => servers.iter().all(|server| server.address != *me),
        }
    }

    fn finish_leave(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(leave) = self.leave.take() else { return };
        self.forget_peers(now, out);
        let answers = leave.asked_by.into_iter().map(|id| Output::Answer(id, Ok(Reply::Done)));
        out.extend(answers);
        out.push(Output::Exit);
    }

    fn enter(&mut self, phase: Phase) {
        if let Some(leave) = &mut self.leave {
            leave.phase = phase;
        }
    }
}
