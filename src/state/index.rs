//! The rows of Consul's table `index`: up to which entry each part of the catalog has changed
//! (spec cluster 10.2).
//!
//! ```text
//!   nodes  services  checks  coordinates  sessions  prepared-queries     one row a table
//!   service.NAME                             one a service that has an instance
//!   service_kind.KIND                        one a kind, "typical" for plain services
//!   service_last_extinction                  when a service last lost its last instance
//! ```
//!
//! A query's index is a function of a few rows, and a [`Change`](crate::state::Change) names each row
//! that rose, so that whoever asks whether a query is touched asks for the rows that it reads. A row
//! never falls; `service.NAME` goes with its service, and `service_last_extinction` rises with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;

use crate::state::Change;

/// The row of the table of nodes.
pub(super) const NODES: &str = "nodes";
/// Of services.
pub(super) const SERVICES: &str = "services";
/// Of checks.
pub(super) const CHECKS: &str = "checks";
/// Of coordinates.
pub(super) const COORDINATES: &str = "coordinates";
/// Of the autopilot's configuration. Ours: Consul takes the entry's own.
pub(super) const AUTOPILOT: &str = "autopilot-config";
/// Of sessions.
pub(super) const SESSIONS: &str = "sessions";
/// Of prepared queries.
pub(super) const PREPARED_QUERIES: &str = "prepared-queries";
/// When the last instance of any service went.
pub(super) const EXTINCTION: &str = "service_last_extinction";

/// The row of a service; names are looked up in lower case.
pub(super) fn of_service(name: &str) -> String {
    format!("service.{}", name.to_lowercase())
}

/// The row of a kind of service.
pub(super) fn of_kind(kind: &str) -> String {
    format!("service_kind.{}", if kind.is_empty() { "typical" } else { kind })
}

/// Whether a row of this name belongs to this store.
pub(super) fn is_known(name: &str) -> bool {
    matches!(
        name,
        NODES | SERVICES | CHECKS | COORDINATES | SESSIONS | PREPARED_QUERIES | EXTINCTION
    ) || name.starts_with("service.")
        || name.starts_with("service_kind.")
}

/// All rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct IndexRows(pub OrdMap<Arc<str>, u64>);

impl IndexRows {
    /// A row; none when it was never written, or went.
    pub(super) fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// The highest of these rows; 0 when there is none.
    pub(super) fn max(&self, names: &[&str]) -> u64 {
        names.iter().filter_map(|name| self.get(name)).max().unwrap_or(0)
    }

    /// Raises a row.
    pub(super) fn raise(&mut self, name: &str, index: u64) {
        let index = self.get(name).map_or(index, |old| old.max(index));
        self.0.insert(name.into(), index);
    }
}

/// The rows that one command raised.
#[derive(Debug, Default)]
pub(super) struct Touched(BTreeSet<String>);

impl Touched {
    pub(super) fn add(&mut self, name: String) {
        self.0.insert(name);
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        self.0.into_iter().map(Change::Index).collect()
    }
}
