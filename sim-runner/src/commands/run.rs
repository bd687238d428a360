//! `sim-runner run SCENARIO`: one run, its verdict, its report.

use std::io::Write;
use std::path::PathBuf;

use crate::cli::Run;
use crate::report::RunResult;
use crate::report::summary::{self, Style};
use crate::report::verdict::{VerdictObject, exit_code};
use crate::run::{self, Failed, ReportTo};

use super::bench::peak_kb;
use super::{print, seed};

/// Where reports go that nobody said a place for.
pub const REPORTS: &str = "reports";

/// Runs, prints, and gives the exit code of the verdict.
///
/// # Errors
/// See [`run::run`].
pub fn run(options: &Run) -> Result<u8, Failed> {
    let seed = seed(&options.which, false)?;
    let report = match (&options.out, options.no_report, options.report_on_failure) {
        (_, true, _) => ReportTo::Nowhere,
        (Some(parent), _, true) => ReportTo::OnFailureBelow(parent.clone()),
        (None, _, true) => ReportTo::OnFailureBelow(PathBuf::from(REPORTS)),
        (Some(folder), ..) => ReportTo::Folder(folder.clone()),
        (None, ..) => ReportTo::Below(PathBuf::from(REPORTS)),
    };
    let job = options.which.job(seed, !options.no_replay, report);
    let result = run::run(&job)?;
    if options.json {
        print(&format!("{}\n", VerdictObject::of(&result).to_line()))?;
    } else {
        print(&summary::of_run(&result, Style::of_stdout()))?;
    }
    if std::env::var_os(ASIDE_VARIABLE).is_some() {
        aside(&result);
    }
    Ok(exit_code(result.verdict))
}

/// Asks a run to say on stderr what its JSON object does not hold: for `bench` and for a range, which
/// run it as a child.
pub const ASIDE_VARIABLE: &str = "SIM_RUNNER_ASIDE";

/// Peak memory, and what `sometimes` asked for. A closed stderr is the parent's own fault.
fn aside(result: &RunResult) {
    let mut err = std::io::stderr().lock();
    if let Some(peak) = peak_kb() {
        let _ = writeln!(err, "peak_kb {peak}");
    }
    for (text, shown) in &result.sometimes {
        let _ = writeln!(err, "sometimes {shown} {text}");
    }
}
