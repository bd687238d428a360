//! Which servers are gone for good, and how many of them may go at once (spec cluster 6.6).
//!
//! ```text
//!   stale    in the Raft configuration, unknown to gossip       removed from Raft
//!   failed   in both, failed or left in gossip                  forced out of gossip
//!   order    stale non-voters, stale voters, failed non-voters, failed voters; each by id
//! ```
//!
//! Before each group, with P potential voters left, `(P - 1) / 2` of them may go: what stays is a
//! majority of what was, and can agree on the removals. Consul counts anew for each group; here the
//! whole round keeps to the first count as well (spec cluster 11.8, 85).

use super::{Action, KnownServer, Level, Picture, is_present};
use crate::base::{NodeName, ServerId};
use crate::raft::{Server, Suffrage};

/// A server that is gone.
struct Gone {
    id: ServerId,
    /// Its member name, when gossip knows it.
    name: Option<NodeName>,
    /// It votes.
    votes: bool,
    /// It votes or may come to.
    potential: bool,
}

/// Removes what may be removed.
pub(super) fn prune(picture: &Picture<'_>, out: &mut Vec<Action>) {
    if !picture.configuration.cleanup_dead_servers {
        return;
    }
    let mut potential = picture
        .raft
        .servers
        .iter()
        .filter(|server| is_potential(server, find(picture, server)))
        .count();
    let mut round = potential.saturating_sub(1) / 2;
    for group in groups(picture) {
        let mut budget = (potential.saturating_sub(1) / 2).min(round);
        for gone in group {
            let left = potential.saturating_sub(1) as u64;
            if gone.potential && left < picture.configuration.min_quorum {
                out.push(Action::Log(Level::Debug, format!(
                    "will not remove server node as it would leave less voters than the minimum \
                     number allowed: id={} min={}",
                    gone.id, picture.configuration.min_quorum
                )));
                continue;
            }
            if gone.votes && budget < 1 {
                out.push(Action::Log(Level::Debug, format!(
                    "will not remove server node as removal of a majority of voting servers is not \
                     safe: id={}",
                    gone.id
                )));
                continue;
            }
            if gone.potential {
                potential -= 1;
                budget = budget.saturating_sub(1);
                round = round.saturating_sub(1);
            }
            remove(gone, out);
        }
    }
}

fn remove(gone: Gone, out: &mut Vec<Action>) {
    match gone.name {
        Some(name) => {
            let text =
                format!("Attempting removal of failed server node: id={} name={name}", gone.id);
            out.push(Action::Log(Level::Info, text));
            out.push(Action::ForceLeave(name));
        }
        None => {
            let text = format!("Attempting removal of stale server: id={}", gone.id);
            out.push(Action::Log(Level::Info, text));
            out.push(Action::RemoveServer(gone.id));
        }
    }
}

fn find<'a>(picture: &Picture<'a>, server: &Server) -> Option<&'a KnownServer> {
    picture.known.iter().find(|known| known.id == server.id)
}

fn is_potential(server: &Server, known: Option<&KnownServer>) -> bool {
    server.suffrage == Suffrage::Voter || known.is_some_and(|known| !known.read_replica)
}

/// The four groups, in their order. The leader is never gone: it is who asks.
fn groups(picture: &Picture<'_>) -> [Vec<Gone>; 4] {
    let mut groups = [const { Vec::new() }; 4];
    for server in picture.raft.servers.iter().filter(|it| it.id != *picture.leader) {
        let known = find(picture, server);
        if known.is_some_and(|known| is_present(known.status)) {
            continue;
        }
        let votes = server.suffrage == Suffrage::Voter;
        let at = 2 * usize::from(known.is_some()) + usize::from(votes);
        groups[at].push(Gone {
            id: server.id.clone(),
            name: known.map(|known| known.name.clone()),
            votes,

            potential: is_potential(server, known),
        });
    }
    for group in &mut groups {
        group.sort_by(|a, b| a.id.cmp(&b.id));
    }
    groups
}
