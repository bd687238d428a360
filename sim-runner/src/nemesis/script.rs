//! The script: when each step fires (language section 4).
//!
//! Every step is a task of its own. It waits for its trigger, then for its `when`, acts (perhaps
//! repeatedly), and is finished. Tasks see each other only through `Progress`. A step that fails is
//! finished too: the steps after it go on, and the failure is a violation of `script`.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};

use proconsul::base::runtime::{Runtime, Task};
use proconsul::base::{Duration, Instant, Prng};
use tokio::sync::watch;

use crate::cluster::Cluster;
use crate::fabric::SimRuntime;
use crate::scenario::model::{Condition, EventPattern, Moment, Repeat, Step, Trigger};
use crate::scenario::previous_step;
use crate::trace::conditions::holds;
use crate::trace::event::{Host, What};

use super::undo::Undo;

/// The running script.
#[derive(Clone)]
pub struct Script {
    pub(super) cluster: Cluster,
    pub(super) runtime: SimRuntime,
    progress: Arc<Progress>,
}

/// What every step has done so far.
struct Progress {
    cells: Mutex<Vec<Cell>>,
    /// Counts finished steps, so that others can wait for one.
    finished: watch::Sender<u64>,
}

/// What a step's draws are for. A target that `expand` has resolved is not drawn again, so the other
/// draws must not come from the same stream.
#[derive(Clone, Copy)]
pub(super) enum Draw {
    /// Whom it acts on.
    Target,
    /// Shapes and pauses.
    Rest,
}

struct Cell {
    target_draws: Prng,
    other_draws: Prng,
    finished: Option<Instant>,
    /// What is to be undone, in the order it was done.
    undo: Vec<Undo>,
}

impl Script {
    /// Of the cluster's plan.
    #[must_use]
    pub fn new(cluster: &Cluster) -> Self {
        let plan = cluster.plan();
        let cell = |step: &Step| Cell {
            target_draws: plan.seed.stream(&format!("step/{}/target", step.id)),
            other_draws: plan.seed.stream(&format!("step/{}/rest", step.id)),
            finished: None,
            undo: Vec::new(),
        };
        Self {
            runtime: cluster.runtime(cluster.testbed()),
            cluster: cluster.clone(),
            progress: Arc::new(Progress {
                cells: Mutex::new(plan.steps.iter().map(cell).collect()),
                finished: watch::Sender::new(0),
            }),
        }
    }

    /// Starts all steps.
    pub fn start(&self) -> Vec<impl Task + use<>> {
        let steps = self.cluster.plan().steps.iter().enumerate();
        let outer = steps.filter(|(_, step)| step.parent.is_none()).map(|(index, _)| index);
        outer.map(|index| self.runtime.spawn("step", self.clone().run_step(index))).collect()
    }

    /// Waits until every step of the script (chaos aside) has finished.
    pub async fn finished(&self) {
        let plan = self.cluster.plan();
        let own = |step: &Step| !step.chaos && step.parent.is_none();
        for (index, _) in plan.steps.iter().enumerate().filter(|(_, step)| own(step)) {
            self.step_finished(index).await;
        }
    }

    /// Ids of the script's steps that have not finished.
    #[must_use]
    pub fn unfinished(&self) -> Vec<(usize, String)> {
        let plan = self.cluster.plan();
        let cells = self.cells();
        let open = plan.steps.iter().zip(cells.iter()).enumerate();
        // Of one that stands in another, that other is named.
        open.filter(|(_, (step, cell))| {
            !step.chaos && step.parent.is_none() && cell.finished.is_none()
        })
        .map(|(index, (step, _))| (index, step.id.clone()))
        .collect()
    }

    fn cells(&self) -> MutexGuard<'_, Vec<Cell>> {
        self.progress.cells.lock().expect("a simulation has one thread")
    }

    pub(super) fn draw<T>(&self, index: usize, what: Draw, draw: impl FnOnce(&mut Prng) -> T) -> T {
        let cell = &mut self.cells()[index];
        match what {
            Draw::Target => draw(&mut cell.target_draws),
            Draw::Rest => draw(&mut cell.other_draws),
        }
    }

    pub(super) fn remember(&self, index: usize, undo: Undo) {
        self.cells()[index].undo.push(undo);
    }

    /// What that step has done and nobody has undone; it is the caller's now.
    pub(super) fn take_undo(&self, index: usize) -> Vec<Undo> {
        std::mem::take(&mut self.cells()[index].undo)
    }

    pub(super) fn steps(&self) -> usize {
        self.cluster.plan().steps.len()
    }

    pub(super) fn push(&self, what: What) {
        self.cluster.push(self.cluster.testbed(), what);
    }

    pub(super) fn fail(&self, index: usize, message: String) {
        let id = self.cluster.plan().steps[index].id.clone();
        self.push(What::StepFailed { step: index as u32, id, message });
    }

    pub(super) async fn run_step(self, index: usize) {
        let step = self.cluster.plan().steps[index].clone();
        self.triggered(index, &step).await;
        if let Some(condition) = &step.when
            && !self.becomes(condition, step.within).await
        {
            if step.optional {
                self.push(What::StepSkipped { step: index as u32 });
            } else {
                let (what, within) = (self.shown(condition), step.within);
                self.fail(index, format!("`when`: {what} did not hold within {within:?}"));
            }
            self.finish(index);
            return;
        }
        match &step.repeat {
            None => self.act(index, &step).await,
            Some(repeat) => self.repeat(index, &step, repeat).await,
        }
        self.finish(index);
    }

    async fn triggered(&self, index: usize, step: &Step) {
        let zero = self.cluster.recorder().zero();
        match &step.trigger {
            Trigger::Previous => {
                let steps = &self.cluster.plan().steps;
                if let Some(before) = previous_step(index, step, |other| steps.get(other)) {
                    self.step_finished(before).await;
                }
            }
            Trigger::At(at) => self.sleep_until(zero + *at).await,
            Trigger::AfterStep { step, delay } => {
                let finished = self.step_finished(*step).await;
                self.sleep_until(finished + *delay).await;
            }
            Trigger::AfterEvent { event, delay } => {
                self.occurs(event, 0).await;
                let now = self.cluster.now();
                self.sleep_until(now + *delay).await;
            }
        }
    }

    async fn repeat(&self, index: usize, step: &Step, repeat: &Repeat) {
        let until = match &repeat.between {
            Some((from, to)) => {
                self.moment(from).await;
                Some(to)
            }
            None => None,
        };
        let mut done = 0;
        let mut next = self.cluster.now();
        loop {
            self.act(index, step).await;
            done += 1;
            if repeat.times.is_some_and(|times| done >= times) {
                return;
            }
            // From start to start; what takes longer than that is followed at once.
            next +=
                self.draw(index, Draw::Rest, |p| p.duration(repeat.every.low, repeat.every.high));
            // No further time fits: finished now, not at the end of a pause that leads nowhere.
            if until.is_some_and(|end| self.is_past(end, next)) {
                return;
            }
            self.sleep_until(next).await;
            if until.is_some_and(|end| self.is_past(end, self.cluster.now())) {
                return;
            }
        }
    }

    async fn moment(&self, moment: &Moment) {
        match moment {
            Moment::At(at) => self.sleep_until(self.cluster.recorder().zero() + *at).await,
            Moment::Step(step) => drop(self.step_finished(*step).await),
        }
    }

    /// Whether that moment has come at `at`, as far as one can tell now.
    fn is_past(&self, moment: &Moment, at: Instant) -> bool {
        match moment {
            Moment::At(end) => at >= self.cluster.recorder().zero() + *end,
            Moment::Step(step) => self.cells()[*step].finished.is_some(),
        }
    }

    fn finish(&self, index: usize) {
        let now = self.cluster.now();
        self.cells()[index].finished = Some(now);
        self.push(What::StepFinished { step: index as u32 });
        self.progress.finished.send_modify(|count| *count += 1);
    }

    /// The steps inside a block have not finished yet, this time round.
    pub(super) fn unfinish(&self, block: usize) {
        let steps = &self.cluster.plan().steps;
        let mut cells = self.cells();
        let inside = |step: &Step| step.parent.is_some_and(|parent| parent >= block);
        // Nested steps stand right after their block.
        for place in (block + 1..steps.len()).take_while(|place| inside(&steps[*place])) {
            cells[place].finished = None;
        }
    }

    async fn step_finished(&self, index: usize) -> Instant {
        let mut changes = self.progress.finished.subscribe();
        loop {
            if let Some(at) = self.cells()[index].finished {
                return at;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) async fn sleep(&self, span: Duration) {
        if !span.is_zero() {
            self.runtime.sleep(span).await;
        }
    }

    async fn sleep_until(&self, at: Instant) {
        self.sleep(at.since(self.cluster.now())).await;
    }

    /// Whether the condition holds, now or at most this much later.
    pub(super) async fn becomes(&self, condition: &Condition, within: Duration) -> bool {
        let waiting = self.cluster.recorder().until(|view| holds(condition, view));
        self.within(within, waiting).await
    }

    /// Whether the condition stops holding within this time.
    pub(super) async fn breaks(&self, condition: &Condition, within: Duration) -> bool {
        let waiting = self.cluster.recorder().until(|view| !holds(condition, view));
        self.within(within, waiting).await
    }

    async fn within(&self, span: Duration, work: impl Future<Output = ()> + Send) -> bool {
        self.runtime.timeout(span, work).await.is_ok()
    }

    /// How often the event has occurred so far.
    pub(super) fn count(&self, event: &EventPattern) -> u64 {
        let count =
            |view: &crate::trace::view::View| view.tallies.get(event).map_or(0, |t| t.count);
        self.cluster.recorder().with_view(count)
    }

    /// Waits until the event has occurred more than `seen` times.
    pub(super) async fn occurs(&self, event: &EventPattern, seen: u64) {
        let more = |view: &crate::trace::view::View| {
            view.tallies.get(event).is_some_and(|tally| tally.count > seen)
        };
        self.cluster.recorder().until(more).await;
    }

    /// A text for the timeline: filled in, or as it is written where it cannot be.
    pub(super) fn legible(&self, text: &str) -> String {
        self.fill(text).unwrap_or_else(|_| text.to_owned())
    }

    /// Announces what a step does, and to whom.
    pub(super) fn announce(&self, index: usize, step: &Step, detail: String, targets: &[Host]) {
        self.push(What::StepStarted {
            step: index as u32,
            id: step.id.clone(),
            verb: step.action.verb().to_owned(),
            chaos: step.chaos,
            detail,
            targets: targets.to_vec(),
        });
    }
}
