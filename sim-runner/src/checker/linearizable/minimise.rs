//! The smallest part of a violated key that still proves the violation.
//!
//! Only removals after which a linearizable history stays linearizable are tried, so whatever still
//! fails proves the original guilty (spec checkers 4h): operations called after the proof; any
//! observer; all of a value (its writes, all that see it, and what follows from it by compare-and-set)
//! as long as nobody observed what the value was *not*. Never a write alone whose readers stay: that
//! would make violations up. The result is 1-minimal for these removals.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::Budget;
use super::model::{Kind, Model, Value};
use super::problem::{Item, Problem, Progress};
use super::search::Search;

/// Operations that all questions together may be about; then the rest stays as it is.
const STEPS_ALL: u64 = 1_000_000;

/// Steps for each question, beside a few for each operation: what is not easily seen to fail stays.
const STEPS: u64 = 20_000;

/// The smallest failing part of `items`, which fail.
pub(super) fn smallest(
    model: &Model,
    items: &[Item],
    failed_at: Option<i64>,
    budget: Budget,
) -> Vec<Item> {
    let shrinker = Shrinker { model, budget, left: Cell::new(STEPS_ALL) };
    let mut items = shrinker.earliest(items, failed_at);
    loop {
        let before = items.len();
        items = shrinker.without(items, |kind| matches!(kind, Kind::Not(_)));
        items = shrinker.without_values(items);
        items = shrinker.without(items, Kind::observes);
        items = shrinker.unconditional(items);
        if items.len() == before {
            items.sort_by_key(|item| item.id);
            return items;
        }
    }
}

struct Shrinker<'a> {
    model: &'a Model,
    budget: Budget,
    left: Cell<u64>,
}

impl Shrinker<'_> {
    fn fails(&self, items: &[Item]) -> bool {
        // Making the problem costs about a step an operation.
        let Some(left) = self.left.get().checked_sub(items.len() as u64) else { return false };
        let problem = Problem::new(self.model, items);
        let steps = (STEPS + 4 * items.len() as u64).min(self.budget.steps).min(left);
        let mut search = Search::new(&problem, self.budget.engine);
        let answer = search.run(steps);
        self.left.set(left.saturating_sub(search.steps()));
        answer == Progress::No
    }

    /// Cut at the earliest return that proves the violation.
    fn earliest(&self, items: &[Item], failed_at: Option<i64>) -> Vec<Item> {
        // The engine may have leant on what later reads told about versions.
        let told = failed_at.map(|at| until(items, at)).filter(|cut| self.fails(cut));
        if let Some(cut) = told {
            return cut;
        }
        let mut returns: Vec<i64> =
            items.iter().filter(|item| !item.unknown).map(|item| item.ret).collect();
        returns.sort_unstable();
        let first = returns.partition_point(|at| !self.fails(&until(items, *at)));
        returns.get(first).map_or_else(|| items.to_vec(), |at| until(items, *at))
    }

    /// Without observers of this sort, in ever smaller chunks.
    fn without(&self, mut items: Vec<Item>, sort: impl Fn(Kind) -> bool) -> Vec<Item> {
        let mut chunk = items.len();
        while chunk > 0 {
            let mut at = 0;
            while at < items.len() {
                let end = (at + chunk).min(items.len());
                let gone = |place: usize| at <= place && place < end && sort(items[place].kind);
                let rest = (0..items.len()).filter(|place| !gone(*place));
                let fewer: Vec<Item> = rest.map(|place| items[place]).collect();
                if fewer.len() < items.len() && self.fails(&fewer) {
                    items = fewer;
                } else {
                    at = end;
                }
            }
            chunk /= 2;
        }
        items
    }

    /// A compare-and-set that need not have compared becomes a put, which only relaxes: then the
    /// value it replaced can go.
    fn unconditional(&self, mut items: Vec<Item>) -> Vec<Item> {
        for place in 0..items.len() {
            if let Kind::Cas { to, made, .. } = items[place].kind {
                let mut relaxed = items.clone();
                relaxed[place].kind = Kind::Write { to, made };
                if self.fails(&relaxed) {
                    items = relaxed;
                }
            }
        }
        items
    }

    fn without_values(&self, mut items: Vec<Item>) -> Vec<Item> {
        // Taking a value away could make a negative observation wrong; a growing value is all of
        // its past.
        let barred = |item: &Item| matches!(item.kind, Kind::Not(_) | Kind::Append { .. });
        if items.iter().any(barred) {
            return items;
        }
        let values: BTreeSet<Value> =
            items.iter().flat_map(|item| touches(self.model, item.kind)).collect();
        let values: Vec<Value> = values.into_iter().collect();
        let mut chunk = values.len();
        while chunk > 0 {
            for some in values.chunks(chunk) {
                if let Some(fewer) = without(self.model, &items, some)
                    && fewer.len() < items.len()
                    && self.fails(&fewer)
                {
                    items = fewer;
                }
            }
            chunk /= 2;
        }
        items
    }
}

/// The values an operation writes, sees or compares with.
fn touches(model: &Model, kind: Kind) -> Vec<Value> {
    match kind {
        Kind::See(test) | Kind::Not(test) => model.value_of(test).into_iter().collect(),
        Kind::Cas { from, to, .. } => model.value_of(from).into_iter().chain([to]).collect(),
        Kind::Write { to, .. } => vec![to],
        Kind::Append { .. } => Vec::new(),
    }
}

/// Without these values and all that follows from them; none when that cannot be told.
fn without(model: &Model, items: &[Item], values: &[Value]) -> Option<Vec<Item>> {
    let mut gone: BTreeSet<Value> = values.iter().copied().collect();
    loop {
        let before = gone.len();
        for item in items {
            if let Kind::Cas { from, to, .. } = item.kind
                && gone.contains(&model.value_of(from)?)
            {
                gone.insert(to);
            }
        }
        if gone.len() == before {
            break;
        }
    }
    let stays = |item: &&Item| touches(model, item.kind).iter().all(|value| !gone.contains(value));
    Some(items.iter().filter(stays).copied().collect())
}

/// The history up to an instant: what was called later vanishes, what was open becomes unknown.
fn until(items: &[Item], at: i64) -> Vec<Item> {
    let mut cut = Vec::new();
    for item in items.iter().filter(|item| item.call <= at) {
        let mut item = *item;
        if !item.unknown && item.ret > at {
            if item.kind.observes() {
                continue;
            }
            item.unknown = true;
            item.ret = i64::MAX;
        }
        cut.push(item);
    }
    cut
}
