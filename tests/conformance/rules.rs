//! The rules of what is normalised (`rules.json`, and `norm`, `unordered` of single steps).
//!
//! A rule is a path and a kind. In a path `*` stands for one segment and `**` for any number. A kind
//! says what is left of a value: `any` nothing, `keys` the types of an object's fields, `time` that
//! it is a time … A value that is not of the kind stays as it is, so that the comparison shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cases::{Step, folder};
use crate::variables::regex;

/// `rules.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// The headers that count, by what is compared of them.
    pub headers: BTreeMap<String, String>,
    /// Fields that are raft indexes wherever they stand.
    pub fields: BTreeMap<String, String>,
    /// Expressions and what takes the place of what they find, in any text.
    pub text: Vec<(String, String)>,
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    #[serde(rename = "match")]
    matching: String,
    unless: Option<String>,
    #[serde(default)]
    unordered: Vec<String>,
    #[serde(default)]
    paths: BTreeMap<String, String>,
}

/// The rules that hold for one step.
pub struct StepRules {
    paths: Vec<(Vec<String>, String)>,
    unordered: Vec<Vec<String>>,
}

impl Rules {
    pub fn load() -> Result<Self, String> {
        let path = folder().join("rules.json");
        let text =
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Those of a step and those of the endpoint.
    pub fn of(&self, step: &Step, endpoint: &str) -> StepRules {
        let mut rules = StepRules { paths: paths(&step.norm), unordered: Vec::new() };
        let mut unordered = step.unordered.clone();
        for entry in self.endpoints.iter().filter(|entry| entry.applies(endpoint)) {
            rules.paths.extend(paths(&entry.paths));
            unordered.extend_from_slice(&entry.unordered);
        }
        if !step.ordered {
            rules.unordered = unordered.iter().map(|path| split(path)).collect();
        }
        rules
    }
}

impl Endpoint {
    fn applies(&self, endpoint: &str) -> bool {
        let finds = |pattern: &String| regex(pattern).is_match(endpoint);
        !endpoint.is_empty() && finds(&self.matching) && !self.unless.as_ref().is_some_and(finds)
    }
}

fn paths(rules: &BTreeMap<String, String>) -> Vec<(Vec<String>, String)> {
    rules.iter().map(|(path, kind)| (split(path), kind.clone())).collect()
}

/// `body[0].Meta.env` in segments.
pub fn split(path: &str) -> Vec<String> {
    path.split(['.', '[', ']']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

impl StepRules {
    /// The kind that a rule gives to what stands here.
    pub fn kind(&self, at: &[String]) -> Option<&str> {
        self.paths.iter().find(|(path, _)| matches(path, at)).map(|(_, kind)| kind.as_str())
    }

    pub fn is_set(&self, at: &[String]) -> bool {
        self.unordered.iter().any(|path| matches(path, at))
    }
}

fn matches(pattern: &[String], at: &[String]) -> bool {
    match pattern.split_first() {
        None => at.is_empty(),
        Some((first, rest)) if first == "**" => {
            (0..=at.len()).any(|skipped| matches(rest, &at[skipped..]))
        }
        Some((first, rest)) => at.split_first().is_some_and(|(segment, below)| {
            (first == "*" || first == segment) && matches(rest, below)
        }),
    }
}

static GO_DURATION: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$"));
static RFC3339: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"));
static HASH: LazyLock<Regex> = LazyLock::new(|| regex("^[0-9a-f]{8,}$"));

/// What is left of a value by a rule of this kind; nothing if it is not of the kind.
pub fn reduce(value: &Value, kind: &str) -> Option<Value> {
    let is = |holds: bool, label: &str| holds.then(|| json!(label));
    let text = |expression: &Regex| value.as_str().is_some_and(|text| expression.is_match(text));
    let is_integer = value.is_i64() || value.is_u64();
    match kind {
        "any" => is(true, "<any>"),
        "drop" => is(true, "<ignored>"),
        "int" => is(is_integer, "<int>"),
        "positive" => is(value.as_u64().is_some_and(|number| number > 0), "<int above 0>"),
        "number" => is(value.is_number(), "<number>"),
        "string" => is(value.is_string(), "<string>"),
        "nonempty" => is(value.as_str().is_some_and(|text| !text.is_empty()), "<nonempty>"),
        "object" => is(value.as_object().is_some_and(|fields| !fields.is_empty()), "<object>"),
        "list" => is(value.as_array().is_some_and(|items| !items.is_empty()), "<list>"),
        "duration" => is(text(&GO_DURATION), "<duration>"),
        "time" => is(text(&RFC3339), "<time>"),
        "hash" => is(text(&HASH), "<hash>"),
        "types" => Some(types(value)),
        "floats" => Some(floats(value)),
        "count" => value.as_array().map(|items| json!(format!("<list of {}>", items.len()))),
        "keys" => {
            let fields = value.as_object()?.iter();
            Some(fields.map(|(key, item)| (key.clone(), json!(type_name(item)))).collect())
        }
        "each-keys" => {
            let names = |item: &Value| match item.as_object() {
                Some(fields) => fields.keys().map(String::as_str).collect::<Vec<_>>().join(","),
                None => type_name(item).to_owned(),
            };
            let distinct: BTreeSet<String> = value.as_array()?.iter().map(names).collect();
            Some(json!(distinct))
        }
        _ => {
            let pattern =
                kind.strip_prefix("re:").unwrap_or_else(|| panic!("no rule is a {kind:?}"));
            is(text(&regex(pattern)), "<matches>")
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// An object's fields by their types; of a list the different types of its items.
fn types(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(key, item)| (key.clone(), types(item))).collect()
        }
        Value::Array(items) => {
            let mut kinds: Vec<Value> = Vec::new();
            for kind in items.iter().map(types) {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
            Value::Array(kinds)
        }
        other => json!(format!("<{}>", type_name(other))),
    }
}

/// Where a field is a float, 0 and 0.0 are the same: numbers as texts of nine digits.
fn floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(nine_digits(number.as_f64().unwrap_or(f64::NAN))),
        Value::Array(items) => items.iter().map(floats).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(key, item)| (key.clone(), floats(item))).collect()
        }
        other => other.clone(),
    }
}

/// As C's `%.9g` writes it.
fn nine_digits(number: f64) -> String {
    let scientific = format!("{number:.8e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let Ok(exponent) = exponent.parse::<i32>() else { return scientific };
    let bare = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if !(-4..9).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", bare(digits), exponent.abs());
    }
    let decimals = usize::try_from(8 - exponent).unwrap_or(0);
    bare(&format!("{number:.decimals$}"))
}
