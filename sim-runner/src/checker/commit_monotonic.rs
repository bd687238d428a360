//! **commit-monotonic**: term, commit index and applied index never go back within a process life, no
//! commit index is beyond the log, and a leader advances it only to an entry of its own term (Raft
//! paper 5.4.2 and figure 2; spec cluster 11.1, 6 and 8).
//!
//! No stricter than the truth: all three start anew with the process, except that the term is what
//! recovery found, and the others what its snapshot stands for; a leader that was told to step down moves its commit index as a follower.

use std::collections::BTreeMap;

use crate::property::Judgement;
use crate::trace::event::{Host, Role, What};
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::Findings;
use super::oracle::{Oracle, Seen};

/// Highest term, commit index and applied index of a process life.
#[derive(Clone, Copy, Default)]
struct Reached {
    term: u64,
    commit: u64,
    applied: u64,
}

pub struct CommitMonotonic {
    reached: BTreeMap<Host, Reached>,
    findings: Findings,
}

impl CommitMonotonic {
    pub fn new() -> Self {
        Self { reached: BTreeMap::new(), findings: Findings::new("commit-monotonic") }
    }

    fn commits(&mut self, index: u64, before: u64, seen: Seen<'_>) {
        self.went_back("commit index", before, index, seen);
        let node = seen.view.node(seen.event.host);
        let Some(slot) = node.log.get(index) else {
            let summary = format!(
                "{} moved its commit index to {index} at {}, but its log ends at {}",
                node.name,
                seen.time(),
                node.log.last_index()
            );
            self.report("a commit index beyond the log", summary, seen);
            return;
        };
        if node.role == Role::Leader && slot.term != node.term {
            let summary = format!(
                "{}, leader of term {}, committed up to entry {index} of term {} at {}: entries of \
                 earlier terms commit only together with one of the leader's own",
                node.name,
                node.term,
                slot.term,
                seen.time()
            );
            self.report("a leader committed up to an entry of an earlier term", summary, seen);
        }
    }

    fn went_back(&mut self, what: &str, before: u64, now: u64, seen: Seen<'_>) {
        self.findings.judge(1);
        if now < before {
            let (name, time) = (seen.name(), seen.time());
            let summary =
                format!("the {what} of {name} went back from {before} to {now} at {time}");
            self.report(&format!("the {what} went back"), summary, seen);
        }
    }

    fn report(&mut self, fact: &str, summary: String, seen: Seen<'_>) {
        self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
    }
}

impl Oracle for CommitMonotonic {
    fn observe(&mut self, seen: Seen<'_>) {
        let host = seen.event.host;
        let reached = self.reached.get(&host).copied().unwrap_or_default();
        let now = match seen.event.what {
            What::Started => Reached::default(),
            What::Recovered { term, ref snapshot, .. } => {
                let index = snapshot.map_or(0, |snapshot| snapshot.index);
                Reached { term, commit: index, applied: index }
            }
            What::SnapshotInstalled { ref snapshot, .. } => {
                self.went_back("applied index", reached.applied, snapshot.index, seen);
                let index = snapshot.index;
                let (commit, applied) = (reached.commit.max(index), reached.applied.max(index));
                Reached { commit, applied, ..reached }
            }
            What::Term { term } | What::Role { term, .. } => {
                self.went_back("term", reached.term, term, seen);
                Reached { term: term.max(reached.term), ..reached }
            }
            What::Commit { index } => {
                self.commits(index, reached.commit, seen);
                Reached { commit: index.max(reached.commit), ..reached }
            }
            What::Apply { index, .. } => {
                self.went_back("applied index", reached.applied, index, seen);
                Reached { applied: index.max(reached.applied), ..reached }
            }
            _ => return,
        };
        self.reached.insert(host, now);
    }

    fn finish(self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        self.findings.finish()
    }
}
