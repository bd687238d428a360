//! `sim-runner run SCENARIO --seeds A..B`: many seeds, one process each, on all cores.
//!
//! One simulation per process is what makes a seed of a range the same run as that seed alone. Results
//! are printed in the order of the seeds, whichever finishes first.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::Run;
use crate::report::summary::{self, Style};
use crate::report::verdict::{
    EXIT_USAGE, Group, RangeSummary, RunVerdict, VerdictObject, exit_code, worst_exit_code,
};
use crate::run::Failed;
use crate::scenario::model::Seed;
use crate::scenario::{load, lower};

use super::run::{ASIDE_VARIABLE, REPORTS};
use super::{print, seed};

/// Runs all seeds of the range; the exit code is that of the worst run.
///
/// # Errors
/// A bad range or scenario, a worker that could not be run.
pub fn sweep(options: &Run) -> Result<u8, Failed> {
    let (from, to) = range(options.seeds.as_deref().unwrap_or_default())?;
    seed(&options.which, true)?;
    check_once(options, from)?;
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let bar = progress(to - from);
    let (next, stop) = (AtomicU64::new(from), AtomicBool::new(false));
    let (results, finished) = mpsc::channel();
    let mut so_far = SoFar::default();
    thread::scope(|scope| {
        for _ in 0..workers {
            let (results, next, stop) = (results.clone(), &next, &stop);
            scope.spawn(move || {
                loop {
                    let (order, after) = (Ordering::Relaxed, |seed| (seed < to).then(|| seed + 1));
                    let Ok(seed) = next.fetch_update(order, order, after) else { return };
                    if stop.load(order) {
                        return;
                    }
                    if results.send((seed, one(options, seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let outcome = collect(options, from, &finished, &bar, &stop, &mut so_far);
        stop.store(true, Ordering::Relaxed);
        outcome
    })?;
    bar.finish_and_clear();
    so_far.ask_for_sometimes(options, from, to);
    let SoFar { range, codes, .. } = so_far;
    if options.json {
        print(&format!("{}\n", range.to_line()))?;
    } else {
        print(&summary::of_range(&range, Style::of_stdout()))?;
    }
    Ok(worst_exit_code(codes))
}

/// One run of a range.
struct Finished {
    object: VerdictObject,
    /// What `sometimes` asked for, and whether this run shows it.
    sometimes: Vec<(String, bool)>,
}

/// The runs that are done, in the order of their seeds.
#[derive(Default)]
struct SoFar {
    range: RangeSummary,
    codes: Vec<u8>,
    sometimes: BTreeMap<String, bool>,
}

impl SoFar {
    fn add(&mut self, finished: &Finished) {
        self.range.add(&finished.object);
        self.codes.push(exit_code(finished.object.verdict));
        for (text, shown) in &finished.sometimes {
            *self.sometimes.entry(text.clone()).or_default() |= shown;
        }
    }

    /// A whole range in which no run shows what `sometimes` asks for violates the script.
    fn ask_for_sometimes(&mut self, options: &Run, from: u64, to: u64) {
        if self.range.runs < to - from {
            return;
        }
        for (text, _) in self.sometimes.iter().filter(|(_, shown)| !**shown) {
            self.codes.push(exit_code(RunVerdict::Violated));
            self.range.groups.push(Group {
                signature: format!("script: sometimes {text}: no run shows it"),
                property: "script".to_owned(),
                count: self.range.runs,
                first_seed: from.to_string(),
                reproduce: format!(
                    "sim-runner {} --seeds {from}..{to}",
                    options.which.scenario.display()
                ),
            });
        }
    }
}

/// Takes results as they come and prints them in order.
fn collect(
    options: &Run,
    from: u64,
    finished: &mpsc::Receiver<(u64, Result<Finished, Failed>)>,
    bar: &ProgressBar,
    stop: &AtomicBool,
    so_far: &mut SoFar,
) -> Result<(), Failed> {
    let mut early = BTreeMap::new();
    let mut next = from;
    for (seed, result) in finished {
        early.insert(seed, result?);
        while let Some(run) = early.remove(&next) {
            next += 1;
            so_far.add(&run);
            bar.inc(1);
            bar.set_message(format!("{} hold", so_far.range.holds));
            if options.json {
                print(&format!("{}\n", run.object.to_line()))?;
            }
            if options.until_failure && run.object.verdict != RunVerdict::Holds {
                stop.store(true, Ordering::Relaxed);
                return Ok(());
            }
        }
    }
    Ok(())
}

/// One seed in a process of its own.
fn one(options: &Run, seed: u64) -> Result<Finished, Failed> {
    let seed = Seed::parse(&seed.to_string()).map_err(Failed::Usage)?;
    let job = options.which.job(seed, true, crate::run::ReportTo::Nowhere);
    let fault = |text: String| Failed::Testbed(format!("seed {}: {text}", job.seed.text));
    let program = std::env::current_exe().map_err(|error| fault(error.to_string()))?;
    let mut command = Command::new(program);
    command.arg("run").args(job.arguments()).arg("--json").stdin(Stdio::null());
    command.env(ASIDE_VARIABLE, "1");
    if options.no_replay {
        command.arg("--no-replay");
    }
    if options.no_report {
        command.arg("--no-report");
    } else {
        let folder = options.out.clone().unwrap_or_else(|| PathBuf::from(REPORTS));
        command.arg("--report-on-failure").arg("--out").arg(folder);
    }
    let output = command.output().map_err(|error| fault(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let object = serde_json::from_slice(&output.stdout).map_err(|_| {
        if output.status.code() == Some(i32::from(EXIT_USAGE)) {
            return Failed::Usage(text.trim().trim_start_matches("sim-runner: ").to_owned());
        }
        fault(format!("the run gave no verdict ({}): {}", output.status, text.trim()))
    })?;
    let asked = |line: &str| {
        let (shown, text) = line.strip_prefix("sometimes ")?.split_once(' ')?;
        Some((text.to_owned(), shown == "true"))
    };
    Ok(Finished { object, sometimes: text.lines().filter_map(asked).collect() })
}

/// A bad scenario is said once, before any process is started.
fn check_once(options: &Run, first: u64) -> Result<(), Failed> {
    let which = &options.which;
    let source = load(&which.scenario, &which.overrides)
        .map_err(|error| Failed::Usage(error.to_string()))?;
    let seed = Seed::parse(&first.to_string()).map_err(Failed::Usage)?;
    lower(&source, &seed).map(drop).map_err(|error| Failed::Usage(error.to_string()))
}

fn range(text: &str) -> Result<(u64, u64), Failed> {
    let parsed =
        text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    match parsed {
        Some((from, to)) if from < to => Ok((from, to)),
        _ => Err(Failed::Usage(format!(
            "--seeds {text}: not a range; write A..B with A below B, as in --seeds 0..500"
        ))),
    }
}

fn progress(seeds: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{wide_bar} {pos}/{len} seeds  {msg}  {elapsed} elapsed, {eta} left",
    );
    let bar = ProgressBar::new(seeds);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
