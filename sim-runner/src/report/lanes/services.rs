//! How the instances of each service fare, as the catalog has it.
//!
//! ```text
//!   web   2 pass ──────┤ 1 passes, 1 is critical ├─ 2 pass ──┤ none
//! ```
//!
//! The catalog is the cluster's, not one server's: each entry counts when the first server has applied it.
//! An instance is as well as the worst check of it or its node. A row is added when a count changes, so
//! the rows of a service are in order and no two neighbours are equal.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::trace::catalog::Catalog;
use crate::trace::event::What;

/// Services drawn; of more, those that come first by name.
const SHOWN: usize = 24;

/// One service over the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceLane {
    /// Its name.
    pub name: String,
    /// Its instances from then on.
    pub rows: Vec<Health>,
}

/// How many instances are how well since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Health {
    /// µs.
    pub at: i64,
    /// All checks pass.
    pub passing: u32,
    /// The worst check warns.
    pub warning: u32,
    /// A check is critical.
    pub critical: u32,
}

/// The lanes under construction.
#[derive(Default)]
pub(super) struct ServicesFold {
    catalog: Catalog,
    /// The last entry that is in it.
    index: u64,
    lanes: BTreeMap<String, Vec<Health>>,
}

impl ServicesFold {
    /// Takes the next event, of whatever server.
    pub(super) fn take(&mut self, at: i64, what: &What) {
        let What::Catalog { index, rows } = what else { return };
        // What other servers apply later is known.
        if *index <= self.index {
            return;
        }
        self.index = *index;
        rows.iter().for_each(|row| self.catalog.row(row));
        let none = Health { at, passing: 0, warning: 0, critical: 0 };
        let mut now: BTreeMap<&str, Health> =
            self.lanes.keys().map(|name| (name.as_str(), none)).collect();
        for (place, row) in self.catalog.services() {
            let health = now.entry(&row.service).or_insert(none);
            match self.catalog.status(place) {
                "passing" => health.passing += 1,
                "warning" => health.warning += 1,
                _ => health.critical += 1,
            }
        }
        let counts = |it: &Health| (it.passing, it.warning, it.critical);
        let changed = now.into_iter().filter(|(name, health)| {
            let last = self.lanes.get(*name).and_then(|rows| rows.last());
            last.map(counts) != Some(counts(health))
        });
        let changed: Vec<(String, Health)> =
            changed.map(|(name, health)| (name.to_owned(), health)).collect();
        for (name, health) in changed {
            let rows = self.lanes.entry(name).or_default();
            match rows.last_mut() {
                Some(last) if last.at == at => *last = health,
                _ => rows.push(health),
            }
        }
    }

    /// The lanes by name, `consul`'s own last.
    pub(super) fn finish(self) -> Vec<ServiceLane> {
        let lanes = self.lanes.into_iter().map(|(name, rows)| ServiceLane { name, rows });
        let mut lanes: Vec<ServiceLane> = lanes.collect();
        lanes.sort_by_key(|lane| lane.name == "consul");
        lanes.truncate(SHOWN);
        lanes
    }
}
