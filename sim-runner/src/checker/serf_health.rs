//! **serf-health**: the catalog says of members what the leader's gossip says: who is alive has a node whose
//! serfHealth passes, who has failed has a critical one if it has a node, who has left or is forgotten has
//! none (spec cluster 6.3, 6.4, 11.4, 49 and 50).
//!
//! ```text
//!   leader's list   ──┤c1 alive├──┤c1 failed├──────────────────────────────
//!   its catalog     ──┤passing ├────────────┤critical├── at most 60 s later
//! ```
//!
//! Judged when leader, its list, its nodes in the catalog and the world around it have been as they are for longer than a leader's
//! full pass may take to come round, and when everything has settled.
//!
//! No stricter than the truth: the leader's list is the measure, whether it is right or not (that is
//! gossip's property). A leader does not remove itself. A node that somebody registered without serfHealth
//! is no member's. Who is leaving is not known here, and listed as alive until it has left.

use crate::property::Judgement;
use crate::scenario::model::Plan;
use crate::trace::catalog::{Catalog, CatalogRow, SERF_HEALTH};
use crate::trace::event::{Header, Host, Pool, What};
use crate::trace::members::MemberStatus;
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::gossip_times::{Calm, SLACK_NS};
use super::oracle::{Oracle, Seen};

/// How often a leader looks at all members (spec cluster 6.3).
const FULL_PASS_NS: i64 = 60_000_000_000;

pub struct SerfHealth {
    calm: Calm,
    leader: Option<Host>,
    /// When the leader, its list, or what its catalog says of nodes last changed.
    changed: i64,
    /// Of which change and calm it was judged last.
    judged: i64,
    told: bool,
    findings: Findings,
}

impl SerfHealth {
    pub fn new(plan: &Plan, header: &Header) -> Self {
        Self {
            calm: Calm::new(plan, header),
            leader: None,
            changed: i64::MIN,
            judged: i64::MIN,
            told: false,
            findings: Findings::new("serf-health"),
        }
    }

    /// Since when nothing has changed that a leader answers for.
    fn quiet_since(&self) -> Option<i64> {
        self.calm.since().map(|calm| calm.max(self.changed))
    }

    /// Whether the leader, its list, or what its catalog says of nodes changed.
    fn is_news(&self, seen: Seen<'_>) -> bool {
        let leader = seen.view.leader();
        if leader != self.leader {
            return true;
        }
        let of_node = |row: &CatalogRow| match row {
            CatalogRow::Node { .. } | CatalogRow::NoNode { .. } => true,
            CatalogRow::Check { id, .. } | CatalogRow::NoCheck { id, .. } => id == SERF_HEALTH,
            CatalogRow::Service { .. } | CatalogRow::NoService { .. } => false,
        };
        leader == Some(seen.event.host)
            && match &seen.event.what {
                What::Member { pool: Pool::Lan, .. } => true,
                What::Catalog { rows, .. } => rows.iter().any(of_node),
                _ => false,
            }
    }

    fn judge(&mut self, seen: Seen<'_>, of: Host, leader: Host) {
        let node = seen.view.node(leader);
        let members = node.members.of(Pool::Lan);
        let catalog = &seen.view.node(of).catalog;
        self.findings.judge(members.len() as u64);
        let mut wrong = None;
        for (name, status) in members {
            let itself = name.eq_ignore_ascii_case(&node.name);
            wrong = wrong.or_else(|| contradiction(catalog, name, *status, itself));
        }
        let forgotten = wrong.is_none().then(|| {
            let health = catalog.checks().keys().filter(|(_, id)| id == SERF_HEALTH);
            let known = |at: &str| members.keys().any(|name| name.eq_ignore_ascii_case(at));
            health.map(|(at, _)| at).find(|at| !known(at))
        });
        if let Some(at) = forgotten.flatten() {
            let what = format!("{at} has serfHealth, and {} does not know it", node.name);
            wrong = Some(("a node of somebody who is forgotten", what));
        }
        if let Some((fact, what)) = wrong {
            let (name, time) = (seen.name_of(of), seen.time());
            let summary = format!("in the catalog of {name} at {time} {what}");
            self.findings.violation(seen.event.at, fact, summary, Some(seen.index));
        }
    }

    fn judge_all(&mut self, seen: Seen<'_>) {
        let Some(leader) = seen.view.leader() else { return };
        let servers: Vec<Host> = seen.view.live_members().collect();
        servers.into_iter().for_each(|of| self.judge(seen, of, leader));
    }
}

impl Oracle for SerfHealth {
    fn observe(&mut self, seen: Seen<'_>) {
        let news = self.is_news(seen);
        // The view is that after the event: one that changes what is judged is no time for it.
        if !news
            && let Some(quiet) = self.quiet_since()
            && let Some(leader) = self.leader
            && self.judged < quiet
            && quiet.saturating_add(FULL_PASS_NS + SLACK_NS) < seen.event.at
        {
            self.judged = quiet;
            self.judge(seen, leader, leader);
        }
        self.calm.observe(seen.event);
        if news {
            self.leader = seen.view.leader();
            self.changed = seen.event.at;
        }
        match &seen.event.what {
            What::Catalog { .. } => self.told = true,
            What::Settled => self.judge_all(seen),
            What::NotSettled { .. } => {
                let quiet = self.quiet_since();
                let long = quiet.map(|at| at.saturating_add(FULL_PASS_NS + SLACK_NS));
                if long.is_some_and(|due| due < seen.event.at) {
                    self.judge_all(seen);
                }
            }
            _ => {}
        }
    }

    fn finish(self: Box<Self>, _: &Evidence, _: &View) -> Judgement {
        if !self.told {
            return skipped("serf-health", "no server told of its catalog");
        }
        let because = "things were never calm for as long as a leader's full pass may take";
        self.findings.finish_or_skip(because)
    }
}

/// What a catalog says else of a member: the fact, and the sentence.
fn contradiction(
    catalog: &Catalog,
    name: &str,
    status: MemberStatus,
    itself: bool,
) -> Option<(&'static str, String)> {
    let node = name.to_lowercase();
    let is_there = catalog.nodes().contains_key(&node);
    let health = catalog.checks().get(&(node, SERF_HEALTH.to_owned()));
    let health = health.map(|check| check.status.as_str());
    match (status, health) {
        (MemberStatus::Alive, Some("passing")) => None,
        (MemberStatus::Alive, health) => {
            let found = health.map_or("missing".to_owned(), |health| health.to_owned());
            let what = format!("serfHealth of {name} is {found}, and {name} is alive");
            Some(("a member alive that is not passing", what))
        }
        (MemberStatus::Failed, Some("passing" | "warning")) => {
            let what = format!("serfHealth of {name} passes, and {name} has failed");
            Some(("a failed member that passes", what))
        }
        (MemberStatus::Left, _) if is_there && !itself => {
            Some(("a member that has left", format!("{name} is there, and has left")))
        }
        _ => None,
    }
}
