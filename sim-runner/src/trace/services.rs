//! What the catalog says of agents beside what they say of themselves, and whether all is in line.

use super::catalog::{Catalog, OnNode, SERF_HEALTH};
use super::event::{Host, HostKind, Pool};
use super::members::{MemberStatus, agents, seen_by};
use super::view::View;

/// The id of the instance that a leader registers for each server.
const CONSUL: &str = "consul";

/// Whether two agents list each other as alive: then what the one says gets to the other.
#[must_use]
pub fn reaches(view: &View, one: Host, other: Host) -> bool {
    let alive = |a, b| seen_by(view, Pool::Lan, a, b) == Some(MemberStatus::Alive);
    one == other || alive(one, other) && alive(other, one)
}

/// What keeps the catalog from being in line with all live agents and on all live servers; none when it is.
#[must_use]
pub fn unconverged(view: &View) -> Option<String> {
    let leader = view.leader()?;
    let catalog = &view.node(leader).catalog;
    let behind = view.live_members().find(|it| view.node(*it).catalog.digest() != catalog.digest());
    if let Some(behind) = behind {
        let name = |host: Host| view.node(host).name.as_str();
        return Some(format!("{} and {} have different catalogs", name(leader), name(behind)));
    }
    let live = agents(view).filter(|host| view.node(*host).live());
    live.filter(|host| reaches(view, *host, leader)).find_map(|host| {
        let node = view.node(host);
        let name = node.name.to_lowercase();
        let health = catalog.checks().get(&(name.clone(), SERF_HEALTH.to_owned()));
        if health.is_none_or(|check| check.status != "passing") {
            return Some(format!("{} does not pass", node.name));
        }
        let differs = difference(&node.own, catalog, &name, node.kind == HostKind::Server);
        differs.map(|(_, what)| format!("of {}: {what}", node.name))
    })
}

/// The first thing in which they differ: the fact, and the sentence.
#[must_use]
pub fn difference(
    own: &Catalog,
    catalog: &Catalog,
    node: &str,
    is_server: bool,
) -> Option<(&'static str, String)> {
    let there = |place: &OnNode| place.0 == node;
    for ((_, id), row) in own.services() {
        match catalog.services().get(&(node.to_owned(), id.clone())) {
            None => {
                return Some((
                    "a service that is not in the catalog",
                    format!("service {id} is missing"),
                ));
            }
            Some(found) if !found.agrees(row) => {
                return Some((
                    "a service that is otherwise in the catalog",
                    format!("service {id} is another"),
                ));
            }
            Some(_) => {}
        }
    }
    for ((_, id), row) in own.checks() {
        match catalog.checks().get(&(node.to_owned(), id.clone())) {
            None => {
                return Some((
                    "a check that is not in the catalog",
                    format!("check {id} is missing"),
                ));
            }
            Some(found) if found.status != row.status => {
                let what = format!("check {id} is {} and not {}", found.status, row.status);
                return Some(("a check with another status in the catalog", what));
            }
            Some(found) if found != row => {
                return Some((
                    "a check that is otherwise in the catalog",
                    format!("check {id} is another"),
                ));
            }
            Some(_) => {}
        }
    }
    let has_service = |id: &str| own.services().keys().any(|(_, own)| own == id);
    let has_check = |id: &str| own.checks().keys().any(|(_, own)| own == id);
    let services = catalog.services().keys().filter(|place| there(place));
    let mut services = services.filter(|(_, id)| !(is_server && id == CONSUL));
    if let Some((_, id)) = services.find(|(_, id)| !has_service(id)) {
        let what = format!("service {id} is there, and {node} has it not");
        return Some(("a service in the catalog that its agent has not", what));
    }
    let checks = catalog.checks().keys().filter(|place| there(place));
    let mut checks = checks.filter(|(_, id)| id != SERF_HEALTH);
    if let Some((_, id)) = checks.find(|(_, id)| !has_check(id)) {
        let what = format!("check {id} is there, and {node} has it not");
        return Some(("a check in the catalog that its agent has not", what));
    }
    None
}
