//! **determinism**: the same scenario and seed give the same trace, event by event.
//!
//! Judged by the runner, which alone has both runs; this puts what it found into a judgement.

use crate::property::Judgement;
use crate::trace::diff::FirstDifference;
use crate::trace::json::kind;

use super::findings::{Findings, skipped};
use super::oracle::time;

/// The judgement of a run that was not replayed.
#[must_use]
pub fn not_replayed() -> Judgement {
    skipped("determinism", "the run was not replayed")
}

/// The judgement of a replay; `events`: how many were compared.
#[must_use]
pub fn replayed(events: u64, difference: Option<&FirstDifference>) -> Judgement {
    let mut findings = Findings::new("determinism");
    findings.judge(events);
    if let Some(difference) = difference {
        let name = |event: &Option<crate::trace::TraceEvent>| {
            event.as_ref().map_or("the end".to_owned(), |event| kind(&event.what))
        };
        let fact = "the replay took another course";
        let summary = format!(
            "the replay differs from event {} on, at {}: {} in the run, {} in the replay",
            difference.index,
            time(difference.at()),
            name(&difference.left),
            name(&difference.right)
        );
        findings.violation(difference.at(), fact, summary, Some(difference.index as u64));
    }
    let mut judgement = findings.finish();
    if let (Some(violation), Some(difference)) = (judgement.violations.first_mut(), difference) {
        violation.detail = difference.to_string().lines().map(str::to_owned).collect();
    }
    judgement
}
