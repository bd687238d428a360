//! Trace events in plain words, as the report shows them.
//!
//! `describe` is total: every event has a sentence. `kind` names those that are drawn on a node's lane
//! by themselves; what comes by the thousand (appends, commits, messages) has none, because it is
//! drawn as lines and counts.

use crate::history::request::short;
use crate::trace::event::{
    CatalogRow, Change, Ending, EntryRef, Header, Host, LockRow, Role, SwimState, What,
};

/// The kind of an event that is drawn on its node's lane, as the page's legend knows it.
pub(super) fn kind(what: &What) -> Option<&'static str> {
    Some(match what {
        What::Started => "started",
        What::Ended { how: Ending::Killed, .. } => "killed",
        What::Ended { how: Ending::Panicked, .. } => "panicked",
        What::Ended { .. } => "stopped",
        What::Paused => "paused",
        What::Resumed => "resumed",
        What::Readdressed { .. } => "readdressed",
        What::Recovered { .. } => "recovered",
        What::Voted { .. } => "voted",
        What::Leader { .. } => "leader-view",
        What::Truncate { .. } => "truncated",
        What::Configuration { .. } => "configuration",
        What::SnapshotTaken { .. } => "snapshot-taken",
        What::SnapshotInstalled { .. } => "snapshot-installed",
        What::LogHealed => "healed",
        What::TransferStarted { .. } => "transfer",
        What::ElectionWon { .. } => "won",
        What::ElectionFailed { .. } => "election-failed",
        What::HeartbeatTimeout => "timeout",
        What::StepDown { .. } => "step-down",
        What::VoteRefused { .. } => "vote-refused",
        What::AppendRejected { .. } => "append-rejected",
        What::Mark { .. } => "mark",
        What::Log { .. } => "log",
        What::LostUnsynced { .. } => "lost-unsynced",
        What::Clock { .. } => "clock",
        What::DiskFault { .. } => "disk-fault",
        What::DiskStruck { .. } => "disk-struck",
        What::Ran { .. } => "command",
        What::LookupsFail { .. } => "lookups",
        What::Member { change: Change::Joined, .. } => "member-joined",
        What::Member { change: Change::Failed, .. } => "member-failed",
        What::Member { change: Change::Left, .. } => "member-left",
        What::Member { change: Change::Reaped, .. } => "member-reaped",
        What::Refuted { .. } => "refuted",
        What::UserEvent { .. } => "user-event",
        What::Catalog { .. } => "catalog",
        What::Local { .. } => "local",
        What::Locks { .. } => "locks",
        _ => return None,
    })
}

/// The kind of an event that concerns the whole run.
pub(super) fn milestone(what: &What) -> Option<&'static str> {
    Some(match what {
        What::Booted => "booted",
        What::Note { .. } => "note",
        What::SettleBegan => "settle-began",
        What::Settled => "settled",
        What::NotSettled { .. } => "not-settled",
        What::NotBooted { .. } => "not-booted",
        What::Watchdog { .. } => "watchdog",
        What::StepFailed { .. } => "step-failed",
        _ => return None,
    })
}

/// The event as the predicate of a sentence whose subject is its host.
pub(super) fn describe(header: &Header, what: &What) -> String {
    process(what)
        .or_else(|| raft(header, what))
        .or_else(|| service(header, what))
        .or_else(|| gossip(header, what))
        .or_else(|| network(header, what))
        .unwrap_or_else(|| testbed(header, what))
}

/// The name of a host.
pub(super) fn host(header: &Header, host: Host) -> String {
    match header.hosts.get(usize::from(host.0)) {
        Some(info) => info.name.clone(),
        None => format!("host {}", host.0),
    }
}

/// The name of the host with this address (`10.0.0.1:8300` or `10.0.0.1`); otherwise the address.
pub(super) fn host_at(header: &Header, address: &str) -> String {
    let ip = address.rsplit_once(':').map_or(address, |(ip, _)| ip);
    let named = header.host_at(ip);
    named.map_or_else(|| address.to_owned(), |it| host(header, it))
}

fn process(what: &What) -> Option<String> {
    Some(match what {
        What::Started => "starts".to_owned(),
        What::Ended { how, detail } => {
            let how = match how {
                Ending::Killed => "is killed (power cut)",
                Ending::Stopped => "is stopped by a signal",
                Ending::Exited => "exits by itself",
                Ending::Panicked => "panics",
            };
            with_detail(how, detail)
        }
        What::Paused => "is paused".to_owned(),
        What::Resumed => "is resumed".to_owned(),
        What::Readdressed { address } => format!("has the address {address} from now on"),
        What::Recovered { term, vote_term, vote_for, snapshot, log, abstains } => {
            let vote = match vote_for.as_str() {
                "" => "no vote".to_owned(),
                candidate => format!("a vote for {candidate} in term {vote_term}"),
            };
            let snapshot = snapshot.map(|it| format!("a snapshot up to entry {}, ", it.index));
            let damage = match abstains {
                true => "; part of its log was damaged, and it does not vote until that is healed",
                false => "",
            };
            let snapshot = snapshot.unwrap_or_default();
            format!("recovers term {term}, {vote}, {snapshot}{}{damage}", entries(log))
        }
        What::LostUnsynced { path, bytes } => {
            format!("loses {bytes} unsynced bytes of {path}")
        }
        What::Clock { drift_ppm: 0, offset_ns: 0 } => "has a right clock again".to_owned(),
        What::Clock { drift_ppm, offset_ns } => {
            let micros = offset_ns / 1_000;
            format!("has a clock that drifts by {drift_ppm} ppm and is {micros} µs off")
        }
        What::DiskFault { kind, on, detail } => {
            let begins = if *on { "begins" } else { "ends" };
            with_detail(&format!("has a disk on which {kind} {begins}"), detail)
        }
        What::DiskStruck { kind, path, detail } => {
            with_detail(&format!("suffers {kind} in {path}"), detail)
        }
        What::Ran { command, exit } => format!("ran `{command}` to exit code {exit}"),
        _ => return None,
    })
}

fn raft(header: &Header, what: &What) -> Option<String> {
    Some(match what {
        What::Term { term } => format!("is in term {term}"),
        What::Voted { term, candidate } => {
            format!("votes for {} in term {term}", host_at(header, candidate))
        }
        What::Role { role, term } => format!("is {} of term {term}", role_word(*role)),
        What::Leader { address } => match address.as_str() {
            "" => "knows no leader".to_owned(),
            address => format!("takes {} for leader", host_at(header, address)),
        },
        What::Append { entries: appended } => format!("appends {}", entries(appended)),
        What::Truncate { from } => format!("removes its log from entry {from} on"),
        What::Commit { index } => format!("commits up to entry {index}"),
        What::Apply { index, term, hash } => {
            format!("applies entry {index} of term {term} ({hash:016x})")
        }
        What::Configuration { index, voters, others } => {
            let named = |addresses: &[String]| {
                let names = addresses.iter().map(|address| host_at(header, address));
                names.collect::<Vec<_>>().join(", ")
            };
            let others = match others.as_slice() {
                [] => String::new(),
                others => format!(", without a vote {}", named(others)),
            };
            format!("has the configuration of entry {index}: {}{others}", named(voters))
        }
        What::SnapshotBegun { snapshot } => {
            format!("writes a snapshot up to entry {}", snapshot.index)
        }
        What::SnapshotTaken { index } => format!("has its snapshot up to entry {index} on disk"),
        What::SnapshotInstalled { snapshot, operator } => {
            let whose = if *operator { "an operator's" } else { "its leader's" };
            format!("takes over {whose} snapshot up to entry {}", snapshot.index)
        }
        What::LogHealed => "has again what damage had taken".to_owned(),
        What::TransferStarted { to } => format!("hands leadership to {}", host_at(header, to)),
        What::ElectionWon { term, tally } => {
            format!("wins the election of term {term} with {tally} votes")
        }
        What::ElectionFailed { term } => format!("does not win the election of term {term}"),
        What::HeartbeatTimeout => "hears no leader any more".to_owned(),
        What::StepDown { term, why } => with_detail(&format!("steps down in term {term}"), why),
        What::VoteRefused { candidate, term, why } => {
            let candidate = host_at(header, candidate);
            with_detail(&format!("refuses its vote to {candidate} in term {term}"), why)
        }
        What::AppendRejected { peer, next } => {
            let peer = host_at(header, peer);
            format!("has its entries rejected by {peer}; goes back to entry {next}")
        }
        _ => return None,
    })
}

fn service(header: &Header, what: &What) -> Option<String> {
    Some(match what {
        What::Served { mode, key, index, applied, term, leads } => {
            let role = if *leads { "as leader" } else { "without leading" };
            format!(
                "answers a {mode} read of {key} {role} in term {term}, at entry {index} (applied {applied})"
            )
        }
        What::Forwarded { to } => format!("forwards a request to {}", host_at(header, to)),
        What::Mark { name } => format!("reaches the mark {name}"),
        What::Log { level, module, text } => format!("[{level}] {module}: {text}"),
        _ => return None,
    })
}

fn gossip(header: &Header, what: &What) -> Option<String> {
    Some(match what {
        What::Member { pool, about, change, forced, .. } => {
            let forced = if *forced { " (forced)" } else { "" };
            let change = match change {
                Change::Joined => "has joined",
                Change::Left => "has left",
                Change::Failed => "has failed",
                Change::Updated => "has changed",
                Change::Reaped => "is forgotten",
            };
            format!("is told that {about} {change}{forced} ({})", pool.word())
        }
        What::Swim { pool, about, address, from, to, incarnation } => {
            let from = from.map_or("unknown", swim_word);
            let (to, at) = (swim_word(*to), host_at(header, address));
            let pool = pool.word();
            format!(
                "takes {about} at {at} for {to}, before {from} ({pool}, incarnation {incarnation})"
            )
        }
        What::Refuted { pool, by, incarnation, .. } => {
            let pool = pool.word();
            format!("contradicts what {by} says of it, as incarnation {incarnation} ({pool})")
        }
        What::UserEvent { name, ltime, .. } => format!("is given the event {name} of time {ltime}"),
        What::Catalog { rows, .. } => {
            let rows: Vec<String> = rows.iter().map(catalog_row).collect();
            format!("has in its catalog: {}", rows.join("; "))
        }
        What::Local { rows } => {
            let rows: Vec<String> = rows.iter().map(catalog_row).collect();
            format!("has itself: {}", rows.join("; "))
        }
        What::Locks { rows, .. } => {
            let rows: Vec<String> = rows.iter().map(lock_row).collect();
            format!("has its locks so: {}", rows.join("; "))
        }
        What::LookupsFail { on: true } => "cannot look names up".to_owned(),
        What::LookupsFail { on: false } => "can look names up again".to_owned(),
        _ => return None,
    })
}

fn swim_word(state: SwimState) -> &'static str {
    match state {
        SwimState::Alive => "alive",
        SwimState::Suspect => "suspect",
        SwimState::Dead => "dead",
        SwimState::Left => "left",
    }
}

fn network(header: &Header, what: &What) -> Option<String> {
    Some(match what {
        What::Deliver { from, tcp, bytes, .. } => {
            format!("receives {bytes} bytes from {} ({})", host(header, *from), protocol(*tcp))
        }
        What::LinkFault { to, kind, on, detail } => {
            let begins = if *on { "begins" } else { "ends" };
            let text = format!("has a link to {} on which {kind} {begins}", host(header, *to));
            with_detail(&text, detail)
        }
        What::Drop { to, tcp, why } => with_detail(
            &format!("loses a message to {} ({})", host(header, *to), protocol(*tcp)),
            why,
        ),
        _ => return None,
    })
}

fn testbed(header: &Header, what: &What) -> String {
    match what {
        What::Booted => "boot ends: time zero".to_owned(),
        What::StepStarted { id, verb, detail, targets, .. } => {
            let targets: Vec<String> = targets.iter().map(|&t| host(header, t)).collect();
            with_detail(&format!("step {id} starts: {verb} {}", targets.join(" ")), detail)
        }
        What::StepFinished { step } => format!("step number {step} is done"),
        What::StepUndone { step } => format!("step number {step} is undone"),
        What::StepSkipped { step } => format!("step number {step} had nothing to act on"),
        What::StepFailed { id, message, .. } => with_detail(&format!("step {id} fails"), message),
        What::Note { text } => text.clone(),
        What::SettleBegan => "the run is over: faults are undone".to_owned(),
        What::Settled => "the cluster has settled".to_owned(),
        What::NotSettled { fact, detail } => {
            with_detail(&format!("the cluster did not settle: {fact}"), detail)
        }
        What::NotBooted { fact, detail } => {
            with_detail(&format!("the cluster did not boot: {fact}"), detail)
        }
        What::Invoke { op } => format!("calls operation {op}"),
        What::Return { op, outcome } => format!("is answered operation {op}: {outcome}"),
        What::Watchdog { detail } => with_detail("the testbed gave up", detail),
        other => format!("{other:?}"),
    }
}

/// The word for a role.
pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
    }
}

fn protocol(tcp: bool) -> &'static str {
    if tcp { "TCP" } else { "UDP" }
}

fn entries(log: &[EntryRef]) -> String {
    match log {
        [] => "no entries".to_owned(),
        [one] => format!("entry {} of term {}", one.index, one.term),
        [first, .., last] => {
            format!("entries {} to {}, the last of term {}", first.index, last.index, last.term)
        }
    }
}

fn with_detail(text: &str, detail: &str) -> String {
    if detail.is_empty() { text.to_owned() } else { format!("{text}: {detail}") }
}

fn lock_row(row: &LockRow) -> String {
    match &row.holder {
        Some(holder) => {
            format!("{} held by {} of {}", row.key, short(&holder.session), holder.node)
        }
        None => format!("{} held by nobody", row.key),
    }
}

fn catalog_row(row: &CatalogRow) -> String {
    match row {
        CatalogRow::Node { name, .. } => format!("node {name}"),
        CatalogRow::NoNode { node } => format!("no node {node} any more"),
        CatalogRow::Service { node, id, service, .. } if id == service => {
            format!("service {service} on {node}")
        }
        CatalogRow::Service { node, id, service, .. } => {
            format!("service {service} ({id}) on {node}")
        }
        CatalogRow::NoService { node, id } => format!("no service {id} on {node} any more"),
        CatalogRow::Check { node, id, status, .. } => format!("check {id} on {node} {status}"),
        CatalogRow::NoCheck { node, id } => format!("no check {id} on {node} any more"),
    }
}
