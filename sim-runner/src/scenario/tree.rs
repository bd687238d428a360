//! A TOML document as this module walks it: every key and value with its place, owned, so that
//! several files and `--set` can be merged into one tree.
//!
//! `toml`'s own spanned types borrow one text; serde's derive loses spans at `flatten` and stops at
//! the first error. This tree is what the hand-written walk needs and no more.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::diagnostic::Place;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Item {
    /// The whole value.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
}

/// A value.
#[derive(Clone, Debug)]
pub enum Kind {
    Text(Text),
    Integer(i128),
    /// As written.
    Float(String),
    Boolean(bool),
    Datetime,
    Array(Vec<Item>),
    Table(Table),
}

impl Kind {
    /// For messages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Text(_) => "a text",
            Kind::Integer(_) | Kind::Float(_) => "a number",
            Kind::Boolean(_) => "true or false",
            Kind::Datetime => "a date or time",
            Kind::Array(_) => "a list",
            Kind::Table(_) => "a table",
        }
    }
}

/// A text, and where its content stands.
#[derive(Clone, Debug)]
pub struct Text {
    /// The content, escapes resolved.
    pub text: String,
    /// The whole value, with quotes.
    pub place: Place,
    /// First byte of the content, when it stands in the file as it is (no escapes).
    content: Option<u32>,
}

impl Text {
    /// A text that stands for all of a place: a key.
    #[must_use]
    pub fn whole(text: &str, place: Place) -> Self {
        Self { text: text.to_owned(), place, content: None }
    }

    /// The place of a part of the content; the whole value when that cannot be told.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Place {
        match self.content {
            Some(from) if !range.is_empty() => Place {
                file: self.place.file,
                start: from + range.start as u32,
                end: from + range.end as u32,
            },
            _ => self.place,
        }
    }
}

/// A table; keys in the order of the text.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its header, or its braces.
    pub place: Place,
    /// Keys and values.
    pub entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// The value.
    pub value: Item,
}

impl Table {
    /// A table with nothing in it.
    #[must_use]
    pub fn empty(place: Place) -> Self {
        Self { place, entries: Vec::new() }
    }

    /// The entry of a key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Item> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Item> {
        self.entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
    }
}

/// Converts a parsed document. `shift` is where its text begins in the file.
#[must_use]
pub fn table(
    file: u32,
    text: &str,
    shift: usize,
    parsed: &DeTable<'_>,
    span: Range<usize>,
) -> Table {
    let mut entries: Vec<Entry> = parsed
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            place: place(file, shift, key.span()),
            value: item(file, text, shift, value.get_ref(), value.span()),
        })
        .collect();
    entries.sort_by_key(|entry| entry.place);
    Table { place: place(file, shift, span), entries }
}

/// Converts a parsed value.
#[must_use]
pub fn item(file: u32, text: &str, shift: usize, parsed: &DeValue<'_>, span: Range<usize>) -> Item {
    let at = place(file, shift, span.clone());
    let kind = match parsed {
        DeValue::String(content) => {
            let quoted = text.get(span.start + 1..span.end.saturating_sub(1).max(span.start + 1));
            let plain = quoted == Some(&**content);
            Kind::Text(Text {
                text: content.to_string(),
                place: at,
                content: plain.then_some(at.start + 1),
            })
        }
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(value) => Kind::Integer(value),
            Err(_) => Kind::Float(number.to_string()),
        },
        DeValue::Float(number) => Kind::Float(number.as_str().to_owned()),
        DeValue::Boolean(value) => Kind::Boolean(*value),
        DeValue::Datetime(_) => Kind::Datetime,
        DeValue::Array(items) => Kind::Array(
            items.iter().map(|one| item(file, text, shift, one.get_ref(), one.span())).collect(),
        ),
        DeValue::Table(inner) => Kind::Table(table(file, text, shift, inner, span)),
    };
    Item { place: at, kind }
}

/// A text that stands without quotes (`--set step.cut.at=20s`).
#[must_use]
pub fn bare_text(text: &str, place: Place) -> Item {
    let text = Text { text: text.to_owned(), place, content: Some(place.start) };
    Item { place, kind: Kind::Text(text) }
}

fn place(file: u32, shift: usize, span: Range<usize>) -> Place {
    Place { file, start: (span.start + shift) as u32, end: (span.end + shift) as u32 }
}
