//! What a log entry of kind `Command` carries: a message type byte and a struct, as Consul's
//! (spec cluster 10.1).
//!
//! The type's bit 0x80 says that a server that does not know the type may ignore the entry; without
//! it, going on would let this server's state differ from its peers', so it is an error.

use std::fmt;

use bytes::Bytes;

use super::msgpack::{DecodeError, Reader, Writer};
use super::{autopilot, catalog, coordinate, kv, prepared_query, session, txn};
use crate::state::Command;

/// The message type of a registration.
pub const REGISTER: u8 = 0;
/// Of a removal from the catalog.
pub const DEREGISTER: u8 = 1;
/// Of a key/value change.
pub const KVS: u8 = 2;
/// Of a change of sessions.
pub const SESSION: u8 = 3;
/// Of the reaping of tombstones; in a snapshot, of a tombstone.
pub const TOMBSTONE: u8 = 5;
/// Of a batch of coordinates.
pub const COORDINATE_BATCH_UPDATE: u8 = 6;
/// Of a prepared query.
pub const PREPARED_QUERY: u8 = 7;
/// Of a transaction.
pub const TXN: u8 = 8;
/// Of the autopilot's configuration.
pub const AUTOPILOT: u8 = 9;
/// The bit of a message type that says "ignore if unknown".
pub const IGNORE_UNKNOWN: u8 = 0x80;

/// Why an entry's data is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// No bytes at all.
    Empty,
    /// A message type that this agent does not know and must not ignore.
    UnknownType(u8),
    /// Not the struct of its type.
    Body(DecodeError),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::Empty => f.write_str("a command without a message type"),
            CommandError::UnknownType(kind) => {
                write!(f, "message type {kind} is unknown and may not be ignored")
            }
            CommandError::Body(error) => write!(f, "a command cannot be decoded: {error}"),
        }
    }
}

impl std::error::Error for CommandError {}

/// The data of a log entry. `datacenter` is the one whose servers share the log.
#[must_use]
pub fn encode(command: &Command, datacenter: &str) -> Bytes {
    let mut out = Vec::with_capacity(128);
    out.push(match command {
        Command::Register(_) => REGISTER,
        Command::Deregister(_) => DEREGISTER,
        Command::Kv(_) => KVS,
        Command::Coordinates(_) => COORDINATE_BATCH_UPDATE,
        Command::Autopilot(_) => AUTOPILOT,
        Command::Session(_) => SESSION,
        Command::PreparedQuery(_) => PREPARED_QUERY,
        Command::Txn(_) => TXN,
        Command::ReapTombstones { .. } => TOMBSTONE,
    });
    write_body(command, datacenter, &mut Writer::new(&mut out));
    Bytes::from(out)
}

/// Writes a command without its message type, as forwarded writes have it.
pub(super) fn write_body(command: &Command, datacenter: &str, writer: &mut Writer<'_>) {
    match command {
        Command::Register(what) => catalog::Registration::of(what).write(datacenter, writer),
        Command::Deregister(what) => catalog::write_deregister(what, datacenter, writer),
        Command::Kv(change) => kv::write_command(change, datacenter, writer),
        Command::Coordinates(batch) => coordinate::write_batch(batch, writer),
        Command::Autopilot(change) => autopilot::write_command(change, datacenter, writer),
        Command::Session(change) => session::write_command(change, datacenter, writer),
        Command::PreparedQuery(change) => {
            prepared_query::write_command(change, datacenter, writer);
        }
        Command::Txn(ops) => txn::write_ops(ops, datacenter, writer),
        Command::ReapTombstones { up_to } => session::write_reap(*up_to, datacenter, writer),
    }
}

/// The command in a log entry's data; none when it is of an unknown type that may be ignored.
///
/// # Errors
/// See [`CommandError`].
pub fn decode(data: &[u8]) -> Result<Option<Command>, CommandError> {
    let (kind, body) = data.split_first().ok_or(CommandError::Empty)?;
    let mut reader = Reader::new(body);
    let read = match kind & !IGNORE_UNKNOWN {
        REGISTER => {
            catalog::read_register(&mut reader).map(|what| Command::Register(Box::new(what)))
        }
        DEREGISTER => catalog::read_deregister(&mut reader).map(Command::Deregister),
        KVS => kv::read_command(&mut reader).map(Command::Kv),
        COORDINATE_BATCH_UPDATE => coordinate::read_batch(&mut reader).map(Command::Coordinates),
        AUTOPILOT => autopilot::read_command(&mut reader).map(Command::Autopilot),
        SESSION => session::read_command(&mut reader).map(Command::Session),
        PREPARED_QUERY => prepared_query::read_command(&mut reader).map(Command::PreparedQuery),
        TXN => txn::read_ops(&mut reader).map(Command::Txn),
        TOMBSTONE => session::read_reap(&mut reader).map(|up_to| Command::ReapTombstones { up_to }),
        _ if kind & IGNORE_UNKNOWN != 0 => return Ok(None),
        _ => return Err(CommandError::UnknownType(*kind)),
    };
    read.and_then(|command| reader.finish().map(|()| Some(command)))
        .map_err(|error| DecodeError { offset: error.offset + 1, ..error })
        .map_err(CommandError::Body)
}
