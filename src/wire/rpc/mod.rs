//! Requests that one server forwards to another: Go's net/rpc over messagepack (spec cluster 5.5).
//!
//! ```text
//!   request     { ServiceMethod, Seq }          │ body: KVSRequest, KeyRequest, KeyListRequest … body.rs
//!   response    { Error, Seq, ServiceMethod }   │ body: bool, IndexedDirEntries …            catalog.rs
//!                                                                              internal.rs, operator.rs
//!               with an Error: any value, not looked at
//! ```
//!
//! Answers come in any order and are matched by `Seq`. A failure travels as its text; the texts that
//! decide what a caller may do next are turned back into the [`Failure`] they are, compared whole.
//! Only exact texts: a text that merely contains one may come from a server further on, whose
//! outcome is not ours to claim.
//!
//! A request for a method that does not exist, or with a body that is not the method's, is
//! answered with an error and the connection lives on; only bytes that are not messagepack end it.
//!
//! Snapshots travel on connections of their own: [`snapshot`].
//!
//! Deliberately not here: the table of calls in flight, deadlines, who is asked.

mod body;
mod catalog;
mod coordinates;
mod health;
mod internal;
mod operator;
mod prepared_queries;
mod sessions;
pub mod snapshot;
mod txns;

use super::msgpack::{DecodeError, Fault, Reader, Writer, streamed};
use crate::agent::{Failure, PeerName, Reply, Request};
use crate::state::{Command, CommandResult, Query};

/// The services of which some methods are known.
const SERVICES: &[&str] = &[
    "Catalog.",
    "Coordinate.",
    "Health.",
    "Internal.",
    "KVS.",
    "Operator.",
    "PreparedQuery.",
    "Session.",
    "Status.",
    "Txn.",
];

/// What one server may ask another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of Consul's endpoints")]
pub enum Method {
    CatalogDeregister,
    CatalogListNodes,
    CatalogListServices,
    CatalogNodeServices,
    CatalogRegister,
    CatalogServiceNodes,
    CoordinateListDatacenters,
    CoordinateListNodes,
    CoordinateNode,
    CoordinateUpdate,
    HealthChecksInState,
    HealthNodeChecks,
    HealthServiceChecks,
    HealthServiceNodes,
    InternalEventFire,
    InternalKeyringOperation,
    InternalNodeDump,
    InternalNodeInfo,
    InternalServiceDump,
    OperatorAutopilotGetConfiguration,
    OperatorAutopilotSetConfiguration,
    OperatorServerHealth,
    KvsApply,
    KvsGet,
    KvsList,
    KvsListKeys,
    RaftGetConfiguration,
    RaftRemovePeerByAddress,
    RaftRemovePeerById,
    /// Our own: Consul 1.9.8 has nothing that hands leadership over.
    RaftTransferLeader,
    StatusLeader,
    StatusPeers,
    StatusRaftStats,
    SessionApply,
    SessionGet,
    SessionList,
    SessionNodeSessions,
    SessionRenew,
    PreparedQueryApply,
    PreparedQueryExecute,
    PreparedQueryExecuteRemote,
    PreparedQueryExplain,
    PreparedQueryGet,
    PreparedQueryList,
    TxnApply,
    TxnRead,
}

impl Method {
    const ALL: &[Method] = &[
        Method::CatalogDeregister,
        Method::CatalogListNodes,
        Method::CatalogListServices,
        Method::CatalogNodeServices,
        Method::CatalogRegister,
        Method::CatalogServiceNodes,
        Method::CoordinateListDatacenters,
        Method::CoordinateListNodes,
        Method::CoordinateNode,
        Method::CoordinateUpdate,
        Method::HealthChecksInState,
        Method::HealthNodeChecks,
        Method::HealthServiceChecks,
        Method::HealthServiceNodes,
        Method::InternalEventFire,
        Method::InternalKeyringOperation,
        Method::InternalNodeDump,
        Method::InternalNodeInfo,
        Method::InternalServiceDump,
        Method::OperatorAutopilotGetConfiguration,
        Method::OperatorAutopilotSetConfiguration,
        Method::OperatorServerHealth,
        Method::KvsApply,
        Method::KvsGet,
        Method::KvsList,
        Method::KvsListKeys,
        Method::RaftGetConfiguration,
        Method::RaftRemovePeerByAddress,
        Method::RaftRemovePeerById,
        Method::RaftTransferLeader,
        Method::StatusLeader,
        Method::StatusPeers,
        Method::StatusRaftStats,
        Method::SessionApply,
        Method::SessionGet,
        Method::SessionList,
        Method::SessionNodeSessions,
        Method::SessionRenew,
        Method::PreparedQueryApply,
        Method::PreparedQueryExecute,
        Method::PreparedQueryExecuteRemote,
        Method::PreparedQueryExplain,
        Method::PreparedQueryGet,
        Method::PreparedQueryList,
        Method::TxnApply,
        Method::TxnRead,
    ];

    /// The kind of structs that it takes and gives.
    fn family(self) -> Family {
        match self {
            Method::CatalogDeregister
            | Method::CatalogRegister
            | Method::KvsApply
            | Method::OperatorAutopilotSetConfiguration => Family::Write,
            Method::KvsGet | Method::KvsList | Method::KvsListKeys => Family::KeyValue,
            Method::CatalogListNodes
            | Method::CatalogListServices
            | Method::CatalogNodeServices
            | Method::CatalogServiceNodes
            | Method::CoordinateListNodes
            | Method::CoordinateNode
            | Method::HealthChecksInState
            | Method::HealthNodeChecks
            | Method::HealthServiceChecks
            | Method::HealthServiceNodes
            | Method::InternalNodeDump
            | Method::InternalNodeInfo
            | Method::InternalServiceDump
            | Method::OperatorAutopilotGetConfiguration => Family::Catalog,
            Method::InternalEventFire | Method::InternalKeyringOperation => Family::Internal,
            Method::CoordinateListDatacenters | Method::CoordinateUpdate => Family::Coordinate,
            Method::OperatorServerHealth
            | Method::RaftGetConfiguration
            | Method::RaftRemovePeerByAddress
            | Method::RaftRemovePeerById
            | Method::RaftTransferLeader
            | Method::StatusLeader
            | Method::StatusPeers
            | Method::StatusRaftStats => Family::Operator,
            Method::SessionGet | Method::SessionList | Method::SessionNodeSessions => {
                Family::Catalog
            }
            Method::SessionApply | Method::SessionRenew => Family::Session,
            Method::PreparedQueryApply
            | Method::PreparedQueryExecute
            | Method::PreparedQueryExecuteRemote
            | Method::PreparedQueryExplain
            | Method::PreparedQueryGet
            | Method::PreparedQueryList => Family::PreparedQuery,
            Method::TxnApply | Method::TxnRead => Family::Txn,
        }
    }

    /// `Service.Method`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::CatalogDeregister => "Catalog.Deregister",
            Method::CatalogListNodes => "Catalog.ListNodes",
            Method::CatalogListServices => "Catalog.ListServices",
            Method::CatalogNodeServices => "Catalog.NodeServices",
            Method::CatalogRegister => "Catalog.Register",
            Method::CatalogServiceNodes => "Catalog.ServiceNodes",
            Method::CoordinateListDatacenters => "Coordinate.ListDatacenters",
            Method::CoordinateListNodes => "Coordinate.ListNodes",
            Method::CoordinateNode => "Coordinate.Node",
            Method::CoordinateUpdate => "Coordinate.Update",
            Method::HealthChecksInState => "Health.ChecksInState",
            Method::HealthNodeChecks => "Health.NodeChecks",
            Method::HealthServiceChecks => "Health.ServiceChecks",
            Method::HealthServiceNodes => "Health.ServiceNodes",
            Method::InternalEventFire => "Internal.EventFire",
            Method::InternalKeyringOperation => "Internal.KeyringOperation",
            Method::InternalNodeDump => "Internal.NodeDump",
            Method::InternalNodeInfo => "Internal.NodeInfo",
            Method::InternalServiceDump => "Internal.ServiceDump",
            Method::OperatorAutopilotGetConfiguration => "Operator.AutopilotGetConfiguration",
            Method::OperatorAutopilotSetConfiguration => "Operator.AutopilotSetConfiguration",
            Method::OperatorServerHealth => "Operator.ServerHealth",
            Method::KvsApply => "KVS.Apply",
            Method::KvsGet => "KVS.Get",
            Method::KvsList => "KVS.List",
            Method::KvsListKeys => "KVS.ListKeys",
            Method::RaftGetConfiguration => "Operator.RaftGetConfiguration",
            Method::RaftRemovePeerByAddress => "Operator.RaftRemovePeerByAddress",
            Method::RaftRemovePeerById => "Operator.RaftRemovePeerByID",
            Method::RaftTransferLeader => "Operator.RaftTransferLeader",
            Method::StatusLeader => "Status.Leader",
            Method::StatusPeers => "Status.Peers",
            Method::StatusRaftStats => "Status.RaftStats",
            Method::SessionApply => "Session.Apply",
            Method::SessionGet => "Session.Get",
            Method::SessionList => "Session.List",
            Method::SessionNodeSessions => "Session.NodeSessions",
            Method::SessionRenew => "Session.Renew",
            Method::PreparedQueryApply => "PreparedQuery.Apply",
            Method::PreparedQueryExecute => "PreparedQuery.Execute",
            Method::PreparedQueryExecuteRemote => "PreparedQuery.ExecuteRemote",
            Method::PreparedQueryExplain => "PreparedQuery.Explain",
            Method::PreparedQueryGet => "PreparedQuery.Get",
            Method::PreparedQueryList => "PreparedQuery.List",
            Method::TxnApply => "Txn.Apply",
            Method::TxnRead => "Txn.Read",
        }
    }

    /// The method of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|method| method.name() == name)
    }

    /// How another server is asked this; none for an agent's own affairs, and for snapshots, which have
    /// a connection of their own.
    #[must_use]
    pub fn of(request: &Request) -> Option<Self> {
        match request {
            Request::Write(command) => Self::of_command(command),
            Request::Read { query, .. } => Some(Self::of_query(query)),
            Request::StatusLeader => Some(Method::StatusLeader),
            Request::StatusPeers => Some(Method::StatusPeers),
            Request::StatusRaftStats => Some(Method::StatusRaftStats),
            Request::RaftConfiguration { .. } => Some(Method::RaftGetConfiguration),
            Request::CoordinateUpdate(_) => Some(Method::CoordinateUpdate),
            Request::CoordinateDatacenters => Some(Method::CoordinateListDatacenters),
            Request::AutopilotHealth => Some(Method::OperatorServerHealth),
            Request::RemoveRaftPeer(PeerName::Id(_)) => Some(Method::RaftRemovePeerById),
            Request::RemoveRaftPeer(PeerName::Address(_)) => Some(Method::RaftRemovePeerByAddress),
            Request::TransferLeadership { .. } => Some(Method::RaftTransferLeader),
            Request::EventFire { .. } => Some(Method::InternalEventFire),
            Request::Keyring(_) => Some(Method::InternalKeyringOperation),
            Request::SessionRenew { .. } => Some(Method::SessionRenew),
            Request::AgentSelf
            | Request::Members { .. }
            | Request::Join { .. }
            | Request::ForceLeave { .. }
            | Request::Leave
            | Request::FireUserEvent(_)
            | Request::UserEvents { .. }
            | Request::Local(_)
            | Request::SnapshotSave { .. }
            | Request::SnapshotRestore(_) => None,
        }
    }
}

impl Method {
    /// None for what only a leader writes.
    fn of_command(command: &Command) -> Option<Self> {
        match command {
            Command::Kv(_) => Some(Method::KvsApply),
            Command::Register(_) => Some(Method::CatalogRegister),
            Command::Deregister(_) => Some(Method::CatalogDeregister),
            Command::Autopilot(_) => Some(Method::OperatorAutopilotSetConfiguration),
            Command::Session(_) => Some(Method::SessionApply),
            Command::PreparedQuery(_) => Some(Method::PreparedQueryApply),
            Command::Txn(_) => Some(Method::TxnApply),
            Command::Coordinates(_) | Command::ReapTombstones { .. } => None,
        }
    }

    fn of_query(query: &Query) -> Self {
        match query {
            Query::KvGet { .. } => Method::KvsGet,
            Query::KvList { .. } => Method::KvsList,
            Query::KvKeys { .. } => Method::KvsListKeys,
            Query::CatalogNodes { .. } => Method::CatalogListNodes,
            Query::CatalogNode { .. } => Method::CatalogNodeServices,
            Query::CatalogServices { .. } => Method::CatalogListServices,
            Query::CatalogService { .. } => Method::CatalogServiceNodes,
            Query::HealthService { .. } => Method::HealthServiceNodes,
            Query::HealthNode { .. } => Method::HealthNodeChecks,
            Query::HealthChecks { .. } => Method::HealthServiceChecks,
            Query::HealthState { .. } => Method::HealthChecksInState,
            Query::AutopilotConfiguration => Method::OperatorAutopilotGetConfiguration,
            Query::Coordinates => Method::CoordinateListNodes,
            Query::NodeCoordinates { .. } => Method::CoordinateNode,
            Query::Session { .. } => Method::SessionGet,
            Query::Sessions => Method::SessionList,
            Query::NodeSessions { .. } => Method::SessionNodeSessions,
            Query::PreparedQueries => Method::PreparedQueryList,
            Query::PreparedQuery { .. } => Method::PreparedQueryGet,
            Query::ExplainQuery(_) => Method::PreparedQueryExplain,
            Query::ExecuteQuery(_) => Method::PreparedQueryExecute,
            Query::ExecuteQueryRemote { .. } => Method::PreparedQueryExecuteRemote,
            Query::Txn { .. } => Method::TxnRead,
            Query::NodeDump => Method::InternalNodeDump,
            Query::NodeInfo { .. } => Method::InternalNodeInfo,
            Query::ServiceDump => Method::InternalServiceDump,
        }
    }
}

/// Methods that share structs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// Through the log.
    Write,
    /// Reads of keys.
    KeyValue,
    /// Reads of the rest of the store.
    Catalog,
    /// Of gossip.
    Internal,
    /// Of the set of servers.
    Operator,
    /// Of where nodes are, beside the reads of the store.
    Coordinate,
    /// Of sessions, beside the reads of the store.
    Session,
    /// Of prepared queries.
    PreparedQuery,
    /// Of transactions.
    Txn,
}

/// A request from another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// To be repeated in the answer.
    pub seq: u64,
    /// As it was named; to be repeated in the answer.
    pub method: String,
    /// The request, or the text of the error to answer with.
    pub request: Result<Request, String>,
}

/// An answer from another server.
#[derive(Clone, Debug, PartialEq)]
pub struct Return {
    /// Of the request.
    pub seq: u64,
    /// Of the request.
    pub method: String,
    /// The answer.
    pub result: Result<Reply, Failure>,
}

/// Appends a request and gives its method; none, with nothing appended, for a request that is never
/// forwarded.
pub fn encode_request(
    seq: u64,
    request: &Request,
    datacenter: &str,
    out: &mut Vec<u8>,
) -> Option<Method> {
    let method = Method::of(request)?;
    let mut writer = Writer::new(out);
    writer.map(2);
    writer.key("Seq").uint(seq);
    writer.key("ServiceMethod").str(method.name());
    body::write_request(request, datacenter, &mut writer);
    Some(method)
}

/// Decodes the request at the front of a stream's buffer: with how many bytes it takes, or none
/// while it is not whole.
///
/// # Errors
/// Not a request: the connection is to be closed.
pub fn decode_request(bytes: &[u8]) -> Result<Option<(Call, usize)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    streamed(bytes.len(), read_call(&mut reader))
        .map(|whole| whole.map(|it| (it, reader.position())))
}

fn read_call(reader: &mut Reader<'_>) -> Result<Call, DecodeError> {
    let (mut seq, mut name) = (0, "");
    reader.map(|reader, key| {
        match key {
            b"Seq" => seq = reader.u64()?,
            b"ServiceMethod" => name = reader.str()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    // The body's extent is found first: whatever is wrong inside it, the next request begins after.
    let mut body = reader.clone();
    reader.skip()?;
    let request = match Method::from_name(name) {
        None if SERVICES.iter().any(|service| name.starts_with(service)) => {
            Err(format!("rpc: can't find method {name}"))
        }
        None => Err(format!("rpc: can't find service {name}")),
        Some(method) => body::read_request(method, &mut body)
            .map_err(|error| format!("rpc: {name}: the request cannot be decoded: {error}")),
    };
    Ok(Call { seq, method: name.to_owned(), request })
}

/// Appends the answer to a request that came as `method` with `seq`.
pub fn encode_response(seq: u64, method: &str, result: &Result<Reply, Failure>, out: &mut Vec<u8>) {
    let fitting = match (result, Method::from_name(method)) {
        (Ok(reply), Some(method)) if method.family() == Family::Session => {
            sessions::fits(method, reply)
        }
        (Ok(reply), Some(method)) if method.family() == Family::PreparedQuery => {
            prepared_queries::fits(method, reply)
        }
        (Ok(reply), Some(method)) if method.family() == Family::Txn => txns::fits(method, reply),
        (Ok(Reply::Written(CommandResult::Flag(_))), Some(method)) => {
            method.family() == Family::Write
        }
        (Ok(Reply::Read { answer, .. }), Some(method)) => catalog::fits(method, &answer.rows),
        (Ok(reply), Some(method)) => {
            operator::fits(method, reply)
                || internal::fits(method, reply)
                || coordinates::fits(method, reply)
        }
        _ => false,
    };
    match (result, Method::from_name(method)) {
        (Ok(reply), Some(known)) if fitting => {
            write_response_header(seq, method, "", out);
            body::write_reply(known, reply, &mut Writer::new(out));
        }
        (Ok(Reply::Written(CommandResult::Error(text))), _) => encode_error(seq, method, text, out),
        (Ok(_), _) => encode_error(seq, method, "rpc: the reply is not one to this method", out),
        (Err(failure), _) => encode_error(seq, method, &failure.to_string(), out),
    }
}

/// Appends the answer to a request that could not be served.
pub fn encode_error(seq: u64, method: &str, text: &str, out: &mut Vec<u8>) {
    write_response_header(seq, method, text, out);
    Writer::new(out).map(0);
}

fn write_response_header(seq: u64, method: &str, error: &str, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.map(3);
    writer.key("Error").str(error);
    writer.key("Seq").uint(seq);
    writer.key("ServiceMethod").str(method);
}

/// Decodes the answer at the front of a stream's buffer: with how many bytes it takes, or none while
/// it is not whole.
///
/// # Errors
/// Not an answer, or one to a method that this server never calls: the connection is to be closed.
pub fn decode_response(bytes: &[u8]) -> Result<Option<(Return, usize)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    streamed(bytes.len(), read_return(&mut reader))
        .map(|whole| whole.map(|it| (it, reader.position())))
}

fn read_return(reader: &mut Reader<'_>) -> Result<Return, DecodeError> {
    let start = reader.position();
    let (mut seq, mut name, mut error) = (0, "", String::new());
    reader.map(|reader, key| {
        match key {
            b"Seq" => seq = reader.u64()?,
            b"ServiceMethod" => name = reader.str()?,
            b"Error" => error = String::from_utf8_lossy(reader.bytes()?).into_owned(),
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let method = name.to_owned();
    if !error.is_empty() {
        reader.skip()?;
        return Ok(Return { seq, method, result: Err(failure(error)) });
    }
    let Some(known) = Method::from_name(name) else {
        let fault = Fault::Text { what: "the method of an answer", text: method };
        return Err(DecodeError { offset: start, fault });
    };
    Ok(Return { seq, method, result: Ok(body::read_reply(known, reader)?) })
}

/// The failure whose text this is.
#[must_use]
pub fn failure(text: String) -> Failure {
    let known = [Failure::NoLeader, Failure::NotLeader, Failure::LeadershipLost, Failure::NotReady];
    known.into_iter().find(|failure| failure.to_string() == text).unwrap_or(Failure::Remote(text))
}
