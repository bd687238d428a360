//! Both engines in turn, each hopeless where the other is instant (spec checkers 4d).
//!
//! They alternate with doubling slices of steps and are resumed, never restarted, so the total is at
//! most about four times the better of the two. Budgets count steps, never time: a verdict must not
//! depend on the machine.

use super::Engine;
use super::depth_first::DepthFirst;
use super::frontier::Frontier;
use super::problem::{Problem, Progress};

const FIRST_SLICE: u64 = 512;

/// A search of one problem, which can be left and taken up again.
pub(super) struct Search<'a> {
    depth_first: Option<DepthFirst<'a>>,
    frontier: Option<Frontier<'a>>,
    slice: u64,
    failed_at: Option<i64>,
    spent: u64,
}

impl<'a> Search<'a> {
    pub(super) fn new(problem: &'a Problem, engine: Engine) -> Self {
        Self {
            depth_first: (engine != Engine::Frontier).then(|| DepthFirst::new(problem)),
            frontier: (engine != Engine::DepthFirst).then(|| Frontier::new(problem)),
            slice: FIRST_SLICE,
            failed_at: None,
            spent: 0,
        }
    }

    /// Steps so far.
    pub(super) fn steps(&self) -> u64 {
        let frontier = self.frontier.as_ref().map_or(0, |engine| engine.steps);
        self.spent + frontier + self.depth_first.as_ref().map_or(0, |engine| engine.steps)
    }

    /// The return at which the violation is proven, if the engine that answered tells.
    pub(super) fn failed_at(&self) -> Option<i64> {
        self.failed_at
    }

    /// Goes on for about this many steps.
    pub(super) fn run(&mut self, steps: u64) -> Progress {
        let until = self.steps().saturating_add(steps);
        while self.steps() < until {
            let slice = self.slice.min(until - self.steps()).max(1);
            if let Some(engine) = &mut self.frontier {
                match engine.run(slice) {
                    Progress::More => {}
                    Progress::GaveUp => {
                        self.spent += engine.steps;
                        self.frontier = None;
                    }
                    answer => {
                        self.failed_at = engine.failed_at();
                        return answer;
                    }
                }
            }
            if let Some(engine) = &mut self.depth_first {
                match engine.run(slice) {
                    Progress::More => {}
                    answer => return answer,
                }
            }
            if self.frontier.is_none() && self.depth_first.is_none() {
                return Progress::GaveUp;
            }
            self.slice = self.slice.saturating_mul(2);
        }
        Progress::More
    }
}

/// Searches with one budget; [`Progress::More`] when it does not suffice.
pub(super) fn decide(problem: &Problem, engine: Engine, steps: u64) -> (Progress, Option<i64>) {
    let mut search = Search::new(problem, engine);
    let answer = search.run(steps);
    (answer, search.failed_at())
}
