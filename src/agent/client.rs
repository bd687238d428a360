//! [`Client`]: an agent without state of its own. It knows servers by gossip and asks one of them.
//!
//! ```text
//!   Ask ─► about members? answered here
//!     └──► everything else: the first server of the list ─► Forward ─► answer
//!                              ▲ not reached, or no leader there: to the list's end, and again
//! ```
//!
//! As Consul's router has it (spec cluster 3.9, 9.2): the list is in random order, one server is used until
//! a call to it fails or the time for another order has come, so that clients spread over servers that
//! came later. A request is held for a server, or for a leader, at most `rpc_hold_timeout`. What may
//! have been sent is never sent again unless it only reads.

use crate::base::{CallId, Duration, Faults, Instant, NodeName, Prng, RequestId, ServerAddress};
use crate::gossip::MemberEventKind;

use super::coordinates::{self, Sender};
use super::duties::{Duties, Duty, is_own};
use super::event::Event;
use super::io::{Input, Output};
use super::local::{Local, LocalConfig};
use super::members::{Heard, Members, MembersConfig, PoolId, ServerInfo};
use super::membership::Membership;
use super::operator::{is_snapshot, only_reads};
use super::pending::{Pending, PendingTable, Waiting};
use super::types::{Failure, Reply, Request, SelfInfo};
use super::user_events::UserEvents;

/// A server is used at least so long before another order is drawn …
const REBALANCE_MIN: Duration = Duration::from_secs(120);
/// … and at most so much longer.
const REBALANCE_SPREAD: Duration = Duration::from_secs(60);

/// What a client agent is told at construction.
#[derive(Debug)]
pub struct ClientConfig {
    /// How it takes part in gossip.
    pub members: MembersConfig,
    /// How long a request waits for a server (`performance.rpc_hold_timeout`, 7 s).
    pub rpc_hold_timeout: Duration,
    /// Whether it tells where it is.
    pub coordinates: bool,
    /// What it says of its own node in the catalog; none: it leaves that to others.
    pub local: Option<LocalConfig>,
}

/// A client agent.
#[derive(Debug)]
pub struct Client {
    members: Members,
    /// The first is asked.
    servers: Vec<ServerInfo>,
    rebalance_at: Option<Instant>,
    pending: PendingTable,
    rpc_hold_timeout: Duration,
    leaving: Option<RequestId>,
    user_events: UserEvents,
    /// None: it does not tell where it is.
    coordinates: Option<Sender>,
    /// Its own services and checks.
    local: Option<Local>,
    duties: Duties,
    prng: Prng,
}

impl Client {
    /// A client that knows nobody yet.
    #[must_use]
    pub fn new(
        config: ClientConfig,
        prng: &Prng,
        faults: &Faults,
        now: Instant,
        out: &mut Vec<Output>,
    ) -> Self {
        let user_events = UserEvents::new(&config.members.identity.name, prng, faults);
        let local = config.local.map(|local| Local::new(now, local, prng, faults, out));
        let mut client = Self {
            members: Members::new(config.members, prng, faults, now, out),
            servers: Vec::new(),
            rebalance_at: None,
            pending: PendingTable::new(),
            rpc_hold_timeout: config.rpc_hold_timeout,
            leaving: None,
            user_events,
            coordinates: None,
            local,
            duties: Duties::default(),
            prng: prng.fork("client"),
        };
        let sender = Sender::new(now, &client.members, &client.prng);
        client.coordinates = config.coordinates.then_some(sender);
        client.settle(now, out);
        client
    }

    /// The one way in.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Wake => {
                self.members.wake(now, out);
                if self.rebalance_at.is_some_and(|at| at <= now) {
                    self.prng.shuffle(&mut self.servers);
                    self.plan_rebalance(now);
                }
                self.on_deadlines(now, out);
                self.user_events.wake(now, out);
                self.send_coordinate(now, out);
                if let Some(local) = &mut self.local {
                    local.wake(now, out);
                }
            }
            Input::Gossip(pool, input) => self.members.step(now, pool, input, out),
            Input::Ask(id, request) => self.on_ask(now, id, request, out),
            Input::Forget(id) => {
                self.pending.remove(id);
                self.user_events.forget(id);
                if let Some(local) = &mut self.local {
                    local.forget(id);
                }
            }
            Input::Forwarded(call, result) => self.on_forwarded(now, call, result, out),
            Input::Stop => {
                for id in self.pending.select(|_| true) {
                    self.answer(id, Err(Failure::ShuttingDown), out);
                }
                self.user_events.stop(out);
                if let Some(local) = &mut self.local {
                    local.stop(out);
                }
            }
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
            // No Raft here: nobody sends these to a client.
            Input::Bootstrap(_)
            | Input::RaftRequest(..)
            | Input::InstallSnapshot(..)
            | Input::SnapshotSaved(_)
            | Input::SnapshotFailed(_)
            | Input::RaftReply(..)
            | Input::Persisted(_)
            | Input::PersistFailed(_)
            | Input::TuneSnapshots(_) => {}
        }
        self.settle(now, out);
    }

    /// When [`Input::Wake`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let timers = self.pending.deadline().into_iter().chain(self.members.deadline());
        let update = self.coordinates.as_ref().map(Sender::deadline);
        let timers = timers.chain(self.rebalance_at).chain(update);
        let timers = timers.chain(self.local.as_ref().and_then(Local::deadline));
        timers.chain(self.user_events.deadline()).min()
    }

    /// Its pools.
    #[must_use]
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// Panics when an invariant does not hold.
    pub fn check_invariants(&self) {
        self.members.check_invariants();
        self.user_events.check_invariants();
        self.pending.check_invariants();
        if let Some(local) = &self.local {
            local.check_invariants();
        }
    }

    fn on_ask(&mut self, now: Instant, id: RequestId, request: Request, out: &mut Vec<Output>) {
        let Some(request) = self.members.ask(now, id, request, out) else { return };
        let Some(request) = self.user_events.ask(now, id, request, out) else { return };
        let request = match (request, &mut self.local) {
            (Request::Local(what), Some(local)) => return local.ask(now, id, *what, out),
            (Request::Local(_), None) => {
                let text = "this agent keeps no services".to_owned();
                return out.push(Output::Answer(id, Err(Failure::Refused(text))));
            }
            (request, _) => request,
        };
        match request {
            Request::Keyring(_) => {
                let text = "keyring operations must run against a server node";
                out.push(Output::Answer(id, Err(Failure::Refused(text.to_owned()))));
            }
            Request::AgentSelf => {
                let info = SelfInfo::of_pools(Some(&self.members));
                out.push(Output::Answer(id, Ok(Reply::AgentSelf(Box::new(info)))));
            }
            Request::Leave => {
                self.leaving = Some(id);
                if let Some(local) = &mut self.local {
                    local.leave(out);
                }
                out.push(Output::member(Membership::LeaveBegun { server: false }));
                self.members.step(now, PoolId::Lan, crate::gossip::Input::Leave, out);
            }
            request => {
                self.pending.insert(id, Pending::new(now, request));
                self.route(now, id, out);
            }
        }
    }

    /// Sends a request to the first server of the list, or holds it.
    fn route(&mut self, now: Instant, id: RequestId, out: &mut Vec<Output>) {
        let Some(pending) = self.pending.get(id) else { return };
        let request = pending.remaining(now);
        let Some(server) = self.servers.first() else {
            // Consul does not hold a request that no server can be asked.
            self.answer(id, Err(Failure::NoServers), out);
            return;
        };
        let to = server.address.clone();
        let call = self.pending.forward(id, to.clone());
        if !is_own(id) {
            out.push(Output::Event(Event::Forwarded { to: to.clone() }));
        }
        out.push(Output::Forward { call, to, request });
    }

    fn on_forwarded(
        &mut self,
        now: Instant,
        call: CallId,
        result: Result<Reply, Failure>,
        out: &mut Vec<Output>,
    ) {
        let Some(id) = self.pending.of_call(call) else { return };
        let Some(pending) = self.pending.get(id) else { return };
        let (reads, streamed) = (only_reads(&pending.request), is_snapshot(&pending.request));
        let asked = match &pending.waiting {
            Waiting::Forwarded { to, .. } => Some(to.clone()),
            _ => None,
        };
        match result {
            Err(failure @ Failure::NotSent(_)) => {
                self.demote(asked.as_ref());
                self.hold(now, id, failure, out);
            }
            Err(failure @ Failure::Rpc(_)) => {
                self.demote(asked.as_ref());
                match reads {
                    true => self.hold(now, id, failure, out),
                    false => self.answer(id, Err(failure), out),
                }
            }
            // That server has looked for a leader as long as it may, or is leaving.
            Err(failure @ (Failure::NoLeader | Failure::NotLeader)) => {
                self.demote(asked.as_ref());
                self.hold(now, id, failure, out);
            }
            Err(failure) => {
                self.answer(id, Err(failure.heard_elsewhere(streamed)), out);
            }
            Ok(reply) => self.answer(id, Ok(reply), out),
        }
    }

    /// A server that failed goes to the end of the list, unless another one is used already.
    fn demote(&mut self, failed: Option<&ServerAddress>) {
        if self.servers.first().map(|server| &server.address) == failed && self.servers.len() > 1 {
            self.servers.rotate_left(1);
        }
    }

    fn hold(&mut self, now: Instant, id: RequestId, otherwise: Failure, out: &mut Vec<Output>) {
        if !self.pending.hold(now, id, self.rpc_hold_timeout, &mut self.prng) {
            self.answer(id, Err(otherwise), out);
        }
    }

    fn on_deadlines(&mut self, now: Instant, out: &mut Vec<Output>) {
        for id in self.pending.due(now) {
            if let Some(Waiting::Leader { retry_at }) =
                self.pending.get(id).map(|pending| &pending.waiting)
                && *retry_at <= now
            {
                self.route(now, id, out);
            }
        }
    }

    fn answer(&mut self, id: RequestId, result: Result<Reply, Failure>, out: &mut Vec<Output>) {
        if !self.pending.remove(id) {
            return;
        }
        let result = self.user_events.answered(id, result);
        let users = self.duties.end(id, result);
        out.extend(users.map(|result| Output::Answer(id, result)));
    }

    fn send_coordinate(&mut self, now: Instant, out: &mut Vec<Output>) {
        let sender = self.coordinates.as_mut();
        if let Some(update) = sender.and_then(|sender| sender.due(now, &self.members)) {
            let id = self.duties.begin(Duty::SendCoordinate);
            self.on_ask(now, id, update, out);
        }
    }

    /// Whatever follows from a step, until nothing more does.
    fn settle(&mut self, now: Instant, out: &mut Vec<Output>) {
        loop {
            self.listen(now, out);
            self.attend_to_duties(now, out);
            let requests = self.local.as_mut().map(Local::take_requests).unwrap_or_default();
            if requests.is_empty() {
                break;
            }
            for (errand, request) in requests {
                let id = self.duties.begin(Duty::Local(errand));
                self.on_ask(now, id, request, out);
            }
        }
    }

    fn attend_to_duties(&mut self, now: Instant, out: &mut Vec<Output>) {
        for (duty, result) in self.duties.take_ended() {
            match (duty, &mut self.local) {
                (Duty::SendCoordinate, _) => {
                    out.extend(coordinates::sent(result).map(Output::member));
                }
                (Duty::Local(errand), Some(local)) => local.ended(now, errand, result, out),
                // A leader's, and a server's.
                _ => {}
            }
        }
    }

    /// What gossip has told since the last step.
    fn listen(&mut self, now: Instant, out: &mut Vec<Output>) {
        for heard in self.members.heard() {
            match heard {
                Heard::Member(PoolId::Lan, event) => {
                    if let Some(local) = &mut self.local {
                        local.members_are(self.members.lan().members().count());
                    }
                    match event.kind {
                        MemberEventKind::Join | MemberEventKind::Update => {
                            self.server_came(now, &event.member.name);
                        }
                        MemberEventKind::Leave
                        | MemberEventKind::Failed
                        | MemberEventKind::Reap => {
                            self.servers.retain(|server| server.name != event.member.name);
                        }
                    }
                }
                Heard::UserEvent(event) => {
                    let new_leader = Membership::of_user_event(&event);
                    if let Some(local) = self.local.as_mut().filter(|_| new_leader.is_some()) {
                        local.server_up(now);
                    }
                    out.extend(new_leader.map(Output::member));
                    let services = self.local.as_ref().map(Local::services).unwrap_or_default();
                    self.user_events.hear(&event, &services, out);
                }
                Heard::Left(PoolId::Lan) => {
                    out.extend(self.leaving.map(|id| Output::Answer(id, Ok(Reply::Done))));
                    out.push(Output::Exit);
                }
                // Only servers have a WAN pool, and only they ask queries.
                Heard::Member(PoolId::Wan, _)
                | Heard::Left(PoolId::Wan)
                | Heard::QueryAnswered(..)
                | Heard::QueryEnded(..) => {}
            }
        }
    }

    fn server_came(&mut self, now: Instant, name: &NodeName) {
        let known = self.members.directory.servers().find(|server| server.name == *name).cloned();
        let place = self.servers.iter().position(|server| server.name == *name);
        match (known, place) {
            (Some(server), Some(place)) => self.servers[place] = server,
            (Some(server), None) => {
                self.servers.push(server);
                if let Some(local) = &mut self.local {
                    local.server_up(now);
                }
                if self.rebalance_at.is_none() {
                    self.plan_rebalance(now);
                }
            }
            (None, _) => {}
        }
    }

    fn plan_rebalance(&mut self, now: Instant) {
        let more = self.prng.duration(Duration::ZERO, REBALANCE_SPREAD);
        self.rebalance_at = (self.servers.len() > 1).then(|| now + REBALANCE_MIN + more);
    }
}
