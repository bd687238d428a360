//! A machine's clocks: a monotonic one that may run fast or slow, and a wall clock that may be wrong.
//!
//! ```text
//!   local ▲            ╱ +drift      local(t) = base_local + (t - base_true) · rate
//!         │        ___╱                rate = (10⁶ + drift ppm) / 10⁶, integers, rounded down
//!         │    ___╱  slow            a change of drift starts a new piece where the old one ends
//!         └───────────────► true
//! ```
//!
//! Invariants: the monotonic clock never goes back and has no gaps beyond a nanosecond of rounding;
//! [`NodeClock::true_ns`] gives the *first* true instant at which the clock shows a time, so a timer
//! neither fires early by its own clock nor late. Timers and both clocks of a process follow it.
//!
//! What does not: latencies of links and disks, and the timers of TCP, which are the fabric's own.
//! They are physics, or a kernel's business that nothing here is about.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::world::locked;

/// Parts in a million parts.
const MILLION: i128 = 1_000_000;

/// One machine's clocks. Its processes come and go; the clocks run on.
#[derive(Debug, Default)]
pub(super) struct NodeClock {
    /// Whether its rate was ever changed. Nearly all clocks are right all the time, and every process
    /// asks them all the time.
    drifted: AtomicBool,
    piece: Mutex<Piece>,
}

/// A stretch of true time with one rate.
#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    base_true_ns: u64,
    base_local_ns: u64,
    drift_ppm: i64,
    wall_offset_ns: i64,
}

impl Piece {
    fn rate(self) -> i128 {
        MILLION + i128::from(self.drift_ppm)
    }

    fn local_ns(self, true_ns: u64) -> u64 {
        if self.drift_ppm == 0 {
            return self.base_local_ns + (true_ns - self.base_true_ns);
        }
        let passed = i128::from(true_ns - self.base_true_ns);
        self.base_local_ns + (passed * self.rate() / MILLION) as u64
    }

    fn true_ns(self, local_ns: u64) -> u64 {
        let ahead = local_ns.saturating_sub(self.base_local_ns);
        if self.drift_ppm == 0 {
            return self.base_true_ns.saturating_add(ahead);
        }
        let scaled = i128::from(ahead) * MILLION;
        let rate = self.rate();
        let takes = (scaled + rate - 1) / rate;
        self.base_true_ns.saturating_add(u64::try_from(takes).unwrap_or(u64::MAX))
    }
}

impl NodeClock {
    /// What the monotonic clock shows at this true time.
    pub fn local_ns(&self, true_ns: u64) -> u64 {
        if !self.drifted.load(Ordering::Relaxed) {
            return true_ns;
        }
        locked(&self.piece).local_ns(true_ns)
    }

    /// The first true time at which it shows at least this, as long as nobody changes its rate.
    pub fn true_ns(&self, local_ns: u64) -> u64 {
        if !self.drifted.load(Ordering::Relaxed) {
            return local_ns;
        }
        locked(&self.piece).true_ns(local_ns)
    }

    /// What the wall clock is ahead of the start of the simulation: it drifts with the monotonic one,
    /// and is wrong by the offset.
    pub fn wall_ns(&self, true_ns: u64) -> i64 {
        let piece = *locked(&self.piece);
        let passed = i64::try_from(piece.local_ns(true_ns)).unwrap_or(i64::MAX);
        passed.saturating_add(piece.wall_offset_ns)
    }

    /// From now on the clock runs at (10⁶ + `drift_ppm`) / 10⁶ of the true rate.
    ///
    /// # Panics
    /// When the clock would stand still or run backwards: the testbed's own mistake.
    pub fn set_drift(&self, now_ns: u64, drift_ppm: i64) {
        assert!(drift_ppm > -1_000_000, "a clock with a drift of {drift_ppm} ppm does not run");
        if drift_ppm != 0 {
            self.drifted.store(true, Ordering::Relaxed);
        }
        let mut piece = locked(&self.piece);
        let base_local_ns = piece.local_ns(now_ns);
        *piece = Piece { base_true_ns: now_ns, base_local_ns, drift_ppm, ..*piece };
    }

    /// Moves the wall clock this far from where it would be; the monotonic one does not notice.
    pub fn set_wall_offset(&self, offset_ns: i64) {
        locked(&self.piece).wall_offset_ns = offset_ns;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn half_speed_and_back() {
        let clock = NodeClock::default();
        assert_eq!(clock.local_ns(100), 100);
        clock.set_drift(100, -500_000);
        assert_eq!((clock.local_ns(100), clock.local_ns(300)), (100, 200));
        assert_eq!(clock.true_ns(200), 300);
        clock.set_drift(300, 0);
        assert_eq!((clock.local_ns(300), clock.local_ns(400)), (200, 300));
        clock.set_wall_offset(-1_000);
        assert_eq!((clock.wall_ns(400), clock.local_ns(400)), (-700, 300));
    }

    proptest! {
        /// Whatever the rates: continuous, never backwards, and the inverse is exact.
        #[test]
        fn a_clock_is_monotonic_and_its_inverse_is_the_first_such_instant(
            changes in prop::collection::vec((1u64..10_000_000_000, -999_000i64..9_000_000), 1..8),
            ahead in 0u64..100_000_000_000,
        ) {
            let clock = NodeClock::default();
            let (mut now, mut shown) = (0, 0);
            for (span, drift) in changes {
                now += span;
                let before = clock.local_ns(now);
                prop_assert!(before >= shown);
                clock.set_drift(now, drift);
                shown = clock.local_ns(now);
                prop_assert_eq!(shown, before);
            }
            let at = clock.true_ns(shown + ahead);
            prop_assert!(clock.local_ns(at) >= shown + ahead);
            prop_assert!(at == now || clock.local_ns(at - 1) < shown + ahead);
        }
    }
}
