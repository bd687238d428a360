//! Whom a step acts on, at the moment it fires (language section 5).
//!
//! Groups and draws mean nodes on which the verb can act; a node that was named, or that a name like
//! `last-killed` stands for, is taken as it is, and the verb then fails where it cannot act. Draws come
//! from the step's own stream.

use proconsul::base::Prng;
use proconsul::base::quorum::majority;

use crate::scenario::model::Target;
use crate::trace::event::{Host, HostKind};
use crate::trace::resolve::resolve;
use crate::trace::view::View;

/// What a verb needs of a node to act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// A running agent.
    Up,
    /// One that is not running.
    Down,
    /// Running, and not stopped by SIGSTOP.
    Awake,
    /// Stopped by SIGSTOP.
    Paused,
    /// Nothing.
    Nothing,
}

impl Needs {
    /// Whether the verb can act on this node now.
    #[must_use]
    pub fn met(self, view: &View, host: Host) -> bool {
        let node = view.node(host);
        match self {
            Needs::Up => node.running,
            Needs::Down => !node.running,
            Needs::Awake => node.running && !node.paused,
            Needs::Paused => node.running && node.paused,
            Needs::Nothing => true,
        }
    }

    /// For messages: `n1 is down`.
    #[must_use]
    pub fn unmet_because(self) -> &'static str {
        match self {
            Needs::Up => "is down",
            Needs::Down => "is up",
            Needs::Awake => "is down or paused",
            Needs::Paused => "is not paused",
            Needs::Nothing => "cannot be acted on",
        }
    }
}

/// Resolves a target; nodes named are in it whether or not the verb can act on them.
#[must_use]
pub fn choose(target: &Target, needs: Needs, view: &View, prng: &mut Prng) -> Vec<Host> {
    let fit = |hosts: Vec<Host>| -> Vec<Host> {
        hosts.into_iter().filter(|host| needs.met(view, *host)).collect()
    };
    let servers = || fit(view.servers().collect());
    let mut draw = |mut hosts: Vec<Host>, count: usize| {
        prng.shuffle(&mut hosts);
        hosts.truncate(count);
        hosts.sort_unstable();
        hosts
    };
    let all = view.servers().count();
    match target {
        Target::ServerAny => draw(servers(), 1),
        Target::FollowerAny => draw(fit(resolve(&Target::Followers, view).hosts), 1),
        Target::ClientAny => draw(fit(view.hosts(HostKind::Client).collect()), 1),
        Target::Any => draw(fit(resolve(&Target::All, view).hosts), 1),
        Target::Minority => draw(servers(), all - majority(all)),
        Target::Majority => draw(servers(), majority(all)),
        Target::Half => draw(servers(), all / 2),
        Target::Random(count) => draw(servers(), *count as usize),
        Target::Followers
        | Target::Servers
        | Target::Clients
        | Target::All
        | Target::Service(_) => fit(resolve(target, view).hosts),
        Target::Not(inner) => {
            let excluded = choose(inner, Needs::Nothing, view, prng);
            fit(view.servers().filter(|host| !excluded.contains(host)).collect())
        }
        Target::List(targets) => {
            let mut hosts: Vec<Host> = Vec::new();
            for target in targets {
                hosts.extend(choose(target, needs, view, prng));
            }
            hosts.sort_unstable();
            hosts.dedup();
            hosts
        }
        Target::Node(_)
        | Target::Leader
        | Target::OldLeader
        | Target::LastKilled
        | Target::SameAs(_)
        | Target::Holder(_)
        | Target::Users
        | Target::Rest => resolve(target, view).hosts,
    }
}
