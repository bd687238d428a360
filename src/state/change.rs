//! What one applied command changed, for waking blocking queries.

use crate::base::Duration;
use crate::state::index::{
    self, AUTOPILOT, CHECKS, COORDINATES, EXTINCTION, NODES, PREPARED_QUERIES, SERVICES, SESSIONS,
};
use crate::state::types::Query;

/// A part of the store that a command changed. A command that changed nothing has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This key was written or removed.
    Key(String),
    /// All keys with this byte prefix were removed, and there was at least one.
    Prefix(String),
    /// This index row rose, or went (`state/index.rs`): what the catalog's questions depend on.
    Index(String),
    /// The session of this id began or ended.
    Session(String),
    /// This key's holder has ended: for so long no session is to have it, by the clock of each server.
    /// Nothing that a query shows.
    LockDelay {
        /// The key.
        key: String,
        /// For how long; never zero.
        delay: Duration,
    },
}

impl Change {
    /// A table's row rose.
    pub(super) fn row(name: &str) -> Self {
        Change::Index(name.to_owned())
    }
}

impl Query {
    /// Whether the change may have changed this query's rows. Never wrongly false; wrongly true only
    /// for the removal of a prefix that held other keys than those asked for.
    #[must_use]
    pub fn is_touched_by(&self, change: &Change) -> bool {
        match (self, change) {
            (Query::KvGet { key }, Change::Key(changed)) => key == changed,
            (Query::KvGet { key }, Change::Prefix(gone)) => key.starts_with(gone.as_str()),
            (Query::KvList { prefix } | Query::KvKeys { prefix, .. }, Change::Key(changed)) => {
                changed.starts_with(prefix.as_str())
            }
            (Query::KvList { prefix } | Query::KvKeys { prefix, .. }, Change::Prefix(gone)) => {
                gone.starts_with(prefix.as_str()) || prefix.starts_with(gone.as_str())
            }
            (Query::Session { id }, Change::Session(changed)) => id.eq_ignore_ascii_case(changed),
            (_, Change::Index(row)) => self.reads(row),
            (_, Change::Key(_) | Change::Prefix(_)) => false,
            (_, Change::Session(_) | Change::LockDelay { .. }) => false,
        }
    }

    /// Whether rows of the answer may have changed when this index row rose.
    fn reads(&self, row: &str) -> bool {
        match self {
            Query::KvGet { .. } | Query::KvList { .. } | Query::KvKeys { .. } => false,
            Query::Session { .. } => false,
            Query::CatalogNodes { .. } => row == NODES,
            Query::CatalogNode { .. } => row == NODES || row == SERVICES,
            Query::CatalogServices { meta } => row == SERVICES || row == NODES && !meta.is_empty(),
            // A node's change raises the rows of the services on it.
            Query::CatalogService { service, .. } | Query::HealthService { service, .. } => {
                row == EXTINCTION || row == index::of_service(service)
            }
            Query::HealthNode { .. } => row == CHECKS,
            Query::HealthChecks { meta, .. } | Query::HealthState { meta, .. } => {
                row == CHECKS || row == NODES && !meta.is_empty()
            }
            Query::NodeDump | Query::NodeInfo { .. } | Query::ServiceDump => {
                row == NODES || row == SERVICES || row == CHECKS
            }
            Query::AutopilotConfiguration => row == AUTOPILOT,
            Query::Coordinates | Query::NodeCoordinates { .. } => row == COORDINATES,
            Query::Sessions | Query::NodeSessions { .. } => row == SESSIONS,
            Query::PreparedQueries | Query::PreparedQuery { .. } => row == PREPARED_QUERIES,
            // They never block.
            Query::ExplainQuery(_)
            | Query::ExecuteQuery(_)
            | Query::ExecuteQueryRemote { .. }
            | Query::Txn { .. } => false,
        }
    }
}
