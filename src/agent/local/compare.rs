//! The comparison of a full sync: what the catalog says of this node against the local state, which wins
//! (spec cluster 8.3).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::planted;
use crate::state::{HealthCheck, Node, NodeService, SERF_HEALTH};

use super::agenda::Due;
use super::core::Local;
use super::entries::{Gone, same_check, same_service};

/// The service of every server, which the leader keeps.
const CONSUL: &str = "consul";
/// Addresses that the servers add.
const SERVERS_OWN: &str = "consul-";

impl Local {
    /// Marks what is to be pushed, and what is to go. `node` is what the catalog knows of this node.
    pub(super) fn compare(
        &mut self,
        node: Option<&Node>,
        services: Vec<NodeService>,
        checks: Vec<Arc<HealthCheck>>,
    ) {
        let config = &self.config;
        self.entries.node_in_sync &= node.is_some_and(|node| {
            node.id == config.node_id
                && node.tagged_addresses == config.tagged_addresses
                && node.meta == config.node_meta
        });
        let remote: BTreeMap<String, NodeService> =
            services.into_iter().map(|it| (it.id.clone(), it)).collect();
        // Oracle of the plant: catalog-matches-agents. What the catalog lost is never put back.
        let trusts = planted!(self.faults, "lost-services-count-as-synced");
        for (id, entry) in &mut self.entries.services {
            entry.in_sync &= trusts || remote.contains_key(id);
        }
        remote.into_values().for_each(|service| self.compare_service(service));
        let own = &self.config.node_name;
        let checks = checks.into_iter().filter(|it| it.node.eq_ignore_ascii_case(own));
        let remote: BTreeMap<String, Arc<HealthCheck>> =
            checks.map(|it| (it.check_id.clone(), it)).collect();
        for (id, entry) in &mut self.entries.checks {
            entry.in_sync &= remote.contains_key(id);
        }
        for check in remote.into_values() {
            self.compare_check(Arc::unwrap_or_clone(check));
        }
    }

    fn compare_service(&mut self, remote: NodeService) {
        let id = remote.id.clone();
        let version = self.entries.next_version();
        let Some(entry) = self.entries.services.get_mut(&id) else {
            // Oracle of the plant: catalog-matches-agents. Somebody else may have put it there.
            if id != CONSUL && !planted!(self.faults, "strangers-stay") {
                let gone = Gone { version, service_id: String::new() };
                self.entries.gone_services.entry(id).or_insert(gone);
            }
            return;
        };
        let mut wanted = entry.service.clone();
        if wanted.enable_tag_override {
            wanted.tags.clone_from(&remote.tags);
        }
        let added = remote.tagged_addresses.iter().filter(|(key, _)| key.starts_with(SERVERS_OWN));
        wanted.tagged_addresses.extend(added.map(|(key, it)| (key.clone(), it.clone())));
        entry.in_sync = same_service(&wanted, &remote);
        if wanted != entry.service {
            (entry.service, entry.version) = (wanted, version);
            self.news = true;
        }
    }

    fn compare_check(&mut self, mut remote: HealthCheck) {
        let id = remote.check_id.clone();
        let version = self.entries.next_version();
        let Some(entry) = self.entries.checks.get_mut(&id) else {
            if id != SERF_HEALTH {
                let gone = Gone { version, service_id: remote.service_id };
                self.entries.gone_checks.entry(id).or_insert(gone);
            }
            return;
        };
        // Its output is on its way already, only later.
        if self.agenda.has(&id, Due::Output) {
            remote.output.clone_from(&entry.check.output);
        }
        // The catalog takes the tags from the service, which may have others than the agent gave it.
        let service = self.entries.services.get(&entry.check.service_id);
        if service.is_some_and(|it| it.service.enable_tag_override) {
            remote.service_tags.clone_from(&entry.check.service_tags);
        }
        entry.in_sync = same_check(&entry.check, &remote);
    }
}
