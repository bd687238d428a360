//! Consul's log lines for what happens in the core: the texts that people search for. Those of 0.5.2 are
//! in `legacy_lines`.

use crate::base::runtime::Level;
use crate::base::{ServerAddress, Term};
use crate::raft::event::{Contradiction, Event, Role, StepDown, VoteRefusal};
use crate::raft::legacy_lines::legacy_line;
use crate::raft::membership::Profile;
use crate::raft::types::{ChangeCommand, Configuration};

/// The line that Consul logs for this event (module `agent.server.raft`, in 0.5.2 `raft`); none for
/// events it does not mention. `me` is the server that logs.
#[must_use]
pub fn log_line(event: &Event, me: &ServerAddress, profile: Profile) -> Option<(Level, String)> {
    match profile {
        Profile::Modern => modern_line(event, me),
        Profile::Legacy => legacy_line(event, me),
    }
}

fn modern_line(event: &Event, me: &ServerAddress) -> Option<(Level, String)> {
    let line = match event {
        Event::RoleChanged { role: Role::Follower, .. } => (
            Level::Info,
            format!("entering follower state: follower=\"Node at {me} [Follower]\" leader="),
        ),
        Event::RoleChanged { role: Role::Candidate, term } => (
            Level::Info,
            format!("entering candidate state: node=\"Node at {me} [Candidate]\" term={term}"),
        ),
        Event::RoleChanged { role: Role::Leader, .. } => {
            (Level::Info, format!("entering leader state: leader=\"Node at {me} [Leader]\""))
        }
        Event::HeartbeatTimeout { leader } => (
            Level::Warn,
            format!(
                "heartbeat timeout reached, starting election: last-leader={}",
                leader.as_ref().map_or("", ServerAddress::as_str)
            ),
        ),
        Event::NoKnownPeers => (Level::Warn, "no known peers, aborting election".to_owned()),
        Event::ElectionTimeout(_) => {
            (Level::Warn, "Election timeout reached, restarting election".to_owned())
        }
        Event::ElectionWon { tally, .. } => (Level::Info, format!("election won: tally={tally}")),
        Event::VoteRefused { candidate, term, why, .. } => {
            vote_refusal_line(candidate, *term, *why)?
        }
        Event::Contradicted { leader, term, what } => {
            (Level::Error, contradiction_line(leader, *term, *what))
        }
        Event::AppendRejected { peer, next } => (
            Level::Warn,
            format!("appendEntries rejected, sending older logs: peer={peer} next={next}"),
        ),
        Event::Pipelining(peer) => (Level::Info, format!("pipelining replication: peer={peer}")),
        Event::PipelineAborted(peer) => {
            (Level::Info, format!("aborting pipeline replication: peer={peer}"))
        }
        Event::ContactLost { peer, silent } => {
            (Level::Warn, format!("failed to contact: server-id={peer} time={silent:?}"))
        }
        Event::SteppedDown(StepDown::LeaseExpired) => {
            (Level::Warn, "failed to contact quorum of nodes, stepping down".to_owned())
        }
        Event::SteppedDown(StepDown::NewerTerm) => {
            (Level::Error, "peer has newer term, stopping replication".to_owned())
        }
        Event::SteppedDown(StepDown::DiskFailed) => {
            (Level::Error, "failed to commit logs".to_owned())
        }
        Event::SteppedDown(StepDown::Removed) => {
            (Level::Info, "removed ourself, transitioning to follower".to_owned())
        }
        Event::NoVote { stable: true } => {
            (Level::Warn, "not part of stable configuration, aborting election".to_owned())
        }
        Event::NoVote { stable: false } => (
            Level::Warn,
            "heartbeat timeout reached, not part of a stable configuration or a non-voter, \
             not triggering a leader election"
                .to_owned(),
        ),
        _ => return membership_line(event).or_else(|| snapshot_line(event)),
    };
    Some(line)
}

/// Of the set of servers and of who leads it.
fn membership_line(event: &Event) -> Option<(Level, String)> {
    Some(match event {
        Event::ConfigurationChanging { change, configuration } => (
            Level::Info,
            format!(
                "updating configuration: command={} server-id={} server-addr={} servers=\"{}\"",
                command_name(change.command),
                change.id,
                change.address,
                server_list(configuration)
            ),
        ),
        Event::PeerAdded(peer) => {
            (Level::Info, format!("added peer, starting replication: peer={peer}"))
        }
        Event::PeerRemoved { peer, .. } => {
            (Level::Info, format!("removed peer, stopping replication: peer={peer}"))
        }
        Event::BootstrapRefused(why) => {
            (Level::Error, format!("failed to bootstrap cluster: error=\"{why}\""))
        }
        Event::PreVoteFailed(term) => (
            Level::Info,
            format!("pre-vote campaign failed, waiting for election timeout: term={term}"),
        ),
        Event::TransferStarted(peer) => {
            (Level::Info, format!("starting leadership transfer: id={peer}"))
        }
        _ => return None,
    })
}

/// Of the log, its damage and its snapshots.
fn snapshot_line(event: &Event) -> Option<(Level, String)> {
    Some(match event {
        Event::SnapshotStarted(index) => {
            (Level::Info, format!("starting snapshot up to: index={index}"))
        }
        Event::SnapshotTaken(index) => {
            (Level::Info, format!("snapshot complete up to: index={index}"))
        }
        Event::SnapshotFailed(index) => {
            (Level::Error, format!("failed to take snapshot: index={index}"))
        }
        Event::Compacted(to) => (Level::Info, format!("compacting logs: to={to}")),
        Event::SnapshotSent { peer, index } => {
            (Level::Info, format!("sending snapshot: peer={peer} index={index}"))
        }
        Event::SnapshotInstalled { index, .. } => {
            (Level::Info, format!("installed remote snapshot: index={index}"))
        }
        Event::SnapshotRestored(index) => {
            (Level::Info, format!("restored user snapshot: index={index}"))
        }
        Event::Abstaining => (
            Level::Warn,
            "the log was damaged: neither voting nor standing until a new leader has restored it"
                .to_owned(),
        ),
        Event::LeaderUnfit { leader, term } => (
            Level::Warn,
            format!("the log was damaged: asking for an election: leader={leader} term={term}"),
        ),
        Event::Healed => (Level::Info, "the log is whole again".to_owned()),
        Event::EntryRefused { index, why } => {
            (Level::Error, format!("failed to append to logs: index={index} error=\"{why}\""))
        }
        Event::CommittedTruncated { from, commit } => (
            Level::Error,
            format!("clearing committed log entries: from={from} committed={commit}"),
        ),
        Event::Truncated(from) => (Level::Warn, format!("clearing log suffix: from={from}")),
        _ => return None,
    })
}

fn contradiction_line(leader: &ServerAddress, term: Term, what: Contradiction) -> String {
    match what {
        Contradiction::SecondLeader => {
            format!("refusing a leader of our own term: from={leader} term={term}")
        }
        Contradiction::CommittedEntry(index) => {
            format!(
                "refusing to replace a committed entry: from={leader} term={term} index={index}; \
                 if this goes on, stop this server and wipe its data directory"
            )
        }
    }
}

fn vote_refusal_line(
    candidate: &ServerAddress,
    term: Term,
    why: VoteRefusal,
) -> Option<(Level, String)> {
    let because = match why {
        VoteRefusal::NotInConfiguration => "node is not in configuration",
        VoteRefusal::LeaderKnown => "we have a leader",
        VoteRefusal::NotVoter => "node is not a voter",
        VoteRefusal::LogBehind => "our log is ahead",
        VoteRefusal::Abstains => "our log was damaged",
        VoteRefusal::AlreadyVoted => {
            return Some((
                Level::Info,
                format!("duplicate requestVote for same term: term={term}"),
            ));
        }
        VoteRefusal::OldTerm => return None,
    };
    Some((Level::Warn, format!("rejecting vote request since {because}: from={candidate}")))
}

/// `{Voter ID ADDR} {Nonvoter ID ADDR}`.
fn server_list(configuration: &Configuration) -> String {
    let servers = configuration.servers.iter();
    let servers = servers.map(|it| format!("{{{:?} {} {}}}", it.suffrage, it.id, it.address));
    servers.collect::<Vec<_>>().join(" ")
}

/// As the raft library of Consul 1.9.8 prints it: its AddVoter is still called AddStaging.
fn command_name(command: ChangeCommand) -> &'static str {
    match command {
        ChangeCommand::AddVoter => "AddStaging",
        ChangeCommand::AddNonvoter => "AddNonvoter",
        ChangeCommand::DemoteVoter => "DemoteVoter",
        ChangeCommand::RemoveServer => "RemoveServer",
        ChangeCommand::Promote => "Promote",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::LogIndex;

    #[test]
    fn log_lines_are_consuls() {
        let me = ServerAddress::from("10.0.0.1:8300");
        let peer = ServerAddress::from("10.0.0.2:8300");
        let silent = std::time::Duration::from_millis(510);
        let cases = [
            (
                Event::RoleChanged { role: Role::Follower, term: Term(1) },
                "entering follower state: follower=\"Node at 10.0.0.1:8300 [Follower]\" leader=",
            ),
            (
                Event::RoleChanged { role: Role::Candidate, term: Term(2) },
                "entering candidate state: node=\"Node at 10.0.0.1:8300 [Candidate]\" term=2",
            ),
            (
                Event::HeartbeatTimeout { leader: None },
                "heartbeat timeout reached, starting election: last-leader=",
            ),
            (Event::ElectionWon { term: Term(2), tally: 2 }, "election won: tally=2"),
            (Event::Pipelining(peer.clone()), "pipelining replication: peer=10.0.0.2:8300"),
            (
                Event::ContactLost { peer: peer.clone(), silent },
                "failed to contact: server-id=10.0.0.2:8300 time=510ms",
            ),
            (
                Event::SteppedDown(StepDown::LeaseExpired),
                "failed to contact quorum of nodes, stepping down",
            ),
            (
                Event::VoteRefused {
                    candidate: peer,
                    term: Term(3),
                    leader: None,
                    why: VoteRefusal::LeaderKnown,
                },
                "rejecting vote request since we have a leader: from=10.0.0.2:8300",
            ),
        ];
        for (event, text) in cases {
            let (_, line) = log_line(&event, &me, Profile::Modern).expect("Consul logs it");
            assert_eq!(line, text);
        }
        assert_eq!(log_line(&Event::CommitAdvanced(LogIndex(1)), &me, Profile::Modern), None);
    }
}
