//! `/v1/agent/health/service/…`: how a service stands, by the checks that this agent has of it and of its
//! node; for load balancers, which look at the status code alone.

use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{ACCEPT, HeaderName, HeaderValue};
use serde::Serialize;

use super::views::{AgentServiceView, PlainCheckView};
use super::{ask, name, unexpected};
use crate::agent::{LocalReply, LocalRequest};
use crate::http::Backend;
use crate::http::endpoint::Call;
use crate::http::reply::{self, Refusal};
use crate::state::{HealthCheck, NodeService};

const X_CONSUL_REASON: HeaderName = HeaderName::from_static("x-consul-reason");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthView<'a> {
    aggregated_status: &'static str,
    service: Option<AgentServiceView<'a>>,
    checks: Option<Vec<PlainCheckView<'a>>>,
}

/// The worst of some checks; the graver the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worst {
    Passing,
    Warning,
    Critical,
    Maintenance,
}

impl Worst {
    fn of(check: &HealthCheck) -> Self {
        let id = check.check_id.as_str();
        match check.status.as_str() {
            _ if id == "_node_maintenance" || id.starts_with("_service_maintenance:") => {
                Worst::Maintenance
            }
            "passing" => Worst::Passing,
            "warning" => Worst::Warning,
            _ => Worst::Critical,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Worst::Passing => "passing",
            Worst::Warning => "warning",
            Worst::Critical => "critical",
            Worst::Maintenance => "maintenance",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Worst::Passing => StatusCode::OK,
            Worst::Warning => StatusCode::TOO_MANY_REQUESTS,
            Worst::Critical | Worst::Maintenance => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// What this agent has.
struct Local {
    services: Vec<NodeService>,
    checks: Vec<HealthCheck>,
}

impl Local {
    async fn read<B: Backend>(backend: &B) -> Result<Self, Refusal> {
        let services = match ask(backend, LocalRequest::Services).await? {
            LocalReply::Services(services) => services.into_values().collect(),
            other => return Err(unexpected(other)),
        };
        let checks = match ask(backend, LocalRequest::Checks).await? {
            LocalReply::Checks(checks) => checks.into_values().map(|it| it.check).collect(),
            other => return Err(unexpected(other)),
        };
        Ok(Self { services, checks })
    }

    /// A service with its checks and those of the node.
    fn view<'a>(
        &'a self,
        service: &'a NodeService,
        datacenter: &'a str,
    ) -> (Worst, HealthView<'a>) {
        let counts = |it: &&HealthCheck| it.service_id.is_empty() || it.service_id == service.id;
        let checks: Vec<&HealthCheck> = self.checks.iter().filter(counts).collect();
        let worst = checks.iter().map(|it| Worst::of(it)).max().unwrap_or(Worst::Passing);
        let view = HealthView {
            aggregated_status: worst.word(),
            service: Some(AgentServiceView::new(service, datacenter, "")),
            checks: Some(checks.into_iter().map(PlainCheckView::from).collect()),
        };
        (worst, view)
    }
}

/// GET `id/ID`.
pub(super) async fn by_id<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let id = name(&call, "/v1/agent/health/service/id/");
    if id.is_empty() {
        return Err(Refusal::internal("Bad request: Missing serviceID"));
    }
    let local = Local::read(&call.backend).await?;
    let Some(service) = local.services.iter().find(|service| service.id == id) else {
        let reason = format!("ServiceId {id} not found");
        // Consul gives the bare text in JSON's quotes here, and only here.
        let response = match wants_text(&call) {
            true => call.json(&reason),
            false => call.json(&HealthView {
                aggregated_status: "critical",
                service: None,
                checks: None,
            }),
        };
        return Ok(with_reason(response, StatusCode::NOT_FOUND, &reason));
    };
    let (worst, view) = local.view(service, &call.identity().datacenter);
    let response = match wants_text(&call) {
        true => plain(worst.word().to_owned()),
        false => call.json(&view),
    };
    Ok(with_reason(response, worst.status(), worst.word()))
}

/// GET `name/NAME`: the worst of its instances.
pub(super) async fn by_name<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let name = name(&call, "/v1/agent/health/service/name/");
    if name.is_empty() {
        return Err(Refusal::internal("Bad request: Missing service Name"));
    }
    let local = Local::read(&call.backend).await?;
    let instances = local.services.iter().filter(|service| service.service == name);
    let datacenter = call.identity().datacenter.as_str();
    let (worst, views): (Vec<Worst>, Vec<HealthView<'_>>) =
        instances.map(|service| local.view(service, datacenter)).unzip();
    let (status, reason) = match worst.into_iter().max() {
        Some(worst) => (worst.status(), worst.word().to_owned()),
        None => (StatusCode::NOT_FOUND, format!("ServiceName {name} Not Found")),
    };
    let response = match wants_text(&call) {
        true => plain(reason.clone()),
        false => call.json(&views),
    };
    Ok(with_reason(response, status, &reason))
}

/// By `Accept`, or else by `format`.
fn wants_text<B>(call: &Call<B>) -> bool {
    let accepts = |value: &HeaderValue| value.as_bytes().starts_with(b"text/plain");
    call.headers.get(ACCEPT).is_some_and(accepts) || call.params.get("format") == "text"
}

fn plain(text: String) -> Response {
    let mut response = reply::text(StatusCode::OK, text);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, TEXT);
    response
}

fn with_reason(mut response: Response, status: StatusCode, reason: &str) -> Response {
    *response.status_mut() = status;
    // A name with a line break cannot stand in a header; the answer says it all the same.
    if let Ok(reason) = HeaderValue::from_str(reason) {
        response.headers_mut().insert(X_CONSUL_REASON, reason);
    }
    response
}
