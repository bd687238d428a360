//! The store as rows, and rows as a store: what a snapshot is written from and restored to.
//!
//! ```text
//!   StateStore ──► entries_after, tombstones_after, kv_index ──► (wire::snapshot) ──► bytes
//!   StateStore ◄── Rebuild::finish ◄── entry, tombstone, index ◄── (wire::snapshot) ◄── bytes
//! ```
//!
//! Rows come in the order of their names, from any name on, so that whoever writes them can stop
//! after each and needs no iterator that outlives a step. Rebuilt from all its rows, a store equals the
//! one that they are of.
//!
//! Rows come from disks and peers: one that a store cannot hold is a [`RebuildError`], and what
//! [`Rebuild::finish`] gives passes [`StateStore::check_invariants`].

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use super::kv::KvTable;
use super::{KvEntry, StateStore};
use crate::base::LogIndex;

/// What a tombstone stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grave {
    /// One key that was removed.
    Key,
    /// All keys with a prefix, removed at once.
    Tree,
}

/// Everything after this name; everything, when there is none.
pub(super) fn after(name: Option<&str>) -> (Bound<&str>, Bound<&str>) {
    (name.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

impl StateStore {
    /// The stored keys after this one, in byte order.
    pub fn entries_after(&self, key: Option<&str>) -> impl Iterator<Item = &KvEntry> {
        self.kv.entries.range::<_, str>(after(key)).map(|(_, entry)| &**entry)
    }

    /// The tombstones of one kind after this name, in byte order, each with its index.
    pub fn tombstones_after(
        &self,
        grave: Grave,
        name: Option<&str>,
    ) -> impl Iterator<Item = (&str, u64)> {
        let stones = self.kv.graveyard.stones(grave);
        stones.range::<_, str>(after(name)).map(|(name, index)| (&**name, *index))
    }

    /// The index of the latest change to any key; 0 when there was none. Consul's row `kvs`.
    #[must_use]
    pub fn kv_index(&self) -> u64 {
        self.kv.latest
    }

    /// The index of the latest tombstone; 0 when there is none. Consul's row `tombstones`.
    #[must_use]
    pub fn tombstone_index(&self) -> u64 {
        self.kv.graveyard.latest()
    }
}

/// Why rows make no store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RebuildError {
    /// A key, or the tombstone of one, without a name.
    EmptyKey,
    /// Two rows of one kind with the same name.
    Twice {
        /// The kind.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A key that was changed before it was created, or created by no entry of the log.
    Indexes {
        /// The key.
        key: String,
        /// Its `CreateIndex`.
        create: u64,
        /// Its `ModifyIndex`.
        modify: u64,
    },
    /// A tombstone of an index that no entry of the log has.
    NeverRemoved {
        /// Of which key or tree.
        name: String,
    },
    /// Rows of a later time than the last entry that was applied.
    Ahead {
        /// The highest index of any row.
        latest: u64,
        /// The last entry.
        applied: LogIndex,
    },
}

impl fmt::Display for RebuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RebuildError::EmptyKey => f.write_str("a key is empty"),
            RebuildError::Twice { what, name } => write!(f, "{what} {name:?} is there twice"),
            RebuildError::Indexes { key, create, modify } => {
                write!(f, "key {key:?} is of index {create} and was last changed at {modify}")
            }
            RebuildError::NeverRemoved { name } => {
                write!(f, "the tombstone of {name:?} is of index 0")
            }
            RebuildError::Ahead { latest, applied } => {
                write!(f, "there are rows of index {latest}, but the last entry is {applied}")
            }
        }
    }
}

impl std::error::Error for RebuildError {}

/// A store that is being put together.
#[derive(Debug, Default)]
pub struct Rebuild {
    kv: KvTable,
}

impl Rebuild {
    /// Adds a stored key.
    ///
    /// # Errors
    /// It is empty, there already, or of indexes that no key has.
    pub fn entry(&mut self, entry: KvEntry) -> Result<(), RebuildError> {
        let (create, modify) = (entry.create_index, entry.modify_index);
        if entry.key.is_empty() {
            return Err(RebuildError::EmptyKey);
        }
        if create == 0 || create > modify {
            return Err(RebuildError::Indexes { key: entry.key, create, modify });
        }
        let key: Arc<str> = entry.key.as_str().into();
        if self.kv.entries.insert(key.clone(), Arc::new(entry)).is_some() {
            return Err(RebuildError::Twice { what: "key", name: (*key).to_owned() });
        }
        self.index(modify);
        Ok(())
    }

    /// Adds a tombstone.
    ///
    /// # Errors
    /// It is there already, of a key without a name, or of no index.
    pub fn tombstone(&mut self, grave: Grave, name: &str, index: u64) -> Result<(), RebuildError> {
        if name.is_empty() && grave == Grave::Key {
            return Err(RebuildError::EmptyKey);
        }
        if index == 0 {
            return Err(RebuildError::NeverRemoved { name: name.to_owned() });
        }
        if self.kv.graveyard.stones(grave).contains_key(name) {
            return Err(RebuildError::Twice { what: "the tombstone of", name: name.to_owned() });
        }
        match grave {
            Grave::Key => self.kv.graveyard.bury_key(name, index),
            Grave::Tree => self.kv.graveyard.bury_prefix(name, index),
        }
        self.index(index);
        Ok(())
    }

    /// Keys have changed up to this index.
    pub fn index(&mut self, index: u64) {
        self.kv.latest = self.kv.latest.max(index);
    }

    /// The store, as it is when the entry `applied` was the last.
    ///
    /// # Errors
    /// A row is of a later index.
    pub fn finish(self, applied: LogIndex) -> Result<StateStore, RebuildError> {
        if self.kv.latest > applied.0 {
            return Err(RebuildError::Ahead { latest: self.kv.latest, applied });
        }
        let store = StateStore { kv: self.kv, applied };
        store.check_invariants();
        Ok(store)
    }
}
