//! What every message says of its sender (spec cluster 5.2): a protocol version, and since raft 1.3.7
//! its id and address.
//!
//! ```text
//!   hashicorp/raft 1.1.2, Consul 1.8 and 1.9    { …, ProtocolVersion, … }
//!   hashicorp/raft 1.7                          { Addr, …, ID, …, ProtocolVersion, … }
//! ```
//!
//! Go flattens the header into the message, so its keys stand among the others in the order of their
//! names. A header with a sender is in the dialect of codec 2.x in all: Go's signed integers are
//! written as signed ones. The agent sends the first form, which every version reads.

use super::PROTOCOL_VERSION;
use crate::base::{ServerAddress, ServerId};
use crate::wire::msgpack::{DecodeError, Reader, Writer};

/// The head of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The sender's protocol version; 0 in a blank header.
    pub protocol: u64,
    /// Who it is, from raft 1.3.7 on.
    pub sender: Option<Sender>,
}

/// A sender as newer versions name it; both are nil (here: empty) in a blank header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Sender {
    pub id: ServerId,
    pub address: ServerAddress,
}

impl Header {
    /// The header of what this agent sends.
    #[must_use]
    pub fn ours() -> Self {
        Self { protocol: PROTOCOL_VERSION, sender: None }
    }

    /// The sender's address; empty where it has none.
    pub(super) fn address(&self) -> ServerAddress {
        self.sender.as_ref().map_or_else(|| "".into(), |sender| sender.address.clone())
    }

    /// Begins a struct with so many fields of its own, and writes `Addr`, which comes first of all.
    pub(super) fn begin(&self, fields: usize, writer: &mut Writer<'_>) {
        let Some(sender) = &self.sender else { return writer.map(fields + 1) };
        writer.map(fields + 3);
        writer.key("Addr").bytes_or_nil(sender.address.as_str().as_bytes());
    }

    /// Writes `ID`, where its turn is.
    pub(super) fn id(&self, writer: &mut Writer<'_>) {
        if let Some(sender) = &self.sender {
            writer.key("ID").bytes_or_nil(sender.id.as_str().as_bytes());
        }
    }

    /// Writes `ProtocolVersion`, where its turn is.
    pub(super) fn version(&self, writer: &mut Writer<'_>) {
        self.signed("ProtocolVersion", self.protocol, writer);
    }

    /// Writes a field that is an `int` in Go.
    pub(super) fn signed(&self, name: &str, value: u64, writer: &mut Writer<'_>) {
        writer.key(name);
        if self.sender.is_some() { writer.signed(value) } else { writer.uint(value) }
    }

    /// Reads the value of this key if it is the header's; anything else is read over.
    pub(super) fn read(&mut self, key: &[u8], reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        match key {
            b"ProtocolVersion" => self.protocol = reader.i64_not_negative()?,
            b"Addr" => self.sender().address = ServerAddress::from(reader.str()?),
            b"ID" => self.sender().id = ServerId::from(reader.str()?),
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn sender(&mut self) -> &mut Sender {
        self.sender.get_or_insert_with(|| Sender { id: "".into(), address: "".into() })
    }
}
