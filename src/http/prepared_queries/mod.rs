//! `/v1/query` (spec api 2.13): prepared queries, and their execution.
//!
//! What follows the id in the path is part of it, so one route serves the definition and what is done with
//! it, and refuses methods by itself: Consul's `Allow` names no `OPTIONS` there.

use std::net::IpAddr;
use std::num::IntErrorKind;

use axum::Router;
use axum::response::Response;
use hyper::header::{ALLOW, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};
use serde::Serialize;

use crate::agent::{Reply, Request};
use crate::http::Backend;
use crate::http::answer_cache::AnswerCache;
use crate::http::decode::Object;
use crate::http::discovery::{Ask, Found};
use crate::http::endpoint::{self, Call};
use crate::http::kv::go_quote;
use crate::http::options::{Options, mismatch, unexpected};
use crate::http::reply::{self, Refusal, consistency};
use crate::http::views::{Empty, HealthCheckView, NodeServiceView, NodeView};
use crate::state::{
    CheckServiceNode, Command, CommandResult, PreparedQuery, PreparedQueryCommand, Query,
    QueryExecution, QueryOutcome, QuerySource, Rows,
};

mod decode;
mod views;

use decode::definition;
use views::{ExecutedView, ExplainedView, QueryView};

/// What the store says of a name that nobody has; 404 in HTTP.
const NOT_FOUND: &str = "Query not found";

pub(super) fn routes<B: Backend>(backend: &B) -> Router {
    const ALL: &[&str] = &["GET", "POST"];
    const ANY: &[&str] = &["GET", "PUT", "DELETE", "POST", "HEAD", "PATCH", "CONNECT", "TRACE"];
    let cache = AnswerCache::default();
    let one = || {
        let cache = cache.clone();
        endpoint::route(backend, ANY, move |call| specific(call, cache.clone()))
    };
    Router::new()
        .route("/v1/query", endpoint::route(backend, ALL, general))
        .route("/v1/query/", one())
        .route("/v1/query/{*id}", one())
}

async fn general<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    match call.method {
        Method::POST => create(call).await,
        _ => definitions(Ask::of(call)?, Query::PreparedQueries).await,
    }
}

async fn specific<B: Backend>(call: Call<B>, cache: AnswerCache) -> Result<Response, Refusal> {
    let id = call.path.strip_prefix("/v1/query/").unwrap_or_default().to_owned();
    let (id, what) = match (id.strip_suffix("/execute"), id.strip_suffix("/explain")) {
        (Some(name), _) => (name.to_owned(), "execute"),
        (_, Some(name)) => (name.to_owned(), "explain"),
        _ => (id, ""),
    };
    match (what, call.method.as_str()) {
        ("execute", "GET") => execute(call, id, cache).await,
        ("explain", "GET") => explain(call, id).await,
        ("execute" | "explain", _) => Ok(not_allowed(&call.method, "GET")),
        (_, "GET") => definitions(Ask::of(call)?, Query::PreparedQuery { id }).await,
        (_, "PUT") => update(call, id).await,
        (_, "DELETE") => {
            let options = Options::of_datacenter(&call);
            write(&call.backend, options, PreparedQueryCommand::Delete { id }).await?;
            Ok(reply::empty(StatusCode::OK))
        }
        _ => Ok(not_allowed(&call.method, "GET,PUT,DELETE")),
    }
}

fn not_allowed(method: &Method, allow: &'static str) -> Response {
    let text = format!("method {method} not allowed");
    let mut response = reply::text(StatusCode::METHOD_NOT_ALLOWED, text);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

#[derive(Serialize)]
struct CreatedJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
}

async fn create<B: Backend>(mut call: Call<B>) -> Result<Response, Refusal> {
    let query = Box::new(definition_in(&mut call).await?);
    let options = Options::of_datacenter(&call);
    let id = write(&call.backend, options, PreparedQueryCommand::Create(query)).await?;
    Ok(call.json(&CreatedJson { id: &id }))
}

async fn update<B: Backend>(mut call: Call<B>, id: String) -> Result<Response, Refusal> {
    let query = Box::new(PreparedQuery { id, ..definition_in(&mut call).await? });
    let options = Options::of_datacenter(&call);
    write(&call.backend, options, PreparedQueryCommand::Update(query)).await?;
    Ok(reply::empty(StatusCode::OK))
}

async fn definition_in<B: Backend>(call: &mut Call<B>) -> Result<PreparedQuery, Refusal> {
    let read = match Object::of_body(call, "PreparedQuery").await {
        Ok(body) => definition(&body),
        Err(why) => Err(why),
    };
    read.map_err(|why| Refusal::bad_request(format!("Request decode failed: {why}")))
}

/// The id of the definition that is written now.
async fn write<B: Backend>(
    backend: &B,
    options: Options,
    command: PreparedQueryCommand,
) -> Result<String, Refusal> {
    let request = Request::Write(Command::PreparedQuery(command));
    match options.ask(backend, request).await? {
        Reply::Written(CommandResult::Id(id)) => Ok(id),
        Reply::Written(CommandResult::Error(text)) => Err(Refusal::internal(text)),
        other => Err(mismatch(&other)),
    }
}

async fn definitions<B: Backend>(ask: Ask<B>, query: Query) -> Result<Response, Refusal> {
    let found = ask.read(query).await.map_err(not_found)?;
    let Rows::PreparedQueries(rows) = &found.rows else { return Err(unexpected(&found.rows)) };
    let rows: Vec<QueryView<'_>> = rows.iter().map(QueryView::from).collect();
    Ok(ask.answer(&rows, &found))
}

/// Of a name that nobody has there is nothing to say, not even in headers.
fn not_found(refusal: Refusal) -> Refusal {
    match refusal.says(NOT_FOUND) {
        true => Refusal::new(StatusCode::NOT_FOUND, refusal.into_text()),
        false => refusal,
    }
}

async fn explain<B: Backend>(call: Call<B>, name: String) -> Result<Response, Refusal> {
    let asked = Box::new(asked(&call, name));
    let ask = Ask::of(call)?;
    let found = ask.read(Query::ExplainQuery(asked)).await.map_err(not_found)?;
    let Rows::Explained(query) = &found.rows else { return Err(unexpected(&found.rows)) };
    let view = ExplainedView::new(query, &found);
    Ok(ask.answer(&view, &found))
}

async fn execute<B: Backend>(
    call: Call<B>,
    name: String,
    cache: AnswerCache,
) -> Result<Response, Refusal> {
    let mut asked = Box::new(asked(&call, name));
    let ask = Ask::of(call)?;
    asked.limit = limit(ask.params.get("limit")).map_err(Refusal::internal)?;
    asked.connect = flag(ask.params.get("connect")).map_err(Refusal::internal)?;
    let read = ask.read_cached(Query::ExecuteQuery(asked), &cache).await;
    let found = read.map_err(not_found)?;
    let Rows::Executed(outcome) = &found.rows else { return Err(unexpected(&found.rows)) };
    let view = ExecutedView::new(outcome, &found);
    Ok(ask.answer(&view, &found))
}

/// Who asks, and for what.
fn asked<B: Backend>(call: &Call<B>, name: String) -> QueryExecution {
    let identity = call.identity();
    let datacenter = [call.params.get("datacenter"), call.params.get("dc")];
    let datacenter = datacenter.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let node = match call.params.get("near") {
        "_agent" => identity.node_name.clone(),
        other => other.to_owned(),
    };
    let ip = asker(&call.headers).or_else(|| call.client.map(|it| it.to_string()));
    QueryExecution {
        name,
        limit: 0,
        connect: false,
        source: QuerySource {
            datacenter: datacenter.to_owned(),
            segment: String::new(),
            node,
            ip: ip.unwrap_or_default(),
        },
        agent: QuerySource {
            datacenter: identity.datacenter.clone(),
            node: identity.node_name.clone(),
            ..QuerySource::default()
        },
    }
}

/// Where a request comes from that others passed on.
fn asker(headers: &HeaderMap) -> Option<String> {
    let forwarded = headers.get("x-forwarded-for")?.to_str().ok()?;
    let first = forwarded.split(',').next()?.trim();
    first.parse::<IpAddr>().ok().map(|ip| ip.to_string())
}

/// In the words of Go's strconv. A negative limit is none.
fn limit(text: &str) -> Result<u64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let parsed = text.parse::<i64>().map_err(|error| {
        let why = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("Bad limit: strconv.Atoi: parsing {}: {why}", go_quote(text))
    })?;
    Ok(u64::try_from(parsed).unwrap_or(0))
}

fn flag(text: &str) -> Result<bool, String> {
    match text {
        "" | "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
        other => Err(format!(
            "Error parsing 'connect' value: strconv.ParseBool: parsing {}: invalid syntax",
            go_quote(other)
        )),
    }
}
