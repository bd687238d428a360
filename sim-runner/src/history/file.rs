//! Histories as files: one JSON object a line.
//!
//! ```text
//! {"client":0,"user":"u1","server":"n2","op":"put","key":"k1","value":"u1-7","call":120,"return":180,"outcome":"ok"}
//! {"client":3,"op":"cas","key":"r","from":4,"to":2,"call":13,"return":19,"outcome":"ok","output":false}
//! ```
//!
//! | field | meaning |
//! |---|---|
//! | `op` | `get put delete list`, `cas` (by `from` and `to`, or by `if_index` and `value`), `append`; of user events: `fire`, `events`; with `request`: [`Request::word`] |
//! | `call`, `return` | ns, or positions in a log without a clock; `return` is null when no answer came |
//! | `ended` | when the user gave up on an operation with unknown outcome |
//! | `outcome` | `ok`, `fail` (no effect, nothing observed), `unknown` |
//! | `output` | get: the value, null when absent; cas: whether it held; list: `[{key, value, modify_index}]` |
//! | `request`, `answer` | of an operation on sessions, locks, watches, transactions or the catalog: [`Request`], [`Reply`] |
//! | `modify_index` | the version a get saw |
//! | `index` | `X-Consul-Index`; for a write: the index it made. A get that has only `index` saw that version |
//! | `mode`, `user`, `server`, `error` | as in [`Operation`] |
//!
//! Lines may stand in any order. Reading is strict, because a history that is read wrongly gives a
//! wrong verdict with full confidence: everything doubtful is an error that names its line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::History;
use super::operation::{Call, Mode, Operation, Outcome, Output, Seen};
use super::request::{Reply, Request};
use super::row::{Answer, Row, Scalar, SeenRow};

/// Where a file is not a history, and why: `name:line: what`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError(String);

impl std::fmt::Display for FileError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for FileError {}

/// The history as lines of JSON. Reading it back gives an equal history.
#[must_use]
pub fn write(history: &History) -> String {
    let mut text = String::new();
    for operation in history.operations() {
        let line = serde_json::to_string(&row(operation)).expect("rows hold nothing JSON lacks");
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Reads a history; `name` is the file's, for errors.
///
/// # Errors
/// The first line that is not an operation, or that contradicts another one.
pub fn read(name: &str, bytes: &[u8]) -> Result<History, FileError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        fail(name, 1 + good.iter().filter(|byte| **byte == b'\n').count(), "not UTF-8 text")
    })?;
    let mut rows = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let row: Row = serde_json::from_str(line).map_err(|error| {
            let what = error.to_string();
            // serde_json counts lines within the one line it was given.
            let what = what.split(" at line ").next().unwrap_or(&what);
            FileError(format!("{name}:{}:{}: {what}", number + 1, error.column().max(1)))
        })?;
        rows.push((number + 1, row));
    }
    // 1 and "1" are two values. Files hold either numbers or texts; in one that mixes them, texts
    // keep their quotes.
    let quote =
        rows.iter().any(|(_, row)| has(row, true)) && rows.iter().any(|(_, row)| has(row, false));
    let mut operations = Vec::with_capacity(rows.len());
    for (line, row) in rows {
        let operation = operation(row, quote).map_err(|what| fail(name, line, &what))?;
        operations.push((line, operation));
    }
    check_clients(&operations).map_err(|(line, what)| fail(name, line, &what))?;
    Ok(History::new(operations.into_iter().map(|(_, operation)| operation).collect()))
}

fn fail(name: &str, line: usize, what: &str) -> FileError {
    FileError(format!("{name}:{line}: {what}"))
}

/// Whether the row holds a number, or a text.
fn has(row: &Row, number: bool) -> bool {
    let of = |scalar: &Scalar| matches!(scalar, Scalar::Number(_)) == number;
    [&row.value, &row.from, &row.to].into_iter().flatten().any(of)
        || match &row.output {
            Some(Answer::Value(scalar)) => of(scalar),
            Some(Answer::Rows(rows)) => rows.iter().any(|row| of(&row.value)),
            _ => false,
        }
}

fn text(scalar: Scalar, quote: bool) -> String {
    match scalar {
        Scalar::Text(text) if quote => {
            let mut quoted = String::new();
            write!(quoted, "{text:?}").expect("a string takes any text");
            quoted
        }
        Scalar::Text(text) | Scalar::Number(text) => text,
    }
}

/// One operation of a row, or why it is none.
fn operation(mut row: Row, quote: bool) -> Result<Operation, String> {
    let call = call(&mut row, quote)?;
    for (name, scalar) in [("value", &row.value), ("from", &row.from), ("to", &row.to)] {
        if scalar.is_some() {
            return Err(format!("`{name}` does not belong to `{}`", row.op));
        }
    }
    if row.if_index.is_some() {
        return Err(format!("`if_index` does not belong to `{}`", row.op));
    }
    let returned_at = row.returned.or(row.ended);
    if returned_at.is_some_and(|at| at < row.call) {
        return Err(format!(
            "it returns at {} before it is called at {}",
            returned_at.unwrap_or(0),
            row.call
        ));
    }
    if !matches!(call, Call::Of(_)) && row.answer.is_some() {
        return Err(format!("`answer` does not belong to `{}`", row.op));
    }
    let answered = row.outcome == Outcome::Ok;
    if answered && row.returned.is_none() {
        return Err("`ok` needs a `return`; an answer that never came is `unknown`".to_owned());
    }
    let output = match (answered, &call, row.output.take()) {
        (true, Call::Of(_), Some(_)) => {
            return Err(format!("`output` does not belong to `{}`", row.op));
        }
        (true, Call::Of(request), None) => Some(Output::Of(reply(request, row.answer.take())?)),
        (true, call, answer) => Some(output(call, &row, answer, quote)?),
        (false, ..) => None,
    };
    Ok(Operation {
        id: 0,
        client: row.client,
        user: row.user,
        server: row.server,
        key: row.key,
        call,
        called_at: row.call,
        returned_at,
        outcome: row.outcome,
        output,
        index: row.index.filter(|_| answered),
        error: row.error,
    })
}

/// The answer to a request.
fn reply(request: &Request, answer: Option<Reply>) -> Result<Reply, String> {
    match answer {
        Some(reply) if request.takes(&reply) => Ok(reply),
        Some(_) => Err(format!("this `answer` is none to `{}`", request.word())),
        None => Err(format!("`{}` needs `answer`", request.word())),
    }
}

fn call(row: &mut Row, quote: bool) -> Result<Call, String> {
    if let Some(request) = row.request.take() {
        return match request.word() == row.op {
            true => Ok(Call::Of(request)),
            false => Err(format!("`op` is `{}`, but `request` says {}", row.op, request.word())),
        };
    }
    let mode = row.mode.take();
    let kind = row.op.clone();
    let need = |field: Option<Scalar>, name: &str| {
        field.map(|scalar| text(scalar, quote)).ok_or_else(|| format!("`{kind}` needs `{name}`"))
    };
    let read = mode.unwrap_or(Mode::Consistent);
    if mode.is_some() && !matches!(row.op.as_str(), "get" | "list") {
        return Err(format!("`mode` does not belong to `{kind}`"));
    }
    Ok(match row.op.as_str() {
        "get" => Call::Get { mode: read },
        "list" => Call::List { mode: read },
        "put" => Call::Put { value: need(row.value.take(), "value")? },
        "append" => Call::Append { value: need(row.value.take(), "value")? },
        "delete" => Call::Delete,
        "fire" => Call::Fire { payload: need(row.value.take(), "value")? },
        "events" => Call::Events { index: row.if_index.take().unwrap_or(0) },
        "cas" => match row.if_index.take() {
            Some(index) => Call::CasIndex { index, value: need(row.value.take(), "value")? },
            None => Call::CasValue {
                from: need(row.from.take(), "from")?,
                to: need(row.to.take(), "to")?,
            },
        },
        other => {
            return Err(format!(
                "unknown operation `{other}`; known are get, put, cas, delete, append, list, fire, \
                 events"
            ));
        }
    })
}

/// The answer of an operation that ended ok.
fn output(call: &Call, row: &Row, answer: Option<Answer>, quote: bool) -> Result<Output, String> {
    Ok(match (call, answer) {
        (Call::Get { .. }, Some(Answer::Absent)) => Output::Value(None),
        (Call::Get { .. }, Some(Answer::Value(value))) => Output::Value(Some(Seen {
            key: row.key.clone(),
            value: text(value, quote),
            modify_index: row.modify_index.or(row.index),
        })),
        (Call::Get { .. }, _) => return Err("`get` needs `output`: a value, or null".to_owned()),
        (Call::List { .. }, Some(Answer::Rows(rows))) => {
            Output::Values(seen(rows, &row.key, quote)?)
        }
        (Call::Events { .. }, Some(Answer::Rows(rows))) => {
            let event = |row: SeenRow| Seen {
                key: row.key,
                value: text(row.value, quote),
                modify_index: row.modify_index,
            };
            Output::Values(rows.into_iter().map(event).collect())
        }
        (Call::Events { .. }, _) => {
            return Err("`events` needs `output`: a list of events".to_owned());
        }
        (Call::List { .. }, _) => return Err("`list` needs `output`: a list of keys".to_owned()),
        (Call::CasIndex { .. } | Call::CasValue { .. }, Some(Answer::Flag(held))) => {
            Output::Swapped(held)
        }
        (Call::CasIndex { .. } | Call::CasValue { .. }, _) => {
            return Err("`cas` needs `output`: true or false".to_owned());
        }
        (_, None | Some(Answer::Absent | Answer::Flag(true))) => Output::Done,
        (_, Some(_)) => return Err(format!("`{}` has no `output`", row.op)),
    })
}

fn seen(rows: Vec<SeenRow>, prefix: &str, quote: bool) -> Result<Vec<Seen>, String> {
    let mut all: Vec<Seen> = Vec::with_capacity(rows.len());
    for SeenRow { key, value, modify_index } in rows {
        if !key.starts_with(prefix) {
            return Err(format!("`{key}` does not begin with the listed prefix `{prefix}`"));
        }
        if all.iter().any(|other| other.key == key) {
            return Err(format!("`{key}` is listed twice"));
        }
        all.push(Seen { key, value: text(value, quote), modify_index });
    }
    Ok(all)
}

/// A client has one operation open at a time, and none after an unknown outcome: else the history
/// claims less concurrency than there was, and valid runs would look violated.
fn check_clients(operations: &[(usize, Operation)]) -> Result<(), (usize, String)> {
    let mut order: Vec<&(usize, Operation)> = operations.iter().collect();
    order.sort_by_key(|(line, operation)| {
        (operation.called_at, operation.returned_at.unwrap_or(i64::MAX), *line)
    });
    let mut last: BTreeMap<u32, &(usize, Operation)> = BTreeMap::new();
    for entry in order {
        let (line, operation) = entry;
        let client = operation.client;
        if let Some((earlier, before)) = last.insert(client, entry) {
            if before.outcome == Outcome::Unknown {
                return Err((
                    *line,
                    format!(
                        "client {client} goes on after the unknown outcome of line {earlier}; it needs a new number"
                    ),
                ));
            }
            if before.returned_at.is_some_and(|at| at > operation.called_at) {
                return Err((
                    *line,
                    format!("client {client} calls while its operation of line {earlier} is open"),
                ));
            }
        }
    }
    Ok(())
}

fn row(operation: &Operation) -> Row {
    let unknown = operation.outcome == Outcome::Unknown;
    let value = |value: &String| Some(Scalar::Text(value.clone()));
    let mut row = Row {
        client: operation.client,
        user: operation.user.clone(),
        server: operation.server.clone(),
        op: String::new(),
        key: operation.key.clone(),
        mode: None,
        if_index: None,
        value: None,
        from: None,
        to: None,
        request: None,
        call: operation.called_at,
        returned: operation.returned_at.filter(|_| !unknown),
        ended: operation.returned_at.filter(|_| unknown),
        outcome: operation.outcome,
        output: None,
        answer: None,
        modify_index: None,
        index: operation.index,
        error: operation.error.clone(),
    };
    let kind = match &operation.call {
        Call::Get { mode } | Call::List { mode } => {
            row.mode = Some(*mode);
            if matches!(operation.call, Call::Get { .. }) { "get" } else { "list" }
        }
        Call::Put { value: new } | Call::Append { value: new } => {
            row.value = value(new);
            if matches!(operation.call, Call::Put { .. }) { "put" } else { "append" }
        }
        Call::CasIndex { index, value: new } => {
            row.if_index = Some(*index);
            row.value = value(new);
            "cas"
        }
        Call::CasValue { from, to } => {
            row.from = value(from);
            row.to = value(to);
            "cas"
        }
        Call::Delete => "delete",
        Call::Fire { payload } => {
            row.value = value(payload);
            "fire"
        }
        Call::Events { index } => {
            row.if_index = Some(*index);
            "events"
        }
        Call::Of(request) => {
            row.request = Some(request.clone());
            request.word()
        }
    };
    row.op = kind.to_owned();
    answer(&mut row, operation.output.as_ref());
    row
}

fn answer(row: &mut Row, output: Option<&Output>) {
    row.output = match output {
        None | Some(Output::Done) => None,
        Some(Output::Of(reply)) => {
            row.answer = Some(reply.clone());
            None
        }
        Some(Output::Swapped(held)) => Some(Answer::Flag(*held)),
        Some(Output::Value(None)) => Some(Answer::Absent),
        Some(Output::Value(Some(seen))) => {
            row.modify_index = seen.modify_index;
            Some(Answer::Value(Scalar::Text(seen.value.clone())))
        }
        Some(Output::Values(rows)) => Some(Answer::Rows(
            rows.iter()
                .map(|seen| SeenRow {
                    key: seen.key.clone(),
                    value: Scalar::Text(seen.value.clone()),
                    modify_index: seen.modify_index,
                })
                .collect(),
        )),
    };
}

#[cfg(test)]
mod tests;
