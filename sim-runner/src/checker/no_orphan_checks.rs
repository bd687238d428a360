//! **no-orphan-checks**: at every index of every server, each check's node is there, and so is the instance
//! that it is about, which bears the service's name that the check says; each instance's node is there
//! (spec cluster 11.4, 42 and 43).
//!
//! An orphaned check is more than litter: a critical one takes a later instance of the same id out of use,
//! and holds on to sessions.
//!
//! No stricter than the truth: what is removed together goes in one step, which the trace tells whole. The
//! name that a check remembers is judged only while the check or its instance changes.

use crate::trace::catalog::{Catalog, CatalogRow};

use super::catalog_changes::Contradiction;

/// What the rows that changed leave alone, or are left alone by.
pub fn orphans(catalog: &Catalog, rows: &[CatalogRow]) -> Vec<Contradiction> {
    rows.iter().filter_map(|row| orphan(catalog, row)).collect()
}

fn orphan(catalog: &Catalog, row: &CatalogRow) -> Option<Contradiction> {
    match row {
        CatalogRow::Node { .. } | CatalogRow::NoCheck { .. } => None,
        CatalogRow::NoNode { node } => {
            let instance = catalog.services().keys().find(|(at, _)| at == node);
            let check = catalog.checks().keys().find(|(at, _)| at == node);
            let left = instance.map(|(_, id)| format!("service {id}"));
            let left = left.or_else(|| check.map(|(_, id)| format!("check {id}")))?;
            Some((
                "something on a node that is gone",
                format!("{left} is on {node}, which is gone"),
            ))
        }
        CatalogRow::Service { node, id, .. } => {
            let what = || format!("service {id} is on {node}, which is not there");
            let missing = !catalog.nodes().contains_key(node);
            missing.then(|| ("an instance without its node", what()))
        }
        CatalogRow::NoService { node, id } => {
            let place = (node.clone(), String::new());
            let mut checks = catalog.checks().range(place..).take_while(|((at, _), _)| at == node);
            let ((_, check), _) = checks.find(|(_, check)| check.service_id == *id)?;
            let what = format!("check {check} on {node} is about service {id}, which is gone");
            Some(("a check of an instance that is gone", what))
        }
        CatalogRow::Check { node, id, service_id, service, .. } => {
            if !catalog.nodes().contains_key(node) {
                let what = format!("check {id} is on {node}, which is not there");
                return Some(("a check without its node", what));
            }
            if service_id.is_empty() {
                return None;
            }
            let Some(instance) = catalog.services().get(&(node.clone(), service_id.clone())) else {
                let what =
                    format!("check {id} on {node} is about {service_id}, which is not there");
                return Some(("a check without its instance", what));
            };
            let name = &instance.service;
            let what = || format!("check {id} on {node} names {service} what is called {name}");
            (name != service).then(|| ("a check with another service's name", what()))
        }
    }
}
