//! The log in memory, and how much of it is durable.
//!
//! ```text
//!   index      1  2  3  4  5 | 6  7  8 | 9
//!              durable ──────┘ └ batch 4 ┘└ batch 5      appended, on their way to the disk
//! ```
//!
//! Invariants: entries are contiguous and start right after `start`; terms never fall; batches lie
//! end to end above the durable prefix and have ascending names. Batches become durable in order, so
//! an index is durable once the batch that carries it is, and then everything below is as well.
//!
//! `start` is (0, 0) as long as nothing is compacted; a compacted prefix would move it.

use std::collections::VecDeque;

use crate::base::{LogIndex, PersistId, Term};
use crate::raft::types::Entry;

/// The entries of one server.
#[derive(Debug)]
pub struct RaftLog {
    /// Index and term of what stands before the first entry.
    start: (LogIndex, Term),
    entries: Vec<Entry>,
    durable: LogIndex,
    /// The last index of each batch that is not durable yet.
    batches: VecDeque<(PersistId, LogIndex)>,
}

impl RaftLog {
    /// A log of durable entries.
    ///
    /// # Panics
    /// When they are not contiguous from index 1.
    #[must_use]
    pub fn restored(entries: Vec<Entry>) -> Self {
        let start = (LogIndex(0), Term(0));
        let durable = LogIndex(entries.len() as u64);
        for (at, entry) in entries.iter().enumerate() {
            crate::invariant!(
                entry.index.0 == at as u64 + 1,
                "restored entry {} stands at position {}",
                entry.index,
                at + 1
            );
        }
        Self { start, entries, durable, batches: VecDeque::new() }
    }

    /// Index of the last entry; 0 when there is none.
    #[must_use]
    pub fn last_index(&self) -> LogIndex {
        self.entries.last().map_or(self.start.0, |entry| entry.index)
    }

    /// Term of the last entry; 0 when there is none.
    #[must_use]
    pub fn last_term(&self) -> Term {
        self.entries.last().map_or(self.start.1, |entry| entry.term)
    }

    /// Everything up to here is on disk.
    #[must_use]
    pub fn durable_index(&self) -> LogIndex {
        self.durable
    }

    /// The term of the entry at an index: 0 at 0, none where there is no entry.
    #[must_use]
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.start.0 {
            return Some(self.start.1);
        }
        self.get(index).map(|entry| entry.term)
    }

    /// The entry at an index.
    #[must_use]
    pub fn get(&self, index: LogIndex) -> Option<&Entry> {
        self.entries.get(self.position(index)?)
    }

    /// Entries `from..=to`, cut to what is there.
    #[must_use]
    pub fn slice(&self, from: LogIndex, to: LogIndex) -> &[Entry] {
        let end = to.min(self.last_index());
        match (self.position(from), self.position(end)) {
            (Some(first), Some(last)) if first <= last => &self.entries[first..=last],
            _ => &[],
        }
    }

    /// Adds entries at the end, to be written by this batch.
    ///
    /// # Panics
    /// When they leave a gap.
    pub fn append(&mut self, entries: &[Entry], batch: PersistId) {
        let Some(first) = entries.first() else { return };
        crate::invariant!(
            first.index == self.last_index().next(),
            "append at {} to a log that ends at {}",
            first.index,
            self.last_index()
        );
        self.entries.extend_from_slice(entries);
        let last = self.last_index();
        match self.batches.back_mut() {
            Some((newest, end)) if *newest == batch => *end = last,
            _ => self.batches.push_back((batch, last)),
        }
    }

    /// Removes this index and all after it.
    pub fn truncate(&mut self, from: LogIndex) {
        let Some(position) = self.position(from) else { return };
        self.entries.truncate(position);
        let last = self.last_index();
        self.durable = self.durable.min(last);
        // A batch that lost only its tail still brings its head; one that lost all of it brings
        // nothing that is left.
        while self.batches.back().is_some_and(|&(_, end)| end > last) {
            let Some((batch, _)) = self.batches.pop_back() else { break };
            let below = self.batches.back().map_or(self.durable, |&(_, end)| end);
            if below < last {
                self.batches.push_back((batch, last));
            }
        }
    }

    /// This batch and all before it are on disk.
    pub fn persisted(&mut self, batch: PersistId) {
        while let Some(&(id, end)) = self.batches.front() {
            if id > batch {
                break;
            }
            self.durable = end;
            self.batches.pop_front();
        }
    }

    /// The batch that makes this index durable; none when it already is.
    #[must_use]
    pub fn batch_of(&self, index: LogIndex) -> Option<PersistId> {
        if index <= self.durable {
            return None;
        }
        self.batches.iter().find(|&&(_, end)| end >= index).map(|&(id, _)| id)
    }

    fn position(&self, index: LogIndex) -> Option<usize> {
        (index > self.start.0).then(|| (index.0 - self.start.0.0 - 1) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::types::EntryKind;

    fn entry(index: u64, term: u64) -> Entry {
        Entry {
            index: LogIndex(index),
            term: Term(term),
            kind: EntryKind::Command,
            data: bytes::Bytes::new(),
        }
    }

    #[test]
    fn durability_follows_batches() {
        let mut log = RaftLog::restored(vec![entry(1, 1)]);
        log.append(&[entry(2, 1), entry(3, 1)], PersistId(1));
        log.append(&[entry(4, 1)], PersistId(2));
        assert_eq!(log.durable_index(), LogIndex(1));
        assert_eq!(log.batch_of(LogIndex(1)), None);
        assert_eq!(log.batch_of(LogIndex(3)), Some(PersistId(1)));
        assert_eq!(log.batch_of(LogIndex(4)), Some(PersistId(2)));
        log.persisted(PersistId(1));
        assert_eq!(log.durable_index(), LogIndex(3));
        log.persisted(PersistId(2));
        assert_eq!(log.durable_index(), LogIndex(4));
    }

    #[test]
    fn truncation_takes_back_what_batches_promise() {
        let mut log = RaftLog::restored(vec![]);
        log.append(&[entry(1, 1), entry(2, 1), entry(3, 1)], PersistId(1));
        log.append(&[entry(4, 1)], PersistId(2));
        log.truncate(LogIndex(3));
        log.append(&[entry(3, 2)], PersistId(3));
        assert_eq!(log.batch_of(LogIndex(2)), Some(PersistId(1)));
        assert_eq!(log.batch_of(LogIndex(3)), Some(PersistId(3)));
        log.persisted(PersistId(2));
        assert_eq!(log.durable_index(), LogIndex(2));
        log.persisted(PersistId(3));
        assert_eq!(log.durable_index(), LogIndex(3));
        log.truncate(LogIndex(2));
        assert_eq!((log.durable_index(), log.last_index()), (LogIndex(1), LogIndex(1)));
    }

    #[test]
    fn terms_and_slices_end_where_the_log_ends() {
        let log = RaftLog::restored(vec![entry(1, 1), entry(2, 3)]);
        assert_eq!(log.term_at(LogIndex(0)), Some(Term(0)));
        assert_eq!(log.term_at(LogIndex(2)), Some(Term(3)));
        assert_eq!(log.term_at(LogIndex(3)), None);
        assert_eq!(log.slice(LogIndex(2), LogIndex(9)).len(), 1);
        assert!(log.slice(LogIndex(3), LogIndex(9)).is_empty());
        assert!(log.slice(LogIndex(2), LogIndex(1)).is_empty());
    }
}
