//! What a finished run tells people and scripts.
//!
//! ```text
//!                      ┌─ verdict.rs   the JSON object, exit codes, the summary of a range
//!  RunResult ──────────┼─ summary.rs   a few lines on the terminal
//!  trace + history ────┼─ lanes.rs     the evidence, folded into what a timeline draws
//!                      ├─ html.rs      one self-contained page (assets/)
//!                      └─ folder.rs    all of it as a folder, whole or not at all
//! ```
//!
//! Everything here is a pure function of evidence: of a [`RunResult`], the trace and the history. It
//! never sees a live cluster, so a report can be drawn again from a run's folder. Wall-clock numbers
//! (`wall_s`, `speed`) are told but belong to no digest.
//!
//! Deliberately not here: judging (`checker`), and deciding where a folder goes (the command).

pub mod folder;
pub mod html;
pub mod lanes;
pub mod summary;
pub mod verdict;
mod words;

use serde::{Deserialize, Serialize};

use crate::history::operation::{Call, Mode, Operation, Outcome};
use crate::property::{Judgement, Verdict, Violation};
use verdict::RunVerdict;

/// Everything a finished run knows about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The scenario's `title`.
    pub title: String,
    /// The scenario's `story`.
    pub story: Option<String>,
    /// Path of the scenario, as the user gave it.
    pub scenario: String,
    /// The seed, as the user gave it.
    pub seed: String,
    /// `--plant`.
    pub plant: Option<String>,
    /// What came of the run as a whole; see [`RunVerdict::of`].
    pub verdict: RunVerdict,
    /// 128-bit digest of the trace, 32 hexadecimal digits.
    pub trace: String,
    /// Whether the run was executed again in a fresh process and compared.
    pub replayed: bool,
    /// Virtual seconds simulated: boot, run and settle.
    pub virtual_s: f64,
    /// Wall seconds of simulating all of that, once.
    pub wall_s: f64,
    /// Virtual seconds of `[time].run` per wall second of simulating them.
    pub speed: f64,
    /// Events of the trace.
    pub events: u64,
    /// Operations of the users by outcome.
    pub operations: OperationTally,
    /// Reads of the users by mode.
    pub reads: ReadTally,
    /// One judgement per property, in the order they are shown.
    pub judgements: Vec<Judgement>,
    /// Names of the events (language section 7) that occurred.
    pub seen: Vec<String>,
    /// Path of `report.html`; none with `--no-report`.
    pub report: Option<String>,
    /// One command that runs exactly this again.
    pub reproduce: String,
    /// What a reader must know besides, e.g. "settle = 0s: liveness not judged".
    pub notes: Vec<String>,
    /// What `sometimes` asked for, and whether this run shows it; a range asks for one run that does.
    pub sometimes: Vec<(String, bool)>,
    /// Where the two executions parted, when they did.
    pub first_difference: Option<FirstDifference>,
}

impl RunResult {
    /// Counter-examples that count against the run, earliest first.
    #[must_use]
    pub fn violations(&self) -> Vec<&Violation> {
        self.counter_examples(Verdict::Violated)
    }

    /// Counter-examples that the scenario demands (`violates = …`), earliest first.
    #[must_use]
    pub fn expected(&self) -> Vec<&Violation> {
        self.counter_examples(Verdict::Expected)
    }

    fn counter_examples(&self, verdict: Verdict) -> Vec<&Violation> {
        let of_verdict = self.judgements.iter().filter(|j| j.verdict == verdict);
        let mut found: Vec<&Violation> = of_verdict.flat_map(|j| &j.violations).collect();
        found.sort_by_key(|violation| violation.at); // stable: ties stay in the order of properties
        found
    }
}

/// Operations by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationTally {
    /// Answered.
    pub ok: u64,
    /// Certainly without effect.
    pub fail: u64,
    /// May have happened.
    pub unknown: u64,
}

impl OperationTally {
    /// Counts a history.
    #[must_use]
    pub fn of(history: &[Operation]) -> Self {
        let count = |outcome| history.iter().filter(|op| op.outcome == outcome).count() as u64;
        Self {
            ok: count(Outcome::Ok),
            fail: count(Outcome::Fail),
            unknown: count(Outcome::Unknown),
        }
    }

    /// All of them.
    #[must_use]
    pub fn total(self) -> u64 {
        self.ok + self.fail + self.unknown
    }
}

/// Reads by mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadTally {
    /// Plain reads.
    pub default: u64,
    /// `?consistent`.
    pub consistent: u64,
    /// `?stale`.
    pub stale: u64,
    /// Of the plain ones: those that lay in a window in which real Consul may answer stale, too
    /// (deposed or fresh leader).
    pub in_window: u64,
}

impl ReadTally {
    /// Counts the gets and lists of a history, whatever their outcome. `in_window` is the checker's.
    #[must_use]
    pub fn of(history: &[Operation], in_window: u64) -> Self {
        let mut tally = Self { in_window, ..Self::default() };
        for operation in history {
            match read_mode(&operation.call) {
                Some(Mode::Default) => tally.default += 1,
                Some(Mode::Consistent) => tally.consistent += 1,
                Some(Mode::Stale) => tally.stale += 1,
                None => {}
            }
        }
        tally
    }
}

/// The mode of a read; none for writes.
fn read_mode(call: &Call) -> Option<Mode> {
    match call {
        Call::Get { mode } | Call::List { mode } => Some(*mode),
        _ => None,
    }
}

/// Where two executions of the same scenario and seed parted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstDifference {
    /// Index of the first event that differs.
    pub index: u64,
    /// The event in the first execution; none when it had ended.
    pub first: Option<String>,
    /// The event in the second execution; none when it had ended.
    pub second: Option<String>,
}

/// One sentence on what a property promises, for readers who meet its name for the first time.
#[must_use]
pub fn promise(property: &str) -> &'static str {
    match property {
        "script" => "every step of the script did what the scenario says it does",
        "boot" => "the cluster came up in time",
        "determinism" => "the same seed gives the same run, event for event",
        "no-panic" => "no agent panicked or broke an invariant of its own",
        "linearizable" => {
            "every answer fits one order of all operations in which each takes effect at one instant \
             between its call and its answer"
        }
        "election-safety" => "a term has at most one leader",
        "log-matching" => {
            "two logs that hold an entry with the same index and term are equal up to there"
        }
        "leader-completeness" => "a new leader's log holds every entry that was committed before",
        "state-machine-safety" => "no two servers apply different entries at the same index",
        "commit-monotonic" => "a server's commit index never goes back while it lives",
        "vote-durability" => "a server votes for one candidate a term, also across a restart",
        "durability" => "a write that was acknowledged is never lost",
        "storage-recovery" => "a restart finds on its disk what was put there, and nothing else",
        "liveness" => "once all faults are undone, the cluster agrees and accepts writes in time",
        "gossip-completeness" => "an agent that has ended is not listed as alive for long",
        "gossip-accuracy" => "an agent that is well is not called failed",
        "incarnation-monotonic" => "what a member says of itself is never taken back",
        "no-stale-resurrection" => "nobody comes back to life by old word",
        "views-converge" => "once all faults are undone, all agents list the same members",
        "user-events" => "an event that is listed was fired, with that payload, and is listed once",
        "catalog-unique" => "no two nodes have one name or id, and no id is twice on a node",
        "catalog-matches-agents" => {
            "the catalog says of an agent's node what the agent says of itself"
        }
        "no-resurrection" => "what was deregistered at its agent stays away",
        "serf-health" => "the catalog says of members what the leader's gossip says",
        "no-orphan-checks" => "no check or instance is without what it belongs to",
        "lock-exclusion" => "a lock has one holder at a time",
        "session-lifetime" => "a session lives for its TTL, and not for long after",
        "index-monotonic" => "the index of a query never goes back, and is never 0",
        "watch-complete" => "who polls for changes misses none, and sees none that nobody made",
        "dns-sound" => {
            "a DNS answer holds only instances that the catalog could have had as healthy"
        }
        "transactions" => "transactions happen as wholes, and as if one after the other",
        _ => "as the scenario states it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::PROPERTIES;

    #[test]
    fn every_property_has_a_promise() {
        for property in PROPERTIES {
            assert_ne!(promise(property), promise("something else"), "{property}");
        }
    }
}
