//! From a history to one problem per key.
//!
//! Linearizability is local (Herlihy and Wing 1990): a history is linearizable iff its restriction to
//! each key is. A list touches all keys with its prefix; here it becomes a get of each of them, at
//! the same interval, and of the keys it did not find, a get that found nothing. That every one of
//! these gets is explained does not yet mean that *one instant* explains them all:
//! [`super::order`] checks that with the store's own indexes.
//!
//! Dropped: operations that failed, reads that failed or are unknown (they observed nothing), and
//! stale reads, which promise something else (see [`super::stale`]). What is about user events is no
//! operation on keys.

use std::collections::{BTreeMap, BTreeSet};

use super::Evidence;
use super::model::{ABSENT, Kind, Model, Rank, Test};
use super::problem::{Item, name_versions};
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
    for operation in history.operations().iter().filter(|it| it.call.is_of_keys()) {
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
            Call::Fire { .. } | Call::Events { .. } | Call::Of(_) => {}
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

/// The places of the indexes that somebody surely or possibly saw as versions of the key.
struct Versions(BTreeMap<u64, Rank>);

impl Versions {
    fn of(key: &str, operations: &[&Operation]) -> Self {
        let mut indexes = BTreeSet::new();
        for operation in operations.iter().filter(|operation| counts(operation)) {
            indexes.extend(row_of(operation, key).and_then(|seen| seen.modify_index));
            if let Call::CasIndex { index, .. } = operation.call
                && index != 0
                && operation.output != Some(Output::Swapped(false))
            {
                indexes.insert(index);
            }
            indexes.extend(operation.index.filter(|_| makes(operation)));
        }
        Self(indexes.into_iter().zip(1..).collect())
    }

    fn rank(&self, index: u64) -> Rank {
        self.0.get(&index).copied().unwrap_or(0)
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

/// Whether the operation is an answered change that made a version.
fn makes(operation: &Operation) -> bool {
    operation.outcome == Outcome::Ok
        && operation.output != Some(Output::Swapped(false))
        && !matches!(operation.call, Call::Append { .. } | Call::Get { .. } | Call::List { .. })
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
    name_versions(&mut model, &items);
    Part { key: key.to_owned(), model, items }
}

fn kind(operation: &Operation, key: &str, versions: &Versions, model: &mut Model) -> Option<Kind> {
    let refused = operation.output == Some(Output::Swapped(false));
    let made = operation.index.filter(|_| makes(operation)).map_or(0, |index| versions.rank(index));
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
        Call::Fire { .. } | Call::Events { .. } | Call::Of(_) => return None,
        Call::Append { value } => Kind::Append { token: model.intern(value) },
        Call::CasIndex { index, value } => {
            let from = match (index, versions.rank(*index)) {
                (0, _) => Test::value(ABSENT),
                // Nobody ever saw this version: that the comparison failed says nothing.
                (_, 0) => return None,
                (_, rank) => Test { value: None, version: rank },
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
