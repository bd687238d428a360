//! One self-contained page per run: markup, style, script and data in one file that opens from disk.
//!
//! ```text
//!   assets/report.html   the skeleton, with four slots
//!     {{title}}          the window's title
//!     {{style}}          assets/report.css
//!     {{words}}          the terminal summary, for readers without scripts
//!     {{data}}           the run and its lanes as JSON, inert: type="application/json"
//!     {{script}}         assets/*.js, one after the other, in one function
//! ```
//!
//! Safety: values come from scenarios, keys, users and error texts, so all of them are hostile. JSON is
//! escaped so that no `<`, `>` or `&` is left in it, text so that no markup is; the script builds the
//! page from text nodes only; and a content security policy forbids every request, so that even a
//! mistake in all this could not talk to anybody.

use serde::Serialize;

use super::lanes::{Lanes, micros};
use super::verdict::VerdictObject;
use super::{FirstDifference, RunResult, promise, summary, words};
use crate::history::operation::Operation;
use crate::property::{Judgement, Verdict, Violation};
use crate::trace::event::{Header, TraceEvent};

const SKELETON: &str = include_str!("assets/report.html");
const STYLE: &str = include_str!("assets/report.css");
/// In the order in which they build on each other.
const SCRIPTS: [&str; 12] = [
    include_str!("assets/members.js"),
    include_str!("assets/services.js"),
    include_str!("assets/data.js"),
    include_str!("assets/axis.js"),
    include_str!("assets/paint.js"),
    include_str!("assets/lanes.js"),
    include_str!("assets/nodes.js"),
    include_str!("assets/strips.js"),
    include_str!("assets/panel.js"),
    include_str!("assets/help.js"),
    include_str!("assets/cause.js"),
    include_str!("assets/report.js"),
];
/// Trace events shown with one violation.
const EVENTS_SHOWN: usize = 40;

/// What a page is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The first line of the trace.
    pub header: &'a Header,
    /// The trace, in order of time.
    pub events: &'a [TraceEvent],
    /// The history, in order of the calls.
    pub history: &'a [Operation],
}

/// The page of a run.
#[must_use]
pub fn page(run: &RunResult, evidence: Evidence<'_>) -> String {
    let data = PageData::of(run, evidence);
    let json = serde_json::to_string(&data).expect("plain data with string keys always serializes");
    let title = format!("{} · {} · seed {}", run.verdict.word(), run.title, run.seed);
    let plain = summary::of_run(run, summary::Style::Plain);
    fill(&|slot| match slot {
        "title" => escaped_text(&title),
        "style" => STYLE.to_owned(),
        "words" => escaped_text(&plain),
        "data" => escaped_json(&json),
        "script" => SCRIPTS.concat(),
        _ => String::new(),
    })
}

/// Replaces each `{{slot}}` of the skeleton, in one pass: what is filled in is never read again, so a
/// value that looks like a slot stays a value.
fn fill(content: &dyn Fn(&str) -> String) -> String {
    let mut page = String::new();
    let mut rest = SKELETON;
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let (slot, tail) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(&content(slot));
        rest = tail;
    }
    page.push_str(rest);
    page
}

/// Text for a place between tags.
fn escaped_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// JSON for a script element: the same values, without a character that could end the element or open
/// a comment. These characters occur in JSON only inside strings.
fn escaped_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + json.len() / 50);
    for char in json.chars() {
        match char {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(char)));
            }
            other => out.push(other),
        }
    }
    out
}

/// All the page knows.
#[derive(Serialize)]
struct PageData<'a> {
    run: VerdictObject,
    title: &'a str,
    story: Option<&'a str>,
    plant: Option<&'a str>,
    notes: &'a [String],
    replay: &'static str,
    speed: String,
    difference: Option<&'a FirstDifference>,
    properties: Vec<Property<'a>>,
    violations: Vec<CounterExample<'a>>,
    lanes: Lanes,
}

/// One row of the table of properties.
#[derive(Serialize)]
struct Property<'a> {
    name: &'a str,
    verdict: Verdict,
    judged: u64,
    because: Option<&'a str>,
    promise: &'static str,
}

/// One violation, with its evidence in words.
#[derive(Serialize)]
struct CounterExample<'a> {
    property: &'a str,
    /// The scenario demands it.
    expected: bool,
    /// µs.
    at: i64,
    summary: &'a str,
    signature: &'a str,
    promise: &'static str,
    /// Ids in the history.
    operations: &'a [u64],
    events: Vec<EventInWords>,
    detail: &'a [String],
}

/// One event of the trace.
#[derive(Serialize)]
struct EventInWords {
    index: u64,
    /// µs.
    at: i64,
    host: String,
    text: String,
}

impl<'a> PageData<'a> {
    fn of(run: &'a RunResult, evidence: Evidence<'_>) -> Self {
        let violated = run.violations().into_iter().map(|violation| (violation, false));
        let expected = run.expected().into_iter().map(|violation| (violation, true));
        Self {
            run: VerdictObject::of(run),
            title: &run.title,
            story: run.story.as_deref(),
            plant: run.plant.as_deref(),
            notes: &run.notes,
            replay: summary::replay(run),
            speed: summary::speed(run),
            difference: run.first_difference.as_ref(),
            properties: run.judgements.iter().map(Property::of).collect(),
            violations: violated
                .chain(expected)
                .map(|(violation, expected)| CounterExample::of(violation, expected, evidence))
                .collect(),
            lanes: Lanes::of(evidence),
        }
    }
}

impl<'a> Property<'a> {
    fn of(judgement: &'a Judgement) -> Self {
        Self {
            name: &judgement.property,
            verdict: judgement.verdict,
            judged: judgement.judged,
            because: judgement.because.as_deref(),
            promise: promise(&judgement.property),
        }
    }
}

impl<'a> CounterExample<'a> {
    fn of(violation: &'a Violation, expected: bool, evidence: Evidence<'_>) -> Self {
        let events = violation.events.iter().take(EVENTS_SHOWN).filter_map(|&index| {
            let event = evidence.events.get(usize::try_from(index).ok()?)?;
            Some(EventInWords {
                index,
                at: micros(event.at),
                host: words::host(evidence.header, event.host),
                text: words::describe(evidence.header, &event.what),
            })
        });
        Self {
            property: &violation.property,
            expected,
            at: micros(violation.at),
            summary: &violation.summary,
            signature: &violation.signature,
            promise: promise(&violation.property),
            operations: &violation.operations,
            events: events.collect(),
            detail: &violation.detail,
        }
    }
}
