//! What a log entry of kind `Command` carries: a message type byte and a struct, as Consul's
//! (spec cluster 10.1).
//!
//! The type's bit 0x80 says that a server that does not know the type may ignore the entry; without
//! it, going on would let this server's state differ from its peers', so it is an error.

use std::fmt;

use bytes::Bytes;

use super::kv;
use super::msgpack::{DecodeError, Reader, Writer};
use crate::state::Command;

/// The message type of a key/value change.
pub const KVS: u8 = 2;
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
    match command {
        Command::Kv(change) => {
            out.push(KVS);
            kv::write_command(change, datacenter, &mut Writer::new(&mut out));
        }
    }
    Bytes::from(out)
}

/// The command in a log entry's data; none when it is of an unknown type that may be ignored.
///
/// # Errors
/// See [`CommandError`].
pub fn decode(data: &[u8]) -> Result<Option<Command>, CommandError> {
    let (kind, body) = data.split_first().ok_or(CommandError::Empty)?;
    match kind & !IGNORE_UNKNOWN {
        KVS => {
            let mut reader = Reader::new(body);
            kv::read_command(&mut reader)
                .and_then(|change| reader.finish().map(|()| Some(Command::Kv(change))))
                .map_err(|error| DecodeError { offset: error.offset + 1, ..error })
                .map_err(CommandError::Body)
        }
        _ if kind & IGNORE_UNKNOWN != 0 => Ok(None),
        _ => Err(CommandError::UnknownType(*kind)),
    }
}
