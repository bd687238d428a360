//! `[[expect]]` (language section 7).

use proconsul::base::Duration;

use crate::property::PROPERTIES;

use super::condition;
use super::model::{EventPattern, Expect, Fact, Rule};
use super::reader::Reader;
use super::spelling::nearest;
use super::step::moments;
use super::target::not_built;
use super::tree::{Entry, Item, Kind, Table};
use super::verb::fact;
use super::words::{EXPECT, MODIFIERS, PLANNED_PROPERTIES, RULES};

/// Reads one `[[expect]]`.
pub fn expect(reader: &mut Reader, table: &Table, place: String) -> Option<Expect> {
    let mut unknown = false;
    for entry in &table.entries {
        let key = entry.key.as_str();
        if !RULES.contains(&key) && !MODIFIERS.contains(&key) {
            reader.unknown(entry, "key", "[[expect]]", EXPECT);
            unknown = true;
        }
    }
    if unknown {
        return None; // it may be the rule that is misspelt
    }
    let entry = only_rule(reader, table)?;
    check_modifiers(reader, table, &entry.key);
    let rule = rule(reader, table, entry);
    let within = table.get("within").and_then(|item| within(reader, item));
    let of = table.get("of").and_then(|item| {
        let text = reader.text(item, "`of`")?;
        let found = reader.names.find_step(&text.text);
        reader.accept(text, found)
    });
    let between = table.get("between").and_then(|item| moments(reader, item));
    let at_least = table.get("for").and_then(|item| reader.duration(item, "`for`"));
    Some(Expect { place, text: written(&entry.value), rule: rule?, within, of, between, at_least })
}

fn only_rule<'t>(reader: &mut Reader, table: &'t Table) -> Option<&'t Entry> {
    let rules: Vec<&Entry> =
        table.entries.iter().filter(|entry| RULES.contains(&entry.key.as_str())).collect();
    match rules[..] {
        [one] => Some(one),
        [] => {
            let help = format!("one of: {}", RULES.join(", "));
            reader.advise(table.place, "this [[expect]] says nothing that must hold", help);
            None
        }
        [first, second, ..] => {
            let message = format!("`{}` and `{}` exclude each other", first.key, second.key);
            reader.advise(second.place, message, "write a second [[expect]]");
            None
        }
    }
}

fn check_modifiers(reader: &mut Reader, table: &Table, rule: &str) {
    let about_property = rule == "violates" || rule == "skip";
    for entry in table.entries.iter().filter(|entry| MODIFIERS.contains(&entry.key.as_str())) {
        let misplaced = match entry.key.as_str() {
            "because" => rule != "skip",
            _ => about_property,
        };
        if misplaced {
            reader.error(entry.place, format!("`{}` does not go with `{rule}`", entry.key));
        }
    }
}

fn rule(reader: &mut Reader, table: &Table, entry: &Entry) -> Option<Rule> {
    let item = &entry.value;
    let what = format!("`{}`", entry.key);
    Some(match entry.key.as_str() {
        "always" => Rule::Always(state(reader, item, &what)?),
        "at_end" => Rule::AtEnd(state(reader, item, &what)?),
        "eventually" => Rule::Eventually(fact(reader, item, &what)?),
        "never" => Rule::Never(fact(reader, item, &what)?),
        "seen" => Rule::Seen(fact(reader, item, &what)?),
        "sometimes" => Rule::Sometimes(fact(reader, item, &what)?),
        "in_order" => Rule::InOrder(in_order(reader, item)?),
        "violates" => Rule::Violates(property(reader, item, &what)?),
        _ => {
            let property = property(reader, item, &what);
            let Some(because) = table.get("because") else {
                let help = "add because = \"why it is not judged\"";
                reader.advise(entry.place, "`skip` needs `because`", help);
                return None;
            };
            let because = reader.text(because, "`because`")?.text.clone();
            Rule::Skip { property: property?, because }
        }
    })
}

/// A condition; an event lasts no time, so it cannot hold always or at the end.
fn state(reader: &mut Reader, item: &Item, what: &str) -> Option<Fact> {
    let fact = fact(reader, item, what)?;
    if let Fact::Event(event) = &fact {
        let name = condition::show_event(event, &reader.names);
        let message = format!("{what} takes a condition, and {name} is an event");
        reader.advise(item.place, message, format!("for example \"count({name}) >= 1\""));
        return None;
    }
    Some(fact)
}

fn in_order(reader: &mut Reader, item: &Item) -> Option<Vec<EventPattern>> {
    let Kind::Array(items) = &item.kind else {
        let help = "for example in_order = [\"leader-lost\", \"leader-elected\"]";
        reader.advise(item.place, "`in_order` must be a list of events", help);
        return None;
    };
    if items.is_empty() {
        reader.error(item.place, "`in_order` names no event");
        return None;
    }
    let mut events = Vec::new();
    for one in items {
        let Some(text) = reader.text(one, "an event") else { continue };
        let result = condition::event(&text.text, &reader.names);
        events.extend(reader.accept(text, result));
    }
    Some(events)
}

fn property(reader: &mut Reader, item: &Item, what: &str) -> Option<String> {
    let text = reader.text(item, what)?;
    let name = text.text.as_str();
    if PROPERTIES.contains(&name) {
        return Some(name.to_owned());
    }
    let place = text.part(0..name.len());
    if PLANNED_PROPERTIES.contains(&name) {
        reader.error(place, not_built("property", name));
        return None;
    }
    let message = format!("unknown property {name:?}");
    match nearest(name, PROPERTIES.iter().chain(PLANNED_PROPERTIES).copied()) {
        Some(meant) => reader.advise(place, message, format!("did you mean {meant:?}?")),
        None => reader.advise(place, message, format!("there are: {}", PROPERTIES.join(", "))),
    }
    None
}

/// `"8s"` is a deadline, `"10s..24s"` a window.
fn within(reader: &mut Reader, item: &Item) -> Option<(Duration, Duration)> {
    let span = reader.span(item, "`within`")?;
    let window = matches!(&item.kind, Kind::Text(text) if text.text.contains(".."));
    Some(if window { (span.low, span.high) } else { (Duration::ZERO, span.high) })
}

fn written(item: &Item) -> String {
    match &item.kind {
        Kind::Text(text) => text.text.clone(),
        Kind::Array(items) => items.iter().map(written).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    }
}
