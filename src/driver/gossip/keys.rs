//! A pool's keys as Serf's queries change them: in memory, in the keyring file, and the answer.
//!
//! One task, in the order in which the queries came: a change is answered once it is in the file, so that
//! who was told that a key is there finds it after a restart too. The file is replaced as a whole
//! (beside it, synced, renamed) and only its owner may read it. A change that could not be written
//! stays in memory and is answered as a failure, as Serf does: the operator does it again.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::agent::{Input, PoolId};
use crate::base::NodeName;
use crate::base::runtime::{Disk, File, Level, Runtime};
use crate::gossip::{self, QueryKey};
use crate::wire::gossip::{KeyAction, KeyResponse, Keyring, apply_key_query, encode_key_answer};

use super::super::mailbox::{Handle, Message};
use super::Secrets;

/// Only its owner reads and writes it.
const OWNER_ONLY: u32 = 0o600;

/// Where a pool's keys are kept, in the data folder.
pub(in super::super) fn keyring_path(pool: PoolId) -> &'static str {
    match pool {
        PoolId::Lan => "serf/local.keyring",
        PoolId::Wan => "serf/remote.keyring",
    }
}

/// The keys in a pool's file; none when there is no file.
///
/// # Errors
/// It cannot be read, or holds no keys: why.
pub(in super::super) async fn read_keyring<D: Disk>(
    disk: &D,
    pool: PoolId,
) -> Result<Option<Keyring>, String> {
    let path = keyring_path(pool);
    match disk.read(path).await {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let ring = Keyring::from_file_text(&text);
            ring.map(Some).map_err(|error| format!("{path}: {error}"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {path}: {error}")),
    }
}

/// Puts these keys in the place of those in the file, durably.
pub(in super::super) async fn write_keyring<D: Disk>(
    disk: &D,
    pool: PoolId,
    ring: &Keyring,
) -> io::Result<()> {
    let path = keyring_path(pool);
    let beside = format!("{path}.tmp");
    disk.create_dir_all("serf").await?;
    let file = disk.open(&beside, true).await?;
    file.set_mode(OWNER_ONLY)?;
    file.set_len(0).await?;
    file.write_at(0, ring.to_file_text().as_bytes()).await?;
    file.sync().await?;
    disk.rename(&beside, path).await?;
    disk.sync_dir("serf").await
}

/// What a member needs to answer for its keys.
#[derive(Clone)]
pub(in super::super) struct KeyKeeper<D> {
    /// As it is called in the pool.
    pub node: NodeName,
    pub pool: PoolId,
    /// None: changes end with the process.
    pub disk: Option<D>,
    pub logger: &'static str,
}

/// One of Serf's queries about keys.
pub(super) struct KeyQuery {
    pub query: QueryKey,
    pub action: KeyAction,
    pub payload: Bytes,
}

/// Answers until nobody asks any more.
pub(super) async fn answer_key_queries<R: Runtime>(
    runtime: R,
    keeper: KeyKeeper<R::Disk>,
    secrets: Arc<Secrets>,
    mut queries: mpsc::UnboundedReceiver<KeyQuery>,
    handle: Handle,
) {
    while let Some(KeyQuery { query, action, payload }) = queries.recv().await {
        let log = |level, text: &str| {
            runtime.log(level, keeper.logger, format_args!("serf: {text}"));
        };
        let applied = secrets.change(|ring| {
            apply_key_query(action, &payload, ring).map(|done| (done, ring.clone()))
        });
        let response = match applied {
            Err((refusal, why)) => {
                log(Level::Error, &why);
                refusal
            }
            Ok(((response, changed), ring)) => {
                let name = action.query_name().trim_start_matches("_serf_");
                log(Level::Info, &format!("Received {name} query"));
                match &keeper.disk {
                    Some(disk) if changed => match write_keyring(disk, keeper.pool, &ring).await {
                        Ok(()) => response,
                        Err(error) => {
                            log(Level::Error, &format!("Failed to write keyring file: {error}"));
                            KeyResponse { message: error.to_string(), ..KeyResponse::default() }
                        }
                    },
                    _ => response,
                }
            }
        };
        let payload = encode_key_answer(query, &keeper.node, response);
        let input = gossip::Input::Respond { query, payload };
        handle.post(Message::Input(Input::Gossip(keeper.pool, input)));
    }
}
