//! Opening a server's storage at start: what is found, what an operator asks for with `peers.json`, and
//! what cannot be gone on with.
//!
//! ```text
//!   peers.json? ──► read everything ──► alone, and something lost? refuse
//!   (recovery)           │
//!                        ▼ nothing has been changed so far
//!                     settle ──► recover, if asked for ──► peers.json goes
//! ```

use std::fmt;

use crate::base::Faults;
use crate::base::runtime::{Level, Runtime};
use crate::config::AgentConfig;
use crate::raft::{Configuration, Profile, Restored, Server, Suffrage};
use crate::state::StateStore;

use super::disk_task::Storage;
use super::persist::{self, Options, SnapshotStore};
use super::{recovery, snapshots};

const LOGGER: &str = "agent.server.raft";
/// Below the data folder.
const FOLDER: &str = "raft";

/// Recovers what is on disk. `first`: the servers that a new cluster begins with, if this one knows them.
///
/// # Errors
/// For the user: why the agent cannot start.
pub(super) async fn open<R: Runtime>(
    runtime: &R,
    config: &AgentConfig,
    me: &Server,
    first: Option<&[Server]>,
    faults: &Faults,
) -> Result<(Storage<R::Disk>, Restored), String> {
    let Some(folder) = &config.data_dir else {
        return Ok((Storage::Memory, Restored::default()));
    };
    let disk = runtime.disk(folder);
    let log = |level, logger: &str, text: fmt::Arguments<'_>| runtime.log(level, logger, text);
    let new_set = match config.profile {
        Profile::Modern => recovery::asked_for(&disk, FOLDER, &log).await?,
        Profile::Legacy => None,
    };
    let refused = |error| format!("data_dir {}: {error}", folder.display());
    let peers_file = config.profile == Profile::Legacy;
    let options = Options { faults: faults.clone(), peers_file, ..Options::default() };
    let found = persist::inspect(disk.clone(), FOLDER, options).await.map_err(refused)?;
    let set = new_set.clone().or_else(|| found.peers()).or_else(|| found.configuration());
    let set = set.or_else(|| first.map(|first| Configuration { servers: first.to_vec() }));
    if let Some(loss) = found.loss().filter(|_| is_alone(set.as_ref(), me)) {
        return Err(refused(loss.refusal()));
    }
    for damage in found.damage() {
        runtime.log(Level::Warn, LOGGER, format_args!("{damage}"));
    }
    if found.is_healing() && found.loss().is_none() {
        let text = "still without what damage on disk has taken: this server does not vote";
        runtime.log(Level::Warn, LOGGER, format_args!("{text}"));
    }
    let (mut store, mut restored) = found.settle().await.map_err(refused)?;
    if let Some(set) = new_set {
        restored = recovery::run(&disk, &mut store, restored, set, faults, &log).await?;
    }
    Ok((Storage::Durable(Box::new(store)), restored))
}

/// Where snapshots are, and the state in the newest one.
///
/// # Errors
/// Why it cannot be read.
pub(super) async fn load_state<R: Runtime>(
    runtime: &R,
    storage: &Storage<R::Disk>,
    restored: &Restored,
) -> Result<(Option<SnapshotStore<R::Disk>>, StateStore), String> {
    let Storage::Durable(store) = storage else { return Ok((None, StateStore::new())) };
    let state = match &restored.snapshot {
        Some(meta) => {
            let state = snapshots::load(store.snapshots(), meta).await?;
            let (term, index) = (meta.term, meta.index);
            let text = format_args!("restored from snapshot: id={term}-{index}");
            runtime.log(Level::Info, LOGGER, text);
            state
        }
        None => StateStore::new(),
    };
    Ok((Some(store.snapshots().clone()), state))
}

/// Whether there is no other voter from whom a loss could be healed.
fn is_alone(set: Option<&Configuration>, me: &Server) -> bool {
    let servers = set.map(|set| set.servers.as_slice()).unwrap_or_default();
    let others = servers.iter().filter(|server| server.id != me.id);
    others.filter(|server| server.suffrage == Suffrage::Voter).count() == 0
}
