//! `/v1/agent/…` about the agent's own services and checks (spec api 2.2).
//!
//! ```text
//!   PUT body ─► definitions ─► validate ─► LocalRequest ─► Backend::ask ─► LocalReply ─► views ─► JSON
//! ```
//!
//! Answers are this agent's alone: no datacenter, no consistency, none of the headers of a read.
//!
//! Deliberately not here: tokens (there are no ACLs: each is refused as Consul without them refuses it).

mod checks;
mod definitions;
mod health;
mod services;
mod views;

use std::collections::BTreeMap;

use axum::Router;
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use hyper::StatusCode;

use crate::agent::{LocalReply, LocalRequest, Reply, Request};
use crate::http::Backend;
use crate::http::endpoint::{Call, add_slash, route};
use crate::http::filter::{Filter, Schema, Selectable};
use crate::http::kv::go_quote;
use crate::http::options::{mismatch, refuse_enterprise};
use crate::http::reply::{self, Refusal};

pub use definitions::{check_of_json, service_of_json};

const READ: &[&str] = &["GET"];
const WRITE: &[&str] = &["PUT"];

/// The routes of this folder.
pub(super) fn routes<B: Backend>(backend: &B) -> Router {
    /// Each takes a name behind it, which may be empty: then the handler says what is missing.
    macro_rules! named {
        ($router:expr, $($path:literal: $methods:expr, $handler:expr;)*) => {
            $router$(
                .route($path, any(add_slash))
                .route(concat!($path, "/"), local(backend, $methods, $handler))
                .route(concat!($path, "/{*name}"), local(backend, $methods, $handler))
            )*
        };
    }
    let router = Router::new()
        .route("/v1/agent/services", local(backend, READ, services::list))
        .route("/v1/agent/service/register", local(backend, WRITE, services::register))
        .route("/v1/agent/maintenance", route(backend, WRITE, node_maintenance))
        .route("/v1/agent/reload", route(backend, WRITE, reload))
        .route("/v1/agent/checks", local(backend, READ, checks::list))
        .route("/v1/agent/check/register", local(backend, WRITE, checks::register));
    named!(router,
        "/v1/agent/service": READ, services::get;
        "/v1/agent/service/deregister": WRITE, services::deregister;
        "/v1/agent/service/maintenance": WRITE, services::maintenance;
        "/v1/agent/check/deregister": WRITE, checks::deregister;
        "/v1/agent/check/pass": WRITE, checks::pass;
        "/v1/agent/check/warn": WRITE, checks::warn;
        "/v1/agent/check/fail": WRITE, checks::fail;
        "/v1/agent/check/update": WRITE, checks::update;
        "/v1/agent/health/service/id": READ, health::by_id;
        "/v1/agent/health/service/name": READ, health::by_name;
        "/v1/agent/token": WRITE, token;
    )
}

/// A route that knows of no namespaces.
fn local<B, H, F>(backend: &B, methods: &'static [&'static str], handler: H) -> MethodRouter
where
    B: Backend,
    H: Fn(Call<B>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response, Refusal>> + Send + 'static,
{
    route(backend, methods, move |call: Call<B>| {
        let admitted = refuse_enterprise(&call.params, &call.headers).map(|()| handler(call));
        async { admitted?.await }
    })
}

/// What the agent says, but for its refusals.
async fn ask<B: Backend>(backend: &B, request: LocalRequest) -> Result<LocalReply, Refusal> {
    match backend.ask(Request::Local(Box::new(request))).await? {
        Reply::Local(reply) => match *reply {
            LocalReply::Invalid(text) => Err(Refusal::bad_request(text)),
            LocalReply::NotFound(text) => Err(Refusal::new(StatusCode::NOT_FOUND, text)),
            answer => Ok(answer),
        },
        other => Err(mismatch(&other)),
    }
}

/// How many there are, as `agent/self` names them; an agent that does not say has none.
pub(super) async fn counts<B: Backend>(backend: &B) -> [(&'static str, usize); 4] {
    let services = match ask(backend, LocalRequest::Services).await {
        Ok(LocalReply::Services(services)) => services.len(),
        _ => 0,
    };
    let checks = match ask(backend, LocalRequest::Checks).await {
        Ok(LocalReply::Checks(checks)) => checks,
        _ => BTreeMap::new(),
    };
    let of_kind =
        |kind: &str| checks.values().filter(|it| it.registered.definition.kind() == kind).count();
    [
        ("check_monitors", of_kind("script")),
        ("check_ttls", of_kind("ttl")),
        ("checks", checks.len()),
        ("services", services),
    ]
}

/// The agent answered another question than was asked.
fn unexpected(reply: LocalReply) -> Refusal {
    mismatch(&Reply::Local(Box::new(reply)))
}

/// Asks for something to be done; nothing is to be said about it.
async fn change<B: Backend>(backend: &B, request: LocalRequest) -> Result<Response, Refusal> {
    match ask(backend, request).await? {
        LocalReply::Done => Ok(reply::empty(StatusCode::OK)),
        other => Err(unexpected(other)),
    }
}

/// Drops what `?filter=` does not ask for.
fn keep_filtered<B, V>(
    call: &Call<B>,
    schema: Schema,
    rows: &mut BTreeMap<String, V>,
    row: impl Fn(&V) -> &dyn Selectable,
) -> Result<(), Refusal> {
    let text = call.params.get("filter");
    if !text.is_empty() {
        let filter = Filter::parse(text, schema);
        let filter = filter.map_err(|error| Refusal::internal(error.to_string()))?;
        rows.retain(|_, it| filter.keeps(row(it)));
    }
    Ok(())
}

fn decode_failed(why: String) -> Refusal {
    Refusal::bad_request(format!("Request decode failed: {why}"))
}

/// What stands behind the route in the path.
fn name<B>(call: &Call<B>, route: &str) -> String {
    call.path.strip_prefix(route).unwrap_or_default().to_owned()
}

/// `enable`, which must be there.
fn enable<B: Backend>(call: &Call<B>) -> Result<bool, Refusal> {
    if !call.params.has("enable") {
        return Err(Refusal::bad_request("Missing value for enable"));
    }
    let said = call.params.get("enable");
    go_bool(said).ok_or_else(|| {
        Refusal::bad_request(format!("Invalid value for enable: {}", go_quote(said)))
    })
}

/// PUT `maintenance`.
async fn node_maintenance<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let enable = enable(&call)?;
    let reason = call.params.get("reason").to_owned();
    change(&call.backend, LocalRequest::NodeMaintenance { enable, reason }).await
}

/// PUT `reload`.
async fn reload<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    call.backend.reload().await.map_err(Refusal::internal)?;
    Ok(reply::empty(StatusCode::OK))
}

/// PUT `token/TYPE`: there are no ACLs.
async fn token<B: Backend>(_: Call<B>) -> Result<Response, Refusal> {
    Err(Refusal::new(StatusCode::UNAUTHORIZED, "ACL support disabled"))
}

/// Go's `strconv.ParseBool`.
fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
