//! `/v1/event/fire/NAME` and `/v1/event/list` (spec api 2.7): any agent fires, each lists what it has heard.
//!
//! Lists know nothing of leaders and consistency: `X-Consul-Index` is their only header.

use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::agent::{FiredEvent, Reply, Request};
use crate::base::Duration;
use crate::http::Backend;
use crate::http::body::BodyError;
use crate::http::endpoint::Call;
use crate::http::options::{Options, mismatch, parse_index, parse_wait_time};
use crate::http::reply::{Refusal, set_index};

/// A list is waited for so long at most, and where nothing is said; no jitter is added.
const LIST_WAIT: Duration = Duration::from_secs(600);
/// No payload that Serf would take is longer by far (512 bytes); a longer one is not kept, and is
/// refused in Serf's words.
const PAYLOAD_BYTES_MAX: u64 = 64 * 1024;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EventJson<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    payload: Option<String>,
    node_filter: &'a str,
    service_filter: &'a str,
    tag_filter: &'a str,
    version: u64,
    #[serde(rename = "LTime")]
    time: u64,
}

impl<'a> From<&'a FiredEvent> for EventJson<'a> {
    fn from(event: &'a FiredEvent) -> Self {
        Self {
            id: &event.id,
            name: &event.name,
            payload: (!event.payload.is_empty()).then(|| STANDARD.encode(&event.payload)),
            node_filter: &event.node_filter,
            service_filter: &event.service_filter,
            tag_filter: &event.tag_filter,
            version: event.version,
            time: event.time,
        }
    }
}

/// PUT `fire/NAME`.
pub(super) async fn fire<B: Backend>(mut call: Call<B>) -> Result<Response, Refusal> {
    let name = call.path.strip_prefix("/v1/event/fire/").unwrap_or_default().to_owned();
    if name.is_empty() {
        return Err(Refusal::bad_request("Missing name"));
    }
    let payload = match call.read_body(PAYLOAD_BYTES_MAX).await {
        Ok(payload) => payload,
        Err(BodyError::TooLarge(_)) => {
            let text = "user event exceeds configured limit of 512 bytes before encoding";
            return Err(Refusal::internal(text));
        }
        Err(BodyError::Broken(text)) => return Err(Refusal::internal(text)),
    };
    let filter = |name| call.params.get(name).to_owned();
    let event = FiredEvent {
        name,
        payload,
        node_filter: filter("node"),
        service_filter: filter("service"),
        tag_filter: filter("tag"),
        ..FiredEvent::default()
    };
    let request = Request::FireUserEvent(Box::new(event));
    match Options::of_datacenter(&call).ask(&call.backend, request).await? {
        Reply::UserEventFired(event) => Ok(call.json(&EventJson::from(&*event))),
        other => Err(mismatch(&other)),
    }
}

/// GET `list`.
pub(super) async fn list<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let wait = parse_wait_time(&call.params)?;
    let index = parse_index(&call.params)?;
    let max_wait = if wait.is_zero() { LIST_WAIT } else { wait.min(LIST_WAIT) };
    let name = call.params.get("name").to_owned();
    match call.backend.ask(Request::UserEvents { name, index, max_wait }).await? {
        Reply::UserEvents { events, index } => {
            let events: Vec<EventJson<'_>> =
                events.iter().map(|event| EventJson::from(&**event)).collect();
            let mut response = call.json(&events);
            set_index(response.headers_mut(), index);
            Ok(response)
        }
        other => Err(mismatch(&other)),
    }
}
