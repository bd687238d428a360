//! Proof that the runner can fail: one session, altered in one place at a time.
//!
//! The session passes as it stands. Each alteration must be told, at its place and in these words; each
//! of the differences that do not count must not. Nothing is started here.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cases::{Group, Step};
use crate::compare::differences;
use crate::http::Response;
use crate::normalise::{Facts, Normaliser};
use crate::rules::Rules;
use crate::steps::{Answer, Got};

pub const CHECKS: &[(&str, fn())] = checks![
    the_session_passes,
    alterations_are_told,
    harmless_differences_are_not,
    an_index_may_be_coarser_but_not_wrong,
    indexes_count_as_the_group_says,
];

const ID: &str = "3f0a4b5c-0000-4000-8000-00000000000a";

/// What was asked, and what was recorded.
fn session() -> Value {
    let row = |modified: &str| json!([{"Key": "a", "Flags": 0, "Session": null, "CreateIndex": "i1", "ModifyIndex": modified}]);
    let headers = |index: &str| json!({"content-type": "application/json", "x-consul-index": index, "x-consul-knownleader": "true"});
    json!({"group": "g", "cases": [{"id": "c", "about": "a session", "steps": [
        {"http": "GET /v1/kv/a", "got":
            {"status": 200, "headers": headers("idx! body= prev:first"), "body": row("i1")}},
        {"http": "GET /v1/kv/a?index=7", "elapsed_ms": [0, 900], "got":
            {"status": 200, "headers": headers("idx! body= prev:up"), "body": row("i2"), "elapsed": "in range"}},
        {"http": "GET /v1/health/service/web", "got":
            {"status": 200, "headers": headers("idx body> prev:first"), "body":
                {"set": [{"ModifyIndex": "i1", "Node": "n1"}, {"ModifyIndex": "i2", "Node": "n2"}]}}},
        {"http": "GET /v1/health/service/web?wait=1s", "got":
            {"status": 200, "headers": headers("idx body> prev:same"), "body":
                {"set": [{"ModifyIndex": "i1", "Node": "n1"}, {"ModifyIndex": "i2", "Node": "n2"}]}}},
        {"http": "PUT /v1/session/create", "got":
            {"status": 200, "headers": {"content-type": "application/json"}, "body": {"ID": "<uuid1>"}}},
        {"http": "GET /v1/agent/x", "got":
            {"status": 500, "headers": {"content-type": "text/plain"}, "body": "no <uuid1> at <http_port> in <tmp>/f"}},
        {"http": "GET /v1/agent/checks", "got":
            {"status": 200, "headers": {"content-type": "application/json"}, "body": {"c": ["a", "b"], "e": {}}}},
        {"http": "PUT /v1/bad", "loose": true, "got":
            {"status": 400, "headers": {"content-type": "text/plain"}, "body": "Request decode failed: <more>", "loose": true}},
        {"signal": "wait-exit", "got": {"agent_exit": 1}}
    ]}]})
}

/// An answer on its way: its status, headers and body can be altered.
struct Came {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Body,
    elapsed_ms: u64,
}

enum Body {
    Json(Value),
    Text(String),
    /// Not an HTTP answer.
    Exit(i64),
}

impl Came {
    fn json(&mut self) -> &mut Value {
        match &mut self.body {
            Body::Json(value) => value,
            _ => panic!("not an answer in JSON"),
        }
    }

    fn header(&mut self, name: &str, value: &str) {
        self.headers.insert(name.to_owned(), value.to_owned());
    }
}

/// What comes when all is well.
fn came() -> Vec<Came> {
    let came = |status: u16, headers: &[(&str, &str)], body: Body| {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Came { status, headers: headers.collect(), body, elapsed_ms: 100 }
    };
    let json = ("content-type", "application/json");
    let text = ("content-type", "text/plain; charset=utf-8");
    let known = ("x-consul-knownleader", "true");
    let row = |modified: u64| {
        Body::Json(
            json!([{"Key": "a", "Flags": 0, "Session": null, "CreateIndex": 7, "ModifyIndex": modified}]),
        )
    };
    let nodes =
        || Body::Json(json!([{"ModifyIndex": 9, "Node": "n2"}, {"ModifyIndex": 7, "Node": "n1"}]));
    vec![
        came(200, &[json, known, ("x-consul-index", "7"), ("date", "now")], row(7)),
        came(200, &[json, known, ("x-consul-index", "9")], row(9)),
        came(200, &[json, known, ("x-consul-index", "12")], nodes()),
        came(200, &[json, known, ("x-consul-index", "12")], nodes()),
        came(200, &[json], Body::Json(json!({ "ID": ID }))),
        came(500, &[text], Body::Text(format!("no {ID} at 30001 in /tmp/case/f"))),
        came(200, &[json], Body::Json(json!({"c": ["a", "b"], "e": {}}))),
        came(400, &[text], Body::Text("Request decode failed: of something".to_owned())),
        came(0, &[], Body::Exit(1)),
    ]
}

/// All differences that the runner tells between a session and what came.
fn told(session: Value, came: Vec<Came>) -> Vec<String> {
    let group: Group = serde_json::from_str(&session.to_string()).expect("a group");
    let ports = BTreeMap::from([("30001".to_owned(), "http")]);
    let facts = Facts {
        ports,
        folder: "/tmp/case".to_owned(),
        version: "1.9.8".to_owned(),
        node_id: String::new(),
    };
    let steps = group.cases[0].steps.iter().map(|step| Step::read(step).expect("a step"));
    let answers: Vec<(Step, Answer)> = steps.zip(came.into_iter().map(answer)).collect();
    let rules = Rules::load().expect("the rules");
    let normal = Normaliser::new(&rules, &group, &group.cases[0], facts).case(&answers);
    let pairs = answers.iter().zip(&normal).enumerate();
    pairs
        .flat_map(|(number, ((step, _), got))| {
            let lines = differences(&step.got, got).into_iter();
            lines.map(move |line| format!("{} {line}", number + 1))
        })
        .collect()
}

fn answer(came: Came) -> Answer {
    let body = match came.body {
        Body::Exit(code) => {
            let note = json!({ "agent_exit": code });
            let note = note.as_object().cloned().expect("an object");
            return Answer { got: Got::Note(note), ..Answer::default() };
        }
        Body::Json(value) => value.to_string().into_bytes(),
        Body::Text(text) => text.into_bytes(),
    };
    let response = Response { status: came.status, headers: came.headers, body };
    let elapsed = Some(Duration::from_millis(came.elapsed_ms));
    Answer { got: Got::Http(response), elapsed, never: false }
}

fn the_session_passes() {
    assert_eq!(told(session(), came()), Vec::<String>::new());
}

/// One alteration, and what must be told of it.
type Alteration = (fn(&mut Vec<Came>), &'static [&'static str]);

const ALTERATIONS: &[Alteration] = &[
    (|all| all[0].status = 404, &["1 status: want 200 got 404"]),
    (|all| all[8].body = Body::Exit(0), &["9 agent_exit: want 1 got 0"]),
    (
        |all| all[0].header("x-consul-knownleader", "false"),
        &["1 headers.x-consul-knownleader: want \"true\" got \"false\""],
    ),
    (
        |all| drop(all[2].headers.remove("x-consul-knownleader")),
        &["3 headers.x-consul-knownleader: missing, want \"true\""],
    ),
    (
        |all| all[4].header("x-consul-index", "12"),
        &["5 headers.x-consul-index: unexpected \"idx bodynone prev:first\""],
    ),
    (
        |all| all[4].header("content-type", "text/plain"),
        &[
            "5 body: want {\"ID\":\"<uuid1>\"} got \"{\\\"ID\\\":\\\"<uuid1>\\\"}\"",
            "5 headers.content-type: want \"application/json\" got \"text/plain\"",
        ],
    ),
    (|all| all[0].json()[0]["Key"] = json!("b"), &["1 body[0].Key: want \"a\" got \"b\""]),
    (|all| all[0].json()[0]["Flags"] = json!("0"), &["1 body[0].Flags: want 0 got \"0\""]),
    (|all| all[0].json()[0]["Flags"] = json!(0.0), &["1 body[0].Flags: want 0 got 0.0"]),
    (|all| all[0].json()[0]["Session"] = json!(""), &["1 body[0].Session: want null got \"\""]),
    (|all| all[6].json()["e"] = json!(null), &["7 body.e: want {} got null"]),
    (|all| all[6].json()["e"] = json!([]), &["7 body.e: want {} got []"]),
    (
        |all| drop(all[0].json()[0].as_object_mut().and_then(|row| row.remove("Session"))),
        &["1 body[0].Session: missing, want null"],
    ),
    (|all| all[0].json()[0]["More"] = json!(1), &["1 body[0].More: unexpected 1"]),
    (
        |all| all[6].json()["c"] = json!(["b", "a"]),
        &["7 body.c[0]: want \"a\" got \"b\"", "7 body.c[1]: want \"b\" got \"a\""],
    ),
    (|all| all[6].json()["c"] = json!(["a"]), &["7 body.c[1]: missing, want \"b\""]),
    (|all| all[6].json()["c"] = json!(["a", "b", "c"]), &["7 body.c[2]: unexpected \"c\""]),
    (|all| all[2].json()[0]["Node"] = json!("n3"), &["3 body.set[1].Node: want \"n2\" got \"n3\""]),
    (
        |all| *all[2].json() = json!([{"ModifyIndex": 7, "Node": "n1"}]),
        &["3 body.set[1]: missing, want {\"ModifyIndex\":\"i2\",\"Node\":\"n2\"}"],
    ),
    (
        |all| all[5].body = Body::Text(String::new()),
        &[
            "6 body: want \"no <uuid1> at <http_port> in <tmp>/f\" got \"\"",
            "6 headers.content-type: missing, want \"text/plain\"",
        ],
    ),
    (
        |all| {
            all[5].body = Body::Text(format!("no {} at 30001 in /tmp/case/f", ID.replace('3', "4")))
        },
        &[
            "6 body: want \"no <uuid1> at <http_port> in <tmp>/f\" got \"no <uuid2> at <http_port> in <tmp>/f\"",
        ],
    ),
    (
        |all| all[5].body = Body::Text(format!("no {ID} at 30002 in /tmp/case/f")),
        &[
            "6 body: want \"no <uuid1> at <http_port> in <tmp>/f\" got \"no <uuid1> at 30002 in <tmp>/f\"",
        ],
    ),
    (
        |all| all[7].body = Body::Text("Decode failed: x".to_owned()),
        &["8 body: want \"Request decode failed: <more>\" got \"Decode failed: <more>\""],
    ),
    (|all| all[7].status = 500, &["8 status: want 400 got 500"]),
    (|all| all[1].elapsed_ms = 1000, &["2 elapsed: want \"in range\" got \"too late\""]),
    (
        |all| all[1].header("x-consul-index", "7"),
        &["2 headers.x-consul-index: want \"idx! body= prev:up\" got \"idx! body< prev:same\""],
    ),
    (
        |all| all[1].header("x-consul-index", "6"),
        &["2 headers.x-consul-index: want \"idx! body= prev:up\" got \"idx! body< prev:down\""],
    ),
    (
        |all| all[1].header("x-consul-index", "10"),
        &["2 headers.x-consul-index: want \"idx! body= prev:up\" got \"idx! body> prev:up\""],
    ),
    (
        |all| all[3].header("x-consul-index", "11"),
        &["4 headers.x-consul-index: want \"idx body> prev:same\" got \"idx body> prev:down\""],
    ),
    (
        |all| all[2].json()[1]["ModifyIndex"] = json!(8),
        &[
            "2 body[0].ModifyIndex: want \"i2\" got \"i3\"",
            "3 body.set[0].ModifyIndex: want \"i1\" got \"i2\"",
            "3 body.set[1].ModifyIndex: want \"i2\" got \"i3\"",
            "4 body.set[1].ModifyIndex: want \"i2\" got \"i3\"",
        ],
    ),
    (
        |all| all[1].json()[0]["ModifyIndex"] = json!(0),
        &[
            "2 body[0].ModifyIndex: want \"i2\" got 0",
            "2 headers.x-consul-index: want \"idx! body= prev:up\" got \"idx! body> prev:up\"",
        ],
    ),
];

fn alterations_are_told() {
    for (number, (alter, expected)) in ALTERATIONS.iter().enumerate() {
        let mut all = came();
        alter(&mut all);
        assert_eq!(told(session(), all), *expected, "alteration {number}");
    }
    let mut recorded = session();
    recorded["cases"][0]["steps"][8]["got"] = json!({"agent_exit": 1, "until": "never"});
    assert_eq!(told(recorded, came()), ["9 until: missing, want \"never\""]);
}

fn harmless_differences_are_not() {
    let mut all = came();
    all[0].header("date", "tomorrow");
    all[2].json().as_array_mut().expect("a list").reverse();
    all[7].body = Body::Text("Request decode failed: of something else".to_owned());
    assert_eq!(told(session(), all), Vec::<String>::new());
    // Other values of indexes, in the same order.
    let mut all = came();
    for (at, index) in [(1, "40"), (2, "50"), (3, "50")] {
        all[at].header("x-consul-index", index);
    }
    all[1].json()[0]["ModifyIndex"] = json!(40);
    all[2].json()[0]["ModifyIndex"] = json!(40);
    all[3].json()[0]["ModifyIndex"] = json!(40);
    assert_eq!(told(session(), all), Vec::<String>::new());
}

fn an_index_may_be_coarser_but_not_wrong() {
    let same = |want: &str, got: &str| differences(&json!(want), &json!(got)).is_empty();
    assert!(same("idx body> prev:same", "idx body> prev:up"), "moves when nothing changed");
    assert!(same("idx body= prev:up", "idx body> prev:up"), "is greater than the body's");
    assert!(same("idx body> prev:up", "idx body= prev:up"));
    assert!(same("idx=1 bodynone prev:first", "idx bodynone prev:first"));
    assert!(
        !same("idx bodynone prev:first", "idx=1 bodynone prev:first"),
        "stands for never written"
    );
    assert!(!same("idx body= prev:up", "idx body= prev:same"), "is stuck");
    assert!(!same("idx body= prev:up", "idx body< prev:up"), "is smaller than the body's");
    assert!(!same("idx body= prev:same", "idx body= prev:down"), "goes back");
    assert!(!same("idx body= prev:first", "idx bodynone prev:first"), "has no body");
    assert!(!same("idx! body= prev:same", "idx! body= prev:up"), "must be exact");
    assert!(!same("idx! body= prev:same", "idx body= prev:same"));
    assert!(!same("idx body= prev:same", "7"));
}

fn indexes_count_as_the_group_says() {
    let session = |indexes: &str, rows: Value| {
        json!({"group": "g", "indexes": indexes, "cases": [{"id": "c", "about": "", "steps": [
            {"http": "GET /v1/x", "got": {"status": 200, "headers": {"content-type": "application/json"}, "body": rows}}
        ]}]})
    };
    let came = |create: u64, modify: u64| {
        let body = json!({"CreateIndex": create, "ModifyIndex": modify});
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        vec![Came { status: 200, headers: headers.into(), body: Body::Json(body), elapsed_ms: 1 }]
    };
    let row = |modified: &str| json!({"CreateIndex": "<index>", "ModifyIndex": "<index>", "__modified__": modified});
    assert!(told(session("object", row("no")), came(5, 5)).is_empty());
    assert!(told(session("object", row("later")), came(5, 6)).is_empty());
    let lines = told(session("object", row("no")), came(5, 6));
    assert_eq!(lines, ["1 body.__modified__: want \"no\" got \"later\""]);
    let lines = told(session("object", row("later")), came(7, 6));
    assert_eq!(lines, ["1 body.__modified__: want \"later\" got \"BEFORE\""]);
    let present = json!({"CreateIndex": "<index>", "ModifyIndex": "<index>"});
    assert!(told(session("present", present.clone()), came(7, 6)).is_empty());
    let lines = told(session("present", present), came(0, 6));
    assert_eq!(lines, ["1 body.CreateIndex: want \"<index>\" got 0"]);
}
