//! What a log must hold, in the plainest form, and logs to compare with it.

use std::collections::BTreeMap;

use bytes::Bytes;
use proconsul::base::{Faults, LogIndex, Prng, ServerAddress, Term};
use proconsul::driver::persist::{Options, StorageError, Store, inspect};
use proconsul::raft::{Entry, EntryKind, HardState, Persist, Restored, Vote};

use crate::persist_disk::{MemoryDisk, run};

pub const FOLDER: &str = "raft";

/// What a log must hold: the plainest thing that can.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub hard_state: HardState,
    pub entries: Vec<Entry>,
}

impl Model {
    pub fn apply(&mut self, batch: &Persist) {
        if let Some(state) = &batch.hard_state {
            self.hard_state = state.clone();
        }
        if let Some(from) = batch.truncate_from {
            self.entries.retain(|entry| entry.index < from);
        }
        self.entries.extend(batch.append.iter().cloned());
    }

    pub fn next(&self) -> LogIndex {
        LogIndex(self.entries.len() as u64 + 1)
    }

    /// A batch that appends entries with these data.
    pub fn appending(&self, data: impl IntoIterator<Item = Vec<u8>>) -> Persist {
        let append = (self.next().0..)
            .zip(data)
            .map(|(index, data)| Entry {
                index: LogIndex(index),
                term: Term(1 + index / 100),
                kind: EntryKind::Command,
                data: Bytes::from(data),
            })
            .collect();
        Persist { append, ..Persist::default() }
    }
}

impl From<Restored> for Model {
    fn from(restored: Restored) -> Self {
        Self { hard_state: restored.hard_state, entries: restored.entries }
    }
}

pub fn voted(term: u64) -> HardState {
    let vote = Vote { term: Term(term), candidate: ServerAddress::from("10.0.0.1:8300") };
    HardState { term: Term(term), vote: Some(vote).filter(|_| term % 2 == 1) }
}

pub fn small(segment_bytes: u64) -> Options {
    Options { segment_bytes, ahead_bytes: 0, peers_file: false, faults: Faults::none() }
}

pub type Opened = Result<(Store<MemoryDisk>, Restored), StorageError>;

pub fn open(disk: &MemoryDisk, segment_bytes: u64) -> Opened {
    run(Store::open(disk.clone(), FOLDER, small(segment_bytes)))
}

pub fn recovered(files: &BTreeMap<String, Vec<u8>>) -> Result<Model, StorageError> {
    open(&MemoryDisk::holding(files), 1 << 20).map(|(_, restored)| restored.into())
}

/// What is recovered, unless something has been lost: a refusal either way.
pub fn undamaged(files: &BTreeMap<String, Vec<u8>>) -> Result<Model, StorageError> {
    let disk = MemoryDisk::holding(files);
    let found = run(inspect(disk, FOLDER, small(1 << 20)))?;
    if let Some(damage) = found.loss() {
        return Err(damage.refusal());
    }
    run(found.settle()).map(|(_, restored)| restored.into())
}

/// A log, group by group: the files after each commit, and what they hold then.
pub struct Written {
    pub files: BTreeMap<String, Vec<u8>>,
    /// After each group: in which file it ends, where, and the state.
    pub groups: Vec<(String, usize, Model)>,
}

/// Commits these groups of batches.
pub fn written(segment_bytes: u64, groups: impl IntoIterator<Item = Vec<Persist>>) -> Written {
    let disk = MemoryDisk::default();
    let (mut store, restored) = open(&disk, segment_bytes).expect("a fresh disk");
    let mut model = Model::from(restored);
    let mut ends = Vec::new();
    for group in groups {
        run(store.write(&group)).expect("the disk works");
        group.iter().for_each(|batch| model.apply(batch));
        let files = disk.files();
        let (name, bytes) = files.last_key_value().expect("a segment");
        ends.push((name.clone(), bytes.len(), model.clone()));
    }
    Written { files: disk.files(), groups: ends }
}

/// A thousand entries in groups of one to nine, with hard states and truncations between.
pub fn thousand_entries() -> Vec<Vec<Persist>> {
    let mut random = Prng::new(7);
    let mut model = Model::default();
    let mut groups = Vec::new();
    let mut term = 0;
    while model.entries.len() < 1000 {
        let mut group = Vec::new();
        for _ in 0..random.range(1, 4) {
            let sizes: Vec<_> = (0..random.range(1, 4)).map(|_| random.below(16)).collect();
            let mut batch = model.appending(sizes.iter().map(|size| vec![7; *size as usize]));
            if random.below(8) == 0 {
                term += 1;
                batch.hard_state = Some(voted(term));
            }
            model.apply(&batch);
            group.push(batch);
        }
        if random.below(10) == 0 && model.entries.len() > 5 {
            let from = LogIndex(model.next().0 - 3);
            let mut batch =
                Model { entries: model.entries[..from.0 as usize - 1].to_vec(), ..model.clone() }
                    .appending([b"again".to_vec()]);
            batch.truncate_from = Some(from);
            model.apply(&batch);
            group.push(batch);
        }
        groups.push(group);
    }
    groups
}
