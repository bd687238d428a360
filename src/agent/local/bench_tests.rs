//! A local state, a catalog that it tells, a disk and probes that do as they are told.

use std::collections::BTreeMap;

use crate::agent::event::Event;
use crate::agent::io::Output;
use crate::agent::membership::Membership;
use crate::agent::types::{Failure, ReadMeta, Reply, Request};
use crate::base::{Duration, Faults, Instant, LogIndex, Prng, RequestId};
use crate::state::{Command, CommandResult, Query, StateStore};

use super::core::{Errand, Local};
use super::types::{KeepId, LocalReply, LocalRequest, Probe, ProbeId, ProbeResult};
use super::{LocalConfig, LocalFact};

/// The name of the node that speaks.
pub const NODE: &str = "n1";

/// All of it.
pub struct Bench {
    pub local: Local,
    pub now: Instant,
    pub catalog: StateStore,
    /// Why no server answers.
    pub down: Option<String>,
    /// What the servers are asked stays on its way.
    pub slow: bool,
    pub asked: Vec<(Errand, Request, Instant)>,
    pub keeps: Vec<KeepId>,
    pub probes: BTreeMap<String, (ProbeId, Box<Probe>)>,
    pub answers: Vec<(RequestId, Result<LocalReply, Failure>)>,
    pub facts: Vec<LocalFact>,
    pub transcript: Vec<String>,
    last_request: u64,
}

impl Bench {
    pub fn new(config: LocalConfig, seed: u64) -> Self {
        let mut out = Vec::new();
        let now = Instant::ZERO;
        let mut catalog = StateStore::new();
        apply(&mut catalog, &leaders_word());
        let mut bench = Self {
            local: Local::new(now, config, &Prng::new(seed), &Faults::none(), &mut out),
            now,
            catalog,
            down: None,
            slow: false,
            asked: Vec::new(),
            keeps: Vec::new(),
            probes: BTreeMap::new(),
            answers: Vec::new(),
            facts: Vec::new(),
            transcript: Vec::new(),
            last_request: 0,
        };
        bench.take(out);
        bench
    }

    /// A command straight to the catalog, past the agent.
    pub fn catalog(&mut self, command: &Command) {
        apply(&mut self.catalog, command);
        self.serve();
    }

    pub fn ask(&mut self, request: LocalRequest) -> RequestId {
        self.last_request += 1;
        let id = RequestId(self.last_request);
        self.with(|local, now, out| local.ask(now, id, request, out));
        id
    }

    pub fn probed(&mut self, check: &str, result: ProbeResult) -> bool {
        let Some((id, _)) = self.probes.remove(check) else { return false };
        self.with(|local, now, out| local.probed(now, id, result, out));
        true
    }

    pub fn kept(&mut self, result: &Result<(), String>) {
        for id in std::mem::take(&mut self.keeps) {
            self.with(|local, now, out| local.kept(now, id, result.clone(), out));
        }
    }

    /// A new leader is heard of.
    pub fn server_up(&mut self) {
        self.with(|local, now, _| local.server_up(now));
    }

    pub fn advance(&mut self, span: Duration) {
        let until = self.now + span;
        loop {
            let served = self.asked.iter().map(|(_, _, until)| *until);
            let served = served.filter(|at| !self.slow && *at > self.now).min();
            let next = self.local.deadline().into_iter().chain(served).min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            self.now = self.now.max(at);
            self.with(|local, now, out| local.wake(now, out));
        }
        self.now = until;
    }

    /// One way in, and all that follows.
    pub fn with(&mut self, step: impl FnOnce(&mut Local, Instant, &mut Vec<Output>)) {
        let mut out = Vec::new();
        step(&mut self.local, self.now, &mut out);
        self.local.check_invariants();
        self.take(out);
    }

    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Answer(id, result) => {
                    let result = result.map(|reply| match reply {
                        Reply::Local(reply) => *reply,
                        other => panic!("answered {other:?}"),
                    });
                    let shown = match &result {
                        Ok(reply) => format!("{reply:?}"),
                        Err(why) => format!("500 {why}"),
                    };
                    self.transcript.push(format!("{id}: {shown}"));
                    self.answers.push((id, result));
                }
                Output::Probe(id, probe) => {
                    let timeout = probe.definition.timeout;
                    let line = format!("probe {} timeout={timeout:?}", probe.check_id);
                    self.transcript.push(line);
                    self.probes.insert(probe.check_id.clone(), (id, probe));
                }
                Output::CancelProbe(id) => {
                    self.transcript.push(format!("cancel {}", id.0));
                    self.probes.retain(|_, (it, _)| *it != id);
                }
                Output::Keep(id, keep) => {
                    self.transcript.push(format!("keep {}", shown(&keep)));
                    self.keeps.push(id);
                }
                Output::Event(Event::Membership(fact)) => {
                    let Membership::Local(fact) = *fact else { panic!("{fact:?}") };
                    let Some((level, text)) = fact.line() else { continue };
                    self.transcript.push(format!("{level:?} {text}"));
                    self.facts.push(fact);
                }
                other => panic!("{other:?}"),
            }
        }
        for (errand, request) in self.local.take_requests() {
            let until = match &request {
                Request::Read { options, .. } if options.min_index > 0 => {
                    self.now + options.max_wait
                }
                _ => self.now,
            };
            self.asked.push((errand, request, until));
        }
        self.serve();
    }

    /// The servers answer what they can.
    pub fn serve(&mut self) {
        while !self.slow {
            let ready = self.asked.iter().position(|(_, request, until)| {
                self.down.is_some() || *until <= self.now || self.is_news(request)
            });
            let Some(ready) = ready else { return };
            let (errand, request, _) = self.asked.remove(ready);
            let result = self.answer(request);
            let mut out = Vec::new();
            self.local.ended(self.now, errand, result, &mut out);
            self.local.check_invariants();
            self.take(out);
        }
    }

    fn is_news(&self, request: &Request) -> bool {
        match request {
            Request::Read { query, options } => self.catalog.query(query).index > options.min_index,
            _ => true,
        }
    }

    fn answer(&mut self, request: Request) -> Result<Reply, Failure> {
        if let Some(why) = &self.down {
            return Err(Failure::Remote(why.clone()));
        }
        Ok(match request {
            Request::Read { query, .. } => {
                let answer = self.catalog.query(&query);
                let (known_leader, last_contact) = (true, Duration::ZERO);
                let meta = ReadMeta { index: answer.index.max(1), known_leader, last_contact };
                Reply::Read { answer, meta }
            }
            Request::Write(mut command) => {
                self.refuse_foreign(&command);
                match command.admit("dc1") {
                    Ok(()) => Reply::Written(apply(&mut self.catalog, &command)),
                    Err(why) => Reply::Written(CommandResult::Error(why)),
                }
            }
            other => panic!("asked {other:?}"),
        })
    }

    /// Anti-entropy speaks of its own node, and never of what the leader keeps there (spec cluster 11.7,
    /// invariant 80).
    fn refuse_foreign(&self, command: &Command) {
        let (node, service, checks): (_, _, Vec<&str>) = match command {
            Command::Register(what) => {
                let service = what.service.as_ref().map_or("", |it| it.id.as_str());
                let checks = what.checks.iter().map(|it| it.check_id.as_str());
                (&what.node.node, service, checks.collect())
            }
            Command::Deregister(what) => {
                assert!(!(what.service_id.is_empty() && what.check_id.is_empty()), "{what:?}");
                (&what.node, what.service_id.as_str(), vec![&what.check_id])
            }
            other => panic!("told {other:?}"),
        };
        assert_eq!(node, NODE);
        assert!(service != "consul" && !checks.contains(&"serfHealth"), "{command:?}");
    }

    /// What the catalog has of the node.
    pub fn remote(&self) -> (crate::state::Rows, crate::state::Rows) {
        let node = NODE.to_owned();
        let services = self.catalog.query(&Query::CatalogNode { node: node.clone() }).rows;
        (services, self.catalog.query(&Query::HealthNode { node }).rows)
    }
}

pub fn apply(catalog: &mut StateStore, command: &Command) -> CommandResult {
    let index = LogIndex(catalog.applied().0 + 1);
    catalog.apply(index, command, &Faults::none()).0
}

/// What a leader writes of a server that is a member.
fn leaders_word() -> Command {
    use crate::state::{HealthCheck, Node, NodeService, Register};
    let node = NODE.to_owned();
    let checks = vec![HealthCheck {
        node: node.clone(),
        check_id: "serfHealth".to_owned(),
        status: "passing".to_owned(),
        ..HealthCheck::default()
    }];
    let node = Node { node, address: "10.0.0.1".to_owned(), id: id(1), ..Node::default() };
    let consul = "consul".to_owned();
    let service = NodeService { id: consul.clone(), service: consul, ..NodeService::default() };
    let (service, skip_node_update) = (Some(service), false);
    Command::Register(Box::new(Register { node, service, checks, skip_node_update }))
}

/// A UUID.
pub fn id(number: u8) -> String {
    format!("{number:08}-0000-0000-0000-000000000000")
}

fn shown(keep: &super::types::Keep) -> String {
    use super::types::Keep;
    match keep {
        Keep::Service(it) => format!("service {}", it.service.id),
        Keep::NoService { id } => format!("no service {id}"),
        Keep::Check(it) => format!("check {} of {:?}", it.check.check_id, it.service_id),
        Keep::NoCheck { id } => format!("no check {id}"),
        Keep::TtlState(it) => {
            format!("state {} {} {:?} for {:?}", it.check_id, it.health, it.output, it.valid_for)
        }
    }
}
