//! The Raft codec against captured traffic (`tests/data/README.md`).

use proconsul::raft::{EntryKind, Request, Response};
use proconsul::wire::raft::{
    Rpc, decode_configuration, decode_request, decode_response, encode_configuration,
    encode_request, encode_response, entry_type,
};
use serde_json::{Value, json};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("hex"))
        .collect()
}

fn vectors() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/raft-wire-vectors.jsonl");
    let text = std::fs::read_to_string(path).expect("the vectors are in the repository");
    text.lines().map(|line| serde_json::from_str(line).expect("a vector is JSON")).collect()
}

/// Bytes as the vectors show them: text, `hex:…` or null.
fn shown(bytes: &[u8], as_in: &Value) -> Value {
    match (as_in, std::str::from_utf8(bytes)) {
        (Value::Null, _) if bytes.is_empty() => Value::Null,
        (Value::String(text), Ok(plain)) if !text.starts_with("hex:") => json!(plain),
        _ => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!(format!("hex:{digits}"))
        }
    }
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
        other => panic!("{other:?} is not decoded yet"),
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
        other => panic!("{other:?} is not decoded yet"),
    }
}

/// What a vector says, without what the agent's types do not carry.
fn carried(mut vector: Value) -> Value {
    let absent = ["ProtocolVersion", "Peers", "ID", "Addr"];
    let fields = vector.as_object_mut().expect("a struct");
    fields.retain(|name, _| !absent.contains(&name.as_str()));
    for entry in fields.get_mut("Entries").and_then(Value::as_array_mut).into_iter().flatten() {
        let known = ["Data", "Index", "Term", "Type"];
        let fields = entry.as_object_mut().expect("an entry");
        fields.retain(|name, _| known.contains(&name.as_str()));
    }
    vector
}

/// 1.7 adds header fields and times that this agent neither keeps nor sends.
fn is_spoken_here(id: &str) -> bool {
    !id.starts_with("raft17-")
}

#[test]
fn captured_requests_decode_and_encode_back() {
    let (mut decoded, mut exact) = (0, 0);
    for vector in vectors() {
        let id = vector["id"].as_str().expect("an id");
        let bytes = hex(vector["request_hex"].as_str().expect("bytes"));
        let (request, taken) =
            decode_request(&bytes).expect(id).unwrap_or_else(|| panic!("{id} is not whole"));
        assert_eq!(taken, bytes.len(), "{id}");
        assert_eq!(
            request_shown(&request, &vector["request"]),
            carried(vector["request"].clone()),
            "{id}"
        );
        decoded += 1;
        if is_spoken_here(id) {
            let mut out = Vec::new();
            encode_request(&request, &mut out);
            assert_eq!(out, bytes, "{id}");
            exact += 1;
        }
        for shorter in 0..bytes.len() {
            assert_eq!(decode_request(&bytes[..shorter]), Ok(None), "{id} cut at {shorter}");
        }
    }
    assert_eq!((decoded, exact), (69, 46));
}

#[test]
fn captured_responses_decode_and_encode_back() {
    let mut exact = 0;
    for vector in vectors().into_iter().filter(|vector| vector.get("response_hex").is_some()) {
        let id = vector["id"].as_str().expect("an id");
        let rpc = if vector["rpc"] == 0 { Rpc::AppendEntries } else { Rpc::RequestVote };
        let bytes = hex(vector["response_hex"].as_str().expect("bytes"));
        let (answer, taken) =
            decode_response(rpc, &bytes).expect(id).unwrap_or_else(|| panic!("{id} is not whole"));
        assert_eq!(taken, bytes.len(), "{id}");
        let response = answer.expect("no captured response is an error");
        assert_eq!(response_shown(&response), carried(vector["response"].clone()), "{id}");
        if is_spoken_here(id) {
            let mut out = Vec::new();
            encode_response(&response, &mut out);
            assert_eq!(out, bytes, "{id}");
            exact += 1;
        }
        for shorter in 0..bytes.len() {
            assert_eq!(decode_response(rpc, &bytes[..shorter]), Ok(None), "{id} cut at {shorter}");
        }
    }
    assert!(exact > 30, "{exact} responses compared");
}

#[test]
fn captured_configurations_decode_and_encode_back() {
    let mut seen = 0;
    for vector in vectors() {
        let bytes = hex(vector["request_hex"].as_str().expect("bytes"));
        let Ok(Some((Request::AppendEntries(append), _))) = decode_request(&bytes) else {
            continue;
        };
        let shown = vector["request"]["Entries"].as_array().cloned().unwrap_or_default();
        for (entry, shown) in append.entries.iter().zip(shown) {
            if entry.kind != EntryKind::Configuration {
                continue;
            }
            let configuration = decode_configuration(&entry.data).expect("a configuration");
            let servers: Vec<Value> = configuration
                .servers
                .iter()
                .map(|server| {
                    json!({
                        "Address": server.address.as_str(),
                        "ID": server.id.as_str(),
                        "Suffrage": server.suffrage as u8,
                    })
                })
                .collect();
            if let Some(expected) = shown.get("Data_configuration") {
                assert_eq!(json!({ "Servers": servers }), *expected);
            }
            assert_eq!(encode_configuration(&configuration), entry.data);
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen} configurations compared");
}

#[test]
fn captured_commands_are_recognised_by_their_type() {
    use proconsul::wire::command::{CommandError, decode};
    let mut types = Vec::new();
    for vector in vectors() {
        if !vector["id"].as_str().is_some_and(|id| id.starts_with("consul")) {
            continue;
        }
        let bytes = hex(vector["request_hex"].as_str().expect("bytes"));
        let Ok(Some((Request::AppendEntries(append), _))) = decode_request(&bytes) else {
            continue;
        };
        for entry in append.entries.iter().filter(|entry| entry.kind == EntryKind::Command) {
            match decode(&entry.data) {
                Err(CommandError::UnknownType(kind)) => types.push(kind),
                other => panic!("{other:?}"),
            }
        }
    }
    types.sort_unstable();
    assert_eq!(types, [0, 9, 30], "register, autopilot, federation state");
}
