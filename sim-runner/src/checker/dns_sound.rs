//! **dns-sound**: whatever DNS answers is what a server's catalog said: every instance in it is there,
//! passes, has the tag that was asked for, and is at the address and port that are told; nothing is told
//! to be missing that is there; what is cut short says so, where agents are configured to say it; and
//! each record has the TTL that is configured (spec cluster 11.7, 76 and 77; spec api 4.3 to 4.8;
//! Consul's page on its DNS interface).
//!
//! ```text
//!   n2's catalog   ──┤web on c1: passing├──┤web on c1: critical├──────────
//!   u1 asks n2           ├──────────────────────┤ 10.0.0.5                 may be: it passed meanwhile
//!   u1 asks n2                                      ├──────┤ 10.0.0.5      ✗ in no state of that time
//! ```
//!
//! An answer comes from one state, so one state between the question and the answer must explain all of
//! it. Whose state: with `allow_stale`, which is Consul's default, the asked server's own; an agent in
//! client mode asks some server, so any server's will do. Without it, or where `max_stale` bounds the
//! age, that of whoever held itself for the leader at that time, which a deposed leader does too (spec
//! cluster 9.4): how old that may be is the matter of `linearizable`.
//!
//! No stricter than the truth. A server that has lost its leader goes on answering with what it last
//! knew, and one that has just started may know nothing: its own state is the measure. Users ask each
//! time, whatever the last TTL was, so a TTL excuses nothing; agents that keep answers (`use_cache`) are
//! not judged. By UDP an answer may be any part of the instances unless `enable_truncate` is on; by TCP
//! it is whole. Without passing instances both NXDOMAIN and an empty answer are right (0.5.2 gave the
//! latter). Where datagrams between users and agents may be damaged, what came by UDP is not judged.
//! Errors (SERVFAIL, REFUSED) say nothing of a name. What else is left out: `dns_answer.rs`.

use std::collections::BTreeMap;

use proconsul::base::Ratio;

use crate::history::lookup::By;
use crate::history::operation::Operation;
use crate::history::request::{Reply, Request};
use crate::property::Judgement;
use crate::scenario::fault::{LinkFault, Links};
use crate::scenario::model::{Action, Plan, Target};
use crate::trace::event::{Host, HostKind, Role, What};
use crate::trace::view::View;

use super::dns_answer::{Answer, Fault};
use super::dns_settings::Settings;
use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::oracle::{Oracle, Seen, time};

const PROPERTY: &str = "dns-sound";

pub struct DnsSound {
    /// By operation, those that are not asked yet.
    lookups: BTreeMap<u64, Lookup>,
    /// Those that are, and that no state has explained yet.
    open: BTreeMap<u64, Lookup>,
    settings: BTreeMap<Host, Settings>,
    servers: Vec<Host>,
    asked: bool,
    findings: Findings,
}

/// A lookup that was answered.
struct Lookup {
    answer: Answer,
    /// Who was asked.
    agent: Host,
    /// For sentences.
    text: String,
    /// What is wrong with it in the state that was looked at last.
    fault: Option<Fault>,
}

impl DnsSound {
    pub fn new(plan: &Plan, evidence: &Evidence) -> Self {
        let hosts = (0..).map(Host).zip(&evidence.header.hosts);
        let agents = hosts.filter(|(_, it)| matches!(it.kind, HostKind::Server | HostKind::Client));
        let settings = agents.clone().map(|(host, it)| (host, Settings::of(plan, &it.name)));
        let servers = agents.clone().filter(|(_, it)| it.kind == HostKind::Server);
        let named: BTreeMap<&str, Host> =
            agents.map(|(host, it)| (it.name.as_str(), host)).collect();
        let mut oracle = Self {
            lookups: BTreeMap::new(),
            open: BTreeMap::new(),
            settings: settings.collect(),
            servers: servers.map(|(host, _)| host).collect(),
            asked: false,
            findings: Findings::new(PROPERTY),
        };
        let damaged = damages_datagrams_of_users(plan);
        for operation in &evidence.history {
            let agent = named.get(operation.server.as_str()).copied();
            oracle.take(operation, agent, damaged);
        }
        oracle
    }

    fn take(&mut self, operation: &Operation, agent: Option<Host>, damaged: bool) {
        let Some((Request::Lookup(question), Reply::Resolved(found))) = operation.answered() else {
            return;
        };
        self.asked = true;
        let Some(agent) = agent else { return };
        let settings = &self.settings[&agent];
        if settings.use_cache || damaged && found.by != By::Tcp {
            return;
        }
        if let Some(answer) = Answer::of(question, found, settings) {
            let text = format!("{} {} was answered {}", question.name, question.kind, found.rcode);
            let lookup = Lookup { answer, agent, text, fault: None };
            self.lookups.insert(operation.id, lookup);
        }
    }

    /// A user asks: the states of that moment may explain the answer.
    fn begin(&mut self, op: u64, view: &View) {
        let Some(mut lookup) = self.lookups.remove(&op) else { return };
        let settings = &self.settings[&lookup.agent];
        for server in &self.servers {
            if lookup.is_explained_by(*server, settings, view) {
                return self.findings.judge(1);
            }
        }
        self.open.insert(op, lookup);
    }

    /// A server has another state than it had: that may explain what was not.
    fn changed(&mut self, server: Host, view: &View) {
        let before = self.open.len();
        let settings = &self.settings;
        self.open
            .retain(|_, lookup| !lookup.is_explained_by(server, &settings[&lookup.agent], view));
        self.findings.judge((before - self.open.len()) as u64);
    }

    /// The answer is there, and nothing has explained it.
    fn end(&mut self, op: u64, seen: Seen<'_>) {
        let Some(lookup) = self.open.remove(&op) else { return };
        self.findings.judge(1);
        let Some((fact, what)) = lookup.fault else { return };
        let (agent, at) = (seen.name_of(lookup.agent), time(seen.event.at));
        let summary = format!("{} by {agent} at {at} {what}", lookup.text);
        self.findings.report(seen.event.at, fact, summary, Some(seen.index), &[op]);
    }
}

impl Lookup {
    fn is_explained_by(&mut self, server: Host, settings: &Settings, view: &View) -> bool {
        let is_server = view.node(self.agent).kind == HostKind::Server;
        let own = is_server && settings.allow_stale && !settings.bounds_age;
        let leads = view.node(server).role == Role::Leader;
        let may = if own { server == self.agent } else { settings.allow_stale || leads };
        if !may {
            return false;
        }
        let explained = match self.answer.wrong_ttl(settings) {
            Some(fault) => Err(fault),
            None => self.answer.explained(&view.node(server).catalog, settings),
        };
        match explained {
            Ok(()) => true,
            Err(fault) => {
                self.fault = Some(fault);
                false
            }
        }
    }
}

impl Oracle for DnsSound {
    fn observe(&mut self, seen: Seen<'_>) {
        match &seen.event.what {
            What::Invoke { op } => self.begin(*op, seen.view),
            What::Return { op, .. } => self.end(*op, seen),
            What::Catalog { .. } | What::Started | What::Role { .. } if !self.open.is_empty() => {
                self.changed(seen.event.host, seen.view);
            }
            _ => {}
        }
    }

    fn finish(self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        match self.asked {
            true => self.findings.finish(),
            false => skipped(PROPERTY, "nobody was answered by DNS"),
        }
    }
}

/// Whether what users and agents send one another may be damaged on its way.
fn damages_datagrams_of_users(plan: &Plan) -> bool {
    let network = &plan.network;
    let of_users = |target: &Target| match target {
        Target::Users | Target::All => true,
        Target::List(list) => list.contains(&Target::Users),
        _ => false,
    };
    let link = network.links.iter().any(|link| link.keys.corrupt.is_some());
    network.corrupt != Ratio::ZERO
        || link
        || plan.steps.iter().any(|step| match &step.action {
            Action::Link { links, fault: LinkFault::Corrupt(_), .. } => match links {
                Links::Of(target) => of_users(target),
                Links::Between { from, to, .. } => of_users(from) || of_users(to),
            },
            _ => false,
        })
}
