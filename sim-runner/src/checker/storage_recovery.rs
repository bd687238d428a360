//! **storage-recovery**: what a server finds on its disk at start is something that it once put there
//! (spec cluster 11.1; design section 6, storage): no term it never had, no vote it never gave, no entry
//! it never appended, no snapshot it never made or received, and no gap between snapshot and log.
//!
//! That nothing is *missing* which others rely on is what durability and vote-durability judge; here it
//! is that nothing is invented: half of a torn write, a record that moved, bytes of another file.
//! No stricter than the truth: what was written and never synced may be there or not, an entry that was
//! truncated may be there again (the truncation may not have been durable), and the first start of a
//! server is not judged, for nobody saw what was on its disk. A recovery by peers.json makes a snapshot
//! before anybody looks on: it must end where the server's log or snapshot ended.

use std::collections::{BTreeMap, BTreeSet};

use crate::property::Judgement;
use crate::trace::event::{EntryRef, Host, SnapshotRef, What};
use crate::trace::happened::RECOVERED;
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::Findings;
use super::oracle::{Oracle, Seen};

/// All that a server ever had.
#[derive(Default)]
struct Had {
    lives: u32,
    highest_term: u64,
    votes: BTreeSet<(u64, String)>,
    entries: BTreeSet<(u64, u64, u64)>,
    snapshots: BTreeSet<(u64, u64, u64)>,
    /// This start takes its servers from an operator's peers.json.
    by_hand: bool,
}

impl Had {
    fn appends(&mut self, entries: &[EntryRef]) {
        self.entries.extend(entries.iter().map(|entry| (entry.index, entry.term, entry.hash)));
    }

    /// An entry of this index and term, appended or covered by a snapshot, whatever it holds.
    fn reached(&self, index: u64, term: u64) -> bool {
        let place = (index, term, 0)..=(index, term, u64::MAX);
        self.entries.range(place.clone()).next().is_some()
            || self.snapshots.range(place).next().is_some()
    }

    fn has_snapshot(&mut self, snapshot: &SnapshotRef) {
        self.snapshots.insert((snapshot.index, snapshot.term, snapshot.state));
    }
}

pub struct StorageRecovery {
    had: BTreeMap<Host, Had>,
    findings: Findings,
}

impl StorageRecovery {
    pub fn new() -> Self {
        Self { had: BTreeMap::new(), findings: Findings::new("storage-recovery") }
    }

    fn recovers(&mut self, what: &What, seen: Seen<'_>) {
        let What::Recovered { term, vote_term, vote_for, snapshot, log, .. } = what else { return };
        let had = self.had.entry(seen.event.host).or_default();
        had.lives += 1;
        let mut wrong = Vec::new();
        if had.lives > 1 {
            self.findings.judge(1 + log.len() as u64);
            if *term > had.highest_term {
                wrong.push(("a term that it never had", format!("term {term}")));
            }
            let vote = (*vote_term, vote_for.clone());
            if !vote_for.is_empty() && !had.votes.contains(&vote) {
                let vote = format!("a vote for {vote_for} in term {vote_term}");
                wrong.push(("a vote that it never gave", vote));
            }
            let place = |entry: &EntryRef| (entry.index, entry.term, entry.hash);
            if let Some(entry) = log.iter().find(|entry| !had.entries.contains(&place(entry))) {
                let entry = format!("entry {} of term {}", entry.index, entry.term);
                wrong.push(("an entry that it never appended", entry));
            }
            let unknown = |it: &&SnapshotRef| {
                let is_known = had.snapshots.contains(&(it.index, it.term, it.state));
                !is_known && (!had.by_hand || !had.reached(it.index, it.term))
            };
            if let Some(snapshot) = snapshot.as_ref().filter(unknown) {
                let snapshot = format!("a snapshot up to entry {}", snapshot.index);
                wrong.push(("a snapshot that it never had", snapshot));
            }
            let reached = snapshot.map_or(0, |snapshot| snapshot.index);
            if log.first().is_some_and(|first| first.index > reached.saturating_add(1)) {
                let gap = format!("a log that begins at {} after {reached}", log[0].index);
                wrong.push(("a gap between snapshot and log", gap));
            }
        }
        had.by_hand = false;
        had.appends(log);
        had.highest_term = had.highest_term.max(*term);
        had.votes.insert((*vote_term, vote_for.clone()));
        snapshot.iter().for_each(|snapshot| had.has_snapshot(snapshot));
        for (fact, found) in wrong {
            let summary = format!("{} recovered {found} at {}: {fact}", seen.name(), seen.time());
            let fact = format!("recovery found {fact}");
            self.findings.violation(seen.event.at, &fact, summary, Some(seen.index));
        }
    }
}

impl Oracle for StorageRecovery {
    fn observe(&mut self, seen: Seen<'_>) {
        let had = self.had.entry(seen.event.host).or_default();
        match &seen.event.what {
            What::Term { term } | What::Role { term, .. } => {
                had.highest_term = had.highest_term.max(*term);
            }
            What::Voted { term, candidate } => {
                had.votes.insert((*term, candidate.clone()));
            }
            What::Append { entries } => had.appends(entries),
            What::SnapshotBegun { snapshot } | What::SnapshotInstalled { snapshot, .. } => {
                had.has_snapshot(snapshot);
            }
            What::Log { text, .. } if text.contains(RECOVERED) => had.by_hand = true,
            what @ What::Recovered { .. } => self.recovers(what, seen),
            _ => {}
        }
    }

    fn finish(self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        self.findings.finish()
    }
}
