//! Elections: when to stand, whom to vote for (spec cluster 4.3 to 4.5; Raft paper 5.2, 5.4.1).
//!
//! ```text
//!   Follower ──timer, no contact──► Candidate ──own vote durable──► RequestVote to all voters
//!                                    │  ▲  │
//!                  majority granted  │  └──┘ timer: a new term
//!                       Leader ◄─────┘
//! ```
//!
//! The order of the vote rules is observable and part of the contract. "We have a leader" comes
//! before any comparison of terms: a server that was cut off and comes back with a high term does not
//! depose a leader that works.

use crate::base::{Instant, LogIndex, ReplyToken, ServerAddress, Term};
use crate::invariant;
use crate::planted;
use crate::raft::core::{Campaign, Raft, State, Waiting};
use crate::raft::durability::Promise;
use crate::raft::event::{Event, StepDown, VoteRefusal};
use crate::raft::membership::Candidacy;
use crate::raft::types::{
    Lane, Output, Request, RequestVote, RequestVoteResponse, Response, Suffrage,
};

impl Raft {
    /// A follower's timer ran out (spec cluster 4.3).
    pub(super) fn heartbeat_timer_fired(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.timer = now + self.prng.timeout(self.config.heartbeat_timeout);
        let silence = self.last_contact.map(|at| now.since(at));
        if silence.is_some_and(|silence| silence < self.config.heartbeat_timeout) {
            return;
        }
        let last_leader = self.leader.clone();
        self.set_leader(None, out);
        // Oracle: liveness. Once a deposed leader is needed for a quorum, nobody is elected.
        if planted!(self.faults, "stuck-follower") && self.was_deposed {
            return;
        }
        // Oracle: boot. A new cluster waits for somebody to go first, for ever.
        if planted!(self.faults, "never-campaigns") && self.log.last_index() <= LogIndex(1) {
            return;
        }
        if self.abstains() {
            return;
        }
        let warning = match self.membership.candidacy() {
            Candidacy::Eligible => {
                out.push(Output::Event(Event::HeartbeatTimeout { leader: last_leader }));
                self.stand_for_election(now, false, out);
                return;
            }
            Candidacy::NoKnownPeers => Event::NoKnownPeers,
            Candidacy::NotVoter { stable } => Event::NoVote { stable },
        };
        if !std::mem::replace(&mut self.warned, true) {
            out.push(Output::Event(warning));
        }
    }

    /// A candidate's timer ran out: again, in a new term.
    pub(super) fn election_timer_fired(&mut self, now: Instant, out: &mut Vec<Output>) {
        out.push(Output::Event(Event::ElectionTimeout(self.term())));
        self.stand_for_election(now, false, out);
    }

    /// Wants to lead: for a leader that hands over, at once.
    pub(super) fn stand_for_election(
        &mut self,
        now: Instant,
        is_transfer: bool,
        out: &mut Vec<Output>,
    ) {
        // Also when it is told to: a leader with a log that has lost something overwrites the others'.
        if self.abstains() {
            return;
        }
        if self.config.pre_vote && !is_transfer {
            self.start_pre_vote(now, out);
        } else {
            self.start_election(now, is_transfer, out);
        }
    }

    /// Raises the term and votes for itself. The others are asked once that is durable.
    pub(super) fn start_election(
        &mut self,
        now: Instant,
        is_transfer: bool,
        out: &mut Vec<Output>,
    ) {
        self.set_leader(None, out);
        self.adopt_term(self.term().next(), out);
        self.vote_for(self.config.address.clone(), out);
        let needed = self.membership.in_force().quorum;
        self.state = State::Candidate(Campaign::election(needed, is_transfer));
        self.enter_role(now, out);
        let promise = Promise::Campaign(self.term());
        let held = self.durability.hold(self.durability.current(), promise);
        invariant!(held.is_none(), "the own vote is durable before it is written");
    }

    /// The own vote of `term` is on disk: count it and ask the others.
    pub(super) fn own_vote_is_durable(&mut self, now: Instant, term: Term, out: &mut Vec<Output>) {
        // While the disk was busy this server may have moved on, also to ask for pre-votes anew.
        let is_transfer = match &self.state {
            State::Candidate(campaign) if !campaign.is_pre_vote => campaign.is_transfer,
            _ => return,
        };
        if self.term() != term {
            return;
        }
        let request = RequestVote {
            term,
            candidate: self.config.address.clone(),
            last_log_index: self.log.last_index(),
            last_log_term: self.log.last_term(),
            leadership_transfer: is_transfer,
        };
        for at in 0..self.membership.in_force().others.len() {
            let server = &self.membership.in_force().others[at];
            if server.suffrage == Suffrage::Voter {
                let to = server.address.clone();
                let request = Request::RequestVote(request.clone());
                self.call(to, Lane::Vote, request, Waiting::Vote, out);
            }
        }
        // A server that is losing its vote stands without it.
        let own = RequestVoteResponse { term, granted: self.membership.in_force().votes };
        self.count_vote(now, own, out);
    }

    /// One vote more, if it is one (each call is answered once).
    pub(super) fn count_vote(
        &mut self,
        now: Instant,
        response: RequestVoteResponse,
        out: &mut Vec<Output>,
    ) {
        let State::Candidate(campaign) = &mut self.state else { return };
        if !response.granted || campaign.is_pre_vote {
            return;
        }
        campaign.granted += 1;
        let tally = campaign.granted;
        if tally >= campaign.needed {
            out.push(Output::Event(Event::ElectionWon { term: self.term(), tally }));
            self.become_leader(now, out);
        }
    }

    /// Answers a candidate (spec cluster 4.5), once what the answer says is durable.
    pub(super) fn handle_vote(
        &mut self,
        now: Instant,
        token: ReplyToken,
        request: &RequestVote,
        out: &mut Vec<Output>,
    ) {
        let verdict = self.decide_vote(now, request, out);
        if let Err(why) = verdict {
            let candidate = request.candidate.clone();
            let (term, leader) = (request.term, self.leader.clone());
            out.push(Output::Event(Event::VoteRefused { candidate, term, leader, why }));
        }
        self.reply_after(None, token, self.vote_response(verdict.is_ok()), out);
    }

    pub(super) fn vote_response(&self, granted: bool) -> Response {
        Response::RequestVote(RequestVoteResponse { term: self.term(), granted })
    }

    /// The rules, in the order of spec cluster 4.5.
    fn decide_vote(
        &mut self,
        now: Instant,
        request: &RequestVote,
        out: &mut Vec<Output>,
    ) -> Result<(), VoteRefusal> {
        let (candidate, transfer) = (&request.candidate, request.leadership_transfer);
        if let Some(why) = self.membership.bars(candidate, self.leader.as_ref(), transfer) {
            return Err(why);
        }
        if request.term < self.term() {
            return Err(VoteRefusal::OldTerm);
        }
        if request.term > self.term() {
            self.become_follower(now, request.term, None, StepDown::NewerTerm, out);
        }
        if planted!(self.faults, "stuck-follower") && self.was_deposed {
            return Err(VoteRefusal::LogBehind);
        }
        // After the term is adopted, so that the cluster can get past this candidate.
        if !self.may_lead(&request.candidate, request.last_log_index, request.last_log_term) {
            return Err(VoteRefusal::NotVoter);
        }
        if self.abstains() {
            return Err(VoteRefusal::Abstains);
        }
        if let Some(vote) = &self.hard_state.vote {
            // Oracle: election-safety. A second vote in one term elects a second leader.
            let forgets = planted!(self.faults, "double-vote");
            if vote.term == request.term && !forgets {
                let again = vote.candidate == request.candidate;
                return if again { Ok(()) } else { Err(VoteRefusal::AlreadyVoted) };
            }
        }
        if self.is_ahead_of(request.last_log_index, request.last_log_term) {
            return Err(VoteRefusal::LogBehind);
        }
        self.vote_for(request.candidate.clone(), out);
        self.last_contact = Some(now);
        Ok(())
    }

    /// Whether the candidate may lead, by what this server knows and the candidate may know better.
    pub(super) fn may_lead(
        &self,
        candidate: &ServerAddress,
        last_index: LogIndex,
        last_term: Term,
    ) -> bool {
        let own = (self.log.last_index(), self.log.last_term());
        let knows_more = self.membership.is_ahead((last_index, last_term), own);
        self.membership.may_lead(candidate, knows_more)
    }

    /// Whether this log is more up to date than one with this end (Raft paper 5.4.1).
    pub(super) fn is_ahead_of(&self, index: LogIndex, term: Term) -> bool {
        // Oracle: leader-completeness. A leader without committed entries overwrites them.
        if planted!(self.faults, "election-ignores-log") {
            return false;
        }
        self.membership.is_ahead((self.log.last_index(), self.log.last_term()), (index, term))
    }
}
