//! The write-ahead log, open for appending: groups at the end, segments dropped at the front.
//!
//! What a group holds and when it is written is [`store`](super::store)'s business. Here each group
//! is one write and one sync, and the log's extent is kept, so that an append that does not continue
//! the log is noticed before it is written.

use super::Options;
use super::error::{StorageError, at};
use super::extent::{Extent, Position};
use super::record::Encoder;
use super::segment::{self, Header};
use crate::base::LogIndex;
use crate::base::runtime::{Disk, File};
use crate::raft::{Entry, HardState};
use crate::{invariant, planted};

/// A buffer that one large group made larger than this is given back.
const KEPT_BUFFER: usize = 1 << 20;

/// What a group does to the log.
pub(super) enum Change<'a> {
    HardState(&'a HardState),
    /// This snapshot is about to take the log's place.
    Install(Position),
    /// The log is empty and begins after this entry.
    Reset(Position),
    Truncate(LogIndex),
    Append(&'a [Entry]),
}

/// The write-ahead log of a server.
pub(super) struct Wal<D: Disk> {
    pub disk: D,
    pub folder: String,
    pub options: Options,
    pub file: D::File,
    /// All segments, with the last entry before each; groups go into the last one.
    pub segments: Vec<(u64, Position)>,
    /// Where the next group goes in it.
    pub end: u64,
    /// Up to here it has been written, with zeros at least.
    pub written: u64,
    /// The segment with the last reset; 0 when there was none in this life.
    pub reset_in: u64,
    /// The number of the next group.
    pub group: u64,
    pub extent: Extent,
    pub hard_state: HardState,
    pub buffer: Vec<u8>,
}

impl<D: Disk> Wal<D> {
    fn segment(&self) -> u64 {
        self.segments.last().map_or(1, |segment| segment.0)
    }

    /// Makes these changes durable, in their order, all or none of them.
    pub async fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StorageError> {
        if changes.is_empty() {
            return Ok(());
        }
        if self.end >= self.options.segment_bytes && self.end > segment::HEADER as u64 {
            self.begin_segment().await?;
        }
        self.encode(changes);
        let used = self.buffer.len() as u64;
        self.write_ahead();
        let path = segment::path(&self.folder, self.segment());
        self.file.write_at(self.end, &self.buffer).await.map_err(at("write", &path))?;
        // Oracle: durability. What was acknowledged is gone after a power cut.
        if !planted!(self.options.faults, "storage-skips-sync") {
            let mut synced = self.file.sync().await;
            // Oracle: durability. The pages of a failed sync count as clean: the next one succeeds,
            // and has written nothing.
            if synced.is_err() && planted!(self.options.faults, "sync-error-ignored") {
                synced = self.file.sync().await;
            }
            synced.map_err(at("sync", &path))?;
        }
        self.written = self.written.max(self.end + self.buffer.len() as u64);
        self.end += used;
        self.group += 1;
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_BUFFER);
        Ok(())
    }

    /// Adds zeros to a group that goes beyond what has been written, so that the next groups change
    /// no length and need no new place: their sync writes content alone.
    fn write_ahead(&mut self) {
        let end = self.end + self.buffer.len() as u64;
        if end > self.written && self.options.ahead_bytes > 0 {
            let ahead = end.next_multiple_of(self.options.ahead_bytes);
            let ahead = ahead.min(self.options.segment_bytes.max(end));
            self.buffer.resize(self.buffer.len() + (ahead - end) as usize, 0);
        }
    }

    /// All groups so far are durable, which is what makes the new file's mere existence a proof.
    pub async fn begin_segment(&mut self) -> Result<(), StorageError> {
        let header = Header {
            sequence: self.segment() + 1,
            first_group: self.group,
            base: self.extent.last(),
        };
        self.file = header.create(&self.disk, &self.folder, &self.options.faults).await?;
        self.segments.push((header.sequence, header.base));
        self.end = segment::HEADER as u64;
        self.written = self.end;
        Ok(())
    }

    /// Fills the buffer with the group, and takes note of what the log holds after it.
    fn encode(&mut self, changes: &[Change<'_>]) {
        let segment = self.segment();
        let mut encoder = Encoder { buffer: &mut self.buffer, segment, base: self.end };
        encoder.begin_group();
        for change in changes {
            match change {
                Change::HardState(state) => {
                    // Oracle: vote-durability. Term and vote stay in memory.
                    if !planted!(self.options.faults, "hard-state-not-written") {
                        self.hard_state.clone_from(state);
                    }
                }
                Change::Install(snapshot) => encoder.install(*snapshot),
                Change::Reset(base) => {
                    encoder.reset(*base);
                    self.reset_in = segment;
                    self.extent = Extent::after(*base);
                }
                Change::Truncate(from) => {
                    let before = self.extent.term_at(LogIndex(from.0.saturating_sub(1)));
                    invariant!(
                        *from > self.extent.base().0,
                        "a log that begins after entry {} is truncated from {from}",
                        self.extent.base().0
                    );
                    if let Some(term_before) = before {
                        encoder.truncate(*from, term_before);
                        self.extent.truncate(*from, term_before);
                    }
                }
                Change::Append(entries) => {
                    encoder.append(entries);
                    for entry in *entries {
                        let next = self.extent.last().0.next();
                        invariant!(
                            entry.index == next,
                            "entry {} is appended where {next} belongs",
                            entry.index
                        );
                        self.extent.push(entry.term);
                    }
                }
            }
        }
        encoder.state(&self.hard_state, self.extent.last());
        encoder.end_group(self.group);
    }

    /// Drops the front segments that hold no entry after this one.
    pub async fn drop_to(&mut self, index: LogIndex) -> Result<(), StorageError> {
        // What a segment and all before it hold is at or below the base of the next.
        let enough = self.segments.iter().skip(1).take_while(|next| next.1.0 <= index).count();
        self.drop_front(enough).await
    }

    /// Drops the segments before the last reset. That need not be in the current segment: what was
    /// appended to the same group of batches may have begun another one.
    pub async fn drop_before_reset(&mut self) -> Result<(), StorageError> {
        let enough = self.segments.iter().take_while(|segment| segment.0 < self.reset_in).count();
        self.drop_front(enough).await
    }

    /// Drops this many segments at the front. Their names may come back after a power cut, which does
    /// no harm: the first that is there comes first in the log.
    async fn drop_front(&mut self, mut count: usize) -> Result<(), StorageError> {
        // The hard state is only in groups.
        if self.end == segment::HEADER as u64 {
            count = count.min(self.segments.len().saturating_sub(2));
        }
        if count == 0 {
            return Ok(());
        }
        for (sequence, _) in self.segments.drain(..count) {
            let path = segment::path(&self.folder, sequence);
            self.disk.remove(&path).await.map_err(at("remove", &path))?;
        }
        self.disk.sync_dir(&self.folder).await.map_err(at("sync", &self.folder))
    }
}
