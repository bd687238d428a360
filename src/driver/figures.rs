//! An agent's events as figures, under the names that Consul's users have on their dashboards.
//!
//! ```text
//!   an entry appended by this leader ─► committed     raft.apply, raft.commitTime
//!   a write asked for here           ─► answered      kvs.apply, catalog.register, catalog.deregister
//!   role, members                                     raft.state.*, serf.member.*, memberlist.msg.*
//!   requests from and to other agents                 rpc.request, rpc.query, client.rpc
//!   looked at now and then                            raft.leader.lastContact, serf.queue.*
//! ```
//!
//! What is looked at has no timer: it is when the loop runs anyhow, which gossip makes it do.
//!
//! Not here: what HTTP measures of its own requests, and whatever would need a guess. Memory is bounded by
//! entries and requests that are under way.

use std::collections::BTreeMap;

use crate::agent::{AnyAgent, Event, Membership, PoolId, Request};
use crate::base::metrics::{Labels, Metrics};
use crate::base::{Duration, Instant, LogIndex, RequestId, WallTime};
use crate::gossip::{self, MemberEventKind, MemberState};
use crate::raft::{self, EntryKind};
use crate::state::Command;

/// A leader's contact with the others is looked at so often: about as often as Raft checks its lease.
const CONTACTS_EVERY: Duration = Duration::from_secs(1);
/// Once in each interval of figures; Serf itself looks every 30 s.
const QUEUES_EVERY: Duration = Duration::from_secs(10);

/// What the event loop notes.
pub(super) struct Figures {
    metrics: Metrics,
    leads: bool,
    /// When this leader appended what is not committed yet.
    appended: BTreeMap<LogIndex, Instant>,
    writing: BTreeMap<RequestId, (Instant, &'static str)>,
    contacts_at: Instant,
    queues_at: Instant,
}

impl Figures {
    pub fn new(metrics: Metrics) -> Self {
        let (appended, writing) = (BTreeMap::new(), BTreeMap::new());
        let (contacts_at, queues_at) = (Instant::ZERO, Instant::ZERO);
        Self { metrics, leads: false, appended, writing, contacts_at, queues_at }
    }

    /// Looks at what stands still in the core, if it is time.
    pub fn look(&mut self, now: Instant, wall: impl Fn() -> WallTime, agent: &AnyAgent) {
        if self.leads && self.contacts_at <= now {
            self.contacts_at = now + CONTACTS_EVERY;
            for silence in agent.silences(now) {
                let name = "raft.leader.lastContact";
                self.metrics.time(wall(), name, Labels::new(), silence);
            }
        }
        if self.queues_at > now {
            return;
        }
        self.queues_at = now + QUEUES_EVERY;
        let Some(members) = agent.members() else { return };
        for pool in [PoolId::Lan, PoolId::Wan].into_iter().filter_map(|id| members.pool(id)) {
            let counts = pool.stats().counts;
            for (name, waiting) in [
                ("serf.queue.Intent", counts.intent_queue),
                ("serf.queue.Event", counts.event_queue),
                ("serf.queue.Query", counts.query_queue),
            ] {
                self.metrics.sample(wall(), name, waiting as f64);
            }
        }
    }

    /// A request has come; from another agent, or from this one's users.
    pub fn asked(
        &mut self,
        clocks: impl Fn() -> (Instant, WallTime),
        id: RequestId,
        request: &Request,
        from_agent: bool,
    ) {
        if from_agent {
            self.metrics.count(clocks().1, "rpc.request", 1);
        }
        match request {
            Request::Read { .. } if from_agent => self.metrics.count(clocks().1, "rpc.query", 1),
            Request::Write(command) if self.leads => {
                if let Some(name) = name_of(command) {
                    self.writing.insert(id, (clocks().0, name));
                }
            }
            _ => {}
        }
    }

    /// A request goes to another agent.
    pub fn forwarded(&self, wall: WallTime) {
        self.metrics.count(wall, "client.rpc", 1);
    }

    /// A request has its answer, or nobody waits for it any more.
    pub fn answered(&mut self, clocks: impl Fn() -> (Instant, WallTime), id: RequestId) {
        if let Some((since, name)) = self.writing.remove(&id) {
            let (now, wall) = clocks();
            self.metrics.time(wall, name, Labels::new(), now.since(since));
        }
    }

    /// A fact from the core.
    pub fn note(&mut self, clocks: impl Fn() -> (Instant, WallTime), event: &Event) {
        match event {
            Event::Raft(event) => self.note_raft(clocks, event),
            Event::Membership(fact) => {
                if let Membership::Gossip(_, event) = &**fact {
                    self.note_gossip(clocks, event);
                }
            }
            _ => {}
        }
    }

    fn note_raft(&mut self, clocks: impl Fn() -> (Instant, WallTime), event: &raft::Event) {
        match event {
            raft::Event::RoleChanged { role, .. } => {
                self.leads = *role == raft::Role::Leader;
                self.appended.clear();
                let name = match role {
                    raft::Role::Leader => "raft.state.leader",
                    raft::Role::Candidate => "raft.state.candidate",
                    raft::Role::Follower => "raft.state.follower",
                };
                self.metrics.count(clocks().1, name, 1);
            }
            raft::Event::Appended(entries) if self.leads => {
                let commands = entries.iter().filter(|entry| entry.kind == EntryKind::Command);
                let commands: Vec<LogIndex> = commands.map(|entry| entry.index).collect();
                let (now, wall) = clocks();
                if !commands.is_empty() {
                    self.metrics.count(wall, "raft.apply", commands.len() as u64);
                }
                self.appended.extend(commands.into_iter().map(|index| (index, now)));
            }
            raft::Event::CommitAdvanced(index) if self.leads => {
                let (now, wall) = clocks();
                let waiting = self.appended.split_off(&index.next());
                for since in std::mem::replace(&mut self.appended, waiting).into_values() {
                    let span = now.since(since);
                    self.metrics.time(wall, "raft.commitTime", Labels::new(), span);
                }
            }
            _ => {}
        }
    }

    fn note_gossip(&self, clocks: impl Fn() -> (Instant, WallTime), event: &gossip::Event) {
        let name = match event {
            gossip::Event::StateChanged { to: MemberState::Alive, .. } => "memberlist.msg.alive",
            gossip::Event::StateChanged { to: MemberState::Suspect, .. } => {
                "memberlist.msg.suspect"
            }
            gossip::Event::StateChanged { .. } => "memberlist.msg.dead",
            gossip::Event::Member { kind, .. } => match kind {
                MemberEventKind::Join => "serf.member.join",
                MemberEventKind::Leave => "serf.member.left",
                MemberEventKind::Failed => "serf.member.failed",
                MemberEventKind::Update => "serf.member.update",
                MemberEventKind::Reap => "serf.member.reap",
            },
            _ => return,
        };
        self.metrics.count(clocks().1, name, 1);
    }
}

fn name_of(command: &Command) -> Option<&'static str> {
    match command {
        Command::Kv(_) => Some("kvs.apply"),
        Command::Register(_) => Some("catalog.register"),
        Command::Deregister(_) => Some("catalog.deregister"),
        _ => None,
    }
}
