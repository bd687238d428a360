//! One key's operations, as the engines search them.
//!
//! Definite operations must be placed between call and return (closed intervals: an operation
//! precedes another iff it returned strictly before the other was called). Optional ones have an
//! unknown outcome: placed after their call, or never. Optional operations with the same effect are
//! interchangeable, so they stand in classes and are used in the order of their calls (spec checkers
//! 4d, rule 5).

use std::collections::{BTreeMap, BTreeSet};

use super::model::{ABSENT, BLANK, Kind, Model, Rank, State, Value};

/// An operation on the key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// Its id in the history. The parts of a list on several keys share it.
    pub id: u64,
    pub call: i64,
    /// `i64::MAX` when it never returned.
    pub ret: i64,
    pub kind: Kind,
    pub unknown: bool,
    /// A read inside one of its windows may be placed from here on instead.
    pub widened_call: Option<i64>,
}

/// Optional operations with one effect.
#[derive(Debug)]
pub(super) struct Class {
    pub kind: Kind,
    /// By call.
    pub members: Vec<Item>,
}

/// What an engine searches.
#[derive(Debug)]
pub(super) struct Problem {
    pub model: Model,
    /// By call.
    pub definite: Vec<Item>,
    pub optional: Vec<Class>,
}

impl Problem {
    /// The problem of these operations.
    pub(super) fn new(model: &Model, items: &[Item]) -> Self {
        let items = &blanked(items);
        let mut definite: Vec<Item> = items.iter().copied().filter(|item| !item.unknown).collect();
        definite.sort_by_key(|item| (item.call, item.ret, item.id));
        let mut classes: BTreeMap<Kind, Vec<Item>> = BTreeMap::new();
        let mut model = model.clone();
        name_versions(&mut model, items);
        let wanted = Wanted::of(&model, items);
        for item in items.iter().filter(|item| item.unknown && wanted.needs(item.kind)) {
            classes.entry(item.kind).or_default().push(*item);
        }
        let optional = classes
            .into_iter()
            .map(|(kind, mut members)| {
                members.sort_by_key(|item| (item.call, item.id));
                Class { kind, members }
            })
            .collect();
        Self { model, definite, optional }
    }

    /// The class's next operation, if there is one that may have begun by `limit`.
    pub(super) fn next_of(&self, class: usize, used: &[u16], limit: i64) -> Option<&Item> {
        let next = self.optional[class].members.get(usize::from(used[class]))?;
        (next.call <= limit).then_some(next)
    }
}

/// Tells the model which versions these operations name, and no others: what is proven about a part
/// of a history must not lean on the rest.
pub(super) fn name_versions(model: &mut Model, items: &[Item]) {
    let mut seen: BTreeMap<Rank, (Option<Value>, bool)> = BTreeMap::new();
    let mut writers: BTreeMap<Value, usize> = BTreeMap::new();
    let mut note = |rank: Rank, value: Option<Value>, surely: bool| {
        if rank != 0 {
            let entry = seen.entry(rank).or_insert((None, false));
            *entry = (entry.0.or(value), entry.1 | surely);
        }
    };
    for item in items {
        match item.kind {
            Kind::See(test) => note(test.version, test.value, true),
            Kind::Write { to, made } => note(made, Some(to), true),
            Kind::Cas { from, to, made } => {
                note(from.version, None, !item.unknown);
                note(made, Some(to), true);
            }
            Kind::Append { .. } | Kind::Not(_) => {}
        }
        if let Some(value) = item.kind.leaves() {
            *writers.entry(value).or_default() += 1;
        }
    }
    // An append can leave any value.
    let appends = items.iter().any(|item| matches!(item.kind, Kind::Append { .. }));
    model.name_versions(&seen, |value| !appends && writers.get(&value) == Some(&1));
}

/// Values that are written once and that no test asks for cannot be told apart: one stands for all,
/// so that writes of them are interchangeable.
fn blanked(items: &[Item]) -> Vec<Item> {
    let mut told: BTreeMap<Value, u32> = BTreeMap::new();
    for item in items {
        let (written, tested) = match item.kind {
            // A known index tells values apart; what appends make is not known in advance.
            Kind::Write { to, made: 0 } => (Some(to), None),
            Kind::Cas { from, to, made: 0 } => (Some(to), from.value),
            Kind::Write { .. } | Kind::Cas { .. } | Kind::Append { .. } => return items.to_vec(),
            Kind::See(test) | Kind::Not(test) => (None, test.value),
        };
        *told.entry(written.unwrap_or(ABSENT)).or_default() += 1;
        *told.entry(tested.unwrap_or(ABSENT)).or_default() += 2;
    }
    let blank = |value: Value| value != ABSENT && told.get(&value) == Some(&1);
    let mut items = items.to_vec();
    for item in &mut items {
        if let Kind::Write { to, .. } | Kind::Cas { to, .. } = &mut item.kind
            && blank(*to)
        {
            *to = BLANK;
        }
    }
    items
}

/// Rule 6 of spec checkers 4d: an optional change whose value nobody reads or compares is never
/// needed, unless somebody observed what the value was *not*.
struct Wanted {
    values: BTreeSet<Value>,
    anything: bool,
}

impl Wanted {
    fn of(model: &Model, items: &[Item]) -> Self {
        let mut wanted = Self { values: BTreeSet::new(), anything: false };
        for item in items {
            match item.kind {
                Kind::See(test) | Kind::Cas { from: test, .. } => match model.value_of(test) {
                    Some(value) => {
                        wanted.values.insert(value);
                    }
                    None => wanted.anything = true,
                },
                Kind::Not(_) | Kind::Append { .. } => wanted.anything = true,
                Kind::Write { .. } => {}
            }
        }
        wanted
    }

    fn needs(&self, kind: Kind) -> bool {
        self.anything || kind.leaves().is_none_or(|value| self.values.contains(&value))
    }
}

/// Rule 4 of spec checkers 4d, unknown on demand: after an optional change from `before` to `state`,
/// the very next operation must be one that was impossible before it.
///
/// Why: delete from a linearization every optional change that is overwritten unseen; what remains is
/// seen, and between two changes of one register there are only observers. An append always sees.
pub(super) fn sees_change(kind: Kind, before: State, state: State) -> bool {
    match kind {
        Kind::See(_) | Kind::Not(_) => kind.agrees(state) && !kind.agrees(before),
        Kind::Cas { from, .. } => from.holds(state) && !from.holds(before),
        Kind::Append { .. } => true,
        Kind::Write { .. } => false,
    }
}

/// What an engine says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Linearizable, in this order of operation ids.
    Yes(Vec<u64>),
    /// Not linearizable.
    No,
    /// The steps given are used up; it can go on.
    More,
    /// It cannot go on: too much is open at once for it.
    GaveUp,
}
