//! The Raft codec against captured traffic (`tests/data/README.md`).

use proconsul::raft::{Configuration, EntryKind, Request, Response, Server};
use proconsul::wire::raft::{
    Header, Received, Rpc, decode_configuration, decode_peers, decode_request, decode_response,
    encode_configuration, encode_peers, encode_request, encode_request_as, encode_response,
    encode_response_as, entry_type,
};
use serde_json::{Value, json};

pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("hex"))
        .collect()
}

pub fn vectors() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/raft-wire-vectors.jsonl");
    let text = std::fs::read_to_string(path).expect("the vectors are in the repository");
    text.lines().map(|line| serde_json::from_str(line).expect("a vector is JSON")).collect()
}

/// Bytes as the vectors show them: text, `hex:…` or null.
fn shown(bytes: &[u8], as_in: &Value) -> Value {
    match (as_in, std::str::from_utf8(bytes)) {
        (Value::Null, _) if bytes.is_empty() => Value::Null,
        (Value::String(text), Ok(plain)) if !text.starts_with("hex:") => json!(plain),
        _ => json!(format!("hex:{}", digits(bytes))),
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn request_shown(request: &Request, vector: &Value) -> Value {
    match request {
        Request::AppendEntries(append) => {
            let expected = vector["Entries"].as_array().cloned().unwrap_or_default();
            assert_eq!(append.entries.len(), expected.len());
            let entries: Vec<Value> = append
                .entries
                .iter()
                .zip(&expected)
                .map(|(entry, expected)| {
                    json!({
                        "Data": shown(&entry.data, &expected["Data"]),
                        "Index": entry.index.0,
                        "Term": entry.term.0,
                        "Type": entry_type(entry.kind),
                    })
                })
                .collect();
            json!({
                "Entries": if vector["Entries"].is_null() { Value::Null } else { json!(entries) },
                "Leader": append.leader.as_str(),
                "LeaderCommitIndex": append.leader_commit.0,
                "PrevLogEntry": append.prev_index.0,
                "PrevLogTerm": append.prev_term.0,
                "Term": append.term.0,
            })
        }
        Request::RequestVote(vote) => json!({
            "Candidate": vote.candidate.as_str(),
            "LastLogIndex": vote.last_log_index.0,
            "LastLogTerm": vote.last_log_term.0,
            "LeadershipTransfer": vote.leadership_transfer,
            "Term": vote.term.0,
        }),
        Request::RequestPreVote(vote) => json!({
            "Addr": format!("hex:{}", digits(vote.candidate.as_str().as_bytes())),
            "LastLogIndex": vote.last_log_index.0,
            "LastLogTerm": vote.last_log_term.0,
            "Term": vote.term.0,
        }),
        Request::InstallSnapshot(install) => json!({
            "Configuration":
                format!("hex:{}", digits(&encode_configuration(&install.snapshot.configuration))),
            "Configuration_decoded": servers_shown(&install.snapshot.configuration),
            "ConfigurationIndex": install.snapshot.configuration_index.0,
            "LastLogIndex": install.snapshot.index.0,
            "LastLogTerm": install.snapshot.term.0,
            "Leader": install.leader.as_str(),
            "Peers": format!("hex:{}", digits(&encode_peers(&install.snapshot.configuration))),
            "Size": install.snapshot.size,
            "SnapshotVersion": 1,
            "Term": install.term.0,
        }),
        Request::TimeoutNow => json!({}),
    }
}

fn servers_shown(configuration: &Configuration) -> Value {
    let server = |server: &Server| {
        json!({
            "Address": server.address.as_str(),
            "ID": server.id.as_str(),
            "Suffrage": server.suffrage as u8,
        })
    };
    json!({ "Servers": configuration.servers.iter().map(server).collect::<Vec<_>>() })
}

fn header_shown(header: &Header, fields: &mut Value, expected: &Value) {
    fields["ProtocolVersion"] = json!(header.protocol);
    if let Some(sender) = &header.sender {
        let address = sender.address.as_str().as_bytes();
        let plain = expected["Addr"].as_str().is_none_or(|it| !it.starts_with("hex:"));
        fields["Addr"] = if plain {
            shown(address, &expected["Addr"])
        } else {
            json!(format!("hex:{}", digits(address)))
        };
        fields["ID"] = shown(sender.id.as_str().as_bytes(), &expected["ID"]);
    }
}

fn response_shown(response: &Response) -> Value {
    match response {
        Response::AppendEntries(append) => json!({
            "LastLog": append.last_log.0,
            "NoRetryBackoff": append.no_retry_backoff,
            "Success": append.success,
            "Term": append.term.0,
        }),
        Response::RequestVote(vote) => json!({ "Granted": vote.granted, "Term": vote.term.0 }),
        Response::RequestPreVote(vote) => json!({ "Granted": vote.granted, "Term": vote.term.0 }),
        Response::InstallSnapshot(install) => {
            json!({ "Success": install.success, "Term": install.term.0 })
        }
        Response::TimeoutNow => json!({}),
    }
}

/// What a vector says, without what is not compared as a value: times, which only have to come back.
fn carried(mut vector: Value) -> Value {
    for entry in vector.get_mut("Entries").and_then(Value::as_array_mut).into_iter().flatten() {
        let known = ["Data", "Index", "Term", "Type"];
        let fields = entry.as_object_mut().expect("an entry");
        fields.retain(|name, _| known.contains(&name.as_str()));
    }
    vector
}

/// The form that this agent sends: 1.7 says more.
fn is_sent_here(id: &str) -> bool {
    !id.starts_with("raft17-")
}

#[test]
fn all_captured_requests_decode_and_encode_back() {
    let (mut exact, mut exact_as_ours) = (0, 0);
    for vector in vectors() {
        let id = vector["id"].as_str().expect("an id");
        let bytes = hex(vector["request_hex"].as_str().expect("bytes"));
        let (received, taken) =
            decode_request(&bytes).expect(id).unwrap_or_else(|| panic!("{id} is not whole"));
        assert_eq!(taken, bytes.len(), "{id}");
        let Received { rpc, header, request, following, appended_at } = received;
        let request = request.unwrap_or_else(|why| panic!("{id} is refused: {why}"));
        let mut fields = request_shown(&request, &vector["request"]);
        header_shown(&header, &mut fields, &vector["request"]);
        assert_eq!(fields, carried(vector["request"].clone()), "{id}");
        assert_eq!(rpc, Rpc::of(&request), "{id}");
        let mut out = Vec::new();
        encode_request_as(&request, &header, &appended_at, &mut out);
        assert_eq!(out, bytes, "{id}");
        exact += 1;
        if is_sent_here(id) {
            let mut out = Vec::new();
            encode_request(&request, &mut out);
            assert_eq!(out, bytes, "{id}");
            exact_as_ours += 1;
        }
        let payload = vector["snapshot_bytes_hex"].as_str().map_or(0, |it| it.len() as u64 / 2);
        assert_eq!(following, payload, "{id}");
        for shorter in 0..bytes.len() {
            assert_eq!(decode_request(&bytes[..shorter]), Ok(None), "{id} cut at {shorter}");
        }
    }
    println!("requests: {exact} of 75 exact, {exact_as_ours} in the form that is sent here");
    assert_eq!((exact, exact_as_ours), (75, 49));
}

#[test]
fn all_captured_responses_decode_and_encode_back() {
    let (mut exact, mut exact_as_ours, mut none) = (0, 0, 0);
    for vector in vectors() {
        let id = vector["id"].as_str().expect("an id");
        let Some(bytes) = vector["response_hex"].as_str().map(hex) else {
            // One caller had gone before the answer came.
            none += 1;
            continue;
        };
        let rpc = Rpc::ALL[vector["rpc"].as_u64().expect("a number") as usize];
        let (answered, taken) =
            decode_response(rpc, &bytes).expect(id).unwrap_or_else(|| panic!("{id} is not whole"));
        assert_eq!(taken, bytes.len(), "{id}");
        let response = answered.answer.expect("no captured response is an error");
        let mut fields = response_shown(&response);
        header_shown(&answered.header, &mut fields, &vector["response"]);
        if rpc == Rpc::RequestVote {
            fields["Peers"] = shown(&answered.peers, &vector["response"]["Peers"]);
        }
        assert_eq!(fields, vector["response"], "{id}");
        let mut out = Vec::new();
        encode_response_as(&response, &answered.header, &answered.peers, &mut out);
        assert_eq!(out, bytes, "{id}");
        exact += 1;
        if is_sent_here(id) {
            let mut out = Vec::new();
            encode_response(&response, &mut out);
            assert_eq!(out, bytes, "{id}");
            exact_as_ours += 1;
        }
        for shorter in 0..bytes.len() {
            assert_eq!(decode_response(rpc, &bytes[..shorter]), Ok(None), "{id} cut at {shorter}");
        }
    }
    println!("responses: {exact} exact, {exact_as_ours} as sent here, {none} never came");
    assert_eq!((exact + none, exact, exact_as_ours), (75, 75 - none, 49 - none));
    assert!(none <= 1, "{none} vectors without a response");
}

#[test]
fn peers_are_the_voters_in_the_old_form() {
    let mut compared = 0;
    for vector in vectors() {
        let bytes = hex(vector["request_hex"].as_str().expect("bytes"));
        let Ok(Some((Received { request: Ok(Request::InstallSnapshot(install)), .. }, _))) =
            decode_request(&bytes)
        else {
            continue;
        };
        let peers = encode_peers(&install.snapshot.configuration);
        let decoded = decode_peers(&peers).expect("a set of peers");
        for (peer, server) in decoded.servers.iter().zip(&install.snapshot.configuration.servers) {
            assert_eq!(peer.address, server.address);
            assert_eq!(peer.id.as_str(), server.address.as_str());
        }
        assert_eq!(encode_peers(&decoded), peers);
        compared += 1;
    }
    assert_eq!(compared, 3);
}

#[test]
fn captured_configurations_decode_and_encode_back() {
    let mut seen = 0;
    for vector in vectors() {
        let bytes = hex(vector["request_hex"].as_str().expect("bytes"));
        let Ok(Some((Received { request: Ok(Request::AppendEntries(append)), .. }, _))) =
            decode_request(&bytes)
        else {
            continue;
        };
        let shown = vector["request"]["Entries"].as_array().cloned().unwrap_or_default();
        for (entry, shown) in append.entries.iter().zip(shown) {
            if entry.kind != EntryKind::Configuration {
                continue;
            }
            let configuration = decode_configuration(&entry.data).expect("a configuration");
            if let Some(expected) = shown.get("Data_configuration") {
                assert_eq!(servers_shown(&configuration), *expected);
            }
            assert_eq!(encode_configuration(&configuration), entry.data);
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen} configurations compared");
}

#[test]
fn captured_commands_are_recognised_by_their_type() {
    use proconsul::state::Command;
    use proconsul::wire::command::{CommandError, decode};
    let mut types = Vec::new();
    for vector in vectors() {
        if !vector["id"].as_str().is_some_and(|id| id.starts_with("consul")) {
            continue;
        }
        let bytes = hex(vector["request_hex"].as_str().expect("bytes"));
        let Ok(Some((Received { request: Ok(Request::AppendEntries(append)), .. }, _))) =
            decode_request(&bytes)
        else {
            continue;
        };
        for entry in append.entries.iter().filter(|entry| entry.kind == EntryKind::Command) {
            match decode(&entry.data) {
                Err(CommandError::UnknownType(kind)) => types.push(kind),
                Ok(Some(Command::Register(_) | Command::Autopilot(_))) => {
                    types.push(entry.data[0]);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    types.sort_unstable();
    assert_eq!(types, [0, 9, 30], "register, autopilot, federation state");
}
