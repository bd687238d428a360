//! **election-safety**: over the whole run at most one server leads in any term (Raft paper 5.2,
//! figure 3; spec cluster 11.1, 1).
//!
//! No stricter than the truth: two leaders in *different* terms are normal while a deposed one has not
//! noticed, and one server may lead in many terms. Restarts and crashes do not matter.

use std::collections::BTreeMap;

use crate::property::Judgement;
use crate::trace::event::{Host, Role, What};
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::Findings;
use super::oracle::{Oracle, Seen};

pub struct ElectionSafety {
    leaders: BTreeMap<u64, Host>,
    findings: Findings,
}

impl ElectionSafety {
    pub fn new() -> Self {
        Self { leaders: BTreeMap::new(), findings: Findings::new("election-safety") }
    }
}

impl Oracle for ElectionSafety {
    fn observe(&mut self, seen: Seen<'_>) {
        let term = match seen.event.what {
            What::ElectionWon { term, .. } | What::Role { role: Role::Leader, term } => term,
            _ => return,
        };
        let first = *self.leaders.entry(term).or_insert(seen.event.host);
        if first != seen.event.host {
            let (a, b) = (seen.name_of(first), seen.name());
            let summary =
                format!("{b} became leader of term {term} at {}, which {a} leads", seen.time());
            self.findings.violation(
                seen.event.at,
                "two leaders in one term",
                summary,
                Some(seen.index),
            );
        }
    }

    fn finish(mut self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        self.findings.judge(self.leaders.len() as u64);
        self.findings.finish()
    }
}
