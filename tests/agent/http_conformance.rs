//! What Consul 1.9.8 answered to the same requests (`tests/data/conformance`, recorded), asked of the
//! router over an in-memory store. Indexes are compared by their order and relation to the body, as
//! the recordings have them: `i1`, `i2` by rank; `idx! body= prev:up` for the header.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt;
use hyper::Request;
use proconsul::base::Network;
use proconsul::http::{Identity, Policy, router};
use serde_json::{Map, Value, json};
use tower_service::Service;

use crate::http_store::{StoreBackend, now, settle};

type Pending = Pin<Box<dyn Future<Output = Response>>>;

#[test]
fn kv_answers_as_recorded() {
    run(include_str!("../data/conformance/kv.json"), 80);
}

#[test]
fn paths_methods_and_status_answer_as_recorded() {
    run(include_str!("../data/conformance/http.json"), 18);
}

#[test]
fn catalog_and_health_answer_as_recorded() {
    run(include_str!("../data/conformance/catalog.json"), 80);
}

fn run(recorded: &str, at_least: usize) {
    let recorded: Value = serde_json::from_str(recorded).expect("the recordings are JSON");
    let cases = recorded["cases"].as_array().expect("a list of cases");
    assert!(cases.len() >= at_least, "only {} cases", cases.len());
    for case in cases {
        Case::new(case).run(case);
    }
}

struct Case {
    name: String,
    backend: StoreBackend,
    router: Router,
    variables: BTreeMap<String, String>,
    background: BTreeMap<String, Pending>,
    last_index: BTreeMap<String, u64>,
}

/// A step's answer, before indexes have ranks.
struct Outcome {
    want: Value,
    got: Value,
    step: usize,
}

impl Case {
    fn new(case: &Value) -> Self {
        let mut identity = Identity { dev: true, ..Identity::server("node1") };
        if let Some(limit) = case["config"]["limits"]["kv_max_value_size"].as_u64() {
            identity.kv_max_value_size = limit;
        }
        identity.policy = policy(&case["config"]["http_config"]);
        let backend = StoreBackend::new(identity);
        Self {
            name: format!("{}/{}", case["group"], case["id"]),
            router: router(&backend),
            backend,
            variables: BTreeMap::new(),
            background: BTreeMap::new(),
            last_index: BTreeMap::new(),
        }
    }

    fn run(mut self, case: &Value) {
        for step in case["setup"].as_array().into_iter().flatten() {
            let request = self.request(step);
            assert_eq!(now(self.send(request)).status(), 200, "{}: setup", self.name);
        }
        let mut outcomes = Vec::new();
        let mut seen = BTreeSet::new();
        for (number, step) in case["steps"].as_array().expect("steps").iter().enumerate() {
            let Some(response) = self.answer(step) else { continue };
            let got = self.shape(step, response, &mut seen);
            outcomes.push(Outcome { want: step["got"].clone(), got, step: number + 1 });
        }
        let ranks: Vec<u64> = seen.into_iter().collect();
        for mut outcome in outcomes {
            label(&mut outcome.got, &ranks);
            let mut want = without_notes(outcome.want);
            line_up(&mut want, &mut outcome.got);
            assert_eq!(outcome.got, want, "{} step {}", self.name, outcome.step);
        }
    }

    /// The response to a step, or none for one that goes on in the background.
    fn answer(&mut self, step: &Value) -> Option<Response> {
        let mut pending = match step["join"].as_str() {
            Some(name) => self.background.remove(name).expect("started before"),
            None => {
                let request = self.request(step);
                self.send(request)
            }
        };
        let early = settle(&mut pending);
        if let Some(name) = step["bg"].as_str() {
            assert!(early.is_pending(), "{}: {name} does not block", self.name);
            self.background.insert(name.to_owned(), pending);
            return None;
        }
        // Who was recorded to wait out its time must not be woken; who was not, must.
        if let Some(lowest_ms) = step["elapsed_ms"][0].as_u64() {
            assert_eq!(early.is_pending(), lowest_ms >= 900, "{}: waiting", self.name);
        }
        Some(match early {
            Poll::Ready(response) => response,
            Poll::Pending => {
                self.backend.shared().expired = true;
                let response = now(pending);
                self.backend.shared().expired = false;
                response
            }
        })
    }

    fn send(&self, request: Request<Body>) -> Pending {
        let mut router = self.router.clone();
        Box::pin(async move { router.call(request).await.expect("the router does not fail") })
    }

    fn request(&self, step: &Value) -> Request<Body> {
        let line = self.substitute(step["http"].as_str().expect("an HTTP step"));
        let (method, target) = line.split_once(' ').expect("METHOD PATH");
        let body = match (step["body"].as_str(), step["body_b64"].as_str()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (_, Some(encoded)) => STANDARD.decode(encoded).expect("base64"),
            _ if step["json"].is_object() => step["json"].to_string().into_bytes(),
            _ => match step["body_repeat"].as_array() {
                Some(parts) => {
                    let times = parts[1].as_u64().expect("a count") as usize;
                    parts[0].as_str().expect("a text").repeat(times).into_bytes()
                }
                None => Vec::new(),
            },
        };
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in step["headers"].as_object().into_iter().flatten() {
            request = request.header(name, value.as_str().expect("a header's value"));
        }
        request.body(Body::from(body)).expect("a valid request")
    }

    /// `${name}` and `${name+N}`.
    fn substitute(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.variables {
            text = text.replace(&format!("${{{name}}}"), value);
            if let Ok(number) = value.parse::<u64>() {
                for more in [1, 100, 1000] {
                    let sum = (number + more).to_string();
                    text = text.replace(&format!("${{{name}+{more}}}"), &sum);
                }
            }
        }
        text
    }

    fn shape(&mut self, step: &Value, response: Response, seen: &mut BTreeSet<u64>) -> Value {
        let (parts, body) = response.into_parts();
        let bytes = now(body.collect()).expect("a body").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("recorded bodies are text");
        let header =
            |name: &str| parts.headers.get(name).map(|v| v.to_str().expect("ASCII").to_owned());
        let media = header("content-type").map(|t| t.split(';').next().unwrap_or("").to_owned());
        let is_json =
            media.as_deref() == Some("application/json") && step["raw_text"] != json!(true);
        let body = match step["loose"] == json!(true) {
            true => json!(
                text.split_once(": ").map_or(text.clone(), |(head, _)| format!("{head}: <more>"))
            ),
            false if is_json => serde_json::from_str(&text).expect("JSON"),
            false => Value::String(text.clone()),
        };
        collect(&body, seen);
        let mut headers = Map::new();
        if let Some(media) = media.filter(|_| !text.is_empty()) {
            headers.insert("content-type".to_owned(), json!(media));
        }
        if let Some(index) = header("x-consul-index") {
            self.save(step, &index, &body);
            let shaped = self.shape_index(step, &index, &body);
            headers.insert("x-consul-index".to_owned(), json!(shaped));
        }
        let also = step["also_headers"].as_array().into_iter().flatten();
        let also = also.map(|name| name.as_str().expect("a name"));
        let always = [
            "x-consul-knownleader",
            "x-consul-lastcontact",
            "x-consul-effective-consistency",
            "x-cache",
            "location",
        ];
        if header("age").is_some() {
            headers.insert("age".to_owned(), json!("<number>"));
        }
        for name in always.into_iter().chain(also) {
            if let Some(value) = header(name) {
                headers.insert(name.to_owned(), json!(value));
            } else if name == "content-length" {
                headers.insert(name.to_owned(), json!(text.len().to_string()));
            }
        }
        if let Some(allow) = header("allow") {
            let mut methods: Vec<&str> = allow.split(',').collect();
            methods.sort_unstable();
            headers.insert("allow".to_owned(), json!(methods));
        }
        json!({"status": parts.status.as_u16(), "body": body, "headers": headers})
    }

    fn save(&mut self, step: &Value, index: &str, body: &Value) {
        for (name, path) in step["save"].as_object().into_iter().flatten() {
            let value = match path.as_str() {
                Some("header.x-consul-index") => index.to_owned(),
                _ => body[0]["ModifyIndex"].to_string(),
            };
            self.variables.insert(name.clone(), value);
        }
    }

    fn shape_index(&mut self, step: &Value, index: &str, body: &Value) -> String {
        let number: u64 = index.parse().expect("a number");
        let mut within = BTreeSet::new();
        collect(body, &mut within);
        let against_body = match within.last() {
            None => "none",
            Some(top) if number == *top => "=",
            Some(top) if number > *top => ">",
            Some(_) => "<",
        };
        let asked = step["endpoint"].as_str().or(step["http"].as_str()).expect("an endpoint");
        let (path, query) = asked.split_once('?').unwrap_or((asked, ""));
        let passing = ["index", "wait", "stale", "consistent", "cached"];
        let kept: Vec<&str> = query
            .split('&')
            .filter(|part| !passing.contains(&part.split('=').next().unwrap_or_default()))
            .collect();
        let key = format!("{path}?{}", kept.join("&"));
        let before = self.last_index.insert(key, number);
        let against_before = match before {
            None => "first",
            Some(before) if number == before => "same",
            Some(before) if number > before => "up",
            Some(_) => "down",
        };
        let one = if number == 1 { "=1" } else { "" };
        format!("idx!{one} body{against_body} prev:{against_before}")
    }
}

/// All CreateIndex and ModifyIndex values in a body.
fn collect(body: &Value, into: &mut BTreeSet<u64>) {
    for entry in body.as_array().into_iter().flatten() {
        collect(entry, into);
    }
    for (name, value) in body.as_object().into_iter().flatten() {
        match name.as_str() {
            "CreateIndex" | "ModifyIndex" => into.extend(value.as_u64()),
            _ => collect(value, into),
        }
    }
}

/// Replaces them by their rank.
fn label(got: &mut Value, ranks: &[u64]) {
    for entry in got.as_array_mut().into_iter().flatten() {
        label(entry, ranks);
    }
    for (name, value) in got.as_object_mut().into_iter().flatten() {
        let rank = value.as_u64().and_then(|number| ranks.binary_search(&number).ok());
        match (name.as_str(), rank) {
            ("CreateIndex" | "ModifyIndex", Some(rank)) => *value = json!(format!("i{}", rank + 1)),
            _ => label(value, ranks),
        }
    }
}

/// Brings both into one form where the recording leaves something open: the order of sets, and indexes
/// that were not compared.
fn line_up(want: &mut Value, got: &mut Value) {
    if let (Some(set), Some(rows)) = (want.get("set").and_then(Value::as_array), got.as_array_mut())
    {
        let mut set = set.clone();
        set.sort_by_key(name_of);
        rows.sort_by_key(name_of);
        *want = Value::Array(set);
    }
    if let (Some(wanted), Some(rows)) = (want.as_array_mut(), got.as_array_mut()) {
        wanted.iter_mut().zip(rows).for_each(|(want, got)| line_up(want, got));
    }
    let (Some(wanted), Some(fields)) = (want.as_object_mut(), got.as_object_mut()) else { return };
    wanted.remove("__modified__");
    for (name, want) in wanted {
        let Some(got) = fields.get_mut(name) else { continue };
        match (want.as_str(), got.as_str()) {
            (Some("<index>"), Some(_)) => *got = want.clone(),
            (Some("<nonempty>"), Some(text)) if !text.is_empty() => *got = want.clone(),
            (Some(wanted), Some(shaped)) if wanted.starts_with("idx") && !wanted.contains('!') => {
                *want = json!(wanted.replace("=1", ""));
                *got = json!(shaped.replace('!', "").replace("=1", ""));
            }
            _ => line_up(want, got),
        }
    }
}

/// What a row of a set is known by.
fn name_of(row: &Value) -> String {
    let names = ["Node", "ServiceID", "CheckID", "ID", "Name"];
    let own = names.iter().map(|name| row[*name].as_str().unwrap_or_default());
    let of_node = row["Node"]["Node"].as_str().unwrap_or_default();
    format!("{of_node} {} {}", own.collect::<Vec<_>>().join(" "), row.as_str().unwrap_or_default())
}

/// `http_config` of a case.
fn policy(config: &Value) -> Policy {
    let texts = |name: &str| -> Vec<String> {
        let all = config[name].as_array().into_iter().flatten();
        all.filter_map(|it| it.as_str().map(str::to_owned)).collect()
    };
    let headers = config["response_headers"].as_object().into_iter().flatten();
    let networks = texts("allow_write_http_from");
    Policy {
        response_headers: headers
            .map(|(name, value)| (name.clone(), value.as_str().expect("a text").to_owned()))
            .collect(),
        block_endpoints: texts("block_endpoints"),
        allow_write_from: networks
            .iter()
            .map(|it| Network::parse(it).expect("a network"))
            .collect(),
    }
}

/// The recorded answer without what says how it was compared, and with this store's server port.
fn without_notes(want: Value) -> Value {
    let text = want.to_string().replace("<server_port>", "8300");
    let mut want: Value = serde_json::from_str(&text).expect("still JSON");
    let fields = want.as_object_mut().expect("an object");
    fields.remove("elapsed");
    fields.remove("loose");
    want
}
