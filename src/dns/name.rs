//! What a name in the zone asks for (spec api 4.2).
//!
//! ```text
//!   main.web.service.dc1.consul      tag "main" of service "web" in dc1
//!   _web._tcp.service.consul         service "web" (RFC 2782); another word than tcp is a tag
//!   _web._tcp.consul                 likewise, of an SRV question
//!   n1.node.consul  q.query.consul  0a000001.addr.consul
//! ```
//!
//! The kind is the word furthest to the right that names one; what stands behind it is a datacenter or
//! nothing, what stands before it is the name. Case does not count. As in 1.9.8, `virtual` is no kind,
//! `.dc1.dc` no datacenter, and a prepared query has no name after RFC 2782.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::Name;

/// What is asked for. Names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field names say it")]
pub enum Asked {
    /// The instances of a service.
    Service { service: String, tag: Option<String>, datacenter: Option<String> },
    /// A node.
    Node { node: String, datacenter: Option<String> },
    /// A prepared query, by name or id.
    Query { query: String, datacenter: Option<String> },
    /// What an address is called.
    Address(IpAddr),
    /// Nobody has such a name, and nobody can have one.
    Nothing,
}

/// The labels of a name as text, in lower case.
pub(super) fn labels(name: &Name) -> Vec<String> {
    name.iter().map(|label| String::from_utf8_lossy(label).to_lowercase()).collect()
}

/// What stands before the domain; none: it is not below it. Both in lower case.
pub(super) fn below<'a>(labels: &'a [String], domain: &str) -> Option<&'a [String]> {
    if domain.is_empty() {
        return None;
    }
    let wanted = domain.split('.');
    let at = labels.len().checked_sub(wanted.clone().count())?;
    labels[at..].iter().map(String::as_str).eq(wanted).then_some(&labels[..at])
}

impl Asked {
    /// Reads the labels before the domain. `srv`: it is an SRV question.
    #[must_use]
    pub fn parse(labels: &[String], srv: bool) -> Self {
        let kind = |label: &String| {
            let words = ["service", "connect", "ingress", "node", "query", "addr"];
            words.contains(&label.as_str()) || srv && label.starts_with('_')
        };
        let Some(at) = labels.iter().rposition(kind) else { return Asked::Nothing };
        let (kind, parts) = match labels[at].as_str() {
            // The word "service" may be left out.
            label if label.starts_with('_') => ("service", &labels[..=at]),
            label => (label, &labels[..at]),
        };
        let datacenter = match &labels[at + 1..] {
            [] => None,
            [one] => Some(one.clone()),
            _ if kind == "addr" => None,
            _ => return Asked::Nothing,
        };
        match (kind, parts) {
            (_, []) => Asked::Nothing,
            ("service", parts) => service(parts, datacenter),
            ("node", parts) => Asked::Node { node: parts.join("."), datacenter },
            ("query", parts) => Asked::Query { query: parts.join("."), datacenter },
            ("addr", [digits]) => address(digits).map_or(Asked::Nothing, Asked::Address),
            _ => Asked::Nothing,
        }
    }
}

fn service(parts: &[String], datacenter: Option<String>) -> Asked {
    let (service, tag) = match parts {
        [name, proto] if name.starts_with('_') && proto.starts_with('_') => {
            let proto = &proto[1..];
            (name[1..].to_owned(), Some(proto).filter(|it| *it != "tcp").map(str::to_owned))
        }
        [tags @ .., name] => (name.clone(), Some(tags.join("."))),
        [] => return Asked::Nothing,
    };
    Asked::Service { service, tag: tag.filter(|tag| !tag.is_empty()), datacenter }
}

/// Eight hexadecimal digits, or thirty-two.
fn address(digits: &str) -> Option<IpAddr> {
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    match digits.len() {
        8 => u32::from_str_radix(digits, 16).ok().map(|it| Ipv4Addr::from(it).into()),
        32 => u128::from_str_radix(digits, 16).ok().map(|it| Ipv6Addr::from(it).into()),
        _ => None,
    }
}

/// The address that a name below `arpa` stands for.
pub(super) fn reversed(labels: &[String]) -> Option<IpAddr> {
    if let Some(parts) = below(labels, "in-addr.arpa") {
        let number = |it: &String| it.parse::<u8>().ok().filter(|number| number.to_string() == *it);
        let numbers: Option<Vec<u8>> = parts.iter().rev().map(number).collect();
        let octets: [u8; 4] = numbers?.try_into().ok()?;
        return Some(octets.into());
    }
    let parts = below(labels, "ip6.arpa")?;
    let digits: String = parts.iter().rev().map(String::as_str).collect();
    let each_has_one = parts.iter().all(|it| it.len() == 1);
    address(&digits).filter(|ip| ip.is_ipv6() && each_has_one)
}

/// How an address is written in a name.
pub(super) fn hexadecimal(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => format!("{:08x}", u32::from(ip)),
        IpAddr::V6(ip) => format!("{:032x}", u128::from(ip)),
    }
}
