//! **incarnation-monotonic**: an agent's own incarnation never goes back in one process life, and
//! grows with every refutation, beyond the incarnation that was accused; and the incarnation that an agent holds of a member never goes back
//! while it knows the member (SWIM paper 4.2; spec cluster 1.13 to 1.16 and 11.6, 60).
//!
//! No stricter than the truth: all counts start anew with the process of whoever counts. A member that
//! was forgotten and is heard of again may come with any incarnation, and so may one that had failed
//! or left and comes from another address, which is another process of that name (spec cluster 1.13,
//! 5). What a changed tag does to an incarnation is no event, so numbers may be skipped.

use std::collections::BTreeMap;

use crate::property::Judgement;
use crate::trace::event::{Host, Pool, SwimState, What};
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::oracle::{Oracle, Seen};
use super::swim_memory::{Said, SwimMemory, is_self};

pub struct IncarnationMonotonic {
    memory: SwimMemory,
    /// The last refutation of each agent.
    refuted: BTreeMap<(Pool, Host), u32>,
    /// The highest incarnation that each agent gave itself.
    own: BTreeMap<(Pool, Host), u32>,
    findings: Findings,
}

impl IncarnationMonotonic {
    pub fn new() -> Self {
        Self {
            memory: SwimMemory::default(),
            refuted: BTreeMap::new(),
            own: BTreeMap::new(),
            findings: Findings::new("incarnation-monotonic"),
        }
    }

    fn refutes(&mut self, seen: Seen<'_>, pool: Pool, accused: u32, incarnation: u32) {
        let who = (pool, seen.event.host);
        let before = self.refuted.insert(who, incarnation);
        self.own(seen, pool, incarnation);
        if incarnation <= accused && accused < u32::MAX {
            let (name, time) = (seen.name(), seen.time());
            let summary = format!(
                "{name} refuted under incarnation {incarnation} in the {} pool at {time} what was \
                 said of its incarnation {accused}: nobody who heard that would heed it",
                pool.word()
            );
            self.report("a refutation below the accusation", summary, seen);
        }
        if before == Some(incarnation) {
            let (name, time) = (seen.name(), seen.time());
            let summary = format!(
                "{name} refuted twice under incarnation {incarnation} in the {} pool, the second \
                 time at {time}: nobody who heard of the first would heed it",
                pool.word()
            );
            self.report("a refutation without a new incarnation", summary, seen);
        }
    }

    fn own(&mut self, seen: Seen<'_>, pool: Pool, incarnation: u32) {
        self.findings.judge(1);
        let highest = self.own.entry((pool, seen.event.host)).or_insert(incarnation);
        let before = *highest;
        *highest = before.max(incarnation);
        if incarnation < before {
            let (name, time) = (seen.name(), seen.time());
            let summary = format!(
                "the own incarnation of {name} in the {} pool went back from {before} to \
                 {incarnation} at {time}",
                pool.word()
            );
            self.report("an own incarnation went back", summary, seen);
        }
    }

    fn held(&mut self, seen: Seen<'_>, before: &Said) {
        let What::Swim { pool, about, address, from, incarnation, .. } = &seen.event.what else {
            return;
        };
        self.findings.judge(1);
        let gone = matches!(from, Some(SwimState::Dead | SwimState::Left));
        if *incarnation < before.incarnation && !(gone && *address != before.address) {
            let (name, time, known) = (seen.name(), seen.time(), before.incarnation);
            let summary = format!(
                "the incarnation of {about} that {name} holds in the {} pool went back from {known} \
                 to {incarnation} at {time}",
                pool.word()
            );
            self.report("an incarnation that is held went back", summary, seen);
        }
    }

    fn report(&mut self, fact: &str, summary: String, seen: Seen<'_>) {
        self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
    }
}

impl Oracle for IncarnationMonotonic {
    fn observe(&mut self, seen: Seen<'_>) {
        let before = self.memory.take(seen);
        match &seen.event.what {
            What::Started | What::Ended { .. } => {
                let host = seen.event.host;
                self.refuted.retain(|(_, agent), _| *agent != host);
                self.own.retain(|(_, agent), _| *agent != host);
            }
            What::Refuted { pool, accused, incarnation, .. } => {
                self.refutes(seen, *pool, *accused, *incarnation);
            }
            What::Swim { pool, about, incarnation, .. } if is_self(seen, *pool, about) => {
                self.own(seen, *pool, *incarnation);
            }
            What::Swim { .. } => {
                if let Some(before) = before {
                    self.held(seen, &before);
                }
            }
            _ => {}
        }
    }

    fn finish(self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        if !self.memory.told {
            return skipped("incarnation-monotonic", "no agent told of any incarnation");
        }
        self.findings.finish()
    }
}
