//! What a server may do whose disk has lost something that it had acknowledged.
//!
//! ```text
//!   before      1@1 2@1 3@2 4@2 5@2      term 2; 4 and 5 were acknowledged, so they may be committed
//!   damage      1@1 2@1 3@2 ░░░ ░░░      term and vote are known
//!   afterwards  1@1 2@1 3@2 4@2 5@2 6@4  an entry of term 4 is durable: as if nothing had been
//! ```
//!
//! A quorum that committed entry 5 with this server's copy has one copy less than the rules of voting
//! count on. If the server voted, it could make somebody leader who never had entry 5. So it neither
//! votes nor stands, until an entry of a term above the one it found on disk (T) is durable here.
//!
//! Why it is whole then. Let that entry be of term L > T; a leader of L made it.
//! 1. In every earlier life this server acknowledged entries only to leaders of terms up to T: the
//!    hard state never lags behind what was acknowledged, and it was not damaged.
//! 2. So whatever was or will be committed by counting a lost copy is committed by a leader of a term
//!    up to T. Leader completeness (Raft paper 5.4.3) puts it in the log of the leader of L. This
//!    server is no exception among its voters: a vote in a term above T given before the damage
//!    would have put that term on disk, and none is given after it before it is whole.
//! 3. What is left of the log is a prefix of what it was, and appends pass the log check. Log
//!    matching then gives this server all that the leader of L had before its entry. A snapshot
//!    whose last entry is of such a term does the same.
//!
//! Meanwhile it acknowledges appends like any other. A leader counts only entries of its own term, and
//! whoever acknowledges one of a term above T is whole by the same argument. A leader of T itself
//! is not followed at all; see below.
//!
//! **Why a leader of term T will not do.** Under that leader acknowledgements of the earlier life
//! count, or are still to be counted, and this server does not know how far they went. The place where
//! the leader goes on (`prev` of its first append) would say so only if no message crossed from
//! one life to the next. It does: the leader sends 5 and 6; the answer to 5 is lost, so it goes back
//! to `prev` = 4; the server stores 5 and 6, answers, and loses both. Its next life gets the append with
//! `prev` = 4 and one entry, 5, and takes itself for whole; then the answer to 6 arrives, the leader
//! commits 6 on the strength of it, and fails; the server votes for somebody who never had 6.
//!
//! So a leader of term T is told of term T + 1. It steps down, and the next election, in which this
//! server has no say, gives a leader that will do. The price of damage is one election; if there was
//! one meanwhile, nothing.
//!
//! Votes are refused after the candidate's term is adopted: the vote is what matters, the term is free,
//! and a candidate that is behind learns it. The vote given before the damage stays on record, but is not
//! told again.
//!
//! Not here: a server that lost its hard state too cannot know what it promised; the driver refuses
//! to start it. If so many servers abstain that no quorum is left to elect, nobody leads: what is
//! lost may have been committed, and only an operator can say that it does not matter.

use crate::base::{Instant, ServerAddress, Term};
use crate::raft::core::Raft;
use crate::raft::event::{Event, StepDown};
use crate::raft::types::Output;

impl Raft {
    /// Whether the damage makes this leader, of a term not older than the own, unfit. It then learns of
    /// a newer term from the answer.
    pub(super) fn wants_newer_leader(
        &mut self,
        now: Instant,
        leader: &ServerAddress,
        term: Term,
        out: &mut Vec<Output>,
    ) -> bool {
        if self.abstention.is_none_or(|damaged_in| term > damaged_in) {
            return false;
        }
        let leader = leader.clone();
        out.push(Output::Event(Event::LeaderUnfit { leader, term }));
        self.become_follower(now, term.next(), None, StepDown::NewerTerm, out);
        true
    }

    /// More of the log is durable: perhaps it is whole again.
    pub(super) fn end_abstention(&mut self, out: &mut Vec<Output>) {
        let Some(damaged_in) = self.abstention else { return };
        let durable = self.log.term_at(self.log.durable_index());
        if durable.is_some_and(|term| term > damaged_in) {
            // It may vote before this is on disk: a crash in between only makes it abstain once more.
            self.abstention = None;
            self.durability.healed();
            out.push(Output::Event(Event::Healed));
        }
    }
}
