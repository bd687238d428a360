//! From evidence to judgements: the same in `run` and in `check`.

use std::collections::BTreeMap;

use crate::checker;
use crate::checker::findings::skipped;
use crate::checker::linearizable::{self, Budget, ReadCounts, WindowKind};
use crate::checker::windows::{ReadWindow, windows};
use crate::history::History;
use crate::history::operation::Operation;
use crate::property::Judgement;
use crate::replay::Replayed;
use crate::scenario::model::Plan;
use crate::trace::event::What;

/// What the checkers say.
pub struct Judged {
    /// One per property.
    pub judgements: Vec<Judgement>,
    /// Virtual ns from the first event to the last.
    pub span_ns: i64,
    /// Events of the language that occurred.
    pub seen: Vec<String>,
    /// What `sometimes` asked for, and whether this run shows it.
    pub sometimes: Vec<(String, bool)>,
    /// Reads by mode, and those inside a window.
    pub reads: ReadCounts,
}

/// Judges a run from its evidence.
#[must_use]
pub fn judge(
    plan: &Plan,
    evidence: &checker::Evidence,
    history: &History,
    replayed: &Replayed,
) -> Judged {
    let windows = windows(&evidence.header, &evidence.events, &evidence.history);
    let lives = lives(evidence);
    let known = linearizable::Evidence {
        window: &|operation: &Operation| windows.get(&operation.id).map(window),
        life: &|server: &str, at: i64| {
            lives
                .get(server)
                .map_or(0, |starts| starts.partition_point(|start| *start <= at) as u64)
        },
    };
    let times = |event: Option<&crate::trace::TraceEvent>| event.map_or(0, |event| event.at);
    let span_ns = times(evidence.events.last()) - times(evidence.events.first());
    let report = linearizable::check(history, &known, Budget::default());
    let judgement = match restored(evidence) {
        true => skipped("linearizable", "an operator's snapshot took the place of every key"),
        false => report.judgement,
    };
    let events = evidence.events.len() as u64;
    let given = vec![judgement, replayed.judgement(events)];
    let outcome = checker::judge(evidence, plan, &windows, given);
    Judged {
        judgements: outcome.judgements,
        span_ns,
        seen: outcome.seen,
        sometimes: outcome.sometimes,
        reads: report.reads,
    }
}

/// Whether a step brought a state into the cluster that no user wrote.
fn restored(evidence: &checker::Evidence) -> bool {
    let by_operator = |what: &What| matches!(what, What::SnapshotInstalled { operator: true, .. });
    evidence.events.iter().any(|event| by_operator(&event.what))
}

fn window(window: &ReadWindow) -> linearizable::ReadWindow {
    linearizable::ReadWindow {
        kind: if window.deposed { WindowKind::Deposed } else { WindowKind::Fresh },
        not_older_than_index: window.not_older_than_index,
        widen_from: window.widen_from,
    }
}

/// When each agent's process was started.
fn lives(evidence: &checker::Evidence) -> BTreeMap<&str, Vec<i64>> {
    let mut lives: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for event in &evidence.events {
        if event.what == What::Started
            && let Some(info) = evidence.header.hosts.get(usize::from(event.host.0))
        {
            lives.entry(&info.name).or_default().push(event.at);
        }
    }
    lives
}
