//! The verdict of a run as scripts read it: one JSON object, and one exit code.
//!
//! The shape is a promise: names, types and order of the keys are those of `--json` and of
//! `verdict.json`. A range of seeds prints one such object a line, then one [`RangeSummary`].
//!
//! Exit codes: 0 holds, 1 violated, 2 bad scenario or usage, 3 undecided, 4 not deterministic, 70 a
//! bug in the testbed. Where several apply the first of 70, 2, 4, 1, 3, 0 counts: a testbed that is
//! broken says nothing about the agent, and a run that cannot be repeated proves nothing.

use serde::{Deserialize, Serialize};

use super::{OperationTally, ReadTally, RunResult};
use crate::property::{Judgement, Verdict, Violation};

/// The exit code of a bad scenario or bad usage.
pub const EXIT_USAGE: u8 = 2;
/// The exit code of a bug in the testbed itself (`EX_SOFTWARE`).
pub const EXIT_TESTBED: u8 = 70;

/// What came of a run as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunVerdict {
    /// No property was violated, all were decided.
    Holds,
    /// A property was violated, and the scenario does not expect it.
    Violated,
    /// A budget or the watchdog ended the run or a judgement.
    Undecided,
    /// The two executions differ.
    Nondeterministic,
}

impl RunVerdict {
    /// The first that applies of: not deterministic, violated, undecided, holds.
    #[must_use]
    pub fn of(judgements: &[Judgement]) -> Self {
        let any = |verdict| judgements.iter().any(|judgement| judgement.verdict == verdict);
        let differs = judgements
            .iter()
            .any(|j| j.property == "determinism" && j.verdict == Verdict::Violated);
        if differs {
            Self::Nondeterministic
        } else if any(Verdict::Violated) {
            Self::Violated
        } else if any(Verdict::Undecided) {
            Self::Undecided
        } else {
            Self::Holds
        }
    }

    /// The word used everywhere.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Violated => "violated",
            Self::Undecided => "undecided",
            Self::Nondeterministic => "nondeterministic",
        }
    }
}

/// The exit code of a run with this verdict.
#[must_use]
pub fn exit_code(verdict: RunVerdict) -> u8 {
    match verdict {
        RunVerdict::Holds => 0,
        RunVerdict::Violated => 1,
        RunVerdict::Undecided => 3,
        RunVerdict::Nondeterministic => 4,
    }
}

/// The exit code of several runs: that of the worst. 0 when there was none; a code that is not ours
/// (a worker was killed) counts as a bug in the testbed.
#[must_use]
pub fn worst_exit_code(codes: impl IntoIterator<Item = u8>) -> u8 {
    const WORST_FIRST: [u8; 6] = [EXIT_TESTBED, EXIT_USAGE, 4, 1, 3, 0];
    let rank = |code: u8| WORST_FIRST.iter().position(|&known| known == code).unwrap_or(0);
    codes.into_iter().map(rank).min().map_or(0, |rank| WORST_FIRST[rank])
}

/// The JSON object of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictObject {
    /// Path of the scenario, as given.
    pub scenario: String,
    /// The seed, as given: a string, because it may have 40 hexadecimal digits.
    pub seed: String,
    /// `holds`, `violated`, `undecided` or `nondeterministic`.
    pub verdict: RunVerdict,
    /// Trace digest, 32 hexadecimal digits.
    pub trace: String,
    /// False only with `--no-replay`.
    pub replayed: bool,
    /// Virtual seconds simulated.
    pub virtual_s: f64,
    /// Wall seconds.
    pub wall_s: f64,
    /// Virtual seconds of `[time].run` per wall second.
    pub speed: f64,
    /// Events of the trace.
    pub events: u64,
    /// Operations by outcome.
    pub operations: OperationTally,
    /// Reads by mode.
    pub reads: ReadTally,
    /// One line per property.
    pub properties: Vec<PropertyObject>,
    /// What counts against the run, earliest first.
    pub violations: Vec<ViolationObject>,
    /// What the scenario demands (`violates = …`), in the same form.
    pub expected: Vec<ViolationObject>,
    /// Names of the events that occurred.
    pub seen: Vec<String>,
    /// Path of `report.html`; null when none was written.
    pub report: Option<String>,
    /// One command that runs this again.
    pub reproduce: String,
}

/// One property in the JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PropertyObject {
    /// Its name.
    pub name: String,
    /// `holds`, `violated`, `undecided`, `skipped` or `expected`.
    pub verdict: Verdict,
    /// How many things were judged.
    pub judged: u64,
}

/// One counter-example in the JSON object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViolationObject {
    /// The property.
    pub property: String,
    /// When it was proven, virtual seconds.
    pub at_s: f64,
    /// One sentence.
    pub summary: String,
    /// Equal for equal causes.
    pub signature: String,
}

impl VerdictObject {
    /// Of a finished run.
    #[must_use]
    pub fn of(run: &RunResult) -> Self {
        let objects = |violations: Vec<&Violation>| {
            violations.into_iter().map(ViolationObject::of).collect::<Vec<_>>()
        };
        Self {
            scenario: run.scenario.clone(),
            seed: run.seed.clone(),
            verdict: run.verdict,
            trace: run.trace.clone(),
            replayed: run.replayed,
            virtual_s: rounded(run.virtual_s, 1e6),
            wall_s: rounded(run.wall_s, 1e6),
            speed: rounded(run.speed, 10.0),
            events: run.events,
            operations: run.operations,
            reads: run.reads,
            properties: run.judgements.iter().map(PropertyObject::of).collect(),
            violations: objects(run.violations()),
            expected: objects(run.expected()),
            seen: run.seen.clone(),
            report: run.report.clone(),
            reproduce: run.reproduce.clone(),
        }
    }

    /// On one line, without a line end.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("plain data with string keys always serializes")
    }

    /// Indented, with a line end: the content of `verdict.json`.
    #[must_use]
    pub fn to_file(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("plain data with string keys serializes");
        text.push('\n');
        text
    }
}

impl PropertyObject {
    /// Of a judgement.
    #[must_use]
    pub fn of(judgement: &Judgement) -> Self {
        Self {
            name: judgement.property.clone(),
            verdict: judgement.verdict,
            judged: judgement.judged,
        }
    }
}

impl ViolationObject {
    /// Of a counter-example.
    #[must_use]
    pub fn of(violation: &Violation) -> Self {
        Self {
            property: violation.property.clone(),
            at_s: rounded(violation.at as f64 / 1e9, 1e9),
            summary: violation.summary.clone(),
            signature: violation.signature.clone(),
        }
    }
}

/// Rounds to `1/unit`; what is not finite (no wall time was measured) becomes 0, because JSON knows
/// no infinity.
fn rounded(value: f64, unit: f64) -> f64 {
    if value.is_finite() { (value * unit).round() / unit } else { 0.0 }
}

/// The JSON object after a range of seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeSummary {
    /// Runs that finished.
    pub runs: u64,
    /// Of these: hold.
    pub holds: u64,
    /// Violated.
    pub violated: u64,
    /// Undecided.
    pub undecided: u64,
    /// Not deterministic.
    pub nondeterministic: u64,
    /// The failures, most frequent first.
    pub groups: Vec<Group>,
}

/// Runs of a range that fail in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The property and one normalised fact.
    pub signature: String,
    /// The property.
    pub property: String,
    /// How many runs show it.
    pub count: u64,
    /// The first seed that does.
    pub first_seed: String,
    /// The command that runs that seed.
    pub reproduce: String,
}

impl RangeSummary {
    /// Takes the next run, in seed order. A run counts once in every group whose signature it shows,
    /// so that a frequent failure does not hide a rare one behind it; an undecided property is a
    /// failure with the signature `PROPERTY: undecided`.
    pub fn add(&mut self, run: &VerdictObject) {
        self.runs += 1;
        match run.verdict {
            RunVerdict::Holds => self.holds += 1,
            RunVerdict::Violated => self.violated += 1,
            RunVerdict::Undecided => self.undecided += 1,
            RunVerdict::Nondeterministic => self.nondeterministic += 1,
        }
        let mut shown: Vec<(&str, String)> = Vec::new();
        let violated = run.violations.iter().map(|v| (v.property.as_str(), v.signature.clone()));
        let undecided = run
            .properties
            .iter()
            .filter(|property| property.verdict == Verdict::Undecided)
            .map(|property| (property.name.as_str(), format!("{}: undecided", property.name)));
        for (property, signature) in violated.chain(undecided) {
            if !shown.iter().any(|(_, seen)| *seen == signature) {
                self.count(run, property, &signature);
                shown.push((property, signature));
            }
        }
        // Stable: among equals the one that was met first stays first.
        self.groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    }

    fn count(&mut self, run: &VerdictObject, property: &str, signature: &str) {
        match self.groups.iter_mut().find(|group| group.signature == signature) {
            Some(group) => group.count += 1,
            None => self.groups.push(Group {
                signature: signature.to_owned(),
                property: property.to_owned(),
                count: 1,
                first_seed: run.seed.clone(),
                reproduce: run.reproduce.clone(),
            }),
        }
    }

    /// On one line, without a line end.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("plain data with string keys always serializes")
    }
}

#[cfg(test)]
mod tests;
