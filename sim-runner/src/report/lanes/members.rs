//! What the others think of each agent as a member of the LAN pool.
//!
//! ```text
//!   n1 about n3   (alive) ──┤ suspect ├─ failed ──────┤ (alive)      a row for each time in which an
//!   n2 about n3   (alive) ────────────┤ failed ────┤ n2 is down       agent that runs does not list
//!                                                                     it as alive
//! ```
//!
//! Invariants: rows of one observer and one member do not overlap and are in order; an observer that
//! does not run thinks nothing. That it lists a member as alive is what is left out, because that is what
//! agents do nearly all the time.

use std::collections::BTreeMap;

use serde::Serialize;

use super::micros;
use crate::trace::event::{Change, Header, HostKind, Pool, SwimState, TraceEvent, What};

/// With more rows than this, those of members that are not listed are left out: when hundreds of agents
/// join, each of them lists nobody for a moment.
const ROWS: usize = 6_000;

/// A time in which one agent did not list another as alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Opinion {
    /// Whose, an index into the nodes.
    pub by: usize,
    /// What.
    pub state: Thought,
    /// µs.
    pub from: i64,
    /// µs.
    pub to: i64,
}

/// What an agent thinks of another that it does not list as alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Thought {
    /// It does not know it, or has forgotten it.
    Unlisted,
    /// It has not answered.
    Suspect,
    /// It is dead.
    Failed,
    /// It has said goodbye, or was made to leave.
    Left,
}

/// One observer's view of one member.
#[derive(Clone, Copy, Default)]
struct Eye {
    /// As the agent was told; none for alive.
    told: Option<Thought>,
    suspects: bool,
    /// The row under way.
    open: Option<(i64, Thought)>,
}

/// The opinions under construction.
pub(super) struct MembersFold {
    names: Vec<String>,
    /// From the index of a host to that of its node.
    node_of: BTreeMap<u16, usize>,
    /// By observer and member; empty for an observer that does not run.
    eyes: Vec<BTreeMap<usize, Eye>>,
    rows: Vec<Vec<Opinion>>,
    /// Whether anybody was ever told of a member. Without gossip nobody thinks anything.
    heard: bool,
}

impl MembersFold {
    /// Before the first event, in which nobody runs.
    pub(super) fn new(header: &Header) -> Self {
        let agent = |kind| matches!(kind, HostKind::Server | HostKind::Client);
        let hosts = (0u16..).zip(&header.hosts).filter(|(_, info)| agent(info.kind));
        let node_of: BTreeMap<u16, usize> = hosts.clone().map(|(host, _)| host).zip(0..).collect();
        let names: Vec<String> = hosts.map(|(_, info)| info.name.clone()).collect();
        Self {
            eyes: vec![BTreeMap::new(); names.len()],
            rows: vec![Vec::new(); names.len()],
            names,
            node_of,
            heard: false,
        }
    }

    /// Takes the next event.
    pub(super) fn take(&mut self, event: &TraceEvent) {
        let Some(&by) = self.node_of.get(&event.host.0) else { return };
        let at = micros(event.at);
        match &event.what {
            What::Started => {
                self.close(by, at);
                for member in (0..self.names.len()).filter(|member| *member != by) {
                    self.told(by, member, at, Some(Thought::Unlisted));
                }
            }
            What::Ended { .. } => self.close(by, at),
            What::Member { pool: Pool::Lan, about, change, .. } => {
                let told = match change {
                    Change::Joined => None,
                    Change::Failed => Some(Thought::Failed),
                    Change::Left => Some(Thought::Left),
                    Change::Reaped => Some(Thought::Unlisted),
                    Change::Updated => return,
                };
                self.heard = true;
                if let Some(member) = self.other(by, about) {
                    self.told(by, member, at, told);
                }
            }
            What::Swim { pool: Pool::Lan, about, to, .. } => {
                if let Some(member) = self.other(by, about) {
                    let eye = self.eyes[by].entry(member).or_default();
                    eye.suspects = *to == SwimState::Suspect;
                    self.settle(by, member, at);
                }
            }
            _ => {}
        }
    }

    fn other(&self, by: usize, about: &str) -> Option<usize> {
        self.names.iter().position(|name| name == about).filter(|member| *member != by)
    }

    fn told(&mut self, by: usize, member: usize, at: i64, told: Option<Thought>) {
        self.eyes[by].entry(member).or_default().told = told;
        self.settle(by, member, at);
    }

    /// Begins a row where the opinion is another one now.
    fn settle(&mut self, by: usize, member: usize, at: i64) {
        let Some(eye) = self.eyes[by].get_mut(&member) else { return };
        let now = eye.told.or(eye.suspects.then_some(Thought::Suspect));
        if eye.open.map(|(_, state)| state) == now {
            return;
        }
        let before = std::mem::replace(&mut eye.open, now.map(|state| (at, state)));
        self.push(by, member, before, at);
    }

    fn push(&mut self, by: usize, member: usize, row: Option<(i64, Thought)>, to: i64) {
        if let Some((from, state)) = row.filter(|(from, _)| *from < to) {
            self.rows[member].push(Opinion { by, state, from, to });
        }
    }

    fn close(&mut self, by: usize, at: i64) {
        for (member, eye) in std::mem::take(&mut self.eyes[by]) {
            self.push(by, member, eye.open, at);
        }
    }

    /// The rows about each node, in the order of the nodes.
    pub(super) fn finish(mut self, end: i64) -> Vec<Vec<Opinion>> {
        for by in 0..self.names.len() {
            self.close(by, end);
        }
        let many = self.rows.iter().map(Vec::len).sum::<usize>() > ROWS;
        for rows in &mut self.rows {
            rows.retain(|row| self.heard && (!many || row.state != Thought::Unlisted));
            rows.sort_by_key(|row| (row.from, row.by));
        }
        self.rows
    }
}
