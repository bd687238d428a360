//! `/v1/kv/` (spec api 2.5).
//!
//! Parameters count by presence. A key's bytes that are not UTF-8 become U+FFFD; Consul keeps such
//! keys apart, but shows them in the same way.

use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde::{Serialize, Serializer};

use crate::agent::{Reply, Request};
use crate::http::Backend;
use crate::http::body::BodyError;
use crate::http::decode::parse_uint;
use crate::http::endpoint::Call;
use crate::http::options::{Options, mismatch, unexpected};
use crate::http::reply::{self, Refusal, set_read_meta};
use crate::state::{Command, CommandResult, KvCommand, KvEntry, Query, Rows};

const LIMIT_URL: &str = "https://www.consul.io/docs/agent/options.html#kv_max_value_size";

/// GET, PUT and DELETE.
pub(super) async fn handle<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let options = call.options()?;
    let key = call.path.strip_prefix("/v1/kv/").unwrap_or_default().to_owned();
    match call.method {
        Method::PUT => put(call, options, key).await,
        Method::DELETE => delete(call, options, key).await,
        _ => get(call, options, key).await,
    }
}

async fn get<B: Backend>(
    call: Call<B>,
    options: Options,
    key: String,
) -> Result<Response, Refusal> {
    let (names, recurse) = (call.params.has("keys"), call.params.has("recurse"));
    let may_be_empty = names && key.is_empty();
    let query = match (names, recurse) {
        (true, _) => Query::KvKeys { prefix: key, separator: separator(&call).to_owned() },
        (_, true) => Query::KvList { prefix: key },
        _ if key.is_empty() => return Err(missing_key()),
        _ => Query::KvGet { key },
    };
    let raw = call.params.has("raw") && !names && !recurse;
    let (answer, meta) = options.read(&call.backend, query).await?;
    let mut response = match answer.rows {
        Rows::Entries(rows) if rows.is_empty() => reply::empty(StatusCode::NOT_FOUND),
        Rows::Keys(rows) if rows.is_empty() && !may_be_empty => reply::empty(StatusCode::NOT_FOUND),
        Rows::Entries(mut rows) if raw => reply::raw(rows.swap_remove(0).value),
        Rows::Entries(rows) => {
            let rows: Vec<EntryJson<'_>> = rows.iter().map(EntryJson::from).collect();
            call.json(&rows)
        }
        Rows::Keys(rows) => call.json(&rows),
        rows => return Err(unexpected(&rows)),
    };
    set_read_meta(response.headers_mut(), &meta);
    Ok(response)
}

/// Both spellings are accepted; the right one wins.
fn separator<B>(call: &Call<B>) -> &str {
    let name = if call.params.has("separator") { "separator" } else { "seperator" };
    call.params.get(name)
}

async fn put<B: Backend>(
    mut call: Call<B>,
    options: Options,
    key: String,
) -> Result<Response, Refusal> {
    if key.is_empty() {
        return Err(missing_key());
    }
    refuse_conflict(&call, &["cas", "acquire", "release"])?;
    let flags = number(&call, "flags")?.unwrap_or(0);
    let cas = number(&call, "cas")?;
    let limit = call.identity().kv_max_value_size;
    let value = match call.read_body(limit).await {
        Ok(value) => value,
        Err(BodyError::TooLarge(size)) => return Err(too_large(size, limit)),
        Err(BodyError::Broken(text)) => return Err(Refusal::internal(text)),
    };
    let session = |name| call.params.has(name).then(|| call.params.get(name).to_owned());
    let command = match (cas, session("acquire"), session("release")) {
        (Some(index), _, _) => KvCommand::Cas { key, value, flags, index },
        (None, Some(session), _) => KvCommand::Lock { key, value, flags, session },
        (None, None, Some(session)) => KvCommand::Unlock { key, value, flags, session },
        (None, None, None) => KvCommand::Set { key, value, flags },
    };
    write(call, &options, command).await
}

async fn delete<B: Backend>(
    call: Call<B>,
    options: Options,
    key: String,
) -> Result<Response, Refusal> {
    refuse_conflict(&call, &["recurse", "cas"])?;
    let recurse = call.params.has("recurse");
    if key.is_empty() && !recurse {
        return Err(missing_key());
    }
    let command = match number(&call, "cas")? {
        _ if recurse => KvCommand::DeleteTree { prefix: key },
        Some(index) => KvCommand::DeleteCas { key, index },
        None => KvCommand::Delete { key },
    };
    write(call, &options, command).await
}

async fn write<B: Backend>(
    call: Call<B>,
    options: &Options,
    command: KvCommand,
) -> Result<Response, Refusal> {
    match options.ask(&call.backend, Request::Write(Command::Kv(command))).await? {
        Reply::Written(CommandResult::Flag(done)) => Ok(call.json(&done)),
        Reply::Written(CommandResult::Error(text)) => Err(Refusal::internal(text)),
        other => Err(mismatch(&other)),
    }
}

fn missing_key() -> Refusal {
    Refusal::bad_request("Missing key name")
}

fn too_large(size: u64, limit: u64) -> Refusal {
    let text =
        format!("Request body({size} bytes) too large, max size: {limit} bytes. See {LIMIT_URL}.");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text)
}

/// At most one of these parameters may be there.
fn refuse_conflict<B>(call: &Call<B>, names: &[&str]) -> Result<(), Refusal> {
    if names.iter().filter(|name| call.params.has(name)).count() < 2 {
        return Ok(());
    }
    Err(Refusal::bad_request(format!("Conflicting flags: {}", call.params.encode())))
}

/// An unsigned number, when the parameter is there. A bad one is 500, in Go's words.
fn number<B>(call: &Call<B>, name: &str) -> Result<Option<u64>, Refusal> {
    if !call.params.has(name) {
        return Ok(None);
    }
    parse_uint(call.params.get(name)).map(Some).map_err(Refusal::internal)
}

/// Go's `%q`, for what can stand in a URL.
pub(super) fn go_quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// An entry as clients know it; an empty value is null.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EntryJson<'a> {
    lock_index: u64,
    key: &'a str,
    flags: u64,
    #[serde(serialize_with = "base64_or_null")]
    value: &'a Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    create_index: u64,
    modify_index: u64,
}

impl<'a> From<&'a KvEntry> for EntryJson<'a> {
    fn from(entry: &'a KvEntry) -> Self {
        Self {
            lock_index: entry.lock_index,
            key: &entry.key,
            flags: entry.flags,
            value: &entry.value,
            session: entry.session.as_deref(),
            create_index: entry.create_index,
            modify_index: entry.modify_index,
        }
    }
}

fn base64_or_null<S: Serializer>(value: &&Bytes, to: S) -> Result<S::Ok, S::Error> {
    if value.is_empty() { to.serialize_none() } else { to.serialize_str(&STANDARD.encode(value)) }
}
