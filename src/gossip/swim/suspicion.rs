//! A suspicion: how long it lasts (Lifeguard 4.2; spec cluster 1.14).
//!
//! It starts at the longest and is shortened by each member that says the same independently. Invariant:
//! it never ends before the minimum. Not here: the timer itself, and what happens at its end.

use crate::base::{Duration, Instant, NodeName};
use crate::gossip::swim::formulas::suspicion_total;
use crate::gossip::swim::timers::TimerKey;

/// One member's.
#[derive(Debug)]
pub(super) struct Suspicion {
    pub(super) since: Instant,
    /// How many confirmations shorten it to the minimum.
    pub(super) needed: u32,
    pub(super) min: Duration,
    pub(super) max: Duration,
    /// Who has said it; the first does not count as a confirmation.
    accusers: Vec<NodeName>,
    pub(super) timer: TimerKey,
}

impl Suspicion {
    /// How many confirmations are expected: none in a pool that has too few to give them. `n` counts
    /// ourselves and the suspect.
    pub(super) fn needed(mult: u32, n: usize) -> u32 {
        let needed = mult.saturating_sub(2);
        if n < needed as usize + 2 { 0 } else { needed }
    }

    pub(super) fn new(
        since: Instant,
        needed: u32,
        (min, max): (Duration, Duration),
        from: NodeName,
        timer: TimerKey,
    ) -> Self {
        Self { since, needed, min, max, accusers: vec![from], timer }
    }

    pub(super) fn confirmations(&self) -> u32 {
        self.accusers.len() as u32 - 1
    }

    /// Whether that is news. Ends then at [`Suspicion::end`].
    pub(super) fn confirm(&mut self, from: &NodeName) -> bool {
        let news = self.confirmations() < self.needed && !self.accusers.contains(from);
        if news {
            self.accusers.push(from.clone());
        }
        news
    }

    /// When it ends, may have passed.
    pub(super) fn end(&self) -> Instant {
        self.since + suspicion_total(self.confirmations(), self.needed, self.min, self.max)
    }
}
