//! `meta.json`: hashicorp/raft's `SnapshotMeta` in Go's JSON. Bytes are base64, an empty slice is null.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::ArchiveError;
use crate::base::{LogIndex, ServerAddress, ServerId, Term};
use crate::raft::{Configuration, Server, SnapshotMeta, Suffrage};
use crate::wire::raft::{decode_peers, encode_peers};

/// The version of what is written here.
const VERSION: u64 = 1;

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Meta {
    version: u64,
    #[serde(rename = "ID")]
    id: String,
    index: u64,
    term: u64,
    peers: Option<String>,
    configuration: Servers,
    configuration_index: u64,
    size: u64,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Servers {
    servers: Option<Vec<Member>>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Member {
    suffrage: u64,
    #[serde(rename = "ID")]
    id: String,
    address: String,
}

/// The line that Go's encoder writes.
pub(super) fn encode(id: &str, meta: &SnapshotMeta) -> Vec<u8> {
    let member = |server: &Server| Member {
        suffrage: match server.suffrage {
            Suffrage::Voter => 0,
            Suffrage::Nonvoter => 1,
            Suffrage::Staging => 2,
        },
        id: server.id.as_str().to_owned(),
        address: server.address.as_str().to_owned(),
    };
    let servers = meta.configuration.servers.iter().map(member).collect();
    let written = Meta {
        version: VERSION,
        id: id.to_owned(),
        index: meta.index.0,
        term: meta.term.0,
        peers: Some(STANDARD.encode(encode_peers(&meta.configuration))),
        configuration: Servers { servers: Some(servers) },
        configuration_index: meta.configuration_index.0,
        size: meta.size,
    };
    let mut line = serde_json::to_vec(&written).expect("numbers and strings are JSON");
    line.push(b'\n');
    line
}

/// Version, id and what the snapshot stands for.
pub(super) fn decode(bytes: &[u8]) -> Result<(u64, String, SnapshotMeta), ArchiveError> {
    let bad = |why: String| ArchiveError::Meta(why);
    let meta: Meta = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
    let configuration = match meta.version {
        0 => {
            let peers = STANDARD
                .decode(meta.peers.unwrap_or_default())
                .map_err(|error| bad(format!("Peers: {error}")))?;
            decode_peers(&peers).map_err(|error| bad(format!("Peers: {error}")))?
        }
        VERSION => {
            let members = meta.configuration.servers.unwrap_or_default();
            Configuration { servers: members.into_iter().map(server).collect::<Result<_, _>>()? }
        }
        other => return Err(bad(format!("unsupported snapshot version {other}"))),
    };
    let snapshot = SnapshotMeta {
        index: LogIndex(meta.index),
        term: Term(meta.term),
        configuration,
        configuration_index: LogIndex(meta.configuration_index),
        size: meta.size,
    };
    Ok((meta.version, meta.id, snapshot))
}

fn server(member: Member) -> Result<Server, ArchiveError> {
    let suffrage = match member.suffrage {
        0 => Suffrage::Voter,
        1 => Suffrage::Nonvoter,
        2 => Suffrage::Staging,
        other => return Err(ArchiveError::Meta(format!("a suffrage cannot be {other}"))),
    };
    let (id, address) = (ServerId::from(member.id), ServerAddress::from(member.address));
    Ok(Server { suffrage, id, address })
}
