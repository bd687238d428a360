//! From a server's catalog, and its locks, to the rows of the trace.

use std::fmt::Write as _;

use proconsul::agent::LocalFact;
use proconsul::state::{self, HealthCheck, NodeService, StateStore};
use xxhash_rust::xxh3::xxh3_64;

use crate::trace::event::CatalogRow;
use crate::trace::locks::{Holder, LockRow};

/// What is at another address for those of its own datacenter says it under this name.
const LAN_IPV4: &str = "lan_ipv4";

/// The rows of a catalog that are not as they were.
#[must_use]
pub fn catalog_rows(now: &StateStore, before: &StateStore) -> Vec<CatalogRow> {
    now.catalog_since(before).into_iter().map(catalog_row).collect()
}

/// The keys that are held otherwise than they were.
#[must_use]
pub fn lock_rows(now: &StateStore, before: &StateStore) -> Vec<LockRow> {
    let row = |row: state::LockRow<'_>| LockRow {
        key: row.key.to_owned(),
        holder: row
            .holder
            .map(|(session, node)| Holder { session: session.to_owned(), node: node.to_owned() }),
    };
    now.locks_since(before).into_iter().map(row).collect()
}

/// A row of an agent's own services and checks; none for other facts. The node is in lower case.
#[must_use]
pub fn local_row(node: &str, fact: &LocalFact) -> Option<CatalogRow> {
    let gone = |id: &str| (node.to_owned(), id.to_owned());
    Some(match fact {
        LocalFact::ServiceIs { id, service: Some(row) } => service_row(node, id, row),
        LocalFact::ServiceIs { id, service: None } => {
            let (node, id) = gone(id);
            CatalogRow::NoService { node, id }
        }
        LocalFact::CheckIs { id, check: Some(row) } => check_row(node, id, row),
        LocalFact::CheckIs { id, check: None } => {
            let (node, id) = gone(id);
            CatalogRow::NoCheck { node, id }
        }
        _ => return None,
    })
}

fn catalog_row(row: state::CatalogRow<'_>) -> CatalogRow {
    match row {
        state::CatalogRow::Node { node, row: Some(row) } => {
            let (name, id) = (row.node.clone(), row.id.clone());
            let lan = row.tagged_addresses.get(LAN_IPV4);
            let (node, address) = (node.to_owned(), lan.unwrap_or(&row.address).clone());
            CatalogRow::Node { node, name, id, address }
        }
        state::CatalogRow::Node { node, row: None } => CatalogRow::NoNode { node: node.to_owned() },
        state::CatalogRow::Service { node, id, row: Some(row) } => service_row(node, id, row),
        state::CatalogRow::Service { node, id, row: None } => {
            CatalogRow::NoService { node: node.to_owned(), id: id.to_owned() }
        }
        state::CatalogRow::Check { node, id, row: Some(row) } => check_row(node, id, row),
        state::CatalogRow::Check { node, id, row: None } => {
            CatalogRow::NoCheck { node: node.to_owned(), id: id.to_owned() }
        }
    }
}

/// An instance; what is hashed is what anti-entropy compares (spec cluster 8.3): tags that the catalog
/// may override and addresses that servers add are left out.
#[must_use]
pub fn service_row(node: &str, id: &str, row: &NodeService) -> CatalogRow {
    let mut compared = NodeService { create_index: 0, modify_index: 0, ..row.clone() };
    compared.tagged_addresses.retain(|name, _| !name.starts_with("consul-"));
    if compared.enable_tag_override {
        compared.tags.clear();
    }
    let lan = row.tagged_addresses.get(LAN_IPV4);
    CatalogRow::Service {
        node: node.to_owned(),
        id: id.to_owned(),
        service: row.service.clone(),
        address: lan.map_or(&row.address, |lan| &lan.address).clone(),
        // As much of it as a record takes.
        port: row.port as u16,
        tags: row.tags.clone(),
        content: hash(&compared),
    }
}

/// A check; its output may lag behind (spec cluster 8.6), and its tags are those that its service had when
/// it was last written.
#[must_use]
pub fn check_row(node: &str, id: &str, row: &HealthCheck) -> CatalogRow {
    let compared = HealthCheck {
        node: node.to_owned(),
        output: String::new(),
        service_tags: Vec::new(),
        create_index: 0,
        modify_index: 0,
        ..row.clone()
    };
    CatalogRow::Check {
        node: node.to_owned(),
        id: id.to_owned(),
        status: row.status.clone(),
        service_id: row.service_id.clone(),
        service: row.service_name.clone(),
        content: hash(&compared),
    }
}

fn hash(row: &impl std::fmt::Debug) -> u64 {
    let mut text = String::new();
    write!(text, "{row:?}").expect("memory takes all text");
    xxh3_64(text.as_bytes())
}
