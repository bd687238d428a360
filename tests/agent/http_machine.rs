//! What an agent says of itself and its machine: `host`, `metrics`, `monitor`, in the shapes of Consul
//! 1.9.8.

use std::pin::pin;
use std::task::Poll;

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::Request;
use proconsul::base::WallTime;
use proconsul::base::log_tap::{LogLine, WAITING_MAX};
use proconsul::base::runtime::Level;
use proconsul::http::{Backend, Identity, router};
use serde_json::Value;
use tower_service::Service;

use crate::http_cli::shell;
use crate::http_operator::answer;
use crate::http_pipe::World;
use crate::http_store::{StoreBackend, now, settle};

fn agent() -> StoreBackend {
    StoreBackend::new(Identity::server("node1"))
}

fn json(answer: (u16, String)) -> Value {
    assert_eq!(answer.0, 200, "{}", answer.1);
    serde_json::from_str(&answer.1).expect("JSON")
}

fn line(level: Level, text: &str) -> LogLine {
    let at = WallTime(1_704_207_845_678_000_000);
    LogLine { at, level, module: "agent.server".to_owned(), text: text.to_owned() }
}

#[test]
fn host_has_the_shape_of_gopsutil() {
    let host = json(answer(&router(&agent()), "GET /v1/agent/host"));
    assert_eq!(host["Memory"]["total"], 8000);
    assert_eq!(
        (&host["Memory"]["used"], &host["Memory"]["usedPercent"]),
        (&2000.into(), &25.into())
    );
    assert_eq!((&host["Host"]["hostname"], &host["Errors"]), (&"box".into(), &Value::Null));
    assert!(host["CPU"].is_array() && host["Disk"].is_object() && host["CollectionTime"].is_i64());
}

#[test]
fn requests_are_timed_under_both_names() {
    let router = router(&agent());
    for line in ["GET /v1/kv/a", "GET /v1/kv/b", "GET /v1/status/leader", "BREW /v1/kv/a"] {
        answer(&router, line);
    }
    let metrics = json(answer(&router, "GET /v1/agent/metrics"));
    assert_eq!(metrics["Timestamp"], "2020-09-13 12:26:40 +0000 UTC");
    assert_eq!(metrics["Points"], Value::Array(Vec::new()));
    let samples = metrics["Samples"].as_array().expect("a list");
    let names: Vec<(&str, u64)> = samples
        .iter()
        .map(|it| (it["Name"].as_str().expect("a name"), it["Count"].as_u64().expect("a count")))
        .collect();
    let expected = [
        ("consul.api.http", 2),
        ("consul.api.http", 1),
        ("consul.http.GET.v1.kv._", 2),
        ("consul.http.GET.v1.status.leader", 1),
    ];
    assert_eq!(names, expected);
    assert_eq!(samples[0]["Labels"]["path"], "v1_kv_");
    let keys: Vec<&String> = samples[0].as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["Count", "Labels", "Max", "Mean", "Min", "Name", "Rate", "Stddev", "Sum"]);
    let refused = "Prometheus is not enabled since its retention time is not positive";
    let prometheus = answer(&router, "GET /v1/agent/metrics?format=prometheus");
    assert_eq!(prometheus, (415, refused.to_owned()));
}

#[test]
fn monitor_streams_lines_and_loses_those_that_nobody_reads() {
    let backend = agent();
    let mut router = router(&backend);
    let request = Request::get("/v1/agent/monitor?loglevel=warn").body(Body::empty());
    let response = now(Service::call(&mut router, request.expect("valid")));
    let response = response.unwrap_or_else(|never| match never {});
    assert_eq!(response.status(), 200);
    let taps = backend.log_taps();
    taps.publish(&line(Level::Info, "not asked for"));
    taps.publish(&line(Level::Warn, "first"));
    let mut body = response.into_body();
    let frame = now(body.frame()).expect("a piece").expect("no error");
    let text = frame.into_data().expect("data");
    assert_eq!(text, "2024-01-02T15:04:05.678Z [WARN]  agent.server: first\n");
    for number in 0..2 * WAITING_MAX {
        taps.publish(&line(Level::Error, &number.to_string()));
    }
    let mut read = 0;
    while let Poll::Ready(Some(Ok(_))) = settle(&mut pin!(body.frame())) {
        read += 1;
    }
    assert_eq!(read, WAITING_MAX);
    drop(body);
    assert!(!taps.has_listeners());
    let unknown = answer(&router, "GET /v1/agent/monitor?loglevel=loud");
    assert_eq!(unknown, (400, "Bad request: Unknown log level: loud".to_owned()));
}

#[test]
fn the_command_says_why_it_cannot_begin() {
    let world = World::default();
    world.serve(router(&agent()));
    let (code, out, err) = shell(&world, &["monitor", "-log-level=loud"], "");
    let why = "Error starting monitor: Unexpected response code: 400 (Bad request: Unknown log level: loud)\n";
    assert_eq!((code, out.as_str(), err.as_str()), (1, "", why));
}
