//! Serf's messages: a type byte and a map (spec cluster 2.2). In a datagram memberlist's type byte for
//! users stands before them.

use std::net::SocketAddr;

use bytes::Bytes;

use super::Problem;
use super::message::{
    needed, no_name, read_addr, read_name, read_optional, read_optional_name, write_addr,
    write_optional,
};
use crate::base::NodeName;
use crate::gossip::{
    LamportTime, Query, QueryFilter, QueryResponse, Relay, SerfMessage, UserEvent,
};
use crate::wire::msgpack::{Counter, DecodeError, Fault, MAX_DEPTH, Reader, Sink, Writer};

/// First bytes of Serf's messages.
pub(super) mod kind {
    pub const LEAVE: u8 = 0;
    pub const JOIN: u8 = 1;
    pub const PUSH_PULL: u8 = 2;
    pub const USER_EVENT: u8 = 3;
    pub const QUERY: u8 = 4;
    pub const QUERY_RESPONSE: u8 = 5;
    pub const CONFLICT_RESPONSE: u8 = 6;
    pub const KEY_REQUEST: u8 = 7;
    pub const KEY_RESPONSE: u8 = 8;
    pub const RELAY: u8 = 9;
}

const FILTER_NODES: u8 = 0;
const FILTER_TAG: u8 = 1;

/// Appends a message of Serf's, without memberlist's type byte.
pub fn encode_serf(message: &SerfMessage, out: &mut Vec<u8>) {
    write(message, out);
}

/// Reads a message of Serf's, without memberlist's type byte.
///
/// # Errors
/// What Serf would log.
pub fn decode_serf(bytes: &[u8]) -> Result<SerfMessage, Problem> {
    read(bytes)
}

pub(super) fn write<S: Sink>(message: &SerfMessage, out: &mut S) {
    let mut writer = Writer::new(out);
    match message {
        SerfMessage::Leave { time, node, prune } => {
            writer.byte(kind::LEAVE);
            writer.map(3);
            writer.key("LTime").uint(time.0);
            writer.key("Node").str(node.as_str());
            writer.key("Prune").bool(*prune);
        }
        SerfMessage::Join { time, node } => {
            writer.byte(kind::JOIN);
            writer.map(2);
            writer.key("LTime").uint(time.0);
            writer.key("Node").str(node.as_str());
        }
        SerfMessage::UserEvent(event) => write_user_event(event, &mut writer),
        SerfMessage::Query(query) => write_query(query, &mut writer),
        SerfMessage::QueryResponse(response) => write_response(response, &mut writer),
        SerfMessage::Relay(relay) => {
            write_relay_header(relay, &mut writer);
            write(&relay.message, out);
        }
    }
}

fn write_user_event<S: Sink>(event: &UserEvent, writer: &mut Writer<'_, S>) {
    writer.byte(kind::USER_EVENT);
    writer.map(4);
    writer.key("CC").bool(event.coalesce);
    writer.key("LTime").uint(event.time.0);
    writer.key("Name").str(&event.name);
    write_optional(event.payload.as_deref(), writer.key("Payload"));
}

fn write_query<S: Sink>(query: &Query, writer: &mut Writer<'_, S>) {
    writer.byte(kind::QUERY);
    writer.map(10 + usize::from(query.source_node.is_some()));
    write_addr(query.addr, writer.key("Addr"));
    writer.key("Filters");
    match &query.filters {
        None => writer.nil(),
        Some(filters) => {
            writer.array(filters.len());
            for filter in filters {
                let mut counter = Counter::default();
                write_filter(filter, &mut Writer::new(&mut counter));
                writer.raw(counter.bytes);
                write_filter(filter, writer);
            }
        }
    }
    writer.key("Flags").uint(query.flags.into());
    writer.key("ID").uint(query.id.into());
    writer.key("LTime").uint(query.time.0);
    writer.key("Name").str(&query.name);
    write_optional(query.payload.as_deref(), writer.key("Payload"));
    writer.key("Port").uint(query.port.into());
    writer.key("RelayFactor").uint(query.relay_factor.into());
    if let Some(node) = &query.source_node {
        writer.key("SourceNode").str(node.as_str());
    }
    writer.key("Timeout").int(query.timeout_ns);
}

fn write_filter<S: Sink>(filter: &QueryFilter, writer: &mut Writer<'_, S>) {
    match filter {
        QueryFilter::Nodes(nodes) => {
            writer.byte(FILTER_NODES);
            writer.array(nodes.len());
            for node in nodes {
                writer.str(node.as_str());
            }
        }
        QueryFilter::Tag { tag, expression } => {
            writer.byte(FILTER_TAG);
            writer.map(2);
            writer.key("Expr").str(expression);
            writer.key("Tag").str(tag);
        }
        QueryFilter::Unknown(bytes) => writer.value(bytes),
    }
}

fn write_response<S: Sink>(response: &QueryResponse, writer: &mut Writer<'_, S>) {
    writer.byte(kind::QUERY_RESPONSE);
    writer.map(5);
    writer.key("Flags").uint(response.flags.into());
    writer.key("From").str(response.from.as_str());
    writer.key("ID").uint(response.id.into());
    writer.key("LTime").uint(response.time.0);
    write_optional(response.payload.as_deref(), writer.key("Payload"));
}

fn write_relay_header<S: Sink>(relay: &Relay, writer: &mut Writer<'_, S>) {
    writer.byte(kind::RELAY);
    writer.map(1 + usize::from(relay.to_node.is_some()));
    writer.key("DestAddr").map(3);
    write_addr(relay.to.ip(), writer.key("IP"));
    writer.key("Port").uint(relay.to.port().into());
    writer.key("Zone").str("");
    if let Some(node) = &relay.to_node {
        writer.key("DestName").str(node.as_str());
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<SerfMessage, Problem> {
    read_within(bytes, MAX_DEPTH)
}

/// `depth`: so many relays may be inside one another.
fn read_within(bytes: &[u8], depth: usize) -> Result<SerfMessage, Problem> {
    let failed = |what: &'static str| {
        move |error: DecodeError| Problem::serf(format!("Error decoding {what}: {error}"))
    };
    let mut reader = Reader::new(bytes);
    match reader.byte().map_err(failed("message type"))? {
        kind::LEAVE => read_leave(&mut reader).map_err(failed("leave message")),
        kind::JOIN => read_intent(&mut reader)
            .map(|(time, node, _)| SerfMessage::Join { time, node })
            .map_err(failed("join message")),
        kind::USER_EVENT => read_user_event(&mut reader)
            .map(SerfMessage::UserEvent)
            .map_err(failed("user event message")),
        kind::QUERY => {
            read_query(&mut reader).map(SerfMessage::Query).map_err(failed("query message"))
        }
        kind::QUERY_RESPONSE => read_response(&mut reader)
            .map(SerfMessage::QueryResponse)
            .map_err(failed("query response message")),
        kind::RELAY => {
            let (to, to_node) = read_relay_header(&mut reader).map_err(failed("relay header"))?;
            if depth == 0 {
                return Err(failed("relay header")(reader.error(Fault::TooDeep)));
            }
            let message = Box::new(read_within(reader.rest(), depth - 1)?);
            Ok(SerfMessage::Relay(Relay { to, to_node, message }))
        }
        other => Err(Problem::serf(format!("Received message of unknown type: {other}")).warning()),
    }
}

fn read_leave(reader: &mut Reader<'_>) -> Result<SerfMessage, DecodeError> {
    read_intent(reader).map(|(time, node, prune)| SerfMessage::Leave { time, node, prune })
}

fn read_intent(reader: &mut Reader<'_>) -> Result<(LamportTime, NodeName, bool), DecodeError> {
    let (mut time, mut node, mut prune) = (LamportTime(0), no_name(), false);
    reader.map(|reader, key| {
        match key {
            b"LTime" => time = LamportTime(reader.u64()?),
            b"Node" => node = read_name(reader)?,
            b"Prune" => prune = reader.bool()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok((time, node, prune))
}

fn read_user_event(reader: &mut Reader<'_>) -> Result<UserEvent, DecodeError> {
    let mut event =
        UserEvent { time: LamportTime(0), name: String::new(), payload: None, coalesce: false };
    reader.map(|reader, key| {
        match key {
            b"LTime" => event.time = LamportTime(reader.u64()?),
            b"Name" => event.name = reader.str()?.to_owned(),
            b"Payload" => event.payload = read_optional(reader)?,
            b"CC" => event.coalesce = reader.bool()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(event)
}

fn read_query(reader: &mut Reader<'_>) -> Result<Query, DecodeError> {
    let (mut time, mut id, mut addr, mut port) = (LamportTime(0), 0, None, 0);
    let (mut source_node, mut filters, mut flags, mut relay_factor) = (None, None, 0, 0);
    let (mut timeout_ns, mut name, mut payload) = (0, String::new(), None);
    reader.map(|reader, key| {
        match key {
            b"LTime" => time = LamportTime(reader.u64()?),
            b"ID" => id = reader.narrow("the id of a query")?,
            b"Addr" => addr = read_addr(reader)?,
            b"Port" => port = reader.narrow("a port")?,
            b"SourceNode" => source_node = read_optional_name(reader)?,
            b"Filters" => filters = read_filters(reader)?,
            b"Flags" => flags = reader.narrow("flags")?,
            b"RelayFactor" => relay_factor = reader.narrow("a relay factor")?,
            b"Timeout" => timeout_ns = reader.i64()?,
            b"Name" => name = reader.str()?.to_owned(),
            b"Payload" => payload = read_optional(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let addr = needed(addr, reader)?;
    Ok(Query {
        time,
        id,
        addr,
        port,
        source_node,
        filters,
        flags,
        relay_factor,
        timeout_ns,
        name,
        payload,
    })
}

fn read_filters(reader: &mut Reader<'_>) -> Result<Option<Vec<QueryFilter>>, DecodeError> {
    if reader.nil() {
        return Ok(None);
    }
    let mut filters = Vec::new();
    reader.array(|reader| {
        let bytes = reader.bytes()?;
        // A filter that cannot be read matches nobody, as one of an unknown kind.
        let filter = read_filter(bytes).ok().flatten();
        filters.push(filter.unwrap_or_else(|| QueryFilter::Unknown(Bytes::copy_from_slice(bytes))));
        Ok(())
    })?;
    Ok(Some(filters))
}

fn read_filter(bytes: &[u8]) -> Result<Option<QueryFilter>, DecodeError> {
    let mut reader = Reader::new(bytes);
    match reader.byte()? {
        FILTER_NODES => {
            let mut nodes = Vec::new();
            reader.array(|reader| {
                nodes.push(read_name(reader)?);
                Ok(())
            })?;
            Ok(Some(QueryFilter::Nodes(nodes)))
        }
        FILTER_TAG => {
            let (mut tag, mut expression) = (String::new(), String::new());
            reader.map(|reader, key| {
                match key {
                    b"Tag" => tag = reader.str()?.to_owned(),
                    b"Expr" => expression = reader.str()?.to_owned(),
                    _ => reader.skip()?,
                }
                Ok(())
            })?;
            Ok(Some(QueryFilter::Tag { tag, expression }))
        }
        _ => Ok(None),
    }
}

fn read_response(reader: &mut Reader<'_>) -> Result<QueryResponse, DecodeError> {
    let mut response =
        QueryResponse { time: LamportTime(0), id: 0, from: no_name(), flags: 0, payload: None };
    reader.map(|reader, key| {
        match key {
            b"LTime" => response.time = LamportTime(reader.u64()?),
            b"ID" => response.id = reader.narrow("the id of a query")?,
            b"From" => response.from = read_name(reader)?,
            b"Flags" => response.flags = reader.narrow("flags")?,
            b"Payload" => response.payload = read_optional(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(response)
}

type RelayHeader = (SocketAddr, Option<NodeName>);

fn read_relay_header(reader: &mut Reader<'_>) -> Result<RelayHeader, DecodeError> {
    let (mut ip, mut port, mut to_node) = (None, 0, None);
    reader.map(|reader, key| {
        match key {
            b"DestAddr" => reader.map(|reader, key| {
                match key {
                    b"IP" => ip = read_addr(reader)?,
                    b"Port" => port = reader.narrow("a port")?,
                    // The zone of a link-local address means something to its sender only.
                    _ => reader.skip()?,
                }
                Ok(())
            })?,
            b"DestName" => to_node = read_optional_name(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok((SocketAddr::new(needed(ip, reader)?, port), to_node))
}

/// Bytes behind a type byte that must be this one.
pub(super) fn behind(kind: u8, bytes: &[u8]) -> Result<Reader<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let found = reader.byte()?;
    if found == kind {
        return Ok(reader);
    }
    let fault = Fault::Value { what: "the type of this message", value: found.into() };
    Err(DecodeError { offset: 0, fault })
}
