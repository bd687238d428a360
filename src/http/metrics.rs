//! `/v1/agent/metrics` (spec api 2.2): the figures of the last ten seconds, in the shape of go-metrics.
//!
//! Gauges are what is true now: this process's memory and tasks. With `telemetry.prometheus_retention_time`
//! there is the text form for Prometheus, too, of everything since the process began; without it, 415.

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::Serialize;

use crate::base::calendar::Utc;
use crate::base::metrics::{Aggregate, Labels};
use crate::http::Backend;
use crate::http::endpoint::Call;
use crate::http::reply::Refusal;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetricsJson {
    timestamp: String,
    gauges: Vec<GaugeJson>,
    points: [(); 0],
    counters: Vec<SampleJson>,
    samples: Vec<SampleJson>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GaugeJson {
    name: String,
    value: f64,
    labels: Labels,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SampleJson {
    name: String,
    count: u64,
    rate: f64,
    sum: f64,
    min: f64,
    max: f64,
    mean: f64,
    stddev: f64,
    labels: Labels,
}

impl From<(String, Labels, Aggregate)> for SampleJson {
    fn from((name, labels, it): (String, Labels, Aggregate)) -> Self {
        Self {
            name,
            count: it.count,
            rate: it.rate(),
            sum: it.sum,
            min: it.min,
            max: it.max,
            mean: it.mean(),
            stddev: it.deviation(),
            labels,
        }
    }
}

/// The text form of Prometheus that this is.
const PROMETHEUS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// GET.
pub(super) async fn handle<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let (usage, now) = (call.backend.usage(), call.backend.wall_clock());
    let gauges = [
        ("runtime.num_goroutines", usage.tasks as f64),
        ("runtime.sys_bytes", usage.memory_bytes as f64),
    ];
    let metrics = call.backend.metrics();
    if call.params.get("format") == "prometheus" || asks_for_text(&call) {
        let Some(text) = metrics.prometheus(now, &gauges) else {
            let text = "Prometheus is not enabled since its retention time is not positive";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        };
        let mut response = Response::new(Body::from(text));
        response.headers_mut().insert(CONTENT_TYPE, PROMETHEUS);
        return Ok(response);
    }
    let gauges = metrics.gauges(&gauges).into_iter();
    let gauge = |(name, value)| GaugeJson { name, value, labels: Labels::new() };
    let summary = metrics.summary(now);
    Ok(call.json(&MetricsJson {
        timestamp: Utc::from(summary.at).go_seconds().to_string(),
        gauges: gauges.map(gauge).collect(),
        points: [],
        counters: summary.counters.into_iter().map(SampleJson::from).collect(),
        samples: summary.samples.into_iter().map(SampleJson::from).collect(),
    }))
}

/// Whether the header `Accept` names a form of Prometheus.
fn asks_for_text<B: Backend>(call: &Call<B>) -> bool {
    let accept = call.headers.get(ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        match parts.next() {
            Some("application/openmetrics-text") => true,
            Some("text/plain") => parts.any(|it| it == "version=0.4.0" || it == "version=0.0.4"),
            _ => false,
        }
    })
}
