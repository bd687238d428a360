//! Names and records, made of what the catalog says.
//!
//! The catalog takes names that DNS cannot carry (a label of 64 bytes, an empty one): of those there is no
//! record, instead of an answer that nobody can read.

use std::net::IpAddr;

use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::base::Duration;
use crate::dns::settings::{Settings, seconds};
use crate::state::Node;

/// A text in a TXT record has no more, bytes.
const TEXT_MAX: usize = 255;
/// Meta whose key begins so is told without its key.
const BARE: &str = "rfc1035-";

/// The name that a text stands for; a dot at its end is no label.
pub(super) fn name(text: &str) -> Option<Name> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() || text.split('.').any(str::is_empty) {
        return None;
    }
    Name::from_labels(text.split('.').map(str::as_bytes)).ok()
}

/// `NODE.node.DC.consul.`
pub(super) fn node_name(settings: &Settings, node: &str) -> Option<Name> {
    name(&format!("{node}.node.{}.{}", settings.datacenter, settings.config.domain))
}

/// The address in a record that this type of question is answered with; none: with no address of this family.
pub(super) fn address(
    asked: RecordType,
    owner: &Name,
    ip: IpAddr,
    ttl: Duration,
) -> Option<Record> {
    // What a v4 address in v6 form means is the v4 address.
    let ip = ip.to_canonical();
    let both = [RecordType::SRV, RecordType::ANY, RecordType::NS, RecordType::TXT];
    let data = match ip {
        IpAddr::V4(ip) if asked == RecordType::A || both.contains(&asked) => RData::A(A(ip)),
        IpAddr::V6(ip) if asked == RecordType::AAAA || both.contains(&asked) => {
            RData::AAAA(AAAA(ip))
        }
        _ => return None,
    };
    Some(Record::from_rdata(owner.clone(), seconds(ttl), data))
}

pub(super) fn cname(owner: &Name, target: Name, ttl: Duration) -> Record {
    Record::from_rdata(owner.clone(), seconds(ttl), RData::CNAME(CNAME(target)))
}

pub(super) fn srv(owner: &Name, (weight, port): (u16, u16), target: Name, ttl: Duration) -> Record {
    Record::from_rdata(owner.clone(), seconds(ttl), RData::SRV(SRV::new(1, weight, port, target)))
}

pub(super) fn ptr(owner: &Name, target: Name) -> Record {
    Record::from_rdata(owner.clone(), 0, RData::PTR(PTR(target)))
}

pub(super) fn ns(zone: Name, server: Name, ttl: Duration) -> Record {
    Record::from_rdata(zone, seconds(ttl), RData::NS(NS(server)))
}

/// The zone's SOA; `serial`: seconds since 1970.
pub(super) fn soa(settings: &Settings, serial: u32) -> Option<Record> {
    let zone = name(&settings.config.domain)?;
    let mailbox = if settings.is_legacy() { "postmaster" } else { "hostmaster" };
    let [server, mailbox] = ["ns", mailbox].map(|it| zone.prepend_label(it).ok());
    let times = settings.config.soa;
    let signed = |seconds: u32| seconds.cast_signed();
    let data = SOA::new(
        server?,
        mailbox?,
        serial,
        signed(times.refresh),
        signed(times.retry),
        signed(times.expire),
        times.min_ttl,
    );
    Some(Record::from_rdata(zone, times.min_ttl, RData::SOA(data)))
}

/// One TXT record for each pair of a node's meta.
pub(super) fn meta(owner: &Name, node: &Node, ttl: Duration) -> Vec<Record> {
    let texts = node.meta.iter().map(|(key, value)| match key.to_lowercase().starts_with(BARE) {
        true => value.clone(),
        false => pair(key, value),
    });
    let record = |text: String| {
        let mut parts: Vec<&[u8]> = text.as_bytes().chunks(TEXT_MAX).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        Record::from_rdata(owner.clone(), seconds(ttl), RData::TXT(TXT::from_bytes(parts)))
    };
    texts.map(record).collect()
}

/// `key=value` in the form of RFC 1464.
fn pair(key: &str, value: &str) -> String {
    let inner = key.trim_matches(' ');
    let leading = key.len() - key.trim_start_matches(' ').len();
    // A key of blanks alone has no end.
    let trailing = key.len() - leading - inner.len();
    let quoted = inner.replace('`', "``").replace('=', "`=");
    let blanks = |count: usize| "` ".repeat(count);
    format!("{}{quoted}{}={}", blanks(leading), blanks(trailing), value.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_quoted_after_rfc_1464() {
        for (key, value, text) in [
            ("color", "blue", "color=blue"),
            ("equation", "a=4", "equation=a=4"),
            ("a=a", "true", "a`=a=true"),
            ("a\\=a", "false", "a\\`=a=false"),
            ("=", "\\=", "`==\\="),
            ("string", "\"Cat\"", "string=\"Cat\""),
            ("string2", "`abc`", "string2=``abc``"),
            ("novalue", "", "novalue="),
            ("a b", "c d", "a b=c d"),
            ("abc ", "123 ", "abc` =123 "),
            ("  a", "b", "` ` a=b"),
            ("  ", "b", "` ` =b"),
        ] {
            assert_eq!(pair(key, value), text);
        }
    }

    #[test]
    fn names_that_dns_cannot_carry_are_none() {
        assert_eq!(name("n1.node.consul").expect("a name").to_ascii(), "n1.node.consul.");
        for bad in ["", ".", "a..b", &"x".repeat(64), &"x.".repeat(128)] {
            assert!(name(bad).is_none(), "{bad:?}");
        }
    }
}
