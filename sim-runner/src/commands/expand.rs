//! `sim-runner expand SCENARIO --seed S`: the scenario with every draw resolved.
//!
//! Whom a drawn target falls on depends on who is up when the step fires, so the run is simulated
//! once and the expanded scenario names the nodes that were hit. It runs to the same digest.

use crate::cli::Expand;
use crate::run::{Failed, resolved_targets, simulate_once};

use super::{print, seed};

/// Prints the expanded scenario.
///
/// # Errors
/// A bad scenario, or a fault of the testbed.
pub fn expand(options: &Expand) -> Result<u8, Failed> {
    let which = &options.which;
    let seed = seed(which, false)?;
    let plant = which.plant.as_deref();
    let (source, _, evidence) = simulate_once(&which.scenario, &seed, &which.overrides, plant)?;
    let recording = evidence.trace.recording();
    let resolved = resolved_targets(&recording.header, &recording.events);
    let text = crate::scenario::expand(&source, &seed, &resolved)
        .map_err(|error| Failed::Usage(error.to_string()))?;
    print(&text)?;
    Ok(0)
}
