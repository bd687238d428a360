//! The history in columns: one row an operation, in the order of the calls.
//!
//! Columns of numbers and one table of strings are a third of the size of objects, and the page reads
//! them as they are. Values are shortened: the report shows which value it was, not all of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::micros;
use crate::history::operation::{Call, Mode, Operation, Outcome, Output, Seen};

/// Values longer than this many characters are shortened.
const SHOWN_CHARS: usize = 80;
/// Rows of a list's answer that are shown.
const SHOWN_ROWS: usize = 12;

/// All operations, column by column. Columns named after strings hold indexes into `strings`, whose
/// row 0 is the empty string.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Operations {
    /// The table of strings.
    pub strings: Vec<String>,
    /// Ids, as differences from the row before.
    pub id: Vec<i64>,
    /// When it was called, µs, as differences from the row before.
    pub at: Vec<i64>,
    /// How long it took, µs; -1 when it never returned.
    pub took: Vec<i64>,
    /// Who (string).
    pub user: Vec<u32>,
    /// Logical client.
    pub client: Vec<u32>,
    /// The agent that was asked (string).
    pub server: Vec<u32>,
    /// `get`, `put`, … (string).
    pub call: Vec<u32>,
    /// Read mode (string), row 0 for writes.
    pub mode: Vec<u32>,
    /// The key or prefix (string).
    pub key: Vec<u32>,
    /// What was to be written (string).
    pub input: Vec<u32>,
    /// What was answered, or the error (string).
    pub answer: Vec<u32>,
    /// `X-Consul-Index`; 0 when there was none.
    pub index: Vec<u64>,
    /// 0 ok, 1 fail, 2 unknown.
    pub outcome: Vec<u8>,
}

impl Operations {
    /// Of a history.
    #[must_use]
    pub fn of(history: &[Operation]) -> Self {
        let mut rows = Self::default();
        let mut table = Strings::default();
        table.row("");
        let (mut last_id, mut last_at) = (0, 0);
        for operation in history {
            let id = i64::try_from(operation.id).unwrap_or(i64::MAX);
            let at = micros(operation.called_at);
            rows.id.push(id - last_id);
            rows.at.push(at - last_at);
            (last_id, last_at) = (id, at);
            let took = operation.returned_at.map(|returned| micros(returned) - at);
            rows.took.push(took.map_or(-1, |took| took.max(0)));
            rows.user.push(table.row(&user(operation)));
            rows.client.push(operation.client);
            rows.server.push(table.row(&operation.server));
            rows.call.push(table.row(call_word(&operation.call)));
            rows.mode.push(table.row(mode_word(&operation.call)));
            rows.key.push(table.row(&operation.key));
            rows.input.push(table.row(&input(&operation.call)));
            rows.answer.push(table.row(&answer(operation)));
            rows.index.push(operation.index.unwrap_or(0));
            rows.outcome.push(match operation.outcome {
                Outcome::Ok => 0,
                Outcome::Fail => 1,
                Outcome::Unknown => 2,
            });
        }
        rows.strings = table.rows;
        rows
    }
}

/// Strings, each once.
#[derive(Default)]
struct Strings {
    rows: Vec<String>,
    known: BTreeMap<String, u32>,
}

impl Strings {
    fn row(&mut self, text: &str) -> u32 {
        if let Some(&row) = self.known.get(text) {
            return row;
        }
        let row = u32::try_from(self.rows.len()).expect("a history has fewer than 2^32 strings");
        self.rows.push(text.to_owned());
        self.known.insert(text.to_owned(), row);
        row
    }
}

/// The lane: the user, or the logical client in histories without users.
fn user(operation: &Operation) -> String {
    match operation.user.as_str() {
        "" => format!("client {}", operation.client),
        user => user.to_owned(),
    }
}

fn call_word(call: &Call) -> &'static str {
    match call {
        Call::Get { .. } => "get",
        Call::Put { .. } => "put",
        Call::CasIndex { .. } | Call::CasValue { .. } => "cas",
        Call::Append { .. } => "append",
        Call::Delete => "delete",
        Call::List { .. } => "list",
        Call::Fire { .. } => "fire",
        Call::Events { .. } => "events",
        Call::Of(request) => request.word(),
    }
}

fn mode_word(call: &Call) -> &'static str {
    match crate::report::read_mode(call) {
        Some(Mode::Default) => "default",
        Some(Mode::Consistent) => "consistent",
        Some(Mode::Stale) => "stale",
        None => "",
    }
}

fn input(call: &Call) -> String {
    match call {
        Call::Get { .. } | Call::List { .. } | Call::Delete => String::new(),
        Call::Put { value } | Call::Append { value } => quoted(value),
        Call::Fire { payload } => quoted(payload),
        Call::Events { index: 0 } => String::new(),
        Call::Events { index } => format!("after index {index}"),
        Call::Of(request) => request.detail(),
        Call::CasIndex { index: 0, value } => format!("{} if absent", quoted(value)),
        Call::CasIndex { index, value } => format!("{} if at version {index}", quoted(value)),
        Call::CasValue { from, to } => format!("{} if {}", quoted(to), quoted(from)),
    }
}

fn answer(operation: &Operation) -> String {
    match (&operation.output, &operation.error) {
        (Some(Output::Done) | None, None) => String::new(),
        (Some(Output::Of(reply)), _) => shortened(&reply.shown()),
        (Some(Output::Swapped(true)), _) => "swapped".to_owned(),
        (Some(Output::Swapped(false)), _) => "not swapped".to_owned(),
        (Some(Output::Value(None)), _) => "nothing".to_owned(),
        (Some(Output::Value(Some(seen))), _) => value(seen),
        (Some(Output::Values(seen)), _) => list(seen),
        (_, Some(error)) => shortened(error),
    }
}

fn value(seen: &Seen) -> String {
    let version = seen.modify_index.map(|index| format!(" (version {index})")).unwrap_or_default();
    format!("{}{version}", quoted(&seen.value))
}

fn list(seen: &[Seen]) -> String {
    if seen.is_empty() {
        return "nothing".to_owned();
    }
    let shown = seen.iter().take(SHOWN_ROWS);
    let mut rows: Vec<String> =
        shown.map(|seen| format!("{} = {}", shortened(&seen.key), value(seen))).collect();
    if seen.len() > SHOWN_ROWS {
        rows.push(format!("… {} more", seen.len() - SHOWN_ROWS));
    }
    rows.join(", ")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", shortened(text))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
    }
}
