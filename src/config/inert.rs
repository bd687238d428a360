//! Keys of Consul's that change nothing here, and what is said of each (spec api 6.2).
//!
//! The rule: what Consul would do more safely than this agent is **refused**, so that nobody believes to be
//! protected who is not; what is only missing is **warned** of; what nobody could tell the presence of is
//! taken **silently**. A key that is there but switched off (`false`, `""`, `[]`, `{}`, 0) does nothing in
//! Consul either, and is always taken.
//!
//! Deliberately not here: misspelt keys, which are errors everywhere, in these blocks too.

use crate::config::error::ConfigError;
use crate::config::located_json::Value;
use crate::config::settings::Given;

/// Blocks whose members are listed below; other values may hold anything.
const BLOCKS: &[&str] = &[
    "acl",
    "acl.tokens",
    "addresses",
    "auto_config",
    "auto_encrypt",
    "cache",
    "connect",
    "rpc",
    "telemetry",
    "unix_sockets",
];

/// What a key is said of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// Nothing: there is no telling.
    Nothing,
    /// A warning.
    Missing(&'static str),
    /// That it needs Consul Enterprise, in Consul's words.
    Enterprise,
    /// An error.
    Refused(&'static str),
    /// A warning when it is `false`: it is switched on for good.
    AlwaysOn(&'static str),
}

use Said::{AlwaysOn, Enterprise, Missing, Nothing, Refused};

const NO_ACL: &str = "access control lists are not built: whoever reaches this agent may do everything; \
                      remove it";
const INERT_ACL: &str = "access control lists are not built, it has no effect";
const NO_TLS: &str = "TLS is not built: all traffic but gossip would be in the clear; remove it, or put a \
                      proxy or a VPN around";
const INERT_TLS: &str = "TLS is not built, it has no effect";
const NO_MESH: &str = "the service mesh is not built, it has no effect";
const NO_CIDRS: &str =
    "gossip is not restricted by address; remove it, and use encrypt or a firewall";
const NO_LIMIT: &str = "this limit is not enforced";
const NO_UI: &str = "the UI shows no figures of others, it has no effect";
const NO_ATLAS: &str = "Atlas is no more, it has no effect";
const NO_LISTENER: &str = "nothing listens there, it has no effect";
const NO_SINK: &str =
    "nothing is sent there; use telemetry.statsd_address, or read /v1/agent/metrics";
const LATER: &str = "it is of a later Consul than 1.9.8, and has no effect";

const KEYS: &[(&str, Said)] = &[
    ("acl.default_policy", Missing(INERT_ACL)),
    ("acl.disabled_ttl", Missing(INERT_ACL)),
    ("acl.down_policy", Missing(INERT_ACL)),
    ("acl.enable_key_list_policy", Missing(INERT_ACL)),
    ("acl.enable_token_persistence", Missing(INERT_ACL)),
    ("acl.enable_token_replication", Missing(INERT_ACL)),
    ("acl.enabled", Refused(NO_ACL)),
    ("acl.msp_disable_bootstrap", Enterprise),
    ("acl.policy_ttl", Missing(INERT_ACL)),
    ("acl.role_ttl", Missing(INERT_ACL)),
    ("acl.token_ttl", Missing(INERT_ACL)),
    ("acl.tokens.agent", Missing(INERT_ACL)),
    ("acl.tokens.agent_master", Missing(INERT_ACL)),
    ("acl.tokens.agent_recovery", Missing(INERT_ACL)),
    ("acl.tokens.default", Missing(INERT_ACL)),
    ("acl.tokens.initial_management", Missing(INERT_ACL)),
    ("acl.tokens.managed_service_provider", Enterprise),
    ("acl.tokens.master", Missing(INERT_ACL)),
    ("acl.tokens.replication", Missing(INERT_ACL)),
    ("acl_agent_master_token", Missing(INERT_ACL)),
    ("acl_agent_token", Missing(INERT_ACL)),
    ("acl_datacenter", Refused(NO_ACL)),
    ("acl_default_policy", Missing(INERT_ACL)),
    ("acl_down_policy", Missing(INERT_ACL)),
    ("acl_enable_key_list_policy", Missing(INERT_ACL)),
    ("acl_enforce_version_8", Missing("it is deprecated and should be removed")),
    ("acl_master_token", Missing(INERT_ACL)),
    ("acl_replication_token", Missing(INERT_ACL)),
    ("acl_token", Missing(INERT_ACL)),
    ("acl_ttl", Missing(INERT_ACL)),
    ("addresses.grpc", Missing(NO_LISTENER)),
    ("addresses.grpc_tls", Missing(NO_LISTENER)),
    ("addresses.https", Missing(NO_LISTENER)),
    (
        "advertise_reconnect_timeout",
        Missing("agents of this node's kind are forgotten as all others"),
    ),
    ("atlas_acl_token", Missing(NO_ATLAS)),
    ("atlas_infrastructure", Missing(NO_ATLAS)),
    ("atlas_join", Missing(NO_ATLAS)),
    ("atlas_token", Missing(NO_ATLAS)),
    ("audit", Enterprise),
    ("auto_config.authorization", Missing(INERT_TLS)),
    ("auto_config.dns_sans", Missing(INERT_TLS)),
    ("auto_config.enabled", Refused(NO_TLS)),
    ("auto_config.intro_token", Missing(INERT_TLS)),
    ("auto_config.intro_token_file", Missing(INERT_TLS)),
    ("auto_config.ip_sans", Missing(INERT_TLS)),
    ("auto_config.server_addresses", Missing(INERT_TLS)),
    ("auto_encrypt.allow_tls", Refused(NO_TLS)),
    ("auto_encrypt.dns_san", Missing(INERT_TLS)),
    ("auto_encrypt.ip_san", Missing(INERT_TLS)),
    ("auto_encrypt.tls", Refused(NO_TLS)),
    ("autopilot.disable_upgrade_migration", Enterprise),
    ("autopilot.redundancy_zone_tag", Enterprise),
    ("autopilot.upgrade_version_tag", Enterprise),
    ("ca_file", Refused(NO_TLS)),
    ("ca_path", Refused(NO_TLS)),
    ("cache.entry_fetch_max_burst", Nothing),
    ("cache.entry_fetch_rate", Nothing),
    ("cert_file", Refused(NO_TLS)),
    ("cloud", Missing(LATER)),
    ("config_entries", Missing(NO_MESH)),
    ("connect.ca_config", Missing(NO_MESH)),
    ("connect.ca_provider", Missing(NO_MESH)),
    ("connect.enable_mesh_gateway_wan_federation", Missing(NO_MESH)),
    ("connect.enabled", Missing(NO_MESH)),
    ("disable_anonymous_signature", Nothing),
    ("disable_http_unprintable_char_filter", Missing("paths are filtered as ever")),
    ("disable_remote_exec", AlwaysOn("remote execution is not built")),
    // No update check is ever made.
    ("disable_update_check", Nothing),
    ("enable_acl_replication", Missing(INERT_ACL)),
    ("enable_agent_tls_for_checks", Refused(NO_TLS)),
    ("enable_central_service_config", Nothing),
    ("enable_debug", Missing("profiles at /debug/pprof are not served")),
    ("http_config.max_header_bytes", Missing(NO_LIMIT)),
    ("http_config.use_cache", Nothing),
    ("key_file", Refused(NO_TLS)),
    ("license_path", Enterprise),
    ("limits.https_handshake_timeout", Nothing),
    ("limits.request_limits", Missing(LATER)),
    ("limits.rpc_client_timeout", Missing(LATER)),
    ("limits.rpc_handshake_timeout", Missing(NO_LIMIT)),
    ("limits.rpc_max_burst", Missing(NO_LIMIT)),
    ("limits.rpc_max_conns_per_client", Missing(NO_LIMIT)),
    ("limits.rpc_rate", Missing(NO_LIMIT)),
    ("peering", Missing(LATER)),
    ("ports.expose_max_port", Nothing),
    ("ports.expose_min_port", Nothing),
    ("ports.grpc_tls", Nothing),
    ("ports.proxy_max_port", Nothing),
    ("ports.proxy_min_port", Nothing),
    ("ports.rpc", Nothing),
    ("ports.sidecar_max_port", Nothing),
    ("ports.sidecar_min_port", Nothing),
    ("primary_datacenter", Nothing),
    ("primary_gateways", Missing(NO_MESH)),
    ("primary_gateways_interval", Missing(NO_MESH)),
    ("protocol", Nothing),
    ("reporting", Missing(LATER)),
    ("rpc.enable_streaming", Nothing),
    ("segment", Enterprise),
    ("segments", Enterprise),
    ("serf_lan_allowed_cidrs", Refused(NO_CIDRS)),
    ("serf_wan_allowed_cidrs", Refused(NO_CIDRS)),
    ("server_name", Missing(INERT_TLS)),
    ("server_rejoin_age_max", Missing(LATER)),
    ("statsite_addr", Missing(NO_SINK)),
    ("statsite_prefix", Missing(NO_SINK)),
    ("tagged_addresses", Missing("use advertise_addr_ipv4 and its like, it has no effect")),
    ("telemetry.circonus_api_app", Missing(NO_SINK)),
    ("telemetry.circonus_api_token", Missing(NO_SINK)),
    ("telemetry.circonus_api_url", Missing(NO_SINK)),
    ("telemetry.circonus_broker_id", Missing(NO_SINK)),
    ("telemetry.circonus_broker_select_tag", Missing(NO_SINK)),
    ("telemetry.circonus_check_display_name", Missing(NO_SINK)),
    ("telemetry.circonus_check_force_metric_activation", Missing(NO_SINK)),
    ("telemetry.circonus_check_id", Missing(NO_SINK)),
    ("telemetry.circonus_check_instance_id", Missing(NO_SINK)),
    ("telemetry.circonus_check_search_tag", Missing(NO_SINK)),
    ("telemetry.circonus_check_tags", Missing(NO_SINK)),
    ("telemetry.circonus_submission_interval", Missing(NO_SINK)),
    ("telemetry.circonus_submission_url", Missing(NO_SINK)),
    ("telemetry.dogstatsd_addr", Missing(NO_SINK)),
    ("telemetry.dogstatsd_tags", Missing(NO_SINK)),
    ("telemetry.statsite_address", Missing(NO_SINK)),
    ("tls", Refused(NO_TLS)),
    ("tls_cipher_suites", Refused(NO_TLS)),
    ("tls_min_version", Refused(NO_TLS)),
    ("tls_prefer_server_cipher_suites", Missing(INERT_TLS)),
    ("ui_config.dashboard_url_templates", Missing(NO_UI)),
    ("ui_config.metrics_provider", Missing(NO_UI)),
    ("ui_config.metrics_provider_files", Missing(NO_UI)),
    ("ui_config.metrics_provider_options_json", Missing(NO_UI)),
    ("ui_config.metrics_proxy", Missing(NO_UI)),
    ("unix_sockets.group", Missing(NO_LISTENER)),
    ("unix_sockets.mode", Missing(NO_LISTENER)),
    ("unix_sockets.user", Missing(NO_LISTENER)),
    ("use_streaming_backend", Nothing),
    ("verify_incoming", Refused(NO_TLS)),
    ("verify_incoming_https", Refused(NO_TLS)),
    ("verify_incoming_rpc", Refused(NO_TLS)),
    ("verify_outgoing", Refused(NO_TLS)),
    ("verify_server_hostname", Refused(NO_TLS)),
];

/// All keys of this module.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    BLOCKS.iter().copied().chain(KEYS.iter().map(|(key, _)| *key))
}

/// Whether a key is a block whose members are keys.
pub(super) fn is_block(key: &str) -> bool {
    BLOCKS.contains(&key)
}

/// What is to be said of a key; none: it is not one of these. Empty: nothing.
pub(super) fn said(given: &Given<'_>) -> Result<Option<String>, ConfigError> {
    let Some((key, said)) = KEYS.iter().find(|(key, _)| *key == given.key) else {
        return Ok(None);
    };
    let is_off = is_off(&given.at.value);
    Ok(Some(match said {
        Missing(why) if !is_off => format!("{key}: {why}"),
        Enterprise if !is_off => {
            format!("{key:?} is a Consul Enterprise configuration and will have no effect")
        }
        AlwaysOn(why) if is_off => format!("{key}: {why}, it has no effect"),
        Refused(why) if !is_off => {
            return Err(ConfigError::at(given.at.line, format!("{key}: {why}")));
        }
        _ => String::new(),
    }))
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Text(text) => matches!(&**text, "" | "false" | "0"),
        Value::Number(text) => text.parse() == Ok(0.0),
        Value::List(items) => items.iter().all(|item| is_off(&item.value)),
        Value::Object(members) => members.iter().all(|member| is_off(&member.value.value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::located_json::parse;

    #[test]
    fn what_would_protect_is_refused_and_what_is_off_is_not() {
        let of = |key: &str, value: &str| {
            let at = parse(value).expect("valid");
            said(&Given { key, at: &at }).map_err(|error| error.to_string())
        };
        assert_eq!(of("server", "true"), Ok(None));
        assert_eq!(of("verify_incoming", "false"), Ok(Some(String::new())));
        assert_eq!(of("verify_incoming", "true"), Err(format!("verify_incoming: {NO_TLS}")));
        assert_eq!(
            of("tls", r#"{"defaults": {"verify_incoming": false}}"#),
            Ok(Some(String::new()))
        );
        assert!(of("tls", r#"{"defaults": {"verify_incoming": "true"}}"#).is_err());
        let provider = of("ui_config.metrics_provider", "\"x\"");
        assert_eq!(provider, Ok(Some(format!("ui_config.metrics_provider: {NO_UI}"))));
        assert!(
            of("disable_remote_exec", "false").is_ok_and(|it| it.is_some_and(|it| !it.is_empty()))
        );
        assert_eq!(of("disable_remote_exec", "true"), Ok(Some(String::new())));
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(KEYS.is_sorted_by_key(|(key, _)| *key) && BLOCKS.is_sorted());
    }
}
