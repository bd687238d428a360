//! Targets inside conditions: whom `leader(n2)` or `up(followers)` speaks of.
//!
//! Resolved against the view at each instant, without draws: a condition that is asked a thousand
//! times must not consume randomness. `any`, `server:any` and their kin mean "at least one of"; a
//! group that only a draw defines (`minority`, `half`, `random:2`) has no meaning here and resolves
//! to nobody. Steps, which act once, resolve their targets with draws in the cluster.

use crate::scenario::model::Target;

use super::event::{Host, HostKind};
use super::view::View;

/// Hosts, and whether a statement about them must hold for all or for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whom {
    /// In the order of the header, each once.
    pub hosts: Vec<Host>,
    /// At least one suffices.
    pub any: bool,
}

impl Whom {
    /// Whether the statement holds of these hosts. Of nobody nothing holds.
    pub fn satisfy(&self, mut statement: impl FnMut(Host) -> bool) -> bool {
        match self.any {
            true => self.hosts.iter().any(|host| statement(*host)),
            false => !self.hosts.is_empty() && self.hosts.iter().all(|host| statement(*host)),
        }
    }
}

/// Resolves a target in the view of the whole cluster.
#[must_use]
pub fn resolve(target: &Target, view: &View) -> Whom {
    let any =
        matches!(target, Target::FollowerAny | Target::ServerAny | Target::ClientAny | Target::Any);
    let mut hosts = members(target, view);
    hosts.sort_unstable();
    hosts.dedup();
    Whom { hosts, any }
}

fn members(target: &Target, view: &View) -> Vec<Host> {
    let servers = || view.servers().collect::<Vec<_>>();
    let clients = || view.hosts(HostKind::Client);
    match target {
        Target::Node(name) => view.host(name).into_iter().collect(),
        Target::Leader => view.leader().into_iter().collect(),
        Target::OldLeader => view.old_leader().into_iter().collect(),
        Target::Followers | Target::FollowerAny => {
            let leader = view.leader();
            view.servers().filter(|h| view.node(*h).running && Some(*h) != leader).collect()
        }
        Target::Servers | Target::ServerAny => servers(),
        Target::Clients | Target::ClientAny => clients().collect(),
        Target::All | Target::Any => servers().into_iter().chain(clients()).collect(),
        Target::Users => view.hosts(HostKind::User).collect(),
        Target::LastKilled => view.last_killed().to_vec(),
        Target::SameAs(step) => {
            let step = u32::try_from(*step).ok().and_then(|step| view.step(step));
            step.map(|step| step.targets.clone()).unwrap_or_default()
        }
        Target::Holder(key) => {
            let tables = view.authority().map(|server| &view.node(server).locks);
            let holder = tables.and_then(|locks| locks.holder(key));
            holder.and_then(|holder| view.agent(&holder.node)).into_iter().collect()
        }
        Target::Service(name) => {
            let catalog = view.authority().map(|server| &view.node(server).catalog);
            let instances = catalog.into_iter().flat_map(|catalog| catalog.instances(name));
            instances.filter_map(|(node, _)| view.agent(node)).collect()
        }
        Target::Not(inner) => {
            let excluded = members(inner, view);
            servers().into_iter().filter(|host| !excluded.contains(host)).collect()
        }
        Target::List(targets) => targets.iter().flat_map(|t| members(t, view)).collect(),
        Target::Minority | Target::Majority | Target::Half | Target::Random(_) | Target::Rest => {
            Vec::new()
        }
    }
}
