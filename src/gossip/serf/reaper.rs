//! Forgetting members, and reaching out to those that failed (spec cluster 2.11), and joining (2.8).
//!
//! The original looks every 15 s, and every 30 s. Here the looks are at the same moments, counted from the
//! start, but only those at which there is something to do: a pool without failed members has no timer.
//!
//! Reaching out is how a healed partition becomes one pool again when both sides have given up gossiping
//! to the dead: a push/pull with the last address of a failed member, with a probability that makes about
//! one attempt per failed member and interval in the whole pool.

use std::net::SocketAddr;

use crate::base::{Duration, Instant, NodeName, RequestId};
use crate::gossip::io::{JoinReport, Status};
use crate::gossip::pool_io;
use crate::gossip::serf::{Joining, Output, Serf, inform, warn};
use crate::planted;

#[derive(Debug)]
pub(super) struct Reaper {
    started: Instant,
    reap_at: Option<Instant>,
    reconnect_at: Option<Instant>,
    /// Members to forget when they have finished leaving.
    prunes: Vec<(Instant, NodeName)>,
}

impl Reaper {
    pub(super) fn new(started: Instant) -> Self {
        Self { started, reap_at: None, reconnect_at: None, prunes: Vec::new() }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let prune = self.prunes.iter().map(|(at, _)| *at).min();
        [self.reap_at, self.reconnect_at, prune].into_iter().flatten().min()
    }

    fn prune_later(&mut self, at: Instant, node: NodeName) {
        if !self.prunes.iter().any(|(_, waiting)| *waiting == node) {
            self.prunes.push((at, node));
        }
    }
}

/// The first multiple of `interval` since `started` that is after `at`.
pub(super) fn tick_after(started: Instant, interval: Duration, at: Instant) -> Instant {
    let interval_ns = (interval.as_nanos() as u64).max(1);
    let ticks = at.since(started).as_nanos() as u64 / interval_ns + 1;
    started + Duration::from_nanos(ticks.saturating_mul(interval_ns))
}

impl Serf {
    /// Something will be old enough to be forgotten after this moment.
    pub(super) fn expect_reap_at(&mut self, expires: Instant) {
        let tick = tick_after(self.reaper.started, self.config.reap_interval, expires);
        let sooner = self.reaper.reap_at.map_or(tick, |at| at.min(tick));
        self.reaper.reap_at = Some(sooner);
    }

    /// A member has failed or left.
    pub(super) fn expect_reap(&mut self, now: Instant, node: &NodeName) {
        let Some(expires) = self.expiry(node) else { return };
        self.expect_reap_at(expires);
        let next = tick_after(self.reaper.started, self.config.reconnect_interval, now);
        self.reaper.reconnect_at.get_or_insert(next);
    }

    /// When a member that failed or left has been so for long enough.
    fn expiry(&self, node: &NodeName) -> Option<Instant> {
        let member = self.members.get(node)?;
        let configured = match member.view.status {
            Status::Failed => self.config.reconnect_timeout,
            Status::Left => self.config.tombstone_timeout,
            Status::None | Status::Alive | Status::Leaving => return None,
        };
        Some(member.gone + self.config.timeout_of(&member.view.tags, configured))
    }

    pub(super) fn reap(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.prune_those_due(now, out);
        if self.reaper.reap_at.is_none_or(|at| at > now) {
            return;
        }
        self.reaper.reap_at = None;
        let gone: Vec<NodeName> =
            self.members.failed().iter().chain(self.members.left()).cloned().collect();
        for node in &gone {
            match self.expiry(node) {
                Some(expires) if now > expires => self.erase(node, false, out),
                Some(expires) => self.expect_reap_at(expires),
                None => {}
            }
        }
        if let Some(next) = self.intents.forget(now, self.config.recent_intent_timeout) {
            self.expect_reap_at(next);
        }
    }

    /// One that came back is spared; for one that SWIM still holds for alive there is another wait.
    fn prune_those_due(&mut self, now: Instant, out: &mut Vec<Output>) {
        let due: Vec<NodeName> =
            self.reaper.prunes.extract_if(.., |(at, _)| *at <= now).map(|(_, node)| node).collect();
        for node in due {
            match self.members.get(&node).map(|member| member.view.status) {
                Some(Status::Left) => self.erase(&node, true, out),
                Some(Status::Leaving) => self.prune_when_gone(now, &node),
                Some(Status::None | Status::Alive | Status::Failed) | None => {}
            }
        }
    }

    /// Looks again when a leave has had time to end.
    pub(super) fn prune_when_gone(&mut self, now: Instant, node: &NodeName) {
        let span = self.config.broadcast_timeout + self.config.leave_propagate_delay;
        self.reaper.prune_later(now + span, node.clone());
    }

    pub(super) fn reconnect(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.reaper.reconnect_at.is_none_or(|at| at > now) {
            return;
        }
        self.reaper.reconnect_at = None;
        let failed = self.members.failed().len() as u64;
        // Oracle: gossip-accuracy. Two halves that gave each other up wait for each other.
        let waits = planted!(self.faults, "nobody-reconnects");
        if failed == 0 || self.is_leaving() || waits {
            return;
        }
        let next = tick_after(self.reaper.started, self.config.reconnect_interval, now);
        self.reaper.reconnect_at = Some(next);
        let others = (self.members.present() as u64).max(1);
        if self.prng.below(others) >= failed {
            return;
        }
        let Some(node) = self.prng.pick(self.members.failed()).cloned() else { return };
        let Some(addr) = self.members.get(&node).map(|member| member.view.addr) else { return };
        inform(out, format!("attempting reconnect to {node} {addr}"));
        self.reach(Joining::Reconnect, vec![addr], out);
    }

    fn reach(&mut self, joining: Joining, addresses: Vec<SocketAddr>, out: &mut Vec<Output>) {
        let token = self.token();
        self.joins.insert(token, joining);
        out.push(Output::Join { token, addresses });
    }

    /// The application wants to join.
    pub(super) fn join(
        &mut self,
        request: RequestId,
        addresses: Vec<SocketAddr>,
        ignore_old: bool,
        out: &mut Vec<Output>,
    ) {
        if self.is_leaving() {
            let errors = vec!["Serf can't Join after Leave or Shutdown".to_owned()];
            let report = JoinReport { contacted: 0, errors };
            return out.push(Output::Out(pool_io::Output::Joined { request, report }));
        }
        self.reach(Joining::Requested { request, ignore_old }, addresses, out);
    }

    /// An attempt has ended.
    pub(super) fn joined(
        &mut self,
        now: Instant,
        token: RequestId,
        report: JoinReport,
        out: &mut Vec<Output>,
    ) {
        match self.joins.remove(&token) {
            Some(Joining::Requested { request, .. }) => {
                if report.contacted > 0 && !self.is_leaving() {
                    self.say_join(now);
                }
                out.push(Output::Out(pool_io::Output::Joined { request, report }));
            }
            Some(Joining::Rejoin { node, addr }) if report.contacted > 0 => {
                inform(out, format!("Re-joined to previously known node: {node}: {addr}"));
                self.to_rejoin.clear();
            }
            Some(Joining::Rejoin { .. }) => self.rejoin_next(out),
            Some(Joining::Reconnect) | None => {}
        }
    }

    /// Tries those whom the snapshot names, in random order, until one answers. No intent is sent: our
    /// own clock may be behind, and nobody doubts that we are here.
    pub(super) fn begin_rejoin(
        &mut self,
        mut alive: Vec<(NodeName, SocketAddr)>,
        out: &mut Vec<Output>,
    ) {
        if alive.is_empty() {
            return;
        }
        self.prng.shuffle(&mut alive);
        alive.retain(|(node, _)| *node != self.config.name);
        self.to_rejoin = alive.into();
        self.rejoin_next(out);
    }

    fn rejoin_next(&mut self, out: &mut Vec<Output>) {
        if self.is_leaving() {
            return;
        }
        let Some((node, addr)) = self.to_rejoin.pop_front() else {
            return warn(out, "Failed to re-join any previously known node".to_owned());
        };
        inform(out, format!("Attempting re-join to previously known node: {node}: {addr}"));
        self.reach(Joining::Rejoin { node, addr }, vec![addr], out);
    }
}
