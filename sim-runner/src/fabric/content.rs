//! The content of one file: as processes see it, as the platters have it, and what lies between.
//!
//! Reads and writes work on `live`. Every change is also kept in `pending` until a sync applies it to
//! `durable`; a power cut throws `live` away and applies what it leaves of `pending`.

use proconsul::base::{Prng, Ratio};

use super::policy::Keep;

/// A write is torn at multiples of this.
pub(super) const SECTOR_BYTES: u64 = 512;

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

    /// The first `changes` changes will never be durable: a sync of them failed, and the system took
    /// their pages for clean all the same. Processes go on seeing them.
    pub fn forget(&mut self, changes: u64) {
        let count = usize::try_from(changes.saturating_sub(self.settled)).unwrap_or(usize::MAX);
        let count = count.min(self.pending.len());
        self.pending.drain(..count);
        self.settled += count as u64;
    }

    /// Flips one bit, in what processes see and on the platter.
    pub fn flip(&mut self, byte: u64, bit: u8) {
        for content in [&mut self.live, &mut self.durable] {
            if let Some(byte) = content.get_mut(byte as usize) {
                *byte ^= 1 << bit;
            }
        }
    }

    /// As if the write of sector `from` had gone to sector `to`: its content stands there, and zeros
    /// where it should be.
    pub fn misdirect(&mut self, from: u64, to: u64) {
        for content in [&mut self.live, &mut self.durable] {
            let start = ((from * SECTOR_BYTES) as usize).min(content.len());
            let end = (start + SECTOR_BYTES as usize).min(content.len());
            let bytes = content[start..end].to_vec();
            content[start..end].fill(0);
            Change::Write { offset: to * SECTOR_BYTES, bytes }.apply(content);
        }
    }

    /// Power is cut in the middle of the last write, if that is not durable yet: what was written
    /// before is on the platter, and of this write only some sectors are. None when there is no such
    /// write; else how many bytes of it are lost.
    pub fn tear_last(&mut self, cuts: &mut Prng) -> Option<u64> {
        let last = self.pending.iter().rposition(|change| change.bytes() > 0)?;
        let mut pending = std::mem::take(&mut self.pending);
        self.settled += pending.len() as u64;
        pending.truncate(last + 1);
        let torn = pending.pop()?;
        for change in pending {
            change.apply(&mut self.durable);
        }
        let lost = torn.tear_anywhere(cuts, &mut self.durable);
        self.live.clone_from(&self.durable);
        Some(lost)
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

    /// Applies a drawn part of a write's sectors: some, and not all where there are several. How many
    /// bytes did not make it.
    fn tear_anywhere(self, cuts: &mut Prng, content: &mut Vec<u8>) -> u64 {
        let Self::Write { offset, bytes } = self else { return 0 };
        let end = offset + bytes.len() as u64;
        let first = offset / SECTOR_BYTES;
        let sectors = end.div_ceil(SECTOR_BYTES) - first;
        let mut arrives: Vec<bool> = (0..sectors).map(|_| cuts.chance(Ratio::new(1, 2))).collect();
        // Several sectors are torn for certain.
        if sectors > 1 && arrives.iter().all(|one| *one == arrives[0]) {
            let odd = cuts.below(sectors) as usize;
            arrives[odd] = !arrives[odd];
        }
        let mut lost = 0;
        for (sector, arrives) in (first..).zip(arrives) {
            let from = (sector * SECTOR_BYTES).max(offset);
            let to = ((sector + 1) * SECTOR_BYTES).min(end);
            if arrives {
                let part = bytes[(from - offset) as usize..(to - offset) as usize].to_vec();
                Self::Write { offset: from, bytes: part }.apply(content);
            } else {
                lost += to - from;
            }
        }
        lost
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
