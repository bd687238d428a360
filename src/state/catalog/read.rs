//! Answers about the catalog, and their indexes (spec cluster 10.4, as far as 1.9.8 goes).
//!
//! | question | index |
//! |---|---|
//! | nodes | `nodes` |
//! | one node with its instances | `nodes` and `services` |
//! | services | `services`; by meta of nodes also `nodes` |
//! | instances of a service, healthy or not | `service.NAME`; without one `service_last_extinction`; without that, the tables |
//! | nodes with all that is on them, all instances | `nodes`, `services` and `checks` |
//! | checks of a node, of a service, in a state | `checks`; by meta of nodes also `nodes` |
//!
//! A node that is not there has the index of those that are: Consul says 1, and then sleeps through
//! its removal (spec cluster 11.5, invariant 54).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Catalog, CheckServiceNode, HealthCheck, Node, NodeInfo, NodeService, folded, on_node};
use crate::state::index::{self, CHECKS, EXTINCTION, NODES, SERVICES};
use crate::state::{Answer, NodeMeta, Query, Rows};

/// A UUID's prefix must be this long to name a node, in characters.
const SHORTEST_ID_PREFIX: usize = 2;

impl Catalog {
    /// The answer; an empty one to a question that is not about the catalog.
    pub(in crate::state) fn query(&self, query: &Query) -> Answer {
        let tables = |names: &[&str]| self.indexes.max(names);
        let (index, rows) = match query {
            Query::CatalogNodes { meta } => (tables(&[NODES]), Rows::Nodes(self.all_nodes(meta))),
            Query::CatalogNode { node } => {
                let found = self.find_node(node).map(|node| self.with_services(node));
                (tables(&[NODES, SERVICES]), Rows::NodeServices(found))
            }
            Query::CatalogServices { meta } => {
                let names: &[&str] = if meta.is_empty() { &[SERVICES] } else { &[SERVICES, NODES] };
                (tables(names), Rows::Services(self.all_services(meta)))
            }
            Query::CatalogService { service, tags, meta } => {
                let found = self.selected(service, tags, meta).map(|(_, node, it)| (node, it));
                // Consul's struct for this has room for the indexes of the instance only.
                let bare = |node: &Node| Node { create_index: 0, modify_index: 0, ..node.clone() };
                let rows = found.map(|(node, it)| (bare(node), NodeService::clone(it)));
                let rows = Rows::ServiceNodes(rows.collect());
                (self.service_index(service, &[NODES, SERVICES]), rows)
            }
            Query::HealthService { service, tags, meta } => {
                let mut checks = ChecksOf::default();
                let found = self.selected(service, tags, meta);
                let rows = found.map(|(at, node, it)| checks.with(self, at, node, it)).collect();
                let index = self.service_index(service, &[NODES, SERVICES, CHECKS]);
                (index, Rows::CheckServiceNodes(rows))
            }
            Query::HealthNode { node } => {
                let node = folded(node);
                let found = on_node(&self.checks, &node).map(|(_, check)| check.clone());
                (tables(&[CHECKS]), Rows::Checks(found.collect()))
            }
            Query::HealthChecks { service, meta } => {
                let found = self.checks_of(service).filter(|(_, node, _)| self.has(node, meta));
                let found = found.filter_map(|(_, node, id)| {
                    self.checks.get(&(node.clone(), id.clone())).cloned()
                });
                (self.checks_index(meta), Rows::Checks(found.collect()))
            }
            Query::HealthState { state, meta } => {
                let found = self.checks.iter().filter(|((node, _), check)| {
                    (state == "any" || check.status == *state) && self.has(node, meta)
                });
                let found = found.map(|(_, check)| check.clone());
                (self.checks_index(meta), Rows::Checks(found.collect()))
            }
            Query::NodeDump => {
                let rows = self.nodes.values().map(|node| self.with_all(node)).collect();
                (tables(&[NODES, SERVICES, CHECKS]), Rows::NodeInfos(rows))
            }
            Query::NodeInfo { node } => {
                let found = self.nodes.get(&folded(node)).map(|node| self.with_all(node));
                (tables(&[NODES, SERVICES, CHECKS]), Rows::NodeInfos(found.into_iter().collect()))
            }
            Query::ServiceDump => {
                let mut checks = ChecksOf::default();
                let found = self.services.iter().filter_map(|((at, _), service)| {
                    self.nodes.get(at).map(|node| checks.with(self, at, node, service))
                });
                let rows = Rows::CheckServiceNodes(found.collect());
                (tables(&[NODES, SERVICES, CHECKS]), rows)
            }
            Query::KvGet { .. }
            | Query::KvList { .. }
            | Query::KvKeys { .. }
            | Query::AutopilotConfiguration
            | Query::PreparedQueries
            | Query::PreparedQuery { .. }
            | Query::ExplainQuery(_)
            | Query::ExecuteQuery(_)
            | Query::ExecuteQueryRemote { .. }
            | Query::Txn { .. }
            | Query::Coordinates
            | Query::NodeCoordinates { .. }
            | Query::Session { .. }
            | Query::Sessions
            | Query::NodeSessions { .. } => (0, Rows::Keys(Vec::new())),
        };
        Answer { index, rows }
    }

    /// A node, by its name.
    pub(in crate::state) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(&folded(name)).map(|node| &**node)
    }

    /// An instance, by its node's name and its id.
    pub(in crate::state) fn service_on(&self, node: &str, id: &str) -> Option<&NodeService> {
        self.services.get(&(folded(node), id.into())).map(|service| &**service)
    }

    /// A check, by its node's name and its id.
    pub(in crate::state) fn check_on(&self, node: &str, id: &str) -> Option<&HealthCheck> {
        self.checks.get(&(folded(node), id.into())).map(|check| &**check)
    }

    fn checks_index(&self, meta: &NodeMeta) -> u64 {
        self.indexes.max(if meta.is_empty() { &[CHECKS] } else { &[CHECKS, NODES] })
    }

    fn service_index(&self, service: &str, otherwise: &[&str]) -> u64 {
        let row = self.indexes.get(&index::of_service(service));
        let gone = || self.indexes.get(EXTINCTION);
        row.or_else(gone).unwrap_or_else(|| self.indexes.max(otherwise))
    }

    /// Whether a node has all of this in its meta.
    fn has(&self, node: &Arc<str>, meta: &NodeMeta) -> bool {
        meta.is_empty() || self.nodes.get(node).is_some_and(|node| node.has_meta(meta))
    }

    fn all_nodes(&self, meta: &NodeMeta) -> Vec<Node> {
        self.nodes.values().filter(|it| it.has_meta(meta)).map(|it| Node::clone(it)).collect()
    }

    /// By name; else by UUID or the beginning of one, if that is nobody else's.
    fn find_node(&self, name: &str) -> Option<&Arc<Node>> {
        let name = folded(name);
        if let Some(node) = self.nodes.get(&name) {
            return Some(node);
        }
        if name.chars().count() < SHORTEST_ID_PREFIX {
            return None;
        }
        let mut found = self.ids.range(name.clone()..).take_while(|(id, _)| id.starts_with(&*name));
        match (found.next(), found.next()) {
            (Some((_, node)), None) => self.nodes.get(node),
            _ => None,
        }
    }

    fn with_services(&self, node: &Arc<Node>) -> (Node, Vec<NodeService>) {
        let key = folded(&node.node);
        let services = on_node(&self.services, &key).map(|(_, it)| NodeService::clone(it));
        (Node::clone(node), services.collect())
    }

    /// A node with all that is on it; without what does not travel.
    fn with_all(&self, node: &Arc<Node>) -> NodeInfo {
        let (node, services) = self.with_services(node);
        let key = folded(&node.node);
        let checks = on_node(&self.checks, &key).map(|(_, check)| HealthCheck::clone(check));
        let checks = checks.collect();
        let node = Node { datacenter: String::new(), create_index: 0, modify_index: 0, ..node };
        NodeInfo { node, services, checks }
    }

    fn all_services(&self, meta: &NodeMeta) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for ((node, _), service) in &self.services {
            if self.has(node, meta) {
                let tags = found.entry(service.service.clone()).or_default();
                tags.extend(service.tags.iter().cloned());
            }
        }
        found.into_iter().map(|(name, tags)| (name, tags.into_iter().collect())).collect()
    }

    /// The instances of a service that have all these tags, on nodes with this meta; first the node's name in
    /// lower case.
    fn selected<'a>(
        &'a self,
        service: &str,
        tags: &'a [String],
        meta: &'a NodeMeta,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Arc<Node>, &'a Arc<NodeService>)> {
        self.instances(service).filter_map(move |(_, at, id)| {
            let instance = self.services.get(&(at.clone(), id.clone()))?;
            let node = self.nodes.get(at)?;
            (instance.has_tags(tags) && node.has_meta(meta)).then_some((at, node, instance))
        })
    }
}

/// The checks of the node that was asked for last, by the ids of their instances: those of many instances
/// on one node are found by looking through it once.
#[derive(Default)]
struct ChecksOf<'a> {
    node: Option<&'a Arc<str>>,
    sorted: Vec<&'a Arc<HealthCheck>>,
}

impl<'a> ChecksOf<'a> {
    /// An instance with the checks that decide on its health. `at`: its node's name in lower case.
    fn with(
        &mut self,
        catalog: &'a Catalog,
        at: &'a Arc<str>,
        node: &Arc<Node>,
        service: &Arc<NodeService>,
    ) -> CheckServiceNode {
        if self.node != Some(at) {
            self.node = Some(at);
            self.sorted.clear();
            self.sorted.extend(on_node(&catalog.checks, at).map(|(_, check)| check));
            // Stable: those of one instance stay in the order of their own ids.
            self.sorted.sort_by(|one, other| one.service_id.cmp(&other.service_id));
        }
        let mut checks = self.of("").to_vec();
        if !service.id.is_empty() {
            checks.extend_from_slice(self.of(&service.id));
        }
        let checks = checks.into_iter().cloned().collect();
        CheckServiceNode { node: node.clone(), service: service.clone(), checks }
    }

    fn of(&self, id: &str) -> &[&'a Arc<HealthCheck>] {
        let from = self.sorted.partition_point(|check| *check.service_id < *id);
        let count = self.sorted[from..].partition_point(|check| check.service_id == id);
        &self.sorted[from..from + count]
    }
}

impl Node {
    fn has_meta(&self, wanted: &NodeMeta) -> bool {
        wanted.iter().all(|(key, value)| self.meta.get(key) == Some(value))
    }
}

impl NodeService {
    /// Whether it has all of these, whatever their case.
    fn has_tags(&self, wanted: &[String]) -> bool {
        let has = |wanted: &String| {
            self.tags.iter().any(|tag| tag.to_lowercase() == wanted.to_lowercase())
        };
        wanted.iter().all(has)
    }
}
