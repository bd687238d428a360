//! Consul's two key/value structs, which log entries, forwarded writes and answers to reads share.
//!
//! ```text
//!   KVSRequest  { Datacenter, DirEnt: DirEntry, Op, Token }
//!   DirEntry    { CreateIndex, Flags, Key, LockIndex, ModifyIndex, Session, Value }
//! ```
//!
//! A change says with `Op` what it does; `DirEnt.ModifyIndex` is what `cas` and `delete-cas` compare.
//! An empty value is nil, as Go has it after any trip over the wire.

use bytes::Bytes;

use super::msgpack::{DecodeError, Fault, Reader, Writer};
use crate::state::{KvCommand, KvEntry};

/// Writes a stored key as `DirEntry`.
pub fn write_entry(entry: &KvEntry, writer: &mut Writer<'_>) {
    writer.map(7);
    writer.key("CreateIndex").uint(entry.create_index);
    writer.key("Flags").uint(entry.flags);
    writer.key("Key").str(&entry.key);
    writer.key("LockIndex").uint(entry.lock_index);
    writer.key("ModifyIndex").uint(entry.modify_index);
    writer.key("Session").str(entry.session.as_deref().unwrap_or(""));
    writer.key("Value").bytes_or_nil(&entry.value);
}

/// Reads a `DirEntry`.
///
/// # Errors
/// Anything else.
pub fn read_entry(reader: &mut Reader<'_>) -> Result<KvEntry, DecodeError> {
    let mut entry = KvEntry {
        key: String::new(),
        value: Bytes::new(),
        flags: 0,
        lock_index: 0,
        session: None,
        create_index: 0,
        modify_index: 0,
    };
    reader.map(|reader, key| {
        match key {
            b"CreateIndex" => entry.create_index = reader.u64()?,
            b"Flags" => entry.flags = reader.u64()?,
            b"Key" => entry.key = reader.str()?.to_owned(),
            b"LockIndex" => entry.lock_index = reader.u64()?,
            b"ModifyIndex" => entry.modify_index = reader.u64()?,
            b"Session" => {
                entry.session = Some(reader.str()?).filter(|id| !id.is_empty()).map(str::to_owned);
            }
            b"Value" => entry.value = Bytes::copy_from_slice(reader.bytes()?),
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(entry)
}

/// What of a change goes where in the struct.
struct Fields<'a> {
    op: &'static str,
    key: &'a str,
    value: &'a [u8],
    flags: u64,
    index: u64,
    session: &'a str,
}

fn fields(command: &KvCommand) -> Fields<'_> {
    let none = Fields { op: "", key: "", value: &[], flags: 0, index: 0, session: "" };
    match command {
        KvCommand::Set { key, value, flags } => {
            Fields { op: "set", key, value, flags: *flags, ..none }
        }
        KvCommand::Cas { key, value, flags, index } => {
            Fields { op: "cas", key, value, flags: *flags, index: *index, ..none }
        }
        KvCommand::Delete { key } => Fields { op: "delete", key, ..none },
        KvCommand::DeleteCas { key, index } => {
            Fields { op: "delete-cas", key, index: *index, ..none }
        }
        KvCommand::DeleteTree { prefix } => Fields { op: "delete-tree", key: prefix, ..none },
        KvCommand::Lock { key, value, flags, session } => {
            Fields { op: "lock", key, value, flags: *flags, session, ..none }
        }
        KvCommand::Unlock { key, value, flags, session } => {
            Fields { op: "unlock", key, value, flags: *flags, session, ..none }
        }
    }
}

/// Writes a change as `KVSRequest`.
pub fn write_command(command: &KvCommand, datacenter: &str, writer: &mut Writer<'_>) {
    let fields = fields(command);
    writer.map(4);
    writer.key("Datacenter").str(datacenter);
    writer.key("DirEnt").map(7);
    writer.key("CreateIndex").uint(0);
    writer.key("Flags").uint(fields.flags);
    writer.key("Key").str(fields.key);
    writer.key("LockIndex").uint(0);
    writer.key("ModifyIndex").uint(fields.index);
    writer.key("Session").str(fields.session);
    writer.key("Value").bytes_or_nil(fields.value);
    writer.key("Op").str(fields.op);
    writer.key("Token").str("");
}

/// Reads a `KVSRequest`.
///
/// # Errors
/// Anything else, and an operation that this agent does not have.
pub fn read_command(reader: &mut Reader<'_>) -> Result<KvCommand, DecodeError> {
    let mut entry = None;
    let mut op = (reader.position(), "");
    reader.map(|reader, key| {
        match key {
            b"DirEnt" => entry = Some(read_entry(reader)?),
            b"Op" => op = (reader.position(), reader.str()?),
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let (offset, op) = op;
    let Some(KvEntry { key, value, flags, modify_index: index, session, .. }) = entry else {
        let fault = Fault::Unsupported("a key/value change without DirEnt");
        return Err(DecodeError { offset, fault });
    };
    let session = session.unwrap_or_default();
    Ok(match op {
        "set" => KvCommand::Set { key, value, flags },
        "cas" => KvCommand::Cas { key, value, flags, index },
        "delete" => KvCommand::Delete { key },
        "delete-cas" => KvCommand::DeleteCas { key, index },
        "delete-tree" => KvCommand::DeleteTree { prefix: key },
        "lock" => KvCommand::Lock { key, value, flags, session },
        "unlock" => KvCommand::Unlock { key, value, flags, session },
        other => {
            let fault = Fault::Text { what: "a key/value operation", text: other.to_owned() };
            return Err(DecodeError { offset, fault });
        }
    })
}
