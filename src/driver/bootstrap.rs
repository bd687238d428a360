//! Which server this is, and with whom it begins (spec cluster 3.6 to 3.8, 4.1).
//!
//! | | identity in Raft | without data |
//! |---|---|---|
//! | `modern` | node id | `-bootstrap`, `-dev`: a cluster of itself |
//! | `legacy` | address | `-bootstrap`: it may elect itself, with no set at all |
//! | both | | otherwise: no set, until somebody gives one or a leader adds it |
//!
//! The set of `bootstrap_expect` is found by gossip, later (`agent::expecting`).

use crate::base::{ServerAddress, ServerId};
use crate::config::AgentConfig;
use crate::raft::{Profile, Server, Suffrage};

/// This server, as sets of servers name it. The node id must have been settled.
pub(super) fn own_server(config: &AgentConfig) -> Server {
    let address = ServerAddress::from(config.server_address().to_string());
    let node_id = config.node_id.as_deref().filter(|_| config.profile == Profile::Modern);
    let id = node_id.map_or_else(|| address.as_str().into(), ServerId::from);
    Server { suffrage: Suffrage::Voter, id, address }
}

/// The servers that a cluster begins with, where this server knows them by itself.
pub(super) fn first_servers(config: &AgentConfig) -> Option<Vec<Server>> {
    let alone = config.bootstrap && config.profile == Profile::Modern;
    alone.then(|| vec![own_server(config)])
}
