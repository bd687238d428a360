//! L2: bytes to types and back, for everything that leaves a node. No I/O, no clock, no async.
//!
//! ```text
//!   TCP 8300 ── first byte (multiplex) ─┬─ 1  raft     AppendEntries, RequestVote, …     raft/
//!                                       ├─ 0  rpc      header + body, forwarded requests  rpc/
//!                                       ├─ 4  yamux    many streams, each of them rpc      yamux/
//!                                       └─ 5  snapshot header, then an archive as a stream rpc/snapshot.rs
//!   log entry data ── message type byte + body                                            command.rs
//!     bodies: kv.rs, catalog/, coordinate.rs, autopilot.rs, session.rs
//!   snapshot of the store ── header + records                                             snapshot/
//!     as users save it ── gzip of a tar of it, its meta data and checksums                archive/
//!                        all of them in go-msgpack's old dialect                          msgpack/
//! ```
//!
//! Contract:
//! * What is encoded is byte for byte what Consul 1.8.7 and hashicorp/raft 1.1.2 send.
//! * What is decoded may come from anybody. A decoder never panics, takes memory in proportion to
//!   the bytes that are really there and not to a length they announce, and names the offset of
//!   what it does not like.
//! * Stream decoders return `Ok(None)` while the message is not whole yet, so that a connection can
//!   take pipelined messages out of one growing buffer; an error means that the stream is lost.
//!
//! Deliberately not here: deciding what an answer means, matching replies to calls, timeouts.

pub mod archive;
pub mod autopilot;
pub mod catalog;
pub mod command;
pub mod coordinate;
pub mod gossip;
pub mod kv;
pub mod msgpack;
pub mod multiplex;
pub mod prepared_query;
pub mod raft;
pub mod rpc;
pub mod session;
pub mod snapshot;
pub mod txn;
pub mod user_event;
pub mod yamux;

pub use msgpack::{DecodeError, Fault, MAX_MESSAGE};
