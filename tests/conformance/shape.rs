//! A normalised value before its last labels: raft indexes are still numbers, sets still lists.
//!
//! Labels are given when the whole case has run: a raft index becomes its rank (`i1`, `i2` …), a set is
//! put in order, a UUID that no step sent becomes `<uuid1>`, `<uuid2>` … in order of appearance, by
//! the order of keys. Sets are ordered by the text that the recorder wrote ([`sort_key`]), because
//! that order decides which UUID comes first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Map, Value, json};

use crate::variables::regex;

pub static UUID: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"));

/// A value on its way from what came back to what is compared.
#[derive(Clone, Debug)]
pub enum Shape {
    Plain(Value),
    /// A raft index.
    Index(u64),
    List(Vec<Shape>),
    /// A list whose order does not count.
    Set(Vec<Shape>),
    Object(BTreeMap<String, Shape>),
}

impl Shape {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Plain(Value::String(text.into()))
    }

    pub fn texts(texts: impl IntoIterator<Item = String>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    pub fn object<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// All raft indexes in it.
    pub fn indexes(&self, into: &mut BTreeSet<u64>) {
        match self {
            Self::Plain(_) => {}
            Self::Index(index) => drop(into.insert(*index)),
            Self::List(items) | Self::Set(items) => {
                items.iter().for_each(|item| item.indexes(into))
            }
            Self::Object(fields) => fields.values().for_each(|item| item.indexes(into)),
        }
    }

    /// With indexes as their rank among these, or without a rank, and with sets in order.
    pub fn ordered(self, ranks: &BTreeSet<u64>) -> Value {
        match self {
            Self::Plain(value) => value,
            Self::Index(index) if ranks.contains(&index) => {
                json!(format!("i{}", ranks.range(..=index).count()))
            }
            Self::Index(_) => json!("<index>"),
            Self::List(items) => items.into_iter().map(|item| item.ordered(ranks)).collect(),
            Self::Set(items) => {
                let mut items: Vec<Value> =
                    items.into_iter().map(|item| item.ordered(ranks)).collect();
                items.sort_by_cached_key(sort_key);
                json!({ "set": items })
            }
            Self::Object(fields) => {
                fields.into_iter().map(|(key, item)| (key, item.ordered(ranks))).collect()
            }
        }
    }
}

/// Gives UUIDs their labels, over all answers of a case.
pub struct Uuids {
    /// Those that steps sent keep their names.
    pub sent: BTreeSet<String>,
    labels: BTreeMap<String, usize>,
}

impl Uuids {
    /// With the UUIDs in this text as sent.
    pub fn new(text: &str) -> Self {
        let sent = UUID.find_iter(text).map(|found| found.as_str().to_owned()).collect();
        Self { sent, labels: BTreeMap::new() }
    }

    pub fn label(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.label_text(text)),
            Value::Array(items) => items.iter().map(|item| self.label(item)).collect(),
            Value::Object(fields) => {
                let mut labelled = Map::new();
                for (key, item) in fields {
                    labelled.insert(self.label_text(key), self.label(item));
                }
                Value::Object(labelled)
            }
            other => other.clone(),
        }
    }

    fn label_text(&mut self, text: &str) -> String {
        let label = |found: &Captures| {
            if self.sent.contains(&found[0]) {
                return found[0].to_owned();
            }
            let next = self.labels.len() + 1;
            format!("<uuid{}>", self.labels.entry(found[0].to_owned()).or_insert(next))
        };
        UUID.replace_all(text, label).into_owned()
    }
}

/// What sets are ordered by: JSON in ASCII with a space after `,` and `:`, and all UUIDs alike.
fn sort_key(value: &Value) -> String {
    let mut text = String::new();
    ascii(value, &mut text);
    UUID.replace_all(&text, "<uuid>").into_owned()
}

fn ascii(value: &Value, into: &mut String) {
    match value {
        Value::String(text) => quoted(text, into),
        Value::Array(items) => {
            into.push('[');
            for (at, item) in items.iter().enumerate() {
                into.push_str(if at == 0 { "" } else { ", " });
                ascii(item, into);
            }
            into.push(']');
        }
        Value::Object(fields) => {
            into.push('{');
            for (at, (key, item)) in fields.iter().enumerate() {
                into.push_str(if at == 0 { "" } else { ", " });
                quoted(key, into);
                into.push_str(": ");
                ascii(item, into);
            }
            into.push('}');
        }
        other => into.push_str(&other.to_string()),
    }
}

fn quoted(text: &str, into: &mut String) {
    for char in Value::String(text.to_owned()).to_string().chars() {
        if char.is_ascii() {
            into.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(into, "\\u{unit:04x}");
        }
    }
}
