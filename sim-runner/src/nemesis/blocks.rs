//! `repeat` and `parallel`: steps that consist of steps (language section 6).
//!
//! A nested step waits for its own trigger and condition like any other; what is different is who
//! starts it. In a `repeat` they go one after the other, whatever their triggers; a time that has
//! passed is at once, and what was finished the last time round is not any more. In a `parallel` they
//! start together.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use crate::scenario::model::{Action, Step};

use super::script::Script;

/// A step that runs inside another.
type Nested = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Script {
    /// Runs the steps of a block.
    pub(super) async fn block(&self, index: usize, step: &Step) {
        let inside = self.nested(index);
        match step.action {
            Action::Repeat { times } => {
                self.announce(index, step, format!("{times} times"), &[]);
                for _ in 0..times {
                    self.unfinish(index);
                    for nested in &inside {
                        self.run_nested(*nested).await;
                    }
                }
            }
            _ => {
                self.announce(index, step, String::new(), &[]);
                self.unfinish(index);
                all(inside.into_iter().map(|nested| self.run_nested(nested)).collect()).await;
            }
        }
    }

    fn nested(&self, block: usize) -> Vec<usize> {
        let steps = self.cluster.plan().steps.iter().enumerate();
        steps.filter(|(_, step)| step.parent == Some(block)).map(|(index, _)| index).collect()
    }

    fn run_nested(&self, index: usize) -> Nested {
        Box::pin(self.clone().run_step(index))
    }
}

/// Waits for all of them. Polled in their order, so that a run is the same every time.
async fn all(mut running: Vec<Nested>) {
    poll_fn(|cx| {
        running.retain_mut(|step| step.as_mut().poll(cx).is_pending());
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
