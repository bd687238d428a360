//! [`Local`]: what it holds, and its ways in.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::io::Output;
use crate::agent::membership::Membership;
use crate::agent::types::{Failure, Reply, Request};
use crate::base::{Faults, Instant, Prng, RequestId};

use super::agenda::{Agenda, Due};
use super::config::LocalConfig;
use super::entries::Entries;
use super::facts::{Item, LocalFact};
use super::keeping::Keeping;
use super::pass::Pass;
use super::runner::Runner;
use super::syncer::{Syncer, Wanted};
use super::types::{
    Definitions, KeepId, LocalCheck, LocalReply, LocalRequest, ProbeId, ProbeResult,
};
use super::watch::{Watchers, content_hash};

/// So often aliases of aliases are looked at again within one step; the rest waits for their refresh.
const ALIAS_ROUNDS: usize = 8;

/// Names a request that the local state makes of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::agent) struct Errand(u64);

/// This agent's own services and checks.
#[derive(Debug)]
pub(in crate::agent) struct Local {
    pub(super) config: LocalConfig,
    pub(super) began: Instant,
    pub(super) entries: Entries,
    pub(super) runners: BTreeMap<String, Runner>,
    pub(super) agenda: Agenda,
    /// Probes under way, and for which check.
    pub(super) probes: BTreeMap<ProbeId, String>,
    /// Checks that stand as a service of this agent does.
    pub(super) local_aliases: BTreeMap<String, String>,
    /// Of these, those whose service has changed.
    pub(super) alias_due: BTreeSet<String>,
    pub(super) syncer: Syncer,
    pub(super) pass: Option<Pass>,
    /// Of the pass that is under way.
    pub(super) pass_errand: Option<Errand>,
    /// Of aliases of other nodes.
    pub(super) alias_errands: BTreeMap<Errand, String>,
    outbox: Vec<(Errand, Request)>,
    /// Who is answered once the next pass has ended.
    pub(super) waiters: Vec<RequestId>,
    pub(super) keeping: Keeping,
    watchers: Watchers,
    /// A service may be another one than before.
    pub(super) news: bool,
    pub(super) prng: Prng,
    pub(super) faults: Faults,
    last_errand: u64,
    last_probe: u64,
}

impl Local {
    /// With what the configuration and the disk give.
    pub fn new(
        now: Instant,
        config: LocalConfig,
        prng: &Prng,
        faults: &Faults,
        out: &mut Vec<Output>,
    ) -> Self {
        let prng = prng.fork("local state");
        let mut local = Self {
            config,
            began: now,
            entries: Entries::default(),
            runners: BTreeMap::new(),
            agenda: Agenda::default(),
            probes: BTreeMap::new(),
            local_aliases: BTreeMap::new(),
            alias_due: BTreeSet::new(),
            syncer: Syncer::new(now, prng.fork("anti-entropy")),
            pass: None,
            pass_errand: None,
            alias_errands: BTreeMap::new(),
            outbox: Vec::new(),
            waiters: Vec::new(),
            keeping: Keeping::default(),
            watchers: Watchers::default(),
            news: false,
            prng,
            faults: faults.clone(),
            last_errand: 0,
            last_probe: 0,
        };
        let definitions: Definitions = std::mem::take(&mut local.config.definitions);
        local.load(now, definitions, out);
        local.settle(now, out);
        local
    }

    /// Serves what users ask.
    pub fn ask(&mut self, now: Instant, id: RequestId, what: LocalRequest, out: &mut Vec<Output>) {
        match what {
            LocalRequest::Services => {
                let services = self.entries.services.iter();
                let services = services.map(|(id, it)| (id.clone(), it.service.clone())).collect();
                tell(id, LocalReply::Services(services), out);
            }
            LocalRequest::Service { id: service, hash, max_wait } => {
                let same = self.hash_of(&service).is_some_and(|now| now == hash);
                if same && !max_wait.is_zero() {
                    self.watchers.add(id, service, hash, now + max_wait);
                } else {
                    tell(id, self.service_reply(&service), out);
                }
            }
            LocalRequest::Checks => {
                let checks = self.entries.checks.iter().map(|(id, it)| {
                    let (check, registered) = (it.check.clone(), it.registered.clone());
                    (id.clone(), LocalCheck { check, registered })
                });
                tell(id, LocalReply::Checks(checks.collect()), out);
            }
            change => self.change(now, id, change, out),
        }
        self.settle(now, out);
    }

    /// How a probe ended.
    pub fn probed(
        &mut self,
        now: Instant,
        id: ProbeId,
        result: ProbeResult,
        out: &mut Vec<Output>,
    ) {
        self.take_result(now, id, result, out);
        self.settle(now, out);
    }

    /// How an order to the disk ended.
    pub fn kept(
        &mut self,
        now: Instant,
        id: KeepId,
        result: Result<(), String>,
        out: &mut Vec<Output>,
    ) {
        if let Some((operation, result)) = self.keeping.ended(id, result) {
            self.kept_all(now, operation, result, out);
        }
        self.settle(now, out);
    }

    /// What the servers said.
    pub fn ended(
        &mut self,
        now: Instant,
        errand: Errand,
        result: Result<Reply, Failure>,
        out: &mut Vec<Output>,
    ) {
        if self.pass_errand == Some(errand) {
            self.pass_errand = None;
            self.pass_on(now, result, out);
        } else if let Some(check) = self.alias_errands.remove(&errand) {
            self.alias_answered(now, &check, result);
        }
        self.settle(now, out);
    }

    /// What is due.
    pub fn wake(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let Some((check, due)) = self.agenda.pop(now) {
            match due {
                Due::Run => self.run(now, &check, out),
                Due::Output => {
                    if let Some(entry) = self.entries.checks.get_mut(&check) {
                        entry.in_sync = false;
                        self.syncer.note_change();
                    }
                }
                Due::Reap => self.reap(&check, out),
            }
        }
        self.settle(now, out);
    }

    /// A server came, or there is a new leader.
    pub fn server_up(&mut self, now: Instant) {
        self.syncer.server_up(now);
    }

    /// A server hears of a leader.
    pub fn leader_known(&mut self, now: Instant) {
        self.syncer.leader_known(now);
    }

    /// So many members has the datacenter's pool.
    pub fn members_are(&mut self, count: usize) {
        self.syncer.members_are(count);
    }

    /// Nobody waits for this answer any more.
    pub fn forget(&mut self, id: RequestId) {
        self.watchers.remove(id);
        self.waiters.retain(|it| *it != id);
        self.keeping.forget(id);
        if let Some(pass) = &mut self.pass {
            pass.waiters.retain(|it| *it != id);
        }
    }

    /// The agent leaves the cluster: what it said of its node goes with it, and is not said again.
    pub fn leave(&mut self, out: &mut Vec<Output>) {
        self.syncer.end();
        self.pass_errand = None;
        let waiting = self.pass.take().map(|pass| pass.waiters).unwrap_or_default();
        for id in waiting.into_iter().chain(std::mem::take(&mut self.waiters)) {
            tell(id, LocalReply::Done, out);
        }
    }

    /// The process is about to stop.
    pub fn stop(&mut self, out: &mut Vec<Output>) {
        self.syncer.end();
        self.pass_errand = None;
        let mut ids = self.pass.take().map(|pass| pass.waiters).unwrap_or_default();
        ids.extend(std::mem::take(&mut self.waiters));
        ids.extend(self.keeping.take_askers());
        for id in self.watchers.ids() {
            self.watchers.remove(id);
            ids.push(id);
        }
        out.extend(ids.into_iter().map(|id| Output::Answer(id, Err(Failure::ShuttingDown))));
    }

    /// What the servers are to be asked; the end of each comes back to [`Local::ended`].
    pub fn take_requests(&mut self) -> Vec<(Errand, Request)> {
        std::mem::take(&mut self.outbox)
    }

    /// The services' names, and their tags.
    pub fn services(&self) -> Vec<(&str, &[String])> {
        let services = self.entries.services.values().map(|it| &it.service);
        services.map(|it| (it.service.as_str(), it.tags.as_slice())).collect()
    }

    /// When [`Local::wake`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let sync = self.syncer.deadline().filter(|_| self.pass.is_none());
        [self.agenda.deadline(), self.watchers.deadline(), sync].into_iter().flatten().min()
    }

    /// Panics when an invariant does not hold.
    pub fn check_invariants(&self) {
        self.entries.check_invariants();
        self.agenda.check_invariants();
        self.keeping.check_invariants();
        self.watchers.check_invariants();
        for id in self.runners.keys() {
            crate::invariant!(self.entries.checks.contains_key(id), "{id} runs without a check");
        }
        for (probe, id) in &self.probes {
            let of = self.runners.get(id);
            crate::invariant!(
                matches!(of, Some(Runner::Probed { under_way, .. }) if *under_way == Some(*probe)),
                "probe {probe:?} of {id} is nobody's"
            );
        }
        crate::invariant!(
            self.pass.is_some() || self.pass_errand.is_none(),
            "a pass that has ended waits for an answer"
        );
    }

    /// A request of the servers.
    pub(super) fn send(&mut self, request: Request) -> Errand {
        self.last_errand += 1;
        let errand = Errand(self.last_errand);
        self.outbox.push((errand, request));
        errand
    }

    pub(super) fn next_probe(&mut self) -> ProbeId {
        self.last_probe += 1;
        ProbeId(self.last_probe)
    }

    fn hash_of(&self, service: &str) -> Option<String> {
        self.entries.services.get(service).map(|it| content_hash(&it.service))
    }

    fn service_reply(&self, service: &str) -> LocalReply {
        let found = self.entries.services.get(service).map(|it| it.service.clone());
        LocalReply::Service(found.map(|service| {
            let hash = content_hash(&service);
            Box::new((service, hash))
        }))
    }

    /// Whatever follows from a step.
    fn settle(&mut self, now: Instant, out: &mut Vec<Output>) {
        for _ in 0..ALIAS_ROUNDS {
            let due = std::mem::take(&mut self.alias_due);
            if due.is_empty() {
                break;
            }
            due.iter().for_each(|check| self.look_at_alias(now, check));
        }
        self.alias_due.clear();
        self.tell_changes(out);
        let news = std::mem::take(&mut self.news);
        for id in self.watchers.ready(now, news, |service| self.hash_of(service)) {
            if let Some(service) = self.watchers.remove(id) {
                tell(id, self.service_reply(&service), out);
            }
        }
        while self.pass.is_none() {
            let paused = self.keeping.pauses();
            if paused {
                self.syncer.put_off(now);
            }
            match self.syncer.due(now, paused) {
                Some(wanted) => self.begin_pass(now, wanted, out),
                // Somebody waits for it: it does not matter when the last one was.
                None if !self.waiters.is_empty() => self.begin_pass(now, Wanted::Changes, out),
                None => break,
            }
        }
    }
}

impl Local {
    /// Tells what has changed among services and checks, for whoever follows from outside.
    fn tell_changes(&mut self, out: &mut Vec<Output>) {
        for item in std::mem::take(&mut self.entries.changed) {
            let fact = match item {
                Item::Node => continue,
                Item::Service(id) => {
                    let entry = self.entries.services.get(&id);
                    let service = entry.map(|it| Box::new(it.service.clone()));
                    LocalFact::ServiceIs { id, service }
                }
                Item::Check(id) => {
                    let check = self.entries.checks.get(&id).map(|it| Box::new(it.check.clone()));
                    LocalFact::CheckIs { id, check }
                }
            };
            note(fact, out);
        }
    }
}

/// Answers a user.
pub(super) fn tell(id: RequestId, reply: LocalReply, out: &mut Vec<Output>) {
    out.push(Output::Answer(id, Ok(Reply::Local(Box::new(reply)))));
}

/// A fact.
pub(super) fn note(fact: LocalFact, out: &mut Vec<Output>) {
    out.push(Output::member(Membership::Local(fact)));
}
