//! The same run again, in a fresh process: the proof that it is deterministic.
//!
//! The child is told the digest it must reach. If it reaches another one it hands its whole trace
//! back, because a run that is not deterministic could not be had a second time.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::checker::determinism;
use crate::property::Judgement;
use crate::run::{Failed, Job, simulate_once};
use crate::trace::diff::{FirstDifference, diff};
use crate::trace::event::Header;
use crate::trace::{Trace, file};

/// The hidden command that the child runs.
pub const COMMAND: &str = "replay-of";
/// What the child prints before its trace, when the digests differ.
const DIFFERS: &[u8] = b"differs\n";
/// What it prints when they agree.
const SAME: &[u8] = b"same\n";

/// What came of replaying.
pub enum Replayed {
    /// It was not asked for.
    No,
    /// The same digest.
    Same,
    /// Another one; with the headers of both traces.
    Differs(Box<FirstDifference>, Box<Header>, Box<Header>),
}

impl Replayed {
    /// The judgement of `determinism`; `events`: how many the run had.
    #[must_use]
    pub fn judgement(&self, events: u64) -> Judgement {
        match self {
            Replayed::No => determinism::not_replayed(),
            Replayed::Same => determinism::replayed(events, None),
            Replayed::Differs(difference, ..) => determinism::replayed(events, Some(difference)),
        }
    }
}

/// Runs the job again in a child process.
///
/// # Errors
/// The child could not be run, or failed.
pub fn replay(job: &Job, trace: &Trace) -> Result<Replayed, String> {
    let program = std::env::current_exe().map_err(|error| format!("own program: {error}"))?;
    let output = Command::new(program)
        .arg(COMMAND)
        .arg(trace.digest())
        .args(job.arguments())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("cannot start the replay: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the replay failed ({}): {}", output.status, text.trim()));
    }
    if output.stdout == SAME {
        return Ok(Replayed::Same);
    }
    let bytes = output.stdout.strip_prefix(DIFFERS).ok_or("the replay gave no answer")?;
    let other = file::from_binary(bytes)?;
    let own = trace.recording();
    match diff(&own, &other) {
        Some(difference) => Ok(Replayed::Differs(
            Box::new(difference),
            Box::new(own.header),
            Box::new(other.header),
        )),
        None => Err("the digests differ, but no event does".to_owned()),
    }
}

/// The child's side.
///
/// # Errors
/// As [`simulate_once`].
pub fn serve(job: &Job, expected: &str) -> Result<(), Failed> {
    let (_, _, evidence) =
        simulate_once(&job.scenario, &job.seed, &job.overrides, job.plant.as_deref())?;
    let mut out = std::io::stdout().lock();
    let written = if evidence.trace.digest() == expected {
        out.write_all(SAME)
    } else {
        out.write_all(DIFFERS).and_then(|()| out.write_all(&file::to_binary(&evidence.trace)))
    };
    written.and_then(|()| out.flush()).map_err(|error| Failed::Testbed(error.to_string()))
}
