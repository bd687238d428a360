//! `peers.json`: the live peer set of the `legacy` discipline (spec cluster 4.15), as hashicorp/raft's
//! JSONPeers writes it: an array of "host:port" and a line feed, or `null`. People edit it: it is how
//! such a cluster is repaired.

use super::error::{StorageError, at};
use crate::base::ServerAddress;
use crate::base::runtime::{Disk, File};

const NAME: &str = "peers.json";
/// Permissions of `peers.json` and `peers.info`, as Consul gives them.
pub const MODE: u32 = 0o755;

/// The content for these peers.
fn render(peers: &[ServerAddress]) -> Vec<u8> {
    let names: Vec<&str> = peers.iter().map(ServerAddress::as_str).collect();
    let list = (!names.is_empty()).then_some(names);
    let mut bytes = serde_json::to_vec(&list).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// The peers in a file of this content; an empty file has none.
fn parse(file: &str, bytes: &[u8]) -> Result<Vec<ServerAddress>, StorageError> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let refused = |line: usize, column: usize, what: String| StorageError::Peers {
        file: file.to_owned(),
        line,
        column,
        what,
    };
    let parsed: Result<Option<Vec<String>>, _> = serde_json::from_slice(bytes);
    let names = parsed.map_err(|error| {
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or(&text);
        refused(error.line().max(1), error.column().max(1), what.to_owned())
    })?;
    let names = names.unwrap_or_default();
    if let Some(name) = names.iter().find(|name| !is_address(name)) {
        let text = String::from_utf8_lossy(bytes);
        let quoted = serde_json::to_string(name).unwrap_or_default();
        let before = &text[..text.find(&quoted).unwrap_or(0)];
        let column = before.chars().rev().take_while(|char| *char != '\n').count() + 1;
        let line = before.matches('\n').count() + 1;
        return Err(refused(line, column, format!("expected \"host:port\", found {quoted}")));
    }
    Ok(names.into_iter().map(ServerAddress::from).collect())
}

fn is_address(name: &str) -> bool {
    let port = name.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// The peers that the file names; none without one.
pub(super) async fn read<D: Disk>(
    disk: &D,
    folder: &str,
) -> Result<Vec<ServerAddress>, StorageError> {
    let path = format!("{folder}/{NAME}");
    match disk.read(&path).await {
        Ok(bytes) => parse(&path, &bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(at("read", &path)(error)),
    }
}

/// Replaces the file, durably: a power cut leaves the old one or the new one.
pub(super) async fn write<D: Disk>(
    disk: &D,
    folder: &str,
    peers: &[ServerAddress],
) -> Result<(), StorageError> {
    let (path, temporary) = (format!("{folder}/{NAME}"), format!("{folder}/{NAME}.tmp"));
    let file = disk.open(&temporary, true).await.map_err(at("create", &temporary))?;
    file.set_len(0).await.map_err(at("empty", &temporary))?;
    file.write_at(0, &render(peers)).await.map_err(at("write", &temporary))?;
    file.set_mode(MODE).map_err(at("set the mode of", &temporary))?;
    file.sync().await.map_err(at("sync", &temporary))?;
    disk.rename(&temporary, &path).await.map_err(at("rename", &temporary))?;
    disk.sync_dir(folder).await.map_err(at("sync", folder))
}
