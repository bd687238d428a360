//! What every part of the walk needs: typed access to values, and a list of errors to add to.
//!
//! Getters answer with nothing after they have noted an error, and the walk goes on: all errors of
//! a file are found in one pass. Defaults stand in for what could not be read; nothing is lowered
//! from a scenario that has an error.

use proconsul::base::{Duration, Ratio};
use serde_json::{Map, Value};

use super::diagnostic::{Diagnostic, Place};
use super::fault::SignedSpan;
use super::model::{Span, Target};
use super::signed;
use super::spelling::nearest;
use super::target::{self, Names, Setting, not_built};
use super::text;
use super::tree::{Entry, Item, Kind, Table, Text};
use super::values::{self, Fault};
use super::words::Words;

/// The errors so far, and the names that texts may refer to.
#[derive(Debug, Default)]
pub struct Reader {
    /// In the order they were found.
    pub errors: Vec<Diagnostic>,
    /// Known from the start of the walk.
    pub names: Names,
}

impl Reader {
    /// Notes an error.
    pub fn error(&mut self, place: Place, message: impl Into<String>) {
        self.errors.push(Diagnostic { place, message: message.into(), help: None });
    }

    /// Notes an error and what to do.
    pub fn advise(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.errors.push(Diagnostic { place, message: message.into(), help: Some(help.into()) });
    }

    /// Notes a fault inside a text.
    pub fn fault(&mut self, text: &Text, fault: Fault) {
        let place = text.part(fault.range);
        self.errors.push(Diagnostic { place, message: fault.message, help: fault.help });
    }

    /// The value of a small form, or an error noted.
    pub fn accept<T>(&mut self, text: &Text, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.fault(text, fault)).ok()
    }

    /// Notes keys that are unknown, or of a part that is not built. `owner` is for messages.
    pub fn keys(&mut self, table: &Table, owner: &str, known: Words) {
        for entry in &table.entries {
            if known.plans(&entry.key) {
                self.error(entry.place, not_built(known.kind, &entry.key));
            } else if !known.has(&entry.key) {
                self.unknown(entry, known.kind, owner, known);
            }
        }
    }

    /// Notes an unknown key.
    pub fn unknown(&mut self, entry: &Entry, kind: &str, owner: &str, known: Words) {
        let message = format!("unknown {kind} {:?} in {owner}", entry.key);
        self.suggest(entry.place, message, &entry.key, known);
    }

    /// Notes that a word is unknown, and what it may have been.
    fn suggest(&mut self, place: Place, message: String, word: &str, known: Words) {
        let help = match nearest(word, known.all()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("there are: {}", known.built.join(", ")),
        };
        self.advise(place, message, help);
    }

    /// Notes that a part of a text is none of these words.
    pub fn unknown_word(&mut self, place: Place, word: &str, known: Words) {
        self.suggest(place, format!("unknown {} {word:?}", known.kind), word, known);
    }

    /// A value of another type than the one that belongs here.
    fn mistyped(&mut self, item: &Item, what: &str, wanted: &str) {
        let message = format!("{what} must be {wanted}, not {}", item.kind.name());
        self.error(item.place, message);
    }

    /// A text.
    pub fn text<'t>(&mut self, item: &'t Item, what: &str) -> Option<&'t Text> {
        match &item.kind {
            Kind::Text(text) => Some(text),
            _ => {
                self.mistyped(item, what, "a text in quotes");
                None
            }
        }
    }

    /// A text whose names in braces exist.
    pub fn template(&mut self, item: &Item, what: &str) -> Option<String> {
        let text = self.text(item, what)?;
        self.check_braces(text);
        Some(text.text.clone())
    }

    fn check_braces(&mut self, text: &Text) {
        if let Err(fault) = text::pieces(&text.text, &self.names) {
            self.fault(text, fault);
        }
    }

    /// A table.
    pub fn table<'t>(&mut self, item: &'t Item, what: &str) -> Option<&'t Table> {
        match &item.kind {
            Kind::Table(table) => Some(table),
            _ => {
                self.mistyped(item, what, "a table");
                None
            }
        }
    }

    /// The tables of `[[what]]`.
    pub fn tables<'t>(&mut self, root: &'t Table, what: &str) -> Vec<&'t Table> {
        match root.get(what) {
            None => Vec::new(),
            Some(Item { kind: Kind::Array(items), .. }) => items
                .iter()
                .filter_map(|item| self.table(item, &format!("each [[{what}]]")))
                .collect(),
            Some(item) => {
                let message = format!("{what:?} is a list of tables");
                self.advise(item.place, message, format!("write [[{what}]]"));
                Vec::new()
            }
        }
    }

    /// A whole number within bounds.
    pub fn integer(&mut self, item: &Item, what: &str, least: u64, most: u64) -> Option<u64> {
        match item.kind {
            Kind::Integer(value) => match u64::try_from(value) {
                Ok(value) if (least..=most).contains(&value) => Some(value),
                _ => {
                    self.error(item.place, format!("{what} must be from {least} to {most}"));
                    None
                }
            },
            _ => {
                self.mistyped(item, what, "a whole number");
                None
            }
        }
    }

    /// True or false.
    pub fn boolean(&mut self, item: &Item, what: &str) -> Option<bool> {
        match item.kind {
            Kind::Boolean(value) => Some(value),
            _ => {
                self.mistyped(item, what, "true or false");
                None
            }
        }
    }

    /// One word of a list.
    pub fn word(&mut self, item: &Item, what: &str, known: Words) -> Option<String> {
        let text = self.text(item, what)?;
        let word = text.text.as_str();
        if known.has(word) {
            return Some(word.to_owned());
        }
        if known.plans(word) {
            self.error(text.part(0..word.len()), not_built(known.kind, word));
            return None;
        }
        self.unknown_word(text.part(0..word.len()), word, known);
        None
    }

    /// The text of a small form; numbers get the advice that fits the form.
    fn form<'t>(
        &mut self,
        item: &'t Item,
        what: &str,
        advice: fn(&str) -> String,
    ) -> Option<&'t Text> {
        let number = match &item.kind {
            Kind::Integer(value) => value.to_string(),
            Kind::Float(value) => value.clone(),
            _ => return self.text(item, what),
        };
        self.advise(item.place, format!("{what} must be a text with a unit"), advice(&number));
        None
    }

    /// A duration.
    pub fn duration(&mut self, item: &Item, what: &str) -> Option<Duration> {
        let text = self.form(item, what, values::with_unit)?;
        self.accept(text, values::duration(&text.text))
    }

    /// A duration or a range.
    pub fn span(&mut self, item: &Item, what: &str) -> Option<Span> {
        let text = self.form(item, what, values::with_unit)?;
        self.accept(text, values::span(&text.text))
    }

    /// A duration or a range, which may be negative: nanoseconds.
    pub fn signed_duration(&mut self, item: &Item, what: &str) -> Option<SignedSpan> {
        let text = self.form(item, what, values::with_unit)?;
        self.accept(text, signed::durations(&text.text))
    }

    /// A drift or a range: parts per million.
    pub fn drift(&mut self, item: &Item, what: &str) -> Option<SignedSpan> {
        let text = self.form(item, what, signed::with_ppm)?;
        self.accept(text, signed::drifts(&text.text))
    }

    /// A range of two times, as in `between`.
    pub fn window(&mut self, item: &Item, what: &str) -> Option<(Duration, Duration)> {
        let text = self.form(item, what, values::with_unit)?;
        if !text.text.contains("..") {
            self.advise(item.place, format!("{what} must be a range"), "for example \"20s..60s\"");
            return None;
        }
        self.accept(text, values::span(&text.text)).map(|span| (span.low, span.high))
    }

    /// A ratio.
    pub fn ratio(&mut self, item: &Item, what: &str) -> Option<Ratio> {
        let advice = |number: &str| match values::as_ratio(number) {
            Some(meant) => format!("write \"{meant}\""),
            None => "a ratio is two whole numbers: \"1/1000\"".to_owned(),
        };
        if let Kind::Integer(_) | Kind::Float(_) = item.kind {
            let number = match &item.kind {
                Kind::Float(value) => value.clone(),
                Kind::Integer(value) => value.to_string(),
                _ => String::new(),
            };
            self.advise(item.place, format!("{what} must be a ratio in quotes"), advice(&number));
            return None;
        }
        let text = self.text(item, what)?;
        self.accept(text, values::ratio(&text.text))
    }

    /// Operations per minute.
    pub fn rate(&mut self, item: &Item, what: &str) -> Option<u64> {
        let text = self.form(item, what, |number| format!("write \"{number}/s\""))?;
        self.accept(text, values::rate(&text.text))
    }

    /// Bytes.
    pub fn size(&mut self, item: &Item, what: &str) -> Option<u64> {
        let text = self.form(item, what, |number| format!("write \"{number}B\""))?;
        self.accept(text, values::size(&text.text))
    }

    /// Bytes per second.
    pub fn bandwidth(&mut self, item: &Item, what: &str) -> Option<u64> {
        let text = self.form(item, what, |number| format!("write \"{number}Mbit/s\""))?;
        self.accept(text, values::bandwidth(&text.text))
    }

    /// A target, or a list of them.
    pub fn target(&mut self, item: &Item, what: &str, setting: Setting) -> Option<Target> {
        if let Kind::Array(items) = &item.kind {
            if items.is_empty() {
                self.error(item.place, format!("{what} is nobody: the list is empty"));
                return None;
            }
            let list: Vec<Option<Target>> =
                items.iter().map(|one| self.one_target(one, what, setting)).collect();
            return list.into_iter().collect::<Option<Vec<Target>>>().map(Target::List);
        }
        self.one_target(item, what, setting)
    }

    fn one_target(&mut self, item: &Item, what: &str, setting: Setting) -> Option<Target> {
        let text = self.text(item, what)?;
        let result = target::parse(&text.text, &self.names, setting);
        self.accept(text, result)
    }

    /// A text, or a list of texts; names in braces exist.
    pub fn templates(&mut self, item: &Item, what: &str) -> Vec<String> {
        match &item.kind {
            Kind::Array(items) => items.iter().filter_map(|one| self.template(one, what)).collect(),
            _ => self.template(item, what).into_iter().collect(),
        }
    }

    /// Agent configuration: any TOML as JSON, names in braces checked.
    pub fn json(&mut self, item: &Item, what: &str) -> Option<Value> {
        Some(match &item.kind {
            Kind::Text(text) => {
                self.check_braces(text);
                Value::String(text.text.clone())
            }
            Kind::Boolean(value) => Value::Bool(*value),
            Kind::Integer(value) => match i64::try_from(*value) {
                Ok(value) => Value::from(value),
                Err(_) => {
                    self.error(item.place, format!("this number in {what} is too large"));
                    return None;
                }
            },
            Kind::Float(written) => {
                let number = written.parse().ok().and_then(serde_json::Number::from_f64);
                let Some(number) = number else {
                    self.error(item.place, format!("this number in {what} has no JSON form"));
                    return None;
                };
                Value::Number(number)
            }
            Kind::Datetime => {
                self.advise(item.place, format!("{what} cannot hold a date"), "put it in quotes");
                return None;
            }
            Kind::Array(items) => {
                Value::Array(items.iter().filter_map(|one| self.json(one, what)).collect())
            }
            Kind::Table(table) => self.json_object(table, what),
        })
    }

    /// A table as a JSON object.
    pub fn json_object(&mut self, table: &Table, what: &str) -> Value {
        let mut object = Map::new();
        for entry in &table.entries {
            if let Some(value) = self.json(&entry.value, what) {
                object.insert(entry.key.clone(), value);
            }
        }
        Value::Object(object)
    }

    /// Weights by name: each at least zero, one at least positive.
    pub fn weights(&mut self, item: &Item, what: &str, known: Words) -> Vec<(String, u64)> {
        let Some(table) = self.table(item, what) else { return Vec::new() };
        self.keys(table, what, known);
        let mut weights = Vec::new();
        for entry in table.entries.iter().filter(|entry| known.has(&entry.key)) {
            let label = format!("the weight of {:?}", entry.key);
            if let Some(weight) = self.integer(&entry.value, &label, 0, 1_000_000) {
                weights.push((entry.key.clone(), weight));
            }
        }
        if weights.iter().all(|(_, weight)| *weight == 0) && weights.len() == table.entries.len() {
            self.advise(
                item.place,
                format!("{what} needs a weight above zero"),
                "for example { get = 1 }".replace("get", known.built[0]),
            );
        }
        weights
    }
}
