//! A server's log as its events tell it, with a chain of hashes.
//!
//! ```text
//!  index   1        2        3
//!         ┌────────┬────────┬────────┐
//!  chain  │ h(0,e1)│ h(c1,e2)│ h(c2,e3)│    equal chains at an index ⇔ equal logs up to it
//!         └────────┴────────┴────────┘
//! ```
//!
//! So "these two logs are identical up to i" is one comparison, at any length.
//!
//! Compaction does not shorten it: what a snapshot stands for is still what the log said.

use xxhash_rust::xxh3::xxh3_64;

use super::event::EntryRef;

/// An entry in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its term.
    pub term: u64,
    /// Its content.
    pub hash: u64,
    /// The content of everything up to it.
    pub chain: u64,
}

/// How an appended entry fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// Right after the last one.
    Next,
    /// In the place of an entry that was not truncated first: it and all after it are gone.
    Overwrote,
    /// Beyond the next index: what was there is forgotten.
    Gap,
}

/// A log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeLog {
    /// Entries up to this index are not here (the first entry has `before + 1`).
    before: u64,
    slots: Vec<Slot>,
}

impl NodeLog {
    /// The log that recovery found, from its first index.
    #[must_use]
    pub fn of(entries: &[EntryRef]) -> Self {
        let mut log = Self::default();
        entries.iter().for_each(|entry| {
            log.append(entry);
        });
        log
    }

    /// This log up to and including an index.
    #[must_use]
    pub fn up_to(&self, index: u64) -> Self {
        let mut log = self.clone();
        log.truncate(index.saturating_add(1));
        log
    }

    /// Whether the entry at this index is of this term.
    #[must_use]
    pub fn holds(&self, index: u64, term: u64) -> bool {
        self.get(index).is_some_and(|slot| slot.term == term)
    }

    /// Index that the first entry has, or would have.
    #[must_use]
    pub fn first_index(&self) -> u64 {
        self.before.saturating_add(1)
    }

    /// Index of the last entry; 0 when there is none.
    #[must_use]
    pub fn last_index(&self) -> u64 {
        self.before.saturating_add(self.slots.len() as u64)
    }

    /// The last entry.
    #[must_use]
    pub fn last(&self) -> Option<&Slot> {
        self.slots.last()
    }

    /// The entry at an index.
    #[must_use]
    pub fn get(&self, index: u64) -> Option<&Slot> {
        let place = index.checked_sub(self.first_index())?;
        self.slots.get(usize::try_from(place).ok()?)
    }

    /// Adds an entry.
    pub fn append(&mut self, entry: &EntryRef) -> Placed {
        let next = self.last_index().saturating_add(1);
        let placed = match entry.index {
            index if index == next => Placed::Next,
            index if index > self.before && index < next => {
                self.truncate(index);
                Placed::Overwrote
            }
            index => {
                self.slots.clear();
                self.before = index.saturating_sub(1);
                Placed::Gap
            }
        };
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.last().map_or(0, |slot| slot.chain).to_le_bytes());
        bytes[8..16].copy_from_slice(&entry.term.to_le_bytes());
        bytes[16..].copy_from_slice(&entry.hash.to_le_bytes());
        self.slots.push(Slot { term: entry.term, hash: entry.hash, chain: xxh3_64(&bytes) });
        placed
    }

    /// Deletes this index and all after it.
    pub fn truncate(&mut self, from: u64) {
        let keep = from.saturating_sub(self.first_index());
        self.slots.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
    }

    /// Whether both logs are the same up to and including this index.
    #[must_use]
    pub fn agrees(&self, other: &NodeLog, index: u64) -> bool {
        index == 0 || (self.get(index).is_some() && self.get(index) == other.get(index))
    }
}
