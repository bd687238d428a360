//! When tombstones are old enough to go (spec cluster 6.10). The leader's, by its clock.
//!
//! ```text
//!   index of a removal ──► bucket of 30 s, 15 min later ──► the highest index of a bucket: reap up to it
//! ```
//!
//! A leader that takes over counts the age of all there is from then on: a tombstone lives for 15 min at
//! least. Buckets keep the number of entries in the log down, and the memory: there are 31 at most.

use std::collections::BTreeMap;

use crate::base::{Duration, Instant};

/// How long a tombstone lives at least.
const TTL: Duration = Duration::from_secs(15 * 60);
/// The length of a bucket.
const GRANULARITY: Duration = Duration::from_secs(30);

/// The highest index of each bucket, by the time when it is due.
#[derive(Debug, Default)]
pub(super) struct TombstoneTimers(BTreeMap<Instant, u64>);

impl TombstoneTimers {
    /// There are tombstones of up to this index.
    pub fn hint(&mut self, now: Instant, index: u64) {
        let age = (now + TTL).since(Instant::ZERO);
        let buckets = age.as_nanos().div_ceil(GRANULARITY.as_nanos());
        let buckets = u32::try_from(buckets).unwrap_or(u32::MAX);
        let at = Instant::ZERO + GRANULARITY.saturating_mul(buckets);
        let highest = self.0.entry(at).or_default();
        *highest = index.max(*highest);
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.0.first_key_value().map(|(at, _)| *at)
    }

    /// Up to which index tombstones are old enough now.
    pub fn take_due(&mut self, now: Instant) -> Option<u64> {
        let mut up_to = None;
        while let Some(bucket) = self.0.first_entry().filter(|bucket| *bucket.key() <= now) {
            up_to = up_to.max(Some(bucket.remove()));
        }
        up_to
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_bucket_is_due_when_all_in_it_are_old_enough() {
        let mut timers = TombstoneTimers::default();
        for (second, index) in [(1, 7), (29, 9), (30, 11), (31, 12)] {
            timers.hint(at(second), index);
        }
        assert_eq!((timers.deadline(), timers.take_due(at(929))), (Some(at(930)), None));
        assert_eq!(timers.take_due(at(930)), Some(11));
        assert_eq!((timers.deadline(), timers.take_due(at(2000))), (Some(at(960)), Some(12)));
        assert_eq!((timers.deadline(), timers.take_due(at(3000))), (None, None));
    }

    #[test]
    fn there_are_few_buckets() {
        let mut timers = TombstoneTimers::default();
        for second in 0..3600 {
            timers.hint(at(second), second);
            timers.take_due(at(second));
            assert!(timers.0.len() <= 31);
        }
    }
}
