//! One self-contained page per run: markup, style, script and data in one file.

use super::RunResult;
use crate::history::operation::Operation;
use crate::trace::event::{Header, TraceEvent};

/// What a page is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The first line of the trace.
    pub header: &'a Header,
    /// The trace.
    pub events: &'a [TraceEvent],
    /// The history, in the order of the calls.
    pub history: &'a [Operation],
}

/// The page of a run.
#[must_use]
pub fn page(run: &RunResult, evidence: Evidence<'_>) -> String {
    format!(
        "<!doctype html>\n<title>{}: {} events</title>\n",
        run.verdict.word(),
        evidence.events.len()
    )
}
