//! The write-ahead log: what Raft must not forget, on a [`Disk`].
//!
//! ```text
//!   raft/0000000000000001.wal   header │ group 1 │ group 2 │ … │ group 40
//!   raft/0000000000000002.wal   header │ group 41 │ …                       ◄─ written at its end
//!
//!   group = group record {number, length} │ records of all batches of one commit │ mark
//! ```
//!
//! **Contract.** [`LogStore::write`] appends the records of all given batches as one group, then syncs
//! once (group commit). When it returns `Ok`, all of them survive a power cut. [`LogStore::open`]
//! gives back the state after some group, at least the last one that `write` returned `Ok` for, or
//! refuses with file and offset. It never goes on without something that was acknowledged.
//!
//! **A torn write and damage look alike; this is how they are told apart.** A group is written only
//! after the sync of the group before it succeeded. So:
//! 1. Only the last group of the last segment can be torn. If anything follows a group, be it one
//!    byte or a later segment, that group was durable and may have been acknowledged: whatever is
//!    wrong in it is damage, and the store refuses.
//! 2. When the record that begins a group is unreadable, its length is unknown; then the rest of the
//!    segment is searched for a later group's record, and finding one is damage by rule 1. (Its
//!    checksum covers segment, offset and a number that must be later, so stored data does not look
//!    like one by chance.)
//! 3. The last group may have been acknowledged as well. It counts as torn only if it shows what an
//!    interrupted write leaves: the file ends inside it, or it contains a piece of a 512-byte sector
//!    that is all zeros and should not be (each group says how many it has by right), or it ends in
//!    zero where the mark belongs. A changed byte shows none of these, so damage to the last group is
//!    refused too. A group of which everything that was acknowledged has been zeroed or cut
//!    off at the file's end is beyond any log of one copy to notice.
//!
//! A torn group is cut off as a whole: none of it was acknowledged, and its batches must not be
//! taken in part (truncation and append belong together).
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
//! Deliberately not here: snapshots (whole segments can be dropped at the front once they exist:
//! `segment.rs`), an index of the log (Raft holds it in memory), the identity of the server.

mod error;
mod record;
mod recovery;
mod segment;

pub use error::StorageError;

use error::at;
use record::Encoder;
use segment::Header;

use crate::base::runtime::{Disk, File};
use crate::base::{Faults, LogIndex};
use crate::raft::{HardState, Persist, Restored};
use crate::{invariant, planted};

/// How the log is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// A new segment is begun when the current one has reached this many bytes.
    pub segment_bytes: u64,
    /// Planted bugs; none in what ships.
    pub faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 4 << 20, faults: Faults::none() }
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

/// A buffer that one large group made larger than this is given back.
const KEPT_BUFFER: usize = 1 << 20;

/// The write-ahead log, open for appending.
pub struct LogStore<D: Disk> {
    disk: D,
    folder: String,
    options: Options,
    file: D::File,
    /// Of the current segment.
    path: String,
    segment: u64,
    /// Where the next group goes in the current segment.
    end: u64,
    /// The number of the next group.
    group: u64,
    next_index: LogIndex,
    hard_state: HardState,
    recovered: Recovered,
    buffer: Vec<u8>,
    poisoned: Option<String>,
}

impl<D: Disk> LogStore<D> {
    /// Opens the log in this folder of the disk, creating it when there is none, and gives what
    /// it holds.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] when what was acknowledged may be missing; [`StorageError::Io`].
    pub async fn open(
        disk: D,
        folder: &str,
        options: Options,
    ) -> Result<(Self, Restored), StorageError> {
        create_folder(&disk, folder).await?;
        let found = recovery::recover(&disk, folder, &options.faults).await?;
        let store = Self {
            disk,
            folder: folder.to_owned(),
            options,
            file: found.file,
            path: segment::path(folder, found.segment),
            segment: found.segment,
            end: found.end,
            group: found.next_group,
            next_index: found.log.next_index,
            hard_state: found.log.restored.hard_state.clone(),
            recovered: found.recovered,
            buffer: Vec::new(),
            poisoned: None,
        };
        Ok((store, found.log.restored))
    }

    /// What recovery found when the log was opened.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Why nothing can be written any more, if so.
    #[must_use]
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Makes these batches durable, in their order, with one write and one sync.
    ///
    /// # Errors
    /// [`StorageError::Io`], after which the store is poisoned; [`StorageError::Poisoned`] then.
    ///
    /// # Panics
    /// When a batch does not continue the log: going on would make the log unreadable.
    pub async fn write(&mut self, batches: &[Persist]) -> Result<(), StorageError> {
        if let Some(cause) = &self.poisoned {
            return Err(StorageError::Poisoned { cause: cause.clone() });
        }
        if batches.iter().all(is_empty) {
            return Ok(());
        }
        self.poisoned = Some("a write was abandoned".to_owned());
        let done = self.commit(batches).await;
        self.poisoned = done.as_ref().err().map(ToString::to_string);
        done
    }

    async fn commit(&mut self, batches: &[Persist]) -> Result<(), StorageError> {
        if self.end >= self.options.segment_bytes && self.end > segment::HEADER as u64 {
            self.begin_segment().await?;
        }
        self.encode(batches);
        let path = self.path.as_str();
        self.file.write_at(self.end, &self.buffer).await.map_err(at("write", path))?;
        if !planted!(self.options.faults, "storage-skips-sync") {
            self.file.sync().await.map_err(at("sync", path))?;
        }
        self.end += self.buffer.len() as u64;
        self.group += 1;
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER);
        Ok(())
    }

    /// All groups so far are durable, which is what makes the new file's mere existence a proof.
    async fn begin_segment(&mut self) -> Result<(), StorageError> {
        let header = Header {
            sequence: self.segment + 1,
            first_group: self.group,
            next_index: self.next_index,
        };
        self.file = header.create(&self.disk, &self.folder).await?;
        self.path = segment::path(&self.folder, header.sequence);
        self.segment = header.sequence;
        self.end = segment::HEADER as u64;
        Ok(())
    }

    /// Fills the buffer with the group, and takes note of what the log holds after it.
    fn encode(&mut self, batches: &[Persist]) {
        let mut encoder =
            Encoder { buffer: &mut self.buffer, segment: self.segment, base: self.end };
        encoder.begin_group();
        if self.end == segment::HEADER as u64 && self.segment > 1 {
            encoder.hard_state(&self.hard_state);
        }
        for batch in batches {
            if let Some(state) = &batch.hard_state
                && !planted!(self.options.faults, "hard-state-not-written")
            {
                encoder.hard_state(state);
                self.hard_state.clone_from(state);
            }
            if let Some(from) = batch.truncate_from {
                invariant!(from > LogIndex(0), "the log is truncated from index 0");
                encoder.truncate(from);
                self.next_index = self.next_index.min(from);
            }
            encoder.append(&batch.append);
            for entry in &batch.append {
                invariant!(
                    entry.index == self.next_index,
                    "entry {} is appended where {} belongs",
                    entry.index,
                    self.next_index
                );
                self.next_index = entry.index.next();
            }
        }
        encoder.end_group(self.group);
    }
}

fn is_empty(batch: &Persist) -> bool {
    batch.hard_state.is_none() && batch.truncate_from.is_none() && batch.append.is_empty()
}

/// Creates the folder and makes its name and those above it durable.
async fn create_folder<D: Disk>(disk: &D, folder: &str) -> Result<(), StorageError> {
    disk.create_dir_all(folder).await.map_err(at("create", folder))?;
    let mut below = folder;
    while !below.is_empty() {
        let above = below.rsplit_once('/').map_or("", |(above, _)| above);
        disk.sync_dir(above).await.map_err(at("sync", above))?;
        below = above;
    }
    Ok(())
}
