//! The node as the HTTP front end sees it.

use std::io;
use std::sync::{Arc, Mutex};

use crate::agent::{Failure, Reply, Request};
use crate::base::log_tap::LogTaps;
use crate::base::machine::{Machine, Usage};
use crate::base::metrics::Metrics;
use crate::base::runtime::{Disk, Runtime};
use crate::base::{Duration, Instant, Prng, WallTime};
use crate::config;
use crate::gossip::JoinReport;
use crate::http::{self, Identity, Policy};

use super::joining;
use super::mailbox::Handle;
use super::reload::Reloader;

/// What the HTTP front end needs of a node.
#[derive(Clone)]
pub(super) struct Front<R> {
    runtime: R,
    handle: Handle,
    jitter: Arc<Mutex<Prng>>,
    identity: Arc<Identity>,
    metrics: Metrics,
    reloader: Reloader<R>,
    /// Ports of the gossip pools, for addresses that name none.
    lan_port: u16,
    wan_port: u16,
}

impl<R: Runtime> Front<R> {
    pub fn new(
        runtime: R,
        handle: Handle,
        config: &config::AgentConfig,
        prng: &Prng,
        metrics: Metrics,
        reloader: Reloader<R>,
    ) -> Self {
        let jitter = Arc::new(Mutex::new(prng.fork("jitter")));
        let identity = Arc::new(identity(config));
        let lan_port = config.ports.serf_lan;
        let wan_port = config.ports.serf_wan.unwrap_or(lan_port);
        Self { runtime, handle, jitter, identity, metrics, reloader, lan_port, wan_port }
    }
}

impl<R: Runtime> http::Backend for Front<R> {
    async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        self.handle.ask(request).await
    }

    async fn join(&self, addresses: Vec<String>, wan: bool) -> Result<JoinReport, Failure> {
        let port = if wan { self.wan_port } else { self.lan_port };
        joining::join(&self.runtime, &self.handle, &addresses, wan, port).await
    }

    async fn reload(&self) -> Result<(), String> {
        self.reloader.reload().await
    }

    async fn ui_file(&self, name: &str) -> io::Result<Vec<u8>> {
        match self.identity.ui.as_ref().and_then(|ui| ui.dir()) {
            Some(dir) => self.runtime.disk(dir).read_at_most(name, http::UI_FILE_BYTES).await,
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn jitter(&self, max: Duration) -> Duration {
        let mut prng = self.jitter.lock().expect("nothing panics while it holds the stream");
        prng.duration(Duration::ZERO, max)
    }

    fn now(&self) -> Instant {
        self.runtime.now()
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn usage(&self) -> Usage {
        self.runtime.usage()
    }

    fn machine(&self) -> Machine {
        self.runtime.machine()
    }

    fn log_taps(&self) -> &LogTaps {
        self.runtime.log_taps()
    }

    fn wall_clock(&self) -> WallTime {
        self.runtime.wall_clock()
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// Who this agent is to its users.
fn identity(config: &config::AgentConfig) -> Identity {
    Identity {
        node_name: config.node_name.clone(),
        node_id: config.node_id.clone().unwrap_or_default(),
        datacenter: config.datacenter.clone(),
        version: crate::CONSUL_VERSION.to_owned(),
        profile: config.profile,
        server: config.server,
        dev: config.dev,
        bootstrap: config.bootstrap,
        coordinates: config.gossip.coordinates,
        kv_max_value_size: config.kv_max_value_size,
        txn_max_req_len: config.txn_max_req_len,
        default_query_time: config.default_query_time,
        max_query_time: config.max_query_time,
        discovery_max_stale: config.http.discovery_max_stale,
        translate_wan_addrs: config.http.translate_wan_addrs,
        ui: config.http.ui.clone(),
        policy: Policy {
            response_headers: config.http.response_headers.clone(),
            block_endpoints: config.http.block_endpoints.clone(),
            allow_write_from: config.http.allow_write_from.clone(),
        },
    }
}
