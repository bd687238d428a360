//! AppendEntries on the receiving side (spec cluster 4.6, 5.3; Raft paper 5.3).
//!
//! ```text
//!   leader's    prev=3@2  [4@2 5@4 6@4]
//!   own log     1@1 2@1 3@2  4@2  5@3         4 is there; 5 is the first conflict: cut here, once
//!   afterwards  1@1 2@1 3@2  4@2  5@4 6@4     acknowledged when 6 is durable
//! ```
//!
//! Skipping what is present, instead of cutting at `prev` and appending, is what makes a late or
//! repeated request harmless: it must not take back entries that were acknowledged after it.

use crate::base::{Instant, LogIndex, ReplyToken, ServerAddress, Term};
use crate::invariant;
use crate::planted;
use crate::raft::core::Raft;
use crate::raft::event::{Contradiction, Event, Role, StepDown};
use crate::raft::membership::carries_membership;
use crate::raft::types::{AppendEntries, AppendEntriesResponse, Entry, Output, Response};

impl Raft {
    /// Answers a leader.
    pub(super) fn handle_append(
        &mut self,
        now: Instant,
        token: ReplyToken,
        request: AppendEntries,
        out: &mut Vec<Output>,
    ) {
        let last_before = self.log.last_index();
        if request.term < self.term()
            || !is_well_formed(&request)
            || self.leads_as_well(&request.leader, request.term, out)
            || self.wants_newer_leader(now, &request.leader, request.term, out)
        {
            self.reply_after(None, token, self.append_response(false, false), out);
            return;
        }
        let leader = Some(request.leader.clone());
        self.become_follower(now, request.term, leader, StepDown::NewerTerm, out);
        if request.is_heartbeat() {
            self.last_contact = Some(now);
            self.reply_after(None, token, self.append_response(true, false), out);
            return;
        }
        if !self.matches(&request) {
            self.reply_after(None, token, self.append_response(false, true), out);
            return;
        }
        let present = self.present(&request.entries);
        if self.refuses_entries(&request.entries, out)
            || self.contradicts_committed(&request, present, out)
        {
            self.reply_after(None, token, self.append_response(false, false), out);
            return;
        }
        self.last_contact = Some(now);
        let last_new = LogIndex(request.prev_index.0 + request.entries.len() as u64);
        self.take_entries(request.entries, present, out);
        self.follow_commit(now, request.leader_commit, last_new, out);
        let batch = self.log.batch_of(last_new);
        // Oracle: durability. What a power cut takes away was counted as stored.
        let batch = if planted!(self.faults, "ack-before-durable") { None } else { batch };
        let response = Response::AppendEntries(AppendEntriesResponse {
            term: self.term(),
            last_log: last_before,
            success: true,
            no_retry_backoff: false,
        });
        self.reply_after(batch, token, response, out);
    }

    pub(super) fn append_response(&self, success: bool, no_retry_backoff: bool) -> Response {
        Response::AppendEntries(AppendEntriesResponse {
            term: self.term(),
            last_log: self.log.last_index(),
            success,
            no_retry_backoff,
        })
    }

    /// Whether another server claims to lead the term in which this one leads. Election safety rules
    /// that out, so it is not followed.
    pub(super) fn leads_as_well(
        &self,
        leader: &ServerAddress,
        term: Term,
        out: &mut Vec<Output>,
    ) -> bool {
        // The oracle of election safety wants to see where a double vote leads.
        let impossible = self.role() == Role::Leader
            && term == self.term()
            && !self.is_corrupted()
            && self.membership.is_safe();
        if impossible {
            let (leader, what) = (leader.clone(), Contradiction::SecondLeader);
            out.push(Output::Event(Event::Contradicted { leader, term, what }));
        }
        impossible
    }

    /// Whether the first entry that is not `present` would replace a committed one. Leader completeness
    /// rules that out; to obey would undo what was acknowledged.
    fn contradicts_committed(
        &self,
        request: &AppendEntries,
        present: usize,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(first) = request.entries.get(present).map(|entry| entry.index) else {
            return false;
        };
        // Planted bugs are to be seen by the oracles; what is compacted cannot even be replaced.
        let impossible = first <= self.log.start()
            || first <= self.commit_index && !self.is_corrupted() && self.membership.is_safe();
        if impossible {
            let (leader, term) = (request.leader.clone(), request.term);
            let what = Contradiction::CommittedEntry(first);
            out.push(Output::Event(Event::Contradicted { leader, term, what }));
        }
        impossible
    }

    /// The log check: the entry before the first new one is the leader's too.
    fn matches(&self, request: &AppendEntries) -> bool {
        match self.log.term_at(request.prev_index) {
            // A snapshot covers it, so it is committed, so the leader has it as well. A request that
            // was long under way, or of a leader that is still looking for the place.
            None if request.prev_index < self.log.start() => true,
            None => false,
            // Oracle: log-matching. Entries are put on top of a history that is not theirs.
            Some(_) if planted!(self.faults, "append-skips-log-check") => true,
            Some(term) => term == request.prev_term,
        }
    }

    /// How many of these entries the log has already and keeps, or a snapshot covers.
    fn present(&self, entries: &[Entry]) -> usize {
        let start = self.log.start();
        let keeps = self.membership.keeps_present_entries();
        let known = |entry: &&Entry| match keeps {
            true => entry.index < start || self.log.term_at(entry.index) == Some(entry.term),
            false => entry.index <= start,
        };
        entries.iter().take_while(known).count()
    }

    /// Whether a set of servers among the entries cannot be read. Taken, it would leave this server
    /// without a set; passed over, with another one than everybody else.
    fn refuses_entries(&self, entries: &[Entry], out: &mut Vec<Output>) -> bool {
        let sets = entries.iter().filter(|entry| carries_membership(entry.kind));
        for entry in sets {
            if let Err(why) = self.membership.check(entry) {
                out.push(Output::Event(Event::EntryRefused { index: entry.index, why }));
                return true;
            }
        }
        false
    }

    /// Skips what is there, cuts at the first conflict, appends the rest.
    fn take_entries(&mut self, mut entries: Vec<Entry>, present: usize, out: &mut Vec<Output>) {
        let Some(first) = entries.get(present).map(|entry| entry.index) else { return };
        if first <= self.log.last_index() {
            self.truncate(first, out);
        }
        self.append_to_log(entries.split_off(present), out);
    }

    fn truncate(&mut self, from: LogIndex, out: &mut Vec<Output>) {
        // Oracle: no-panic. Any conflict brings the server down.
        invariant!(!planted!(self.faults, "panic-on-truncate"), "the log only grows");
        if from <= self.commit_index && !self.membership.is_safe() {
            let commit = self.commit_index;
            self.lost_committed = true;
            out.push(Output::Event(Event::CommittedTruncated { from, commit }));
        }
        invariant!(
            from > self.commit_index || self.is_corrupted() || self.lost_committed,
            "entry {from} is to be deleted, but {} is committed",
            self.commit_index
        );
        self.log.truncate(from);
        self.durability.truncate(from);
        out.push(Output::Event(Event::Truncated(from)));
        if self.membership.truncated(from) {
            self.tell_configuration(out);
        }
    }

    /// Commits what the leader has committed, as far as this request has shown the logs to agree.
    fn follow_commit(
        &mut self,
        now: Instant,
        leader: LogIndex,
        last_new: LogIndex,
        out: &mut Vec<Output>,
    ) {
        let agreed = leader.min(last_new);
        // Oracle: commit-monotonic. A leader that is new knows less than its followers.
        let goes_back = planted!(self.faults, "commit-goes-back") && leader < self.commit_index;
        if agreed > self.commit_index || goes_back {
            self.commit_to(now, agreed, out);
        }
    }
}

/// Entries follow `prev` without a gap, and no term falls or runs ahead of the leader's. Consul's
/// leaders send nothing else; the network may bring anything.
fn is_well_formed(request: &AppendEntries) -> bool {
    let mut index = request.prev_index;
    let mut term = request.prev_term;
    request.entries.iter().all(|entry| {
        let follows = index.0.checked_add(1) == Some(entry.index.0);
        let rises = term <= entry.term && entry.term <= request.term;
        index = entry.index;
        term = entry.term;
        follows && rises
    })
}
