//! The flags of `agent` (spec api 5.3), and what they set.

use crate::base::{Duration, go_duration};
use crate::config::dns::SaidDns;
use crate::config::error::ConfigError;
use crate::config::flags::{Flag, Parsed, Takes};
use crate::config::log::SaidLog;
use crate::config::settings::Settings;

/// The flags of `agent`. `-dev`, `-config-file` and `-config-dir` choose sources; the others set.
pub const AGENT_FLAGS: &[Flag] = &[
    flag("advertise", Takes::Text, "Sets the advertise address to use."),
    flag("advertise-wan", Takes::Text, "Sets address to advertise on WAN."),
    flag(
        "allow-write-http-from",
        Takes::Text,
        "Writes over HTTP are allowed from this network only. Can be given many times.",
    ),
    flag("atlas", Takes::Text, "Of old releases; has no effect."),
    flag("atlas-endpoint", Takes::Text, "Of old releases; has no effect."),
    flag("atlas-join", Takes::Bool, "Of old releases; has no effect."),
    flag("atlas-token", Takes::Text, "Of old releases; has no effect."),
    flag("alt-domain", Takes::Text, "Alternate domain to use for DNS interface."),
    flag("bind", Takes::Text, "Sets the bind address for cluster communication."),
    flag("bootstrap", Takes::Bool, "Sets server to bootstrap mode."),
    flag("bootstrap-expect", Takes::Text, "Sets server to expect bootstrap mode."),
    flag("check_output_max_size", Takes::Text, "Sets the maximum output size for checks, bytes."),
    flag("client", Takes::Text, "Sets the address to bind for client access."),
    flag(
        "config-dir",
        Takes::Text,
        "Path to a directory to read configuration files from. Can be given many times.",
    ),
    flag(
        "config-file",
        Takes::Text,
        "Path to a file in JSON or HCL format. Can be given many times.",
    ),
    flag(
        "config-format",
        Takes::Text,
        "Config files are in this format, whatever their names: hcl or json.",
    ),
    flag("data-dir", Takes::Text, "Path to a data directory to store agent state."),
    flag("datacenter", Takes::Text, "Datacenter of the agent."),
    flag("dc", Takes::Text, "The old name of -datacenter."),
    flag("default-query-time", Takes::Text, "How long a blocking query waits that names no time."),
    flag("dev", Takes::Bool, "Starts the agent in development mode."),
    flag("disable-host-node-id", Takes::Bool, "Uses a random node ID (it always is)."),
    flag("disable-keyring-file", Takes::Bool, "Disables the backing up of the keyring to a file."),
    flag("dns-port", Takes::Text, "DNS port to use; -1: none."),
    flag("domain", Takes::Text, "Domain to use for DNS interface."),
    flag(
        "enable-local-script-checks",
        Takes::Bool,
        "Enables health check scripts from configuration files.",
    ),
    flag("enable-script-checks", Takes::Bool, "Enables health check scripts."),
    flag("encrypt", Takes::Text, "Provides the gossip encryption key."),
    flag("grpc-port", Takes::Text, "The gRPC port: shown, nothing listens there."),
    flag("grpc-tls-port", Takes::Text, "The gRPC port with TLS: has no effect."),
    flag("hcl", Takes::Text, "HCL config fragment. Can be given many times."),
    flag("http-port", Takes::Text, "Sets the HTTP API port to listen on."),
    flag("https-port", Takes::Text, "The HTTPS API port: -1, as TLS is not built."),
    flag(
        "join",
        Takes::Text,
        "Address of an agent to join at start time, once. Can be given many times.",
    ),
    flag(
        "join-wan",
        Takes::Text,
        "Address of a server to join -wan at start time, once. Can be given many times.",
    ),
    flag("log-file", Takes::Text, "Path to the file the logs get written to."),
    flag("log-json", Takes::Bool, "Output logs in JSON format."),
    flag(
        "log-rotate-bytes",
        Takes::Text,
        "Maximum number of bytes that should be written to a log file.",
    ),
    flag(
        "log-rotate-duration",
        Takes::Text,
        "Time after which log rotation needs to be performed.",
    ),
    flag(
        "log-rotate-max-files",
        Takes::Text,
        "Maximum number of log file archives to keep; 0: all, -1: none.",
    ),
    flag("syslog", Takes::Bool, "Enables logging to syslog (refused: not built)."),
    flag("log-level", Takes::Text, "Log level of the agent."),
    flag("max-query-time", Takes::Text, "How long a blocking query may wait at most."),
    flag("node", Takes::Text, "Name of this node. Must be unique in the cluster."),
    flag("node-id", Takes::Text, "A unique ID for this node across space and time."),
    flag("node-meta", Takes::Text, "Metadata of this node, key:value. Can be given many times."),
    flag("non-voting-server", Takes::Bool, "The old name of -read-replica."),
    flag("pid-file", Takes::Text, "Of Consul; no such file is written."),
    flag("primary-gateway", Takes::Text, "Of the mesh, which is not built; has no effect."),
    flag(
        "profile",
        Takes::Text,
        "Whose rules to follow: modern (Consul 1.9.8, the default) or legacy (0.5.2).",
    ),
    flag("protocol", Takes::Text, "Sets the protocol version; has no effect."),
    flag("raft-protocol", Takes::Text, "Sets the Raft protocol version: 3."),
    flag("read-replica", Takes::Bool, "A server that never votes (refused: not built)."),
    flag("recursor", Takes::Text, "Address of an upstream DNS server. Can be given many times."),
    flag("rejoin", Takes::Bool, "Ignores a previous leave and attempts to rejoin the cluster."),
    flag("retry-interval", Takes::Text, "Time to wait between join attempts."),
    flag("retry-interval-wan", Takes::Text, "Time to wait between join -wan attempts."),
    flag(
        "retry-join",
        Takes::Text,
        "Address of an agent to join at start time. Can be given many times.",
    ),
    flag(
        "retry-join-wan",
        Takes::Text,
        "Address of a server to join -wan at start time. Can be given many times.",
    ),
    flag("retry-max", Takes::Text, "Maximum number of join attempts; 0: no limit."),
    flag("retry-max-wan", Takes::Text, "Maximum number of join -wan attempts; 0: no limit."),
    flag("segment", Takes::Text, "Of Consul Enterprise; has no effect."),
    flag("serf-lan-allowed-cidrs", Takes::Text, "Refused: gossip is not restricted by address."),
    flag("serf-lan-bind", Takes::Text, "Address to bind Serf LAN listeners to."),
    flag("serf-lan-port", Takes::Text, "Sets the Serf LAN port to listen on."),
    flag("serf-wan-allowed-cidrs", Takes::Text, "Refused: gossip is not restricted by address."),
    flag("serf-wan-bind", Takes::Text, "Address to bind Serf WAN listeners to."),
    flag("serf-wan-port", Takes::Text, "Sets the Serf WAN port to listen on; -1: none."),
    flag("server", Takes::Bool, "Switches agent to server mode."),
    flag("server-port", Takes::Text, "Sets the server port to listen on."),
    flag("ui", Takes::Bool, "Enables the built-in web UI, at /ui/."),
    flag("ui-content-path", Takes::Text, "Where the web UI is served (default /ui/)."),
    flag("ui-dir", Takes::Text, "Serves the web UI from this directory."),
];

const fn flag(name: &'static str, takes: Takes, help: &'static str) -> Flag {
    Flag { name, takes, help }
}

impl Settings {
    /// What the command line sets.
    pub(super) fn from_flags(flags: &Parsed) -> Result<Self, ConfigError> {
        let text = |name| flags.text(name).map(str::to_owned);
        let malformed = |name: &str, text: &str| {
            ConfigError::new(format!("invalid value {text:?} for flag -{name}: parse error"))
        };
        let number = |name: &str| match flags.text(name) {
            None => Ok(None),
            Some(text) => text.parse::<i64>().map(Some).map_err(|_| malformed(name, text)),
        };
        let span = |name: &str| -> Result<Option<Duration>, ConfigError> {
            let Some(text) = flags.text(name) else { return Ok(None) };
            go_duration::parse_span(text).map(Some).ok_or_else(|| malformed(name, text))
        };
        let list = |name| flags.all(name).map(str::to_owned).collect();
        let pair = |text: &str| {
            let (key, value) = text.split_once(':').unwrap_or((text, ""));
            (key.to_owned(), value.to_owned())
        };
        let mut settings = Settings {
            log: SaidLog {
                enable_syslog: flags.switch("syslog"),
                file: text("log-file"),
                json: flags.switch("log-json"),
                rotate_bytes: number("log-rotate-bytes")?,
                rotate_duration: span("log-rotate-duration")?,
                rotate_max_files: number("log-rotate-max-files")?,
            },
            advertise_addr: text("advertise"),
            advertise_addr_wan: text("advertise-wan"),
            bind_addr: text("bind"),
            bootstrap: flags.switch("bootstrap"),
            bootstrap_expect: number("bootstrap-expect")?,
            client_addr: text("client"),
            data_dir: text("data-dir"),
            datacenter: text("datacenter").or_else(|| text("dc")),
            disable_host_node_id: flags.switch("disable-host-node-id"),
            disable_keyring_file: flags.switch("disable-keyring-file"),
            enable_local_script_checks: flags.switch("enable-local-script-checks"),
            enable_script_checks: flags.switch("enable-script-checks"),
            encrypt: text("encrypt"),
            log_level: text("log-level"),
            node_id: text("node-id"),
            node_meta: flags.all("node-meta").map(pair).collect(),
            node_name: text("node"),
            port_dns: number("dns-port")?,
            port_http: number("http-port")?,
            port_serf_lan: number("serf-lan-port")?,
            port_serf_wan: number("serf-wan-port")?,
            port_server: number("server-port")?,
            profile: text("profile"),
            raft_protocol: number("raft-protocol")?,
            read_replica: flags.switch("read-replica").or(flags.switch("non-voting-server")),
            rejoin_after_leave: flags.switch("rejoin"),
            retry_interval: span("retry-interval")?,
            retry_interval_wan: span("retry-interval-wan")?,
            retry_join: list("retry-join"),
            retry_join_wan: list("retry-join-wan"),
            retry_max: number("retry-max")?,
            retry_max_wan: number("retry-max-wan")?,
            serf_lan: text("serf-lan-bind"),
            serf_wan: text("serf-wan-bind"),
            server: flags.switch("server"),
            start_join: list("join"),
            start_join_wan: list("join-wan"),
            ui: flags.switch("ui"),
            dns: SaidDns::from_flags(flags),
            ..Settings::default()
        };
        settings.take_key_flags(flags)?;
        Ok(settings)
    }
}
