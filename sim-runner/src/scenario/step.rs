//! `[[step]]`: ids, times and the verb (language sections 4 to 6).
//!
//! An id begins with a letter and has letters, digits, `-` and `_`; a step without one is `step-3`
//! by its place in the file. In `after`, an id is looked for before an event of the same name. Ids
//! of the form `chaos-1-7` are kept for steps that chaos became: such a step is chaos wherever it is
//! written, so that an expanded scenario means what the original meant.

use std::collections::BTreeMap;

use proconsul::base::Duration;

use super::cluster::is_name;
use super::condition;
use super::diagnostic::Place;
use super::fault::SignedSpan;
use super::fault_verb;
use super::model::{
    Action, Condition, EventPattern, Fact, Moment, Repeat, Span, Step, Trigger, Wait,
};
use super::reader::Reader;
use super::target::Setting;
use super::target::did_you_mean;
use super::tree::{Item, Kind, Table, Text};
use super::values::{self, Fault};
use super::verb;
use super::words::{self, Words};

/// A step whose ranges are not drawn yet.
#[derive(Clone, Debug)]
pub struct StepDraft {
    /// The step; times that are drawn hold their least value.
    pub step: Step,
    /// Of the trigger: the time of `at`, the delay of `after`.
    pub start: Option<Span>,
    /// `for`, of a verb that can be undone.
    pub undo: Option<Span>,
    /// `for`, of `wait`.
    pub wait: Option<Span>,
    /// `by`, of a verb that acts on clocks.
    pub by: Option<SignedSpan>,
    /// Where it waits for another step, for the message about a cycle.
    pub link: Place,
}

/// Whether an id is one of those that chaos gives: `chaos-1-7`.
#[must_use]
pub fn is_chaos_id(id: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = id.strip_prefix("chaos-").and_then(|rest| rest.split_once('-'));
    numbers.is_some_and(|(table, count)| digits(table) && digits(count))
}

/// A step's table, and the place of the block in which it stands.
#[derive(Clone, Copy, Debug)]
pub struct Nested<'t> {
    /// Its table.
    pub table: &'t Table,
    /// The `repeat` or `parallel` (index).
    pub parent: Option<usize>,
}

/// Blocks in blocks, at most so deep.
const DEEPEST: usize = 8;

/// All steps, nested ones right after their block.
pub fn flatten<'t>(reader: &mut Reader, root: &'t Table) -> Vec<Nested<'t>> {
    let mut steps = Vec::new();
    descend(reader, root, None, 0, &mut steps);
    steps
}

fn descend<'t>(
    reader: &mut Reader,
    table: &'t Table,
    parent: Option<usize>,
    depth: usize,
    steps: &mut Vec<Nested<'t>>,
) {
    if depth > DEEPEST {
        reader.error(table.place, "steps are nested too deeply");
        return;
    }
    for table in reader.tables(table, "step") {
        steps.push(Nested { table, parent });
        let place = steps.len() - 1;
        descend(reader, table, Some(place), depth + 1, steps);
    }
}

/// Ids and verbs of all steps, which texts may refer to before their steps are read.
pub fn ids(reader: &mut Reader, steps: &[Nested<'_>]) -> Vec<(String, String)> {
    let steps: Vec<&Table> = steps.iter().map(|nested| nested.table).collect();
    let mut ids: Vec<(String, String)> = Vec::new();
    for (index, table) in steps.iter().enumerate() {
        let verb = match table.get("do") {
            Some(Item { kind: Kind::Text(text), .. }) => text.text.clone(),
            _ => String::new(),
        };
        let id = table.get("id").and_then(|item| id(reader, item));
        ids.push((id.unwrap_or_else(|| format!("step-{}", index + 1)), verb));
    }
    let mut seen: BTreeMap<&str, &Table> = BTreeMap::new();
    for ((id, _), table) in ids.iter().zip(&steps) {
        if let Some(earlier) = seen.insert(id, table) {
            let written = table.get("id").or(earlier.get("id"));
            let place = written.map_or(table.place, |item| item.place);
            reader.error(place, format!("two steps have the id {id:?}"));
        }
    }
    ids
}

fn id(reader: &mut Reader, item: &Item) -> Option<String> {
    let text = reader.text(item, "`id`")?;
    if is_name(&text.text) {
        return Some(text.text.clone());
    }
    reader.advise(
        item.place,
        format!("{:?} is no id", text.text),
        "an id begins with a letter and has letters, digits, \"-\" and \"_\"",
    );
    None
}

/// Reads one step. Nothing when its verb cannot be told.
pub fn step(
    reader: &mut Reader,
    Nested { table, parent }: Nested<'_>,
    index: usize,
    place: String,
) -> Option<StepDraft> {
    let Some(entry) = table.entry("do") else {
        reader.advise(table.place, "this step has no verb", "write do = \"kill\", for example");
        return None;
    };
    let verb = verb_of(reader, &entry.value);
    if let Some(verb) = &verb {
        check_keys(reader, table, verb);
        check_combinations(reader, table, verb);
    } else if let Some(item) = table.get("target") {
        // What does not depend on the verb is looked at all the same: all errors at once.
        reader.target(item, "`target`", Setting::Plain);
    }
    let (trigger, start, link) = trigger(reader, table, index, verb.as_deref());
    let when = table.get("when").and_then(|item| when(reader, item));
    let within = table.get("within").and_then(|item| reader.duration(item, "`within`"));
    let length = table.get("for").and_then(|item| reader.span(item, "`for`"));
    let optional = table.get("optional").and_then(|item| reader.boolean(item, "`optional`"));
    let verb = verb?;
    let by = fault_verb::clock_by(reader, table, &verb);
    let action = verb::action(reader, table, &verb, length, by)?;
    let undoable = words::UNDOABLE.contains(&verb.as_str());
    let id = reader.names.steps[index].0.clone();
    let step = Step {
        chaos: is_chaos_id(&id),
        id,
        place,
        parent,
        trigger,
        when,
        within: within.unwrap_or(Duration::from_secs(60)),
        repeat: if owns_repeat(&verb) { None } else { repeat(reader, table) },
        undo_after: length.filter(|_| undoable).map(|span| span.low),
        optional: optional.unwrap_or(false),
        action,
    };
    let wait = length.filter(|_| matches!(step.action, Action::Wait(Wait::For { .. })));
    Some(StepDraft { step, start, undo: length.filter(|_| undoable), wait, by, link })
}

/// Verbs to which `every` or `times` means something else.
fn owns_repeat(verb: &str) -> bool {
    ["strobe", "repeat"].contains(&verb)
}

fn verb_of(reader: &mut Reader, item: &Item) -> Option<String> {
    let text = reader.text(item, "`do`")?;
    if text.text.is_empty() {
        reader.error(item.place, "this step has no verb");
        return None;
    }
    reader.word(item, "`do`", words::VERBS)
}

fn check_keys(reader: &mut Reader, table: &Table, verb: &str) {
    let own = words::verb_keys(verb);
    for entry in &table.entries {
        let key = entry.key.as_str();
        if own.contains(&key) || words::STEP_COMMON.contains(&key) {
            continue;
        }
        if words::VERBS.built.iter().any(|other| words::verb_keys(other).contains(&key)) {
            let message = format!("`{key}` does not belong to {verb:?}");
            let help = match own {
                [] => format!("{verb:?} has no keys of its own"),
                own => format!("{verb:?} takes {}", own.join(", ")),
            };
            reader.advise(entry.place, message, help);
        } else {
            let known = Words { kind: "key", built: own, planned: words::STEP_COMMON };
            reader.unknown(entry, "key", &format!("a {verb:?} step"), known);
        }
    }
}

/// Keys that exclude or need each other.
fn check_combinations(reader: &mut Reader, table: &Table, verb: &str) {
    let has = |key| table.entry(key);
    let size = |key| has(key).is_some_and(|entry| fault_verb::is_size(&entry.value));
    let size = verb == "disk-full" && size("after");
    if let (Some(_), Some(entry), false) = (has("at"), has("after"), size) {
        reader.advise(
            entry.place,
            "`at` and `after` exclude each other",
            "keep one; `when` may go with either",
        );
    }
    if let Some(entry) = has("every")
        && !owns_repeat(verb)
        && has("between").is_none()
        && has("times").is_none()
    {
        reader.advise(
            entry.place,
            "`every` needs an end",
            "add times = 5, or between = \"20s..60s\"",
        );
    }
    for key in ["between", "times"] {
        if let (Some(entry), true) = (has(key), verb == "strobe") {
            let message = format!("a strobe is not repeated: `every` is its own, and `{key}` goes");
            reader.advise(entry.place, message, "write for = \"5s\" for how long it lasts");
        } else if let (Some(entry), None) = (has(key), has("every"))
            && !(key == "times" && verb == "repeat")
        {
            reader.advise(entry.place, format!("`{key}` needs `every`"), "add every = \"5s\"");
        }
    }
    if let (Some(entry), "repeat") = (has("every"), verb) {
        let help = "write `times`; a wait as a nested step makes pauses";
        reader.advise(entry.place, "a repeat goes on at once: it has no `every`", help);
    }
    for key in ["at", "after"] {
        if let (Some(entry), Some(_)) = (has(key), has("between"))
            && !(size && key == "after")
        {
            let message = format!("`between` says when: it excludes `{key}`");
            reader.error(entry.place, message);
        }
    }
    if let Some(entry) = has("for")
        && verb != "wait"
        && !words::UNDOABLE.contains(&verb)
    {
        let undoable = words::UNDOABLE.join(", ");
        let message = format!("`for` undoes a step, and {verb:?} cannot be undone");
        reader.advise(entry.place, message, format!("`for` goes with {undoable} and wait"));
    }
    let waits =
        has("when").is_some() || ["http", "cli", "dns"].contains(&verb) || has("until").is_some();
    if let (Some(entry), false) = (has("within"), waits) {
        let message = format!("`within` has nothing to limit in this {verb:?} step");
        reader.advise(
            entry.place,
            message,
            "it goes with `when`, with `until` of wait, and with http and cli",
        );
    }
}

fn trigger(
    reader: &mut Reader,
    table: &Table,
    index: usize,
    verb: Option<&str>,
) -> (Trigger, Option<Span>, Place) {
    if let Some(item) = table.get("at") {
        let span = reader.span(item, "`at`");
        let low = span.map_or(Duration::ZERO, |span| span.low);
        return (Trigger::At(low), span, item.place);
    }
    if let Some(item) = table.get("after")
        && !(verb == Some("disk-full") && fault_verb::is_size(item))
        && let Some(text) = reader.text(item, "`after`")
        && let Some((trigger, delay)) = after(reader, text)
    {
        return (trigger, Some(delay), item.place);
    }
    if let Some(item) = table.get("between")
        && let Some((from, _)) = moments(reader, item)
    {
        let zero = Span { low: Duration::ZERO, high: Duration::ZERO };
        return match from {
            Moment::At(time) => (Trigger::At(time), None, item.place),
            Moment::Step(step) => {
                (Trigger::AfterStep { step, delay: Duration::ZERO }, Some(zero), item.place)
            }
        };
    }
    let size = table.get("after").is_some_and(fault_verb::is_size);
    let first = index == 0 && (table.get("after").is_none() || size);
    let trigger = if first { Trigger::At(Duration::ZERO) } else { Trigger::Previous };
    (trigger, None, table.place)
}

/// `"ID"`, `"ID + 2s"`, `"EVENT + 1s..3s"`.
fn after(reader: &mut Reader, text: &Text) -> Option<(Trigger, Span)> {
    let written = text.text.as_str();
    // The last plus: a text inside `logged(…)` may hold others.
    let split = written.rfind('+').filter(|plus| !written[*plus..].contains(')'));
    let (name, delay) = match split {
        Some(plus) => (&written[..plus], Some((plus + 1, &written[plus + 1..]))),
        None => (written, None),
    };
    let delay = match delay {
        None => Span { low: Duration::ZERO, high: Duration::ZERO },
        Some((at, delay)) => {
            let lead = delay.len() - delay.trim_start().len();
            let result = values::span(delay.trim()).map_err(|fault| fault.shifted(at + lead));
            reader.accept(text, result)?
        }
    };
    let lead = name.len() - name.trim_start().len();
    let result = whom(reader, name.trim()).map_err(|fault| fault.shifted(lead));
    let low = delay.low;
    let trigger = match reader.accept(text, result)? {
        Whom::Step(step) => Trigger::AfterStep { step, delay: low },
        Whom::Event(event) => Trigger::AfterEvent { event, delay: low },
    };
    Some((trigger, delay))
}

enum Whom {
    Step(usize),
    Event(EventPattern),
}

fn whom(reader: &Reader, name: &str) -> Result<Whom, Fault> {
    if let Some(step) = reader.names.step(name) {
        return Ok(Whom::Step(step));
    }
    let head = name.split('(').next().unwrap_or(name);
    if condition::is_event(head) {
        return condition::event(name, &reader.names).map(Whom::Event);
    }
    let known = reader.names.steps.iter().map(|(id, _)| id.as_str()).chain(words::EVENTS.all());
    let fault = Fault::new(0..name.len(), format!("no step or event is called {name:?}"));
    Err(did_you_mean(fault, name, known))
}

fn when(reader: &mut Reader, item: &Item) -> Option<Condition> {
    let text = reader.text(item, "`when`")?;
    reader.template(item, "`when`")?;
    let result = condition::fact(&text.text, &reader.names);
    match reader.accept(text, result)? {
        Fact::Condition(condition) => Some(condition),
        Fact::Event(_) => {
            let message = format!("{:?} is an event, and `when` takes a condition", text.text);
            reader.advise(item.place, message, format!("write after = {:?}", text.text));
            None
        }
    }
}

/// `between = "20s..60s"`, `"ID..ID"`.
pub fn moments(reader: &mut Reader, item: &Item) -> Option<(Moment, Moment)> {
    let text = reader.text(item, "`between`")?;
    let Some((from, to)) = text.text.split_once("..") else {
        reader.advise(
            item.place,
            "`between` must be a range",
            "for example \"20s..60s\" or \"cut..heal\"",
        );
        return None;
    };
    let first = moment(reader, from);
    let second = moment(reader, to).map_err(|fault| fault.shifted(from.len() + 2));
    let first = reader.accept(text, first);
    let second = reader.accept(text, second);
    let (first, second) = (first?, second?);
    if let (Moment::At(from), Moment::At(to)) = (&first, &second)
        && to < from
    {
        reader.error(item.place, "the range runs backwards");
        return None;
    }
    Some((first, second))
}

fn moment(reader: &Reader, text: &str) -> Result<Moment, Fault> {
    let trimmed = text.trim();
    let lead = text.len() - text.trim_start().len();
    if trimmed.starts_with(|c: char| c.is_ascii_digit()) {
        return values::duration(trimmed).map(Moment::At).map_err(|fault| fault.shifted(lead));
    }
    reader.names.find_step(trimmed).map(Moment::Step).map_err(|fault| fault.shifted(lead))
}

fn repeat(reader: &mut Reader, table: &Table) -> Option<Repeat> {
    let item = table.get("every")?;
    let every = reader.span(item, "`every`")?;
    if every.high == Duration::ZERO {
        reader.error(item.place, "`every` must be longer than nothing");
    }
    let times = table.get("times").and_then(|item| reader.integer(item, "`times`", 1, 100_000));
    let known = reader.errors.len();
    let between = table.get("between").and_then(|item| moments(reader, item));
    reader.errors.truncate(known); // the trigger has noted them already
    Some(Repeat { every, times: times.map(|times| times as u32), between })
}
