//! Handing leadership over (spec cluster 4.9; Raft thesis 3.10).
//!
//! ```text
//!   leader   TransferLeadership ──► nothing new is taken ──► target has all ──► TimeoutNow
//!              election timeout: "leadership transfer timeout", and it goes on as before
//!   target   TimeoutNow ──► candidate at once, RequestVote with the flag: others vote although they
//!              know a leader; this candidacy only
//! ```
//!
//! **What it does to reads.** The flag sets aside the rule that protects a leader's lease: others vote
//! while the old leader's lease still runs. So a `default` read, which trusts the lease, may be answered
//! by the old leader after the new one has committed a write. That is Consul's behaviour, and one of its
//! documented windows (a deposed leader); it ends with the first answer of a newer term. A verified read
//! ([`Input::Verify`](crate::raft::Input::Verify)) stays linearizable: it counts heartbeats that left
//! after it arrived, and a server that has voted in a newer term refuses them. Any quorum that accepts
//! shares a server with any quorum that elects, so an election that precedes the read is noticed.
//!
//! Why nothing new is appended meanwhile: a target that keeps falling behind never catches up, and what
//! is appended after TimeoutNow has left is lost to the target's election with "leadership lost".
//!
//! TimeoutNow names no term (hashicorp/raft's form). One that arrives late makes a server stand against
//! a leader that works: an election too many, and nothing worse, because votes still look at the log.

use crate::base::{Instant, LogIndex, ReplyToken, RequestId, ServerAddress, ServerId};
use crate::raft::core::{Raft, State, Waiting};
use crate::raft::event::Event;
use crate::raft::membership::Candidacy;
use crate::raft::types::{Lane, Output, Refusal, Request, Response};

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) id: RequestId,
    target: ServerAddress,
    /// When it has failed.
    pub(super) deadline: Instant,
    /// TimeoutNow has left.
    told: bool,
}

impl Raft {
    /// Somebody wants another leader.
    pub(super) fn transfer_leadership(
        &mut self,
        now: Instant,
        id: RequestId,
        to: Option<&ServerId>,
        out: &mut Vec<Output>,
    ) {
        match self.choose_target(to) {
            Ok(target) => {
                let State::Leader(leadership) = &mut self.state else { return };
                // They would wait for entries that may not come.
                let refusal = Refusal::TransferInProgress;
                let changes = leadership.changes.drain(..);
                out.extend(changes.map(|(id, _)| Output::Refused { id, refusal }));
                out.push(Output::Event(Event::TransferStarted(target.clone())));
                let deadline = now + self.config.election_timeout;
                leadership.transfer = Some(Transfer { id, target, deadline, told: false });
                self.push_transfer(out);
            }
            Err(refusal) => out.push(Output::Transferred { id, result: Err(refusal) }),
        }
    }

    /// The server of this id, or the voter to which most was sent.
    fn choose_target(&self, to: Option<&ServerId>) -> Result<ServerAddress, Refusal> {
        let State::Leader(leadership) = &self.state else { return Err(Refusal::NotLeader) };
        if !self.membership.hands_over() {
            return Err(Refusal::NotSupported);
        }
        if let Some(refusal) = self.refusal_of_new_work() {
            return Err(refusal);
        }
        let mut voters = leadership.peers.iter().filter(|peer| peer.voter);
        let Some(to) = to else {
            let furthest =
                voters.reduce(|best, peer| if peer.next > best.next { peer } else { best });
            return furthest.map(|peer| peer.address.clone()).ok_or(Refusal::NoSuchPeer);
        };
        if *to == self.config.id {
            return Err(Refusal::TransferToSelf);
        }
        let others = &self.membership.in_force().others;
        let named = others.iter().find(|server| server.id == *to).ok_or(Refusal::NoSuchPeer)?;
        let target = voters.find(|peer| peer.address == named.address);
        target.map(|peer| peer.address.clone()).ok_or(Refusal::NoSuchPeer)
    }

    /// Tells the target to stand once it has the whole log.
    pub(super) fn push_transfer(&mut self, out: &mut Vec<Output>) {
        let last: LogIndex = self.log.last_index();
        let State::Leader(leadership) = &mut self.state else { return };
        let Some(transfer) = leadership.transfer.as_mut().filter(|transfer| !transfer.told) else {
            return;
        };
        let target = leadership.peers.iter().find(|peer| peer.address == transfer.target);
        if target.is_some_and(|peer| peer.matched == last) {
            transfer.told = true;
            let to = transfer.target.clone();
            self.call(to, Lane::Vote, Request::TimeoutNow, Waiting::TimeoutNow, out);
        }
    }

    /// A transfer that has not worked in time is given up; whether the target still stands is unknown.
    pub(super) fn check_transfer(&mut self, now: Instant, out: &mut Vec<Output>) {
        let State::Leader(leadership) = &mut self.state else { return };
        if let Some(transfer) = leadership.transfer.take_if(|transfer| transfer.deadline <= now) {
            let result = Err(Refusal::TransferTimeout);
            out.push(Output::Transferred { id: transfer.id, result });
        }
    }

    /// The leader wants this server to take over.
    pub(super) fn handle_timeout_now(
        &mut self,
        now: Instant,
        token: ReplyToken,
        out: &mut Vec<Output>,
    ) {
        out.push(Output::Reply { token, response: Response::TimeoutNow });
        let stands = self.membership.hands_over()
            && self.membership.candidacy() == Candidacy::Eligible
            && !self.abstains()
            && !matches!(self.state, State::Leader(_));
        if stands {
            out.push(Output::Event(Event::TimeoutNow));
            self.stand_for_election(now, true, out);
        }
    }
}
