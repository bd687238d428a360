//! The push/pull exchange: a header, one map a member, and Serf's state as so many raw bytes
//! (spec cluster 1.3, 1.6, 2.2).
//!
//! ```text
//!   6 │ {Join, Nodes, UserStateLen} │ member │ member … │ 2 {EventLTime, Events: [nil × 512], …}
//! ```

use super::message::{
    needed, no_name, read_addr, read_bytes, read_name, read_optional, read_versions, write_addr,
    write_optional, write_versions,
};
use super::{MAX_NODES, Problem, kind, serf};
use crate::gossip::{
    EventSlot, Incarnation, LamportTime, MemberState, NodeState, PushPull, SerfState,
};
use crate::wire::msgpack::{Counter, DecodeError, Fault, Reader, Sink, Writer};

/// What stands before the members.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Header {
    pub join: bool,
    pub nodes: usize,
    pub user_state_len: usize,
}

pub(super) fn write<S: Sink>(state: &PushPull, out: &mut S) {
    let mut counter = Counter::default();
    if let Some(user) = &state.user {
        write_user(user, &mut Writer::new(&mut counter));
    }
    let mut writer = Writer::new(out);
    writer.byte(kind::PUSH_PULL);
    writer.map(3);
    writer.key("Join").bool(state.join);
    writer.key("Nodes").uint(state.nodes.len() as u64);
    writer.key("UserStateLen").uint(counter.bytes as u64);
    for node in &state.nodes {
        write_node(node, &mut writer);
    }
    if let Some(user) = &state.user {
        write_user(user, &mut writer);
    }
}

fn write_node<S: Sink>(node: &NodeState, writer: &mut Writer<'_, S>) {
    writer.map(7);
    write_addr(node.addr, writer.key("Addr"));
    writer.key("Incarnation").uint(node.incarnation.0.into());
    writer.key("Meta").bytes_or_nil(&node.meta);
    writer.key("Name").str(node.node.as_str());
    writer.key("Port").uint(node.port.into());
    writer.key("State").uint(match node.state {
        MemberState::Alive => 0,
        MemberState::Suspect => 1,
        MemberState::Dead => 2,
        MemberState::Left => 3,
    });
    write_versions(&node.versions, writer.key("Vsn"));
}

fn write_user<S: Sink>(state: &SerfState, writer: &mut Writer<'_, S>) {
    writer.byte(serf::kind::PUSH_PULL);
    writer.map(6);
    writer.key("EventLTime").uint(state.event_time.0);
    writer.key("Events");
    write_slots(state, writer);
    writer.key("LTime").uint(state.time.0);
    writer.key("LeftMembers").array(state.left_members.len());
    for node in &state.left_members {
        writer.str(node.as_str());
    }
    writer.key("QueryLTime").uint(state.query_time.0);
    writer.key("StatusLTimes").map(state.status_times.len());
    for (node, time) in &state.status_times {
        writer.key(node.as_str()).uint(time.0);
    }
}

/// The ring; as long as it takes when it says that it is shorter than its last slot.
fn write_slots<S: Sink>(state: &SerfState, writer: &mut Writer<'_, S>) {
    let last = state.events.last().map_or(0, |slot| slot.slot + 1);
    let slots = state.event_slots.max(last);
    writer.array(slots);
    let mut filled = state.events.iter().peekable();
    for at in 0..slots {
        match filled.next_if(|slot| slot.slot == at) {
            None => writer.nil(),
            Some(slot) => {
                writer.map(2);
                writer.key("Events").array(slot.events.len());
                for (name, payload) in &slot.events {
                    writer.map(2);
                    writer.key("Name").str(name);
                    write_optional(payload.as_deref(), writer.key("Payload"));
                }
                writer.key("LTime").uint(slot.time.0);
            }
        }
    }
}

pub(super) fn read_header(reader: &mut Reader<'_>) -> Result<Header, DecodeError> {
    let mut header = Header::default();
    reader.map(|reader, key| {
        match key {
            b"Join" => header.join = reader.bool()?,
            b"Nodes" => header.nodes = reader.narrow("the number of members")?,
            b"UserStateLen" => header.user_state_len = reader.narrow("a length")?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(header)
}

/// The members and Serf's state, behind the header; the reader must hold all of them.
///
/// What Serf cannot read is its own problem: the members count all the same.
pub(super) fn read(
    header: &Header,
    reader: &mut Reader<'_>,
    problems: &mut Vec<Problem>,
) -> Result<PushPull, DecodeError> {
    let mut nodes = Vec::new();
    for _ in 0..header.nodes {
        nodes.extend(read_node(reader)?);
    }
    let user = if header.user_state_len == 0 {
        None
    } else {
        let bytes = reader.rest().get(..header.user_state_len);
        let bytes = bytes.ok_or_else(|| reader.error(Fault::Incomplete))?;
        match read_user(bytes) {
            Ok(state) => Some(state),
            Err(problem) => {
                problems.push(problem);
                None
            }
        }
    };
    Ok(PushPull { join: header.join, nodes, user })
}

/// One member; none when its state is of a number that memberlist passes over.
fn read_node(reader: &mut Reader<'_>) -> Result<Option<NodeState>, DecodeError> {
    let (mut node, mut addr, mut port, mut incarnation) = (no_name(), None, 0, Incarnation(0));
    let (mut meta, mut state, mut versions) = (bytes::Bytes::new(), 0_i64, None);
    reader.map(|reader, key| {
        match key {
            b"Name" => node = read_name(reader)?,
            b"Addr" => addr = read_addr(reader)?,
            b"Port" => port = reader.narrow("a port")?,
            b"Meta" => meta = read_bytes(reader)?,
            b"Incarnation" => incarnation = Incarnation(reader.narrow("an incarnation")?),
            b"State" => state = reader.i64()?,
            b"Vsn" => versions = read_versions(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let addr = needed(addr, reader)?;
    let state = match state {
        0 => MemberState::Alive,
        1 => MemberState::Suspect,
        2 => MemberState::Dead,
        3 => MemberState::Left,
        _ => return Ok(None),
    };
    Ok(Some(NodeState { node, addr, port, meta, incarnation, state, versions }))
}

fn read_user(bytes: &[u8]) -> Result<SerfState, Problem> {
    if bytes.first() != Some(&serf::kind::PUSH_PULL) {
        let prefix = bytes.first().copied().unwrap_or_default();
        return Err(Problem::serf(format!("Remote state has bad type prefix: {prefix}")));
    }
    let mut state = SerfState::default();
    read_user_fields(&mut state, &mut Reader::new(&bytes[1..]))
        .map(|()| state)
        .map_err(|error| Problem::serf(format!("Failed to decode remote state: {error}")))
}

fn read_user_fields(state: &mut SerfState, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    reader.map(|reader, key| {
        match key {
            b"LTime" => state.time = LamportTime(reader.u64()?),
            b"EventLTime" => state.event_time = LamportTime(reader.u64()?),
            b"QueryLTime" => state.query_time = LamportTime(reader.u64()?),
            b"StatusLTimes" => {
                let times = &mut state.status_times;
                times.clear();
                reader.map(|reader, name| {
                    let name =
                        std::str::from_utf8(name).map_err(|_| reader.error(Fault::NotUtf8))?;
                    times.push((name.into(), LamportTime(reader.u64()?)));
                    bounded(times.len(), reader)
                })?;
            }
            b"LeftMembers" => {
                let left = &mut state.left_members;
                left.clear();
                reader.array(|reader| {
                    left.push(read_name(reader)?);
                    bounded(left.len(), reader)
                })?;
            }
            b"Events" => read_slots(state, reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })
}

/// One-byte elements would otherwise make fifty times their size of memory.
fn bounded(count: usize, reader: &Reader<'_>) -> Result<(), DecodeError> {
    if count <= MAX_NODES {
        return Ok(());
    }
    Err(reader.error(Fault::Value { what: "the number of elements", value: count as i128 }))
}

fn read_slots(state: &mut SerfState, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    state.events.clear();
    let (mut slot, mut total) = (0, 0);
    reader.array(|reader| {
        if !reader.nil() {
            let mut filled = EventSlot { slot, time: LamportTime(0), events: Vec::new() };
            reader.map(|reader, key| {
                match key {
                    b"LTime" => filled.time = LamportTime(reader.u64()?),
                    b"Events" => {
                        filled.events.clear();
                        reader.array(|reader| {
                            filled.events.push(read_event(reader)?);
                            total += 1;
                            bounded(total, reader)
                        })?;
                    }
                    _ => reader.skip()?,
                }
                Ok(())
            })?;
            state.events.push(filled);
        }
        slot += 1;
        bounded(slot, reader)
    })?;
    state.event_slots = slot;
    Ok(())
}

fn read_event(reader: &mut Reader<'_>) -> Result<(String, Option<bytes::Bytes>), DecodeError> {
    let (mut name, mut payload) = (String::new(), None);
    reader.map(|reader, key| {
        match key {
            b"Name" => name = reader.str()?.to_owned(),
            b"Payload" => payload = read_optional(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok((name, payload))
}
