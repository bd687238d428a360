//! `kind = "dns"`: users that look services and nodes up, as programs with a resolver do.
//!
//! Most lookups are of a service, by a type drawn from `types`; some are of a tag that nobody has or of
//! RFC 2782's form, and some of an agent's node. Most go by UDP, with and without EDNS, and by TCP again
//! where the answer was cut short; some go by TCP at once.

use crate::history::lookup::{By, Question};
use crate::scenario::lookup::DnsWorkload;

use super::client::Client;

/// One user's life.
pub async fn run(mut client: Client, plan: DnsWorkload) {
    while client.turn().await {
        let Some(agent) = client.agent() else { return };
        let by = match client.prng.below(10) {
            0..4 => By::Udp,
            4..8 => By::Edns,
            _ => By::Tcp,
        };
        let (key, name, kind) = match client.prng.below(6) {
            0 => {
                let nodes = client.agents();
                let node = client.prng.pick(&nodes).cloned().unwrap_or_default();
                let name = format!("{node}.node.consul.");
                (node, name, "A".to_owned())
            }
            form => {
                let service = client.prng.pick(&plan.services).cloned().unwrap_or_default();
                let name = match form {
                    1 => format!("_{service}._tcp.service.consul."),
                    2 => format!("nobody.{service}.service.consul."),
                    _ => format!("{service}.service.consul."),
                };
                (service, name, kind(&mut client, &plan))
            }
        };
        client.lookup(agent, &key, Question { name, kind, by }).await;
    }
}

fn kind(client: &mut Client, plan: &DnsWorkload) -> String {
    let all: u64 = plan.types.iter().map(|(_, weight)| weight).sum();
    let mut drawn = client.prng.below(all.max(1));
    for (kind, weight) in &plan.types {
        match drawn.checked_sub(*weight) {
            Some(left) => drawn = left,
            None => return kind.clone(),
        }
    }
    "A".to_owned()
}
