//! `--set step.cut.at=20s`: a value put into the document before it is walked.
//!
//! A path is names joined by dots. Behind `step` stands an id or a number, behind `workload`, `chaos`
//! and `expect` a number from one. The value is TOML, or a text when it is not (`20s`). Errors point
//! into the override's own text.

use toml::de::DeValue;

use super::diagnostic::{Diagnostic, Files, Place};
use super::spelling::nearest;
use super::tree::{self, Entry, Item, Kind, Table};

/// Applies one override.
///
/// # Errors
/// It has no `=`, or its path leads nowhere.
pub fn apply(root: &mut Table, files: &mut Files, text: &str) -> Result<(), Diagnostic> {
    let file = files.add("--set".to_owned(), text.to_owned());
    let at = |from: usize, to: usize| Place { file, start: from as u32, end: to as u32 };
    let Some(equals) = text.find('=') else {
        let help = Some("for example --set step.cut.at=20s".to_owned());
        let message = "an override is a path, \"=\" and a value".to_owned();
        return Err(Diagnostic { place: at(0, text.len()), message, help });
    };
    let value = value(file, text, equals + 1);
    let mut segments = Vec::new();
    let mut start = 0;
    for name in text[..equals].split('.') {
        let lead = start + name.len() - name.trim_start().len();
        let trimmed = name.trim();
        segments.push(Segment { name: trimmed, place: at(lead, lead + trimmed.len()) });
        start += name.len() + 1;
    }
    let lists = ["step", "workload", "chaos", "expect"];
    if lists.contains(&segments[0].name) && segments.len() >= 3 {
        let table = element(root, &segments[0], &segments[1])?;
        return set(table, &segments[2..], value);
    }
    set(root, &segments, value)
}

struct Segment<'a> {
    name: &'a str,
    place: Place,
}

impl Segment<'_> {
    fn error(&self, message: String, help: Option<String>) -> Diagnostic {
        Diagnostic { place: self.place, message, help }
    }
}

fn value(file: u32, text: &str, from: usize) -> Item {
    let written = &text[from..];
    let lead = written.len() - written.trim_start().len();
    let (from, written) = (from + lead, written.trim());
    let place = Place { file, start: from as u32, end: (from + written.len()) as u32 };
    if let Ok(parsed) = DeValue::parse(written)
        && !parsed.get_ref().is_datetime()
    {
        return tree::item(file, written, from, parsed.get_ref(), parsed.span());
    }
    tree::bare_text(written, place)
}

/// The table that the second segment chooses of a list.
fn element<'t>(
    root: &'t mut Table,
    list: &Segment<'_>,
    which: &Segment<'_>,
) -> Result<&'t mut Table, Diagnostic> {
    let Some(Item { kind: Kind::Array(items), .. }) = root.get_mut(list.name) else {
        return Err(list.error(format!("the scenario has no [[{}]]", list.name), None));
    };
    let by_id = items.iter().position(|item| id(item) == Some(which.name));
    let number = which.name.strip_prefix("step-").unwrap_or(which.name).parse::<usize>();
    let by_number = number.ok().and_then(|number| number.checked_sub(1));
    let Some(index) = by_id.or(by_number).filter(|index| *index < items.len()) else {
        let help = nearest(which.name, items.iter().filter_map(id))
            .map(|meant| format!("did you mean {meant:?}?"))
            .or_else(|| Some(format!("there are {} [[{}]]", items.len(), list.name)));
        return Err(which.error(format!("no {} is called {:?}", list.name, which.name), help));
    };
    match &mut items[index].kind {
        Kind::Table(table) => Ok(table),
        _ => Err(which.error(format!("this {} is not a table", list.name), None)),
    }
}

fn id(item: &Item) -> Option<&str> {
    match &item.kind {
        Kind::Table(table) => match &table.get("id")?.kind {
            Kind::Text(text) => Some(&text.text),
            _ => None,
        },
        _ => None,
    }
}

fn set(table: &mut Table, path: &[Segment<'_>], value: Item) -> Result<(), Diagnostic> {
    let (first, rest) = path.split_first().expect("splitting a text gives at least one part");
    if first.name.is_empty() {
        return Err(first.error("a name is missing in this path".to_owned(), None));
    }
    if table.get(first.name).is_none() {
        let kind = Kind::Table(Table::empty(first.place));
        let value = Item { place: first.place, kind };
        table.entries.push(Entry { key: first.name.to_owned(), place: first.place, value });
    }
    let item = table.get_mut(first.name).expect("it was put there if it was missing");
    if rest.is_empty() {
        *item = value;
        return Ok(());
    }
    match &mut item.kind {
        Kind::Table(inner) => set(inner, rest, value),
        other => {
            let message = format!("{:?} is {}, and has no keys", first.name, other.name());
            Err(first.error(message, None))
        }
    }
}
