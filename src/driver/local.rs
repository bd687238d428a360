//! What an agent says of its own node, and what it starts with: read out of the configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::agent::{Definitions, LocalConfig};
use crate::base::runtime::Runtime;
use crate::config;

use super::definitions;

/// In every node's meta: releases without network segments have one without a name.
const SEGMENT: &str = "consul-network-segment";

/// The local state's part of the configuration, with what was kept. The node id must have been settled.
pub(super) async fn config<R: Runtime>(runtime: &R, config: &config::AgentConfig) -> LocalConfig {
    let kept_in = config.data_dir.as_ref().filter(|_| !config.dev);
    let mut definitions = config.definitions.clone();
    if let Some(folder) = kept_in {
        let Definitions { services, checks, ttl_states } = definitions::load(runtime, folder).await;
        definitions.services.extend(services);
        definitions.checks.extend(checks);
        definitions.ttl_states.extend(ttl_states);
    }
    let lan = config.advertise_addr;
    let wan = config.gossip.wan.as_ref().map_or(lan, |pool| pool.advertise.ip());
    LocalConfig {
        node_id: config.node_id.clone().unwrap_or_default(),
        node_name: config.node_name.clone(),
        datacenter: config.datacenter.clone(),
        address: lan.to_string(),
        tagged_addresses: tagged_addresses(lan, wan, &config.tagged_addresses),
        node_meta: node_meta(config),
        check_update_interval: config.checks.update_interval,
        discard_check_output: config.checks.discard_output,
        check_output_max_size: config.checks.output_max_size,
        enable_script_checks: config.checks.remote_scripts,
        enable_local_script_checks: config.checks.local_scripts,
        keeps_definitions: kept_in.is_some(),
        definitions,
    }
}

/// What the catalog is told of the node.
pub(super) fn node_meta(config: &config::AgentConfig) -> BTreeMap<String, String> {
    let mut node_meta = config.node_meta.clone();
    node_meta.insert(SEGMENT.to_owned(), String::new());
    node_meta
}

/// `said`: by tag, going before what follows from the addresses.
fn tagged_addresses(
    lan: IpAddr,
    wan: IpAddr,
    said: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut tagged = BTreeMap::new();
    for (network, ip) in [("lan", lan), ("wan", wan)] {
        let family = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
        tagged.insert(network.to_owned(), ip.to_string());
        tagged.insert(format!("{network}_{family}"), ip.to_string());
    }
    tagged.extend(said.iter().map(|(tag, ip)| (tag.clone(), ip.clone())));
    tagged
}
