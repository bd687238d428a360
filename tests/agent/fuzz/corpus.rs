//! Where mutation begins: captured messages, and what our own encoders write.

use bytes::Bytes;
use proconsul::agent::{self, Failure, ReadMeta, ReadMode, ReadOptions, Reply};
use proconsul::base::{Duration, Faults, LogIndex};
use proconsul::raft::{Request, Response};
use proconsul::state::{
    Answer, Command, CommandResult, KvCommand, KvEntry, Query, Rows, StateStore,
};
use proconsul::wire::msgpack::Reader;
use proconsul::wire::raft::{Received, decode_request};
use proconsul::wire::{command, raft, rpc};

use crate::wire_archive;
use crate::wire_snapshot;
use crate::wire_vectors::{hex, vectors};

/// This field of each captured exchange, with the number of its RPC.
fn captured(field: &str) -> Vec<(u8, Vec<u8>)> {
    let of = |vector: &serde_json::Value| {
        Some((vector["rpc"].as_u64()? as u8, hex(vector[field].as_str()?)))
    };
    vectors().iter().filter_map(of).collect()
}

pub fn raft_requests() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        captured("request_hex").into_iter().map(|(_, bytes)| bytes).collect();
    let mut out = Vec::new();
    raft::encode_request(&Request::TimeoutNow, &mut out);
    all.push(out);
    all
}

/// Behind the byte that says what was asked.
pub fn raft_responses() -> Vec<Vec<u8>> {
    let led = |(rpc, bytes): (u8, Vec<u8>)| [vec![rpc], bytes].concat();
    let mut all: Vec<Vec<u8>> = captured("response_hex").into_iter().map(led).collect();
    let mut error = vec![0];
    raft::encode_error("node is not the leader", &mut error);
    all.push(error);
    let mut timeout = vec![3];
    raft::encode_response(&Response::TimeoutNow, &mut timeout);
    all.push(timeout);
    all
}

fn decoded_requests() -> Vec<Request> {
    let decoded = |bytes: Vec<u8>| match decode_request(&bytes) {
        Ok(Some((Received { request: Ok(request), .. }, _))) => Some(request),
        _ => None,
    };
    raft_requests().into_iter().filter_map(decoded).collect()
}

pub fn configurations() -> Vec<Vec<u8>> {
    installed().iter().map(|it| raft::encode_configuration(it).to_vec()).collect()
}

pub fn peers() -> Vec<Vec<u8>> {
    installed().iter().map(|it| raft::encode_peers(it).to_vec()).collect()
}

fn installed() -> Vec<proconsul::raft::Configuration> {
    let configuration = |request| match request {
        Request::InstallSnapshot(install) => Some(install.snapshot.configuration),
        _ => None,
    };
    decoded_requests().into_iter().filter_map(configuration).collect()
}

fn changes() -> Vec<KvCommand> {
    let key = || "web/config".to_owned();
    let value = || Bytes::from_static(b"some value");
    vec![
        KvCommand::Set { key: key(), value: value(), flags: 42 },
        KvCommand::Cas { key: key(), value: value(), flags: u64::MAX, index: 300 },
        KvCommand::Delete { key: key() },
        KvCommand::DeleteCas { key: key(), index: 70_000 },
        KvCommand::DeleteTree { prefix: "web/".to_owned() },
    ]
}

pub fn commands() -> Vec<Vec<u8>> {
    let ours = changes();
    let mut all: Vec<Vec<u8>> =
        ours.into_iter().map(|it| command::encode(&Command::Kv(it), "dc1").to_vec()).collect();
    for request in decoded_requests() {
        if let Request::AppendEntries(append) = request {
            all.extend(append.entries.into_iter().map(|entry| entry.data.to_vec()));
        }
    }
    all
}

pub fn rpc_requests() -> Vec<Vec<u8>> {
    let query = |query, mode, min_index| agent::Request::Read {
        query,
        options: ReadOptions { mode, min_index, max_wait: Duration::from_secs(30) },
    };
    let mut requests: Vec<agent::Request> =
        changes().into_iter().map(|it| agent::Request::Write(Command::Kv(it))).collect();
    let (key, prefix, separator) = ("a".to_owned(), "web/".to_owned(), "/".to_owned());
    requests.push(query(Query::KvGet { key }, ReadMode::Default, 0));
    requests.push(query(Query::KvList { prefix: prefix.clone() }, ReadMode::Stale, 7));
    requests.push(query(Query::KvKeys { prefix, separator }, ReadMode::Consistent, 1 << 40));
    let encoded = |request: &agent::Request| {
        let mut out = Vec::new();
        rpc::encode_request(9, request, "dc1", &mut out).expect("it can be forwarded");
        out
    };
    requests.iter().map(encoded).collect()
}

pub fn rpc_responses() -> Vec<Vec<u8>> {
    let meta =
        ReadMeta { index: 70_000, known_leader: true, last_contact: Duration::from_millis(12) };
    let entry = KvEntry {
        key: "web/config".to_owned(),
        value: Bytes::from_static(b"value"),
        flags: 3,
        lock_index: 1,
        session: Some("39f003f0-22f9-956e-209e-71182d2c5cd4".to_owned()),
        create_index: 7,
        modify_index: 70_000,
    };
    let read = |rows| Ok(Reply::Read { answer: Answer { index: 70_000, rows }, meta });
    let keys = ["web/a", "web/b/"].map(str::to_owned).to_vec();
    let answers = [
        ("KVS.Apply", Ok(Reply::Written(CommandResult::Flag(true)))),
        ("KVS.Get", read(Rows::Entries(vec![entry.clone()]))),
        ("KVS.Get", read(Rows::Entries(Vec::new()))),
        ("KVS.List", read(Rows::Entries(vec![entry.clone(), entry]))),
        ("KVS.ListKeys", read(Rows::Keys(keys))),
        ("KVS.List", Err(Failure::NoLeader)),
        ("KVS.List", Err(Failure::NotReady)),
    ];
    let encoded = |(method, result): &(&str, Result<Reply, Failure>)| {
        let mut out = Vec::new();
        rpc::encode_response(300, method, result, &mut out);
        out
    };
    answers.iter().map(encoded).collect()
}

fn store() -> StateStore {
    let mut store = StateStore::new();
    for (at, change) in changes().into_iter().cycle().take(11).enumerate() {
        store.apply(LogIndex(at as u64 + 1), &Command::Kv(change), &Faults::none());
    }
    let everything = Command::Kv(KvCommand::DeleteTree { prefix: String::new() });
    store.apply(LogIndex(20), &everything, &Faults::none());
    let last = KvCommand::Set { key: "k".to_owned(), value: Bytes::new(), flags: 0 };
    store.apply(LogIndex(21), &Command::Kv(last), &Faults::none());
    store
}

pub fn snapshots() -> Vec<Vec<u8>> {
    let real = wire_snapshot::captured();
    let mut reader = Reader::new(&real);
    let header = reader.value().expect("a header").to_vec();
    let mut starts = Vec::new();
    while reader.finish().is_err() {
        starts.push(reader.position());
        reader.byte().and_then(|_| reader.skip()).expect("a record");
    }
    // The whole one is large for a mutator; its beginning and end hold one of each kind.
    let beginning = real[..starts[8]].to_vec();
    let end = [header.as_slice(), &real[starts[starts.len() - 12]..]].concat();
    // A finding: the row of the tombstone of all keys, without an index.
    let mut row = header;
    row.extend(b"\x10\x81\xa3Key\xbfproconsul.tombstone-of-all-keys");
    vec![wire_snapshot::whole(&store()), real, beginning, end, row]
}

pub fn archives() -> Vec<Vec<u8>> {
    vec![wire_archive::archive(b""), wire_archive::archive(&wire_snapshot::whole(&store()))]
}

/// The tar inside each.
pub fn tars() -> Vec<Vec<u8>> {
    let unzipped = |archive: &Vec<u8>| {
        let mut plain = Vec::new();
        let mut gzip = flate2::read::GzDecoder::new(archive.as_slice());
        std::io::Read::read_to_end(&mut gzip, &mut plain).expect("an archive");
        plain
    };
    archives().iter().map(unzipped).collect()
}

pub fn metas() -> Vec<Vec<u8>> {
    vec![
        br#"{"Version":1,"ID":"2-293-1795248692521","Index":293,"Term":2,"Peers":"ka8xMjcuMC4wLjUyOjgzMDA=","Configuration":{"Servers":[{"Suffrage":0,"ID":"a","Address":"127.0.0.52:8300"},{"Suffrage":1,"ID":"b","Address":"127.0.0.51:8300"}]},"ConfigurationIndex":1,"Size":0}"#.to_vec(),
        br#"{"Version":0,"ID":"x","Index":3,"Term":1,"Peers":"kaZhOjgzMDA=","Size":0}"#.to_vec(),
        br#"{"Configuration":{"Servers":null},"Peers":null}"#.to_vec(),
    ]
}

pub fn values() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = raft_requests().iter().map(|it| it[1..].to_vec()).collect();
    all.push(vec![0x91; 40]);
    all.push(vec![0xc7, 1, 5, 0xff]);
    all.push([vec![0xde, 0, 1, 0xd9, 1, b'a', 0xcb], vec![0; 8]].concat());
    all
}

pub fn first_bytes() -> Vec<Vec<u8>> {
    (0..10).map(|byte| vec![byte]).collect()
}

pub fn configs() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"node_name": "a", "server": true, "retry_join": ["10.0.0.2"], "ports": {"http": 1}}"#,
        "{\n\t\"performance\": {\"raft_multiplier\": 2},\n \"datacenter\": \"dc\\u0031\"\n}",
        r#"{"bootstrap_expect": 3, "data_dir": "/d", "bind_addr": "10.0.0.1", "server": null}"#,
        r#"[[[[{"a": -1.5e3, "b": [true, false, null, "\ud83d\ude00"]}]]]]"#,
        r#"{"services": [{"name": "a", "check": {"ttl": "1s"}, "weights": {"passing": 2}}]}"#,
        r#"{"check": {"name": "b", "args": ["c"], "interval": "1s", "header": {"d": ["e"]}}}"#,
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// In HCL.
pub fn configs_hcl() -> Vec<Vec<u8>> {
    let texts = [
        "node_name = \"a\"\nserver = true\nretry_join = [\"10.0.0.2\"] # one\nports { http = 0x1f }\n",
        "service \"web\" { port = 017 }\n/* none */ service { name = \"a\", check { ttl = \"1s\" } }\n",
        "checks = [{ name = \"b\", args = [\"c\",], interval = \"1s\" }] // end\n",
        "data_dir = <<-EOF\n  /d\n  EOF\nlog_level = \"\\x49N\\u0046O\" limits { rpc_rate = -1.5e3 }",
        "node_meta { \"a\" = \"${f(\"{}\")}\" }\nbind_addr = \"{{ GetPrivateIP }}\"\n",
    ];
    let mut all = texts.map(|text| text.as_bytes().to_vec()).to_vec();
    all.push(include_bytes!("../../../packaging/sample.hcl").to_vec());
    all
}

/// Of services and checks, for the HTTP API.
pub fn definitions() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"Name": "a", "Check": {"HTTP": "b", "Interval": "1s", "Header": {"c": ["d"]}}}"#,
        r#"{"name": "a", "checks": [{"ttl": 1e9}], "weights": {"Passing": 1}, "port": -1}"#,
        r#"{"ID": "a", "Name": "b", "Meta": {"c": "d"}, "TaggedAddresses": {"e": {"Port": 1}}}"#,
        r#"{"Name": "a", "AliasNode": "b", "service_id": "c", "OutputMaxSize": -1}"#,
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

pub fn segments() -> Vec<Vec<u8>> {
    let large = crate::persist_recovery::three_segments();
    let group = |data: &[&[u8]]| {
        let model = crate::persist_model::Model::default();
        vec![model.appending(data.iter().map(|it| it.to_vec()))]
    };
    let small = crate::persist_model::written(1 << 20, [group(&[b"a", b"", b"ccc"])]);
    [large, small].into_iter().filter_map(|log| log.files.into_values().next()).collect()
}
