//! **boot**: a joined boot is complete within `boot_within` (scenario language, section 3).
//!
//! No stricter than the truth: a run that its watchdog ended during the boot has not shown anything.

use crate::property::Judgement;
use crate::trace::event::What;
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::Findings;
use super::oracle::{Oracle, Seen};

pub struct BootOracle {
    shown: bool,
    findings: Findings,
}

impl BootOracle {
    pub fn new() -> Self {
        Self { shown: false, findings: Findings::new("boot") }
    }
}

impl Oracle for BootOracle {
    fn observe(&mut self, seen: Seen<'_>) {
        match &seen.event.what {
            What::Booted => {
                self.shown = true;
                self.findings.judge(1);
            }
            What::NotBooted { fact, detail } => {
                self.shown = true;
                self.findings.judge(1);
                let summary = format!("the cluster did not boot in time: {detail}");
                self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
            }
            _ => {}
        }
    }

    fn finish(mut self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        if !self.shown {
            self.findings.undecided("the run ended during the boot");
        }
        self.findings.finish()
    }
}
