//! hashicorp/raft's RPCs as version 1.1.2 writes them (spec cluster 5.1 to 5.3).
//!
//! ```text
//!   request    type byte │ map                        0 AppendEntries, 1 RequestVote
//!   response   string "" │ map      or    string error │ nil
//! ```
//!
//! A connection carries requests one way and the responses in the same order the other way, as many
//! in flight as the caller likes. A response does not say what it answers: the caller passes the
//! [`Rpc`] that it is waiting for.
//!
//! Byte for byte: a heartbeat has `Entries` nil and a probe an empty array; absent `Data` and
//! `Extensions` are nil; a vote's answer always contains `Peers` nil. Newer peers (1.3 and later) add
//! `ID`, `Addr` and `AppendedAt`, which are read over.
//!
//! Deliberately not here: InstallSnapshot, TimeoutNow, RequestPreVote. Their type bytes give
//! [`UnknownRpc`](crate::wire::Fault::UnknownRpc), as in a server that does not know them, and the
//! connection ends.

mod configuration;
mod request;
mod response;

pub use configuration::{decode_configuration, encode_configuration};
pub use request::{decode_request, encode_request};
pub use response::{Answer, decode_response, encode_error, encode_response};

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

    fn byte(self) -> u8 {
        match self {
            Rpc::AppendEntries => 0,
            Rpc::RequestVote => 1,
            Rpc::InstallSnapshot => 2,
            Rpc::TimeoutNow => 3,
            Rpc::RequestPreVote => 4,
        }
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
