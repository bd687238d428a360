//! Storage: what Raft must not forget, on a [`Disk`](crate::base::runtime::Disk).
//!
//! ```text
//!   raft/0000000000000007.wal   header │ group 61 │ … │ group 90           the front is dropped once a
//!   raft/0000000000000008.wal   header │ group 91 │ … │ 000…  ◄─ written   snapshot covers it
//!   raft/snapshots/TERM-INDEX.snap       state │ seal                      the newest two
//!   raft/snapshots/3.tmp                 one that is being written
//!   raft/peers.json                      the live peer set, `legacy` only
//!   raft/healing                         there while this server abstains
//!
//!   group = group record {number, length} │ records of all batches of one commit │ state │ mark
//! ```
//!
//! **Contract.** [`Store::write`] appends the records of all given batches as one group, then syncs
//! once (group commit). When it returns `Ok`, all of them survive a power cut. [`Store::open`]
//! gives back the state after some group, at least the last one that `write` returned `Ok` for; or
//! says that something is lost ([`Restored::abstains`](crate::raft::Restored::abstains)); or
//! refuses with file and offset. It never goes on as if it had something that it has not.
//!
//! # A torn write and damage look alike; this is how they are told apart
//!
//! A group is written only after the sync of the group before it succeeded. So:
//! 1. Only the last group of the last segment can be torn. If anything but zeros follows a group, be
//!    it one byte or a later segment, that group was durable and may have been acknowledged: whatever
//!    is wrong in it is damage. (Zeros are written ahead: `segment.rs`. No group ends in zero.)
//! 2. When the record that begins a group is unreadable, its length is unknown; then the rest of the
//!    segment is searched for a later group's record, and finding one is damage by rule 1. (Its
//!    checksum covers segment, offset and a number that must be later, so stored data does not look
//!    like one by chance.)
//! 3. The last group may have been acknowledged as well. It counts as torn only if it shows what an
//!    interrupted write leaves: the file ends inside it, or it contains a piece of a 512-byte sector
//!    that is all zeros and should not be (each group says how many it has by right), or it ends in
//!    zero where the mark belongs. A changed byte shows none of these, so damage to the last group is
//!    found too. A group of which everything that was acknowledged has been zeroed or cut
//!    off at the file's end is beyond any log of one copy to notice.
//!
//! A torn group is cut off as a whole: none of it was acknowledged, and its batches must not be
//! taken in part (truncation and append belong together).
//!
//! # What becomes of damage
//!
//! | where | what |
//! |---|---|
//! | the last group | refused: term and vote may be gone with it |
//! | before it, and the newest snapshot with the groups after the damage is enough | repaired, nothing is lost |
//! | before it, otherwise | *healed*: the log is cut before the damage, or begins after the snapshot |
//! | a snapshot, and an older one or the log from entry 1 goes with the log | removed, nothing is lost |
//! | a snapshot, otherwise | healed: the log begins after the older snapshot, or at 1 |
//!
//! **Why healing is sound** (Alagappan et al., Protocol-Aware Recovery, FAST 2018, who found that systems
//! which truncate at damage lose what was committed). This server's acknowledgement may be one of the
//! bare majority that committed an entry. If it forgot the entry and then voted for, or became, a
//! leader without it, the entry would be lost to all. What it forgot, it knows by the rules above: each
//! readable group ends with term, vote and the end of the log, so with the last group readable the
//! hard state is the newest there was, and no vote is given twice. It may not be the newest that
//! counts in elections, as long as an entry may be missing here that it acknowledged: so it abstains.
//! That is a crashed server, as far as elections go: a leader is elected by others, of whom one has the
//! entry; and it brings the entry back as to any follower that is behind. New entries that the server
//! acknowledges meanwhile count: it has everything up to them then. The core ends it (see
//! [`Restored::abstains`](crate::raft::Restored::abstains)), and `Persist::healed` removes the mark
//! *after* the log that reaches so far is durable. The mark is written *before* anything is cut: a
//! crash between would find a shorter log without damage in it.
//! A server alone has nobody to heal from; [`inspect`] changes nothing, so that it can refuse:
//! [`Found::loss`] and [`Found::configuration`] are there for that decision.
//!
//! # Snapshots and the log
//!
//! Order is what makes each crash harmless. An own snapshot is durable before the log is compacted, and
//! then nothing but whole segments goes. An installed one that does not go with the log takes three
//! steps: a group with everything before it, the hard state of its batch and the *intent*; the snapshot;
//! a group with the *reset* and what comes after. A crash between the last two leaves a snapshot that
//! the log does not hold, and a log whose last group announces just that: then the reset is made up
//! for. Without the announcement it is no crash: a snapshot that the log needs is gone, or it is
//! another server's, and then nothing here can be trusted.
//!
//! # Other rules
//!
//! **Recovery syncs before it returns.** After the death of the process alone, the last group may be
//! in the system's cache and not on the disk. The core acts on what `open` gives it (it counts its
//! vote, it acknowledges entries), so that must be durable by then.
//!
//! **A failed write or sync poisons the store.** The system may drop dirty pages after a failed sync
//! and report success for the next one (PostgreSQL's lesson of 2018), so nothing is tried again; the
//! process has to start anew and read what is really there. A `write` whose future is dropped
//! half-way poisons as well.
//!
//! Deliberately not here: the form of the state in a snapshot (`wire::snapshot`), an index of the log
//! (Raft holds it in memory), the identity of the server, when to take snapshots and what to compact.

mod error;
mod extent;
mod inspect;
mod peers;
mod record;
mod replay;
mod scan;
mod seal;
mod segment;
mod settle;
mod snapshots;
mod store;
mod wal;

pub use error::{Damage, StorageError};
pub use inspect::{Found, inspect};
pub use peers::MODE as PEERS_MODE;
pub use snapshots::{SnapshotBytes, SnapshotStore, Staged, Staging};
pub use store::Store;

use crate::base::Faults;

/// How storage is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// A new segment is begun when the current one has reached this many bytes.
    pub segment_bytes: u64,
    /// Zeros are written ahead up to a multiple of this; 0: not at all.
    pub ahead_bytes: u64,
    /// Whether the live peer set is kept in `peers.json` (the `legacy` discipline).
    pub peers_file: bool,
    /// Planted bugs; none in what ships.
    pub faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 4 << 20, ahead_bytes: 0, peers_file: false, faults: Faults::none() }
    }
}

/// What recovery found, for the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Segments read.
    pub segments: u64,
    /// Groups replayed.
    pub groups: u64,
    /// Bytes of a torn last write that were cut off.
    pub torn_bytes: u64,
}

/// The beginning of a file of the log that says its form, bytes.
pub const LOG_HEAD: usize = segment::HEADER;

/// Which form of the log another version wrote, as the beginning of one of its files says; none: it is of this
/// version, or damaged.
#[must_use]
pub fn other_format(head: &[u8]) -> Option<u32> {
    segment::Header::other_format(head)
}
