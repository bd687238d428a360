//! `/v1/agent/services` and `/v1/agent/service/…`.

use std::collections::BTreeMap;

use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};

use super::views::AgentServiceView;
use super::{ask, change, decode_failed, definitions, enable, keep_filtered, name, unexpected};
use crate::agent::{LocalReply, LocalRequest, validate};
use crate::base::Duration;
use crate::http::Backend;
use crate::http::decode::Object;
use crate::http::endpoint::Call;
use crate::http::filter;
use crate::http::options::{parse_index, parse_wait_time};
use crate::http::reply::Refusal;

const X_CONSUL_CONTENT_HASH: HeaderName = HeaderName::from_static("x-consul-contenthash");

/// GET `services`.
pub(super) async fn list<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let mut services = match ask(&call.backend, LocalRequest::Services).await? {
        LocalReply::Services(services) => services,
        other => return Err(unexpected(other)),
    };
    keep_filtered(&call, filter::SERVICE, &mut services, |it| it)?;
    let datacenter = call.identity().datacenter.as_str();
    let views = services.iter().map(|(id, it)| (id, AgentServiceView::new(it, datacenter, "")));
    Ok(call.json(&views.collect::<BTreeMap<_, _>>()))
}

/// GET `service/ID`; with `hash`, once the service is another than that of this hash.
pub(super) async fn get<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let id = name(&call, "/v1/agent/service/");
    parse_index(&call.params)?;
    let wait = parse_wait_time(&call.params)?;
    let identity = call.identity();
    let wait = if wait.is_zero() { identity.default_query_time } else { wait };
    let wait = wait.min(identity.max_query_time);
    let hash = call.params.get("hash").to_owned();
    let max_wait = match hash.is_empty() {
        true => Duration::ZERO,
        false => wait + call.backend.jitter(wait / 16),
    };
    let request = LocalRequest::Service { id: id.clone(), hash, max_wait };
    let (service, hash) = match ask(&call.backend, request).await? {
        LocalReply::Service(Some(found)) => *found,
        LocalReply::Service(None) => {
            let text = format!("unknown service ID: {id}");
            return Err(Refusal::new(StatusCode::NOT_FOUND, text));
        }
        other => return Err(unexpected(other)),
    };
    let datacenter = call.identity().datacenter.as_str();
    let mut response = call.json(&AgentServiceView::new(&service, datacenter, &hash));
    if let Ok(hash) = HeaderValue::from_str(&hash) {
        response.headers_mut().insert(X_CONSUL_CONTENT_HASH, hash);
    }
    Ok(response)
}

/// PUT `service/register`.
pub(super) async fn register<B: Backend>(mut call: Call<B>) -> Result<Response, Refusal> {
    let body = Object::of_body(&mut call, "structs.ServiceDefinition").await;
    let read = body.and_then(|object| definitions::service(&object));
    let mut registration = read.map_err(decode_failed)?;
    validate::service(&registration).map_err(Refusal::bad_request)?;
    let replace = call.params.get("replace-existing-checks");
    registration.replace_existing_checks =
        call.params.has("replace-existing-checks") && matches!(replace, "" | "true");
    change(&call.backend, LocalRequest::RegisterService(registration)).await
}

/// PUT `service/deregister/ID`.
pub(super) async fn deregister<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let id = name(&call, "/v1/agent/service/deregister/");
    if id.is_empty() {
        return Err(Refusal::internal("ServiceID missing"));
    }
    change(&call.backend, LocalRequest::DeregisterService { id }).await
}

/// PUT `service/maintenance/ID`.
pub(super) async fn maintenance<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let id = name(&call, "/v1/agent/service/maintenance/");
    if id.is_empty() {
        return Err(Refusal::bad_request("Missing service ID"));
    }
    let enable = enable(&call)?;
    let reason = call.params.get("reason").to_owned();
    change(&call.backend, LocalRequest::ServiceMaintenance { id, enable, reason }).await
}
