//! L1: the consensus core, sans-IO. Raft as hashicorp/raft speaks it (Consul 1.9.8: server
//! addresses as names, leader lease; pre-vote off), with the durability rules of the paper.
//!
//! ```text
//!              Input                                   Output
//!   Wake ─────────────────┐                 ┌──► Persist       one batch a step, to the disk
//!   Request (a peer asks) ┤                 ├──► Call / Reply  to peers
//!   Reply (we are told) ──┼──► Raft::step ──┼──► Commit        entries to apply, in order, once
//!   Persisted (disk) ─────┤                 ├──► Refused / Verified   to whoever proposed or reads
//!   Propose / Verify ─────┘                 └──► Event         facts, for people and oracles
//!                              deadline() ──► when to send Wake
//! ```
//!
//! The contract, in short:
//! * **Time** is an argument. [`Raft::deadline`] says when the core wants to be woken; waking it
//!   early or twice is harmless.
//! * **Durability** is an input. What a message promises (a vote, stored entries, a term) is on disk
//!   before the message leaves: the core holds it back until [`Input::Persisted`] names the batch.
//!   Batches complete in order. A crash at any point between two steps is therefore safe.
//! * **RPC** is call and answer. Each [`Output::Call`] is answered by exactly one [`Input::Reply`];
//!   a call that takes ten seconds to fail delays nothing but the lane it is on.
//! * **Randomness** is one stream, given at construction.
//!
//! Invariants: those of figure 3 of the paper; the ones a single server can see are asserted in
//! every build (see `invariants`), the others are judged by whoever sees the whole cluster.
//!
//! Where this core departs from hashicorp/raft, on purpose:
//! * term and vote are one record (spec cluster 4.5, hazard);
//! * a follower commits up to the last entry the leader has just matched (paper 5.3), not up to the
//!   end of its log (spec cluster 4.6);
//! * a read is confirmed by heartbeats sent after it arrived, from voters only (thesis 6.4; spec
//!   cluster 4.10, hazard);
//! * a leader that is told of a newer term adopts it at once (paper 5.1);
//! * an installed snapshot drops a log that contradicts it (spec cluster 4.11, hazard);
//! * a server whose disk lost part of its log abstains until a leader has restored it;
//! * no append every 50 ms on an idle cluster: the commit index is sent when it moved, and refreshed
//!   once per heartbeat timeout for a follower that was restarted in between.
//!
//! Not here: encoding is `wire`'s, files and sockets are the driver's.
//!
//! Reading order: [`types`], [`event`], [`config`], [`log`], `durability`, [`core`], `election`,
//! `pre_vote`, `bootstrap`, `follower`, `leader`, `progress`, `reads`, `snapshot`, `restore`, `abstention`,
//! [`membership`], `changes`, `transfer`, `status`, `invariants`, [`describe`],
//! [`log_line`](mod@log_line), `legacy_lines`.

mod abstention;
mod bootstrap;
mod changes;
pub mod config;
pub mod core;
pub mod describe;
mod durability;
mod election;
pub mod event;
mod follower;
mod invariants;
mod leader;
mod legacy_lines;
pub mod log;
pub mod log_line;
pub mod membership;
mod pre_vote;
mod progress;
mod reads;
mod restore;
mod snapshot;
mod status;
mod transfer;
pub mod types;

pub use self::config::{ConfigError, RaftConfig, SnapshotTuning};
pub use self::core::{Raft, bootstrap};
pub use self::describe::{describe_input, describe_output};
pub use self::log_line::log_line;
pub use self::membership::{
    Candidacy, ConfigurationCodec, LegacyMembership, Membership, ModernMembership, PeersCodec,
    Profile,
};
pub use event::*;
pub use types::*;
