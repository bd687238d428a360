//! Lamport's clock (Lamport 1978; spec cluster 2.5). A pool has three: of intents, events and queries.
//!
//! The reading is the time that the next message gets. It is 1 at first, so that 0 is older than
//! everything, and never goes back.

use crate::gossip::message::LamportTime;

/// One clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(LamportTime);

impl Clock {
    pub(super) fn new() -> Self {
        Self(LamportTime(1))
    }

    /// The time of the next message.
    pub(super) fn time(self) -> LamportTime {
        self.0
    }

    /// Something of this time was said: what is said from now on is later. The last time that the type
    /// holds has nothing after it; the clock stops there instead of starting over.
    pub(super) fn witness(&mut self, seen: LamportTime) {
        if seen >= self.0 {
            self.0 = LamportTime(seen.0.saturating_add(1));
        }
    }

    /// What the other clock shows is what it has not said yet.
    pub(super) fn witness_reading(&mut self, reading: LamportTime) {
        if let Some(said) = reading.0.checked_sub(1) {
            self.witness(LamportTime(said));
        }
    }
}
