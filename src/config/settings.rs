//! What one source (a file, the command line) says: every setting optional. Sources are merged in
//! order, the later one wins; lists are joined (spec api 6.1).

use std::collections::BTreeMap;

use crate::agent::{CheckRegistration, ServiceRegistration};
use crate::base::{Duration, go_duration};
use crate::config::addresses::SaidAddresses;
use crate::config::dns::SaidDns;
use crate::config::error::ConfigError;
use crate::config::flags::parse_bool;
use crate::config::gossip::SaidTiming;
use crate::config::http::SaidHttp;
use crate::config::inert;
use crate::config::keys::{is_block, is_supported, refusal};
use crate::config::located_json::{Located, Member, Value};
use crate::config::log::SaidLog;
use crate::config::telemetry::SaidTelemetry;
use crate::config::web_ui::SaidWebUi;
use crate::watch::Configured;

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
            pub(super) log: SaidLog,
            pub(super) telemetry: SaidTelemetry,
            pub(super) addresses: SaidAddresses,
            pub(super) web_ui: SaidWebUi,
            /// What the user should know of keys that were set.
            pub(super) warnings: Vec<String>,
            /// What a definition lacks that an agent needs to start, but `validate` does not look for.
            pub(super) unfinished: Vec<ConfigError>,
            pub(super) dns: SaidDns,
            /// Of this source, then of later ones.
            pub(super) services: Vec<ServiceRegistration>,
            pub(super) checks: Vec<CheckRegistration>,
            pub(super) watches: Vec<Configured>,
            /// What the user should know of deprecated watches.
            pub(super) watch_warnings: Vec<String>,
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
                self.log.merge(later.log);
                self.telemetry.merge(later.telemetry);
                self.addresses.merge(later.addresses);
                self.web_ui.merge(later.web_ui);
                self.warnings.extend(later.warnings);
                self.unfinished.extend(later.unfinished);
                self.dns.merge(later.dns);
                self.services.extend(later.services);
                self.checks.extend(later.checks);
                self.watches.extend(later.watches);
                self.watch_warnings.extend(later.watch_warnings);
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
    pid_file: String,
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

    pub(super) fn set(&mut self, key: &str, member: &Member) -> Result<(), ConfigError> {
        // Consul looks its keys up in any case: a definition written for the HTTP API says `Service`.
        let lower = key.to_lowercase();
        let key = if refusal(&lower).is_none() { lower.as_str() } else { key };
        if let Some(text) = refusal(key) {
            return Err(ConfigError::at(member.line, text));
        }
        let given = Given { key, at: &member.value };
        if given.at.value == Value::Null {
            return Ok(());
        }
        if is_block(key) {
            for inner in given.blocks()? {
                self.set(&format!("{key}.{}", inner.key), inner)?;
            }
            return Ok(());
        }
        if !is_supported(key)
            && let Some(said) = inert::said(&given)?
        {
            self.warnings.extend(Some(said).filter(|said| !said.is_empty()));
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
            "pid_file" => self.pid_file = Some(given.text()?),
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
            "watches" => self.add_watches(&given)?,
            "ui" => {
                self.ui = Some(given.bool()?);
                self.warnings.push(moved("ui", "ui_config.enabled"));
            }
            "ui_config.enabled" => self.ui = Some(given.bool()?),
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
        if self.http.set(key, given)?
            || self.dns.set(key, given)?
            || self.addresses.set(key, given)?
            || self.log.set(key, given)?
            || self.telemetry.set(key, given)?
            || self.web_ui.set(key, given)?
        {
            return Ok(());
        }
        match key {
            "statsd_addr" => {
                self.telemetry.set("telemetry.statsd_address", given)?;
                let is_said = !given.text()?.is_empty();
                self.warnings.extend(is_said.then(|| moved(key, "telemetry.statsd_address")));
            }
            "ui_content_path" | "ui_dir" => {
                let new = key.replacen("ui_", "ui_config.", 1);
                self.web_ui.set(&new, given)?;
                self.warnings.push(moved(key, &new));
            }
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

/// What Consul says of a key that has a new name.
pub(super) fn moved(old: &str, new: &str) -> String {
    format!("The '{old}' field is deprecated. Use the '{new}' field instead.")
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

    /// Those of an object; in HCL, one block may stand for it.
    pub(super) fn members(&self) -> Result<&'a [Member], ConfigError> {
        match &self.at.value {
            Value::Object(members) => Ok(members),
            Value::List(items) => match &items[..] {
                [Located { value: Value::Object(members), .. }] => Ok(members),
                _ => Err(self.wrong("an object")),
            },
            _ => Err(self.wrong("an object")),
        }
    }

    /// Those of an object, or of all blocks of this name together.
    pub(super) fn blocks(&self) -> Result<Vec<&'a Member>, ConfigError> {
        match &self.at.value {
            Value::List(items) => {
                let mut all = Vec::new();
                for at in items {
                    all.extend(Given { key: self.key, at }.members()?);
                }
                Ok(all)
            }
            _ => Ok(self.members()?.iter().collect()),
        }
    }

    /// A number is true unless it is 0, a text says it as flags do.
    pub(super) fn bool(&self) -> Result<bool, ConfigError> {
        match &self.at.value {
            Value::Bool(value) => Ok(*value),
            Value::Number(_) => Ok(self.integer()? != 0),
            Value::Text(text) if text.is_empty() => Ok(false),
            Value::Text(text) => parse_bool(text).ok_or_else(|| self.wrong("a boolean")),
            _ => Err(self.wrong("a boolean")),
        }
    }

    /// A number is a text as well.
    pub(super) fn text(&self) -> Result<String, ConfigError> {
        match &self.at.value {
            Value::Text(text) | Value::Number(text) => Ok(text.clone()),
            Value::Bool(value) => Ok(u8::from(*value).to_string()),
            _ => Err(self.wrong("a string")),
        }
    }

    /// One text alone is a list of one.
    pub(super) fn texts(&self) -> Result<Vec<String>, ConfigError> {
        match &self.at.value {
            Value::List(items) => {
                items.iter().map(|at| Given { key: self.key, at }.text()).collect()
            }
            Value::Object(_) | Value::Null => Err(self.wrong("a list of strings")),
            _ => Ok(vec![self.text()?]),
        }
    }

    pub(super) fn pairs(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        let pair = |member: &Member| {
            let value = Given { key: self.key, at: &member.value }.text()?;
            Ok((member.key.clone(), value))
        };
        self.blocks()?.into_iter().map(pair).collect()
    }

    /// A text may say it too, as Go writes numbers; a fraction is cut off.
    pub(super) fn integer(&self) -> Result<i64, ConfigError> {
        let number = match &self.at.value {
            Value::Number(text) => text.parse().ok().or_else(|| whole(text.parse().ok()?)),
            Value::Text(text) => go_integer(text),
            Value::Bool(value) => Some(i64::from(*value)),
            _ => None,
        };
        number.ok_or_else(|| self.wrong("a whole number"))
    }

    pub(super) fn unsigned(&self) -> Result<u64, ConfigError> {
        u64::try_from(self.integer()?).map_err(|_| self.wrong("a number of at least zero"))
    }

    pub(super) fn span(&self) -> Result<Duration, ConfigError> {
        let Value::Text(text) = &self.at.value else {
            return Err(self.wrong("a duration such as \"10s\""));
        };
        go_duration::parse_span(text).ok_or_else(|| {
            let text = format!("{}: invalid duration {text:?}, write e.g. \"10s\"", self.key);
            ConfigError::at(self.at.line, text)
        })
    }
}

/// Without what is behind the point; none outside of what 64 bits hold.
fn whole(fraction: f64) -> Option<i64> {
    let limit = 9_223_372_036_854_775_808.0;
    (-limit..limit).contains(&fraction).then_some(fraction as i64)
}

/// As Go's `ParseInt` with base 0 reads it; nothing is zero.
fn go_integer(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (text.strip_suffix(digits)?, digits),
        None => ("", text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match &lower {
        _ if lower.starts_with("0x") => (16, &lower[2..]),
        _ if lower.starts_with("0b") => (2, &lower[2..]),
        _ if lower.starts_with("0o") => (8, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, &lower[..]),
    };
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain { i64::from_str_radix(&format!("{sign}{digits}"), radix).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::all;
    use crate::config::located_json::parse;

    #[test]
    fn values_are_read_as_weakly_as_consul_reads_them() {
        let of = |value: &str| parse(value).expect("valid");
        for (value, number) in [
            ("8500", Some(8500)),
            ("\"8500\"", Some(8500)),
            ("\"0x1F\"", Some(31)),
            ("\"-010\"", Some(-8)),
            ("\"\"", Some(0)),
            ("1.9", Some(1)),
            ("1e3", Some(1000)),
            ("true", Some(1)),
            ("\"x\"", None),
            ("\"--1\"", None),
            ("\"0x-1\"", None),
            ("1e300", None),
            ("99999999999999999999", None),
            ("[1]", None),
        ] {
            let at = of(value);
            assert_eq!(Given { key: "it", at: &at }.integer().ok(), number, "{value}");
        }
        for (value, bool) in [("\"true\"", Some(true)), ("0", Some(false)), ("\"no\"", None)] {
            let at = of(value);
            assert_eq!(Given { key: "it", at: &at }.bool().ok(), bool, "{value}");
        }
        let at = of("[7, \"a\", true]");
        let texts = Given { key: "it", at: &at }.texts().expect("three");
        assert_eq!(texts, ["7", "a", "1"]);
        let at = of("[{\"a\": 1}, {\"b\": \"2\"}]");
        let given = Given { key: "it", at: &at };
        assert!(given.members().is_err());
        assert_eq!(
            given.pairs().expect("pairs").into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned()),]
        );
    }

    #[test]
    fn every_supported_key_has_a_setting() {
        for key in all().filter(|key| !is_block(key)) {
            // One of the kinds fits; the others are refused, and none panics.
            let fits = ["false", "1", "\"10s\"", "{}", "[]"].iter().any(|value| {
                let at = parse(value).expect("valid");
                let member = Member { line: 1, key: key.to_owned(), value: at };
                Settings::default().set(key, &member).is_ok()
            });
            assert!(fits, "{key}");
        }
    }
}
