//! One row of the catalog, written or removed: what transactions are made of (spec cluster 10.7).

use super::{Catalog, Done, HealthCheck, Node, NodeService, Txn, folded};
use crate::base::Faults;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(in crate::state) enum Single<'a> {
    SetNode(&'a Node),
    /// By its name.
    DeleteNode(&'a str),
    /// On the node of this name.
    SetService(&'a str, &'a NodeService),
    /// By its node's name, and its id.
    DeleteService(&'a str, &'a str),
    SetCheck(&'a HealthCheck),
    /// Likewise.
    DeleteCheck(&'a str, &'a str),
}

impl Catalog {
    /// Does it, at this index. What is not there is removed already.
    pub(in crate::state) fn single(
        &mut self,
        index: u64,
        what: Single<'_>,
        faults: &Faults,
    ) -> Done {
        self.transact(index, faults, |txn| txn.single(what))
    }

    /// The node that is meant: by its UUID if it has one, else by its name.
    pub(in crate::state) fn node_of(&self, meant: &Node) -> Option<&Node> {
        match meant.id.as_str() {
            "" => self.node(&meant.node),
            id => self.ids.get(&folded(id)).and_then(|name| self.nodes.get(name)).map(|it| &**it),
        }
    }
}

impl Txn<'_> {
    fn single(&mut self, what: Single<'_>) -> Result<(), String> {
        match what {
            Single::SetNode(node) => self.ensure_node(node)?,
            Single::DeleteNode(name) => self.delete_node(&folded(name)),
            Single::SetService(node, service) => self.ensure_service(&folded(node), service)?,
            Single::DeleteService(node, id) => self.delete_service(&folded(node), &id.into()),
            Single::SetCheck(check) => self.ensure_check(&folded(&check.node), check)?,
            Single::DeleteCheck(node, id) => self.delete_check(&folded(node), &id.into()),
        }
        Ok(())
    }
}
