//! **no-resurrection**: a service that was deregistered at its agent stays away: neither does the agent have
//! it again, be it after a restart, nor does it come back into the catalog, until somebody registers it
//! (spec cluster 8.5, 11.7, 79).
//!
//! ```text
//!   agent    ──┤web├── deregistered ──────────── restart ───────────
//!   catalog  ──┤web├───┤ gone         must not be here again
//! ```
//!
//! (A service that only the catalog was told to forget does come back; that it does is
//! `catalog-matches-agents`.)
//!
//! No stricter than the truth: a registration on its way when the service was removed may arrive later, and
//! a process that dies right after may not have written the removal down. So only removals that were made in
//! calm, and that nothing has disturbed for a while, are judged, and what a user has asked for since, be it that
//! nobody knows what came of it, is no resurrection, nor what a step registered at that agent. Who writes an agent's service into the
//! catalog by hand gets what was asked for until the next full sync: services that a script's catalog
//! writes name are left out, and so are those that stand in a configuration: a start brings them back.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::operation::Operation;
use crate::history::request::Request;
use crate::property::Judgement;
use crate::scenario::model::Plan;
use crate::trace::catalog::CatalogRow;
use crate::trace::event::{Header, Host, What};
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::Findings;
use super::gossip_times::{Calm, SLACK_NS};
use super::oracle::{Oracle, Seen, time};

/// For how long a removal must stand before it counts as done: requests on their way have arrived, and
/// files are written.
const STANDS_NS: i64 = SLACK_NS;

/// A service that is back, unless somebody registered it.
struct Suspect {
    node: String,
    id: String,
    removed_at: i64,
    at: i64,
    fact: &'static str,
    summary: String,
    event: u64,
}

/// A removal at an agent.
#[derive(Clone, Copy, Debug)]
struct Removal {
    at: i64,
    /// Nothing was ill when it was made, nor for a while before.
    calm: bool,
}

pub struct NoResurrection {
    calm: Calm,
    /// What each agent had, over its process lives, and what it removed.
    removed: BTreeMap<(Host, String), Removal>,
    /// What each agent has had since its process started.
    had: BTreeMap<Host, BTreeSet<String>>,
    /// When a step last registered something at an agent.
    registered: BTreeMap<Host, i64>,
    /// What scripts write into the catalog by hand, and what agents are configured with.
    by_hand: Vec<String>,
    suspects: Vec<Suspect>,
    findings: Findings,
}

impl NoResurrection {
    pub fn new(plan: &Plan, header: &Header) -> Self {
        Self {
            calm: Calm::new(plan, header),
            removed: BTreeMap::new(),
            had: BTreeMap::new(),
            registered: BTreeMap::new(),
            by_hand: catalog_writes(plan),
            suspects: Vec::new(),
            findings: Findings::new("no-resurrection"),
        }
    }

    /// The removal of a service that has stood long enough to count.
    fn counts(&self, host: Host, id: &str, now: i64) -> Option<i64> {
        let removal = self.removed.get(&(host, id.to_owned()))?;
        let stands = removal.at.saturating_add(STANDS_NS) < now;
        (removal.calm && stands).then_some(removal.at)
    }

    fn is_by_hand(&self, id: &str) -> bool {
        self.by_hand.iter().any(|step| step.contains(id))
    }

    fn suspect(
        &mut self,
        seen: Seen<'_>,
        (host, id): (Host, &str),
        removed_at: i64,
        fact: &'static str,
        summary: String,
    ) {
        self.suspects.push(Suspect {
            node: seen.name_of(host).to_owned(),
            id: id.to_owned(),
            removed_at,
            at: seen.event.at,
            fact,
            summary,
            event: seen.index,
        });
    }

    fn own(&mut self, seen: Seen<'_>, rows: &[CatalogRow]) {
        let (host, now) = (seen.event.host, seen.event.at);
        for row in rows {
            match row {
                CatalogRow::NoService { id, .. } => {
                    let since = self.calm.since().map(|at| at.saturating_add(STANDS_NS));
                    let removal = Removal { at: now, calm: since.is_some_and(|at| at < now) };
                    self.removed.insert((host, id.clone()), removal);
                }
                CatalogRow::Service { id, .. } => {
                    // Of a service that this life had before, somebody asked for it again.
                    let first = self.had.entry(host).or_default().insert(id.clone());
                    if first && !self.is_by_hand(id) {
                        self.findings.judge(1);
                        if let Some(at) = self.counts(host, id, now) {
                            let summary = format!(
                                "{} has service {id} again after its start at {}, and it was \
                                 deregistered there at {}",
                                seen.name(),
                                seen.time(),
                                time(at)
                            );
                            let fact = "a deregistered service is back after a restart";
                            if self.registered.get(&host).is_none_or(|step| *step < at) {
                                self.suspect(seen, (host, id), at, fact, summary);
                            }
                        }
                    }
                    self.removed.remove(&(host, id.clone()));
                }
                _ => {}
            }
        }
    }

    fn catalog(&mut self, seen: Seen<'_>, rows: &[CatalogRow]) {
        for row in rows {
            let CatalogRow::Service { node, id, .. } = row else { continue };
            let Some(agent) = seen.view.agent(node) else { continue };
            if self.is_by_hand(id) {
                continue;
            }
            self.findings.judge(1);
            let Some(at) = self.counts(agent, id, seen.event.at) else { continue };
            // Whatever was on its way in trouble may arrive after it.
            let calm = self.calm.since().is_some_and(|since| since < at);
            if calm && seen.view.node(agent).live() {
                let summary = format!(
                    "service {id} of {node} came back into the catalog of {} at {}, and {node} \
                     deregistered it at {}",
                    seen.name(),
                    seen.time(),
                    time(at)
                );
                let fact = "a deregistered service is back in the catalog";
                self.suspect(seen, (agent, id), at, fact, summary);
            }
        }
    }
}

impl Oracle for NoResurrection {
    fn observe(&mut self, seen: Seen<'_>) {
        match &seen.event.what {
            What::Started => drop(self.had.remove(&seen.event.host)),
            What::StepStarted { verb, targets, .. } if verb == "register" => {
                self.registered.extend(targets.iter().map(|host| (*host, seen.event.at)));
            }
            What::Local { rows } => self.own(seen, rows),
            // A follower applies what the leader has applied before, be it much later.
            What::Catalog { rows, .. } if seen.view.leader() == Some(seen.event.host) => {
                self.catalog(seen, rows);
            }
            _ => {}
        }
        self.calm.observe(seen.event);
    }

    fn finish(mut self: Box<Self>, evidence: &Evidence, _: &View) -> Judgement {
        for suspect in std::mem::take(&mut self.suspects) {
            if !evidence.history.iter().any(|operation| suspect.is_explained_by(operation)) {
                let Suspect { at, fact, summary, event, .. } = suspect;
                self.findings.violation(at, fact, summary, Some(event));
            }
        }
        self.findings.finish_or_skip("no agent had services of its own")
    }
}

impl Suspect {
    /// Whether somebody asked for this, be it that nobody knows what came of it.
    fn is_explained_by(&self, operation: &Operation) -> bool {
        let Some(Request::Register { node, id, .. }) = operation.request() else { return false };
        let about = node.eq_ignore_ascii_case(&self.node) && *id == self.id;
        let after = operation.returned_at.is_none_or(|at| at >= self.removed_at);
        about && after && operation.called_at <= self.at
    }
}

/// What the script's requests write into the catalog, as it stands in the plan, and all configurations: a
/// service that is defined there is back with every start.
fn catalog_writes(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().map(|step| format!("{:?}", step.action));
    let writes = [
        "/v1/catalog/register",
        "/v1/agent/service/register",
        "/v1/txn",
        "services register",
        "config: Some(",
    ];
    let steps = steps.filter(|text| writes.iter().any(|path| text.contains(path)));
    steps.chain(plan.cluster.nodes.iter().map(|node| node.config.to_string())).collect()
}
