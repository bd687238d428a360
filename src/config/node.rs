//! Who a node is: name, id, metadata.
//!
//! The id is the server's identity in Raft under `modern`, so it must never change while there is data:
//! it is kept in the data folder beside that data, in one piece, and a file that holds anything else is
//! refused rather than replaced. Without a data folder (`-dev`) it lasts as long as the process.

use std::collections::BTreeMap;
use std::io;

use crate::agent::validate;
use crate::base::ids::{is_uuid, uuid};
use crate::base::runtime::{Disk, File, Runtime};
use crate::config::AgentConfig;
use crate::config::checked::refuse;
use crate::config::error::ConfigError;
use crate::config::settings::Settings;

/// In the data folder: 36 characters.
const FILE: &str = "node-id";

impl AgentConfig {
    /// Fills in [`AgentConfig::node_id`] where nobody has given one: the one that the data folder keeps, or
    /// a new one, kept there from now on.
    ///
    /// # Errors
    /// Those of the disk; a file that holds no UUID.
    pub async fn settle_node_id<R: Runtime>(&mut self, runtime: &R) -> io::Result<()> {
        if self.node_id.is_some() {
            return Ok(());
        }
        self.node_id = Some(match &self.data_dir {
            None => new_uuid(runtime),
            Some(folder) => kept_uuid(runtime, &runtime.disk(folder)).await?,
        });
        Ok(())
    }
}

async fn kept_uuid<R: Runtime>(runtime: &R, disk: &R::Disk) -> io::Result<String> {
    disk.create_dir_all("").await?;
    match disk.read(FILE).await {
        Ok(bytes) => {
            let kept = String::from_utf8_lossy(&bytes).trim().to_ascii_lowercase();
            return match is_uuid(&kept) {
                true => Ok(kept),
                false => Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!(
                        "the file {FILE} holds {kept:?}, which is no UUID: restore it, or remove it \
                         together with the data beside it"
                    ),
                )),
            };
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let id = new_uuid(runtime);
    let temporary = format!("{FILE}.tmp");
    let file = disk.open(&temporary, true).await?;
    file.set_len(0).await?;
    file.write_at(0, id.as_bytes()).await?;
    file.sync().await?;
    disk.rename(&temporary, FILE).await?;
    disk.sync_dir("").await?;
    Ok(id)
}

fn new_uuid<R: Runtime>(runtime: &R) -> String {
    let mut bytes = [0; 16];
    runtime.entropy(&mut bytes);
    uuid(bytes)
}

pub(super) fn name(
    said: &Settings,
    host_name: &str,
    warnings: &mut Vec<String>,
) -> Result<String, ConfigError> {
    let name = said.node_name.as_deref().unwrap_or(host_name).trim();
    if name.is_empty() {
        return refuse("node_name cannot be empty");
    }
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let will_not = format!("Node name {name:?} will not be discoverable via DNS due to");
    if !name.bytes().all(is_label) {
        warnings.push(format!(
            "{will_not} invalid characters. Valid characters include all alpha-numerics and dashes."
        ));
    } else if name.len() > 63 {
        warnings.push(format!(
            "{will_not} it being too long. Valid lengths are between 1 and 63 bytes."
        ));
    }
    Ok(name.to_owned())
}

pub(super) fn id(said: &Settings) -> Result<Option<String>, ConfigError> {
    let Some(id) = said.node_id.as_deref().filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    let id = id.to_ascii_lowercase();
    if is_uuid(&id) { Ok(Some(id)) } else { refuse(format!("node_id {id:?} is not a UUID")) }
}

/// Consul's limits, in its words.
pub(super) fn meta(said: &Settings) -> Result<BTreeMap<String, String>, ConfigError> {
    match validate::metadata(&said.node_meta) {
        Ok(()) => Ok(said.node_meta.clone()),
        Err(text) => refuse(format!("node_meta invalid: {text}")),
    }
}
