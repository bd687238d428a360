//! DNS messages, as anybody may send them.
//!
//! * No panic, whatever comes.
//! * An answer can be read, has the number of its question, and is no longer than the asker takes.

use std::cell::LazyCell;

use hickory_proto::op::Message;
use proconsul::dns::{Settings, Transport};
use proconsul::state::{Command, Node, NodeService, Register};

use crate::dns_message::question;
use crate::dns_store::DnsStore;

use super::Target;

pub const ALL: &[Target] = &[Target { name: "dns", run: answered, corpus: questions }];

/// A catalog with an address of each kind, and more instances than fit.
fn store() -> DnsStore {
    let store = DnsStore::new(1);
    for number in 0..80_u8 {
        let node = Node {
            node: format!("n{number}"),
            address: format!("10.0.0.{number}"),
            meta: [("text".to_owned(), "x".repeat(100))].into(),
            ..Node::default()
        };
        let address = ["", "", "10.9.9.9", "2001:db8::1", "web.example.test", "x..y"]
            [usize::from(number % 6)]
        .to_owned();
        let service = NodeService {
            id: "s".to_owned(),
            service: "web".to_owned(),
            address,
            port: number.into(),
            ..NodeService::default()
        };
        let what = Register { node, service: Some(service), ..Register::default() };
        store.write(&Command::Register(Box::new(what)));
    }
    store
}

thread_local! {
    static STORE: LazyCell<DnsStore> = const { LazyCell::new(store) };
}

fn answered(bytes: &[u8]) -> String {
    let settings = Settings::of("n1");
    let ways = [Transport::Udp, Transport::Tcp].map(|over| {
        let Some(answer) = STORE.with(|store| store.answer(&settings, bytes, over)) else {
            return "dropped".to_owned();
        };
        let read = Message::from_vec(&answer).expect("an answer that can be read");
        assert_eq!(answer[..2], bytes[..2], "the number of the question");
        let edns = Message::from_vec(bytes).ok().and_then(|it| it.edns);
        let takes = edns.map_or(512, |edns| usize::from(edns.max_payload()).max(512));
        let limit = if over == Transport::Udp { takes } else { 65_535 };
        assert!(answer.len() <= limit, "{} of {limit} bytes", answer.len());
        let few = |count: usize| count.min(4);
        let [answers, authorities, additionals] =
            [&read.answers, &read.authorities, &read.additionals].map(|it| few(it.len()));
        let code = read.metadata.response_code;
        format!("{code:?} {answers} {authorities} {additionals} {}", read.edns.is_some())
    });
    ways.join(", ")
}

fn questions() -> Vec<Vec<u8>> {
    let names = [
        "web.service.consul",
        "_web._tcp.service.dc1.consul",
        "n1.node.consul",
        "0a000001.addr.consul",
        "q.query.consul",
        "1.0.0.10.in-addr.arpa",
        "consul",
        "www.example.test",
    ];
    let kinds = [("A", None), ("SRV", Some(1232)), ("ANY", Some(4096)), ("SOA", None)];
    let asked = names.iter().flat_map(|name| {
        kinds.iter().map(|(kind, edns)| question(name, kind, *edns, edns.is_some()))
    });
    asked.collect()
}
