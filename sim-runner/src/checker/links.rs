//! Which log entry carried which operation of a user.
//!
//! ```text
//!  history   put x=7 ├──────────────┤ ok          trace   wrote x h(7) index 12
//!                          ▲─────────────────────────────────┘ first applied inside the call
//! ```
//!
//! An operation that was acknowledged with an effect was applied somewhere between its call and its
//! answer. Values are unique in workloads, but scripts may write one twice and removals carry none, so
//! entries are matched to operations as points to intervals: earliest deadline first, which finds a
//! complete matching whenever there is one.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use crate::history::operation::{Call, Operation, Outcome, Output};
use crate::trace::event::{REMOVED, REMOVED_TREE, TraceEvent, What};

/// What the matching found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Operation → index of its entry.
    pub index: BTreeMap<u64, u64>,
    /// Acknowledged operations without an entry, by id.
    pub missing: Vec<u64>,
}

/// What an acknowledged write did: its key, and the hash of its value, 0 for a removal; none for
/// reads, comparisons that failed, other outcomes, and calls that only other systems have.
#[must_use]
pub fn effect(operation: &Operation) -> Option<(&str, u64)> {
    if operation.outcome != Outcome::Ok {
        return None;
    }
    let value = match (&operation.call, &operation.output) {
        (Call::Put { value }, _) | (Call::CasIndex { value, .. }, Some(Output::Swapped(true))) => {
            xxh3_64(value.as_bytes())
        }
        (Call::Delete, _) => REMOVED,
        _ => return None,
    };
    Some((&operation.key, value))
}

/// Matches the acknowledged writes of a history with the entries of a trace.
#[must_use]
pub fn link(history: &[Operation], events: &[TraceEvent]) -> Links {
    let mut calls: BTreeMap<(&str, u64), Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        if let Some(effect) = effect(operation) {
            calls.entry(effect).or_default().push(operation);
        }
    }
    let entries = first_effects(events);
    let mut links = Links::default();
    let trees: Vec<_> = entries.iter().filter(|((_, value), _)| *value == REMOVED_TREE).collect();
    for ((key, value), operations) in calls {
        let mut entries = entries.get(&(key, value)).cloned().unwrap_or_default();
        // The removal of a prefix is one entry, and one operation for each key under it.
        let removing = trees.iter().filter(|((prefix, _), _)| key.starts_with(prefix));
        if value == REMOVED {
            entries.extend(removing.flat_map(|(_, removed)| removed.iter().copied()));
            entries.sort_unstable();
        }
        match_group(operations, &entries, &mut links);
    }
    links.missing.sort_unstable();
    links
}

/// Key and value → when each of their entries was first applied anywhere, and its index; by time.
fn first_effects(events: &[TraceEvent]) -> BTreeMap<(&str, u64), Vec<(i64, u64)>> {
    let mut known = BTreeMap::new();
    let mut entries: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in events {
        if let What::Wrote { index, key, value, done: true } = &event.what
            && known.insert(*index, ()).is_none()
        {
            entries.entry((key.as_str(), *value)).or_default().push((event.at, *index));
        }
    }
    entries
}

fn match_group(mut operations: Vec<&Operation>, entries: &[(i64, u64)], links: &mut Links) {
    operations.sort_by_key(|operation| operation.called_at);
    let mut waiting = operations.into_iter().peekable();
    // Open calls by deadline. Equal deadlines are told apart by id.
    let mut open: BTreeMap<(i64, u64), u64> = BTreeMap::new();
    for (at, index) in entries {
        while let Some(operation) = waiting.next_if(|operation| operation.called_at <= *at) {
            open.insert((operation.returned_at.unwrap_or(i64::MAX), operation.id), operation.id);
        }
        while let Some(expired) = open.first_entry().filter(|first| first.key().0 < *at) {
            links.missing.push(expired.remove());
        }
        if let Some((_, id)) = open.pop_first() {
            links.index.insert(id, *index);
        }
    }
    links.missing.extend(open.into_values());
    links.missing.extend(waiting.map(|operation| operation.id));
}
