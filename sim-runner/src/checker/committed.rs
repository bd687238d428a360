//! The one committed log of the cluster, as the trace reveals it.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::trace::event::{Host, What};
use crate::trace::log::Slot;

use super::oracle::Seen;

/// A committed entry.
#[derive(Clone, Copy, Debug)]
pub struct CommittedEntry {
    /// The entry and everything before it.
    pub slot: Slot,
    /// The term of the server that was the first to know, when it knew.
    pub in_term: u64,
    /// When.
    pub at: i64,
    /// Who.
    pub by: Host,
}

/// Committed entries by index: the first report of each counts. Servers that report something else
/// for the same index are the business of state-machine-safety.
#[derive(Clone, Debug, Default)]
pub struct CommittedLog {
    entries: BTreeMap<u64, CommittedEntry>,
}

impl CommittedLog {
    /// Takes in an event; the indexes that it made known as committed.
    pub fn observe(&mut self, seen: Seen<'_>) -> Range<u64> {
        let What::Commit { index } = seen.event.what else { return 0..0 };
        let node = seen.view.node(seen.event.host);
        // Bounded by the entries of the log, however large the index claims to be.
        let first = self.last().saturating_add(1).max(node.log.first_index());
        let known = first..index.min(node.log.last_index()).saturating_add(1);
        for index in known.clone() {
            let Some(slot) = node.log.get(index) else { continue };
            let (in_term, at, by) = (node.term, seen.event.at, seen.event.host);
            self.entries.insert(index, CommittedEntry { slot: *slot, in_term, at, by });
        }
        known
    }

    /// The highest committed index; 0 when nothing is.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.entries.last_key_value().map_or(0, |(index, _)| *index)
    }

    /// The entry at an index.
    #[must_use]
    pub fn get(&self, index: u64) -> Option<&CommittedEntry> {
        self.entries.get(&index)
    }

    /// All entries, from the first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &CommittedEntry)> {
        self.entries.iter().map(|(index, entry)| (*index, entry))
    }
}
