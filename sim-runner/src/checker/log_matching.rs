//! **log-matching**: two logs with the same entry (index and term) are identical up to it, and a
//! leader never deletes entries of its own log (Raft paper 5.3, figure 3; spec cluster 11.1, 2 and 3).
//!
//! Every appended or recovered entry is compared, by the hash of the log up to it, with the first log
//! in which that index and term were ever seen. No stricter than the truth: entries of different terms
//! at one index are no matter, and what a follower truncates is forgotten only in its own log; what it
//! once held with a term stays comparable, because a term's leader makes one entry per index.

use std::collections::BTreeMap;

use crate::property::Judgement;
use crate::trace::event::{EntryRef, Host, What};
use crate::trace::log::Slot;
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::Findings;
use super::oracle::{Oracle, Seen};

pub struct LogMatching {
    first: BTreeMap<(u64, u64), (Slot, Host)>,
    findings: Findings,
}

impl LogMatching {
    pub fn new() -> Self {
        Self { first: BTreeMap::new(), findings: Findings::new("log-matching") }
    }

    fn compare(&mut self, entry: &EntryRef, seen: Seen<'_>) {
        let Some(slot) = seen.view.node(seen.event.host).log.get(entry.index).copied() else {
            return;
        };
        let place = (entry.index, entry.term);
        let (expected, owner) = *self.first.entry(place).or_insert((slot, seen.event.host));
        self.findings.judge(1);
        if expected == slot {
            return;
        }
        let fact = match expected.hash == slot.hash {
            true => "same index and term, different entries before it",
            false => "same index and term, different content",
        };
        let summary = format!(
            "entry {} of term {} differs between {} and {} (at {}): {fact}",
            entry.index,
            entry.term,
            seen.name_of(owner),
            seen.name(),
            seen.time()
        );
        self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
    }
}

impl Oracle for LogMatching {
    fn observe(&mut self, seen: Seen<'_>) {
        match &seen.event.what {
            What::Append { entries } | What::Recovered { log: entries, .. } => {
                entries.iter().for_each(|entry| self.compare(entry, seen));
            }
            What::Truncate { from } if seen.view.node(seen.event.host).leads() => {
                let (name, time) = (seen.name(), seen.time());
                let summary =
                    format!("{name} deleted its log from entry {from} on at {time}, while leading");
                let fact = "a leader deleted entries of its own log";
                self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
            }
            _ => {}
        }
    }

    fn finish(self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        self.findings.finish()
    }
}
