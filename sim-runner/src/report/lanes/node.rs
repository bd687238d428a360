//! One agent's lane: spans of life and role, series of steps, moments.
//!
//! Invariants of the result: spans of one kind do not overlap and are in order; a role is drawn only
//! while the process is up; commit and applied start again from zero with the process.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{MINOR_MOMENTS, Opinion, SLICE_US, STEPS};
use crate::report::words;
use crate::trace::event::{Header, HostInfo, HostKind, Role, SnapshotRef, What};

/// One agent over the run.
#[derive(Clone, Debug, Serialize)]
pub struct NodeLane {
    /// `n1`.
    pub name: String,
    /// Takes part in Raft.
    pub server: bool,
    /// Its address.
    pub address: String,
    /// When it was not up, or paused.
    pub life: Vec<LifeSpan>,
    /// What it was in Raft.
    pub roles: Vec<RoleSpan>,
    /// Its commit index.
    pub commit: Series,
    /// The last entry it applied.
    pub applied: Series,
    /// Whom it took for leader: from when, the name ("" for nobody).
    pub leader: Vec<(i64, String)>,
    /// When others did not list it as alive.
    pub seen: Vec<Opinion>,
    /// What is worth a mark.
    pub moments: Vec<Moment>,
    /// Messages it lost: slice of time, reason, how many.
    pub drops: Vec<(i64, String, u32)>,
    /// Minor moments that were left out.
    pub omitted: usize,
}

/// A time in which a node's process did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LifeSpan {
    /// µs.
    pub from: i64,
    /// µs.
    pub to: i64,
    /// How.
    pub state: Life,
}

/// How a process does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// There is none.
    Down,
    /// It is suspended.
    Paused,
}

/// A time in which a node had one role in one term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RoleSpan {
    /// µs.
    pub from: i64,
    /// µs.
    pub to: i64,
    /// The role.
    pub role: Role,
    /// The term.
    pub term: u64,
}

/// A number that changes in steps: both columns as differences from the row before, which is how they
/// are shortest in JSON.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Series {
    /// When, µs.
    pub at: Vec<i64>,
    /// To what.
    pub to: Vec<i64>,
}

impl Series {
    /// Of steps in order of time; thinned when there are too many.
    fn of(steps: &[(i64, u64)]) -> Self {
        let mut series = Self::default();
        let (mut last_at, mut last_to) = (0, 0);
        let mut push = |at: i64, to: i64| {
            series.at.push(at - last_at);
            series.to.push(to - last_to);
            (last_at, last_to) = (at, to);
        };
        let slice = match steps {
            [first, .., last] if steps.len() > STEPS => (last.0 - first.0) / STEPS as i64 + 1,
            _ => 1,
        };
        for (index, &(at, to)) in steps.iter().enumerate() {
            let next = steps.get(index + 1);
            // A fall (the process started again) is always kept, and so is the step before it.
            let matters = next.is_none_or(|&(_, next)| next < to)
                || index.checked_sub(1).is_none_or(|before| steps[before].1 > to);
            if matters
                || next.is_some_and(|&(next, _)| next.div_euclid(slice) != at.div_euclid(slice))
            {
                push(at, i64::try_from(to).unwrap_or(i64::MAX));
            }
        }
        series
    }
}

/// Something worth a mark on a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// µs.
    pub at: i64,
    /// `won`, `killed`, `truncated` …
    pub kind: &'static str,
    /// In words.
    pub text: String,
    /// How often, when repeated within a slice.
    pub count: u32,
}

/// A lane under construction.
pub(super) struct NodeFold {
    lane: NodeLane,
    /// Since when it is down or paused.
    not_running: Option<(i64, Life)>,
    role: Option<(i64, Role)>,
    term: u64,
    commit: Vec<(i64, u64)>,
    applied: Vec<(i64, u64)>,
    marks: BTreeSet<String>,
}

impl NodeFold {
    /// A node that is down from the first instant of the run on.
    pub(super) fn new(host: &HostInfo, start: i64) -> Self {
        Self {
            lane: NodeLane {
                name: host.name.clone(),
                server: host.kind == HostKind::Server,
                address: host.address.clone(),
                life: vec![],
                roles: vec![],
                commit: Series::default(),
                applied: Series::default(),
                leader: vec![],
                seen: vec![],
                moments: vec![],
                drops: vec![],
                omitted: 0,
            },
            not_running: Some((start, Life::Down)),
            role: None,
            term: 0,
            commit: vec![],
            applied: vec![],
            marks: BTreeSet::new(),
        }
    }

    /// Takes the next event of this node.
    pub(super) fn take(&mut self, header: &Header, at: i64, what: &What) {
        match what {
            What::Started => self.started(at),
            What::Ended { .. } => self.ended(at),
            What::Paused => self.not_running(at, Some(Life::Paused)),
            What::Resumed => self.not_running(at, None),
            What::Term { term } => self.set_term(at, *term),
            What::Recovered { term, snapshot, .. } => {
                self.set_term(at, *term);
                self.jumps(at, snapshot.as_ref());
            }
            What::SnapshotInstalled { snapshot, .. } => self.jumps(at, Some(snapshot)),
            What::Role { role, term } => {
                self.close_role(at);
                (self.role, self.term) = (Some((at, *role)), *term);
            }
            What::Leader { address } => self.lane.leader.push((at, leader_name(header, address))),
            What::Commit { index } => self.commit.push((at, *index)),
            What::Apply { index, .. } => self.applied.push((at, *index)),
            What::Drop { why, .. } => self.dropped(at, why),
            _ => {}
        }
        if let Some(kind) = words::kind(what) {
            self.moment(header, at, kind, what);
        }
    }

    fn started(&mut self, at: i64) {
        self.not_running(at, None);
        if self.lane.server {
            self.role = Some((at, Role::Follower));
        }
        self.commit.push((at, 0));
        self.applied.push((at, 0));
        self.lane.leader.push((at, String::new()));
    }

    /// Commit and applied are where a snapshot ends.
    fn jumps(&mut self, at: i64, snapshot: Option<&SnapshotRef>) {
        if let Some(snapshot) = snapshot {
            self.commit.push((at, snapshot.index));
            self.applied.push((at, snapshot.index));
        }
    }

    fn ended(&mut self, at: i64) {
        self.close_role(at);
        self.not_running(at, Some(Life::Down));
    }

    /// Begins or ends a time in which the process does not run.
    fn not_running(&mut self, at: i64, state: Option<Life>) {
        if let Some((from, before)) = self.not_running.take() {
            if Some(before) == state {
                self.not_running = Some((from, before));
                return;
            }
            if at > from {
                self.lane.life.push(LifeSpan { from, to: at, state: before });
            }
        }
        self.not_running = state.map(|state| (at, state));
    }

    fn set_term(&mut self, at: i64, term: u64) {
        if let Some((_, role)) = self.role
            && term != self.term
        {
            self.close_role(at);
            self.role = Some((at, role));
        }
        self.term = term;
    }

    fn close_role(&mut self, at: i64) {
        if let Some((from, role)) = self.role.take()
            && at > from
        {
            self.push_role(RoleSpan { from, to: at, role, term: self.term });
        }
    }

    /// Joins a span to an equal one before it.
    fn push_role(&mut self, span: RoleSpan) {
        match self.lane.roles.last_mut() {
            Some(last)
                if last.to == span.from && (last.role, last.term) == (span.role, span.term) =>
            {
                last.to = span.to;
            }
            _ => self.lane.roles.push(span),
        }
    }

    fn dropped(&mut self, at: i64, why: &str) {
        let slice = at.div_euclid(SLICE_US) * SLICE_US;
        let of_slice = self.lane.drops.iter_mut().rev().take_while(|(at, ..)| *at == slice);
        match of_slice.into_iter().find(|(_, reason, _)| reason == why) {
            Some((.., count)) => *count += 1,
            None => self.lane.drops.push((slice, why.to_owned(), 1)),
        }
    }

    fn moment(&mut self, header: &Header, at: i64, kind: &'static str, what: &What) {
        if let What::Mark { name } = what
            && !self.marks.insert(name.clone())
        {
            return; // a coverage mark tells something once
        }
        let text = words::describe(header, what);
        match self.lane.moments.last_mut() {
            Some(last) if at - last.at < SLICE_US && (last.kind, &last.text) == (kind, &text) => {
                last.count += 1;
            }
            _ => self.lane.moments.push(Moment { at, kind, text, count: 1 }),
        }
    }

    /// Closes what is open at the end of the run.
    pub(super) fn finish(mut self, end: i64, seen: Vec<Opinion>) -> NodeLane {
        self.lane.seen = seen;
        self.close_role(end);
        if let Some((from, state)) = self.not_running
            && end > from
        {
            self.lane.life.push(LifeSpan { from, to: end, state });
        }
        self.lane.commit = Series::of(&self.commit);
        self.lane.applied = Series::of(&self.applied);
        self.lane.omitted = thin_minor(&mut self.lane.moments);
        self.lane
    }
}

/// Keeps every n-th of the minor moments when there are too many; returns how many are gone.
fn thin_minor(moments: &mut Vec<Moment>) -> usize {
    const MINOR: [&str; 9] = [
        "log",
        "mark",
        "append-rejected",
        "vote-refused",
        "leader-view",
        "disk-struck",
        "catalog",
        "local",
        "locks",
    ];
    let minor = moments.iter().filter(|moment| MINOR.contains(&moment.kind)).count();
    let every = minor.div_ceil(MINOR_MOMENTS).max(1);
    let (before, mut seen) = (moments.len(), 0);
    moments.retain(|moment| {
        if !MINOR.contains(&moment.kind) {
            return true;
        }
        seen += 1;
        seen % every == 0
    });
    before - moments.len()
}

fn leader_name(header: &Header, address: &str) -> String {
    if address.is_empty() { String::new() } else { words::host_at(header, address) }
}
