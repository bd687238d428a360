//! What one source (a file, the command line) says: every setting optional. Sources are merged in
//! order, the later one wins; lists are joined (spec api 6.1).

use std::collections::BTreeMap;

use crate::agent::{CheckRegistration, ServiceRegistration};
use crate::base::{Duration, go_duration};
use crate::config::dns::SaidDns;
use crate::config::error::ConfigError;
use crate::config::gossip::SaidTiming;
use crate::config::http::SaidHttp;
use crate::config::keys::{OBJECTS, refusal};
use crate::config::located_json::{Located, Member, Value};

macro_rules! settings {
    (lists [$($list:ident),*] $($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// One source's settings.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(super) struct Settings {
            $($(#[$doc])* pub(super) $name: Option<$type>,)*
            $(/// In the order given.
            pub(super) $list: Vec<String>,)*
            pub(super) node_meta: BTreeMap<String, String>,
            pub(super) gossip_lan: SaidTiming,
            pub(super) gossip_wan: SaidTiming,
            pub(super) http: SaidHttp,
            pub(super) dns: SaidDns,
            /// Of this source, then of later ones.
            pub(super) services: Vec<ServiceRegistration>,
            pub(super) checks: Vec<CheckRegistration>,
        }

        impl Settings {
            /// Lays a later source over this one.
            pub(super) fn merge(&mut self, later: Settings) {
                $(if later.$name.is_some() {
                    self.$name = later.$name;
                })*
                $(self.$list.extend(later.$list);)*
                self.node_meta.extend(later.node_meta);
                self.gossip_lan.merge(later.gossip_lan);
                self.gossip_wan.merge(later.gossip_wan);
                self.http.merge(later.http);
                self.dns.merge(later.dns);
                self.services.extend(later.services);
                self.checks.extend(later.checks);
            }

            /// Takes the lists of another source, to stand behind these.
            pub(super) fn lists_before(&mut self, other: &mut Settings) {
                $(self.$list.append(&mut other.$list);)*
                self.dns.lists_before(&mut other.dns);
            }
        }
    };
}

settings! {
    lists [retry_join, retry_join_wan, start_join, start_join_wan]
    advertise_addr: String,
    advertise_addr_wan: String,
    autopilot_cleanup_dead_servers: bool,
    autopilot_last_contact_threshold: Duration,
    autopilot_max_trailing_logs: i64,
    autopilot_min_quorum: i64,
    autopilot_server_stabilization_time: Duration,
    bind_addr: String,
    bootstrap: bool,
    bootstrap_expect: i64,
    check_output_max_size: u64,
    check_update_interval: Duration,
    client_addr: String,
    data_dir: String,
    datacenter: String,
    default_query_time: Duration,
    disable_coordinates: bool,
    disable_host_node_id: bool,
    disable_keyring_file: bool,
    discard_check_output: bool,
    enable_local_script_checks: bool,
    enable_script_checks: bool,
    encrypt: String,
    encrypt_verify_incoming: bool,
    encrypt_verify_outgoing: bool,
    kv_max_value_size: u64,
    txn_max_req_len: u64,
    leave_drain_time: Duration,
    leave_on_terminate: bool,
    log_level: String,
    max_query_time: Duration,
    node_id: String,
    node_name: String,
    port_dns: i64,
    port_grpc: i64,
    port_http: i64,
    port_https: i64,
    port_serf_lan: i64,
    port_serf_wan: i64,
    port_server: i64,
    profile: String,
    raft_multiplier: u64,
    raft_prevote_disabled: bool,
    raft_protocol: i64,
    raft_snapshot_interval: Duration,
    raft_snapshot_threshold: u64,
    raft_trailing_logs: u64,
    read_replica: bool,
    reconnect_timeout: Duration,
    reconnect_timeout_wan: Duration,
    rejoin_after_leave: bool,
    retry_interval: Duration,
    retry_interval_wan: Duration,
    retry_max: i64,
    retry_max_wan: i64,
    rpc_hold_timeout: Duration,
    serf_lan: String,
    serf_wan: String,
    server: bool,
    session_ttl_min: Duration,
    skip_leave_on_interrupt: bool,
    ui: bool,
}

impl Settings {
    /// What a file sets.
    pub(super) fn from_json(root: &Located) -> Result<Self, ConfigError> {
        let Value::Object(members) = &root.value else {
            let text = format!("a configuration is an object, not {}", root.value.kind());
            return Err(ConfigError::at(root.line, text));
        };
        let mut settings = Settings::default();
        for member in members {
            settings.set(&member.key, member)?;
        }
        Ok(settings)
    }

    fn set(&mut self, key: &str, member: &Member) -> Result<(), ConfigError> {
        if let Some(text) = refusal(key) {
            return Err(ConfigError::at(member.line, text));
        }
        let given = Given { key, at: &member.value };
        if given.at.value == Value::Null {
            return Ok(());
        }
        if OBJECTS.contains(&key) {
            for inner in given.members()? {
                self.set(&format!("{key}.{}", inner.key), inner)?;
            }
            return Ok(());
        }
        match key {
            "advertise_addr" => self.advertise_addr = Some(given.text()?),
            "advertise_addr_wan" => self.advertise_addr_wan = Some(given.text()?),
            "bind_addr" => self.bind_addr = Some(given.text()?),
            "bootstrap" => self.bootstrap = Some(given.bool()?),
            "bootstrap_expect" => self.bootstrap_expect = Some(given.integer()?),
            "check" | "checks" => self.add_checks(&given)?,
            "check_output_max_size" => self.check_output_max_size = Some(given.unsigned()?),
            "check_update_interval" => self.check_update_interval = Some(given.span()?),
            "client_addr" => self.client_addr = Some(given.text()?),
            "data_dir" => self.data_dir = Some(given.text()?),
            "datacenter" => self.datacenter = Some(given.text()?),
            "default_query_time" => self.default_query_time = Some(given.span()?),
            "disable_coordinates" => self.disable_coordinates = Some(given.bool()?),
            "disable_host_node_id" => self.disable_host_node_id = Some(given.bool()?),
            "disable_keyring_file" => self.disable_keyring_file = Some(given.bool()?),
            "discard_check_output" => self.discard_check_output = Some(given.bool()?),
            "enable_local_script_checks" => {
                self.enable_local_script_checks = Some(given.bool()?);
            }
            "enable_script_checks" => self.enable_script_checks = Some(given.bool()?),
            "encrypt" => self.encrypt = Some(given.text()?),
            "encrypt_verify_incoming" => self.encrypt_verify_incoming = Some(given.bool()?),
            "encrypt_verify_outgoing" => self.encrypt_verify_outgoing = Some(given.bool()?),
            "leave_on_terminate" => self.leave_on_terminate = Some(given.bool()?),
            "limits.kv_max_value_size" => self.kv_max_value_size = Some(given.unsigned()?),
            "limits.txn_max_req_len" => self.txn_max_req_len = Some(given.unsigned()?),
            "log_level" => self.log_level = Some(given.text()?),
            "max_query_time" => self.max_query_time = Some(given.span()?),
            "node_id" => self.node_id = Some(given.text()?),
            "node_meta" => self.node_meta = given.pairs()?,
            "node_name" => self.node_name = Some(given.text()?),
            "profile" => self.profile = Some(given.text()?),
            "raft_prevote_disabled" => self.raft_prevote_disabled = Some(given.bool()?),
            "raft_protocol" => self.raft_protocol = Some(given.integer()?),
            "raft_snapshot_interval" => self.raft_snapshot_interval = Some(given.span()?),
            "raft_snapshot_threshold" => self.raft_snapshot_threshold = Some(given.unsigned()?),
            "raft_trailing_logs" => self.raft_trailing_logs = Some(given.unsigned()?),
            "read_replica" | "non_voting_server" => self.read_replica = Some(given.bool()?),
            "reconnect_timeout" => self.reconnect_timeout = Some(given.span()?),
            "reconnect_timeout_wan" => self.reconnect_timeout_wan = Some(given.span()?),
            "rejoin_after_leave" => self.rejoin_after_leave = Some(given.bool()?),
            "retry_interval" => self.retry_interval = Some(given.span()?),
            "retry_interval_wan" => self.retry_interval_wan = Some(given.span()?),
            "retry_join" => self.retry_join = given.texts()?,
            "retry_join_wan" => self.retry_join_wan = given.texts()?,
            "retry_max" => self.retry_max = Some(given.integer()?),
            "retry_max_wan" => self.retry_max_wan = Some(given.integer()?),
            "serf_lan" => self.serf_lan = Some(given.text()?),
            "serf_wan" => self.serf_wan = Some(given.text()?),
            "server" => self.server = Some(given.bool()?),
            "session_ttl_min" => self.session_ttl_min = Some(given.span()?),
            "service" | "services" => self.add_services(&given)?,
            "skip_leave_on_interrupt" => self.skip_leave_on_interrupt = Some(given.bool()?),
            "start_join" => self.start_join = given.texts()?,
            "start_join_wan" => self.start_join_wan = given.texts()?,
            "ui" | "ui_config.enabled" => self.ui = Some(given.bool()?),
            // Nothing depends on these: no update check is ever made, and there is no gRPC.
            "disable_update_check" => drop(given.bool()?),
            "ports.grpc_tls" => drop(given.integer()?),
            other => self.set_inner(other, &given)?,
        }
        Ok(())
    }

    /// Members of objects.
    fn set_inner(&mut self, key: &str, given: &Given<'_>) -> Result<(), ConfigError> {
        if let Some(key) = key.strip_prefix("gossip_lan.") {
            return set_timing(&mut self.gossip_lan, key, given);
        }
        if let Some(key) = key.strip_prefix("gossip_wan.") {
            return set_timing(&mut self.gossip_wan, key, given);
        }
        if self.http.set(key, given)? || self.dns.set(key, given)? {
            return Ok(());
        }
        match key {
            "autopilot.cleanup_dead_servers" => {
                self.autopilot_cleanup_dead_servers = Some(given.bool()?);
            }
            "autopilot.last_contact_threshold" => {
                self.autopilot_last_contact_threshold = Some(given.span()?);
            }
            "autopilot.max_trailing_logs" => {
                self.autopilot_max_trailing_logs = Some(given.integer()?);
            }
            "autopilot.min_quorum" => self.autopilot_min_quorum = Some(given.integer()?),
            "autopilot.server_stabilization_time" => {
                self.autopilot_server_stabilization_time = Some(given.span()?);
            }
            "performance.leave_drain_time" => self.leave_drain_time = Some(given.span()?),
            "performance.raft_multiplier" => self.raft_multiplier = Some(given.unsigned()?),
            "performance.rpc_hold_timeout" => self.rpc_hold_timeout = Some(given.span()?),
            "ports.dns" => self.port_dns = Some(given.integer()?),
            "ports.grpc" => self.port_grpc = Some(given.integer()?),
            "ports.http" => self.port_http = Some(given.integer()?),
            "ports.https" => self.port_https = Some(given.integer()?),
            "ports.serf_lan" => self.port_serf_lan = Some(given.integer()?),
            "ports.serf_wan" => self.port_serf_wan = Some(given.integer()?),
            "ports.server" => self.port_server = Some(given.integer()?),
            other => unreachable!("supported key {other} has no setting"),
        }
        Ok(())
    }
}

fn set_timing(timing: &mut SaidTiming, key: &str, given: &Given<'_>) -> Result<(), ConfigError> {
    match key {
        "gossip_interval" => timing.gossip_interval = Some(given.span()?),
        "gossip_nodes" => timing.gossip_nodes = Some(given.unsigned()?),
        "probe_interval" => timing.probe_interval = Some(given.span()?),
        "probe_timeout" => timing.probe_timeout = Some(given.span()?),
        "retransmit_mult" => timing.retransmit_mult = Some(given.unsigned()?),
        "suspicion_mult" => timing.suspicion_mult = Some(given.unsigned()?),
        other => unreachable!("supported gossip key {other} has no setting"),
    }
    Ok(())
}

/// A value in a file, with the key that it is for.
pub(super) struct Given<'a> {
    pub(super) key: &'a str,
    pub(super) at: &'a Located,
}

impl<'a> Given<'a> {
    fn wrong(&self, expected: &str) -> ConfigError {
        let found = self.at.value.kind();
        ConfigError::at(self.at.line, format!("{}: expected {expected}, found {found}", self.key))
    }

    pub(super) fn members(&self) -> Result<&'a [Member], ConfigError> {
        match &self.at.value {
            Value::Object(members) => Ok(members),
            _ => Err(self.wrong("an object")),
        }
    }

    pub(super) fn bool(&self) -> Result<bool, ConfigError> {
        match self.at.value {
            Value::Bool(value) => Ok(value),
            _ => Err(self.wrong("a boolean")),
        }
    }

    pub(super) fn text(&self) -> Result<String, ConfigError> {
        match &self.at.value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(self.wrong("a string")),
        }
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, ConfigError> {
        match &self.at.value {
            Value::Text(text) => Ok(vec![text.clone()]),
            Value::List(items) => {
                items.iter().map(|at| Given { key: self.key, at }.text()).collect()
            }
            _ => Err(self.wrong("a list of strings")),
        }
    }

    pub(super) fn pairs(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        let pair = |member: &Member| {
            let value = Given { key: self.key, at: &member.value }.text()?;
            Ok((member.key.clone(), value))
        };
        self.members()?.iter().map(pair).collect()
    }

    pub(super) fn integer(&self) -> Result<i64, ConfigError> {
        match &self.at.value {
            Value::Number(text) => text.parse().map_err(|_| self.wrong("a whole number")),
            _ => Err(self.wrong("a whole number")),
        }
    }

    pub(super) fn unsigned(&self) -> Result<u64, ConfigError> {
        u64::try_from(self.integer()?).map_err(|_| self.wrong("a number of at least zero"))
    }

    pub(super) fn span(&self) -> Result<Duration, ConfigError> {
        let text = self.text().map_err(|_| self.wrong("a duration such as \"10s\""))?;
        go_duration::parse_span(&text).ok_or_else(|| {
            let text = format!("{}: invalid duration {text:?}, write e.g. \"10s\"", self.key);
            ConfigError::at(self.at.line, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::SUPPORTED;
    use crate::config::located_json::parse;

    #[test]
    fn every_supported_key_has_a_setting() {
        for key in SUPPORTED.iter().filter(|key| !OBJECTS.contains(key)) {
            // One of the kinds fits; the others are refused, and none panics.
            let fits = ["true", "1", "\"10s\"", "{}", "[]"].iter().any(|value| {
                let at = parse(value).expect("valid");
                let member = Member { line: 1, key: (*key).to_owned(), value: at };
                Settings::default().set(key, &member).is_ok()
            });
            assert!(fits, "{key}");
        }
    }
}
