//! Who means to be here and who means to go (spec cluster 2.7), and what SWIM says of them.
//!
//! Invariants: an intent moves a member only when it is newer than the last one about it, and is passed
//! on only then, so none travels for ever; intents about strangers wait, the newest of each, until the
//! stranger is known or five minutes have gone. A word that this member leaves is contradicted with a
//! newer intent to be here, unless it does leave.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::base::{Duration, Instant, NodeName};
use crate::gossip::io::{MemberEventKind, Status};
use crate::gossip::message::{LamportTime, SerfMessage};
use crate::gossip::serf::members::Taken;
use crate::gossip::serf::queue::Kind;
use crate::gossip::serf::{CONFLICTS_MAX, Node, Output, Serf, tell, warn};
use crate::planted;

/// An intent about somebody who is not known yet.
#[derive(Clone, Copy, Debug)]
struct Early {
    leaves: bool,
    time: LamportTime,
    since: Instant,
}

/// The newest about each stranger.
#[derive(Debug, Default)]
pub(super) struct Buffer(BTreeMap<NodeName, Early>);

impl Buffer {
    /// Keeps it when it is newer than what is kept; whether it was.
    fn keep(&mut self, now: Instant, node: &NodeName, leaves: bool, time: LamportTime) -> bool {
        if self.0.get(node).is_some_and(|early| time <= early.time) {
            return false;
        }
        self.0.insert(node.clone(), Early { leaves, time, since: now });
        true
    }

    fn about(&self, node: &NodeName) -> Option<(bool, LamportTime)> {
        self.0.get(node).map(|early| (early.leaves, early.time))
    }

    /// Forgets those that are older than this; when the next will be.
    pub(super) fn forget(&mut self, now: Instant, timeout: Duration) -> Option<Instant> {
        self.0.retain(|_, early| now.since(early.since) <= timeout);
        self.0.values().map(|early| early.since + timeout).min()
    }
}

impl Serf {
    pub(super) fn node_joined(&mut self, node: &Node, out: &mut Vec<Output>) {
        let tags = (self.codec.decode_tags)(&node.meta);
        let intent = self.intents.about(&node.name);
        let member = self.members.joined(node, tags, intent);
        tell(member, MemberEventKind::Join, false, out);
        self.note(&node.name, MemberEventKind::Join);
    }

    pub(super) fn node_left(&mut self, now: Instant, node: &Node, out: &mut Vec<Output>) {
        match self.members.gone(now, &node.name) {
            Ok((kind, member)) => {
                tell(member, kind, false, out);
                self.note(&node.name, kind);
                self.expect_reap(now, &node.name);
            }
            Err(Some(status)) => warn(out, format!("Bad state when leave: {}", status as u8)),
            Err(None) => {}
        }
    }

    pub(super) fn node_updated(&mut self, node: &Node, out: &mut Vec<Output>) {
        let tags = (self.codec.decode_tags)(&node.meta);
        if let Some(member) = self.members.updated(node, tags) {
            tell(member, MemberEventKind::Update, false, out);
        }
    }

    pub(super) fn node_conflict(
        &mut self,
        existing: &Node,
        other: SocketAddr,
        out: &mut Vec<Output>,
    ) {
        let claim = (existing.name.clone(), other);
        if self.conflicts.len() >= CONFLICTS_MAX || !self.conflicts.insert(claim) {
            return;
        }
        let text = if existing.name == self.config.name {
            format!(
                "Node name conflicts with another node at {other}. Names must be unique! (Resolution enabled: false)"
            )
        } else {
            format!(
                "Name conflict for '{}' both {} and {other} are claiming",
                existing.name, existing.addr
            )
        };
        warn(out, text);
    }

    /// Somebody means to be here; whether that is new.
    pub(super) fn join_intent(&mut self, now: Instant, node: &NodeName, time: LamportTime) -> bool {
        self.clock.witness(time);
        match self.members.join_intent(node, time) {
            Some(is_new) => is_new,
            None => self.keep_early(now, node, false, time),
        }
    }

    /// Somebody means to go, or is made to; whether that is new.
    pub(super) fn leave_intent(
        &mut self,
        now: Instant,
        node: &NodeName,
        time: LamportTime,
        prune: bool,
        out: &mut Vec<Output>,
    ) -> bool {
        self.clock.witness(time);
        let Some(member) = self.members.get(node) else {
            return self.keep_early(now, node, true, time);
        };
        if *node == self.config.name && self.leave.is_not() {
            if time > member.status_time {
                self.say_join(now);
            }
            return false;
        }
        // Oracle: views-converge. Who was called failed first stays so, though it left.
        if member.view.status == Status::Failed && planted!(self.faults, "leave-of-failed-ignored")
        {
            return false;
        }
        match self.members.leave_intent(node, time) {
            None | Some(Taken::Stale) => return false,
            Some(Taken::Counted) => {}
            Some(Taken::Forced) => {
                if let Some(member) = self.members.get(node) {
                    tell(member, MemberEventKind::Leave, true, out);
                }
                self.note(node, MemberEventKind::Leave);
                self.expect_reap(now, node);
            }
        }
        if prune {
            self.prune(now, node, out);
        }
        true
    }

    /// Tells everybody that we mean to be here.
    pub(super) fn say_join(&mut self, now: Instant) {
        let (time, node) = (self.clock.time(), self.config.name.clone());
        self.join_intent(now, &node, time);
        self.broadcast(Kind::Intent, SerfMessage::Join { time, node }, None);
    }

    fn keep_early(
        &mut self,
        now: Instant,
        node: &NodeName,
        leaves: bool,
        time: LamportTime,
    ) -> bool {
        let kept = self.intents.keep(now, node, leaves, time);
        if kept {
            self.expect_reap_at(now + self.config.recent_intent_timeout);
        }
        kept
    }

    /// It is to be forgotten: at once, or, where it is just leaving, when that is over.
    fn prune(&mut self, now: Instant, node: &NodeName, out: &mut Vec<Output>) {
        let status = self.members.get(node).map(|member| member.view.status);
        if status == Some(Status::Leaving) {
            self.prune_when_gone(now, node);
        } else {
            self.erase(node, true, out);
        }
    }

    /// Forgets a member.
    pub(super) fn erase(&mut self, node: &NodeName, forced: bool, out: &mut Vec<Output>) {
        if let Some(member) = self.members.erase(node) {
            self.coordinates.forget(node);
            self.conflicts.retain(|(name, _)| name != node);
            tell(&member, MemberEventKind::Reap, forced, out);
        }
    }

    fn note(&mut self, node: &NodeName, kind: MemberEventKind) {
        if let (Some(recorder), Some(member)) = (&mut self.recorder, self.members.get(node)) {
            recorder.member(kind, &member.view, self.clock.time());
        }
    }
}
