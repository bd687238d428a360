//! A simulation, watched from outside: one whose virtual clock stands still is given up.

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::cluster::Progress;
use crate::scenario::model::Plan;
use crate::simulation;

/// Virtual time that stands still for this much wall time is not coming back.
pub const STUCK_AFTER: Duration = Duration::from_secs(60);

/// How a simulation ended.
pub enum Simulated {
    /// With evidence.
    Done(Box<simulation::Evidence>),
    /// The testbed itself failed.
    Crashed(String),
    /// Virtual time stood still.
    Stuck(String),
}

/// Simulates a plan in a thread of its own.
#[must_use]
pub fn simulate_watched(plan: &Plan, plant: Option<&str>) -> Simulated {
    let progress = Arc::new(Progress::default());
    let (done, outcome) = mpsc::channel();
    let (inside, plan, plant) = (progress.clone(), plan.clone(), plant.map(str::to_owned));
    let work = move || {
        let evidence = simulation::run(plan, plant.as_deref(), &inside);
        // Nobody listens any more when the watchdog gave up.
        let _ = done.send(evidence);
    };
    #[expect(clippy::disallowed_methods, reason = "outside the simulation, to watch it")]
    thread::spawn(work);
    let mut seen = 0;
    loop {
        match outcome.recv_timeout(STUCK_AFTER) {
            Ok(Ok(evidence)) => return Simulated::Done(Box::new(evidence)),
            Ok(Err(text)) => return Simulated::Crashed(text),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Simulated::Crashed("the simulation ended without a result".to_owned());
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let now = progress.now_ns.load(Ordering::Relaxed);
                if now == seen {
                    let events = progress.events.load(Ordering::Relaxed);
                    return Simulated::Stuck(format!(
                        "no virtual progress for {} s of wall time: the clock stands at {:.3} s since \
                         the start of boot, after {events} events",
                        STUCK_AFTER.as_secs(),
                        now as f64 / 1e9
                    ));
                }
                seen = now;
            }
        }
    }
}
