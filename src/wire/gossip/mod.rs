//! Gossip on the wire: memberlist's datagrams and streams, Serf's messages inside them
//! (spec cluster 1.2 to 1.7, 2.1 to 2.3).
//!
//! ```text
//!   datagram   encryption ( CRC ( compression ( compound ( type byte │ map ) ) ) )      packet.rs
//!   stream     encryption ( compression ( type byte │ map … ) )                         stream.rs
//!                                              │
//!                  bodies: memberlist's ───────┼─── message.rs, state.rs (push/pull)
//!                          Serf's ─────────────┴─── serf.rs, internal.rs (payloads of its own queries)
//!                          opaque to memberlist ─── tags.rs (tags, coordinates)
//!   keys: crypto.rs (AES-GCM), keyring.rs (which of them, and the file), key_queries.rs (their rotation)
//! ```
//!
//! Contract:
//! * What is written is byte for byte what memberlist and Serf of Consul 1.8.7 write: keys sorted,
//!   old raw strings, the fields of a ping's source left out when empty.
//! * What is read may come from anybody: keys in any order, absent ones zero, unknown ones skipped,
//!   bytes behind a body ignored. Nothing panics; memory follows the bytes that are there.
//! * Where memberlist goes on after something wrong, so does this: what was wrong is a [`Problem`]
//!   beside the messages, in the words that memberlist and Serf log.
//!
//! Pure functions: the nonce of a sealed message is an argument, and nothing here knows the time.
//!
//! Deliberately not here: which key to use, when to compress, whom a message concerns, log lines.

mod compress;
mod crypto;
mod internal;
mod key_queries;
mod keyring;
mod message;
mod packet;
mod serf;
mod state;
mod stream;
mod tags;

use std::fmt;
use std::net::SocketAddr;

pub use crypto::{EncryptionVersion, Key, NONCE_BYTES, OpenError, Seal, open};
pub use internal::{
    KeyRequest, KeyResponse, decode_conflict_response, decode_key_request, decode_key_response,
    encode_conflict_response, encode_key_request, encode_key_response,
};
pub use key_queries::{KeyAction, apply_key_query, encode_key_answer};
pub use keyring::{Keyring, KeyringError, KeyringFileError};
pub use packet::{PacketOptions, Unpacked, decode_packet, encode_packet};
pub use serf::{decode_serf, encode_serf};
pub use stream::{
    ReceivedStream, StreamDecoder, StreamError, StreamMessage, StreamOptions, encode_stream,
};

use crate::gossip::{Codec, Message};
use crate::wire::msgpack::Counter;

/// What the cores need of this module.
pub const CODEC: Codec = Codec {
    message_len,
    encode_tags: tags::encode_tags,
    decode_tags: tags::decode_tags,
    encode_coordinate: tags::encode_coordinate,
    decode_coordinate: tags::decode_coordinate,
    encode_conflict: internal::encode_conflict,
};

/// First bytes of memberlist's messages (spec cluster 1.2).
mod kind {
    pub const PING: u8 = 0;
    pub const INDIRECT_PING: u8 = 1;
    pub const ACK: u8 = 2;
    pub const SUSPECT: u8 = 3;
    pub const ALIVE: u8 = 4;
    pub const DEAD: u8 = 5;
    pub const PUSH_PULL: u8 = 6;
    pub const COMPOUND: u8 = 7;
    pub const USER: u8 = 8;
    pub const COMPRESS: u8 = 9;
    pub const ENCRYPT: u8 = 10;
    pub const NACK: u8 = 11;
    pub const HAS_CRC: u8 = 12;
    pub const ERROR: u8 = 13;
    pub const HAS_LABEL: u8 = 244;
}

/// No stream, and no list in one, may say more members, events or slots than this.
const MAX_NODES: usize = 1 << 20;

/// From whom bytes are taken: what decides about encryption.
#[derive(Clone, Copy, Debug)]
pub struct Reception<'a> {
    /// The keys; an empty ring means that gossip is not encrypted.
    pub keyring: &'a Keyring,
    /// With keys, what is not encrypted is refused (`GossipVerifyIncoming`).
    pub verify_incoming: bool,
}

/// Something wrong that did not stop everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whose words these are: `memberlist` or `serf`.
    pub module: &'static str,
    /// Logged as `[ERR]`; otherwise as `[WARN]`.
    pub is_error: bool,
    /// The text, without module and sender.
    pub text: String,
    /// The log line ends with the sender: ` from=10.0.0.2:8301`.
    pub names_sender: bool,
}

impl Problem {
    /// One that memberlist logs with the sender.
    fn memberlist(text: String) -> Self {
        Self { module: "memberlist", is_error: true, text, names_sender: true }
    }

    /// One that Serf logs.
    fn serf(text: String) -> Self {
        Self { module: "serf", is_error: true, text, names_sender: false }
    }

    fn warning(self) -> Self {
        Self { is_error: false, ..self }
    }

    /// The text of the log line, about bytes that came from there.
    #[must_use]
    pub fn text_from(&self, from: SocketAddr) -> String {
        if self.names_sender { format!("{} from={from}", self.text) } else { self.text.clone() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.module, self.text)
    }
}

/// Bytes of a message in a datagram, its type byte included; nothing is allocated for it.
fn message_len(message: &Message) -> usize {
    let mut counter = Counter::default();
    message::write(message, &mut counter);
    counter.bytes
}
