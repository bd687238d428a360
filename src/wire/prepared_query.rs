//! Prepared queries, in log entries, snapshots, forwarded requests and answers (spec cluster 10.1).
//!
//! ```text
//!   PreparedQueryRequest  { Datacenter, Op: create │ update │ delete, Query: PreparedQuery, Token }
//!   PreparedQuery         { CreateIndex, DNS: { TTL }, ID, ModifyIndex, Name, Service, Session, Template, Token }
//! ```

use super::catalog::{read_list, read_texts, text, write_list, write_texts};
use super::msgpack::{DecodeError, Fault, Reader, Writer};
use crate::state::{
    PreparedQuery, PreparedQueryCommand, QueryFailover, QueryTemplate, ServiceQuery,
};

/// Writes a definition.
pub fn write_query(it: &PreparedQuery, writer: &mut Writer<'_>) {
    writer.map(9);
    writer.key("CreateIndex").uint(it.create_index);
    write_dns(&it.dns_ttl, writer.key("DNS"));
    writer.key("ID").str(&it.id);
    writer.key("ModifyIndex").uint(it.modify_index);
    writer.key("Name").str(&it.name);
    write_service(&it.service, writer.key("Service"));
    writer.key("Session").str(&it.session);
    writer.key("Template").map(3);
    writer.key("Regexp").str(&it.template.regexp);
    writer.key("RemoveEmptyTags").bool(it.template.remove_empty_tags);
    writer.key("Type").str(&it.template.kind);
    writer.key("Token").str(&it.token);
}

fn write_service(it: &ServiceQuery, writer: &mut Writer<'_>) {
    let texts =
        |list: &[String], writer: &mut Writer<'_>| write_list(writer, list, |it, to| to.str(it));
    writer.map(9);
    writer.key("Connect").bool(it.connect);
    writer.key("Failover").map(2);
    texts(&it.failover.datacenters, writer.key("Datacenters"));
    writer.key("NearestN").int(it.failover.nearest_n);
    texts(&it.ignore_check_ids, writer.key("IgnoreCheckIDs"));
    writer.key("Near").str(&it.near);
    write_texts(writer.key("NodeMeta"), &it.node_meta);
    writer.key("OnlyPassing").bool(it.only_passing);
    writer.key("Service").str(&it.service);
    write_texts(writer.key("ServiceMeta"), &it.service_meta);
    texts(&it.tags, writer.key("Tags"));
}

/// Writes `DNS`.
pub fn write_dns(ttl: &str, writer: &mut Writer<'_>) {
    writer.map(1);
    writer.key("TTL").str(ttl);
}

/// Reads it.
///
/// # Errors
/// Anything else.
pub fn read_dns(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let mut ttl = String::new();
    reader.map(|reader, key| match key {
        b"TTL" => text(reader).map(|it| ttl = it),
        _ => reader.skip(),
    })?;
    Ok(ttl)
}

/// Reads a definition.
///
/// # Errors
/// Anything else.
pub fn read_query(reader: &mut Reader<'_>) -> Result<PreparedQuery, DecodeError> {
    let mut it = PreparedQuery::default();
    reader.map(|reader, key| {
        match key {
            b"CreateIndex" => it.create_index = reader.u64()?,
            b"DNS" => it.dns_ttl = read_dns(reader)?,
            b"ID" => it.id = text(reader)?,
            b"ModifyIndex" => it.modify_index = reader.u64()?,
            b"Name" => it.name = text(reader)?,
            b"Service" => it.service = read_service(reader)?,
            b"Session" => it.session = text(reader)?,
            b"Template" => it.template = read_template(reader)?,
            b"Token" => it.token = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(it)
}

fn read_template(reader: &mut Reader<'_>) -> Result<QueryTemplate, DecodeError> {
    let mut it = QueryTemplate::default();
    reader.map(|reader, key| {
        match key {
            b"Regexp" => it.regexp = text(reader)?,
            b"RemoveEmptyTags" => it.remove_empty_tags = reader.bool()?,
            b"Type" => it.kind = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(it)
}

fn read_service(reader: &mut Reader<'_>) -> Result<ServiceQuery, DecodeError> {
    let mut it = ServiceQuery::default();
    reader.map(|reader, key| {
        match key {
            b"Connect" => it.connect = reader.bool()?,
            b"Failover" => it.failover = read_failover(reader)?,
            b"IgnoreCheckIDs" => it.ignore_check_ids = read_list(reader, text)?,
            b"Near" => it.near = text(reader)?,
            b"NodeMeta" => it.node_meta = read_texts(reader)?,
            b"OnlyPassing" => it.only_passing = reader.bool()?,
            b"Service" => it.service = text(reader)?,
            b"ServiceMeta" => it.service_meta = read_texts(reader)?,
            b"Tags" => it.tags = read_list(reader, text)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(it)
}

fn read_failover(reader: &mut Reader<'_>) -> Result<QueryFailover, DecodeError> {
    let mut it = QueryFailover::default();
    reader.map(|reader, key| {
        match key {
            b"Datacenters" => it.datacenters = read_list(reader, text)?,
            b"NearestN" => it.nearest_n = reader.i64()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(it)
}

/// Writes a change.
pub fn write_command(command: &PreparedQueryCommand, datacenter: &str, writer: &mut Writer<'_>) {
    let removed;
    let (op, query) = match command {
        PreparedQueryCommand::Create(query) => ("create", &**query),
        PreparedQueryCommand::Update(query) => ("update", &**query),
        PreparedQueryCommand::Delete { id } => {
            removed = PreparedQuery { id: id.clone(), ..PreparedQuery::default() };
            ("delete", &removed)
        }
    };
    writer.map(4);
    writer.key("Datacenter").str(datacenter);
    writer.key("Op").str(op);
    write_query(query, writer.key("Query"));
    writer.key("Token").str("");
}

/// Reads one.
///
/// # Errors
/// Anything else, and an operation that there is not.
pub fn read_command(reader: &mut Reader<'_>) -> Result<PreparedQueryCommand, DecodeError> {
    let mut query = None;
    let mut op = (reader.position(), "");
    reader.map(|reader, key| {
        match key {
            b"Op" => op = (reader.position(), reader.str()?),
            b"Query" => query = reader.optional(read_query)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let (offset, op) = op;
    let query = Box::new(query.unwrap_or_default());
    match op {
        "create" => Ok(PreparedQueryCommand::Create(query)),
        "update" => Ok(PreparedQueryCommand::Update(query)),
        "delete" => Ok(PreparedQueryCommand::Delete { id: query.id }),
        other => {
            let fault = Fault::Text { what: "a prepared query operation", text: other.to_owned() };
            Err(DecodeError { offset, fault })
        }
    }
}
