//! `/ui/` (spec api 8.1): one page that shows nodes and services. It is not Consul's UI, which is a program
//! of its own; it needs nothing but this API.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};

use crate::http::reply;
use crate::http::{Backend, endpoint};

const PAGE: &str = include_str!("page.html");

/// The page and the way to it, when the UI is on; else what an agent without one says.
pub(super) fn routes<B: Backend>(backend: &B) -> Router {
    if !backend.identity().ui {
        return Router::new().route("/", any(endpoint::root));
    }
    Router::new()
        .route("/", any(to_page))
        .route("/ui", any(to_page))
        .route("/ui/", any(page))
        .route("/ui/{*rest}", any(page))
}

async fn to_page(request: Request) -> Response {
    let mut response = match *request.method() {
        Method::GET => reply::html("<a href=\"/ui/\">Moved Permanently</a>.\n\n"),
        _ => reply::empty(StatusCode::OK),
    };
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("/ui/"));
    response
}

async fn page(request: Request) -> Response {
    match *request.method() {
        Method::GET => reply::html(PAGE),
        // hyper leaves the body out.
        Method::HEAD => {
            let mut response = reply::empty(StatusCode::OK);
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, html);
            response
        }
        _ => reply::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"),
    }
}
