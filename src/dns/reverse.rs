//! From addresses to names: `in-addr.arpa`, `ip6.arpa` (spec api 4.6).
//!
//! Whatever type is asked for, the answer is PTR, as in Consul. The catalog is read whole: it has no index
//! by address.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};

use crate::dns::answer::{Client, Reply, Server};
use crate::dns::message::Question;
use crate::dns::name::reversed;
use crate::dns::{Backend, Settings, records};
use crate::state::{NodeMeta, Query, Rows};

impl<B: Backend> Server<B> {
    /// Names the node, else the service, with an address; nobody has it: the recursors are asked.
    pub(super) async fn reverse(
        &self,
        settings: &Settings,
        question: &Question,
        labels: &[String],
        (bytes, client): (&[u8], Client),
    ) -> Reply {
        let target = self.owner(settings, labels).await;
        let has_recursors = !settings.config.recursors.is_empty();
        if target.is_none() && has_recursors {
            return self.recurse(settings, question, bytes, client).await;
        }
        let mut reply = question.reply();
        reply.metadata.authoritative = true;
        reply.metadata.recursion_available = has_recursors;
        if question.kind() == RecordType::SOA {
            reply.authorities.extend(self.soa(settings));
        }
        match target {
            Some(target) => reply.answers.push(records::ptr(question.name(), target)),
            None if settings.is_legacy() => {}
            None => {
                reply.metadata.response_code = ResponseCode::NXDomain;
                reply.authorities.extend(self.soa(settings));
            }
        }
        if !settings.is_legacy() {
            question.set_edns(&mut reply, true);
        }
        Reply::Own(Box::new(reply))
    }

    async fn owner(&self, settings: &Settings, labels: &[String]) -> Option<Name> {
        let wanted = reversed(labels)?;
        let is_wanted =
            |address: &str| address.parse().is_ok_and(|ip: std::net::IpAddr| ip == wanted);
        let all = Query::CatalogNodes { meta: NodeMeta::new() };
        if let Ok(Rows::Nodes(nodes)) = self.read(settings, all).await
            && let Some(node) = nodes.iter().find(|node| is_wanted(&node.address))
        {
            return records::node_name(settings, &node.node);
        }
        if settings.is_legacy() {
            return None;
        }
        let Ok(Rows::CheckServiceNodes(instances)) = self.read(settings, Query::ServiceDump).await
        else {
            return None;
        };
        let found = instances.iter().find(|it| is_wanted(&it.service.address))?;
        let (service, datacenter) = (&found.service.service, &settings.datacenter);
        records::name(&format!("{service}.service.{datacenter}.{}", settings.config.domain))
    }
}
