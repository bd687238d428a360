//! `kind = "watch"`: users poll for changes as Consul's watchers do: with the index that they saw last,
//! and from the beginning again when it goes back.
//!
//! Watchers of keys watch what the `kv` workloads write (all that begins with `k`), watchers of a service
//! one of those that the `catalog` and `health` workloads register.

use crate::history::request::{Request, Watched};
use crate::scenario::model::{SERVICES, WatchWorkload};

use super::catalog::service;
use super::client::{Client, Told, ns};

/// One user's life.
pub async fn run(mut client: Client, plan: WatchWorkload) {
    let key = match plan.on {
        Watched::Kv => "k".to_owned(),
        Watched::Service => service(client.prng.below(SERVICES)),
        Watched::Nodes | Watched::Checks | Watched::Event => String::new(),
    };
    // Answered, with the jitter that Consul adds, before the user's patience is over.
    let wait_ns = ns(client.patience()) / 4 * 3;
    let mut index = 0;
    while client.turn().await {
        let Some(agent) = client.agent() else { return };
        let request = Request::Watch { on: plan.on, index, wait_ns };
        match client.ask(agent, &key, request).await {
            // The index of events is a hash: it neither grows nor goes back.
            Told::Reply(_, Some(new)) if new < index && plan.on != Watched::Event => index = 0,
            Told::Reply(_, Some(new)) => index = new,
            _ => {}
        }
    }
}
