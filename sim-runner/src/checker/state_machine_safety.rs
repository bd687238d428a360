//! **state-machine-safety**: no two servers apply different entries at one index, each applies in
//! order without gaps, and the same entry does the same everywhere (Raft paper 5.4.3, figure 3; spec
//! cluster 11.1, 5).
//!
//! Two more things are provable when an entry is first applied: its server knows it as committed, and
//! a majority of the servers holds it. Logs in memory count, also those of processes that are gone:
//! whoever acknowledged an entry durably had it in memory first, so fewer holders than a majority
//! prove that no quorum acknowledged it.
//! And the content of every snapshot, when it is made, installed or recovered, is what the entries up
//! to its index have made elsewhere.
//! No stricter than the truth: a restarted process applies again from its snapshot on, or from index
//! 1; a majority is that of the smallest configuration in force anywhere.

use std::collections::BTreeMap;

use crate::property::Judgement;
use crate::trace::event::{Host, SnapshotRef, What};
use crate::trace::view::View;

use super::applied_state::AppliedState;
use super::evidence::Evidence;
use super::findings::Findings;
use super::oracle::{Oracle, Seen};

type Effect = (String, u64, bool);

pub struct StateMachineSafety {
    /// Index → term, hash, who was first.
    applied: BTreeMap<u64, (u64, u64, Host)>,
    effects: BTreeMap<u64, (Effect, Host)>,
    /// The last index applied in this process life.
    last: BTreeMap<Host, u64>,
    state: AppliedState,
    findings: Findings,
}

impl StateMachineSafety {
    pub fn new() -> Self {
        Self {
            applied: BTreeMap::new(),
            effects: BTreeMap::new(),
            last: BTreeMap::new(),
            state: AppliedState::default(),
            findings: Findings::new("state-machine-safety"),
        }
    }

    fn applies(&mut self, index: u64, term: u64, hash: u64, seen: Seen<'_>) {
        self.findings.judge(1);
        let (name, time) = (seen.name(), seen.time());
        let last = self.last.insert(seen.event.host, index).unwrap_or(0);
        if index != last.saturating_add(1) {
            let summary = format!("{name} applied entry {index} after entry {last} at {time}");
            self.report("entries applied out of order", summary, seen);
        }
        if index > seen.view.node(seen.event.host).commit {
            let summary = format!("{name} applied entry {index} at {time} before it was committed");
            self.report("an entry applied before it was committed", summary, seen);
        }
        match self.applied.get(&index) {
            None => {
                self.applied.insert(index, (term, hash, seen.event.host));
                self.state.applied(index);
                self.first_applied(index, term, hash, seen);
            }
            Some((other_term, other_hash, other)) if (*other_term, *other_hash) != (term, hash) => {
                let other = seen.name_of(*other);
                let summary = format!(
                    "{name} applied an entry of term {term} at index {index} ({time}), where {other} \
                     applied another, of term {other_term}"
                );
                self.report("different entries applied at one index", summary, seen);
            }
            Some(_) => {}
        }
    }

    fn first_applied(&mut self, index: u64, term: u64, hash: u64, seen: Seen<'_>) {
        let slot = seen.view.node(seen.event.host).log.get(index).copied();
        if slot.is_none_or(|slot| (slot.term, slot.hash) != (term, hash)) {
            let name = seen.name();
            let summary =
                format!("{name} applied entry {index} at {}, which is not in its log", seen.time());
            self.report("an applied entry is not in the log", summary, seen);
            return;
        }
        let servers = seen.view.servers().count();
        let holds = |host: &Host| seen.view.node(*host).log.get(index).copied() == slot;
        let holders = seen.view.servers().filter(holds).count();
        if holders < seen.view.smallest_quorum() {
            let summary = format!(
                "{} applied entry {index} of term {term} at {}, which only {holders} of {servers} \
                 servers hold",
                seen.name(),
                seen.time()
            );
            self.report("an entry applied that no majority holds", summary, seen);
        }
    }

    fn wrote(&mut self, index: u64, effect: Effect, seen: Seen<'_>) {
        let host = seen.event.host;
        if !self.effects.contains_key(&index) {
            self.state.wrote(index, &effect.0, effect.1, effect.2);
        }
        let (first, other) = self.effects.entry(index).or_insert_with(|| (effect.clone(), host));
        if *first == effect {
            return;
        }
        let summary = format!(
            "applying entry {index} gave other results on {} ({}) than on {}: key {}, {} instead of {}",
            seen.name(),
            seen.time(),
            seen.name_of(*other),
            effect.0,
            effect.2,
            first.2
        );
        self.report("one entry with different effects", summary, seen);
    }

    /// The state machine is, or is written down as, this snapshot's.
    fn snapshot(&mut self, snapshot: SnapshotRef, seen: Seen<'_>) {
        self.findings.judge(1);
        if self.state.after(snapshot.index).is_none_or(|state| state == snapshot.state) {
            return;
        }
        let summary = format!(
            "the snapshot of {} up to entry {} ({}) does not hold what the entries up to there have \
             made",
            seen.name(),
            snapshot.index,
            seen.time()
        );
        self.report("a snapshot holds another state than its entries make", summary, seen);
    }

    fn report(&mut self, fact: &str, summary: String, seen: Seen<'_>) {
        self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
    }
}

impl Oracle for StateMachineSafety {
    fn observe(&mut self, seen: Seen<'_>) {
        match &seen.event.what {
            What::Started => {
                self.last.remove(&seen.event.host);
            }
            What::Recovered { snapshot: Some(snapshot), .. } => {
                self.last.insert(seen.event.host, snapshot.index);
                self.snapshot(*snapshot, seen);
            }
            What::SnapshotBegun { snapshot } => self.snapshot(*snapshot, seen),
            What::SnapshotInstalled { snapshot, operator } => {
                self.last.insert(seen.event.host, snapshot.index);
                if *operator {
                    self.state.replaced();
                }
                self.snapshot(*snapshot, seen);
            }
            What::Apply { index, term, hash } => self.applies(*index, *term, *hash, seen),
            What::Wrote { index, key, value, done } => {
                self.wrote(*index, (key.clone(), *value, *done), seen);
            }
            _ => {}
        }
    }

    fn finish(self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        self.findings.finish()
    }
}
