//! A node's life: recover, listen, run, stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::agent::{
    Agent, AgentConfig, AnyAgent, Client, ClientConfig, CoordinateConfig, Input, MembersConfig,
    Output, PoolId, Speaker,
};
use crate::base::metrics::Metrics;
use crate::base::runtime::{Disk, Either, File, Level, Runtime, first_of};
use crate::base::{Duration, Faults, Instant, Prng, Seats, WallTime};
use crate::config;
use crate::http;
use crate::raft::{self, Profile, RaftConfig, Restored, Server};
use crate::state::{AutopilotConfiguration, StateStore};

use super::definitions::Orders;
use super::disk_task::Storage;
use super::event_loop::{EventLoop, Waiting};
use super::figures::Figures;
use super::front::Front;
use super::lifecycle::{Early, Joins, Signals, hear_early, join_at_start, pass_signals_on};
use super::mailbox::Handle;
use super::observer::Observer;
use super::peers::Peers;
use super::persist::SnapshotStore;
use super::pid_file::PidFile;
use super::probes::Probes;
use super::reload::{Reloader, Reloads};
use super::snapshots::Incoming;
use super::start_gossip::{BoundPool, members_config};
use super::watches::Watches;
use super::{bootstrap, disk_task, dns, foreign_data, local, server_port, statsd, storage};

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
    /// It has left the cluster.
    Left,
    /// It could not start or go on; the text says why and what to do.
    Failed(String),
}

/// One agent, running.
pub struct Node;

impl Node {
    /// Runs an agent until a signal stops it.
    pub async fn run<R: Runtime>(
        runtime: R,
        config: config::AgentConfig,
        observer: Arc<dyn Observer>,
        faults: Faults,
    ) -> Exit {
        match start_and_serve(runtime.clone(), config, observer, faults).await {
            Ok(false) => Exit::Stopped,
            Ok(true) => Exit::Left,
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
    observer: Arc<dyn Observer>,
    faults: Faults,
) -> Result<bool, String> {
    let signals = Signals::of(&config);
    let (profile, server) = (config.profile, config.server);
    let starting = start(&runtime, config, observer, faults);
    let Started { event_loop, out, handle, lock, joins, pid_file, reloader, watches } =
        match first_of(starting, hear_early(&runtime)).await {
            Either::First(started) => {
                started.map_err(|why| format!("Error starting agent: {why}"))?
            }
            Either::Second(Early) => return Ok(false),
        };
    let running = event_loop.run(out);
    let attended = first_of(
        pass_signals_on(&runtime, &handle, signals, &reloader),
        join_at_start(&runtime, &handle, joins),
    );
    let ended = match first_of(running, attended).await {
        Either::First(ended) => ended.map_err(|why| format!("the server stops: {why}")),
        Either::Second(Either::First(Early)) => Ok(false),
        Either::Second(Either::Second(why)) => Err(why),
    };
    watches.stop();
    tell_shutdown(&runtime, profile, server);
    // The answers that the loop has given last are on their way through other tasks.
    runtime.sleep(LAST_ANSWERS).await;
    if let Some(pid_file) = pid_file {
        pid_file.remove().await;
    }
    drop(lock);
    match ended {
        Ok(_) => runtime.log(Level::Info, "agent", format_args!("shutdown complete")),
        Err(_) => runtime.log(Level::Info, "agent", format_args!("shut down after a failure")),
    }
    ended
}

/// What Consul says before its last line.
fn tell_shutdown<R: Runtime>(runtime: &R, profile: Profile, server: bool) {
    let kind = if server { "server" } else { "client" };
    let stopping = format!("shutting down {kind}");
    let stopped = format!("consul {kind} down");
    let own = if server { "agent.server" } else { "agent.client" };
    let lines = match profile {
        Profile::Modern => {
            [("agent", "Requesting shutdown"), (own, &stopping), ("agent", &stopped)].to_vec()
        }
        Profile::Legacy => [("agent", "requesting shutdown"), ("consul", &stopping)].to_vec(),
    };
    for (logger, line) in lines {
        runtime.log(Level::Info, logger, format_args!("{line}"));
    }
}

/// A node that is about to run.
struct Started<R: Runtime> {
    event_loop: EventLoop<R>,
    out: Vec<Output>,
    handle: Handle,
    /// Keeps other agents off the data folder while it is there.
    lock: Option<<R::Disk as Disk>::File>,
    joins: Joins,
    pid_file: Option<PidFile<R>>,
    reloader: Reloader<R>,
    watches: Watches<R>,
}

/// Recovers, then listens; nothing is heard before everything is known.
async fn start<R: Runtime>(
    runtime: &R,
    mut config: config::AgentConfig,
    observer: Arc<dyn Observer>,
    faults: Faults,
) -> Result<Started<R>, String> {
    let lock = lock_data_folder(runtime, &config).await?;
    foreign_data::refuse(runtime, &config).await?;
    let settled = config.settle_node_id(runtime).await;
    settled.map_err(|error| format!("Failed to setup node ID: {error}"))?;
    let mut seed = [0; 32];
    runtime.entropy(&mut seed);
    let prng = Prng::from_seed(seed);
    let (inbox, messages) = mpsc::unbounded_channel();
    let handle = Handle::new(inbox);
    let (disk, persists) = mpsc::unbounded_channel();

    let dns_faults = faults.clone();
    let lan = BoundPool::bind(runtime, &config, PoolId::Lan, &config.gossip.lan).await?;
    let wan = match &config.gossip.wan {
        Some(pool) => Some(BoundPool::bind(runtime, &config, PoolId::Wan, pool).await?),
        None => None,
    };
    let members = members_config(runtime, &config, &lan, wan.as_ref()).await;
    let speaker = Speaker {
        me: bootstrap::own_server(&config).address,
        profile: config.profile,
        server: config.server,
    };
    let local = local::config(runtime, &config).await;
    let mut out = Vec::new();
    let mut snapshots = None;
    let agent = if config.server {
        let found = open_server(runtime, &config, &*observer, &faults).await?;
        let OpenServer { storage, restored, kept, state, first, me } = found;
        snapshots = kept;
        let server_at = SocketAddr::new(config.bind_addr, config.ports.server);
        let port = runtime.listen(server_at).await.map_err(named_port_of("ports.server"))?;
        runtime.spawn("disk", disk_task::run(storage, persists, handle.clone()));
        let (datacenter, own) = (config.datacenter.clone(), handle.clone());
        let incoming = snapshots.clone().map(|store| Incoming { store, disk: disk.clone() });
        runtime.spawn(
            "server port",
            server_port::serve(runtime.clone(), port, own, datacenter, incoming),
        );
        let now = runtime.now();
        let mut agent_config = agent_config(&config, &me, members, (now, runtime.wall_clock()))?;
        agent_config.local = Some(local);
        let mut agent = Agent::new(agent_config, restored, state, &prng, faults, now, &mut out);
        tell_configuration(runtime, &config, &agent);
        if let Some(servers) = first.filter(|_| !agent.raft().has_state()) {
            agent.step(now, Input::Bootstrap(servers), &mut out);
        }
        AnyAgent::Server(Box::new(agent))
    } else {
        let (rpc_hold_timeout, told) = (config.rpc_hold_timeout, coordinates(&config).is_some());
        let local = Some(local);
        let client = ClientConfig { members, rpc_hold_timeout, coordinates: told, local };
        let now = runtime.now();
        AnyAgent::Client(Box::new(Client::new(client, &prng, &faults, now, &mut out)))
    };
    let metrics = start_metrics(runtime, &config);
    let seats = Seats::new(config.http.max_conns_per_client);
    let watches = Watches::new(runtime.clone(), &config);
    let names = dns::server(runtime, &config, &handle, &prng, (&metrics, dns_faults));
    let parts: Vec<Box<dyn Reloads>> = vec![
        Box::new(seats.clone()),
        Box::new(metrics.clone()),
        Box::new(names.clone()),
        Box::new(watches.clone()),
    ];
    let reloader = Reloader::new(runtime, &handle, &config, parts);
    let (own, kept) = (handle.clone(), (metrics.clone(), reloader.clone()));
    let front = Front::new(runtime.clone(), own, &config, &prng, kept.0, kept.1);
    listen_for_users(runtime, &config, &front, &seats).await?;
    dns::listen(runtime, &config, &names).await?;
    let peers =
        Peers::new(runtime.clone(), handle.clone(), config.datacenter.clone(), snapshots.clone());
    let event_loop = EventLoop {
        runtime: runtime.clone(),
        agent,
        inbox: messages,
        disk,
        snapshots,
        handle: handle.clone(),
        peers,
        lan: lan.serve(runtime, &config, &handle),
        wan: wan.map(|wan| wan.serve(runtime, &config, &handle)),
        observer,
        probes: Probes::new(runtime.clone(), handle.clone()),
        keeper: Orders::new(runtime, definitions_disk(runtime, &config), handle.clone()),
        speaker,
        waiting: Waiting::default(),
        figures: Figures::new(metrics),
    };
    let joins = Joins::of(&config);
    watches.replace(config.watches);
    let pid_file = PidFile::write(runtime, config.pid_file.as_deref()).await?;
    Ok(Started { event_loop, out, handle, lock, joins, pid_file, reloader, watches })
}

/// The figures, sent on when somebody is to have them.
fn start_metrics<R: Runtime>(runtime: &R, config: &config::AgentConfig) -> Metrics {
    let metrics = Metrics::new(config.telemetry.metrics(config.read_from.host_name()));
    if let Some(address) = config.telemetry.statsd_address.clone() {
        runtime.spawn("statsd", statsd::send(runtime.clone(), address, metrics.clone()));
    }
    metrics
}

/// Serves the HTTP API at all its addresses.
async fn listen_for_users<R: Runtime>(
    runtime: &R,
    config: &config::AgentConfig,
    front: &Front<R>,
    seats: &Seats,
) -> Result<(), String> {
    let Some(port) = config.ports.http else { return Ok(()) };
    for ip in &config.http_addrs {
        let listener = runtime.listen(SocketAddr::new(*ip, port)).await;
        let listener = listener.map_err(named_port_of("ports.http"))?;
        let (router, seats) = (http::router(front), seats.clone());
        runtime.spawn("http port", http::serve_all(runtime.clone(), listener, router, seats));
    }
    Ok(())
}

/// What a server finds on its disk.
struct OpenServer<D: Disk> {
    storage: Storage<D>,
    restored: Restored,
    /// Where its snapshots are.
    kept: Option<SnapshotStore<D>>,
    state: StateStore,
    /// The set that it begins with, where it knows that by itself.
    first: Option<Vec<Server>>,
    me: Server,
}

async fn open_server<R: Runtime>(
    runtime: &R,
    config: &config::AgentConfig,
    observer: &dyn Observer,
    faults: &Faults,
) -> Result<OpenServer<R::Disk>, String> {
    let me = bootstrap::own_server(config);
    let first = bootstrap::first_servers(config);
    let (storage, restored) = storage::open(runtime, config, &me, first.as_deref(), faults).await?;
    let (kept, state) = storage::load_state(runtime, &storage, &restored).await?;
    observer.recovered(&restored, &state);
    Ok(OpenServer { storage, restored, kept, state, first, me })
}

/// The set that was found, as hashicorp/raft says at each start; 0.5.2 does not.
fn tell_configuration<R: Runtime>(runtime: &R, config: &config::AgentConfig, agent: &Agent) {
    if config.profile == Profile::Modern {
        let (index, set) = (agent.raft().configuration_index(), agent.raft().configuration());
        let text = format_args!("initial configuration: index={index} servers=\"{set}\"");
        runtime.log(Level::Info, "agent.server.raft", text);
    }
}

/// The core's part of the configuration.
fn agent_config(
    config: &config::AgentConfig,
    me: &Server,
    members: MembersConfig,
    began: (Instant, WallTime),
) -> Result<AgentConfig, String> {
    let raft = RaftConfig {
        id: me.id.clone(),
        address: me.address.clone(),
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
        node_name: config.node_name.clone(),
        datacenter: config.datacenter.clone(),
        profile: config.profile,
        enable_single_node: config.bootstrap,
        rpc_hold_timeout: config.rpc_hold_timeout,
        members: Some(members),
        leave_drain: config.leave_drain_time,
        session_ttl_min: config.session_ttl_min,
        coordinates: coordinates(config),
        local: None,
        began,
        autopilot: AutopilotConfiguration {
            cleanup_dead_servers: config.autopilot.cleanup_dead_servers,
            last_contact_threshold: config.autopilot.last_contact_threshold,
            max_trailing_logs: config.autopilot.max_trailing_logs,
            min_quorum: config.autopilot.min_quorum,
            server_stabilization_time: config.autopilot.server_stabilization_time,
            ..AutopilotConfiguration::default()
        },
    })
}

/// Where definitions are kept; none in dev mode.
fn definitions_disk<R: Runtime>(runtime: &R, config: &config::AgentConfig) -> Option<R::Disk> {
    let folder = config.data_dir.as_ref().filter(|_| !config.dev);
    folder.map(|folder| runtime.disk(folder))
}

/// Coordinates are told unless they are off; 0.5.2 knows none.
fn coordinates(config: &config::AgentConfig) -> Option<CoordinateConfig> {
    let flush_period = Duration::from_millis(if config.dev { 100 } else { 5000 });
    let on = config.gossip.coordinates && config.profile == Profile::Modern;
    on.then_some(CoordinateConfig { flush_period })
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

/// Likewise, with the configuration key that says which port it is.
pub(super) fn named_port_of(key: &'static str) -> impl FnOnce(io::Error) -> String {
    move |error| format!("{key}: {}", named_port(error))
}

/// Why a port cannot be had, and what to do about it.
pub(super) fn named_port(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{error}: is another agent running here? Stop that one, or choose another address or \
             port"
        ),
        io::ErrorKind::AddrNotAvailable => format!("{error}: this machine has no such address"),
        _ => error.to_string(),
    }
}
