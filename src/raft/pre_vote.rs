//! Pre-vote: asking whether an election would be won, before the term is raised (spec cluster 4.4, 4.5;
//! Raft thesis 9.6). Off unless [`RaftConfig::pre_vote`](crate::raft::RaftConfig::pre_vote), as in
//! Consul 1.9.8; asked, a server answers in any case.
//!
//! ```text
//!   Follower ──timer──► pre-vote for term + 1 ──majority──► election in term + 1
//!                          │  ▲ timer                          (election.rs)
//!                          └──┘ refused by a majority, or no answers: wait for the timer
//! ```
//!
//! A pre-vote promises nothing and changes nothing: no term, no vote, no write, **no contact**. The last
//! matters: hashicorp/raft 1.7.0 refreshed the contact of whoever granted one, so a server that kept
//! asking without winning kept all others from standing (fixed in 1.7.1, its pull request 609). And it
//! compared the known leader with an address it had not filled in, so a leader that asks again after
//! stepping down was refused by its own followers (its issue 606): here the candidate is one value, in
//! the request.
//!
//! Why it cannot get stuck:
//! * A candidate has no leader, so two of them grant each other what their logs allow.
//! * A server that knows a leader refuses until its own timer runs out; it then forgets that leader,
//!   at most two heartbeat timeouts after the last contact. The candidate asks again every one to two
//!   election timeouts.
//! * A longer log in a lower term: its owner is refused by servers of higher terms, whose answers name
//!   them; a term above the asked one is adopted at once. A server with a short log cannot hold the
//!   others up by its high term either, because whoever has the longest log learns that term (etcd
//!   issue 8501 is what happens when such a refusal is dropped in silence).
//! * Servers that do not know pre-votes ("unexpected command", unknown rpc) count as granted, so a
//!   mixed cluster elects.

use crate::base::{Instant, ReplyToken};
use crate::raft::core::{Campaign, Raft, State, Waiting};
use crate::raft::event::{Event, VoteRefusal};
use crate::raft::types::{
    CallError, Lane, Output, Request, RequestPreVote, RequestPreVoteResponse, Response, Suffrage,
};

impl Raft {
    /// Asks everybody who votes. Nothing is written, so this need not wait for the disk.
    pub(super) fn start_pre_vote(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.set_leader(None, out);
        let needed = self.membership.in_force().quorum;
        self.state = State::Candidate(Campaign::pre_vote(needed));
        self.enter_role(now, out);
        let term = self.term().next();
        out.push(Output::Event(Event::PreVoteStarted(term)));
        let request = RequestPreVote {
            term,
            candidate: self.config.address.clone(),
            last_log_index: self.log.last_index(),
            last_log_term: self.log.last_term(),
        };
        for at in 0..self.membership.in_force().others.len() {
            let server = &self.membership.in_force().others[at];
            if server.suffrage == Suffrage::Voter {
                let to = server.address.clone();
                let request = Request::RequestPreVote(request.clone());
                self.call(to, Lane::Vote, request, Waiting::PreVote, out);
            }
        }
        // A server that is losing its vote asks without it.
        if self.membership.in_force().votes {
            self.count_pre_vote(now, true, out);
        }
    }

    /// A pre-vote was answered, or has no answer.
    pub(super) fn pre_vote_answered(
        &mut self,
        now: Instant,
        result: Result<Response, CallError>,
        out: &mut Vec<Output>,
    ) {
        let granted = match result {
            Ok(Response::RequestPreVote(response)) => response.granted,
            Ok(_) | Err(CallError::Unreachable) => false,
            Err(CallError::Remote(text)) => is_unknown_rpc(&text),
        };
        self.count_pre_vote(now, granted, out);
    }

    fn count_pre_vote(&mut self, now: Instant, granted: bool, out: &mut Vec<Output>) {
        let term = self.term().next();
        let State::Candidate(campaign) = &mut self.state else { return };
        if !campaign.is_pre_vote {
            return;
        }
        if granted {
            campaign.granted += 1;
            if campaign.granted >= campaign.needed {
                self.start_election(now, false, out);
            }
        } else {
            campaign.refused += 1;
            if campaign.refused == campaign.needed {
                out.push(Output::Event(Event::PreVoteFailed(term)));
            }
        }
    }

    /// Says whether this server would vote.
    pub(super) fn handle_pre_vote(
        &self,
        token: ReplyToken,
        request: &RequestPreVote,
        out: &mut Vec<Output>,
    ) {
        let verdict = self.decide_pre_vote(request);
        if let Err(why) = verdict {
            let candidate = request.candidate.clone();
            let (term, leader) = (request.term, self.leader.clone());
            out.push(Output::Event(Event::VoteRefused { candidate, term, leader, why }));
        }
        let term = self.term().max(request.term);
        let response = RequestPreVoteResponse { term, granted: verdict.is_ok() };
        out.push(Output::Reply { token, response: Response::RequestPreVote(response) });
    }

    /// The rules of a vote (spec cluster 4.5) without those that a promise needs.
    fn decide_pre_vote(&self, request: &RequestPreVote) -> Result<(), VoteRefusal> {
        let candidate = &request.candidate;
        if let Some(why) = self.membership.bars(candidate, self.leader.as_ref(), false) {
            return Err(why);
        }
        if request.term < self.term() {
            return Err(VoteRefusal::OldTerm);
        }
        if !self.may_lead(candidate, request.last_log_index, request.last_log_term) {
            return Err(VoteRefusal::NotVoter);
        }
        if self.abstains() {
            return Err(VoteRefusal::Abstains);
        }
        if self.is_ahead_of(request.last_log_index, request.last_log_term) {
            return Err(VoteRefusal::LogBehind);
        }
        Ok(())
    }
}

/// What servers answer that do not know pre-votes.
fn is_unknown_rpc(text: &str) -> bool {
    text.contains("unexpected command") || text.contains("unknown rpc type")
}
