//! What a new cluster's autopilot begins with (spec cluster 6.8; spec api 6.2). The cluster keeps it from
//! then on, and `operator autopilot set-config` changes it.

use crate::base::Duration;
use crate::config::checked::refuse;
use crate::config::error::ConfigError;
use crate::config::settings::Settings;

/// The block `autopilot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Autopilot {
    /// Servers that have failed are removed, as far as the quorum allows.
    pub cleanup_dead_servers: bool,
    /// A server without contact for longer is unhealthy.
    pub last_contact_threshold: Duration,
    /// One that is this many entries behind is unhealthy.
    pub max_trailing_logs: u64,
    /// No server is removed when fewer would be left; 0: no such limit.
    pub min_quorum: u64,
    /// A server is promoted once it has been healthy for this long.
    pub server_stabilization_time: Duration,
}

pub(super) fn check(said: &Settings) -> Result<Autopilot, ConfigError> {
    let count = |key: &str, said: Option<i64>, default: u64| match said.map(u64::try_from) {
        None => Ok(default),
        Some(Ok(count)) => Ok(count),
        Some(Err(_)) => refuse(format!(
            "autopilot.{key} cannot be {}. Must be greater than or equal to zero",
            said.unwrap_or_default()
        )),
    };
    let last_contact = said.autopilot_last_contact_threshold;
    let stabilization = said.autopilot_server_stabilization_time;
    Ok(Autopilot {
        cleanup_dead_servers: said.autopilot_cleanup_dead_servers.unwrap_or(true),
        last_contact_threshold: last_contact.unwrap_or(Duration::from_millis(200)),
        max_trailing_logs: count("max_trailing_logs", said.autopilot_max_trailing_logs, 250)?,
        min_quorum: count("min_quorum", said.autopilot_min_quorum, 0)?,
        server_stabilization_time: stabilization.unwrap_or(Duration::from_secs(10)),
    })
}
