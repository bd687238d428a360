//! `sim-runner check PATH` and `sim-runner diff A B`: judging and comparing what runs left behind.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::checker::Evidence;
use crate::checker::linearizable::{self, Budget};
use crate::cli::{Check, Diff};
use crate::history::{History, file as history_file};
use crate::judging::judge;
use crate::property::{Judgement, Verdict};
use crate::replay::Replayed;
use crate::report::OperationTally;
use crate::report::folder::{HISTORY, SCENARIO, TRACE, VERDICT};
use crate::report::verdict::{
    PropertyObject, RunVerdict, VerdictObject, ViolationObject, exit_code,
};
use crate::run::Failed;
use crate::scenario::model::Seed;
use crate::scenario::{load, lower};
use crate::trace::diff::diff as first_difference;
use crate::trace::{Recording, file as trace_file};

use super::print;

/// Judges a folder or a history.
///
/// # Errors
/// Files that cannot be read or are not what they must be.
pub fn check(options: &Check) -> Result<u8, Failed> {
    let judgements = if options.path.is_dir() {
        check_folder(&options.path)?
    } else {
        let history = read_history(&options.path)?;
        let evidence = linearizable::Evidence::none();
        vec![linearizable::check(&history, &evidence, Budget::default()).judgement]
    };
    let verdict = RunVerdict::of(&judgements);
    if options.json {
        let properties: Vec<_> = judgements.iter().map(PropertyObject::of).collect();
        let violations: Vec<_> = violations(&judgements).map(ViolationObject::of).collect();
        let object = json!({
            "path": options.path.display().to_string(),
            "verdict": verdict.word(),
            "properties": properties,
            "violations": violations,
        });
        print(&format!("{object}\n"))?;
    } else {
        print(&text(&options.path, verdict, &judgements))?;
    }
    Ok(exit_code(verdict))
}

fn violations(judgements: &[Judgement]) -> impl Iterator<Item = &crate::property::Violation> {
    judgements.iter().filter(|j| j.verdict == Verdict::Violated).flat_map(|j| &j.violations)
}

fn text(path: &Path, verdict: RunVerdict, judgements: &[Judgement]) -> String {
    let mut text = format!("{}  {}\n\n", verdict.word(), path.display());
    let width = judgements.iter().map(|j| j.property.len()).max().unwrap_or(0);
    for judgement in judgements {
        let word = judgement.verdict.word();
        text += &format!("  {:width$}  {word:9}  {:>7}", judgement.property, judgement.judged);
        match &judgement.because {
            Some(because) => text += &format!("  {because}\n"),
            None => text.push('\n'),
        }
    }
    for violation in violations(judgements) {
        text += &format!("\n{}: {}\n", violation.property, violation.summary);
        for line in &violation.detail {
            text += &format!("    {line}\n");
        }
    }
    text
}

/// The same verdict as the run gave, from its files. Whether it was deterministic is taken from its
/// `verdict.json`: the second execution is not in the folder.
fn check_folder(folder: &Path) -> Result<Vec<Judgement>, Failed> {
    let usage = |error: &dyn ToString| Failed::Usage(error.to_string());
    let recording = trace_file::read(&folder.join(TRACE)).map_err(|error| usage(&error))?;
    let history = read_history(&folder.join(HISTORY))?;
    let told = told(&folder.join(VERDICT));
    if let Some(told) = &told {
        as_it_was_written(folder, told, &recording, &history)?;
    }
    let source = load(&folder.join(SCENARIO), &[]).map_err(|error| usage(&error))?;
    let seed = Seed::parse(&recording.header.seed).map_err(Failed::Usage)?;
    let plan = lower(&source, &seed).map_err(|error| usage(&error))?;
    let evidence = Evidence::new(recording, history.operations().to_vec());
    let mut judged = judge(&plan, &evidence, &history, &Replayed::No).judgements;
    if let Some(told) = told.and_then(told_determinism)
        && let Some(own) = judged.iter_mut().find(|j| j.property == "determinism")
    {
        *own = told;
    }
    Ok(judged)
}

/// What the run said, where its `verdict.json` is still there.
fn told(path: &Path) -> Option<VerdictObject> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}

/// Lines that were cut off or changed are still a trace and a history, but not those of the run.
fn as_it_was_written(
    folder: &Path,
    told: &VerdictObject,
    recording: &Recording,
    history: &History,
) -> Result<(), Failed> {
    let changed = |file: &str, what: String| {
        let path = folder.join(file).display().to_string();
        Err(Failed::Usage(format!("{path}: not as the run wrote it: {what}, see {VERDICT}")))
    };
    let digest = recording.digest();
    if digest != told.trace {
        return changed(
            TRACE,
            format!("its digest is {digest}, that of the run was {}", told.trace),
        );
    }
    let OperationTally { ok, fail, unknown } = told.operations;
    let (found, written) = (history.operations().len() as u64, ok + fail + unknown);
    if found != written {
        return changed(HISTORY, format!("{found} operations instead of {written}"));
    }
    Ok(())
}

fn told_determinism(object: VerdictObject) -> Option<Judgement> {
    let property = object.properties.into_iter().find(|p| p.name == "determinism")?;
    let because = "as the run found; its second execution is not in the folder".to_owned();
    let violations = object.violations.into_iter().filter(|v| v.property == "determinism");
    Some(Judgement {
        property: property.name,
        verdict: property.verdict,
        judged: property.judged,
        because: Some(because),
        violations: violations
            .map(|violation| crate::property::Violation {
                property: violation.property,
                at: (violation.at_s * 1e9) as i64,
                summary: violation.summary,
                signature: violation.signature,
                operations: Vec::new(),
                events: Vec::new(),
                detail: Vec::new(),
            })
            .collect(),
    })
}

fn read_history(path: &Path) -> Result<History, Failed> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| Failed::Usage(format!("{name}: {error}")))?;
    history_file::read(&name, &bytes).map_err(|error| Failed::Usage(error.to_string()))
}

/// Shows the first event in which two runs differ; exit code 1 when they do.
///
/// # Errors
/// Traces that cannot be read.
pub fn diff(options: &Diff) -> Result<u8, Failed> {
    let (left, right) = (read_trace(&options.left)?, read_trace(&options.right)?);
    match first_difference(&left, &right) {
        None => {
            let events = left.events.len();
            print(&format!("no difference: {events} events, digest {}\n", left.digest()))?;
            Ok(0)
        }
        Some(difference) => {
            print(&format!("{difference}\n"))?;
            Ok(1)
        }
    }
}

fn read_trace(path: &Path) -> Result<Recording, Failed> {
    let path: PathBuf = if path.is_dir() { path.join(TRACE) } else { path.to_owned() };
    trace_file::read(&path).map_err(|error| Failed::Usage(error.to_string()))
}
