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

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::checker;
use crate::checker::linearizable::{self, Budget, ReadCounts, WindowKind};
use crate::checker::windows::{ReadWindow, windows};
use crate::cluster::Progress;
use crate::history::History;
use crate::history::operation::Operation;
use crate::property::{Judgement, Verdict};
use crate::replay::{self, Replayed};
use crate::report::folder::{self, File};
use crate::report::verdict::{RunVerdict, VerdictObject};
use crate::report::{FirstDifference, OperationTally, ReadTally, RunResult, html};
use crate::scenario::model::{Plan, Seed};
use crate::scenario::{Source, expand, load, lower};
use crate::simulation;
use crate::trace::event::What;
use crate::trace::json::Lines;
use crate::trace::record::Recording;
use crate::trace::{Trace, file};

/// Virtual time that stands still for this much wall time is not coming back.
const STUCK_AFTER: Duration = Duration::from_secs(60);

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
    let judged = judge(&plan, &simulated.trace, &simulated.history, &replayed);
    let mut result = result_of(job, &plan, &simulated, judged, &replayed);
    write_report(job, &source, &simulated, &mut result)?;
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

enum Simulated {
    Done(Box<simulation::Evidence>),
    Crashed(String),
    Stuck(String),
}

fn simulate_watched(plan: &Plan, plant: Option<&str>) -> Simulated {
    let progress = Arc::new(Progress::default());
    let (done, outcome) = mpsc::channel();
    let (inside, plan, plant) = (progress.clone(), plan.clone(), plant.map(str::to_owned));
    let work = move || {
        let evidence = simulation::run(plan, plant.as_deref(), &inside);
        // Nobody listens any more when the watchdog gave up.
        let _ = done.send(evidence);
    };
    #[expect(clippy::disallowed_methods, reason = "outside the simulation, to watch it")]
    thread::spawn(work);
    let mut seen = 0;
    loop {
        match outcome.recv_timeout(STUCK_AFTER) {
            Ok(Ok(evidence)) => return Simulated::Done(Box::new(evidence)),
            Ok(Err(text)) => return Simulated::Crashed(text),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Simulated::Crashed("the simulation ended without a result".to_owned());
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let now = progress.now_ns.load(Ordering::Relaxed);
                if now == seen {
                    let events = progress.events.load(Ordering::Relaxed);
                    return Simulated::Stuck(format!(
                        "no virtual progress for {} s of wall time: the clock stands at {:.3} s since \
                         the start of boot, after {events} events",
                        STUCK_AFTER.as_secs(),
                        now as f64 / 1e9
                    ));
                }
                seen = now;
            }
        }
    }
}

/// What the checkers say.
pub struct Judged {
    /// One per property.
    pub judgements: Vec<Judgement>,
    /// Events of the language that occurred.
    pub seen: Vec<String>,
    /// Reads by mode, and those inside a window.
    pub reads: ReadCounts,
}

/// Judges a run from its evidence: the same in `run` and in `check`.
#[must_use]
pub fn judge(plan: &Plan, trace: &Trace, history: &History, replayed: &Replayed) -> Judged {
    judge_recording(plan, trace.recording(), history, replayed)
}

/// The same, of a decoded trace.
#[must_use]
pub fn judge_recording(
    plan: &Plan,
    recording: Recording,
    history: &History,
    replayed: &Replayed,
) -> Judged {
    let evidence = checker::Evidence::new(recording, history.operations().to_vec());
    let windows = windows(&evidence.header, &evidence.events, &evidence.history);
    let lives = lives(&evidence);
    let known = linearizable::Evidence {
        window: &|operation: &Operation| windows.get(&operation.id).map(window),
        life: &|server: &str, at: i64| {
            lives
                .get(server)
                .map_or(0, |starts| starts.partition_point(|start| *start <= at) as u64)
        },
    };
    let report = linearizable::check(history, &known, Budget::default());
    let events = evidence.events.len() as u64;
    let given = vec![report.judgement, replayed.judgement(events)];
    let outcome = checker::judge(&evidence, plan, &windows, given);
    Judged { judgements: outcome.judgements, seen: outcome.seen, reads: report.reads }
}

fn window(window: &ReadWindow) -> linearizable::ReadWindow {
    linearizable::ReadWindow {
        kind: if window.deposed { WindowKind::Deposed } else { WindowKind::Fresh },
        not_older_than_index: window.not_older_than_index,
        widen_from: window.widen_from,
    }
}

/// When each agent's process was started.
fn lives(evidence: &checker::Evidence) -> BTreeMap<&str, Vec<i64>> {
    let mut lives: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for event in &evidence.events {
        if event.what == What::Started
            && let Some(info) = evidence.header.hosts.get(usize::from(event.host.0))
        {
            lives.entry(&info.name).or_default().push(event.at);
        }
    }
    lives
}

fn result_of(
    job: &Job,
    plan: &Plan,
    simulated: &simulation::Evidence,
    judged: Judged,
    replayed: &Replayed,
) -> RunResult {
    let header = simulated.trace.header();
    let mut times = simulated.trace.events().map(|event| event.at);
    let first = times.next().unwrap_or(0);
    let last = times.last().unwrap_or(first);
    let wall_s = simulated.run_wall.as_secs_f64();
    let operations = simulated.history.operations();
    let mut notes = Vec::new();
    if plan.time.settle.is_zero() {
        notes.push("settle = \"0s\": faults were not undone, liveness is not judged".to_owned());
    }
    RunResult {
        title: plan.title.clone(),
        story: plan.story.clone(),
        scenario: job.scenario.display().to_string(),
        seed: job.seed.text.clone(),
        plant: job.plant.clone(),
        verdict: RunVerdict::of(&judged.judgements),
        trace: simulated.trace.digest(),
        replayed: !matches!(replayed, Replayed::No),
        virtual_s: (last - first) as f64 / 1e9,
        wall_s,
        speed: if wall_s > 0.0 { header.run_ns as f64 / 1e9 / wall_s } else { 0.0 },
        events: simulated.trace.count(),
        operations: OperationTally::of(operations),
        reads: ReadTally::of(operations, judged.reads.in_window),
        judgements: judged.judgements,
        seen: judged.seen,
        report: None,
        reproduce: job.reproduce(),
        notes,
        first_difference: first_difference(replayed),
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
        title: plan.title.clone(),
        story: plan.story.clone(),
        scenario: job.scenario.display().to_string(),
        seed: job.seed.text.clone(),
        plant: job.plant.clone(),
        verdict: RunVerdict::Undecided,
        trace: "0".repeat(32),
        replayed: false,
        virtual_s: 0.0,
        wall_s: STUCK_AFTER.as_secs_f64(),
        speed: 0.0,
        events: 0,
        operations: OperationTally::default(),
        reads: ReadTally::default(),
        judgements: vec![judgement],
        seen: Vec::new(),
        report: None,
        reproduce: job.reproduce(),
        notes: vec![detail],
        first_difference: None,
    }
}

fn write_report(
    job: &Job,
    source: &Source,
    simulated: &simulation::Evidence,
    result: &mut RunResult,
) -> Result<(), Failed> {
    let Some(folder) = job.folder() else { return Ok(()) };
    if matches!(job.report, ReportTo::OnFailureBelow(_)) && result.verdict == RunVerdict::Holds {
        return Ok(());
    }
    result.report = Some(folder.join(folder::REPORT).display().to_string());
    let recording = simulated.trace.recording();
    let resolved = resolved_targets(&recording);
    let expanded = expand(source, &job.seed, &resolved)
        .map_err(|error| Failed::Testbed(format!("cannot expand the scenario: {error}")))?;
    let evidence = html::Evidence {
        header: &recording.header,
        events: &recording.events,
        history: simulated.history.operations(),
    };
    let page = html::page(result, evidence);
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
pub fn resolved_targets(recording: &Recording) -> BTreeMap<String, Vec<String>> {
    let name = |host: &crate::trace::Host| recording.header.hosts[usize::from(host.0)].name.clone();
    let mut resolved: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut repeated = std::collections::BTreeSet::new();
    for event in &recording.events {
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
