//! What users ask of an agent's own membership: answered here, on servers and clients alike, never
//! forwarded.

use crate::base::{Instant, NodeName, RequestId};
use crate::gossip;

use super::super::io::Output;
use super::super::membership::Membership;
use super::super::types::{Failure, Reply, Request};
use super::{Members, OWN, PoolId};

impl Members {
    /// Serves a request about members. The request comes back when it is about something else.
    pub(in super::super) fn ask(
        &mut self,
        now: Instant,
        id: RequestId,
        request: Request,
        out: &mut Vec<Output>,
    ) -> Option<Request> {
        match request {
            Request::Members { wan } => {
                let pool = self.pool(pool_of(wan));
                let members = pool.map(|pool| pool.members().cloned().collect());
                out.push(Output::Answer(id, Ok(Reply::Members(members))));
            }
            Request::Join { addresses, wan } => {
                let pool = pool_of(wan);
                if self.pool(pool).is_none() {
                    refuse(id, out);
                    return None;
                }
                out.push(Output::member(Membership::Joining(pool, addresses.clone())));
                self.asked.insert(id);
                let ignore_old = true;
                let input = gossip::Input::Join { request: id, addresses, ignore_old };
                self.step(now, pool, input, out);
            }
            Request::ForceLeave { node, prune, wan } => {
                let name = NodeName::from(node.as_str());
                if self.lan.member(&name).is_none() && !wan {
                    let text = format!("agent: No node found with name '{node}'");
                    out.push(Output::Answer(id, Err(Failure::Refused(text))));
                    return None;
                }
                out.push(Output::member(Membership::ForceLeave { node: node.clone() }));
                self.asked.insert(id);
                // A server takes it out of both pools; in the WAN it is called node.dc.
                let in_wan = match node.contains('.') {
                    true => wan.then_some(node),
                    false => Some(format!("{node}.{}", self.identity.datacenter)),
                };
                if let Some(in_wan) = in_wan {
                    let (request, node) = (OWN, NodeName::from(in_wan));
                    let input = gossip::Input::ForceLeave { request, node, prune };
                    self.step(now, PoolId::Wan, input, out);
                }
                let input = gossip::Input::ForceLeave { request: id, node: name, prune };
                self.step(now, PoolId::Lan, input, out);
            }
            other => return Some(other),
        }
        None
    }
}

fn pool_of(wan: bool) -> PoolId {
    if wan { PoolId::Wan } else { PoolId::Lan }
}

fn refuse(id: RequestId, out: &mut Vec<Output>) {
    let text = "WAN is not configured on this agent: only servers have that pool";
    out.push(Output::Answer(id, Err(Failure::Refused(text.to_owned()))));
}
