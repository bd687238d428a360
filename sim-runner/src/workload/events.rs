//! `kind = "event"`: users fire user events, whose names and payloads are unique, and list those of an
//! agent as Consul's clients do, waiting for a list with another index than the one last seen there.
//!
//! What they did and saw is in the history; which agent was given what, in the trace.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hyper::Method;
use proconsul::base::runtime::Runtime;
use proconsul::base::{Duration, Prng, Ratio};
use proconsul::http::client::{Answer, ClientError};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::cluster::operations::Answered;
use crate::fabric::SimRuntime;
use crate::history::operation::{Call, Outcome, Output, Seen};
use crate::scenario::model::{EventWorkload, Workload};
use crate::trace::event::Host;

use super::choice::choose;
use super::user::User;

/// One user's life.
pub struct EventUser {
    /// The whole.
    pub cluster: Cluster,
    /// Its own host.
    pub runtime: SimRuntime,
    /// That host's number.
    pub host: Host,
    /// Its name.
    pub name: String,
    /// What it was told.
    pub plan: Workload,
    /// Its draws.
    pub prng: Prng,
}

impl EventUser {
    /// Works until its time is over.
    pub async fn run(mut self, event: EventWorkload) {
        let zero = self.cluster.recorder().zero();
        let (from, to) = (zero + self.plan.between.0, zero + self.plan.between.1);
        let pause = self.plan.pause();
        let mut user = User::new(self.runtime.clone());
        let mut sticky: Option<Host> = None;
        // Of each agent's list, as last seen.
        let mut indexes: BTreeMap<Host, u64> = BTreeMap::new();
        let mut next = from + self.prng.duration(Duration::ZERO, pause);
        let mut fired = 0;
        while next < to {
            self.runtime.sleep(next.since(self.cluster.now())).await;
            if self.cluster.now() >= to {
                return;
            }
            let via = &self.plan.via;
            let Some(agent) = choose(&self.cluster, via, &mut self.prng, &mut sticky) else {
                return;
            };
            if self.prng.chance(Ratio::new(1, 2)) {
                fired += 1;
                let name = format!("{}-{fired}", self.name);
                let call = Call::Fire { payload: payload_of(&name, event.size_bytes) };
                self.operate(&mut user, agent, &name, call).await;
            } else {
                let index = indexes.get(&agent).copied().unwrap_or(0);
                let seen = self.operate(&mut user, agent, "", Call::Events { index }).await;
                indexes.extend(seen.map(|index| (agent, index)));
            }
            next += self.prng.duration(pause / 2, pause * 3 / 2);
        }
    }

    /// Performs one operation; the index of what was listed.
    async fn operate(&self, user: &mut User, agent: Host, key: &str, call: Call) -> Option<u64> {
        let op = self.cluster.invoke(self.host, &self.name, agent, key, &call);
        let to = self.cluster.http_address(agent);
        let patience = self.plan.timeout;
        let (method, path, body) = match &call {
            Call::Fire { payload } => {
                let body = Bytes::from(payload.clone());
                (Method::PUT, format!("/v1/event/fire/{key}"), body)
            }
            // A list that does not change is answered well before the user's patience ends.
            Call::Events { index } => {
                let wait = (patience / 4).as_millis().max(1);
                let path = format!("/v1/event/list?index={index}&wait={wait}ms");
                (Method::GET, path, Bytes::new())
            }
            _ => unreachable!("this user does nothing else"),
        };
        let answered = judge(&call, &user.request(to, method, &path, body, patience).await);
        let index = answered.index;
        self.cluster.complete(self.host, op, answered);
        index
    }
}

fn judge(call: &Call, result: &Result<Answer, ClientError>) -> Answered {
    let answer = match result {
        Ok(answer) => answer,
        Err(ClientError::NotSent(error)) => {
            return Answered::without(Outcome::Fail, error.clone());
        }
        Err(ClientError::NoAnswer(error)) => {
            return Answered::without(Outcome::Unknown, error.clone());
        }
    };
    let output = match (answer.status, call) {
        (200, Call::Fire { .. }) => Some(Output::Done),
        (200, _) => events(&answer.body).map(Output::Values),
        _ => None,
    };
    let text = || String::from_utf8_lossy(&answer.body).into_owned();
    match output {
        Some(output) => {
            let index = answer.header("x-consul-index").and_then(|text| text.parse().ok());
            Answered { outcome: Outcome::Ok, output: Some(output), index, error: None }
        }
        // Refused before anything was done.
        None if matches!(answer.status, 400 | 405 | 413 | 429) => {
            Answered::without(Outcome::Fail, text())
        }
        None => Answered::without(Outcome::Unknown, text()),
    }
}

/// The events of a list, by name; none when it is none.
fn events(body: &[u8]) -> Option<Vec<Seen>> {
    let parsed: Value = serde_json::from_slice(body).ok()?;
    let event = |row: &Value| {
        let value = match row.get("Payload")? {
            Value::Null => String::new(),
            encoded => String::from_utf8(BASE64.decode(encoded.as_str()?).ok()?).ok()?,
        };
        Some(Seen { key: row.get("Name")?.as_str()?.to_owned(), value, modify_index: None })
    };
    parsed.as_array()?.iter().map(event).collect()
}

/// The event's name, cut or padded with dots to the size.
fn payload_of(name: &str, bytes: usize) -> String {
    let mut payload: String = name.chars().take(bytes).collect();
    payload.extend(std::iter::repeat_n('.', bytes - payload.len()));
    payload
}
