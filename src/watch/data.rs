//! Results in the form of the Go client library's structs.
//!
//! Answers are decoded and encoded again: names, order, `null` against `[]`, and what is left out when it
//! is empty are those of Go's `api` package of Consul 1.9.8, not those of the HTTP API. What the structs
//! have no field for is dropped. Equal results give equal bytes, whatever the order of their maps.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::http::json::encode;

/// `null` is what the field is without a value.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_empty(text: &str) -> bool {
    text.is_empty()
}

fn zero_span() -> String {
    "0s".to_owned()
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("malformed answer: {error}"))
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Pair {
    key: String,
    create_index: u64,
    modify_index: u64,
    lock_index: u64,
    flags: u64,
    /// In base64, as it came.
    value: Option<String>,
    #[serde(deserialize_with = "or_default")]
    session: String,
}

/// The one key of an answer, or `null`.
pub(super) fn first_pair(body: &[u8]) -> Result<Bytes, String> {
    let pairs: Option<Vec<Pair>> = decode(body)?;
    Ok(encode(&pairs.unwrap_or_default().first(), false))
}

/// The keys of an answer, or `null`.
pub(super) fn pairs(body: &[u8]) -> Result<Bytes, String> {
    Ok(encode(&decode::<Option<Vec<Pair>>>(body)?, false))
}

/// Services and their tags.
pub(super) fn services(body: &[u8]) -> Result<Bytes, String> {
    Ok(encode(&decode::<Option<BTreeMap<String, Option<Vec<String>>>>>(body)?, false))
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Node {
    #[serde(rename = "ID")]
    id: String,
    node: String,
    address: String,
    #[serde(deserialize_with = "or_default")]
    datacenter: String,
    tagged_addresses: Option<BTreeMap<String, String>>,
    meta: Option<BTreeMap<String, String>>,
    create_index: u64,
    modify_index: u64,
}

/// Nodes of the catalog.
pub(super) fn nodes(body: &[u8]) -> Result<Bytes, String> {
    Ok(encode(&decode::<Option<Vec<Node>>>(body)?, false))
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Weights {
    passing: i64,
    warning: i64,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Address {
    address: String,
    port: i64,
}

/// What a service in the mesh says of its proxy; two of its parts are there for every service.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Proxy {
    #[serde(skip_serializing_if = "is_empty")]
    destination_service_name: String,
    #[serde(rename = "DestinationServiceID", skip_serializing_if = "is_empty")]
    destination_service_id: String,
    #[serde(skip_serializing_if = "is_empty")]
    local_service_address: String,
    #[serde(skip_serializing_if = "is_zero")]
    local_service_port: u64,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Map::is_empty")]
    config: Map<String, Value>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    upstreams: Vec<Value>,
    #[serde(deserialize_with = "or_default")]
    mesh_gateway: Map<String, Value>,
    #[serde(deserialize_with = "or_default")]
    expose: Map<String, Value>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Service {
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_empty")]
    kind: String,
    #[serde(rename = "ID")]
    id: String,
    service: String,
    tags: Option<Vec<String>>,
    meta: Option<BTreeMap<String, String>>,
    port: i64,
    address: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    tagged_addresses: BTreeMap<String, Address>,
    weights: Weights,
    enable_tag_override: bool,
    #[serde(skip_serializing_if = "is_zero")]
    create_index: u64,
    #[serde(skip_serializing_if = "is_zero")]
    modify_index: u64,
    #[serde(skip_serializing_if = "is_empty")]
    content_hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<Proxy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect: Option<Map<String, Value>>,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "is_empty")]
    datacenter: String,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Entry {
    node: Option<Node>,
    service: Option<Service>,
    checks: Option<Vec<Check>>,
}

/// Instances of a service, with their checks.
pub(super) fn entries(body: &[u8]) -> Result<Bytes, String> {
    Ok(encode(&decode::<Option<Vec<Entry>>>(body)?, false))
}

/// A service of the agent, and its hash.
pub(super) fn agent_service(body: &[u8]) -> Result<(String, Bytes), String> {
    let service: Service = decode(body)?;
    let data = encode(&service, false);
    Ok((service.content_hash, data))
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Check {
    node: String,
    #[serde(rename = "CheckID")]
    check_id: String,
    name: String,
    status: String,
    notes: String,
    output: String,
    #[serde(rename = "ServiceID")]
    service_id: String,
    service_name: String,
    service_tags: Option<Vec<String>>,
    r#type: String,
    #[serde(deserialize_with = "or_default")]
    definition: Definition,
    create_index: u64,
    modify_index: u64,
}

/// Its spans come first: Go's client writes them apart from the other fields.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
struct Definition {
    #[serde(rename = "Interval")]
    interval: String,
    #[serde(rename = "Timeout")]
    timeout: String,
    #[serde(rename = "DeregisterCriticalServiceAfter")]
    deregister_after: String,
    #[serde(rename = "HTTP")]
    http: String,
    #[serde(rename = "Header")]
    header: Option<BTreeMap<String, Vec<String>>>,
    #[serde(rename = "Method")]
    method: String,
    #[serde(rename = "Body")]
    body: String,
    #[serde(rename = "TLSSkipVerify")]
    tls_skip_verify: bool,
    #[serde(rename = "TCP")]
    tcp: String,
}

impl Default for Definition {
    fn default() -> Self {
        Self {
            interval: zero_span(),
            timeout: zero_span(),
            deregister_after: zero_span(),
            http: String::new(),
            header: None,
            method: String::new(),
            body: String::new(),
            tls_skip_verify: false,
            tcp: String::new(),
        }
    }
}

/// Checks.
pub(super) fn checks(body: &[u8]) -> Result<Bytes, String> {
    Ok(encode(&decode::<Option<Vec<Check>>>(body)?, false))
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", default)]
struct Event {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    /// In base64, as it came.
    payload: Option<String>,
    node_filter: String,
    service_filter: String,
    tag_filter: String,
    version: i64,
    #[serde(rename = "LTime")]
    l_time: u64,
}

/// The events after the one that this index stands for; all of them, when it is not among them.
pub(super) fn events_after(body: &[u8], seen: Option<u64>) -> Result<Bytes, String> {
    let events: Option<Vec<Event>> = decode(body)?;
    let seen_at = |events: &Vec<Event>| {
        let is_seen = |event: &Event| seen.is_some() && index_of_id(&event.id) == seen;
        events.iter().position(is_seen)
    };
    let fresh = events.map(|events| match seen_at(&events) {
        Some(at) => events[at + 1..].to_vec(),
        None => events,
    });
    Ok(encode(&fresh, false))
}

/// The index that stands for an event: the halves of its id, one over the other.
fn index_of_id(id: &str) -> Option<u64> {
    let digits: String = id.chars().filter(|char| *char != '-').collect();
    let whole = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32)?;
    let (high, low) = (whole >> 64, whole & u128::from(u64::MAX));
    u64::try_from(high ^ low).ok()
}

/// Compact JSON with four blanks for each level, as Go's `json.MarshalIndent` writes it.
#[must_use]
pub fn indented(compact: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(compact.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    for (at, &byte) in compact.iter().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            text.push(byte);
            continue;
        }
        let closes = |byte: Option<&u8>| matches!(byte, Some(b'}' | b']'));
        let begins_line = match byte {
            b'{' | b'[' => {
                depth += 1;
                text.push(byte);
                !closes(compact.get(at + 1))
            }
            b'}' | b']' => {
                depth -= 1;
                if !matches!(compact[at - 1], b'{' | b'[') {
                    new_line(&mut text, depth);
                }
                text.push(byte);
                false
            }
            b',' => {
                text.push(byte);
                true
            }
            b':' => {
                text.extend_from_slice(b": ");
                false
            }
            other => {
                in_string = other == b'"';
                text.push(other);
                false
            }
        };
        if begins_line {
            new_line(&mut text, depth);
        }
    }
    text
}

fn new_line(text: &mut Vec<u8>, depth: usize) {
    text.push(b'\n');
    text.extend(std::iter::repeat_n(b' ', 4 * depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Result<Bytes, String>) -> String {
        String::from_utf8(bytes.expect("decoded").to_vec()).expect("text")
    }

    #[test]
    fn keys_and_events_have_gos_fields() {
        let body = br#"[{"LockIndex":0,"Key":"w/a","Flags":0,"Value":"b25l","CreateIndex":7,"ModifyIndex":8}]"#;
        assert_eq!(
            text(first_pair(body)),
            r#"{"Key":"w/a","CreateIndex":7,"ModifyIndex":8,"LockIndex":0,"Flags":0,"Value":"b25l","Session":""}"#
        );
        assert_eq!(text(first_pair(b"null")), "null");
        assert_eq!(text(pairs(b"null")), "null");
        assert_eq!(
            text(services(br#"{"web":["b","a"],"consul":[]}"#)),
            r#"{"consul":[],"web":["b","a"]}"#
        );
        assert_eq!(text(events_after(b"[]", None)), "[]");
    }

    #[test]
    fn events_begin_after_the_one_seen() {
        let id = |last: u8| format!("00000000-0000-0001-0000-0000000000{last:02x}");
        let body = format!(r#"[{{"ID":"{}"}},{{"ID":"{}"}},{{"ID":"{}"}}]"#, id(8), id(9), id(10));
        let count = |seen| text(events_after(body.as_bytes(), seen)).matches("\"ID\"").count();
        assert_eq!(index_of_id(&id(9)), Some(8));
        assert_eq!((count(None), count(Some(8)), count(Some(11)), count(Some(77))), (3, 1, 0, 3));
    }

    #[test]
    fn an_instance_keeps_gos_order_and_what_go_leaves_out() {
        let body = br#"[{"Node":{"ID":"","Node":"n1","Address":"10.0.0.1","Datacenter":"dc1","TaggedAddresses":null,"Meta":null,"CreateIndex":5,"ModifyIndex":5},
            "Service":{"ID":"web","Service":"web","Tags":[],"Address":"","Meta":null,"Port":80,"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,
            "Proxy":{"Mode":"","MeshGateway":{},"Expose":{}},"Connect":{},"CreateIndex":6,"ModifyIndex":6},
            "Checks":[{"Node":"n1","CheckID":"c","Status":"passing","ServiceTags":[],"Definition":{"Interval":"10s","TCP":"a:1"},"CreateIndex":6,"ModifyIndex":6}]}]"#;
        assert_eq!(
            text(entries(body)),
            concat!(
                r#"[{"Node":{"ID":"","Node":"n1","Address":"10.0.0.1","Datacenter":"dc1","TaggedAddresses":null,"#,
                r#""Meta":null,"CreateIndex":5,"ModifyIndex":5},"Service":{"ID":"web","Service":"web","Tags":[],"#,
                r#""Meta":null,"Port":80,"Address":"","Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"#,
                r#""CreateIndex":6,"ModifyIndex":6,"Proxy":{"MeshGateway":{},"Expose":{}},"Connect":{}},"#,
                r#""Checks":[{"Node":"n1","CheckID":"c","Name":"","Status":"passing","Notes":"","Output":"","#,
                r#""ServiceID":"","ServiceName":"","ServiceTags":[],"Type":"","Definition":{"Interval":"10s","#,
                r#""Timeout":"0s","DeregisterCriticalServiceAfter":"0s","HTTP":"","Header":null,"Method":"","#,
                r#""Body":"","TLSSkipVerify":false,"TCP":"a:1"},"CreateIndex":6,"ModifyIndex":6}]}]"#
            )
        );
    }

    #[test]
    fn indents_like_go() {
        let compact = br#"{"a":[],"b":{"c":["x,{\"}",1]},"d":{}}"#;
        let expected = "{\n    \"a\": [],\n    \"b\": {\n        \"c\": [\n            \"x,{\\\"}\",\n            \
                        1\n        ]\n    },\n    \"d\": {}\n}";
        assert_eq!(String::from_utf8(indented(compact)).expect("text"), expected);
        assert_eq!(indented(b"null"), b"null");
    }
}
