//! A node's life: recover, listen, run, stop.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use crate::agent::{Agent, AgentConfig, Failure, Reply, Request};
use crate::base::runtime::{Either, Level, Runtime, first_of};
use crate::base::{Duration, Faults, PersistId, Prng, ServerAddress};
use crate::config;
use crate::http::{self, Identity};
use crate::raft::{self, Configuration, RaftConfig, Restored, Server, Suffrage};
use crate::wire;

use super::disk_task::{self, Storage};
use super::event_loop::{EventLoop, Waiting};
use super::mailbox::{Handle, Message};
use super::observer::Observer;
use super::peers::Peers;
use super::persist::{LogStore, Options};
use super::server_port;

/// Entries in one AppendEntries (spec cluster 4.2).
const MAX_APPEND_ENTRIES: usize = 64;
/// AppendEntries on their way to one follower. hashicorp/raft allows 128 (2 since 1.7).
const MAX_INFLIGHT: usize = 64;

/// How a node's life ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was told to stop.
    Stopped,
    /// It could not start or go on; the text says why and what to do.
    Failed(String),
}

/// One agent, running.
pub struct Node;

impl Node {
    /// Runs an agent until a signal stops it. `servers`: the static set of Raft servers, as
    /// [`config::AgentConfig::servers`] finds it.
    pub async fn run<R: Runtime>(
        runtime: R,
        config: config::AgentConfig,
        servers: Vec<ServerAddress>,
        observer: Arc<dyn Observer>,
        faults: Faults,
    ) -> Exit {
        match start_and_serve(runtime.clone(), config, servers, observer, faults).await {
            Ok(()) => Exit::Stopped,
            Err(why) => {
                runtime.log(Level::Error, "agent", format_args!("Error starting agent: {why}"));
                Exit::Failed(why)
            }
        }
    }
}

async fn start_and_serve<R: Runtime>(
    runtime: R,
    config: config::AgentConfig,
    servers: Vec<ServerAddress>,
    observer: Arc<dyn Observer>,
    faults: Faults,
) -> Result<(), String> {
    let agent_config = agent_config(&config, servers)?;
    let servers = &agent_config.servers;
    let (storage, restored) = open_storage(&runtime, &config, servers, &faults).await?;
    observer.recovered(&restored);
    let server_at = SocketAddr::new(config.bind_addr, config.ports.server);
    let server_port = listen(&runtime, server_at).await?;
    let mut http_ports = Vec::new();
    for (ip, port) in config.client_addrs.iter().zip(std::iter::repeat(config.ports.http)) {
        if let Some(port) = port {
            http_ports.push(listen(&runtime, SocketAddr::new(*ip, port)).await?);
        }
    }

    let mut seed = [0; 32];
    runtime.entropy(&mut seed);
    let prng = Prng::from_seed(seed);
    let (inbox, messages) = mpsc::unbounded_channel();
    let handle = Handle::new(inbox);
    let (disk, persists) = mpsc::unbounded_channel();
    runtime.spawn("disk", disk_task::run(runtime.clone(), storage, persists, handle.clone()));
    runtime.spawn("server port", server_port::serve(runtime.clone(), server_port, handle.clone()));
    let front = Front {
        handle: handle.clone(),
        jitter: Arc::new(Mutex::new(prng.fork("jitter"))),
        identity: Arc::new(identity(&config, &prng)),
    };
    for port in http_ports {
        let router = http::router(&front);
        runtime.spawn("http port", http::serve_all(runtime.clone(), port, router));
    }

    let me = agent_config.raft.address.clone();
    let mut out = Vec::new();
    let agent = Agent::new(agent_config, restored, &prng, faults, runtime.now(), &mut out);
    let event_loop = EventLoop {
        peers: Peers::new(runtime.clone(), handle.clone(), config.datacenter.clone()),
        runtime: runtime.clone(),
        agent,
        inbox: messages,
        disk,
        observer,
        me,
        waiting: Waiting::default(),
    };
    let stopped = async {
        let signal = runtime.signal().await;
        runtime.log(Level::Info, "agent", format_args!("Caught: signal={signal}"));
        handle.post(Message::Stop);
        std::future::pending::<()>().await;
    };
    match first_of(event_loop.run(out), stopped).await {
        Either::First(()) | Either::Second(()) => Ok(()),
    }
}

/// The core's part of the configuration.
fn agent_config(
    config: &config::AgentConfig,
    servers: Vec<ServerAddress>,
) -> Result<AgentConfig, String> {
    let address = ServerAddress::from(config.server_address().to_string());
    let voter = |address: ServerAddress| Server {
        suffrage: Suffrage::Voter,
        id: address.as_str().into(),
        address,
    };
    let raft = RaftConfig {
        id: address.as_str().into(),
        address,
        heartbeat_timeout: config.raft.heartbeat_timeout,
        election_timeout: config.raft.election_timeout,
        leader_lease_timeout: config.raft.leader_lease_timeout,
        commit_timeout: config.raft.commit_timeout,
        max_append_entries: MAX_APPEND_ENTRIES,
        max_inflight: MAX_INFLIGHT,
    };
    raft.validate().map_err(|error| error.to_string())?;
    Ok(AgentConfig {
        raft,
        datacenter: config.datacenter.clone(),
        servers: Configuration { servers: servers.into_iter().map(voter).collect() },
        rpc_hold_timeout: config.rpc_hold_timeout,
    })
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

/// Recovers the log; a server that has none starts from the configured set of servers, the same entry
/// on each of them (spec cluster 4.8, Bootstrap).
async fn open_storage<R: Runtime>(
    runtime: &R,
    config: &config::AgentConfig,
    servers: &Configuration,
    faults: &Faults,
) -> Result<(Storage<R::Disk>, Restored), String> {
    let (mut storage, mut restored) = match &config.data_dir {
        Some(folder) => {
            let disk = runtime.disk(folder);
            let options = Options { faults: faults.clone(), ..Options::default() };
            let opened = LogStore::open(disk, "raft", options).await;
            let (store, restored) = opened.map_err(|error| error.to_string())?;
            (Storage::Durable(store), restored)
        }
        None => (Storage::Memory, Restored::default()),
    };
    if restored.entries.is_empty() && restored.hard_state == raft::HardState::default() {
        let data = wire::raft::encode_configuration(servers);
        let (hard_state, entries) = raft::bootstrap(data);
        let first = raft::Persist {
            id: PersistId(0),
            hard_state: Some(hard_state.clone()),
            truncate_from: None,
            append: entries.clone(),
        };
        if let Storage::Durable(store) = &mut storage {
            store.write(&[first]).await.map_err(|error| error.to_string())?;
        }
        restored = Restored { hard_state, entries };
    }
    Ok((storage, restored))
}

async fn listen<R: Runtime>(runtime: &R, at: SocketAddr) -> Result<R::Listener, String> {
    runtime.listen(at).await.map_err(|error| {
        format!("listen tcp {at}: {error}: is another agent running here? Choose another address or port")
    })
}

/// What the HTTP front end needs of a node.
#[derive(Clone)]
struct Front {
    handle: Handle,
    jitter: Arc<Mutex<Prng>>,
    identity: Arc<Identity>,
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
