//! The catalog's structs against what Consul 1.8.7 wrote, and through requests and answers.

use bytes::Bytes;
use proconsul::agent::{ReadMeta, ReadMode, ReadOptions, Reply, Request};
use proconsul::base::{Duration, Faults, LogIndex};
use proconsul::state::{
    Answer, AutopilotConfiguration, Command, CommandResult, NodeMeta, Query, Rows, StateStore,
};
use proconsul::wire::{command, rpc};
use serde_json::Value;

/// The command that a captured AppendEntries carries.
fn captured(id: &str) -> Vec<u8> {
    let vectors = include_str!("../data/raft-wire-vectors.jsonl").lines();
    let mut vectors = vectors.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let vector = vectors.find(|vector| vector["id"] == id).expect("the vector");
    let data = vector["request"]["Entries"][0]["Data"].as_str().expect("data").to_owned();
    let hex = data.strip_prefix("hex:").expect("in hex");
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[test]
fn the_autopilots_configuration_is_as_consul_writes_it() {
    let mut bytes = captured("consul187-009");
    let Ok(Some(change @ Command::Autopilot(_))) = command::decode(&bytes) else {
        panic!("{:?}", command::decode(&bytes))
    };
    let Command::Autopilot(inner) = &change else { panic!("just matched") };
    assert_eq!(inner.configuration, AutopilotConfiguration::default());
    // Consul's leader leaves the datacenter of this one out.
    assert_eq!(command::encode(&change, ""), Bytes::from(std::mem::take(&mut bytes)));
}

#[test]
fn a_registration_is_as_consul_writes_it() {
    let bytes = captured("consul187-010");
    let Ok(Some(Command::Register(what))) = command::decode(&bytes) else {
        panic!("{:?}", command::decode(&bytes))
    };
    assert_eq!((what.node.node.as_str(), what.node.address.as_str()), ("s1", "127.0.0.51"));
    let service = what.service.clone().expect("a server's service");
    assert_eq!((service.service.as_str(), service.port, service.meta.len()), ("consul", 8300, 6));
    assert!(service.proxy.is_empty() && service.connect.is_empty(), "a plain service");
    assert_eq!(what.checks[0].check_id, "serfHealth");
    let ours = command::encode(&Command::Register(what.clone()), "dc1");
    // Equal but for the order of one map, which has none in Go: maximum and minimum of a protocol.
    let sorted = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.sort_unstable();
        bytes
    };
    assert_eq!(ours.len(), bytes.len());
    assert_eq!(sorted(&ours), sorted(&bytes));
    let meta = bytes.windows(4).position(|at| at == b"Meta").expect("NodeMeta");
    assert_eq!(ours[..meta], bytes[..meta]);
    assert_eq!(command::decode(&ours), Ok(Some(Command::Register(what))));
}

/// A store with what Consul's leader registered, and answers from it.
fn store() -> StateStore {
    let mut store = StateStore::new();
    for (index, id) in [(1, "consul187-009"), (2, "consul187-010")] {
        let command = command::decode(&captured(id)).expect("a command").expect("known");
        let (result, _) = store.apply(LogIndex(index), &command, &Faults::none());
        assert_eq!(result, CommandResult::Flag(true));
    }
    store
}

fn questions() -> Vec<Query> {
    let meta = NodeMeta::from([("rack".to_owned(), "r1".to_owned())]);
    let (none, tags) = (NodeMeta::new(), vec!["v1".to_owned()]);
    let consul = || "consul".to_owned();
    let (node, state) = (|| "s1".to_owned(), "any".to_owned());
    vec![
        Query::CatalogNodes { meta: none.clone() },
        Query::CatalogNodes { meta: meta.clone() },
        Query::CatalogNode { node: node() },
        Query::CatalogNode { node: "absent".to_owned() },
        Query::CatalogServices { meta: none.clone() },
        Query::CatalogService { service: consul(), tags: Vec::new(), meta: none.clone() },
        Query::CatalogService { service: consul(), tags: tags.clone(), meta: meta.clone() },
        Query::HealthService { service: consul(), tags: Vec::new(), meta: none.clone() },
        Query::HealthService { service: consul(), tags, meta },
        Query::HealthNode { node: node() },
        Query::HealthChecks { service: consul(), meta: none.clone() },
        Query::HealthState { state, meta: none },
        Query::AutopilotConfiguration,
        Query::Coordinates,
        Query::NodeCoordinates { node: "n1".to_owned() },
        Query::NodeDump,
        Query::NodeInfo { node: node() },
        Query::ServiceDump,
    ]
}

#[test]
fn questions_and_answers_come_through() {
    let store = store();
    for query in questions() {
        let max_wait = Duration::from_secs(7);
        let options = ReadOptions { mode: ReadMode::Stale, min_index: 3, max_wait };
        let request = Request::Read { query: query.clone(), options };
        let mut bytes = Vec::new();
        let method = rpc::encode_request(5, &request, "dc1", &mut bytes).expect("forwarded");
        let (call, used) = rpc::decode_request(&bytes).expect("a request").expect("whole");
        assert_eq!((used, call.request), (bytes.len(), Ok(request)), "{method:?}");

        let answer = store.query(&query);
        let index = answer.index;
        let meta = ReadMeta { index, known_leader: true, last_contact: Duration::ZERO };
        let reply = Ok(Reply::Read { answer, meta });
        let mut bytes = Vec::new();
        rpc::encode_response(5, method.name(), &reply, &mut bytes);
        let (back, used) = rpc::decode_response(&bytes).expect("an answer").expect("whole");
        assert_eq!((used, back.result), (bytes.len(), reply), "{method:?}");
    }
}

#[test]
fn a_registration_is_forwarded_and_answered_with_nothing() {
    let command = command::decode(&captured("consul187-010")).expect("one").expect("known");
    let request = Request::Write(command);
    let mut bytes = Vec::new();
    let method = rpc::encode_request(1, &request, "dc1", &mut bytes).expect("forwarded");
    assert_eq!(method.name(), "Catalog.Register");
    let (call, _) = rpc::decode_request(&bytes).expect("a request").expect("whole");
    assert_eq!(call.request, Ok(request));
    let reply = Ok(Reply::Written(CommandResult::Flag(true)));
    let mut bytes = Vec::new();
    rpc::encode_response(1, method.name(), &reply, &mut bytes);
    let (back, _) = rpc::decode_response(&bytes).expect("an answer").expect("whole");
    assert_eq!(back.result, reply);
}

#[test]
fn rows_of_another_kind_are_no_answer() {
    let rows = Rows::Nodes(Vec::new());
    let meta = ReadMeta { index: 1, known_leader: true, last_contact: Duration::ZERO };
    let reply = Ok(Reply::Read { answer: Answer { index: 1, rows }, meta });
    let mut bytes = Vec::new();
    rpc::encode_response(1, "Health.NodeChecks", &reply, &mut bytes);
    let (back, _) = rpc::decode_response(&bytes).expect("an answer").expect("whole");
    assert!(back.result.is_err());
}
