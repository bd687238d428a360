//! A snapshot as users keep it: what `snapshot save` writes (spec api 2.12, 5.17).
//!
//! ```text
//!   gzip( tar( meta.json     what the snapshot stands for, as Go writes hashicorp/raft's SnapshotMeta
//!              state.bin     the state, see snapshot
//!              SHA256SUMS    a line for each of the two: 64 hex digits, two spaces, the name ) )
//! ```
//!
//! Contract:
//! * [`write`](write()) gives what Consul's `snapshot inspect` and `restore` take; [`read`] takes what Consul
//!   wrote. The time is an argument, so the same state at the same time gives the same bytes.
//! * [`read`] believes nothing: every checksum is compared, `meta.json` must agree with what is there,
//!   and nothing but the three members may be there, each once. What is wrong is named.
//! * An archive may unpack to so much and not more ([`MAX_STATE_BYTES`]): a few megabytes of gzip can
//!   stand for many gigabytes.
//!
//! Deliberately not here: what is in the state ([`snapshot`](super::snapshot)), files.

mod error;
mod meta;
mod read;
mod state;
mod write;

pub use error::ArchiveError;
pub use read::read;
pub use state::{pack, records, unpack};
pub use write::write;

use crate::raft::SnapshotMeta;

const META: &str = "meta.json";
const STATE: &str = "state.bin";
const SUMS: &str = "SHA256SUMS";

/// No state in an archive may be larger.
pub const MAX_STATE_BYTES: u64 = 1 << 30;

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// `TERM-INDEX-MILLISECONDS`: the name of the snapshot where it was made.
    pub id: String,
    /// The version of its form: 1, or 0 of servers that knew no ids.
    pub version: u64,
    /// What it stands for.
    pub meta: SnapshotMeta,
    /// The bytes of `state.bin`.
    pub state: Vec<u8>,
}

/// The checksum of these bytes, as it stands in the list.
fn checksum(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
