//! From a history to one problem per key.
//!
//! Linearizability is local (Herlihy and Wing 1990): a history is linearizable iff its restriction to
//! each key is. A list touches all keys with its prefix; here it becomes a get of each of them, at
//! the same interval, and of the keys it did not find, a get that found nothing. That every one of
//! these gets is explained does not yet mean that *one instant* explains them all:
//! [`super::order`] checks that with the store's own indexes.
//!
//! Dropped: operations that failed, reads that failed or are unknown (they observed nothing), and
//! stale reads, which promise something else (see [`super::stale`]).

use std::collections::{BTreeMap, BTreeSet};

use super::Evidence;
use super::model::{ABSENT, Kind, Model, Rank, Test};
use super::problem::Item;
use crate::history::operation::{Call, Mode, Operation, Outcome, Output, Seen};
use crate::history::{self, History};

/// The operations of one key.
#[derive(Debug)]
pub(super) struct Part {
    pub key: String,
    pub model: Model,
    pub items: Vec<Item>,
}

/// A read, as far as the checker judges it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'a> {
    pub operation: &'a Operation,
    pub mode: Mode,
}

/// The answered reads.
pub(super) fn reads(history: &History) -> impl Iterator<Item = Read<'_>> {
    history.operations().iter().filter(|operation| operation.outcome == Outcome::Ok).filter_map(
        |operation| match operation.call {
            Call::Get { mode } | Call::List { mode } => Some(Read { operation, mode }),
            _ => None,
        },
    )
}

/// What the read saw: of a get one row or none, of a list any number.
pub(super) fn rows(operation: &Operation) -> &[Seen] {
    match &operation.output {
        Some(Output::Value(Some(seen))) => std::slice::from_ref(seen),
        Some(Output::Values(rows)) => rows,
        _ => &[],
    }
}

/// All keys somebody names.
pub(super) fn keys(history: &History) -> BTreeSet<&str> {
    let mut keys = BTreeSet::new();
    for operation in history.operations() {
        if !matches!(operation.call, Call::List { .. }) {
            keys.insert(operation.key.as_str());
        }
        keys.extend(rows(operation).iter().map(|seen| seen.key.as_str()));
    }
    keys
}

/// The problem of each key, in the order of the keys.
pub(super) fn parts(history: &History, evidence: &Evidence<'_>) -> Vec<Part> {
    let mut of_key: BTreeMap<&str, Vec<&Operation>> =
        keys(history).into_iter().map(|key| (key, Vec::new())).collect();
    for operation in history.operations() {
        match operation.call {
            Call::List { .. } => {
                let from = operation.key.as_str();
                for (_, list) in
                    of_key.range_mut(from..).take_while(|(key, _)| key.starts_with(from))
                {
                    list.push(operation);
                }
            }
            _ => {
                if let Some(list) = of_key.get_mut(operation.key.as_str()) {
                    list.push(operation);
                }
            }
        }
    }
    let grows = history.model() == history::Model::KvAppend;
    of_key
        .into_iter()
        .map(|(key, operations)| part(key, &operations, grows, evidence))
        .filter(|part| !part.items.is_empty())
        .collect()
}

/// The ranks of the indexes that somebody surely or possibly saw as versions of the key.
struct Versions {
    /// Index to (its value if known, whether it surely existed).
    known: BTreeMap<u64, (Option<String>, bool)>,
    ranks: BTreeMap<u64, Rank>,
}

impl Versions {
    fn of(key: &str, operations: &[&Operation]) -> Self {
        let mut versions = Self { known: BTreeMap::new(), ranks: BTreeMap::new() };
        for operation in operations.iter().filter(|operation| counts(operation)) {
            let answered = operation.outcome == Outcome::Ok;
            if let Some(seen) = row_of(operation, key)
                && let Some(index) = seen.modify_index
            {
                versions.note(index, Some(&seen.value), true);
            }
            if let Call::CasIndex { index, .. } = operation.call
                && index != 0
                && operation.output != Some(Output::Swapped(false))
            {
                versions.note(index, None, answered);
            }
            if let Some(index) = operation.index
                && let Some(value) = made(operation)
            {
                versions.note(index, value, true);
            }
        }
        versions.ranks = versions.known.keys().copied().zip(1..).collect();
        versions
    }

    fn note(&mut self, index: u64, value: Option<&str>, surely: bool) {
        let entry = self.known.entry(index).or_insert((None, false));
        entry.1 |= surely;
        if entry.0.is_none() {
            entry.0 = value.map(str::to_owned);
        }
    }

    fn rank(&self, index: u64) -> Rank {
        self.ranks.get(&index).copied().unwrap_or(0)
    }
}

/// Whether the operation bears on the strict check at all.
fn counts(operation: &Operation) -> bool {
    match operation.call {
        Call::Get { mode } | Call::List { mode } => {
            operation.outcome == Outcome::Ok && mode != Mode::Stale
        }
        _ => operation.outcome != Outcome::Fail,
    }
}

fn row_of<'a>(operation: &'a Operation, key: &str) -> Option<&'a Seen> {
    rows(operation).iter().find(|seen| seen.key == key)
}

/// The value of the version an answered change made (none: absent), if it made one.
fn made(operation: &Operation) -> Option<Option<&str>> {
    if operation.outcome != Outcome::Ok || operation.output == Some(Output::Swapped(false)) {
        return None;
    }
    match &operation.call {
        Call::Put { value } | Call::CasIndex { value, .. } | Call::CasValue { to: value, .. } => {
            Some(Some(value))
        }
        Call::Delete => Some(None),
        Call::Append { .. } | Call::Get { .. } | Call::List { .. } => None,
    }
}

fn part(key: &str, operations: &[&Operation], grows: bool, evidence: &Evidence<'_>) -> Part {
    let versions = Versions::of(key, operations);
    let mut model = Model::new(grows);
    let mut items = Vec::new();
    for operation in operations.iter().filter(|operation| counts(operation)) {
        let Some(kind) = kind(operation, key, &versions, &mut model) else { continue };
        let unknown = operation.outcome == Outcome::Unknown;
        let ret = operation.returned_at.filter(|_| !unknown).unwrap_or(i64::MAX);
        items.push(Item {
            id: operation.id,
            call: operation.called_at,
            ret,
            kind,
            unknown,
            widened_call: (evidence.window)(operation)
                .map(|window| window.widen_from.min(operation.called_at)),
        });
    }
    name_versions(&mut model, &versions, &items);
    Part { key: key.to_owned(), model, items }
}

fn kind(operation: &Operation, key: &str, versions: &Versions, model: &mut Model) -> Option<Kind> {
    let refused = operation.output == Some(Output::Swapped(false));
    let made = match made(operation) {
        Some(_) => operation.index.map_or(0, |index| versions.rank(index)),
        None => 0,
    };
    Some(match &operation.call {
        Call::Get { .. } | Call::List { .. } => match row_of(operation, key) {
            Some(seen) => Kind::See(Test {
                value: Some(model.intern(&seen.value)),
                version: seen.modify_index.map_or(0, |index| versions.rank(index)),
            }),
            None => Kind::See(Test::value(ABSENT)),
        },
        Call::Put { value } => Kind::Write { to: model.intern(value), made },
        Call::Delete => Kind::Write { to: ABSENT, made },
        Call::Append { value } => Kind::Append { token: model.intern(value) },
        Call::CasIndex { index, value } => {
            let from = match (index, versions.rank(*index)) {
                (0, _) => Test::value(ABSENT),
                // Nobody ever saw this version: that the comparison failed says nothing.
                (_, 0) => return None,
                (_, rank) => Test {
                    value: versions.known[index].0.as_deref().map(|value| model.intern(value)),
                    version: rank,
                },
            };
            if refused {
                Kind::Not(from)
            } else {
                Kind::Cas { from, to: model.intern(value), made }
            }
        }
        Call::CasValue { from, to } => {
            let from = Test::value(model.intern(from));
            if refused { Kind::Not(from) } else { Kind::Cas { from, to: model.intern(to), made } }
        }
    })
}

fn name_versions(model: &mut Model, versions: &Versions, items: &[Item]) {
    let mut named = Vec::new();
    for (place, (value, surely)) in versions.known.values().enumerate() {
        let value = value.as_deref().map(|value| model.intern(value));
        named.push((value, place as Rank + 1, *surely));
    }
    let appends = items.iter().any(|item| matches!(item.kind, Kind::Append { .. }));
    let mut writers: BTreeMap<u32, usize> = BTreeMap::new();
    for value in items.iter().filter_map(|item| item.kind.leaves()) {
        *writers.entry(value).or_default() += 1;
    }
    model.name_versions(&named, |value| {
        if appends { 2 } else { writers.get(&value).copied().unwrap_or(0) }
    });
}
