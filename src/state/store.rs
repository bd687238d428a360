//! The store: all tables, and how far the log has been applied to them.

use crate::base::{Faults, LogIndex};
use crate::invariant;
use crate::state::autopilot::AutopilotTable;
use crate::state::catalog::{Catalog, Done, HealthCheck, Node, NodeService, Single};
use crate::state::change::Change;
use crate::state::coordinate::CoordinateTable;
use crate::state::index::NODES;
use crate::state::kv::KvTable;
use crate::state::prepared_query::{self, PreparedQuery, QueryTable};
use crate::state::session::SessionTable;
use crate::state::types::{Answer, Command, CommandResult, Query};

/// The replicated state of one server. A clone is a snapshot and costs O(1): the tables are
/// persistent maps that share what later writes do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateStore {
    pub(super) kv: KvTable,
    pub(super) catalog: Catalog,
    pub(super) coordinates: CoordinateTable,
    pub(super) autopilot: AutopilotTable,
    pub(super) sessions: SessionTable,
    pub(super) queries: QueryTable,
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
        self.execute(index, command, faults)
    }

    /// The command's work, which may be part of a transaction at this index.
    pub(super) fn execute(
        &mut self,
        index: LogIndex,
        command: &Command,
        faults: &Faults,
    ) -> (CommandResult, Vec<Change>) {
        match command {
            Command::Kv(command) => {
                let (result, change) = self.kv.apply(index.0, command, &self.sessions, faults);
                (result, change.into_iter().collect())
            }
            Command::Register(what) => {
                let done = self.catalog.register(index.0, what, faults);
                self.follow_catalog(index, done)
            }
            Command::Deregister(what) => {
                let done = self.catalog.deregister(index.0, what, faults);
                self.follow_catalog(index, done)
            }
            Command::Coordinates(batch) => {
                self.coordinates.apply(index.0, batch, &mut self.catalog)
            }
            Command::Autopilot(command) => self.autopilot.apply(index.0, command),
            Command::Session(command) => self.apply_session(index.0, command),
            Command::ReapTombstones { up_to } => {
                self.kv.graveyard.reap(*up_to);
                (CommandResult::Flag(true), Vec::new())
            }
            Command::PreparedQuery(command) => {
                let indexes = &mut self.catalog.indexes;
                self.queries.apply(index.0, command, &self.sessions, indexes)
            }
            Command::Txn(ops) => self.apply_txn(index, ops, faults),
        }
    }

    /// One row of the catalog, as part of a transaction at this index.
    pub(super) fn apply_single(
        &mut self,
        index: LogIndex,
        what: Single<'_>,
        faults: &Faults,
    ) -> (CommandResult, Vec<Change>) {
        let done = self.catalog.single(index.0, what, faults);
        self.follow_catalog(index, done)
    }

    /// What other tables hold of a node goes with it, at the same index, and sessions end with their checks.
    pub(super) fn follow_catalog(
        &mut self,
        index: LogIndex,
        done: Done,
    ) -> (CommandResult, Vec<Change>) {
        let Done { result, mut changes, lost } = done;
        self.end_bound(index.0, &lost, &mut changes);
        if changes.contains(&Change::Index(NODES.to_owned())) {
            changes.extend(self.coordinates.follow(index.0, &mut self.catalog));
        }
        (result, changes)
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
            Query::AutopilotConfiguration => self.autopilot.query(),
            Query::Coordinates => self.coordinates.query(None, &self.catalog),
            Query::NodeCoordinates { node } => self.coordinates.query(Some(node), &self.catalog),
            Query::Session { .. } | Query::Sessions | Query::NodeSessions { .. } => {
                self.sessions.query(query, &self.catalog)
            }
            Query::PreparedQueries => self.queries.list(&self.catalog.indexes),
            Query::PreparedQuery { id } => self.queries.find(id, &self.catalog.indexes),
            Query::ExplainQuery(asked) => self.queries.explain(asked),
            Query::ExecuteQuery(asked) => self.queries.execute(asked, &self.catalog),
            Query::ExecuteQueryRemote { definition, connect, .. } => {
                prepared_query::execute(definition, *connect, &self.catalog)
            }
            Query::Txn { ops } => self.read_txn(ops),
            catalog => self.catalog.query(catalog),
        }
    }

    /// A node of the catalog, by its name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.catalog.node(name)
    }

    /// An instance in the catalog, by its node's name and its id.
    #[must_use]
    pub fn service_on(&self, node: &str, id: &str) -> Option<&NodeService> {
        self.catalog.service_on(node, id)
    }

    /// A check in the catalog, by its node's name and its id.
    #[must_use]
    pub fn check_on(&self, node: &str, id: &str) -> Option<&HealthCheck> {
        self.catalog.check_on(node, id)
    }

    /// A prepared query, by its id.
    #[must_use]
    pub fn prepared_query(&self, id: &str) -> Option<&PreparedQuery> {
        self.queries.get(id)
    }

    /// The prepared queries after this id, which is in lower case, in the order of theirs.
    pub fn prepared_queries_after(&self, id: Option<&str>) -> impl Iterator<Item = &PreparedQuery> {
        self.queries.after(id)
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
        self.catalog.check(self.applied.0);
        self.coordinates.check(&self.catalog);
        self.autopilot.check(self.applied.0);
        self.sessions.check(&self.catalog);
        self.check_locks();
        self.queries.check(&self.sessions, &self.catalog.indexes);
    }
}
