//! DNS messages as texts, both ways.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// A question: its name, its type, and the size that EDNS says, if it says one.
pub fn question(name: &str, kind: &str, edns: Option<u16>, subnet: bool) -> Vec<u8> {
    let mut message = Message::new(77, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let name = Name::from_labels(name.split('.').filter(|it| !it.is_empty()).map(str::as_bytes));
    let kind = match kind.strip_prefix("TYPE") {
        Some(number) => RecordType::from(number.parse::<u16>().expect("a number")),
        None => RecordType::from_str(kind).expect("a type"),
    };
    message.add_query(Query::query(name.expect("a name"), kind));
    if let Some(size) = edns {
        let mut edns = Edns::new();
        edns.set_max_payload(size);
        if subnet {
            let ip = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 0));
            edns.options_mut().insert(EdnsOption::Subnet(ClientSubnet::new(ip, 24, 0)));
        }
        message.set_edns(edns);
    }
    message.to_vec().expect("a message")
}

/// The head in one line, then the records, each with its section.
pub fn shown(bytes: &[u8]) -> String {
    let message = Message::from_vec(bytes).expect("a message that can be read");
    let head = message.metadata;
    let flags = [
        (head.authoritative, " aa"),
        (head.truncation, " tc"),
        (head.recursion_desired, " rd"),
        (head.recursion_available, " ra"),
        (head.checking_disabled, " cd"),
    ];
    let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, flag)| *flag).collect();
    let code: u16 = head.response_code.into();
    let mut text = format!("{} qr{flags}", rcode(code));
    if let Some(edns) = &message.edns {
        write!(text, " edns {}", edns.max_payload()).expect("a string takes all");
        if let Some(EdnsOption::Subnet(subnet)) = edns.option(EdnsCode::Subnet) {
            let (ip, source, scope) =
                (subnet.addr(), subnet.source_prefix(), subnet.scope_prefix());
            write!(text, " subnet {ip}/{source} scope {scope}").expect("a string takes all");
        }
    }
    text.push('\n');
    let sections =
        [("AN", &message.answers), ("NS", &message.authorities), ("AD", &message.additionals)];
    for (section, records) in sections {
        for record in records {
            writeln!(text, "{section} {}", line(record)).expect("a string takes all");
        }
    }
    text
}

fn rcode(code: u16) -> String {
    let names = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
    names.get(usize::from(code)).map_or_else(|| code.to_string(), |name| (*name).to_owned())
}

fn line(record: &Record) -> String {
    let data = match &record.data {
        RData::TXT(txt) => {
            let parts =
                txt.txt_data.iter().map(|part| format!("{:?}", String::from_utf8_lossy(part)));
            parts.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    };
    format!("{} {} {} {data}", record.name.to_ascii(), record.ttl, record.record_type())
}
