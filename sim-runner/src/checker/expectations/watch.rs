//! One expectation while the trace goes by.

use crate::checker::oracle::time;
use crate::scenario::model::{EventPattern, Expect, Fact, Rule};
use crate::trace::conditions::{holds_counting, patterns_of_fact};
use crate::trace::event::TraceEvent;
use crate::trace::happened::{self, Happened, Tallies, matches};
use crate::trace::view::View;

use super::steps::ns;
use super::{Missed, fact};

/// What has been seen of it so far.
pub(super) struct Watch<'a> {
    pub(super) expect: &'a Expect,
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
    pub(super) fn new(expect: &'a Expect, window: (i64, i64)) -> Self {
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

    pub(super) fn event(
        &mut self,
        index: u64,
        event: &TraceEvent,
        happened: Happened,
        view: &View,
    ) {
        if !self.inside(event.at) {
            return;
        }
        if self.counts.observe(event, happened, view) {
            self.known = None;
            self.occurred.get_or_insert(index);
        }
        if let Rule::InOrder(patterns) = &self.expect.rule {
            // One event may be two things at once (an election that changes the leader), but
            // never the same thing twice.
            let first = self.in_order;
            while let Some(pattern) = patterns.get(self.in_order)
                && !patterns[first..self.in_order].contains(pattern)
                && matches(pattern, event, happened, view)
            {
                self.in_order += 1;
            }
        }
    }

    pub(super) fn stale_read(&mut self, at: i64) {
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
    pub(super) fn span(&mut self, from: i64, to: i64, view: &View) {
        let Some(Fact::Condition(condition)) = fact_of(&self.expect.rule) else { return };
        let at_end = matches!(self.expect.rule, Rule::AtEnd(_));
        let over = from > self.window.1 && self.holds_since.is_none();
        if to <= self.window.0 || over || at_end {
            return;
        }
        let value = match self.known {
            Some((revision, value)) if revision == view.revision() => value,
            _ => holds_counting(condition, view, &self.counts),
        };
        self.known = Some((view.revision(), value));
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
        if let Some(since) = self.holds_since.filter(|since| to.saturating_sub(*since) >= needed) {
            self.long_enough.get_or_insert(since);
        }
    }

    /// The run is over: what is asked of its end alone is looked at only here.
    pub(super) fn end(&mut self, view: &View) {
        if let Rule::AtEnd(Fact::Condition(condition)) = &self.expect.rule {
            self.at_end = holds_counting(condition, view, &self.counts);
        }
    }

    /// When it was first so, and the event that shows it.
    fn first_shown(&self) -> Option<i64> {
        match fact_of(&self.expect.rule)? {
            Fact::Condition(_) => self.long_enough,
            Fact::Event(pattern) => self.counts.get(pattern).and_then(|tally| tally.first),
        }
    }

    pub(super) fn shown(&self) -> bool {
        self.first_shown().is_some()
    }

    pub(super) fn missed(&self, end: i64) -> Option<Missed> {
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
