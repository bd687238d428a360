//! The catalog's structs, with the fields of Consul 1.9.8 (spec api 2.1, spec cluster 10.2).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::Duration;

/// The check that the leader keeps from gossip.
pub const SERF_HEALTH: &str = "serfHealth";

/// The status of a check that is well.
pub const PASSING: &str = "passing";
/// Of one that is not.
pub const CRITICAL: &str = "critical";

/// A machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// A UUID; empty for one that was registered without.
    pub id: String,
    /// Its name; unique whatever the case.
    pub node: String,
    /// Its address.
    pub address: String,
    /// Its datacenter.
    pub datacenter: String,
    /// Addresses by network: `lan`, `wan` …
    pub tagged_addresses: BTreeMap<String, String>,
    /// For the user, and `consul-…`.
    pub meta: BTreeMap<String, String>,
    /// Index of the entry that created it.
    pub create_index: u64,
    /// Index of the entry that last changed it.
    pub modify_index: u64,
}

/// An address of a service on one network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceAddress {
    /// The address.
    pub address: String,
    /// The port, in two's complement: a negative one is kept as it came.
    pub port: u64,
}

/// How much of the traffic an instance is to get (DNS SRV), by its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// While all its checks pass.
    pub passing: u64,
    /// While one warns.
    pub warning: u64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { passing: 1, warning: 1 }
    }
}

/// One instance of a service on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeService {
    /// Empty for a plain service; else what it is in the mesh.
    pub kind: String,
    /// Unique on its node.
    pub id: String,
    /// The service's name.
    pub service: String,
    /// Tags, in the order given.
    pub tags: Vec<String>,
    /// Its address; empty: the node's.
    pub address: String,
    /// Addresses by network.
    pub tagged_addresses: BTreeMap<String, ServiceAddress>,
    /// For the user.
    pub meta: BTreeMap<String, String>,
    /// Its port, in two's complement as in [`ServiceAddress`]; 0: none.
    pub port: u64,
    /// For SRV answers.
    pub weights: Weights,
    /// Tags in the catalog win over the agent's.
    pub enable_tag_override: bool,
    /// `Proxy` as it came, in messagepack; empty: what a plain service has. Not interpreted.
    pub proxy: Bytes,
    /// `Connect`, likewise.
    pub connect: Bytes,
    /// Of the mesh; not interpreted.
    pub locally_registered_as_sidecar: bool,
    /// Index of the entry that created it.
    pub create_index: u64,
    /// Index of the entry that last changed it.
    pub modify_index: u64,
}

/// What a check does; informational in the catalog, where nobody executes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field names are those of the API (spec api 3.1)")]
pub struct CheckDefinition {
    pub http: String,
    pub tls_skip_verify: bool,
    pub header: BTreeMap<String, Vec<String>>,
    pub method: String,
    pub body: String,
    pub tcp: String,
    pub interval: Duration,
    pub output_max_size: u64,
    pub timeout: Duration,
    pub deregister_critical_service_after: Duration,
    pub script_args: Vec<String>,
    pub docker_container_id: String,
    pub shell: String,
    pub grpc: String,
    pub grpc_use_tls: bool,
    pub alias_node: String,
    pub alias_service: String,
    pub ttl: Duration,
}

impl CheckDefinition {
    /// Consul's word for the kind of check; empty when it is none.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        let repeated = !self.interval.is_zero();
        match self {
            it if repeated && !it.grpc.is_empty() => "grpc",
            it if repeated && !it.http.is_empty() => "http",
            it if !it.ttl.is_zero() => "ttl",
            it if repeated && !it.tcp.is_empty() => "tcp",
            it if !it.alias_node.is_empty() || !it.alias_service.is_empty() => "alias",
            it if it.script_args.is_empty() => "",
            it if it.docker_container_id.is_empty() => "script",
            _ if repeated => "docker",
            _ => "",
        }
    }
}

/// A check of a node, or of a service on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthCheck {
    /// The node's name.
    pub node: String,
    /// Unique on its node.
    pub check_id: String,
    /// What people call it.
    pub name: String,
    /// `passing`, `warning`, `critical`; other words are kept as they come.
    pub status: String,
    /// For people.
    pub notes: String,
    /// What the last run said.
    pub output: String,
    /// The instance that it is about; empty: the node.
    pub service_id: String,
    /// That instance's service.
    pub service_name: String,
    /// And its tags, as they were when the check was last written.
    pub service_tags: Vec<String>,
    /// `Type`: `http`, `ttl` …
    pub kind: String,
    /// What it does.
    pub definition: CheckDefinition,
    /// Index of the entry that created it.
    pub create_index: u64,
    /// Index of the entry that last changed it.
    pub modify_index: u64,
}

/// An instance with its node and the checks that decide on its health: the node's, then its own. The rows
/// are the store's, not copies of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckServiceNode {
    /// Where it runs.
    pub node: Arc<Node>,
    /// The instance.
    pub service: Arc<NodeService>,
    /// Its checks.
    pub checks: Vec<Arc<HealthCheck>>,
}

/// A node with all that is on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeInfo {
    /// It. Answers of servers to one another do not have its datacenter and its indexes.
    pub node: Node,
    /// The instances, in the order of their ids.
    pub services: Vec<NodeService>,
    /// All checks, in that order too.
    pub checks: Vec<HealthCheck>,
}

/// Write a node, and what is on it, in one step (Consul's message type 0).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    /// The node; its indexes are the store's to give.
    pub node: Node,
    /// An instance.
    pub service: Option<NodeService>,
    /// Checks of the node or of instances on it.
    pub checks: Vec<HealthCheck>,
    /// Leave a node that is there as it is.
    pub skip_node_update: bool,
}

/// Remove an instance with its checks, a check, or a node with all that is on it (message type 1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deregister {
    /// On which node.
    pub node: String,
    /// This instance.
    pub service_id: String,
    /// Else this check; neither: the node.
    pub check_id: String,
}
