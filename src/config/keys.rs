//! The keys of configuration files (spec api 6.2): which are understood, and what a misspelt one may have
//! meant. Keys that are known and change nothing are in `inert`.

use crate::config::{addresses, inert};

/// Objects whose members are listed in [`SUPPORTED`] as `object.member`.
pub(super) const OBJECTS: &[&str] = &[
    "addresses",
    "autopilot",
    "dns_config",
    "dns_config.soa",
    "gossip_lan",
    "gossip_wan",
    "http_config",
    "limits",
    "performance",
    "ports",
    "ui_config",
    "telemetry",
];

/// Keys that have a meaning here. Those of ports that nothing listens on yet are kept for the banner.
pub(super) const SUPPORTED: &[&str] = &[
    "addresses",
    "addresses.dns",
    "advertise_addr",
    "advertise_addr_wan",
    "alt_domain",
    "autopilot",
    "autopilot.cleanup_dead_servers",
    "autopilot.last_contact_threshold",
    "autopilot.max_trailing_logs",
    "autopilot.min_quorum",
    "autopilot.server_stabilization_time",
    "bind_addr",
    "bootstrap",
    "bootstrap_expect",
    "check",
    "check_output_max_size",
    "check_update_interval",
    "checks",
    "client_addr",
    "data_dir",
    "datacenter",
    "default_query_time",
    "disable_coordinates",
    "disable_host_node_id",
    "disable_keyring_file",
    "discard_check_output",
    "enable_local_script_checks",
    "enable_script_checks",
    "discovery_max_stale",
    "dns_config",
    "dns_config.a_record_limit",
    "dns_config.allow_stale",
    "dns_config.cache_max_age",
    "dns_config.disable_compression",
    "dns_config.enable_additional_node_meta_txt",
    "dns_config.enable_truncate",
    "dns_config.max_stale",
    "dns_config.node_ttl",
    "dns_config.only_passing",
    "dns_config.prefer_namespace",
    "dns_config.recursor_strategy",
    "dns_config.recursor_timeout",
    "dns_config.service_ttl",
    "dns_config.soa",
    "dns_config.soa.expire",
    "dns_config.soa.min_ttl",
    "dns_config.soa.refresh",
    "dns_config.soa.retry",
    "dns_config.udp_answer_limit",
    "dns_config.use_cache",
    "domain",
    "encrypt",
    "encrypt_verify_incoming",
    "encrypt_verify_outgoing",
    "gossip_lan",
    "gossip_lan.gossip_interval",
    "gossip_lan.gossip_nodes",
    "gossip_lan.probe_interval",
    "gossip_lan.probe_timeout",
    "gossip_lan.retransmit_mult",
    "gossip_lan.suspicion_mult",
    "gossip_wan",
    "gossip_wan.gossip_interval",
    "gossip_wan.gossip_nodes",
    "gossip_wan.probe_interval",
    "gossip_wan.probe_timeout",
    "gossip_wan.retransmit_mult",
    "gossip_wan.suspicion_mult",
    "http_api_response_headers",
    "http_config",
    "http_config.allow_write_http_from",
    "http_config.block_endpoints",
    "http_config.response_headers",
    "leave_on_terminate",
    "limits",
    "limits.http_max_conns_per_client",
    "limits.kv_max_value_size",
    "limits.txn_max_req_len",
    "log_level",
    "max_query_time",
    "node_id",
    "node_meta",
    "node_name",
    "non_voting_server",
    "performance",
    "performance.leave_drain_time",
    "performance.raft_multiplier",
    "performance.rpc_hold_timeout",
    "ports",
    "ports.dns",
    "ports.grpc",
    "ports.http",
    "ports.https",
    "ports.serf_lan",
    "ports.serf_wan",
    "ports.server",
    "pid_file",
    "profile",
    "raft_prevote_disabled",
    "raft_protocol",
    "raft_snapshot_interval",
    "raft_snapshot_threshold",
    "raft_trailing_logs",
    "read_replica",
    "reconnect_timeout",
    "reconnect_timeout_wan",
    "recursor",
    "recursors",
    "rejoin_after_leave",
    "retry_interval",
    "retry_interval_wan",
    "retry_join",
    "retry_join_wan",
    "retry_max",
    "retry_max_wan",
    "serf_lan",
    "serf_wan",
    "server",
    "service",
    "services",
    "session_ttl_min",
    "skip_leave_on_interrupt",
    "start_join",
    "start_join_wan",
    "translate_wan_addrs",
    "ui",
    "ui_config",
    "ui_config.content_path",
    "ui_config.dir",
    "ui_config.enabled",
    "ui_content_path",
    "ui_dir",
    "enable_syslog",
    "log_file",
    "log_json",
    "log_rotate_bytes",
    "log_rotate_duration",
    "log_rotate_max_files",
    "statsd_addr",
    "syslog_facility",
    "telemetry",
    "telemetry.disable_compat_1.9",
    "telemetry.disable_hostname",
    "telemetry.filter_default",
    "telemetry.metrics_prefix",
    "telemetry.prefix_filter",
    "telemetry.prometheus_retention_time",
    "telemetry.statsd_address",
    "watches",
];

/// Whether a key has a meaning here.
pub(super) fn is_supported(key: &str) -> bool {
    SUPPORTED.contains(&key) || addresses::KEYS.contains(&key)
}

/// Whether a key is a block whose members are keys, too.
pub(super) fn is_block(key: &str) -> bool {
    OBJECTS.contains(&key) || inert::is_block(key)
}

/// All keys that are known.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    SUPPORTED.iter().chain(addresses::KEYS).copied().chain(inert::keys())
}

/// Why a key is refused; none when it is supported.
pub(super) fn refusal(key: &str) -> Option<String> {
    if is_supported(key) || inert::keys().any(|known| known == key) {
        return None;
    }
    Some(match nearest(key, all()) {
        Some(known) => format!("invalid config key {key}, did you mean {known}?"),
        None => format!("invalid config key {key}"),
    })
}

/// The known key that a misspelt one may have meant.
pub(crate) fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (away, known) = known.map(|known| (distance(key, known), known)).min()?;
    (away <= 2 + key.len() / 8).then_some(known)
}

/// Levenshtein: insertions, deletions and replacements that turn one into the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (done, a) in from.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = done + 1;
        for (at, &b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_told() {
        assert_eq!(refusal("server"), None);
        assert_eq!(
            refusal("sever").as_deref(),
            Some("invalid config key sever, did you mean server?")
        );
        assert_eq!(
            refusal("performance.raft_multipler").as_deref(),
            Some(
                "invalid config key performance.raft_multipler, did you mean performance.raft_multiplier?"
            )
        );
        assert_eq!(refusal("zzzzzz").as_deref(), Some("invalid config key zzzzzz"));
    }

    #[test]
    fn blocks_are_keys() {
        assert!(OBJECTS.iter().all(|key| SUPPORTED.contains(key)));
    }
}
