//! What a lookup asked and was answered, as far as `dns-sound` can judge it, and whether one state of a
//! catalog explains it.
//!
//! ```text
//!   primary.web.service.consul. SRV      service web, tag primary
//!   web.service.consul. 0 IN SRV 1 1 80 0a000005.addr.dc1.consul.      port 80 at 10.0.0.5
//! ```
//!
//! Names are read as spec api 4.2 says. What is not read (prepared queries, addresses, other zones and
//! datacenters, records of other types) is not judged, and neither is a service with an instance whose
//! address is no IPv4 address: what a host name resolves to is not in the catalog.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::history::lookup::{By, Question, Resolved};
use crate::trace::catalog::{Catalog, OnNode};

use super::dns_settings::Settings;

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Instances of a service, perhaps those with a tag.
    Service {
        /// In lower case.
        name: String,
        /// In lower case.
        tag: Option<String>,
    },
    /// A node, in lower case.
    Node(String),
}

impl Subject {
    /// Reads a name; none when it is of another kind.
    #[must_use]
    pub fn of(name: &str, settings: &Settings) -> Option<Self> {
        let name = name.to_lowercase();
        let name = name.trim_end_matches('.');
        let in_zone = |zone: &String| name.strip_suffix(zone.as_str())?.strip_suffix('.');
        let labels: Vec<&str> = settings.domains.iter().find_map(in_zone)?.split('.').collect();
        let kinds = ["service", "node", "query", "addr", "connect", "ingress", "virtual"];
        let at = labels.iter().rposition(|label| kinds.contains(label))?;
        let own = |dc: &&str| dc.eq_ignore_ascii_case(&settings.datacenter);
        match &labels[at + 1..] {
            [] => {}
            [dc] | [dc, "dc"] if own(dc) => {}
            _ => return None,
        }
        match (labels[at], &labels[..at]) {
            (_, []) => None,
            ("node", node) => Some(Subject::Node(node.join("."))),
            ("service", [service, proto]) if service.starts_with('_') && proto.starts_with('_') => {
                let tag = (*proto != "_tcp").then(|| proto[1..].to_owned());
                Some(Subject::Service { name: service[1..].to_owned(), tag })
            }
            ("service", [tags @ .., service]) => {
                let tag = (!tags.is_empty()).then(|| tags.join("."));
                Some(Subject::Service { name: (*service).to_owned(), tag })
            }
            _ => None,
        }
    }
}

/// An answer, as far as it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    subject: Subject,
    /// The type asked for has to do with IPv4 addresses or ports.
    addresses: bool,
    exists: bool,
    by: By,
    truncated: bool,
    a: Vec<Ipv4Addr>,
    /// Port and target, in lower case.
    srv: Vec<(u16, String)>,
    /// What the additional section says of targets.
    glue: BTreeMap<String, Ipv4Addr>,
    /// Of the A and SRV records of the answer, s.
    ttls: Vec<u32>,
}

/// What is wrong: the fact, and the end of a sentence.
pub type Fault = (&'static str, String);

/// An instance that a catalog has.
struct Instance<'a> {
    place: &'a OnNode,
    address: Ipv4Addr,
    of_node: Option<Ipv4Addr>,
    port: u16,
    tagged: bool,
    healthy: bool,
}

impl Answer {
    /// Reads a lookup; none when it is of a kind that is not judged.
    #[must_use]
    pub fn of(question: &Question, resolved: &Resolved, settings: &Settings) -> Option<Self> {
        let subject = Subject::of(&question.name, settings)?;
        let exists = match resolved.rcode.as_str() {
            "NOERROR" => true,
            "NXDOMAIN" => false,
            _ => return None,
        };
        let node = matches!(subject, Subject::Node(_));
        let mut answer = Self {
            subject,
            addresses: matches!(question.kind.as_str(), "A" | "ANY")
                || question.kind == "SRV" && !node,
            exists,
            by: resolved.by,
            truncated: resolved.truncated,
            a: Vec::new(),
            srv: Vec::new(),
            glue: BTreeMap::new(),
            ttls: Vec::new(),
        };
        for line in &resolved.answers {
            answer.take(line);
        }
        // How a name in capitals finds its TTL is not told.
        if question.name != question.name.to_lowercase() {
            answer.ttls.clear();
        }
        for line in &resolved.additional {
            if let [name, _, _, "A", ip] = line.split(' ').collect::<Vec<_>>()[..]
                && let Ok(ip) = ip.parse()
            {
                answer.glue.insert(name.to_lowercase(), ip);
            }
        }
        Some(answer)
    }

    fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, ttl, _, kind, data @ ..] = &words[..] else { return };
        match (*kind, data) {
            ("A", [ip]) => self.a.extend(ip.parse::<Ipv4Addr>()),
            ("SRV", [_, _, port, target]) => {
                self.srv.extend(port.parse().map(|port| (port, target.to_lowercase())));
            }
            _ => return,
        }
        self.ttls.extend(ttl.parse::<u32>());
    }

    /// A TTL that is not the configured one.
    #[must_use]
    pub fn wrong_ttl(&self, settings: &Settings) -> Option<Fault> {
        let due = match &self.subject {
            Subject::Service { name, .. } => settings.service_ttl(name)?,
            Subject::Node(_) => settings.node_ttl?,
        };
        let ttl = self.ttls.iter().find(|ttl| **ttl != due)?;
        let what = format!("with a TTL of {ttl} s, and {due} s are configured");
        Some(("a TTL that nobody configured", what))
    }

    /// Whether it is what an agent with these settings says that has this catalog before it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn explained(&self, catalog: &Catalog, settings: &Settings) -> Result<(), Fault> {
        match &self.subject {
            Subject::Service { name, tag } => {
                let Some(all) = instances(catalog, name, tag.as_deref(), settings) else {
                    return Ok(());
                };
                self.of_service(&all, settings)
            }
            Subject::Node(node) => {
                let row = catalog.nodes().get(node);
                let address = row.map(|row| row.address.parse::<Ipv4Addr>());
                let Some(address) = address.transpose().ok() else { return Ok(()) };
                self.of_node(node, address)
            }
        }
    }

    fn of_node(&self, node: &str, address: Option<Ipv4Addr>) -> Result<(), Fault> {
        if let Some(ip) = self.a.iter().find(|ip| Some(**ip) != address) {
            let known = address.map_or("is not there".to_owned(), |ip| format!("is at {ip}"));
            let what = format!("with {ip}, and node {node} {known}");
            return Err(("an address that is not the node's", what));
        }
        if address.is_some() && (!self.exists || self.addresses && self.a.is_empty()) {
            let what = format!("that there is nothing, and node {node} is there");
            return Err(("nothing of a node that is there", what));
        }
        Ok(())
    }

    fn of_service(&self, all: &[Instance<'_>], settings: &Settings) -> Result<(), Fault> {
        let due: Vec<&Instance<'_>> = all.iter().filter(|it| it.tagged && it.healthy).collect();
        for ip in &self.a {
            if !due.iter().any(|it| it.address == *ip) {
                let here = |it: &Instance<'_>| it.address == *ip;
                let nodes = |it: &Instance<'_>| it.of_node == Some(*ip);
                return Err(not_due(&ip.to_string(), all, &here, &nodes));
            }
        }
        for (port, target) in &self.srv {
            if !due.iter().any(|it| it.port == *port && self.reaches(target, it)) {
                let here = |it: &Instance<'_>| it.port == *port && self.reaches(target, it);
                let nodes = |it: &Instance<'_>| it.port == *port && leads_to_node(target, it);
                return Err(not_due(&format!("{target}:{port}"), all, &here, &nodes));
            }
        }
        let Some(first) = due.first() else { return Ok(()) };
        let nothing = self.a.is_empty() && self.srv.is_empty();
        if !self.exists || self.addresses && nothing {
            let what = format!("that there is nothing, and {} passes", shown(first.place));
            return Err(("nothing of a service with instances that pass", what));
        }
        self.complete(&due, settings)
    }

    /// What was left out without a word.
    fn complete(&self, due: &[&Instance<'_>], settings: &Settings) -> Result<(), Fault> {
        let whole = self.by == By::Tcp || settings.says_truncated && !self.truncated;
        if !whole || !self.addresses || settings.limits_addresses {
            return Ok(());
        }
        let told = |it: &&&Instance<'_>| {
            let target =
                |(port, target): &(u16, String)| *port == it.port && self.reaches(target, it);
            self.a.contains(&it.address) || self.srv.iter().any(target)
        };
        match due.iter().find(|it| !told(it)) {
            None => Ok(()),
            Some(missing) => {
                let what = format!("without {}, which passes", shown(missing.place));
                Err(("an answer that is cut short and does not say so", what))
            }
        }
    }

    /// Whether a target of an SRV record leads to this instance.
    fn reaches(&self, target: &str, instance: &Instance<'_>) -> bool {
        let (first, rest) = target.split_once('.').unwrap_or((target, ""));
        if rest.starts_with("addr.") {
            return u32::from_str_radix(first, 16) == Ok(u32::from(instance.address));
        }
        let address = self.glue.get(target).copied().or(instance.of_node);
        leads_to_node(target, instance) && address == Some(instance.address)
    }
}

/// Whether a target is the name of the instance's node, or its address.
fn leads_to_node(target: &str, instance: &Instance<'_>) -> bool {
    let (first, rest) = target.split_once('.').unwrap_or((target, ""));
    let node = target.split_once(".node.").is_some_and(|(node, _)| node == instance.place.0);
    let address = instance.of_node.map(u32::from);
    node || rest.starts_with("addr.") && u32::from_str_radix(first, 16).ok() == address
}

fn shown((node, id): &OnNode) -> String {
    format!("{id} on {node}")
}

/// Of a record that no instance explains: why not.
fn not_due(
    record: &str,
    all: &[Instance<'_>],
    here: &dyn Fn(&Instance<'_>) -> bool,
    nodes: &dyn Fn(&Instance<'_>) -> bool,
) -> Fault {
    let find = |wanted: &dyn Fn(&Instance<'_>) -> bool| all.iter().find(|it| wanted(it));
    if let Some(it) = find(&|it| here(it) && it.tagged) {
        let what = format!("with {record}, which is {}, and that does not pass", shown(it.place));
        return ("an instance that does not pass", what);
    }
    if let Some(it) = find(&|it| here(it)) {
        let what = format!("with {record}, which is {}, and that has no such tag", shown(it.place));
        return ("an instance without the tag", what);
    }
    if let Some(it) = find(&|it| nodes(it)) {
        let at = it.address;
        let what =
            format!("with {record}, where the node of {} is; it is at {at}", shown(it.place));
        return ("the node's address in the place of the service's", what);
    }
    ("an instance that is not there", format!("with {record}, and nothing is there"))
}

/// All instances of a service; none when one has an address that is no IPv4 address.
fn instances<'a>(
    catalog: &'a Catalog,
    name: &str,
    tag: Option<&str>,
    settings: &Settings,
) -> Option<Vec<Instance<'a>>> {
    let of = catalog.services().iter().filter(|(_, row)| row.service.eq_ignore_ascii_case(name));
    let instance = |(place, row): (&'a OnNode, &'a crate::trace::catalog::ServiceRow)| {
        let node = catalog.nodes().get(&place.0);
        let of_node = node.and_then(|node| node.address.parse().ok());
        let address = if row.address.is_empty() { of_node } else { row.address.parse().ok() };
        let has = |tag: &str| row.tags.iter().any(|own| own.eq_ignore_ascii_case(tag));
        let bad = |state| state == "critical" || settings.only_passing && state != "passing";
        let healthy = !catalog.states(place).any(bad);
        Some(Instance {
            place,
            address: address?,
            of_node,
            port: row.port,
            tagged: tag.is_none_or(has),
            healthy,
        })
    };
    of.map(instance).collect()
}
