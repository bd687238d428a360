//! Which entries a log holds and of which terms they are, without the entries.
//!
//! ```text
//!   base (40, t3) │ 41 42 43 of t3 │ 44 45 of t5 │        last (45, t5)
//! ```
//!
//! The log on disk is judged by this: whether it holds the entry at which a snapshot was made, where
//! an append belongs, what the end is after a truncation. Terms change seldom, so it is small however
//! long the log.

use crate::base::{LogIndex, Term};

/// An entry's index and term.
pub(super) type Position = (LogIndex, Term);

/// The extent of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// The entry before the first; (0, 0) when the log begins at 1.
    base: Position,
    /// The first index of each run of entries of one term, with that term.
    runs: Vec<Position>,
    last: LogIndex,
}

impl Extent {
    /// An empty log that begins after this entry.
    pub fn after(base: Position) -> Self {
        Self { base, runs: Vec::new(), last: base.0 }
    }

    pub fn base(&self) -> Position {
        self.base
    }

    /// The last entry; the base when there is none.
    pub fn last(&self) -> Position {
        (self.last, self.runs.last().map_or(self.base.1, |run| run.1))
    }

    /// The term of an entry, or of the base.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index < self.base.0 || index > self.last {
            return None;
        }
        let runs_before = self.runs.partition_point(|run| run.0 <= index);
        Some(runs_before.checked_sub(1).map_or(self.base.1, |at| self.runs[at].1))
    }

    /// Whether the log agrees with a snapshot made at this entry.
    pub fn holds(&self, (index, term): Position) -> bool {
        self.term_at(index) == Some(term)
    }

    /// One entry more, of this term.
    pub fn push(&mut self, term: Term) {
        self.last = self.last.next();
        if self.runs.last().is_none_or(|run| run.1 != term) {
            self.runs.push((self.last, term));
        }
    }

    /// Without this entry and all after it. A log whose beginning has been dropped may be cut below
    /// its base: then it is empty, and what is appended next has never been dropped.
    pub fn truncate(&mut self, from: LogIndex, term_before: Term) {
        let end = LogIndex(from.0.saturating_sub(1));
        if end <= self.base.0 {
            *self = Self::after((end, term_before));
        } else if end < self.last {
            self.runs.retain(|run| run.0 <= end);
            self.last = end;
        }
    }
}
