//! How long a request may wait for a leader, and when it is tried again (spec cluster 9.2).
//!
//! The n-th pause is drawn between the one before and `rpc_hold_timeout / 16 × 2^(n-1)`. Unlike Consul
//! we also try as soon as a leader is known; the pause is then only the fallback.

use crate::base::{Duration, Instant, Prng};

/// The retry state of one request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hold {
    tries: u32,
    last_pause: Duration,
}

impl Hold {
    /// When to try again, or none when the request has waited long enough. `limit` is the
    /// `rpc_hold_timeout`.
    pub fn next_try(
        &mut self,
        now: Instant,
        deadline: Instant,
        limit: Duration,
        prng: &mut Prng,
    ) -> Option<Instant> {
        if now >= deadline {
            return None;
        }
        let ceiling = limit / 16 * 2u32.saturating_pow(self.tries.min(16));
        self.tries += 1;
        self.last_pause = prng.duration(self.last_pause, ceiling).max(Duration::from_millis(1));
        Some((now + self.last_pause).min(deadline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_at_the_limit() {
        let mut hold = Hold::default();
        let mut prng = Prng::new(1);
        let limit = Duration::from_secs(7);
        let mut now = Instant::ZERO;
        let mut tries = 0;
        let deadline = Instant::ZERO + limit;
        while let Some(next) = hold.next_try(now, deadline, limit, &mut prng) {
            assert!(next > now && next <= deadline);
            now = next;
            tries += 1;
        }
        assert_eq!(now, deadline);
        assert!((3..40).contains(&tries), "{tries} tries");
    }
}
