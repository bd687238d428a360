//! The tables row by row: putting, taking, and what must hold of all of them together.

use std::sync::Arc;

use super::{ByService, Catalog, HealthCheck, Node, NodeService, folded};
use crate::state::index;

impl Catalog {
    /// Writes a node's row; the UUID that the name had before is free then.
    pub(super) fn put_node(&mut self, key: &Arc<str>, node: Node) {
        if let Some(old) = self.nodes.get(key).filter(|old| !old.id.is_empty()) {
            self.ids.remove(&folded(&old.id));
        }
        if !node.id.is_empty() {
            self.ids.insert(folded(&node.id), key.clone());
        }
        self.nodes.insert(key.clone(), Arc::new(node));
    }

    /// Removes a node's row; whether it was there.
    pub(super) fn take_node(&mut self, key: &Arc<str>) -> bool {
        let Some(node) = self.nodes.remove(key) else { return false };
        if !node.id.is_empty() {
            self.ids.remove(&folded(&node.id));
        }
        true
    }

    /// Writes an instance.
    pub(super) fn put_service(&mut self, node: &Arc<str>, service: NodeService) {
        let id: Arc<str> = service.id.as_str().into();
        self.take_service(node, &id);
        self.by_name.insert((folded(&service.service), node.clone(), id.clone()));
        self.services.insert((node.clone(), id), Arc::new(service));
    }

    /// Removes an instance.
    pub(super) fn take_service(&mut self, node: &Arc<str>, id: &Arc<str>) {
        if let Some(old) = self.services.remove(&(node.clone(), id.clone())) {
            self.by_name.remove(&(folded(&old.service), node.clone(), id.clone()));
        }
    }

    /// Writes a check.
    pub(super) fn put_check(&mut self, node: &Arc<str>, check: HealthCheck) {
        let id: Arc<str> = check.check_id.as_str().into();
        self.take_check(node, &id);
        if !check.service_name.is_empty() {
            self.by_check.insert((folded(&check.service_name), node.clone(), id.clone()));
        }
        self.checks.insert((node.clone(), id), Arc::new(check));
    }

    /// Removes a check; what it was.
    pub(super) fn take_check(
        &mut self,
        node: &Arc<str>,
        id: &Arc<str>,
    ) -> Option<Arc<HealthCheck>> {
        let old = self.checks.remove(&(node.clone(), id.clone()))?;
        self.by_check.remove(&(folded(&old.service_name), node.clone(), id.clone()));
        Some(old)
    }

    pub(super) fn has_instances(&self, service: &str) -> bool {
        self.instances(service).next().is_some()
    }

    /// The places of a service's instances, by node and id.
    pub(super) fn instances(&self, service: &str) -> impl Iterator<Item = &ByService> + use<'_> {
        of_service(&self.by_name, folded(service))
    }

    /// The places of the checks that bear a service's name.
    pub(super) fn checks_of(&self, service: &str) -> impl Iterator<Item = &ByService> {
        of_service(&self.by_check, folded(service))
    }

    /// Whether a row of a snapshot can be added: with its node, and as the only one of its name.
    pub(in crate::state) fn restore_node(&mut self, node: Node) -> bool {
        let key = folded(&node.node);
        let taken = !node.id.is_empty() && self.ids.contains_key(&folded(&node.id));
        if node.node.is_empty() || taken || self.nodes.contains_key(&key) {
            return false;
        }
        self.indexes.raise(index::NODES, node.modify_index);
        self.put_node(&key, node);
        true
    }

    /// Likewise, of an instance.
    pub(in crate::state) fn restore_service(&mut self, node: &str, service: NodeService) -> bool {
        let node = folded(node);
        let key = (node.clone(), Arc::from(service.id.as_str()));
        if !self.nodes.contains_key(&node) || self.services.contains_key(&key) {
            return false;
        }
        self.indexes.raise(index::SERVICES, service.modify_index);
        self.indexes.raise(&index::of_service(&service.service), service.modify_index);
        self.indexes.raise(&index::of_kind(&service.kind), service.modify_index);
        self.put_service(&node, service);
        true
    }

    /// Likewise, of a check.
    pub(in crate::state) fn restore_check(&mut self, mut check: HealthCheck) -> bool {
        let node = folded(&check.node);
        let key = (node.clone(), Arc::from(check.check_id.as_str()));
        let misplaced = check.check_id.is_empty() || !self.nodes.contains_key(&node);
        if misplaced || self.checks.contains_key(&key) {
            return false;
        }
        if !check.service_id.is_empty() {
            let on = (node.clone(), Arc::from(check.service_id.as_str()));
            let Some(service) = self.services.get(&on) else { return false };
            // Consul leaves a check under the name that its instance had when it was written.
            if folded(&service.service) != folded(&check.service_name) {
                check.service_name.clone_from(&service.service);
            }
        }
        self.indexes.raise(index::CHECKS, check.modify_index);
        self.put_check(&node, check);
        true
    }

    /// Everything that must hold of the tables after the entry `applied`.
    pub(in crate::state) fn check(&self, applied: u64) {
        for (row, index) in &self.indexes.0 {
            crate::invariant!(*index <= applied, "row {row} is {index} > applied {applied}");
        }
        for (key, node) in &self.nodes {
            crate::invariant!(folded(&node.node) == *key, "node {key} is {:?}", node.node);
            let named = self.ids.get(&folded(&node.id));
            crate::invariant!(node.id.is_empty() || named == Some(key), "id of {key}: {named:?}");
            self.check_indexes(index::NODES, node.create_index, node.modify_index);
        }
        let with_id = self.nodes.values().filter(|node| !node.id.is_empty()).count();
        crate::invariant!(with_id == self.ids.len(), "{with_id} nodes, {} ids", self.ids.len());
        for ((node, id), service) in &self.services {
            let named = (folded(&service.service), node.clone(), id.clone());
            crate::invariant!(
                *service.id == **id
                    && self.nodes.contains_key(node)
                    && self.by_name.contains(&named)
                    && self.indexes.get(&index::of_service(&service.service)).is_some(),
                "service {id:?} on {node}: {service:?}"
            );
            self.check_indexes(index::SERVICES, service.create_index, service.modify_index);
        }
        crate::invariant!(self.by_name.len() == self.services.len(), "names of services");
        for ((node, id), check) in &self.checks {
            let on = (node.clone(), Arc::from(check.service_id.as_str()));
            let named = (folded(&check.service_name), node.clone(), id.clone());
            crate::invariant!(
                *check.check_id == **id
                    && self.nodes.contains_key(node)
                    && (check.service_name.is_empty() || self.by_check.contains(&named)),
                "check {id:?} on {node}: {check:?}"
            );
            let of = self.services.get(&on).map(|service| folded(&service.service));
            crate::invariant!(
                check.service_id.is_empty() || of == Some(folded(&check.service_name)),
                "check {id:?} on {node} is of {:?}, which is {of:?}",
                check.service_id
            );
            self.check_indexes(index::CHECKS, check.create_index, check.modify_index);
        }
        let named = self.checks.values().filter(|check| !check.service_name.is_empty()).count();
        crate::invariant!(named == self.by_check.len(), "names of checks");
    }

    fn check_indexes(&self, table: &str, create: u64, modify: u64) {
        let latest = self.indexes.max(&[table]);
        crate::invariant!(
            0 < create && create <= modify && modify <= latest,
            "indexes {create} {modify} in {table} at {latest}"
        );
    }
}

fn of_service(
    places: &imbl::OrdSet<ByService>,
    service: Arc<str>,
) -> impl Iterator<Item = &ByService> {
    let first = (service.clone(), Arc::from(""), Arc::from(""));
    places.range(first..).take_while(move |(name, _, _)| *name == service)
}
