//! The part of `watch-complete` that is about services, nodes and checks: what a long poll of them shows
//! is what the leader's catalog said at a moment between its call and its return, and a change wakes it.
//!
//! ```text
//!   leader's catalog   ──┤ web: a@7 ├──────┤ web: a@7 b@12 ├────────────
//!   poll                     ├── web: a@7 ──┤ right      ├─ web: a@7 ─┤ ✗ b was missed
//! ```
//!
//! The catalog is told row by row by each server ([`What::Catalog`]), so it is known what each server
//! could answer at each moment: the instances whose checks all pass, the nodes, or all checks, each with
//! its `ModifyIndex`, which is the entry that brought the row.
//!
//! No stricter than the truth. How long a registration takes to get from an agent into the catalog is
//! no matter here: a poll is held against the catalog, not against what users asked for. It is answered
//! by whoever takes itself for leader, from what it has applied; so every state counts that any such
//! server had between call and return, be it deposed or fresh, and where nobody claimed to lead nothing
//! is judged. A row is invented only if no server ever told it by then. A poll is owed an answer when
//! what its index stood for is no longer what the catalog says (then the entry that changed it is newer
//! than the index); that is judged with a slack, where it has been calm for a while, and inside one
//! reign.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::history::operation::Operation;
use crate::history::request::{Listed, Reply, Request, Watched};
use crate::trace::catalog::{Catalog, CatalogRow, OnNode};
use crate::trace::event::{Host, TraceEvent, What};

use super::evidence::Evidence;
use super::findings::Findings;
use super::oracle::time;
use super::reigns::Reigns;
use super::sessions::returned;

/// For the ways of the change to the poller.
const SLACK_NS: i64 = 1_000_000_000;

/// A row's version, and of a check its status.
type Version = (u64, Option<String>);
/// What an answer shows, by the names of the rows: `node`, `node/instance`, `node/check`, the node in lower
/// case.
type Shown = BTreeMap<String, Version>;
/// What is watched, and of a service which.
type Subject<'a> = (Watched, &'a str);

/// A poll that was answered.
struct Poll<'a> {
    operation: &'a Operation,
    subject: Subject<'a>,
    /// The index it waited on.
    index: u64,
    shown: Shown,
}

fn poll(operation: &Operation) -> Option<Poll<'_>> {
    let (Request::Watch { on, index, .. }, Reply::Rows(rows)) = operation.answered()? else {
        return None;
    };
    let shown = match on {
        Watched::Service | Watched::Nodes | Watched::Checks => {
            rows.iter().map(|row| shown(*on, row)).collect()
        }
        Watched::Kv | Watched::Event => return None,
    };
    Some(Poll { operation, subject: (*on, &operation.key), index: *index, shown })
}

fn shown(on: Watched, row: &Listed) -> (String, Version) {
    let (node, id) = row.key.split_once('/').unwrap_or((&row.key, ""));
    let status = row.value.clone().filter(|_| on == Watched::Checks);
    (name(&node.to_lowercase(), id), (row.index, status))
}

fn name(node: &str, id: &str) -> String {
    if id.is_empty() { node.to_owned() } else { format!("{node}/{id}") }
}

/// The row's table and name, and of a check its status; none for one that goes.
fn written(row: &CatalogRow) -> Option<(Watched, String, Option<String>)> {
    match row {
        CatalogRow::Node { node, .. } => Some((Watched::Nodes, node.clone(), None)),
        CatalogRow::Service { node, id, .. } => Some((Watched::Service, name(node, id), None)),
        CatalogRow::Check { node, id, status, .. } => {
            Some((Watched::Checks, name(node, id), Some(status.clone())))
        }
        CatalogRow::NoNode { .. } | CatalogRow::NoService { .. } | CatalogRow::NoCheck { .. } => {
            None
        }
    }
}

/// By index, when a version was told first, and of a check the status.
type ByIndex = BTreeMap<u64, (i64, Option<String>)>;

/// Every version that a row ever had: when it was told first, and of a check the status.
#[derive(Default)]
struct Versions(BTreeMap<(Watched, String), ByIndex>);

impl Versions {
    /// From what entries did; a snapshot tells rows again, at an index that is not theirs.
    fn of(events: &[TraceEvent]) -> Self {
        let mut versions = Self::default();
        let mut snapshots: BTreeMap<Host, u64> = BTreeMap::new();
        for event in events {
            match &event.what {
                What::Recovered { snapshot: Some(snapshot), .. }
                | What::SnapshotInstalled { snapshot, .. } => {
                    snapshots.insert(event.host, snapshot.index);
                }
                What::Catalog { index, .. } if snapshots.get(&event.host) == Some(index) => {}
                What::Catalog { index, rows } => {
                    for (table, name, status) in rows.iter().filter_map(written) {
                        let row = versions.0.entry((table, name)).or_default();
                        row.entry(*index).or_insert((event.at, status));
                    }
                }
                _ => {}
            }
        }
        versions
    }

    /// Of a row in a table that has all up to this index.
    fn at(&self, table: Watched, name: String, index: u64) -> u64 {
        let versions = self.0.get(&(table, name));
        versions.and_then(|it| it.range(..=index).next_back()).map_or(0, |(version, _)| *version)
    }

    /// Whether a row was told like that by then.
    fn knows(&self, table: Watched, name: &str, version: &Version, at: i64) -> bool {
        let versions = self.0.get(&(table, name.to_owned()));
        let told = versions.and_then(|it| it.get(&version.0));
        told.is_some_and(|(since, status)| *since <= at && *status == version.1)
    }
}

/// What one server could answer to a question, over time: each with the moment since which it could.
type Answers = Vec<(i64, Arc<Shown>)>;

/// What each server could answer to each question.
struct Tables<'a>(BTreeMap<(Host, Subject<'a>), Answers>);

impl<'a> Tables<'a> {
    fn of(events: &[TraceEvent], subjects: &BTreeSet<Subject<'a>>, versions: &Versions) -> Self {
        let mut tables: BTreeMap<(Host, Subject<'a>), Answers> = BTreeMap::new();
        let mut catalogs: BTreeMap<Host, Catalog> = BTreeMap::new();
        for event in events {
            let index = match &event.what {
                What::Started => {
                    catalogs.remove(&event.host);
                    0
                }
                What::Catalog { index, rows } => {
                    let catalog = catalogs.entry(event.host).or_default();
                    rows.iter().for_each(|row| catalog.row(row));
                    *index
                }
                _ => continue,
            };
            let catalog = catalogs.entry(event.host).or_default();
            for subject in subjects {
                let now = answer(catalog, *subject, versions, index);
                let answers = tables.entry((event.host, *subject)).or_default();
                if answers.last().is_none_or(|(_, last)| **last != now) {
                    answers.push((event.at, Arc::new(now)));
                }
            }
        }
        Self(tables)
    }

    /// What a server could answer between two moments, in order; each with the moment since which.
    fn between(
        &self,
        host: Host,
        subject: Subject<'a>,
        from: i64,
        to: i64,
    ) -> &[(i64, Arc<Shown>)] {
        let Some(answers) = self.0.get(&(host, subject)) else { return &[] };
        // Of what came at the first moment it is not known whether it was before or after.
        let first = answers.partition_point(|(since, _)| *since < from).saturating_sub(1);
        let last = answers.partition_point(|(since, _)| *since <= to);
        &answers[first.min(last)..last]
    }
}

/// What a server with this catalog answers.
fn answer(catalog: &Catalog, (on, of): Subject<'_>, versions: &Versions, index: u64) -> Shown {
    let row = |(node, id): &OnNode, status: Option<&str>| {
        let name = name(node, id);
        let version = versions.at(on, name.clone(), index);
        (name, (version, status.map(str::to_owned)))
    };
    match on {
        Watched::Service => {
            let passing = catalog.instances(of).filter(|it| catalog.status(it) == "passing");
            passing.map(|place| row(place, None)).collect()
        }
        Watched::Checks => {
            catalog.checks().iter().map(|(place, check)| row(place, Some(&check.status))).collect()
        }
        Watched::Nodes => {
            let nodes = catalog.nodes().keys().map(|node| (node.clone(), String::new()));
            nodes.map(|place| row(&place, None)).collect()
        }
        Watched::Kv | Watched::Event => Shown::new(),
    }
}

/// Judges all polls; whether there were any.
pub fn judge(evidence: &Evidence, reigns: &Reigns, findings: &mut Findings) -> bool {
    let polls: Vec<Poll<'_>> = evidence.history.iter().filter_map(poll).collect();
    if polls.is_empty() {
        return false;
    }
    let versions = Versions::of(&evidence.events);
    let subjects = polls.iter().map(|poll| poll.subject).collect();
    let tables = Tables::of(&evidence.events, &subjects, &versions);
    let judge = Judge { evidence, reigns, versions, tables };
    let mut learnt: BTreeMap<(&str, Subject<'_>, u64), &Poll<'_>> = BTreeMap::new();
    for poll in &polls {
        judge.invented(poll, findings);
        judge.missed(poll, findings);
        let user = poll.operation.user.as_str();
        if let Some(before) = learnt.get(&(user, poll.subject, poll.index)) {
            judge.slept_through(poll, before, findings);
        }
        if let Some(index) = poll.operation.index {
            learnt.insert((user, poll.subject, index), poll);
        }
    }
    true
}

struct Judge<'a> {
    evidence: &'a Evidence,
    reigns: &'a Reigns,
    versions: Versions,
    tables: Tables<'a>,
}

impl Judge<'_> {
    fn name(&self, host: Host) -> &str {
        &self.evidence.header.hosts[usize::from(host.0)].name
    }

    /// A row that no server had by then.
    fn invented(&self, poll: &Poll<'_>, findings: &mut Findings) {
        let (operation, at) = (poll.operation, returned(poll.operation));
        let unknown = |(name, version): &(&String, &Version)| {
            !self.versions.knows(poll.subject.0, name, version, at)
        };
        let Some((name, version)) = poll.shown.iter().find(unknown) else { return };
        let summary = format!(
            "{} was shown {} at {}, which no server ever had in its catalog by then",
            operation.user,
            row_text(name, version),
            time(at),
        );
        findings.report(at, "a row that nobody wrote", summary, None, &[operation.id]);
    }

    /// What is shown is not what anybody who took itself for leader had in its catalog.
    fn missed(&self, poll: &Poll<'_>, findings: &mut Findings) {
        let (from, at) = (poll.operation.called_at, returned(poll.operation));
        let leaders = self.reigns.claimants(from, at);
        let mut possible: Vec<(Host, &Shown)> = Vec::new();
        for leader in &leaders {
            let answers = self.tables.between(*leader, poll.subject, from, at);
            possible.extend(answers.iter().map(|(_, shown)| (*leader, &**shown)));
        }
        let Some((leader, last)) = possible.last() else { return };
        findings.judge(1);
        if possible.iter().any(|(_, shown)| **shown == poll.shown) {
            return;
        }
        let summary = format!(
            "{} was told of {} at {} what no leader's catalog said since the poll was sent at {}: {}, and in \
             that of {} was {}",
            poll.operation.user,
            subject_text(poll.subject),
            time(at),
            time(from),
            differences(&poll.shown, last),
            self.name(*leader),
            differences(last, &poll.shown),
        );
        let fact = "an answer that is not what the catalog says";
        findings.report(at, fact, summary, None, &[poll.operation.id]);
    }

    /// The catalog no longer said what the poll's index stood for, and the poll was not answered.
    fn slept_through(&self, poll: &Poll<'_>, before: &Poll<'_>, findings: &mut Findings) {
        let (called, at) = (poll.operation.called_at, returned(poll.operation));
        let since = returned(before.operation);
        // The index was learnt from the same leader, whose catalog only goes on.
        if at <= called.saturating_add(SLACK_NS)
            || self.reigns.sole(before.operation.called_at, at).is_none()
            || !self.reigns.well_calm(called, at)
        {
            return;
        }
        let [leader] = self.reigns.claimants(since, at)[..] else { return };
        let answers = self.tables.between(leader, poll.subject, since, at);
        let changed = answers.iter().find(|(_, shown)| **shown != before.shown);
        let Some((changed, now)) = changed else { return };
        if at <= (*changed).max(called).saturating_add(SLACK_NS) {
            return;
        }
        let summary = format!(
            "{} waited from {} to {} for {} to have another index than {}, though at {} it was no longer \
             as that index had it: {}",
            poll.operation.user,
            time(called),
            time(at),
            subject_text(poll.subject),
            poll.index,
            time((*changed).max(since)),
            match differences(now, &before.shown) {
                text if text == NOTHING => format!("without {}", differences(&before.shown, now)),
                text => text,
            },
        );
        let operations = [before.operation.id, poll.operation.id];
        findings.report(at, "a poll that slept through a change", summary, None, &operations);
    }
}

const NOTHING: &str = "nothing else";

/// The rows of one that are not so in the other.
fn differences(one: &Shown, other: &Shown) -> String {
    let own = one.iter().filter(|(name, version)| other.get(*name) != Some(*version));
    let rows: Vec<String> = own.map(|(name, version)| row_text(name, version)).take(3).collect();
    if rows.is_empty() { NOTHING.to_owned() } else { rows.join(", ") }
}

fn row_text(name: &str, (version, status): &Version) -> String {
    match status {
        Some(status) => format!("{name} {status} (version {version})"),
        None => format!("{name} (version {version})"),
    }
}

fn subject_text((on, of): Subject<'_>) -> String {
    match on {
        Watched::Service => format!("who passes of {of}"),
        Watched::Nodes => "the nodes".to_owned(),
        _ => "the checks".to_owned(),
    }
}
