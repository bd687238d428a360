//! Script checks: a program and its arguments, without a shell. 0 passes, 1 warns, all else is critical.
//!
//! The end of its output is kept. One that does not start, or whose time is over, counts at once.

use crate::agent::{Health, Probe, ProbeResult};
use crate::base::runtime::{ChildCommand, Runtime};
use crate::base::{Duration, go_duration};

use super::{critical, output_limit, result};

/// For how long a script may run when its check does not say.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn look<R: Runtime>(runtime: &R, probe: &Probe) -> ProbeResult {
    let patience = Some(probe.definition.timeout).filter(|it| !it.is_zero()).unwrap_or(PATIENCE);
    let command = ChildCommand {
        argv: probe.definition.script_args.clone(),
        timeout: Some(patience),
        output_limit: Some(output_limit(probe)),
        ..ChildCommand::default()
    };
    let exit = match runtime.run_child(command).await {
        Ok(exit) => exit,
        Err(error) => return ProbeResult { at_once: true, ..critical(error.to_string()) },
    };
    let kept = exit.output.len();
    let mut output = String::from_utf8_lossy(&exit.output).into_owned();
    if exit.written > kept as u64 {
        output = format!("Captured {kept} of {} bytes\n...\n{output}", exit.written);
    }
    if exit.timed_out {
        let gap = if output.is_empty() { "" } else { "\n\n" };
        let span = go_duration::format(patience);
        let text = format!("Timed out ({span}) running check{gap}{output}");
        return ProbeResult { at_once: true, ..critical(text) };
    }
    let health = match exit.code {
        Some(0) => Health::Passing,
        Some(1) => Health::Warning,
        _ => Health::Critical,
    };
    result(health, output)
}
