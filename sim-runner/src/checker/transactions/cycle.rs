//! Cycles of the dependencies: found by strongly connected components, shown by a shortest one.

use std::collections::{BTreeMap, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::checker::findings::Findings;

use super::graph::{Edge, Kind, edges};
use super::parties::Parties;

/// From so many parties of a component a shortest cycle is searched for.
const TRIED: usize = 64;

/// Reports a cycle of the weakest class that has one.
pub(super) fn search(parties: &Parties<'_>, findings: &mut Findings) {
    let (edges, nodes) = edges(parties);
    for most in [Kind::Ww, Kind::Wr, Kind::Rw, Kind::Time] {
        let some: Vec<&Edge<'_>> = edges.iter().filter(|edge| edge.kind <= most).collect();
        let mut cycles: Vec<Vec<&Edge<'_>>> = components(&some, nodes)
            .iter()
            .filter_map(|members| shortest(members, &some, parties.all.len()))
            .collect();
        cycles.sort_by_key(|cycle| cycle.iter().map(|edge| edge.from).min());
        for cycle in &cycles {
            report(cycle, parties, findings);
        }
        if !cycles.is_empty() {
            return;
        }
    }
}

/// The components that hold a cycle; kosaraju's algorithm, because the recursion of Tarjan's would
/// follow the chain of moments.
fn components(edges: &[&Edge<'_>], nodes: usize) -> Vec<Vec<usize>> {
    let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(nodes, edges.len());
    for _ in 0..nodes {
        graph.add_node(());
    }
    for edge in edges {
        graph.add_edge(NodeIndex::new(edge.from), NodeIndex::new(edge.to), ());
    }
    let components = kosaraju_scc(&graph).into_iter().filter(|members| members.len() > 1);
    let sorted = components.map(|members| {
        let mut members: Vec<usize> = members.into_iter().map(NodeIndex::index).collect();
        members.sort_unstable();
        members
    });
    sorted.collect()
}

/// A shortest cycle through a party of the component.
fn shortest<'e, 'a>(
    members: &[usize],
    edges: &[&'e Edge<'a>],
    parties: usize,
) -> Option<Vec<&'e Edge<'a>>> {
    let mut out: BTreeMap<usize, Vec<&Edge<'_>>> = BTreeMap::new();
    let inside = |node: usize| members.binary_search(&node).is_ok();
    for edge in edges.iter().copied().filter(|edge| inside(edge.from) && inside(edge.to)) {
        out.entry(edge.from).or_default().push(edge);
    }
    let starts = members.iter().filter(|member| **member < parties).take(TRIED);
    let cycles = starts.filter_map(|start| back_to(*start, &out));
    cycles.min_by_key(Vec::len)
}

/// A shortest way from a node back to it.
fn back_to<'e, 'a>(
    start: usize,
    out: &BTreeMap<usize, Vec<&'e Edge<'a>>>,
) -> Option<Vec<&'e Edge<'a>>> {
    let mut came: BTreeMap<usize, &Edge<'_>> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for edge in out.get(&node).into_iter().flatten().copied() {
            if came.contains_key(&edge.to) {
                continue;
            }
            came.insert(edge.to, edge);
            if edge.to == start {
                let mut cycle = vec![edge];
                while cycle[cycle.len() - 1].from != start {
                    cycle.push(came[&cycle[cycle.len() - 1].from]);
                }
                cycle.reverse();
                return Some(cycle);
            }
            queue.push_back(edge.to);
        }
    }
    None
}

/// What kind of cycle it is, in words.
fn name(cycle: &[&Edge<'_>]) -> &'static str {
    let count = |kind: Kind| cycle.iter().filter(|edge| edge.kind == kind).count();
    let (time, reads, seen) = (count(Kind::Time), count(Kind::Rw), count(Kind::Wr));
    let one_key = cycle.iter().all(|edge| edge.key == cycle[0].key);
    match (time, reads, seen) {
        (1.., ..) => "an order against real time",
        (0, 0, 0) => "two transactions that overwrite each other",
        (0, 0, _) => "two transactions that saw each other's effects",
        (0, 1, 0) if one_key => "a lost update",
        (0, 1, _) if cycle.len() == 2 => "a transaction seen in part",
        (0, 1, _) => "a read skew",
        _ => "a write skew",
    }
}

fn report(cycle: &[&Edge<'_>], parties: &Parties<'_>, findings: &mut Findings) {
    let party = |node: usize| parties.all.get(node);
    let mut operations = Vec::new();
    let mut words = Vec::new();
    let mut since: Option<String> = None;
    let mut at = i64::MIN;
    for edge in cycle {
        if let Some(from) = party(edge.from) {
            operations.push(from.operation.id);
            at = at.max(from.operation.returned_at.unwrap_or(from.operation.called_at));
            since = Some(from.name());
        }
        // Moments of the chain are passed over: what counts is what the way leads to.
        let Some(to) = party(edge.to).map(|to| to.name()) else { continue };
        let Some(from) = since.clone() else { continue };
        let (seen, made) = edge.versions;
        words.push(match edge.kind {
            Kind::Ww => {
                format!("{from} made version {seen} of {} and {to} version {made}", edge.key)
            }
            Kind::Wr => format!("{to} read version {seen} of {}, which {from} made", edge.key),
            Kind::Rw if seen == 0 => {
                format!("{from} read no {}, of which {to} made version {made}", edge.key)
            }
            Kind::Rw => {
                format!("{from} read version {seen} of {} and {to} made version {made}", edge.key)
            }
            Kind::Time => format!("{from} had returned before {to} was called"),
        });
    }
    let name = name(cycle);
    let summary = format!("{name}: {}", words.join("; "));
    findings.report(at, name, summary, None, &operations);
}
