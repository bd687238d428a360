//! Removing (spec cluster 10.3): an instance goes with its checks, a node with all that is on it.

use std::sync::Arc;

use super::{Deregister, Lost, NodeService, Txn, folded, on_node};
use crate::planted;
use crate::state::index;

impl Txn<'_> {
    pub(super) fn deregister(&mut self, what: &Deregister) {
        let node = folded(&what.node);
        if !what.service_id.is_empty() {
            self.delete_service(&node, &Arc::from(what.service_id.as_str()));
        } else if !what.check_id.is_empty() {
            self.delete_check(&node, &Arc::from(what.check_id.as_str()));
        } else {
            self.delete_node(&node);
        }
    }

    pub(super) fn delete_node(&mut self, node: &Arc<str>) {
        for id in self.tables.service_ids_on(node) {
            self.delete_service(node, &id);
        }
        let checks: Vec<Arc<str>> =
            on_node(&self.tables.checks, node).map(|((_, id), _)| id.clone()).collect();
        for id in checks {
            self.delete_check(node, &id);
        }
        if self.tables.take_node(node) {
            self.lost.push(Lost::Node(node.clone()));
            self.raise(index::NODES.to_owned());
        }
    }

    pub(super) fn delete_service(&mut self, node: &Arc<str>, id: &Arc<str>) {
        let Some(service) = self.tables.services.get(&(node.clone(), id.clone())).cloned() else {
            return;
        };
        let checks: Vec<Arc<str>> = on_node(&self.tables.checks, node)
            .filter(|(_, check)| *check.service_id == **id)
            .map(|((_, check), _)| check.clone())
            .collect();
        // Oracle: no-orphan-checks.
        let keeps = planted!(self.faults, "checks-outlive-their-service");
        for check in checks.iter().filter(|_| !keeps) {
            self.delete_check(node, check);
        }
        self.tables.take_service(node, id);
        self.raise(index::SERVICES.to_owned());
        self.raise(index::of_kind(&service.kind));
        self.after_instance_gone(&service);
    }

    /// An instance of this service went: the service's row rises, or goes with the last one.
    pub(super) fn after_instance_gone(&mut self, gone: &NodeService) {
        if self.tables.has_instances(&gone.service) {
            self.raise_service(&gone.service);
        } else {
            let row = index::of_service(&gone.service);
            self.tables.indexes.0.remove(row.as_str());
            self.touched.add(row);
            self.raise(index::EXTINCTION.to_owned());
        }
    }

    pub(super) fn delete_check(&mut self, node: &Arc<str>, id: &Arc<str>) {
        let Some(check) = self.tables.take_check(node, id) else { return };
        self.lost.push(Lost::Check(node.clone(), id.clone()));
        match check.service_id.as_str() {
            // Oracle: watch-complete.
            "" if planted!(self.faults, "node-check-goes-unseen") => {}
            "" => self.raise_services_on(node),
            _ => self.raise_service(&check.service_name),
        }
        self.raise(index::CHECKS.to_owned());
    }
}
