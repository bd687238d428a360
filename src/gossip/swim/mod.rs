//! memberlist: who is alive (SWIM 2002, Lifeguard 2017; spec cluster 1).
//!
//! ```text
//!   packet ──┐                 ┌─ rules: alive, suspect, dead, refute ─┬─► roster (who is known)
//!   exchange ┼─► core::step ──►┤                                       └─► broadcast queue
//!   probe  ──┤                 ├─ probe: direct, indirect, stream ──► suspect
//!   timers ──┘                 └─ dissemination: gossip, meta, goodbye
//! ```
//!
//! [`Swim`] is one member: [`Swim::step`] in, [`Output`]s out, [`Swim::deadline`] when to be woken. The
//! layer above is asked through [`Delegate`] in the middle of a step, and hears what happened as outputs,
//! in order. Invariants: [`Swim::check_invariants`].
//!
//! Not here: bytes, sockets, names to resolve (the caller's); what a membership means (`serf`).

mod awareness;
pub mod broadcast_queue;
mod config;
mod core;
mod dissemination;
mod exchange;
pub mod formulas;
pub mod log_line;
mod packet;
mod probe;
mod roster;
mod rules;
mod suspicion;
mod timers;
pub mod types;

pub use self::core::Swim;
pub use broadcast_queue::BroadcastQueue;
pub use log_line::log_line;
pub use types::{Config, Input, META_MAX_BYTES, Node, Output};

/// What the layer above gives to SWIM when SWIM asks, in the middle of a step.
pub trait Delegate {
    /// Messages to travel with what is about to be sent: each costs `overhead` bytes beside its own
    /// [`message_len`](super::Codec::message_len), all together at most `limit`. Each call counts as
    /// one transmission of what it returns.
    fn broadcasts(&mut self, overhead: usize, limit: usize) -> Vec<super::SerfMessage>;
    /// Whether it has broadcasts at all: without any, no gossip timer runs.
    fn has_broadcasts(&self) -> bool;
    /// Its part of a push/pull.
    fn local_state(&self, join: bool) -> super::SerfState;
    /// What goes with an ack.
    fn ack_payload(&self) -> bytes::Bytes;
    /// Whether these may be members.
    ///
    /// # Errors
    /// Why not.
    fn admit(&self, nodes: &[super::NodeState]) -> Result<(), String>;
}
