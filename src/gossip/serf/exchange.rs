//! Serf's part of a push/pull, and network coordinates in acks (spec cluster 2.12, 2.17).
//!
//! The state is told as if it had been gossiped: who left, as leave intents one later than the last intent
//! about each (so that they count where that last intent is known), the others as join intents. The times
//! of those that left creep upwards with each exchange; nothing else does.
//!
//! Departing from the original, a member that is told of a later intent about itself than it knows says
//! again that it is here. Else two races leave it "leaving" for ever in the eyes of others: while one that
//! had left comes back, somebody who has not heard of it yet tells others that it left, one later than its
//! own word; and one that is made to leave, dies and is back before SWIM has noticed would take the time of
//! that leave for its own. A tie remains: where the raised leave and the word that it is here carry the same
//! time, whoever heard the leave first shows it as leaving until its next intent, as the original would.
//!
//! What comes in here is merged and not passed on: the next exchange carries it.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Duration, Instant, NodeName};
use crate::gossip::message::{EventSlot, LamportTime, SerfState, UserEvent};
use crate::gossip::serf::{Joining, Output, Serf, warn};

impl Serf {
    /// All that others may merge. Looks at every member.
    pub(super) fn state(&self) -> SerfState {
        let status_times = |member: &super::Member| (member.view.name.clone(), member.status_time);
        let slot = |(slot, time, said): (usize, LamportTime, &[super::events::Said])| {
            let events = said.iter().map(|said| (said.name.clone(), said.payload.clone()));
            EventSlot { slot, time, events: events.collect() }
        };
        SerfState {
            time: self.clock.time(),
            status_times: self.members.iter().map(status_times).collect(),
            left_members: self.members.left().to_vec(),
            event_time: self.event_clock.time(),
            event_slots: self.events.slots(),
            events: self.events.filled().map(slot).collect(),
            query_time: self.query_clock.time(),
        }
    }

    /// Takes somebody's state in.
    pub(super) fn merge(
        &mut self,
        now: Instant,
        state: &SerfState,
        join: bool,
        out: &mut Vec<Output>,
    ) {
        self.clock.witness_reading(state.time);
        self.event_clock.witness_reading(state.event_time);
        self.query_clock.witness_reading(state.query_time);
        let left: BTreeSet<&NodeName> = state.left_members.iter().collect();
        let times: BTreeMap<&NodeName, LamportTime> =
            state.status_times.iter().map(|(name, time)| (name, *time)).collect();
        // First those who left: their times are not to be raised by what follows.
        for name in &state.left_members {
            let last = times.get(name).copied().unwrap_or_default();
            let time = LamportTime(last.0.saturating_add(1));
            self.leave_intent(now, name, time, false, out);
        }
        for (name, time) in state.status_times.iter().filter(|(name, _)| !left.contains(name)) {
            let contradicts = *name == self.config.name && self.is_outdone(*time);
            self.join_intent(now, name, *time);
            if contradicts {
                self.say_join(now);
            }
        }
        if join && self.ignores_old_events() {
            self.events.ignore_before(state.event_time);
        }
        for slot in &state.events {
            for (name, payload) in &slot.events {
                let (name, payload) = (name.clone(), payload.clone());
                let event = UserEvent { time: slot.time, name, payload, coalesce: false };
                self.hear_event(&event, out);
            }
        }
    }

    /// Whether somebody knows a later intent about us than we do: one of our last life, or that we leave.
    fn is_outdone(&self, time: LamportTime) -> bool {
        let own = self.members.get(&self.config.name).map(|own| own.status_time);
        self.leave.is_not() && own.is_some_and(|own| own < time)
    }

    fn ignores_old_events(&self) -> bool {
        let ignoring =
            |joining: &Joining| matches!(joining, Joining::Requested { ignore_old: true, .. });
        self.joins.values().any(ignoring)
    }

    /// A member has answered a probe.
    pub(super) fn probed(
        &mut self,
        node: &NodeName,
        round_trip: Duration,
        payload: Option<&[u8]>,
        out: &mut Vec<Output>,
    ) {
        let Some(payload) = payload.filter(|payload| !payload.is_empty()) else { return };
        if !self.config.coordinates || self.members.get(node).is_none() {
            return;
        }
        let Some(coordinate) = (self.codec.decode_coordinate)(payload) else {
            return warn(out, format!("Failed to decode coordinate from ping of '{node}'"));
        };
        if let Err(why) = self.coordinates.observe(node, coordinate, round_trip) {
            warn(out, format!("Rejected coordinate from {node}: {why}"));
        }
    }
}
