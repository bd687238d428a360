//! An agent's own services and checks over HTTP: what bodies become, what is refused in which words, and
//! the shapes of answers, as Consul 1.9.8 gave them (recorded). Behind the router is a fixed state that
//! writes down what it is asked.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use http_body_util::BodyExt;
use hyper::Request as HttpRequest;
use proconsul::agent::{
    CheckRegistration, CheckType, Failure, LocalCheck, LocalReply, LocalRequest, Reply, Request,
    ServiceRegistration, validate,
};
use proconsul::base::log_tap::LogTaps;
use proconsul::base::machine::{Machine, Usage};
use proconsul::base::metrics::Metrics;
use proconsul::base::{Duration, Instant, WallTime};
use proconsul::gossip::JoinReport;
use proconsul::http::agent::{check_of_json, service_of_json};
use proconsul::http::{Backend, Identity, router};
use proconsul::state::{CheckDefinition, HealthCheck, NodeService, ServiceAddress, Weights};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tower_service::Service;

use crate::http_store::now;

#[derive(Clone)]
struct Fixed {
    asked: Arc<Mutex<Vec<LocalRequest>>>,
    identity: Arc<Identity>,
    metrics: Metrics,
    taps: LogTaps,
}

impl Fixed {
    fn new() -> Self {
        Self {
            asked: Arc::default(),
            identity: Arc::new(Identity::server("node1")),
            metrics: Metrics::default(),
            taps: LogTaps::default(),
        }
    }

    fn last(&self) -> Option<LocalRequest> {
        self.asked.lock().expect("nobody panics while holding it").last().cloned()
    }
}

/// `ok` passes, `warn` warns, `m1` and `m2` are instances of `mix`, of which one is in maintenance.
fn services() -> Vec<NodeService> {
    let instance = |id: &str, name: &str| NodeService {
        id: id.to_owned(),
        service: name.to_owned(),
        ..NodeService::default()
    };
    let mut ok = instance("ok", "web");
    ok.tags = vec!["a".to_owned()];
    ok.port = (-1_i64).cast_unsigned();
    ok.address = "10.0.0.5".to_owned();
    validate::complete(&mut ok);
    vec![ok, instance("warn", "web2"), instance("m1", "mix"), instance("m2", "mix")]
}

fn checks() -> Vec<HealthCheck> {
    let check = |id: &str, service: &str, status: &str| HealthCheck {
        node: "node1".to_owned(),
        check_id: id.to_owned(),
        name: "a check".to_owned(),
        status: status.to_owned(),
        output: "<fine>".to_owned(),
        service_id: service.to_owned(),
        kind: "ttl".to_owned(),
        ..HealthCheck::default()
    };
    vec![
        check("service:ok", "ok", "passing"),
        check("service:warn", "warn", "warning"),
        check("service:m1", "m1", "passing"),
        check("_service_maintenance:m2", "m2", "critical"),
    ]
}

impl Backend for Fixed {
    async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        let Request::Local(request) = request else {
            return Err(Failure::Refused("only the local state is here".to_owned()));
        };
        let reply = match &*request {
            LocalRequest::Services => {
                LocalReply::Services(services().into_iter().map(|it| (it.id.clone(), it)).collect())
            }
            LocalRequest::Service { id, .. } => {
                let found = services().into_iter().find(|it| it.id == *id);
                LocalReply::Service(found.map(|it| Box::new((it, "00ff".to_owned()))))
            }
            LocalRequest::Checks => LocalReply::Checks(
                checks()
                    .into_iter()
                    .map(|check| {
                        let registered = CheckType::default();
                        (check.check_id.clone(), LocalCheck { check, registered })
                    })
                    .collect(),
            ),
            LocalRequest::ServiceMaintenance { id, .. } if id == "ghost" => {
                LocalReply::NotFound("No service registered with ID \"ghost\"".to_owned())
            }
            LocalRequest::UpdateTtl { id, .. } if id == "ghost" => {
                let text = "CheckID \"ghost\" does not have associated TTL";
                return Err(Failure::Refused(text.to_owned()));
            }
            _ => LocalReply::Done,
        };
        self.asked.lock().expect("nobody panics while holding it").push(*request);
        Ok(Reply::Local(Box::new(reply)))
    }

    async fn join(&self, _: Vec<String>, _: bool) -> Result<JoinReport, Failure> {
        Ok(JoinReport::default())
    }

    fn jitter(&self, max: Duration) -> Duration {
        max
    }

    fn now(&self) -> Instant {
        Instant::ZERO
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn machine(&self) -> Machine {
        Machine::default()
    }

    fn log_taps(&self) -> &LogTaps {
        &self.taps
    }

    fn wall_clock(&self) -> WallTime {
        WallTime(0)
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// Status, the reason header or else the hash, and the body.
fn send(backend: &Fixed, line: &str, body: &str) -> (u16, String, String) {
    let (method, path) = line.split_once(' ').expect("METHOD PATH");
    let request = HttpRequest::builder().method(method).uri(path);
    let request = request.body(Body::from(body.to_owned())).expect("well-formed");
    let response = now(Box::pin(router(backend).call(request))).expect("infallible");
    let status = response.status().as_u16();
    let header = ["x-consul-reason", "x-consul-contenthash"]
        .into_iter()
        .find_map(|name| response.headers().get(name))
        .map_or("", |value| value.to_str().expect("text"))
        .to_owned();
    let bytes = now(Box::pin(response.into_body().collect())).expect("memory").to_bytes();
    (status, header, String::from_utf8(bytes.to_vec()).expect("text"))
}

fn refused(line: &str, body: &str, status: u16, text: &str) {
    let backend = Fixed::new();
    let (got, _, said) = send(&backend, line, body);
    assert_eq!((got, said.as_str()), (status, text), "{line} {body}");
    assert_eq!(backend.last(), None, "{line} {body}");
}

#[test]
fn services_are_refused_in_consuls_words() {
    let long = format!(r#"{{"Name":"web","Meta":{{"k":"{}"}}}}"#, "v".repeat(513));
    let too_long = format!(
        "Invalid Service Meta: Couldn't load metadata pair ('k', '{}'): Value is too long (limit: \
         512 characters)",
        "v".repeat(513)
    );
    for (body, text) in [
        ("", "Request decode failed: EOF"),
        ("{}", "Missing service name"),
        ("null", "Missing service name"),
        (r#"{"Name": ""}"#, "Missing service name"),
        (r#"{"Name":"web","Address":"0.0.0.0"}"#, "Invalid service address"),
        (r#"{"Name":"web","Address":"::"}"#, "Invalid service address"),
        (
            r#"{"Name":"web","Colour":"red"}"#,
            "Request decode failed: json: unknown field \"Colour\"",
        ),
        (
            r#"{"Name":"web","Tags":"a"}"#,
            "Request decode failed: json: cannot unmarshal string into Go struct field \
             structs.ServiceDefinition.Tags of type []string",
        ),
        (
            r#"{"Name":"web","Meta":{"a.b":"1"}}"#,
            "Invalid Service Meta: Couldn't load metadata pair ('a.b', '1'): Key contains invalid \
             characters",
        ),
        (
            r#"{"Name":"web","Meta":{"consul-x":"1"}}"#,
            "Invalid Service Meta: Couldn't load metadata pair ('consul-x', '1'): Key prefix \
             'consul-' is reserved for internal use",
        ),
        (&long, &too_long),
        (
            r#"{"Name":"web","Weights":{"Passing":0,"Warning":1}}"#,
            "Invalid Weights: Passing must be greater than 0",
        ),
        (
            r#"{"Name":"web","Weights":{"Passing":-5,"Warning":1}}"#,
            "Invalid Weights: Passing must be greater than 0",
        ),
        (
            r#"{"Name":"web","Weights":{"Passing":65536,"Warning":1}}"#,
            "Invalid Weights: DNS Weight must be between 0 and 65535",
        ),
        (
            r#"{"Name":"web","Check":{"TTL":"10s","Status":"fine"}}"#,
            "Status for checks must 'passing', 'warning', 'critical'",
        ),
        (
            r#"{"Name":"web","Check":{"TTL":"soon"}}"#,
            "Request decode failed: time: invalid duration \"soon\"",
        ),
        (
            r#"{"Name":"web","Check":{"TTL":"-5s"}}"#,
            "Invalid check: TTL must be > 0 for TTL checks",
        ),
        (r#"{"Name":"web","Checks":[{}]}"#, "Invalid check: TTL must be > 0 for TTL checks"),
    ] {
        refused("PUT /v1/agent/service/register", body, 400, text);
    }
}

#[test]
fn checks_are_refused_in_consuls_words() {
    for (body, text) in [
        ("{}", "Missing check name"),
        (
            r#"{"CheckID":"job-1","Name":"job","TTL":"30s"}"#,
            "Request decode failed: json: unknown field \"CheckID\"",
        ),
        (r#"{"Name":"x"}"#, "Invalid check: TTL must be > 0 for TTL checks"),
        (
            r#"{"Name":"x","HTTP":"http://127.0.0.1:1/"}"#,
            "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks",
        ),
        (r#"{"Name":"x","TTL":"-5s"}"#, "Invalid check: TTL must be > 0 for TTL checks"),
        (r#"{"Name":"x","TTL":"30s","Status":"maintenance"}"#, "Bad check status"),
        (
            r#"{"Name":"x","TTL":"1s","Interval":"1s"}"#,
            "Invalid check: Interval and TTL cannot both be specified",
        ),
        (
            r#"{"Name":"x","AliasNode":"n","TTL":"1s"}"#,
            "Invalid check: TTL must be not be set for Alias checks",
        ),
        (
            r#"{"Name":"x","AliasNode":"n","TCP":"a:1","Interval":"1s"}"#,
            "Invalid check: Interval cannot be set for Alias checks",
        ),
        (
            r#"{"Name":"x","TTL":"1s","OutputMaxSize":-1}"#,
            "Invalid check: MaxOutputMaxSize must be positive",
        ),
    ] {
        refused("PUT /v1/agent/check/register", body, 400, text);
    }
}

#[test]
fn what_is_missing_in_path_and_parameters_is_named() {
    for (line, status, text) in [
        ("PUT /v1/agent/service/deregister/", 500, "ServiceID missing"),
        ("PUT /v1/agent/check/deregister/", 500, "CheckID missing"),
        ("PUT /v1/agent/check/update/", 400, "Request decode failed: EOF"),
        ("PUT /v1/agent/maintenance", 400, "Missing value for enable"),
        ("PUT /v1/agent/maintenance?enable=x", 400, "Invalid value for enable: \"x\""),
        ("PUT /v1/agent/service/maintenance/?enable=true", 400, "Missing service ID"),
        ("PUT /v1/agent/service/maintenance/web", 400, "Missing value for enable"),
        ("PUT /v1/agent/token/default", 401, "ACL support disabled"),
        ("GET /v1/agent/health/service/id/", 500, "Bad request: Missing serviceID"),
        ("GET /v1/agent/health/service/name/", 500, "Bad request: Missing service Name"),
        ("GET /v1/agent/maintenance?enable=true", 405, "method GET not allowed"),
        ("POST /v1/agent/service/register", 405, "method POST not allowed"),
        ("GET /v1/agent/service/ok?wait=x", 400, "Invalid wait time"),
        (
            "GET /v1/agent/services?ns=team",
            400,
            "Bad request: Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise feature",
        ),
    ] {
        refused(line, "", status, text);
    }
    let body = r#"{"Status": "fine"}"#;
    refused("PUT /v1/agent/check/update/job", body, 400, "Invalid check status: 'fine'");
}

#[test]
fn requests_say_what_was_asked() {
    let backend = Fixed::new();
    let enable = true;
    let text = str::to_owned;
    for (line, body, asked) in [
        (
            "PUT /v1/agent/service/deregister/x%2Fy%20z",
            "",
            LocalRequest::DeregisterService { id: text("x/y z") },
        ),
        ("PUT /v1/agent/check/deregister/a", "", LocalRequest::DeregisterCheck { id: text("a") }),
        (
            "PUT /v1/agent/check/pass/service:web?note=all%20good",
            "",
            LocalRequest::UpdateTtl {
                id: text("service:web"),
                status: text("passing"),
                output: text("all good"),
            },
        ),
        (
            "PUT /v1/agent/check/update/",
            r#"{"status": "warning", "output": "hm"} and more"#,
            LocalRequest::UpdateTtl { id: text(""), status: text("warning"), output: text("hm") },
        ),
        (
            "PUT /v1/agent/maintenance?enable=true&reason=why",
            "",
            LocalRequest::NodeMaintenance { enable, reason: text("why") },
        ),
        (
            "PUT /v1/agent/service/maintenance/web?enable=1",
            "",
            LocalRequest::ServiceMaintenance { id: text("web"), enable, reason: text("") },
        ),
        (
            "GET /v1/agent/service/ok?hash=ab&wait=16s",
            "",
            LocalRequest::Service {
                id: text("ok"),
                hash: text("ab"),
                max_wait: Duration::from_secs(17),
            },
        ),
    ] {
        assert_eq!(send(&backend, line, body).0, 200, "{line}");
        assert_eq!(backend.last(), Some(asked), "{line}");
    }
    let said = send(&backend, "PUT /v1/agent/service/maintenance/ghost?enable=true", "");
    assert_eq!((said.0, &*said.2), (404, "No service registered with ID \"ghost\""));
    let said = send(&backend, "PUT /v1/agent/check/fail/ghost", "");
    assert_eq!((said.0, &*said.2), (500, "CheckID \"ghost\" does not have associated TTL"));
}

#[test]
fn existing_checks_are_replaced_on_demand() {
    for (query, replaces) in [("", false), ("=", true), ("=true", true), ("=1", false)] {
        let backend = Fixed::new();
        let line = match query {
            "" => "PUT /v1/agent/service/register".to_owned(),
            _ => format!("PUT /v1/agent/service/register?replace-existing-checks{query}"),
        };
        send(&backend, &line, r#"{"Name": "web"}"#);
        let Some(LocalRequest::RegisterService(asked)) = backend.last() else { panic!("{line}") };
        assert_eq!(asked.replace_existing_checks, replaces, "{line}");
    }
}

#[test]
fn services_have_consuls_shape() {
    let backend = Fixed::new();
    let filter = "filter=Service%20%3D%3D%20web";
    let (status, _, body) = send(&backend, &format!("GET /v1/agent/services?{filter}"), "");
    let shape = r#""ID":"ok","Service":"web","Tags":["a"],"Meta":{},"Port":-1,"Address":"10.0.0.5","TaggedAddresses":{"lan_ipv4":{"Address":"10.0.0.5","Port":-1},"wan_ipv4":{"Address":"10.0.0.5","Port":-1}},"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false"#;
    assert_eq!((status, body), (200, format!(r#"{{"ok":{{{shape},"Datacenter":"dc1"}}}}"#)));
    let (status, hash, body) = send(&backend, "GET /v1/agent/service/ok", "");
    assert_eq!((status, hash.as_str()), (200, "00ff"));
    assert_eq!(body, format!(r#"{{{shape},"ContentHash":"00ff","Datacenter":"dc1"}}"#));
    let (status, _, body) = send(&backend, "GET /v1/agent/service/ghost", "");
    assert_eq!((status, body.as_str()), (404, "unknown service ID: ghost"));
}

#[test]
fn checks_have_consuls_shape() {
    let line = "GET /v1/agent/checks?filter=CheckID%20%3D%3D%20%22service:ok%22";
    let (status, _, body) = send(&Fixed::new(), line, "");
    let shape = r#"{"service:ok":{"Node":"node1","CheckID":"service:ok","Name":"a check","Status":"passing","Notes":"","Output":"\u003cfine\u003e","ServiceID":"ok","ServiceName":"","ServiceTags":[],"Type":"ttl","Definition":{},"CreateIndex":0,"ModifyIndex":0}}"#;
    assert_eq!((status, body.as_str()), (200, shape));
}

#[test]
fn health_says_the_worst_by_its_status_code() {
    let backend = Fixed::new();
    for (path, status, reason, text) in [
        ("id/ok", 200, "passing", "passing"),
        ("id/warn", 429, "warning", "warning"),
        ("id/m2", 503, "maintenance", "maintenance"),
        ("id/ghost", 404, "ServiceId ghost not found", "\"ServiceId ghost not found\""),
        ("name/web", 200, "passing", "passing"),
        ("name/mix", 503, "maintenance", "maintenance"),
        ("name/ghost", 404, "ServiceName ghost Not Found", "ServiceName ghost Not Found"),
    ] {
        let line = format!("GET /v1/agent/health/service/{path}");
        let (got, why, body) = send(&backend, &format!("{line}?format=text"), "");
        assert_eq!((got, why.as_str(), body.as_str()), (status, reason, text), "{path}");
        let (got, why, _) = send(&backend, &line, "");
        assert_eq!((got, why.as_str()), (status, reason), "{path}");
    }
    let (_, _, body) = send(&backend, "GET /v1/agent/health/service/id/ghost", "");
    assert_eq!(body, r#"{"AggregatedStatus":"critical","Service":null,"Checks":null}"#);
    let (_, _, body) = send(&backend, "GET /v1/agent/health/service/id/warn", "");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(
        body["Checks"],
        json!([{
            "CheckID": "service:warn", "CreateIndex": 0, "ModifyIndex": 0, "Name": "a check",
            "Node": "node1", "Notes": "", "Output": "<fine>", "ServiceID": "warn",
            "ServiceName": "", "ServiceTags": null, "Status": "warning", "Type": "",
            "Definition": {
                "Body": "", "DeregisterCriticalServiceAfter": "0s", "HTTP": "", "Header": null,
                "Interval": "0s", "Method": "", "TCP": "", "TLSSkipVerify": false, "Timeout": "0s"
            }
        }])
    );
    let (_, _, body) = send(&backend, "GET /v1/agent/health/service/name/ghost", "");
    assert_eq!(body, "[]");
}

/// Every field of a service and of a check in it.
fn whole_service() -> ServiceRegistration {
    let address = |address: &str, port| ServiceAddress { address: address.to_owned(), port };
    let mut service = NodeService {
        id: "web-1".to_owned(),
        service: "web".to_owned(),
        tags: vec!["v1".to_owned()],
        address: "10.0.0.5".to_owned(),
        port: 8080,
        weights: Weights { passing: 10, warning: 2 },
        enable_tag_override: true,
        ..NodeService::default()
    };
    service.meta.insert("env".to_owned(), "qa".to_owned());
    for (network, at) in [
        ("wan", address("198.18.0.1", 80)),
        ("lan_ipv4", address("10.0.0.5", 8080)),
        ("wan_ipv4", address("10.0.0.5", 8080)),
    ] {
        service.tagged_addresses.insert(network.to_owned(), at);
    }
    let http = CheckDefinition {
        http: "http://127.0.0.1/".to_owned(),
        header: [("X".to_owned(), vec!["a".to_owned(), "b".to_owned()])].into(),
        method: "PUT".to_owned(),
        interval: Duration::from_secs(10),
        timeout: Duration::from_millis(1500),
        tls_skip_verify: true,
        output_max_size: 100,
        deregister_critical_service_after: Duration::from_secs(60),
        ..CheckDefinition::default()
    };
    let script = CheckDefinition {
        script_args: vec!["/bin/true".to_owned()],
        docker_container_id: "abc".to_owned(),
        interval: Duration::from_secs(1),
        ..CheckDefinition::default()
    };
    let checks = vec![
        CheckType {
            check_id: "c1".to_owned(),
            name: "first".to_owned(),
            status: "passing".to_owned(),
            notes: "why".to_owned(),
            definition: http,
            success_before_passing: 2,
            failures_before_critical: 3,
        },
        CheckType { definition: script, ..CheckType::default() },
    ];
    ServiceRegistration { service, checks, token: "t".to_owned(), ..ServiceRegistration::default() }
}

const CAMEL: &str = r#"{"ID": "web-1", "Name": "web", "Tags": ["v1"], "Address": "10.0.0.5", "Port": 8080,
    "Meta": {"env": "qa"}, "TaggedAddresses": {"wan": {"Address": "198.18.0.1", "Port": 80}},
    "EnableTagOverride": true, "Weights": {"Passing": 10, "Warning": 2}, "Token": "t",
    "Check": {"CheckID": "c1", "Name": "first", "Status": "passing", "Notes": "why",
        "HTTP": "http://127.0.0.1/", "Header": {"X": ["a", "b"]}, "Method": "PUT", "Interval": "10s",
        "Timeout": 1500000000, "TLSSkipVerify": true, "OutputMaxSize": 100, "SuccessBeforePassing": 2,
        "FailuresBeforeCritical": 3, "DeregisterCriticalServiceAfter": "1m"},
    "Checks": [{"ScriptArgs": ["/bin/true"], "DockerContainerID": "abc", "Interval": "1s"}],
    "Proxy": null, "Connect": {}}"#;
const SNAKE: &str = r#"{"id": "web-1", "name": "web", "tags": ["v1"], "address": "10.0.0.5", "port": 8080,
    "meta": {"env": "qa"}, "tagged_addresses": {"wan": {"address": "198.18.0.1", "port": 80}},
    "enable_tag_override": true, "weights": {"passing": 10, "warning": 2}, "token": "t",
    "check": {"checkid": "c1", "name": "first", "status": "passing", "notes": "why",
        "http": "http://127.0.0.1/", "header": {"X": ["a", "b"]}, "method": "PUT", "interval": "10s",
        "timeout": "1.5s", "tls_skip_verify": true, "outputmaxsize": 100, "successbeforepassing": 2,
        "failuresbeforecritical": 3, "deregister_critical_service_after": "60s", "service_id": "x"},
    "checks": [{"args": ["/bin/true"], "docker_container_id": "abc", "interval": 1000000000.5}]}"#;

#[test]
fn every_field_is_read_in_both_spellings() {
    for text in [CAMEL, SNAKE] {
        assert_eq!(service_of_json(text.as_bytes()), Ok(whole_service()));
    }
    let text = r#"{"name": "job", "service_id": "web", "ttl": "30s", "script_args": [null]}"#;
    let check = CheckType {
        check_id: "job".to_owned(),
        name: "job".to_owned(),
        definition: CheckDefinition {
            ttl: Duration::from_secs(30),
            script_args: vec![String::new()],
            ..CheckDefinition::default()
        },
        ..CheckType::default()
    };
    let want =
        CheckRegistration { service_id: "web".to_owned(), check, ..CheckRegistration::default() };
    assert_eq!(check_of_json(text.as_bytes()), Ok(want));
}

#[test]
fn an_empty_check_is_skipped_and_one_with_an_empty_list_is_not() {
    let none = service_of_json(br#"{"Name": "web", "Check": {}, "Checks": null}"#);
    assert!(none.expect("valid").checks.is_empty());
    let one = service_of_json(br#"{"Name": "web", "Checks": [null]}"#).expect("valid");
    assert!(validate::service(&one).is_err());
}

/// What holds of every text: it is read without a panic, and what is read is complete.
pub fn promises(text: &[u8]) -> String {
    let service = service_of_json(text).and_then(|it| {
        let mut again = it.service.clone();
        validate::complete(&mut again);
        assert_eq!(again, it.service, "completing twice changes nothing");
        validate::service(&it)
    });
    let check = check_of_json(text).and_then(|it| validate::check(&it));
    if let Err(text) = service.as_ref().and(check.as_ref()) {
        return text.split(['"', '(', '\'']).next().unwrap_or_default().chars().take(80).collect();
    }
    "valid".to_owned()
}

/// JSON with the fields of definitions at any place.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
        prop_oneof![Just("10s"), Just("-1s"), Just("passing"), Just("::1"), Just("web")]
            .prop_map(Value::from),
    ];
    let name = prop_oneof![
        8 => prop::sample::select(vec![
            "Name", "ID", "Check", "checks", "TTL", "Interval", "Header", "Meta", "Weights", "Port",
            "TaggedAddresses", "Address", "Passing", "Args", "OutputMaxSize", "Tags", "Connect",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_makes_the_decoder_panic(value in any_json()) {
        promises(value.to_string().as_bytes());
    }
}
