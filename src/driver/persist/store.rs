//! All of a server's storage, open: what is written, and in which order.
//!
//! ```text
//!   write    [hard state, all batches before, intent ─ sync] ─► snapshot in its place     only with
//!                                                                                     ◄── an install
//!            [reset, truncate, append, … ─ sync] ─► segments dropped ─► peers.json ─► mark removed
//! ```
//!
//! Each bracket is one group: one write, one sync, all of it or nothing. Everything right of it happens
//! only when it is durable, and is what the group made superfluous or what it must be there for.

use std::collections::BTreeMap;

use super::error::{StorageError, at};
use super::inspect::{Found, inspect};
use super::peers;
use super::snapshots::{SnapshotStore, Staged};
use super::wal::{Change, Wal};
use super::{Options, Recovered};
use crate::base::runtime::Disk;
use crate::raft::{HardState, Install, Persist, Restored, SnapshotMeta, SnapshotSource, Vote};
use crate::{invariant, planted};

/// There while this server [abstains](Restored::abstains).
pub(super) const MARK: &str = "healing";

/// A server's storage: log, snapshots, peer set, and whether it is healing.
pub struct Store<D: Disk> {
    pub(super) wal: Wal<D>,
    pub(super) snapshots: SnapshotStore<D>,
    /// The newest snapshot.
    pub(super) newest: Option<SnapshotMeta>,
    pub(super) healing: bool,
    pub(super) recovered: Recovered,
    /// Finished, and waiting for a batch to install them.
    offered: BTreeMap<SnapshotSource, Staged<D>>,
    poisoned: Option<String>,
}

impl<D: Disk> Store<D> {
    pub(super) fn new(
        wal: Wal<D>,
        snapshots: SnapshotStore<D>,
        newest: Option<SnapshotMeta>,
        healing: bool,
        recovered: Recovered,
    ) -> Self {
        let offered = BTreeMap::new();
        Self { wal, snapshots, newest, healing, recovered, offered, poisoned: None }
    }

    /// Opens what is in this folder of the disk, or begins anew when there is nothing, and gives what
    /// it holds. Whoever wants to decide on damage uses [`inspect`] and [`Found::settle`].
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] when term or vote may be missing; [`StorageError::Peers`];
    /// [`StorageError::Io`].
    pub async fn open(
        disk: D,
        folder: &str,
        options: Options,
    ) -> Result<(Self, Restored), StorageError> {
        let found: Found<D> = inspect(disk, folder, options).await?;
        found.settle().await
    }

    /// What recovery found when the storage was opened.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Why nothing can be written any more, if so.
    #[must_use]
    pub fn poisoned(&self) -> Option<&str> {
        self.poisoned.as_deref()
    }

    /// Where on the disk everything is.
    #[must_use]
    pub fn folder(&self) -> &str {
        &self.wal.folder
    }

    /// The snapshots: where new ones are staged, and where they are read. Clones can be used by other
    /// tasks at the same time.
    #[must_use]
    pub fn snapshots(&self) -> &SnapshotStore<D> {
        &self.snapshots
    }

    /// The newest snapshot.
    #[must_use]
    pub fn newest_snapshot(&self) -> Option<&SnapshotMeta> {
        self.newest.as_ref()
    }

    /// A batch that will come may install this under that name. One of the same name that was offered
    /// before is given back, to be discarded.
    pub fn offer(&mut self, source: SnapshotSource, staged: Staged<D>) -> Option<Staged<D>> {
        self.offered.insert(source, staged)
    }

    /// No batch will install it; to be discarded.
    pub fn withdraw(&mut self, source: SnapshotSource) -> Option<Staged<D>> {
        self.offered.remove(&source)
    }

    /// Makes this server's own snapshot durable. Nothing comes of it when the log does not hold the
    /// entry at which it was made, since another snapshot has taken the log's place meanwhile; so all
    /// batches from before it was asked for must have been written.
    ///
    /// # Errors
    /// [`StorageError::Io`], after which the store is poisoned; [`StorageError::Poisoned`] then.
    pub async fn save(
        &mut self,
        staged: Staged<D>,
        meta: &SnapshotMeta,
    ) -> Result<Option<SnapshotMeta>, StorageError> {
        self.begin()?;
        let done = self.save_unless_stale(staged, meta).await;
        self.end(done)
    }

    async fn save_unless_stale(
        &mut self,
        staged: Staged<D>,
        meta: &SnapshotMeta,
    ) -> Result<Option<SnapshotMeta>, StorageError> {
        let place = (meta.index, meta.term);
        let newer = self.newest.as_ref().is_none_or(|newest| (newest.index, newest.term) < place);
        if !newer || !self.wal.extent.holds(place) {
            self.snapshots.discard(staged).await?;
            return Ok(None);
        }
        let meta = self.snapshots.install(staged, meta).await?;
        self.newest = Some(meta.clone());
        Ok(Some(meta))
    }

    /// Makes these batches durable, in their order, with one write and one sync (two and a snapshot's
    /// for each that installs one).
    ///
    /// # Errors
    /// [`StorageError::Io`], after which the store is poisoned; [`StorageError::Poisoned`] then.
    ///
    /// # Panics
    /// When a batch does not continue the log, or installs what was not offered: going on would make
    /// the log unreadable.
    pub async fn write(&mut self, batches: &[Persist]) -> Result<(), StorageError> {
        self.begin()?;
        let done = self.write_in_order(batches).await;
        self.end(done)
    }

    /// A future that is dropped half-way leaves this behind.
    fn begin(&mut self) -> Result<(), StorageError> {
        if let Some(cause) = &self.poisoned {
            return Err(StorageError::Poisoned { cause: cause.clone() });
        }
        self.poisoned = Some("a write was abandoned".to_owned());
        Ok(())
    }

    fn end<T>(&mut self, done: Result<T, StorageError>) -> Result<T, StorageError> {
        self.poisoned = done.as_ref().err().map(ToString::to_string);
        done
    }

    async fn write_in_order(&mut self, batches: &[Persist]) -> Result<(), StorageError> {
        let mut changes = Vec::new();
        for batch in batches {
            // Oracle: storage-recovery. Between the two writes the disk has a vote that nobody gave.
            if planted!(self.wal.options.faults, "vote-in-two-writes")
                && let Some(half) = half_written(&self.wal.hard_state, batch.hard_state.as_ref())
            {
                self.wal.commit(&changes).await?;
                changes.clear();
                self.wal.commit(&[Change::HardState(&half)]).await?;
            }
            changes.extend(batch.hard_state.as_ref().map(Change::HardState));
            if let Some(install) = &batch.install {
                self.install(&mut changes, install).await?;
            }
            changes.extend(batch.truncate_from.map(Change::Truncate));
            if !batch.append.is_empty() {
                changes.push(Change::Append(&batch.append));
            }
        }
        self.wal.commit(&changes).await?;
        self.wal.drop_before_reset().await?;
        if let Some(to) = batches.iter().filter_map(|batch| batch.compact_to).max() {
            let covered = self.newest.as_ref().map(|newest| newest.index).unwrap_or_default();
            invariant!(
                to <= covered,
                "the log is compacted to {to}, the snapshot ends at {covered}"
            );
            self.wal.drop_to(to).await?;
        }
        if let Some(peers) = batches.iter().rev().find_map(|batch| batch.peers.as_ref()) {
            peers::write(&self.wal.disk, &self.wal.folder, peers).await?;
        }
        if self.healing && batches.iter().any(|batch| batch.healed) {
            self.remove_mark().await?;
        }
        Ok(())
    }

    /// Puts a snapshot in its place, after everything before it, and with the intent to reset the log
    /// then: a crash between leaves a log that does not go with the snapshot, and the intent says that
    /// this is no damage.
    async fn install(
        &mut self,
        changes: &mut Vec<Change<'_>>,
        install: &Install,
    ) -> Result<(), StorageError> {
        let place = (install.meta.index, install.meta.term);
        if !install.keeps_log {
            changes.push(Change::Install(place));
        }
        self.wal.commit(changes).await?;
        changes.clear();
        let staged = self.offered.remove(&install.source);
        invariant!(staged.is_some(), "{:?} is installed and was not offered", install.source);
        if let Some(staged) = staged {
            let meta = self.snapshots.install(staged, &install.meta).await?;
            self.snapshots.remove_newer(&meta).await?;
            self.newest = Some(meta);
        }
        if install.keeps_log {
            let keeps_any = planted!(self.wal.options.faults, "install-keeps-conflicting-tail");
            invariant!(
                self.wal.extent.holds(place) || keeps_any,
                "the log is kept and has no entry {} of term {}",
                place.0,
                place.1
            );
        } else {
            changes.push(Change::Reset(place));
        }
        Ok(())
    }

    async fn remove_mark(&mut self) -> Result<(), StorageError> {
        let folder = &self.wal.folder;
        let path = format!("{folder}/{MARK}");
        self.wal.disk.remove(&path).await.map_err(at("remove", &path))?;
        self.wal.disk.sync_dir(folder).await.map_err(at("sync", folder))?;
        self.healing = false;
        Ok(())
    }
}

/// For a planted bug: the term of a new vote is written, its candidate is still the old one.
fn half_written(before: &HardState, after: Option<&HardState>) -> Option<HardState> {
    let (old, new) = (before.vote.as_ref()?, after?.vote.as_ref()?);
    let half = Vote { term: new.term, candidate: old.candidate.clone() };
    (half != *new && half != *old).then_some(HardState { term: new.term, vote: Some(half) })
}
