//! Reading the log back, and telling a torn last write from damage (the rules are in the essay of
//! [`persist`](super)).
//!
//! ```text
//!   segments in order ── header fits? ── groups in order ── records ──► term, vote, entries
//!                                          │ bad
//!                                          ▼
//!             last of the last segment, and looks interrupted? ── yes ─► cut, sync, go on
//!                                          │ no
//!                                          ▼
//!                                       Corrupt
//! ```

use super::Recovered;
use super::error::{StorageError, at};
use super::record::{self, BadRecord, GROUP_RECORD, Group, MARK, Record, SECTOR};
use super::segment::{self, HEADER, Header};
use crate::base::runtime::{Disk, File};
use crate::base::{Faults, LogIndex};
use crate::planted;
use crate::raft::Restored;

/// The state that the groups read so far add up to.
pub(super) struct Log {
    pub restored: Restored,
    pub next_index: LogIndex,
}

/// A log that was read and can be appended to.
pub(super) struct Found<D: Disk> {
    pub log: Log,
    pub file: D::File,
    pub segment: u64,
    pub end: u64,
    pub next_group: u64,
    pub recovered: Recovered,
}

/// A segment in memory.
struct Segment {
    path: String,
    sequence: u64,
    bytes: Vec<u8>,
    last: bool,
}

/// Where a segment's good groups end, and the next group's number.
struct Replayed {
    end: usize,
    next_group: u64,
}

/// Reads the log of a folder, cuts off a torn last write, and makes the rest durable.
pub(super) async fn recover<D: Disk>(
    disk: &D,
    folder: &str,
    faults: &Faults,
) -> Result<Found<D>, StorageError> {
    let sequences = list(disk, folder).await?;
    let mut log = Log { restored: Restored::default(), next_index: LogIndex(1) };
    let mut recovered = Recovered::default();
    let mut next_group = 1;
    for (position, &sequence) in sequences.iter().enumerate() {
        let path = segment::path(folder, sequence);
        let bytes = disk.read(&path).await.map_err(at("read", &path))?;
        let last = position + 1 == sequences.len();
        let segment = Segment { path, sequence, bytes, last };
        if !segment.check_header(next_group, log.next_index)? {
            recovered.torn_bytes = segment.bytes.len() as u64;
            break;
        }
        let replayed = segment.replay(next_group, &mut log, faults)?;
        recovered.segments += 1;
        recovered.groups += replayed.next_group - next_group;
        next_group = replayed.next_group;
        if last {
            recovered.torn_bytes = (segment.bytes.len() - replayed.end) as u64;
            let file = settle(disk, folder, &segment, replayed.end).await?;
            let end = replayed.end as u64;
            return Ok(Found { log, file, segment: sequence, end, next_group, recovered });
        }
    }
    // No segment yet, or only the beginning of one that nothing was ever written to.
    let sequence = recovered.segments + 1;
    let header = Header { sequence, first_group: next_group, next_index: log.next_index };
    let file = header.create(disk, folder).await?;
    Ok(Found { log, file, segment: sequence, end: HEADER as u64, next_group, recovered })
}

/// The sequence numbers of the segments, which must be 1, 2, 3 and so on.
async fn list<D: Disk>(disk: &D, folder: &str) -> Result<Vec<u64>, StorageError> {
    let names = disk.read_dir(folder).await.map_err(at("list", folder))?;
    let sequences: Vec<u64> = names.iter().filter_map(|name| segment::sequence(name)).collect();
    for (expected, &found) in (1..).zip(&sequences) {
        if found != expected {
            return Err(StorageError::Corrupt {
                file: segment::path(folder, expected),
                offset: 0,
                what: format!("expected this segment before segment {found}, found no such file"),
            });
        }
    }
    Ok(sequences)
}

/// Makes the last segment hold exactly what was replayed, durably, and opens it. The folder too:
/// the process may have died between creating the file and syncing its name.
async fn settle<D: Disk>(
    disk: &D,
    folder: &str,
    segment: &Segment,
    end: usize,
) -> Result<D::File, StorageError> {
    let path = segment.path.as_str();
    let file = disk.open(path, false).await.map_err(at("open", path))?;
    if end < segment.bytes.len() {
        file.set_len(end as u64).await.map_err(at("cut the torn end of", path))?;
    }
    file.sync().await.map_err(at("sync", path))?;
    disk.sync_dir(folder).await.map_err(at("sync", folder))?;
    Ok(file)
}

impl Segment {
    fn corrupt(&self, offset: usize, what: impl Into<String>) -> StorageError {
        StorageError::Corrupt { file: self.path.clone(), offset: offset as u64, what: what.into() }
    }

    /// Whether the header is there; false when the file is what a crash during its creation leaves.
    fn check_header(&self, first_group: u64, next_index: LogIndex) -> Result<bool, StorageError> {
        let expected = Header { sequence: self.sequence, first_group, next_index };
        match Header::decode(&self.bytes) {
            Ok(header) if header == expected => Ok(true),
            Ok(header) => Err(self.corrupt(
                0,
                format!(
                    "expected segment {} from group {first_group} and index {next_index}, found \
                     segment {} from group {} and index {}",
                    self.sequence, header.sequence, header.first_group, header.next_index
                ),
            )),
            // Groups go into a segment only after its header is durable.
            Err(_) if self.last && self.bytes.len() <= HEADER => Ok(false),
            Err(what) => Err(self.corrupt(0, what)),
        }
    }

    /// Applies the groups of the segment.
    fn replay(
        &self,
        first_group: u64,
        log: &mut Log,
        faults: &Faults,
    ) -> Result<Replayed, StorageError> {
        let mut at = HEADER;
        let mut number = first_group;
        while at < self.bytes.len() {
            let Some(group) = record::group_at(&self.bytes, self.sequence, at) else {
                self.must_be_torn_record(at, number)?;
                break;
            };
            if group.number != number {
                let what = format!("expected group {number}, found group {}", group.number);
                return Err(self.corrupt(at, what));
            }
            let end = at + GROUP_RECORD + group.body as usize;
            let records = match self.records(at, end) {
                Ok(records) => records,
                Err(bad) => {
                    self.must_be_torn_group(at, end, group, bad)?;
                    break;
                }
            };
            if planted!(faults, "storage-drops-tail-record") && self.last && end == self.bytes.len()
            {
                break;
            }
            for (offset, record) in records {
                self.apply(offset, record, log)?;
            }
            at = end;
            number += 1;
        }
        Ok(Replayed { end: at, next_group: number })
    }

    /// All records of the group from `at` to `end`, or where and why there are not.
    fn records(&self, at: usize, end: usize) -> Result<Vec<(usize, Record)>, (usize, BadRecord)> {
        let mut records = Vec::new();
        let mut offset = at + GROUP_RECORD;
        let group = self.bytes.get(..end).ok_or((at, BadRecord::Damaged))?;
        while offset + 1 < end {
            let (record, size) =
                record::record_at(group, self.sequence, offset).map_err(|bad| (offset, bad))?;
            records.push((offset, record));
            offset += size;
        }
        if offset + 1 == end && group[offset] == MARK {
            Ok(records)
        } else {
            Err((offset, BadRecord::Damaged))
        }
    }

    fn apply(&self, offset: usize, record: Record, log: &mut Log) -> Result<(), StorageError> {
        match record {
            Record::HardState(state) => log.restored.hard_state = state,
            Record::Truncate(from) => {
                let kept = from.0.saturating_sub(1).min(log.restored.entries.len() as u64);
                log.restored.entries.truncate(kept as usize);
                log.next_index = log.next_index.min(from);
            }
            Record::Append(entries) => {
                if let Some(first) = entries.first().filter(|it| it.index != log.next_index) {
                    let what =
                        format!("expected entry {}, found entry {}", log.next_index, first.index);
                    return Err(self.corrupt(offset, what));
                }
                log.next_index.0 += entries.len() as u64;
                log.restored.entries.extend(entries);
            }
        }
        Ok(())
    }

    /// The record of group `number` at `at` is unreadable.
    fn must_be_torn_record(&self, at: usize, number: u64) -> Result<(), StorageError> {
        let expected = format!("expected the record of group {number}, whose checksum matches");
        if !self.last {
            return Err(self.corrupt(at, format!("{expected}; a later segment follows")));
        }
        let later = (at + 1..self.bytes.len()).find(|&offset| {
            record::group_at(&self.bytes, self.sequence, offset)
                .is_some_and(|group| group.number > number)
        });
        if let Some(later) = later {
            let what = format!("{expected}; a later group follows at byte {later}");
            return Err(self.corrupt(at, what));
        }
        let Some(head) = self.bytes.get(at..at + GROUP_RECORD) else { return Ok(()) };
        if interrupted(head, at, 0) {
            return Ok(());
        }
        Err(self.corrupt(at, expected))
    }

    /// The record of the group from `at` to `end` is good and something after it is not.
    fn must_be_torn_group(
        &self,
        at: usize,
        end: usize,
        group: Group,
        (offset, bad): (usize, BadRecord),
    ) -> Result<(), StorageError> {
        let what = match bad {
            BadRecord::Damaged => {
                format!("expected a record of group {}, whose checksum matches", group.number)
            }
            BadRecord::Nonsense(what) => format!("expected a record of format 1, found {what}"),
        };
        if !self.last {
            return Err(self.corrupt(offset, format!("{what}; a later segment follows")));
        }
        if end < self.bytes.len() {
            return Err(
                self.corrupt(offset, format!("{what}; a later write follows at byte {end}"))
            );
        }
        match self.bytes.get(at..end) {
            Some(bytes)
                if matches!(bad, BadRecord::Nonsense(_))
                    || !interrupted(bytes, at, group.zero_sectors as usize) =>
            {
                Err(self.corrupt(offset, what))
            }
            _ => Ok(()),
        }
    }
}

/// Whether bytes that end in a mark and begin at `at` of the file look like a write of which not
/// everything arrived: more zeroed pieces of a sector than `zero_by_right`, or zero for the mark.
fn interrupted(bytes: &[u8], at: usize, zero_by_right: usize) -> bool {
    let base = at as u64 % SECTOR;
    bytes.last() == Some(&0) || record::zero_sectors(bytes, base) > zero_by_right
}
