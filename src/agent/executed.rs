//! What comes after the store has said which instances a prepared query means: their order, and how many of
//! them (spec api 2.13).
//!
//! ```text
//!   instances ──shuffle──► ──by distance from `near`, if it is known──► ──limit──► answer
//! ```
//!
//! It is done where the read is served, leader or not, as in Consul: the server has the coordinates of all
//! nodes, and the order must be drawn before the limit cuts. The order is random so that askers
//! spread; it comes from the agent's own stream, and nothing that is replicated depends on it.
//!
//! `near`: the asker's word counts before the definition's. `_agent` is the agent that was asked, which
//! then stands first if it is among the ten nearest; `_ip` is the node with the asker's address. There is
//! one datacenter, so nobody else is asked when there is no instance: `Failovers` is 0.

use std::collections::BTreeMap;

use crate::gossip::Coordinate;
use crate::state::{CheckServiceNode, NodeCoordinate, NodeMeta, Query, QueryOutcome, Rows};

use super::coordinates::coordinate_of;
use super::core::Agent;

/// The agent that was asked is looked for among so many.
const LOCAL_DEPTH: usize = 10;

impl Agent {
    /// Puts an answer in order; leaves those to other questions as they are.
    pub(super) fn arrange(&mut self, query: &Query, rows: &mut Rows) {
        let Rows::Executed(outcome) = rows else { return };
        outcome.datacenter.clone_from(&self.config.datacenter);
        self.prng.shuffle(&mut outcome.nodes);
        let limit = match query {
            Query::ExecuteQuery(asked) => {
                let source = &asked.source;
                let datacenter = [&source.datacenter, &asked.agent.datacenter];
                let datacenter = datacenter.into_iter().find(|name| !name.is_empty());
                if datacenter.is_none_or(|name| *name == self.config.datacenter) {
                    let near = [&source.node, &outcome.near];
                    let near = near.into_iter().find(|name| !name.is_empty()).cloned();
                    self.sort(outcome, &near.unwrap_or_default(), &asked.agent.node, &source.ip);
                }
                asked.limit
            }
            Query::ExecuteQueryRemote { limit, .. } => *limit,
            _ => 0,
        };
        if limit > 0 {
            outcome.nodes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
    }

    fn sort(&self, outcome: &mut QueryOutcome, near: &str, agent: &str, ip: &str) {
        let (node, prefers_local) = match near {
            "" => return,
            "_agent" => (agent.to_owned(), true),
            "_ip" => match self.node_at(ip) {
                Some(node) => (node, false),
                None => return,
            },
            named => (named.to_owned(), false),
        };
        let Rows::Coordinates(rows) = self.state.query(&Query::Coordinates).rows else { return };
        sort_by_distance(&mut outcome.nodes, &node, &rows);
        if prefers_local {
            let here = |it: &CheckServiceNode| it.node.node == node;
            if let Some(at) = outcome.nodes.iter().take(LOCAL_DEPTH).position(here) {
                outcome.nodes.swap(0, at);
            }
        }
    }

    /// The node with this address.
    fn node_at(&self, ip: &str) -> Option<String> {
        let all = Query::CatalogNodes { meta: NodeMeta::new() };
        let Rows::Nodes(nodes) = self.state.query(&all).rows else { return None };
        let found = nodes.into_iter().find(|node| !ip.is_empty() && node.address == ip);
        found.map(|node| node.node)
    }
}

/// The nearest first; a node without a coordinate is further than any other. Equal ones stay as they are,
/// and all of them if nobody knows where `from` is.
fn sort_by_distance(nodes: &mut [CheckServiceNode], from: &str, rows: &[NodeCoordinate]) {
    let places: BTreeMap<String, Coordinate> =
        rows.iter().map(|row| (row.node.to_lowercase(), coordinate_of(row))).collect();
    let Some(here) = places.get(&from.to_lowercase()) else { return };
    let distance = |it: &CheckServiceNode| {
        let there = places.get(&it.node.node.to_lowercase());
        there.map_or(f64::INFINITY, |there| here.distance_s(there))
    };
    nodes.sort_by(|one, other| distance(one).total_cmp(&distance(other)));
}
