//! Nodes and addresses (spec api 4.5, 4.6).

use std::net::IpAddr;

use hickory_proto::rr::{Name, Record, RecordType};

use crate::base::Duration;
use crate::dns::answer::Server;
use crate::dns::lookup::Absent;
use crate::dns::zone::{Found, Inquiry};
use crate::dns::{Backend, records};
use crate::state::{Node, Query, Rows};

impl<B: Backend> Server<B> {
    /// A node's addresses and meta. Its health does not count.
    pub(super) async fn node(&self, inquiry: Inquiry<'_>, node: String) -> Result<Found, Absent> {
        let Inquiry { settings, question, .. } = inquiry;
        let kind = question.kind();
        let answered = [RecordType::ANY, RecordType::A, RecordType::AAAA, RecordType::TXT];
        if !answered.contains(&kind) || kind == RecordType::TXT && settings.is_legacy() {
            return Ok(Found::default());
        }
        let found = match self.read(settings, Query::CatalogNode { node }).await? {
            Rows::NodeServices(found) => found,
            other => return Err(self.mismatch(&other)),
        };
        let Some((node, _)) = found else { return Err(Absent::NoName) };
        let (owner, ttl) = (question.name(), settings.config.node_ttl);
        let mut found = Found::default();
        if kind != RecordType::TXT {
            found.answers = self.node_records(inquiry, &node, owner, ttl).await;
        }
        let wants_meta = matches!(kind, RecordType::TXT | RecordType::ANY);
        if wants_meta && !settings.is_legacy() {
            found.answers.extend(records::meta(owner, &node, ttl));
        } else if settings.adds_meta() {
            found.additionals.extend(records::meta(owner, &node, ttl));
        }
        Ok(found)
    }

    /// A node's address, or the name that stands for it and what that resolves to.
    async fn node_records(
        &self,
        inquiry: Inquiry<'_>,
        node: &Node,
        owner: &Name,
        ttl: Duration,
    ) -> Vec<Record> {
        let kind = inquiry.question.kind();
        let address = node_address(node, kind);
        if let Ok(ip) = address.parse() {
            return records::address(kind, owner, ip, ttl).into_iter().collect();
        }
        let Some(target) = records::name(&node.address) else { return Vec::new() };
        let mut answers = vec![records::cname(owner, target.clone(), ttl)];
        answers.extend(self.resolve(inquiry, &target).await);
        answers
    }

    /// The address that a name is made of; one of another family than was asked for goes beside it.
    pub(super) fn address(&self, inquiry: Inquiry<'_>, ip: IpAddr) -> Found {
        let Inquiry { settings, question, .. } = inquiry;
        let (owner, kind) = (question.name().to_lowercase(), question.kind());
        let is_asked = match kind {
            RecordType::ANY => true,
            RecordType::A => ip.is_ipv4(),
            RecordType::AAAA => ip.is_ipv6(),
            _ => false,
        };
        let record = records::address(RecordType::ANY, &owner, ip, settings.config.node_ttl);
        let record: Vec<Record> = record.into_iter().collect();
        match is_asked {
            true => Found { answers: record, ..Found::default() },
            false => Found { additionals: record, ..Found::default() },
        }
    }
}

/// A node's address for a question of this type: of the network and family that fits, if it has one.
pub(super) fn node_address(node: &Node, kind: RecordType) -> &str {
    let tagged = |network: &str| node.tagged_addresses.get(network).map(String::as_str);
    fitting(kind, tagged("lan_ipv4"), tagged("lan_ipv6")).unwrap_or(&node.address)
}

/// Of the addresses of two families the one that fits a question; IPv6 before IPv4 where both do.
pub(super) fn fitting<'a>(
    kind: RecordType,
    v4: Option<&'a str>,
    v6: Option<&'a str>,
) -> Option<&'a str> {
    let v6 = v6.filter(|address| !address.is_empty() && kind != RecordType::A);
    let v4 = v4.filter(|address| !address.is_empty() && kind != RecordType::AAAA);
    v6.or(v4)
}
