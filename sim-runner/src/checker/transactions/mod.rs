//! **transactions**: a transaction happens as a whole or not at all, and all of them as if one after the
//! other, in an order that agrees with the order of their times (spec cluster 10.7, spec checkers 7;
//! Adya 1999 for the names of the anomalies, Kingsbury and Alvaro 2020 for finding them by cycles).
//!
//! ```text
//!   T1 sets x, y ──wr(x)──► T2 reads new x, old y ──rw(y)──► T1      ✗ seen in part
//! ```
//!
//! Every read of Consul says which version of the key it saw, and every write of a transaction which
//! version it made, so the order of versions is told and not guessed. What follows from it are edges of
//! a graph: `ww` from the writer of a version to that of the next, `wr` from the writer to who read it,
//! `rw` from who read it to the writer of the next, and real time from what had returned to what was
//! called later. A cycle proves that there is no such order. Cycles are searched for with few kinds of
//! edge first, so that one is told in its weakest words.
//!
//! No stricter than the truth. A transaction whose outcome is unknown takes part where somebody saw a
//! version that it made; it returned never. Reads that were not asked to be consistent may be old:
//! nothing needs to have come before them. Keys that were deleted are left out, as their versions are
//! not all told, and so is a value that two operations wrote. Single puts of a key are transactions of
//! one, whose version is known when somebody saw it. An operator's snapshot ends all knowledge.

mod cycle;
mod graph;
mod parties;

use std::collections::BTreeMap;

use crate::property::Judgement;
use crate::trace::event::What;
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::oracle::{Oracle, Seen};
use super::sessions::returned;
use parties::{Parties, Party};

const PROPERTY: &str = "transactions";

pub struct Transactions {
    restored: bool,
}

impl Transactions {
    pub fn new() -> Self {
        Self { restored: false }
    }
}

impl Oracle for Transactions {
    fn observe(&mut self, seen: Seen<'_>) {
        self.restored |= matches!(seen.event.what, What::SnapshotInstalled { operator: true, .. });
    }

    fn finish(self: Box<Self>, evidence: &Evidence, _: &View) -> Judgement {
        if self.restored {
            return skipped(PROPERTY, "an operator's snapshot took the place of every key");
        }
        let parties = Parties::of(&evidence.history);
        if parties.transactions == 0 {
            return skipped(PROPERTY, "nobody makes transactions");
        }
        let mut findings = Findings::new(PROPERTY);
        findings.judge(parties.transactions);
        for party in &parties.all {
            inside(party, &mut findings);
            strange(party, &parties, &mut findings);
        }
        at_one_index(&parties, &mut findings);
        if !findings.violated() {
            cycle::search(&parties, &mut findings);
        }
        findings.finish()
    }
}

/// A read of a key that the transaction itself had written, which shows something else.
fn inside(party: &Party<'_>, findings: &mut Findings) {
    for read in &party.own {
        let Some((expected, found)) = read.differs() else { continue };
        let summary = format!(
            "{} set {} to {expected:?} and then read {found:?} in the same transaction",
            party.name(),
            read.key,
        );
        let at = returned(party.operation);
        let fact = "a transaction that does not see its own write";
        findings.report(at, fact, summary, None, &[party.operation.id]);
    }
}

/// Values that were read and cannot have been: nobody's, of what was rolled back, or overwritten by its
/// own transaction.
fn strange(party: &Party<'_>, parties: &Parties<'_>, findings: &mut Findings) {
    let operation = party.operation;
    for read in &party.reads {
        let Some(value) = read.value else { continue };
        let at = (read.key, value);
        let (fact, other) = if let Some(other) = parties.rolled_back.get(&at) {
            ("a value of a transaction that was rolled back", *other)
        } else if let Some(other) = parties.overwritten.get(&at) {
            ("a value that its own transaction had overwritten", *other)
        } else if parties.writers.contains_key(&at) {
            continue;
        } else {
            ("a value that nobody wrote", operation)
        };
        let summary = format!("{} read {} = {value:?}: {fact}", party.name(), read.key);
        let operations = [other.id, operation.id];
        findings.report(returned(operation), fact, summary, None, &operations);
    }
}

/// All that a transaction writes has one index.
fn at_one_index(parties: &Parties<'_>, findings: &mut Findings) {
    let mut indexes: BTreeMap<usize, (u64, &str)> = BTreeMap::new();
    for (key, versions) in &parties.versions {
        for (index, writer) in versions {
            let (first, with) = *indexes.entry(*writer).or_insert((*index, key));
            if first == *index {
                continue;
            }
            let party = &parties.all[*writer];
            let summary = format!(
                "{} made version {first} of {with} and version {index} of {key}",
                party.name()
            );
            let at = party.operation.returned_at.unwrap_or(party.operation.called_at);
            let fact = "a transaction at two indexes";
            findings.report(at, fact, summary, None, &[party.operation.id]);
        }
    }
}
