//! Consul's lines about membership: what its users look for in the log (spec cluster 2.6, 3.5, 4.16, 6.4).

use std::net::SocketAddr;

use crate::base::runtime::Level;
use crate::base::{NodeName, ServerAddress, go_duration};
use crate::gossip::{self, MemberEventKind};
use crate::raft::Profile;

use super::autopilot;
use super::event::Speaker;
use super::members::{PoolId, ServerInfo};
use super::membership::{Membership, Reconciled};
use super::user_events::UserEventFact;

/// Level, logger, text.
type Line = (Level, &'static str, String);

impl Membership {
    /// The line that Consul's users look for.
    pub(super) fn log_line(&self, speaker: &Speaker) -> Option<Line> {
        if let Membership::UserEvents(fact) = self {
            let (level, text) = user_event_line(fact, speaker.profile);
            return Some((level, "agent", text));
        }
        match speaker.profile {
            Profile::Modern => self.modern_line(speaker.server),
            Profile::Legacy => self.legacy_line(),
        }
    }

    fn modern_line(&self, server: bool) -> Option<Line> {
        let own = if server { "agent.server" } else { "agent.client" };
        Some(match self {
            Membership::Gossip(pool, event) => return gossip_line(*pool, event, server),
            Membership::UserEvent(_) | Membership::UserEvents(_) => return None,
            Membership::ServerAdded(info) => {
                let text = if server { "Adding LAN server" } else { "adding server" };
                (Level::Info, own, format!("{text}: server=\"{}\"", shown(info)))
            }
            Membership::ServerRemoved(info) => {
                let text = if server { "Removing LAN server" } else { "removing server" };
                (Level::Info, own, format!("{text}: server=\"{}\"", shown(info)))
            }
            Membership::WrongDatacenter { server, datacenter } => {
                let text = format!(
                    "server has incorrect datacenter: server={server} datacenter={datacenter}"
                );
                (Level::Warn, own, text)
            }
            Membership::WanServer(kind, info) => {
                let event = match kind {
                    MemberEventKind::Join => "member-join",
                    MemberEventKind::Leave => "member-leave",
                    MemberEventKind::Failed => "member-failed",
                    MemberEventKind::Update => "member-update",
                    MemberEventKind::Reap => "member-reap",
                };
                let name = &info.name;
                let text = "Handled event for server in area";
                (Level::Info, own, format!("{text}: event={event} server={name} area=wan"))
            }
            Membership::Joining(pool, addresses) => {
                let (name, key) = match pool {
                    PoolId::Lan => ("LAN", "lan_addresses"),
                    PoolId::Wan => ("WAN", "wan_addresses"),
                };
                (Level::Info, "agent", format!("({name}) joining: {key}=[{}]", ips(addresses)))
            }
            Membership::Joined(pool, report) if report.contacted > 0 => {
                let (name, count) = (pool_name(*pool), report.contacted);
                (Level::Info, "agent", format!("({name}) joined: number_of_nodes={count}"))
            }
            Membership::Joined(pool, report) => {
                let (name, why) = (pool_name(*pool), report.errors.join("; "));
                (Level::Warn, "agent", format!("({name}) couldn't join: error=\"{why}\""))
            }
            Membership::NewLeader { node } => {
                (Level::Info, own, format!("New leader elected: payload={node}"))
            }
            Membership::LeaveBegun { server: true } => {
                (Level::Info, own, "server starting leave".to_owned())
            }
            Membership::LeaveBegun { server: false } => {
                (Level::Info, own, "client starting leave".to_owned())
            }
            Membership::HandOverFailed(why) => (
                Level::Error,
                own,
                format!("failed to transfer leadership, removing server: error=\"{why}\""),
            ),
            Membership::Draining(span) => {
                let span = go_duration::format(*span);
                (Level::Info, own, format!("Waiting to drain RPC traffic: drain_time={span}"))
            }
            Membership::RemovalTimedOut => {
                let text = "failed to leave raft configuration gracefully, timeout";
                (Level::Warn, own, text.to_owned())
            }
            Membership::ForceLeave { node } => {
                (Level::Info, "agent", format!("Force leaving node: node={node}"))
            }
            Membership::BootstrapDisabled => {
                (Level::Info, own, "Raft data found, disabling bootstrap mode".to_owned())
            }
            Membership::BootstrapConflict { member, why } => {
                (Level::Error, own, format!("{why}: member={member}"))
            }
            Membership::PeersReported { by } => {
                let text = "Existing Raft peers reported by server, disabling bootstrap mode";
                (Level::Info, own, format!("{text}: server={by}"))
            }
            Membership::Bootstrapping(peers) => {
                let text = "Found expected number of peers, attempting bootstrap";
                (Level::Info, own, format!("{text}: peers={}", listed(peers, ",")))
            }
            _ => return self.upkeep_line(),
        })
    }

    /// Of what agents do by themselves, without end.
    fn upkeep_line(&self) -> Option<Line> {
        Some(match self {
            Membership::Autopilot(level, text) => {
                let level = match level {
                    autopilot::Level::Debug => Level::Debug,
                    autopilot::Level::Info => Level::Info,
                    autopilot::Level::Error => Level::Error,
                };
                (level, "agent.server.autopilot", text.clone())
            }
            Membership::CoordinateNotSent(why) => {
                (Level::Error, "agent", format!("Coordinate update error: error=\"{why}\""))
            }
            Membership::CoordinatesDiscarded(count) => {
                let text = format!("Discarded coordinate updates: number_discarded={count}");
                (Level::Warn, "agent.server.coordinate", text)
            }
            Membership::CoordinatesNotStored(why) => {
                let text = format!("Batch update failed: error=\"{why}\"");
                (Level::Warn, "agent.server.coordinate", text)
            }
            Membership::LockRefused { key } => {
                let text = format!("Rejecting lock of key due to lock-delay: key={key}");
                (Level::Warn, "agent.server.kvs", text)
            }
            Membership::SessionExpired { session } => {
                let text = format!("Session TTL expired: session={session}");
                (Level::Debug, "agent.server.session", text)
            }
            Membership::SessionNotEnded { session, why } => {
                let text = format!("Invalidation failed: session={session} error=\"{why}\"");
                (Level::Error, "agent.server.session", text)
            }
            Membership::TombstonesNotReaped { up_to, why } => {
                let text = format!("failed to reap tombstones: index={up_to} error=\"{why}\"");
                (Level::Error, "agent.server", text)
            }
            Membership::MemberReconciled { node, how } => return reconciled_line(node, *how),
            Membership::ReconcileFailed { node, why } => {
                let text = format!("failed to reconcile member: member={node} error=\"{why}\"");
                (Level::Error, "agent.server", text)
            }
            _ => return None,
        })
    }

    /// In 0.5.2's words.
    fn legacy_line(&self) -> Option<Line> {
        let consul = |text: String| Some((Level::Info, "consul", text));
        match self {
            Membership::Gossip(_, gossip::Event::Warning { module, text }) => {
                Some((Level::Warn, module, text.clone()))
            }
            Membership::Gossip(_, gossip::Event::Information { module, text }) => {
                Some((Level::Info, module, text.clone()))
            }
            Membership::Gossip(_, event) => {
                told(event).map(|(module, level, text)| (level, module, text))
            }
            Membership::ServerAdded(info) | Membership::WanServer(MemberEventKind::Join, info) => {
                consul(format!("adding server {}", legacy_shown(info)))
            }
            Membership::ServerRemoved(info)
            | Membership::WanServer(MemberEventKind::Leave | MemberEventKind::Failed, info) => {
                consul(format!("removing server {}", legacy_shown(info)))
            }
            Membership::Joining(pool, addresses) => {
                let text = format!("({}) joining: [{}]", pool_name(*pool), ips(addresses));
                Some((Level::Info, "agent", text))
            }
            Membership::Joined(pool, report) => {
                let (name, count) = (pool_name(*pool), report.contacted);
                let why = if count > 0 { "<nil>".to_owned() } else { report.errors.join("; ") };
                Some((Level::Info, "agent", format!("({name}) joined: {count} Err: {why}")))
            }
            Membership::NewLeader { node } => consul(format!("New leader elected: {node}")),
            Membership::LeaveBegun { server } => {
                consul(format!("{} starting leave", if *server { "server" } else { "client" }))
            }
            Membership::ForceLeave { node } => {
                Some((Level::Info, "agent", format!("Force leaving node: {node}")))
            }
            Membership::RemovalTimedOut => {
                let text = "failed to leave raft peer set gracefully, timeout".to_owned();
                Some((Level::Warn, "consul", text))
            }
            Membership::BootstrapConflict { member, why } => {
                Some((Level::Error, "consul", format!("{why}: {member}")))
            }
            Membership::Bootstrapping(peers) => {
                consul(format!("Attempting bootstrap with nodes: [{}]", listed(peers, " ")))
            }
            Membership::MemberReconciled { node, how } => {
                let what = match how {
                    Reconciled::Alive => "joined, marking health alive",
                    Reconciled::Failed => "failed, marking health critical",
                    Reconciled::Left => "left, deregistering",
                    Reconciled::Reaped => "reaped, deregistering",
                    _ => return None,
                };
                consul(format!("member '{node}' {what}"))
            }
            Membership::ReconcileFailed { node, why } => {
                let text = format!("failed to reconcile member: {node}: {why}");
                Some((Level::Error, "consul", text))
            }
            _ => None,
        }
    }
}

fn legacy_shown(server: &ServerInfo) -> String {
    format!("{} (Addr: {}) (DC: {})", server.name, server.address, server.datacenter)
}

fn ips(addresses: &[SocketAddr]) -> String {
    let texts: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    texts.join(" ")
}

fn listed(addresses: &[ServerAddress], between: &str) -> String {
    let texts: Vec<&str> = addresses.iter().map(ServerAddress::as_str).collect();
    texts.join(between)
}

fn shown(server: &ServerInfo) -> String {
    format!("{} (Addr: tcp/{}) (DC: {})", server.name, server.address, server.datacenter)
}

fn pool_name(pool: PoolId) -> &'static str {
    match pool {
        PoolId::Lan => "LAN",
        PoolId::Wan => "WAN",
    }
}

fn reconciled_line(node: &NodeName, how: Reconciled) -> Option<Line> {
    let (level, text) = match how {
        Reconciled::Alive => (Level::Info, "member joined, marking health alive"),
        Reconciled::Failed => (Level::Info, "member failed, marking health critical"),
        Reconciled::Left => {
            let text = format!("deregistering member: member={node} reason=left");
            return Some((Level::Info, "agent.server", text));
        }
        Reconciled::Reaped => {
            let text = format!("deregistering member: member={node} reason=reaped");
            return Some((Level::Info, "agent.server", text));
        }
        Reconciled::Itself => (Level::Debug, "deregistering self should be done by follower"),
        Reconciled::AddedToRaft => return None,
        Reconciled::RemovedFromRaft => (Level::Info, "removed server with matching address"),
        Reconciled::TwoBootstrapModes => (
            Level::Error,
            "Two nodes are in bootstrap mode. Only one node should be in bootstrap mode, not \
             adding Raft peer.",
        ),
    };
    Some((level, "agent.server", format!("{text}: member={node}")))
}

fn user_event_line(fact: &UserEventFact, profile: Profile) -> (Level, String) {
    match fact {
        UserEventFact::Kept { name, id } if profile == Profile::Legacy => {
            (Level::Debug, format!("new event: {name} ({id})"))
        }
        UserEventFact::Kept { name, id } => {
            (Level::Debug, format!("new event: event_name={name} event_id={id}"))
        }
        UserEventFact::RemoteExecution { id } => {
            let text = "ignoring remote exec event, disabled.";
            (Level::Info, format!("{text}: event_name=_rexec event_id={id}"))
        }
        UserEventFact::Newer { name, version } => {
            let text = "Event version may have unsupported features";
            (Level::Warn, format!("{text}: version={version} event={name}"))
        }
        UserEventFact::Unreadable(why) => {
            (Level::Error, format!("Failed to decode event: error=\"{why}\""))
        }
        UserEventFact::BadFilter { kind, filter, name, why } => {
            let text = format!("Failed to parse {kind} filter for event");
            (Level::Error, format!("{text}: filter={filter} event={name} error=\"{why}\""))
        }
    }
}

fn gossip_line(pool: PoolId, event: &gossip::Event, server: bool) -> Option<Line> {
    let serf = match (server, pool) {
        (true, PoolId::Lan) => "agent.server.serf.lan",
        (true, PoolId::Wan) => "agent.server.serf.wan",
        (false, _) => "agent.client.serf.lan",
    };
    let memberlist = match (server, pool) {
        (true, PoolId::Lan) => "agent.server.memberlist.lan",
        (true, PoolId::Wan) => "agent.server.memberlist.wan",
        (false, _) => "agent.client.memberlist.lan",
    };
    let of = |module: &str| if module == "memberlist" { memberlist } else { serf };
    match event {
        gossip::Event::Warning { module, text } => {
            Some((Level::Warn, of(module), format!("{module}: {text}")))
        }
        gossip::Event::Information { module, text } => {
            Some((Level::Info, of(module), format!("{module}: {text}")))
        }
        event => told(event)
            .map(|(module, level, text)| (level, of(module), format!("{module}: {text}"))),
    }
}

/// What memberlist or Serf say about an event: module, level, text.
fn told(event: &gossip::Event) -> Option<(&'static str, Level, String)> {
    let serf = gossip::serf::log_line(event).map(|(level, text)| ("serf", level, text));
    let below = || gossip::swim::log_line(event).map(|(level, text)| ("memberlist", level, text));
    serf.or_else(below)
}
