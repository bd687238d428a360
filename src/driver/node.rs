//! A node's life: recover, listen, run, stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use crate::agent::{Agent, AgentConfig, Failure, Reply, Request};
use crate::base::runtime::{Either, Level, Runtime, first_of};
use crate::base::{Duration, Faults, PersistId, Prng};
use crate::http::{self, Identity};
use crate::raft::{self, Restored};
use crate::wire;

use super::disk_task::{self, Storage};
use super::event_loop::{EventLoop, Waiting};
use super::mailbox::{Handle, Message};
use super::observer::Observer;
use super::peers::Peers;
use super::persist::{LogStore, Options};
use super::server_port;

/// Everything a node is told at start.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// For the core.
    pub agent: AgentConfig,
    /// Who this is, for the HTTP API.
    pub identity: Identity,
    /// Where other servers connect to: port 8300.
    pub server_address: SocketAddr,
    /// Where users connect to: port 8500.
    pub http_addresses: Vec<SocketAddr>,
    /// Where the log is kept; none keeps nothing (`-dev`).
    pub data_dir: Option<PathBuf>,
}

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
    /// Runs an agent until a signal stops it.
    pub async fn run<R: Runtime>(
        runtime: R,
        config: NodeConfig,
        observer: Arc<dyn Observer>,
        faults: Faults,
    ) -> Exit {
        match start_and_serve(runtime.clone(), config, observer, faults).await {
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
    config: NodeConfig,
    observer: Arc<dyn Observer>,
    faults: Faults,
) -> Result<(), String> {
    let (storage, restored) = open_storage(&runtime, &config, &faults).await?;
    observer.recovered(&restored);
    let server_port = listen(&runtime, config.server_address).await?;
    let mut http_ports = Vec::new();
    for address in &config.http_addresses {
        http_ports.push(listen(&runtime, *address).await?);
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
        identity: Arc::new(config.identity.clone()),
    };
    for port in http_ports {
        let router = http::router(&front);
        runtime.spawn("http port", http::serve_all(runtime.clone(), port, router));
    }

    let me = config.agent.raft.address.clone();
    let mut out = Vec::new();
    let agent = Agent::new(config.agent, restored, &prng, faults, runtime.now(), &mut out);
    let event_loop = EventLoop {
        peers: Peers::new(runtime.clone(), handle.clone(), config.identity.datacenter.clone()),
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

/// Recovers the log; a server that has none starts from the configured set of servers, the same entry
/// on each of them (spec cluster 4.8, Bootstrap).
async fn open_storage<R: Runtime>(
    runtime: &R,
    config: &NodeConfig,
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
        let data = wire::raft::encode_configuration(&config.agent.servers);
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
