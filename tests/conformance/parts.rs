//! Checks of the runner's parts: what is recorded can be read, clients and targets speak HTTP, and
//! strays are found.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::agent::Ports;
use crate::cases::{Kind, Step, load};
use crate::dns::{Message, Question, Record};
use crate::dns_shape::{self, Mode};
use crate::harness::Arguments;
use crate::http::Request;
use crate::known::{self, DRAWN};
use crate::processes::{self, meanwhile};
use crate::recursor::Recursor;
use crate::rules::{Rules, reduce};
use crate::shape::Shape;
use crate::streams;
use crate::targets::Targets;
use crate::tree::Tree;
use crate::variables::{Variables, holds, lookup, regex};

pub const CHECKS: &[(&str, fn())] = checks![
    recorded_groups_can_be_read,
    lists_name_cases,
    a_known_difference_has_a_reason,
    a_step_with_an_unknown_key_is_refused,
    arguments_choose_tests,
    paths_and_variables,
    what_until_waits_for,
    json_keeps_its_order,
    floats_have_nine_digits,
    sets_have_the_recorders_order,
    tables_and_keys_of_commands,
    bodies_in_chunks_and_cut_ones,
    targets_answer,
    the_recursor_answers,
    what_is_compared_of_records,
    malformed_answers_are_errors,
    strays_are_found_by_their_folder,
];

const PATIENCE: Duration = Duration::from_secs(20);

fn tree(json: &str) -> Tree {
    serde_json::from_str(json).expect("JSON")
}

/// Every step can be read, and every rule can be applied.
fn recorded_groups_can_be_read() {
    let groups = load().expect("the recorded groups");
    let rules = Rules::load().expect("the rules");
    rules.text.iter().for_each(|(pattern, _)| drop(regex(pattern)));
    let mut steps = 0;
    for group in &groups {
        for case in &group.cases {
            for json in &case.steps {
                let step = Step::read(json).expect("a step");
                let endpoint = rules.of(&step, step.endpoint());
                assert!(endpoint.kind(&["nowhere".to_owned()]).is_none());
                // Indexes are compared with each other (`normalise`); all other kinds reduce a value.
                let kinds = step.norm.values().filter(|kind| *kind != "index");
                kinds.for_each(|kind| drop(reduce(&json!(""), kind)));
                assert!(step.got.is_object(), "{}/{}: no answer", group.name, case.id);
                steps += 1;
            }
        }
    }
    assert!(groups.len() >= 46 && steps >= 1400, "{} groups, {steps} steps", groups.len());
}

fn lists_name_cases() {
    let groups = load().expect("the recorded groups");
    let mut names = BTreeSet::new();
    for group in &groups {
        for case in &group.cases {
            assert!(names.insert(format!("{}/{}", group.name, case.id)), "twice: {}", case.id);
        }
    }
    let known = known::load().expect("the known differences");
    let drawn = DRAWN.map(|(name, _)| name);
    for name in known.keys().map(String::as_str).chain(drawn) {
        assert!(names.contains(name), "no case has the name {name}");
    }
}

fn a_known_difference_has_a_reason() {
    let known = known::parse("# a list\n\ng/c  # not built\n").expect("a list");
    assert_eq!(known, BTreeMap::from([("g/c".to_owned(), "not built".to_owned())]));
    for wrong in ["g/c", "g/c  # ", "g/c # not built", "g/c  # one\ng/c  # two"] {
        assert!(known::parse(wrong).is_err(), "{wrong}");
    }
}

fn a_step_with_an_unknown_key_is_refused() {
    let read = |json: &str| Step::read(&tree(json));
    assert!(read(r#"{"http": "GET /", "until": {"status": 200}}"#).is_ok());
    for wrong in [
        r#"{"http": "GET /", "timeout": 1}"#,
        r#"{"http": "GET /", "type": "SRV"}"#,
        r#"{"http": "GET /", "sleep": 1}"#,
        r#"{"until": {"status": 200}}"#,
        r#"{"http": 1}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    let dns = read(r#"{"dns": "web.service.consul", "type": "SRV"}"#).expect("a DNS step");
    assert_eq!(dns.kind(), Kind::Dns("web.service.consul".to_owned()));
}

fn arguments_choose_tests() {
    let takes = |words: &str, group: &str, id: &str| {
        Arguments::read(words.split_whitespace().map(str::to_owned)).takes_case(group, id)
    };
    assert!(takes("", "kv-cas", "create"));
    assert!(takes("kv", "kv-cas", "create"));
    assert!(takes("kv-cas --exact", "kv-cas", "create"));
    assert!(!takes("kv --exact", "kv-cas", "create"));
    assert!(takes("kv-cas/create", "kv-cas", "create"));
    assert!(!takes("kv-cas/create", "kv-cas", "delete"));
    assert!(!takes("--skip kv", "kv-cas", "create"));
    assert!(!takes("--skip=kv-cas/create kv", "kv-cas", "create"));
    assert!(takes("--nocapture --test-threads=1 kv", "kv-cas", "create"));
    assert!(!takes("--ignored", "kv-cas", "create"));
    assert!(!takes("--format terse --color always status", "kv-cas", "create"));
}

fn paths_and_variables() {
    let body = json!({"body": [{"Checks": [{"ID": "a.b"}]}], "text": "äö", "m": {"k:1": 2}});
    assert_eq!(lookup(&body, "body[0].Checks[0].ID"), Some(json!("a.b")));
    assert_eq!(lookup(&body, "body[0].Checks.#"), Some(json!(1)));
    assert_eq!(lookup(&body, "text.#"), Some(json!(2)));
    assert_eq!(lookup(&body, "m[\"k:1\"]"), Some(json!(2)));
    assert_eq!(lookup(&body, "body[1].Checks"), None);
    let mut variables = Variables::default();
    variables.set("idx", "41".to_owned());
    let fill = |json: &str| variables.fill(&tree(json)).map(|filled| filled.to_string());
    assert_eq!(
        fill(r#"{"a": ["x${idx+1}y${idx}", "$int{idx-1}"]}"#),
        Ok(r#"{"a": ["x42y41", 40]}"#.to_owned())
    );
    assert_eq!(fill(r#""${match(1)}""#), Ok(r#""${match(1)}""#.to_owned()));
    assert_eq!(fill(r#""${gone}""#), Err("variable gone was not captured".to_owned()));
}

fn what_until_waits_for() {
    let passes = |got: serde_json::Value, want: serde_json::Value| holds(Some(&got), &want);
    assert!(passes(json!(3), json!({"ge": 3})) && !passes(json!(3), json!({"gt": 3})));
    assert!(!passes(json!("3"), json!({"ge": 3})));
    assert!(passes(json!("abc"), json!({"has": "b"})) && !holds(None, &json!({"has": "b"})));
    assert!(passes(json!("a"), json!({"not": ""})) && !passes(json!(""), json!({"not": ""})));
    assert!(passes(json!({"a": 1}), json!({"a": 1})) && !passes(json!(true), json!("true")));
}

fn json_keeps_its_order() {
    let written =
        r#"{"b": 1, "a": [1, {"z": null, "y": "ä\n"}], "c": {}, "d": 18446744073709551615}"#;
    assert_eq!(tree(written).to_string(), written);
    let step = Step::read(&tree(r#"{"http": "PUT /v1/kv/j", "json": {"b": 1, "a": 2}}"#));
    assert_eq!(step.expect("a step").json.as_deref(), Some(r#"{"b": 1, "a": 2}"#));
    let null = Step::read(&tree(r#"{"http": "PUT /v1/kv/j", "json": null}"#));
    assert_eq!(null.expect("a step").json.as_deref(), Some("null"));
}

fn floats_have_nine_digits() {
    let numbers =
        json!([0, 0.0, 1.5, 0.1, 100, 1e-5, 1.5e-7, 123456789012_u64, 0.123456789012, -2.50]);
    let wanted = json!([
        "0",
        "0",
        "1.5",
        "0.1",
        "100",
        "1e-05",
        "1.5e-07",
        "1.23456789e+11",
        "0.123456789",
        "-2.5"
    ]);
    assert_eq!(reduce(&numbers, "floats"), Some(wanted));
}

/// That of the JSON text in ASCII: a space comes before a quote, `\u00e4` before `a`; UUIDs are alike.
fn sets_have_the_recorders_order() {
    let first = json!({"ID": "ffffffff-0000-4000-8000-00000000000a", "N": 1});
    let second = json!({"ID": "00000000-0000-4000-8000-00000000000a", "N": 2});
    let items = [second.clone(), json!("b"), json!("a"), first.clone(), json!("a b"), json!("ä")];
    let set = Shape::Set(items.into_iter().map(Shape::Plain).collect());
    let wanted = json!({"set": ["ä", "a b", "a", "b", first, second]});
    assert_eq!(set.ordered(&BTreeSet::new()), wanted);
}

fn tables_and_keys_of_commands() {
    let shape = |text: &str, mode: &str| {
        streams::shape(text, mode, &str::to_owned).ordered(&BTreeSet::new())
    };
    assert_eq!(
        shape("Node   Address\nn1     a\nlong2  b\n", "table"),
        json!({"header": ["Node", "Address"], "aligned": true, "rows": {"set": [["long2", "b"], ["n1", "a"]]}})
    );
    assert_eq!(shape("Node  Address\nnode1x b\n", "table")["aligned"], json!(false));
    let keys = json!({"agent": ["a", "b"], "build": []});
    assert_eq!(shape("agent:\n\ta = 1\n\tb = 2\nbuild:\n", "keys"), keys);
    assert_eq!(shape("a  \nb\n\n", "exact"), json!(["a", "b"]));
    assert_eq!(shape("", "exact"), json!([]));
    assert_eq!(shape("\n", "nonempty"), json!(""));
    assert_eq!(
        shape("Usage: x\n\n  -b\n  -a=1\n", "usage"),
        json!({"usage": "Usage: x", "flags": ["-a", "-b"]})
    );
    let banner = json!({"first": "==> Starting", "labels": ["Version", "Node ID"]});
    assert_eq!(shape("==> Starting\n  Version: 'x'\n  Node ID: 'y'\n\nlog", "banner"), banner);
}

/// A server that answers one request so.
fn canned(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    meanwhile(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = [0; 1024];
        let _ = stream.read(&mut request);
        stream.write_all(answer).expect("a client that reads");
    });
    port
}

fn bodies_in_chunks_and_cut_ones() {
    let get = |answer| Request::get(canned(answer), "/", PATIENCE).send();
    let chunked = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\n\
        Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    let response = get(chunked).expect("an answer");
    assert_eq!((response.status, response.body.as_slice()), (200, b"abcde".as_slice()));
    assert_eq!(response.headers["x-a"], "2");
    let told = |answer| get(answer).expect_err("not an answer");
    assert_eq!(told(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"), "IncompleteRead");
    assert_eq!(told(b"hello\r\n\r\n"), "BadStatusLine");
    assert_eq!(told(b""), "RemoteDisconnected");
    let until_the_end = get(b"HTTP/1.0 500 No\r\n\r\nabc").expect("an answer");
    assert_eq!((until_the_end.status, until_the_end.body.as_slice()), (500, b"abc".as_slice()));
}

fn targets_answer() {
    let ports = Ports::free().expect("ports");
    let targets = Targets::open(ports.get("web")).expect("a listener");
    let get = |path: &str| {
        let response = Request::get(ports.get("web"), path, PATIENCE).send().expect("an answer");
        (response.status, String::from_utf8(response.body).expect("a text"))
    };
    assert_eq!(get("/ok"), (200, "fine\n".to_owned()));
    assert_eq!(get("/warn").0, 429);
    assert_eq!(
        ["/switch-off", "/switch", "/switch-on", "/switch"].map(|path| get(path).0),
        [200, 500, 200, 200]
    );
    assert_eq!(["/ok-then-fail"; 3].map(|path| get(path).0), [200, 500, 500]);
    assert_eq!(["/fail-then-ok"; 3].map(|path| get(path).0), [500, 200, 200]);
    assert_eq!(targets.calls("/switch").len(), 2);
    assert_eq!(
        get("/header").1,
        format!("X-Probe=None Host=127.0.0.1:{} UA=None Accept=None", ports.get("web"))
    );
}

fn question(name: &str, over_tcp: bool) -> Question {
    let (name, kind, class) = (name.to_owned(), "A".to_owned(), "IN".to_owned());
    let (edns, subnet) = (Some(1232), Some("10.1.2.0/24".to_owned()));
    let (recursion_desired, opcode) = (true, 0);
    Question { name, kind, class, over_tcp, edns, subnet, recursion_desired, opcode }
}

fn the_recursor_answers() {
    let ports = Ports::free().expect("ports");
    let _recursor = Recursor::open(ports.get("rdns")).expect("its sockets");
    let ask = |name: &str, over_tcp| {
        let asked = question(name, over_tcp).ask(ports.get("rdns"), PATIENCE);
        asked.expect("a question").expect("an answer")
    };
    for over_tcp in [false, true] {
        let answer = ask("alias.example.test", over_tcp);
        assert_eq!((answer.rcode.as_str(), answer.trailing_bytes), ("NOERROR", 0));
        assert_eq!(answer.flags, ["qr", "aa", "rd", "ra"]);
        let records: Vec<(&str, &str)> =
            answer.answer.iter().map(|it| (it.name.as_str(), it.data.as_str())).collect();
        let wanted = [
            ("alias.example.test.", "target.example.test."),
            ("target.example.test.", "192.0.2.98"),
        ];
        assert_eq!(records, wanted);
        assert_eq!(ask("nx.a", over_tcp).rcode, "NXDOMAIN");
        assert_eq!(ask("Refused.a", over_tcp).rcode, "REFUSED");
    }
}

fn what_is_compared_of_records() {
    let record = |name: &str, kind: &str, data: &str| Record {
        name: name.to_owned(),
        ttl_s: 0,
        class: "IN".to_owned(),
        kind: kind.to_owned(),
        data: data.to_owned(),
    };
    let answer = vec![
        record("web.service.consul.", "SRV", "1 1 8001 m1.node.dc1.consul."),
        record("web.service.consul.", "SRV", "1 1 8002 m2.node.dc1.consul."),
        record("m1.node.dc1.consul.", "A", "10.0.0.1"),
    ];
    let words = dns_shape::words("m1 m2 8001 8002 10.0.0.1");
    let message = Message { answer, ..Message::default() };
    let shaped = |records| {
        let mut out = BTreeMap::new();
        let mode = Mode { records, max_size: None, text: &str::to_owned, words: &words };
        mode.put(&message, &mut out);
        Shape::Object(out).ordered(&BTreeSet::new())["answer"].clone()
    };
    let kinds = json!([
        "mN.node.dc1.consul. 0 IN A N.N.N.N",
        "web.service.consul. 0 IN SRV 1 1 N mN.node.dc1.consul."
    ]);
    assert_eq!(shaped("kinds"), kinds);
    assert_eq!(shaped("counts"), json!({"count": 3, "different": 3, "kinds": kinds}));
    assert_eq!(shaped("ordered")[2], json!("m1.node.dc1.consul. 0 IN A 10.0.0.1"));
}

fn malformed_answers_are_errors() {
    let head = [0, 1, 0x81, 0x80, 0, 0, 0, 1, 0, 0, 0, 0];
    let with = |rest: &[u8]| Message::decode(&[&head[..], rest].concat()).map(|it| it.answer.len());
    assert_eq!(with(&[0, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 1]), Ok(1));
    assert_eq!(with(&[0, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0]), Err("IndexError".to_owned()));
    // A pointer to itself.
    assert_eq!(with(&[0xC0, 12, 0, 1]), Err("DnsError".to_owned()));
    assert!(Message::decode(&[]).is_err());
    for length in 0..head.len() {
        assert!(Message::decode(&head[..length]).is_err(), "{length}");
    }
}

/// What works below a folder is ended with it, whoever started it.
fn strays_are_found_by_their_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stray = Command::new("sleep")
        .arg("60")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .spawn()
        .expect("the command sleep");
    processes::sweep(folder.path());
    let ended = processes::wait(&mut stray, PATIENCE);
    processes::kill(&mut stray);
    assert!(ended.is_some_and(|status| !status.success()), "{ended:?}");
}
