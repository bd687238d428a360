//! What is on disk, and what is to be made of it. Nothing is changed here, so that whoever refuses to
//! start leaves everything as it was.
//!
//! ```text
//!   newest good snapshot is the one the log's last group announces ── the log begins after it
//!   … is held by the log (or there is none, and the log begins at 1) ── both are as they were
//!   log ends in damage ────────────────────────────────────────────── refused: term or vote may be gone
//!   anything else ─────────────────────────────────────────────────── something is lost: heal
//! ```

use std::io;

use super::error::{Damage, StorageError, at};
use super::extent::Position;
use super::peers;
use super::replay::{Log, Replay};
use super::seal;
use super::snapshots::SnapshotStore;
use super::store::MARK;
use super::{Options, segment};
use crate::base::runtime::Disk;
use crate::base::{LogIndex, ServerAddress, Term};
use crate::raft::{Configuration, Restored, Server, SnapshotMeta, Suffrage};
use crate::wire::raft::decode_configuration;

/// What was found in a folder. [`Found::settle`] makes it durable and opens it.
pub struct Found<D: Disk> {
    pub(super) disk: D,
    pub(super) folder: String,
    pub(super) options: Options,
    pub(super) snapshots: SnapshotStore<D>,
    /// Files of the snapshots' folder that are of no use.
    pub(super) useless: Vec<String>,
    pub(super) replay: Replay,
    pub(super) log: Log,
    /// The log on disk is not the one that counts, and is to be written anew.
    pub(super) rewrite: bool,
    pub(super) snapshot: Option<SnapshotMeta>,
    pub(super) healing: bool,
    pub(super) peers: Option<Vec<ServerAddress>>,
    damage: Vec<Damage>,
}

impl<D: Disk> Found<D> {
    /// What cannot be read, and what that means.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The damage that took something with it which this server may have acknowledged, if any:
    /// [settled](Found::settle), it abstains until another server has brought it back. A server alone
    /// has to [refuse](Damage::refusal) instead.
    #[must_use]
    pub fn loss(&self) -> Option<&Damage> {
        self.damage.iter().find(|damage| damage.lost)
    }

    /// Whether an earlier loss is still being healed.
    #[must_use]
    pub fn is_healing(&self) -> bool {
        self.healing
    }

    /// The set of servers in the peers file, where that is kept and names any.
    #[must_use]
    pub fn peers(&self) -> Option<Configuration> {
        self.peers.as_deref().filter(|peers| !peers.is_empty()).map(set_of)
    }

    /// The newest set of servers that can be read, be it from behind the damage.
    #[must_use]
    pub fn configuration(&self) -> Option<Configuration> {
        let in_log = self.replay.configuration.as_ref();
        let in_snapshot = self.snapshot.as_ref();
        match (in_log, in_snapshot) {
            (Some(entry), Some(meta)) if entry.index <= meta.index => {
                Some(meta.configuration.clone())
            }
            (Some(entry), _) => decode_configuration(&entry.data).ok(),
            (None, meta) => meta.map(|meta| meta.configuration.clone()),
        }
    }

    /// What the core is to start from.
    pub(super) fn restored(&self, entries: Vec<crate::raft::Entry>) -> Restored {
        Restored {
            hard_state: self.replay.hard_state.clone(),
            snapshot: self.snapshot.clone(),
            entries,
            abstains: self.healing || self.loss().is_some(),
            peers: self.peers.clone(),
        }
    }
}

fn set_of(peers: &[ServerAddress]) -> Configuration {
    let voter = |address: &ServerAddress| Server {
        suffrage: Suffrage::Voter,
        id: address.as_str().into(),
        address: address.clone(),
    };
    Configuration { servers: peers.iter().map(voter).collect() }
}

/// Reads everything in this folder of the disk, which need not be there yet.
///
/// # Errors
/// [`StorageError::Corrupt`] when term or vote may be missing; [`StorageError::Peers`];
/// [`StorageError::Io`].
pub async fn inspect<D: Disk>(
    disk: D,
    folder: &str,
    options: Options,
) -> Result<Found<D>, StorageError> {
    let names = list(&disk, folder).await?;
    let sequences: Vec<u64> = names.iter().filter_map(|name| segment::sequence(name)).collect();
    let healing = names.iter().any(|name| name == MARK);
    let replay = Replay::read(&disk, folder, &sequences, &options.faults).await?;
    let snapshots = SnapshotStore::new(disk.clone(), &format!("{folder}/snapshots"));
    let files = SnapshotFiles::read(&disk, &snapshots).await?;
    if let Some(lost) = &replay.state_lost {
        return Err(lost.refusal());
    }
    let unborn = sequences.iter().all(|sequence| *sequence == 1);
    if replay.groups == 0 && !(unborn && files.nothing() && !healing) {
        let file = segment::path(folder, 1);
        let what = "expected the log, found none beside what was written after it".to_owned();
        return Err(StorageError::Corrupt { file, offset: 0, what });
    }
    let peers = match options.peers_file {
        true => Some(peers::read(&disk, folder).await?),
        false => None,
    };
    let mut found = Found {
        disk,
        folder: folder.to_owned(),
        options,
        snapshots,
        useless: files.useless,
        log: Log::after((LogIndex(0), Term(0))),
        rewrite: false,
        snapshot: None,
        healing,
        peers,
        damage: files.damage,
        replay,
    };
    found.decide(files.good)?;
    Ok(found)
}

/// The names in a folder; none when there is no such folder.
async fn list<D: Disk>(disk: &D, folder: &str) -> Result<Vec<String>, StorageError> {
    match disk.read_dir(folder).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(at("list", folder)),
    }
}

/// The snapshots of a folder.
struct SnapshotFiles {
    /// Those that are whole, newest first.
    good: Vec<SnapshotMeta>,
    useless: Vec<String>,
    damage: Vec<Damage>,
}

impl SnapshotFiles {
    /// Reads all of them, to the end: the older one, too, is there to be relied on.
    async fn read<D: Disk>(disk: &D, store: &SnapshotStore<D>) -> Result<Self, StorageError> {
        let mut files = Self { good: Vec::new(), useless: Vec::new(), damage: Vec::new() };
        for name in list(disk, store.folder()).await?.into_iter().rev() {
            let Some(place) = seal::parse_name(&name) else {
                files.useless.push(name);
                continue;
            };
            match verify(store, place).await {
                Ok(meta) => files.good.push(meta),
                Err(StorageError::Snapshot { file, offset, what }) => {
                    files.useless.push(name);
                    files.damage.push(Damage { file, offset, what, lost: false });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }

    fn nothing(&self) -> bool {
        self.good.is_empty() && self.damage.is_empty()
    }
}

async fn verify<D: Disk>(
    store: &SnapshotStore<D>,
    place: (Term, LogIndex),
) -> Result<SnapshotMeta, StorageError> {
    let mut bytes = store.open(place).await?;
    while bytes.next_chunk().await?.is_some() {}
    Ok(bytes.meta().clone())
}

fn place(meta: &SnapshotMeta) -> Position {
    (meta.index, meta.term)
}

impl<D: Disk> Found<D> {
    /// Decides which log and which snapshot go together.
    fn decide(&mut self, good: Vec<SnapshotMeta>) -> Result<(), StorageError> {
        let snapshots_damaged = !self.damage.is_empty();
        self.damage.append(&mut self.replay.superfluous);
        let damaged = std::mem::take(&mut self.replay.damage);
        let newest = good.into_iter().next();
        let start = (LogIndex(0), Term(0));
        let current = self.replay.current.take().unwrap_or_else(|| Log::after(start));
        self.replay.last = current.extent.last();
        let announced = newest.is_some() && newest.as_ref().map(place) == self.replay.intent;
        let fits = |log: &Log| match &newest {
            Some(meta) => log.extent.holds(place(meta)),
            None => log.extent.base() == start,
        };
        let after = |meta: &Option<SnapshotMeta>| Log::after(meta.as_ref().map_or(start, place));
        if announced || fits(&current) {
            self.rewrite = announced || !damaged.is_empty();
            self.log = if announced { after(&newest) } else { current };
            self.damage.extend(damaged);
        } else {
            let lost = match damaged.is_empty() {
                true => vec![self.missing(&current, newest.as_ref(), snapshots_damaged)?],
                false => damaged,
            };
            let known = self.replay.before.take().unwrap_or(current);
            self.log = if fits(&known) { known } else { after(&newest) };
            self.rewrite = true;
            self.damage.extend(lost.into_iter().map(|damage| Damage { lost: true, ..damage }));
        }
        self.snapshot = newest;
        Ok(())
    }

    /// The log is whole and does not go with the newest snapshot. Either another one that it needs is
    /// gone, or the snapshot is of another log: then nothing can be said of either.
    fn missing(
        &mut self,
        log: &Log,
        newest: Option<&SnapshotMeta>,
        snapshots_damaged: bool,
    ) -> Result<Damage, StorageError> {
        let (base, last) = (log.extent.base().0, log.extent.last().0);
        if let Some(meta) = newest.filter(|meta| meta.index >= base) {
            return Err(StorageError::Corrupt {
                file: self.snapshots.path_of(meta),
                offset: 0,
                what: format!(
                    "expected a snapshot that goes with the log from entry {} to {last}, found one \
                     of entry {} of term {}",
                    base.next(),
                    meta.index,
                    meta.term
                ),
            });
        }
        if snapshots_damaged {
            return Ok(self.damage.remove(0));
        }
        Ok(Damage {
            file: self.snapshots.folder().to_owned(),
            offset: 0,
            what: format!("expected a snapshot of entry {base} or a later one, found none"),
            lost: true,
        })
    }
}
