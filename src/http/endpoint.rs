//! What every route does before and after its handler, in Consul's order: the path (printable,
//! clean), the query string, OPTIONS and the method table (spec api 1.2, 1.3, 1.5, 1.6).

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde::Serialize;

use crate::base::Instant;
use crate::base::metrics::Labels;
use crate::http::body::{BodyError, BodyRoom, NO_ROOM, Seat, read_limited};
use crate::http::escape::{cleaned, escape_path, is_printable, unescape_text};
use crate::http::options::Options;
use crate::http::params::Params;
use crate::http::policy::ClientAddress;
use crate::http::reply::{self, Refusal};
use crate::http::{Backend, Identity, json};

const X_CONSUL_DEFAULT_ACL_POLICY: HeaderName =
    HeaderName::from_static("x-consul-default-acl-policy");
const X_CONSUL_TRANSLATE_ADDRESSES: HeaderName =
    HeaderName::from_static("x-consul-translate-addresses");

/// An admitted request.
pub(super) struct Call<B> {
    pub(super) backend: B,
    pub(super) method: Method,
    /// Decoded and clean.
    pub(super) path: String,
    pub(super) params: Params,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// Where its body is kept.
    seat: Arc<Seat>,
    /// Who sent it, when that is known.
    pub(super) client: Option<IpAddr>,
}

impl<B: Backend> Call<B> {
    pub(super) fn identity(&self) -> &Identity {
        self.backend.identity()
    }

    /// Datacenter, consistency and wait, refused as Consul refuses them.
    pub(super) fn options(&self) -> Result<Options, Refusal> {
        Options::parse(&self.params, &self.headers, self.identity())
    }

    /// The value as this request wants it: indented with `?pretty` and in dev mode.
    pub(super) fn json<T: Serialize + ?Sized>(&self, value: &T) -> Response {
        reply::json(json::encode(value, self.identity().dev || self.params.has("pretty")))
    }
}

impl<B> Call<B> {
    /// The whole body, of at most `limit` bytes. There is none after that.
    pub(super) async fn read_body(&mut self, limit: u64) -> Result<Bytes, BodyError> {
        let body = std::mem::take(&mut self.body);
        read_limited(body, &self.headers, limit, &self.seat).await
    }
}

/// A route with these methods. `GET` does not bring `HEAD` with it.
pub(super) fn route<B, H, F>(
    backend: &B,
    methods: &'static [&'static str],
    handler: H,
) -> MethodRouter
where
    B: Backend,
    H: Fn(Call<B>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response, Refusal>> + Send + 'static,
{
    let backend = backend.clone();
    any(move |request: Request| {
        let (backend, handler) = (backend.clone(), handler.clone());
        async move {
            let path = match admit(&request) {
                Ok(path) => path,
                Err(refused) => return refused,
            };
            let timing = Timing::of(&backend, methods, &request);
            let mut response = dispatch(backend.clone(), methods, handler, path, request).await;
            timing.end(&backend);
            let headers = response.headers_mut();
            headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
            headers.insert(X_CONSUL_DEFAULT_ACL_POLICY, HeaderValue::from_static("allow"));
            if backend.identity().translate_wan_addrs {
                headers.insert(X_CONSUL_TRANSLATE_ADDRESSES, HeaderValue::from_static("true"));
            }
            response
        }
    })
}

async fn dispatch<B, H, F>(
    backend: B,
    methods: &[&str],
    handler: H,
    path: String,
    request: Request,
) -> Response
where
    B: Backend,
    H: Fn(Call<B>) -> F,
    F: Future<Output = Result<Response, Refusal>> + Send,
{
    let (parts, body) = request.into_parts();
    let Some(params) = Params::parse(parts.uri.query().unwrap_or_default()) else {
        return reply::empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let policy = &backend.identity().policy;
    if policy.blocks(&path) {
        let text = "Endpoint is blocked by agent configuration";
        return reply::text(StatusCode::FORBIDDEN, text);
    }
    if parts.method == Method::OPTIONS {
        return allowing(methods, reply::empty(StatusCode::OK));
    }
    if !methods.contains(&parts.method.as_str()) {
        let text = format!("method {} not allowed", parts.method);
        return allowing(methods, reply::text(StatusCode::METHOD_NOT_ALLOWED, text));
    }
    let client: Option<ClientAddress> = parts.extensions.get().copied();
    if !policy.permits(&parts.method, client) {
        return reply::text(StatusCode::FORBIDDEN, "Access is restricted");
    }
    let client = client.map(|it| it.0);
    let (method, headers) = (parts.method, parts.headers);
    let seat = parts.extensions.get::<BodyRoom>().map(BodyRoom::seat).unwrap_or_default();
    let own = seat.clone();
    let call = Call { backend, method, path, params, headers, body, seat, client };
    let answered = handler(call).await;
    if own.was_refused() {
        return reply::text(StatusCode::SERVICE_UNAVAILABLE, NO_ROOM);
    }
    answered.unwrap_or_else(Refusal::into_response)
}

/// How long a request takes, under the names of Consul: `api.http` with labels, and that of before 1.9.
struct Timing {
    began: Instant,
    /// Method and pattern of the path; none for a method that the route does not have, of which there are
    /// as many as clients make up.
    of: Option<(&'static str, String)>,
}

impl Timing {
    fn of<B: Backend>(backend: &B, methods: &[&'static str], request: &Request) -> Self {
        let method = methods.iter().find(|method| **method == request.method().as_str());
        let pattern = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let pattern = pattern.map(|it| it.split("{*").next().unwrap_or_default().to_owned());
        Self { began: backend.now(), of: method.copied().zip(pattern) }
    }

    fn end<B: Backend>(self, backend: &B) {
        let Some((method, pattern)) = self.of else { return };
        let (span, wall) = (backend.now().since(self.began), backend.wall_clock());
        let parts = pattern.split('/').skip(1).map(|part| if part.is_empty() { "_" } else { part });
        let name = format!("http.{method}.{}", parts.collect::<Vec<_>>().join("."));
        backend.metrics().time(wall, &name, Labels::new(), span);
        let path = pattern.trim_start_matches('/').replace('/', "_");
        let labels = Labels::from([("method", method.to_owned()), ("path", path)]);
        backend.metrics().time(wall, "api.http", labels, span);
    }
}

fn allowing(methods: &[&str], mut response: Response) -> Response {
    let allow = format!("OPTIONS,{}", methods.join(","));
    let allow = HeaderValue::from_str(&allow).expect("method names are visible ASCII");
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

/// The decoded path of a request that may reach its route; else the answer.
#[expect(clippy::result_large_err, reason = "the error is the response itself, made once")]
pub(super) fn admit(request: &Request) -> Result<String, Response> {
    let Some(path) = unescape_text(request.uri().path(), false) else {
        let text = "400 Bad Request: invalid URL escape";
        return Err(reply::text(StatusCode::BAD_REQUEST, text));
    };
    if !is_printable(&path) {
        return Err(reply::empty(StatusCode::BAD_REQUEST));
    }
    match cleaned(&path) {
        Some(clean) => Err(moved(request, &clean)),
        None => Ok(path),
    }
}

/// Go's redirect: a link for GET, nothing but the header for writes.
pub(super) fn moved(request: &Request, path: &str) -> Response {
    let mut location = String::new();
    escape_path(path, &mut location);
    if let Some(query) = request.uri().query() {
        location.push('?');
        location.push_str(query);
    }
    redirect(request, &location)
}

/// The same to a location that is escaped already.
pub(super) fn redirect(request: &Request, location: &str) -> Response {
    let link = location.replace('&', "&amp;").replace('"', "&#34;").replace('\'', "&#39;");
    let body = match *request.method() {
        Method::GET => Bytes::from(format!("<a href=\"{link}\">Moved Permanently</a>.\n\n")),
        _ => Bytes::new(),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    let headers = response.headers_mut();
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, html);
    }
    match HeaderValue::from_str(location) {
        Ok(location) => {
            headers.insert(header::LOCATION, location);
            response
        }
        Err(_) => reply::empty(StatusCode::BAD_REQUEST),
    }
}

/// `/`: what an agent says that serves no UI.
pub(super) async fn root() -> Response {
    reply::text(StatusCode::OK, "Consul Agent")
}

/// A path that is known only with a slash at its end.
pub(super) async fn add_slash(request: Request) -> Response {
    let slashed = format!("{}/", request.uri().path());
    moved(&request, &slashed)
}

/// Any other path: 404 without a body, after the same care for the path.
pub(super) async fn unknown(request: Request) -> Response {
    admit(&request).map_or_else(|refused| refused, |_| reply::empty(StatusCode::NOT_FOUND))
}
