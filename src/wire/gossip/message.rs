//! The bodies of memberlist's messages: the type byte and a map (spec cluster 1.3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::{Problem, kind, serf};
use crate::base::NodeName;
use crate::gossip::{
    Accusation, Alive, Incarnation, IndirectPing, Message, Ping, SequenceNumber, Source, Versions,
};
use crate::wire::msgpack::{DecodeError, Fault, Reader, Sink, Writer};

/// Writes a message as it stands in a datagram.
pub(super) fn write<S: Sink>(message: &Message, out: &mut S) {
    let mut writer = Writer::new(out);
    match message {
        Message::Ping(ping) => write_ping(ping, &mut writer),
        Message::IndirectPing(ping) => write_indirect_ping(ping, &mut writer),
        Message::Ack { sequence, payload } => {
            write_ack(*sequence, payload.as_deref(), &mut writer);
        }
        Message::Nack(sequence) => {
            writer.byte(kind::NACK);
            writer.map(1);
            writer.key("SeqNo").uint(sequence.0.into());
        }
        Message::Suspect(accusation) => write_accusation(kind::SUSPECT, accusation, &mut writer),
        Message::Alive(alive) => write_alive(alive, &mut writer),
        Message::Dead(accusation) => write_accusation(kind::DEAD, accusation, &mut writer),
        Message::User(message) => {
            writer.byte(kind::USER);
            serf::write(message, out);
        }
    }
}

/// A ping; the same in a datagram and on a stream.
pub(super) fn write_ping<S: Sink>(ping: &Ping, writer: &mut Writer<'_, S>) {
    writer.byte(kind::PING);
    writer.map(2 + source_fields(&ping.source));
    writer.key("Node").str(ping.node.as_str());
    writer.key("SeqNo").uint(ping.sequence.0.into());
    write_source(&ping.source, writer);
}

/// An ack; the same in a datagram and on a stream.
pub(super) fn write_ack<S: Sink>(
    sequence: SequenceNumber,
    payload: Option<&[u8]>,
    writer: &mut Writer<'_, S>,
) {
    writer.byte(kind::ACK);
    writer.map(2);
    write_optional(payload, writer.key("Payload"));
    writer.key("SeqNo").uint(sequence.0.into());
}

fn write_indirect_ping<S: Sink>(ping: &IndirectPing, writer: &mut Writer<'_, S>) {
    writer.byte(kind::INDIRECT_PING);
    writer.map(5 + source_fields(&ping.source));
    writer.key("Nack").bool(ping.nack);
    writer.key("Node").str(ping.node.as_str());
    writer.key("Port").uint(ping.port.into());
    writer.key("SeqNo").uint(ping.sequence.0.into());
    write_source(&ping.source, writer);
    write_addr(ping.target, writer.key("Target"));
}

fn write_accusation<S: Sink>(kind: u8, accusation: &Accusation, writer: &mut Writer<'_, S>) {
    writer.byte(kind);
    writer.map(3);
    writer.key("From").str(accusation.from.as_str());
    writer.key("Incarnation").uint(accusation.incarnation.0.into());
    writer.key("Node").str(accusation.node.as_str());
}

fn write_alive<S: Sink>(alive: &Alive, writer: &mut Writer<'_, S>) {
    writer.byte(kind::ALIVE);
    writer.map(6);
    write_addr(alive.addr, writer.key("Addr"));
    writer.key("Incarnation").uint(alive.incarnation.0.into());
    writer.key("Meta").bytes_or_nil(&alive.meta);
    writer.key("Node").str(alive.node.as_str());
    writer.key("Port").uint(alive.port.into());
    write_versions(&alive.versions, writer.key("Vsn"));
}

fn source_fields(source: &Source) -> usize {
    usize::from(source.addr.is_some())
        + usize::from(source.node.is_some())
        + usize::from(source.port != 0)
}

fn write_source<S: Sink>(source: &Source, writer: &mut Writer<'_, S>) {
    if let Some(addr) = source.addr {
        write_addr(addr, writer.key("SourceAddr"));
    }
    if let Some(node) = &source.node {
        writer.key("SourceNode").str(node.as_str());
    }
    if source.port != 0 {
        writer.key("SourcePort").uint(source.port.into());
    }
}

/// Four or sixteen bytes.
pub(super) fn write_addr<S: Sink>(addr: IpAddr, writer: &mut Writer<'_, S>) {
    match addr {
        IpAddr::V4(addr) => writer.bytes(&addr.octets()),
        IpAddr::V6(addr) => writer.bytes(&addr.octets()),
    }
}

/// A byte slice; none is nil.
pub(super) fn write_optional<S: Sink>(bytes: Option<&[u8]>, writer: &mut Writer<'_, S>) {
    match bytes {
        Some(bytes) => writer.bytes(bytes),
        None => writer.nil(),
    }
}

/// Six bytes, or nil.
pub(super) fn write_versions<S: Sink>(versions: &Versions, writer: &mut Writer<'_, S>) {
    write_optional(versions.as_ref().map(|it| it.as_slice()), writer);
}

/// Reads one message of a datagram: neither compound nor compressed.
pub(super) fn read(kind: u8, body: &[u8]) -> Result<Message, Problem> {
    let mut reader = Reader::new(body);
    let failed = |what: &'static str| {
        move |error: DecodeError| Problem::memberlist(format!("Failed to decode {what}: {error}"))
    };
    match kind {
        kind::PING => read_ping(&mut reader).map(Message::Ping).map_err(failed("ping request")),
        kind::INDIRECT_PING => read_indirect_ping(&mut reader)
            .map(Message::IndirectPing)
            .map_err(failed("indirect ping request")),
        kind::ACK => read_ack(&mut reader)
            .map(|(sequence, payload)| Message::Ack { sequence, payload })
            .map_err(failed("ack response")),
        kind::NACK => read_ack(&mut reader)
            .map(|(sequence, _)| Message::Nack(sequence))
            .map_err(failed("nack response")),
        kind::SUSPECT => {
            read_accusation(&mut reader).map(Message::Suspect).map_err(failed("suspect message"))
        }
        kind::ALIVE => read_alive(&mut reader).map(Message::Alive).map_err(failed("alive message")),
        kind::DEAD => {
            read_accusation(&mut reader).map(Message::Dead).map_err(failed("dead message"))
        }
        kind::USER => serf::read(body).map(Message::User),
        other => Err(Problem::memberlist(format!("msg type ({other}) not supported"))),
    }
}

pub(super) fn read_ping(reader: &mut Reader<'_>) -> Result<Ping, DecodeError> {
    let mut ping = Ping { sequence: SequenceNumber(0), node: no_name(), source: Source::default() };
    reader.map(|reader, key| {
        match key {
            b"SeqNo" => ping.sequence = SequenceNumber(reader.narrow("a sequence number")?),
            b"Node" => ping.node = read_name(reader)?,
            _ => read_source(&mut ping.source, key, reader)?,
        }
        Ok(())
    })?;
    Ok(ping)
}

fn read_indirect_ping(reader: &mut Reader<'_>) -> Result<IndirectPing, DecodeError> {
    let (mut target, mut port, mut nack) = (None, 0, false);
    let (mut sequence, mut node, mut source) = (SequenceNumber(0), no_name(), Source::default());
    reader.map(|reader, key| {
        match key {
            b"SeqNo" => sequence = SequenceNumber(reader.narrow("a sequence number")?),
            b"Target" => target = read_addr(reader)?,
            b"Port" => port = reader.narrow("a port")?,
            b"Node" => node = read_name(reader)?,
            b"Nack" => nack = reader.bool()?,
            _ => read_source(&mut source, key, reader)?,
        }
        Ok(())
    })?;
    Ok(IndirectPing { sequence, target: needed(target, reader)?, port, node, nack, source })
}

pub(super) fn read_ack(
    reader: &mut Reader<'_>,
) -> Result<(SequenceNumber, Option<Bytes>), DecodeError> {
    let (mut sequence, mut payload) = (SequenceNumber(0), None);
    reader.map(|reader, key| {
        match key {
            b"SeqNo" => sequence = SequenceNumber(reader.narrow("a sequence number")?),
            b"Payload" => payload = read_optional(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok((sequence, payload))
}

fn read_accusation(reader: &mut Reader<'_>) -> Result<Accusation, DecodeError> {
    let mut accusation =
        Accusation { incarnation: Incarnation(0), node: no_name(), from: no_name() };
    reader.map(|reader, key| {
        match key {
            b"Incarnation" => {
                accusation.incarnation = Incarnation(reader.narrow("an incarnation")?);
            }
            b"Node" => accusation.node = read_name(reader)?,
            b"From" => accusation.from = read_name(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(accusation)
}

fn read_alive(reader: &mut Reader<'_>) -> Result<Alive, DecodeError> {
    let (mut incarnation, mut node, mut port) = (Incarnation(0), no_name(), 0);
    let (mut addr, mut meta, mut versions) = (None, Bytes::new(), None);
    reader.map(|reader, key| {
        match key {
            b"Incarnation" => incarnation = Incarnation(reader.narrow("an incarnation")?),
            b"Node" => node = read_name(reader)?,
            b"Addr" => addr = read_addr(reader)?,
            b"Port" => port = reader.narrow("a port")?,
            b"Meta" => meta = read_bytes(reader)?,
            b"Vsn" => versions = read_versions(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(Alive { incarnation, node, addr: needed(addr, reader)?, port, meta, versions })
}

fn read_source(
    source: &mut Source,
    key: &[u8],
    reader: &mut Reader<'_>,
) -> Result<(), DecodeError> {
    match key {
        b"SourceAddr" => source.addr = read_addr(reader)?,
        b"SourcePort" => source.port = reader.narrow("a port")?,
        b"SourceNode" => source.node = read_optional_name(reader)?,
        _ => reader.skip()?,
    }
    Ok(())
}

/// The name before one was read.
pub(super) fn no_name() -> NodeName {
    NodeName::from("")
}

pub(super) fn read_name(reader: &mut Reader<'_>) -> Result<NodeName, DecodeError> {
    Ok(NodeName::from(reader.str()?))
}

/// A name; an empty one says nothing.
pub(super) fn read_optional_name(reader: &mut Reader<'_>) -> Result<Option<NodeName>, DecodeError> {
    Ok(Some(reader.str()?).filter(|it| !it.is_empty()).map(NodeName::from))
}

/// An address; none when empty. One of IPv4 in sixteen bytes is the same address, as in Go.
pub(super) fn read_addr(reader: &mut Reader<'_>) -> Result<Option<IpAddr>, DecodeError> {
    let bytes = reader.bytes()?;
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        Ok(Some(Ipv4Addr::from(four).into()))
    } else if let Ok(sixteen) = <[u8; 16]>::try_from(bytes) {
        Ok(Some(IpAddr::V6(Ipv6Addr::from(sixteen)).to_canonical()))
    } else if bytes.is_empty() {
        Ok(None)
    } else {
        Err(reader.error(address_length(bytes.len())))
    }
}

fn address_length(length: usize) -> Fault {
    Fault::Value { what: "the length of an address", value: length as i128 }
}

/// What has to be there.
pub(super) fn needed<T>(value: Option<T>, reader: &Reader<'_>) -> Result<T, DecodeError> {
    value.ok_or_else(|| reader.error(address_length(0)))
}

/// Copied: a member's meta lives long, and a slice would keep the whole receive buffer alive.
pub(super) fn read_bytes(reader: &mut Reader<'_>) -> Result<Bytes, DecodeError> {
    Ok(Bytes::copy_from_slice(reader.bytes()?))
}

/// A byte slice; nil is none.
pub(super) fn read_optional(reader: &mut Reader<'_>) -> Result<Option<Bytes>, DecodeError> {
    if reader.nil() { Ok(None) } else { read_bytes(reader).map(Some) }
}

/// The first six numbers; with fewer, none are known.
pub(super) fn read_versions(reader: &mut Reader<'_>) -> Result<Versions, DecodeError> {
    Ok(reader.bytes()?.first_chunk::<6>().copied())
}
