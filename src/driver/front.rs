//! The node as the HTTP front end sees it.

use std::sync::{Arc, Mutex};

use crate::agent::{Failure, Reply, Request};
use crate::base::ids::uuid;
use crate::base::runtime::Runtime;
use crate::base::{Duration, Prng, WallTime};
use crate::config;
use crate::http::{self, Identity};

use super::mailbox::Handle;

/// What the HTTP front end needs of a node.
#[derive(Clone)]
pub(super) struct Front<R> {
    runtime: R,
    handle: Handle,
    jitter: Arc<Mutex<Prng>>,
    identity: Arc<Identity>,
}

impl<R: Runtime> Front<R> {
    pub fn new(runtime: R, handle: Handle, config: &config::AgentConfig, prng: &Prng) -> Self {
        let jitter = Arc::new(Mutex::new(prng.fork("jitter")));
        Self { runtime, handle, jitter, identity: Arc::new(identity(config, prng)) }
    }
}

impl<R: Runtime> http::Backend for Front<R> {
    async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        self.handle.ask(request).await
    }

    fn jitter(&self, max: Duration) -> Duration {
        let mut prng = self.jitter.lock().expect("nothing panics while it holds the stream");
        prng.duration(Duration::ZERO, max)
    }

    fn wall_clock(&self) -> WallTime {
        self.runtime.wall_clock()
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// Who this agent is to its users. A node id that nobody gave is drawn anew at every start.
fn identity(config: &config::AgentConfig, prng: &Prng) -> Identity {
    Identity {
        node_name: config.node_name.clone(),
        node_id: config.node_id.clone().unwrap_or_else(|| drawn_id(prng)),
        datacenter: config.datacenter.clone(),
        version: crate::CONSUL_VERSION.to_owned(),
        server: config.server,
        dev: config.dev,
        bootstrap: config.bootstrap,
        kv_max_value_size: config.kv_max_value_size,
        default_query_time: config.default_query_time,
        max_query_time: config.max_query_time,
    }
}

fn drawn_id(prng: &Prng) -> String {
    let mut bytes = [0; 16];
    prng.fork("node id").fill(&mut bytes);
    uuid(bytes)
}
