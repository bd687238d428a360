//! When steps started and finished, and the window of time that an expectation speaks of.

use std::collections::{BTreeMap, BTreeSet};

use crate::checker::evidence::Evidence;
use crate::scenario::model::{Expect, Moment, Rule};
use crate::trace::event::What;

/// Why an expectation has no window.
pub(super) enum Unplaced {
    /// Its step was optional and had nothing to act on.
    Skipped,
    /// That step never started or finished.
    Never(usize),
}

/// When steps started and finished.
pub(super) struct Steps {
    started: BTreeMap<usize, i64>,
    finished: BTreeMap<usize, i64>,
    skipped: BTreeSet<usize>,
    run_end: i64,
    /// The end of the trace, or of the run if that is later.
    pub(super) end: i64,
}

impl Steps {
    pub(super) fn of(evidence: &Evidence) -> Self {
        let run_end = evidence.header.run_ns;
        let last = evidence.events.last().map_or(0, |event| event.at);
        let mut steps = Self {
            started: BTreeMap::new(),
            finished: BTreeMap::new(),
            skipped: BTreeSet::new(),
            run_end,
            end: last.max(run_end),
        };
        for event in &evidence.events {
            match &event.what {
                What::StepStarted { step, .. } => {
                    steps.started.entry(*step as usize).or_insert(event.at);
                }
                What::StepFinished { step } => {
                    steps.finished.entry(*step as usize).or_insert(event.at);
                }
                What::StepSkipped { step } => {
                    steps.skipped.insert(*step as usize);
                }
                _ => {}
            }
        }
        steps
    }

    /// First and last instant that count.
    pub(super) fn window(&self, expect: &Expect) -> Result<(i64, i64), Unplaced> {
        let base = match expect.of {
            Some(step) => self.lookup(&self.started, step)?,
            None => 0,
        };
        let end = match expect.rule {
            Rule::Always(_) | Rule::Never(_) => self.run_end,
            _ => self.end,
        };
        let (mut from, mut to) = match expect.within {
            Some((low, high)) => (base.saturating_add(ns(low)), base.saturating_add(ns(high))),
            None => (base, end),
        };
        if let Some((first, last)) = &expect.between {
            from = from.max(self.moment(first)?);
            to = to.min(self.moment(last)?);
        }
        Ok((from, to))
    }

    fn moment(&self, moment: &Moment) -> Result<i64, Unplaced> {
        match moment {
            Moment::At(at) => Ok(ns(*at)),
            Moment::Step(step) => self.lookup(&self.finished, *step),
        }
    }

    fn lookup(&self, times: &BTreeMap<usize, i64>, step: usize) -> Result<i64, Unplaced> {
        times.get(&step).copied().ok_or(match self.skipped.contains(&step) {
            true => Unplaced::Skipped,
            false => Unplaced::Never(step),
        })
    }
}

pub(super) fn ns(span: proconsul::base::Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}
