//! `/v1/agent/metrics` (spec api 2.2): the figures of the last ten seconds, in the shape of go-metrics.
//!
//! Gauges are what is true now: this process's memory and tasks. The text form for Prometheus is refused:
//! Consul keeps what it needs only with `telemetry.prometheus_retention_time`, which is not a key here.

use axum::response::Response;
use hyper::StatusCode;
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

/// GET.
pub(super) async fn handle<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    if call.params.get("format") == "prometheus" {
        let text = "Prometheus is not enabled since its retention time is not positive";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let (usage, node) = (call.backend.usage(), &call.identity().node_name);
    let gauge = |name: &str, value: u64| GaugeJson {
        name: format!("consul.{node}.runtime.{name}"),
        value: value as f64,
        labels: Labels::new(),
    };
    let gauges = vec![gauge("num_goroutines", usage.tasks), gauge("sys_bytes", usage.memory_bytes)];
    let summary = call.backend.metrics().summary(call.backend.wall_clock());
    Ok(call.json(&MetricsJson {
        timestamp: Utc::from(summary.at).go_seconds().to_string(),
        gauges,
        points: [],
        counters: summary.counters.into_iter().map(SampleJson::from).collect(),
        samples: summary.samples.into_iter().map(SampleJson::from).collect(),
    }))
}
