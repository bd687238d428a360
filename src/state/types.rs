//! What the replicated store takes and gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::state::{
    AutopilotCommand, AutopilotConfiguration, CheckServiceNode, Deregister, HealthCheck, Node,
    NodeCoordinate, NodeInfo, NodeService, PreparedQuery, PreparedQueryCommand, QueryExecution,
    QueryOutcome, Register, Session, SessionCommand, TxnOp, TxnResponse,
};

/// A change that the log carries. Encoded by `wire::command` as Consul does: a type byte and msgpack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Key/value (Consul's message type 2).
    Kv(KvCommand),
    /// Into the catalog (type 0).
    Register(Box<Register>),
    /// Out of the catalog (type 1).
    Deregister(Deregister),
    /// Where nodes are (type 6).
    Coordinates(Vec<NodeCoordinate>),
    /// The autopilot's configuration (type 9).
    Autopilot(AutopilotCommand),
    /// Sessions (type 3).
    Session(SessionCommand),
    /// The tombstones of all removals up to this index go (type 5).
    ReapTombstones {
        /// The last index.
        up_to: u64,
    },
    /// Definitions of prepared queries (type 7).
    PreparedQuery(PreparedQueryCommand),
    /// All of these or none (type 8).
    Txn(Vec<TxnOp>),
}

impl Command {
    /// Completes and checks what the leader is to put into the log.
    ///
    /// # Errors
    /// Refused before the log, with Consul's text.
    pub fn admit(&mut self, datacenter: &str) -> Result<(), String> {
        match self {
            Command::Register(what) => what.admit(datacenter),
            Command::Deregister(what) => what.admit(),
            Command::Kv(_) | Command::Coordinates(_) | Command::Autopilot(_) => Ok(()),
            Command::Session(_) | Command::ReapTombstones { .. } => Ok(()),
            // These need the leader's state.
            Command::PreparedQuery(_) | Command::Txn(_) => Ok(()),
        }
    }
}

/// A key/value change (spec cluster 10.5).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field names are those of the API")]
pub enum KvCommand {
    /// Write, whatever is there.
    Set { key: String, value: Bytes, flags: u64 },
    /// Write if the key's `ModifyIndex` is this; 0: if it is absent.
    Cas { key: String, value: Bytes, flags: u64, index: u64 },
    /// Remove; true also when absent.
    Delete { key: String },
    /// Remove if the key's `ModifyIndex` is this; true when absent.
    DeleteCas { key: String, index: u64 },
    /// Remove all keys with this byte prefix.
    DeleteTree { prefix: String },
    /// Write and hold, for this session, unless another one holds it.
    Lock { key: String, value: Bytes, flags: u64, session: String },
    /// Write and hold no more, if this session holds it.
    Unlock { key: String, value: Bytes, flags: u64, session: String },
}

/// What a command did. Errors are values: every server computes the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandResult {
    /// Done, or the comparison failed.
    Flag(bool),
    /// Refused, with Consul's text.
    Error(String),
    /// Created, under this id.
    Id(String),
    /// What came of a transaction.
    Txn(Box<TxnResponse>),
}

/// A stored key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvEntry {
    /// The key.
    pub key: String,
    /// Its bytes.
    pub value: Bytes,
    /// For the user; not interpreted.
    pub flags: u64,
    /// Times it was locked. A write that is none of a lock's sets it back to 0 (recorded behaviour).
    pub lock_index: u64,
    /// The session that holds it.
    pub session: Option<String>,
    /// Index of the entry that created it.
    pub create_index: u64,
    /// Index of the entry that last changed it.
    pub modify_index: u64,
}

/// What a node's meta must hold to be of interest; empty: nothing.
pub type NodeMeta = BTreeMap<String, String>;

/// A question to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field names are those of the API")]
pub enum Query {
    /// One key.
    KvGet { key: String },
    /// All keys with a byte prefix.
    KvList { prefix: String },
    /// Their names, cut after the first separator beyond the prefix, duplicates merged.
    KvKeys { prefix: String, separator: String },
    /// All nodes.
    CatalogNodes { meta: NodeMeta },
    /// One node, by name, UUID or the beginning of one, with the instances on it.
    CatalogNode { node: String },
    /// The names of all services, with the tags of their instances.
    CatalogServices { meta: NodeMeta },
    /// The instances of a service that have all these tags.
    CatalogService { service: String, tags: Vec<String>, meta: NodeMeta },
    /// They, with the checks that decide on their health.
    HealthService { service: String, tags: Vec<String>, meta: NodeMeta },
    /// All checks on a node.
    HealthNode { node: String },
    /// The checks of a service's instances.
    HealthChecks { service: String, meta: NodeMeta },
    /// All checks with this status; `any`: all.
    HealthState { state: String, meta: NodeMeta },
    /// The autopilot's configuration.
    AutopilotConfiguration,
    /// Where the nodes are.
    Coordinates,
    /// Where one node is, in each segment.
    NodeCoordinates { node: String },
    /// One session.
    Session { id: String },
    /// All sessions.
    Sessions,
    /// Those that are bound to a node.
    NodeSessions { node: String },
    /// All prepared queries.
    PreparedQueries,
    /// One of them.
    PreparedQuery { id: String },
    /// The definition that is meant by a name.
    ExplainQuery(Box<QueryExecution>),
    /// Its instances.
    ExecuteQuery(Box<QueryExecution>),
    /// The instances of a definition that another datacenter sends.
    ExecuteQueryRemote { definition: Box<PreparedQuery>, limit: u64, connect: bool },
    /// A transaction that only reads.
    Txn { ops: Vec<TxnOp> },
    /// All nodes with all that is on them.
    NodeDump,
    /// One node with all that is on it.
    NodeInfo { node: String },
    /// All instances, with the checks that decide on their health.
    ServiceDump,
}

impl Query {
    /// The key or prefix, node, service or state that is asked for; empty for a whole table.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Query::KvGet { key } => key,
            Query::KvList { prefix } | Query::KvKeys { prefix, .. } => prefix,
            Query::CatalogNode { node }
            | Query::HealthNode { node }
            | Query::NodeCoordinates { node }
            | Query::NodeSessions { node }
            | Query::NodeInfo { node } => node,
            Query::Session { id } | Query::PreparedQuery { id } => id,
            Query::ExplainQuery(asked) | Query::ExecuteQuery(asked) => &asked.name,
            Query::CatalogService { service, .. }
            | Query::HealthService { service, .. }
            | Query::HealthChecks { service, .. } => service,
            Query::HealthState { state, .. } => state,
            Query::CatalogNodes { .. }
            | Query::CatalogServices { .. }
            | Query::AutopilotConfiguration
            | Query::Coordinates
            | Query::Sessions
            | Query::PreparedQueries
            | Query::ExecuteQueryRemote { .. }
            | Query::Txn { .. }
            | Query::NodeDump
            | Query::ServiceDump => "",
        }
    }
}

/// The answer to a [`Query`], with the index of spec cluster 10.5 (0 when nothing was ever written).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The highest index that can have influenced the result.
    pub index: u64,
    /// The result.
    pub rows: Rows,
}

impl Rows {
    /// Whether a key or keys were asked for, and there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Rows::Entries(rows) if rows.is_empty())
    }
}

/// The content of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// To `KvGet` (none or one) and `KvList`, in byte order of the keys.
    Entries(Vec<KvEntry>),
    /// To `KvKeys`, in byte order.
    Keys(Vec<String>),
    /// To `CatalogNodes`, in the order of their names.
    Nodes(Vec<Node>),
    /// To `CatalogNode`: with what is on it, in the order of the ids.
    NodeServices(Option<(Node, Vec<NodeService>)>),
    /// To `CatalogServices`: tags in byte order, each once.
    Services(BTreeMap<String, Vec<String>>),
    /// To `CatalogService`, in the order of nodes and ids.
    ServiceNodes(Vec<(Node, NodeService)>),
    /// To `HealthService` and `ServiceDump`, in that order too.
    CheckServiceNodes(Vec<CheckServiceNode>),
    /// To the other questions about health, in the order of nodes and ids.
    Checks(Vec<Arc<HealthCheck>>),
    /// To `AutopilotConfiguration`: none before the first write.
    Autopilot(Option<AutopilotConfiguration>),
    /// To `Coordinates`, in the order of nodes and segments.
    Coordinates(Vec<NodeCoordinate>),
    /// To questions about sessions, in the order of their ids.
    Sessions(Vec<Session>),
    /// To `PreparedQueries` and `PreparedQuery`, in the order of their ids.
    PreparedQueries(Vec<PreparedQuery>),
    /// To `ExplainQuery`: templates are rendered.
    Explained(Box<PreparedQuery>),
    /// To `ExecuteQuery` and `ExecuteQueryRemote`.
    Executed(Box<QueryOutcome>),
    /// To `Txn`.
    Txn(Box<TxnResponse>),
    /// There is no answer, with Consul's text.
    Refused(String),
    /// To `NodeDump` and `NodeInfo`, in the order of their names.
    NodeInfos(Vec<NodeInfo>),
}
