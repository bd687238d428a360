//! The indexes are one order of all changes: does it fit real time, and do lists fit one instant?
//!
//! Every version that a read named has its place in the log, and the log is the order of the effects
//! (spec checkers 1.5 and 4c1). Let `p[j]` be the instant of version `j`, over the whole store:
//!
//! ```text
//!   call of its writer  ≤  p[j]  ≤  return of its writer,      p[j] ≤ p[j+1]
//!   a read that saw versions A:   p[max A] ≤ return,   p[next version of a key in A] ≥ call
//! ```
//!
//! Every bound from below only pushes `p` up, so one pass gives the least solution, and a bound from
//! above that it breaks is a proof. Versions nobody named take no part, so "yes" here is no proof;
//! "no" is. A list whose newest version is not older than the successor of another of its versions
//! shows two instants at once (a fractured read).

use std::collections::BTreeMap;

use super::explain::violation;
use super::words::{asked, ended, time, who};
use super::{Evidence, lower};
use crate::history::operation::{Call, Mode, Operation, Outcome, Output};
use crate::history::{History, Model};
use crate::property::Violation;

/// The versions of each key that somebody named, by index.
pub(super) struct Named<'a> {
    of_key: BTreeMap<&'a str, BTreeMap<u64, &'a str>>,
}

impl<'a> Named<'a> {
    pub(super) fn of(history: &'a History) -> Self {
        let mut of_key: BTreeMap<&str, BTreeMap<u64, &str>> = BTreeMap::new();
        for read in lower::reads(history) {
            for seen in lower::rows(read.operation) {
                if let Some(index) = seen.modify_index {
                    of_key.entry(&seen.key).or_default().insert(index, &seen.value);
                }
            }
        }
        Self { of_key }
    }

    /// The least named version of the key after this one.
    pub(super) fn next(&self, key: &str, index: u64) -> Option<u64> {
        let after = (std::ops::Bound::Excluded(index), std::ops::Bound::Unbounded);
        self.of_key.get(key)?.range(after).next().map(|(index, _)| *index)
    }

    /// What a read saw, as a stretch of the log: at or after the first, before the second.
    pub(super) fn stretch(&self, read: &Operation) -> (u64, Option<u64>) {
        let mut from = 0;
        let mut before: Option<u64> = None;
        for seen in lower::rows(read) {
            let Some(index) = seen.modify_index else { continue };
            from = from.max(index);
            if let Some(next) = self.next(&seen.key, index) {
                before = Some(before.map_or(next, |other| other.min(next)));
            }
        }
        (from, before)
    }
}

/// A bound on the instant of a version, and the operation it comes from.
#[derive(Clone, Copy)]
struct Bound<'a> {
    at: i64,
    by: &'a Operation,
}

#[derive(Default)]
struct Bounds<'a> {
    /// Per index: not before.
    least: BTreeMap<u64, Bound<'a>>,
    /// Per index: not after.
    most: BTreeMap<u64, Bound<'a>>,
}

impl<'a> Bounds<'a> {
    fn not_before(&mut self, index: u64, at: i64, by: &'a Operation) {
        let bound = self.least.entry(index).or_insert(Bound { at, by });
        if at > bound.at {
            *bound = Bound { at, by };
        }
    }

    fn not_after(&mut self, index: u64, at: i64, by: &'a Operation) {
        let bound = self.most.entry(index).or_insert(Bound { at, by });
        if at < bound.at {
            *bound = Bound { at, by };
        }
    }
}

/// The first contradiction between indexes and real time.
pub(super) fn contradicted(history: &History, evidence: &Evidence<'_>) -> Option<Violation> {
    if history.model() == Model::KvAppend {
        return None;
    }
    let named = Named::of(history);
    let mut bounds = Bounds::default();
    writers(history, &named, &mut bounds);
    for read in lower::reads(history).filter(|read| read.mode != Mode::Stale) {
        let operation = read.operation;
        let (from, before) = named.stretch(operation);
        if before.is_some_and(|before| before <= from) {
            return Some(fractured(history, operation));
        }
        let window = (evidence.window)(operation);
        let mut called_at = operation.called_at;
        if let Some(window) = window {
            called_at = called_at.min(window.widen_from);
            if before.is_some_and(|before| before <= window.not_older_than_index) {
                return Some(behind_itself(history, operation, window.not_older_than_index));
            }
        }
        if from > 0 {
            bounds.not_after(from, operation.returned_at.unwrap_or(i64::MAX), operation);
        }
        if let Some(before) = before {
            bounds.not_before(before, called_at, operation);
        }
    }
    contradiction(history, &bounds)
}

/// A version was made between call and return of those who wrote its value.
fn writers<'a>(history: &'a History, named: &Named<'_>, bounds: &mut Bounds<'a>) {
    let mut of_value: BTreeMap<(&str, &str), Vec<&Operation>> = BTreeMap::new();
    for operation in history.operations() {
        let (Call::Put { value } | Call::CasIndex { value, .. } | Call::CasValue { to: value, .. }) =
            &operation.call
        else {
            continue;
        };
        let took_effect = operation.output != Some(Output::Swapped(false));
        if operation.outcome != Outcome::Fail && took_effect {
            of_value.entry((&operation.key, value)).or_default().push(operation);
        }
    }
    for (key, versions) in &named.of_key {
        for (index, value) in versions {
            // Written twice: it may be either. Only what holds for one of them holds.
            let Some([write]) = of_value.get(&(*key, *value)).map(Vec::as_slice) else { continue };
            bounds.not_before(*index, write.called_at, write);
            if write.outcome == Outcome::Ok {
                bounds.not_after(*index, write.returned_at.unwrap_or(i64::MAX), write);
            }
        }
    }
}

fn contradiction(history: &History, bounds: &Bounds<'_>) -> Option<Violation> {
    let mut least: Option<(u64, Bound<'_>)> = None;
    let mut below = bounds.least.iter().peekable();
    for (index, most) in &bounds.most {
        while let Some((lower, bound)) = below.next_if(|(lower, _)| *lower <= index) {
            if least.is_none_or(|(_, other)| bound.at > other.at) {
                least = Some((*lower, *bound));
            }
        }
        if let Some((lower, bound)) = least
            && bound.at > most.at
        {
            let text = format!(
                "version {index} was there by {} (the {} by {}), but version {lower}, which is not \
                 newer, was not before {} (the {} by {}).",
                time(most.by, most.at),
                asked(most.by),
                who(most.by),
                time(bound.by, bound.at),
                asked(bound.by),
                who(bound.by),
            );
            return Some(violation(
                history,
                "indexes against real time",
                text,
                &[most.by.id, bound.by.id],
            ));
        }
    }
    None
}

/// A list that mixes two instants.
pub(super) fn fractured(history: &History, read: &Operation) -> Violation {
    let text = format!(
        "the {} by {} at {} shows a version together with one that had been replaced before: no \
         single instant had both.",
        asked(read),
        who(read),
        ended(read),
    );
    violation(history, "fractured list", text, &[read.id])
}

fn behind_itself(history: &History, read: &Operation, applied: u64) -> Violation {
    let text = format!(
        "the {} by {} at {} lies in a window, but is older than index {applied}, which the server had \
         applied already.",
        asked(read),
        who(read),
        ended(read),
    );
    violation(history, "read older than the server's own state", text, &[read.id])
}
