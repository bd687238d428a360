//! What can be asked of a [`Raft`] without changing it: for the agent, `consul info`, and the driver's
//! timer.

use crate::base::{Instant, LogIndex, ServerAddress, Term};
use crate::raft::core::{Raft, State};
use crate::raft::event::Role;
use crate::raft::types::{Configuration, Suffrage};

impl Raft {
    /// When [`Input::Wake`](crate::raft::Input::Wake) is due; none when only other inputs can move this core.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let of_role = match &self.state {
            _ if self.disk_failed => return None,
            State::Follower | State::Candidate(_) => self.timer,
            State::Leader(leadership) => {
                let max_inflight = self.config.max_inflight;
                leadership.deadline(self.log.last_index(), max_inflight)
            }
        };
        Some(of_role.min(self.snapshots.timer))
    }

    /// The present role.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.state {
            State::Follower => Role::Follower,
            State::Candidate(_) => Role::Candidate,
            State::Leader(_) => Role::Leader,
        }
    }

    /// Whether this server believes that it leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        matches!(self.state, State::Leader(_))
    }

    /// The current term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.hard_state.term
    }

    /// The leader as this server knows it; itself when it leads.
    #[must_use]
    pub fn leader(&self) -> Option<&ServerAddress> {
        self.leader.as_ref()
    }

    /// Everything up to here is committed, as far as this server knows.
    #[must_use]
    pub fn commit_index(&self) -> LogIndex {
        self.commit_index
    }

    /// Index of the last entry in the log, durable or not.
    #[must_use]
    pub fn last_index(&self) -> LogIndex {
        self.log.last_index()
    }

    /// Term of the last entry in the log.
    #[must_use]
    pub fn last_term(&self) -> Term {
        self.log.last_term()
    }

    /// The newest snapshot, as (index, term); (0, 0) when there is none.
    #[must_use]
    pub fn last_snapshot(&self) -> (LogIndex, Term) {
        self.snapshots.newest()
    }

    /// Whether damage on its disk keeps this server from voting and standing.
    #[must_use]
    pub fn abstains(&self) -> bool {
        self.abstention.is_some()
    }

    /// When a leader was last heard of (spec cluster 4.3); none if never in this process life.
    #[must_use]
    pub fn last_contact(&self) -> Option<Instant> {
        self.last_contact
    }

    /// The configuration in force.
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        &self.membership.in_force().configuration
    }

    /// How many others vote; 0 when this server does not (spec cluster 4.12).
    #[must_use]
    pub fn num_peers(&self) -> usize {
        let in_force = self.membership.in_force();
        let voters = in_force.others.iter().filter(|server| server.suffrage == Suffrage::Voter);
        if in_force.votes { voters.count() } else { 0 }
    }

    /// The entry that brought it; 0 when none did.
    #[must_use]
    pub fn configuration_index(&self) -> LogIndex {
        self.membership.in_force().index
    }

    /// The committed configuration and the entry that brought it: what a snapshot carries.
    #[must_use]
    pub fn committed_configuration(&self) -> (Configuration, LogIndex) {
        self.membership.for_snapshot()
    }

    /// On a leader, the index of the Noop that opened this leadership, or that follows an operator's
    /// snapshot: until it is applied, the state machine may lack what earlier terms have committed, or
    /// have what no other server has.
    #[must_use]
    pub fn first_own_index(&self) -> Option<LogIndex> {
        match &self.state {
            State::Leader(leadership) => Some(leadership.first_own),
            _ => None,
        }
    }
}
