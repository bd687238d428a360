//! L3: the HTTP API, as Consul 1.9.8 serves it (spec api 1 and 2).
//!
//! ```text
//!   ByteStream ─► serve (hyper) ─► Router (axum) ─► endpoint: path, query, method
//!          kv │ catalog │ health │ event │ status │ agent │ operator │ snapshot ◄─┘ └─► Backend::ask
//! ```
//!
//! Translation only: requests become [`agent::Request`](crate::agent::Request)s, replies become JSON
//! and headers. Waiting, forwarding and consistency are the agent's. The router is the same in both
//! runtimes and runs no task of its own: a request lives in its connection's future and dies with it.
//!
//! [`client`] is the other end, for the command line and for the testbed's users; [`fetch`] and [`grpc_health`]
//! are what health checks ask with.
//!
//! Deliberately not here yet: TLS, gzip, HTTP/2, and the endpoints of the mesh.

mod acl;
pub mod agent;
mod agent_self;
mod answer_cache;
mod autopilot;
mod body;
mod catalog;
pub mod client;
mod coordinates;
pub(crate) mod decode;
mod discovery;
mod endpoint;
pub(crate) mod escape;
mod event;
pub mod fetch;
pub mod filter;
pub mod grpc_health;
mod health;
mod host;
pub(crate) mod json;
mod keyring;
mod kv;
mod members;
mod metrics;
mod monitor;
mod operator;
mod options;
mod page;
mod params;
mod policy;
mod prepared_queries;
mod reply;
mod serve;
mod sessions;
mod snapshot;
mod status;
mod stream;
mod txn;
mod ui;
mod views;

use std::future::{Future, ready};
use std::io;

use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};

use crate::agent::{Failure, Reply, Request};
use crate::base::log_tap::LogTaps;
use crate::base::machine::{Machine, Usage};
use crate::base::metrics::Metrics;
use crate::base::{Duration, Instant, WallTime, WebUi};
use crate::gossip::JoinReport;
use crate::raft::Profile;

pub use page::FILE_BYTES as UI_FILE_BYTES;
pub use policy::Policy;
pub use serve::{MAX_CONNECTIONS_PER_CLIENT, serve, serve_all};

/// What answers the API's questions: the agent's handle.
pub trait Backend: Clone + Send + Sync + 'static {
    /// Puts a question to the agent. Dropping the future withdraws the question, but a write that
    /// was passed on may still happen.
    fn ask(&self, request: Request) -> impl Future<Output = Result<Reply, Failure>> + Send;
    /// Looks these addresses up, and joins a pool through what they stand for.
    fn join(
        &self,
        addresses: Vec<String>,
        wan: bool,
    ) -> impl Future<Output = Result<JoinReport, Failure>> + Send;
    /// Reads the configuration again and applies it; or why that cannot be.
    fn reload(&self) -> impl Future<Output = Result<(), String>> + Send {
        ready(Err("this agent has no configuration to read again".to_owned()))
    }
    /// A file of the folder that the UI is in (`ui_config.dir`), by its name in there: names joined by `/`.
    ///
    /// # Errors
    /// Those of the file system; `FileTooLarge` above [`UI_FILE_BYTES`].
    fn ui_file(&self, _name: &str) -> impl Future<Output = io::Result<Vec<u8>>> + Send {
        ready(Err(io::ErrorKind::NotFound.into()))
    }
    /// A random span below `max`, from the node's own stream: added to the wait of blocking queries.
    fn jitter(&self, max: Duration) -> Duration;
    /// This node's monotonic clock, by which requests are timed.
    fn now(&self) -> Instant;
    /// Where figures are kept.
    fn metrics(&self) -> &Metrics;
    /// What this process takes of its machine.
    fn usage(&self) -> Usage;
    /// The machine.
    fn machine(&self) -> Machine;
    /// Where the agent's log lines can be listened to.
    fn log_taps(&self) -> &LogTaps;
    /// This node's wall clock, which names the snapshots that it gives.
    fn wall_clock(&self) -> WallTime;
    /// Who this agent is.
    fn identity(&self) -> &Identity;
}

/// What the API says about the agent, and the limits it serves with. Fixed for a process life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `node_name`.
    pub node_name: String,
    /// `node_id`, a UUID.
    pub node_id: String,
    /// `datacenter`.
    pub datacenter: String,
    /// The Consul version that is behaved like: `1.9.8`.
    pub version: String,
    /// Whose rules it follows: some answers of Consul 0.5.2 have another form.
    pub profile: Profile,
    /// Server, not client.
    pub server: bool,
    /// `-dev`: answers are indented.
    pub dev: bool,
    /// `-bootstrap` or `-dev`.
    pub bootstrap: bool,
    /// Distances between nodes are estimated (not `disable_coordinates`).
    pub coordinates: bool,
    /// `limits.kv_max_value_size`, bytes.
    pub kv_max_value_size: u64,
    /// `limits.txn_max_req_len`, bytes.
    pub txn_max_req_len: u64,
    /// `default_query_time`: how long a blocking query waits that does not say.
    pub default_query_time: Duration,
    /// `max_query_time`: the longest wait, before jitter.
    pub max_query_time: Duration,
    /// `discovery_max_stale`: reads of catalog and health that may be this old go to any server; zero:
    /// they go to the leader.
    pub discovery_max_stale: Duration,
    /// `translate_wan_addrs`.
    pub translate_wan_addrs: bool,
    /// `ui_config`; none: there is no UI.
    pub ui: Option<WebUi>,
    /// Who may do what.
    pub policy: Policy,
}

impl Identity {
    /// A server of this name with the default limits, for tests and as a start.
    #[must_use]
    pub fn server(node_name: &str) -> Self {
        Self {
            node_name: node_name.to_owned(),
            node_id: String::new(),
            datacenter: "dc1".to_owned(),
            version: crate::CONSUL_VERSION.to_owned(),
            profile: Profile::Modern,
            server: true,
            dev: false,
            bootstrap: false,
            coordinates: true,
            kv_max_value_size: 512 * 1024,
            txn_max_req_len: 512 * 1024,
            default_query_time: Duration::from_secs(300),
            max_query_time: Duration::from_secs(600),
            discovery_max_stale: Duration::ZERO,
            translate_wan_addrs: false,
            ui: None,
            policy: Policy::default(),
        }
    }
}

/// All routes of the API over this backend.
pub fn router<B: Backend>(backend: &B) -> Router {
    const KV: &[&str] = &["GET", "PUT", "DELETE"];
    const READ: &[&str] = &["GET"];
    const WRITE: &[&str] = &["PUT"];
    let policy = backend.identity().policy.clone();
    Router::new()
        .route("/v1/kv", any(endpoint::add_slash))
        .route("/v1/kv/", endpoint::route(backend, KV, kv::handle))
        .route("/v1/kv/{*key}", endpoint::route(backend, KV, kv::handle))
        .route("/v1/status/leader", endpoint::route(backend, READ, status::leader))
        .route("/v1/status/peers", endpoint::route(backend, READ, status::peers))
        .route("/v1/operator/raft/configuration", {
            endpoint::route(backend, READ, operator::configuration)
        })
        .route("/v1/operator/raft/peer", {
            endpoint::route(backend, &["DELETE"], operator::remove_peer)
        })
        .route("/v1/operator/raft/transfer-leader", {
            endpoint::route(backend, &["POST"], operator::transfer_leader)
        })
        .route("/v1/operator/keyring", {
            endpoint::route(backend, &["GET", "POST", "PUT", "DELETE"], keyring::handle)
        })
        .route("/v1/event/fire/", endpoint::route(backend, WRITE, event::fire))
        .route("/v1/event/fire/{*name}", endpoint::route(backend, WRITE, event::fire))
        .route("/v1/event/list", endpoint::route(backend, READ, event::list))
        .route("/v1/operator/autopilot/configuration", {
            endpoint::route(backend, &["GET", "PUT"], autopilot::configuration)
        })
        .route("/v1/operator/autopilot/health", endpoint::route(backend, READ, autopilot::health))
        .route("/v1/coordinate/datacenters", {
            endpoint::route(backend, READ, coordinates::datacenters)
        })
        .route("/v1/coordinate/nodes", endpoint::route(backend, READ, coordinates::nodes))
        .route("/v1/operator/autopilot/state", endpoint::route(backend, READ, autopilot::state))
        .route("/v1/coordinate/node/", endpoint::route(backend, READ, coordinates::node))
        .route("/v1/coordinate/node/{*node}", endpoint::route(backend, READ, coordinates::node))
        .route("/v1/coordinate/update", endpoint::route(backend, WRITE, coordinates::update))
        .route("/v1/snapshot", endpoint::route(backend, &["GET", "PUT"], snapshot::handle))
        .route("/v1/agent/self", endpoint::route(backend, READ, agent_self::handle))
        .route("/v1/agent/host", endpoint::route(backend, READ, host::handle))
        .route("/v1/agent/metrics", endpoint::route(backend, READ, metrics::handle))
        .route("/v1/agent/monitor", endpoint::route(backend, READ, monitor::handle))
        .route("/v1/agent/members", endpoint::route(backend, READ, members::members))
        .route("/v1/agent/join/", endpoint::route(backend, WRITE, members::join))
        .route("/v1/agent/join/{*address}", endpoint::route(backend, WRITE, members::join))
        .route("/v1/agent/leave", endpoint::route(backend, WRITE, members::leave))
        .route("/v1/agent/force-leave/", endpoint::route(backend, WRITE, members::force_leave))
        .route("/v1/agent/force-leave/{*node}", {
            endpoint::route(backend, WRITE, members::force_leave)
        })
        .merge(discovery::routes(backend))
        .merge(acl::routes(backend))
        .merge(page::routes(backend))
        .merge(sessions::routes(backend))
        .merge(prepared_queries::routes(backend))
        .merge(txn::routes(backend))
        .merge(agent::routes(backend))
        .fallback(endpoint::unknown)
        .layer(Extension(body::BodyRoom::default()))
        .layer(map_response(move |mut response: Response| {
            policy.add_headers(&mut response);
            ready(response)
        }))
}
