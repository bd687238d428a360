//! Figures of a process over time, kept in memory as go-metrics keeps them: in intervals of ten seconds, of
//! which the last finished one is shown.
//!
//! ```text
//!   count, sample ─► this interval ─[ 10 s of the wall clock ]─► the finished one ─► Summary
//! ```
//!
//! Names are Consul's without `consul.`, which the summary adds. Memory is bounded by the names that the
//! code has: callers never make names or labels of what users send.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::time::{Duration, WallTime};

/// Seconds in an interval.
const INTERVAL_S: i64 = 10;

/// What a figure is about, beside its name.
pub type Labels = BTreeMap<&'static str, String>;

type Key = (String, Labels);

/// Many values as one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Aggregate {
    /// How many.
    pub count: u64,
    /// Of all.
    pub sum: f64,
    /// Of their squares.
    sum_of_squares: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Aggregate {
    fn add(&mut self, value: f64) {
        if self.count == 0 {
            (self.min, self.max) = (value, value);
        }
        self.count += 1;
        self.sum += value;
        self.sum_of_squares += value * value;
        self.min = if value < self.min { value } else { self.min };
        self.max = if value > self.max { value } else { self.max };
    }

    /// A second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.sum / INTERVAL_S as f64
    }

    /// The mean; 0 of none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// The deviation of the sample; 0 of fewer than two.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        let count = self.count as f64;
        let spread = count * self.sum_of_squares - self.sum * self.sum;
        if self.count < 2 || spread <= 0.0 {
            return 0.0;
        }
        (spread / (count * (count - 1.0))).sqrt()
    }
}

#[derive(Debug, Default)]
struct Interval {
    /// Since the Unix epoch, in intervals.
    number: i64,
    counters: BTreeMap<Key, Aggregate>,
    samples: BTreeMap<Key, Aggregate>,
}

/// The last finished interval; the current one while there is no other.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// When it began.
    pub at: WallTime,
    /// What was counted.
    pub counters: Vec<(String, Labels, Aggregate)>,
    /// What was measured, times in milliseconds.
    pub samples: Vec<(String, Labels, Aggregate)>,
}

/// All figures of a process. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    current: Option<Interval>,
    finished: Option<Interval>,
}

impl Kept {
    fn at(&mut self, at: WallTime) -> &mut Interval {
        let number = at.0.div_euclid(INTERVAL_S * 1_000_000_000);
        if self.current.as_ref().is_some_and(|current| current.number != number) {
            self.finished = self.current.take();
        }
        self.current.get_or_insert_with(|| Interval { number, ..Interval::default() })
    }
}

impl Metrics {
    /// It happened so often.
    pub fn count(&self, at: WallTime, name: &str, by: u64) {
        let key = (name.to_owned(), Labels::new());
        self.with(|kept| kept.at(at).counters.entry(key).or_default().add(by as f64));
    }

    /// It took so long.
    pub fn time(&self, at: WallTime, name: &str, labels: Labels, span: Duration) {
        let millis = span.as_nanos() as f64 / 1e6;
        let key = (name.to_owned(), labels);
        self.with(|kept| kept.at(at).samples.entry(key).or_default().add(millis));
    }

    /// What is to be shown now.
    #[must_use]
    pub fn summary(&self, at: WallTime) -> Summary {
        self.with(|kept| {
            kept.at(at);
            let shown = kept.finished.as_ref().or(kept.current.as_ref());
            let rows = |from: fn(&Interval) -> &BTreeMap<Key, Aggregate>| {
                let rows = shown.into_iter().flat_map(from);
                rows.map(|((name, labels), it)| (format!("consul.{name}"), labels.clone(), *it))
                    .collect()
            };
            let number = shown.map_or(0, |shown| shown.number);
            Summary {
                at: WallTime(number.saturating_mul(INTERVAL_S * 1_000_000_000)),
                counters: rows(|interval| &interval.counters),
                samples: rows(|interval| &interval.samples),
            }
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> WallTime {
        WallTime(seconds * 1_000_000_000)
    }

    #[test]
    fn the_last_finished_interval_is_shown() {
        let metrics = Metrics::default();
        for (second, by) in [(11, 1), (12, 3)] {
            metrics.count(at(second), "raft.apply", by);
        }
        let shown = metrics.summary(at(19));
        let [(name, _, it)] = shown.counters.as_slice() else { panic!("{shown:?}") };
        assert_eq!(
            (shown.at, name.as_str(), it.count, it.sum),
            (at(10), "consul.raft.apply", 2, 4.0)
        );
        assert_eq!((it.min, it.max, it.mean(), it.rate()), (1.0, 3.0, 2.0, 0.4));
        assert_eq!(it.deviation(), 2.0_f64.sqrt());
        metrics.count(at(20), "raft.apply", 9);
        assert_eq!(metrics.summary(at(29)), shown);
        assert_eq!(metrics.summary(at(31)).counters[0].2.sum, 9.0);
    }

    #[test]
    fn times_are_in_milliseconds() {
        let metrics = Metrics::default();
        metrics.time(at(1), "kvs.apply", Labels::new(), Duration::from_micros(1500));
        assert_eq!(metrics.summary(at(1)).samples[0].2.sum, 1.5);
    }
}
