//! L3: what the agent is told, checked (spec api 5.3, 6).
//!
//! ```text
//!   defaults ◄─ -dev ◄─ files and folders as given ◄─ flags ◄─ -hcl     later wins; lists are joined,
//!        └──────────────── Settings ─► checked ─► AgentConfig            those of flags in front
//! ```
//!
//! Files are JSON or HCL 1 (`sources`); both become one tree, and every error names file, line and key,
//! or the flag, and a remedy. A key of Consul's that has no effect here is warned of, or refused where Consul
//! would have protected somebody (`inert`): nobody should rely on what is not done.
//!
//! An [`AgentConfig`] knows where it was read ([`ReadFrom`]), and is read again there.
//!
//! Deliberately not here: watching files.

mod addresses;
mod agent_flags;
mod autopilot;
mod checked;
mod definitions;
mod dns;
mod error;
pub mod flags;
mod gossip;
mod hcl;
mod http;
mod inert;
mod interfaces;
mod key_flags;
mod keys;
mod located_json;
mod log;
mod mode;
mod node;
mod peers;
mod read_from;
#[cfg(test)]
mod sample;
mod settings;
mod sources;
mod telemetry;
mod templates;
mod watches;
mod web_ui;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::agent::Definitions;
use crate::base::Duration;
use crate::base::log_settings::LogSettings;
use crate::base::runtime::{Disk, Level, Runtime};
use crate::config::flags::Parsed;
use crate::config::interfaces::Interfaces;
use crate::config::settings::Settings;
use crate::config::sources::{Format, Source};
use crate::raft::Profile;
use crate::watch::Configured;

pub use agent_flags::AGENT_FLAGS;
pub use autopilot::Autopilot;
pub use dns::Dns;
pub use error::ConfigError;
pub use gossip::{Gossip, GossipTiming, Pool};
pub use http::Http;
pub(crate) use keys::nearest;
pub use peers::resolve;
pub use read_from::ReadFrom;
pub use telemetry::Telemetry;

/// An agent's configuration: complete, consistent, and fixed for a process life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// Whose rules the agent follows.
    pub profile: Profile,
    /// Unique in the cluster.
    pub node_name: String,
    /// A UUID, when one was given or [`AgentConfig::settle_node_id`] has found one.
    pub node_id: Option<String>,
    /// What operators say of this node.
    pub node_meta: BTreeMap<String, String>,
    /// Lower case.
    pub datacenter: String,
    /// Server, not client.
    pub server: bool,
    /// `-dev`: one server, indented answers, short Raft timers.
    pub dev: bool,
    /// `-bootstrap`: a cluster of this server alone. Set by `-dev` and by `-bootstrap-expect=1` too.
    pub bootstrap: bool,
    /// How many servers the cluster starts with, two or more; 0 with `bootstrap`, and on a server that
    /// waits to be added.
    pub bootstrap_expect: u64,
    /// Agents of this datacenter to join.
    pub lan_join: Join,
    /// Servers of other datacenters to join.
    pub wan_join: Join,
    /// Where state is kept; none keeps it in memory (`-dev` without `-data-dir`).
    pub data_dir: Option<PathBuf>,
    /// `pid_file`: the file that names the process while it runs.
    pub pid_file: Option<String>,
    /// Listens for servers here.
    pub bind_addr: IpAddr,
    /// Is reached by servers here.
    pub advertise_addr: IpAddr,
    /// Listens for users here.
    pub client_addrs: Vec<IpAddr>,
    /// Listens for users of the HTTP API here: `addresses.http`, or the above.
    pub http_addrs: Vec<IpAddr>,
    /// What the node is called by family of address, beside what follows from the address to advertise:
    /// `advertise_addr_ipv4` and its like, by tag.
    pub tagged_addresses: BTreeMap<String, String>,
    /// Which ports.
    pub ports: Ports,
    /// Where and how the agent gossips.
    pub gossip: Gossip,
    /// What a new cluster's autopilot begins with.
    pub autopilot: Autopilot,
    /// What the HTTP API may do.
    pub http: Http,
    /// What DNS answers with.
    pub dns: Dns,
    /// Raft's timers, already multiplied.
    pub raft: RaftTimers,
    /// How long a request is held while there is no leader.
    pub rpc_hold_timeout: Duration,
    /// How long a leaving server serves on.
    pub leave_drain_time: Duration,
    /// The shortest time to live of a session.
    pub session_ttl_min: Duration,
    /// The least grave log line that is shown.
    pub log_level: Level,
    /// In which form lines are shown, and in which file they are kept.
    pub log: LogSettings,
    /// What figures are called, and who gets them.
    pub telemetry: Telemetry,
    /// SIGTERM leaves the cluster first.
    pub leave_on_terminate: bool,
    /// SIGINT does not.
    pub skip_leave_on_interrupt: bool,
    /// Joins again after a leave.
    pub rejoin_after_leave: bool,
    /// `limits.kv_max_value_size`, bytes.
    pub kv_max_value_size: u64,
    /// `limits.txn_max_req_len`, bytes; at least `kv_max_value_size`.
    pub txn_max_req_len: u64,
    /// Wait of a blocking query that names none.
    pub default_query_time: Duration,
    /// Longest wait of a blocking query.
    pub max_query_time: Duration,
    /// Services and checks of files.
    pub definitions: Definitions,
    /// Watches of files.
    pub watches: Vec<Configured>,
    /// What its checks may do, and how they are told.
    pub checks: CheckSettings,
    /// For the user to read at start.
    pub warnings: Vec<String>,
    /// Where all of this was read.
    pub read_from: ReadFrom,
}

/// What holds of all checks of an agent (spec api 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckSettings {
    /// `enable_script_checks`: scripts run, whoever registers them.
    pub remote_scripts: bool,
    /// `enable_local_script_checks`, or the above: those of files do.
    pub local_scripts: bool,
    /// `check_update_interval`: an output that changes alone is told this late.
    pub update_interval: Duration,
    /// `discard_check_output`: outputs are not told at all.
    pub discard_output: bool,
    /// `check_output_max_size`: of an output so much is kept at most, bytes.
    pub output_max_size: u64,
}

/// Whom to join at start (spec cluster 7.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// `start_join`: one attempt; the agent fails when nobody is reached.
    pub start: Vec<String>,
    /// `retry_join`: attempts until one succeeds.
    pub retry: Vec<String>,
    /// Between two attempts.
    pub interval: Duration,
    /// After so many attempts the agent gives up and exits; 0: never.
    pub max: u64,
}

impl Join {
    /// Whether there is nobody to join.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.start.is_empty() && self.retry.is_empty()
    }
}

/// Ports; none where nothing listens. That of gRPC is shown in the banner only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the configuration keys")]
pub struct Ports {
    pub http: Option<u16>,
    pub https: Option<u16>,
    pub grpc: Option<u16>,
    pub dns: Option<u16>,
    pub server: u16,
    pub serf_lan: u16,
    pub serf_wan: Option<u16>,
}

/// Raft's timers and sizes (spec cluster 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Raft's")]
pub struct RaftTimers {
    pub heartbeat_timeout: Duration,
    pub election_timeout: Duration,
    pub leader_lease_timeout: Duration,
    pub commit_timeout: Duration,
    pub snapshot_interval: Duration,
    pub snapshot_threshold: u64,
    pub trailing_logs: u64,
    pub pre_vote: bool,
}

/// What is known of the machine when a configuration is checked.
struct Host<'a> {
    /// The node's name when nothing else gives one.
    name: &'a str,
    interfaces: Interfaces,
    /// An agent is to start with it; else somebody wants to know whether it is right.
    starts: bool,
}

impl AgentConfig {
    /// Reads the files that the command line names, lays its flags over them, and checks the whole.
    /// `host_name` is the node's name when nothing else gives one.
    ///
    /// # Errors
    /// An unreadable file, bad JSON or HCL, a refused key or value, or settings that contradict each other.
    pub async fn load<R: Runtime>(
        runtime: &R,
        flags: &Parsed,
        host_name: &str,
    ) -> Result<Self, ConfigError> {
        if !flags.rest.is_empty() {
            let text = format!("Unexpected extra arguments: [{}]", flags.rest.join(" "));
            return Err(ConfigError::new(text));
        }
        let paths: Vec<&str> =
            flags.all_of(&["config-file", "config-dir"]).map(|(_, path)| path).collect();
        Self::read(runtime, &paths, flags, (host_name, true)).await
    }

    /// Checks files and folders as if an agent were to start with nothing else; what it would warn of.
    /// `format` is that of all files; none: their names tell.
    ///
    /// # Errors
    /// As [`AgentConfig::load`], but what only a running agent can know.
    pub async fn validate<R: Runtime>(
        runtime: &R,
        paths: &[&str],
        format: Option<&str>,
        host_name: &str,
    ) -> Result<Vec<String>, ConfigError> {
        let format = format.map(|name| vec![format!("-config-format={name}")]).unwrap_or_default();
        let flags =
            flags::parse(AGENT_FLAGS, &format).expect("a flag of the agent's, with a value");
        let config = Self::read(runtime, paths, &flags, (host_name, false)).await?;
        Ok(config.warnings)
    }

    async fn read<R: Runtime>(
        runtime: &R,
        paths: &[&str],
        flags: &Parsed,
        (name, starts): (&str, bool),
    ) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let format = Format::named(flags.text("config-format"))?;
        let sources = sources::read(runtime, paths, format, &mut warnings).await?;
        let interfaces = Interfaces::of_machine(runtime).await;
        let host = Host { name, interfaces, starts };
        let config = Self::finish(&sources, flags, host, warnings)?;
        if let Some(folder) = &config.data_dir
            && let Err(error) = runtime.disk(folder).read_dir("").await
        {
            let folder = folder.display();
            match error.kind() {
                ErrorKind::NotFound => {}
                ErrorKind::NotADirectory => {
                    let text = format!("data_dir \"{folder}\" is not a directory");
                    return Err(ConfigError::new(text));
                }
                _ => {
                    let text = format!("Error getting info on data_dir: {error}");
                    return Err(ConfigError::new(text));
                }
            }
        }
        Ok(Self { read_from: ReadFrom::of_files(flags, name), ..config })
    }

    /// From the text of configuration files and flags alone, without reading anything: for tests and
    /// for the testbed. A name that ends in `.hcl` is HCL, all others are JSON.
    ///
    /// # Errors
    /// As [`AgentConfig::load`].
    pub fn from_parts(
        files: &[(&str, &str)],
        flags: &Parsed,
        host_name: &str,
    ) -> Result<Self, ConfigError> {
        let source = |&(name, text): &(&str, &str)| Source {
            name: name.to_owned(),
            format: Format::of_name(name).unwrap_or(Format::Json),
            text: text.to_owned(),
        };
        let sources: Vec<Source> = files.iter().map(source).collect();
        let host = Host { name: host_name, interfaces: Interfaces::default(), starts: true };
        let config = Self::finish(&sources, flags, host, Vec::new())?;
        Ok(Self { read_from: ReadFrom::of_parts(files, flags, host_name), ..config })
    }

    /// Lays the flags over the files: their scalars win, their list values come first. Fragments of
    /// `-hcl` win over both.
    fn finish(
        files: &[Source],
        flags: &Parsed,
        host: Host<'_>,
        warnings: Vec<String>,
    ) -> Result<Self, ConfigError> {
        let mut merged = Settings::default();
        for file in files {
            merged.merge(file.settings()?);
        }
        let mut from_flags = Settings::from_flags(flags)?;
        from_flags.lists_before(&mut merged);
        merged.merge(from_flags);
        for (at, text) in flags.all("hcl").enumerate() {
            let name = format!("flags-{at}.hcl");
            let fragment = Source { name, format: Format::Hcl, text: text.to_owned() };
            merged.merge(fragment.settings()?);
        }
        merged.fill_in(&host.interfaces)?;
        if host.starts
            && let Some(error) = merged.unfinished.first()
        {
            return Err(error.clone());
        }
        checked::check(merged, flags.switch("dev").unwrap_or(false), &host, warnings)
    }
}
