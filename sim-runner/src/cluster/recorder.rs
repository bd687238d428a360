//! The one place that facts of a run go to: trace, live view, history.
//!
//! Boot takes an unknown time and time zero is its end, so events are held back until
//! [`Recorder::begin`] names that moment; then they enter the trace with their (negative) times.
//!
//! Whoever waits for a condition is woken when the view's revision changes, not at every event.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

use proconsul::base::Instant;

use crate::history::{History, Recorder as HistoryRecorder};
use crate::scenario::model::{Action, Condition, EventPattern, Plan, Trigger, Wait};
use crate::trace::Trace;
use crate::trace::conditions::patterns_of;
use crate::trace::event::{Header, Host, TraceEvent, What};
use crate::trace::view::View;

/// Cheap to clone; all clones write to the same run.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    trace: Trace,
    view: View,
    history: HistoryRecorder,
    /// The moment of time zero; none while booting.
    zero: Option<Instant>,
    held: Vec<(Instant, Host, What)>,
    waiting: Vec<Waker>,
    /// Agents that were sent a signal.
    stopping: BTreeSet<Host>,
    watched: Vec<EventPattern>,
    progress: Arc<Progress>,
}

/// How far the run is, for watchers outside the simulation.
#[derive(Debug, Default)]
pub struct Progress {
    /// Virtual ns since the simulation started, of the last event.
    pub now_ns: AtomicU64,
    /// Events so far.
    pub events: AtomicU64,
}

impl Recorder {
    /// An empty run.
    #[must_use]
    pub fn new(header: Header, plan: &Plan, progress: Arc<Progress>) -> Self {
        let watched = watched(plan);
        let view = View::new(&header, &watched);
        Self {
            inner: Arc::new(Mutex::new(Inner {
                trace: Trace::new(header),
                view,
                history: HistoryRecorder::default(),
                zero: None,
                held: Vec::new(),
                waiting: Vec::new(),
                stopping: BTreeSet::new(),
                watched,
                progress,
            })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("a simulation has one thread, and a panic there ends the run")
    }

    /// Records a fact.
    pub fn push(&self, at: Instant, host: Host, what: What) {
        let mut inner = self.lock();
        inner.progress.now_ns.store(at.as_nanos(), Ordering::Relaxed);
        inner.progress.events.fetch_add(1, Ordering::Relaxed);
        let Some(zero) = inner.zero else {
            let before = inner.view.revision();
            let event = TraceEvent { at: offset(at, Instant::ZERO), host, what };
            inner.view.apply(&event);
            inner.held.push((at, host, event.what));
            inner.wake(before);
            return;
        };
        inner.record(TraceEvent { at: offset(at, zero), host, what });
    }

    /// Time zero is now: boot is over.
    pub fn begin(&self, now: Instant) {
        let mut inner = self.lock();
        inner.zero = Some(now);
        inner.view = View::new(inner.trace.header(), &inner.watched);
        for (at, host, what) in std::mem::take(&mut inner.held) {
            inner.record(TraceEvent { at: offset(at, now), host, what });
        }
    }

    /// Run time of a moment, ns; before [`Recorder::begin`] since the start of the simulation.
    #[must_use]
    pub fn run_time(&self, at: Instant) -> i64 {
        offset(at, self.lock().zero.unwrap_or(Instant::ZERO))
    }

    /// The moment of time zero.
    #[must_use]
    pub fn zero(&self) -> Instant {
        self.lock().zero.unwrap_or(Instant::ZERO)
    }

    /// What an agent's address is after so many changes of it.
    #[must_use]
    pub fn moved(&self, host: Host, times: u32) -> String {
        self.lock().trace.header().moved(host, times)
    }

    /// The host that stands for the testbed: the last.
    #[must_use]
    pub fn testbed(&self) -> Host {
        Host(self.lock().trace.header().hosts.len() as u16 - 1)
    }

    /// Looks at the run as it is now.
    pub fn with_view<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.lock().view)
    }

    /// Writes to the history.
    pub fn with_history<T>(&self, write: impl FnOnce(&mut HistoryRecorder) -> T) -> T {
        write(&mut self.lock().history)
    }

    /// This operation is a write; to be said before it is recorded as called.
    pub fn know_write(&self, op: u64) {
        self.lock().view.operations.know_writes([op]);
    }

    /// Waits until this is true of the run, looking whenever the view has changed.
    pub async fn until(&self, mut holds: impl FnMut(&View) -> bool) {
        let mut seen = None;
        poll_fn(|cx| {
            let mut inner = self.lock();
            let revision = inner.view.revision();
            if seen != Some(revision) {
                seen = Some(revision);
                if holds(&inner.view) {
                    return Poll::Ready(());
                }
            }
            inner.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// A signal was sent there: an end of the process is no surprise.
    pub fn expect_stop(&self, host: Host) {
        self.lock().stopping.insert(host);
    }

    /// Whether it is still on its way out.
    #[must_use]
    pub fn is_stopping(&self, host: Host) -> bool {
        self.lock().stopping.contains(&host)
    }

    /// A new process has nothing to do with the signals of the old one.
    pub fn forget_stop(&self, host: Host) {
        self.lock().stopping.remove(&host);
    }

    /// Whether it was, since the process started.
    #[must_use]
    pub fn stop_was_expected(&self, host: Host) -> bool {
        self.lock().stopping.remove(&host)
    }

    /// The whole run, at its end.
    #[must_use]
    pub fn finish(&self, run_end_ns: i64) -> (Trace, History) {
        let mut inner = self.lock();
        if inner.zero.is_none() {
            // It never booted: time zero is the end.
            drop(inner);
            self.begin(Instant::ZERO);
            inner = self.lock();
        }
        let header = inner.trace.header().clone();
        let mut trace = std::mem::replace(&mut inner.trace, Trace::new(header));
        trace.set_run_ns(run_end_ns);
        let history = std::mem::take(&mut inner.history).finish();
        (trace, history)
    }
}

impl Inner {
    fn record(&mut self, event: TraceEvent) {
        let before = self.view.revision();
        self.view.apply(&event);
        self.trace.push(&event);
        self.wake(before);
    }

    fn wake(&mut self, before: u64) {
        if self.view.revision() != before {
            for waker in self.waiting.drain(..) {
                waker.wake();
            }
        }
    }
}

/// Everything the script waits for or an expectation counts.
fn watched(plan: &Plan) -> Vec<EventPattern> {
    let mut watched: BTreeSet<EventPattern> = BTreeSet::new();
    let mut condition = |condition: &Condition| {
        watched.extend(patterns_of(condition).into_iter().cloned());
    };
    for step in &plan.steps {
        step.when.iter().for_each(&mut condition);
        if let Action::Wait(Wait::Until(until) | Wait::For { holds: Some(until), .. }) =
            &step.action
        {
            condition(until);
        }
    }
    for step in &plan.steps {
        if let Trigger::AfterEvent { event, .. } = &step.trigger {
            watched.insert(event.clone());
        }
        if let Action::Wait(Wait::UntilEvent(event)) = &step.action {
            watched.insert(event.clone());
        }
    }
    watched.into_iter().collect()
}

fn offset(at: Instant, zero: Instant) -> i64 {
    at.as_nanos() as i64 - zero.as_nanos() as i64
}
