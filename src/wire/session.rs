//! Sessions and tombstones in log entries, forwarded requests and snapshots (spec cluster 6.10, 10.6).
//!
//! ```text
//!   SessionRequest    { Datacenter, Op: create│destroy, Session, Token }
//!   Session           { Behavior, Checks, CreateIndex, ID, LockDelay, ModifyIndex, Name, Node,
//!                       NodeChecks, ServiceChecks: [{ ID, Namespace }], TTL }
//!   TombstoneRequest  { Datacenter, Op: reap, ReapIndex, Token }
//! ```
//!
//! `NodeChecks` is an array even when it is empty, because clients are shown `[]` and not null.

use super::catalog::{nanos, read_list, span, text, write_list};
use super::msgpack::{DecodeError, Fault, Reader, Writer};
use crate::state::{ServiceCheck, Session, SessionCommand};

/// Writes a session.
pub fn write_session(it: &Session, writer: &mut Writer<'_>) {
    writer.map(11);
    writer.key("Behavior").str(&it.behavior);
    write_list(writer.key("Checks"), &it.checks, |id, writer| writer.str(id));
    writer.key("CreateIndex").uint(it.create_index);
    writer.key("ID").str(&it.id);
    writer.key("LockDelay").uint(nanos(it.lock_delay));
    writer.key("ModifyIndex").uint(it.modify_index);
    writer.key("Name").str(&it.name);
    writer.key("Node").str(&it.node);
    writer.key("NodeChecks").array(it.node_checks.len());
    it.node_checks.iter().for_each(|id| writer.str(id));
    write_list(writer.key("ServiceChecks"), &it.service_checks, |check, writer| {
        writer.map(2);
        writer.key("ID").str(&check.id);
        writer.key("Namespace").str(&check.namespace);
    });
    writer.key("TTL").str(&it.ttl);
}

/// Reads a session.
///
/// # Errors
/// Anything else.
pub fn read_session(reader: &mut Reader<'_>) -> Result<Session, DecodeError> {
    let mut it = Session::default();
    reader.map(|reader, key| {
        match key {
            b"Behavior" => it.behavior = text(reader)?,
            b"Checks" => it.checks = read_list(reader, text)?,
            b"CreateIndex" => it.create_index = reader.u64()?,
            b"ID" => it.id = text(reader)?,
            b"LockDelay" => it.lock_delay = span(reader)?,
            b"ModifyIndex" => it.modify_index = reader.u64()?,
            b"Name" => it.name = text(reader)?,
            b"Node" => it.node = text(reader)?,
            b"NodeChecks" => it.node_checks = read_list(reader, text)?,
            b"ServiceChecks" => it.service_checks = read_list(reader, read_service_check)?,
            b"TTL" => it.ttl = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(it)
}

fn read_service_check(reader: &mut Reader<'_>) -> Result<ServiceCheck, DecodeError> {
    let mut it = ServiceCheck::default();
    reader.map(|reader, key| {
        match key {
            b"ID" => it.id = text(reader)?,
            b"Namespace" => it.namespace = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(it)
}

/// Writes a change as `SessionRequest`.
pub fn write_command(command: &SessionCommand, datacenter: &str, writer: &mut Writer<'_>) {
    writer.map(4);
    writer.key("Datacenter").str(datacenter);
    match command {
        SessionCommand::Create(session) => {
            writer.key("Op").str("create");
            write_session(session, writer.key("Session"));
        }
        SessionCommand::Destroy { id } => {
            writer.key("Op").str("destroy");
            let named = Session { id: id.clone(), ..Session::default() };
            write_session(&named, writer.key("Session"));
        }
    }
    writer.key("Token").str("");
}

/// Reads a `SessionRequest`.
///
/// # Errors
/// Anything else, and an operation that is none.
pub fn read_command(reader: &mut Reader<'_>) -> Result<SessionCommand, DecodeError> {
    let mut session = Session::default();
    let mut op = (reader.position(), "");
    reader.map(|reader, key| {
        match key {
            b"Op" => op = (reader.position(), reader.str()?),
            b"Session" => session = read_session(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    match op {
        (_, "create") => Ok(SessionCommand::Create(Box::new(session))),
        (_, "destroy") => Ok(SessionCommand::Destroy { id: session.id }),
        (offset, other) => Err(unknown(offset, "a session's operation", other)),
    }
}

/// Writes the reaping of tombstones as `TombstoneRequest`.
pub fn write_reap(up_to: u64, datacenter: &str, writer: &mut Writer<'_>) {
    writer.map(4);
    writer.key("Datacenter").str(datacenter);
    writer.key("Op").str("reap");
    writer.key("ReapIndex").uint(up_to);
    writer.key("Token").str("");
}

/// Reads a `TombstoneRequest`: up to which index.
///
/// # Errors
/// Anything else, and an operation that is none.
pub fn read_reap(reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    let (mut op, mut up_to) = ((reader.position(), ""), 0);
    reader.map(|reader, key| {
        match key {
            b"Op" => op = (reader.position(), reader.str()?),
            b"ReapIndex" => up_to = reader.u64()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    match op {
        (_, "reap") => Ok(up_to),
        (offset, other) => Err(unknown(offset, "a tombstone's operation", other)),
    }
}

fn unknown(offset: usize, what: &'static str, op: &str) -> DecodeError {
    DecodeError { offset, fault: Fault::Text { what, text: op.to_owned() } }
}
