//! **leader-completeness**: an entry committed in some term is in the log of every leader of a later
//! term (Raft paper 5.4, figure 3; spec cluster 11.1, 4).
//!
//! "Committed in term T" is when a server in term T first reported it. Judged when a leader takes
//! over, against what is known as committed in earlier terms; and, when a deposed leader reports a
//! commit late, against the leaders of later terms as their logs were when they took over: the
//! majority that holds the entry voted after it held it.
//! No stricter than the truth: entries that nobody reported as committed may be missing anywhere.

use crate::property::Judgement;
use crate::trace::event::{Host, Role, What};
use crate::trace::log::NodeLog;
use crate::trace::view::View;

use super::committed::CommittedLog;
use super::evidence::Evidence;
use super::findings::Findings;
use super::oracle::{Oracle, Seen};

struct Leadership {
    host: Host,
    term: u64,
    log: NodeLog,
}

pub struct LeaderCompleteness {
    committed: CommittedLog,
    leaderships: Vec<Leadership>,
    findings: Findings,
}

impl LeaderCompleteness {
    pub fn new() -> Self {
        Self {
            committed: CommittedLog::default(),
            leaderships: Vec::new(),
            findings: Findings::new("leader-completeness"),
        }
    }

    fn takes_over(&mut self, term: u64, seen: Seen<'_>) {
        let log = seen.view.node(seen.event.host).log.clone();
        let earlier = |(_, entry): &(u64, &super::committed::CommittedEntry)| entry.in_term < term;
        // Equal chains at the last one mean equal logs up to it.
        let last = self.committed.iter().rev().find(earlier);
        if let Some((index, entry)) = last {
            self.findings.judge(index);
            if log.get(index) != Some(&entry.slot) {
                let first =
                    self.committed.iter().filter(earlier).map(|(index, entry)| (index, *entry));
                let missing = first.into_iter().find(|(i, entry)| log.get(*i) != Some(&entry.slot));
                let (index, entry) = missing.unwrap_or((index, *entry));
                let summary = format!(
                    "{} became leader of term {term} at {} without entry {index} of term {}, which \
                     {} had committed in term {}",
                    seen.name(),
                    seen.time(),
                    entry.slot.term,
                    seen.name_of(entry.by),
                    entry.in_term
                );
                self.report(summary, seen);
            }
        }
        self.leaderships.push(Leadership { host: seen.event.host, term, log });
    }

    fn late_commit(&mut self, index: u64, seen: Seen<'_>) {
        let Some(entry) = self.committed.get(index).copied() else { return };
        let later = self.leaderships.iter().filter(|leader| leader.term > entry.in_term);
        let without = later.into_iter().find(|leader| leader.log.get(index) != Some(&entry.slot));
        let Some(leader) = without else { return };
        let summary = format!(
            "{} committed entry {index} in term {} at {}, but {} already led term {} without it",
            seen.name(),
            entry.in_term,
            seen.time(),
            seen.name_of(leader.host),
            leader.term
        );
        self.report(summary, seen);
    }

    fn report(&mut self, summary: String, seen: Seen<'_>) {
        let fact = "a leader lacks an entry that was committed in an earlier term";
        self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
    }
}

impl Oracle for LeaderCompleteness {
    fn observe(&mut self, seen: Seen<'_>) {
        match seen.event.what {
            What::Role { role: Role::Leader, term } => self.takes_over(term, seen),
            What::Commit { .. } => {
                for index in self.committed.observe(seen) {
                    self.late_commit(index, seen);
                }
            }
            _ => {}
        }
    }

    fn finish(self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        self.findings.finish()
    }
}
