//! The task that writes: it takes everything that has queued up and makes it durable with one sync.

use tokio::sync::mpsc;

use crate::agent::Input;
use crate::base::runtime::Disk;
use crate::raft::Persist;

use super::mailbox::{Handle, Message};
use super::persist::Store;

/// Where a node keeps its log.
pub(super) enum Storage<D: Disk> {
    /// On disk.
    Durable(Box<Store<D>>),
    /// Nowhere: `-dev`.
    Memory,
}

/// Serves the queue until it is closed. A disk that fails once is not asked again: after a failed
/// fsync nobody knows what is on it.
pub(super) async fn run<D: Disk>(
    mut storage: Storage<D>,
    mut queue: mpsc::UnboundedReceiver<Persist>,
    handle: Handle,
) {
    let mut group = Vec::new();
    while let Some(first) = queue.recv().await {
        group.push(first);
        while let Ok(more) = queue.try_recv() {
            group.push(more);
        }
        let Some(last) = group.last().map(|persist| persist.id) else { continue };
        let result = match &mut storage {
            Storage::Durable(store) => store.write(&group).await,
            Storage::Memory => Ok(()),
        };
        group.clear();
        match result {
            Ok(()) => handle.post(Message::Input(Input::Persisted(last))),
            Err(error) => {
                let why = error.to_string();
                handle.post(Message::DiskFailed { batch: last, why });
                // What still comes until the node has stopped is not written, and not promised.
                while queue.recv().await.is_some() {}
            }
        }
    }
}
