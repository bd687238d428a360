//! How healthy we are ourselves (Lifeguard 4.1; spec cluster 1.12): who misses answers may be the one
//! that is slow, and then probes more patiently.

use crate::base::Duration;

/// The health score: 0 is healthy.
#[derive(Debug)]
pub(super) struct Awareness {
    score: u32,
    max: u32,
}

impl Awareness {
    /// The score stays below `max_multiplier`.
    pub(super) fn new(max_multiplier: u32) -> Self {
        Self { score: 0, max: max_multiplier.saturating_sub(1) }
    }

    pub(super) fn score(&self) -> u32 {
        self.score
    }

    pub(super) fn better(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    pub(super) fn worse(&mut self, by: u32) {
        self.score = self.score.saturating_add(by).min(self.max);
    }

    /// An interval, made longer by the score.
    pub(super) fn scale(&self, interval: Duration) -> Duration {
        interval.saturating_mul(self.score + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_stays_in_its_bounds() {
        let mut awareness = Awareness::new(8);
        awareness.better();
        assert_eq!(awareness.score(), 0);
        awareness.worse(3);
        assert_eq!(awareness.scale(Duration::from_secs(1)), Duration::from_secs(4));
        awareness.worse(100);
        assert_eq!(awareness.score(), 7);
        awareness.better();
        assert_eq!(awareness.score(), 6);
    }
}
