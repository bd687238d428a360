//! Many streams on one connection, as hashicorp/yamux speaks it (first byte 4; spec cluster 5.5).
//!
//! ```text
//!   bytes that came ──► Session::next ──► Opened, Data, Finished, Reset, GoAway
//!   open, send, finish, reset, ping ──► Session::outgoing ──► bytes to write ──► Session::wrote
//!
//!   frame   version 0 │ kind │ flags, 2 │ stream, 4 │ length, 4 │ as many bytes, of data only
//! ```
//!
//! The calling side opens streams with odd numbers. A stream begins with SYN and is granted with ACK;
//! each direction ends with FIN, and RST ends both at once. A sender may have [`WINDOW_BYTES`] under
//! way on a stream; the receiver grants more when half of that is used. A ping is answered with the
//! same number.
//!
//! Contract:
//! * Sans-IO: no clock, no randomness, no task. Whoever drives it decides when a ping is due. (The
//!   crate `yamux` times the round trips of its pings by the machine's clock and sets its windows
//!   by them, and has no way to switch that off: a simulated run would not be repeatable.)
//! * Whatever comes in, `next` answers with an event or a [`Violation`], and takes memory for what
//!   is open and for what it owes in return; both are bounded.
//! * Bytes of one stream keep their order. Streams take turns, so that a large answer does not delay
//!   a small one on another stream, and a peer that does not read one stream delays no other.
//!
//! Deliberately not here: what is received is delivered at once and counts as consumed, so whoever
//! takes it bounds what it keeps and resets a stream that wants too much. No limit on time either.

mod header;
mod session;

pub use header::{HEADER_BYTES, Header, Kind, flag};
pub use session::{Event, Session, StreamId, WINDOW_BYTES};

use std::fmt;

/// Why a session cannot go on: the peer does not speak this protocol, or breaks its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the texts below say it")]
pub enum Violation {
    Version(u8),
    Kind(u8),
    OpenedTwice(StreamId),
    NotTheirs(StreamId),
    MoreThanGranted(StreamId),
    GrantedTooMuch(StreamId),
    AfterEnd(StreamId),
    DoesNotRead,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Version(version) => write!(f, "yamux: invalid protocol version: {version}"),
            Violation::Kind(kind) => write!(f, "yamux: invalid message type: {kind}"),
            Violation::OpenedTwice(id) => write!(f, "yamux: stream {id} is opened twice"),
            Violation::NotTheirs(id) => {
                write!(f, "yamux: stream {id} is not for the peer to open")
            }
            Violation::MoreThanGranted(id) => {
                write!(f, "yamux: more came on stream {id} than its window allows")
            }
            Violation::GrantedTooMuch(id) => {
                write!(f, "yamux: the window of stream {id} is beyond 32 bits")
            }
            Violation::AfterEnd(id) => write!(f, "yamux: stream {id} goes on after its end"),
            Violation::DoesNotRead => {
                write!(f, "yamux: the peer does not read what its frames are answered with")
            }
        }
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests;
