//! `sim-runner bench`: how fast simulating is, on this machine.
//!
//! Speed is virtual seconds of `[time].run` per wall second of simulating them, of one execution in a
//! process of its own, without replay and report; the median of several counts.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;

use crate::cli::Bench;
use crate::report::verdict::VerdictObject;
use crate::run::Failed;

use super::print;
use super::run::ASIDE_VARIABLE;

/// What is measured: its name, its file, and the bar.
const SCENARIOS: [(&str, &str, f64); 2] =
    [("leader_loss", "leader_loss.toml", 300.0), ("idle cluster", "fast/idle.toml", 1000.0)];

struct Measured {
    name: &'static str,
    bar: f64,
    speed: f64,
    overhead_ms: f64,
    peak_mb: Option<f64>,
}

/// Measures and prints.
///
/// # Errors
/// A scenario that cannot be run.
pub fn bench(options: &Bench) -> Result<u8, Failed> {
    let mut rows = Vec::new();
    for (name, file, bar) in SCENARIOS {
        rows.push(measure(name, &options.folder.join(file), bar, options.runs.max(1))?);
    }
    let machine = machine();
    if options.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({
                    "name": row.name, "speed": row.speed, "bar": row.bar,
                    "process_overhead_ms": row.overhead_ms, "peak_memory_mb": row.peak_mb,
                })
            })
            .collect();
        print(&format!("{}\n", json!({ "machine": machine, "runs": options.runs, "rows": rows })))?;
        return Ok(0);
    }
    let mut text = format!("{machine}, median of {} executions\n\n", options.runs.max(1));
    text += "  scenario      virtual s per wall s      bar   process overhead   peak memory\n";
    for row in rows {
        let peak = row.peak_mb.map_or("-".to_owned(), |mb| format!("{mb:.0} MB"));
        text += &format!(
            "  {:<12}  {:>20.0}  {:>7.0}   {:>13.1} ms   {peak:>11}\n",
            row.name, row.speed, row.bar, row.overhead_ms
        );
    }
    print(&text)?;
    Ok(0)
}

fn measure(name: &'static str, scenario: &Path, bar: f64, runs: u32) -> Result<Measured, Failed> {
    let mut speeds = Vec::new();
    let mut peaks = Vec::new();
    for seed in 0..runs {
        let (object, peak) = execute(scenario, seed)?;
        speeds.push(object.speed);
        peaks.extend(peak);
    }
    let mut starts = Vec::new();
    for _ in 0..runs {
        starts.push(process_start_ms()?);
    }
    let peak = peaks.into_iter().max();
    Ok(Measured {
        name,
        bar,
        speed: median(speeds),
        overhead_ms: median(starts),
        peak_mb: peak.map(|kb| kb as f64 / 1024.0),
    })
}

/// One execution, and the peak memory of its process in kB where the system tells.
fn execute(scenario: &Path, seed: u32) -> Result<(VerdictObject, Option<u64>), Failed> {
    let mut child = own()?
        .arg("run")
        .arg(scenario)
        .args(["--seed", &seed.to_string(), "--json", "--no-replay", "--no-report"])
        .env(ASIDE_VARIABLE, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failed::Testbed(error.to_string()))?;
    let output = child
        .stdout
        .take()
        .map(std::io::read_to_string)
        .transpose()
        .and_then(|text| child.wait_with_output().map(|rest| (text.unwrap_or_default(), rest)));
    let (text, rest) = output.map_err(|error| Failed::Testbed(error.to_string()))?;
    let errors = String::from_utf8_lossy(&rest.stderr).into_owned();
    let object = serde_json::from_str(&text).map_err(|_| Failed::Usage(errors.clone()))?;
    let peak = errors.lines().find_map(|line| line.strip_prefix("peak_kb ")?.parse().ok());
    Ok((object, peak))
}

/// The peak resident memory of this process in kB, where the system tells.
#[must_use]
pub fn peak_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "measures processes from outside")]
fn process_start_ms() -> Result<f64, Failed> {
    let begin = Instant::now();
    let status = own()?.arg("--version").stdout(Stdio::null()).status();
    status.map_err(|error| Failed::Testbed(error.to_string()))?;
    Ok(begin.elapsed().as_secs_f64() * 1e3)
}

fn own() -> Result<Command, Failed> {
    let program = std::env::current_exe().map_err(|error| Failed::Testbed(error.to_string()))?;
    Ok(Command::new(program))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let profile = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    format!("{}, {cores} cores, {profile}", model.map_or("unknown processor", |(_, name)| name))
}
