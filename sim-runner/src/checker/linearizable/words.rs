//! Operations in words, for sentences.

use crate::history::operation::{Call, Mode, Operation, Outcome, Output};

/// `u2`, or `client 4` in histories without users.
pub(super) fn who(operation: &Operation) -> String {
    if operation.user.is_empty() {
        format!("client {}", operation.client)
    } else {
        operation.user.clone()
    }
}

/// `12.310 s`, or the bare number in histories without users, whose times may be positions.
pub(super) fn time(operation: &Operation, at: i64) -> String {
    if operation.user.is_empty() {
        return at.to_string();
    }
    let sign = if at < 0 { "-" } else { "" };
    let us = at.unsigned_abs() / 1_000;
    format!("{sign}{}.{:06} s", us / 1_000_000, us % 1_000_000)
}

/// When it was answered, or called if it never was.
pub(super) fn ended(operation: &Operation) -> String {
    time(operation, operation.returned_at.unwrap_or(operation.called_at))
}

/// `put k1 = "a"`.
pub(super) fn asked(operation: &Operation) -> String {
    let key = &operation.key;
    match &operation.call {
        Call::Get { mode } => format!("{} get of {key}", name(*mode)),
        Call::List { mode } => format!("{} list of {key}*", name(*mode)),
        Call::Put { value } => format!("put of {key} = {value:?}"),
        Call::CasIndex { index, value } => {
            format!("compare-and-set of {key} = {value:?} at version {index}")
        }
        Call::CasValue { from, to } => format!("compare-and-set of {key} from {from:?} to {to:?}"),
        Call::Append { value } => format!("append of {value:?} to {key}"),
        Call::Delete => format!("delete of {key}"),
        Call::Fire { payload } => format!("firing of event {key} with {payload:?}"),
        Call::Events { index } => format!("list of events after index {index}"),
        Call::Of(request) => format!("{} of {key} {}", request.word(), request.detail()),
    }
}

fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::Default => "default",
        Mode::Consistent => "consistent",
        Mode::Stale => "stale",
    }
}

/// `u1: put of k1 = "a", 1.000000 s to 1.004000 s: ok`.
pub(super) fn line(operation: &Operation) -> String {
    let end = match (operation.outcome, operation.returned_at) {
        (Outcome::Unknown, _) | (_, None) => "unknown".to_owned(),
        (_, Some(at)) => time(operation, at),
    };
    let answer = match (&operation.output, operation.outcome) {
        (Some(Output::Value(None)), _) => "absent".to_owned(),
        (Some(Output::Value(Some(seen))), _) => match seen.modify_index {
            Some(index) => format!("{:?} (version {index})", seen.value),
            None => format!("{:?}", seen.value),
        },
        (Some(Output::Values(rows)), _) => {
            let rows: Vec<String> =
                rows.iter().map(|seen| format!("{} = {:?}", seen.key, seen.value)).collect();
            format!("[{}]", rows.join(", "))
        }
        (Some(Output::Of(reply)), _) => reply.shown(),
        (Some(Output::Swapped(held)), _) => held.to_string(),
        (_, Outcome::Ok) => "ok".to_owned(),
        (_, Outcome::Fail) => "failed".to_owned(),
        (_, Outcome::Unknown) => "outcome unknown".to_owned(),
    };
    format!(
        "{}: {}, {} to {end}: {answer}",
        who(operation),
        asked(operation),
        time(operation, operation.called_at),
    )
}
