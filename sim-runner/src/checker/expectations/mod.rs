//! Judges the scenario's own expectations over the trace (scenario language, section 7).
//!
//! ```text
//!  time      ──┬────┬──────────┬─────┬───►      the state between two instants is constant
//!  holds       false│ true     │false│true
//!  window           [──────────────]            from `of`, `within`, `between`
//! ```
//!
//! What holds "at an instant" is what holds after everything that happened at it: half-done changes
//! within one nanosecond are no state of affairs. Windows: `always` and `never` speak of the run
//! (settle changes things on purpose), the others of everything from time zero on. `for` may run
//! beyond the window in which it began.

mod steps;
mod watch;

use crate::history::operation::{Call, Operation};
use crate::scenario::model::{Expect, Rule};
use crate::trace::event::What;
use crate::trace::view::View;

use self::steps::{Steps, Unplaced};
use self::watch::Watch;
use super::evidence::Evidence;

/// An expectation that was not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// When that was proven, ns.
    pub at: i64,
    /// Normalised: the rule and its text.
    pub fact: String,
    /// In a sentence.
    pub summary: String,
    /// The trace event that proves it, if one does.
    pub event: Option<u64>,
}

/// What came of the expectations. `violates` and `skip` are applied by `evidence::judge`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectations {
    /// How many were judged.
    pub judged: u64,
    /// Those that were not met.
    pub missed: Vec<Missed>,
    /// What `sometimes` asked for, and whether this run shows it.
    pub sometimes: Vec<(String, bool)>,
}

/// Judges all expectations; `stale`: when `stale-read` occurred.
#[must_use]
pub fn judge(evidence: &Evidence, expects: &[Expect], stale: &[i64]) -> Expectations {
    let steps = Steps::of(evidence);
    let mut out = Expectations::default();
    let mut watches = Vec::new();
    for expect in expects {
        if matches!(expect.rule, Rule::Violates(_) | Rule::Skip { .. }) {
            continue;
        }
        match steps.window(expect) {
            Ok(window) => watches.push(Watch::new(expect, window)),
            Err(Unplaced::Skipped) => {}
            Err(Unplaced::Never(step)) => out.missed.push(Missed {
                at: steps.end,
                fact: fact(expect),
                summary: format!(
                    "`{}` ({}) could not be judged: step {step}, from which it counts, never came",
                    expect.text, expect.place
                ),
                event: None,
            }),
        }
    }
    watch(evidence, &mut watches, stale, steps.end);
    for watch in &watches {
        out.judged += 1;
        match &watch.expect.rule {
            Rule::Sometimes(_) => out.sometimes.push((watch.expect.text.clone(), watch.shown())),
            _ => out.missed.extend(watch.missed(steps.end)),
        }
    }
    out
}

/// Runs the events past the watches.
fn watch(evidence: &Evidence, watches: &mut [Watch<'_>], stale: &[i64], end: i64) {
    if watches.is_empty() {
        return;
    }
    let mut view = View::new(&evidence.header, []);
    let writes = evidence.history.iter().filter(|o| is_write(o));
    view.operations.know_writes(writes.map(|operation| operation.id));
    let mut stale = stale.iter().copied().peekable();
    let mut now = evidence.events.first().map_or(0, |event| event.at.min(0));
    for (index, event) in (0..).zip(&evidence.events) {
        if event.at > now {
            watches.iter_mut().for_each(|watch| watch.span(now, event.at, &view));
            now = event.at;
        }
        while let Some(at) = stale.next_if(|at| *at <= event.at) {
            watches.iter_mut().for_each(|watch| watch.stale_read(at));
        }
        let happened = view.apply(event);
        if !matches!(event.what, What::Deliver { .. } | What::Drop { .. }) {
            watches.iter_mut().for_each(|watch| watch.event(index, event, happened, &view));
        }
    }
    stale.for_each(|at| watches.iter_mut().for_each(|watch| watch.stale_read(at)));
    for watch in watches {
        watch.span(now, end.saturating_add(1), &view);
        watch.end(&view);
    }
}

fn is_write(operation: &Operation) -> bool {
    !matches!(operation.call, Call::Get { .. } | Call::List { .. }) && operation.call.is_of_keys()
}

/// The rule and its text: what a signature says.
fn fact(expect: &Expect) -> String {
    let rule = match expect.rule {
        Rule::Always(_) => "always",
        Rule::Eventually(_) => "eventually",
        Rule::Never(_) => "never",
        Rule::AtEnd(_) => "at_end",
        Rule::Seen(_) => "seen",
        Rule::Sometimes(_) => "sometimes",
        Rule::InOrder(_) => "in_order",
        Rule::Violates(_) => "violates",
        Rule::Skip { .. } => "skip",
    };
    format!("{rule} {}", expect.text)
}
