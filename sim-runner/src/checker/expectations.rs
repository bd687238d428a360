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

use std::collections::{BTreeMap, BTreeSet};

use crate::history::operation::{Call, Operation};
use crate::scenario::model::{EventPattern, Expect, Fact, Moment, Rule};
use crate::trace::conditions::{holds_counting, patterns_of_fact};
use crate::trace::event::{TraceEvent, What};
use crate::trace::happened::{self, Happened, Tallies, matches};
use crate::trace::view::View;

use super::evidence::Evidence;
use super::oracle::time;

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
            watches.iter_mut().for_each(|watch| watch.event(index, event, happened));
        }
    }
    stale.for_each(|at| watches.iter_mut().for_each(|watch| watch.stale_read(at)));
    watches.iter_mut().for_each(|watch| watch.span(now, end + 1, &view));
}

fn is_write(operation: &Operation) -> bool {
    !matches!(operation.call, Call::Get { .. } | Call::List { .. })
}

/// Why an expectation has no window.
enum Unplaced {
    /// Its step was optional and had nothing to act on.
    Skipped,
    /// That step never started or finished.
    Never(usize),
}

/// When steps started and finished.
struct Steps {
    started: BTreeMap<usize, i64>,
    finished: BTreeMap<usize, i64>,
    skipped: BTreeSet<usize>,
    run_end: i64,
    end: i64,
}

impl Steps {
    fn of(evidence: &Evidence) -> Self {
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
    fn window(&self, expect: &Expect) -> Result<(i64, i64), Unplaced> {
        let base = match expect.of {
            Some(step) => self.lookup(&self.started, step)?,
            None => 0,
        };
        let end = match expect.rule {
            Rule::Always(_) | Rule::Never(_) => self.run_end,
            _ => self.end,
        };
        let (mut from, mut to) = match expect.within {
            Some((low, high)) => (base + ns(low), base + ns(high)),
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

fn ns(span: proconsul::base::Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
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

/// One expectation while the trace goes by.
struct Watch<'a> {
    expect: &'a Expect,
    window: (i64, i64),
    /// Occurrences inside the window.
    counts: Tallies,
    /// What the condition was worth at a revision of the view.
    known: Option<(u64, bool)>,
    /// Since when it holds.
    holds_since: Option<i64>,
    first_true: Option<i64>,
    first_false: Option<i64>,
    /// Start of the first time it held as long as `for` asks.
    long_enough: Option<i64>,
    at_end: bool,
    /// How many events of `in_order` occurred, in order.
    in_order: usize,
    /// The first occurrence of the event.
    occurred: Option<u64>,
}

impl<'a> Watch<'a> {
    fn new(expect: &'a Expect, window: (i64, i64)) -> Self {
        let counts = match &expect.rule {
            Rule::InOrder(_) => Tallies::default(),
            rule => Tallies::new(fact_of(rule).map(patterns_of_fact).unwrap_or_default()),
        };
        Self {
            expect,
            window,
            counts,
            known: None,
            holds_since: None,
            first_true: None,
            first_false: None,
            long_enough: None,
            at_end: false,
            in_order: 0,
            occurred: None,
        }
    }

    fn inside(&self, at: i64) -> bool {
        self.window.0 <= at && at <= self.window.1
    }

    fn event(&mut self, index: u64, event: &TraceEvent, happened: Happened) {
        if !self.inside(event.at) {
            return;
        }
        if self.counts.observe(event, happened) {
            self.known = None;
            self.occurred.get_or_insert(index);
        }
        if let Rule::InOrder(patterns) = &self.expect.rule {
            // One event may be two things at once (an election that changes the leader), but
            // never the same thing twice.
            let first = self.in_order;
            while let Some(pattern) = patterns.get(self.in_order)
                && !patterns[first..self.in_order].contains(pattern)
                && matches(pattern, event, happened)
            {
                self.in_order += 1;
            }
        }
    }

    fn stale_read(&mut self, at: i64) {
        if !self.inside(at) {
            return;
        }
        self.counts.add(&happened::STALE_READ, at);
        self.known = None;
        if let Rule::InOrder(patterns) = &self.expect.rule
            && patterns.get(self.in_order) == Some(&EventPattern::StaleRead)
        {
            self.in_order += 1;
        }
    }

    /// The state is constant from `from` until before `to`.
    fn span(&mut self, from: i64, to: i64, view: &View) {
        let Some(Fact::Condition(condition)) = fact_of(&self.expect.rule) else { return };
        let at_end = matches!(self.expect.rule, Rule::AtEnd(_));
        let over = from > self.window.1 && self.holds_since.is_none();
        if to <= self.window.0 || (over && !at_end) {
            return;
        }
        let value = match self.known {
            Some((revision, value)) if revision == view.revision() => value,
            _ => holds_counting(condition, view, &self.counts),
        };
        self.known = Some((view.revision(), value));
        self.at_end = value;
        let start = from.max(self.window.0);
        if !value {
            self.holds_since = None;
            if start <= self.window.1 {
                self.first_false.get_or_insert(start);
            }
            return;
        }
        if self.holds_since.is_none() && start <= self.window.1 {
            self.holds_since = Some(start);
            self.first_true.get_or_insert(start);
        }
        let needed = self.expect.at_least.map_or(0, ns);
        if let Some(since) = self.holds_since.filter(|since| to - since >= needed) {
            self.long_enough.get_or_insert(since);
        }
    }

    /// When it was first so, and the event that shows it.
    fn first_shown(&self) -> Option<i64> {
        match fact_of(&self.expect.rule)? {
            Fact::Condition(_) => self.long_enough,
            Fact::Event(pattern) => self.counts.get(pattern).and_then(|tally| tally.first),
        }
    }

    fn shown(&self) -> bool {
        self.first_shown().is_some()
    }

    fn missed(&self, end: i64) -> Option<Missed> {
        let Expect { text, place, .. } = self.expect;
        let (from, to) = (time(self.window.0), time(self.window.1.min(end)));
        let (at, story) = match &self.expect.rule {
            Rule::Always(Fact::Condition(_)) => {
                let at = self.first_false?;
                (at, format!("`{text}` must hold at every instant, but did not at {}", time(at)))
            }
            Rule::Never(_) => {
                let at = self.first_shown()?;
                (at, format!("`{text}` must never be, but was at {}", time(at)))
            }
            Rule::AtEnd(Fact::Condition(_)) if self.at_end => return None,
            Rule::AtEnd(Fact::Condition(_)) => {
                (end, format!("`{text}` must hold at the end, but does not"))
            }
            Rule::InOrder(patterns) => {
                let pattern = patterns.get(self.in_order)?;
                let name = happened::name(pattern);
                let done = self.in_order;
                (
                    end,
                    format!("of `{text}`, in this order, only {done} occurred; {name} is missing"),
                )
            }
            _ if self.shown() => return None,
            _ => {
                let at = self.window.1.min(end);
                (at, format!("`{text}` was expected between {from} and {to}, but never came"))
            }
        };
        let event =
            self.occurred.filter(|_| matches!(self.expect.rule, Rule::Never(Fact::Event(_))));
        Some(Missed { at, fact: fact(self.expect), summary: format!("{story} ({place})"), event })
    }
}

/// What a rule speaks of.
fn fact_of(rule: &Rule) -> Option<&Fact> {
    match rule {
        Rule::Always(fact)
        | Rule::Eventually(fact)
        | Rule::Never(fact)
        | Rule::AtEnd(fact)
        | Rule::Seen(fact)
        | Rule::Sometimes(fact) => Some(fact),
        Rule::InOrder(_) | Rule::Violates(_) | Rule::Skip { .. } => None,
    }
}
