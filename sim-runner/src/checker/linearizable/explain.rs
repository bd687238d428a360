//! A violation in one sentence, with a signature that is equal for equal causes.

use super::lower::Part;
use super::model::{ABSENT, Kind, Value};
use super::problem::Item;
use super::words::{asked, ended, line, time, who};
use super::{PROPERTY, words};
use crate::history::History;
use crate::history::operation::Operation;
use crate::property::Violation;

/// A violation: `fact` is normalised (no ids, times, values), `summary` is about this run.
pub(super) fn violation(
    history: &History,
    fact: &str,
    summary: String,
    operations: &[u64],
) -> Violation {
    let mut ids = operations.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let operations = || ids.iter().filter_map(|id| history.get(*id));
    let at = operations().filter_map(|operation| operation.returned_at).max();
    Violation {
        property: PROPERTY.to_owned(),
        at: at.unwrap_or(0),
        summary,
        signature: format!("{PROPERTY}: {fact}"),
        detail: operations().map(line).collect(),
        events: Vec::new(),
        operations: ids,
    }
}

/// What the smallest failing part of a key says.
pub(super) fn key(history: &History, part: &Part, smallest: &[Item]) -> Option<Violation> {
    let ids: Vec<u64> = smallest.iter().map(|item| item.id).collect();
    let story = Story { history, part, smallest };
    let (fact, summary) = story.tell()?;
    let mut violation = violation(history, fact, summary, &ids);
    let proven = smallest.iter().filter(|item| !item.unknown).map(|item| item.ret).max();
    violation.at = proven.unwrap_or(violation.at);
    Some(violation)
}

/// Why a key was not decided, so that somebody can do something about it.
pub(super) fn undecided(part: &Part, steps: u64) -> String {
    let definite = || part.items.iter().filter(|item| !item.unknown);
    let from = part.items.iter().map(|item| item.call).min().unwrap_or(0);
    let to = definite().map(|item| item.ret).max().unwrap_or(from);
    let mut events: Vec<(i64, i32)> =
        definite().flat_map(|item| [(item.call, -1), (item.ret, 1)]).collect();
    events.sort_unstable();
    let mut open = 0;
    let most = events.iter().map(|(_, change)| {
        open -= change;
        open
    });
    format!(
        "key {} was not decided within {steps} steps: {} operations between {from} and {to}, up to {} \
         at a time, {} with unknown outcome; fewer users per key, shorter faults or unique values help",
        part.key,
        part.items.len(),
        most.max().unwrap_or(0),
        part.items.iter().filter(|item| item.unknown).count(),
    )
}

struct Story<'a> {
    history: &'a History,
    part: &'a Part,
    smallest: &'a [Item],
}

impl Story<'_> {
    fn operation(&self, item: &Item) -> Option<&Operation> {
        self.history.get(item.id)
    }

    /// The fact and the sentence.
    fn tell(&self) -> Option<(&'static str, String)> {
        let definite = || self.smallest.iter().filter(|item| !item.unknown);
        let last = |item: &&Item| (item.ret, item.call, item.id);
        if let Some(told) = self.double_cas() {
            return Some(told);
        }
        let of = |sort: fn(Kind) -> bool| {
            definite().filter(move |item| sort(item.kind)).max_by_key(last)
        };
        // The proof is complete with the last answer, so that is the one to speak about.
        let item = definite().max_by_key(last)?;
        let (fact, item) = match item.kind {
            Kind::Not(_) => ("cas refused without cause", item),
            Kind::Cas { .. } => ("cas of a value that was not there", item),
            Kind::See(_) | Kind::Write { .. } | Kind::Append { .. } => {
                let read = of(|kind| matches!(kind, Kind::See(_)));
                if let Some(told) = read.and_then(|read| self.stale(read)) {
                    return Some(told);
                }
                match (of(|kind| matches!(kind, Kind::Not(_))), read) {
                    (Some(refused), _) => ("cas refused without cause", refused),
                    (None, Some(read)) => ("read that fits no order", read),
                    (None, None) => ("answers that fit no order", item),
                }
            }
        };
        let operation = self.operation(item)?;
        let others = self.smallest.len() - 1;
        Some((
            fact,
            format!(
                "the {} by {} was answered at {}; no order of it and {others} other operations \
                 explains all their answers.",
                asked(operation),
                who(operation),
                ended(operation),
            ),
        ))
    }

    /// Two compare-and-sets of one value that was written once.
    fn double_cas(&self) -> Option<(&'static str, String)> {
        let swaps: Vec<(&Item, Value)> = self
            .smallest
            .iter()
            .filter(|item| !item.unknown)
            .filter_map(|item| match item.kind {
                Kind::Cas { from, .. } => Some((item, self.part.model.value_of(from)?)),
                _ => None,
            })
            .collect();
        for (place, (second, value)) in swaps.iter().enumerate() {
            let writes = |item: &&Item| item.kind.leaves() == Some(*value);
            if *value == ABSENT || self.part.items.iter().filter(writes).count() != 1 {
                continue;
            }
            if let Some((first, _)) = swaps[..place].iter().find(|(_, other)| other == value) {
                let (first, second) = (self.operation(first)?, self.operation(second)?);
                return Some((
                    "double cas",
                    format!(
                        "two compare-and-sets both replaced {} = {}, which was written once: that of \
                         {} at {}, and that of {} at {}.",
                        self.part.key,
                        self.part.model.show(*value),
                        who(first),
                        ended(first),
                        who(second),
                        ended(second),
                    ),
                ));
            }
        }
        None
    }

    /// A read that missed something that was over before it began.
    fn stale(&self, read: &Item) -> Option<(&'static str, String)> {
        let Kind::See(test) = read.kind else { return None };
        let value = test.value?;
        let reader = self.operation(read)?;
        let model = &self.part.model;
        let saw = format!(
            "{} read {} = {} at {}",
            who(reader),
            self.part.key,
            model.show(value),
            ended(reader),
        );
        let before = || self.smallest.iter().filter(|item| !item.unknown && item.ret < read.call);
        let missed = before()
            .filter(|item| item.kind.leaves().is_some_and(|left| left != value))
            .max_by_key(|item| (item.ret, item.id));
        if let Some(missed) = missed {
            let left = missed.kind.leaves()?;
            let write = self.operation(missed)?;
            let acknowledged = format!(
                "the {} by {} had been acknowledged at {}",
                asked(write),
                who(write),
                words::time(write, missed.ret),
            );
            if left == ABSENT {
                return Some((
                    "deleted value came back",
                    format!("{saw}, but {acknowledged} and no write of it followed."),
                ));
            }
            return Some(if self.vanished(missed, left) {
                ("lost write", format!("{saw}, but {acknowledged}, and no read ever showed it."))
            } else {
                ("stale read", format!("{saw}, but {acknowledged}."))
            });
        }
        let newer = before()
            .filter(|item| matches!(item.kind, Kind::See(other) if other.value != Some(value)))
            .max_by_key(|item| (item.ret, item.id))?;
        let Kind::See(other) = newer.kind else { return None };
        let other_reader = self.operation(newer)?;
        Some((
            "stale read",
            format!(
                "{saw}, but {} had read {} already at {}, and nothing allows to go back.",
                who(other_reader),
                model.show(other.value?),
                time(other_reader, newer.ret),
            ),
        ))
    }

    /// Whether the acknowledged write seems lost, rather than overlooked by one read: nobody ever saw
    /// it, though somebody read before the next change began.
    fn vanished(&self, missed: &Item, left: Value) -> bool {
        let items = &self.part.items;
        let seen = items.iter().any(|item| match item.kind {
            Kind::See(test) | Kind::Cas { from: test, .. } => {
                self.part.model.value_of(test) == Some(left)
            }
            _ => false,
        });
        let after = || items.iter().filter(|item| item.call > missed.ret);
        let next = after().filter(|item| !item.kind.observes()).map(|item| item.call).min();
        let looked = after().any(|item| {
            matches!(item.kind, Kind::See(_)) && next.is_none_or(|next| item.ret < next)
        });
        !seen && looked
    }
}
