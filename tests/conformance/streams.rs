//! What is compared of a command's output: its lines, the cells of a table, keys, a usage line …

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use crate::shape::Shape;
use crate::variables::regex;

/// Replaces the names of this run.
type Text<'a> = &'a dyn Fn(&str) -> String;

/// Of `version`, in released builds only.
static BUILD_LINE: LazyLock<Regex> = LazyLock::new(|| regex(r"^Revision [0-9a-f]{7,40}(\+\w+)?$"));
static FLAG: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^\s+(-[a-z][a-z0-9-]*)"));
static LABEL: LazyLock<Regex> = LazyLock::new(|| regex(r"^\s+([A-Z][A-Za-z ]+): "));
static SECTION: LazyLock<Regex> = LazyLock::new(|| regex(r"^(\w+):$"));

/// A stream by its mode.
pub fn shape(stream: &str, mode: &str, text: Text) -> Shape {
    let bare = stream.trim_matches('\n');
    let is_blank = stream.trim().is_empty();
    match mode {
        "any" => Shape::text("<any>"),
        "nonempty" => Shape::text(if is_blank { "" } else { "<nonempty>" }),
        "first" => Shape::text(text(bare.split('\n').next().unwrap_or_default())),
        "table" => table(stream, text),
        "usage" => {
            let flags: BTreeSet<String> =
                FLAG.captures_iter(stream).map(|found| found[1].to_owned()).collect();
            Shape::object([("usage", usage(stream, text)), ("flags", Shape::texts(flags))])
        }
        "usage-only" => Shape::object([("usage", usage(stream, text))]),
        "keys" => keys(stream),
        "banner" => banner(stream),
        "set" => Shape::Set(bare.split('\n').map(|line| Shape::text(text(line))).collect()),
        "exact" => {
            let lines = stream.trim_end_matches('\n').split('\n').filter(|_| !stream.is_empty());
            Shape::texts(
                lines.filter(|line| !BUILD_LINE.is_match(line)).map(|it| text(it.trim_end())),
            )
        }
        _ => {
            let pattern = mode.strip_prefix("re:").unwrap_or_else(|| panic!("no mode {mode:?}"));
            let matches = regex(pattern).is_match(stream);
            Shape::text(if matches { "<matches>".to_owned() } else { text(stream) })
        }
    }
}

fn usage(stream: &str, text: Text) -> Shape {
    let line = stream.split('\n').find(|line| line.starts_with("Usage:"));
    Shape::Plain(line.map_or(Value::Null, |line| json!(text(line))))
}

/// Cells, and whether each row starts its cells where the header does.
fn table(stream: &str, text: Text) -> Shape {
    let lines: Vec<Vec<char>> =
        stream.trim_end_matches('\n').split('\n').map(|line| line.chars().collect()).collect();
    let header = &lines[0];
    let blank = |line: &[char], range: std::ops::Range<usize>| {
        line.get(range.start.min(line.len())..range.end.min(line.len()))
            .is_some_and(|part| part.iter().all(|char| char.is_whitespace()))
    };
    if blank(header, 0..header.len()) {
        return Shape::Plain(json!({ "not_a_table": stream }));
    }
    let begins = |at: &usize| {
        !header[*at].is_whitespace() && (*at == 0 || (*at > 1 && blank(header, at - 2..*at)))
    };
    let starts: Vec<usize> = (0..header.len()).filter(begins).collect();
    let mut aligned = true;
    let mut rows = Vec::new();
    for line in &lines {
        let mut cells = Vec::new();
        for (number, start) in starts.iter().enumerate() {
            let end = starts.get(number + 1).copied().unwrap_or(line.len()).min(line.len());
            let cell: String = line[(*start).min(end)..end].iter().collect();
            aligned &= *start < 2 || line.len() <= *start || blank(line, start - 2..*start);
            cells.push(text(cell.trim()));
        }
        rows.push(Shape::texts(cells));
    }
    let header = rows.remove(0);
    let aligned = Shape::Plain(json!(aligned));
    Shape::object([("header", header), ("rows", Shape::Set(rows)), ("aligned", aligned)])
}

/// Of `info`: sections, each with its keys.
fn keys(stream: &str) -> Shape {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut section: Option<String> = None;
    for line in stream.split('\n') {
        if let Some(found) = SECTION.captures(line) {
            out.insert(found[1].to_owned(), Vec::new());
            section = Some(found[1].to_owned());
        } else if let (Some((key, _)), Some(section), true) =
            (line.trim().split_once(" ="), &section, line.starts_with('\t'))
        {
            out.entry(section.clone()).or_default().push(key.to_owned());
        } else if !line.trim().is_empty() && !line.starts_with('\t') {
            out.entry("__stray__".to_owned()).or_default().push(line.to_owned());
        }
    }
    Shape::Object(out.into_iter().map(|(key, names)| (key, Shape::texts(names))).collect())
}

/// The first line of an agent's output and the labels below it.
fn banner(stream: &str) -> Shape {
    let (first, rest) = stream.split_once('\n').unwrap_or((stream, ""));
    let labels = rest.split('\n').map_while(|line| Some(LABEL.captures(line)?[1].to_owned()));
    Shape::object([("first", Shape::text(first)), ("labels", Shape::texts(labels))])
}
