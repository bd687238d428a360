//! A node's life: recover, listen, run, stop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::agent::{Agent, AgentConfig, Output};
use crate::base::runtime::{Disk, Either, File, Level, Runtime, Signal, first_of};
use crate::base::{Duration, Faults, PersistId, Prng, ServerAddress};
use crate::config;
use crate::http;
use crate::raft::{self, Configuration, RaftConfig, Restored, Server, Suffrage};
use crate::wire;

use super::disk_task::{self, Storage};
use super::event_loop::{EventLoop, Waiting};
use super::front::Front;
use super::mailbox::{Handle, Message};
use super::observer::Observer;
use super::peers::Peers;
use super::persist::{self, Options};
use super::server_port;

/// Entries in one AppendEntries (spec cluster 4.2).
const MAX_APPEND_ENTRIES: usize = 64;
/// AppendEntries on their way to one follower. hashicorp/raft allows 128 (2 since 1.7).
const MAX_INFLIGHT: usize = 64;
/// For how long the last answers may still be written when a node stops.
const LAST_ANSWERS: Duration = Duration::from_millis(100);
/// In the data folder: claimed by the agent that runs on it.
const LOCK_FILE: &str = "lock";

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
                runtime.log(Level::Error, "agent", format_args!("{why}"));
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
    let Started { event_loop, out, handle, lock } =
        start(&runtime, &config, servers, observer, faults)
            .await
            .map_err(|why| format!("Error starting agent: {why}"))?;
    let stopped = event_loop.run(out);
    let ended = match first_of(stopped, pass_signals_on(&runtime, &handle)).await {
        Either::First(ended) => ended,
        Either::Second(never) => match never {},
    };
    // The answers that the loop has given last are on their way through other tasks.
    runtime.sleep(LAST_ANSWERS).await;
    drop(lock);
    match ended {
        Ok(()) => runtime.log(Level::Info, "agent", format_args!("shutdown complete")),
        Err(_) => runtime.log(Level::Info, "agent", format_args!("shut down, as its disk failed")),
    }
    ended.map_err(|why| format!("the server stops: {why}"))
}

/// A node that is about to run.
struct Started<R: Runtime> {
    event_loop: EventLoop<R>,
    out: Vec<Output>,
    handle: Handle,
    /// Keeps other agents off the data folder while it is there.
    lock: Option<<R::Disk as Disk>::File>,
}

/// Recovers, then listens; nothing is heard before everything is known.
async fn start<R: Runtime>(
    runtime: &R,
    config: &config::AgentConfig,
    servers: Vec<ServerAddress>,
    observer: Arc<dyn Observer>,
    faults: Faults,
) -> Result<Started<R>, String> {
    let agent_config = agent_config(config, servers)?;
    let lock = lock_data_folder(runtime, config).await?;
    let (storage, restored) = open_storage(runtime, config, &agent_config.servers, &faults).await?;
    observer.recovered(&restored);
    let server_at = SocketAddr::new(config.bind_addr, config.ports.server);
    let server_port = listen(runtime, server_at).await?;
    let mut http_ports = Vec::new();
    for (ip, port) in config.client_addrs.iter().zip(std::iter::repeat(config.ports.http)) {
        if let Some(port) = port {
            http_ports.push(listen(runtime, SocketAddr::new(*ip, port)).await?);
        }
    }

    let mut seed = [0; 32];
    runtime.entropy(&mut seed);
    let prng = Prng::from_seed(seed);
    let (inbox, messages) = mpsc::unbounded_channel();
    let handle = Handle::new(inbox);
    let (disk, persists) = mpsc::unbounded_channel();
    runtime.spawn("disk", disk_task::run(storage, persists, handle.clone()));
    runtime.spawn("server port", server_port::serve(runtime.clone(), server_port, handle.clone()));
    let front = Front::new(handle.clone(), config, &prng);
    for port in http_ports {
        runtime.spawn("http port", http::serve_all(runtime.clone(), port, http::router(&front)));
    }

    let me = agent_config.raft.address.clone();
    let mut out = Vec::new();
    let agent = Agent::new(agent_config, restored, &prng, faults, runtime.now(), &mut out);
    let peers = Peers::new(runtime.clone(), handle.clone(), config.datacenter.clone());
    let (runtime, waiting) = (runtime.clone(), Waiting::default());
    let event_loop =
        EventLoop { runtime, agent, inbox: messages, disk, peers, observer, me, waiting };
    Ok(Started { event_loop, out, handle, lock })
}

/// Stops the node at the first signal that asks for it.
async fn pass_signals_on<R: Runtime>(runtime: &R, handle: &Handle) -> Infallible {
    loop {
        let signal = runtime.signal().await;
        runtime.log(Level::Info, "agent", format_args!("Caught: signal={signal}"));
        match signal {
            Signal::Terminate | Signal::Interrupt => {
                let text = format_args!("Graceful shutdown disabled. Exiting");
                runtime.log(Level::Info, "agent", text);
                handle.post(Message::Stop);
            }
            Signal::Hangup => runtime.log(
                Level::Warn,
                "agent",
                format_args!("the configuration is not reloaded: restart the agent for that"),
            ),
        }
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
        max_append_bytes: raft::config::MAX_APPEND_BYTES,
        snapshot_interval: config.raft.snapshot_interval,
        snapshot_threshold: config.raft.snapshot_threshold,
        trailing_logs: config.raft.trailing_logs,
        pre_vote: config.raft.pre_vote,
    };
    raft.validate().map_err(|error| error.to_string())?;
    Ok(AgentConfig {
        raft,
        datacenter: config.datacenter.clone(),
        servers: Configuration { servers: servers.into_iter().map(voter).collect() },
        rpc_hold_timeout: config.rpc_hold_timeout,
    })
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
            let refused = |error| format!("data_dir {}: {error}", folder.display());
            let found = persist::inspect(disk, "raft", options).await.map_err(refused)?;
            let configuration = found.configuration().unwrap_or_else(|| servers.clone());
            let me = config.server_address().to_string();
            if let Some(loss) = found.loss().filter(|_| is_alone(&configuration, &me)) {
                return Err(refused(loss.refusal()));
            }
            for damage in found.damage() {
                runtime.log(Level::Warn, "agent.server.raft", format_args!("{damage}"));
            }
            if found.is_healing() && found.loss().is_none() {
                let text = "still without what damage on disk has taken: this server does not vote";
                runtime.log(Level::Warn, "agent.server.raft", format_args!("{text}"));
            }
            let (store, restored) = found.settle().await.map_err(refused)?;
            (Storage::Durable(Box::new(store)), restored)
        }
        None => (Storage::Memory, Restored::default()),
    };
    if restored.entries.is_empty()
        && restored.snapshot.is_none()
        && restored.hard_state == raft::HardState::default()
    {
        let data = wire::raft::encode_configuration(servers);
        let (hard_state, entries) = raft::bootstrap(data);
        let first = raft::Persist {
            id: PersistId(0),
            hard_state: Some(hard_state.clone()),
            append: entries.clone(),
            ..raft::Persist::default()
        };
        if let Storage::Durable(store) = &mut storage {
            store.write(&[first]).await.map_err(|error| error.to_string())?;
        }
        restored = Restored { hard_state, entries, ..Restored::default() };
    }
    Ok((storage, restored))
}

/// Whether there is no other voter from whom a loss could be healed.
fn is_alone(configuration: &Configuration, me: &str) -> bool {
    let others = configuration.servers.iter().filter(|server| server.address.as_str() != me);
    others.filter(|server| server.suffrage == Suffrage::Voter).count() == 0
}

/// Claims the data folder: two agents that append to one log would destroy it.
async fn lock_data_folder<R: Runtime>(
    runtime: &R,
    config: &config::AgentConfig,
) -> Result<Option<<R::Disk as Disk>::File>, String> {
    let Some(folder) = &config.data_dir else { return Ok(None) };
    let disk = runtime.disk(folder);
    let claimed = async {
        disk.create_dir_all("").await?;
        let file = disk.open(LOCK_FILE, true).await?;
        file.try_lock().map(|()| file)
    };
    claimed.await.map(Some).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => format!(
            "data_dir {} is in use by another agent: stop that one, or choose another data_dir",
            folder.display()
        ),
        _ => format!("cannot use data_dir {}: {error}", folder.display()),
    })
}

async fn listen<R: Runtime>(runtime: &R, at: SocketAddr) -> Result<R::Listener, String> {
    runtime.listen(at).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{error}: is another agent running here? Stop that one, or choose another address or \
             port"
        ),
        io::ErrorKind::AddrNotAvailable => format!("{error}: this machine has no such address"),
        _ => error.to_string(),
    })
}
