//! Answers that are wrong whatever the order: cheap, and worth their own words.
//!
//! They hold for reads of every mode: a value must have been written, by a write that did not fail
//! and that had begun; a version has one value, and one compare-and-set replaces it (spec checkers
//! 1.5, 5.1). What these tests let pass is left to the search.

use std::collections::BTreeMap;

use super::explain::violation;
use super::words::{asked, ended, time, who};
use super::{VIOLATIONS_MAX, lower};
use crate::history::operation::{Call, Operation, Outcome, Output};
use crate::history::{History, Model};
use crate::property::Violation;

/// The first few of them.
pub(super) fn violations(history: &History) -> Vec<Violation> {
    let mut found = Vec::new();
    if history.model() == Model::Register {
        found.extend(unwritten(history));
    }
    found.extend(one_version_two_values(history));
    found.extend(double_cas(history));
    found.sort_by_key(|violation| violation.at);
    found.truncate(VIOLATIONS_MAX);
    found
}

/// Who wrote which value of which key, whatever came of it.
fn writers(history: &History) -> BTreeMap<(&str, &str), Vec<&Operation>> {
    let mut writers: BTreeMap<(&str, &str), Vec<&Operation>> = BTreeMap::new();
    for operation in history.operations() {
        let value = match &operation.call {
            Call::Put { value }
            | Call::CasIndex { value, .. }
            | Call::CasValue { to: value, .. } => value,
            _ => continue,
        };
        if operation.output != Some(Output::Swapped(false)) {
            writers.entry((&operation.key, value)).or_default().push(operation);
        }
    }
    writers
}

fn unwritten(history: &History) -> Vec<Violation> {
    let writers = writers(history);
    let mut found = Vec::new();
    for read in lower::reads(history).map(|read| read.operation) {
        for seen in lower::rows(read) {
            let all = writers.get(&(seen.key.as_str(), seen.value.as_str()));
            let all = all.map_or(&[][..], Vec::as_slice);
            let mut able = all.iter().filter(|write| write.outcome != Outcome::Fail).peekable();
            let saw =
                format!("{} read {} = {:?} at {}", who(read), seen.key, seen.value, ended(read));
            let returned = read.returned_at.unwrap_or(i64::MAX);
            if able.peek().is_none() {
                found.push(match all.first() {
                    None => violation(
                        history,
                        "read from nowhere",
                        format!("{saw}, which nobody had written."),
                        &[read.id],
                    ),
                    Some(write) => violation(
                        history,
                        "dirty read",
                        format!("{saw}, but the {} by {} had failed.", asked(write), who(write)),
                        &[write.id, read.id],
                    ),
                });
            } else if let Some(first) = able.min_by_key(|write| write.called_at)
                && first.called_at > returned
            {
                let began = time(first, first.called_at);
                found.push(violation(
                    history,
                    "read from the future",
                    format!("{saw}, but its first write began only at {began}."),
                    &[read.id, first.id],
                ));
            }
        }
    }
    found
}

fn one_version_two_values(history: &History) -> Vec<Violation> {
    let mut first: BTreeMap<(&str, u64), (&str, &Operation)> = BTreeMap::new();
    let mut found = Vec::new();
    for read in lower::reads(history).map(|read| read.operation) {
        for seen in lower::rows(read) {
            let Some(index) = seen.modify_index else { continue };
            let entry = first.entry((&seen.key, index)).or_insert((&seen.value, read));
            if entry.0 != seen.value {
                let text = format!(
                    "version {index} of {} is {:?} to {} at {}, and {:?} to {} at {}.",
                    seen.key,
                    entry.0,
                    who(entry.1),
                    ended(entry.1),
                    seen.value,
                    who(read),
                    ended(read),
                );
                found.push(violation(
                    history,
                    "one version with two values",
                    text,
                    &[entry.1.id, read.id],
                ));
            }
        }
    }
    found
}

/// A version is replaced once. A compare-and-set that writes what is stored replaces nothing, so the
/// value of the version must be known, and be another one.
fn double_cas(history: &History) -> Vec<Violation> {
    let mut values: BTreeMap<(&str, u64), &str> = BTreeMap::new();
    for seen in lower::reads(history).flat_map(|read| lower::rows(read.operation)) {
        values.extend(
            seen.modify_index.map(|index| ((seen.key.as_str(), index), seen.value.as_str())),
        );
    }
    let mut first: BTreeMap<(&str, u64), &Operation> = BTreeMap::new();
    let mut found = Vec::new();
    for operation in history.operations() {
        let Call::CasIndex { index, value } = &operation.call else { continue };
        let version = (operation.key.as_str(), *index);
        let replaces = values.get(&version).is_some_and(|stored| stored != value);
        if !replaces || operation.output != Some(Output::Swapped(true)) {
            continue;
        }
        let earlier = *first.entry(version).or_insert(operation);
        if earlier.id != operation.id {
            let text = format!(
                "two compare-and-sets both replaced version {index} of {}: that of {} at {}, and \
                 that of {} at {}.",
                operation.key,
                who(earlier),
                ended(earlier),
                who(operation),
                ended(operation),
            );
            // The read that tells the value of the version belongs to the proof.
            let told = lower::reads(history).map(|read| read.operation).find(|read| {
                lower::rows(read).iter().any(|seen| {
                    (seen.key.as_str(), seen.modify_index) == (version.0, Some(version.1))
                })
            });
            let mut ids = vec![earlier.id, operation.id];
            ids.extend(told.map(|read| read.id));
            found.push(violation(history, "double cas", text, &ids));
        }
    }
    found
}
