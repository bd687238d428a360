//! **durability**: no acknowledged write is lost while a majority keeps its disk (Raft paper 5.4; spec
//! cluster 11.2, 26).
//!
//! Judged at three places, each with its own signature:
//! * every write that a user saw acknowledged was applied, between its call and its answer;
//! * what recovery finds holds every entry that this server had told a leader it holds, unless the
//!   entry was truncated since ([`What::Acked`]; the leader counted on it);
//! * at the end a majority of the voters holds every committed entry.
//!
//! No stricter than the truth: writes without an answer are not judged; of a server that is down the
//! log in memory counts, which is never less than what it wrote; an acknowledged entry that a later
//! leader had truncated was never committed, and whether the truncation itself survived the crash does
//! not matter; a data directory that a step wiped owes nothing; a server that found damage and abstains
//! until a leader has healed it has said so.

use std::collections::BTreeMap;

use proconsul::base::quorum::majority;

use crate::property::Judgement;
use crate::trace::event::{Host, REMOVED, WIPE, What};
use crate::trace::view::View;

use super::committed::CommittedLog;
use super::evidence::Evidence;
use super::findings::Findings;
use super::links::{effect, link};
use super::oracle::{Oracle, Seen, time};

pub struct Durability {
    committed: CommittedLog,
    /// The index up to which a server's log must survive, and the chain there.
    acked: BTreeMap<Host, (u64, u64)>,
    wrote: bool,
    applied: bool,
    findings: Findings,
}

impl Durability {
    pub fn new() -> Self {
        Self {
            committed: CommittedLog::default(),
            acked: BTreeMap::new(),
            wrote: false,
            applied: false,
            findings: Findings::new("durability"),
        }
    }

    /// The part of the log that must survive is the one up to `index`.
    fn must_keep(&mut self, index: u64, seen: Seen<'_>) {
        let slot = seen.view.node(seen.event.host).log.get(index);
        match slot {
            Some(slot) => self.acked.insert(seen.event.host, (index, slot.chain)),
            None => self.acked.remove(&seen.event.host),
        };
    }

    /// The answer may leave after the acknowledged entry was replaced in memory, by one of a later
    /// term that is not durable yet: that one was not acknowledged.
    fn acks(&mut self, index: u64, term: u64, seen: Seen<'_>) {
        let before = self.acked.get(&seen.event.host).map_or(0, |(index, _)| *index);
        let slot = seen.view.node(seen.event.host).log.get(index);
        if index > before && slot.is_some_and(|slot| slot.term <= term) {
            self.must_keep(index, seen);
        }
    }

    /// A snapshot stands for what was acknowledged up to it; what it dropped behind was another
    /// history.
    fn replaced(&mut self, seen: Seen<'_>) {
        let Some((index, chain)) = self.acked.get(&seen.event.host).copied() else { return };
        let log = &seen.view.node(seen.event.host).log;
        if log.get(index).is_none_or(|slot| slot.chain != chain) {
            self.must_keep(index.min(log.last_index()), seen);
        }
    }

    fn recovers(&mut self, seen: Seen<'_>) {
        let Some((index, chain)) = self.acked.get(&seen.event.host).copied() else { return };
        self.findings.judge(index);
        let log = &seen.view.node(seen.event.host).log;
        if log.get(index).is_some_and(|slot| slot.chain == chain) {
            return;
        }
        let summary = format!(
            "{} recovered a log up to entry {} at {}, but had acknowledged entries up to {index}",
            seen.name(),
            log.last_index(),
            seen.time()
        );
        let fact = "acknowledged log entries were lost in a crash";
        self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
        self.must_keep(log.last_index(), seen);
    }

    fn users(&mut self, evidence: &Evidence) {
        if self.applied && !self.wrote {
            // A trace without `Wrote` events says nothing about keys.
            return;
        }
        let links = link(&evidence.history, &evidence.events);
        self.findings.judge((links.index.len() + links.missing.len()) as u64);
        for operation in evidence.history.iter().filter(|o| links.missing.contains(&o.id)) {
            let what = match effect(operation) {
                Some((_, REMOVED)) => "removal",
                _ => "write",
            };
            let at = operation.returned_at.unwrap_or(operation.called_at);
            let summary = format!(
                "the {what} of {} by {} was acknowledged at {}, but no server had applied it by then",
                operation.key,
                operation.user,
                time(at)
            );
            let fact = "an acknowledged write was not applied";
            self.findings.report(at, fact, summary, None, &[operation.id]);
        }
    }

    fn at_the_end(&mut self, view: &View) {
        let voters = view.voters();
        let servers = voters.len();
        let holders = |index: u64, slot| {
            voters.iter().filter(|host| view.node(**host).log.get(index) == Some(slot)).count()
        };
        self.findings.judge(self.committed.last());
        let mut lost = self
            .committed
            .iter()
            .filter(|(index, entry)| holders(*index, &entry.slot) < majority(servers));
        if let Some((index, entry)) = lost.next() {
            let held = holders(index, &entry.slot);
            let summary = format!(
                "entry {index} of term {}, committed by {} at {}, is in the log of only {held} of \
                 {servers} servers at the end",
                entry.slot.term,
                view.node(entry.by).name,
                time(entry.at)
            );
            let fact = "a committed entry is missing in a majority of the logs";
            self.findings.violation(view.now(), fact, summary, None);
        }
    }
}

impl Oracle for Durability {
    fn observe(&mut self, seen: Seen<'_>) {
        match seen.event.what {
            What::Commit { .. } => {
                self.committed.observe(seen);
            }
            What::Acked { index, term } => self.acks(index, term, seen),
            What::Truncate { from }
                if self.acked.get(&seen.event.host).is_some_and(|(index, _)| *index >= from) =>
            {
                self.must_keep(from.saturating_sub(1), seen);
            }
            // What damage took is brought back by a leader; until then the server counts for nothing
            // but what it stores anew.
            What::Recovered { abstains: true, .. } => {
                self.must_keep(seen.view.node(seen.event.host).log.last_index(), seen);
            }
            // Whoever takes a disk away takes its promises away; a majority must still have them.
            What::DiskStruck { ref kind, .. } if kind == WIPE => {
                self.acked.remove(&seen.event.host);
            }
            What::Recovered { .. } => self.recovers(seen),
            What::SnapshotInstalled { .. } => self.replaced(seen),
            What::Apply { .. } => self.applied = true,
            What::Wrote { .. } => self.wrote = true,
            _ => {}
        }
    }

    fn finish(mut self: Box<Self>, evidence: &Evidence, view: &View) -> Judgement {
        self.users(evidence);
        self.at_the_end(view);
        self.findings.finish()
    }
}
