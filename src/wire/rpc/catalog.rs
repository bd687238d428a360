//! The structs of `Catalog.*`, `Health.*`, `Coordinate.*` and `Session.*`, which read the store.
//!
//! ```text
//!   DCSpecificRequest       { NodeMetaFilters }           IndexedNodes, IndexedServices
//!   NodeSpecificRequest     { Node }                      IndexedNodeServices, IndexedHealthChecks
//!   ServiceSpecificRequest  { NodeMetaFilters, ServiceName, ServiceTags, TagFilter }
//!                                                         IndexedServiceNodes, IndexedCheckServiceNodes
//!   ChecksInStateRequest    { NodeMetaFilters, State }    IndexedHealthChecks
//!   SessionSpecificRequest  { SessionID }                 IndexedSessions
//!   (of Internal.*)                                       IndexedNodeDump, IndexedNodesWithGateways
//!   all of them also        { AllowStale, Datacenter, MaxQueryTime, MinQueryIndex, RequireConsistent, Token }
//!   all answers also        { ConsistencyLevel, Index, KnownLeader, LastContact }
//! ```
//!
//! `TagFilter` says that `ServiceTags` count. Before Consul 1.3 there was one `ServiceTag`; it is taken
//! when there are no others.

use std::sync::Arc;

use super::Method;
use super::body::QueryOptions;
use crate::agent::{ReadMeta, ReadOptions};
use crate::base::Duration;
use crate::state::{Answer, CheckServiceNode, HealthCheck, NodeInfo, NodeMeta, Query, Rows};
use crate::wire::catalog::{self as form, nanos, write_list};
use crate::wire::coordinate;
use crate::wire::msgpack::{DecodeError, Reader, Writer};
use crate::wire::session as session_form;

/// What of a question stands in its struct.
#[derive(Default)]
struct Fields<'a> {
    node: Option<&'a str>,
    meta: Option<&'a NodeMeta>,
    service: Option<&'a str>,
    tags: Option<&'a [String]>,
    state: Option<&'a str>,
    session: Option<&'a str>,
}

fn fields(query: &Query) -> Fields<'_> {
    let none = Fields::default();
    match query {
        Query::CatalogNodes { meta } | Query::CatalogServices { meta } => {
            Fields { meta: Some(meta), ..none }
        }
        Query::CatalogNode { node }
        | Query::HealthNode { node }
        | Query::NodeCoordinates { node }
        | Query::NodeSessions { node }
        | Query::NodeInfo { node } => Fields { node: Some(node), ..none },
        Query::CatalogService { service, tags, meta }
        | Query::HealthService { service, tags, meta } => {
            Fields { service: Some(service), tags: Some(tags), meta: Some(meta), ..none }
        }
        Query::HealthChecks { service, meta } => {
            Fields { service: Some(service), meta: Some(meta), ..none }
        }
        Query::HealthState { state, meta } => {
            Fields { state: Some(state), meta: Some(meta), ..none }
        }
        Query::Session { id } => Fields { session: Some(id), ..none },
        Query::KvGet { .. }
        | Query::KvList { .. }
        | Query::KvKeys { .. }
        | Query::AutopilotConfiguration
        | Query::Coordinates
        | Query::Sessions
        | Query::PreparedQueries
        | Query::PreparedQuery { .. }
        | Query::ExplainQuery(_)
        | Query::ExecuteQuery(_)
        | Query::ExecuteQueryRemote { .. }
        | Query::Txn { .. }
        | Query::NodeDump
        | Query::ServiceDump => none,
    }
}

/// Writes the body of a request.
pub(super) fn write_query(
    query: &Query,
    options: &ReadOptions,
    datacenter: &str,
    writer: &mut Writer<'_>,
) {
    let it = fields(query);
    let texts = [it.node, it.service, it.state, it.session].iter().flatten().count();
    let more = texts + usize::from(it.meta.is_some()) + 2 * usize::from(it.tags.is_some());
    let options = QueryOptions::of(options);
    writer.map(6 + more);
    writer.key("AllowStale").bool(options.stale);
    writer.key("Datacenter").str(datacenter);
    writer.key("MaxQueryTime").uint(nanos(options.max_wait));
    writer.key("MinQueryIndex").uint(options.min_index);
    if let Some(node) = it.node {
        writer.key("Node").str(node);
    }
    if let Some(meta) = it.meta {
        form::write_texts(writer.key("NodeMetaFilters"), meta);
    }
    writer.key("RequireConsistent").bool(options.consistent);
    if let Some(service) = it.service {
        writer.key("ServiceName").str(service);
    }
    if let Some(tags) = it.tags {
        write_list(writer.key("ServiceTags"), tags, |tag, writer| writer.str(tag));
    }
    if let Some(id) = it.session {
        writer.key("SessionID").str(id);
    }
    if let Some(state) = it.state {
        writer.key("State").str(state);
    }
    if let Some(tags) = it.tags {
        writer.key("TagFilter").bool(!tags.is_empty());
    }
    writer.key("Token").str("");
}

/// Reads the body of a request to one of these methods.
pub(super) fn read_query(
    method: Method,
    reader: &mut Reader<'_>,
) -> Result<(Query, ReadOptions), DecodeError> {
    let mut options = QueryOptions::default();
    let (mut node, mut service, mut state) = (String::new(), String::new(), String::new());
    let (mut session, mut old_session) = (String::new(), String::new());
    let (mut meta, mut tags, mut old_tag) = (NodeMeta::new(), Vec::new(), String::new());
    let mut filtered = false;
    reader.map(|reader, name| {
        match name {
            b"Node" => node = form::text(reader)?,
            b"NodeMetaFilters" => meta = form::read_texts(reader)?,
            b"ServiceName" => service = form::text(reader)?,
            b"ServiceTag" => old_tag = form::text(reader)?,
            b"ServiceTags" => tags = form::read_list(reader, form::text)?,
            b"Session" => old_session = form::text(reader)?,
            b"SessionID" => session = form::text(reader)?,
            b"State" => state = form::text(reader)?,
            b"TagFilter" => filtered = reader.bool()?,
            _ => options.read(name, reader)?,
        }
        Ok(())
    })?;
    if tags.is_empty() && !old_tag.is_empty() {
        tags.push(old_tag);
    }
    if !filtered {
        tags.clear();
    }
    let query = match method {
        Method::CatalogListServices => Query::CatalogServices { meta },
        Method::CatalogNodeServices => Query::CatalogNode { node },
        Method::CatalogServiceNodes => Query::CatalogService { service, tags, meta },
        Method::HealthServiceNodes => Query::HealthService { service, tags, meta },
        Method::HealthServiceChecks => Query::HealthChecks { service, meta },
        Method::HealthNodeChecks => Query::HealthNode { node },
        Method::HealthChecksInState => Query::HealthState { state, meta },
        Method::CoordinateListNodes => Query::Coordinates,
        Method::CoordinateNode => Query::NodeCoordinates { node },
        Method::OperatorAutopilotGetConfiguration => Query::AutopilotConfiguration,
        Method::SessionGet if session.is_empty() => Query::Session { id: old_session },
        Method::SessionGet => Query::Session { id: session },
        Method::SessionList => Query::Sessions,
        Method::SessionNodeSessions => Query::NodeSessions { node },
        Method::InternalNodeDump => Query::NodeDump,
        Method::InternalNodeInfo => Query::NodeInfo { node },
        Method::InternalServiceDump => Query::ServiceDump,
        _ => Query::CatalogNodes { meta },
    };
    Ok((query, options.finish()))
}

/// The field of an answer that has its rows; none for rows of other methods.
fn field(rows: &Rows) -> Option<&'static str> {
    Some(match rows {
        Rows::Nodes(_) | Rows::CheckServiceNodes(_) => "Nodes",
        Rows::NodeServices(_) => "NodeServices",
        Rows::Services(_) => "Services",
        Rows::ServiceNodes(_) => "ServiceNodes",
        Rows::Checks(_) => "HealthChecks",
        Rows::Coordinates(_) => "Coordinates",
        Rows::Sessions(_) => "Sessions",
        Rows::Entries(_)
        | Rows::Keys(_)
        | Rows::Autopilot(_)
        | Rows::PreparedQueries(_)
        | Rows::Explained(_)
        | Rows::Executed(_)
        | Rows::Txn(_)
        | Rows::Refused(_) => return None,
        Rows::NodeInfos(_) => "Dump",
    })
}

/// Writes the body of an answer. The rows' field comes before the others or after them, by its name.
pub(super) fn write_answer(answer: &Answer, meta: &ReadMeta, writer: &mut Writer<'_>) {
    let field = field(&answer.rows).unwrap_or("Nodes");
    writer.map(5);
    writer.key("ConsistencyLevel").str("");
    if field < "Index" {
        write_rows(&answer.rows, writer.key(field));
    }
    writer.key("Index").uint(meta.index);
    writer.key("KnownLeader").bool(meta.known_leader);
    writer.key("LastContact").uint(nanos(meta.last_contact));
    if field > "Index" {
        write_rows(&answer.rows, writer.key(field));
    }
}

fn write_rows(rows: &Rows, writer: &mut Writer<'_>) {
    match rows {
        Rows::Nodes(rows) => write_list(writer, rows, form::write_node),
        Rows::NodeServices(Some((node, services))) => {
            writer.map(2);
            form::write_node(node, writer.key("Node"));
            writer.key("Services").map(services.len());
            for service in services {
                form::write_service(service, writer.key(&service.id));
            }
        }
        Rows::Services(rows) => form::write_map(writer, rows, |tags, writer| {
            write_list(writer, tags, |tag, writer| writer.str(tag));
        }),
        Rows::ServiceNodes(rows) => write_list(writer, rows, form::write_service_node),
        Rows::CheckServiceNodes(rows) => write_list(writer, rows, write_check_service_node),
        Rows::Checks(rows) => {
            write_list(writer, rows, |row, writer| form::write_check(row, writer))
        }
        Rows::Coordinates(rows) => coordinate::write_batch(rows, writer),
        Rows::Sessions(rows) => write_list(writer, rows, session_form::write_session),
        Rows::NodeServices(None)
        | Rows::Entries(_)
        | Rows::Keys(_)
        | Rows::Autopilot(_)
        | Rows::PreparedQueries(_)
        | Rows::Explained(_)
        | Rows::Executed(_)
        | Rows::Txn(_)
        | Rows::Refused(_) => writer.nil(),
        Rows::NodeInfos(rows) => write_list(writer, rows, write_node_info),
    }
}

/// Reads the body of an answer to one of these methods.
pub(super) fn read_answer(
    method: Method,
    reader: &mut Reader<'_>,
) -> Result<(Answer, ReadMeta), DecodeError> {
    let mut meta = ReadMeta { index: 0, known_leader: false, last_contact: Duration::ZERO };
    let mut rows = empty_rows(method);
    reader.map(|reader, name| match name {
        b"Index" => reader.u64().map(|index| meta.index = index),
        b"KnownLeader" => reader.bool().map(|known| meta.known_leader = known),
        b"LastContact" => {
            reader.i64_not_negative().map(|nanos| meta.last_contact = Duration::from_nanos(nanos))
        }
        name if field(&rows).is_some_and(|field| field.as_bytes() == name) => {
            read_rows(&mut rows, reader)
        }
        _ => reader.skip(),
    })?;
    Ok((Answer { index: meta.index, rows }, meta))
}

fn empty_rows(method: Method) -> Rows {
    match method {
        Method::CatalogListServices => Rows::Services(Default::default()),
        Method::CatalogNodeServices => Rows::NodeServices(None),
        Method::CatalogServiceNodes => Rows::ServiceNodes(Vec::new()),
        Method::HealthServiceNodes | Method::InternalServiceDump => {
            Rows::CheckServiceNodes(Vec::new())
        }
        Method::InternalNodeDump | Method::InternalNodeInfo => Rows::NodeInfos(Vec::new()),
        Method::HealthServiceChecks | Method::HealthNodeChecks | Method::HealthChecksInState => {
            Rows::Checks(Vec::new())
        }
        Method::CoordinateListNodes | Method::CoordinateNode => Rows::Coordinates(Vec::new()),
        Method::SessionGet | Method::SessionList | Method::SessionNodeSessions => {
            Rows::Sessions(Vec::new())
        }
        _ => Rows::Nodes(Vec::new()),
    }
}

fn read_rows(rows: &mut Rows, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match rows {
        Rows::Nodes(rows) => *rows = form::read_list(reader, form::read_node)?,
        Rows::NodeServices(found) => *found = reader.optional(read_node_services)?,
        Rows::Services(rows) => {
            *rows = form::read_map(reader, |reader| form::read_list(reader, form::text))?;
        }
        Rows::ServiceNodes(rows) => *rows = form::read_list(reader, form::read_service_node)?,
        Rows::CheckServiceNodes(rows) => *rows = form::read_list(reader, read_check_service_node)?,
        Rows::Checks(rows) => *rows = form::read_list(reader, shared_check)?,
        Rows::Coordinates(rows) => *rows = coordinate::read_batch(reader)?,
        Rows::Sessions(rows) => *rows = form::read_list(reader, session_form::read_session)?,
        Rows::Entries(_)
        | Rows::Keys(_)
        | Rows::Autopilot(_)
        | Rows::PreparedQueries(_)
        | Rows::Explained(_)
        | Rows::Executed(_)
        | Rows::Txn(_)
        | Rows::Refused(_) => reader.skip()?,
        Rows::NodeInfos(rows) => *rows = form::read_list(reader, read_node_info)?,
    }
    Ok(())
}

fn read_node_services(
    reader: &mut Reader<'_>,
) -> Result<(crate::state::Node, Vec<crate::state::NodeService>), DecodeError> {
    let (mut node, mut services) = (Default::default(), Vec::new());
    reader.map(|reader, key| {
        match key {
            b"Node" => node = form::read_node(reader)?,
            b"Services" => {
                services = form::read_map(reader, form::read_service)?.into_values().collect();
            }
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok((node, services))
}

/// Writes an instance with its node and checks.
pub(super) fn write_check_service_node(row: &CheckServiceNode, writer: &mut Writer<'_>) {
    writer.map(3);
    write_list(writer.key("Checks"), &row.checks, |row, writer| form::write_check(row, writer));
    form::write_node(&row.node, writer.key("Node"));
    form::write_service(&row.service, writer.key("Service"));
}

/// A `NodeInfo`: a node without its datacenter and its indexes, and what is on it.
fn write_node_info(row: &NodeInfo, writer: &mut Writer<'_>) {
    writer.map(7);
    writer.key("Address").str(&row.node.address);
    write_list(writer.key("Checks"), &row.checks, form::write_check);
    writer.key("ID").str(&row.node.id);
    form::write_texts(writer.key("Meta"), &row.node.meta);
    writer.key("Node").str(&row.node.node);
    write_list(writer.key("Services"), &row.services, form::write_service);
    form::write_texts(writer.key("TaggedAddresses"), &row.node.tagged_addresses);
}

fn read_node_info(reader: &mut Reader<'_>) -> Result<NodeInfo, DecodeError> {
    let mut row = NodeInfo::default();
    reader.map(|reader, key| {
        match key {
            b"Address" => row.node.address = form::text(reader)?,
            b"Checks" => row.checks = form::read_list(reader, form::read_check)?,
            b"ID" => row.node.id = form::text(reader)?,
            b"Meta" => row.node.meta = form::read_texts(reader)?,
            b"Node" => row.node.node = form::text(reader)?,
            b"Services" => row.services = form::read_list(reader, form::read_service)?,
            b"TaggedAddresses" => row.node.tagged_addresses = form::read_texts(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(row)
}

/// Reads one.
pub(super) fn read_check_service_node(
    reader: &mut Reader<'_>,
) -> Result<CheckServiceNode, DecodeError> {
    let (node, service) = Default::default();
    let mut row = CheckServiceNode { node, service, checks: Vec::new() };
    reader.map(|reader, key| {
        match key {
            b"Checks" => row.checks = form::read_list(reader, shared_check)?,
            b"Node" => row.node = form::read_node(reader)?.into(),
            b"Service" => row.service = form::read_service(reader)?.into(),
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(row)
}

fn shared_check(reader: &mut Reader<'_>) -> Result<Arc<HealthCheck>, DecodeError> {
    form::read_check(reader).map(Arc::new)
}

/// Whether these rows are an answer to this method.
pub(super) fn fits(method: Method, rows: &Rows) -> bool {
    match rows {
        Rows::Entries(_) => matches!(method, Method::KvsGet | Method::KvsList),
        Rows::Keys(_) => method == Method::KvsListKeys,
        Rows::Nodes(_) => method == Method::CatalogListNodes,
        Rows::NodeServices(_) => method == Method::CatalogNodeServices,
        Rows::Services(_) => method == Method::CatalogListServices,
        Rows::ServiceNodes(_) => method == Method::CatalogServiceNodes,
        Rows::CheckServiceNodes(_) => {
            matches!(method, Method::HealthServiceNodes | Method::InternalServiceDump)
        }
        Rows::NodeInfos(_) => {
            matches!(method, Method::InternalNodeDump | Method::InternalNodeInfo)
        }
        Rows::Checks(_) => matches!(
            method,
            Method::HealthServiceChecks | Method::HealthNodeChecks | Method::HealthChecksInState
        ),
        Rows::PreparedQueries(_)
        | Rows::Explained(_)
        | Rows::Executed(_)
        | Rows::Txn(_)
        | Rows::Refused(_) => false,
        Rows::Autopilot(_) => method == Method::OperatorAutopilotGetConfiguration,
        Rows::Coordinates(_) => {
            matches!(method, Method::CoordinateListNodes | Method::CoordinateNode)
        }
        Rows::Sessions(_) => {
            matches!(method, Method::SessionGet | Method::SessionList | Method::SessionNodeSessions)
        }
    }
}
