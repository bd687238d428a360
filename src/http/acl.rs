//! `/v1/acl/`: there are no ACLs, and every endpoint of theirs says so (spec api 1.3).

use axum::Router;
use axum::response::Response;
use hyper::StatusCode;

use crate::http::Backend;
use crate::http::endpoint::{Call, route};
use crate::http::reply::Refusal;

/// The endpoints of Consul 1.9.8; those that end in a slash go on with a name.
const ENDPOINTS: &[(&str, &[&str])] = &[
    ("auth-method", &["PUT"]),
    ("auth-method/", &["GET", "PUT", "DELETE"]),
    ("auth-methods", &["GET"]),
    ("binding-rule", &["PUT"]),
    ("binding-rule/", &["GET", "PUT", "DELETE"]),
    ("binding-rules", &["GET"]),
    ("bootstrap", &["PUT"]),
    ("clone/", &["PUT"]),
    ("create", &["PUT"]),
    ("destroy/", &["PUT"]),
    ("info/", &["GET"]),
    ("list", &["GET"]),
    ("login", &["POST"]),
    ("logout", &["POST"]),
    ("policies", &["GET"]),
    ("policy", &["PUT"]),
    ("policy/", &["GET", "PUT", "DELETE"]),
    ("replication", &["GET"]),
    ("role", &["PUT"]),
    ("role/", &["GET", "PUT", "DELETE"]),
    ("roles", &["GET"]),
    ("rules/translate", &["POST"]),
    ("rules/translate/", &["GET"]),
    ("token", &["PUT"]),
    ("token/", &["GET", "PUT", "DELETE"]),
    ("tokens", &["GET"]),
    ("update", &["PUT"]),
];

pub(super) fn routes<B: Backend>(backend: &B) -> Router {
    ENDPOINTS.iter().fold(Router::new(), |router, (name, methods)| {
        let path = format!("/v1/acl/{name}");
        let router = match path.ends_with('/') {
            true => router.route(&format!("{path}{{*name}}"), route(backend, methods, disabled)),
            false => router,
        };
        router.route(&path, route(backend, methods, disabled))
    })
}

async fn disabled<B: Backend>(_: Call<B>) -> Result<Response, Refusal> {
    Err(Refusal::new(StatusCode::UNAUTHORIZED, "ACL support disabled"))
}
