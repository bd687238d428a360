//! `/v1/health/` (spec api 2.4): how nodes and services are, by their checks.

use axum::Router;
use axum::response::Response;

use crate::http::Backend;
use crate::http::answer_cache::AnswerCache;
use crate::http::discovery::{Ask, keep};
use crate::http::endpoint::{Call, route};
use crate::http::filter::{CHECK, CHECK_SERVICE_NODE};
use crate::http::options::unexpected;
use crate::http::reply::Refusal;
use crate::http::views::{CheckServiceNodeView, Empty, HealthCheckView};
use crate::state::{CheckServiceNode, PASSING, Query, Rows};

const READ: &[&str] = &["GET"];

pub(super) fn routes<B: Backend>(backend: &B, cache: &AnswerCache) -> Router {
    let of_service = || {
        let cache = cache.clone();
        route(backend, READ, move |call| service(call, cache.clone()))
    };
    Router::new()
        .route("/v1/health/node/", route(backend, READ, node))
        .route("/v1/health/node/{*name}", route(backend, READ, node))
        .route("/v1/health/checks/", route(backend, READ, checks))
        .route("/v1/health/checks/{*name}", route(backend, READ, checks))
        .route("/v1/health/state/", route(backend, READ, state))
        .route("/v1/health/state/{*name}", route(backend, READ, state))
        .route("/v1/health/service/", of_service())
        .route("/v1/health/service/{*name}", of_service())
}

async fn node<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let ask = Ask::of(call)?;
    let node = ask.named("/v1/health/node/", "Missing node name")?;
    list_checks(&ask, Query::HealthNode { node }).await
}

async fn checks<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let ask = Ask::of(call)?;
    let service = ask.named("/v1/health/checks/", "Missing service name")?;
    let meta = ask.meta.clone();
    list_checks(&ask, Query::HealthChecks { service, meta }).await
}

async fn state<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let ask = Ask::of(call)?;
    let state = ask.named("/v1/health/state/", "Missing check state")?;
    let meta = ask.meta.clone();
    list_checks(&ask, Query::HealthState { state, meta }).await
}

async fn list_checks<B: Backend>(ask: &Ask<B>, query: Query) -> Result<Response, Refusal> {
    let filter = ask.filter(CHECK)?;
    let mut found = ask.read(query).await?;
    let Rows::Checks(rows) = &mut found.rows else { return Err(unexpected(&found.rows)) };
    let mut rows = std::mem::take(rows);
    keep(&mut rows, filter.as_ref());
    ask.sort(&mut rows, |check| &check.node).await?;
    let views: Vec<HealthCheckView<'_>> =
        rows.iter().map(|check| HealthCheckView::new(check, Empty::List)).collect();
    Ok(ask.answer(&views, &found))
}

/// The one read that fails without the headers of a read, and has them when only `passing` is wrong.
async fn service<B: Backend>(call: Call<B>, cache: AnswerCache) -> Result<Response, Refusal> {
    let ask = Ask::of(call)?;
    let service = ask.named("/v1/health/service/", "Missing service name")?;
    let filter = ask.filter(CHECK_SERVICE_NODE).map_err(Refusal::not_of_read)?;
    let tags = ask.params.all("tag").map(str::to_owned).collect();
    let query = Query::HealthService { service, tags, meta: ask.meta.clone() };
    let mut found = ask.read_cached(query, &cache).await.map_err(Refusal::not_of_read)?;
    let Rows::CheckServiceNodes(rows) = &mut found.rows else {
        return Err(unexpected(&found.rows));
    };
    let mut rows = std::mem::take(rows);
    match only_passing(&ask) {
        Ok(false) => {}
        Ok(true) => rows.retain(is_passing),
        Err(refusal) => {
            let mut response = refusal.into_response();
            found.set_all_headers(&mut response);
            return Ok(response);
        }
    }
    keep(&mut rows, filter.as_ref());
    ask.sort(&mut rows, |row| &row.node.node).await?;
    let views: Vec<CheckServiceNodeView<'_>> =
        rows.iter().map(CheckServiceNodeView::from).collect();
    Ok(ask.answer(&views, &found))
}

/// `passing`: without a value it is on.
fn only_passing<B>(ask: &Ask<B>) -> Result<bool, Refusal> {
    if !ask.params.has("passing") {
        return Ok(false);
    }
    match ask.params.get("passing") {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Refusal::bad_request("Invalid value for ?passing")),
    }
}

fn is_passing(row: &CheckServiceNode) -> bool {
    row.checks.iter().all(|check| check.status == PASSING)
}
