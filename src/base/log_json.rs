//! A log line as a JSON object, in hclog's form: `@level`, `@message`, `@module`, `@timestamp`, and a
//! member for each field of the text.
//!
//! ```text
//!   agent: Synced service: service=web   ─►  {"@level":"info","@message":"Synced service",…,"service":"web"}
//! ```
//!
//! Lines are kept as text; a text's fields are what stands behind the first `: ` from which on everything
//! reads `key=value`, where a value with spaces is quoted as Go quotes. Numbers and truth values are written as
//! such. Members are sorted, as Go sorts them.

use std::collections::BTreeMap;

use super::calendar::Utc;
use super::log_tap::LogLine;
use super::runtime::Level;

/// The object, without a line end.
#[must_use]
pub fn as_json(line: &LogLine) -> String {
    let level = match line.level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    let (message, fields) = split(&line.text);
    let mut members: BTreeMap<&str, String> =
        fields.iter().map(|(key, value)| (*key, value.to_json())).collect();
    members.insert("@level", quoted(level));
    members.insert("@message", quoted(message));
    members.insert("@module", quoted(&line.module));
    members.insert("@timestamp", quoted(&Utc::from(line.at).micros().to_string()));
    let members: Vec<String> =
        members.into_iter().map(|(key, value)| format!("{}:{value}", quoted(key))).collect();
    format!("{{{}}}", members.join(","))
}

/// A field's value.
#[derive(Debug, PartialEq, Eq)]
enum Value<'a> {
    Bare(&'a str),
    Quoted(String),
}

impl Value<'_> {
    fn to_json(&self) -> String {
        match self {
            Value::Bare(text) if is_literal(text) => (*text).to_owned(),
            Value::Bare(text) => quoted(text),
            Value::Quoted(text) => quoted(text),
        }
    }
}

/// Whether JSON has it without quotes. Longer numbers would lose digits at some readers.
fn is_literal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = (1..=15).contains(&digits.len())
        && digits.bytes().all(|it| it.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    is_number || matches!(text, "true" | "false")
}

/// A text's message and fields.
fn split(text: &str) -> (&str, Vec<(&str, Value<'_>)>) {
    let fields_behind = |(at, _)| {
        let fields = fields(text.get(at + 2..)?)?;
        Some((text.get(..at)?, fields))
    };
    text.match_indices(": ").find_map(fields_behind).unwrap_or((text, Vec::new()))
}

/// All of it as fields; none when any of it is something else.
fn fields(mut text: &str) -> Option<Vec<(&str, Value<'_>)>> {
    let mut fields = Vec::new();
    while !text.is_empty() {
        let (key, rest) = text.split_once('=')?;
        let is_key = |it: u8| it.is_ascii_alphanumeric() || b"_-.".contains(&it);
        if key.is_empty() || !key.bytes().all(is_key) {
            return None;
        }
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (value, rest) = unquoted(quoted)?;
                (Value::Quoted(value), rest)
            }
            None => {
                let end = rest.find(' ').unwrap_or(rest.len());
                let (value, rest) = rest.split_at(end);
                (Value::Bare(value), rest)
            }
        };
        fields.push((key, value));
        text = match rest.strip_prefix(' ') {
            Some(more) => more,
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    (!fields.is_empty()).then_some(fields)
}

/// What stands before the closing quote, and what behind it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for char in text.chars() {
        match char {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                json.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => json.push(other),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Prng, WallTime};

    fn json(text: &str) -> String {
        let (module, text) = ("agent".to_owned(), text.to_owned());
        let line = LogLine { at: WallTime(1_500_000), level: Level::Info, module, text };
        let json = as_json(&line);
        let head = "{\"@level\":\"info\",\"@message\":";
        let tail = "\"@module\":\"agent\",\"@timestamp\":\"1970-01-01T00:00:00.001500Z\"";
        json.replace(head, "").replace(tail, "|").replace(",|", " |")
    }

    #[test]
    fn fields_become_members() {
        assert_eq!(json("Requesting shutdown"), "\"Requesting shutdown\" |}");
        assert_eq!(
            json("Synced service: service=web"),
            "\"Synced service\" |,\"service\":\"web\"}"
        );
        assert_eq!(
            json("a: b: index=7 up=true error=\"No \\\"x\\\" leader\" at=1:2"),
            "\"a: b\" |,\"at\":\"1:2\",\"error\":\"No \\\"x\\\" leader\",\"index\":7,\"up\":true}"
        );
        // What only looks like fields stays text.
        for text in ["no: fields here", "x: a=b c", "y: a=\"b", "z: =b", "w: ", "a=b"] {
            assert_eq!(json(text), format!("{} |}}", quoted(text)));
        }
        assert_eq!(json("t\u{1}: n=007"), "\"t\\u0001\" |,\"n\":\"007\"}");
    }

    #[test]
    fn any_text_is_valid_json_that_says_it() {
        let parts = ["a", "=", ": ", " ", "\"", "\\", "\n", "ü", "7", "-", "\u{1f}", "@level"];
        for seed in 0..3000 {
            let mut prng = Prng::new(seed);
            let text: String = (0..prng.below(12))
                .map(|_| parts[prng.below(parts.len() as u64) as usize])
                .collect();
            let line = LogLine {
                at: WallTime(0),
                level: Level::Warn,
                module: "m".to_owned(),
                text: text.clone(),
            };
            let value: serde_json::Value = serde_json::from_str(&as_json(&line)).expect("JSON");
            let message = value["@message"].as_str().expect("a text");
            assert!(text.starts_with(message), "{text:?} {value}");
            assert_eq!(value["@level"], "warn", "{text:?}");
        }
    }
}
