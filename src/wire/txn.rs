//! Transactions, in log entries and forwarded requests, and what comes of them (spec cluster 10.7).
//!
//! ```text
//!   TxnRequest   { Datacenter, Ops: [TxnOp], Token }
//!   TxnOp        { Check: { Check, Verb }, Intention, KV: { DirEnt, Verb }, Node: { Node, Verb },
//!                  Service: { Node, Service, Verb }, Session: { Session, Verb } }    all but one nil
//!   TxnResponse  { Errors: [{ OpIndex, What }], Results: [{ Check, KV, Node, Service }] }
//! ```
//!
//! An operation of a kind that this agent does not have (`Intention`) is an error: to read over it would let
//! this server's state differ from its peers'.

use super::catalog::{
    read_check, read_list, read_node, read_service, text, write_check, write_list, write_node,
    write_service,
};
use super::msgpack::{DecodeError, Fault, Reader, Writer};
use super::{kv, session};
use crate::state::{
    KvEntry, Session, TxnCheck, TxnError, TxnKv, TxnNode, TxnOp, TxnResponse, TxnResult,
    TxnService, TxnSession,
};

/// Writes a transaction that goes through the log.
pub fn write_ops(ops: &[TxnOp], datacenter: &str, writer: &mut Writer<'_>) {
    writer.map(3);
    writer.key("Datacenter").str(datacenter);
    write_list(writer.key("Ops"), ops, write_op);
    writer.key("Token").str("");
}

/// Reads one.
///
/// # Errors
/// Anything else.
pub fn read_ops(reader: &mut Reader<'_>) -> Result<Vec<TxnOp>, DecodeError> {
    let mut ops = Vec::new();
    reader.map(|reader, key| match key {
        b"Ops" => read_list(reader, read_op).map(|it| ops = it),
        _ => reader.skip(),
    })?;
    Ok(ops)
}

/// Writes one operation.
pub fn write_op(op: &TxnOp, writer: &mut Writer<'_>) {
    writer.map(6);
    match op {
        TxnOp::Check(op) => {
            writer.key("Check").map(2);
            write_check(&op.check, writer.key("Check"));
            writer.key("Verb").str(&op.verb);
        }
        _ => writer.key("Check").nil(),
    }
    writer.key("Intention").nil();
    match op {
        TxnOp::Kv(op) => {
            writer.key("KV").map(2);
            kv::write_entry(&op.entry, writer.key("DirEnt"));
            writer.key("Verb").str(&op.verb);
        }
        _ => writer.key("KV").nil(),
    }
    match op {
        TxnOp::Node(op) => {
            writer.key("Node").map(2);
            write_node(&op.node, writer.key("Node"));
            writer.key("Verb").str(&op.verb);
        }
        _ => writer.key("Node").nil(),
    }
    match op {
        TxnOp::Service(op) => {
            writer.key("Service").map(3);
            writer.key("Node").str(&op.node);
            write_service(&op.service, writer.key("Service"));
            writer.key("Verb").str(&op.verb);
        }
        _ => writer.key("Service").nil(),
    }
    match op {
        TxnOp::Session(op) => {
            let row = Session { id: op.id.clone(), ..Session::default() };
            writer.key("Session").map(2);
            session::write_session(&row, writer.key("Session"));
            writer.key("Verb").str(&op.verb);
        }
        _ => writer.key("Session").nil(),
    }
}

/// Reads one operation.
///
/// # Errors
/// Anything else, and one of another kind.
pub fn read_op(reader: &mut Reader<'_>) -> Result<TxnOp, DecodeError> {
    let mut op = None;
    let unknown = reader.error(Fault::Unsupported("a transaction's operation of another kind"));
    reader.map(|reader, key| {
        let read = match key {
            b"Check" => reader.optional(read_check_op)?,
            b"KV" => reader.optional(read_kv_op)?,
            b"Node" => reader.optional(read_node_op)?,
            b"Service" => reader.optional(read_service_op)?,
            b"Session" => reader.optional(read_session_op)?,
            _ => {
                reader.skip()?;
                None
            }
        };
        op = op.take().or(read);
        Ok(())
    })?;
    op.ok_or(unknown)
}

fn read_check_op(reader: &mut Reader<'_>) -> Result<TxnOp, DecodeError> {
    let mut op = TxnCheck::default();
    reader.map(|reader, key| {
        match key {
            b"Check" => op.check = read_check(reader)?,
            b"Verb" => op.verb = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(TxnOp::Check(op))
}

fn read_kv_op(reader: &mut Reader<'_>) -> Result<TxnOp, DecodeError> {
    let (mut verb, mut entry) = (String::new(), None);
    reader.map(|reader, key| {
        match key {
            b"DirEnt" => entry = Some(kv::read_entry(reader)?),
            b"Verb" => verb = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let missing = reader.error(Fault::Unsupported("an operation on a key without DirEnt"));
    Ok(TxnOp::Kv(TxnKv { verb, entry: entry.ok_or(missing)? }))
}

fn read_node_op(reader: &mut Reader<'_>) -> Result<TxnOp, DecodeError> {
    let mut op = TxnNode::default();
    reader.map(|reader, key| {
        match key {
            b"Node" => op.node = read_node(reader)?,
            b"Verb" => op.verb = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(TxnOp::Node(op))
}

fn read_service_op(reader: &mut Reader<'_>) -> Result<TxnOp, DecodeError> {
    let mut op = TxnService::default();
    reader.map(|reader, key| {
        match key {
            b"Node" => op.node = text(reader)?,
            b"Service" => op.service = read_service(reader)?,
            b"Verb" => op.verb = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(TxnOp::Service(op))
}

fn read_session_op(reader: &mut Reader<'_>) -> Result<TxnOp, DecodeError> {
    let mut op = TxnSession::default();
    reader.map(|reader, key| {
        match key {
            b"Session" => op.id = session::read_session(reader)?.id,
            b"Verb" => op.verb = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(TxnOp::Session(op))
}

/// Writes what came of a transaction.
pub fn write_response(response: &TxnResponse, writer: &mut Writer<'_>) {
    writer.map(2);
    write_outcome(response, writer);
}

/// Writes its two fields, `Errors` and `Results`, into a map that has been begun.
pub fn write_outcome(response: &TxnResponse, writer: &mut Writer<'_>) {
    write_list(writer.key("Errors"), &response.errors, |error, writer| {
        writer.map(2);
        writer.key("OpIndex").uint(error.op_index as u64);
        writer.key("What").str(&error.what);
    });
    write_list(writer.key("Results"), &response.results, write_result);
}

fn write_result(result: &TxnResult, writer: &mut Writer<'_>) {
    writer.map(1);
    match result {
        TxnResult::Check(row) => write_check(row, writer.key("Check")),
        TxnResult::Kv(row) => kv::write_entry(row, writer.key("KV")),
        TxnResult::Node(row) => write_node(row, writer.key("Node")),
        TxnResult::Service(row) => write_service(row, writer.key("Service")),
    }
}

/// Reads a field of an answer into `response`; false, with nothing read, for one that is neither
/// `Errors` nor `Results`.
///
/// # Errors
/// Anything else under their names.
pub fn read_outcome(
    name: &[u8],
    reader: &mut Reader<'_>,
    response: &mut TxnResponse,
) -> Result<bool, DecodeError> {
    match name {
        b"Errors" => response.errors = read_list(reader, read_error)?,
        b"Results" => {
            let results = read_list(reader, read_result)?;
            response.results = results.into_iter().flatten().collect();
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn read_error(reader: &mut Reader<'_>) -> Result<TxnError, DecodeError> {
    let mut error = TxnError { op_index: 0, what: String::new() };
    reader.map(|reader, key| {
        match key {
            b"OpIndex" => error.op_index = reader.narrow("an operation's index")?,
            b"What" => error.what = text(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(error)
}

/// None for a row of a kind that this agent does not have.
fn read_result(reader: &mut Reader<'_>) -> Result<Option<TxnResult>, DecodeError> {
    let mut result = None;
    reader.map(|reader, key| {
        let read = match key {
            b"Check" => reader.optional(read_check)?.map(TxnResult::Check),
            b"KV" => reader.optional(kv::read_entry)?.map(|it: KvEntry| TxnResult::Kv(it)),
            b"Node" => reader.optional(read_node)?.map(TxnResult::Node),
            b"Service" => reader.optional(read_service)?.map(TxnResult::Service),
            _ => {
                reader.skip()?;
                None
            }
        };
        result = result.take().or(read);
        Ok(())
    })?;
    Ok(result)
}
