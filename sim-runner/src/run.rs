//! One run, whole: simulate, replay, judge, report. Read this first.
//!
//! ```text
//!   scenario + seed ──lower──► Plan ──simulate──► trace, history ──judge──► RunResult ──► folder
//!                                └──in a fresh process──► digest: the same? (else: first difference)
//! ```
//!
//! Arguments, files and judging are outside the simulation; inside is only [`simulation::run`], in a
//! thread of its own, one per process. A watchdog looks at it from outside: a simulation whose virtual
//! clock stands still is given up as undecided.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::checker;
use crate::judging::{Judged, judge};
use crate::property::{Judgement, Verdict};
use crate::replay::{self, Replayed};
use crate::report::folder::{self, File};
use crate::report::verdict::{RunVerdict, VerdictObject};
use crate::report::{FirstDifference, OperationTally, ReadTally, RunResult, html};
use crate::scenario::model::{Plan, Seed};
use crate::scenario::{Source, expand, load, lower};
use crate::simulation;
use crate::trace::event::{Header, Host, TraceEvent, What};
use crate::trace::file;
use crate::trace::json::Lines;
use crate::watchdog::{STUCK_AFTER, Simulated, simulate_watched};

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct Job {
    /// The scenario file.
    pub scenario: PathBuf,
    /// The seed.
    pub seed: Seed,
    /// `--set`, in order.
    pub overrides: Vec<String>,
    /// `--plant`.
    pub plant: Option<String>,
    /// Whether to run it again and compare.
    pub replay: bool,
    /// Where the report goes.
    pub report: ReportTo,
}

/// Where the report of a run goes.
#[derive(Clone, Debug)]
pub enum ReportTo {
    /// Nowhere.
    Nowhere,
    /// A folder, chosen below this one by scenario and seed.
    Below(PathBuf),
    /// A folder, but only for a run that does not hold.
    OnFailureBelow(PathBuf),
    /// Exactly this folder.
    Folder(PathBuf),
}

/// Why there is no verdict.
#[derive(Clone, Debug)]
pub enum Failed {
    /// Bad scenario or usage: exit 2.
    Usage(String),
    /// A bug in the testbed: exit 70.
    Testbed(String),
}

/// Runs a job to its verdict.
///
/// # Errors
/// A scenario that cannot be read, a report that cannot be written, or a fault of the testbed.
pub fn run(job: &Job) -> Result<RunResult, Failed> {
    let usage = |error: &dyn ToString| Failed::Usage(error.to_string());
    let source = load(&job.scenario, &job.overrides).map_err(|error| usage(&error))?;
    let plan = lower(&source, &job.seed).map_err(|error| usage(&error))?;
    if let Some(folder) = job.folder() {
        folder::check(&folder).map_err(|error| usage(&error))?;
    }
    let simulated = match simulate_watched(&plan, job.plant.as_deref()) {
        Simulated::Done(evidence) => *evidence,
        Simulated::Crashed(text) => return Err(Failed::Testbed(text)),
        Simulated::Stuck(detail) => return Ok(gave_up(job, &plan, detail)),
    };
    let replayed = if job.replay {
        replay::replay(job, &simulated.trace).map_err(Failed::Testbed)?
    } else {
        Replayed::No
    };
    // Decoded once, for the judges and for the report.
    let history = simulated.history.operations().to_vec();
    let evidence = checker::Evidence::new(simulated.trace.recording(), history);
    let judged = judge(&plan, &evidence, &simulated.history, &replayed);
    let mut result = result_of(job, &plan, &simulated, judged, &replayed);
    write_report(job, &source, &simulated, &evidence, &mut result)?;
    Ok(result)
}

impl Job {
    /// The folder that the report would go to.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        match &self.report {
            ReportTo::Nowhere => None,
            ReportTo::Below(parent) | ReportTo::OnFailureBelow(parent) => {
                Some(folder::path_for(parent, &self.scenario, &self.seed.text))
            }
            ReportTo::Folder(folder) => Some(folder.clone()),
        }
    }

    /// The arguments that say which run this is, for a shell or a child process.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let scenario = self.scenario.display().to_string();
        let mut arguments = vec![scenario, "--seed".to_owned(), self.seed.text.clone()];
        for text in &self.overrides {
            arguments.extend(["--set".to_owned(), text.clone()]);
        }
        if let Some(plant) = &self.plant {
            arguments.extend(["--plant".to_owned(), plant.clone()]);
        }
        arguments
    }

    /// The command that runs this again.
    #[must_use]
    pub fn reproduce(&self) -> String {
        let quoted: Vec<String> = self.arguments().iter().map(|word| shell_word(word)).collect();
        format!("sim-runner {}", quoted.join(" "))
    }
}

/// A word as a shell takes it.
fn shell_word(word: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "_-./=:,+@%".contains(char);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn result_of(
    job: &Job,
    plan: &Plan,
    simulated: &simulation::Evidence,
    judged: Judged,
    replayed: &Replayed,
) -> RunResult {
    let wall_s = simulated.run_wall.as_secs_f64();
    let run_s = simulated.trace.header().run_ns as f64 / 1e9;
    let operations = simulated.history.operations();
    let mut notes = Vec::new();
    if plan.time.settle.is_zero() {
        notes.push("settle = \"0s\": faults were not undone, liveness is not judged".to_owned());
    }
    RunResult {
        verdict: RunVerdict::of(&judged.judgements),
        trace: simulated.trace.digest(),
        replayed: !matches!(replayed, Replayed::No),
        virtual_s: judged.span_ns as f64 / 1e9,
        wall_s,
        speed: if wall_s > 0.0 { run_s / wall_s } else { 0.0 },
        events: simulated.trace.count(),
        operations: OperationTally::of(operations),
        reads: ReadTally::of(operations, judged.reads.in_window),
        judgements: judged.judgements,
        seen: judged.seen,
        notes,
        sometimes: judged.sometimes,
        first_difference: first_difference(replayed),
        ..not_judged(job, plan)
    }
}

/// What is known of a run before it is judged.
fn not_judged(job: &Job, plan: &Plan) -> RunResult {
    RunResult {
        title: plan.title.clone(),
        story: plan.story.clone(),
        scenario: job.scenario.display().to_string(),
        seed: job.seed.text.clone(),
        plant: job.plant.clone(),
        verdict: RunVerdict::Undecided,
        trace: "0".repeat(32),
        replayed: false,
        virtual_s: 0.0,
        wall_s: 0.0,
        speed: 0.0,
        events: 0,
        operations: OperationTally::default(),
        reads: ReadTally::default(),
        judgements: Vec::new(),
        seen: Vec::new(),
        report: None,
        reproduce: job.reproduce(),
        notes: Vec::new(),
        sometimes: Vec::new(),
        first_difference: None,
    }
}

fn first_difference(replayed: &Replayed) -> Option<FirstDifference> {
    let Replayed::Differs(difference, left, right) = replayed else { return None };
    let line = |header, event: &Option<_>| event.as_ref().map(|it| Lines::new(header).write(it));
    Some(FirstDifference {
        index: difference.index as u64,
        first: line(left, &difference.left),
        second: line(right, &difference.right),
    })
}

/// The verdict on a simulation that the watchdog ended: nothing is proven.
fn gave_up(job: &Job, plan: &Plan, detail: String) -> RunResult {
    let judgement = Judgement {
        property: "liveness".to_owned(),
        verdict: Verdict::Undecided,
        judged: 0,
        because: Some(detail.clone()),
        violations: Vec::new(),
    };
    RunResult {
        wall_s: STUCK_AFTER.as_secs_f64(),
        judgements: vec![judgement],
        notes: vec![detail],
        ..not_judged(job, plan)
    }
}

fn write_report(
    job: &Job,
    source: &Source,
    simulated: &simulation::Evidence,
    evidence: &checker::Evidence,
    result: &mut RunResult,
) -> Result<(), Failed> {
    let Some(folder) = job.folder() else { return Ok(()) };
    if matches!(job.report, ReportTo::OnFailureBelow(_)) && result.verdict == RunVerdict::Holds {
        return Ok(());
    }
    result.report = Some(folder.join(folder::REPORT).display().to_string());
    let resolved = resolved_targets(&evidence.header, &evidence.events);
    let expanded = expand(source, &job.seed, &resolved)
        .map_err(|error| Failed::Testbed(format!("cannot expand the scenario: {error}")))?;
    let drawn = html::Evidence {
        header: &evidence.header,
        events: &evidence.events,
        history: &evidence.history,
    };
    let page = html::page(result, drawn);
    let verdict = VerdictObject::of(result).to_file();
    let history = crate::history::file::write(&simulated.history);
    let trace = &simulated.trace;
    let files = vec![
        File::bytes(folder::REPORT, page.as_bytes()),
        File::bytes(folder::VERDICT, verdict.as_bytes()),
        File::bytes(folder::HISTORY, history.as_bytes()),
        File::written(folder::TRACE, |out| file::write_lines(trace, out)),
        File::bytes(folder::SCENARIO, expanded.as_bytes()),
    ];
    folder::write(&folder, files).map_err(|error| Failed::Usage(error.to_string()))
}

/// By step id: whom a step acted on, for `expand`.
#[must_use]
pub fn resolved_targets(header: &Header, events: &[TraceEvent]) -> BTreeMap<String, Vec<String>> {
    let name = |host: &Host| header.hosts[usize::from(host.0)].name.clone();
    let mut resolved: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut repeated = BTreeSet::new();
    for event in events {
        if let What::StepStarted { id, targets, .. } = &event.what {
            let targets: Vec<String> = targets.iter().map(name).collect();
            // A step that fires again draws again: its target stays as it is written.
            match resolved.insert(id.clone(), targets.clone()) {
                Some(before) if before != targets => drop(repeated.insert(id.clone())),
                _ => {}
            }
        }
    }
    resolved.retain(|id, targets| !repeated.contains(id) && !targets.is_empty());
    resolved
}

/// Lowers a scenario and simulates it once, for `expand` and `bench`.
///
/// # Errors
/// As [`run`].
pub fn simulate_once(
    scenario: &Path,
    seed: &Seed,
    overrides: &[String],
    plant: Option<&str>,
) -> Result<(Source, Plan, simulation::Evidence), Failed> {
    let usage = |error: &dyn ToString| Failed::Usage(error.to_string());
    let source = load(scenario, overrides).map_err(|error| usage(&error))?;
    let plan = lower(&source, seed).map_err(|error| usage(&error))?;
    match simulate_watched(&plan, plant) {
        Simulated::Done(evidence) => Ok((source, plan, *evidence)),
        Simulated::Crashed(text) | Simulated::Stuck(text) => Err(Failed::Testbed(text)),
    }
}
