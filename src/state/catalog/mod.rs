//! The catalog: nodes, the instances of services on them, and checks of either (spec cluster 10.2 to
//! 10.4).
//!
//! ```text
//!   node name (lower case) ──► Node            ids:      UUID ──► node name
//!   node, service id       ──► NodeService     by_name:  service, node, id
//!   node, check id         ──► HealthCheck     by_check: service, node, check id
//!   row name               ──► index           (state/index.rs)
//! ```
//!
//! A command is one transaction: it works on the tables and, when it fails, they are put back as they
//! were, which costs O(1). A write that leaves a row as it was is no change and raises no index.
//!
//! Indexes are those that Consul 1.9.8 was seen to give: an instance raises `services` and its
//! service's row but not `nodes`, and one node with its services has the higher of `nodes` and
//! `services`. The rows `node.NAME` of later releases would be finer and are not there.
//!
//! Invariants: every instance and every check has its node; a check of an instance has it too, and its
//! service's name; UUIDs are unique; the tables on the right say what those on the left do; a service
//! has a row as long as it has an instance.
//!
//! What sessions depend on and a command took away is told as [`Lost`].
//!
//! Deliberately not here: sessions; encodings; filters and order by distance.

mod admit;
mod deregister;
mod difference;
mod read;
mod register;
mod rows;
mod single;
mod types;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

pub use difference::CatalogRow;
pub(super) use single::Single;
pub use types::*;

use crate::base::Faults;
use crate::state::index::{self, IndexRows, Touched};
use crate::state::{Change, CommandResult};

/// A node's name in lower case, and an id on it.
type OnNode = (Arc<str>, Arc<str>);
/// A service's name in lower case, a node's, and an id on that.
type ByService = (Arc<str>, Arc<str>, Arc<str>);

/// The tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Catalog {
    pub(super) nodes: OrdMap<Arc<str>, Arc<Node>>,
    ids: OrdMap<Arc<str>, Arc<str>>,
    pub(super) services: OrdMap<OnNode, Arc<NodeService>>,
    by_name: OrdSet<ByService>,
    pub(super) checks: OrdMap<OnNode, Arc<HealthCheck>>,
    by_check: OrdSet<ByService>,
    pub(super) indexes: IndexRows,
}

/// What a session may be bound to and was taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The node of this name, in lower case.
    Node(Arc<str>),
    /// The check of this id on it: it is gone, or critical.
    Check(Arc<str>, Arc<str>),
}

/// What a command did.
#[derive(Debug)]
pub(super) struct Done {
    pub result: CommandResult,
    pub changes: Vec<Change>,
    /// In the order in which it went.
    pub lost: Vec<Lost>,
}

/// A command at work.
struct Txn<'a> {
    tables: &'a mut Catalog,
    index: u64,
    touched: Touched,
    lost: Vec<Lost>,
    faults: &'a Faults,
}

/// How node names and service names are compared.
fn folded(name: &str) -> Arc<str> {
    name.to_lowercase().into()
}

impl Catalog {
    /// Writes a node with what is on it: all of it or, with an error, nothing.
    pub(super) fn register(&mut self, index: u64, what: &Register, faults: &Faults) -> Done {
        self.transact(index, faults, |txn| txn.register(what))
    }

    /// Removes a node or something on it. What is not there is removed already.
    pub(super) fn deregister(&mut self, index: u64, what: &Deregister, faults: &Faults) -> Done {
        self.transact(index, faults, |txn| {
            txn.deregister(what);
            Ok(())
        })
    }

    fn transact(
        &mut self,
        index: u64,
        faults: &Faults,
        work: impl FnOnce(&mut Txn<'_>) -> Result<(), String>,
    ) -> Done {
        let before = self.clone();
        let mut txn =
            Txn { tables: self, index, touched: Touched::default(), lost: Vec::new(), faults };
        match work(&mut txn) {
            Ok(()) => Done {
                result: CommandResult::Flag(true),
                changes: txn.touched.into_changes(),
                lost: txn.lost,
            },
            Err(text) => {
                *self = before;
                let (result, changes) = (CommandResult::Error(text), Vec::new());
                Done { result, changes, lost: Vec::new() }
            }
        }
    }

    /// The ids of the instances on a node.
    fn service_ids_on(&self, node: &Arc<str>) -> Vec<Arc<str>> {
        on_node(&self.services, node).map(|((_, id), _)| id.clone()).collect()
    }
}

/// The rows of a table that are of one node.
fn on_node<'a, V>(
    table: &'a OrdMap<OnNode, V>,
    node: &'a Arc<str>,
) -> impl Iterator<Item = (&'a OnNode, &'a V)> {
    table.range((node.clone(), Arc::from(""))..).take_while(move |((at, _), _)| at == node)
}

impl Txn<'_> {
    fn raise(&mut self, row: String) {
        self.tables.indexes.raise(&row, self.index);
        self.touched.add(row);
    }

    /// Something about a service's instances changed.
    fn raise_service(&mut self, name: &str) {
        self.raise(index::of_service(name));
    }

    /// A node, or a check of it, changed: answers about its services show it.
    fn raise_services_on(&mut self, node: &Arc<str>) {
        let names: Vec<String> =
            on_node(&self.tables.services, node).map(|(_, it)| it.service.clone()).collect();
        for name in names {
            self.raise_service(&name);
        }
    }
}
