//! The state machine's snapshot, as Consul writes it (spec cluster 10.1): what `state.bin` of a
//! snapshot archive holds, and what follows an InstallSnapshot request.
//!
//! ```text
//!   { LastIndex }                                the last entry that is in it
//!    0 │ RegisterRequest                         each node, then what is on it, one a record
//!    6 │ [Coordinate]                            where each node is
//!    3 │ Session                                 each session
//!    2 │ DirEntry                                each key
//!    5 │ DirEntry with Key, ModifyIndex, Flags   each tombstone; Flags 1: of a whole tree
//!    7 │ PreparedQuery                           each prepared query
//!    9 │ autopilot.Config                        the autopilot's configuration
//!   16 │ { Key, Value }                          the index of each table
//! ```
//!
//! Contract:
//! * [`encode`] takes the store by value, which is O(1), and may run beside the writer. Its bytes are
//!   a function of the store.
//! * [`Reader`] gives back an equal store, or an error. It takes bytes in pieces of any size and needs
//!   memory for the store and one record.
//! * Nothing is lost silently: a snapshot of Consul holds records of kinds that this store does not
//!   have. They are known by name and counted, and restoring is refused ([`SnapshotError::Lost`]).
//!   [`inspect`] says what any snapshot holds.
//!
//! Two things are ours and without meaning to Consul, which reads our snapshots all the same: `Flags` of
//! a tombstone, and the row [`ALL_KEYS_ROW`], because a tombstone without a name is one that Consul's
//! tables refuse.
//!
//! Deliberately not here: files and checksums (`driver`), archives ([`archive`](super::archive)).

mod encode;
mod kinds;
mod reader;
mod scan;

pub use encode::{Encoder, encode};
pub use kinds::kind_name;
pub use reader::{Reader, SnapshotError};
pub use scan::{Census, KindCount, RecordInfo, inspect, records};

use super::command::{
    AUTOPILOT, COORDINATE_BATCH_UPDATE, KVS, PREPARED_QUERY, REGISTER, SESSION, TOMBSTONE,
};

/// The message type of a table's index.
const INDEX: u8 = 16;
/// Of what is left of commands in several pieces; empty but for Consul's enterprise form.
const CHUNKING_STATE: u8 = 29;

/// `Flags` of a tombstone that stands for a tree.
const TREE_FLAG: u64 = 1;
/// The index row that stands for the tombstone of the tree of all keys.
pub const ALL_KEYS_ROW: &str = "proconsul.tombstone-of-all-keys";
