//! The evidence of a run, folded into what a timeline draws.
//!
//! ```text
//!   100,000 events ──fold──►  faults   spans, packed by the page
//!                             nodes    life and role as spans; commit, applied, leader as steps;
//!                                      moments (elections, votes, lost writes); drops per 100 ms
//!                             seen     what others think of a node as a member (members.rs)
//!                             services  counts of instances that pass, warn, are critical (services.rs)
//!                             marks    boot, settle, notes
//!   1,200 operations ──────►  columns  (operations.rs)
//! ```
//!
//! One pass over the trace, whose order is the order of time. Times are virtual µs. What comes by the
//! thousand is aggregated: messages are left out but for the lost ones, which are counted; a series of
//! steps longer than `STEPS` is thinned; repeated minor moments are merged. The page never needs
//! what is lost here, and `trace.jsonl` has it.
//!
//! Deliberately not here: judging, layout, colours.

mod members;
mod node;
mod operations;
mod services;

pub use members::{Opinion, Thought};
pub use node::{Life, LifeSpan, Moment, NodeLane, RoleSpan, Series};
pub use operations::Operations;
pub use services::{Health, ServiceLane};

use std::collections::BTreeMap;

use serde::Serialize;

use super::html::Evidence;
use super::words;
use crate::trace::event::{HostKind, TraceEvent, What};
use members::MembersFold;
use node::NodeFold;
use services::ServicesFold;

/// Most steps of one series; beyond that only the last of each slice of time is kept.
const STEPS: usize = 4_000;
/// Most minor moments of one node.
const MINOR_MOMENTS: usize = 3_000;
/// Lost messages are counted, and repeated moments merged, in slices of this many µs.
const SLICE_US: i64 = 100_000;

/// Everything a timeline draws.
#[derive(Clone, Debug, Serialize)]
pub struct Lanes {
    /// First instant, µs; negative, because boot comes before zero.
    pub start: i64,
    /// Last instant, µs.
    pub end: i64,
    /// End of `[time].run`, µs.
    pub run_end: i64,
    /// What was done to the cluster, in the order of the starts.
    pub faults: Vec<Fault>,
    /// Instants of the whole run.
    pub marks: Vec<Mark>,
    /// Agents, servers first.
    pub nodes: Vec<NodeLane>,
    /// How the instances of services fare.
    pub services: Vec<ServiceLane>,
    /// What the users did.
    pub operations: Operations,
}

/// One step of the script or of chaos.
#[derive(Clone, Debug, Serialize)]
pub struct Fault {
    /// Its id.
    pub id: String,
    /// Its verb.
    pub verb: String,
    /// Drawn by chaos, not written in the script.
    pub chaos: bool,
    /// What it was told, e.g. the target as it was written.
    pub detail: String,
    /// Whom it met.
    pub targets: Vec<String>,
    /// When it fired, µs.
    pub from: i64,
    /// When its effect ended, µs; none when it never did.
    pub to: Option<i64>,
    /// Whether that end was an undoing (`for`, `heal`, settle).
    pub undone: bool,
    /// Why it failed.
    pub failed: Option<String>,
    /// It had nothing to act on.
    pub skipped: bool,
}

/// An instant of the whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Mark {
    /// µs.
    pub at: i64,
    /// `booted`, `note`, `settle-began` …
    pub kind: &'static str,
    /// In words.
    pub text: String,
}

/// Virtual ns as µs, rounded down also before zero.
pub(super) fn micros(at_ns: i64) -> i64 {
    at_ns.div_euclid(1_000)
}

impl Lanes {
    /// Folds the evidence.
    #[must_use]
    pub fn of(evidence: Evidence<'_>) -> Self {
        let header = evidence.header;
        let (start, end) = extent(evidence);
        let mut nodes: BTreeMap<u16, NodeFold> = BTreeMap::new();
        for (index, host) in header.hosts.iter().enumerate() {
            if matches!(host.kind, HostKind::Server | HostKind::Client)
                && let Ok(index) = u16::try_from(index)
            {
                nodes.insert(index, NodeFold::new(host, start));
            }
        }
        let mut steps = Steps::default();
        let mut members = MembersFold::new(header);
        let mut services = ServicesFold::default();
        let mut marks = Vec::new();
        for event in evidence.events {
            let at = micros(event.at);
            steps.take(evidence, event);
            members.take(event);
            services.take(at, &event.what);
            if let Some(node) = nodes.get_mut(&event.host.0) {
                node.take(header, at, &event.what);
            }
            if let Some(kind) = words::milestone(&event.what) {
                marks.push(Mark { at, kind, text: words::describe(header, &event.what) });
            }
        }
        Self {
            start,
            end,
            run_end: micros(header.run_ns),
            faults: steps.faults,
            marks,
            nodes: nodes
                .into_values()
                .zip(members.finish(end))
                .map(|(node, seen)| node.finish(end, seen))
                .collect(),
            services: services.finish(),
            operations: Operations::of(evidence.history),
        }
    }
}

/// From the first to the last instant anything happened; never empty.
fn extent(evidence: Evidence<'_>) -> (i64, i64) {
    let events = evidence.events.iter().map(|event| event.at);
    let calls = evidence.history.iter().map(|operation| operation.called_at);
    let returns = evidence.history.iter().filter_map(|operation| operation.returned_at);
    let instants = events.chain(calls).chain(returns).map(micros);
    let (first, last) = instants.fold((0, 0), |(first, last), at| (at.min(first), at.max(last)));
    (first, last.max(micros(evidence.header.run_ns)).max(first + 1))
}

/// The faults so far, and which of them each step of the plan is at the moment.
#[derive(Default)]
struct Steps {
    faults: Vec<Fault>,
    current: BTreeMap<u32, usize>,
}

impl Steps {
    fn take(&mut self, evidence: Evidence<'_>, event: &TraceEvent) {
        let at = micros(event.at);
        match &event.what {
            What::StepStarted { step, id, verb, chaos, detail, targets } => {
                self.current.insert(*step, self.faults.len());
                self.faults.push(Fault {
                    id: id.clone(),
                    verb: verb.clone(),
                    chaos: *chaos,
                    detail: detail.clone(),
                    targets: targets.iter().map(|&h| words::host(evidence.header, h)).collect(),
                    from: at,
                    to: None,
                    undone: false,
                    failed: None,
                    skipped: false,
                });
            }
            What::StepFinished { step } => {
                if let Some(fault) = self.at(*step)
                    && !fault.undone
                {
                    fault.to = Some(at);
                }
            }
            What::StepUndone { step } => {
                if let Some(fault) = self.at(*step) {
                    (fault.to, fault.undone) = (Some(at), true);
                }
            }
            What::StepSkipped { step } => {
                if let Some(fault) = self.at(*step) {
                    (fault.to, fault.skipped) = (Some(at), true);
                }
            }
            What::StepFailed { step, message, .. } => {
                if let Some(fault) = self.at(*step) {
                    (fault.to, fault.failed) = (Some(at), Some(message.clone()));
                }
            }
            _ => {}
        }
    }

    fn at(&mut self, step: u32) -> Option<&mut Fault> {
        self.current.get(&step).and_then(|&index| self.faults.get_mut(index))
    }
}

#[cfg(test)]
mod tests;
