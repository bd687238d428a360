//! `/v1/agent/checks` and `/v1/agent/check/…`.

use std::collections::BTreeMap;

use axum::response::Response;

use super::{ask, change, decode_failed, definitions, keep_filtered, name, unexpected};
use crate::agent::{Health, LocalReply, LocalRequest, validate};
use crate::http::Backend;
use crate::http::decode::Object;
use crate::http::endpoint::Call;
use crate::http::filter;
use crate::http::reply::Refusal;
use crate::http::views::{Empty, HealthCheckView};

/// GET `checks`.
pub(super) async fn list<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let mut checks = match ask(&call.backend, LocalRequest::Checks).await? {
        LocalReply::Checks(checks) => checks,
        other => return Err(unexpected(other)),
    };
    keep_filtered(&call, filter::CHECK, &mut checks, |it| &it.check)?;
    let views = checks.iter().map(|(id, it)| (id, HealthCheckView::new(&it.check, Empty::List)));
    Ok(call.json(&views.collect::<BTreeMap<_, _>>()))
}

/// PUT `check/register`.
pub(super) async fn register<B: Backend>(mut call: Call<B>) -> Result<Response, Refusal> {
    let body = Object::of_body(&mut call, "structs.CheckDefinition").await;
    let read = body.and_then(|object| definitions::check(&object));
    let registration = read.map_err(decode_failed)?;
    validate::check(&registration).map_err(Refusal::bad_request)?;
    change(&call.backend, LocalRequest::RegisterCheck(registration)).await
}

/// PUT `check/deregister/ID`.
pub(super) async fn deregister<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let id = name(&call, "/v1/agent/check/deregister/");
    if id.is_empty() {
        return Err(Refusal::internal("CheckID missing"));
    }
    change(&call.backend, LocalRequest::DeregisterCheck { id }).await
}

/// PUT `check/pass/ID`.
pub(super) async fn pass<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    note(call, "/v1/agent/check/pass/", Health::Passing).await
}

/// PUT `check/warn/ID`.
pub(super) async fn warn<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    note(call, "/v1/agent/check/warn/", Health::Warning).await
}

/// PUT `check/fail/ID`.
pub(super) async fn fail<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    note(call, "/v1/agent/check/fail/", Health::Critical).await
}

async fn note<B: Backend>(call: Call<B>, route: &str, to: Health) -> Result<Response, Refusal> {
    let (id, output) = (name(&call, route), call.params.get("note").to_owned());
    let status = to.word().to_owned();
    change(&call.backend, LocalRequest::UpdateTtl { id, status, output }).await
}

/// PUT `check/update/ID`.
pub(super) async fn update<B: Backend>(mut call: Call<B>) -> Result<Response, Refusal> {
    let body = Object::of_body(&mut call, "agent.checkUpdate").await.map_err(decode_failed)?;
    body.only(&["Status", "Output"]).map_err(decode_failed)?;
    let status = body.text("Status").map_err(decode_failed)?;
    let output = body.text("Output").map_err(decode_failed)?;
    if Health::of_word(&status).is_none() {
        return Err(Refusal::bad_request(format!("Invalid check status: '{status}'")));
    }
    let id = name(&call, "/v1/agent/check/update/");
    change(&call.backend, LocalRequest::UpdateTtl { id, status, output }).await
}
