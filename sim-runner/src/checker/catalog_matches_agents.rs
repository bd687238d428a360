//! **catalog-matches-agents**: what the catalog says of an agent's node is what the agent says of itself:
//! its services and its checks, all of them and no others (spec cluster 8.3, 11.7, 78 to 80).
//!
//! ```text
//!   agent c1   web, check of web: critical                 ┐ after a change pushed at once, after a
//!   catalog    c1: web, check of web: critical, serfHealth ┘ failure at the next full sync
//! ```
//!
//! Judged when the agent's own state, the leader and the world around have been as they are for longer than
//! two full syncs may be apart, and when everything has settled.
//!
//! No stricter than the truth: serfHealth and a server's instance of `consul` are the leader's, output of
//! checks may lag by minutes (spec cluster 8.6) and tags may be the catalog's (8.5), so neither is in what
//! is compared. An agent that is down says nothing, and what the catalog has of its node may stay. Somebody
//! who writes to the catalog what is the agent's is put right, so a write begins the time anew.

use std::collections::BTreeMap;

use crate::property::Judgement;
use crate::scenario::model::Plan;
use crate::trace::catalog::CatalogRow;
use crate::trace::event::{Header, Host, HostKind, What};
use crate::trace::members::agents;
use crate::trace::services::{difference, reaches};
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::gossip_times::{Calm, SLACK_NS};
use super::oracle::{Oracle, Seen};

const SECOND_NS: i64 = 1_000_000_000;

pub struct CatalogMatchesAgents {
    calm: Calm,
    /// Longest time between two full syncs that succeed, after a failure too.
    bound_ns: i64,
    leader: Option<Host>,
    leads_since: i64,
    /// When an agent's own state, or what the leader's catalog says of its node, last changed.
    changed: BTreeMap<Host, i64>,
    /// Of which time each agent was judged last.
    judged: BTreeMap<Host, i64>,
    next_look: i64,
    told: bool,
    findings: Findings,
}

impl CatalogMatchesAgents {
    pub fn new(plan: &Plan, header: &Header) -> Self {
        Self {
            calm: Calm::new(plan, header),
            bound_ns: full_sync_ns(header) + SLACK_NS,
            leader: None,
            leads_since: i64::MIN,
            changed: BTreeMap::new(),
            judged: BTreeMap::new(),
            next_look: i64::MIN,
            told: false,
            findings: Findings::new("catalog-matches-agents"),
        }
    }

    /// Since when all that an agent's sync depends on is as it is.
    fn quiet_since(&self, agent: Host) -> Option<i64> {
        let changed = self.changed.get(&agent).copied().unwrap_or(i64::MIN);
        self.calm.since().map(|calm| calm.max(self.leads_since).max(changed))
    }

    /// Whom the event is news of.
    fn note(&mut self, seen: Seen<'_>) {
        let now = seen.event.at;
        if seen.view.leader() != self.leader {
            self.leader = seen.view.leader();
            self.leads_since = now;
        }
        match &seen.event.what {
            What::Local { .. } => {
                self.told = true;
                self.changed.insert(seen.event.host, now);
            }
            What::Member { about, .. } => {
                let (host, leader) = (seen.event.host, self.leader);
                let of = if Some(host) == leader { seen.view.agent(about) } else { Some(host) };
                of.map(|host| self.changed.insert(host, now));
            }
            What::Catalog { rows, .. } if Some(seen.event.host) == self.leader => {
                for row in rows {
                    let host = seen.view.agent(node_of(row));
                    host.map(|host| self.changed.insert(host, now));
                }
            }
            _ => {}
        }
    }

    fn look(&mut self, seen: Seen<'_>) {
        let Some(leader) = self.leader else { return };
        let live: Vec<Host> =
            agents(seen.view).filter(|host| seen.view.node(*host).live()).collect();
        for agent in live {
            let Some(quiet) = self.quiet_since(agent) else { return };
            let due = quiet.saturating_add(self.bound_ns);
            if due < seen.event.at && self.judged.get(&agent) != Some(&quiet) {
                self.judged.insert(agent, quiet);
                self.judge(seen, agent, leader);
            }
        }
    }

    fn judge(&mut self, seen: Seen<'_>, agent: Host, server: Host) {
        if !reaches(seen.view, agent, server) {
            return;
        }
        let node = seen.view.node(agent);
        let own = &node.own;
        let things = own.services().len() + own.checks().len();
        self.findings.judge(1 + things as u64);
        let catalog = &seen.view.node(server).catalog;
        let is_server = node.kind == HostKind::Server;
        if let Some((fact, what)) = difference(own, catalog, &node.name.to_lowercase(), is_server) {
            let (of, time) = (seen.name_of(server), seen.time());
            let summary = format!(
                "at {time} the catalog of {of} differs from what {} has: {what}",
                node.name
            );
            self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
        }
    }

    fn judge_all(&mut self, seen: Seen<'_>, settled: bool) {
        let servers: Vec<Host> = seen.view.live_members().collect();
        let live: Vec<Host> =
            agents(seen.view).filter(|host| seen.view.node(*host).live()).collect();
        for agent in live {
            let due = self.quiet_since(agent).map(|quiet| quiet.saturating_add(self.bound_ns));
            if settled || due.is_some_and(|due| due < seen.event.at) {
                servers.iter().for_each(|server| self.judge(seen, agent, *server));
            }
        }
    }
}

impl Oracle for CatalogMatchesAgents {
    fn observe(&mut self, seen: Seen<'_>) {
        self.calm.observe(seen.event);
        self.note(seen);
        // To look at every event is dear, and a second sooner or later is no matter.
        if self.next_look <= seen.event.at {
            self.next_look = seen.event.at.saturating_add(SECOND_NS);
            self.look(seen);
        }
        match &seen.event.what {
            What::Settled => self.judge_all(seen, true),
            What::NotSettled { .. } => self.judge_all(seen, false),
            _ => {}
        }
    }

    fn finish(self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        if !self.told {
            let because = "no agent had services or checks of its own";
            return skipped("catalog-matches-agents", because);
        }
        let because = "things were never calm for as long as two full syncs may be apart";
        self.findings.finish_or_skip(because)
    }
}

/// The longest time until an agent compares all it has with the catalog (spec cluster 8.2): interval and
/// stagger, scaled by the number of agents; after a failure a retry and its stagger, twice for good measure.
fn full_sync_ns(header: &Header) -> i64 {
    let agent = |kind| matches!(kind, HostKind::Server | HostKind::Client);
    let agents = header.hosts.iter().filter(|info| agent(info.kind)).count() as u64;
    let scale = match agents {
        0..=128 => 1,
        // ceil(log2(n) - log2(128)) + 1
        more => i64::from((more - 1).ilog2()) + 1 - 7 + 1,
    };
    (60 + 60 * scale + 4 * 15 * scale) * SECOND_NS
}

fn node_of(row: &CatalogRow) -> &str {
    match row {
        CatalogRow::Node { node, .. }
        | CatalogRow::NoNode { node }
        | CatalogRow::Service { node, .. }
        | CatalogRow::NoService { node, .. }
        | CatalogRow::Check { node, .. }
        | CatalogRow::NoCheck { node, .. } => node,
    }
}
