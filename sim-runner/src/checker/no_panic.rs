//! **no-panic**: no agent panics or breaks one of its own invariants, whatever happens around it.
//!
//! No stricter than the truth: a process that was killed, told to stop, or that refused to start with
//! an exit code did not panic.

use crate::property::Judgement;
use crate::trace::event::{Ending, What};
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, normalised};
use super::oracle::{Oracle, Seen};

pub struct NoPanic {
    findings: Findings,
}

impl NoPanic {
    pub fn new() -> Self {
        Self { findings: Findings::new("no-panic") }
    }
}

impl Oracle for NoPanic {
    fn observe(&mut self, seen: Seen<'_>) {
        match &seen.event.what {
            What::Started => self.findings.judge(1),
            What::Ended { how: Ending::Panicked, detail } => {
                let summary = format!("{} panicked at {}: {detail}", seen.name(), seen.time());
                let fact = normalised(detail);
                self.findings.violation(seen.event.at, &fact, summary, Some(seen.index));
            }
            _ => {}
        }
    }

    fn finish(self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        self.findings.finish()
    }
}
