//! `kind = "catalog"` and `kind = "health"`: users that register instances of services and look for them.
//!
//! Services are `service-0 service-1 …`. An instance's id names its user, so that two users never speak of
//! the same one; an instance that goes through an agent stays with the agent at which it began. What
//! is written to the catalog directly stands on a node of the user's own (`ext-u7`), which no agent
//! answers for: on an agent's node the next anti-entropy would take it back.
//!
//! Users of `catalog` register, change (a new port), deregister and list. Users of `health` register one
//! instance each with a TTL check, let it fail and pass in turn every `flap`, and ask who passes.

use std::collections::BTreeMap;

use proconsul::base::Ratio;

use crate::history::operation::Mode;
use crate::history::request::{Reply, Request, Through};
use crate::scenario::model::{CatalogWorkload, HealthWorkload, service_name};
use crate::trace::event::Host;

use super::client::{Client, Told};

/// A service's name.
#[must_use]
pub fn service(number: u64) -> String {
    service_name(number)
}

/// One user's life in `catalog`.
pub async fn catalog(mut client: Client, plan: CatalogWorkload) {
    let mut agents: BTreeMap<String, Host> = BTreeMap::new();
    let mut port = 10_000_u16;
    while client.turn().await {
        let number = client.prng.below(u64::from(plan.services));
        let name = service(number);
        let id = format!("{}-{number}-{}", client.name, client.prng.below(plan.instances.into()));
        let Some(agent) = client.agent() else { return };
        let own = *agents.entry(id.clone()).or_insert(agent);
        let (node, outside) = (client.node(own).to_owned(), format!("ext-{}", client.name));
        port = port.wrapping_add(1).max(10_000);
        let (to, request) = match client.prng.below(12) {
            0..4 => (own, Request::Register { through: Through::Agent, node, id, port }),
            4..6 => (own, Request::Deregister { through: Through::Agent, node, id }),
            6 | 7 => {
                let (through, node) = (Through::Catalog, outside);
                (agent, Request::Register { through, node, id, port })
            }
            8 => (agent, Request::Deregister { through: Through::Catalog, node: outside, id }),
            9 => (agent, Request::Instances { mode: Mode::Stale, passing: false }),
            10 => (agent, Request::Instances { mode: Mode::Consistent, passing: false }),
            _ => (agent, Request::Instances { mode: Mode::Default, passing: false }),
        };
        client.ask(to, &name, request).await;
    }
}

/// One user's life in `health`.
pub async fn health(mut client: Client, plan: HealthWorkload) {
    let name = service(client.prng.below(u64::from(plan.services)));
    let (id, port) = (format!("{}-{name}", client.name), 8080);
    let mut at: Option<Host> = None;
    let mut passing = true;
    let mut turns_at = client.now() + client.prng.duration(plan.flap.low, plan.flap.high);
    while client.turn().await {
        let Some(agent) = client.agent() else { return };
        let Some(own) = at else {
            let node = client.node(agent).to_owned();
            let request = Request::Register { through: Through::Agent, node, id: id.clone(), port };
            if let Told::Reply(Reply::Done, _) = client.ask(agent, &name, request).await {
                at = Some(agent);
            }
            continue;
        };
        if client.now() >= turns_at {
            passing = !passing;
            turns_at = client.now() + client.prng.duration(plan.flap.low, plan.flap.high);
            let request = Request::Report { id: id.clone(), passing };
            // An agent that has started again may know nothing of it any more.
            if client.ask(own, &name, request).await == Told::Refused {
                at = None;
            }
            continue;
        }
        let mode = match client.prng.chance(Ratio::new(1, 3)) {
            true => Mode::Stale,
            false => Mode::Default,
        };
        client.ask(agent, &name, Request::Instances { mode, passing: true }).await;
    }
}
