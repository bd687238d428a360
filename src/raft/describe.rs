//! One line for everything: the notation of transcripts.
//!
//! `7@4` is entry 7 of term 4, `7@4 noop` says its kind, a command shows its data. Addresses stand as
//! they are. `n1 -> n2 Append#12 term=4 prev=6@3 [7@4 "x"] commit=6` is a call.

use std::fmt::Write as _;

use crate::base::{LogIndex, ServerAddress, Term};
use crate::raft::event::Event;
use crate::raft::types::{
    CallError, Change, Configuration, Entry, EntryKind, Input, Output, Persist, Request, Response,
    SnapshotMeta, SnapshotSource, Suffrage,
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
        Request::RequestPreVote(vote) => format!(
            "RequestPreVote term={} candidate={} last={}",
            vote.term,
            vote.candidate,
            position(vote.last_log_index, vote.last_log_term)
        ),
        Request::InstallSnapshot(install) => format!(
            "InstallSnapshot term={} leader={} {}",
            install.term,
            install.leader,
            describe_snapshot(&install.snapshot)
        ),
        Request::TimeoutNow => "TimeoutNow".to_owned(),
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
        Response::RequestPreVote(vote) => {
            format!("Pre-{} term={}", if vote.granted { "granted" } else { "refused" }, vote.term)
        }
        Response::InstallSnapshot(install) => {
            let done = if install.success { "Installed" } else { "NotInstalled" };
            format!("{done} term={}", install.term)
        }
        Response::TimeoutNow => "Standing".to_owned(),
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
        Input::ChangeConfiguration { id, change } => {
            format!("change r{id} {}", describe_change(change))
        }
        Input::TransferLeadership { id, to: Some(to) } => format!("transfer r{id} to {to}"),
        Input::TransferLeadership { id, to: None } => format!("transfer r{id}"),
        Input::Bootstrap(configuration) => {
            format!("bootstrap {}", describe_configuration(configuration))
        }
        Input::SetPeers(peers) => format!("set peers {}", addresses(peers)),
        Input::SnapshotSaved(meta) => format!("saved {}", describe_snapshot(meta)),
        Input::SnapshotFailed(index) => format!("snapshot {index} failed"),
        Input::Restore { id, index } => format!("restore r{id} from={index}"),
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
        Output::TakeSnapshot(meta) => format!("take {}", describe_snapshot(meta)),
        Output::Installed { meta, source: SnapshotSource::Received(token) } => {
            format!("state is {} received#{token}", describe_snapshot(meta))
        }
        Output::Installed { meta, source: SnapshotSource::Operator(id) } => {
            format!("state is {} of r{id}", describe_snapshot(meta))
        }
        Output::Transferred { id, result: Ok(()) } => format!("transferred r{id}"),
        Output::Transferred { id, result: Err(refusal) } => {
            format!("not transferred r{id}: {refusal}")
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
    if let Some(install) = &persist.install {
        let log = if install.keeps_log { "kept" } else { "dropped" };
        let _ = write!(line, " install={} log={log}", describe_snapshot(&install.meta));
    }
    if let Some(from) = persist.truncate_from {
        let _ = write!(line, " truncate={from}");
    }
    if let Some(to) = persist.compact_to {
        let _ = write!(line, " compact={to}");
    }
    if let Some(peers) = &persist.peers {
        let _ = write!(line, " peers={}", addresses(peers));
    }
    if persist.healed {
        line.push_str(" healed");
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
        Event::BootstrapRefused(why) => format!("* not bootstrapped: {why}"),
        Event::NoKnownPeers => "* no known peers".to_owned(),
        Event::NoVote { stable: true } => "* no vote, by a committed set".to_owned(),
        Event::NoVote { stable: false } => "* no vote".to_owned(),
        Event::ElectionTimeout(term) => format!("* election timeout in {term}"),
        Event::ElectionWon { term, tally } => format!("* election won in {term}, tally {tally}"),
        Event::VoteRefused { candidate, term, why, .. } => {
            format!("* no vote for {candidate} in {term}: {why:?}")
        }
        Event::Contradicted { leader, term, what } => {
            format!("* {leader} in {term} is contradicted: {what:?}")
        }
        Event::AppendRejected { peer, next } => format!("* {peer} rejected, next {next}"),
        Event::Pipelining(peer) => format!("* pipelining to {peer}"),
        Event::PipelineAborted(peer) => format!("* pipeline to {peer} aborted"),
        Event::ContactLost { peer, silent } => format!("* no contact with {peer} for {silent:?}"),
        Event::SteppedDown(why) => format!("* stepped down: {why:?}"),
        Event::ConfigurationInForce { index, configuration } => {
            format!("* configuration {index} {}", describe_configuration(configuration))
        }
        Event::ConfigurationChanging { change, configuration } => format!(
            "* changing configuration: {} gives {}",
            describe_change(change),
            describe_configuration(configuration)
        ),
        Event::EntryRefused { index, why } => format!("* entry {index} refused: {why}"),
        Event::CommittedTruncated { from, commit } => {
            format!("* truncated from {from}, though {commit} is committed")
        }
        Event::PeerAdded(peer) => format!("* replicating to {peer}"),
        Event::PeerRemoved { peer, .. } => format!("* no longer replicating to {peer}"),
        Event::SnapshotStarted(index) => format!("* snapshot {index} begun"),
        Event::SnapshotTaken(index) => format!("* snapshot {index} taken"),
        Event::SnapshotFailed(index) => format!("* snapshot {index} failed"),
        Event::Compacted(index) => format!("* compacted to {index}"),
        Event::SnapshotSent { peer, index } => format!("* snapshot {index} goes to {peer}"),
        Event::SnapshotInstalled { index, term } => {
            format!("* snapshot {} installed", position(*index, *term))
        }
        Event::SnapshotRestored(index) => format!("* operator's snapshot at {index}"),
        Event::TransferStarted(peer) => format!("* handing over to {peer}"),
        Event::TimeoutNow => "* told to stand".to_owned(),
        Event::PreVoteStarted(term) => format!("* pre-vote for {term}"),
        Event::PreVoteFailed(term) => format!("* pre-vote for {term} lost"),
        Event::Abstaining => "* abstains".to_owned(),
        Event::LeaderUnfit { leader, term } => format!("* {leader} in {term} cannot heal"),
        Event::Healed => "* healed".to_owned(),
    }
}

/// `snapshot 8@3 [n1 n2 n3-] configuration=1`.
#[must_use]
pub fn describe_snapshot(meta: &SnapshotMeta) -> String {
    format!(
        "snapshot {} {} configuration={}",
        position(meta.index, meta.term),
        describe_configuration(&meta.configuration),
        meta.configuration_index
    )
}

/// `[n1 n2 n3-]`: voters by address, the others with a minus.
#[must_use]
pub fn describe_configuration(configuration: &Configuration) -> String {
    let servers = configuration.servers.iter().map(|server| {
        let mark = if server.suffrage == Suffrage::Voter { "" } else { "-" };
        format!("{}{mark}", server.address)
    });
    format!("[{}]", servers.collect::<Vec<_>>().join(" "))
}

fn describe_change(change: &Change) -> String {
    format!("{:?} {} at {}", change.command, change.id, change.address)
}

fn position(index: LogIndex, term: Term) -> String {
    format!("{index}@{term}")
}

fn entries(entries: &[Entry]) -> String {
    let all: Vec<String> = entries.iter().map(describe_entry).collect();
    format!("[{}]", all.join(", "))
}

fn addresses(list: &[ServerAddress]) -> String {
    let list: Vec<&str> = list.iter().map(ServerAddress::as_str).collect();
    format!("[{}]", list.join(" "))
}

fn name(leader: Option<&ServerAddress>) -> &str {
    leader.map_or("nobody", ServerAddress::as_str)
}
