//! The structs of `Internal.*`: user events and the keys of gossip.
//!
//! ```text
//!   EventFireRequest    { AllowStale, Datacenter, Name, Payload, Token }
//!   EventFireResponse   { ConsistencyLevel, Index, KnownLeader, LastContact }: nothing in it is looked at
//!   KeyringRequest      { Datacenter, Forwarded, Key, LocalOnly, Operation, RelayFactor, Token }
//!   KeyringResponses    { Responses: [{ Datacenter, Error, Keys, Messages, NumNodes, PrimaryKeys, Segment,
//!                         WAN }] }, and the fields of the one above
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::agent::{KeyringOperation, PoolKeys, Reply, Request};
use crate::wire::catalog::write_list;
use crate::wire::gossip::KeyAction;
use crate::wire::msgpack::{DecodeError, Fault, Reader, Writer};

use super::Method;

/// Writes the body of a request; nothing for one of another kind.
pub(super) fn write_request(request: &Request, datacenter: &str, writer: &mut Writer<'_>) {
    match request {
        Request::EventFire { name, payload } => {
            writer.map(5);
            writer.key("AllowStale").bool(true);
            writer.key("Datacenter").str(datacenter);
            writer.key("Name").str(name);
            writer.key("Payload").bytes_or_nil(payload);
            writer.key("Token").str("");
        }
        Request::Keyring(operation) => {
            writer.map(7);
            writer.key("Datacenter").str(datacenter);
            writer.key("Forwarded").bool(operation.forwarded);
            writer.key("Key").str(&operation.key);
            writer.key("LocalOnly").bool(operation.local_only);
            writer.key("Operation").str(operation.action.word());
            writer.key("RelayFactor").uint(operation.relay_factor.into());
            writer.key("Token").str("");
        }
        _ => {}
    }
}

/// Reads the body of a request to one of these methods.
pub(super) fn read_request(
    method: Method,
    reader: &mut Reader<'_>,
) -> Result<Request, DecodeError> {
    let (mut name, mut payload) = (String::new(), Bytes::new());
    let (mut key, mut word) = (String::new(), "");
    let (mut relay_factor, mut local_only, mut forwarded) = (0, false, false);
    reader.map(|reader, field| {
        match field {
            b"Name" => name = reader.str()?.to_owned(),
            b"Payload" => payload = Bytes::copy_from_slice(reader.bytes()?),
            b"Key" => key = reader.str()?.to_owned(),
            b"Operation" => word = reader.str()?,
            b"RelayFactor" => relay_factor = reader.narrow("a relay factor")?,
            b"LocalOnly" => local_only = reader.bool()?,
            b"Forwarded" => forwarded = reader.bool()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    if method == Method::InternalEventFire {
        return Ok(Request::EventFire { name, payload });
    }
    let Some(action) = KeyAction::of_word(word) else {
        let (what, text) = ("an operation on the keyring", word.chars().take(64).collect());
        return Err(reader.error(Fault::Text { what, text }));
    };
    let operation = KeyringOperation { action, key, relay_factor, local_only, forwarded };
    Ok(Request::Keyring(operation))
}

/// Whether the reply is one to this method.
pub(super) fn fits(method: Method, reply: &Reply) -> bool {
    matches!(
        (method, reply),
        (Method::InternalEventFire, Reply::Done)
            | (Method::InternalKeyringOperation, Reply::Keyring(_))
    )
}

/// Writes the body of an answer.
pub(super) fn write_reply(reply: &Reply, writer: &mut Writer<'_>) {
    let pools = match reply {
        Reply::Keyring(pools) => Some(pools),
        _ => None,
    };
    writer.map(4 + usize::from(pools.is_some()));
    writer.key("ConsistencyLevel").str("");
    writer.key("Index").uint(0);
    writer.key("KnownLeader").bool(false);
    writer.key("LastContact").uint(0);
    if let Some(pools) = pools {
        write_list(writer.key("Responses"), pools, write_pool);
    }
}

fn write_pool(pool: &PoolKeys, writer: &mut Writer<'_>) {
    writer.map(8);
    writer.key("Datacenter").str(&pool.datacenter);
    writer.key("Error").str(&pool.error);
    write_counts("Keys", &pool.keys, writer);
    writer.key("Messages").map(pool.messages.len());
    for (node, text) in &pool.messages {
        writer.key(node).str(text);
    }
    writer.key("NumNodes").uint(pool.nodes);
    write_counts("PrimaryKeys", &pool.primary_keys, writer);
    writer.key("Segment").str("");
    writer.key("WAN").bool(pool.wan);
}

fn write_counts(key: &str, counts: &BTreeMap<String, u64>, writer: &mut Writer<'_>) {
    writer.key(key).map(counts.len());
    for (name, count) in counts {
        writer.key(name).uint(*count);
    }
}

/// Reads the body of an answer to one of these methods.
pub(super) fn read_reply(method: Method, reader: &mut Reader<'_>) -> Result<Reply, DecodeError> {
    if method == Method::InternalEventFire {
        reader.skip()?;
        return Ok(Reply::Done);
    }
    let mut pools = Vec::new();
    reader.map(|reader, key| match key {
        b"Responses" => reader.array(|reader| {
            pools.push(read_pool(reader)?);
            Ok(())
        }),
        _ => reader.skip(),
    })?;
    Ok(Reply::Keyring(pools))
}

fn read_pool(reader: &mut Reader<'_>) -> Result<PoolKeys, DecodeError> {
    let mut pool = PoolKeys::default();
    reader.map(|reader, key| {
        match key {
            b"Datacenter" => pool.datacenter = reader.str()?.to_owned(),
            b"Error" => pool.error = reader.str()?.to_owned(),
            b"Keys" => read_counts(&mut pool.keys, reader)?,
            b"Messages" => reader.map(|reader, node| {
                let text = reader.str()?.to_owned();
                pool.messages.insert(String::from_utf8_lossy(node).into_owned(), text);
                Ok(())
            })?,
            b"NumNodes" => pool.nodes = reader.u64()?,
            b"PrimaryKeys" => read_counts(&mut pool.primary_keys, reader)?,
            b"WAN" => pool.wan = reader.bool()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(pool)
}

fn read_counts(
    counts: &mut BTreeMap<String, u64>,
    reader: &mut Reader<'_>,
) -> Result<(), DecodeError> {
    reader.map(|reader, key| {
        let count = reader.u64()?;
        counts.insert(String::from_utf8_lossy(key).into_owned(), count);
        Ok(())
    })
}
