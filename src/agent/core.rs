//! [`Agent`]: the one way in, and what connects Raft's outputs to the state machine.

use crate::base::{Duration, Faults, Instant, LogIndex, Prng, Term, WallTime};
use crate::raft::{self, EntryKind, Profile, Raft, RaftConfig, Restored};
use crate::state::{AutopilotConfiguration, Change, StateStore};
use crate::wire;

use super::begin;
use super::coordinates::{self, CoordinateConfig};
use super::duties::Duties;
use super::event::Event;
use super::expecting::Expecting;
use super::heard::FLOOD_INTERVAL;
use super::images::Images;
use super::io::{Input, Output};
use super::keyring::KeyringOperations;
use super::leave::Leave;
use super::local::{Local, LocalConfig};
use super::lock_delays::LockDelays;
use super::members::{Members, MembersConfig, PoolId};
use super::pending::PendingTable;
use super::reconcile::Reconciliation;
use super::sessions::SessionTimers;
use super::steering::Steering;
use super::told::Told;
use super::tombstones::TombstoneTimers;
use super::types::{Reply, StateImage};
use super::user_events::UserEvents;

/// What an agent is told at construction.
#[derive(Debug)]
pub struct AgentConfig {
    /// Timers and identity of the consensus core.
    pub raft: RaftConfig,
    /// This node's name.
    pub node_name: String,
    /// The datacenter, which commands carry.
    pub datacenter: String,
    /// Whose rules of membership.
    pub profile: Profile,
    /// `legacy` alone: it may elect itself while it has no peers (Consul's `-bootstrap`).
    pub enable_single_node: bool,
    /// How long a request waits for a leader (`performance.rpc_hold_timeout`, 7 s).
    pub rpc_hold_timeout: Duration,
    /// How it takes part in gossip. None: it does not, and its set of servers is what it was given.
    pub members: Option<MembersConfig>,
    /// What a new cluster's autopilot begins with.
    pub autopilot: AutopilotConfiguration,
    /// The moment of construction on both clocks: what is told to other machines is in wall time.
    pub began: (Instant, WallTime),
    /// How nodes' coordinates are told; none: they are not.
    pub coordinates: Option<CoordinateConfig>,
    /// A server that leaves serves reads for so long after it has left gossip (`leave_drain_time`).
    pub leave_drain: Duration,
    /// The shortest time to live of a session (`session_ttl_min`).
    pub session_ttl_min: Duration,
    /// What it says of its own node in the catalog; none: it leaves that to others.
    pub local: Option<LocalConfig>,
}

/// One node of the cluster.
pub struct Agent {
    pub(super) raft: Raft,
    pub(super) state: StateStore,
    pub(super) applied: LogIndex,
    /// Of the entry at `applied`.
    pub(super) applied_term: Term,
    /// What the newest snapshot of this process life stands for.
    pub(super) last_snapshot: (LogIndex, Term),
    pub(super) images: Images,
    pub(super) pending: PendingTable,
    pub(super) config: AgentConfig,
    pub(super) prng: Prng,
    pub(super) faults: Faults,
    pub(super) leads: Option<Term>,
    pub(super) established: bool,
    told: Told,
    pub(super) raft_out: Vec<raft::Output>,
    absorbing: bool,
    pub(super) members: Option<Members>,
    pub(super) expecting: Expecting,
    pub(super) reconciliation: Reconciliation,
    pub(super) duties: Duties,
    pub(super) leave: Option<Leave>,
    /// None without a WAN pool.
    pub(super) next_flood: Option<Instant>,
    pub(super) steering: Option<Steering>,
    pub(super) user_events: UserEvents,
    pub(super) keyring: KeyringOperations,
    /// What this server sends, if it is in a pool, and what it was told.
    pub(super) coordinates: Option<(Option<coordinates::Sender>, coordinates::Told)>,
    pub(super) lock_delays: LockDelays,
    pub(super) session_timers: SessionTimers,
    pub(super) tombstones: TombstoneTimers,
    /// Its own services and checks.
    pub(super) local: Option<Local>,
}

impl Agent {
    /// An agent over what was found on its disk; `state` is that of the snapshot found there.
    #[must_use]
    pub fn new(
        config: AgentConfig,
        restored: Restored,
        state: StateStore,
        prng: &Prng,
        faults: Faults,
        now: Instant,
        out: &mut Vec<Output>,
    ) -> Self {
        let reached = restored
            .snapshot
            .as_ref()
            .map_or_else(Default::default, |snapshot| (snapshot.index, snapshot.term));
        let membership = begin::membership(&config);
        let mut raft_out = Vec::new();
        let raft = Raft::new(
            config.raft.clone(),
            restored,
            membership,
            prng.fork("raft"),
            faults.clone(),
            now,
            &mut raft_out,
        );
        let expecting = config.members.as_ref().map_or(0, |members| members.identity.expect());
        let mut config = config;
        let members =
            config.members.take().map(|members| Members::new(members, prng, &faults, now, out));
        let user_events = UserEvents::new(&config.node_name, prng, &faults);
        let session_timers = SessionTimers::new(prng, &faults);
        let local = config.local.take().map(|local| Local::new(now, local, prng, &faults, out));
        let mut agent = Self {
            raft,
            state,
            applied: reached.0,
            applied_term: reached.1,
            last_snapshot: reached,
            images: Images::default(),
            pending: PendingTable::new(),
            config,
            prng: prng.fork("agent"),
            faults,
            leads: None,
            established: false,
            told: Told::default(),
            raft_out,
            absorbing: false,
            members,
            expecting: Expecting::of(expecting),
            reconciliation: Reconciliation::default(),
            duties: Duties::default(),
            leave: None,
            next_flood: None,
            steering: None,
            user_events,
            keyring: KeyringOperations::default(),
            coordinates: None,
            lock_delays: LockDelays::default(),
            session_timers,
            tombstones: TombstoneTimers::default(),
            local,
        };
        let sender = |it: &Members| coordinates::Sender::new(now, it, &agent.prng);
        agent.coordinates = agent.config.coordinates.map(|config| {
            (agent.members.as_ref().map(sender), coordinates::Told::new(now, config))
        });
        let has_wan =
            agent.members.as_ref().is_some_and(|members| members.pool(PoolId::Wan).is_some());
        agent.next_flood = has_wan.then(|| now + FLOOD_INTERVAL);
        agent.absorb(now, out);
        agent.settle(now, out);
        agent
    }

    /// The one way in.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        self.take_in(now, input, out);
        self.settle(now, out);
    }

    fn take_in(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Wake => {
                if self.raft.deadline().is_some_and(|at| at <= now) {
                    self.raft_step(now, raft::Input::Wake, out);
                }
                if let Some(members) = &mut self.members {
                    members.wake(now, out);
                }
                self.on_deadlines(now, out);
                self.on_peers_deadline(now, out);
                self.on_reconcile_deadline(now, out);
                self.on_steering_deadline(now, out);
                self.on_coordinates_deadline(now, out);
                self.on_sessions_deadline(now, out);
                self.on_flood_deadline(now, out);
                self.user_events.wake(now, out);
                if let Some(local) = &mut self.local {
                    local.wake(now, out);
                }
            }
            Input::Gossip(pool, input) => {
                if let Some(members) = &mut self.members {
                    members.step(now, pool, input, out);
                }
            }
            Input::RaftRequest(token, request) => {
                self.told.asked(token, &request);
                self.raft_step(now, raft::Input::Request { token, request }, out);
            }
            Input::InstallSnapshot(token, request, image) => {
                self.images.receive(token, image);
                let request = raft::Request::InstallSnapshot(request);
                self.told.asked(token, &request);
                self.raft_step(now, raft::Input::Request { token, request }, out);
            }
            Input::SnapshotSaved(meta) => {
                self.last_snapshot = self.last_snapshot.max((meta.index, meta.term));
                self.raft_step(now, raft::Input::SnapshotSaved(meta), out);
            }
            Input::SnapshotFailed(index) => {
                self.raft_step(now, raft::Input::SnapshotFailed(index), out);
            }
            Input::RaftReply(call, result) => {
                self.raft_step(now, raft::Input::Reply { call, result }, out);
            }
            Input::Persisted(id) => self.raft_step(now, raft::Input::Persisted(id), out),
            Input::PersistFailed(id) => self.raft_step(now, raft::Input::PersistFailed(id), out),
            Input::Ask(id, request) => self.on_ask(now, id, request, out),
            Input::Forget(id) => {
                self.pending.remove(id);
                self.user_events.forget(id);
                self.keyring.forget(id);
                if let Some(local) = &mut self.local {
                    local.forget(id);
                }
            }
            Input::Forwarded(call, result) => self.on_forwarded(now, call, result, out),
            Input::Bootstrap(servers) => self.bootstrap(now, servers, out),
            Input::Stop => self.on_stop(out),
            Input::TuneSnapshots(tuning) => self.raft.tune_snapshots(tuning),
            Input::Probed(id, result) => {
                if let Some(local) = &mut self.local {
                    local.probed(now, id, result, out);
                }
            }
            Input::Kept(id, result) => {
                if let Some(local) = &mut self.local {
                    local.kept(now, id, result, out);
                }
            }
        }
    }

    /// When [`Input::Wake`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let (sender, told) = self.coordinates.as_ref().map_or((None, None), |(sender, told)| {
            (sender.as_ref().map(coordinates::Sender::deadline), told.deadline())
        });
        let timers = [
            sender,
            told,
            self.pending.deadline(),
            self.raft.deadline(),
            self.members.as_ref().and_then(Members::deadline),
            self.expecting.deadline(),
            self.reconciliation.deadline(),
            self.leave.as_ref().and_then(Leave::deadline),
            self.next_flood,
            self.steering.as_ref().map(Steering::deadline),
            self.user_events.deadline(),
            self.session_timers.deadline(),
            self.tombstones.deadline(),
            self.local.as_ref().and_then(Local::deadline),
        ];
        timers.into_iter().flatten().min()
    }

    /// Its pools, to look at.
    #[must_use]
    pub fn members(&self) -> Option<&Members> {
        self.members.as_ref()
    }

    pub(super) fn is_legacy(&self) -> bool {
        self.config.profile == Profile::Legacy
    }

    /// How many requests have no answer yet.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.pending.len()
    }

    /// The consensus core, to look at.
    #[must_use]
    pub fn raft(&self) -> &Raft {
        &self.raft
    }

    /// The state machine, to look at.
    #[must_use]
    pub fn state(&self) -> &StateStore {
        &self.state
    }

    /// How much of the log is in the state machine.
    #[must_use]
    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    /// Panics when an invariant does not hold.
    pub fn check_invariants(&self) {
        self.raft.check_invariants();
        crate::invariant!(
            self.applied <= self.raft.commit_index(),
            "applied {} beyond the commit index {}",
            self.applied,
            self.raft.commit_index()
        );
        self.pending.check_invariants();
        self.user_events.check_invariants();
        self.check_sessions();
        if let Some(local) = &self.local {
            local.check_invariants();
        }
        if let Some((_, told)) = &self.coordinates {
            told.check_invariants();
        }
        if let Some(members) = &self.members {
            members.check_invariants();
        }
    }

    pub(super) fn raft_step(&mut self, now: Instant, input: raft::Input, out: &mut Vec<Output>) {
        self.raft.step(now, input, &mut self.raft_out);
        self.absorb(now, out);
    }

    /// Turns Raft's outputs into ours. Applying an entry may route a request to Raft again, from inside
    /// this loop: what that produces is left to the next round here, so that batches for the disk and
    /// committed entries keep Raft's order.
    pub(super) fn absorb(&mut self, now: Instant, out: &mut Vec<Output>) {
        if std::mem::replace(&mut self.absorbing, true) {
            return;
        }
        while !self.raft_out.is_empty() {
            let batch = std::mem::take(&mut self.raft_out);
            let mut leader_changed = false;
            let mut answered = Vec::new();
            for output in batch {
                match &output {
                    raft::Output::Event(raft::Event::LeaderChanged(_)) => leader_changed = true,
                    raft::Output::Reply { token, .. } => answered.push(*token),
                    _ => {}
                }
                self.take(now, output, out);
            }
            answered.into_iter().for_each(|token| self.images.answered(token));
            self.note_leadership(now, out);
            if leader_changed {
                self.on_leader_changed(now, out);
            }
        }
        self.absorbing = false;
    }

    /// Turns one output of Raft's into ours.
    fn take(&mut self, now: Instant, output: raft::Output, out: &mut Vec<Output>) {
        match output {
            raft::Output::Persist(persist) => {
                let image = self.images.for_disk(&persist);
                out.push(Output::Persist(persist, image));
            }
            raft::Output::Call { call, to, lane, request } => {
                out.extend(self.told.asks(&request).map(Output::Event));
                out.push(Output::RaftCall { call, to, lane, request });
            }
            raft::Output::Reply { token, response } => {
                out.extend(self.told.answered(token, &response).map(Output::Event));
                out.push(Output::RaftReply(token, response));
            }
            raft::Output::Commit(entries) => self.on_commit(now, entries, out),
            raft::Output::Refused { id, refusal } => {
                self.images.refused(id);
                self.on_refused(now, id, refusal, out);
            }
            raft::Output::Verified { id, result } => self.on_verified(now, id, result, out),
            raft::Output::TakeSnapshot(meta) => self.take_snapshot(meta, out),
            raft::Output::Installed { meta, source } => {
                self.on_installed(now, &meta, source, out);
            }
            raft::Output::Transferred { id, result } => self.on_transferred(now, id, result, out),
            raft::Output::Event(event) => out.push(Output::Event(Event::Raft(event))),
        }
    }

    fn on_commit(&mut self, now: Instant, entries: Vec<raft::Committed>, out: &mut Vec<Output>) {
        for committed in entries {
            let entry = committed.entry;
            crate::invariant!(
                entry.index == self.applied.next(),
                "entry {} applied after {}",
                entry.index,
                self.applied
            );
            let mut done = None;
            let mut changes = Vec::new();
            let held = self.state.holdings();
            if entry.kind == EntryKind::Command {
                // Every server must apply the same commands: one that cannot be read stops the server,
                // as Consul's does, rather than let its state differ.
                let command = wire::command::decode(&entry.data)
                    .unwrap_or_else(|error| panic!("entry {}: {error}", entry.index));
                if let Some(command) = command {
                    let (result, touched) = self.state.apply(entry.index, &command, &self.faults);
                    changes = touched;
                    done = Some((command, result));
                }
            }
            self.note_applied(entry.index, entry.term);
            self.follow_changes(now, entry.index, &changes);
            let (kind, asked_by) = (entry.kind, committed.proposal);
            let result = done.as_ref().map(|(_, result)| result.clone());
            let index = entry.index;
            out.push(Output::Event(Event::Applied { entry, done }));
            if changes.iter().any(Change::is_of_catalog) || self.state.holds_otherwise(&held) {
                let state = StateImage(Box::new(self.state.clone()));
                out.push(Output::Event(Event::CatalogChanged { index, state }));
            }
            match (asked_by, result) {
                (Some(id), Some(result)) => self.answer(id, Ok(Reply::Written(result)), out),
                // A change of the set of servers, or what follows an operator's snapshot.
                (Some(id), None) if kind != EntryKind::Command => {
                    self.answer(id, Ok(Reply::Done), out);
                }
                _ => {}
            }
            self.wake_blocked(now, &changes, out);
        }
    }

    fn note_leadership(&mut self, now: Instant, out: &mut Vec<Output>) {
        let leads = self.raft.is_leader().then(|| self.raft.term());
        if self.leads != leads {
            if self.leads.is_some() {
                out.push(Output::Event(Event::LeadershipLost));
            }
            self.established = false;
            self.leads = leads;
            self.end_reconciling();
            self.steering = None;
            self.end_sessions();
            if leads.is_some() {
                out.push(Output::Event(Event::LeadershipAcquired));
                self.announce_leadership(now, out);
            }
        }
        let ready = leads.is_some()
            && self.raft.first_own_index().is_some_and(|first| self.applied >= first);
        if ready && !self.established {
            self.established = true;
            out.push(Output::Event(Event::LeadershipEstablished));
            self.begin_reconciling(now, out);
            self.begin_steering(now, out);
            self.begin_sessions(now);
        }
    }
}
