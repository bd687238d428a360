//! **user-events**: an event that an agent lists was fired before, with that payload, and stands in one list
//! once (spec cluster 2.13, 10.9).
//!
//! No stricter than the truth: events are best effort. One that was fired need not arrive anywhere, lists
//! of two agents need not agree, nor stand in one order, and an agent forgets with its process. A firing
//! whose outcome is unknown may have happened; one that surely failed has not. Only events whose names are
//! those of a workload's user (`u1-17`) are judged: a step may fire others, and steps leave no history
//! of that.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::operation::{Call, Operation, Outcome, Output, Seen as Listed};
use crate::property::Judgement;
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::oracle::{Oracle, Seen, time};

pub struct UserEvents;

impl Oracle for UserEvents {
    fn observe(&mut self, _: Seen<'_>) {}

    fn finish(self: Box<Self>, evidence: &Evidence, _: &View) -> Judgement {
        let mut fired: BTreeMap<&str, (&Operation, &str)> = BTreeMap::new();
        for operation in &evidence.history {
            if let Call::Fire { payload } = &operation.call {
                fired.insert(&operation.key, (operation, payload));
            }
        }
        if fired.is_empty() {
            return skipped("user-events", "nobody fired user events");
        }
        let users: BTreeSet<&str> =
            evidence.history.iter().map(|operation| operation.user.as_str()).collect();
        let is_workloads =
            |name: &str| name.rsplit_once('-').is_some_and(|(user, _)| users.contains(user));
        let mut findings = Findings::new("user-events");
        for list in &evidence.history {
            let (Call::Events { .. }, Some(Output::Values(events))) = (&list.call, &list.output)
            else {
                continue;
            };
            let mut names = BTreeSet::new();
            for event in events.iter().filter(|event| is_workloads(&event.key)) {
                findings.judge(1);
                let firing = fired.get(event.key.as_str()).copied();
                let Some((fact, what)) =
                    contradiction(list, event, firing, names.insert(&event.key))
                else {
                    continue;
                };
                let at = list.returned_at.unwrap_or(list.called_at);
                let summary = format!(
                    "{} listed {} of {} at {}: {what}",
                    list.user,
                    event.key,
                    list.server,
                    time(at)
                );
                let mut operations = vec![list.id];
                operations.extend(firing.map(|(firing, _)| firing.id));
                findings.report(at, fact, summary, None, &operations);
            }
        }
        findings.finish()
    }
}

/// What is wrong with an event in a list: the fact, and the sentence.
fn contradiction(
    list: &Operation,
    event: &Listed,
    firing: Option<(&Operation, &str)>,
    is_first: bool,
) -> Option<(&'static str, String)> {
    let nobody = Some(("an event that nobody fired", "nobody fired it".to_owned()));
    let Some((firing, payload)) = firing else { return nobody };
    if firing.outcome == Outcome::Fail {
        return nobody;
    }
    if list.returned_at.is_some_and(|at| at < firing.called_at) {
        let text = format!("it was fired only at {}", time(firing.called_at));
        return Some(("an event before it was fired", text));
    }
    if event.value != payload {
        let text = format!("with {:?}, and it was fired with {payload:?}", event.value);
        return Some(("an event with another payload", text));
    }
    (!is_first).then(|| ("an event twice in one list", "it stands there twice".to_owned()))
}
