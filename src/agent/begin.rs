//! What an agent begins with and as what: the discipline of its profile, and a new cluster's first set.
//!
//! | | `modern` | `legacy` |
//! |---|---|---|
//! | a set is found | in the log and the snapshot | in `peers.json` |
//! | [`Input::Bootstrap`](super::Input::Bootstrap) | entry 1 of term 1 | the live set, and the file |
//! | refused | when there is any state | when there is a log |
//! | a server that has left | nothing | the file becomes `null` |

use crate::base::{Instant, LogIndex, ServerAddress};
use crate::raft::{
    self, Configuration, ConfigurationCodec, LegacyMembership, Membership, ModernMembership,
    PeersCodec, Profile, Server,
};
use crate::wire;

use super::core::{Agent, AgentConfig};
use super::io::Output;

const CONFIGURATIONS: ConfigurationCodec = ConfigurationCodec {
    encode: wire::raft::encode_configuration,
    decode: |bytes| wire::raft::decode_configuration(bytes).map_err(|error| error.to_string()),
};

const PEERS: PeersCodec = PeersCodec {
    encode: wire::raft::encode_addresses,
    decode: |bytes| wire::raft::decode_addresses(bytes).map_err(|error| error.to_string()),
};

/// The discipline that the profile asks for.
pub(super) fn membership(config: &AgentConfig) -> Box<dyn Membership> {
    let (id, address) = (config.raft.id.clone(), config.raft.address.clone());
    match config.profile {
        Profile::Modern => Box::new(ModernMembership::new(id, CONFIGURATIONS)),
        Profile::Legacy => {
            Box::new(LegacyMembership::new(address, config.enable_single_node, PEERS))
        }
    }
}

impl Agent {
    /// Begins a cluster of these servers, as far as this one is concerned.
    pub(super) fn bootstrap(&mut self, now: Instant, servers: Vec<Server>, out: &mut Vec<Output>) {
        let input = match self.config.profile {
            Profile::Modern => raft::Input::Bootstrap(Configuration { servers }),
            // 0.5.2 lets go of `bootstrap-expect` without a word when there is anything (spec 3.8).
            Profile::Legacy if self.raft.last_index() > LogIndex(0) => return,
            Profile::Legacy => raft::Input::SetPeers(addresses(servers)),
        };
        self.raft_step(now, input, out);
    }

    /// This server has left for good.
    pub(super) fn forget_peers(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.config.profile == Profile::Legacy {
            self.raft_step(now, raft::Input::SetPeers(Vec::new()), out);
        }
    }
}

fn addresses(servers: Vec<Server>) -> Vec<ServerAddress> {
    servers.into_iter().map(|server| server.address).collect()
}
