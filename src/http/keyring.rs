//! `/v1/operator/keyring` (spec api 2.11): the keys of gossip, in every pool of a server.

use std::collections::BTreeMap;

use axum::response::Response;
use hyper::{Method, StatusCode};
use serde::Serialize;

use crate::agent::{KeyringOperation, PoolKeys, Reply, Request};
use crate::http::Backend;
use crate::http::decode::Object;
use crate::http::endpoint::Call;
use crate::http::kv::go_quote;
use crate::http::options::mismatch;
use crate::http::reply::{self, Refusal, listed};
use crate::wire::gossip::KeyAction;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PoolJson<'a> {
    #[serde(rename = "WAN")]
    wan: bool,
    datacenter: &'a str,
    segment: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    messages: &'a BTreeMap<String, String>,
    keys: &'a BTreeMap<String, u64>,
    primary_keys: &'a BTreeMap<String, u64>,
    num_nodes: u64,
}

impl<'a> From<&'a PoolKeys> for PoolJson<'a> {
    fn from(pool: &'a PoolKeys) -> Self {
        Self {
            wan: pool.wan,
            datacenter: &pool.datacenter,
            segment: "",
            messages: &pool.messages,
            keys: &pool.keys,
            primary_keys: &pool.primary_keys,
            num_nodes: pool.nodes,
        }
    }
}

/// GET lists, POST installs, PUT makes the primary, DELETE removes.
pub(super) async fn handle<B: Backend>(mut call: Call<B>) -> Result<Response, Refusal> {
    let action = match call.method {
        Method::POST => KeyAction::Install,
        Method::PUT => KeyAction::Use,
        Method::DELETE => KeyAction::Remove,
        _ => KeyAction::List,
    };
    let key = match action {
        KeyAction::List => String::new(),
        _ => key_of(&mut call).await?,
    };
    let relay_factor = relay_factor(call.params.get("relay-factor"))?;
    let local_only = local_only(call.params.get("local-only"), action)?;
    let forwarded = false;
    let operation = KeyringOperation { action, key, relay_factor, local_only, forwarded };
    match call.backend.ask(Request::Keyring(operation)).await? {
        Reply::Keyring(pools) => {
            refuse_failures(&pools)?;
            match action {
                KeyAction::List => {
                    let pools: Vec<PoolJson<'_>> = pools.iter().map(PoolJson::from).collect();
                    Ok(call.json(&pools))
                }
                _ => Ok(reply::empty(StatusCode::OK)),
            }
        }
        other => Err(mismatch(&other)),
    }
}

fn refuse(text: impl std::fmt::Display) -> Refusal {
    Refusal::bad_request(format!("Bad request: {text}"))
}

/// `Key` of the body; as Go has it, in any case, and empty when it is not there.
async fn key_of<B: Backend>(call: &mut Call<B>) -> Result<String, Refusal> {
    let read = Object::of_body(call, "keyringArgs").await;
    let key = read.and_then(|object| object.text("Key"));
    key.map_err(|why| refuse(format!("Request decode failed: {why}")))
}

fn relay_factor(text: &str) -> Result<u8, Refusal> {
    if text.is_empty() {
        return Ok(0);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let text = go_quote(text);
        let why = format!("strconv.Atoi: parsing {text}: invalid syntax");
        return Err(refuse(format!("Error parsing relay factor: {why}")));
    }
    let factor = text.parse::<i64>().map_err(|_| {
        let why = format!("strconv.Atoi: parsing {}: value out of range", go_quote(text));
        refuse(format!("Error parsing relay factor: {why}"))
    })?;
    u8::try_from(factor)
        .ok()
        .filter(|factor| *factor <= 5)
        .ok_or_else(|| refuse("Invalid relay-factor: Relay factor must be in range: [0, 5]"))
}

fn local_only(text: &str, action: KeyAction) -> Result<bool, Refusal> {
    let local_only = match text {
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        _ => {
            let why = format!("strconv.ParseBool: parsing {}: invalid syntax", go_quote(text));
            return Err(refuse(format!("Error parsing local-only: {why}")));
        }
    };
    if local_only && action != KeyAction::List {
        let why = "local-only can only be set for list requests";
        return Err(refuse(format!("Invalid use of local-only: {why}")));
    }
    Ok(local_only)
}

/// 500 with what every pool, and every member in it, has to say against it.
fn refuse_failures(pools: &[PoolKeys]) -> Result<(), Refusal> {
    let mut errors = Vec::new();
    for pool in pools.iter().filter(|pool| !pool.error.is_empty()) {
        let name = match pool.wan {
            true => "WAN".to_owned(),
            false => format!("{} (LAN)", pool.datacenter),
        };
        errors.push(format!("{name} error: {}", pool.error));
        errors.extend(pool.messages.iter().map(|(node, text)| format!("{node}: {text}")));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Refusal::internal(listed(&errors))),
    }
}
