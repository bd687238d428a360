//! Data that this agent must not start on, because it is somebody else's: another node's, Consul's own, or that
//! of another version. To go on beside it would mean an empty state where there is data, or one server under
//! two names.
//!
//! Only looked at: whoever is refused finds everything as it was.

use std::io;

use crate::base::ids::is_uuid;
use crate::base::runtime::{Disk, File, Runtime};
use crate::config::AgentConfig;

use super::persist::{LOG_HEAD, other_format};

const NODE_ID: &str = "node-id";
const RAFT: &str = "raft";
/// What Consul keeps its Raft log in: since 0.5.1, and before.
const CONSULS: [&str; 2] = ["raft/raft.db", "raft/mdb"];

/// Looks at the data folder before anything is made of it.
///
/// # Errors
/// For the user: whose data it is, and what to do.
pub(super) async fn refuse<R: Runtime>(runtime: &R, config: &AgentConfig) -> Result<(), String> {
    let Some(folder) = config.data_dir.as_ref().filter(|_| config.server) else { return Ok(()) };
    let disk = runtime.disk(folder);
    let refused = |why: String| Err(format!("data_dir {}: {why}", folder.display()));
    let Ok(names) = disk.read_dir(RAFT).await else { return Ok(()) };
    for path in CONSULS {
        if names.iter().any(|name| path.strip_prefix("raft/") == Some(name)) {
            return refused(format!(
                "{path} is the Raft log of HashiCorp's Consul, which is not read here. Save its state \
                 with \"consul snapshot save\" and restore that into a new cluster, or choose \
                 another data_dir"
            ));
        }
    }
    let segments = names.iter().filter(|name| name.ends_with(".wal"));
    for name in segments.map(|name| format!("{RAFT}/{name}")) {
        let mut head = [0; LOG_HEAD];
        let read = read_head(&disk, &name, &mut head).await;
        read.map_err(|error| format!("data_dir {}: {error}", folder.display()))?;
        if let Some(format) = other_format(&head) {
            return refused(format!(
                "{name} is of another version of this program (format {format}). Start that version, \
                 or choose another data_dir"
            ));
        }
    }
    let Ok(kept) = disk.read(NODE_ID).await else { return Ok(()) };
    let kept = String::from_utf8_lossy(&kept).trim().to_ascii_lowercase();
    match &config.node_id {
        Some(own) if is_uuid(&kept) && *own != kept => refused(format!(
            "it holds the Raft log of node {kept}, and this is node {own}. Remove node_id from the \
             configuration, or choose another data_dir"
        )),
        _ => Ok(()),
    }
}

async fn read_head<D: Disk>(disk: &D, path: &str, head: &mut [u8]) -> io::Result<()> {
    let file = disk.open(path, false).await?;
    let mut filled = 0;
    while filled < head.len() {
        match file.read_at(filled as u64, &mut head[filled..]).await? {
            0 => break,
            more => filled += more,
        }
    }
    Ok(())
}
