//! Manual recovery of a cluster whose majority is gone (spec cluster 4.14): an operator writes the servers that
//! are left into `raft/peers.json` and starts them again. Of `modern`; under `legacy` that file is the
//! live set, and belongs to storage.
//!
//! ```text
//!   peers.info   peers.json
//!   missing      any          first start of all: peers.json is deleted unread, then peers.info written
//!   there        missing      nothing to do
//!   there        there        everything in the log is applied ──► a snapshot of it, which says the new
//!                             set ──► the log goes ──► peers.json goes
//! ```
//!
//! `peers.info` tells people what the file beside it does, and tells this code that a `peers.json` was not
//! left there by a version for which it meant something else.
//!
//! **A crash at any point is harmless.** A stray `peers.json` goes before `peers.info` comes, so it is never
//! taken for a request. The snapshot takes the place of the log as an installed one does: one step that
//! happens or does not (see [`persist`](super::persist)). `peers.json` goes only after that, and doing it
//! all again changes nothing: the snapshot's end and state are the same.
//!
//! **This is not safe**, and cannot be: entries that were never committed count as committed, and what a
//! server had acknowledged that is not in the list may be lost. Term and vote stay, so no election that was is
//! repeated. A server that abstains goes on abstaining.
//!
//! Deliberately not here: the form of raft protocol 2 (a list of addresses); servers of that protocol do not
//! start.

use std::{fmt, io};

use crate::agent::StateImage;
use crate::base::runtime::{Disk, File, Level};
use crate::base::{Faults, LogIndex, ReplyToken};
use crate::raft::{
    Configuration, EntryKind, Install, Persist, Restored, SnapshotMeta, SnapshotSource,
};
use crate::state::StateStore;
use crate::wire;

use super::persist::{PEERS_MODE, Store};
use super::{peers_json, snapshots};

const SERVER: &str = "agent.server";
/// Consul's path of errors at this point.
const FAILED: &str = "Failed to start Consul server: Failed to start Raft";

const PEERS_INFO: &str = "\
How to bring a cluster back whose servers are, for the greater part, gone for good
==================================================================================

Servers elect a leader by majority. When a majority is lost and will not come back, those that are
left cannot remove it: that, too, would need a leader. In this case, and only then, you can tell them
who is left:

1. Stop the agents on all servers that are left.
2. On each of them, write a file peers.json beside this one, with the same content everywhere:

   [
     { \"id\": \"adf4238a-882b-9ddc-4a9d-5b6758e4159e\", \"address\": \"10.1.0.1:8300\", \"non_voter\": false },
     { \"id\": \"8b6dda82-3103-11e7-93ae-92361f002671\", \"address\": \"10.1.0.2:8300\", \"non_voter\": false }
   ]

   id          the content of the file node-id in that server's data directory
   address     its IP address and server port
   non_voter   true for a server that has no vote; may be left out

3. Start the agents. Each takes the list over, says so in its log, and deletes peers.json.

What only the lost servers had is lost. What was under way and not yet acknowledged may come into
force. If a majority is still there, do not do this: remove lost servers with
\"consul operator raft remove-peer\" or \"consul force-leave\".

peers.json is read once, at the next start, and is never there in normal operation. Please leave this
file, peers.info, where it is: without it a peers.json would be deleted unread, as one that was left
behind by a version from before 0.7.
";

/// Takes log lines: level, logger, text.
pub type Log<'a> = dyn Fn(Level, &str, fmt::Arguments<'_>) + Send + Sync + 'a;

/// What is beside the log.
enum Beside {
    /// This server starts for the first time; whether there was a file all the same.
    FirstStart {
        stray: bool,
    },
    Nothing,
    File(Vec<u8>),
}

/// Whether an operator asks for another set of servers: which.
///
/// # Errors
/// The file cannot be used; it stays.
pub async fn asked_for<D: Disk>(
    disk: &D,
    folder: &str,
    log: &Log<'_>,
) -> Result<Option<Configuration>, String> {
    let failed = |error: io::Error| format!("{FAILED}: {error}");
    match look(disk, folder).await.map_err(failed)? {
        Beside::Nothing | Beside::FirstStart { stray: false } => Ok(None),
        Beside::FirstStart { stray: true } => {
            let text = "deleted peers.json file (see peers.info for details)";
            log(Level::Info, SERVER, format_args!("{text}"));
            Ok(None)
        }
        Beside::File(bytes) => {
            let text = "found peers.json file, recovering Raft configuration...";
            log(Level::Info, SERVER, format_args!("{text}"));
            let parsed = peers_json::parse(&bytes);
            parsed
                .map(Some)
                .map_err(|why| format!("{FAILED}: recovery failed to parse peers.json: {why}"))
        }
    }
}

async fn look<D: Disk>(disk: &D, folder: &str) -> io::Result<Beside> {
    let (json, info) = (format!("{folder}/peers.json"), format!("{folder}/peers.info"));
    let file = present(disk.read(&json).await)?;
    if present(disk.read(&info).await)?.is_some() {
        return Ok(file.map_or(Beside::Nothing, Beside::File));
    }
    disk.create_dir_all(folder).await?;
    disk.sync_dir("").await?;
    if file.is_some() {
        disk.remove(&json).await?;
        disk.sync_dir(folder).await?;
    }
    let temporary = format!("{info}.tmp");
    let written = disk.open(&temporary, true).await?;
    written.set_len(0).await?;
    written.write_at(0, PEERS_INFO.as_bytes()).await?;
    written.set_mode(PEERS_MODE)?;
    written.sync().await?;
    disk.rename(&temporary, &info).await?;
    disk.sync_dir(folder).await?;
    Ok(Beside::FirstStart { stray: file.is_some() })
}

fn present(read: io::Result<Vec<u8>>) -> io::Result<Option<Vec<u8>>> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Makes this the set of servers, and everything in the log committed. Gives what is on disk then.
///
/// # Errors
/// There is nothing to recover, or the disk failed; `peers.json` stays.
pub async fn run<D: Disk>(
    disk: &D,
    store: &mut Store<D>,
    restored: Restored,
    set: Configuration,
    faults: &Faults,
    log: &Log<'_>,
) -> Result<Restored, String> {
    let recovered = recover(store, restored, set, faults).await;
    let recovered = recovered.map_err(|why| format!("{FAILED}: recovery failed: {why}"))?;
    log(Level::Info, "agent.server.fsm", format_args!("snapshot created"));
    if let Some(meta) = &recovered.snapshot {
        let path = store.snapshots().path_of(meta);
        let text = format_args!("creating new snapshot: path={path}");
        log(Level::Info, "agent.server.snapshot", text);
    }
    let folder = store.folder();
    let removed = async {
        disk.remove(&format!("{folder}/peers.json")).await?;
        disk.sync_dir(folder).await
    };
    removed.await.map_err(|error: io::Error| {
        format!(
            "{FAILED}: recovery failed to delete peers.json, please delete manually (see peers.info \
             for details): {error}"
        )
    })?;
    let text = "deleted peers.json file after successful recovery";
    log(Level::Info, SERVER, format_args!("{text}"));
    Ok(recovered)
}

async fn recover<D: Disk>(
    store: &mut Store<D>,
    restored: Restored,
    set: Configuration,
    faults: &Faults,
) -> Result<Restored, String> {
    let covered = restored.snapshot.as_ref().map(|meta| (meta.index, meta.term));
    let end = restored.entries.last().map(|entry| (entry.index, entry.term));
    let Some((index, term)) = covered.max(end) else {
        return Err("refused to recover cluster with no initial state, this is probably an \
                    operator error"
            .to_owned());
    };
    let mut state = match &restored.snapshot {
        Some(meta) => snapshots::load(store.snapshots(), meta).await?,
        None => StateStore::new(),
    };
    apply(&mut state, &restored, covered.unwrap_or_default().0, faults)?;
    if state.applied() < index {
        state.advance_to(index);
    }
    let image = StateImage(Box::new(state));
    let staged = snapshots::stage(store.snapshots(), image).await.map_err(|it| it.to_string())?;
    // No leader's: the name is free, as nobody has asked anything yet.
    let source = SnapshotSource::Received(ReplyToken(0));
    store.offer(source, staged);
    let configuration_index = LogIndex(1);
    let meta = SnapshotMeta { index, term, configuration: set, configuration_index, size: 0 };
    let install = Install { meta, source, keeps_log: false };
    let batch = Persist { install: Some(Box::new(install)), ..Persist::default() };
    store.write(&[batch]).await.map_err(|error| error.to_string())?;
    let snapshot = store.newest_snapshot().cloned();
    Ok(Restored { snapshot, entries: Vec::new(), ..restored })
}

/// Applies what comes after the snapshot, to the end of the log.
fn apply(
    state: &mut StateStore,
    restored: &Restored,
    covered: LogIndex,
    faults: &Faults,
) -> Result<(), String> {
    let after = restored.entries.iter().filter(|entry| entry.index > covered);
    for entry in after.filter(|entry| entry.kind == EntryKind::Command) {
        let command = wire::command::decode(&entry.data)
            .map_err(|error| format!("entry {}: {error}", entry.index))?;
        if let Some(command) = command {
            let _ = state.apply(entry.index, &command, faults);
        }
    }
    Ok(())
}
