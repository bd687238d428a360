//! The log in memory, and how much of it is durable.
//!
//! ```text
//!   index   … 4 | 5  6  7  8 | 9 10 11 | 12
//!         start ┘   durable ─┘ └ batch 4 ┘└ batch 5      appended, on their way to the disk
//! ```
//!
//! Invariants: entries are contiguous and start right after `start`; terms never fall; batches lie
//! end to end above the durable prefix and have ascending names. Batches become durable in order, so
//! an index is durable once the batch that carries it is, and then everything below is as well.
//!
//! `start` is (0, 0) as long as nothing is compacted. What stands at or before it is in a snapshot and
//! gone from here; of `start` itself the term is still known, so that the entry after it can be sent
//! and checked. The newest snapshot's index is never before `start` and never after the last entry,
//! hence its term is always known too.

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
    /// A log of durable entries behind a snapshot's (index, term); (0, 0) when there is none.
    ///
    /// Of a log that begins in the middle, before the snapshot's end, nothing tells the term that
    /// stood before the first entry. That entry is then given up for it: a snapshot covers it.
    ///
    /// # Panics
    /// When the entries are not contiguous, leave a gap after the snapshot, or do not agree with it:
    /// see [`Restored::reconcile`](crate::raft::Restored::reconcile).
    #[must_use]
    pub fn restored(mut entries: Vec<Entry>, snapshot: (LogIndex, Term)) -> Self {
        let mut start = snapshot;
        if let Some(first) = entries.first() {
            for (at, entry) in entries.iter().enumerate() {
                crate::invariant!(
                    entry.index.0 == first.index.0 + at as u64,
                    "restored entry {} stands {at} after {}",
                    entry.index,
                    first.index
                );
            }
            let before = LogIndex(first.index.0.saturating_sub(1));
            crate::invariant!(
                before <= snapshot.0,
                "restored log begins at {}, the snapshot ends at {}",
                first.index,
                snapshot.0
            );
            if before == LogIndex(0) {
                start = (before, Term(0));
            } else if before < snapshot.0 {
                let first = entries.remove(0);
                start = (first.index, first.term);
            }
        }
        let mut log = Self { start, entries, durable: LogIndex(0), batches: VecDeque::new() };
        log.durable = log.last_index();
        crate::invariant!(
            log.term_at(snapshot.0) == Some(snapshot.1),
            "restored log does not agree with the snapshot at {}",
            snapshot.0
        );
        log
    }

    /// What stands before the first entry.
    #[must_use]
    pub fn start(&self) -> LogIndex {
        self.start.0
    }

    /// Forgets this index and all before it: a snapshot covers them.
    ///
    /// # Panics
    /// When it is not on disk.
    pub fn compact_to(&mut self, index: LogIndex) {
        crate::invariant!(index <= self.durable, "{index} is to be compacted, but is not on disk");
        let Some(term) = self.get(index).map(|entry| entry.term) else { return };
        let gone = (index.0 - self.start.0.0) as usize;
        self.entries.drain(..gone);
        self.start = (index, term);
    }

    /// Begins anew after a snapshot with this last (index, term), which this batch puts on disk. Until
    /// it has, nothing of this log counts as durable, whatever was on disk before.
    pub fn reset(&mut self, index: LogIndex, term: Term, batch: PersistId) {
        self.entries.clear();
        self.start = (index, term);
        self.durable = LogIndex(0);
        self.batches = VecDeque::from([(batch, index)]);
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

    /// The term of the entry at an index, also of the one before the first: 0 at 0, none where there
    /// is no entry.
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

    const NO_SNAPSHOT: (LogIndex, Term) = (LogIndex(0), Term(0));

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
        let mut log = RaftLog::restored(vec![entry(1, 1)], NO_SNAPSHOT);
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
        let mut log = RaftLog::restored(vec![], NO_SNAPSHOT);
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
        let log = RaftLog::restored(vec![entry(1, 1), entry(2, 3)], NO_SNAPSHOT);
        assert_eq!(log.term_at(LogIndex(0)), Some(Term(0)));
        assert_eq!(log.term_at(LogIndex(2)), Some(Term(3)));
        assert_eq!(log.term_at(LogIndex(3)), None);
        assert_eq!(log.slice(LogIndex(2), LogIndex(9)).len(), 1);
        assert!(log.slice(LogIndex(3), LogIndex(9)).is_empty());
        assert!(log.slice(LogIndex(2), LogIndex(1)).is_empty());
    }

    #[test]
    fn a_log_behind_a_snapshot_begins_where_its_terms_are_known() {
        let snapshot = (LogIndex(4), Term(2));
        let empty = RaftLog::restored(vec![], snapshot);
        assert_eq!((empty.start(), empty.last_index()), (LogIndex(4), LogIndex(4)));
        assert_eq!((empty.last_term(), empty.durable_index()), (Term(2), LogIndex(4)));
        let after = RaftLog::restored(vec![entry(5, 2), entry(6, 3)], snapshot);
        assert_eq!((after.start(), after.last_index()), (LogIndex(4), LogIndex(6)));
        let overlapping = vec![entry(3, 1), entry(4, 2), entry(5, 2)];
        let overlapping = RaftLog::restored(overlapping, snapshot);
        assert_eq!(overlapping.start(), LogIndex(3));
        assert_eq!(overlapping.term_at(LogIndex(2)), None);
        assert_eq!(overlapping.term_at(LogIndex(3)), Some(Term(1)));
        let whole: Vec<Entry> = (1..=5).map(|index| entry(index, 2)).collect();
        assert_eq!(RaftLog::restored(whole, snapshot).start(), LogIndex(0));
    }

    #[test]
    fn compaction_keeps_the_term_before_the_first_entry() {
        let entries = (1..=6).map(|index| entry(index, index.min(4))).collect();
        let mut log = RaftLog::restored(entries, NO_SNAPSHOT);
        log.append(&[entry(7, 4)], PersistId(1));
        log.compact_to(LogIndex(3));
        assert_eq!((log.start(), log.term_at(LogIndex(3))), (LogIndex(3), Some(Term(3))));
        assert_eq!((log.term_at(LogIndex(2)), log.get(LogIndex(3))), (None, None));
        assert_eq!(log.slice(LogIndex(4), LogIndex(5)).len(), 2);
        log.compact_to(LogIndex(2));
        assert_eq!(log.start(), LogIndex(3), "what is gone is gone");
        log.persisted(PersistId(1));
        log.compact_to(LogIndex(7));
        assert_eq!((log.last_index(), log.last_term()), (LogIndex(7), Term(4)));
    }

    #[test]
    fn after_a_reset_nothing_is_durable_before_the_snapshot_is() {
        let mut log = RaftLog::restored(vec![entry(1, 1), entry(2, 1)], NO_SNAPSHOT);
        log.append(&[entry(3, 1)], PersistId(1));
        log.reset(LogIndex(9), Term(2), PersistId(2));
        log.append(&[entry(10, 2)], PersistId(3));
        assert_eq!(log.batch_of(LogIndex(1)), Some(PersistId(2)));
        assert_eq!(log.batch_of(LogIndex(9)), Some(PersistId(2)));
        log.persisted(PersistId(1));
        assert_eq!(log.durable_index(), LogIndex(0));
        log.persisted(PersistId(2));
        assert_eq!(log.durable_index(), LogIndex(9));
        log.truncate(LogIndex(10));
        assert_eq!((log.last_index(), log.batch_of(LogIndex(9))), (LogIndex(9), None));
    }
}
