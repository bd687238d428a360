//! Services and prepared queries: which instances count, and what is said of each (spec api 4.4).
//!
//! ```text
//!   instances ─► without the critical ones ─► shuffled ─► addresses, or SRV with what it points to
//! ```
//!
//! | an instance's address | its target in SRV |
//! |---|---|
//! | none: its node's, an IP | `NODE.node.DC.consul` |
//! | an IP | `HEX.addr.DC.consul` |
//! | a name | that name, and what it resolves to |

use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_proto::rr::{Name, Record, RecordType};

use crate::base::runtime::Level;
use crate::base::{Duration, go_duration};
use crate::dns::answer::Server;
use crate::dns::lookup::Absent;
use crate::dns::name::hexadecimal;
use crate::dns::node::{fitting, node_address};
use crate::dns::zone::{Found, Inquiry};
use crate::dns::{Backend, Settings, records};
use crate::planted;
use crate::state::{CRITICAL, CheckServiceNode, PASSING, Query, QueryExecution, QuerySource};

/// Checks that say: leave it alone.
const MAINTENANCE: [&str; 2] = ["_node_maintenance", "_service_maintenance:"];

/// One instance's records: answers, and what goes beside them.
type Both = (Vec<Record>, Vec<Record>);

/// Leaves those out that may not be used.
pub(super) fn drop_critical(settings: &Settings, instances: &mut Vec<CheckServiceNode>) {
    let is_bad =
        |status: &str| status == CRITICAL || settings.config.only_passing && status != PASSING;
    instances.retain(|instance| !instance.checks.iter().any(|check| is_bad(&check.status)));
}

impl<B: Backend> Server<B> {
    /// The instances of a service.
    pub(super) async fn service(
        &self,
        inquiry: Inquiry<'_>,
        service: String,
        tag: Option<String>,
    ) -> Result<Found, Absent> {
        let settings = inquiry.settings;
        let ttl = settings.ttl_of(&service);
        let mut instances = self.instances(settings, service, tag).await?;
        let were_any = !instances.is_empty();
        if settings.is_legacy() {
            self.tell_dropped(&instances);
        }
        // Oracle: dns-sound.
        let faults = self.backend().faults();
        if !planted!(faults, "dns-serves-critical") {
            drop_critical(settings, &mut instances);
        }
        if instances.is_empty() {
            // 0.5.2 only says that there is none now.
            let known = settings.is_legacy() && were_any;
            return Err(if known { Absent::NoData } else { Absent::NoName });
        }
        self.backend().shuffle(&mut instances);
        self.of_instances(inquiry, &instances, ttl).await
    }

    /// What 0.5.2 says of those that it leaves out.
    fn tell_dropped(&self, instances: &[CheckServiceNode]) {
        for instance in instances {
            for check in instance.checks.iter().filter(|check| check.status == CRITICAL) {
                let (node, name) = (&instance.node.node, &check.name);
                let about = match check.service_id.as_str() {
                    "" => String::new(),
                    _ => format!("{}: ", check.check_id),
                };
                let service = &instance.service.service;
                let text = format_args!(
                    "node '{node}' failing health check '{about}{name}', dropping from \
                     service '{service}'"
                );
                self.backend().log(Level::Warn, text);
            }
        }
    }

    /// The instances that a prepared query means, in the order that it gives.
    pub(super) async fn prepared_query(
        &self,
        inquiry: Inquiry<'_>,
        name: String,
    ) -> Result<Found, Absent> {
        let Inquiry { settings, question, client, .. } = inquiry;
        let on_behalf = question.subnet().map(|subnet| subnet.addr());
        let ip = on_behalf.or(client.map(|client| client.ip()));
        let source = QuerySource {
            ip: ip.map(|ip| ip.to_canonical().to_string()).unwrap_or_default(),
            ..QuerySource::default()
        };
        let agent = QuerySource {
            datacenter: settings.datacenter.clone(),
            node: settings.node_name.clone(),
            ..QuerySource::default()
        };
        let asked = QueryExecution { name, source, agent, ..QueryExecution::default() };
        let outcome = self.outcome(settings, Query::ExecuteQuery(Box::new(asked))).await?;
        let ttl = match outcome.dns_ttl.as_str() {
            "" => settings.ttl_of(&outcome.service),
            text => go_duration::parse_span(text).unwrap_or_default(),
        };
        if outcome.nodes.is_empty() {
            return Err(Absent::NoName);
        }
        let found = self.of_instances(inquiry, &outcome.nodes, ttl).await?;
        Ok(Found { is_local: true, ..found })
    }

    async fn of_instances(
        &self,
        inquiry: Inquiry<'_>,
        instances: &[CheckServiceNode],
        ttl: Duration,
    ) -> Result<Found, Absent> {
        let found = match inquiry.question.kind() {
            RecordType::SRV => self.srv_records(inquiry, instances, ttl).await,
            _ => self.addresses(inquiry, instances, ttl).await,
        };
        match found.answers.is_empty() {
            true => Err(Absent::NoData),
            false => Ok(Found { is_long: true, ..found }),
        }
    }

    /// Addresses, each once; without any, the first name.
    async fn addresses(
        &self,
        inquiry: Inquiry<'_>,
        instances: &[CheckServiceNode],
        ttl: Duration,
    ) -> Found {
        let limit = inquiry.settings.config.a_record_limit;
        let (mut answers, mut alias, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for instance in instances {
            let (records, _) = self.records(inquiry, instance, ttl).await;
            let Some(first) = records.first() else { continue };
            if first.record_type() == RecordType::CNAME {
                if alias.is_empty() {
                    alias = records;
                }
                continue;
            }
            if let Some(ip) = first.data.ip_addr()
                && seen.insert(ip)
            {
                answers.extend(records);
            }
            if limit > 0 && answers.len() >= limit {
                break;
            }
        }
        let answers = if answers.is_empty() { alias } else { answers };
        Found { answers, ..Found::default() }
    }

    /// Ports and targets, and beside them the targets' addresses and the nodes' meta.
    async fn srv_records(
        &self,
        inquiry: Inquiry<'_>,
        instances: &[CheckServiceNode],
        ttl: Duration,
    ) -> Found {
        let settings = inquiry.settings;
        let (mut found, mut seen) = (Found::default(), BTreeSet::new());
        for instance in instances {
            let (node, service) = (&instance.node, &instance.service);
            if !seen.insert((&node.node, service_address(instance, RecordType::SRV), service.port))
            {
                continue;
            }
            let (answers, additionals) = self.records(inquiry, instance, ttl).await;
            found.answers.extend(answers);
            found.additionals.extend(additionals);
            if settings.adds_meta()
                && let Some(owner) = records::node_name(settings, &node.node)
            {
                found.additionals.extend(records::meta(&owner, node, ttl));
            }
        }
        found
    }

    async fn records(
        &self,
        inquiry: Inquiry<'_>,
        instance: &CheckServiceNode,
        ttl: Duration,
    ) -> Both {
        let Inquiry { settings, question, .. } = inquiry;
        let kind = question.kind();
        // Oracle: dns-sound.
        let faults = self.backend().faults();
        let own = match planted!(faults, "dns-answers-with-node") {
            true => "",
            false => service_address(instance, kind),
        };
        let of_node = node_address(&instance.node, kind);
        let node_ip: Option<IpAddr> = of_node.parse().ok();
        let node_target = || records::node_name(settings, &instance.node.node);
        if settings.is_legacy() {
            // Whatever the address is, it is the node's name that is said.
            let address = if own.is_empty() { of_node } else { own };
            if let Ok(ip) = address.parse() {
                return one(inquiry, instance, (ip, node_target()), ttl);
            }
        }
        let target = |ip: IpAddr| {
            let (hex, datacenter) = (hexadecimal(ip.to_canonical()), &settings.datacenter);
            records::name(&format!("{hex}.addr.{datacenter}.{}", settings.config.domain))
        };
        let asks_for_itself = || {
            let name = records::name(own);
            name.is_some_and(|name| name.eq_case(question.name()))
        };
        match (own, own.parse::<IpAddr>(), node_ip) {
            ("", _, Some(ip)) if of_node == instance.node.address => {
                one(inquiry, instance, (ip, node_target()), ttl)
            }
            ("", _, Some(ip)) => one(inquiry, instance, (ip, target(ip)), ttl),
            ("", _, None) => self.alias(inquiry, instance, of_node, ttl).await,
            (_, Ok(ip), _) => one(inquiry, instance, (ip, target(ip)), ttl),
            (_, Err(_), Some(ip)) if asks_for_itself() => {
                one(inquiry, instance, (ip, node_target()), ttl)
            }
            _ => self.alias(inquiry, instance, own, ttl).await,
        }
    }

    /// Records of an instance whose address is a name.
    async fn alias(
        &self,
        inquiry: Inquiry<'_>,
        instance: &CheckServiceNode,
        address: &str,
        ttl: Duration,
    ) -> Both {
        let (owner, kind) = (inquiry.question.name(), inquiry.question.kind());
        let Some(target) = records::name(address) else { return Both::default() };
        let more = self.resolve_for_service(inquiry, &target, ttl).await;
        if kind == RecordType::SRV {
            let srv = records::srv(owner, weight_and_port(instance), target, ttl);
            return (vec![srv], more);
        }
        let mut answers = vec![records::cname(owner, target, ttl)];
        answers.extend(more);
        (answers, Vec::new())
    }
}

/// Records of an instance at this address, which SRV calls by this name.
fn one(
    inquiry: Inquiry<'_>,
    instance: &CheckServiceNode,
    (ip, target): (IpAddr, Option<Name>),
    ttl: Duration,
) -> Both {
    let (owner, kind) = (inquiry.question.name(), inquiry.question.kind());
    if kind != RecordType::SRV {
        return (records::address(kind, owner, ip, ttl).into_iter().collect(), Vec::new());
    }
    let Some(target) = target else { return Both::default() };
    let address = records::address(kind, &target, ip, ttl);
    let srv = records::srv(owner, weight_and_port(instance), target, ttl);
    (vec![srv], address.into_iter().collect())
}

/// An instance's own address for a question of this type; empty: it has none.
fn service_address(instance: &CheckServiceNode, kind: RecordType) -> &str {
    let service = &instance.service;
    let tagged =
        |network: &str| service.tagged_addresses.get(network).map(|it| it.address.as_str());
    fitting(kind, tagged("lan_ipv4"), tagged("lan_ipv6")).unwrap_or(&service.address)
}

/// As much of them as a record takes.
fn weight_and_port(instance: &CheckServiceNode) -> (u16, u16) {
    let weights = instance.service.weights;
    let weight = match aggregated(instance) {
        Some(Worst::Passing) => weights.passing,
        Some(Worst::Warning) => weights.warning,
        Some(Worst::Unusable) => 0,
        None => 1,
    };
    (weight as u16, instance.service.port as u16)
}

/// How an instance is by the worst of its checks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worst {
    Passing,
    Warning,
    Unusable,
}

/// None: a check has a status that nobody knows.
fn aggregated(instance: &CheckServiceNode) -> Option<Worst> {
    let service = &instance.service.service;
    let about = |name: &str| name.is_empty() || name == service;
    let mut worst = Worst::Passing;
    for check in instance.checks.iter().filter(|check| about(&check.service_name)) {
        let [node, of_service] = MAINTENANCE;
        let is_maintenance = check.check_id == node || check.check_id.starts_with(of_service);
        worst = worst.max(match check.status.as_str() {
            _ if is_maintenance => Worst::Unusable,
            PASSING => Worst::Passing,
            "warning" => Worst::Warning,
            CRITICAL => Worst::Unusable,
            _ => return None,
        });
    }
    Some(worst)
}
