//! Writing: a node, then an instance on it, then checks (spec cluster 10.3).
//!
//! Who a node is: its UUID. A known UUID under another name is a renaming, and the node under the old
//! name goes with all that is on it. A name goes over to another UUID only while its holder is not
//! known to be well: without `serfHealth`, or with a critical one. A node without UUID is its name.

use std::sync::Arc;

use super::{CRITICAL, HealthCheck, Lost, Node, NodeService, Register, SERF_HEALTH, Txn, folded};
use crate::planted;
use crate::state::index;

impl Txn<'_> {
    pub(super) fn register(&mut self, what: &Register) -> Result<(), String> {
        let key = folded(&what.node.node);
        let held = self.tables.nodes.get(&key);
        if held.is_none_or(|held| !what.skip_node_update && !held.has_content_of(&what.node)) {
            self.ensure_node(&what.node)
                .map_err(|text| format!("failed inserting node: {text}"))?;
        }
        if let Some(service) = &what.service {
            self.ensure_service(&key, service)
                .map_err(|text| format!("failed inserting service: {text}"))?;
        }
        for check in &what.checks {
            if check.node != what.node.node {
                let (own, node) = (&check.node, &what.node.node);
                return Err(format!("check node {own:?} does not match node {node:?}"));
            }
            self.ensure_check(&key, check)
                .map_err(|text| format!("failed inserting check: {text}"))?;
        }
        Ok(())
    }

    pub(super) fn ensure_node(&mut self, node: &Node) -> Result<(), String> {
        if node.node.is_empty() {
            return Err("failed inserting node: object missing primary index".to_owned());
        }
        let key = folded(&node.node);
        let known = match node.id.is_empty() {
            true => None,
            false => self.tables.ids.get(&folded(&node.id)).cloned(),
        };
        let mut old = None;
        if let Some(known) = known {
            old = self.tables.nodes.get(&known).cloned();
            if old.as_ref().is_some_and(|old| old.node != node.node) {
                self.refuse_reserved(node, false).map_err(|text| {
                    let (id, at) = (&node.id, &node.address);
                    format!("Error while renaming Node ID: {id:?} ({at}): {text}")
                })?;
                // Oracle: catalog-unique. The node is there under both names.
                if !planted!(self.faults, "renamed-node-stays") {
                    self.delete_node(&known);
                }
            }
        } else if !node.id.is_empty() {
            self.refuse_reserved(node, true)
                .map_err(|text| format!("Error while renaming Node ID: {:?}: {text}", node.id))?;
        }
        let old = old.or_else(|| self.tables.nodes.get(&key).cloned());
        if old.as_ref().is_some_and(|old| old.has_content_of(node)) {
            return Ok(());
        }
        let create_index = old.map_or(self.index, |old| old.create_index);
        let row = Node { create_index, modify_index: self.index, ..node.clone() };
        self.tables.put_node(&key, row);
        self.raise(index::NODES.to_owned());
        self.raise_services_on(&key);
        Ok(())
    }

    /// Whether the name belongs to another UUID's node that is well. `upgrade`: the UUID is new, and
    /// may be what a node that had none gets.
    fn refuse_reserved(&self, node: &Node, upgrade: bool) -> Result<(), String> {
        let key = folded(&node.node);
        let Some(holder) = self.tables.nodes.get(&key) else { return Ok(()) };
        if holder.id == node.id || holder.id.is_empty() && upgrade {
            return Ok(());
        }
        match self.tables.checks.get(&(key, Arc::from(SERF_HEALTH))) {
            Some(health) if health.status != CRITICAL => Err(format!(
                "Node name {} is reserved by node {} with name {} ({})",
                node.node, holder.id, holder.node, holder.address
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn ensure_service(
        &mut self,
        node: &Arc<str>,
        service: &NodeService,
    ) -> Result<(), String> {
        if service.id.is_empty() {
            return Err("failed inserting service: object missing primary index".to_owned());
        }
        if !self.tables.nodes.contains_key(node) {
            return Err("Missing node registration".to_owned());
        }
        let key = (node.clone(), Arc::from(service.id.as_str()));
        let old = self.tables.services.get(&key).cloned();
        if old.as_ref().is_some_and(|old| old.has_content_of(service)) {
            return Ok(());
        }
        let create_index = old.as_ref().map_or(self.index, |old| old.create_index);
        let row = NodeService { create_index, modify_index: self.index, ..service.clone() };
        self.tables.put_service(node, row);
        self.raise(index::SERVICES.to_owned());
        self.raise_service(&service.service);
        self.raise(index::of_kind(&service.kind));
        if let Some(old) = old.filter(|old| folded(&old.service) != folded(&service.service)) {
            self.rename_checks(node, service);
            self.after_instance_gone(&old);
        }
        Ok(())
    }

    /// The instance has another service's name now, and so have its checks. Consul leaves them under
    /// the old one until they are next written, against its own promise (spec cluster 11.4, 42).
    fn rename_checks(&mut self, node: &Arc<str>, service: &NodeService) {
        let stale: Vec<HealthCheck> = super::on_node(&self.tables.checks, node)
            .map(|(_, check)| &**check)
            .filter(|check| check.service_id == service.id)
            .map(|check| HealthCheck {
                service_name: service.service.clone(),
                service_tags: service.tags.clone(),
                modify_index: self.index,
                ..check.clone()
            })
            .collect();
        for check in stale {
            self.tables.put_check(node, check);
            self.raise(index::CHECKS.to_owned());
        }
    }

    pub(super) fn ensure_check(
        &mut self,
        node: &Arc<str>,
        check: &HealthCheck,
    ) -> Result<(), String> {
        if !self.tables.nodes.contains_key(node) {
            return Err("Missing node registration".to_owned());
        }
        if check.check_id.is_empty() {
            return Err("failed inserting check: object missing primary index".to_owned());
        }
        let mut row = check.clone();
        if row.status.is_empty() {
            CRITICAL.clone_into(&mut row.status);
        }
        if !row.service_id.is_empty() {
            let key = (node.clone(), Arc::from(row.service_id.as_str()));
            let Some(service) = self.tables.services.get(&key) else {
                return Err("Missing service registration".to_owned());
            };
            row.service_name.clone_from(&service.service);
            row.service_tags.clone_from(&service.tags);
        }
        let key = (node.clone(), Arc::from(row.check_id.as_str()));
        let old = self.tables.checks.get(&key).cloned();
        if old.as_ref().is_some_and(|old| old.has_content_of(&row)) {
            return Ok(());
        }
        row.create_index = old.as_ref().map_or(self.index, |old| old.create_index);
        row.modify_index = self.index;
        // A check that goes over to another instance changes what is said of both.
        for about in old.iter().map(|old| &**old).chain([&row]) {
            match about.service_id.as_str() {
                "" => self.raise_services_on(node),
                _ => self.raise_service(&about.service_name),
            }
        }
        if row.status == CRITICAL {
            self.lost.push(Lost::Check(node.clone(), row.check_id.as_str().into()));
        }
        self.tables.put_check(node, row);
        self.raise(index::CHECKS.to_owned());
        Ok(())
    }
}

impl Node {
    /// Equal but for the indexes and the case of the name.
    fn has_content_of(&self, other: &Node) -> bool {
        self.id == other.id
            && folded(&self.node) == folded(&other.node)
            && self.address == other.address
            && self.datacenter == other.datacenter
            && self.tagged_addresses == other.tagged_addresses
            && self.meta == other.meta
    }
}

impl NodeService {
    /// Equal but for the indexes.
    fn has_content_of(&self, other: &NodeService) -> bool {
        let NodeService {
            kind,
            id,
            service,
            tags,
            address,
            tagged_addresses,
            meta,
            port,
            weights,
            enable_tag_override,
            proxy,
            connect,
            locally_registered_as_sidecar,
            create_index: _,
            modify_index: _,
        } = other;
        self.id == *id
            && self.service == *service
            && self.kind == *kind
            && self.tags == *tags
            && self.address == *address
            && self.tagged_addresses == *tagged_addresses
            && self.meta == *meta
            && self.port == *port
            && self.weights == *weights
            && self.enable_tag_override == *enable_tag_override
            && self.proxy == *proxy
            && self.connect == *connect
            && self.locally_registered_as_sidecar == *locally_registered_as_sidecar
    }
}

impl HealthCheck {
    /// Equal but for the indexes and, as in Consul, the type.
    fn has_content_of(&self, other: &HealthCheck) -> bool {
        let HealthCheck {
            node,
            check_id,
            name,
            status,
            notes,
            output,
            service_id,
            service_name,
            service_tags,
            kind: _,
            definition,
            create_index: _,
            modify_index: _,
        } = other;
        self.status == *status
            && self.output == *output
            && self.node == *node
            && self.check_id == *check_id
            && self.name == *name
            && self.notes == *notes
            && self.service_id == *service_id
            && self.service_name == *service_name
            && self.service_tags == *service_tags
            && self.definition == *definition
    }
}
