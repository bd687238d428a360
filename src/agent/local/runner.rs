//! What moves a check: probes at intervals, word from outside in time, or another service's checks (spec
//! cluster 8.7). What thresholds make of results.

use crate::base::Duration;
use crate::state::CheckDefinition;

use super::alias::RemoteAlias;
use super::types::{CheckType, Health, Probe, ProbeId};

/// No check runs more often.
pub(super) const INTERVAL_MIN: Duration = Duration::from_secs(1);
/// An alias of a local service looks at least so often.
pub(super) const ALIAS_REFRESH: Duration = Duration::from_secs(60);
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(30);

/// One of them.
#[derive(Debug)]
pub(super) enum Runner {
    /// A probe, and again an interval after it ended.
    Probed { interval: Duration, probe: Box<Probe>, under_way: Option<ProbeId>, counts: Thresholds },
    /// Somebody says how it stands, each time for so long.
    Ttl { ttl: Duration, last_output: String, output_max_size: usize },
    /// As a service of this agent.
    LocalAlias { service: String },
    /// As a node, or a service on one.
    RemoteAlias(RemoteAlias),
}

impl Runner {
    /// What moves a check of this definition; none, when nothing does. `output_max` is the agent's limit,
    /// bytes.
    pub fn of(registered: &CheckType, output_max: u64) -> Option<Self> {
        let definition = &registered.definition;
        let own_max = definition.output_max_size;
        let limit = if own_max > 0 { own_max.min(output_max) } else { output_max };
        Some(match definition.kind() {
            "ttl" => Runner::Ttl {
                ttl: definition.ttl,
                last_output: String::new(),
                output_max_size: usize::try_from(limit).unwrap_or(usize::MAX),
            },
            "alias" if definition.alias_node.is_empty() => {
                Runner::LocalAlias { service: definition.alias_service.clone() }
            }
            "alias" => Runner::RemoteAlias(RemoteAlias::new(definition)),
            kind @ ("http" | "tcp" | "grpc" | "docker" | "script")
                if !definition.interval.is_zero() =>
            {
                let interval = definition.interval.max(INTERVAL_MIN);
                let definition = completed(definition, kind, interval);
                let check_id = registered.check_id.clone();
                let probe = Box::new(Probe { check_id, definition, output_max_size: limit });
                let counts = Thresholds::of(registered);
                Runner::Probed { interval, probe, under_way: None, counts }
            }
            _ => return None,
        })
    }
}

/// With what a probe uses where nothing is said (spec api 3.4).
fn completed(definition: &CheckDefinition, kind: &str, interval: Duration) -> CheckDefinition {
    let mut definition = CheckDefinition { interval, ..definition.clone() };
    if definition.timeout.is_zero() {
        definition.timeout = match kind {
            "script" => SCRIPT_TIMEOUT,
            "docker" => Duration::ZERO,
            _ => PROBE_TIMEOUT,
        };
    }
    if kind == "http" && definition.method.is_empty() {
        "GET".clone_into(&mut definition.method);
    }
    definition
}

/// How many results in a row make a status. Both counters begin full, so that the first result counts
/// whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Thresholds {
    successes: u64,
    failures: u64,
    before_passing: u64,
    before_critical: u64,
}

impl Thresholds {
    fn of(registered: &CheckType) -> Self {
        let (before_passing, before_critical) =
            (registered.success_before_passing, registered.failures_before_critical);
        let (successes, failures) = (before_passing, before_critical);
        Self { successes, failures, before_passing, before_critical }
    }

    /// Whether this result counts.
    pub fn count(&mut self, health: Health) -> bool {
        if health == Health::Critical {
            self.failures = self.failures.saturating_add(1);
            self.successes = 0;
            self.failures >= self.before_critical
        } else {
            self.successes = self.successes.saturating_add(1);
            self.failures = 0;
            self.successes >= self.before_passing
        }
    }
}

/// What a TTL check says once its time is over.
pub(super) fn expired(last_output: &str) -> String {
    match last_output {
        "" => "TTL expired".to_owned(),
        last => format!("TTL expired (last output before timeout follows): {last}"),
    }
}

/// An output of at most so many bytes, and a note when it was longer.
pub(super) fn cut(output: &str, limit: usize) -> String {
    if output.len() <= limit {
        return output.to_owned();
    }
    let end = (0..=limit).rev().find(|at| output.is_char_boundary(*at)).unwrap_or(0);
    format!("{} ... (captured {limit} of {} bytes)", &output[..end], output.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_count_results_in_a_row_and_the_first_always() {
        let mut counts = Thresholds::of(&CheckType {
            success_before_passing: 2,
            failures_before_critical: 3,
            ..CheckType::default()
        });
        let seen: Vec<bool> = "+--+---++"
            .chars()
            .map(|it| counts.count(if it == '+' { Health::Warning } else { Health::Critical }))
            .collect();
        let wanted = [true, false, false, false, false, false, true, false, true];
        assert_eq!(seen, wanted);
        let mut at_once = Thresholds::of(&CheckType::default());
        assert!(at_once.count(Health::Critical) && at_once.count(Health::Passing));
    }

    #[test]
    fn long_outputs_are_cut_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc ... (captured 3 of 4 bytes)");
        assert_eq!(cut("aüx", 2), "a ... (captured 2 of 4 bytes)");
    }
}
