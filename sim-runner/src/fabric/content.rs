//! The content of one file: as processes see it, as the platters have it, and what lies between.
//!
//! Reads and writes work on `live`. Every change is also kept in `pending` until a sync applies it to
//! `durable`; a power cut throws `live` away and applies what it leaves of `pending`.

use proconsul::base::{Prng, Ratio};

use super::policy::Keep;

/// A write is torn at multiples of this.
const SECTOR_BYTES: u64 = 512;

/// The content of a file.
#[derive(Default)]
pub(super) struct FileImage {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// Changes that have left `pending`, ever.
    settled: u64,
}

enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

impl FileImage {
    pub fn len(&self) -> u64 {
        self.live.len() as u64
    }

    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> usize {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.live.len());
        let taken = into.len().min(self.live.len() - start);
        into[..taken].copy_from_slice(&self.live[start..start + taken]);
        taken
    }

    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) {
        self.change(Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub fn set_len(&mut self, len: u64) {
        self.change(Change::SetLen(len));
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    /// The changes so far; [`FileImage::settle`] makes these durable.
    pub fn changes(&self) -> u64 {
        self.settled + self.pending.len() as u64
    }

    /// Makes the first `changes` changes durable.
    pub fn settle(&mut self, changes: u64) {
        let count = usize::try_from(changes.saturating_sub(self.settled)).unwrap_or(usize::MAX);
        let count = count.min(self.pending.len());
        for change in self.pending.drain(..count) {
            change.apply(&mut self.durable);
        }
        self.settled += count as u64;
    }

    /// What the cut leaves becomes the content; how many bytes were written and are lost.
    pub fn lose_power(&mut self, keep: Keep, cuts: &mut Prng) -> u64 {
        let pending = std::mem::take(&mut self.pending);
        let count = pending.len() as u64;
        self.settled += count;
        let half = Ratio::new(1, 2);
        let subset = keep == Keep::Some && count > 0 && cuts.chance(half);
        let prefix = match keep {
            Keep::Synced => 0,
            Keep::All => count,
            Keep::Some if count == 0 || subset => 0,
            Keep::Some => cuts.below(count + 1),
        };
        let mut lost = 0;
        for (place, change) in pending.into_iter().enumerate() {
            let place = place as u64;
            if place < prefix || (subset && cuts.chance(half)) {
                change.apply(&mut self.durable);
            } else if keep == Keep::Some && !subset && place == prefix {
                lost += change.tear(cuts).map_or(0, |(part, torn_off)| {
                    part.apply(&mut self.durable);
                    torn_off
                });
            } else {
                lost += change.bytes();
            }
        }
        self.live.clone_from(&self.durable);
        lost
    }
}

impl Change {
    fn bytes(&self) -> u64 {
        match self {
            Self::Write { bytes, .. } => bytes.len() as u64,
            Self::SetLen(_) => 0,
        }
    }

    /// The sectors of a write that made it, and how many bytes did not.
    fn tear(self, cuts: &mut Prng) -> Option<(Self, u64)> {
        let Self::Write { offset, mut bytes } = self else {
            return None;
        };
        let whole = bytes.len() as u64;
        let first_boundary = SECTOR_BYTES - offset % SECTOR_BYTES;
        let boundaries = if whole <= first_boundary {
            0
        } else {
            (whole - first_boundary).div_ceil(SECTOR_BYTES)
        };
        let kept = match cuts.below(boundaries + 1) {
            0 => 0,
            sectors => first_boundary + (sectors - 1) * SECTOR_BYTES,
        };
        bytes.truncate(kept as usize);
        Some((Self::Write { offset, bytes }, whole - kept))
    }

    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { bytes, .. } if bytes.is_empty() => {}
            Self::Write { offset, bytes } => {
                let start = *offset as usize;
                let end = start + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[start..end].copy_from_slice(bytes);
            }
            Self::SetLen(len) => content.resize(*len as usize, 0),
        }
    }
}
