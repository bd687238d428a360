//! Serf's snapshot file on disk (spec cluster 2.15): what it said at the start, and what is added.
//!
//! One task writes, in order. A write that fails is logged and forgotten: the file tells a restarted
//! agent whom it knew, and without it the agent joins as a new one does.

use tokio::sync::mpsc;

use crate::base::runtime::{Disk, File, Level, Runtime};
use crate::gossip::SnapshotWrite;
use crate::gossip::serf::{self, Previous};

/// What the file told; nothing when there is none.
pub(in super::super) async fn previous<D: Disk>(
    disk: &D,
    path: &str,
    rejoin_after_leave: bool,
) -> Previous {
    match disk.read(path).await {
        Ok(bytes) => serf::parse(&String::from_utf8_lossy(&bytes), rejoin_after_leave),
        Err(_) => Previous::default(),
    }
}

/// Writes until nobody writes any more.
pub(in super::super) async fn write_snapshots<R: Runtime>(
    runtime: R,
    disk: R::Disk,
    path: &'static str,
    mut writes: mpsc::UnboundedReceiver<SnapshotWrite>,
) {
    while let Some(write) = writes.recv().await {
        let written = match &write {
            SnapshotWrite::Append { lines, sync } => append(&disk, path, lines, *sync).await,
            SnapshotWrite::Replace(text) => replace(&disk, path, text).await,
        };
        if let Err(error) = written {
            complain(&runtime, &error);
        }
    }
}

async fn append<D: Disk>(disk: &D, path: &str, lines: &str, sync: bool) -> std::io::Result<()> {
    let file = match disk.open(path, true).await {
        Ok(file) => file,
        Err(_) => {
            disk.create_dir_all(folder_of(path)).await?;
            disk.open(path, true).await?
        }
    };
    let end = file.len().await?;
    file.write_at(end, lines.as_bytes()).await?;
    if sync {
        file.sync().await?;
        disk.sync_dir(folder_of(path)).await?;
    }
    Ok(())
}

async fn replace<D: Disk>(disk: &D, path: &str, text: &str) -> std::io::Result<()> {
    let beside = format!("{path}.compact");
    disk.create_dir_all(folder_of(path)).await?;
    let file = disk.open(&beside, true).await?;
    file.set_len(0).await?;
    file.write_at(0, text.as_bytes()).await?;
    file.sync().await?;
    disk.rename(&beside, path).await?;
    disk.sync_dir(folder_of(path)).await
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn complain<R: Runtime>(runtime: &R, error: &std::io::Error) {
    let text = format_args!("serf: Failed to update snapshot: {error}");
    runtime.log(Level::Error, "agent.serf", text);
}
