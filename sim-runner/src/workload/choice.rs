//! Whom a user asks.

use proconsul::base::Prng;

use crate::cluster::Cluster;
use crate::scenario::model::{Target, Via};
use crate::trace::event::Host;

/// Drawn among the nodes that are up, or among all servers when none is; `sticky` keeps the first.
pub fn choose(
    cluster: &Cluster,
    via: &Via,
    prng: &mut Prng,
    sticky: &mut Option<Host>,
) -> Option<Host> {
    if let Some(server) = sticky {
        return Some(*server);
    }
    let (target, keeps) = match via {
        Via::Sticky => (Target::Servers, true),
        Via::Target(Target::ServerAny) => (Target::Servers, false),
        Via::Target(Target::ClientAny) => (Target::Clients, false),
        Via::Target(target) => (target.clone(), false),
    };
    let mut choice = cluster.up(&target);
    if choice.is_empty() {
        choice = cluster.servers();
    }
    let server = prng.pick(&choice).copied();
    if keeps {
        *sticky = server;
    }
    server
}
