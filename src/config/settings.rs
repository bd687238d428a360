//! What one source (a file, the command line) says: every setting optional. Sources are merged in
//! order, the later one wins; lists are joined (spec api 6.1).

use crate::base::{Duration, go_duration};
use crate::config::error::ConfigError;
use crate::config::flags::{Flag, Parsed, Takes};
use crate::config::keys::{OBJECTS, refusal};
use crate::config::located_json::{Located, Member, Value};

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        /// One source's settings.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(super) struct Settings {
            $($(#[$doc])* pub(super) $name: Option<$type>,)*
            /// In the order given.
            pub(super) retry_join: Vec<String>,
        }

        impl Settings {
            /// Lays a later source over this one.
            pub(super) fn merge(&mut self, later: Settings) {
                $(if later.$name.is_some() {
                    self.$name = later.$name;
                })*
                self.retry_join.extend(later.retry_join);
            }
        }
    };
}

settings! {
    advertise_addr: String,
    bind_addr: String,
    bootstrap: bool,
    bootstrap_expect: u64,
    client_addr: String,
    data_dir: String,
    datacenter: String,
    default_query_time: Duration,
    kv_max_value_size: u64,
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
    raft_snapshot_interval: Duration,
    raft_snapshot_threshold: u64,
    raft_trailing_logs: u64,
    rejoin_after_leave: bool,
    rpc_hold_timeout: Duration,
    server: bool,
    skip_leave_on_interrupt: bool,
    ui: bool,
}

/// The flags of `agent`. `-dev`, `-config-file` and `-config-dir` choose sources; the others set.
pub const AGENT_FLAGS: &[Flag] = &[
    flag("advertise", Takes::Text, "Sets the advertise address to use."),
    flag("bind", Takes::Text, "Sets the bind address for cluster communication."),
    flag("bootstrap", Takes::Bool, "Sets server to bootstrap mode."),
    flag("bootstrap-expect", Takes::Number, "Sets server to expect bootstrap mode."),
    flag("client", Takes::Text, "Sets the address to bind for client access."),
    flag(
        "config-dir",
        Takes::Text,
        "Path to a directory to read configuration files from. Can be given many times.",
    ),
    flag("config-file", Takes::Text, "Path to a file in JSON format. Can be given many times."),
    flag("data-dir", Takes::Text, "Path to a data directory to store agent state."),
    flag("datacenter", Takes::Text, "Datacenter of the agent."),
    flag("dev", Takes::Bool, "Starts the agent in development mode."),
    flag("http-port", Takes::Text, "Sets the HTTP API port to listen on."),
    flag("log-level", Takes::Text, "Log level of the agent."),
    flag("node", Takes::Text, "Name of this node. Must be unique in the cluster."),
    flag("node-id", Takes::Text, "A unique ID for this node across space and time."),
    flag("profile", Takes::Text, "Whose rules to follow: modern (Consul 1.9)."),
    flag(
        "retry-join",
        Takes::Text,
        "Address of an agent to join at start time. Can be given many times.",
    ),
    flag("server", Takes::Bool, "Switches agent to server mode."),
    flag("server-port", Takes::Text, "Sets the server port to listen on."),
    flag("ui", Takes::Bool, "Enables the web UI (accepted; there is none yet)."),
];

const fn flag(name: &'static str, takes: Takes, help: &'static str) -> Flag {
    Flag { name, takes, help }
}

impl Settings {
    /// What the command line sets.
    pub(super) fn from_flags(flags: &Parsed) -> Result<Self, ConfigError> {
        let text = |name| flags.text(name).map(str::to_owned);
        let port = |name| match flags.text(name) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| {
                ConfigError::new(format!("invalid value {text:?} for flag -{name}: parse error"))
            }),
        };
        Ok(Settings {
            advertise_addr: text("advertise"),
            bind_addr: text("bind"),
            bootstrap: flags.switch("bootstrap"),
            bootstrap_expect: flags.number("bootstrap-expect"),
            client_addr: text("client"),
            data_dir: text("data-dir"),
            datacenter: text("datacenter"),
            log_level: text("log-level"),
            node_id: text("node-id"),
            node_name: text("node"),
            port_http: port("http-port")?,
            port_server: port("server-port")?,
            profile: text("profile"),
            server: flags.switch("server"),
            ui: flags.switch("ui"),
            retry_join: flags.all("retry-join").map(str::to_owned).collect(),
            ..Settings::default()
        })
    }

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
            "bind_addr" => self.bind_addr = Some(given.text()?),
            "bootstrap" => self.bootstrap = Some(given.bool()?),
            "bootstrap_expect" => self.bootstrap_expect = Some(given.unsigned()?),
            "client_addr" => self.client_addr = Some(given.text()?),
            "data_dir" => self.data_dir = Some(given.text()?),
            "datacenter" => self.datacenter = Some(given.text()?),
            "default_query_time" => self.default_query_time = Some(given.span()?),
            "leave_on_terminate" => self.leave_on_terminate = Some(given.bool()?),
            "limits.kv_max_value_size" => self.kv_max_value_size = Some(given.unsigned()?),
            "log_level" => self.log_level = Some(given.text()?),
            "max_query_time" => self.max_query_time = Some(given.span()?),
            "node_id" => self.node_id = Some(given.text()?),
            "node_name" => self.node_name = Some(given.text()?),
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
            "profile" => self.profile = Some(given.text()?),
            "raft_prevote_disabled" => self.raft_prevote_disabled = Some(given.bool()?),
            "raft_snapshot_interval" => self.raft_snapshot_interval = Some(given.span()?),
            "raft_snapshot_threshold" => self.raft_snapshot_threshold = Some(given.unsigned()?),
            "raft_trailing_logs" => self.raft_trailing_logs = Some(given.unsigned()?),
            "rejoin_after_leave" => self.rejoin_after_leave = Some(given.bool()?),
            "retry_join" => self.retry_join = given.texts()?,
            "server" => self.server = Some(given.bool()?),
            "skip_leave_on_interrupt" => self.skip_leave_on_interrupt = Some(given.bool()?),
            "ui" | "ui_config.enabled" => self.ui = Some(given.bool()?),
            // Nothing depends on these: no update check is ever made, and there are no transactions
            // and no gRPC whose limits they could be.
            "disable_update_check" => drop(given.bool()?),
            "limits.txn_max_req_len" => drop(given.unsigned()?),
            "ports.grpc_tls" => drop(given.integer()?),
            other => unreachable!("supported key {other} has no setting"),
        }
        Ok(())
    }
}

/// A value in a file, with the key that it is for.
struct Given<'a> {
    key: &'a str,
    at: &'a Located,
}

impl<'a> Given<'a> {
    fn wrong(&self, expected: &str) -> ConfigError {
        let found = self.at.value.kind();
        ConfigError::at(self.at.line, format!("{}: expected {expected}, found {found}", self.key))
    }

    fn members(&self) -> Result<&'a [Member], ConfigError> {
        match &self.at.value {
            Value::Object(members) => Ok(members),
            _ => Err(self.wrong("an object")),
        }
    }

    fn bool(&self) -> Result<bool, ConfigError> {
        match self.at.value {
            Value::Bool(value) => Ok(value),
            _ => Err(self.wrong("a boolean")),
        }
    }

    fn text(&self) -> Result<String, ConfigError> {
        match &self.at.value {
            Value::Text(text) => Ok(text.clone()),
            _ => Err(self.wrong("a string")),
        }
    }

    fn texts(&self) -> Result<Vec<String>, ConfigError> {
        match &self.at.value {
            Value::Text(text) => Ok(vec![text.clone()]),
            Value::List(items) => {
                items.iter().map(|at| Given { key: self.key, at }.text()).collect()
            }
            _ => Err(self.wrong("a list of strings")),
        }
    }

    fn integer(&self) -> Result<i64, ConfigError> {
        match &self.at.value {
            Value::Number(text) => text.parse().map_err(|_| self.wrong("a whole number")),
            _ => Err(self.wrong("a whole number")),
        }
    }

    fn unsigned(&self) -> Result<u64, ConfigError> {
        u64::try_from(self.integer()?).map_err(|_| self.wrong("a number of at least zero"))
    }

    fn span(&self) -> Result<Duration, ConfigError> {
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
            let fits = ["true", "1", "\"10s\""].iter().any(|value| {
                let at = parse(value).expect("valid");
                let member = Member { line: 1, key: (*key).to_owned(), value: at };
                Settings::default().set(key, &member).is_ok()
            });
            assert!(fits, "{key}");
        }
    }
}
