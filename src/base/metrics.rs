//! Figures of a process over time, kept in memory as go-metrics keeps them: in intervals of ten seconds, of
//! which the last finished one is shown.
//!
//! ```text
//!   count, sample ─► this interval ─[ 10 s of the wall clock ]─► the finished one ─► Summary
//! ```
//!
//! Names are Consul's without `consul.`, which the summary adds. Memory is bounded by the names that the
//! code has: callers never make names or labels of what users send. What the filter does not let pass is
//! not kept anywhere. With a retention time, Prometheus is told all of it since the process began; with
//! statsd, lines wait to be sent, [`LINES_MAX`] at most.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::metrics_totals::Totals;
use super::time::{Duration, WallTime};

/// Seconds in an interval.
const INTERVAL_S: i64 = 10;

/// What a figure is about, beside its name.
pub type Labels = BTreeMap<&'static str, String>;

pub(super) type Key = (String, Labels);

/// Lines for statsd that wait to be sent; further ones are lost.
pub const LINES_MAX: usize = 4096;

/// Which figures are kept, by what their names begin with: the longest rule that fits counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixFilter {
    default: bool,
    rules: BTreeMap<String, bool>,
}

impl PrefixFilter {
    /// Without rules: all, or none.
    #[must_use]
    pub fn new(default: bool) -> Self {
        Self { default, rules: BTreeMap::new() }
    }

    /// One more rule. What is refused by one of two rules for the same prefix stays refused.
    pub fn add(&mut self, prefix: &str, allowed: bool) {
        let rule = self.rules.entry(prefix.to_owned()).or_insert(allowed);
        *rule = *rule && allowed;
    }

    /// Whether figures of this name are kept.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        let fitting = self.rules.iter().filter(|(prefix, _)| name.starts_with(prefix.as_str()));
        fitting.max_by_key(|(prefix, _)| prefix.len()).map_or(self.default, |(_, rule)| *rule)
    }

    /// Whether there is anything to look at.
    fn is_trivial(&self) -> bool {
        self.default && self.rules.is_empty()
    }
}

/// What a process's figures are called, and who gets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Before each name.
    pub prefix: String,
    /// Behind it in the names of gauges; empty: nothing.
    pub host_name: String,
    /// Which are kept.
    pub filter: PrefixFilter,
    /// Prometheus is told what was heard of for so long; zero: nothing is kept for it.
    pub retention: Duration,
    /// Lines for statsd are made.
    pub statsd: bool,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            prefix: "consul".to_owned(),
            host_name: String::new(),
            filter: PrefixFilter::new(true),
            retention: Duration::ZERO,
            statsd: false,
        }
    }
}

impl MetricsSettings {
    fn full_name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    fn allows(&self, name: &str) -> bool {
        self.filter.is_trivial() || self.filter.allows(&self.full_name(name))
    }
}

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
    settings: MetricsSettings,
    current: Option<Interval>,
    finished: Option<Interval>,
    totals: Totals,
    lines: VecDeque<String>,
}

impl Kept {
    fn count(&mut self, at: WallTime, key: Key, by: f64) {
        if !self.settings.allows(&key.0) {
            return;
        }
        if !self.settings.retention.is_zero() {
            self.totals.count(at, &key, by);
        }
        self.line(&key, by, "c");
        self.at(at).counters.entry(key).or_default().add(by);
    }

    fn sample(&mut self, at: WallTime, key: Key, value: f64) {
        if !self.settings.allows(&key.0) {
            return;
        }
        if !self.settings.retention.is_zero() {
            self.totals.sample(at, &key, value);
        }
        self.line(&key, value, "ms");
        self.at(at).samples.entry(key).or_default().add(value);
    }

    /// A line for statsd.
    fn line(&mut self, (name, labels): &Key, value: f64, kind: &str) {
        if self.settings.statsd && self.lines.len() < LINES_MAX {
            let name = self.settings.full_name(name);
            let name = labels.values().fold(name, |name, label| format!("{name}.{label}"));
            self.lines.push_back(statsd_line(&name, value, kind));
        }
    }

    fn at(&mut self, at: WallTime) -> &mut Interval {
        let number = at.0.div_euclid(INTERVAL_S * 1_000_000_000);
        if self.current.as_ref().is_some_and(|current| current.number != number) {
            self.finished = self.current.take();
        }
        self.current.get_or_insert_with(|| Interval { number, ..Interval::default() })
    }
}

impl Metrics {
    /// With these names, for these.
    #[must_use]
    pub fn new(settings: MetricsSettings) -> Self {
        Self(Arc::new(Mutex::new(Kept { settings, ..Kept::default() })))
    }

    /// From now on others are kept; what is kept already stays.
    pub fn set_filter(&self, filter: PrefixFilter) {
        self.with(|kept| kept.settings.filter = filter);
    }

    /// It happened so often.
    pub fn count(&self, at: WallTime, name: &str, by: u64) {
        let key = (name.to_owned(), Labels::new());
        self.with(|kept| kept.count(at, key, by as f64));
    }

    /// It was so much when somebody looked.
    pub fn sample(&self, at: WallTime, name: &str, value: f64) {
        let key = (name.to_owned(), Labels::new());
        self.with(|kept| kept.sample(at, key, value));
    }

    /// It took so long.
    pub fn time(&self, at: WallTime, name: &str, labels: Labels, span: Duration) {
        let millis = span.as_nanos() as f64 / 1e6;
        let key = (name.to_owned(), labels);
        self.with(|kept| kept.sample(at, key, millis));
    }

    /// These gauges under their whole names, as far as they are to be told.
    #[must_use]
    pub fn gauges(&self, gauges: &[(&str, f64)]) -> Vec<(String, f64)> {
        self.with(|kept| {
            let host = &kept.settings.host_name;
            let named = |name: &str| match host.as_str() {
                "" => name.to_owned(),
                host => format!("{host}.{name}"),
            };
            let shown = gauges.iter().map(|(name, value)| (named(name), *value));
            let shown = shown.filter(|(name, _)| kept.settings.allows(name));
            shown.map(|(name, value)| (kept.settings.full_name(&name), value)).collect()
        })
    }

    /// What Prometheus is told, with these gauges beside it; none: it is told nothing.
    #[must_use]
    pub fn prometheus(&self, at: WallTime, gauges: &[(&str, f64)]) -> Option<String> {
        let gauges = self.gauges(gauges);
        self.with(|kept| {
            let Kept { settings, totals, .. } = kept;
            let when = (at, settings.retention);
            let allows = |name: &str| settings.allows(name);
            (!settings.retention.is_zero())
                .then(|| totals.text(when, &settings.prefix, &gauges, allows))
        })
    }

    /// Lines for statsd that have come since they were taken last, with these gauges.
    #[must_use]
    pub fn take_statsd_lines(&self, gauges: &[(&str, f64)]) -> Vec<String> {
        let gauges = self.gauges(gauges);
        let gauges = gauges.iter().map(|(name, value)| statsd_line(name, *value, "g"));
        self.with(|kept| std::mem::take(&mut kept.lines)).into_iter().chain(gauges).collect()
    }

    /// What is to be shown now.
    #[must_use]
    pub fn summary(&self, at: WallTime) -> Summary {
        self.with(|kept| {
            kept.at(at);
            let kept = &*kept;
            let shown = kept.finished.as_ref().or(kept.current.as_ref());
            let rows = |from: fn(&Interval) -> &BTreeMap<Key, Aggregate>| {
                let rows = shown.into_iter().flat_map(from);
                let full_name = |name: &str| kept.settings.full_name(name);
                rows.map(|((name, labels), it)| (full_name(name), labels.clone(), *it)).collect()
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

/// As statsd reads it: what would end a name is replaced.
fn statsd_line(name: &str, value: f64, kind: &str) -> String {
    let name = name.replace([':', ' ', '|', '\n'], "_");
    format!("{name}:{value:.6}|{kind}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_rule_counts() {
        let mut filter = PrefixFilter::new(true);
        filter.add("consul.raft", false);
        filter.add("consul.raft.apply", true);
        filter.add("consul.serf", true);
        filter.add("consul.serf", false);
        let allowed = |name| filter.allows(name);
        assert!(allowed("consul.kvs.apply") && allowed("consul.raft.apply"));
        assert!(!allowed("consul.raft.commitTime") && !allowed("consul.serf.queue.Event"));
        let metrics = Metrics::new(MetricsSettings { filter, ..MetricsSettings::default() });
        metrics.count(at(1), "raft.state.leader", 1);
        metrics.count(at(1), "raft.apply", 1);
        assert_eq!(metrics.summary(at(1)).counters.len(), 1);
    }

    #[test]
    fn prometheus_is_told_everything_since_the_beginning() {
        let settings = MetricsSettings {
            host_name: "m-1".to_owned(),
            retention: Duration::from_secs(60),
            statsd: true,
            ..MetricsSettings::default()
        };
        let metrics = Metrics::new(settings);
        for second in 0..20 {
            metrics.count(at(second), "raft.apply", 2);
            metrics.sample(at(second), "serf.queue.Event", second as f64);
        }
        let labels = Labels::from([("method", "GET \"x\"".to_owned())]);
        metrics.time(at(0), "api.http", labels, Duration::from_millis(5));
        let text = metrics.prometheus(at(30), &[("runtime.sys_bytes", 7.0)]).expect("it is on");
        for line in [
            "# HELP consul_raft_apply This counts the number of Raft transactions occurring over the interval.",
            "# TYPE consul_raft_apply counter",
            "consul_raft_apply 40",
            "consul_raft_state_leader 0",
            "# TYPE consul_m_1_runtime_sys_bytes gauge",
            "consul_m_1_runtime_sys_bytes 7",
            "# TYPE consul_serf_queue_Event summary",
            "consul_serf_queue_Event{quantile=\"0.5\"} 10",
            "consul_serf_queue_Event{quantile=\"0.99\"} 19",
            "consul_serf_queue_Event_sum 190",
            "consul_serf_queue_Event_count 20",
            "consul_raft_commitTime{quantile=\"0.5\"} NaN",
            "consul_api_http_count{method=\"GET \\\"x\\\"\"} 1",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
        // What was not heard of for a minute is forgotten, but for what is declared.
        let text = metrics.prometheus(at(100), &[]).expect("it is on");
        assert!(!text.contains("api_http") && !text.contains("serf_queue"), "{text}");
        assert!(text.contains("consul_raft_apply 40\n"), "{text}");

        let lines = metrics.take_statsd_lines(&[("runtime.sys_bytes", 7.0)]);
        assert_eq!(lines.len(), 42);
        assert_eq!(lines[0], "consul.raft.apply:2.000000|c\n");
        assert_eq!(lines[41], "consul.m-1.runtime.sys_bytes:7.000000|g\n");
        assert!(lines.iter().all(|line| line.matches([':', '|']).count() == 2), "{lines:?}");
        assert_eq!(Metrics::default().prometheus(at(0), &[]), None);
    }

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
