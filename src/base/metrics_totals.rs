//! Figures since the process began, and the text in which Prometheus is told them (its exposition format
//! 0.0.4).
//!
//! ```text
//!   count, sample ─► totals ─[ not heard of for the retention time ]─► forgotten
//!                      └──► # HELP, # TYPE, one line a value
//! ```
//!
//! Names are Consul's with `_` for what Prometheus does not allow. Those that Consul declares are there from the
//! beginning, with its words about them, and are never forgotten. Quantiles are of the last
//! [`RECENT_MAX`] values within the retention time, which bounds the memory; sum and count are of all.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use super::metrics::{Key, Labels};
use super::time::{Duration, WallTime};

/// Values of one name that quantiles are made of.
pub const RECENT_MAX: usize = 512;
const QUANTILES: [(&str, f64); 3] = [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99)];

/// What Consul declares: name, whether it counts (else it measures), and its words.
const DECLARED: &[(&str, bool, &str)] = &[
    (
        "catalog.deregister",
        false,
        "Measures the time it takes to complete a catalog deregister operation.",
    ),
    (
        "catalog.register",
        false,
        "Measures the time it takes to complete a catalog register operation.",
    ),
    (
        "client.rpc",
        true,
        "Increments whenever a Consul agent in client mode makes an RPC request to a Consul server.",
    ),
    ("kvs.apply", false, "Measures the time it takes to complete an update to the KV store."),
    (
        "raft.apply",
        true,
        "This counts the number of Raft transactions occurring over the interval.",
    ),
    (
        "raft.commitTime",
        false,
        "This measures the time it takes to commit a new entry to the Raft log on the leader.",
    ),
    (
        "raft.leader.lastContact",
        false,
        "Measures the time since the leader was last able to contact the follower nodes when checking its \
         leader lease.",
    ),
    ("raft.state.candidate", true, "This increments whenever a Consul server starts an election."),
    ("raft.state.leader", true, "This increments whenever a Consul server becomes a leader."),
    (
        "rpc.query",
        true,
        "Increments when a server sends a read RPC request, indicating the rate of new read queries.",
    ),
    ("rpc.request", true, "Increments when a server receives a Consul-related RPC request."),
];

#[derive(Debug)]
struct Measured {
    count: u64,
    sum: f64,
    recent: VecDeque<(WallTime, f64)>,
    updated: WallTime,
}

impl Measured {
    fn new(at: WallTime) -> Self {
        Self { count: 0, sum: 0.0, recent: VecDeque::new(), updated: at }
    }
}

/// All of them. Names are without the prefix.
#[derive(Debug, Default)]
pub(super) struct Totals {
    counters: BTreeMap<Key, (f64, WallTime)>,
    samples: BTreeMap<Key, Measured>,
}

/// One name as Prometheus sees it.
struct Family {
    kind: &'static str,
    help: String,
    lines: String,
}

impl Totals {
    pub fn count(&mut self, at: WallTime, key: &Key, by: f64) {
        let (total, updated) = self.counters.entry(key.clone()).or_insert((0.0, at));
        (*total, *updated) = (*total + by, at);
    }

    pub fn sample(&mut self, at: WallTime, key: &Key, value: f64) {
        let it = self.samples.entry(key.clone()).or_insert_with(|| Measured::new(at));
        (it.count, it.sum, it.updated) = (it.count + 1, it.sum + value, at);
        if it.recent.len() == RECENT_MAX {
            it.recent.pop_front();
        }
        it.recent.push_back((at, value));
    }

    /// Forgets what has not been heard of for so long.
    fn expire(&mut self, now: WallTime, retention: Duration) {
        let is_there = |updated: WallTime| {
            let age = u128::try_from(now.0.saturating_sub(updated.0)).unwrap_or(0);
            age <= retention.as_nanos()
        };
        let is_declared = |key: &Key| DECLARED.iter().any(|it| it.0 == key.0);
        self.counters.retain(|key, (_, updated)| is_there(*updated) || is_declared(key));
        self.samples.retain(|key, it| is_there(it.updated) || is_declared(key));
        for it in self.samples.values_mut() {
            it.recent.retain(|(at, _)| is_there(*at));
        }
    }

    /// All that is known, for Prometheus; gauges have their whole names already, all others get this
    /// prefix.
    pub fn text(
        &mut self,
        (now, retention): (WallTime, Duration),
        prefix: &str,
        gauges: &[(String, f64)],
        allows: impl Fn(&str) -> bool,
    ) -> String {
        self.expire(now, retention);
        let mut families: BTreeMap<String, Family> = BTreeMap::new();
        let named = |name: &str| match prefix {
            "" => name.to_owned(),
            _ => format!("{prefix}.{name}"),
        };
        for (name, value) in gauges {
            let family = family(&mut families, name, "gauge", None);
            let _ = writeln!(family.1.lines, "{} {}", family.0, number(*value));
        }
        let none = Labels::new();
        for (name, _, help) in DECLARED.iter().filter(|it| it.1 && allows(it.0)) {
            let family = family(&mut families, &named(name), "counter", Some(help));
            if !self.counters.contains_key(&((*name).to_owned(), none.clone())) {
                let _ = writeln!(family.1.lines, "{} 0", family.0);
            }
        }
        for ((name, labels), (total, _)) in &self.counters {
            let family = family(&mut families, &named(name), "counter", None);
            let _ =
                writeln!(family.1.lines, "{}{} {}", family.0, braces(labels, None), number(*total));
        }
        for (name, _, help) in DECLARED.iter().filter(|it| !it.1 && allows(it.0)) {
            let family = family(&mut families, &named(name), "summary", Some(help));
            if !self.samples.keys().any(|key| key.0 == **name) {
                summary(family, &none, &Measured::new(now));
            }
        }
        for ((name, labels), it) in &self.samples {
            summary(family(&mut families, &named(name), "summary", None), labels, it);
        }
        let mut text = String::new();
        for (name, Family { kind, help, lines }) in families {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}");
        }
        text
    }
}

/// The family of a name, begun if need be. A name that is of another kind already keeps that kind's lines
/// apart from these.
fn family<'a>(
    families: &'a mut BTreeMap<String, Family>,
    name: &str,
    kind: &'static str,
    help: Option<&str>,
) -> (String, &'a mut Family) {
    let mut name = allowed(name);
    if families.get(&name).is_some_and(|it| it.kind != kind) {
        name = format!("{name}_{kind}");
    }
    let help = help.map_or_else(|| name.clone(), str::to_owned);
    let begun = || Family { kind, help, lines: String::new() };
    let family = families.entry(name.clone()).or_insert_with(begun);
    (name, family)
}

fn summary((name, family): (String, &mut Family), labels: &Labels, it: &Measured) {
    let mut recent: Vec<f64> = it.recent.iter().map(|(_, value)| *value).collect();
    recent.sort_by(f64::total_cmp);
    for (word, quantile) in QUANTILES {
        let rank = (quantile * recent.len() as f64) as usize;
        let value = recent.get(rank.min(recent.len().saturating_sub(1)));
        let value = value.copied().unwrap_or(f64::NAN);
        let at = braces(labels, Some(word));
        let _ = writeln!(family.lines, "{name}{at} {}", number(value));
    }
    let at = braces(labels, None);
    let _ = writeln!(family.lines, "{name}_sum{at} {}", number(it.sum));
    let _ = writeln!(family.lines, "{name}_count{at} {}", it.count);
}

/// A name with what Prometheus allows.
fn allowed(name: &str) -> String {
    let is_allowed = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == ':';
    let mut text: String = name.chars().map(|it| if is_allowed(it) { it } else { '_' }).collect();
    if text.starts_with(|it: char| it.is_ascii_digit()) {
        text.insert(0, '_');
    }
    text
}

fn braces(labels: &Labels, quantile: Option<&str>) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let own = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value)));
    let all: Vec<String> = own.chain(quantile.map(|it| format!("quantile=\"{it}\""))).collect();
    if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
}

fn number(value: f64) -> String {
    if value.is_nan() { "NaN".to_owned() } else { value.to_string() }
}
