//! Segment files: their names, their headers, how one comes to be.
//!
//! ```text
//!   name    0000000000000001.wal      the sequence number, from 1, without gaps
//!   header  magic 8 │ format u32 │ crc u32 │ sequence u64 │ first group u64 │ base index u64, term u64
//!   groups  …
//! ```
//!
//! A segment is created, its header written, the file synced and the folder synced before the first
//! group goes into it, and only after the last group of the segment before is durable. So a header
//! that is damaged in a file that holds more than a header is damage, not a crash; and a file that
//! holds no more than a damaged header is one that nobody relied on.
//!
//! `first group` and `base`, the log's last entry when the segment began, let a log begin at a later
//! segment than the first: with a snapshot that reaches at least to `base`, all segments before can be
//! dropped. A segment is dropped only once a later one has a group, since only groups hold the hard
//! state.
//!
//! After the last group the file may be longer: zeros, written ahead so that most commits change
//! nothing but content, which is what makes their sync cheap. A group never ends in zero.

use super::error::{StorageError, at};
use super::extent::Position;
use super::record::MAX_NUMBER;
use crate::base::runtime::{Disk, File};
use crate::base::{Faults, LogIndex, Term};
use crate::planted;

/// Bytes before the first group.
pub(super) const HEADER: usize = 48;
const MAGIC: [u8; 8] = *b"PCRAFTWL";
const FORMAT: u32 = 2;

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub sequence: u64,
    pub first_group: u64,
    /// The log's last entry before the first group.
    pub base: Position,
}

impl Header {
    fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_group.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.base.0.0.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.base.1.0.to_le_bytes());
        let crc = crc32c::crc32c(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header back.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let Some(bytes) = bytes.first_chunk::<HEADER>() else {
            return Err(format!(
                "expected a header of {HEADER} bytes, found a file of {} bytes",
                bytes.len()
            ));
        };
        let number = |from: usize| {
            bytes[from..from + 8].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        if bytes[..8] != MAGIC {
            return Err("expected the header of a Raft log segment".to_owned());
        }
        let mut unsealed = *bytes;
        unsealed[12..16].fill(0);
        if bytes[12..16] != crc32c::crc32c(&unsealed).to_le_bytes() {
            return Err("expected a header whose checksum matches".to_owned());
        }
        let format = number(8) as u32; // the checksum behind it is cut off
        if format != FORMAT {
            return Err(format!("expected format {FORMAT}, found format {format}"));
        }
        if [16, 24, 32, 40].into_iter().any(|from| number(from) > MAX_NUMBER) {
            return Err("expected numbers that a log can reach".to_owned());
        }
        let base = (LogIndex(number(32)), Term(number(40)));
        Ok(Self { sequence: number(16), first_group: number(24), base })
    }

    /// The format of a whole header that another version wrote; none: it is of this one, or none at all.
    pub fn other_format(bytes: &[u8]) -> Option<u32> {
        let bytes = bytes.first_chunk::<HEADER>()?;
        let mut unsealed = *bytes;
        unsealed[12..16].fill(0);
        let is_whole =
            bytes[..8] == MAGIC && bytes[12..16] == crc32c::crc32c(&unsealed).to_le_bytes();
        let format = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        (is_whole && format != FORMAT).then_some(format)
    }

    /// Creates the segment with this header, durably, and gives it open. What a crash left of an
    /// earlier try is overwritten.
    pub async fn create<D: Disk>(
        &self,
        disk: &D,
        folder: &str,
        faults: &Faults,
    ) -> Result<D::File, StorageError> {
        let path = path(folder, self.sequence);
        let file = disk.open(&path, true).await.map_err(at("create", &path))?;
        file.set_len(0).await.map_err(at("empty", &path))?;
        file.write_at(0, &self.encode()).await.map_err(at("write", &path))?;
        file.sync().await.map_err(at("sync", &path))?;
        // Oracle: durability. The file is durable, its name is not.
        if !planted!(faults, "folder-not-synced") {
            disk.sync_dir(folder).await.map_err(at("sync", folder))?;
        }
        Ok(file)
    }
}

/// The path of a segment.
pub(super) fn path(folder: &str, sequence: u64) -> String {
    format!("{folder}/{sequence:016}.wal")
}

/// The sequence number in a segment's name; none for the name of anything else.
pub(super) fn sequence(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".wal")?;
    let all = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| digits.parse().ok()).flatten()
}
