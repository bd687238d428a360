//! What was heard lately, so that it is heard once: of user events and of queries (spec cluster 2.13).
//!
//! ```text
//!   time mod 512     0      1      2    …   511
//!                 ┌──────┬──────┬──────┬───┬──────┐   each slot: one Lamport time,
//!                 │ 1024 │  513 │  514 │   │ 1023 │   and what was said at it
//!                 └──────┴──────┴──────┴───┴──────┘
//! ```
//!
//! Invariants: a slot holds only a time that belongs there; nothing older than the window, or than
//! [`Ring::min_time`], is taken. So within one life of a process nothing is taken twice: what the ring
//! has forgotten is too old to be taken.
//!
//! Only filled slots take memory: most agents hear few events.

use std::collections::BTreeMap;

use crate::gossip::message::LamportTime;

/// What the ring makes of something that was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// For the first time.
    New,
    /// Again, or from before this member's time.
    Ignored,
    /// So long ago that nobody knows whether it was heard.
    TooOld,
}

#[derive(Debug)]
pub(super) struct Ring<T> {
    slots: usize,
    min_time: LamportTime,
    filled: BTreeMap<usize, (LamportTime, Vec<T>)>,
}

impl<T: PartialEq> Ring<T> {
    /// Takes nothing from before `min_time`.
    pub(super) fn new(slots: usize, min_time: LamportTime) -> Self {
        Self { slots, min_time, filled: BTreeMap::new() }
    }

    /// Nothing from before this time is taken from now on.
    pub(super) fn ignore_before(&mut self, time: LamportTime) {
        self.min_time = self.min_time.max(time);
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// Something was said at `time`; `clock` is the reading after it was witnessed.
    pub(super) fn offer(&mut self, clock: LamportTime, time: LamportTime, item: T) -> Verdict {
        if time < self.min_time {
            return Verdict::Ignored;
        }
        let slots = self.slots as u64;
        if clock.0 > slots && time.0 < clock.0 - slots {
            return Verdict::TooOld;
        }
        let slot = (time.0 % slots) as usize;
        let (held, items) = self.filled.entry(slot).or_insert_with(|| (time, Vec::new()));
        if *held != time {
            *held = time;
            items.clear();
        }
        if items.contains(&item) {
            return Verdict::Ignored;
        }
        items.push(item);
        Verdict::New
    }

    /// Filled slots, ascending.
    pub(super) fn filled(&self) -> impl Iterator<Item = (usize, LamportTime, &[T])> {
        self.filled.iter().map(|(slot, (time, items))| (*slot, *time, items.as_slice()))
    }

    /// Panics when an invariant is broken.
    pub(super) fn check_invariants(&self, clock: LamportTime) {
        for (slot, time, items) in self.filled() {
            crate::invariant!(time.0 % self.slots as u64 == slot as u64, "{time} in slot {slot}");
            crate::invariant!(time < clock || time.0 == u64::MAX, "{time} is not before {clock}");
            crate::invariant!(!items.is_empty(), "slot {slot} holds nothing");
        }
    }
}
