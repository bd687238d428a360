//! The store as rows, and rows as a store: what a snapshot is written from and restored to.
//!
//! ```text
//!   StateStore ──► nodes_after, entries_after, tombstones_after … ──► (wire::snapshot) ──► bytes
//!   StateStore ◄── Rebuild::finish ◄── registration, entry, index … ◄── (wire::snapshot) ◄── bytes
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

use super::autopilot::AutopilotTable;
use super::catalog::Catalog;
use super::coordinate::CoordinateTable;
use super::kv::KvTable;
use super::prepared_query::{PreparedQuery, QueryTable};
use super::session::SessionTable;
use super::{
    AutopilotConfiguration, HealthCheck, KvEntry, Node, NodeCoordinate, NodeService, Register,
    Session, StateStore, index,
};
use crate::base::LogIndex;

/// What a tombstone stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// The nodes after this name, which is in lower case, in the order of theirs.
    pub fn nodes_after(&self, name: Option<&str>) -> impl Iterator<Item = (&str, &Node)> {
        let nodes = self.catalog.nodes.range::<_, str>(after(name));
        nodes.map(|(name, node)| (&**name, &**node))
    }

    /// The instances on a node of [`StateStore::nodes_after`].
    pub fn services_on(&self, name: &str) -> impl Iterator<Item = &NodeService> {
        let first = (Arc::from(name), Arc::from(""));
        let rows = self.catalog.services.range(first..);
        rows.take_while(move |((node, _), _)| **node == *name).map(|(_, row)| &**row)
    }

    /// The checks on one.
    pub fn checks_on(&self, name: &str) -> impl Iterator<Item = &HealthCheck> {
        let first = (Arc::from(name), Arc::from(""));
        let rows = self.catalog.checks.range(first..);
        rows.take_while(move |((node, _), _)| **node == *name).map(|(_, row)| &**row)
    }

    /// Where nodes are.
    pub fn coordinates(&self) -> impl Iterator<Item = &NodeCoordinate> {
        self.coordinates.0.values().map(|row| &**row)
    }

    /// The autopilot's configuration; none before the first write.
    #[must_use]
    pub fn autopilot(&self) -> Option<&AutopilotConfiguration> {
        self.autopilot.0.as_ref()
    }

    /// The index rows of the catalog, in the order of their names.
    pub fn index_rows(&self) -> impl Iterator<Item = (&str, u64)> {
        self.catalog.indexes.0.iter().map(|(name, index)| (&**name, *index))
    }

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

    /// The index of the oldest one; none when there is none.
    #[must_use]
    pub fn oldest_tombstone(&self) -> Option<u64> {
        self.kv.graveyard.oldest()
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
    /// A row that was changed before it was created, or created by no entry of the log.
    Indexes {
        /// The kind.
        what: &'static str,
        /// Its name.
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
    /// A row that is there twice, has no name, or is of something that is not there.
    Misplaced {
        /// The kind.
        what: &'static str,
        /// The name.
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
            RebuildError::Indexes { what, key, create, modify } => {
                write!(f, "{what} {key:?} is of index {create} and was last changed at {modify}")
            }
            RebuildError::Misplaced { what, name } => {
                write!(f, "{what} {name:?} is there twice, or without what it belongs to")
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
    catalog: Catalog,
    coordinates: CoordinateTable,
    autopilot: Option<AutopilotConfiguration>,
    sessions: SessionTable,
    queries: QueryTable,
}

impl Rebuild {
    /// Adds a node or, when it says something of an instance or checks, those: the node must be there
    /// then.
    ///
    /// # Errors
    /// One of them cannot be where it is said to be.
    pub fn registration(&mut self, row: Register) -> Result<(), RebuildError> {
        let Register { node, service, checks, .. } = row;
        let name = node.node.clone();
        if service.is_none() && checks.is_empty() {
            ordered("node", &name, node.create_index, node.modify_index)?;
            return placed("node", &name, self.catalog.restore_node(node));
        }
        if let Some(service) = service {
            let id = service.id.clone();
            ordered("service", &id, service.create_index, service.modify_index)?;
            placed("service", &id, self.catalog.restore_service(&name, service))?;
        }
        for check in checks {
            let id = check.check_id.clone();
            ordered("check", &id, check.create_index, check.modify_index)?;
            placed("check", &id, self.catalog.restore_check(check))?;
        }
        Ok(())
    }

    /// Adds where a node is, which must be there.
    ///
    /// # Errors
    /// It is not, or this is there already, or no coordinate.
    pub fn coordinate(&mut self, row: NodeCoordinate) -> Result<(), RebuildError> {
        let name = row.node.clone();
        placed("coordinate", &name, self.coordinates.restore(row, &self.catalog))
    }

    /// Adds the autopilot's configuration.
    ///
    /// # Errors
    /// There is one, or its indexes are none.
    pub fn autopilot(&mut self, row: AutopilotConfiguration) -> Result<(), RebuildError> {
        ordered("autopilot", "configuration", row.create_index, row.modify_index)?;
        placed("autopilot", "configuration", self.autopilot.replace(row).is_none())
    }

    /// Adds a prepared query, whose session must be there.
    ///
    /// # Errors
    /// It is not, or this or its name is there already, or its indexes are none.
    pub fn prepared_query(&mut self, row: PreparedQuery) -> Result<(), RebuildError> {
        let id = row.id.clone();
        ordered("prepared query", &id, row.create_index, row.modify_index)?;
        let placed_in = self.queries.restore(row, &self.sessions, &mut self.catalog.indexes);
        placed("prepared query", &id, placed_in)
    }

    /// Adds a session, whose node and checks must be there.
    ///
    /// # Errors
    /// They are not, or this is there already, or its indexes are none.
    pub fn session(&mut self, row: Session) -> Result<(), RebuildError> {
        let id = row.id.clone();
        ordered("session", &id, row.create_index, row.modify_index)?;
        placed("session", &id, self.sessions.restore(row, &mut self.catalog))
    }

    /// Adds an index row of the catalog; false for one that this store does not keep.
    pub fn index_row(&mut self, name: &str, index: u64) -> bool {
        let known = index::is_known(name);
        if known {
            self.catalog.indexes.raise(name, index);
        }
        known
    }

    /// Adds a stored key.
    ///
    /// # Errors
    /// It is empty, there already, or of indexes that no key has.
    pub fn entry(&mut self, entry: KvEntry) -> Result<(), RebuildError> {
        let (create, modify) = (entry.create_index, entry.modify_index);
        if entry.key.is_empty() {
            return Err(RebuildError::EmptyKey);
        }
        ordered("key", &entry.key, create, modify)?;
        if let Some(other) = self.kv.insert(entry) {
            return Err(RebuildError::Twice { what: "key", name: other.key.clone() });
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
        let rows = self.catalog.indexes.0.values().copied().max().unwrap_or(0);
        let autopilot = self.autopilot.as_ref().map_or(0, |row| row.modify_index);
        let latest = self.kv.latest.max(rows).max(autopilot);
        if latest > applied.0 {
            return Err(RebuildError::Ahead { latest, applied });
        }
        for (holder, key) in &self.kv.locked {
            let there = self.sessions.find(holder).is_ok_and(|session| session.id == **holder);
            placed("a lock on", key, there)?;
        }
        let Self { kv, catalog, coordinates, autopilot, sessions, queries } = self;
        let autopilot = AutopilotTable(autopilot);
        let store = StateStore { kv, catalog, coordinates, autopilot, sessions, queries, applied };
        store.check_invariants();
        Ok(store)
    }
}

fn ordered(what: &'static str, name: &str, create: u64, modify: u64) -> Result<(), RebuildError> {
    if create == 0 || create > modify {
        return Err(RebuildError::Indexes { what, key: name.to_owned(), create, modify });
    }
    Ok(())
}

fn placed(what: &'static str, name: &str, placed: bool) -> Result<(), RebuildError> {
    if placed { Ok(()) } else { Err(RebuildError::Misplaced { what, name: name.to_owned() }) }
}
