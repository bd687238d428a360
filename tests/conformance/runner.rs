//! Runs one case: a fresh agent, the group's setup, the steps; then where its answers differ.
//!
//! A case ends early where the rest would say nothing: the agent is gone, or does not answer any more.
//! When two cases of a group could not even start and none could, its others are not tried; the same
//! when three hung.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use serde_json::Value;

use crate::cases::{Case, Group, Step};
use crate::compare::differences;
use crate::known::{DRAWN, DRAWS};
use crate::normalise::{Facts, Normaliser};
use crate::processes;
use crate::rules::Rules;
use crate::steps::{Answer, CaseRun, Got};

/// What all cases of a run share.
pub struct Bench {
    pub root: PathBuf,
    pub rules: Rules,
    pub version: String,
    /// Conditions of readiness that this build never meets.
    pub waived: Vec<&'static str>,
}

/// How a case went.
pub struct Outcome {
    /// Nothing if all answers were as recorded; else lines to read.
    pub report: Vec<String>,
    started: bool,
    hung: bool,
}

/// Differences shown for each step.
const LINES_MAX: usize = 12;

impl Bench {
    pub fn run(&self, number: usize, group: &Group, case: &Case) -> Outcome {
        let name = format!("{}/{}", group.name, case.id);
        let drawn = DRAWN.iter().any(|(other, _)| *other == name);
        for _ in 1..if drawn { DRAWS } else { 1 } {
            let outcome = self.run_once(number, group, case);
            if outcome.report.is_empty() {
                return outcome;
            }
        }
        self.run_once(number, group, case)
    }

    fn run_once(&self, number: usize, group: &Group, case: &Case) -> Outcome {
        let folder = self.root.join(format!("case{number}"));
        let outcome = self.run_in(&folder, group, case);
        processes::sweep(&folder);
        // The guard removes what stays.
        let _ = fs::remove_dir_all(&folder);
        outcome
    }

    fn run_in(&self, folder: &Path, group: &Group, case: &Case) -> Outcome {
        let spec = group.agent.overridden(&case.agent);
        let mut run = match CaseRun::open(&spec, folder, &self.waived) {
            Ok(run) => run,
            Err(why) => return Outcome { report: vec![why], started: false, hung: false },
        };
        for step in group.setup.iter().chain(&case.setup) {
            let answer = run.run(step);
            if let Some(why) = refused(&answer) {
                let report = vec![format!("setup step failed: {why}: {step}")];
                return Outcome { report, started: false, hung: false };
            }
        }
        let mut answers: Vec<(Step, Answer)> = Vec::new();
        let (mut broken, mut hung) = (None, false);
        for json in &case.steps {
            let Ok(step) = Step::read(json) else { continue };
            let answer = run.run(json);
            let late = answer.is_late() && !is_late(&step.got);
            answers.push((step, answer));
            if let Some(how) = run.agent.died() {
                broken = Some(format!("the agent ended during step {}: {how}", answers.len()));
                break;
            }
            if late {
                broken = Some(format!("no answer to step {}", answers.len()));
                hung = true;
                break;
            }
        }
        let facts = Facts::of(&run.agent, &self.version, run.variables.get("node_id"));
        drop(run);
        let normal = Normaliser::new(&self.rules, group, case, facts).case(&answers);
        let mut report: Vec<String> = broken.into_iter().collect();
        for (number, ((step, _), got)) in answers.iter().zip(&normal).enumerate() {
            let lines = differences(&step.got, got);
            if !lines.is_empty() {
                report.push(format!("step {}  {}", number + 1, step.describe()));
                report.extend(lines.iter().take(LINES_MAX).map(|line| format!("  {line}")));
                if lines.len() > LINES_MAX {
                    report.push(format!("  … {} more", lines.len() - LINES_MAX));
                }
            }
        }
        Outcome { report, started: true, hung }
    }
}

/// Why a setup step did not succeed.
fn refused(answer: &Answer) -> Option<String> {
    match &answer.got {
        _ if answer.never => Some("it never came true".to_owned()),
        Got::Error(name) => Some(name.clone()),
        Got::Http(response) if response.status >= 300 => {
            Some(format!("{} {}", response.status, String::from_utf8_lossy(&response.body)))
        }
        _ => None,
    }
}

fn is_late(recorded: &Value) -> bool {
    recorded["error"] == "TimeoutError"
        || recorded["error"] == "StillWaiting"
        || recorded["exit"] == "timeout"
}

/// What went wrong in a group so far.
#[derive(Default)]
pub struct Troubles(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    unstarted: usize,
    hung: usize,
    ran: usize,
}

impl Troubles {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().expect("no thread panics holding it")
    }

    pub fn note(&self, outcome: &Outcome) {
        let mut counts = self.lock();
        match outcome {
            Outcome { started: false, .. } => counts.unstarted += 1,
            Outcome { hung: true, .. } => counts.hung += 1,
            _ => counts.ran += 1,
        }
    }

    /// Why another case of this group is not tried.
    pub fn hopeless(&self) -> Option<Outcome> {
        let counts = self.lock();
        let why = if counts.unstarted >= 2 && counts.ran + counts.hung == 0 {
            "not tried: two cases of this group could not start"
        } else if counts.hung >= 3 && counts.hung > counts.ran {
            "not tried: cases of this group hung"
        } else {
            return None;
        };
        Some(Outcome { report: vec![why.to_owned()], started: false, hung: false })
    }
}
