//! Catalogs and questions drawn at random: an answer fits its asker, names instances that are well and no
//! others, and names all of them where it has room.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RData;
use proconsul::dns::{Server, Settings, Transport};
use proconsul::state::{Command, HealthCheck, Node, NodeService, Register};
use proptest::prelude::*;

use crate::dns_message::question;
use crate::dns_store::DnsStore;
use crate::http_store::now;

/// One instance: its health, and how much meta its node has.
type Instance = (&'static str, usize);

/// What n0 is told: whether instances that warn are left out.
fn passing(only_passing: bool) -> Settings {
    let mut settings = Settings::of("n0");
    settings.config.only_passing = only_passing;
    settings
}

fn instance() -> impl Strategy<Value = Instance> {
    (prop::sample::select(vec!["passing", "warning", "critical"]), 0..3_usize)
}

fn ip(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0001 + u32::try_from(number).expect("few"))
}

fn store(instances: &[Instance]) -> DnsStore {
    let store = DnsStore::new(7);
    for (number, (status, pairs)) in instances.iter().enumerate() {
        let meta = (0..*pairs).map(|pair| (format!("k{pair}"), "v".repeat(60))).collect();
        let address = ip(number).to_string();
        let node = Node { node: format!("n{number}"), address, meta, ..Node::default() };
        let service = NodeService { id: "web".into(), service: "web".into(), ..<_>::default() };
        let check = HealthCheck {
            node: node.node.clone(),
            check_id: "c".to_owned(),
            status: (*status).to_owned(),
            ..HealthCheck::default()
        };
        let (service, checks) = (Some(service), vec![check]);
        let what = Register { node, service, checks, ..Register::default() };
        store.write(&Command::Register(Box::new(what)));
    }
    store
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn answers_fit_and_name_who_is_well(
        instances in prop::collection::vec(instance(), 0..60),
        edns in prop::option::of(512..5000_u16),
        srv in any::<bool>(),
        tcp in any::<bool>(),
        only_passing in any::<bool>(),
    ) {
        let settings = passing(only_passing);
        let asked = question("web.service.consul", if srv { "SRV" } else { "A" }, edns, false);
        let over = if tcp { Transport::Tcp } else { Transport::Udp };
        let bytes = store(&instances).answer(&settings, &asked, over).expect("an answer");
        let limit = if tcp { 65_535 } else { edns.map_or(512, usize::from) };
        prop_assert!(bytes.len() <= limit, "{} of {limit} bytes", bytes.len());
        let is_well = |status: &str| status == "passing" || !only_passing && status == "warning";
        let well: BTreeSet<Ipv4Addr> = (0..instances.len())
            .filter(|number| is_well(instances[*number].0))
            .map(ip)
            .collect();
        let message = Message::from_vec(&bytes).expect("a message");
        let records = if srv { &message.additionals } else { &message.answers };
        let named: BTreeSet<Ipv4Addr> = records
            .iter()
            .filter_map(|record| match &record.data {
                RData::A(ip) => Some(ip.0),
                _ => None,
            })
            .collect();
        prop_assert!(named.is_subset(&well), "{named:?} of {well:?}");
        prop_assert_eq!(named.len(), message.answers.len());
        prop_assert_eq!(message.answers.is_empty(), well.is_empty());
        if tcp {
            prop_assert_eq!(named, well);
        } else if edns.is_none_or(|size| size <= 512) {
            prop_assert!(message.answers.len() <= 3);
        }
    }

    #[test]
    fn garbage_is_answered_briefly_or_not_at_all(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let settings = Settings::of("n0");
        if let Some(answer) = store(&[]).answer(&settings, &bytes, Transport::Udp) {
            prop_assert!(answer.len() <= 512 && answer[..2] == bytes[..2] && answer[2] & 0x80 != 0);
        }
    }
}

#[test]
fn every_instance_comes_first_sometimes() {
    let store = store(&[("passing", 0); 5]);
    let asked = question("web.service.consul", "A", None, false);
    let mut first = BTreeSet::new();
    for _ in 0..200 {
        let bytes = store.answer(&Settings::of("n0"), &asked, Transport::Udp).expect("an answer");
        let message = Message::from_vec(&bytes).expect("a message");
        first.insert(message.answers[0].to_string());
    }
    assert_eq!(first.len(), 5, "{first:?}");
}

#[test]
fn new_settings_count_at_once() {
    let server = Server::new(store(&[("warning", 0)]), Settings::of("n0"));
    let asked = question("web.service.consul", "A", None, false);
    let code = || {
        let answer = now(server.answer(&asked, ([10, 0, 0, 9], 53).into(), Transport::Tcp));
        Message::from_vec(&answer.expect("an answer")).expect("a message").metadata.response_code
    };
    assert_eq!(code(), ResponseCode::NoError);
    server.set(passing(true));
    assert_eq!(code(), ResponseCode::NXDomain);
}
