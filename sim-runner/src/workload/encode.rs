//! Requests about sessions, locks, watches, transactions and the catalog as HTTP, and what their
//! answers say.
//!
//! Outcomes follow spec checkers 1.3: *fail* only where the request certainly had no effect. An error
//! that the application of the log raises (`invalid session`, `Check 'serfHealth' is in critical state`) is
//! an answer like any other; every other error of the server may come after the log has taken the entry.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hyper::Method;
use proconsul::http::client::{Answer, ClientError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::operations::Answered;
use crate::history::operation::{Mode, Outcome, Output};
use crate::history::request::{
    Behavior, Listed, LockSeen, Reply, Request, Through, TxnOp, Verb, Watched,
};

/// How long an instance's check stays as it was reported, s: no workload is slower than that.
const CHECK_TTL_S: u64 = 60;

/// The request.
#[must_use]
pub fn encode(key: &str, request: &Request) -> (Method, String, Bytes) {
    let put = |path: String, body: Value| (Method::PUT, path, Bytes::from(body.to_string()));
    let bare = |path: String| (Method::PUT, path, Bytes::new());
    let get = |path: String| (Method::GET, path, Bytes::new());
    match request {
        Request::Acquire { session, value } => {
            (Method::PUT, format!("/v1/kv/{key}?acquire={session}"), value.clone().into())
        }
        Request::Release { session, value } => {
            (Method::PUT, format!("/v1/kv/{key}?release={session}"), value.clone().into())
        }
        Request::Holder { mode } => get(format!("/v1/kv/{key}{}", asked(*mode, '?'))),
        Request::CreateSession { ttl_ns, lock_delay_ns, behavior } => {
            let behavior = match behavior {
                Behavior::Release => "release",
                Behavior::Delete => "delete",
            };
            let delay = format!("{}ms", lock_delay_ns / 1_000_000);
            let mut body = json!({ "LockDelay": delay, "Behavior": behavior });
            if *ttl_ns > 0 {
                body["TTL"] = format!("{}ms", ttl_ns / 1_000_000).into();
            }
            put("/v1/session/create".to_owned(), body)
        }
        Request::RenewSession => bare(format!("/v1/session/renew/{key}")),
        Request::DestroySession => bare(format!("/v1/session/destroy/{key}")),
        Request::SessionInfo { mode } => {
            get(format!("/v1/session/info/{key}{}", asked(*mode, '?')))
        }
        Request::Watch { on, index, wait_ns } => {
            let query = format!("index={index}&wait={}ms", wait_ns / 1_000_000);
            get(match on {
                Watched::Kv => format!("/v1/kv/{key}?recurse&{query}"),
                Watched::Service => format!("/v1/health/service/{key}?passing&{query}"),
                Watched::Nodes => format!("/v1/catalog/nodes?{query}"),
                Watched::Checks => format!("/v1/health/state/any?{query}"),
                Watched::Event => format!("/v1/event/list?{query}"),
            })
        }
        Request::Txn { mode, ops } => {
            let ops: Vec<Value> = ops.iter().map(operation).collect();
            put(format!("/v1/txn{}", asked(*mode, '?')), Value::from(ops))
        }
        Request::Register { through: Through::Agent, id, port, .. } => {
            let check = json!({ "TTL": format!("{CHECK_TTL_S}s"), "Status": "passing" });
            let body = json!({ "ID": id, "Name": key, "Port": port, "Check": check });
            put("/v1/agent/service/register".to_owned(), body)
        }
        Request::Register { through: Through::Catalog, node, id, port } => {
            let service = json!({ "ID": id, "Service": key, "Port": port });
            let body = json!({ "Node": node, "Address": "10.99.0.1", "Service": service });
            put("/v1/catalog/register".to_owned(), body)
        }
        Request::Deregister { through: Through::Agent, id, .. } => {
            bare(format!("/v1/agent/service/deregister/{id}"))
        }
        Request::Deregister { through: Through::Catalog, node, id } => {
            put("/v1/catalog/deregister".to_owned(), json!({ "Node": node, "ServiceID": id }))
        }
        Request::Report { id, passing } => {
            let how = if *passing { "pass" } else { "fail" };
            bare(format!("/v1/agent/check/{how}/service:{id}"))
        }
        Request::Instances { mode, passing: true } => {
            get(format!("/v1/health/service/{key}?passing{}", asked(*mode, '&')))
        }
        Request::Instances { mode, passing: false } => {
            get(format!("/v1/catalog/service/{key}{}", asked(*mode, '?')))
        }
        Request::Lookup(_) => unreachable!("lookups go by DNS"),
    }
}

fn asked(mode: Mode, joint: char) -> String {
    match mode {
        Mode::Default => String::new(),
        Mode::Consistent => format!("{joint}consistent"),
        Mode::Stale => format!("{joint}stale"),
    }
}

fn operation(op: &TxnOp) -> Value {
    let verb = match op.verb {
        Verb::Set => "set",
        Verb::Cas => "cas",
        Verb::Get => "get",
        Verb::GetTree => "get-tree",
    };
    let mut kv = json!({ "Verb": verb, "Key": op.key });
    if let Some(value) = &op.value {
        kv["Value"] = BASE64.encode(value).into();
    }
    if let Some(index) = op.index {
        kv["Index"] = index.into();
    }
    json!({ "KV": kv })
}

/// What an answer, or the lack of one, says.
#[must_use]
pub fn judge(request: &Request, result: &Result<Answer, ClientError>) -> Answered {
    let answer = match result {
        Ok(answer) => answer,
        Err(ClientError::NotSent(error)) => {
            return Answered::without(Outcome::Fail, error.clone());
        }
        Err(ClientError::NoAnswer(error)) => {
            return Answered::without(Outcome::Unknown, error.clone());
        }
    };
    let text = match std::str::from_utf8(&answer.body) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(&answer.body),
    };
    if let Some(reply) = reply(request, answer.status, &text) {
        let index = answer.header("x-consul-index").and_then(|text| text.parse().ok());
        let output = Some(Output::Of(reply));
        return Answered { outcome: Outcome::Ok, output, index, error: None };
    }
    let outcome = match answer.status {
        // Refused before anything was done.
        400 | 403 | 405 | 413 | 429 => Outcome::Fail,
        500 if text.ends_with("node is not the leader") => Outcome::Fail,
        // Refused by the application of the log, or known to the agent alone.
        _ if REFUSED.iter().any(|refusal| text.contains(refusal)) => Outcome::Fail,
        _ => Outcome::Unknown,
    };
    Answered::without(outcome, text.into_owned())
}

/// Refusals of sessions, and of an agent that has no such check or service.
const REFUSED: [&str; 6] = [
    "Missing node registration",
    "Missing check '",
    "is in critical state",
    "Unknown check ID",
    "Unknown service ID",
    "does not have associated TTL",
];

fn reply(request: &Request, status: u16, text: &str) -> Option<Reply> {
    match (request, status) {
        (Request::Acquire { .. } | Request::Release { .. }, 200) => {
            text.trim().parse().ok().map(Reply::Granted)
        }
        (Request::Acquire { .. }, 500) => {
            text.contains("invalid session").then_some(Reply::NoSession)
        }
        (Request::Holder { .. }, 404) => Some(Reply::Lock(None)),
        (Request::Holder { .. }, 200) => lock(&parsed(text)?),
        (Request::CreateSession { .. }, 200) => {
            parsed(text)?.get("ID")?.as_str().map(|id| Reply::Created(id.to_owned()))
        }
        (Request::RenewSession, 200) => Some(Reply::Exists(true)),
        (Request::RenewSession, 404) => text.contains("Session id").then_some(Reply::Exists(false)),
        (Request::SessionInfo { .. }, 200) => match parsed(text)? {
            Value::Null => Some(Reply::Exists(false)),
            found => Some(Reply::Exists(!found.as_array()?.is_empty())),
        },
        (Request::Watch { on: Watched::Kv, .. }, 404) => Some(Reply::Rows(Vec::new())),
        (Request::Watch { on: Watched::Service, .. }, 200) => instances(text).map(Reply::Rows),
        (Request::Watch { on, .. }, 200) => {
            let row = match on {
                Watched::Kv | Watched::Service => entry,
                Watched::Nodes => node,
                Watched::Checks => check,
                Watched::Event => event,
            };
            rows(&parsed(text)?, row).map(Reply::Rows)
        }
        (Request::Txn { .. }, 200) => {
            let parsed = parsed(text)?;
            let row = |row: &Value| entry(row.get("KV")?);
            rows(parsed.get("Results")?, row).map(Reply::Committed)
        }
        (Request::Txn { .. }, 409) => {
            let parsed = parsed(text)?;
            let error = |row: &Value| {
                Some((row.get("OpIndex")?.as_u64()?, row.get("What")?.as_str()?.to_owned()))
            };
            let errors = parsed.get("Errors")?.as_array()?.iter().map(error);
            errors.collect::<Option<Vec<_>>>().map(Reply::RolledBack)
        }
        (Request::Instances { passing: true, .. }, 200) => instances(text).map(Reply::Rows),
        (Request::Instances { passing: false, .. }, 200) => catalogued(text).map(Reply::Rows),
        (
            Request::DestroySession
            | Request::Register { .. }
            | Request::Deregister { .. }
            | Request::Report { .. },
            200,
        ) => Some(Reply::Done),
        _ => None,
    }
}

fn parsed(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

fn rows(list: &Value, row: impl Fn(&Value) -> Option<Listed>) -> Option<Vec<Listed>> {
    match list {
        Value::Null => Some(Vec::new()),
        list => list.as_array()?.iter().map(row).collect(),
    }
}

fn text_of(row: &Value, name: &str) -> Option<String> {
    row.get(name)?.as_str().map(str::to_owned)
}

fn index_of(row: &Value) -> Option<u64> {
    row.get("ModifyIndex")?.as_u64()
}

/// A key; its value is absent where a transaction's answer leaves it out.
fn entry(row: &Value) -> Option<Listed> {
    let value = match row.get("Value")? {
        Value::Null => None,
        encoded => Some(String::from_utf8(BASE64.decode(encoded.as_str()?).ok()?).ok()?),
    };
    Some(Listed { key: text_of(row, "Key")?, value, index: index_of(row)? })
}

fn lock(list: &Value) -> Option<Reply> {
    let row = list.get(0)?;
    let session = row.get("Session").and_then(Value::as_str).filter(|id| !id.is_empty());
    Some(Reply::Lock(Some(LockSeen {
        session: session.map(str::to_owned),
        lock_index: row.get("LockIndex")?.as_u64()?,
        index: index_of(row)?,
    })))
}

/// What of a row of `health/service` is looked at. Users ask for these rows more than for all others, so
/// they are read without a tree of what is not looked at.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance<'a> {
    #[serde(borrow)]
    node: OnNode<'a>,
    #[serde(borrow)]
    service: OfService<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OnNode<'a> {
    #[serde(borrow)]
    node: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfService<'a> {
    #[serde(rename = "ID", borrow)]
    id: Cow<'a, str>,
    port: i64,
    modify_index: u64,
}

/// The rows of `health/service`.
fn instances(text: &str) -> Option<Vec<Listed>> {
    let rows: Option<Vec<Instance<'_>>> = serde_json::from_str(text).ok()?;
    let listed = |Instance { node, service }: Instance<'_>| Listed {
        key: format!("{}/{}", node.node, service.id),
        value: Some(service.port.to_string()),
        index: service.modify_index,
    };
    Some(rows.unwrap_or_default().into_iter().map(listed).collect())
}

/// What of a row of `catalog/service` is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Catalogued<'a> {
    #[serde(borrow)]
    node: Cow<'a, str>,
    #[serde(rename = "ServiceID", borrow)]
    service_id: Cow<'a, str>,
    service_port: i64,
    modify_index: u64,
}

/// The rows of `catalog/service`.
fn catalogued(text: &str) -> Option<Vec<Listed>> {
    let rows: Option<Vec<Catalogued<'_>>> = serde_json::from_str(text).ok()?;
    let listed = |row: Catalogued<'_>| Listed {
        key: format!("{}/{}", row.node, row.service_id),
        value: Some(row.service_port.to_string()),
        index: row.modify_index,
    };
    Some(rows.unwrap_or_default().into_iter().map(listed).collect())
}

fn node(row: &Value) -> Option<Listed> {
    Some(Listed {
        key: text_of(row, "Node")?,
        value: text_of(row, "Address"),
        index: index_of(row)?,
    })
}

fn check(row: &Value) -> Option<Listed> {
    let key = format!("{}/{}", text_of(row, "Node")?, text_of(row, "CheckID")?);
    Some(Listed { key, value: text_of(row, "Status"), index: index_of(row)? })
}

/// Events have no index of their own.
fn event(row: &Value) -> Option<Listed> {
    let index = row.get("LTime").and_then(Value::as_u64).unwrap_or(0);
    Some(Listed { key: text_of(row, "Name")?, value: text_of(row, "ID"), index })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(key: &str, request: &Request) -> String {
        let (method, path, body) = encode(key, request);
        format!("{method} {path} {}", String::from_utf8_lossy(&body))
    }

    #[test]
    fn requests_are_those_of_consuls_clients() {
        let create = Request::CreateSession {
            ttl_ns: 10_000_000_000,
            lock_delay_ns: 5_000_000_000,
            behavior: Behavior::Delete,
        };
        let body = r#"{"Behavior":"delete","LockDelay":"5000ms","TTL":"10000ms"}"#;
        assert_eq!(path("", &create), format!("PUT /v1/session/create {body}"));
        let acquire = Request::Acquire { session: "s".to_owned(), value: "v".to_owned() };
        assert_eq!(path("lock/0", &acquire), "PUT /v1/kv/lock/0?acquire=s v");
        let ops = vec![TxnOp {
            verb: Verb::Cas,
            key: "txn/0".to_owned(),
            value: Some("a".to_owned()),
            index: Some(7),
        }];
        let body = r#"[{"KV":{"Index":7,"Key":"txn/0","Value":"YQ==","Verb":"cas"}}]"#;
        let txn = Request::Txn { mode: Mode::Consistent, ops };
        assert_eq!(path("txn/", &txn), format!("PUT /v1/txn?consistent {body}"));
        let watch = Request::Watch { on: Watched::Service, index: 3, wait_ns: 1_000_000 };
        assert_eq!(path("web", &watch), "GET /v1/health/service/web?passing&index=3&wait=1ms ");
    }

    #[test]
    fn answers_say_what_consul_means() {
        let acquire = Request::Acquire { session: String::new(), value: String::new() };
        assert_eq!(reply(&acquire, 200, "true\n"), Some(Reply::Granted(true)));
        assert_eq!(reply(&acquire, 500, "invalid session \"x\""), Some(Reply::NoSession));
        assert_eq!(reply(&acquire, 500, "No cluster leader"), None);
        let renew = Request::RenewSession;
        assert_eq!(reply(&renew, 404, "Session id 'x' not found"), Some(Reply::Exists(false)));
        // An endpoint that is not there says nothing of sessions.
        assert_eq!(reply(&renew, 404, "404 page not found"), None);
        let txn = Request::Txn { mode: Mode::Default, ops: Vec::new() };
        let text = r#"{"Results":[{"KV":{"Key":"a","Value":null,"ModifyIndex":4}}],"Errors":null}"#;
        let row = Listed { key: "a".to_owned(), value: None, index: 4 };
        assert_eq!(reply(&txn, 200, text), Some(Reply::Committed(vec![row])));
        let text = r#"{"Results":null,"Errors":[{"OpIndex":1,"What":"no"}]}"#;
        assert_eq!(reply(&txn, 409, text), Some(Reply::RolledBack(vec![(1, "no".to_owned())])));
        let asked = Request::Instances { mode: Mode::Default, passing: true };
        let text = r#"[{"Node":{"ID":"","Node":"n\u0031"},"Checks":[{}],
            "Service":{"ID":"web-1","Meta":null,"Port":80,"ModifyIndex":7}}]"#;
        let row = Listed { key: "n1/web-1".to_owned(), value: Some("80".to_owned()), index: 7 };
        assert_eq!(reply(&asked, 200, text), Some(Reply::Rows(vec![row.clone()])));
        assert_eq!(reply(&asked, 200, "null"), Some(Reply::Rows(Vec::new())));
        assert_eq!(reply(&asked, 200, r#"[{"Node":{"Node":"n1"}}]"#), None);
        let asked = Request::Instances { mode: Mode::Default, passing: false };
        let text = r#"[{"Node":"n1","ServiceID":"web-1","ServicePort":80,"ModifyIndex":7}]"#;
        assert_eq!(reply(&asked, 200, text), Some(Reply::Rows(vec![row])));
        let info = Request::SessionInfo { mode: Mode::Consistent };
        assert_eq!(reply(&info, 200, "[]"), Some(Reply::Exists(false)));
        let holder = Request::Holder { mode: Mode::Consistent };
        let text = r#"[{"LockIndex":1,"Key":"l","Value":null,"ModifyIndex":5}]"#;
        let seen = LockSeen { session: None, lock_index: 1, index: 5 };
        assert_eq!(reply(&holder, 200, text), Some(Reply::Lock(Some(seen))));
    }
}
