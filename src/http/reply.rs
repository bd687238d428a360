//! What a handler answers, and how that becomes a response.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{StatusCode, header};

use crate::agent::{Failure, ReadMeta, ReadMode};
use crate::base::Duration;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const X_CONSUL_INDEX: HeaderName = HeaderName::from_static("x-consul-index");
const X_CONSUL_KNOWN_LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
const X_CONSUL_LAST_CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");
const X_CONSUL_EFFECTIVE_CONSISTENCY: HeaderName =
    HeaderName::from_static("x-consul-effective-consistency");
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// A refusal: a status and Consul's text.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    text: String,
    /// It comes with the headers of a read that found nothing.
    of_read: bool,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), of_read: false }
    }

    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// Whatever goes wrong at or behind the server side is 500 (spec api 1.4).
    pub(super) fn internal(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    /// The same, with the headers that most reads have even when they fail.
    pub(super) fn of_read(self) -> Self {
        Self { of_read: true, ..self }
    }

    /// Whether its text holds this.
    pub(super) fn says(&self, what: &str) -> bool {
        self.text.contains(what)
    }

    /// Its text alone.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// And without them again.
    pub(super) fn not_of_read(self) -> Self {
        Self { of_read: false, ..self }
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = text(self.status, self.text);
        if self.of_read {
            let last_contact = Duration::ZERO;
            let nothing = ReadMeta { index: 1, known_leader: false, last_contact };
            set_read_meta(response.headers_mut(), &nothing);
        }
        response
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::internal(failure.to_string())
    }
}

/// A response without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A plain text; nothing is added to it.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response {
    with_body(status, TEXT, text.into())
}

/// A file of the UI.
pub(super) fn file(content_type: &'static str, content: Bytes) -> Response {
    with_body(StatusCode::OK, HeaderValue::from_static(content_type), content)
}

/// A JSON text.
pub(super) fn json(text: Bytes) -> Response {
    with_body(StatusCode::OK, HeaderValue::from_static("application/json"), text)
}

/// The bytes of a value, guarded against being taken for a page (spec api 2.5).
pub(super) fn raw(value: Bytes) -> Response {
    let mut response = with_body(StatusCode::OK, HeaderValue::from_static("text/plain"), value);
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    response
}

fn with_body(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// The headers of a read (spec api 1.6). The index is never 0: a client would take it for "do not
/// block" and spin.
pub(super) fn set_read_meta(headers: &mut HeaderMap, meta: &ReadMeta) {
    set_index(headers, meta.index);
    set_reader(headers, meta);
}

/// Of them those that are about the server that answered.
pub(super) fn set_reader(headers: &mut HeaderMap, meta: &ReadMeta) {
    let last_contact_ms = u64::try_from(meta.last_contact.as_millis()).unwrap_or(u64::MAX);
    let known = if meta.known_leader { "true" } else { "false" };
    headers.insert(X_CONSUL_KNOWN_LEADER, HeaderValue::from_static(known));
    headers.insert(X_CONSUL_LAST_CONTACT, HeaderValue::from(last_contact_ms));
}

/// How fresh the answer had to be: the headers of catalog and health.
pub(super) fn set_consistency(headers: &mut HeaderMap, mode: ReadMode) {
    let word = HeaderValue::from_static(consistency(mode));
    headers.insert(X_CONSUL_EFFECTIVE_CONSISTENCY, word);
}

/// Consul's word for how fresh an answer had to be.
pub(super) fn consistency(mode: ReadMode) -> &'static str {
    match mode {
        ReadMode::Default => "leader",
        ReadMode::Consistent => "consistent",
        ReadMode::Stale => "stale",
    }
}

/// The answer came through the agent's cache; `age`: of a hit, since it was fetched.
pub(super) fn set_cached(headers: &mut HeaderMap, age: Option<Duration>) {
    let word = if age.is_some() { "HIT" } else { "MISS" };
    headers.insert(X_CACHE, HeaderValue::from_static(word));
    if let Some(age) = age {
        headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
    }
}

/// The index of an answer that says nothing else of itself; never 0.
pub(super) fn set_index(headers: &mut HeaderMap, index: u64) {
    headers.insert(X_CONSUL_INDEX, HeaderValue::from(index.max(1)));
}

/// Errors as Go's multierror prints them.
pub(super) fn listed(errors: &[String]) -> String {
    let noun = if errors.len() == 1 { "error" } else { "errors" };
    let mut text = format!("{} {noun} occurred:\n", errors.len());
    errors.iter().for_each(|error| text.push_str(&format!("\t* {error}\n")));
    text.push('\n');
    text
}
