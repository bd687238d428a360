//! What is to happen later, in one ordered queue; and tasks that repeat.
//!
//! Timers of the same instant fire in the order in which they were set. The deadline is the first key:
//! reading it costs nothing, whatever the size of the pool.

use std::collections::BTreeMap;

use crate::base::{Duration, Instant, NodeName};
use crate::gossip::message::SequenceNumber;

/// What is to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// Probe the next member.
    Probe,
    /// A round of gossip.
    Gossip,
    /// Exchange whole states with somebody.
    PushPull,
    /// The direct probe has not been answered.
    DirectTimeout(SequenceNumber),
    /// The probe has not been answered.
    ProbeEnd(SequenceNumber),
    /// The probe for somebody else has not been answered.
    RelayEnd(SequenceNumber),
    /// A suspicion is over.
    Suspicion(NodeName),
    /// The goodbye has not been heard.
    Leave,
    /// The new meta has not been heard.
    Meta,
}

/// Names a timer that was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TimerKey(Instant, u64);

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeMap<TimerKey, Timer>,
    set: u64,
}

impl Timers {
    pub(super) fn set(&mut self, at: Instant, timer: Timer) -> TimerKey {
        self.set += 1;
        let key = TimerKey(at, self.set);
        self.queue.insert(key, timer);
        key
    }

    /// Takes a timer out; none is done when it has fired.
    pub(super) fn cancel(&mut self, key: TimerKey) {
        self.queue.remove(&key);
    }

    pub(super) fn get(&self, key: TimerKey) -> Option<&Timer> {
        self.queue.get(&key)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.queue.keys().next().map(|key| key.0)
    }

    /// The next that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let first = self.queue.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }
}

/// A task that repeats on a fixed grid: ticks that nobody waited for are lost.
#[derive(Debug)]
pub(super) struct Ticker {
    first: Instant,
    interval: Duration,
    /// Set while the task has something to do.
    pub(super) armed: Option<TimerKey>,
}

impl Ticker {
    pub(super) fn new(first: Instant, interval: Duration) -> Self {
        Self { first, interval, armed: None }
    }

    /// The first tick after this instant.
    pub(super) fn after(&self, instant: Instant) -> Instant {
        if instant < self.first {
            return self.first;
        }
        let interval = (self.interval.as_nanos() as u64).max(1);
        let passed = instant.since(self.first).as_nanos() as u64 / interval;
        self.first + Duration::from_nanos((passed + 1).saturating_mul(interval))
    }
}
