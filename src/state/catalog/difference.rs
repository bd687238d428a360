//! What differs between the catalogs of two states of one store: for whoever follows a catalog from
//! outside and wants to be told of rows, not of commands.
//!
//! Tables that share their rows are compared at the price of what differs.

use imbl::ordmap::DiffItem;

use super::{HealthCheck, Node, NodeService};
use crate::state::StateStore;

/// A row that came, changed or went (then there is nothing in it). Nodes are named in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogRow<'a> {
    /// A node.
    Node {
        /// Its name.
        node: &'a str,
        /// As it is now.
        row: Option<&'a Node>,
    },
    /// An instance.
    Service {
        /// On which node.
        node: &'a str,
        /// Its id.
        id: &'a str,
        /// As it is now.
        row: Option<&'a NodeService>,
    },
    /// A check.
    Check {
        /// On which node.
        node: &'a str,
        /// Its id.
        id: &'a str,
        /// As it is now.
        row: Option<&'a HealthCheck>,
    },
}

impl StateStore {
    /// The rows of the catalog that are not as they were: nodes, then instances, then checks, each in the
    /// order of their names.
    #[must_use]
    pub fn catalog_since<'a>(&'a self, before: &'a StateStore) -> Vec<CatalogRow<'a>> {
        let (old, new) = (&before.catalog, &self.catalog);
        let nodes = old.nodes.diff(&new.nodes).map(|item| {
            let (node, row) = now(item);
            CatalogRow::Node { node, row: row.map(|row| &**row) }
        });
        let services = old.services.diff(&new.services).map(|item| {
            let ((node, id), row) = now(item);
            CatalogRow::Service { node, id, row: row.map(|row| &**row) }
        });
        let checks = old.checks.diff(&new.checks).map(|item| {
            let ((node, id), row) = now(item);
            CatalogRow::Check { node, id, row: row.map(|row| &**row) }
        });
        nodes.chain(services).chain(checks).collect()
    }
}

/// Which row, and what is in it now.
fn now<'a, K, V>(item: DiffItem<'a, 'a, K, V>) -> (&'a K, Option<&'a V>) {
    match item {
        DiffItem::Add(key, row) => (key, Some(row)),
        DiffItem::Update { new: (key, row), .. } => (key, Some(row)),
        DiffItem::Remove(key, _) => (key, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Faults, LogIndex};
    use crate::state::{Command, Deregister, Register};

    fn apply(store: &mut StateStore, command: &Command) {
        let index = store.applied().next();
        store.apply(index, command, &Faults::default());
    }

    fn register(name: &str, check: &str) -> Command {
        let mut what = Register::default();
        what.node.node = name.to_owned();
        what.node.address = "10.0.0.1".to_owned();
        what.service = Some(NodeService {
            id: "web".to_owned(),
            service: "web".to_owned(),
            ..NodeService::default()
        });
        what.checks.push(HealthCheck {
            node: name.to_owned(),
            check_id: "c".to_owned(),
            status: check.to_owned(),
            service_id: "web".to_owned(),
            ..HealthCheck::default()
        });
        Command::Register(Box::new(what))
    }

    #[test]
    fn rows_that_came_changed_and_went() {
        let mut store = StateStore::new();
        let empty = store.clone();
        assert_eq!(store.catalog_since(&empty), []);
        apply(&mut store, &register("Alpha", "passing"));
        let first = store.clone();
        let rows = first.catalog_since(&empty);
        assert!(
            matches!(
                &rows[..],
                [
                    CatalogRow::Node { node: "alpha", row: Some(_) },
                    CatalogRow::Service { node: "alpha", id: "web", row: Some(_) },
                    CatalogRow::Check { node: "alpha", id: "c", row: Some(_) },
                ]
            ),
            "{rows:?}"
        );
        apply(&mut store, &register("Alpha", "critical"));
        let second = store.clone();
        let rows = second.catalog_since(&first);
        assert!(
            matches!(&rows[..], [CatalogRow::Check { row: Some(check), .. }] if check.status == "critical"),
            "{rows:?}"
        );
        apply(
            &mut store,
            &Command::Deregister(Deregister { node: "alpha".to_owned(), ..Deregister::default() }),
        );
        let rows = store.catalog_since(&second);
        assert!(
            matches!(
                &rows[..],
                [
                    CatalogRow::Node { row: None, .. },
                    CatalogRow::Service { row: None, .. },
                    CatalogRow::Check { row: None, .. },
                ]
            ),
            "{rows:?}"
        );
        assert_eq!(store.applied(), LogIndex(3));
    }
}
