//! Payloads of Serf's own queries (spec cluster 2.2, 2.14): keys, and who holds a name.
//!
//! `_serf_install-key`, `_serf_use-key` and `_serf_remove-key` ask with a [`KeyRequest`],
//! `_serf_list-keys` with nothing; all are answered with a [`KeyResponse`]. `_serf_conflict` asks with the
//! bare name and is answered with a member.

use std::net::SocketAddr;

use bytes::Bytes;

use super::message::{needed, no_name, read_addr, read_bytes, read_name, write_addr};
use super::serf::{behind, kind};
use super::tags::read_tags;
use crate::gossip::{MemberView, Status, Tags};
use crate::wire::msgpack::{DecodeError, Fault, Reader, Writer};

/// What to do with which key; the query's name says what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRequest {
    /// The key itself.
    pub key: Bytes,
}

/// How it went at one member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyResponse {
    /// Whether it worked.
    pub result: bool,
    /// Why not, or what else is to be said.
    pub message: String,
    /// Of list-keys: the keys in base64.
    pub keys: Vec<String>,
    /// Of list-keys: the primary; absent from older agents.
    pub primary_key: String,
}

/// The payload of a query about a key.
#[must_use]
pub fn encode_key_request(request: &KeyRequest) -> Bytes {
    let mut out = vec![kind::KEY_REQUEST];
    let mut writer = Writer::new(&mut out);
    writer.map(1);
    writer.key("Key").bytes(&request.key);
    out.into()
}

/// Reads the payload of a query about a key.
///
/// # Errors
/// Another type byte, or not messagepack.
pub fn decode_key_request(payload: &[u8]) -> Result<KeyRequest, DecodeError> {
    let mut request = KeyRequest::default();
    behind(kind::KEY_REQUEST, payload)?.map(|reader, key| {
        match key {
            b"Key" => request.key = read_bytes(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(request)
}

/// The payload of an answer about a key.
#[must_use]
pub fn encode_key_response(response: &KeyResponse) -> Bytes {
    let mut out = vec![kind::KEY_RESPONSE];
    let mut writer = Writer::new(&mut out);
    writer.map(4);
    writer.key("Keys");
    if response.keys.is_empty() {
        writer.nil();
    } else {
        writer.array(response.keys.len());
        response.keys.iter().for_each(|key| writer.str(key));
    }
    writer.key("Message").str(&response.message);
    writer.key("PrimaryKey").str(&response.primary_key);
    writer.key("Result").bool(response.result);
    out.into()
}

/// Reads the payload of an answer about a key.
///
/// # Errors
/// Another type byte, or not messagepack.
pub fn decode_key_response(payload: &[u8]) -> Result<KeyResponse, DecodeError> {
    let mut response = KeyResponse::default();
    behind(kind::KEY_RESPONSE, payload)?.map(|reader, key| {
        match key {
            b"Result" => response.result = reader.bool()?,
            b"Message" => response.message = reader.str()?.to_owned(),
            b"Keys" => {
                response.keys.clear();
                reader.array(|reader| {
                    response.keys.push(reader.str()?.to_owned());
                    Ok(())
                })?;
            }
            b"PrimaryKey" => response.primary_key = reader.str()?.to_owned(),
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(response)
}

/// Names of the six versions in their order in an alive message.
const VERSIONS: [&str; 6] =
    ["ProtocolMin", "ProtocolMax", "ProtocolCur", "DelegateMin", "DelegateMax", "DelegateCur"];
/// Places of those names, sorted.
const VERSIONS_SORTED: [usize; 6] = [5, 4, 3, 2, 1, 0];

/// The payload of an answer about a name: the member that holds it here, or that there is none.
pub(super) fn encode_conflict(member: Option<&MemberView>) -> Bytes {
    match member {
        Some(member) => encode_conflict_response(member),
        None => Bytes::from_static(&[kind::CONFLICT_RESPONSE, 0xc0]),
    }
}

/// The payload of an answer about a name: the member that holds it here.
#[must_use]
pub fn encode_conflict_response(member: &MemberView) -> Bytes {
    let mut out = vec![kind::CONFLICT_RESPONSE];
    let mut writer = Writer::new(&mut out);
    let versions = member.versions.unwrap_or_default();
    let write_versions = |writer: &mut Writer<'_>, places: &[usize]| {
        for place in places {
            writer.key(VERSIONS[*place]).uint(versions[*place].into());
        }
    };
    writer.map(11);
    write_addr(member.addr.ip(), writer.key("Addr"));
    write_versions(&mut writer, &VERSIONS_SORTED[..3]);
    writer.key("Name").str(member.name.as_str());
    writer.key("Port").uint(member.addr.port().into());
    write_versions(&mut writer, &VERSIONS_SORTED[3..]);
    writer.key("Status").uint(status_number(member.status));
    writer.key("Tags").map(member.tags.0.len());
    for (name, value) in &member.tags.0 {
        writer.key(name).str(value);
    }
    out.into()
}

fn status_number(status: Status) -> u64 {
    match status {
        Status::None => 0,
        Status::Alive => 1,
        Status::Leaving => 2,
        Status::Left => 3,
        Status::Failed => 4,
    }
}

fn read_status(reader: &mut Reader<'_>) -> Result<Status, DecodeError> {
    Ok(match reader.u64()? {
        0 => Status::None,
        1 => Status::Alive,
        2 => Status::Leaving,
        3 => Status::Left,
        4 => Status::Failed,
        other => {
            let fault = Fault::Value { what: "the status of a member", value: other.into() };
            return Err(reader.error(fault));
        }
    })
}

/// Reads the payload of an answer about a name.
///
/// # Errors
/// Another type byte, or not a member.
pub fn decode_conflict_response(payload: &[u8]) -> Result<MemberView, DecodeError> {
    let mut reader = behind(kind::CONFLICT_RESPONSE, payload)?;
    let (mut name, mut ip, mut port) = (no_name(), None, 0);
    let (mut tags, mut status, mut versions) = (Tags::default(), Status::None, [0; 6]);
    reader.map(|reader, key| {
        match key {
            b"Name" => name = read_name(reader)?,
            b"Addr" => ip = read_addr(reader)?,
            b"Port" => port = reader.narrow("a port")?,
            b"Tags" => tags = read_tags(reader)?,
            b"Status" => status = read_status(reader)?,
            _ => match VERSIONS.iter().position(|it| it.as_bytes() == key) {
                Some(place) => versions[place] = reader.narrow("a version")?,
                None => reader.skip()?,
            },
        }
        Ok(())
    })?;
    let addr = SocketAddr::new(needed(ip, &reader)?, port);
    let versions = Some(versions).filter(|it| *it != [0; 6]);
    Ok(MemberView { name, addr, tags, status, versions })
}
