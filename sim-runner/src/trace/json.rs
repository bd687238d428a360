//! One event as one line of JSON, and back.
//!
//! ```text
//!  {"at":"12.345678901","host":"n1","t":"role","role":"leader","term":3}
//! ```
//!
//! `at` is seconds with nine decimals as text, so that no reader rounds it; hosts are names, `t` is the
//! kind of event, and its fields follow in the order of the alphabet. Reading is strict: an unknown
//! field, host or kind is an error, because a trace that is misread gives a wrong verdict.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::event::{Header, Host, TraceEvent, What};

/// Kinds of event with fields that are hosts, and those fields.
const HOST_FIELDS: &[(&str, &str)] = &[
    ("deliver", "from"),
    ("drop", "to"),
    ("cut", "to"),
    ("healed", "to"),
    ("step-started", "targets"),
];

/// Nanoseconds as seconds with nine decimals: `12.345678901`.
#[must_use]
pub fn seconds(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    format!("{sign}{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

/// The reverse of [`seconds`]; none when the text has another form or is out of range.
#[must_use]
pub fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, part) = digits.split_once('.')?;
    let numeric = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !numeric(whole) || !numeric(part) || part.len() != 9 {
        return None;
    }
    let ns = whole.parse::<i128>().ok()?.checked_mul(1_000_000_000)? + part.parse::<i128>().ok()?;
    i64::try_from(if negative { -ns } else { ns }).ok()
}

/// Turns events into lines and lines into events, with the names of one header.
pub struct Lines<'a> {
    header: &'a Header,
    hosts: BTreeMap<&'a str, Host>,
}

impl<'a> Lines<'a> {
    /// For traces with this header.
    #[must_use]
    pub fn new(header: &'a Header) -> Self {
        let hosts = (0..).map(Host).zip(&header.hosts).map(|(h, info)| (info.name.as_str(), h));
        Self { header, hosts: hosts.collect() }
    }

    /// The host's name, or its number when the header does not know it.
    fn name(&self, host: Host) -> Value {
        match self.header.hosts.get(usize::from(host.0)) {
            Some(info) => Value::String(info.name.clone()),
            None => Value::from(host.0),
        }
    }

    fn host(&self, value: &Value) -> Result<Host, String> {
        let by_name = value.as_str().and_then(|name| self.hosts.get(name).copied());
        by_name.ok_or_else(|| format!("{value} is not a host of this trace"))
    }

    /// The line of an event, without a line end.
    #[must_use]
    pub fn write(&self, event: &TraceEvent) -> String {
        let (kind, mut fields) = split(&event.what);
        for (_, field) in HOST_FIELDS.iter().filter(|(of, _)| *of == kind) {
            if let Some(value) = fields.get_mut(*field) {
                *value = self.named(value);
            }
        }
        let mut line = format!(
            "{{\"at\":\"{}\",\"host\":{},\"t\":\"{kind}\"",
            seconds(event.at),
            self.name(event.host)
        );
        for (field, value) in &fields {
            write!(line, ",\"{field}\":{value}").expect("a String takes every byte");
        }
        line.push('}');
        line
    }

    /// Host numbers, one or a list, as names.
    fn named(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.named(item)).collect(),
            _ => match value.as_u64().and_then(|n| u16::try_from(n).ok()) {
                Some(number) => self.name(Host(number)),
                None => value.clone(),
            },
        }
    }

    fn numbered(&self, value: &Value) -> Result<Value, String> {
        match value {
            Value::Array(items) => items.iter().map(|item| self.numbered(item)).collect(),
            _ => Ok(Value::from(self.host(value)?.0)),
        }
    }

    /// The event of a line.
    ///
    /// # Errors
    /// What is wrong with it, in words, without its place.
    pub fn read(&self, line: &str) -> Result<TraceEvent, String> {
        let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let Value::Object(mut fields) = value else {
            return Err("an event is a JSON object".to_owned());
        };
        let mut take = |field: &str| {
            fields.remove(field).ok_or_else(|| format!("the event has no field `{field}`"))
        };
        let (at, host, kind) = (take("at")?, take("host")?, take("t")?);
        let at = at.as_str().and_then(nanoseconds).ok_or_else(|| {
            format!(
                "`at` is {at}; expected seconds with nine decimals as text, like \"1.500000000\""
            )
        })?;
        let Value::String(kind) = kind else {
            return Err(format!("`t` is {kind}; expected the name of a kind of event"));
        };
        for (_, field) in HOST_FIELDS.iter().filter(|(of, _)| *of == kind) {
            if let Some(value) = fields.get_mut(*field) {
                *value = self.numbered(value)?;
            }
        }
        let what = join(kind, fields)?;
        Ok(TraceEvent { at, host: self.host(&host)?, what })
    }
}

/// The kind of an event, and its fields.
fn split(what: &What) -> (String, Map<String, Value>) {
    match serde_json::to_value(what) {
        Ok(Value::String(kind)) => (kind, Map::new()),
        Ok(Value::Object(tagged)) => match tagged.into_iter().next() {
            Some((kind, Value::Object(fields))) => (kind, fields),
            _ => unreachable!("an event serializes to its kind and an object of fields"),
        },
        _ => unreachable!("an event serializes to its kind, alone or with fields"),
    }
}

fn join(kind: String, fields: Map<String, Value>) -> Result<What, String> {
    let value = if fields.is_empty() {
        Value::String(kind)
    } else {
        Value::Object(Map::from_iter([(kind, Value::Object(fields))]))
    };
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// The name of an event's kind, as in `t`.
#[must_use]
pub fn kind(what: &What) -> String {
    split(what).0
}

/// The event's fields as `name=value`, for one-line renderings.
#[must_use]
pub fn fields(what: &What) -> String {
    let parts = split(what).1.into_iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn times_round_trip(ns in any::<i64>()) {
            prop_assert_eq!(nanoseconds(&seconds(ns)), Some(ns));
        }

        #[test]
        fn times_never_panic(text in ".{0,24}") {
            let _ = nanoseconds(&text);
        }
    }

    #[test]
    fn times_have_one_form() {
        assert_eq!(seconds(-1_500_000_000), "-1.500000000");
        for wrong in
            ["", "1", "1.5", ".500000000", "+1.000000000", "9223372037.000000000", "--1.000000000"]
        {
            assert_eq!(nanoseconds(wrong), None, "{wrong}");
        }
    }
}
