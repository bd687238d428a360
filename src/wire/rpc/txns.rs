//! The structs of `Txn.Apply` and `Txn.Read`.
//!
//! ```text
//!   Txn.Apply  TxnRequest { Datacenter, Ops, Token }                TxnResponse { Errors, Results }
//!   Txn.Read   TxnReadRequest { AllowStale, Ops, … }   TxnReadResponse { ConsistencyLevel, Errors, … }
//! ```

use super::Method;
use super::body::QueryOptions;
use crate::agent::{ReadMeta, ReadOptions, Reply, Request};
use crate::base::Duration;
use crate::state::{Answer, Command, CommandResult, Query, Rows, TxnOp, TxnResponse};
use crate::wire::catalog::{nanos, read_list, write_list};
use crate::wire::msgpack::{DecodeError, Reader, Writer};
use crate::wire::txn;

/// Writes the body of `Txn.Read`.
pub(super) fn write_query(
    ops: &[TxnOp],
    options: &ReadOptions,
    datacenter: &str,
    writer: &mut Writer<'_>,
) {
    let options = QueryOptions::of(options);
    writer.map(7);
    writer.key("AllowStale").bool(options.stale);
    writer.key("Datacenter").str(datacenter);
    writer.key("MaxQueryTime").uint(nanos(options.max_wait));
    writer.key("MinQueryIndex").uint(options.min_index);
    write_list(writer.key("Ops"), ops, txn::write_op);
    writer.key("RequireConsistent").bool(options.consistent);
    writer.key("Token").str("");
}

/// Reads the body of a request to one of these methods. Reads never block.
pub(super) fn read_request(
    method: Method,
    reader: &mut Reader<'_>,
) -> Result<Request, DecodeError> {
    if method == Method::TxnApply {
        return txn::read_ops(reader).map(|ops| Request::Write(Command::Txn(ops)));
    }
    let (mut ops, mut options) = (Vec::new(), QueryOptions::default());
    reader.map(|reader, name| {
        match name {
            b"Ops" => ops = read_list(reader, txn::read_op)?,
            _ => options.read(name, reader)?,
        }
        Ok(())
    })?;
    let options = ReadOptions { min_index: 0, ..options.finish() };
    Ok(Request::Read { query: Query::Txn { ops }, options })
}

/// Whether the reply is one to this method.
pub(super) fn fits(method: Method, reply: &Reply) -> bool {
    match reply {
        Reply::Written(CommandResult::Txn(_)) => method == Method::TxnApply,
        Reply::Read { answer, .. } => {
            method == Method::TxnRead && matches!(answer.rows, Rows::Txn(_))
        }
        _ => false,
    }
}

/// Writes the body of an answer; only for a reply that fits its method.
pub(super) fn write_reply(reply: &Reply, writer: &mut Writer<'_>) {
    match reply {
        Reply::Written(CommandResult::Txn(response)) => txn::write_response(response, writer),
        Reply::Read { answer: Answer { rows: Rows::Txn(response), .. }, meta } => {
            writer.map(6);
            writer.key("ConsistencyLevel").str("");
            writer.key("Index").uint(0);
            writer.key("KnownLeader").bool(meta.known_leader);
            writer.key("LastContact").uint(nanos(meta.last_contact));
            txn::write_outcome(response, writer);
        }
        _ => writer.map(0),
    }
}

/// Reads the body of an answer to one of these methods.
pub(super) fn read_reply(method: Method, reader: &mut Reader<'_>) -> Result<Reply, DecodeError> {
    let mut meta = ReadMeta { index: 0, known_leader: false, last_contact: Duration::ZERO };
    let mut response = Box::<TxnResponse>::default();
    reader.map(|reader, name| {
        match name {
            b"KnownLeader" => meta.known_leader = reader.bool()?,
            b"LastContact" => meta.last_contact = Duration::from_nanos(reader.i64_not_negative()?),
            _ if txn::read_outcome(name, reader, &mut response)? => {}
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    if method == Method::TxnApply {
        return Ok(Reply::Written(CommandResult::Txn(response)));
    }
    Ok(Reply::Read { answer: Answer { index: 0, rows: Rows::Txn(response) }, meta })
}
