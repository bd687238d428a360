//! Where this agent is reached, and where those are that it is to join.

use std::net::{IpAddr, SocketAddr};

use crate::base::runtime::Runtime;
use crate::config::AgentConfig;
use crate::config::error::ConfigError;

impl AgentConfig {
    /// Where other servers reach this one; also its name in Raft's votes.
    #[must_use]
    pub fn server_address(&self) -> SocketAddr {
        SocketAddr::new(self.advertise_addr, self.ports.server)
    }
}

/// Looks an address to join up: `host`, `host:port`, `[v6]:port` or `v6`.
///
/// # Errors
/// Another form, a name that is not known; the text names what was given.
pub async fn resolve<R: Runtime>(
    runtime: &R,
    join: &str,
    default_port: u16,
) -> Result<Vec<SocketAddr>, ConfigError> {
    if join.contains("provider=") {
        let text = format!("{join}: cloud discovery is not supported yet");
        return Err(ConfigError::new(text));
    }
    if let Ok(address) = join.parse::<SocketAddr>() {
        return Ok(vec![address]);
    }
    let bare = join.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(join);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, default_port)]);
    }
    let (host, port) = match join.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (join, Some(default_port)),
    };
    let port = port.filter(|&port| port != 0 && !host.is_empty()).ok_or_else(|| {
        ConfigError::new(format!("Failed to resolve {join}: not of the form host or host:port"))
    })?;
    // The error says which name was looked up.
    let found = runtime.resolve(host).await;
    let found =
        found.map_err(|error| ConfigError::new(format!("Failed to resolve {join}: {error}")))?;
    if found.is_empty() {
        let text = format!("Failed to resolve {join}: lookup {host}: no such host");
        return Err(ConfigError::new(text));
    }
    Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}
