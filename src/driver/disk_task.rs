//! The task that writes: it takes everything that has queued up and makes it durable with one sync.
//!
//! ```text
//!   event loop ── Persist, Persist, Persist ──► one group, one sync ──► Persisted
//!   event loop ── Restore (an operator's state) ─► staged, offered ──► the batch that installs it
//!   server port ─ Offer (a leader's, staged) ────────────► offered ──► the batch that installs it,
//!                                                                      or Withdraw
//!   snapshot task ── Save (own, staged) ──────────────────────────────► SnapshotSaved
//! ```
//!
//! The queue's order is the order of things: what a batch installs was offered before it came.

use tokio::sync::mpsc;

use crate::agent::{Input, StateImage};
use crate::base::PersistId;
use crate::base::runtime::Disk;
use crate::raft::{Persist, SnapshotMeta, SnapshotSource};

use super::mailbox::{Handle, Message};
use super::persist::{Staged, StorageError, Store};
use super::snapshots;

/// Where a node keeps its log.
pub(super) enum Storage<D: Disk> {
    /// On disk.
    Durable(Box<Store<D>>),
    /// Nowhere: `-dev`.
    Memory,
}

/// What the disk is asked to do.
pub(super) enum Work<D: Disk> {
    /// Make this durable.
    Persist(Persist),
    /// Write an operator's state down; the next batch installs it.
    Restore(SnapshotSource, StateImage),
    /// A leader's snapshot is there; a batch may install it.
    Offer(SnapshotSource, Staged<D>),
    /// No batch will, or one has.
    Withdraw(SnapshotSource),
    /// The server's own snapshot is staged.
    Save(SnapshotMeta, Staged<D>),
}

/// Serves the queue until it is closed. A disk that fails once is not asked again: after a failed
/// fsync nobody knows what is on it.
pub(super) async fn run<D: Disk>(
    mut storage: Storage<D>,
    mut queue: mpsc::UnboundedReceiver<Work<D>>,
    handle: Handle,
) {
    let mut group = Vec::new();
    let mut last = PersistId(0);
    while let Some(first) = queue.recv().await {
        let mut next = Some(first);
        while let Some(work) = next.take() {
            let done = match work {
                Work::Persist(persist) => {
                    last = persist.id;
                    group.push(persist);
                    next = queue.try_recv().ok();
                    if matches!(next, Some(Work::Persist(_))) {
                        continue;
                    }
                    last = group.last().map_or(last, |persist| persist.id);
                    let done = write(&mut storage, &group).await;
                    group.clear();
                    done.map(|()| handle.post(Message::Input(Input::Persisted(last))))
                }
                other => snapshot(&mut storage, other, &handle).await,
            };
            if let Err(error) = done {
                let why = error.to_string();
                handle.post(Message::DiskFailed { batch: last, why });
                // What still comes until the node has stopped is not written, and not promised.
                while queue.recv().await.is_some() {}
                return;
            }
        }
    }
}

async fn write<D: Disk>(storage: &mut Storage<D>, group: &[Persist]) -> Result<(), StorageError> {
    match storage {
        Storage::Durable(store) => store.write(group).await,
        Storage::Memory => Ok(()),
    }
}

/// Everything that is about a snapshot. In memory there is nothing to do: the state is in the agent.
async fn snapshot<D: Disk>(
    storage: &mut Storage<D>,
    work: Work<D>,
    handle: &Handle,
) -> Result<(), StorageError> {
    let Storage::Durable(store) = storage else { return Ok(()) };
    let superfluous = match work {
        Work::Persist(_) => None,
        Work::Restore(source, image) => {
            let staged = snapshots::stage(store.snapshots(), image).await?;
            store.offer(source, staged)
        }
        Work::Offer(source, staged) => store.offer(source, staged),
        Work::Withdraw(source) => store.withdraw(source),
        Work::Save(meta, staged) => {
            let index = meta.index;
            let input = match store.save(staged, &meta).await? {
                Some(meta) => Input::SnapshotSaved(meta),
                None => Input::SnapshotFailed(index),
            };
            handle.post(Message::Input(input));
            None
        }
    };
    match superfluous {
        Some(staged) => store.snapshots().discard(staged).await,
        None => Ok(()),
    }
}
