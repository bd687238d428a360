//! Values as TOML writes them, for `expand`.

use std::fmt::Write;

use serde_json::Value;

use super::fault::{CliExpect, FileExpect};
use super::model::HttpExpect;

/// Weights by name, without those of zero.
#[must_use]
pub fn weights(weights: &[(&str, u64)]) -> String {
    let some: Vec<String> = weights
        .iter()
        .filter(|(_, weight)| *weight > 0)
        .map(|(name, weight)| format!("{name} = {weight}"))
        .collect();
    format!("{{ {} }}", some.join(", "))
}

/// `expect` of an `http` step.
#[must_use]
pub fn http_expect(expect: &HttpExpect) -> String {
    let mut parts = Vec::new();
    parts.extend(expect.status.map(|status| format!("status = {status}")));
    parts.extend(expect.body.as_ref().map(|body| format!("body = {}", quoted(body))));
    parts.extend(texts("contains", &expect.contains));
    parts.extend(texts("excludes", &expect.excludes));
    parts.extend(expect.matches.as_ref().map(|text| format!("matches = {}", quoted(text))));
    let pair = |(key, value): (&String, String)| format!("{} = {value}", key_text(key));
    let json: Vec<String> = expect.json.iter().map(|(key, v)| pair((key, toml_value(v)))).collect();
    let headers: Vec<String> =
        expect.headers.iter().map(|(key, v)| pair((key, quoted(v)))).collect();
    for (key, pairs) in [("json", json), ("header", headers)] {
        if !pairs.is_empty() {
            parts.push(format!("{key} = {{ {} }}", pairs.join(", ")));
        }
    }
    format!("{{ {} }}", parts.join(", "))
}

/// `expect` of a `file` step.
#[must_use]
pub fn file_expect(expect: &FileExpect) -> String {
    let mut parts = Vec::new();
    parts.extend(expect.content.as_ref().map(|text| format!("content = {}", quoted(text))));
    parts.extend(texts("contains", &expect.contains));
    parts.extend(texts("excludes", &expect.excludes));
    if !expect.json.is_empty() {
        let pairs = expect.json.iter();
        let pairs = pairs.map(|(key, v)| format!("{} = {}", key_text(key), toml_value(v)));
        parts.push(format!("json = {{ {} }}", pairs.collect::<Vec<_>>().join(", ")));
    }
    parts.extend(expect.absent.map(|absent| format!("absent = {absent}")));
    format!("{{ {} }}", parts.join(", "))
}

/// `expect` of a `cli` step.
#[must_use]
pub fn cli_expect(expect: &CliExpect) -> String {
    let mut parts = Vec::new();
    parts.extend(expect.exit.map(|code| format!("exit = {code}")));
    parts.extend(texts("contains", &expect.contains));
    parts.extend(texts("excludes", &expect.excludes));
    parts.extend(expect.matches.as_ref().map(|text| format!("matches = {}", quoted(text))));
    format!("{{ {} }}", parts.join(", "))
}

fn texts(key: &str, texts: &[String]) -> Option<String> {
    (!texts.is_empty()).then(|| format!("{key} = {}", list(texts)))
}

/// A list of texts.
#[must_use]
pub fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// A JSON value as TOML. There is no null: it was read from TOML.
#[must_use]
pub fn toml_value(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml_value).collect::<Vec<_>>().join(", "))
        }
        Value::Object(object) => {
            let pairs: Vec<String> = object
                .iter()
                .map(|(key, v)| format!("{} = {}", key_text(key), toml_value(v)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

/// A key: bare where it can be.
fn key_text(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { quoted(key) }
}

/// A basic string of TOML.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                write!(out, "\\u{:04X}", u32::from(c)).expect("writing to a string does not fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
