//! What happens to the cluster: the script, chaos, and the healing at the end.
//!
//! ```text
//!   Plan.steps ──► script: one task a step ── trigger ── when ── act ── undo ── finished
//!                             │                                  │
//!                             └── targets: whom, now             └── verbs, partitions, requests
//!   end of run ──► settle: undo everything, wait until all has converged
//! ```
//!
//! The nemesis decides; the fabric and the cluster hold the mechanisms. Whatever it does, and whatever
//! it could not do, is an event of the trace.

mod act;
mod blocks;
mod command;
mod links;
mod lookup;
mod machines;
mod membership;
pub mod partition;
mod request;
pub mod script;
mod services;
pub mod settle;
pub mod targets;
mod undo;
