//! **liveness**: once every fault is undone, the cluster converges within `settle` and stays so (spec
//! cluster 11.1, 19 and 20).
//!
//! The run itself says what is missing; its fact is the signature. No stricter than the truth: with
//! `settle = "0s"` nothing is undone and nothing is judged, and a run that its watchdog ended has not
//! shown anything.

use crate::property::Judgement;
use crate::trace::event::What;
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::oracle::{Oracle, Seen};

pub struct Liveness {
    settled: bool,
    watchdog: bool,
    findings: Findings,
}

impl Liveness {
    pub fn new() -> Self {
        Self { settled: false, watchdog: false, findings: Findings::new("liveness") }
    }
}

impl Oracle for Liveness {
    fn observe(&mut self, seen: Seen<'_>) {
        match &seen.event.what {
            What::Settled => {
                self.settled = true;
                self.findings.judge(1);
            }
            What::NotSettled { fact, detail } => {
                self.findings.judge(1);
                let summary = format!("the cluster had not converged at {}: {detail}", seen.time());
                self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
            }
            What::Watchdog { detail } => {
                self.watchdog = true;
                self.findings.undecided(detail.as_str());
            }
            _ => {}
        }
    }

    fn finish(mut self: Box<Self>, evidence: &Evidence, _: &View) -> Judgement {
        if evidence.header.settle_ns == 0 && !self.watchdog && !self.findings.violated() {
            let because = "settle = \"0s\": nothing is undone, so convergence is not judged";
            return skipped("liveness", because);
        }
        if !self.settled {
            self.findings.undecided("the run ended before the cluster could settle");
        }
        self.findings.finish()
    }
}
