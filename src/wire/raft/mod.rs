//! hashicorp/raft's RPCs as version 1.1.2 writes them (spec cluster 5.1 to 5.3).
//!
//! ```text
//!   request    type byte │ map                        0 AppendEntries, 1 RequestVote,
//!                                                     2 InstallSnapshot, 3 TimeoutNow, 4 RequestPreVote
//!   response   string "" │ map      or    string error │ nil
//! ```
//!
//! A connection carries requests one way and the responses in the same order the other way, as many
//! in flight as the caller likes. A response does not say what it answers: the caller passes the
//! [`Rpc`] that it is waiting for.
//!
//! Byte for byte: a heartbeat has `Entries` nil and a probe an empty array; absent `Data` and
//! `Extensions` are nil; a vote's answer always contains `Peers` nil; answers to InstallSnapshot and
//! TimeoutNow have a blank header.
//!
//! Newer peers say more: who sends ([`Sender`]) and when an entry was appended. The agent neither knows
//! nor sends that, but a decoded message keeps it beside the request ([`Received`]) or the answer
//! ([`Answered`]), so that every captured message can be encoded back as it was.
//!
//! What is not a message ends the connection; what is one but cannot be served (another protocol
//! version, entries with extensions) is answered with an error.
//!
//! Deliberately not here: the bytes of a snapshot, which follow InstallSnapshot on the stream.

mod configuration;
mod header;
mod install;
mod peers;
mod request;
mod response;

pub use configuration::{decode_configuration, encode_configuration};
pub use header::{Header, Sender};
pub use peers::{decode_addresses, decode_peers, encode_addresses, encode_peers};
pub use request::{Received, decode_request, encode_request, encode_request_as};
pub use response::{
    Answer, Answered, decode_response, encode_error, encode_response, encode_response_as,
};

use crate::raft::{EntryKind, Request};

/// The Raft protocol version that this agent speaks.
pub const PROTOCOL_VERSION: u64 = 3;

/// The kinds of RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Rpc {
    AppendEntries,
    RequestVote,
    InstallSnapshot,
    TimeoutNow,
    RequestPreVote,
}

impl Rpc {
    /// The kind of a request.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        match request {
            Request::AppendEntries(_) => Rpc::AppendEntries,
            Request::RequestVote(_) => Rpc::RequestVote,
            Request::InstallSnapshot(_) => Rpc::InstallSnapshot,
            Request::TimeoutNow => Rpc::TimeoutNow,
            Request::RequestPreVote(_) => Rpc::RequestPreVote,
        }
    }

    /// In the order of their bytes on the wire.
    pub const ALL: [Rpc; 5] = [
        Rpc::AppendEntries,
        Rpc::RequestVote,
        Rpc::InstallSnapshot,
        Rpc::TimeoutNow,
        Rpc::RequestPreVote,
    ];

    fn byte(self) -> u8 {
        self as u8
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

/// The wire number of an entry's kind.
#[must_use]
pub fn entry_type(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Command => 0,
        EntryKind::Noop => 1,
        EntryKind::AddPeerDeprecated => 2,
        EntryKind::RemovePeerDeprecated => 3,
        EntryKind::Barrier => 4,
        EntryKind::Configuration => 5,
    }
}

/// The kind with this wire number.
#[must_use]
pub fn entry_kind(number: u64) -> Option<EntryKind> {
    Some(match number {
        0 => EntryKind::Command,
        1 => EntryKind::Noop,
        2 => EntryKind::AddPeerDeprecated,
        3 => EntryKind::RemovePeerDeprecated,
        4 => EntryKind::Barrier,
        5 => EntryKind::Configuration,
        _ => return None,
    })
}
