//! The catalog's structs, which log entries, snapshots, forwarded requests and answers share (spec
//! cluster 10.1, 10.3; captured from Consul 1.8.7).
//!
//! ```text
//!   RegisterRequest    { Address, Check, Checks, …, NodeMeta, Service, SkipNodeUpdate, … }   here
//!   DeregisterRequest  { CheckID, Datacenter, Node, ServiceID, Token }                       here
//!   Node, NodeService, ServiceNode                                                       service.rs
//!   HealthCheck, CheckDefinition                                                           check.rs
//!   Coordinate, autopilot.Config                              ../coordinate.rs, ../autopilot.rs
//! ```
//!
//! Empty lists and maps are nil, as Go leaves them. Go's maps have no order; ours are written by key.
//! What this agent does not interpret of a service (`Proxy`, `Connect`) is carried as it came.

mod check;
mod service;

use std::collections::BTreeMap;

pub use check::{read_check, write_check};
pub use service::{
    read_node, read_service, read_service_node, write_node, write_service, write_service_node,
};

use super::msgpack::{DecodeError, Fault, Reader, Writer};
use crate::base::Duration;
use crate::state::{Deregister, HealthCheck, Node, NodeService, Register};

/// What of a `RegisterRequest` is written: a command's, or a record's of a snapshot.
pub struct Registration<'a> {
    /// The node; with its indexes, in a snapshot.
    pub node: &'a Node,
    /// An instance.
    pub service: Option<&'a NodeService>,
    /// The single check.
    pub check: Option<&'a HealthCheck>,
    /// Others.
    pub checks: &'a [HealthCheck],
    /// Leave a node that is there as it is.
    pub skip_node_update: bool,
}

impl<'a> Registration<'a> {
    /// A command. A single check goes where Consul's leader puts one.
    #[must_use]
    pub fn of(command: &'a Register) -> Self {
        let (check, checks): (_, &[HealthCheck]) = match command.checks.as_slice() {
            [only] => (Some(only), &[]),
            all => (None, all),
        };
        let Register { node, service, skip_node_update, .. } = command;
        let (service, skip_node_update) = (service.as_ref(), *skip_node_update);
        Self { node, service, check, checks, skip_node_update }
    }

    /// Writes it.
    pub fn write(&self, datacenter: &str, writer: &mut Writer<'_>) {
        let node = self.node;
        let datacenter = if node.datacenter.is_empty() { datacenter } else { &node.datacenter };
        writer.map(13);
        writer.key("Address").str(&node.address);
        match self.check {
            Some(check) => write_check(check, writer.key("Check")),
            None => writer.key("Check").nil(),
        }
        write_list(writer.key("Checks"), self.checks, write_check);
        writer.key("CreateIndex").uint(node.create_index);
        writer.key("Datacenter").str(datacenter);
        writer.key("ID").str(&node.id);
        writer.key("ModifyIndex").uint(node.modify_index);
        writer.key("Node").str(&node.node);
        write_texts(writer.key("NodeMeta"), &node.meta);
        match self.service {
            Some(service) => write_service(service, writer.key("Service")),
            None => writer.key("Service").nil(),
        }
        writer.key("SkipNodeUpdate").bool(self.skip_node_update);
        write_texts(writer.key("TaggedAddresses"), &node.tagged_addresses);
        writer.key("Token").str("");
    }
}

/// Reads a `RegisterRequest`.
///
/// # Errors
/// Anything else.
pub fn read_register(reader: &mut Reader<'_>) -> Result<Register, DecodeError> {
    let mut read = Register::default();
    let mut single = None;
    reader.map(|reader, key| {
        let node = &mut read.node;
        match key {
            b"Address" => node.address = text(reader)?,
            b"Check" => single = reader.optional(read_check)?,
            b"Checks" => read.checks = read_list(reader, read_check)?,
            b"CreateIndex" => node.create_index = reader.u64()?,
            b"Datacenter" => node.datacenter = text(reader)?,
            b"ID" => node.id = text(reader)?,
            b"ModifyIndex" => node.modify_index = reader.u64()?,
            b"Node" => node.node = text(reader)?,
            b"NodeMeta" => node.meta = read_texts(reader)?,
            b"Service" => read.service = reader.optional(read_service)?,
            b"SkipNodeUpdate" => read.skip_node_update = reader.bool()?,
            b"TaggedAddresses" => node.tagged_addresses = read_texts(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    // Consul writes the single check before the others.
    read.checks.splice(0..0, single);
    Ok(read)
}

/// Writes a removal.
pub fn write_deregister(command: &Deregister, datacenter: &str, writer: &mut Writer<'_>) {
    writer.map(5);
    writer.key("CheckID").str(&command.check_id);
    writer.key("Datacenter").str(datacenter);
    writer.key("Node").str(&command.node);
    writer.key("ServiceID").str(&command.service_id);
    writer.key("Token").str("");
}

/// Reads a `DeregisterRequest`.
///
/// # Errors
/// Anything else.
pub fn read_deregister(reader: &mut Reader<'_>) -> Result<Deregister, DecodeError> {
    let mut read = Deregister::default();
    reader.map(|reader, key| {
        match key {
            b"CheckID" => read.check_id = text(reader)?,
            b"Node" => read.node = text(reader)?,
            b"ServiceID" => read.service_id = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(read)
}

pub(in crate::wire) fn text(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    reader.str().map(str::to_owned)
}

/// A span in nanoseconds. Negative ones mean nothing to anybody and are zero.
pub(in crate::wire) fn span(reader: &mut Reader<'_>) -> Result<Duration, DecodeError> {
    reader.i64_not_negative().map(Duration::from_nanos)
}

/// A span as Go has it.
pub(in crate::wire) fn nanos(span: Duration) -> u64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX).unsigned_abs()
}

/// An array; nil when there is nothing in it, as Go's nil slice.
pub(in crate::wire) fn write_list<T>(
    writer: &mut Writer<'_>,
    rows: &[T],
    write: impl Fn(&T, &mut Writer<'_>),
) {
    if rows.is_empty() {
        writer.nil();
        return;
    }
    writer.array(rows.len());
    for row in rows {
        write(row, writer);
    }
}

pub(in crate::wire) fn read_list<T>(
    reader: &mut Reader<'_>,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut rows = Vec::new();
    reader.array(|reader| read(reader).map(|row| rows.push(row)))?;
    Ok(rows)
}

/// A map; nil when there is nothing in it.
pub(in crate::wire) fn write_map<T>(
    writer: &mut Writer<'_>,
    map: &BTreeMap<String, T>,
    write: impl Fn(&T, &mut Writer<'_>),
) {
    if map.is_empty() {
        writer.nil();
        return;
    }
    writer.map(map.len());
    for (key, value) in map {
        write(value, writer.key(key));
    }
}

pub(in crate::wire) fn read_map<T>(
    reader: &mut Reader<'_>,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<BTreeMap<String, T>, DecodeError> {
    let mut map = BTreeMap::new();
    reader.map(|reader, key| {
        let key = std::str::from_utf8(key).map_err(|_| reader.error(Fault::NotUtf8))?.to_owned();
        map.insert(key, read(reader)?);
        Ok(())
    })?;
    Ok(map)
}

pub(in crate::wire) fn write_texts(writer: &mut Writer<'_>, texts: &BTreeMap<String, String>) {
    write_map(writer, texts, |text, writer| writer.str(text));
}

pub(in crate::wire) fn read_texts(
    reader: &mut Reader<'_>,
) -> Result<BTreeMap<String, String>, DecodeError> {
    read_map(reader, text)
}
