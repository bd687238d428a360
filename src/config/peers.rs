//! The static set of Raft servers, until gossip finds them: this server and all of `retry_join`, as
//! many as `bootstrap_expect` says. Every server of a cluster must derive the same set.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::base::ServerAddress;
use crate::base::runtime::Runtime;
use crate::config::AgentConfig;
use crate::config::error::ConfigError;

impl AgentConfig {
    /// Where other servers reach this one; also its identity in Raft.
    #[must_use]
    pub fn server_address(&self) -> SocketAddr {
        SocketAddr::new(self.advertise_addr, self.ports.server)
    }

    /// All servers, sorted; the ids are the addresses.
    ///
    /// # Errors
    /// A name that cannot be resolved, or another number of servers than is expected.
    pub async fn servers<R: Runtime>(
        &self,
        runtime: &R,
    ) -> Result<Vec<ServerAddress>, ConfigError> {
        let mut servers = BTreeSet::from([self.server_address()]);
        if self.bootstrap_expect == 0 {
            return Ok(in_text(&servers));
        }
        for join in &self.retry_join {
            servers.insert(resolve(runtime, join).await?);
        }
        if servers.len() as u64 == self.bootstrap_expect {
            return Ok(in_text(&servers));
        }
        let found: Vec<String> = servers.iter().map(SocketAddr::to_string).collect();
        Err(ConfigError::new(format!(
            "bootstrap_expect is {}, but retry_join and the own address name {} servers ({}): \
             name every server of the cluster once in retry_join",
            self.bootstrap_expect,
            found.len(),
            found.join(", ")
        )))
    }
}

fn in_text(servers: &BTreeSet<SocketAddr>) -> Vec<ServerAddress> {
    servers.iter().map(|address| address.to_string().into()).collect()
}

/// `host`, `host:port`, `[v6]:port` or `v6`; the port of servers is 8300 unless given.
async fn resolve<R: Runtime>(runtime: &R, join: &str) -> Result<SocketAddr, ConfigError> {
    const SERVER_PORT: u16 = 8300;
    if join.contains("provider=") {
        let text = format!("retry_join {join:?}: cloud discovery is not supported yet");
        return Err(ConfigError::new(text));
    }
    if let Ok(address) = join.parse::<SocketAddr>() {
        return Ok(address);
    }
    let bare = join.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(join);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, SERVER_PORT));
    }
    let (host, port) = match join.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (join, Some(SERVER_PORT)),
    };
    let port = port.filter(|&port| port != 0 && !host.is_empty()).ok_or_else(|| {
        ConfigError::new(format!("retry_join {join:?}: not of the form host or host:port"))
    })?;
    let found = runtime.resolve(host).await.map_err(|error| {
        ConfigError::new(format!("retry_join {join:?}: cannot resolve {host}: {error}"))
    })?;
    // The lowest, so that every server picks the same one.
    let ip = found
        .into_iter()
        .min()
        .ok_or_else(|| ConfigError::new(format!("retry_join {join:?}: {host} has no address")))?;
    Ok(SocketAddr::new(ip, port))
}
