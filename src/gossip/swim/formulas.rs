//! The numbers of memberlist that grow with the pool (spec cluster 1.9, 1.14).
//!
//! Logarithms are computed as Go computes them (a base-2 logarithm from the binary exponent, times a
//! constant), on crate `libm`: the same bits on every machine, and the same limits as a real agent at
//! the edges. Pure functions; no state.

use crate::base::Duration;

/// From this many members on, exchanges of whole states become rarer.
const PUSH_PULL_SCALE_THRESHOLD: usize = 32;

/// Go's `math.Log2`.
fn log2(x: f64) -> f64 {
    let (fraction, exponent) = libm::frexp(x);
    if fraction == 0.5 {
        return f64::from(exponent - 1);
    }
    libm::log(fraction) * std::f64::consts::LOG2_E + f64::from(exponent)
}

/// Go's `math.Log10`.
fn log10(x: f64) -> f64 {
    // Go divides its constants exactly; a division of floats makes 1.9999999999999998 of log10(100).
    log2(x) * std::f64::consts::LOG10_2
}

/// How long a suspicion lasts at least: `mult × max(1, log10(n)) × interval`, the factor cut after
/// three decimals. `n` counts dead members that are still known.
#[must_use]
pub fn suspicion_min(mult: u32, n: usize, interval: Duration) -> Duration {
    let scale = f64::max(1.0, log10(f64::max(1.0, n as f64)));
    let thousandths = (scale * 1000.0) as u64;
    let nanos = u128::from(mult) * u128::from(thousandths) * interval.as_nanos() / 1000;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// How long a suspicion with `count` of `needed` confirmations lasts from its beginning on.
#[must_use]
pub fn suspicion_total(count: u32, needed: u32, min: Duration, max: Duration) -> Duration {
    if needed == 0 {
        return min;
    }
    let share = libm::log(f64::from(count) + 1.0) / libm::log(f64::from(needed) + 1.0);
    let seconds = max.as_secs_f64() - share * (max.as_secs_f64() - min.as_secs_f64());
    let millis = libm::floor(1000.0 * seconds);
    // A float that is negative or not a number becomes 0 here, which the minimum then replaces.
    Duration::from_millis(millis as u64).max(min)
}

/// How often a broadcast is sent.
#[must_use]
pub fn retransmit_limit(mult: u32, n: usize) -> u32 {
    mult.saturating_mul(libm::ceil(log10((n + 1) as f64)) as u32)
}

/// How often whole states are exchanged.
#[must_use]
pub fn push_pull_interval(base: Duration, n: usize) -> Duration {
    if n <= PUSH_PULL_SCALE_THRESHOLD {
        return base;
    }
    let steps = libm::ceil(log2(n as f64) - log2(PUSH_PULL_SCALE_THRESHOLD as f64)) as u32;
    base.saturating_mul(steps + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_suspicion_lasts_longer_in_a_larger_pool() {
        assert_eq!(suspicion_min(4, 0, SECOND), 4 * SECOND);
        assert_eq!(suspicion_min(4, 10, SECOND), 4 * SECOND);
        assert_eq!(suspicion_min(4, 100, SECOND), 8 * SECOND);
        assert_eq!(suspicion_min(4, 50, SECOND), Duration::from_millis(6792));
        assert_eq!(suspicion_min(4, 1000, SECOND), 12 * SECOND);
    }

    #[test]
    fn confirmations_shorten_a_suspicion_down_to_its_minimum() {
        let (min, max) = (4 * SECOND, 24 * SECOND);
        assert_eq!(suspicion_total(0, 2, min, max), max);
        assert_eq!(suspicion_total(1, 2, min, max), Duration::from_millis(11_381));
        assert_eq!(suspicion_total(2, 2, min, max), min);
        assert_eq!(suspicion_total(0, 0, min, max), min);
    }

    #[test]
    fn a_broadcast_is_sent_more_often_in_a_larger_pool() {
        let limits = [1, 9, 10, 99, 100, 999].map(|n| retransmit_limit(4, n));
        assert_eq!(limits, [4, 4, 8, 8, 12, 12]);
        assert_eq!(retransmit_limit(4, 0), 0);
    }

    #[test]
    fn states_are_exchanged_less_often_in_a_larger_pool() {
        let times = [1, 32, 33, 64, 65, 128, 129].map(|n| push_pull_interval(SECOND, n).as_secs());
        assert_eq!(times, [1, 1, 2, 2, 3, 3, 4]);
    }
}
