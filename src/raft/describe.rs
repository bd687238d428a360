//! One line for everything: the notation of transcripts, and Consul's log lines.
//!
//! `7@4` is entry 7 of term 4, `7@4 noop` says its kind, a command shows its data. Addresses stand as
//! they are. `n1 -> n2 Append#12 term=4 prev=6@3 [7@4 "x"] commit=6` is a call.

use std::fmt::Write as _;

use crate::base::runtime::Level;
use crate::base::{LogIndex, ServerAddress, Term};
use crate::raft::types::{
    CallError, Entry, EntryKind, Event, Input, Output, Persist, Request, Response, Role, StepDown,
    VoteRefusal,
};

/// `7@4 "x"`.
#[must_use]
pub fn describe_entry(entry: &Entry) -> String {
    let at = position(entry.index, entry.term);
    match entry.kind {
        EntryKind::Command => format!("{at} {:?}", String::from_utf8_lossy(&entry.data)),
        EntryKind::Noop => format!("{at} noop"),
        EntryKind::Barrier => format!("{at} barrier"),
        EntryKind::Configuration => format!("{at} configuration"),
        EntryKind::AddPeerDeprecated => format!("{at} add-peer"),
        EntryKind::RemovePeerDeprecated => format!("{at} remove-peer"),
    }
}

/// A request.
#[must_use]
pub fn describe_request(request: &Request) -> String {
    match request {
        Request::AppendEntries(append) if append.is_heartbeat() => {
            format!("Heartbeat term={} leader={}", append.term, append.leader)
        }
        Request::AppendEntries(append) => format!(
            "Append term={} leader={} prev={} {} commit={}",
            append.term,
            append.leader,
            position(append.prev_index, append.prev_term),
            entries(&append.entries),
            append.leader_commit
        ),
        Request::RequestVote(vote) => format!(
            "RequestVote term={} candidate={} last={}{}",
            vote.term,
            vote.candidate,
            position(vote.last_log_index, vote.last_log_term),
            if vote.leadership_transfer { " transfer" } else { "" }
        ),
    }
}

/// A response.
#[must_use]
pub fn describe_response(response: &Response) -> String {
    match response {
        Response::AppendEntries(append) => format!(
            "{} term={} last={}{}",
            if append.success { "Accepted" } else { "Rejected" },
            append.term,
            append.last_log,
            if append.no_retry_backoff { " no-backoff" } else { "" }
        ),
        Response::RequestVote(vote) => {
            format!("{} term={}", if vote.granted { "Granted" } else { "Refused" }, vote.term)
        }
    }
}

/// An input.
#[must_use]
pub fn describe_input(input: &Input) -> String {
    match input {
        Input::Wake => "wake".to_owned(),
        Input::Request { token, request } => {
            format!("request#{token} {}", describe_request(request))
        }
        Input::Reply { call, result: Ok(response) } => {
            format!("reply#{call} {}", describe_response(response))
        }
        Input::Reply { call, result: Err(CallError::Unreachable) } => {
            format!("reply#{call} unreachable")
        }
        Input::Reply { call, result: Err(CallError::Remote(text)) } => {
            format!("reply#{call} error {text:?}")
        }
        Input::Persisted(id) => format!("persisted#{id}"),
        Input::PersistFailed(id) => format!("persist-failed#{id}"),
        Input::Propose(proposals) => {
            let ids: Vec<String> = proposals.iter().map(|one| format!("r{}", one.id)).collect();
            format!("propose {}", ids.join(" "))
        }
        Input::Verify(id) => format!("verify r{id}"),
    }
}

/// An output.
#[must_use]
pub fn describe_output(output: &Output) -> String {
    match output {
        Output::Persist(persist) => describe_persist(persist),
        Output::Call { call, to, lane: _, request } => {
            format!("call#{call} -> {to} {}", describe_request(request))
        }
        Output::Reply { token, response } => {
            format!("answer#{token} {}", describe_response(response))
        }
        Output::Commit(committed) => {
            let mut line = "apply".to_owned();
            for one in committed {
                let _ = write!(line, " {}", describe_entry(&one.entry));
                if let Some(id) = one.proposal {
                    let _ = write!(line, " (r{id})");
                }
            }
            line
        }
        Output::Refused { id, refusal } => format!("refused r{id}: {refusal}"),
        Output::Verified { id, result: Ok(index) } => format!("verified r{id} at {index}"),
        Output::Verified { id, result: Err(refusal) } => format!("not verified r{id}: {refusal}"),
        Output::Event(event) => describe_event(event),
    }
}

fn describe_persist(persist: &Persist) -> String {
    let mut line = format!("persist#{}", persist.id);
    if let Some(hard_state) = &persist.hard_state {
        let _ = write!(line, " term={}", hard_state.term);
        if let Some(vote) = &hard_state.vote {
            let _ = write!(line, " vote={}@{}", vote.candidate, vote.term);
        }
    }
    if let Some(from) = persist.truncate_from {
        let _ = write!(line, " truncate={from}");
    }
    if !persist.append.is_empty() {
        let _ = write!(line, " append={}", entries(&persist.append));
    }
    line
}

/// An event, marked by `*`.
#[must_use]
pub fn describe_event(event: &Event) -> String {
    match event {
        Event::TermChanged(term) => format!("* term {term}"),
        Event::Voted(vote) => format!("* votes for {} in {}", vote.candidate, vote.term),
        Event::RoleChanged { role, term } => format!("* {role:?} in {term}"),
        Event::LeaderChanged(leader) => format!("* leader {}", name(leader.as_ref())),
        Event::Appended(added) => format!("* appended {}", entries(added)),
        Event::Truncated(from) => format!("* truncated from {from}"),
        Event::CommitAdvanced(index) => format!("* commit {index}"),
        Event::HeartbeatTimeout { leader } => {
            format!("* heartbeat timeout, leader was {}", name(leader.as_ref()))
        }
        Event::NoKnownPeers => "* no known peers".to_owned(),
        Event::ElectionTimeout(term) => format!("* election timeout in {term}"),
        Event::ElectionWon { term, tally } => format!("* election won in {term}, tally {tally}"),
        Event::VoteRefused { candidate, term, why } => {
            format!("* no vote for {candidate} in {term}: {why:?}")
        }
        Event::AppendRejected { peer, next } => format!("* {peer} rejected, next {next}"),
        Event::Pipelining(peer) => format!("* pipelining to {peer}"),
        Event::PipelineAborted(peer) => format!("* pipeline to {peer} aborted"),
        Event::ContactLost { peer, silent } => format!("* no contact with {peer} for {silent:?}"),
        Event::SteppedDown(why) => format!("* stepped down: {why:?}"),
    }
}

/// The line that Consul 1.9.8 logs for this event (module `agent.server.raft`); none for events it
/// does not mention. `me` is the server that logs.
#[must_use]
pub fn log_line(event: &Event, me: &ServerAddress) -> Option<(Level, String)> {
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
        Event::VoteRefused { candidate, term, why } => vote_refusal_line(candidate, *term, *why)?,
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
        Event::Truncated(from) => (Level::Warn, format!("clearing log suffix: from={from}")),
        Event::TermChanged(_)
        | Event::Voted(_)
        | Event::LeaderChanged(_)
        | Event::Appended(_)
        | Event::CommitAdvanced(_) => return None,
    };
    Some(line)
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

fn position(index: LogIndex, term: Term) -> String {
    format!("{index}@{term}")
}

fn entries(entries: &[Entry]) -> String {
    let all: Vec<String> = entries.iter().map(describe_entry).collect();
    format!("[{}]", all.join(", "))
}

fn name(leader: Option<&ServerAddress>) -> &str {
    leader.map_or("nobody", ServerAddress::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

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
                    why: VoteRefusal::LeaderKnown,
                },
                "rejecting vote request since we have a leader: from=10.0.0.2:8300",
            ),
        ];
        for (event, text) in cases {
            let (_, line) = log_line(&event, &me).expect("Consul logs it");
            assert_eq!(line, text);
        }
        assert_eq!(log_line(&Event::CommitAdvanced(LogIndex(1)), &me), None);
    }
}
