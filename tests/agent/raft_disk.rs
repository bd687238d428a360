//! What a server of the Raft tests keeps: its log, its snapshot, and the state of its state machine,
//! which is a running hash of what it has applied.

use std::collections::BTreeMap;

use proconsul::base::{LogIndex, ServerAddress, Term};
use proconsul::raft::{Entry, HardState, Persist, Restored, SnapshotMeta, SnapshotSource};

/// The disk forgets compacted entries in pieces of so many, as one does that keeps files.
const SEGMENT: u64 = 3;

/// The end of a log: what stands before it is compacted or was never there.
#[derive(Clone, Debug, Default)]
pub struct Log {
    start: (LogIndex, Term),
    pub entries: Vec<Entry>,
}

impl Log {
    pub fn of(entries: Vec<Entry>) -> Self {
        Self { start: (LogIndex(0), Term(0)), entries }
    }

    pub fn get(&self, index: LogIndex) -> Option<&Entry> {
        let at = index.0.checked_sub(self.start.0.0 + 1)?;
        self.entries.get(at as usize)
    }

    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.start.0 {
            return Some(self.start.1);
        }
        self.get(index).map(|entry| entry.term)
    }

    /// Where it begins: a snapshot stands for what comes before.
    pub fn start(&self) -> LogIndex {
        self.start.0
    }

    /// Whether a snapshot stands for this index here.
    pub fn covers(&self, index: LogIndex) -> bool {
        index <= self.start.0
    }

    pub fn last(&self) -> LogIndex {
        LogIndex(self.start.0.0 + self.entries.len() as u64)
    }

    pub fn append(&mut self, entries: &[Entry]) {
        if let Some(first) = entries.first() {
            assert_eq!(first.index, self.last().next(), "a gap in the log");
        }
        self.entries.extend_from_slice(entries);
    }

    pub fn truncate(&mut self, from: LogIndex) {
        self.entries.truncate((from.0 - self.start.0.0 - 1) as usize);
    }

    pub fn reset(&mut self, index: LogIndex, term: Term) {
        self.entries.clear();
        self.start = (index, term);
    }

    fn compact(&mut self, to: LogIndex) {
        let to = LogIndex(to.0 - to.0 % SEGMENT);
        if let Some(term) = self.get(to).map(|entry| entry.term) {
            self.entries.retain(|entry| entry.index > to);
            self.start = (to, term);
        }
    }
}

/// The state machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub applied: LogIndex,
    pub hash: u64,
}

impl State {
    pub fn apply(&mut self, entry: &Entry) {
        self.applied = entry.index;
        let numbers = [entry.index.0, entry.term.0, entry.kind as u64];
        let bytes = entry.data.iter().map(|&byte| u64::from(byte));
        self.hash = numbers.into_iter().chain(bytes).fold(self.hash, |hash, word| {
            (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29)
        });
    }
}

/// What survives a power cut.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub hard_state: HardState,
    pub log: Log,
    pub snapshot: Option<(SnapshotMeta, State)>,
    /// `peers.json` (legacy).
    pub peers: Option<Vec<ServerAddress>>,
    /// Damage took entries, and no leader has brought them back yet.
    pub abstains: bool,
    /// What damage took, ever.
    pub lost: Vec<Entry>,
}

impl Disk {
    /// Whether this entry was stored here, or is part of what the snapshot stands for.
    pub fn has_stored(&self, entry: &Entry) -> bool {
        let covered = self.snapshot.as_ref().is_some_and(|(meta, _)| meta.index >= entry.index);
        covered || self.log.get(entry.index) == Some(entry) || self.lost.contains(entry)
    }

    pub fn reaches(&self, index: LogIndex) -> bool {
        self.log.last() >= index
            || self.snapshot.as_ref().is_some_and(|(meta, _)| meta.index >= index)
    }

    /// A snapshot that the server has made itself. Of two, the one that goes further counts.
    pub fn save(&mut self, meta: SnapshotMeta, state: State) {
        if self.snapshot.as_ref().is_none_or(|(newest, _)| newest.index < meta.index) {
            self.snapshot = Some((meta, state));
        }
    }

    /// A whole batch; `received` are the bytes of snapshots that came to this life.
    pub fn write(&mut self, persist: &Persist, received: &BTreeMap<SnapshotSource, u64>) {
        self.write_before_log(persist, received);
        if let Some(install) = persist.install.as_ref().filter(|install| !install.keeps_log) {
            self.log.reset(install.meta.index, install.meta.term);
        }
        if let Some(from) = persist.truncate_from {
            self.log.truncate(from);
        }
        if let Some(to) = persist.compact_to {
            let covered = self.snapshot.as_ref().is_some_and(|(meta, _)| meta.index >= to);
            assert!(covered, "entry {to} is compacted before a snapshot covers it");
            self.log.compact(to);
        }
        self.log.append(&persist.append);
        if let Some(peers) = &persist.peers {
            self.peers = Some(peers.clone());
        }
        self.abstains &= !persist.healed;
    }

    /// The part of a batch that comes first: a power cut right after it leaves a snapshot and a log
    /// that do not fit.
    pub fn write_before_log(
        &mut self,
        persist: &Persist,
        received: &BTreeMap<SnapshotSource, u64>,
    ) {
        if let Some(hard_state) = &persist.hard_state {
            self.hard_state = hard_state.clone();
        }
        if let Some(install) = &persist.install {
            let hash = *received.get(&install.source).expect("the bytes are there");
            let state = State { applied: install.meta.index, hash };
            self.save(install.meta.clone(), state);
        }
    }

    /// What a start finds.
    pub fn restored(&mut self) -> Restored {
        let mut restored = Restored {
            hard_state: self.hard_state.clone(),
            snapshot: self.snapshot.as_ref().map(|(meta, _)| meta.clone()),
            entries: self.log.entries.clone(),
            abstains: self.abstains,
            peers: self.peers.clone(),
        };
        let dropped = restored.reconcile();
        if let Some(meta) =
            restored.snapshot.as_ref().filter(|_| dropped || restored.entries.is_empty())
        {
            self.log.reset(meta.index, meta.term);
        }
        restored
    }

    /// Takes the last entries away.
    pub fn damage(&mut self, entries: usize) {
        let keep = self.log.entries.len().saturating_sub(entries);
        self.lost.extend(self.log.entries.split_off(keep));
        self.abstains = true;
    }
}
