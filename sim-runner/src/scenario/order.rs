//! The order of steps: who waits for whom, and that nobody waits for itself.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use super::model::{Action, Moment, Step, Trigger};
use super::reader::Reader;
use super::step::StepDraft;

/// Notes every cycle of steps that wait for each other. `steps` has a hole for each step that could
/// not be read.
pub fn check(reader: &mut Reader, steps: &[Option<StepDraft>]) {
    let mut graph = DiGraphMap::<usize, ()>::new();
    for (index, draft) in steps.iter().enumerate() {
        graph.add_node(index);
        for earlier in draft.iter().flat_map(|draft| waits_for(index, draft, steps)) {
            graph.add_edge(index, earlier, ());
        }
    }
    let mut cycles: Vec<Vec<usize>> = tarjan_scc(&graph)
        .into_iter()
        .filter(|group| group.len() > 1 || graph.contains_edge(group[0], group[0]))
        .filter_map(|group| shortest(&graph, *group.iter().min()?))
        .collect();
    cycles.sort();
    for cycle in cycles {
        let name = |step: &usize| format!("{:?}", reader.names.steps[*step].0);
        let chain: Vec<String> = cycle.iter().map(name).collect();
        let message = format!("steps wait for each other: {}", chain.join(" waits for "));
        if let Some(draft) = cycle.iter().find_map(|step| steps[*step].as_ref()) {
            let help = "give one of them `at`, or let it wait for an earlier step";
            reader.advise(draft.link, message, help);
        }
    }
}

/// The step before this one that stands in the same block, or outside of all; in a `parallel` there
/// is none.
#[must_use]
pub fn previous<'s>(
    index: usize,
    step: &Step,
    at: impl Fn(usize) -> Option<&'s Step>,
) -> Option<usize> {
    let beside = |other: &usize| at(*other).is_some_and(|other| other.parent == step.parent);
    let apart = |block: &Step| block.action == Action::Parallel;
    if step.parent.and_then(&at).is_some_and(apart) {
        return None;
    }
    (0..index).rev().find(beside)
}

/// The steps that must have finished before this one can happen, or before it can finish.
fn waits_for(index: usize, draft: &StepDraft, all: &[Option<StepDraft>]) -> Vec<usize> {
    let at = |index: usize| all[index].as_ref().map(|draft| &draft.step);
    let mut steps: Vec<usize> = match draft.step.action {
        Action::Repeat { .. } | Action::Parallel => {
            let inside = |other: &usize| at(*other).is_some_and(|it| it.parent == Some(index));
            // Nested steps stand right after their block.
            let ends = |other: &usize| at(*other).is_none_or(|it| it.parent >= Some(index));
            (index + 1..all.len()).take_while(ends).filter(inside).collect()
        }
        _ => Vec::new(),
    };
    let repeated = draft.step.parent.and_then(at);
    if repeated.is_some_and(|block| matches!(block.action, Action::Repeat { .. })) {
        steps.extend(previous(index, &draft.step, at));
    }
    match draft.step.trigger {
        Trigger::Previous => steps.extend(previous(index, &draft.step, at)),
        Trigger::AfterStep { step, .. } => steps.push(step),
        Trigger::At(_) | Trigger::AfterEvent { .. } => {}
    }
    // The end of `between` is waited for too: the step is repeated until then.
    if let Some((_, Moment::Step(step))) =
        draft.step.repeat.as_ref().and_then(|r| r.between.clone())
    {
        steps.push(step);
    }
    steps
}

/// A shortest way from a step back to itself, both ends included.
fn shortest(graph: &DiGraphMap<usize, ()>, start: usize) -> Option<Vec<usize>> {
    let mut came_from = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(step) = queue.pop_front() {
        for next in graph.neighbors(step) {
            if next == start {
                let mut path = vec![start, step];
                while let Some(before) = came_from.get(path.last()?) {
                    path.push(*before);
                }
                if step == start {
                    path.truncate(1);
                    path.push(start);
                }
                path.reverse();
                return Some(path);
            }
            if let Entry::Vacant(first) = came_from.entry(next) {
                first.insert(step);
                queue.push_back(next);
            }
        }
    }
    None
}
