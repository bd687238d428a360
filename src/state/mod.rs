//! L1: the replicated store. Every server applies the same commands in the same order and so holds
//! the same tables; nothing here reads a clock, draws a random number or fails to be deterministic.
//!
//! ```text
//!   committed entry ──► StateStore::apply ──► CommandResult   to whoever proposed it
//!                                       └──► Vec<Change>      wakes the blocking queries it touches
//!   Query ────────────► StateStore::query ──► Answer { index, rows }
//!   StateStore ◄──────────────────────────────► rows   what snapshots are made of
//! ```
//!
//! The promise to blocking queries (spec cluster 11.5), in terms of the two calls: when a query
//! answered with index N and its rows are changed by the entry at M, then the changes of that entry
//! touch the query ([`Query::is_touched_by`]) and the query's index is now at least M, so more than
//! N. Whoever re-runs touched queries and returns when the index has passed N misses nothing.
//!
//! Deliberately not here: clocks (time to live, lock delay, the age of tombstones), encodings.

mod autopilot;
mod catalog;
mod change;
mod coordinate;
mod graveyard;
mod index;
mod kv;
mod locks;
mod prepared_query;
mod rows;
mod session;
mod store;
mod txn;
pub mod types;

pub use autopilot::{AutopilotCommand, AutopilotConfiguration};
pub use catalog::*;
pub use change::Change;
pub use coordinate::{FloatBits, NodeCoordinate};
pub use locks::{Holdings, LockRow};
pub use prepared_query::*;
pub use rows::{Grave, Rebuild, RebuildError};
pub use session::{
    DELETE, MAX_LOCK_DELAY, RELEASE, ServiceCheck, Session, SessionCommand, check_session_id,
};
pub use store::StateStore;
pub use txn::*;
pub use types::*;
