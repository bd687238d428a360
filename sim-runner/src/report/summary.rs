//! The run in a few lines on the terminal: the verdict first, then why, then what was judged.
//!
//! ```text
//!   VIOLATED  Leader loss, seed 42
//!   user u3 read k2 = "17" at 31.310 s after "18" had been acknowledged at 31.120 s
//!
//!   property         verdict   judged
//!   linearizable     violated   1,204
//!   …
//!   trace            0123…  (replayed in a fresh process: equal)
//!   reproduce        sim-runner scenarios/leader_loss.toml --seed 42
//! ```
//!
//! Colour is decoration: every fact is also a word, and a file or a pipe gets the words alone.
//! Control characters in titles and summaries are shown escaped, so that no value a user wrote can
//! move a cursor or recolour a terminal.

use std::fmt::Write as _;
use std::io::IsTerminal;

use super::verdict::{RangeSummary, RunVerdict};
use super::{FirstDifference, RunResult};
use crate::property::{Judgement, Verdict, Violation};

/// How many counter-examples are told; the report has all of them.
const TOLD: usize = 3;

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Words only.
    Plain,
    /// Words and ANSI colours.
    Colour,
}

impl Style {
    /// Colour on a terminal, unless `NO_COLOR` is set to anything (no-color.org).
    #[must_use]
    pub fn of_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if std::io::stdout().is_terminal() && !refused { Self::Colour } else { Self::Plain }
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// The summary of one run, ending in a line end.
#[must_use]
pub fn of_run(run: &RunResult, style: Style) -> String {
    let mut out = String::new();
    let word = style.paint(verdict_colour(run.verdict), &headline(run.verdict));
    line(&mut out, &format!("{word}  {}, seed {}", shown(&run.title), shown(&run.seed)));
    for violation in run.violations().into_iter().take(TOLD) {
        why(&mut out, violation);
    }
    let more = run.violations().len().saturating_sub(TOLD);
    if more > 0 {
        line(&mut out, &format!("… and {more} more in the report"));
    }
    undecided(&mut out, &run.judgements);
    if let Some(difference) = &run.first_difference {
        difference_lines(&mut out, difference);
    }
    out.push('\n');
    property_table(&mut out, &run.judgements, style);
    out.push('\n');
    facts(&mut out, run, style);
    out
}

/// The summary of a range of seeds, ending in a line end.
#[must_use]
pub fn of_range(range: &RangeSummary, style: Style) -> String {
    let mut out = String::new();
    let failed = range.runs - range.holds;
    let (colour, word) = if failed == 0 { ("1;32", "HOLDS") } else { ("1;31", "FAILURES") };
    let mut counts = format!("{} of {} runs hold", grouped(range.holds), grouped(range.runs));
    let others = [
        (range.violated, "violated"),
        (range.undecided, "undecided"),
        (range.nondeterministic, "not deterministic"),
    ];
    for (count, word) in others.into_iter().filter(|(count, _)| *count > 0) {
        write!(counts, ", {} {word}", grouped(count)).expect("a String takes every write");
    }
    line(&mut out, &format!("{}  {counts}", style.paint(colour, word)));
    if range.groups.is_empty() {
        return out;
    }
    out.push('\n');
    let mut rows = vec![["runs".to_owned(), "first seed".to_owned(), "signature".to_owned()]];
    rows.extend(
        range.groups.iter().map(|g| [grouped(g.count), shown(&g.first_seed), shown(&g.signature)]),
    );
    for (index, row) in aligned(&rows, &[true, true, false]).into_iter().enumerate() {
        line(&mut out, &if index == 0 { style.paint("2", &row) } else { row });
        if let Some(group) = index.checked_sub(1).map(|index| &range.groups[index]) {
            line(&mut out, &style.paint("2", &format!("    {}", shown(&group.reproduce))));
        }
    }
    out
}

fn headline(verdict: RunVerdict) -> String {
    match verdict {
        RunVerdict::Nondeterministic => "NOT DETERMINISTIC".to_owned(),
        other => other.word().to_uppercase(),
    }
}

fn verdict_colour(verdict: RunVerdict) -> &'static str {
    match verdict {
        RunVerdict::Holds => "1;32",
        RunVerdict::Violated => "1;31",
        RunVerdict::Undecided => "1;33",
        RunVerdict::Nondeterministic => "1;35",
    }
}

fn why(out: &mut String, violation: &Violation) {
    let at = seconds(violation.at);
    line(out, &format!("{}: {} (at {at})", shown(&violation.property), shown(&violation.summary)));
}

fn undecided(out: &mut String, judgements: &[Judgement]) {
    for judgement in judgements.iter().filter(|j| j.verdict == Verdict::Undecided) {
        let because = judgement.because.as_deref().unwrap_or("a budget ran out");
        line(out, &format!("{}: undecided, {}", shown(&judgement.property), shown(because)));
    }
}

fn difference_lines(out: &mut String, difference: &FirstDifference) {
    let side = |event: &Option<String>| {
        event.as_deref().map_or_else(|| "(the execution had ended)".to_owned(), shown)
    };
    line(out, &format!("the executions part at event {}:", grouped(difference.index)));
    line(out, &format!("    first   {}", side(&difference.first)));
    line(out, &format!("    second  {}", side(&difference.second)));
}

fn property_table(out: &mut String, judgements: &[Judgement], style: Style) {
    let header = ["property", "verdict", "judged", ""].map(str::to_owned);
    let mut rows = vec![header];
    // What a run has nothing of takes one line together.
    let is_absent = |judgement: &&Judgement| {
        let because = judgement.because.as_deref().unwrap_or_default();
        judgement.verdict == Verdict::Skipped && because.starts_with("no")
    };
    let (absent, judgements): (Vec<&Judgement>, Vec<&Judgement>) =
        judgements.iter().partition(is_absent);
    for judgement in &judgements {
        rows.push([
            shown(&judgement.property),
            judgement.verdict.word().to_owned(),
            grouped(judgement.judged),
            judgement.because.as_deref().map(shown).unwrap_or_default(),
        ]);
    }
    for (index, row) in aligned(&rows, &[false, false, true, false]).into_iter().enumerate() {
        let colour = match index.checked_sub(1).map(|index| judgements[index].verdict) {
            None | Some(Verdict::Skipped) => "2",
            Some(Verdict::Violated) => "31",
            Some(Verdict::Undecided) => "33",
            Some(Verdict::Holds | Verdict::Expected) => "0",
        };
        line(out, &style.paint(colour, &row));
    }
    if !absent.is_empty() {
        let names: Vec<String> =
            absent.iter().map(|judgement| shown(&judgement.property)).collect();
        line(out, &style.paint("2", &format!("nothing to judge: {}", names.join(", "))));
    }
}

fn facts(out: &mut String, run: &RunResult, style: Style) {
    let (ops, reads) = (run.operations, run.reads);
    let mut rows: Vec<[String; 2]> = Vec::new();
    let mut fact = |name: &str, value: String| rows.push([name.to_owned(), value]);
    fact(
        "operations",
        format!(
            "{}: {} ok, {} fail, {} unknown",
            grouped(ops.total()),
            grouped(ops.ok),
            grouped(ops.fail),
            grouped(ops.unknown)
        ),
    );
    fact(
        "reads",
        format!(
            "{} default ({} in a window), {} consistent, {} stale",
            grouped(reads.default),
            grouped(reads.in_window),
            grouped(reads.consistent),
            grouped(reads.stale)
        ),
    );
    fact("trace", format!("{} over {} events, {}", run.trace, grouped(run.events), replay(run)));
    fact("speed", speed(run));
    for note in &run.notes {
        fact("note", shown(note));
    }
    if let Some(plant) = &run.plant {
        fact("plant", shown(plant));
    }
    if let Some(report) = &run.report {
        fact("report", shown(report));
    }
    fact("reproduce", shown(&run.reproduce));
    for row in aligned(&rows, &[false, false]) {
        let (name, value) = row.split_at(row.len().min(10));
        line(out, &format!("{}{value}", style.paint("2", name)));
    }
}

/// What is known about a second execution, in words.
#[must_use]
pub fn replay(run: &RunResult) -> &'static str {
    match (run.replayed, run.verdict) {
        (false, _) => "not replayed",
        (true, RunVerdict::Nondeterministic) => "replayed in a fresh process: different",
        (true, _) => "replayed in a fresh process: equal",
    }
}

/// The speed of the run, in words.
#[must_use]
pub fn speed(run: &RunResult) -> String {
    if !run.speed.is_finite() || run.speed <= 0.0 {
        return "not measured".to_owned();
    }
    let factor = grouped(run.speed.round() as u64);
    let all = format!("{:.1} virtual s in {:.3} s with boot and settle", run.virtual_s, run.wall_s);
    format!("{factor} virtual s per wall s; {all}")
}

fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}

/// Pads the columns of a table to equal widths, two spaces apart; `right` aligns numbers.
fn aligned<const N: usize>(rows: &[[String; N]], right: &[bool; N]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let cell = |row: &[String; N], column: usize| {
        let (text, width) = (&row[column], widths[column]);
        if right[column] { format!("{text:>width$}") } else { format!("{text:<width$}") }
    };
    rows.iter()
        .map(|row| (0..N).map(|column| cell(row, column)).collect::<Vec<_>>().join("  "))
        .collect()
}

/// `1204` as `1,204`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Virtual ns as seconds with milliseconds.
fn seconds(at: i64) -> String {
    let sign = if at < 0 { "-" } else { "" };
    let ms = at.unsigned_abs() / 1_000_000;
    format!("{sign}{}.{:03} s", ms / 1000, ms % 1000)
}

/// A value somebody else wrote, with control characters escaped.
fn shown(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, char| {
        if char.is_control() {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
        out
    })
}

#[cfg(test)]
mod tests;
