//! Names below the domain: SOA, NS, and what the catalog knows (spec api 4.3, 4.6).

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Record, RecordType};

use crate::base::runtime::Level;
use crate::dns::answer::{Client, Server};
use crate::dns::lookup::Absent;
use crate::dns::message::Question;
use crate::dns::name::Asked;
use crate::dns::service::drop_critical;
use crate::dns::{Backend, Settings, records, trim};
use crate::planted;

/// So many servers are named as the zone's.
const SERVERS_MAX: usize = 3;
/// A name in the zone may stand for one in the zone, and so on so often.
pub(super) const DEPTH_MAX: usize = 3;
/// The service that the servers are.
const SERVERS: &str = "consul";

/// What was found, by section.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub answers: Vec<Record>,
    pub additionals: Vec<Record>,
    /// The answer depends on where the asker is.
    pub is_local: bool,
    /// The answer is shortened to what the asker can take.
    pub is_long: bool,
}

/// A question in the zone, whoever asks it.
#[derive(Clone, Copy)]
pub(super) struct Inquiry<'a> {
    pub settings: &'a Settings,
    pub question: &'a Question,
    /// The labels before the domain, in lower case.
    pub labels: &'a [String],
    /// None: this agent itself, on its way to another name.
    pub client: Option<Client>,
    /// How many more names in the zone may be followed.
    pub depth: usize,
}

impl<B: Backend> Server<B> {
    /// Answers for the zone.
    pub(super) async fn zone(
        &self,
        settings: &Settings,
        question: &Question,
        labels: &[String],
        client: Client,
    ) -> Message {
        let mut reply = question.reply();
        reply.metadata.authoritative = true;
        reply.metadata.recursion_available = !settings.config.recursors.is_empty();
        let mut everywhere = true;
        match question.kind() {
            RecordType::SOA => {
                let (servers, addresses) = self.servers(settings).await;
                match settings.is_legacy() {
                    true => reply.authorities.extend(self.soa(settings)),
                    false => reply.answers.extend(self.soa(settings)),
                }
                reply.authorities.extend(servers);
                reply.additionals = addresses;
            }
            RecordType::NS if !settings.is_legacy() => {
                (reply.answers, reply.additionals) = self.servers(settings).await;
            }
            RecordType::AXFR => reply.metadata.response_code = ResponseCode::NotImp,
            _ => {
                let client = Some(client);
                let inquiry = Inquiry { settings, question, labels, client, depth: DEPTH_MAX };
                everywhere = self.fill(&mut reply, inquiry).await;
            }
        }
        if !settings.is_legacy() && reply.edns.is_none() {
            question.set_edns(&mut reply, everywhere);
        }
        reply
    }

    /// Puts in what is found; whether that is the same for all askers.
    async fn fill(&self, reply: &mut Message, inquiry: Inquiry<'_>) -> bool {
        let Inquiry { settings, question, client, .. } = inquiry;
        let is_query = matches!(self.asked(inquiry), Asked::Query { .. });
        match self.find(inquiry).await {
            Ok(found) => {
                (reply.answers, reply.additionals) = (found.answers, found.additionals);
                if found.is_long {
                    if !settings.is_legacy() {
                        question.set_edns(reply, !found.is_local);
                    }
                    let over = client.map(|client| client.over).unwrap_or(super::Transport::Udp);
                    trim::trim(settings, over, question, reply);
                    // With a limit of zero nothing stays, and that looks like no data.
                    let is_bare = reply.answers.is_empty() && !reply.metadata.truncation;
                    if is_bare && !settings.is_legacy() {
                        reply.authorities.extend(self.soa(settings));
                    }
                    // Oracle: dns-sound.
                    let faults = self.backend().faults();
                    if planted!(faults, "dns-cuts-silently") {
                        reply.metadata.truncation = false;
                    }
                }
            }
            Err(absent) => {
                reply.metadata.response_code = absent.code();
                if absent.has_soa() && !settings.is_legacy() {
                    reply.authorities.extend(self.soa(settings));
                }
            }
        }
        !is_query
    }

    fn asked(&self, inquiry: Inquiry<'_>) -> Asked {
        Asked::parse(inquiry.labels, inquiry.question.kind() == RecordType::SRV)
    }

    /// Looks up what is asked for.
    pub(super) async fn find(&self, inquiry: Inquiry<'_>) -> Result<Found, Absent> {
        let settings = inquiry.settings;
        let here = |datacenter: &Option<String>| {
            datacenter.as_ref().is_none_or(|name| *name == settings.datacenter)
        };
        match self.asked(inquiry) {
            Asked::Service { service, tag, datacenter } if here(&datacenter) => {
                self.service(inquiry, service, tag).await
            }
            Asked::Node { node, datacenter } if here(&datacenter) => self.node(inquiry, node).await,
            Asked::Query { query, datacenter } if here(&datacenter) => {
                self.prepared_query(inquiry, query).await
            }
            Asked::Address(ip) => Ok(self.address(inquiry, ip)),
            Asked::Nothing => {
                let name = inquiry.labels.join(".");
                self.backend().log(Level::Warn, format_args!("QName invalid: qname={name}."));
                Err(Absent::NoName)
            }
            // There is one datacenter.
            Asked::Service { .. } | Asked::Node { .. } | Asked::Query { .. } => Err(Absent::NoName),
        }
    }

    /// The zone's SOA; its number is the time.
    pub(super) fn soa(&self, settings: &Settings) -> Option<Record> {
        let seconds = self.backend().wall_clock().0.div_euclid(1_000_000_000);
        records::soa(settings, u32::try_from(seconds.rem_euclid(1 << 32)).unwrap_or_default())
    }

    /// Some of the servers by name, and their addresses.
    async fn servers(&self, settings: &Settings) -> (Vec<Record>, Vec<Record>) {
        let found = self.instances(settings, SERVERS.to_owned(), None).await;
        let mut instances = found.unwrap_or_default();
        drop_critical(settings, &mut instances);
        self.backend().shuffle(&mut instances);
        let (mut servers, mut addresses) = (Vec::new(), Vec::new());
        for instance in &instances {
            let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            let name = &instance.node.node;
            let target = records::node_name(settings, &name.to_lowercase());
            let zone = records::name(&settings.config.domain);
            let (Some(target), Some(zone), true) = (target, zone, name.bytes().all(is_good)) else {
                let text = format_args!("Skipping invalid node for NS records: node={name}");
                self.backend().log(Level::Warn, text);
                continue;
            };
            let ip = instance.node.address.parse().ok();
            let address = ip.and_then(|ip| {
                records::address(RecordType::ANY, &target, ip, settings.config.node_ttl)
            });
            addresses.extend(address);
            servers.push(records::ns(zone, target, settings.config.node_ttl));
            if servers.len() == SERVERS_MAX {
                break;
            }
        }
        (servers, addresses)
    }
}
