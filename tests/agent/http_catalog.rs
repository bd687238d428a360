//! What the recordings of the catalog leave open: distances, kept answers, who may write, an unreachable
//! leader.

use axum::Router;
use axum::body::Body;
use hyper::Request;
use proconsul::agent::{Failure, ReadMode};
use proconsul::base::{Duration, Network, WebUi};
use proconsul::http::{Identity, Policy, router};
use tower_service::Service;

use crate::http_operator::{answer, answer_to};
use crate::http_store::{StoreBackend, now};

/// An agent whose catalog has these nodes, each with an instance of `web`.
fn agent(identity: Identity, nodes: &[&str]) -> (StoreBackend, Router) {
    let backend = StoreBackend::new(identity);
    let router = router(&backend);
    for node in nodes {
        let body = format!(
            r#"{{"Node":"{node}","Address":"10.0.0.1","Service":{{"Service":"web"}},"Check":{{"Name":"c","Status":"passing"}}}}"#
        );
        let put = "PUT /v1/catalog/register";
        assert_eq!(answer_to(&router, put, &body), (200, "true".to_owned()), "{node}");
    }
    (backend, router)
}

fn names(text: &str) -> Vec<String> {
    let rows: Vec<serde_json::Value> = serde_json::from_str(text).expect("a list");
    let name = |row: &serde_json::Value| {
        let node = if row["Node"].is_object() { &row["Node"]["Node"] } else { &row["Node"] };
        node.as_str().expect("a name").to_owned()
    };
    rows.iter().map(name).collect()
}

/// Status and headers.
fn headers(router: &Router, line: &str) -> (u16, hyper::HeaderMap) {
    let (method, target) = line.split_once(' ').expect("METHOD PATH");
    let request = Request::builder().method(method).uri(target);
    let request = request.body(Body::empty()).expect("a valid request");
    let response = now(router.clone().call(request)).expect("the router does not fail");
    (response.status().as_u16(), response.headers().clone())
}

#[test]
fn rows_come_in_the_order_of_their_distance() {
    let (_, router) = agent(Identity::server("B"), &["a", "b", "c", "d", "e"]);
    for (node, seconds) in [("b", 0.0), ("c", 0.3), ("e", 0.1)] {
        let body = format!(
            r#"{{"Node":"{node}","Coord":{{"Vec":[{seconds},0,0,0,0,0,0,0],"Error":1.5,"Adjustment":0,"Height":1e-05}}}}"#
        );
        assert_eq!(answer_to(&router, "PUT /v1/coordinate/update", &body).0, 200);
    }
    for (near, order) in [
        ("b", "b e c a d"),
        ("C", "c e b a d"),
        // This agent, whatever the case of its name.
        ("_agent", "b e c a d"),
        // Where these are nobody knows.
        ("a", "a b c d e"),
        ("ghost", "a b c d e"),
    ] {
        for target in
            ["catalog/nodes?", "catalog/service/web?", "health/service/web?", "health/state/any?"]
        {
            let (status, text) = answer(&router, &format!("GET /v1/{target}near={near}"));
            assert_eq!((status, names(&text).join(" ")), (200, order.to_owned()), "{target}{near}");
        }
    }
}

#[test]
fn a_kept_answer_counts_when_no_other_can_be_had() {
    let (backend, router) = agent(Identity::server("n1"), &["a"]);
    let asked = "GET /v1/health/service/web?cached";
    let cache = |headers: &hyper::HeaderMap| {
        let text = |name: &str| headers.get(name).map(|it| it.to_str().expect("text").to_owned());
        (text("x-cache"), text("age"))
    };
    let hit = (Some("HIT".to_owned()), Some("0".to_owned()));
    assert_eq!(cache(&headers(&router, asked).1), (Some("MISS".to_owned()), None));
    assert_eq!(cache(&headers(&router, asked).1), hit);
    assert_eq!(backend.shared().last_read.clone().map(|it| it.mode), Some(ReadMode::Stale));
    // Kept by question: another one is not answered by it.
    let tagged = "GET /v1/health/service/web?cached&tag=x";
    assert_eq!(cache(&headers(&router, tagged).1).0.as_deref(), Some("MISS"));
    backend.shared().failure = Some(Failure::NoServers);
    assert_eq!(cache(&headers(&router, asked).1), hit);
    assert_eq!(headers(&router, "GET /v1/health/service/web").0, 500);
    assert_eq!(headers(&router, "GET /v1/health/service/other?cached").0, 500);
}

#[test]
fn discovery_may_go_to_any_server() {
    let discovery_max_stale = Duration::from_secs(5);
    let identity = Identity { discovery_max_stale, ..Identity::server("n1") };
    let (backend, router) = agent(identity, &["a"]);
    for (target, mode, word) in [
        ("catalog/nodes", ReadMode::Stale, "stale"),
        ("health/state/any", ReadMode::Stale, "stale"),
        ("catalog/nodes?leader", ReadMode::Default, "leader"),
        ("catalog/nodes?consistent", ReadMode::Consistent, "consistent"),
    ] {
        let (status, headers) = headers(&router, &format!("GET /v1/{target}"));
        assert_eq!(
            (status, &headers["x-consul-effective-consistency"]),
            (200, &word.parse().expect("a value"))
        );
        assert_eq!(backend.shared().last_read.clone().map(|it| it.mode), Some(mode), "{target}");
    }
    assert_eq!(headers(&router, "GET /v1/kv/a").0, 404);
    let last = backend.shared().last_read.clone();
    assert_eq!(last.map(|it| it.mode), Some(ReadMode::Default));
}

#[test]
fn the_operator_says_who_may_write() {
    let allow_write_from = vec![Network::parse("10.0.0.0/8").expect("a network")];
    let response_headers = vec![("X-Extra".to_owned(), "yes".to_owned())];
    let policy = Policy { allow_write_from, response_headers, ..Policy::default() };
    let (_, router) =
        agent(Identity { policy, ui: Some(WebUi::default()), ..Identity::server("n1") }, &[]);
    // Who asks is not known here: nobody who may write.
    let put = "PUT /v1/catalog/deregister";
    assert_eq!(answer_to(&router, put, "{}"), (403, "Access is restricted".to_owned()));
    assert_eq!(answer(&router, "GET /v1/catalog/nodes"), (200, "[]".to_owned()));
    for line in ["GET /v1/catalog/nodes", "GET /nowhere", "GET /ui/", "GET /"] {
        assert_eq!(headers(&router, line).1["x-extra"], "yes", "{line}");
    }
}

#[test]
fn bodies_are_refused_in_words() {
    let (_, router) = agent(Identity::server("n1"), &[]);
    let long = format!(r#"{{"Node":"{}"}}"#, "x".repeat(2 << 20));
    for (body, status, text) in [
        ("", 400, "Request decode failed: EOF"),
        (
            "[]",
            400,
            "Request decode failed: json: cannot unmarshal array into Go value of type RegisterRequest",
        ),
        (r#"{"Colour":1}"#, 400, "Request decode failed: json: unknown field \"Colour\""),
        (
            r#"{"Node":1}"#,
            400,
            "Request decode failed: json: cannot unmarshal number into Go struct field RegisterRequest.Node of type string",
        ),
        (
            r#"{"Node":"n","Address":"a","Check":{"Definition":{"Interval":"x"}}}"#,
            400,
            "Request decode failed: time: invalid duration \"x\"",
        ),
        (
            r#"{"Node":"n","Address":"a","Check":{"Name":"c","Definition":{"Timeout":""}}}"#,
            400,
            "Request decode failed: time: invalid duration \"\"",
        ),
        ("{}", 500, "Must provide node"),
        (r#"{"Node":"n","Datacenter":"far"}"#, 500, "No path to datacenter"),
        (
            long.as_str(),
            400,
            "Request decode failed: body of 2097163 bytes too large, max size: 1048576 bytes",
        ),
        (
            r#"{"Node":"n","Address":"a","Service":{"Service":"s","Colour":1}}"#,
            400,
            "Request decode failed: json: unknown field \"Colour\"",
        ),
        (
            r#"{"Node":"n","Address":"a","Service":{"Service":"s","Namespace":"team"}}"#,
            400,
            "Request decode failed: json: unknown field \"Namespace\"",
        ),
        (
            r#"{"Node":"n","Address":"a","Checks":[{"Name":"c","ExposedPort":1}]}"#,
            400,
            "Request decode failed: json: unknown field \"ExposedPort\"",
        ),
        // What later releases say more of a check's definition is read over.
        (
            r#"{"Node":"n","Address":"a","Check":{"Name":"c","Definition":{"UDP":"x"}}}"#,
            200,
            "true",
        ),
        // A port is a number, as it is for the agent.
        (r#"{"Node":"n","Address":"a","Service":{"Service":"s","Port":-3}}"#, 200, "true"),
    ] {
        let got = answer_to(&router, "PUT /v1/catalog/register", body);
        assert_eq!(got, (status, text.to_owned()), "{:.80}", body);
    }
}

#[test]
fn writes_refuse_namespaces() {
    let (_, router) = agent(Identity::server("n1"), &[]);
    let text =
        "Bad request: Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise feature";
    for path in ["catalog/register", "catalog/deregister", "session/create", "session/destroy/x"] {
        let got = answer_to(&router, &format!("PUT /v1/{path}?ns=team"), "{}");
        assert_eq!(got, (400, text.to_owned()), "{path}");
    }
}
