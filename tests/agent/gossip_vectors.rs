//! The gossip codec against captured traffic (`tests/data/README.md`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use proconsul::gossip::{
    Accusation, Message, NodeState, PushPull, Query, QueryResponse, SerfMessage, SerfState, Source,
};
use proconsul::wire::gossip::{
    CODEC, EncryptionVersion, Keyring, NONCE_BYTES, PacketOptions, Reception, Seal, StreamDecoder,
    StreamMessage, StreamOptions, decode_packet, encode_packet, encode_stream,
};
use proconsul::wire::msgpack::Reader;
use serde_json::{Map, Value, json};

use crate::wire_vectors::hex;

pub fn vectors() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/serf-wire-vectors.jsonl");
    let text = std::fs::read_to_string(path).expect("the vectors are in the repository");
    text.lines().map(|line| serde_json::from_str(line).expect("a vector is JSON")).collect()
}

/// The key of the encrypted captures; for the others, none.
pub fn keyring(vector: &Value) -> Keyring {
    let mut ring = Keyring::new();
    if vector["variant"].as_str().is_some_and(|it| it.starts_with("enc")) {
        let key: Vec<u8> = (0..32).collect();
        ring.add(&key).expect("32 bytes");
    }
    ring
}

pub fn raw(vector: &Value) -> Vec<u8> {
    hex(vector["raw_hex"].as_str().expect("bytes"))
}

/// Bytes as the vectors show them.
fn hexed(bytes: &[u8]) -> Value {
    json!(format!("hex:{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

fn addr(addr: IpAddr) -> Value {
    match addr {
        IpAddr::V4(it) => hexed(&it.octets()),
        IpAddr::V6(it) => hexed(&it.octets()),
    }
}

/// A payload, which the vectors show as text where it is some.
fn payload(bytes: Option<&[u8]>, expected: &Value) -> Value {
    match (bytes, std::str::from_utf8(bytes.unwrap_or_default())) {
        (None, _) => Value::Null,
        (Some(_), Ok(text)) if expected.as_str().is_some_and(|it| !it.starts_with("hex:")) => {
            json!(text)
        }
        (Some(bytes), _) => hexed(bytes),
    }
}

fn source(source: &Source, fields: &mut Value) {
    if let Some(it) = source.addr {
        fields["SourceAddr"] = addr(it);
    }
    if let Some(it) = &source.node {
        fields["SourceNode"] = json!(it.as_str());
    }
    if source.port != 0 {
        fields["SourcePort"] = json!(source.port);
    }
}

fn accusation(it: &Accusation) -> Value {
    json!({"From": it.from.as_str(), "Incarnation": it.incarnation.0, "Node": it.node.as_str()})
}

/// A message as the vectors show one: the name of its type and its fields.
fn shown(message: &Message, expected: &Value) -> (&'static str, Value) {
    let body = &expected["body"];
    match message {
        Message::Ping(it) => {
            let mut fields = json!({"Node": it.node.as_str(), "SeqNo": it.sequence.0});
            source(&it.source, &mut fields);
            ("ping", fields)
        }
        Message::IndirectPing(it) => {
            let mut fields = json!({
                "Nack": it.nack, "Node": it.node.as_str(), "Port": it.port,
                "SeqNo": it.sequence.0, "Target": addr(it.target),
            });
            source(&it.source, &mut fields);
            ("indirectPing", fields)
        }
        Message::Ack { sequence, payload: it } => {
            let it = payload(it.as_deref(), &body["Payload"]);
            ("ackResp", json!({"Payload": it, "SeqNo": sequence.0}))
        }
        Message::Nack(sequence) => ("nackResp", json!({"SeqNo": sequence.0})),
        Message::Suspect(it) => ("suspect", accusation(it)),
        Message::Dead(it) => ("dead", accusation(it)),
        Message::Alive(it) => (
            "alive",
            json!({
                "Addr": addr(it.addr), "Incarnation": it.incarnation.0, "Meta": hexed(&it.meta),
                "Node": it.node.as_str(), "Port": it.port,
                "Vsn": hexed(&it.versions.expect("all say it")),
            }),
        ),
        Message::User(it) => ("user", serf_shown(it, &expected["serf"])),
    }
}

fn serf_shown(message: &SerfMessage, expected: &Value) -> Value {
    let body = &expected["body"];
    let (name, fields) = match message {
        SerfMessage::Leave { time, node, prune } => {
            ("leave", json!({"LTime": time.0, "Node": node.as_str(), "Prune": prune}))
        }
        SerfMessage::Join { time, node } => {
            ("join", json!({"LTime": time.0, "Node": node.as_str()}))
        }
        SerfMessage::UserEvent(it) => (
            "userEvent",
            json!({
                "CC": it.coalesce, "LTime": it.time.0, "Name": it.name,
                "Payload": payload(it.payload.as_deref(), &body["Payload"]),
            }),
        ),
        SerfMessage::Query(it) => ("query", query(it, body)),
        SerfMessage::QueryResponse(it) => ("queryResponse", response(it, body)),
        SerfMessage::Relay(it) => {
            let dest = json!({"IP": addr(it.to.ip()), "Port": it.to.port(), "Zone": ""});
            let name = it.to_node.as_ref().map(|it| it.as_str());
            return json!({
                "serf_name": "relay", "serf_type": 9,
                "relay_header": {"DestAddr": dest, "DestName": name},
                "inner": serf_shown(&it.message, &expected["inner"]),
            });
        }
    };
    let number = ["leave", "join", "", "userEvent", "query", "queryResponse"];
    let number = number.iter().position(|it| *it == name);
    json!({"serf_name": name, "serf_type": number, "body": fields})
}

fn query(it: &Query, body: &Value) -> Value {
    assert_eq!(it.filters, None, "no captured query has a filter");
    json!({
        "Addr": addr(it.addr), "Filters": null, "Flags": it.flags, "ID": it.id,
        "LTime": it.time.0, "Name": it.name, "Port": it.port, "RelayFactor": it.relay_factor,
        "Payload": payload(it.payload.as_deref(), &body["Payload"]),
        "SourceNode": it.source_node.as_ref().map(|it| it.as_str()), "Timeout": it.timeout_ns,
    })
}

fn response(it: &QueryResponse, body: &Value) -> Value {
    json!({
        "Flags": it.flags, "From": it.from.as_str(), "ID": it.id, "LTime": it.time.0,
        "Payload": payload(it.payload.as_deref(), &body["Payload"]),
    })
}

fn node_shown(it: &NodeState) -> Value {
    json!({
        "Addr": addr(it.addr), "Incarnation": it.incarnation.0, "Meta": hexed(&it.meta),
        "Name": it.node.as_str(), "Port": it.port, "State": it.state as u8,
        "Vsn": hexed(&it.versions.expect("all say it")),
    })
}

fn state_shown(state: &SerfState, expected: &Value) -> Value {
    let events = |at: usize, events: &[(String, Option<bytes::Bytes>)]| -> Vec<Value> {
        let shown = |(place, (name, it)): (usize, &(String, Option<bytes::Bytes>))| {
            let expected = &expected["Events"][at]["Events"][place]["Payload"];
            json!({"Name": name, "Payload": payload(it.as_deref(), expected)})
        };
        events.iter().enumerate().map(shown).collect()
    };
    let slots: Vec<Value> = state
        .events
        .iter()
        .enumerate()
        .map(|(at, slot)| {
            assert_eq!(slot.slot as u64, slot.time.0 % 512, "a ring");
            json!({
                "Events": events(at, &slot.events), "Events_array_len": slot.events.len(),
                "Events_nil_count": 0, "LTime": slot.time.0,
            })
        })
        .collect();
    let times = state.status_times.iter().map(|(node, time)| (node.to_string(), json!(time.0)));
    let left: Vec<&str> = state.left_members.iter().map(|it| it.as_str()).collect();
    json!({
        "EventLTime": state.event_time.0, "Events": slots, "Events_array_len": state.event_slots,
        "Events_nil_count": state.event_slots - state.events.len(), "LTime": state.time.0,
        "LeftMembers": left, "QueryLTime": state.query_time.0,
        "StatusLTimes": times.collect::<Map<String, Value>>(),
    })
}

/// Without what the vectors say twice: readings of bytes that stand beside them.
fn carried(value: &Value) -> Value {
    let derived = ["_ip", "_tags", "_list", "_name_", "_version", "_coordinate"];
    let derived = |name: &str| derived.iter().any(|it| name.ends_with(it)) || name == "State_name";
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !derived(name));
            kept.map(|(name, value)| (name.clone(), carried(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(values) => values.iter().map(carried).collect(),
        other => other.clone(),
    }
}

/// The messages inside the layers, and the names of the layers.
fn leaves<'a>(decoded: &'a Value, layers: &mut Vec<&'a str>) -> Vec<&'a Value> {
    let name = decoded["name"].as_str().expect("a name");
    let is_layer = ["hasCrc", "compress", "compound", "encrypt"].contains(&name);
    if !is_layer {
        return vec![decoded];
    }
    layers.push(name);
    match decoded["parts"].as_array() {
        Some(parts) => parts.iter().flat_map(|part| leaves(part, layers)).collect(),
        None => leaves(&decoded["inner"], layers),
    }
}

fn assert_shows(message: &Message, expected: &Value, id: &str) {
    let (name, fields) = shown(message, expected);
    assert_eq!(expected["name"], name, "{id}");
    let body = if name == "user" { &expected["serf"] } else { &expected["body"] };
    assert_eq!(fields, carried(body), "{id}");
    match message {
        Message::Alive(alive) => assert_tags(&alive.meta, &body["Meta_tags"], id),
        Message::Ack { payload: Some(payload), .. } => {
            assert_coordinate(payload, &body["Payload_coordinate"], id);
        }
        _ => {}
    }
}

fn assert_tags(meta: &[u8], expected: &Value, id: &str) {
    let tags = (CODEC.decode_tags)(meta);
    let shown: Map<String, Value> =
        tags.0.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    assert_eq!(Value::Object(shown), *expected, "{id}");
    assert_eq!((CODEC.encode_tags)(&tags), meta, "{id}");
}

fn assert_coordinate(payload: &[u8], expected: &Value, id: &str) {
    let it = (CODEC.decode_coordinate)(payload).unwrap_or_else(|| panic!("{id}: no coordinate"));
    let floats = [it.adjustment, it.error, it.height].into_iter().chain(it.vec.clone());
    let names = ["Adjustment", "Error", "Height"].map(|name| &expected[name]).into_iter();
    let expected = names.chain(expected["Vec"].as_array().expect("dimensions"));
    for (float, expected) in floats.zip(expected) {
        // The last bit is lost in reading the vector; that all are kept shows in the bytes.
        let expected = expected.as_f64().expect("a float");
        assert!((float - expected).abs() <= 1e-15 * expected.abs(), "{id}: {float} {expected}");
    }
    assert_eq!(it.vec.len(), 8, "{id}");
    assert_eq!((CODEC.encode_coordinate)(&it), payload, "{id}");
}

fn nonce(text: &Value) -> [u8; NONCE_BYTES] {
    hex(text.as_str().expect("a nonce")).try_into().expect("twelve bytes")
}

fn seal(keyring: &Keyring, nonce: [u8; NONCE_BYTES]) -> Option<Seal<'_>> {
    keyring.primary().map(|key| Seal { key, version: EncryptionVersion::Plain, nonce })
}

/// Agents with compression on compress a datagram only where it gets shorter.
fn compresses(vector: &Value) -> bool {
    ["comp", "consul187"].contains(&vector["variant"].as_str().expect("a variant"))
}

fn check_packet(vector: &Value) -> Agreement {
    let id = vector["id"].as_str().expect("an id");
    let (bytes, keyring) = (raw(vector), keyring(vector));
    let reception = Reception { keyring: &keyring, verify_incoming: true };
    let unpacked = decode_packet(&bytes, &reception);
    assert_eq!(unpacked.problems, [], "{id}");
    let mut layers = Vec::new();
    let expected = leaves(&vector["decoded"], &mut layers);
    assert_eq!(unpacked.messages.len(), expected.len(), "{id}");
    for (message, expected) in unpacked.messages.iter().zip(expected) {
        assert_shows(message, expected, id);
        let mut alone = Vec::new();
        encode_packet(std::slice::from_ref(message), &PacketOptions::default(), &mut alone);
        assert_eq!((CODEC.message_len)(message), alone.len(), "{id}");
    }
    let nonce = if keyring.is_empty() { [0; NONCE_BYTES] } else { nonce(&vector["nonce"]) };
    let options = PacketOptions {
        compress: compresses(vector),
        checksum: layers.contains(&"hasCrc"),
        seal: seal(&keyring, nonce),
    };
    let mut out = Vec::new();
    let taken = encode_packet(&unpacked.messages, &options, &mut out);
    assert_eq!(taken, unpacked.messages.len(), "{id}");
    agrees(&out, &bytes, id)
}

fn check_stream(vector: &Value) -> Agreement {
    let id = vector["id"].as_str().expect("an id");
    let (bytes, keyring) = (raw(vector), keyring(vector));
    let reception = Reception { keyring: &keyring, verify_incoming: true };
    let mut decoder = StreamDecoder::new();
    for shorter in 0..bytes.len() {
        assert_eq!(
            decoder.decode(&bytes[..shorter], &reception),
            Ok(None),
            "{id} cut at {shorter}"
        );
    }
    let received = decoder.decode(&bytes, &reception).expect(id).expect("it is whole");
    assert_eq!((received.used, received.problems.len()), (bytes.len(), 0), "{id}");
    let expected = leaves(&vector["decoded"], &mut Vec::new());
    let [expected] = expected.as_slice() else { panic!("{id}: one message") };
    match &received.message {
        StreamMessage::Ping(ping) => assert_shows(&Message::Ping(ping.clone()), expected, id),
        StreamMessage::Ack { sequence, payload } => {
            let ack = Message::Ack { sequence: *sequence, payload: payload.clone() };
            assert_shows(&ack, expected, id);
        }
        StreamMessage::PushPull(state) => assert_state(state, expected, id),
        other => panic!("{id}: {other:?}"),
    }
    let nonce =
        if keyring.is_empty() { [0; NONCE_BYTES] } else { nonce(&vector["decoded"]["nonce"]) };
    let options = StreamOptions { compress: compresses(vector), seal: seal(&keyring, nonce) };
    let mut out = Vec::new();
    encode_stream(&received.message, &options, &mut out);
    agrees(&out, &bytes, id)
}

/// How what is encoded compares with what was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Agreement {
    /// Byte for byte.
    Exact,
    /// But for the code that clears the table before anything is in it: Go's `compress/lzw` writes it
    /// since 1.17, and Consul 1.8.7 was built before. All other codes are the same.
    FirstClear,
}

fn agrees(ours: &[u8], captured: &[u8], id: &str) -> Agreement {
    if ours == captured {
        return Agreement::Exact;
    }
    assert!(id.starts_with("consul187"), "{id}: {ours:02x?} is not {captured:02x?}");
    let (ours, captured) = (lzw(ours, id), lzw(captured, id));
    // Least significant bit first: nine bits less at the front.
    let bits = ours.windows(2).skip(1).map(|it| it[0] >> 1 | it[1] << 7);
    let mut without: Vec<u8> = bits.chain(ours.last().map(|it| it >> 1)).collect();
    assert_eq!((ours[0], ours[1] & 1), (0, 1), "{id} begins with 256");
    if without.len() > captured.len() {
        assert_eq!(without.pop(), Some(0), "{id}: padding");
    }
    assert_eq!(without, captured, "{id}");
    Agreement::FirstClear
}

/// The compressed bytes, behind a checksum that fits.
fn lzw<'a>(bytes: &'a [u8], id: &str) -> &'a [u8] {
    let bytes = match bytes {
        [12, a, b, c, d, rest @ ..] => {
            assert_eq!(crc32fast::hash(rest), u32::from_be_bytes([*a, *b, *c, *d]), "{id}");
            rest
        }
        bare => bare,
    };
    assert_eq!(bytes[0], 9, "{id} is compressed");
    let mut buf = None;
    let mut reader = Reader::new(&bytes[1..]);
    reader
        .map(|reader, key| {
            if key == b"Buf" {
                buf = Some(reader.bytes()?)
            } else {
                assert_eq!(reader.u64()?, 0)
            }
            Ok(())
        })
        .expect("a map");
    reader.finish().expect("nothing behind it");
    buf.expect("compressed bytes")
}

fn assert_state(state: &PushPull, expected: &Value, id: &str) {
    assert_eq!(expected["name"], "pushPull", "{id}");
    assert_eq!(expected["header"]["Join"], state.join, "{id}");
    let nodes: Vec<Value> = state.nodes.iter().map(node_shown).collect();
    assert_eq!(Value::Array(nodes), carried(&expected["nodes"]), "{id}");
    for (node, expected) in state.nodes.iter().zip(expected["nodes"].as_array().expect("nodes")) {
        assert_tags(&node.meta, &expected["Meta_tags"], id);
    }
    let user = state.user.as_ref().expect("Serf's state");
    let expected = &expected["user_state"]["body"];
    assert_eq!(state_shown(user, expected), *expected, "{id}");
}

#[test]
fn all_captured_packets_and_streams_decode_and_encode_back() {
    let mut counts: BTreeMap<(String, Agreement), usize> = BTreeMap::new();
    for vector in vectors() {
        let transport = vector["transport"].as_str().expect("a transport");
        let agreement =
            if transport == "udp" { check_packet(&vector) } else { check_stream(&vector) };
        *counts.entry((transport.to_owned(), agreement)).or_default() += 1;
    }
    println!("329 of 329 decode and encode back: {counts:?}");
    let count = |transport: &str, agreement| {
        counts.get(&(transport.to_owned(), agreement)).copied().unwrap_or_default()
    };
    let exact = (count("udp", Agreement::Exact), count("tcp", Agreement::Exact));
    let first_clear = (count("udp", Agreement::FirstClear), count("tcp", Agreement::FirstClear));
    assert_eq!((exact, first_clear), ((259, 50), (8, 12)));
}
