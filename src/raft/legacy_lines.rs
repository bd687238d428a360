//! The log lines of Consul 0.5.2 (module `raft`; spec cluster 4.16): the texts of the articles that were
//! written about it.

use crate::base::runtime::Level;
use crate::base::{ServerAddress, Term};
use crate::raft::event::{Event, Role, StepDown, VoteRefusal};

/// The line that 0.5.2 logs for this event; none for events that it does not mention or does not know.
pub(super) fn legacy_line(event: &Event, me: &ServerAddress) -> Option<(Level, String)> {
    let line = match event {
        Event::RoleChanged { role, .. } => {
            let name = match role {
                Role::Follower => "Follower",
                Role::Candidate => "Candidate",
                Role::Leader => "Leader",
            };
            (Level::Info, format!("Node at {me} [{name}] entering {name} state"))
        }
        Event::HeartbeatTimeout { .. } => {
            (Level::Warn, "Heartbeat timeout reached, starting election".to_owned())
        }
        Event::NoKnownPeers => (
            Level::Warn,
            "EnableSingleNode disabled, and no known peers. Aborting election.".to_owned(),
        ),
        Event::ElectionTimeout(_) => {
            (Level::Warn, "Election timeout reached, restarting election".to_owned())
        }
        Event::ElectionWon { tally, .. } => (Level::Info, format!("Election won. Tally: {tally}")),
        Event::VoteRefused { candidate, term, leader, why } => {
            vote_refusal_line(candidate, *term, leader.as_ref(), *why)?
        }
        Event::AppendRejected { peer, next } => (
            Level::Warn,
            format!("AppendEntries to {peer} rejected, sending older logs (next: {next})"),
        ),
        Event::Pipelining(peer) => (Level::Info, format!("pipelining replication to peer {peer}")),
        Event::PipelineAborted(peer) => {
            (Level::Info, format!("aborting pipeline replication to peer {peer}"))
        }
        Event::ContactLost { peer, silent } => {
            (Level::Warn, format!("Failed to contact {peer} in {silent:?}"))
        }
        Event::SteppedDown(StepDown::LeaseExpired) => {
            (Level::Warn, "Failed to contact quorum of nodes, stepping down".to_owned())
        }
        Event::SteppedDown(StepDown::NewerTerm) => {
            (Level::Error, "peer has newer term, stopping replication".to_owned())
        }
        Event::SteppedDown(StepDown::DiskFailed) => {
            (Level::Error, "Failed to commit logs".to_owned())
        }
        Event::SteppedDown(StepDown::Removed) => {
            (Level::Info, "Removed ourself, transitioning to follower".to_owned())
        }
        Event::PeerAdded(peer) => (Level::Info, format!("Added peer {peer}, starting replication")),
        Event::PeerRemoved { peer, index } => {
            (Level::Info, format!("Removed peer {peer}, stopping replication (Index: {index})"))
        }
        Event::Truncated(from) => (Level::Warn, format!("Clearing log suffix from {from}")),
        Event::SnapshotStarted(index) => (Level::Info, format!("Starting snapshot up to {index}")),
        Event::SnapshotTaken(index) => (Level::Info, format!("Snapshot to {index} complete")),
        Event::SnapshotInstalled { .. } => (Level::Info, "Installed remote snapshot".to_owned()),
        Event::Compacted(to) => (Level::Info, format!("Compacting logs to {to}")),
        _ => return None,
    };
    Some(line)
}

fn vote_refusal_line(
    candidate: &ServerAddress,
    term: Term,
    leader: Option<&ServerAddress>,
    why: VoteRefusal,
) -> Option<(Level, String)> {
    let because = match why {
        VoteRefusal::LeaderKnown => {
            format!("we have a leader: {}", leader.map_or("", ServerAddress::as_str))
        }
        VoteRefusal::LogBehind => "our last index is greater".to_owned(),
        VoteRefusal::Abstains => "our log was damaged".to_owned(),
        VoteRefusal::AlreadyVoted => {
            return Some((Level::Info, format!("Duplicate RequestVote for same term: {term}")));
        }
        VoteRefusal::NotInConfiguration | VoteRefusal::NotVoter | VoteRefusal::OldTerm => {
            return None;
        }
    };
    Some((Level::Warn, format!("Rejecting vote from {candidate} since {because}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::LogIndex;
    use crate::raft::{Profile, log_line};

    /// As in the transcript of the second seed article, from a real 0.5.2.
    #[test]
    fn lines_are_those_of_the_recorded_article() {
        let me = ServerAddress::from("10.10.126.101:8300");
        let peer = ServerAddress::from("10.10.105.71:8300");
        let role = |role| Event::RoleChanged { role, term: Term(1) };
        let refused = Event::VoteRefused {
            candidate: peer.clone(),
            term: Term(2),
            leader: Some(peer.clone()),
            why: VoteRefusal::LeaderKnown,
        };
        for (event, text) in [
            (role(Role::Follower), "Node at 10.10.126.101:8300 [Follower] entering Follower state"),
            (
                role(Role::Candidate),
                "Node at 10.10.126.101:8300 [Candidate] entering Candidate state",
            ),
            (
                Event::NoKnownPeers,
                "EnableSingleNode disabled, and no known peers. Aborting election.",
            ),
            (Event::ElectionWon { term: Term(1), tally: 2 }, "Election won. Tally: 2"),
            (
                Event::PeerRemoved { peer: peer.clone(), index: LogIndex(7) },
                "Removed peer 10.10.105.71:8300, stopping replication (Index: 7)",
            ),
            (Event::SteppedDown(StepDown::Removed), "Removed ourself, transitioning to follower"),
            (
                Event::PipelineAborted(peer),
                "aborting pipeline replication to peer 10.10.105.71:8300",
            ),
            (
                refused,
                "Rejecting vote from 10.10.105.71:8300 since we have a leader: 10.10.105.71:8300",
            ),
        ] {
            let (_, line) = log_line(&event, &me, Profile::Legacy).expect("0.5.2 logs it");
            assert_eq!(line, text);
        }
    }
}
