//! L3: what the agent is told, checked (spec api 5.3, 6).
//!
//! ```text
//!   defaults ◄─ -dev ◄─ files in the order given ◄─ flags      later wins; lists are joined
//!        └──────────────── Settings ─► checked ─► AgentConfig
//! ```
//!
//! Every error names its file and line, or the flag, and a remedy. A documented key that is not built
//! yet is refused, in other words than a misspelt one: nobody should rely on what is not done.
//!
//! Deliberately not here yet: HCL, reload, `-hcl`.

mod agent_flags;
mod autopilot;
mod checked;
mod definitions;
mod dns;
mod error;
pub mod flags;
mod gossip;
mod http;
mod keys;
mod located_json;
mod mode;
mod node;
mod peers;
mod settings;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::agent::Definitions;
use crate::base::Duration;
use crate::base::runtime::{Disk, Level, Runtime};
use crate::config::flags::Parsed;
use crate::config::settings::Settings;
use crate::raft::Profile;

pub use agent_flags::AGENT_FLAGS;
pub use autopilot::Autopilot;
pub use dns::{Dns, Soa};
pub use error::ConfigError;
pub use gossip::{Gossip, GossipTiming, Pool};
pub use http::Http;
pub use peers::resolve;

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
    /// Listens for servers here.
    pub bind_addr: IpAddr,
    /// Is reached by servers here.
    pub advertise_addr: IpAddr,
    /// Listens for users here.
    pub client_addrs: Vec<IpAddr>,
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
    /// What its checks may do, and how they are told.
    pub checks: CheckSettings,
    /// For the user to read at start.
    pub warnings: Vec<String>,
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

impl AgentConfig {
    /// Reads the files that the command line names, lays its flags over them, and checks the whole.
    /// `host_name` is the node's name when nothing else gives one.
    ///
    /// # Errors
    /// An unreadable file, bad JSON, a refused key or value, or settings that contradict each other.
    pub async fn load<R: Runtime>(
        runtime: &R,
        flags: &Parsed,
        host_name: &str,
    ) -> Result<Self, ConfigError> {
        if !flags.rest.is_empty() {
            let text = format!("Unexpected extra arguments: [{}]", flags.rest.join(" "));
            return Err(ConfigError::new(text));
        }
        let mut warnings = Vec::new();
        let mut merged = Settings::default();
        for (kind, path) in flags.all_of(&["config-file", "config-dir"]) {
            if kind == "config-dir" {
                for file in json_files(runtime, Path::new(path), &mut warnings).await? {
                    merged.merge(read_file(runtime, &file).await?);
                }
            } else if path.ends_with(".json") {
                merged.merge(read_file(runtime, Path::new(path)).await?);
            } else {
                let text = "only .json configuration files are supported yet";
                return Err(ConfigError::new(text).in_file(path));
            }
        }
        Self::finish(merged, flags, host_name, warnings)
    }

    /// From the text of configuration files and flags alone, without reading anything: for tests and
    /// for the testbed.
    ///
    /// # Errors
    /// As [`AgentConfig::load`].
    pub fn from_parts(
        files: &[(&str, &str)],
        flags: &Parsed,
        host_name: &str,
    ) -> Result<Self, ConfigError> {
        let mut merged = Settings::default();
        for (name, text) in files {
            merged.merge(read_text(name, text)?);
        }
        Self::finish(merged, flags, host_name, Vec::new())
    }

    /// Lays the flags over the files: their scalars win, their list values come first.
    fn finish(
        mut files: Settings,
        flags: &Parsed,
        host_name: &str,
        warnings: Vec<String>,
    ) -> Result<Self, ConfigError> {
        let mut from_flags = Settings::from_flags(flags)?;
        from_flags.lists_before(&mut files);
        files.merge(from_flags);
        checked::check(files, flags.switch("dev").unwrap_or(false), host_name, warnings)
    }
}

async fn read_file<R: Runtime>(runtime: &R, path: &Path) -> Result<Settings, ConfigError> {
    let name = path.display().to_string();
    let folder = path.parent().unwrap_or(Path::new(""));
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let bytes =
        runtime.disk(folder).read(&file).await.map_err(|error| {
            ConfigError::new(format!("config: ReadFile failed on {name}: {error}"))
        })?;
    let text =
        String::from_utf8(bytes).map_err(|_| ConfigError::new("not valid UTF-8").in_file(&name))?;
    read_text(&name, &text)
}

/// An empty file sets nothing.
fn read_text(name: &str, text: &str) -> Result<Settings, ConfigError> {
    if text.trim().is_empty() {
        return Ok(Settings::default());
    }
    let read = located_json::parse(text).and_then(|root| Settings::from_json(&root));
    read.map_err(|error| error.in_file(name))
}

/// The JSON files of a folder, by name; others are skipped with a warning.
async fn json_files<R: Runtime>(
    runtime: &R,
    folder: &Path,
    warnings: &mut Vec<String>,
) -> Result<Vec<PathBuf>, ConfigError> {
    let names = runtime.disk(folder).read_dir("").await.map_err(|error| {
        ConfigError::new(format!("config: ReadDir failed on {}: {error}", folder.display()))
    })?;
    let mut files = Vec::new();
    for name in names {
        let path = folder.join(&name);
        if name.ends_with(".json") {
            files.push(path);
        } else {
            let path = path.display();
            warnings.push(format!("skipping file {path}, extension must be .json"));
        }
    }
    Ok(files)
}
