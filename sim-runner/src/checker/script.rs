//! **script**: every step found somebody to act on and the answer it expects, and the script was
//! finished at the end of an explicit `run` (scenario language, sections 3 to 6).
//!
//! What the expectations of the scenario miss is added to this property by `evidence::judge`.
//! No stricter than the truth: after a failed step, or when the watchdog ended the run, later steps
//! that never came are its consequence and no finding of their own; steps made by chaos are not part
//! of the script.

use std::collections::{BTreeMap, BTreeSet};

use crate::property::Judgement;
use crate::scenario::model::Plan;
use crate::trace::event::What;
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, normalised};
use super::oracle::{Oracle, Seen};

/// What became of a step.
#[derive(Default)]
struct Progress {
    verb: String,
    /// Nothing of it is under way. A repeated step starts each time and finishes once, after the
    /// last.
    done: bool,
}

pub struct Script {
    /// Id and place of the steps that must be finished at the end of the run.
    owed: BTreeMap<u32, (String, String)>,
    progress: BTreeMap<u32, Progress>,
    unfinished: BTreeSet<u32>,
    ended: Option<i64>,
    cut_short: bool,
    findings: Findings,
}

impl Script {
    pub fn new(plan: &Plan) -> Self {
        let steps = (0..).zip(&plan.steps).filter(|(_, step)| !step.chaos);
        let owed = match plan.time.run_is_explicit {
            true => steps.map(|(i, step)| (i, (step.id.clone(), step.place.clone()))).collect(),
            false => BTreeMap::new(),
        };
        Self {
            owed,
            progress: BTreeMap::new(),
            unfinished: BTreeSet::new(),
            ended: None,
            cut_short: false,
            findings: Findings::new("script"),
        }
    }

    fn failed(&mut self, step: u32, id: &str, message: &str, seen: Seen<'_>) {
        self.cut_short = true;
        let verb = self.progress.get(&step).map_or("", |progress| progress.verb.as_str());
        let fact = match verb {
            "" => normalised(message),
            verb => format!("{verb}: {}", normalised(message)),
        };
        let summary = format!("step `{id}` failed at {}: {message}", seen.time());
        self.findings.violation(seen.event.at, fact.trim_end(), summary, Some(seen.index));
    }

    fn run_ends(&mut self, at: i64) {
        let unfinished = |step: &&u32| self.progress.get(step).is_none_or(|it| !it.done);
        self.unfinished = self.owed.keys().filter(unfinished).copied().collect();
        self.ended = Some(at);
    }
}

impl Oracle for Script {
    fn observe(&mut self, seen: Seen<'_>) {
        match &seen.event.what {
            What::StepStarted { step, verb, .. } => {
                self.findings.judge(1);
                let progress = self.progress.entry(*step).or_default();
                progress.verb.clone_from(verb);
                progress.done = false;
            }
            What::StepFinished { step } | What::StepSkipped { step } => {
                self.progress.entry(*step).or_default().done = true;
            }
            What::StepFailed { step, id, message } => self.failed(*step, id, message, seen),
            What::SettleBegan => self.run_ends(seen.event.at),
            What::Watchdog { .. } | What::NotBooted { .. } => self.cut_short = true,
            _ => {}
        }
    }

    fn finish(mut self: Box<Self>, evidence: &Evidence, view: &View) -> Judgement {
        if self.ended.is_none() && view.now() >= evidence.header.run_ns {
            self.run_ends(view.now());
        }
        let first = self.unfinished.first().and_then(|step| self.owed.get(step));
        if let (Some((id, place)), false) = (first, self.cut_short) {
            let summary = format!(
                "{} of {} steps were unfinished at the end of the run, the first is `{id}` ({place})",
                self.unfinished.len(),
                self.owed.len()
            );
            let at = self.ended.unwrap_or(evidence.header.run_ns);
            self.findings.violation(at, "the script is unfinished", summary, None);
        }
        self.findings.finish()
    }
}
