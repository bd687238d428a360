//! **vote-durability**: a server votes for at most one candidate per term, also across crashes, and
//! recovery never finds less than what the server had told others (Raft paper 5.2 and figure 2; spec
//! cluster 11.1, 6 and 7).
//!
//! What binds a server is what it *told*: a granting answer or, for its own vote, its first request
//! for votes ([`What::VoteTold`]), and the term of a leader whose entries it acknowledged
//! ([`What::Acked`]). No stricter than the truth: a vote that was decided but whose write had not
//! completed when the power went was never told to anybody, so recovery may lack it, and the restarted
//! server may vote for somebody else in that term. Decided votes bind within one process life only.

use std::collections::BTreeMap;

use crate::property::Judgement;
use crate::trace::event::{Host, WIPE, What};
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::Findings;
use super::oracle::{Oracle, Seen};

#[derive(Default)]
struct Ballots {
    /// Term → candidate, as told to others, over all process lives.
    told: BTreeMap<u64, String>,
    /// Highest term told to others, with or without a vote.
    told_term: u64,
    /// Term → candidate, as decided in this process life.
    decided: BTreeMap<u64, String>,
}

pub struct VoteDurability {
    ballots: BTreeMap<Host, Ballots>,
    findings: Findings,
}

impl VoteDurability {
    pub fn new() -> Self {
        Self { ballots: BTreeMap::new(), findings: Findings::new("vote-durability") }
    }

    fn tells(&mut self, term: u64, candidate: &str, seen: Seen<'_>) {
        self.findings.judge(1);
        let ballots = self.ballots.entry(seen.event.host).or_default();
        ballots.told_term = ballots.told_term.max(term);
        let first = ballots.told.entry(term).or_insert_with(|| candidate.to_owned()).clone();
        self.twice(term, &first, candidate, seen);
    }

    fn twice(&mut self, term: u64, first: &str, candidate: &str, seen: Seen<'_>) {
        if first == candidate {
            return;
        }
        let summary = format!(
            "{} voted twice in term {term}: for {first} and then for {candidate} ({})",
            seen.name(),
            seen.time()
        );
        self.report("two votes in one term", summary, seen);
    }

    fn recovers(&mut self, term: u64, vote: (u64, &str), seen: Seen<'_>) {
        self.findings.judge(1);
        let ballots = self.ballots.entry(seen.event.host).or_default();
        ballots.decided.clear();
        let told_term = ballots.told_term;
        let told = ballots.told.last_key_value().map(|(term, to)| (*term, to.clone()));
        let (name, time) = (seen.name(), seen.time());
        if term < told_term {
            let summary = format!(
                "{name} recovered term {term} at {time}, but had told others of term {told_term}"
            );
            self.report("a term that others were told of was lost in a crash", summary, seen);
        }
        let Some((told_term, candidate)) = told else { return };
        let lost = vote.0 < told_term || (vote.0 == told_term && vote.1 != candidate);
        if lost {
            let summary = format!(
                "{name} recovered at {time} without its vote for {candidate} in term {told_term}, \
                 of which it had told others"
            );
            self.report("a vote that others were told of was lost in a crash", summary, seen);
        }
    }

    fn report(&mut self, fact: &str, summary: String, seen: Seen<'_>) {
        self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
    }
}

impl Oracle for VoteDurability {
    fn observe(&mut self, seen: Seen<'_>) {
        match &seen.event.what {
            What::VoteTold { term, candidate } => self.tells(*term, candidate, seen),
            What::Acked { term, .. } => {
                let ballots = self.ballots.entry(seen.event.host).or_default();
                ballots.told_term = ballots.told_term.max(*term);
            }
            What::Voted { term, candidate } => {
                let ballots = self.ballots.entry(seen.event.host).or_default();
                let first = ballots.decided.entry(*term).or_insert_with(|| candidate.clone());
                let first = first.clone();
                self.twice(*term, &first, candidate, seen);
            }
            What::Recovered { term, vote_term, vote_for, .. } => {
                self.recovers(*term, (*vote_term, vote_for), seen);
            }
            // Whoever takes a disk away takes its promises away.
            What::DiskStruck { kind, .. } if kind == WIPE => {
                self.ballots.remove(&seen.event.host);
            }
            What::Started => {
                self.ballots.entry(seen.event.host).or_default().decided.clear();
            }
            _ => {}
        }
    }

    fn finish(self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        self.findings.finish()
    }
}
