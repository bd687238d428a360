//! The dependencies between parties, as edges with their kinds and their evidence.
//!
//! Real time is a chain: one node for each moment at which something returned, each pointing to the
//! next; a party points to the moment of its return, and the last moment before its call points to it.
//! So a path from one to another along the chain exists exactly if the first had returned before the
//! second was called, at the price of edges in the number of parties and not of their pairs.

use std::collections::BTreeMap;

use crate::history::operation::Outcome;

use super::parties::Parties;

/// What an edge rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The writer of a version, and of the next.
    Ww,
    /// The writer of a version, and who read it.
    Wr,
    /// Who read a version, and the writer of the next.
    Rw,
    /// One had returned before the other was called.
    Time,
}

/// A dependency. Nodes below the number of parties are parties, the others moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge<'a> {
    pub from: usize,
    pub to: usize,
    pub kind: Kind,
    /// The key, and the versions that the two ends saw or made.
    pub key: &'a str,
    pub versions: (u64, u64),
}

/// All edges, and the number of nodes.
pub(super) fn edges<'a>(parties: &Parties<'a>) -> (Vec<Edge<'a>>, usize) {
    let mut edges = Vec::new();
    for (key, versions) in &parties.versions {
        let pairs = versions.iter().zip(versions.iter().skip(1));
        for ((index, writer), (next, overwriter)) in pairs {
            let versions = (*index, *next);
            edges.push(Edge { from: *writer, to: *overwriter, kind: Kind::Ww, key, versions });
        }
    }
    for (place, party) in parties.all.iter().enumerate() {
        for read in &party.reads {
            let Some(versions) = parties.versions.get(read.key) else { continue };
            let key = read.key;
            if let Some(writer) = versions.get(&read.index) {
                let versions = (read.index, read.index);
                edges.push(Edge { from: *writer, to: place, kind: Kind::Wr, key, versions });
            }
            // Of a version that nobody is known to have made only this is known: the next is later.
            if let Some((next, overwriter)) = versions.range(read.index + 1..).next() {
                let versions = (read.index, *next);
                edges.push(Edge { from: place, to: *overwriter, kind: Kind::Rw, key, versions });
            }
        }
    }
    edges.retain(|edge| edge.from != edge.to);
    let nodes = time(parties, &mut edges);
    (edges, nodes)
}

/// Adds the chain of moments; the number of nodes.
fn time(parties: &Parties<'_>, edges: &mut Vec<Edge<'_>>) -> usize {
    let first = parties.all.len();
    let returns = parties.all.iter().filter(|party| party.operation.outcome == Outcome::Ok);
    let mut moments: BTreeMap<i64, usize> =
        returns.filter_map(|party| Some((party.operation.returned_at?, 0))).collect();
    moments.values_mut().zip(first..).for_each(|(node, number)| *node = number);
    let mut add = |from, to| {
        edges.push(Edge { from, to, kind: Kind::Time, key: "", versions: (0, 0) });
    };
    for node in first + 1..first + moments.len() {
        add(node - 1, node);
    }
    for (place, party) in parties.all.iter().enumerate() {
        let operation = party.operation;
        if party.certain()
            && let Some(node) = operation.returned_at.and_then(|at| moments.get(&at))
        {
            add(place, *node);
        }
        if party.follows_time
            && let Some((_, node)) = moments.range(..operation.called_at).next_back()
        {
            add(*node, place);
        }
    }
    first + moments.len()
}
