//! Stale reads, by their own promise (spec checkers 5.1).
//!
//! An answer is the state after some prefix of the committed log. Values nobody wrote, dirty reads
//! and reads from the future are [`super::facts`]; here: an answer fits one prefix, and successive
//! answers of one server, within one life of its process, do not go back.
//!
//! An answer's prefix is only known as a stretch of the log, from the newest version it shows (or the
//! index it carries) to just before the next version of a key it shows. A server that showed index 40
//! has gone back when a later answer ends before 40. Answers that overlap in time are not compared.
//! *Not* promised, so not checked: anything across servers or lives, or about a user's own writes.

use std::collections::BTreeMap;

use super::order::{Named, fractured};
use super::words::{asked, ended, who};
use super::{Evidence, VIOLATIONS_MAX, lower};
use crate::history::History;
use crate::history::operation::{Call, Mode, Operation};
use crate::property::Violation;

use super::explain::violation;

/// The first few broken promises.
pub(super) fn violations(history: &History, evidence: &Evidence<'_>) -> Vec<Violation> {
    let named = Named::of(history);
    let mut found = Vec::new();
    let mut lives: BTreeMap<(&str, u64), Vec<&Operation>> = BTreeMap::new();
    for read in lower::reads(history).filter(|read| read.mode == Mode::Stale) {
        let operation = read.operation;
        let (from, before) = stretch(&named, operation);
        if before.is_some_and(|before| before <= from) {
            found.push(fractured(history, operation));
        }
        let life = (evidence.life)(&operation.server, operation.called_at);
        let at_return = operation.returned_at.unwrap_or(operation.called_at);
        if !operation.server.is_empty() && life == (evidence.life)(&operation.server, at_return) {
            lives.entry((&operation.server, life)).or_default().push(operation);
        }
    }
    for answers in lives.values() {
        found.extend(went_back(history, &named, answers));
    }
    found.sort_by_key(|violation| violation.at);
    found.truncate(VIOLATIONS_MAX);
    found
}

/// As [`Named::stretch`], with the index that the answer carries.
fn stretch(named: &Named<'_>, read: &Operation) -> (u64, Option<u64>) {
    let (from, before) = named.stretch(read);
    (from.max(read.index.unwrap_or(0)), before)
}

/// The first answer of this life that is older than one that was complete before it was asked for.
fn went_back(history: &History, named: &Named<'_>, answers: &[&Operation]) -> Option<Violation> {
    let mut asked_order = answers.to_vec();
    asked_order.sort_by_key(|read| (read.called_at, read.id));
    let mut returned_order = answers.to_vec();
    returned_order.sort_by_key(|read| (read.returned_at, read.id));
    let mut returned = returned_order.into_iter().peekable();
    let mut shown: Option<(u64, &Operation)> = None;
    let mut gone: BTreeMap<&str, (u64, &Operation)> = BTreeMap::new();
    for read in asked_order {
        while let Some(earlier) =
            returned.next_if(|earlier| earlier.returned_at < Some(read.called_at))
        {
            let from = stretch(named, earlier).0;
            if shown.is_none_or(|(most, _)| from > most) {
                shown = Some((from, earlier));
            }
            if matches!(earlier.call, Call::Get { .. }) && lower::rows(earlier).is_empty() {
                gone.insert(&earlier.key, (from, earlier));
            }
        }
        let before = stretch(named, read).1;
        let older = shown.filter(|(most, _)| before.is_some_and(|before| before <= *most));
        let revived = lower::rows(read).iter().find_map(|seen| {
            gone.get(seen.key.as_str())
                .filter(|(absent_at, _)| seen.modify_index.is_some_and(|index| index <= *absent_at))
        });
        if let Some((_, earlier)) = older.or(revived.copied()) {
            let text = format!(
                "{} answered the {} by {} at {} from an older state than the {} by {} at {}, without a \
                 restart in between.",
                read.server,
                asked(read),
                who(read),
                ended(read),
                asked(earlier),
                who(earlier),
                ended(earlier),
            );
            return Some(violation(history, "server went back", text, &[earlier.id, read.id]));
        }
    }
    None
}
