//! The command line of `sim-runner`.
//!
//! A scenario as the first argument means `run`: `sim-runner scenarios/leader_loss.toml --seed 42`.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::replay;
use crate::run::{Job, ReportTo};
use crate::scenario::model::Seed;

/// Deterministic simulation of whole Proconsul clusters.
#[derive(Debug, Parser)]
#[command(name = "sim-runner", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a scenario, replay it, check it and write a report (the default).
    Run(Run),
    /// Print a scenario with every draw resolved and chaos turned into steps.
    Expand(Expand),
    /// List the scenarios below a folder, and the planted bugs.
    List(List),
    /// Judge the folder of a run again, or a client history (FILE.jsonl).
    Check(Check),
    /// Show the first event in which two runs differ (folders, or trace.jsonl files).
    Diff(Diff),
    /// Measure the speed of simulating.
    Bench(Bench),
    /// The second execution of a run, in its own process.
    #[command(name = replay::COMMAND, hide = true)]
    ReplayOf(ReplayOf),
}

/// Which run.
#[derive(Clone, Debug, Args)]
pub struct Which {
    /// The scenario file.
    pub scenario: PathBuf,
    /// Decimal, 0x hex, or 40 hex digits; drawn and printed when it is not given.
    #[arg(long)]
    pub seed: Option<String>,
    /// Override a value of the scenario: cluster.servers=5, step.cut.at=20s.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Arm one planted bug (`sim-runner list` names them).
    #[arg(long, value_name = "NAME")]
    pub plant: Option<String>,
}

/// `run`.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    #[expect(missing_docs, reason = "flattened into the help")]
    pub which: Which,
    /// Run a range of seeds on all cores; B is excluded.
    #[arg(long, value_name = "A..B", conflicts_with = "seed")]
    pub seeds: Option<String>,
    /// With --seeds: stop at the first seed that does not hold.
    #[arg(long, requires = "seeds", conflicts_with = "seed")]
    pub until_failure: bool,
    /// Print one JSON object (with --seeds: one a line, then a summary) instead of text.
    #[arg(long)]
    pub json: bool,
    /// Do not run it a second time to prove that it is deterministic.
    #[arg(long)]
    pub no_replay: bool,
    /// Write nothing to disk.
    #[arg(long, conflicts_with = "out")]
    pub no_report: bool,
    /// Write the report to this folder (of a range: below it) instead of below ./reports.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write a report only when the run does not hold.
    #[arg(long, hide = true)]
    pub report_on_failure: bool,
}

/// `expand`.
#[derive(Debug, Args)]
pub struct Expand {
    #[command(flatten)]
    #[expect(missing_docs, reason = "flattened into the help")]
    pub which: Which,
}

/// `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Where to look.
    #[arg(default_value = "scenarios")]
    pub folder: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// A run's folder, or a history.
    pub path: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// `diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// One run.
    pub left: PathBuf,
    /// The other.
    pub right: PathBuf,
}

/// `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Executions of each scenario; the median counts.
    #[arg(long, default_value_t = 5)]
    pub runs: u32,
    /// Where the scenarios are.
    #[arg(long, default_value = "scenarios")]
    pub folder: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// The hidden command of the replay.
#[derive(Debug, Args)]
pub struct ReplayOf {
    /// The digest to reach.
    pub digest: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "flattened into the help")]
    pub which: Which,
}

impl Which {
    /// The job, with this seed.
    #[must_use]
    pub fn job(&self, seed: Seed, replay: bool, report: ReportTo) -> Job {
        Job {
            scenario: self.scenario.clone(),
            seed,
            overrides: self.overrides.clone(),
            plant: self.plant.clone(),
            replay,
            report,
        }
    }
}

/// The arguments with `run` put in front where the first one is no command.
#[must_use]
pub fn with_default_command(arguments: Vec<String>) -> Vec<String> {
    const COMMANDS: [&str; 6] = ["run", "expand", "list", "check", "diff", "bench"];
    let first = arguments.get(1).map(String::as_str).unwrap_or("--help");
    let is_command = COMMANDS.contains(&first) || first == replay::COMMAND;
    if is_command || matches!(first, "-h" | "--help" | "-V" | "--version") {
        return arguments;
    }
    // A bare word that is no file is a misspelt command; clap knows the nearest.
    let word = !first.starts_with('-') && !first.contains(['.', '/']);
    if word && !Path::new(first).exists() {
        return arguments;
    }
    let mut all = arguments;
    all.insert(1, "run".to_owned());
    all
}
