//! **index-monotonic**: `X-Consul-Index` is never 0, and of one fixed query one server never shows a
//! lower index than before (spec cluster 11.5, 52 and 53; Consul's page on blocking queries).
//!
//! ```text
//!   get k1  ├───┤ index 41        ├───┤ index 40  ✗      by the same server, in the same life
//! ```
//!
//! No stricter than the truth. A query is what was asked, of what, and in which mode. Only answers are
//! compared of which one had come before the other was asked for. Who answered is known where one
//! server led from before the first to after the second and the mode is not `stale` (whoever is asked
//! forwards to the leader), or where a server was asked in mode `stale`, which it answers itself, in
//! one life. Lists of user events have a hash for an index and are left out. Where tombstones may have
//! been reaped (spec cluster 6.10: after 15 minutes) an index of keys may go back, so later answers
//! about keys are not compared; an operator's snapshot ends all comparing.

use std::collections::BTreeMap;

use crate::history::operation::{Call, Mode, Operation, Outcome};
use crate::history::request::{Request, Watched};
use crate::property::Judgement;
use crate::scenario::model::Plan;
use crate::trace::event::Header;
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::oracle::{Oracle, Seen, time};
use super::reigns::{Reigns, is_server};
use super::sessions::returned;

const PROPERTY: &str = "index-monotonic";
/// Tombstones are younger than this before they are reaped, with a margin for fast clocks.
const REAPED_NS: i64 = 14 * 60 * 1_000_000_000;

pub struct IndexMonotonic {
    reigns: Reigns,
}

impl IndexMonotonic {
    pub fn new(plan: &Plan, header: &Header) -> Self {
        Self { reigns: Reigns::new(plan, header) }
    }
}

/// What was asked, without what was asked of it: kind, key, mode.
type Query<'a> = (&'static str, &'a str, Mode);

/// The query that an operation is, if its answers have indexes that only grow.
fn query(operation: &Operation) -> Option<Query<'_>> {
    let (kind, mode) = match &operation.call {
        Call::Get { mode } => ("get", *mode),
        Call::List { mode } => ("list", *mode),
        Call::Of(Request::Holder { mode }) => ("get", *mode),
        Call::Of(Request::SessionInfo { mode }) => ("session", *mode),
        Call::Of(Request::Instances { mode, passing: true }) => ("passing", *mode),
        Call::Of(Request::Instances { mode, passing: false }) => ("instances", *mode),
        Call::Of(Request::Watch { on: Watched::Kv, .. }) => ("list", Mode::Default),
        Call::Of(Request::Watch { on: Watched::Service, .. }) => ("passing", Mode::Default),
        Call::Of(Request::Watch { on: Watched::Nodes, .. }) => ("nodes", Mode::Default),
        Call::Of(Request::Watch { on: Watched::Checks, .. }) => ("checks", Mode::Default),
        _ => return None,
    };
    Some((kind, &operation.key, mode))
}

impl Oracle for IndexMonotonic {
    fn observe(&mut self, seen: Seen<'_>) {
        self.reigns.observe(seen);
    }

    fn finish(self: Box<Self>, evidence: &Evidence, _: &View) -> Judgement {
        if self.reigns.restored() {
            return skipped(PROPERTY, "an operator's snapshot took the place of the state");
        }
        let mut findings = Findings::new(PROPERTY);
        let first = evidence.events.first().map_or(0, |event| event.at);
        let mut answers: BTreeMap<(Query<'_>, String), Vec<&Operation>> = BTreeMap::new();
        for operation in evidence.history.iter().filter(|it| it.outcome == Outcome::Ok) {
            let (Some(query), Some(index)) = (query(operation), operation.index) else { continue };
            findings.judge(1);
            let at = returned(operation);
            if index == 0 {
                let summary = format!(
                    "{} was given index 0 at {} by {}",
                    operation.user,
                    time(at),
                    operation.server
                );
                findings.report(at, "an index of 0", summary, None, &[operation.id]);
            }
            let of_keys = matches!(query.0, "get" | "list");
            if of_keys && at - first > REAPED_NS {
                continue;
            }
            if let Some(who) = self.who(evidence, operation, query.2) {
                answers.entry((query, who)).or_default().push(operation);
            }
        }
        for ((query, _), answers) in &answers {
            went_back(*query, answers, &mut findings);
        }
        findings.finish_or_skip("no answer of a query has an index")
    }
}

impl IndexMonotonic {
    /// Whose answer it is, and of which of its lives or reigns; none where that is not known.
    fn who(&self, evidence: &Evidence, operation: &Operation, mode: Mode) -> Option<String> {
        let (from, to) = (operation.called_at, returned(operation));
        if mode != Mode::Stale {
            return self.reigns.sole(from, to).map(|reign| format!("reign {reign}"));
        }
        let server = &operation.server;
        let life = self.reigns.life(server, from, to).filter(|_| is_server(evidence, server))?;
        Some(format!("{server} {life}"))
    }
}

/// The answers of one server to one query, in the order of the calls.
fn went_back(query: Query<'_>, answers: &[&Operation], findings: &mut Findings) {
    let mut by_return = answers.to_vec();
    by_return.sort_by_key(|answer| (returned(answer), answer.id));
    let mut by_return = by_return.into_iter().peekable();
    let mut highest: Option<&Operation> = None;
    for answer in answers {
        while let Some(before) = by_return.next_if(|before| returned(before) < answer.called_at) {
            if highest.is_none_or(|highest| highest.index < before.index) {
                highest = Some(before);
            }
        }
        let Some(before) = highest.filter(|highest| highest.index > answer.index) else { continue };
        let summary = format!(
            "the {} of {:?} had index {} at {} and {} at {}",
            query.0,
            query.1,
            before.index.unwrap_or(0),
            time(returned(before)),
            answer.index.unwrap_or(0),
            time(returned(answer)),
        );
        let operations = [before.id, answer.id];
        findings.report(returned(answer), "an index that goes back", summary, None, &operations);
    }
}
