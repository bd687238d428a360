//! Which keys are closed to locks since their holder ended, by this server's own clock (spec cluster 6.8).
//!
//! A session that ends may not know of it yet and go on as if it held its keys; so nobody else is to have
//! them for a while. Every server notes the times when it applies the entry that ended the session, and
//! the one that leads refuses locks of closed keys before the log. Nothing of this is kept over a restart,
//! nor over a snapshot that takes the place of the state.
//!
//! Invariant: both views agree. Bounded: a time that is over goes with the next one that is noted or asked
//! for, and none is longer than a minute; so there are at most as many as locks ended in a minute.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Duration, Instant};

/// The closed keys.
#[derive(Debug, Default)]
pub(super) struct LockDelays {
    until: BTreeMap<String, Instant>,
    due: BTreeSet<(Instant, String)>,
}

impl LockDelays {
    /// A key's holder has ended.
    pub fn close(&mut self, now: Instant, key: &str, delay: Duration) {
        self.open(now);
        let until = now + delay;
        if let Some(old) = self.until.insert(key.to_owned(), until) {
            self.due.remove(&(old, key.to_owned()));
        }
        self.due.insert((until, key.to_owned()));
    }

    /// Whether a key may not be locked now.
    pub fn is_closed(&mut self, now: Instant, key: &str) -> bool {
        self.open(now);
        self.until.contains_key(key)
    }

    /// Forgets the times that are over.
    fn open(&mut self, now: Instant) {
        while let Some((until, key)) = self.due.first().cloned()
            && until <= now
        {
            self.until.remove(&key);
            self.due.remove(&(until, key));
        }
    }

    pub fn check(&self) {
        let due: BTreeSet<(Instant, String)> =
            self.until.iter().map(|(key, until)| (*until, key.clone())).collect();
        crate::invariant!(due == self.due, "closed are {due:?}, noted are {:?}", self.due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_key_opens_when_its_last_delay_is_over() {
        let mut delays = LockDelays::default();
        delays.close(at(0), "a", Duration::from_secs(15));
        delays.close(at(5), "a", Duration::from_secs(15));
        delays.check();
        assert!(delays.is_closed(at(19), "a") && !delays.is_closed(at(19), "b"));
        assert!(!delays.is_closed(at(20), "a"));
        delays.check();
    }

    #[test]
    fn what_is_over_takes_no_room() {
        let mut delays = LockDelays::default();
        for second in 0..1000 {
            delays.close(at(second), &format!("key{second}"), Duration::from_secs(60));
            delays.check();
            assert!(delays.until.len() <= 60);
        }
    }
}
