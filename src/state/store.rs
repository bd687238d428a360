//! The store: all tables, and how far the log has been applied to them.

use crate::base::{Faults, LogIndex};
use crate::invariant;
use crate::state::change::Change;
use crate::state::kv::KvTable;
use crate::state::types::{Answer, Command, CommandResult, Query};

/// The replicated state of one server. A clone is a snapshot and costs O(1): the tables are
/// persistent maps that share what later writes do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateStore {
    pub(super) kv: KvTable,
    pub(super) applied: LogIndex,
}

impl StateStore {
    /// An empty store: the state before index 1.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies the committed command at this index: its result, and what it changed (nothing, when
    /// the store already was as the command wants it). A pure function of the store, the index and
    /// the command; `faults` is empty outside the testbed.
    ///
    /// # Panics
    /// When the index is not above all that were applied: an entry must take effect once.
    pub fn apply(
        &mut self,
        index: LogIndex,
        command: &Command,
        faults: &Faults,
    ) -> (CommandResult, Vec<Change>) {
        invariant!(index > self.applied, "apply {index} after {}", self.applied);
        self.applied = index;
        let (result, change) = match command {
            Command::Kv(command) => self.kv.apply(index.0, command, faults),
        };
        (result, change.into_iter().collect())
    }

    /// Says that all entries up to this index are in the store: those after the last command changed
    /// nothing, or the store is a snapshot that stands for them.
    ///
    /// # Panics
    /// When more than that has been applied already.
    pub fn advance_to(&mut self, index: LogIndex) {
        invariant!(index >= self.applied, "advance to {index} after {}", self.applied);
        self.applied = index;
    }

    /// Answers from the current state. The index is 0 when nothing was ever written.
    #[must_use]
    pub fn query(&self, query: &Query) -> Answer {
        match query {
            Query::KvGet { key } => self.kv.get(key),
            Query::KvList { prefix } => self.kv.list(prefix),
            Query::KvKeys { prefix, separator } => self.kv.keys(prefix, separator),
        }
    }

    /// Index of the last applied command, or what [`StateStore::advance_to`] said since.
    #[must_use]
    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    /// The deep invariants: O(size of the store).
    ///
    /// # Panics
    /// When one is broken.
    pub fn check_invariants(&self) {
        self.kv.check(self.applied.0);
    }
}
