//! The node as the HTTP front end sees it.

use std::sync::{Arc, Mutex};

use crate::agent::{Failure, Reply, Request};
use crate::base::{Duration, Prng};
use crate::config;
use crate::http::{self, Identity};

use super::mailbox::Handle;

/// What the HTTP front end needs of a node.
#[derive(Clone)]
pub(super) struct Front {
    handle: Handle,
    jitter: Arc<Mutex<Prng>>,
    identity: Arc<Identity>,
}

impl Front {
    pub fn new(handle: Handle, config: &config::AgentConfig, prng: &Prng) -> Self {
        let jitter = Arc::new(Mutex::new(prng.fork("jitter")));
        Self { handle, jitter, identity: Arc::new(identity(config, prng)) }
    }
}

impl http::Backend for Front {
    async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        self.handle.ask(request).await
    }

    fn jitter(&self, max: Duration) -> Duration {
        let mut prng = self.jitter.lock().expect("nothing panics while it holds the stream");
        prng.duration(Duration::ZERO, max)
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// Who this agent is to its users. A node id that nobody gave is drawn anew at every start.
fn identity(config: &config::AgentConfig, prng: &Prng) -> Identity {
    Identity {
        node_name: config.node_name.clone(),
        node_id: config.node_id.clone().unwrap_or_else(|| uuid(&mut prng.fork("node id"))),
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

/// A random UUID in its usual form (version 4).
fn uuid(prng: &mut Prng) -> String {
    let (high, low) = (prng.next_u64(), prng.next_u64());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}
