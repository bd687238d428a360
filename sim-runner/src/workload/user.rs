//! A user: a host of its own that speaks HTTP to agents, and writes down honestly what it saw.
//!
//! One connection per agent is kept open, as Consul's client libraries do. An operation that gets no
//! whole answer costs the connection. Outcomes follow spec checkers 1.3: *fail* only where the
//! request certainly had no effect, otherwise *unknown*.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hyper::Method;
use proconsul::base::Duration;
use proconsul::base::runtime::Runtime;
use proconsul::http::client::{Answer, Client, ClientError};
use serde_json::Value;

use crate::cluster::operations::Answered;
use crate::fabric::{SimRuntime, SimStream};
use crate::history::operation::{Call, Mode, Outcome, Output, Seen};

/// One user's connections.
pub struct User {
    runtime: SimRuntime,
    connections: BTreeMap<SocketAddr, Client<SimStream>>,
}

impl User {
    /// On this host.
    #[must_use]
    pub fn new(runtime: SimRuntime) -> Self {
        Self { runtime, connections: BTreeMap::new() }
    }

    /// Makes one request and waits for the answer, for at most `patience`.
    ///
    /// # Errors
    /// Whether anything was sent, and what went wrong.
    pub async fn request(
        &mut self,
        to: SocketAddr,
        method: Method,
        path: &str,
        body: Bytes,
        patience: Duration,
    ) -> Result<Answer, ClientError> {
        let deadline = self.runtime.now() + patience;
        let mut client = match self.connections.remove(&to).filter(Client::is_open) {
            Some(client) => client,
            None => self.connect(to, patience).await?,
        };
        let left = deadline.since(self.runtime.now());
        let request = client.request(method, path, &[], body);
        // After a time-out the connection is dropped: a late answer must not be taken for that of the
        // next request.
        let timed_out = |_| ClientError::NoAnswer("timed out".to_owned());
        let result = self.runtime.timeout(left, request).await.map_err(timed_out)?;
        if result.is_ok() && client.is_open() {
            self.connections.insert(to, client);
        }
        result
    }

    async fn connect(
        &self,
        to: SocketAddr,
        patience: Duration,
    ) -> Result<Client<SimStream>, ClientError> {
        let not_sent = |error: std::io::Error| ClientError::NotSent(error.to_string());
        let connected = self.runtime.timeout(patience, self.runtime.connect(to)).await;
        Client::new(connected.and_then(|connected| connected).map_err(not_sent)?).await
    }

    /// Performs one key/value operation.
    pub async fn operate(
        &mut self,
        to: SocketAddr,
        key: &str,
        call: &Call,
        patience: Duration,
    ) -> Answered {
        let (method, path, body) = encode(key, call);
        judge(call, &self.request(to, method, &path, body, patience).await)
    }
}

fn encode(key: &str, call: &Call) -> (Method, String, Bytes) {
    let mode = |mode: &Mode, rest: &str| match mode {
        Mode::Default => format!("/v1/kv/{key}{rest}"),
        Mode::Consistent => format!("/v1/kv/{key}{}consistent", joint(rest)),
        Mode::Stale => format!("/v1/kv/{key}{}stale", joint(rest)),
    };
    match call {
        Call::Get { mode: how } => (Method::GET, mode(how, ""), Bytes::new()),
        Call::List { mode: how } => (Method::GET, mode(how, "?recurse"), Bytes::new()),
        Call::Put { value } => (Method::PUT, format!("/v1/kv/{key}"), value.clone().into()),
        Call::CasIndex { index, value } => {
            (Method::PUT, format!("/v1/kv/{key}?cas={index}"), value.clone().into())
        }
        Call::Delete => (Method::DELETE, format!("/v1/kv/{key}"), Bytes::new()),
        Call::CasValue { .. } | Call::Append { .. } => {
            unreachable!("only histories of other systems have these")
        }
        Call::Fire { .. } | Call::Events { .. } | Call::Of(_) => {
            unreachable!("these are no operations on keys")
        }
    }
}

fn joint(rest: &str) -> String {
    if rest.is_empty() { "?".to_owned() } else { format!("{rest}&") }
}

/// What an answer, or the lack of one, says of the operation.
#[must_use]
pub fn judge(call: &Call, result: &Result<Answer, ClientError>) -> Answered {
    match result {
        Ok(answer) => judge_answer(call, answer),
        Err(ClientError::NotSent(error)) => Answered::without(Outcome::Fail, error.clone()),
        Err(ClientError::NoAnswer(error)) => Answered::without(Outcome::Unknown, error.clone()),
    }
}

fn judge_answer(call: &Call, response: &Answer) -> Answered {
    let index = response.header("x-consul-index").and_then(|text| text.parse().ok());
    let text = || String::from_utf8_lossy(&response.body).into_owned();
    let output = match (response.status, call) {
        (200, Call::Get { .. }) => {
            entries(&response.body).map(|seen| Output::Value(seen.into_iter().next()))
        }
        (404, Call::Get { .. }) => Some(Output::Value(None)),
        (200, Call::List { .. }) => entries(&response.body).map(Output::Values),
        (404, Call::List { .. }) => Some(Output::Values(Vec::new())),
        (200, Call::CasIndex { .. }) => match response.body.as_ref() {
            b"true" => Some(Output::Swapped(true)),
            b"false" => Some(Output::Swapped(false)),
            _ => None,
        },
        (200, _) => (response.body.as_ref() == b"true").then_some(Output::Done),
        // Refused before anything was done.
        (400 | 405 | 413 | 429, _) => return Answered::without(Outcome::Fail, text()),
        // Refused before it went into any log; every other error of the server may come after.
        (500, _) if text().ends_with("node is not the leader") => {
            return Answered::without(Outcome::Fail, text());
        }
        _ => return Answered::without(Outcome::Unknown, text()),
    };
    match output {
        Some(output) => Answered { outcome: Outcome::Ok, output: Some(output), index, error: None },
        None => Answered::without(Outcome::Unknown, format!("not understood: {}", text())),
    }
}

/// The entries of a JSON answer; none when it is not one.
fn entries(body: &[u8]) -> Option<Vec<Seen>> {
    let parsed: Value = serde_json::from_slice(body).ok()?;
    parsed.as_array()?.iter().map(entry).collect()
}

fn entry(row: &Value) -> Option<Seen> {
    let value = match row.get("Value")? {
        Value::Null => String::new(),
        encoded => String::from_utf8(BASE64.decode(encoded.as_str()?).ok()?).ok()?,
    };
    Some(Seen {
        key: row.get("Key")?.as_str()?.to_owned(),
        value,
        modify_index: row.get("ModifyIndex")?.as_u64(),
    })
}
