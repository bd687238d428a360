//! A server's storage in use: scripts of everything it is asked to do, the plainest model of what it
//! must hold then, and the comparison. For any disk; the testbed's tests use this file too.

use bytes::Bytes;
use proconsul::base::runtime::Disk;
use proconsul::base::{Faults, LogIndex, Prng, ReplyToken, ServerAddress, Term};
use proconsul::driver::persist::{Options, StorageError, Store};
use proconsul::raft::{
    Configuration, Entry, EntryKind, HardState, Install, Persist, Restored, Server, SnapshotMeta,
    SnapshotSource, Suffrage, Vote,
};

pub const FOLDER: &str = "raft";

/// Small segments, so that a short script has many.
pub fn options() -> Options {
    Options { segment_bytes: 1500, ahead_bytes: 1024, peers_file: true, faults: Faults::none() }
}

/// One thing that storage is asked to do.
#[derive(Clone, Debug)]
pub enum Step {
    /// These batches, as one group; what they install is offered first.
    Write(Vec<Persist>),
    /// An own snapshot.
    Save(SnapshotMeta),
}

/// What storage must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    pub hard_state: HardState,
    pub snapshot: Option<SnapshotMeta>,
    /// The log begins after this entry; what was compacted is still in `entries`.
    pub base: (LogIndex, Term),
    pub entries: Vec<Entry>,
    /// Entries up to here may be gone.
    pub compacted: LogIndex,
    pub peers: Vec<ServerAddress>,
    pub abstains: bool,
}

/// The state in a snapshot: a function of what it stands for.
pub fn state_of(meta: &SnapshotMeta) -> Vec<u8> {
    let mut random = Prng::new(meta.index.0 << 8 | meta.term.0);
    (0..random.below(1200)).map(|_| random.below(256) as u8).collect()
}

impl Model {
    pub fn last(&self) -> (LogIndex, Term) {
        self.entries.last().map_or(self.base, |entry| (entry.index, entry.term))
    }

    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        let found = self.entries.iter().find(|entry| entry.index == index).map(|entry| entry.term);
        found.or((index == self.base.0).then_some(self.base.1))
    }

    fn covered(&self) -> LogIndex {
        self.snapshot.as_ref().map(|meta| meta.index).unwrap_or_default()
    }

    /// Every state that may be found while this step is on its way: as before first, as after last.
    pub fn stages(&self, step: &Step) -> Vec<Model> {
        let mut stages = vec![self.clone()];
        let mut now = self.clone();
        match step {
            Step::Save(meta) => {
                let newer = (self.covered(), self.snapshot.as_ref().map_or(Term(0), |it| it.term));
                if (meta.index, meta.term) > newer && self.term_at(meta.index) == Some(meta.term) {
                    now.snapshot = Some(meta.clone());
                }
            }
            Step::Write(batches) => {
                for batch in batches {
                    now.take(batch, &mut stages);
                }
                stages.push(now.clone());
                let compacted = batches.iter().filter_map(|batch| batch.compact_to).max();
                now.compacted = now.compacted.max(compacted.unwrap_or_default());
                stages.push(now.clone());
                for batch in batches {
                    if let Some(peers) = &batch.peers {
                        now.peers.clone_from(peers);
                    }
                }
                stages.push(now.clone());
                now.abstains &= !batches.iter().any(|batch| batch.healed);
            }
        }
        stages.push(now);
        stages
    }

    fn take(&mut self, batch: &Persist, stages: &mut Vec<Model>) {
        if let Some(state) = &batch.hard_state {
            self.hard_state = state.clone();
        }
        if let Some(install) = &batch.install {
            stages.push(self.clone());
            self.snapshot = Some(install.meta.clone());
            if !install.keeps_log {
                self.base = (install.meta.index, install.meta.term);
                self.entries.clear();
                self.compacted = LogIndex(0);
            }
            stages.push(self.clone());
        }
        if let Some(from) = batch.truncate_from {
            self.entries.retain(|entry| entry.index < from);
        }
        self.entries.extend(batch.append.iter().cloned());
    }

    /// The model after a step.
    pub fn after(&self, step: &Step) -> Model {
        self.stages(step).pop().expect("there is a last one")
    }

    /// Why this is not what was found.
    pub fn differs(&self, found: &Restored) -> Option<String> {
        let snapshot = found.snapshot.as_ref();
        let without_size = snapshot.map(|meta| SnapshotMeta { size: 0, ..meta.clone() });
        let last = found.entries.last().map(|entry| entry.index);
        let gone = self.entries.len().checked_sub(found.entries.len());
        let end = snapshot.map(|meta| meta.index).unwrap_or_default();
        let first = found.entries.first().map(|entry| entry.index);
        let wrong = [
            ("hard state", found.hard_state != self.hard_state),
            ("snapshot", without_size != self.snapshot),
            ("peers", found.peers.as_ref() != Some(&self.peers)),
            ("abstains", found.abstains != self.abstains),
            ("entries", gone.is_none_or(|gone| found.entries != self.entries[gone..])),
            ("gone", gone.is_some_and(|gone| self.base.0.0 + gone as u64 > end.0)),
            (
                "too much gone",
                gone.is_some_and(|gone| gone > 0 && self.base.0.0 + gone as u64 > self.compacted.0),
            ),
            ("begins late", first.is_some_and(|first| first > end.next())),
            ("ends early", last.is_some_and(|last| last < end)),
        ];
        let names: Vec<&str> = wrong.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

/// Makes steps that a core could ask for.
pub struct Author {
    random: Prng,
    pub model: Model,
    next_token: u64,
}

impl Author {
    pub fn new(seed: u64, model: Model) -> Self {
        Self { random: Prng::new(seed), model, next_token: 1 }
    }

    pub fn script(&mut self, steps: usize) -> Vec<Step> {
        (0..steps).map(|_| self.step()).collect()
    }

    fn term(&self) -> Term {
        self.model.hard_state.term.max(Term(1))
    }

    fn entries(&mut self, after: LogIndex) -> Vec<Entry> {
        let term = self.term();
        let count = self.random.range(1, 4);
        let entry = |random: &mut Prng, index: u64| {
            let size = if random.below(6) == 0 { 900 } else { random.below(60) };
            let byte = random.below(3) as u8;
            let data = Bytes::from(vec![byte; size as usize]);
            Entry { index: LogIndex(index), term, kind: EntryKind::Command, data }
        };
        (1..=count).map(|at| entry(&mut self.random, after.0 + at)).collect()
    }

    pub fn meta(&self, index: LogIndex, term: Term) -> SnapshotMeta {
        let server = |name: &str| Server {
            suffrage: Suffrage::Voter,
            id: name.into(),
            address: format!("{name}:8300").into(),
        };
        let configuration = Configuration { servers: ["n1", "n2", "n3"].map(server).to_vec() };
        SnapshotMeta { index, term, configuration, configuration_index: LogIndex(1), size: 0 }
    }

    /// An entry that a new snapshot may be made at.
    fn place(&mut self) -> Option<(LogIndex, Term)> {
        let from = self.model.covered().max(self.model.compacted);
        let above: Vec<_> = self.model.entries.iter().filter(|it| it.index > from).collect();
        let at = self.random.below(above.len().max(1) as u64) as usize;
        above.get(at).map(|entry| (entry.index, entry.term))
    }

    pub fn batch(&mut self, kind: u64) -> Persist {
        let mut batch = Persist::default();
        let (last, _) = self.model.last();
        match kind {
            0..=3 => batch.append = self.entries(last),
            4 => {
                let least = self.model.covered().max(self.model.base.0).max(self.model.compacted);
                let from = LogIndex(last.0.saturating_sub(self.random.below(4)).max(least.0) + 1);
                self.raise_term(&mut batch);
                batch.truncate_from = Some(from).filter(|from| *from <= last);
                batch.append = self.entries(LogIndex(from.0 - 1).min(last));
            }
            5 => self.raise_term(&mut batch),
            6 => batch.compact_to = Some(self.model.covered().min(last)).filter(|to| to.0 > 0),
            7 => {
                if let Some((index, term)) = self.place() {
                    batch.install = Some(Box::new(self.install(index, term, true)));
                }
            }
            8 | 9 => {
                self.raise_term(&mut batch);
                let far = self.random.below(6);
                let index =
                    LogIndex((last.0 + far).saturating_sub(2).max(self.model.covered().0 + 1));
                let term = Term(self.term().0 - self.random.below(2).min(self.term().0 - 1));
                let holds = self.model.term_at(index) == Some(term);
                let keeps_log = holds && index > self.model.compacted;
                batch.install = Some(Box::new(self.install(index, term, keeps_log)));
                if !keeps_log {
                    batch.append = self.entries(index);
                }
            }
            10 => {
                let names = ["10.0.0.1:8300", "10.0.0.2:8300", "10.0.0.3:8300"];
                let count = self.random.below(4) as usize;
                batch.peers = Some(names[..count].iter().map(|&name| name.into()).collect());
            }
            _ => batch.healed = true,
        }
        batch
    }

    pub fn install(&mut self, index: LogIndex, term: Term, keeps_log: bool) -> Install {
        self.next_token += 1;
        let source = SnapshotSource::Received(ReplyToken(self.next_token));
        Install { meta: self.meta(index, term), source, keeps_log }
    }

    fn raise_term(&mut self, batch: &mut Persist) {
        let term = Term(self.term().0 + 1);
        let vote = Vote { term, candidate: ServerAddress::from("10.0.0.1:8300") };
        let vote = Some(vote).filter(|_| term.0 % 2 == 1);
        let state = HardState { term, vote };
        self.model.hard_state = state.clone();
        batch.hard_state = Some(state);
    }

    fn step(&mut self) -> Step {
        let before = self.model.clone();
        if before.hard_state.term == Term(0) {
            let mut first = Persist::default();
            self.raise_term(&mut first);
            return Step::Write(vec![first]);
        }
        let saves = self.random.below(6) == 0 && !self.model.entries.is_empty();
        let step = match self.place().filter(|_| saves) {
            Some((index, term)) => Step::Save(self.meta(index, term)),
            None => {
                let mut batches = Vec::new();
                for _ in 0..self.random.range(1, 4) {
                    let kind = self.random.below(12);
                    let batch = self.batch(kind);
                    self.model = self.model.after(&Step::Write(vec![batch.clone()]));
                    batches.push(batch);
                }
                Step::Write(batches)
            }
        };
        self.model = before.after(&step);
        step
    }
}

/// Does a step.
pub async fn perform<D: Disk>(store: &mut Store<D>, step: &Step) -> Result<(), StorageError> {
    match step {
        Step::Save(meta) => {
            let staged = stage(store, meta).await?;
            store.save(staged, meta).await.map(drop)
        }
        Step::Write(batches) => {
            for install in batches.iter().filter_map(|batch| batch.install.as_ref()) {
                let staged = stage(store, &install.meta).await?;
                store.offer(install.source, staged);
            }
            store.write(batches).await
        }
    }
}

async fn stage<D: Disk>(
    store: &Store<D>,
    meta: &SnapshotMeta,
) -> Result<proconsul::driver::persist::Staged<D>, StorageError> {
    let mut staging = store.snapshots().stage().await?;
    for chunk in state_of(meta).chunks(700) {
        staging.write(chunk).await?;
    }
    staging.finish().await
}

/// Opens what a crash has left, finds out which of these states it is, checks the snapshot's bytes,
/// goes on from there, and opens it once more.
pub async fn judge<D: Disk>(disk: D, possible: &[Model]) -> Result<(), String> {
    let (mut store, restored) =
        Store::open(disk.clone(), FOLDER, options()).await.map_err(|error| error.to_string())?;
    let mut reasons = Vec::new();
    let found = possible.iter().rev().find(|model| {
        reasons.extend(model.differs(&restored));
        model.differs(&restored).is_none()
    });
    let Some(found) = found else { return Err(format!("{reasons:?}: {restored:?}")) };
    check_bytes(&store, &restored).await?;
    let mut author = Author::new(found.last().0.0, found.clone());
    for step in author.script(4) {
        perform(&mut store, &step).await.map_err(|error| format!("going on: {error}"))?;
    }
    drop(store);
    let (store, restored) =
        Store::open(disk, FOLDER, options()).await.map_err(|error| error.to_string())?;
    if let Some(reason) = author.model.differs(&restored) {
        return Err(format!("after going on: {reason}: {restored:?}"));
    }
    check_bytes(&store, &restored).await
}

/// The newest snapshot's bytes are those it was made of.
async fn check_bytes<D: Disk>(store: &Store<D>, restored: &Restored) -> Result<(), String> {
    let Some(meta) = &restored.snapshot else { return Ok(()) };
    let mut reader = store.snapshots().read(meta).await.map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next_chunk().await.map_err(|error| error.to_string())? {
        bytes.extend(chunk);
    }
    let right = bytes == state_of(meta) && bytes.len() as u64 == meta.size;
    right
        .then_some(())
        .ok_or_else(|| format!("another state in {}", store.snapshots().path_of(meta)))
}
