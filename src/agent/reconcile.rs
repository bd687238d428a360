//! A leader brings the catalog, and the set of servers, in line with what gossip says (spec cluster 6.3
//! to 6.5).
//!
//! ```text
//!   member event ─┐
//!   new leader ───┼─► queue ─► next step for this member? ─► change of the set │ write ─► done? again
//!   every 60 s ───┘             none: the next member
//! ```
//!
//! One member at a time, one step at a time; what is to be done next follows from the state alone, so a
//! step that was overtaken is simply not needed any more. A member whose step fails is left until the
//! next event or the next full pass. The catalog's other rows are left as they are: services and
//! checks of a node belong to its agent, and nodes without `serfHealth` to whoever registered them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::base::{Duration, Instant, LogIndex, NodeName};
use crate::gossip::{MemberView, Status, Tags};
use crate::planted;
use crate::raft::{self, Change, ChangeCommand, Suffrage};
use crate::state::{
    CRITICAL, Command, Deregister, HealthCheck, Node, NodeService, PASSING, Query, Register, Rows,
    SERF_HEALTH,
};

use super::core::Agent;
use super::duties::Duty;
use super::io::Output;
use super::members::ServerInfo;
use super::membership::{Membership, Reconciled};
use super::types::{Failure, Reply, Request};

/// Between two passes over all members.
const FULL_PASS: Duration = Duration::from_secs(60);
/// A member needs no more steps than these: out of the set under an old id, in, registered.
const STEPS_MAX: u32 = 4;
/// The service that every server has.
const CONSUL: &str = "consul";

/// What a leader has to do about members; empty on all others.
#[derive(Debug, Default)]
pub(super) struct Reconciliation {
    queue: VecDeque<Work>,
    under_way: Option<Work>,
    next_full: Option<Instant>,
}

/// A member as it was when it was noted.
#[derive(Clone, Debug)]
struct Work {
    member: MemberView,
    reaped: bool,
    steps: u32,
}

/// What is to be done next about a member.
#[derive(Debug)]
enum Step {
    Change(Change, Reconciled),
    Write(Command, Reconciled),
    Note(Reconciled),
    Refuse(String),
    Nothing,
}

impl Reconciliation {
    pub fn deadline(&self) -> Option<Instant> {
        self.next_full
    }
}

impl Agent {
    /// This server leads, and has applied all that came before.
    pub(super) fn begin_reconciling(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.reconciliation = Reconciliation::default();
        if self.members.is_some() {
            self.full_pass(now, out);
        }
    }

    /// It no longer leads.
    pub(super) fn end_reconciling(&mut self) {
        self.reconciliation = Reconciliation::default();
    }

    pub(super) fn on_reconcile_deadline(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.reconciliation.next_full.is_some_and(|at| at <= now) {
            self.full_pass(now, out);
        }
    }

    /// All members, and all nodes that were members once.
    fn full_pass(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(members) = &self.members else { return };
        let mut works: Vec<Work> = members
            .lan()
            .members()
            .map(|member| Work { member: member.clone(), reaped: false, steps: 0 })
            .collect();
        let known: BTreeSet<String> =
            works.iter().map(|work| work.member.name.as_str().to_lowercase()).collect();
        works.extend(self.nodes_once_members(&known));
        self.reconciliation.queue = works.into();
        self.reconciliation.next_full = Some(now + FULL_PASS);
        self.reconcile_on(now, out);
    }

    /// Nodes with `serfHealth` that gossip does not know at all.
    fn nodes_once_members(&self, known: &BTreeSet<String>) -> Vec<Work> {
        let meta = BTreeMap::new();
        let Rows::Nodes(nodes) = self.state.query(&Query::CatalogNodes { meta }).rows else {
            return Vec::new();
        };
        let gone = nodes.into_iter().filter(|node| !known.contains(&node.node.to_lowercase()));
        let gone = gone.filter(|node| self.serf_health(&node.node).is_some());
        gone.map(|node| self.reaped(&node)).collect()
    }

    /// A member in the form in which gossip forgot it.
    fn reaped(&self, node: &Node) -> Work {
        let mut tags = vec![("dc".to_owned(), self.config.datacenter.clone())];
        let port = self.consul_service(&node.node).map(|service| service.port);
        let role = if port.is_some() { CONSUL } else { "node" };
        tags.push(("role".to_owned(), role.to_owned()));
        tags.push(("id".to_owned(), node.id.clone()));
        if let Some(port) = port {
            tags.push(("port".to_owned(), port.to_string()));
            tags.push(("vsn".to_owned(), "2".to_owned()));
            tags.push(("build".to_owned(), String::new()));
        }
        let ip = node.address.parse().unwrap_or(std::net::IpAddr::from([0, 0, 0, 0]));
        let member = MemberView {
            name: NodeName::from(node.node.as_str()),
            addr: (ip, 0).into(),
            tags: Tags(tags),
            status: Status::None,
            versions: None,
        };
        Work { member, reaped: true, steps: 0 }
    }

    /// Something happened to a member.
    pub(super) fn reconcile_member(
        &mut self,
        now: Instant,
        member: MemberView,
        reaped: bool,
        out: &mut Vec<Output>,
    ) {
        if self.reconciliation.next_full.is_some() {
            self.reconciliation.queue.push_back(Work { member, reaped, steps: 0 });
            self.reconcile_on(now, out);
        }
    }

    /// The end of a step.
    pub(super) fn on_reconciled(
        &mut self,
        now: Instant,
        result: Result<Reply, Failure>,
        out: &mut Vec<Output>,
    ) {
        // It may be that of an earlier leadership.
        let Some(mut work) = self.reconciliation.under_way.take() else { return };
        match result {
            Ok(_) => {
                work.steps += 1;
                self.reconciliation.queue.push_front(work);
            }
            Err(failure) => {
                let (node, why) = (work.member.name, failure.to_string());
                out.push(Output::member(Membership::ReconcileFailed { node, why }));
            }
        }
        self.reconcile_on(now, out);
    }

    /// Goes on until a step is under way or nothing is left.
    fn reconcile_on(&mut self, now: Instant, out: &mut Vec<Output>) {
        while self.reconciliation.under_way.is_none() {
            let Some(work) = self.reconciliation.queue.pop_front() else { return };
            let node = work.member.name.clone();
            let step = if work.steps < STEPS_MAX { self.next_step(&work) } else { Step::Nothing };
            match step {
                Step::Change(change, how) => {
                    self.reconciliation.under_way = Some(work);
                    out.push(Output::member(Membership::MemberReconciled { node, how }));
                    let id = self.begin(Duty::Reconcile);
                    self.change_servers(now, id, change, out);
                }
                Step::Write(command, how) => {
                    self.reconciliation.under_way = Some(work);
                    out.push(Output::member(Membership::MemberReconciled { node, how }));
                    let id = self.begin(Duty::Reconcile);
                    self.on_ask(now, id, Request::Write(command), out);
                }
                Step::Note(how) => {
                    out.push(Output::member(Membership::MemberReconciled { node, how }));
                }
                Step::Refuse(why) => {
                    out.push(Output::member(Membership::ReconcileFailed { node, why }));
                }
                Step::Nothing => {}
            }
        }
    }

    fn next_step(&self, work: &Work) -> Step {
        let member = &work.member;
        let of_ours = member.tags.get("dc") == Some(self.config.datacenter.as_str());
        if !of_ours || !matches!(member.tags.get("role"), Some("consul" | "node")) {
            return Step::Nothing;
        }
        if work.reaped {
            return self.step_to_remove(member, Reconciled::Reaped);
        }
        match member.status {
            Status::Alive => self.step_for_alive(member),
            Status::Failed => self.step_for_failed(member),
            Status::Left => self.step_to_remove(member, Reconciled::Left),
            Status::Leaving | Status::None => Step::Nothing,
        }
    }

    fn step_for_alive(&self, member: &MemberView) -> Step {
        let server = ServerInfo::parse(member);
        if let Some(step) = server.as_ref().and_then(|server| self.step_into_the_set(server)) {
            return step;
        }
        let name = member.name.as_str();
        let address = member.addr.ip().to_string();
        let service = server.as_ref().map(|server| consul_service_of(server, member));
        let node = self.state.node(name);
        let is_in_line = node.is_some_and(|node| node.address == address)
            && service.as_ref().is_none_or(|wanted| {
                self.consul_service(name).is_some_and(|found| found.meta == wanted.meta)
            })
            && self.serf_health(name) == Some(PASSING);
        if is_in_line {
            return Step::Nothing;
        }
        let (tagged_addresses, meta) = match node {
            Some(node) => (node.tagged_addresses.clone(), node.meta.clone()),
            None => {
                let build = member.tags.get("build").and_then(|build| build.split(':').next());
                let version = build.unwrap_or_default().to_owned();
                (BTreeMap::new(), BTreeMap::from([("consul-version".to_owned(), version)]))
            }
        };
        let register = Register {
            node: Node { tagged_addresses, meta, ..self.node_of(member) },
            service,
            checks: vec![serf_check(name, PASSING, "Agent alive and reachable")],
            // What the node itself has said by the time this is applied is not overwritten by less.
            skip_node_update: node.is_none(),
        };
        Step::Write(Command::Register(Box::new(register)), Reconciled::Alive)
    }

    fn step_for_failed(&self, member: &MemberView) -> Step {
        let name = member.name.as_str();
        // A member that was never registered is not made known by its failure.
        let Some(node) = self.state.node(name) else { return Step::Nothing };
        // Oracle: serf-health.
        if planted!(self.faults, "failed-members-pass") {
            return Step::Nothing;
        }
        let address = member.addr.ip().to_string();
        if node.address == address && self.serf_health(name) == Some(CRITICAL) {
            return Step::Nothing;
        }
        let register = Register {
            node: self.node_of(member),
            service: None,
            checks: vec![serf_check(name, CRITICAL, "Agent not live or unreachable")],
            skip_node_update: true,
        };
        Step::Write(Command::Register(Box::new(register)), Reconciled::Failed)
    }

    fn step_to_remove(&self, member: &MemberView, why: Reconciled) -> Step {
        let name = member.name.as_str();
        if name.eq_ignore_ascii_case(&self.config.node_name) {
            return Step::Note(Reconciled::Itself);
        }
        if let Some(server) = ServerInfo::parse(member) {
            let servers = &self.raft.configuration().servers;
            let found =
                servers.iter().find(|it| it.id == server.id || it.address == server.address);
            if let Some(found) = found {
                let change = change(ChangeCommand::RemoveServer, found);
                return Step::Change(change, Reconciled::RemovedFromRaft);
            }
        }
        // Oracle of the plant: serf-health.
        if self.state.node(name).is_none() || planted!(self.faults, "left-members-stay") {
            return Step::Nothing;
        }
        let deregister = Deregister { node: name.to_owned(), ..Deregister::default() };
        Step::Write(Command::Deregister(deregister), why)
    }

    /// What brings a live server into the set; none when it is in (spec cluster 6.5).
    fn step_into_the_set(&self, server: &ServerInfo) -> Option<Step> {
        if server.bootstrap && self.another_in_bootstrap_mode(server) {
            return Some(Step::Note(Reconciled::TwoBootstrapModes)).filter(|_| {
                !self.raft.configuration().servers.iter().any(|it| it.id == server.id)
            });
        }
        let servers = &self.raft.configuration().servers;
        let same_id = servers.iter().find(|it| it.id == server.id);
        if same_id.is_some_and(|it| it.address == server.address) {
            return None;
        }
        if let Some(other) =
            servers.iter().find(|it| it.address == server.address && it.id != server.id)
        {
            return Some(self.step_to_replace(other));
        }
        // Its id is known elsewhere: its address changes and its vote stays.
        let keeps_vote = same_id.is_some_and(|it| it.suffrage == Suffrage::Voter);
        let votes_at_once = self.is_legacy() || keeps_vote;
        let command =
            if votes_at_once { ChangeCommand::AddVoter } else { ChangeCommand::AddNonvoter };
        let (id, address) = (server.id.clone(), server.address.clone());
        let change = Change { command, id, address, prev_index: LogIndex(0) };
        Some(Step::Change(change, Reconciled::AddedToRaft))
    }

    /// A server comes with the address of another one: that one goes first.
    fn step_to_replace(&self, other: &raft::Server) -> Step {
        let servers = &self.raft.configuration().servers;
        let voters = servers.iter().filter(|it| it.suffrage == Suffrage::Voter).count();
        let removed = usize::from(other.suffrage == Suffrage::Voter);
        if removed > voters - (voters / 2 + 1) {
            return Step::Refuse(
                "Preventing server addition that would require removal of too many servers and \
                 cause cluster instability"
                    .to_owned(),
            );
        }
        Step::Change(change(ChangeCommand::RemoveServer, other), Reconciled::RemovedFromRaft)
    }

    fn another_in_bootstrap_mode(&self, server: &ServerInfo) -> bool {
        let Some(members) = &self.members else { return false };
        let mut servers = members.lan().members().filter_map(ServerInfo::parse);
        servers.any(|other| other.bootstrap && other.name != server.name)
    }

    /// A member as a node of the catalog.
    fn node_of(&self, member: &MemberView) -> Node {
        Node {
            id: member.tags.get("id").unwrap_or_default().to_owned(),
            node: member.name.as_str().to_owned(),
            address: member.addr.ip().to_string(),
            datacenter: self.config.datacenter.clone(),
            ..Node::default()
        }
    }

    fn consul_service(&self, node: &str) -> Option<&NodeService> {
        self.state.service_on(node, CONSUL)
    }

    fn serf_health(&self, node: &str) -> Option<&str> {
        self.state.check_on(node, SERF_HEALTH).map(|check| check.status.as_str())
    }
}

fn change(command: ChangeCommand, server: &raft::Server) -> Change {
    let (id, address) = (server.id.clone(), server.address.clone());
    Change { command, id, address, prev_index: LogIndex(0) }
}

fn serf_check(node: &str, status: &str, output: &str) -> HealthCheck {
    HealthCheck {
        node: node.to_owned(),
        check_id: SERF_HEALTH.to_owned(),
        name: "Serf Health Status".to_owned(),
        status: status.to_owned(),
        output: output.to_owned(),
        ..HealthCheck::default()
    }
}

fn consul_service_of(server: &ServerInfo, member: &MemberView) -> NodeService {
    let port = server.address.as_str().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let [min, max, current, ..] = member.versions.unwrap_or_default();
    let meta = [
        ("non_voter", server.read_replica.to_string()),
        ("raft_version", server.raft_version.to_string()),
        ("read_replica", server.read_replica.to_string()),
        ("serf_protocol_current", current.to_string()),
        ("serf_protocol_max", max.to_string()),
        ("serf_protocol_min", min.to_string()),
        ("version", server.version.clone()),
    ];
    NodeService {
        id: CONSUL.to_owned(),
        service: CONSUL.to_owned(),
        port: port.unwrap_or_default(),
        meta: meta.map(|(key, value)| (key.to_owned(), value)).into(),
        ..NodeService::default()
    }
}
