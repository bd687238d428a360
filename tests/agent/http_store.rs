//! A backend for the router: one state store, no log, no other server. Waiting ends when the test
//! says so, not by a clock.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use proconsul::agent::autopilot::{HealthReport, ServerReport, ServerStats};
use proconsul::agent::{
    DatacenterMap, Failure, PeerName, RaftInfo, RaftServer, ReadMeta, ReadOptions, Reply, Request,
    SelfInfo, StateImage,
};
use proconsul::base::log_tap::LogTaps;
use proconsul::base::machine::{Machine, Usage};
use proconsul::base::metrics::Metrics;
use proconsul::base::{Duration, Faults, Instant, LogIndex, ServerAddress, Term, WallTime};
use proconsul::gossip::{JoinReport, Status};
use proconsul::http::{Backend, Identity};
use proconsul::raft::{self, Configuration, Refusal, SnapshotMeta, Suffrage};
use proconsul::state::{Change, Command, NodeCoordinate, Query, StateStore};

#[derive(Clone)]
pub struct StoreBackend {
    shared: Arc<Mutex<Shared>>,
    identity: Arc<Identity>,
    metrics: Metrics,
    taps: LogTaps,
}

pub struct Shared {
    pub store: StateStore,
    pub changes: Vec<Change>,
    pub index: u64,
    /// Waits end now.
    pub expired: bool,
    /// Answers everything with this.
    pub failure: Option<Failure>,
    /// What the autopilot makes of the one server; none: it has not looked yet.
    pub healthy: Option<bool>,
    /// The options of the last read.
    pub last_read: Option<ReadOptions>,
    /// Of the UI's folder: what reading a file gives.
    pub ui_files: BTreeMap<String, Result<Vec<u8>, ErrorKind>>,
}

impl StoreBackend {
    pub fn new(identity: Identity) -> Self {
        let shared = Shared {
            store: StateStore::new(),
            changes: Vec::new(),
            index: 12, // A fresh agent has written about itself before any user writes.
            expired: false,
            failure: None,
            healthy: None,
            last_read: None,
            ui_files: BTreeMap::new(),
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
            identity: Arc::new(identity),
            metrics: Metrics::default(),
            taps: LogTaps::default(),
        }
    }

    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no test panics while it holds this")
    }

    pub fn write(&self, command: &Command) -> Reply {
        let mut shared = self.shared();
        shared.index += 1;
        let index = LogIndex(shared.index);
        let (result, changes) = shared.store.apply(index, command, &Faults::none());
        shared.changes.extend(changes);
        Reply::Written(result)
    }

    fn peers(&self) -> Reply {
        let peer = |server: raft::Server| RaftServer {
            leader: server.address == own(),
            node: self.identity.node_name.clone(),
            protocol_version: "3".to_owned(),
            voter: true,
            id: server.id,
            address: server.address,
        };
        let servers = configuration().servers.into_iter().map(peer).collect();
        Reply::RaftConfiguration { servers, index: LogIndex(1) }
    }

    fn health(&self, last: LogIndex) -> HealthReport {
        let Some(healthy) = self.shared().healthy else { return HealthReport::default() };
        let server = ServerReport {
            id: "id1".into(),
            name: self.identity.node_name.clone(),
            address: own(),
            status: Status::Alive,
            version: self.identity.version.clone(),
            leader: true,
            voter: true,
            last_contact: Some(Duration::ZERO),
            last_term: Term(2),
            last_index: last,
            healthy,
            stable_since: WallTime(1_600_000_000_500_000_000),
        };
        HealthReport { healthy, failure_tolerance: 0, servers: vec![server] }
    }

    /// Two servers, one 20 ms further than the other.
    fn own_datacenter(&self) -> DatacenterMap {
        let at = |node: &str, seconds: f64| NodeCoordinate {
            node: node.to_owned(),
            vec: [seconds, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0].map(Into::into).into(),
            error: 1.5.into(),
            height: 1e-5.into(),
            ..NodeCoordinate::default()
        };
        let coordinates = vec![at("node1", 0.0), at("node2", 0.02)];
        DatacenterMap { datacenter: "dc1".to_owned(), area: "wan".to_owned(), coordinates }
    }

    fn snapshot(&self) -> Reply {
        let shared = self.shared();
        let (index, mut store) = (LogIndex(shared.index), shared.store.clone());
        store.advance_to(index);
        let snapshot = SnapshotMeta {
            index,
            term: Term(2),
            configuration: configuration(),
            configuration_index: LogIndex(1),
            size: 0,
        };
        let meta = ReadMeta { index: index.0, known_leader: true, last_contact: Duration::ZERO };
        Reply::Snapshot { snapshot, state: StateImage(Box::new(store)), meta }
    }

    /// Whoever blocks is answered from the new state.
    fn restore(&self, image: StateImage) -> Reply {
        let mut shared = self.shared();
        shared.index = shared.index.max(image.0.applied().0) + 1;
        shared.store = *image.0;
        shared.expired = true;
        let index = LogIndex(shared.index);
        shared.store.advance_to(index);
        Reply::Done
    }

    /// Re-runs the query only when a change touches it, as a server does.
    async fn read(&self, query: Query, options: ReadOptions) -> Reply {
        self.shared().last_read = Some(options.clone());
        let mut seen = self.shared().changes.len();
        let mut answer = self.shared().store.query(&query);
        let waits = options.min_index > 0;
        poll_fn(|_| {
            let shared = self.shared();
            let touched = shared.changes[seen..].iter().any(|change| query.is_touched_by(change));
            seen = shared.changes.len();
            if touched || shared.expired {
                answer = shared.store.query(&query);
            }
            if waits && answer.index.max(1) <= options.min_index && !shared.expired {
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        let index = answer.index.max(1);
        let meta = ReadMeta { index, known_leader: true, last_contact: Duration::ZERO };
        Reply::Read { answer, meta }
    }
}

/// A server outside of any pool.
fn self_info(raft: RaftInfo) -> SelfInfo {
    SelfInfo { raft: Some(raft), ..SelfInfo::of_pools(None) }
}

impl Backend for StoreBackend {
    async fn ui_file(&self, name: &str) -> io::Result<Vec<u8>> {
        let found = self.shared().ui_files.get(name).cloned();
        found.unwrap_or(Err(ErrorKind::NotFound)).map_err(io::Error::from)
    }

    async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        if let Some(failure) = self.shared().failure.clone() {
            return Err(failure);
        }
        let own = own();
        let last = LogIndex(self.shared().index);
        Ok(match request {
            Request::Write(mut command) => {
                command.admit(&self.identity.datacenter).map_err(Failure::Refused)?;
                self.write(&command)
            }
            Request::Read { query, options } => self.read(query, options).await,
            Request::StatusLeader => Reply::Leader(Some(own)),
            Request::StatusPeers => Reply::Peers(vec![own]),
            Request::AgentSelf => Reply::AgentSelf(Box::new(self_info(RaftInfo {
                raft_state: "Leader",
                term: Term(2),
                last_log_index: last,
                last_log_term: Term(2),
                commit_index: last,
                applied_index: last,
                num_peers: 0,
                last_contact: Some(Duration::ZERO),
                leader: Some(own.clone()),
                last_snapshot: Default::default(),
                latest_configuration: configuration(),
                latest_configuration_index: LogIndex(1),
            }))),
            Request::StatusRaftStats => Reply::RaftStats(ServerStats {
                last_contact: Some(Duration::ZERO),
                last_term: Term(2),
                last_index: last,
            }),
            Request::Members { .. } => Reply::Members(Some(Vec::new())),
            // What needs a pool is asked of real agents.
            Request::Join { .. } | Request::ForceLeave { .. } | Request::Leave => Reply::Done,
            Request::FireUserEvent(event) => Reply::UserEventFired(event),
            Request::UserEvents { .. } => Reply::UserEvents { events: Vec::new(), index: 1 },
            Request::EventFire { .. } => Reply::Done,
            Request::Keyring(_) => Reply::Keyring(Vec::new()),
            Request::RaftConfiguration { .. } => self.peers(),
            Request::CoordinateUpdate(told) => {
                let flat = told.vec.len() != 8;
                if flat {
                    return Err(Failure::Refused("incompatible coordinate".to_owned()));
                }
                self.write(&Command::Coordinates(vec![*told]));
                Reply::Done
            }
            Request::CoordinateDatacenters => Reply::DatacenterMaps(vec![self.own_datacenter()]),
            Request::AutopilotHealth => Reply::AutopilotHealth(self.health(last)),
            Request::RemoveRaftPeer(name) => return removed(&name),
            Request::TransferLeadership { to: None } => Reply::Done,
            Request::TransferLeadership { .. } => {
                return Err(Failure::Raft(Refusal::NoSuchPeer));
            }
            Request::SnapshotSave { .. } => self.snapshot(),
            Request::SnapshotRestore(image) => self.restore(image),
            other => return Err(Failure::Refused(format!("{other:?} is asked of real agents"))),
        })
    }

    async fn join(&self, _: Vec<String>, _: bool) -> Result<JoinReport, Failure> {
        Ok(JoinReport::default())
    }

    fn jitter(&self, max: Duration) -> Duration {
        max / 2
    }

    fn now(&self) -> Instant {
        Instant::ZERO
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn usage(&self) -> Usage {
        Usage { tasks: 7, memory_bytes: 4096, processors: 2 }
    }

    fn machine(&self) -> Machine {
        let memory = [("MemTotal".to_owned(), 8000), ("MemFree".to_owned(), 6000)];
        Machine { hostname: "box".to_owned(), memory: memory.into(), ..Machine::default() }
    }

    fn log_taps(&self) -> &LogTaps {
        &self.taps
    }

    fn wall_clock(&self) -> WallTime {
        WallTime(1_600_000_000_123_000_000)
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }
}

fn own() -> ServerAddress {
    "127.0.0.1:8300".into()
}

/// This server, which leads, and another one.
fn configuration() -> Configuration {
    let server =
        |id: &str, address| raft::Server { suffrage: Suffrage::Voter, id: id.into(), address };
    let other = ServerAddress::from("127.0.0.2:8300");
    Configuration { servers: vec![server("id1", own()), server("id2", other)] }
}

fn removed(name: &PeerName) -> Result<Reply, Failure> {
    let servers = configuration().servers;
    let known = servers.iter().any(|server| match name {
        PeerName::Id(id) => server.id == *id,
        PeerName::Address(address) => server.address == *address,
    });
    let text = match name {
        PeerName::Id(id) => format!("id \"{id}\""),
        PeerName::Address(address) => format!("address \"{address}\""),
    };
    match known {
        true => Ok(Reply::Done),
        false => Err(Failure::Refused(format!("{text} was not found in the Raft configuration"))),
    }
}

/// Polls until nothing moves any more: ready, or waiting for something outside.
pub fn settle<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..64 {
        if let Poll::Ready(done) = std::pin::Pin::new(&mut *future).poll(&mut cx) {
            return Poll::Ready(done);
        }
    }
    Poll::Pending
}

/// Runs a future that waits for nothing outside.
pub fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match settle(&mut future) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the future waits"),
    }
}
