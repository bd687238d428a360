//! The structs of `PreparedQuery.*`.
//!
//! ```text
//!   Apply          PreparedQueryRequest                        the id, a text
//!   Get, List      PreparedQuerySpecificRequest { QueryID },   IndexedPreparedQueries { Queries }
//!                  DCSpecificRequest
//!   Explain,       PreparedQueryExecuteRequest { Agent, Connect, Limit, QueryIDOrName, Source }
//!   Execute                                                    PreparedQueryExplainResponse { Query },
//!   ExecuteRemote  { Connect, Limit, Query }                   PreparedQueryExecuteResponse { DNS,
//!                                                              Datacenter, Failovers, Nodes, Service }
//!   all reads also { AllowStale, Datacenter, …, Token }        { ConsistencyLevel, Index, … }
//! ```

use super::body::QueryOptions;
use super::{Method, catalog};
use crate::agent::{ReadMeta, ReadOptions, Reply, Request};
use crate::base::Duration;
use crate::state::{
    Answer, Command, CommandResult, PreparedQuery, Query, QueryExecution, QueryOutcome,
    QuerySource, Rows,
};
use crate::wire::catalog::{nanos, read_list, text, write_list};
use crate::wire::msgpack::{DecodeError, Reader, Writer};
use crate::wire::prepared_query as form;

/// Writes the body of a read; nothing for one of another kind.
pub(super) fn write_query(
    query: &Query,
    options: &ReadOptions,
    datacenter: &str,
    writer: &mut Writer<'_>,
) {
    let more = match query {
        Query::PreparedQuery { .. } => 1,
        Query::ExplainQuery(_) | Query::ExecuteQuery(_) => 5,
        Query::ExecuteQueryRemote { .. } => 3,
        _ => 0,
    };
    let options = QueryOptions::of(options);
    writer.map(6 + more);
    writer.key("AllowStale").bool(options.stale);
    writer.key("Datacenter").str(datacenter);
    writer.key("MaxQueryTime").uint(nanos(options.max_wait));
    writer.key("MinQueryIndex").uint(options.min_index);
    writer.key("RequireConsistent").bool(options.consistent);
    writer.key("Token").str("");
    match query {
        Query::PreparedQuery { id } => writer.key("QueryID").str(id),
        Query::ExplainQuery(asked) | Query::ExecuteQuery(asked) => {
            write_source(&asked.agent, writer.key("Agent"));
            writer.key("Connect").bool(asked.connect);
            writer.key("Limit").uint(asked.limit);
            writer.key("QueryIDOrName").str(&asked.name);
            write_source(&asked.source, writer.key("Source"));
        }
        Query::ExecuteQueryRemote { definition, limit, connect } => {
            writer.key("Connect").bool(*connect);
            writer.key("Limit").uint(*limit);
            form::write_query(definition, writer.key("Query"));
        }
        _ => {}
    }
}

fn write_source(it: &QuerySource, writer: &mut Writer<'_>) {
    writer.map(4);
    writer.key("Datacenter").str(&it.datacenter);
    writer.key("Ip").str(&it.ip);
    writer.key("Node").str(&it.node);
    writer.key("Segment").str(&it.segment);
}

fn read_source(reader: &mut Reader<'_>) -> Result<QuerySource, DecodeError> {
    let mut it = QuerySource::default();
    reader.map(|reader, key| {
        match key {
            b"Datacenter" => it.datacenter = text(reader)?,
            b"Ip" => it.ip = text(reader)?,
            b"Node" => it.node = text(reader)?,
            b"Segment" => it.segment = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(it)
}

/// Reads the body of a request to one of these methods.
pub(super) fn read_request(
    method: Method,
    reader: &mut Reader<'_>,
) -> Result<Request, DecodeError> {
    if method == Method::PreparedQueryApply {
        return form::read_command(reader).map(|it| Request::Write(Command::PreparedQuery(it)));
    }
    let mut options = QueryOptions::default();
    let (mut id, mut asked) = (String::new(), QueryExecution::default());
    let mut definition = PreparedQuery::default();
    reader.map(|reader, name| {
        match name {
            b"Agent" => asked.agent = read_source(reader)?,
            b"Connect" => asked.connect = reader.bool()?,
            b"Limit" => asked.limit = reader.i64_not_negative()?,
            b"Query" => definition = form::read_query(reader)?,
            b"QueryID" => id = text(reader)?,
            b"QueryIDOrName" => asked.name = text(reader)?,
            b"Source" => asked.source = read_source(reader)?,
            _ => options.read(name, reader)?,
        }
        Ok(())
    })?;
    let query = match method {
        Method::PreparedQueryList => Query::PreparedQueries,
        Method::PreparedQueryGet => Query::PreparedQuery { id },
        Method::PreparedQueryExplain => Query::ExplainQuery(Box::new(asked)),
        Method::PreparedQueryExecute => Query::ExecuteQuery(Box::new(asked)),
        _ => {
            let QueryExecution { limit, connect, .. } = asked;
            Query::ExecuteQueryRemote { definition: Box::new(definition), limit, connect }
        }
    };
    Ok(Request::Read { query, options: options.finish() })
}

/// Whether the reply is one to this method.
pub(super) fn fits(method: Method, reply: &Reply) -> bool {
    match reply {
        Reply::Written(CommandResult::Id(_)) => method == Method::PreparedQueryApply,
        Reply::Read { answer, .. } => match answer.rows {
            Rows::PreparedQueries(_) => {
                matches!(method, Method::PreparedQueryGet | Method::PreparedQueryList)
            }
            Rows::Explained(_) => method == Method::PreparedQueryExplain,
            Rows::Executed(_) => {
                matches!(method, Method::PreparedQueryExecute | Method::PreparedQueryExecuteRemote)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Writes the body of an answer; only for a reply that fits its method.
pub(super) fn write_reply(reply: &Reply, writer: &mut Writer<'_>) {
    let (answer, meta) = match reply {
        Reply::Written(CommandResult::Id(id)) => return writer.str(id),
        Reply::Read { answer, meta } => (answer, meta),
        _ => return writer.map(0),
    };
    writer.map(if matches!(answer.rows, Rows::Executed(_)) { 9 } else { 5 });
    writer.key("ConsistencyLevel").str("");
    writer.key("Index").uint(meta.index);
    writer.key("KnownLeader").bool(meta.known_leader);
    writer.key("LastContact").uint(nanos(meta.last_contact));
    match &answer.rows {
        Rows::PreparedQueries(rows) => write_list(writer.key("Queries"), rows, form::write_query),
        Rows::Explained(query) => form::write_query(query, writer.key("Query")),
        Rows::Executed(outcome) => {
            form::write_dns(&outcome.dns_ttl, writer.key("DNS"));
            writer.key("Datacenter").str(&outcome.datacenter);
            writer.key("Failovers").uint(outcome.failovers);
            write_list(writer.key("Nodes"), &outcome.nodes, catalog::write_check_service_node);
            writer.key("Service").str(&outcome.service);
        }
        _ => writer.key("Queries").nil(),
    }
}

/// Reads the body of an answer to one of these methods.
pub(super) fn read_reply(method: Method, reader: &mut Reader<'_>) -> Result<Reply, DecodeError> {
    if method == Method::PreparedQueryApply {
        return text(reader).map(|id| Reply::Written(CommandResult::Id(id)));
    }
    let mut meta = ReadMeta { index: 0, known_leader: false, last_contact: Duration::ZERO };
    let (mut queries, mut query) = (Vec::new(), PreparedQuery::default());
    let mut outcome = QueryOutcome::default();
    reader.map(|reader, name| {
        match name {
            b"DNS" => outcome.dns_ttl = form::read_dns(reader)?,
            b"Datacenter" => outcome.datacenter = text(reader)?,
            b"Failovers" => outcome.failovers = reader.i64_not_negative()?,
            b"Index" => meta.index = reader.u64()?,
            b"KnownLeader" => meta.known_leader = reader.bool()?,
            b"LastContact" => meta.last_contact = Duration::from_nanos(reader.i64_not_negative()?),
            b"Nodes" => outcome.nodes = read_list(reader, catalog::read_check_service_node)?,
            b"Queries" => queries = read_list(reader, form::read_query)?,
            b"Query" => query = form::read_query(reader)?,
            b"Service" => outcome.service = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let rows = match method {
        Method::PreparedQueryGet | Method::PreparedQueryList => Rows::PreparedQueries(queries),
        Method::PreparedQueryExplain => Rows::Explained(Box::new(query)),
        _ => Rows::Executed(Box::new(outcome)),
    };
    Ok(Reply::Read { answer: Answer { index: meta.index, rows }, meta })
}
