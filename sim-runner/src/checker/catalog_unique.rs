//! **catalog-unique**: at every index of every server, no two nodes have one name whatever its case, no two
//! have one UUID, and a node has an instance, or a check, of one id once (spec cluster 11.4, 41; Consul's
//! catalog API: "ID … must be unique on the agent").
//!
//! The ids are the keys of the tables that the trace tells, so what can go wrong is what keys do not say:
//! names that differ in case, UUIDs, and instances below a node's name in another case.
//!
//! No stricter than the truth: nodes that were registered without a UUID do not conflict, and a node's UUID
//! may move to another name, when the old one goes in the same step (spec cluster 10.3). The trace tells a
//! step whole.

use std::collections::BTreeMap;

use crate::trace::catalog::{Catalog, CatalogRow};

use super::catalog_changes::Contradiction;

/// What is there twice, of the rows that changed: the first.
pub fn twice(catalog: &Catalog, rows: &[CatalogRow]) -> Vec<Contradiction> {
    first(catalog, rows).into_iter().collect()
}

fn first(catalog: &Catalog, rows: &[CatalogRow]) -> Option<Contradiction> {
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
    if rows.iter().any(|row| matches!(row, CatalogRow::Node { .. })) {
        for node in catalog.nodes().values() {
            if let Some(other) = names.insert(node.name.to_lowercase(), &node.name) {
                let what = format!("are two nodes of one name, {other} and {}", node.name);
                return Some(("two nodes of one name", what));
            }
            let same_id = ids.insert(&node.id, &node.name).filter(|_| !node.id.is_empty());
            if let Some(other) = same_id {
                let (name, id) = (&node.name, &node.id);
                return Some(("two nodes of one id", format!("{other} and {name} have id {id}")));
            }
        }
    }
    let placed = rows.iter().filter_map(|row| match row {
        CatalogRow::Service { node, id, .. } => Some((node, id, "service")),
        CatalogRow::Check { node, id, .. } => Some((node, id, "check")),
        _ => None,
    });
    for (node, id, kind) in placed {
        let is_there = |(at, other): &&(String, String)| {
            at != node && at.eq_ignore_ascii_case(node) && other == id
        };
        let found = match kind {
            "service" => catalog.services().keys().find(is_there),
            _ => catalog.checks().keys().find(is_there),
        };
        if let Some((other, _)) = found {
            let what = format!("is {kind} {id} twice, on {other} and on {node}");
            return Some(("one id twice on a node", what));
        }
    }
    None
}
