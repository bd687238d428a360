//! From the answers of one case to the form that was recorded.
//!
//! ```text
//! Answer ─► Shape (rules, own ports and names replaced, headers that count) ─► labels ─► JSON
//! ```
//!
//! `X-Consul-Index` becomes its relation to the highest index of the body and to the last answer to the
//! same query: `idx body= prev:up`; with `!` where the relation must be the same as Consul's.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::agent::Agent;
use crate::cases::{Case, Group, Indexes, Step};
use crate::dns_shape::{self, Mode};
use crate::http::Response;
use crate::rules::{Rules, StepRules, reduce};
use crate::shape::{Shape, Uuids};
use crate::steps::{Answer, Got};
use crate::variables::regex;

/// What differs in each run, and its names.
pub struct Facts {
    pub ports: BTreeMap<String, &'static str>,
    pub folder: String,
    pub version: String,
    pub node_id: String,
}

impl Facts {
    pub fn of(agent: &Agent, version: &str, node_id: &str) -> Self {
        Self {
            ports: agent.ports.iter().map(|(name, port)| (port.to_string(), name)).collect(),
            folder: agent.folder.display().to_string(),
            version: version.to_owned(),
            node_id: node_id.to_owned(),
        }
    }
}

/// All answers of one case, one after the other.
pub struct Normaliser<'a> {
    rules: &'a Rules,
    facts: Facts,
    texts: Vec<(Regex, &'a str)>,
    indexes: Indexes,
    uuids: Uuids,
    /// What the case registers, word by word.
    words: BTreeSet<String>,
    /// The last index of each query.
    last_index: BTreeMap<String, u64>,
}

impl<'a> Normaliser<'a> {
    pub fn new(rules: &'a Rules, group: &Group, case: &Case, facts: Facts) -> Self {
        let asked = case.steps.iter().map(|step| step.without(&["got"]));
        let setup = case.setup.iter().chain(&group.setup).cloned();
        let sent: String =
            asked.chain(setup).chain([group.agent.clone()]).map(|it| it.to_string()).collect();
        let indexes = case.indexes.or(group.indexes).unwrap_or(Indexes::Rank);
        let texts = rules.text.iter().map(|(from, to)| (regex(from), to.as_str())).collect();
        let uuids = Uuids::new(&sent);
        let words = dns_shape::words(&sent);
        Self { rules, facts, texts, indexes, uuids, words, last_index: BTreeMap::new() }
    }

    /// Each answer as it is compared with the recorded one.
    pub fn case(mut self, answers: &[(Step, Answer)]) -> Vec<Value> {
        let shapes: Vec<Shape> =
            answers.iter().map(|(step, answer)| self.answer(step, answer)).collect();
        let mut seen = BTreeSet::new();
        if self.indexes == Indexes::Rank {
            shapes.iter().for_each(|shape| shape.indexes(&mut seen));
        }
        let ordered = shapes.into_iter().map(|shape| shape.ordered(&seen));
        ordered.map(|value| self.uuids.label(&value)).collect()
    }

    fn answer(&mut self, step: &Step, answer: &Answer) -> Shape {
        let mut out = BTreeMap::new();
        let mut put = |key: &str, shape: Shape| drop(out.insert(key.to_owned(), shape));
        if answer.never {
            put("until", Shape::text("never"));
        }
        if let (Some((low, high)), Some(elapsed)) = (step.elapsed_ms, answer.elapsed) {
            let ms = elapsed.as_secs_f64() * 1000.0;
            let early_or_late = if ms < low { "too early" } else { "too late" };
            put(
                "elapsed",
                Shape::text(if (low..=high).contains(&ms) { "in range" } else { early_or_late }),
            );
        }
        match &answer.got {
            Got::Error(name) => put("error", Shape::text(name)),
            Got::Note(note) => {
                for (key, value) in note {
                    put(key, Shape::Plain(value.clone()));
                }
            }
            Got::Http(response) => self.response(step, response, &mut out),
            Got::Dns(message) => {
                let records = step.dns_norm.as_deref().unwrap_or("sets");
                let text = |text: &str| self.text(text);
                let (max_size, words) = (step.max_size, &self.words);
                Mode { records, max_size, text: &text, words }.put(message, &mut out);
            }
            Got::Command { exit, stdout, stderr, files } => {
                put("exit", Shape::Plain(exit.clone()));
                let (mut from, mut err) = (step.stdout.as_deref(), step.stderr.as_deref());
                if step.loose {
                    put("loose", Shape::Plain(json!(true)));
                    (from, err) = (Some("nonempty"), Some("nonempty"));
                }
                put("stdout", self.stream(stdout, from.unwrap_or("exact"), step));
                put("stderr", self.stream(stderr, err.unwrap_or("exact"), step));
                if !step.read_files.is_empty() {
                    let text = |text: &Option<String>| text.as_ref().map(|text| self.text(text));
                    let files = files.iter().map(|(name, it)| (name.clone(), json!(text(it))));
                    put("files", Shape::Plain(files.collect()));
                }
            }
            Got::Calls(calls) => {
                let rules = self.rules.of(step, "");
                put("body", self.value(calls, &mut vec!["body".to_owned()], &rules));
            }
        }
        Shape::Object(out)
    }

    fn response(&mut self, step: &Step, response: &Response, out: &mut BTreeMap<String, Shape>) {
        let mut put = |key: &str, shape: Shape| drop(out.insert(key.to_owned(), shape));
        put("status", Shape::Plain(json!(response.status)));
        let text = std::str::from_utf8(&response.body).ok();
        if step.loose {
            put("loose", Shape::Plain(json!(true)));
            put("body", Shape::text(text.map_or("<binary>".to_owned(), loose)));
            put("headers", self.headers(step, response, None));
            return;
        }
        let media = response.headers.get("content-type").map(|it| media(it)).unwrap_or_default();
        let body = match text {
            None => Shape::Plain(json!({"binary": true})),
            Some(text) if step.raw_text || !media.contains("json") => match &step.body_rule {
                Some(kind) if !text.is_empty() => self.leaf(&json!(text), kind),
                _ => Shape::text(self.text(text)),
            },
            Some(text) => match serde_json::from_str(text) {
                Ok(value) => {
                    let rules = self.rules.of(step, step.endpoint());
                    self.value(&value, &mut vec!["body".to_owned()], &rules)
                }
                Err(_) => Shape::Plain(json!({ "not_json": text })),
            },
        };
        put("headers", self.headers(step, response, Some(&body)));
        put("body", body);
    }

    fn headers(&mut self, step: &Step, response: &Response, body: Option<&Shape>) -> Shape {
        let also = step.also_headers.iter().map(|name| (name.to_lowercase(), "exact"));
        let known = self.rules.headers.iter().map(|(name, kind)| (name.clone(), kind.as_str()));
        let wanted: BTreeMap<String, &str> = known.chain(also).collect();
        let mut out = BTreeMap::new();
        for (name, kind) in wanted {
            let Some(value) = response.headers.get(&name) else { continue };
            let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            let shape = match kind {
                "media" if response.body.is_empty() => continue,
                "media" => Shape::text(media(value)),
                "index" => self.header_index(step, value, body),
                "list" => {
                    let mut parts: Vec<String> =
                        value.split(',').map(|part| part.trim().to_owned()).collect();
                    parts.sort();
                    Shape::texts(parts)
                }
                "number" if is_number => Shape::text("<number>"),
                "number" => Shape::text(value),
                "hash" => reduce(&json!(value), "hash").map_or(Shape::text(value), Shape::Plain),
                _ => Shape::text(self.text(value)),
            };
            out.insert(name, shape);
        }
        Shape::Object(out)
    }

    fn header_index(&mut self, step: &Step, value: &str, body: Option<&Shape>) -> Shape {
        let Some(number) = value.parse::<u64>().ok().filter(|number| *number > 0) else {
            return Shape::text(value);
        };
        if step.norm.get("header.x-consul-index").is_some_and(|kind| kind == "any") {
            return Shape::text("idx");
        }
        let mut within = BTreeSet::new();
        if let Some(body) = body {
            body.indexes(&mut within);
        }
        let against_body = match within.last() {
            None => "none",
            Some(top) if number == *top => "=",
            Some(top) if number > *top => ">",
            Some(_) => "<",
        };
        let endpoint = step.endpoint();
        let before = self.last_index.insert(query(endpoint), number);
        let against_before = match before {
            None => "first",
            Some(before) if number == before => "same",
            Some(before) if number > before => "up",
            Some(_) => "down",
        };
        let strict = step.strict_index.unwrap_or(endpoint.starts_with("GET /v1/kv/"));
        let (strict, one) = (if strict { "!" } else { "" }, if number == 1 { "=1" } else { "" });
        Shape::text(format!("idx{strict}{one} body{against_body} prev:{against_before}"))
    }

    /// A JSON value by the rules, at this path.
    pub fn value(&self, value: &Value, at: &mut Vec<String>, rules: &StepRules) -> Shape {
        if let Some(kind) = rules.kind(at) {
            return self.leaf(value, kind);
        }
        match value {
            Value::Object(fields) => self.object(fields, at, rules),
            Value::Array(items) => {
                let mut shapes = Vec::new();
                for (number, item) in items.iter().enumerate() {
                    at.push(number.to_string());
                    shapes.push(self.value(item, at, rules));
                    at.pop();
                }
                if rules.is_set(at) { Shape::Set(shapes) } else { Shape::List(shapes) }
            }
            leaf => Shape::Plain(self.exact(leaf)),
        }
    }

    fn object(
        &self,
        fields: &Map<String, Value>,
        at: &mut Vec<String>,
        rules: &StepRules,
    ) -> Shape {
        let own = belongs_to_agent(fields);
        let mut out = BTreeMap::new();
        for (key, item) in fields {
            at.push(key.clone());
            let kind = self.rules.fields.get(key).filter(|_| rules.kind(at).is_none());
            match kind {
                Some(_) if own && item.as_u64().is_some_and(|index| index > 0) => {
                    out.insert(key.clone(), Shape::text("<own>"));
                }
                Some(_) if own => drop(out.insert(key.clone(), Shape::Plain(item.clone()))),
                Some(kind) => drop(out.insert(key.clone(), self.leaf(item, kind))),
                None => drop(out.insert(self.text(key), self.value(item, at, rules))),
            }
            at.pop();
        }
        if self.indexes == Indexes::Object
            && let (Some(Shape::Index(create)), Some(Shape::Index(modify))) =
                (out.get("CreateIndex"), out.get("ModifyIndex"))
        {
            let relation = match create.cmp(modify) {
                std::cmp::Ordering::Equal => "no",
                std::cmp::Ordering::Less => "later",
                std::cmp::Ordering::Greater => "BEFORE",
            };
            at.push("__modified__".to_owned());
            if rules.kind(at).is_none() {
                out.insert("__modified__".to_owned(), Shape::text(relation));
            }
            at.pop();
        }
        Shape::Object(out)
    }

    fn leaf(&self, value: &Value, kind: &str) -> Shape {
        match (kind, value) {
            ("exact", value) => Shape::Plain(self.exact(value)),
            ("index", value) => match value.as_u64() {
                Some(index) if index > 0 => Shape::Index(index),
                _ => Shape::Plain(value.clone()),
            },
            ("set", Value::Array(items)) => {
                Shape::Set(items.iter().map(|item| Shape::Plain(self.exact(item))).collect())
            }
            ("set", value) => Shape::Plain(self.exact(value)),
            (kind, value) => Shape::Plain(reduce(value, kind).unwrap_or_else(|| self.exact(value))),
        }
    }

    /// As it is, but for the names and ports of this run.
    fn exact(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Number(number) => match self.facts.ports.get(&number.to_string()) {
                Some(name) => json!(format!("<{name}_port>")),
                None => value.clone(),
            },
            Value::Array(items) => items.iter().map(|item| self.exact(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(key, item)| (key.clone(), self.exact(item))).collect()
            }
            other => other.clone(),
        }
    }

    /// A text with the names of this run replaced.
    pub fn text(&self, text: &str) -> String {
        let is_word = |char: char| char.is_alphanumeric() || char == '_';
        let mut text = text.replace(&self.facts.folder, "<tmp>");
        if let Some(short) = self.facts.node_id.get(..8) {
            let stops = |char: char| is_word(char) || char == '-';
            text = replace_alone(&text, short, "<node_id>", is_word, stops);
        }
        for (port, name) in &self.facts.ports {
            let starts = |char: char| is_word(char) || char == '.';
            text = replace_alone(&text, port, &format!("<{name}_port>"), starts, is_word);
        }
        let number = |char: char| char.is_numeric() || char == '.';
        text = replace_alone(&text, &self.facts.version, "<version>", number, number);
        for (expression, replacement) in &self.texts {
            text = expression.replace_all(&text, *replacement).into_owned();
        }
        text
    }

    /// The output of a command.
    fn stream(&self, text: &str, mode: &str, step: &Step) -> Shape {
        let json = |text: &str| match serde_json::from_str(text) {
            Ok(value) => {
                let rules = self.rules.of(step, &step.like);
                self.value(&value, &mut vec!["body".to_owned()], &rules)
            }
            Err(_) => Shape::Plain(json!({ "not_json": text })),
        };
        if mode == "json" {
            json(text)
        } else {
            crate::streams::shape(text, mode, &|it| self.text(it))
        }
    }
}

/// Replaces a name where it stands alone: the characters beside it are none of these.
fn replace_alone(
    text: &str,
    name: &str,
    with: &str,
    before: impl Fn(char) -> bool,
    after: impl Fn(char) -> bool,
) -> String {
    let mut out = String::new();
    let mut done = 0;
    for (at, _) in text.match_indices(name).filter(|_| !name.is_empty()) {
        let end = at + name.len();
        let alone = !text[..at].chars().next_back().is_some_and(&before)
            && !text[end..].chars().next().is_some_and(&after);
        if alone {
            out += &text[done..at];
            out += with;
            done = end;
        }
    }
    out + &text[done..]
}

fn media(header: &str) -> String {
    header.split(';').next().unwrap_or_default().trim().to_owned()
}

/// What follows the first colon of these messages is worded by Go's libraries.
fn loose(text: &str) -> String {
    let plain = |head: &str| {
        (4..=60).contains(&head.len())
            && head.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b' ')
    };
    match text.split_once(": ") {
        Some((head, _)) if plain(head) => format!("{head}: <more>"),
        _ if text.is_empty() => String::new(),
        _ => "<nonempty>".to_owned(),
    }
}

/// An endpoint without what only says how to answer.
fn query(endpoint: &str) -> String {
    const HOW: [&str; 5] = ["index", "wait", "stale", "consistent", "cached"];
    let (path, query) = endpoint.split_once('?').unwrap_or((endpoint, ""));
    let name = |part: &&str| part.split('=').next().unwrap_or_default().to_owned();
    let kept = |part: &&str| !part.is_empty() && !HOW.contains(&name(part).as_str());
    let kept: Vec<&str> = query.split('&').filter(kept).collect();
    format!("{path}?{}", kept.join("&"))
}

/// What the server registers about itself while it starts: its node, serfHealth, the service consul.
/// How many log entries that takes is no fact worth copying.
fn belongs_to_agent(fields: &Map<String, Value>) -> bool {
    let is = |key: &str, value: &str| fields.get(key).is_some_and(|found| found == value);
    (is("CheckID", "serfHealth") && is("Node", "node1"))
        || (is("ID", "consul") && is("Service", "consul"))
        || is("ServiceID", "consul")
        || (is("Node", "node1")
            && fields.contains_key("TaggedAddresses")
            && !fields.contains_key("ServiceID"))
}
