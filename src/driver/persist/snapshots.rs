//! Snapshot files: how one comes to be, which are kept, how one is read.
//!
//! ```text
//!   stage ──► 3.tmp ── write, write, finish (sync) ──► staged ──┬─ install: seal, sync, rename,
//!                                                               │           sync the folder ─► .snap
//!                                                               └─ discard
//! ```
//!
//! A file bears its final name only when its whole content is durable, and counts only when that name
//! is. Two are kept: should the newer be damaged, the older and the log may still be enough. Older ones
//! go only after a newer one is durable. What has another name is left of an earlier life, and is
//! removed at start.
//!
//! The store knows nothing of the state's form: bytes in, the same bytes out, or an error that says
//! where they are not the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::{StorageError, at};
use super::seal::{self, LENGTH, Seal};
use crate::base::runtime::{Disk, File};
use crate::base::{LogIndex, Term};
use crate::raft::SnapshotMeta;

/// How many are kept.
const KEPT: usize = 2;
/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// The snapshots in a folder. Clones are the same store.
#[derive(Clone)]
pub struct SnapshotStore<D: Disk> {
    disk: D,
    folder: Arc<str>,
    /// The name of the next temporary file.
    next: Arc<AtomicU64>,
}

/// A snapshot that is being written. Dropped before it is finished, it stays as a temporary file until
/// the next start.
pub struct Staging<D: Disk> {
    file: D::File,
    path: String,
    size: u64,
    crc: u32,
}

/// The bytes of a snapshot, durable, but not yet a snapshot.
pub struct Staged<D: Disk>(Staging<D>);

impl<D: Disk> SnapshotStore<D> {
    pub(super) fn new(disk: D, folder: &str) -> Self {
        Self { disk, folder: folder.into(), next: Arc::default() }
    }

    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// The path of a snapshot below the data directory, for messages.
    #[must_use]
    pub fn path_of(&self, meta: &SnapshotMeta) -> String {
        self.path(&seal::file_name(meta.index, meta.term))
    }

    /// Begins a new one.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn stage(&self) -> Result<Staging<D>, StorageError> {
        let path = self.path(&format!("{}.tmp", self.next.fetch_add(1, Ordering::Relaxed)));
        let file = self.disk.open(&path, true).await.map_err(at("create", &path))?;
        Ok(Staging { file, path, size: 0, crc: 0 })
    }

    /// Makes it a snapshot, durably, and removes those that are too old then. Gives what it stands
    /// for, with its size.
    ///
    /// # Errors
    /// Those of the disk. The snapshots that were there still are.
    pub(super) async fn install(
        &self,
        staged: Staged<D>,
        meta: &SnapshotMeta,
    ) -> Result<SnapshotMeta, StorageError> {
        let Staged(Staging { file, path, size, crc }) = staged;
        let meta = SnapshotMeta { size, ..meta.clone() };
        let seal = Seal { meta, crc };
        file.write_at(size, &seal.encode()).await.map_err(at("write", &path))?;
        file.sync().await.map_err(at("sync", &path))?;
        let place = self.path_of(&seal.meta);
        self.disk.rename(&path, &place).await.map_err(at("rename", &path))?;
        self.disk.sync_dir(&self.folder).await.map_err(at("sync", &self.folder))?;
        let all = self.list().await?;
        for (term, index) in &all[..all.len().saturating_sub(KEPT)] {
            self.remove(&seal::file_name(*index, *term)).await?;
        }
        Ok(seal.meta)
    }

    /// Removes snapshots that sort after this one, durably: it is the newest from now on.
    pub(super) async fn remove_newer(&self, meta: &SnapshotMeta) -> Result<(), StorageError> {
        let mut newer = self.list().await?;
        newer.retain(|name| *name > (meta.term, meta.index));
        for (term, index) in &newer {
            self.remove(&seal::file_name(*index, *term)).await?;
        }
        if !newer.is_empty() {
            self.disk.sync_dir(&self.folder).await.map_err(at("sync", &self.folder))?;
        }
        Ok(())
    }

    /// Removes what was staged and is not wanted any more.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn discard(&self, staged: Staged<D>) -> Result<(), StorageError> {
        staged.0.discard(self).await
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), StorageError> {
        let path = self.path(name);
        self.disk.remove(&path).await.map_err(at("remove", &path))
    }

    /// Term and index of all of them, oldest first.
    async fn list(&self) -> Result<Vec<(Term, LogIndex)>, StorageError> {
        let names = self.disk.read_dir(&self.folder).await.map_err(at("list", &self.folder))?;
        let mut found: Vec<_> = names.iter().filter_map(|name| seal::parse_name(name)).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Opens a snapshot, to be sent or decoded. It can be read to its end even if it is removed
    /// meanwhile.
    ///
    /// # Errors
    /// [`StorageError::Snapshot`] when its seal is damaged; [`StorageError::Io`], also when
    /// there is no such snapshot.
    pub async fn read(&self, meta: &SnapshotMeta) -> Result<SnapshotBytes<D>, StorageError> {
        self.open((meta.term, meta.index)).await
    }

    pub(super) async fn open(
        &self,
        (term, index): (Term, LogIndex),
    ) -> Result<SnapshotBytes<D>, StorageError> {
        let path = self.path(&seal::file_name(index, term));
        let file = self.disk.open(&path, false).await.map_err(at("open", &path))?;
        let damaged =
            |offset: u64, what: String| StorageError::Snapshot { file: path.clone(), offset, what };
        let length = file.len().await.map_err(at("read", &path))?;
        let Some(end) = length.checked_sub(LENGTH as u64) else {
            return Err(damaged(0, format!("expected a seal, found a file of {length} bytes")));
        };
        let mut last = [0; LENGTH];
        fill(&file, end, &mut last).await.map_err(at("read", &path))?;
        let sealed = Seal::length(last, length).map_err(|what| damaged(end, what))?;
        let start = end - sealed as u64;
        let mut bytes = vec![0; sealed + LENGTH];
        fill(&file, start, &mut bytes).await.map_err(at("read", &path))?;
        let seal =
            Seal::decode(&bytes).map_err(|(offset, what)| damaged(start + offset as u64, what))?;
        let meta = &seal.meta;
        if (meta.term, meta.index, meta.size) != (term, index, start) {
            let what = format!(
                "expected a snapshot of {start} bytes at entry {index} of term {term}, found one of \
                 {} bytes at entry {} of term {}",
                meta.size, meta.index, meta.term
            );
            return Err(damaged(start, what));
        }
        Ok(SnapshotBytes { file, path, seal, at: 0, crc: 0 })
    }
}

impl<D: Disk> Staging<D> {
    /// Adds bytes of the encoded state.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.file.write_at(self.size, bytes).await.map_err(at("write", &self.path))?;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// All bytes are there: makes them durable.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn finish(self) -> Result<Staged<D>, StorageError> {
        self.file.sync().await.map_err(at("sync", &self.path))?;
        Ok(Staged(self))
    }

    /// Gives it up.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn discard(self, store: &SnapshotStore<D>) -> Result<(), StorageError> {
        store.disk.remove(&self.path).await.map_err(at("remove", &self.path))
    }
}

impl<D: Disk> Staged<D> {
    /// Bytes of the encoded state.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// Their CRC-32C.
    #[must_use]
    pub fn crc(&self) -> u32 {
        self.0.crc
    }

    /// Reads them back, to decode them before they are a snapshot.
    ///
    /// # Errors
    /// Those of the disk.
    pub async fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, StorageError> {
        let left = usize::try_from(self.0.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = into.len().min(left);
        let read = self.0.file.read_at(offset, &mut into[..wanted]).await;
        read.map_err(at("read", &self.0.path))
    }
}

/// The bytes of a snapshot, read one chunk after the other.
pub struct SnapshotBytes<D: Disk> {
    file: D::File,
    path: String,
    seal: Seal,
    at: u64,
    crc: u32,
}

impl<D: Disk> SnapshotBytes<D> {
    /// What it stands for.
    #[must_use]
    pub fn meta(&self) -> &SnapshotMeta {
        &self.seal.meta
    }

    /// The next bytes; none after the last. Whoever has got all of them has got the right ones: the
    /// last chunk comes only when the checksum of the whole matches.
    ///
    /// # Errors
    /// [`StorageError::Snapshot`] when it does not; [`StorageError::Io`].
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, StorageError> {
        let size = self.seal.meta.size;
        if self.at == size && (size > 0 || self.crc == self.seal.crc) {
            return Ok(None);
        }
        let wanted = (size - self.at).min(CHUNK as u64) as usize;
        let mut chunk = vec![0; wanted];
        fill(&self.file, self.at, &mut chunk).await.map_err(at("read", &self.path))?;
        self.crc = crc32c::crc32c_append(self.crc, &chunk);
        self.at += wanted as u64;
        if self.at == size && self.crc != self.seal.crc {
            (self.at, self.crc) = (0, 0);
            return Err(StorageError::Snapshot {
                file: self.path.clone(),
                offset: 0,
                what: format!("expected {size} bytes of state whose checksum matches"),
            });
        }
        Ok(Some(chunk))
    }
}

/// Reads so many bytes; a file that ends before has zeros there, which no checksum takes for more.
async fn fill<F: File>(file: &F, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read_at(offset + filled as u64, &mut into[filled..]).await? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(())
}
