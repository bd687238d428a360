//! The names of the properties, and what a judgement looks like.
//!
//! Names are those of the scenario language, section 7: users write them in `violates`, scripts find
//! them in `verdict.json`, signatures begin with them.

use serde::{Deserialize, Serialize};

/// All properties that are judged, in the order they are listed.
pub const PROPERTIES: &[&str] = &[
    "script",
    "boot",
    "determinism",
    "no-panic",
    "linearizable",
    "election-safety",
    "log-matching",
    "leader-completeness",
    "state-machine-safety",
    "commit-monotonic",
    "vote-durability",
    "durability",
    "storage-recovery",
    "liveness",
    "gossip-completeness",
    "gossip-accuracy",
    "incarnation-monotonic",
    "no-stale-resurrection",
    "views-converge",
    "user-events",
    "catalog-unique",
    "catalog-matches-agents",
    "no-resurrection",
    "serf-health",
    "no-orphan-checks",
    "lock-exclusion",
    "session-lifetime",
    "index-monotonic",
    "watch-complete",
    "dns-sound",
    "transactions",
];

/// What came of judging one property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No counter-example in what was judged.
    Holds,
    /// A counter-example.
    Violated,
    /// A budget ran out first.
    Undecided,
    /// Not judged, and the report says why.
    Skipped,
    /// Violated, as the scenario says it must be.
    Expected,
}

impl Verdict {
    /// As JSON and tables have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Violated => "violated",
            Verdict::Undecided => "undecided",
            Verdict::Skipped => "skipped",
            Verdict::Expected => "expected",
        }
    }
}

/// One property's judgement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Its name.
    pub property: String,
    /// What came of it.
    pub verdict: Verdict,
    /// How many things were judged: operations, terms, entries, reads, steps.
    pub judged: u64,
    /// Why it was skipped or undecided.
    pub because: Option<String>,
    /// The counter-examples, earliest first; at most a few.
    pub violations: Vec<Violation>,
}

/// One counter-example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    /// The property.
    pub property: String,
    /// When it was proven, virtual ns.
    pub at: i64,
    /// One sentence in the words of the run: who, when, what.
    pub summary: String,
    /// The property and one normalised fact (no ids, times or values): equal for equal causes.
    pub signature: String,
    /// The operations that prove it (ids in the history), if any.
    pub operations: Vec<u64>,
    /// The trace events that prove it (indexes), if any.
    pub events: Vec<u64>,
    /// More, line by line: what was possible, what was answered.
    pub detail: Vec<String>,
}
