//! Variables of a case, and paths into answers.
//!
//! `${name}`, `${name+1}` and `${name-1}` in any string of a step are filled in; a string that is
//! `$int{name}` becomes a number. A path is `body[0].Checks[1].Status`; `#` at its end is a length.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::{Captures, Regex};
use serde_json::{Value, json};

use crate::tree::Tree;

static PLACE: LazyLock<Regex> = LazyLock::new(|| regex(r"\$\{(\w+)([+-]\d+)?\}"));
static NUMBER: LazyLock<Regex> = LazyLock::new(|| regex(r"^\$int\{(\w+)([+-]\d+)?\}$"));
static SEGMENT: LazyLock<Regex> = LazyLock::new(|| regex(r"\[[^\]]*\]|[^.\[\]]+"));

/// An expression that is part of this program or of the recorded rules; made once.
pub fn regex(pattern: &str) -> Regex {
    static MADE: Mutex<BTreeMap<String, Regex>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = made.get(pattern) {
        return regex.clone();
    }
    let regex = Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    made.insert(pattern.to_owned(), regex.clone());
    regex
}

#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    pub fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// A step with all variables filled in, or which one is missing.
    pub fn fill(&self, tree: &Tree) -> Result<Tree, String> {
        Ok(match tree {
            Tree::Leaf(Value::String(text)) => Tree::Leaf(match NUMBER.captures(text) {
                Some(found) => {
                    let number = self.place(&found)?;
                    json!(number.parse::<i64>().map_err(|_| not_a_number(&found[1], &number))?)
                }
                None => json!(self.fill_text(text)?),
            }),
            Tree::Leaf(other) => Tree::Leaf(other.clone()),
            Tree::List(items) => {
                Tree::List(items.iter().map(|item| self.fill(item)).collect::<Result<_, _>>()?)
            }
            Tree::Object(fields) => {
                let filled =
                    fields.iter().map(|(key, item)| Ok((self.fill_text(key)?, self.fill(item)?)));
                Tree::Object(filled.collect::<Result<_, String>>()?)
            }
        })
    }

    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    fn fill_text(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut done = 0;
        for found in PLACE.captures_iter(text) {
            let whole = found.get_match();
            filled += &text[done..whole.start()];
            filled += &self.place(&found)?;
            done = whole.end();
        }
        Ok(filled + &text[done..])
    }

    fn place(&self, found: &Captures) -> Result<String, String> {
        let name = &found[1];
        let missing = || format!("variable {name} was not captured");
        let value = self.0.get(name).ok_or_else(missing)?;
        let Some(more) = found.get(2) else { return Ok(value.clone()) };
        let number: i64 = value.parse().map_err(|_| not_a_number(name, value))?;
        let more: i64 = more.as_str().parse().map_err(|_| not_a_number(name, more.as_str()))?;
        Ok((number + more).to_string())
    }
}

fn not_a_number(name: &str, value: &str) -> String {
    format!("variable {name} is no number: {value}")
}

/// What stands at this path.
pub fn lookup(value: &Value, path: &str) -> Option<Value> {
    let mut value = value.clone();
    for segment in SEGMENT.find_iter(path) {
        let key = segment.as_str();
        if key == "#" {
            return match value {
                Value::Array(items) => Some(json!(items.len())),
                Value::Object(fields) => Some(json!(fields.len())),
                Value::String(text) => Some(json!(text.chars().count())),
                _ => None,
            };
        }
        let bare = key.trim_start_matches('[').trim_end_matches(']').trim_matches('"');
        value = match &value {
            Value::Array(items) => items.get(bare.parse::<usize>().ok()?)?.clone(),
            Value::Object(fields) => fields.get(bare)?.clone(),
            _ => return None,
        };
    }
    Some(value)
}

/// Whether what stands at a path is what an `until` waits for.
pub fn holds(got: Option<&Value>, want: &Value) -> bool {
    let number = || got.and_then(Value::as_f64);
    let than = |key: &str| want.get(key).filter(|_| want.is_object());
    if let Some(low) = than("gt") {
        return number().zip(low.as_f64()).is_some_and(|(got, low)| got > low);
    }
    if let Some(low) = than("ge") {
        return number().zip(low.as_f64()).is_some_and(|(got, low)| got >= low);
    }
    if let Some(part) = than("has") {
        let text = got.filter(|got| !got.is_null()).map(plain);
        return text.is_some_and(|text| text.contains(part.as_str().unwrap_or_default()));
    }
    let got = got.unwrap_or(&Value::Null);
    than("not").map_or(got == want, |unwanted| got != unwanted)
}

/// A value as a variable or a file holds it: texts without quotes.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
