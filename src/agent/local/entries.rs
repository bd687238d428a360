//! What is registered, and how far the catalog is known to have it.
//!
//! Each entry has a version, which every change of it raises. An order to the catalog names the version
//! that it carries, and its end counts for that version alone: what changed meanwhile is pushed again.
//! What is gone is remembered until the catalog has let it go.
//!
//! Invariants: nothing is both there and gone; a check of a service has it.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Instant;
use crate::state::{HealthCheck, NodeService};

use super::facts::Item;
use super::types::{CheckType, Origin};

/// Counts changes.
pub(super) type Version = u64;

/// A service of this agent.
#[derive(Clone, Debug)]
pub(super) struct ServiceEntry {
    pub service: NodeService,
    pub token: String,
    pub origin: Origin,
    pub in_sync: bool,
    pub version: Version,
}

/// A check of this agent.
#[derive(Clone, Debug)]
pub(super) struct CheckEntry {
    pub check: HealthCheck,
    pub registered: CheckType,
    pub token: String,
    pub origin: Origin,
    pub in_sync: bool,
    pub version: Version,
    /// Since when it is known to be critical.
    pub critical_since: Option<Instant>,
}

/// What was there and is to go from the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    pub version: Version,
    /// Of a check: its service.
    pub service_id: String,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub services: BTreeMap<String, ServiceEntry>,
    pub checks: BTreeMap<String, CheckEntry>,
    pub gone_services: BTreeMap<String, Gone>,
    pub gone_checks: BTreeMap<String, Gone>,
    /// The catalog has the node's addresses and meta.
    pub node_in_sync: bool,
    /// What came, changed or went since it was last told.
    pub changed: BTreeSet<Item>,
    version: Version,
}

impl Entries {
    pub fn next_version(&mut self) -> Version {
        self.version += 1;
        self.version
    }

    /// Puts a service in the place of what had its id. One that is as it was stays in line with the
    /// catalog.
    pub fn put_service(&mut self, service: NodeService, token: String, origin: Origin) {
        let version = self.next_version();
        let id = service.id.clone();
        let old = self.services.get(&id);
        let in_sync = old.is_some_and(|old| old.in_sync && same_service(&old.service, &service));
        self.gone_services.remove(&id);
        for entry in self.checks.values_mut().filter(|it| it.check.service_id == id) {
            let check = &mut entry.check;
            if check.service_name != service.service || check.service_tags != service.tags {
                check.service_name.clone_from(&service.service);
                check.service_tags.clone_from(&service.tags);
                (entry.in_sync, entry.version) = (false, version);
                self.changed.insert(Item::Check(check.check_id.clone()));
            }
        }
        self.changed.insert(Item::Service(id.clone()));
        self.services.insert(id, ServiceEntry { service, token, origin, in_sync, version });
    }

    /// Puts a check in the place of what had its id; what is known of how it stands goes.
    pub fn put_check(&mut self, check: HealthCheck, registered: CheckType, from: (String, Origin)) {
        let version = self.next_version();
        let id = check.check_id.clone();
        let old = self.checks.get(&id);
        let in_sync = old.is_some_and(|old| old.in_sync && same_check(&old.check, &check));
        self.gone_checks.remove(&id);
        self.changed.insert(Item::Check(id.clone()));
        let (token, origin) = from;
        let critical_since = None;
        let entry =
            CheckEntry { check, registered, token, origin, in_sync, version, critical_since };
        self.checks.insert(id, entry);
    }

    /// Takes a service away, and has the catalog let it go.
    pub fn remove_service(&mut self, id: &str) -> Option<ServiceEntry> {
        let entry = self.services.remove(id)?;
        self.changed.insert(Item::Service(id.to_owned()));
        let version = self.next_version();
        self.gone_services.insert(id.to_owned(), Gone { version, service_id: String::new() });
        Some(entry)
    }

    /// Takes a check away, and has the catalog let it go.
    pub fn remove_check(&mut self, id: &str) -> Option<CheckEntry> {
        let entry = self.checks.remove(id)?;
        self.changed.insert(Item::Check(id.to_owned()));
        let (version, service_id) = (self.next_version(), entry.check.service_id.clone());
        self.gone_checks.insert(id.to_owned(), Gone { version, service_id });
        Some(entry)
    }

    /// The ids of a service's checks.
    pub fn checks_of(&self, service: &str) -> Vec<String> {
        let checks = self.checks.values().filter(|it| it.check.service_id == service);
        checks.map(|it| it.check.check_id.clone()).collect()
    }

    /// The catalog has let a service go, and its checks with it.
    pub fn service_let_go(&mut self, id: &str, version: Version) {
        if self.gone_services.get(id).is_some_and(|gone| gone.version == version) {
            self.gone_services.remove(id);
            self.gone_checks.retain(|_, gone| gone.service_id != id);
        }
    }

    /// The catalog has let a check go.
    pub fn check_let_go(&mut self, id: &str, version: Version) {
        if self.gone_checks.get(id).is_some_and(|gone| gone.version == version) {
            self.gone_checks.remove(id);
        }
    }

    /// The catalog has this version of a service.
    pub fn service_taken(&mut self, id: &str, version: Version) {
        if let Some(entry) = self.services.get_mut(id).filter(|it| it.version == version) {
            entry.in_sync = true;
        }
    }

    /// The catalog has this version of a check.
    pub fn check_taken(&mut self, id: &str, version: Version) {
        if let Some(entry) = self.checks.get_mut(id).filter(|it| it.version == version) {
            entry.in_sync = true;
        }
    }

    pub fn check_invariants(&self) {
        for id in self.gone_services.keys() {
            crate::invariant!(!self.services.contains_key(id), "service {id} is there and gone");
        }
        for id in self.gone_checks.keys() {
            crate::invariant!(!self.checks.contains_key(id), "check {id} is there and gone");
        }
        for (id, entry) in &self.checks {
            let service = &entry.check.service_id;
            crate::invariant!(
                service.is_empty() || self.services.contains_key(service),
                "check {id} is of service {service}, which is not there"
            );
        }
    }
}

/// Equal but for what the catalog gives (Consul's `IsSame`).
pub(super) fn same_service(one: &NodeService, other: &NodeService) -> bool {
    let (create_index, modify_index) = (one.create_index, one.modify_index);
    *one == NodeService { create_index, modify_index, ..other.clone() }
}

/// Equal but for what the catalog gives, the type, and the case of the node's name (Consul's `IsSame`).
pub(super) fn same_check(one: &HealthCheck, other: &HealthCheck) -> bool {
    one.node.eq_ignore_ascii_case(&other.node)
        && *one
            == HealthCheck {
                node: one.node.clone(),
                kind: one.kind.clone(),
                create_index: one.create_index,
                modify_index: one.modify_index,
                ..other.clone()
            }
}
