//! Making what was found durable, and opening it.
//!
//! ```text
//!   mark ─► torn end cut ─► folders synced ─► log written anew ─► old segments, useless files removed
//!   (loss)                                     (loss, intent, superfluous damage)
//! ```
//!
//! The core acts on what it is given, so all of it must be durable by then. A crash at any point of
//! this leads back to the same decision: the mark is there before anything is cut, the new log is one
//! group, and it is durable before anything is removed that led to it.

use super::error::{StorageError, at};
use super::inspect::Found;
use super::segment::{self, HEADER, Header};
use super::store::{MARK, Store};
use super::wal::{Change, Wal};
use super::{Recovered, extent::Extent};
use crate::base::runtime::{Disk, File};
use crate::planted;
use crate::raft::Restored;

impl<D: Disk> Found<D> {
    /// Makes it durable and opens it. What was lost is marked to be healed, and the log goes only as
    /// far as it is known.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub async fn settle(mut self) -> Result<(Store<D>, Restored), StorageError> {
        create_folder(&self.disk, self.snapshots.folder()).await?;
        if self.loss().is_some() {
            self.write_mark().await?;
        }
        let mut wal = self.open_tail().await?;
        // See `segment`.
        if !planted!(self.options.faults, "folder-not-synced") {
            self.disk.sync_dir(&self.folder).await.map_err(at("sync", &self.folder))?;
        }
        let entries = std::mem::take(&mut self.log.entries);
        if self.rewrite {
            wal.begin_segment().await?;
            let base = self.log.extent.base();
            let mut changes = vec![Change::Reset(base)];
            if !entries.is_empty() {
                changes.push(Change::Append(&entries));
            }
            wal.commit(&changes).await?;
            wal.drop_before_reset().await?;
        }
        for name in &self.useless {
            self.snapshots.remove(name).await?;
        }
        let recovered = Recovered {
            segments: self.replay.segments.len() as u64,
            groups: self.replay.groups,
            torn_bytes: self.replay.tail.as_ref().map_or(0, |tail| tail.torn),
        };
        let restored = self.restored(entries);
        let store = Store::new(
            wal,
            self.snapshots,
            restored.snapshot.clone(),
            restored.abstains,
            recovered,
        );
        Ok((store, restored))
    }

    /// Says durably that this server has lost something, before it acts as if it never had it. Its mere
    /// existence counts; the text is for people.
    async fn write_mark(&self) -> Result<(), StorageError> {
        let path = format!("{}/{MARK}", self.folder);
        let text: String = self.damage().iter().map(|damage| format!("{damage}\n")).collect();
        let file = self.disk.open(&path, true).await.map_err(at("create", &path))?;
        file.write_at(0, text.as_bytes()).await.map_err(at("write", &path))?;
        file.sync().await.map_err(at("sync", &path))?;
        self.disk.sync_dir(&self.folder).await.map_err(at("sync", &self.folder))
    }

    /// Opens the last segment and makes it hold exactly what was replayed, durably; or makes a new one.
    async fn open_tail(&mut self) -> Result<Wal<D>, StorageError> {
        let (disk, folder) = (&self.disk, self.folder.as_str());
        let replay = &mut self.replay;
        let mut segments = std::mem::take(&mut replay.segments);
        // While the log is to be written anew, it ends where that on disk does.
        let (extent, base) = match self.rewrite {
            true => (Extent::after(replay.last), replay.last),
            false => (self.log.extent.clone(), self.log.extent.last()),
        };
        let known = replay.tail.as_ref().and_then(|tail| tail.end.map(|end| (tail, end)));
        let (file, end, written) = match known {
            Some((tail, end)) => {
                let path = segment::path(folder, tail.sequence);
                let file = disk.open(&path, false).await.map_err(at("open", &path))?;
                if tail.torn > 0 {
                    file.set_len(end).await.map_err(at("cut the torn end of", &path))?;
                }
                file.sync().await.map_err(at("sync", &path))?;
                (file, end, if tail.torn > 0 { end } else { tail.length })
            }
            None => {
                let sequence = replay.tail.as_ref().map_or(1, |tail| tail.sequence);
                let header = Header { sequence, first_group: replay.next_group, base };
                segments.push((sequence, base));
                (
                    header.create(disk, folder, &self.options.faults).await?,
                    HEADER as u64,
                    HEADER as u64,
                )
            }
        };
        Ok(Wal {
            disk: disk.clone(),
            folder: folder.to_owned(),
            options: self.options.clone(),
            file,
            segments,
            end,
            written,
            reset_in: 0,
            group: replay.next_group,
            extent,
            hard_state: replay.hard_state.clone(),
            buffer: Vec::new(),
        })
    }
}

/// Creates the folder and makes its name and those above it durable.
async fn create_folder<D: Disk>(disk: &D, folder: &str) -> Result<(), StorageError> {
    disk.create_dir_all(folder).await.map_err(at("create", folder))?;
    let mut below = folder;
    while !below.is_empty() {
        let above = below.rsplit_once('/').map_or("", |(above, _)| above);
        disk.sync_dir(above).await.map_err(at("sync", above))?;
        below = above;
    }
    Ok(())
}
