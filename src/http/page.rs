//! The web UI (spec api 8): the built-in app, or the files of the operator's folder.
//!
//! ```text
//!   /          ─► 301 to the content path          /robots.txt ─► nothing here is to be indexed
//!   /ui        ─► 301 /ui/
//!   /ui/{…}    ─► no folder: the app, whatever the path: it reads the path itself
//!                 a folder:  folder::answer
//! ```
//!
//! The app is one page without any outside resource, assembled when this is compiled; the server puts into
//! it where it is served and which datacenter is its own. Its script and its style are allowed by their
//! hashes and nothing else is, so that a value that slipped into the page as markup would not run. It needs
//! nothing but this API. An operator's own `Content-Security-Policy` replaces ours.
//!
//! Deliberately not here: Consul's own UI, which is a program of its own; a folder (`ui_config.dir`) serves
//! one.

mod folder;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{ALLOW, CONTENT_SECURITY_POLICY, HeaderValue};
use hyper::{Method, StatusCode};
use sha2::{Digest, Sha256};

use crate::http::endpoint::{add_slash, admit, redirect, root};
use crate::http::reply;
use crate::http::{Backend, Identity};

pub use folder::FILE_BYTES;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = concat!(
    "\"use strict\";\n",
    include_str!("page/dom.js"),
    include_str!("page/api.js"),
    include_str!("page/services.js"),
    include_str!("page/nodes.js"),
    include_str!("page/kv.js"),
    include_str!("page/app.js"),
);
const ROBOTS: &str = "User-agent: *\nDisallow: /\n";

/// The UI and the way to it, when it is on; else what an agent without one says.
pub(super) fn routes<B: Backend>(backend: &B) -> Router {
    let Some(ui) = backend.identity().ui.clone() else {
        return Router::new().route("/", any(root));
    };
    let path = ui.path().to_owned();
    let to_ui = {
        let path = path.clone();
        async move |request: Request| redirect(&request, &path)
    };
    let below = format!("{path}{{*rest}}");
    let router =
        Router::new().route("/", any(to_ui)).route(path.trim_end_matches('/'), any(add_slash));
    if ui.dir().is_some() {
        return router.merge(folder::routes(backend, &path));
    }
    let app = App::new(backend.identity(), &path);
    let serve = async move |request: Request| match admit(&request) {
        Err(refused) => refused,
        Ok(_) => for_readers(&request, || app.response()),
    };
    router
        .route("/robots.txt", any(robots))
        .route(&path, any(serve.clone()))
        .route(&below, any(serve))
}

/// What GET and HEAD get; a body of HEAD is left out on the way.
fn for_readers(request: &Request, answer: impl FnOnce() -> Response) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return answer();
    }
    let mut refused = reply::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET,HEAD"));
    refused
}

async fn robots(request: Request) -> Response {
    for_readers(&request, || reply::text(StatusCode::OK, ROBOTS))
}

/// The built-in app as this agent serves it.
#[derive(Clone)]
struct App {
    page: Bytes,
    /// None: the operator has one.
    policy: Option<HeaderValue>,
}

impl App {
    fn new(identity: &Identity, path: &str) -> Self {
        let page = PAGE
            .replace("{path}", &escaped(path))
            .replace("{datacenter}", &escaped(&identity.datacenter))
            .replace("{version}", &escaped(&identity.version))
            .replace("{style}", STYLE)
            .replace("{script}", SCRIPT);
        let mut headers = identity.policy.response_headers.iter();
        let is_said = headers.any(|(name, _)| name.eq_ignore_ascii_case("content-security-policy"));
        Self { page: Bytes::from(page), policy: (!is_said).then(content_security_policy) }
    }

    fn response(&self) -> Response {
        let mut response = reply::file("text/html; charset=utf-8", self.page.clone());
        if let Some(policy) = self.policy.clone() {
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}

fn content_security_policy() -> HeaderValue {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE),
    );
    HeaderValue::from_str(&policy).expect("visible ASCII")
}

/// As text inside of an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
