//! A round of gossip, and what we say about ourselves: new meta, goodbye (SWIM paper 4.1; spec cluster
//! 1.10, 1.16).
//!
//! A round goes to a few random members: also to those who died a short time ago, so that one who was
//! declared dead by mistake hears of it and contradicts. Each gets a transmission of its own. Those who
//! left are told nothing.
//!
//! A goodbye is waited for, by whoever asked for it, until it was sent as often as it should; after it
//! the member goes on answering and gossiping until it is stopped from outside.

use bytes::Bytes;

use crate::base::Instant;
use crate::gossip::message::{Accusation, Incarnation, MemberState, Message};
use crate::gossip::swim::core::{Swim, Turn, Waiter, alive_of, understands};
use crate::gossip::swim::probe::UNDERSTANDS_CHECKSUM;
use crate::gossip::swim::timers::{Timer, TimerKey};
use crate::gossip::swim::types::{META_MAX_BYTES, Node, Output};

impl Swim {
    pub(super) fn gossip(&mut self, turn: &mut Turn<'_>) {
        let count = self.config.gossip_nodes;
        let now = turn.now;
        let own = &self.config.name;
        let keep = self.config.gossip_to_the_dead_time;
        let hears = |node: &Node| match node.state {
            MemberState::Alive | MemberState::Suspect => node.name != *own,
            MemberState::Dead => now.since(node.changed) <= keep,
            MemberState::Left => false,
        };
        for target in self.roster.choose(count, &mut self.streams.gossip, hears) {
            let messages = self.draw(self.broadcast_bytes(), turn);
            if messages.is_empty() {
                return;
            }
            let checksum = understands(target.versions, UNDERSTANDS_CHECKSUM);
            turn.out.push(Output::Packet { to: target.addr, messages, checksum });
        }
    }

    /// We have other meta.
    pub(super) fn set_meta(&mut self, meta: Bytes, turn: &mut Turn<'_>) {
        crate::invariant!(meta.len() <= META_MAX_BYTES, "meta of {} bytes", meta.len());
        if self.leaving {
            turn.out.push(Output::MetaTimedOut);
            return;
        }
        self.incarnation = Incarnation(self.incarnation.0.saturating_add(1));
        let Some(own) = self.roster.get_mut(&self.config.name) else { return };
        let changed = own.node.meta != meta;
        own.node.meta = meta;
        own.node.incarnation = self.incarnation;
        let node = own.node.clone();
        let alive = Message::Alive(alive_of(&node));
        // What this one replaces has been heard: that is the end of the earlier change.
        self.broadcast(node.name.clone(), alive, Some(Waiter::Meta), turn);
        if changed {
            turn.out.push(Output::NodeUpdated(node));
        }
        if self.has_company() {
            let at = self.patience_ends(turn.now);
            self.meta_wait = Some(self.timers.set(at, Timer::Meta));
        } else {
            turn.out.push(Output::MetaHeard);
        }
    }

    /// Says goodbye.
    pub(super) fn leave(&mut self, turn: &mut Turn<'_>) {
        if self.leaving {
            turn.out.push(Output::LeaveHeard);
            return;
        }
        self.leaving = true;
        let name = self.config.name.clone();
        let goodbye = Accusation { incarnation: self.incarnation, node: name.clone(), from: name };
        self.dead(goodbye, turn);
        if self.has_company() {
            let at = self.patience_ends(turn.now);
            let timer: TimerKey = self.timers.set(at, Timer::Leave);
            self.leave_wait = Some(timer);
        } else {
            turn.out.push(Output::LeaveHeard);
        }
    }

    /// Whether anybody else may hear us.
    fn has_company(&self) -> bool {
        let ourselves = usize::from(!self.leaving);
        self.roster.present() > ourselves
    }

    fn patience_ends(&self, now: Instant) -> Instant {
        now + self.config.broadcast_timeout
    }
}
