//! From a script and a seed to a plan: every draw that does not depend on the state of the run.
//!
//! Each draw has a stream of its own, labelled with the step's id (or the table's number for chaos),
//! so that adding a step, or giving one a range, moves the draws of no other.
//!
//! **The length of a run** that is not written is the estimated end of the last step plus 10 s, at
//! least 30 s. The estimate of a step that waits is its limit (`within`); of one that waits for an
//! event 60 s; of a start or stop 10 s; of an answer 5 s. Steps that chaos made count by their start.
//! The estimate is made of drawn times only, so that the expanded scenario has the same length; for
//! the same reason chaos over "the whole run" then ends 10 s before its end.

use proconsul::base::Duration;

use super::chaos::{self, draw};
use super::diagnostic::Diagnostics;
use super::fault::ClockFault;
use super::model::{Action, Moment, Plan, Seed, Step, TimePlan, Trigger, Wait};
use super::order::previous;
use super::signed::{draw_ns, draw_ppm};
use super::source::Source;
use super::step::StepDraft;

/// After the last step, when `run` is not written.
const MARGIN: Duration = Duration::from_secs(10);
/// The shortest run that is not written.
const SHORTEST: Duration = Duration::from_secs(30);
/// How long an event is assumed to be waited for.
const EVENT: Duration = Duration::from_secs(60);
/// How long a start or stop is assumed to take.
const PROCESS: Duration = Duration::from_secs(10);
/// How long an answer is assumed to take.
const ANSWER: Duration = Duration::from_secs(5);

/// Applies a seed.
///
/// # Errors
/// Chaos that would become more steps than anybody can have meant.
pub fn lower(source: &Source, seed: &Seed) -> Result<Plan, Diagnostics> {
    let script = &source.script;
    let mut steps: Vec<Step> = script.steps.iter().map(|draft| drawn(draft, seed)).collect();
    let explicit = script.time.run;
    // Chaos in explicit windows first: it decides how long a run is that is not written.
    let mut tables: Vec<Option<Vec<Step>>> = vec![None; script.chaos.len()];
    for (index, chaos) in script.chaos.iter().enumerate() {
        if let Some((from, to)) = chaos.between {
            let to = explicit.map_or(to, |run| to.min(run));
            tables[index] = Some(chaos_steps(source, index, (from, to), seed)?);
        }
    }
    let run = explicit.unwrap_or_else(|| length(&steps, tables.iter().flatten().flatten()));
    for (index, table) in tables.iter_mut().enumerate() {
        if table.is_none() {
            let to = if explicit.is_some() { run } else { run.saturating_sub(MARGIN) };
            *table = Some(chaos_steps(source, index, (Duration::ZERO, to), seed)?);
        }
    }
    steps.extend(tables.into_iter().flatten().flatten());
    let mut workloads = Vec::new();
    for draft in &script.workloads {
        let mut workload = draft.workload.clone();
        workload.between = draft.between.unwrap_or((Duration::ZERO, run));
        workloads.push(workload);
    }
    Ok(Plan {
        title: script.title.clone(),
        story: script.story.clone(),
        source: script.source.clone(),
        seed: seed.clone(),
        cluster: script.cluster.clone(),
        network: script.network.clone(),
        disk: script.disk,
        clock: script.clock,
        time: TimePlan {
            run,
            run_is_explicit: explicit.is_some(),
            settle: script.time.settle,
            boot_within: script.time.boot_within,
        },
        workloads,
        steps,
        expects: script.expects.clone(),
    })
}

fn chaos_steps(
    source: &Source,
    index: usize,
    window: (Duration, Duration),
    seed: &Seed,
) -> Result<Vec<Step>, Diagnostics> {
    let chaos = &source.script.chaos[index];
    let place = source.files.line(chaos.place);
    chaos::steps(chaos, index + 1, window, seed, &place)
        .map_err(|error| Diagnostics::new(&source.files, vec![error]))
}

/// Draws a step's ranges.
fn drawn(draft: &StepDraft, seed: &Seed) -> Step {
    let mut step = draft.step.clone();
    let id = &draft.step.id;
    let value = |part: &str, span| draw(&mut seed.stream(&format!("step/{id}/{part}")), span);
    if let Some(span) = draft.start {
        let time = value("start", span);
        match &mut step.trigger {
            Trigger::At(at) => *at = time,
            Trigger::AfterStep { delay, .. } | Trigger::AfterEvent { delay, .. } => *delay = time,
            Trigger::Previous => {}
        }
    }
    if let Some(span) = draft.undo {
        step.undo_after = Some(value("for", span));
    }
    if let (Some(range), Action::Wait(Wait::For { span, .. })) = (draft.wait, &mut step.action) {
        *span = value("for", range);
    }
    if let (Some(range), Action::Clock { fault, .. }) = (draft.by, &mut step.action) {
        let mut stream = seed.stream(&format!("step/{id}/by"));
        match fault {
            ClockFault::Drift(ppm) => *ppm = draw_ppm(&mut stream, range),
            ClockFault::Skew(by) | ClockFault::Jump(by) | ClockFault::Strobe { by_ns: by, .. } => {
                *by = draw_ns(&mut stream, range);
            }
        }
    }
    step
}

/// The length of a run that is not written.
fn length<'s>(steps: &'s [Step], chaos: impl Iterator<Item = &'s Step>) -> Duration {
    let scripted = |step: &&Step| !step.chaos;
    let ends = ends(steps);
    let last = steps.iter().zip(&ends).filter(|(step, _)| scripted(step)).map(|(_, end)| *end);
    let start = |step: &Step| match step.trigger {
        Trigger::At(at) => at,
        _ => Duration::ZERO,
    };
    let faults = steps.iter().filter(|step| step.chaos).chain(chaos).map(start);
    last.chain(faults).max().map_or(SHORTEST, |end| (end + MARGIN).max(SHORTEST))
}

/// When each step is expected to begin and to have finished, at the latest.
#[derive(Clone, Copy, Default)]
struct Spell {
    start: Option<Duration>,
    end: Option<Duration>,
}

/// The latest time at which each step is expected to have finished.
fn ends(steps: &[Step]) -> Vec<Duration> {
    let mut spells = vec![Spell::default(); steps.len()];
    let mut inside: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for (index, step) in steps.iter().enumerate() {
        step.parent.into_iter().for_each(|parent| inside[parent].push(index));
    }
    // Every round settles at least the next step of each chain; there are no cycles.
    for _ in 0..=2 * steps.len() {
        for (index, step) in steps.iter().enumerate() {
            if spells[index].start.is_none() {
                spells[index].start = start(steps, index, &spells);
            }
            if spells[index].end.is_none() {
                spells[index].end = end(step, &inside[index], index, &spells);
            }
        }
        if spells.iter().all(|spell| spell.end.is_some()) {
            break;
        }
    }
    spells.into_iter().map(|spell| spell.end.unwrap_or_default()).collect()
}

fn start(steps: &[Step], index: usize, spells: &[Spell]) -> Option<Duration> {
    let step = &steps[index];
    let block = match step.parent {
        None => Duration::ZERO,
        Some(parent) => spells[parent].start?,
    };
    let start = match &step.trigger {
        Trigger::Previous => match previous(index, step, |other| steps.get(other)) {
            None => block,
            Some(before) => spells[before].end?,
        },
        Trigger::At(at) => *at,
        Trigger::AfterStep { step, delay } => spells[*step].end? + *delay,
        Trigger::AfterEvent { delay, .. } => EVENT + *delay,
    };
    let waits = step.when.as_ref().map_or(Duration::ZERO, |_| step.within);
    Some(start.max(block) + waits)
}

fn end(step: &Step, inside: &[usize], index: usize, spells: &[Spell]) -> Option<Duration> {
    let start = spells[index].start?;
    let mut last = start;
    for nested in inside {
        last = last.max(spells[*nested].end?);
    }
    let once = match step.action {
        Action::Repeat { times } => last.saturating_sub(start) * times,
        Action::Parallel => last.saturating_sub(start),
        _ => takes(step),
    };
    let Some(repeat) = &step.repeat else { return Some(start + once) };
    let counted = repeat.times.map(|times| start + (repeat.every.high + once) * times);
    let window = match &repeat.between {
        None => None,
        Some((_, Moment::At(to))) => Some(*to + once),
        Some((_, Moment::Step(step))) => Some(spells[*step].end? + once),
    };
    match (counted, window) {
        (Some(counted), Some(window)) => Some(counted.min(window)),
        (counted, window) => counted.or(window),
    }
}

fn takes(step: &Step) -> Duration {
    let own = match &step.action {
        Action::Start { .. }
        | Action::Restart { .. }
        | Action::Readdress { .. }
        | Action::Stop { .. }
        | Action::Leave { .. } => PROCESS,
        Action::Http(http) if http.retry => step.within,
        Action::Cli(cli) if cli.retry => step.within,
        Action::Dns(dns) if dns.retry => step.within,
        Action::Http(_)
        | Action::Cli(_)
        | Action::Dns(_)
        | Action::TransferLeader { .. }
        | Action::Register { .. }
        | Action::Deregister { .. }
        | Action::Join { .. }
        | Action::ForceLeave { .. } => ANSWER,
        Action::Wait(Wait::For { span, .. }) => *span,
        Action::Wait(_) => step.within,
        _ => Duration::ZERO,
    };
    own + step.undo_after.unwrap_or_default()
}
