//! Which default reads may be stale, and how stale (design: "Consistency"; spec cluster 9.1, spec
//! checkers 5.2).
//!
//! ```text
//!  deposed   n1 leads term 3 ─────────served──┤ steps down        until its lease has run out
//!                        n2 wins term 4 ├──────────────────
//!  fresh     n2 wins term 4 ├──served──┤ has applied its whole log of earlier terms
//! ```
//!
//! A default read that the trace shows to have been served inside one of these windows need only be
//! right for what that server had applied. Everything else is judged strictly: reads of other modes,
//! reads served longer than twice the lease (and [`SLACK_NS`]) after a newer leader's election, reads
//! for which the trace shows no answer. Time in which the server was paused does not count, because a
//! stopped process cannot notice that its lease ran out; and time counts by the server's own clock,
//! because that is what its lease runs on: a slow clock makes the window longer.

use std::collections::BTreeMap;

use crate::history::operation::{Call, Mode, Operation, Outcome};
use crate::trace::event::{Header, Host, Role, TraceEvent, What};
use crate::trace::view::View;

use super::committed::CommittedLog;
use super::evidence::Evidence;
use super::links::{effect, link};
use super::oracle::Seen;

/// What the lease may be overrun by: answers of voters that were under way when the new leader was
/// elected, and the pause between two checks of the lease.
pub const SLACK_NS: i64 = 1_000_000_000;

/// How stale a default read may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadWindow {
    /// The server was a deposed leader; otherwise a fresh one.
    pub deposed: bool,
    /// The answer must contain all entries up to this index: what the server had applied.
    pub not_older_than_index: u64,
    /// When the state at that index became current, or the call if that was earlier: the read may be
    /// taken to have happened anywhere from then on.
    pub widen_from: i64,
}

/// An answer to a default read.
struct Answer {
    at: i64,
    index: u64,
    window: Option<ReadWindow>,
}

/// The windows of all default reads that lie in one, by operation.
#[must_use]
pub fn windows(
    header: &Header,
    events: &[TraceEvent],
    history: &[Operation],
) -> BTreeMap<u64, ReadWindow> {
    let answers = answers(header, events);
    let mut windows = BTreeMap::new();
    for operation in history {
        let read = matches!(operation.call, Call::Get { mode } | Call::List { mode } if mode == Mode::Default);
        let (true, Outcome::Ok, Some(returned)) = (read, operation.outcome, operation.returned_at)
        else {
            continue;
        };
        let of_key = answers.get(operation.key.as_str()).map_or(&[][..], Vec::as_slice);
        let first = of_key.partition_point(|answer| answer.at < operation.called_at);
        let during = of_key[first..].iter().take_while(|answer| answer.at <= returned);
        let matching = during.filter(|a| operation.index.is_none_or(|index| index == a.index));
        // Two servers may have given the same answer for the same index; then it is the same value.
        let oldest = matching.filter_map(|a| a.window).min_by_key(|w| w.not_older_than_index);
        if let Some(window) = oldest {
            let widen_from = window.widen_from.min(operation.called_at);
            windows.insert(operation.id, ReadWindow { widen_from, ..window });
        }
    }
    windows
}

/// When default reads inside a window missed a write that had been acknowledged before their call:
/// the event `stale-read`, in the order of time.
#[must_use]
pub fn stale_reads(evidence: &Evidence, windows: &BTreeMap<u64, ReadWindow>) -> Vec<i64> {
    let links = link(&evidence.history, &evidence.events);
    let writes = evidence.history.iter().filter_map(|operation| {
        let (key, _) = effect(operation)?;
        Some((key, operation.returned_at?, *links.index.get(&operation.id)?))
    });
    let writes: Vec<_> = writes.collect();
    let stale = evidence.history.iter().filter_map(|read| {
        let window = windows.get(&read.id)?;
        let list = matches!(read.call, Call::List { .. });
        let missed = writes.iter().any(|(key, returned, index)| {
            (*key == read.key || (list && key.starts_with(&read.key)))
                && *returned < read.called_at
                && *index > window.not_older_than_index
        });
        read.returned_at.filter(|_| missed)
    });
    let mut stale: Vec<i64> = stale.collect();
    stale.sort_unstable();
    stale
}

/// All answers to default reads, by key, in the order of time.
fn answers(header: &Header, events: &[TraceEvent]) -> BTreeMap<String, Vec<Answer>> {
    let mut fold = Fold { lease_ns: header.lease_ns, ..Fold::default() };
    let mut view = View::new(header, []);
    for (index, event) in (0..).zip(events) {
        if usize::from(event.host.0) < header.hosts.len() {
            view.apply(event);
            fold.observe(Seen { index, event, view: &view });
        }
    }
    fold.answers
}

#[derive(Default)]
struct Fold {
    lease_ns: i64,
    committed: CommittedLog,
    /// Elections won: term, when.
    won: Vec<(u64, i64)>,
    /// For each leader: its term, and the last index of its log when it took over.
    inherited: BTreeMap<Host, (u64, u64)>,
    /// Spans in which a host was paused; the last may be open.
    paused: BTreeMap<Host, Vec<(i64, i64)>>,
    /// When a host's clock changed its rate, and its drift from then on, ppm.
    drifts: BTreeMap<Host, Vec<(i64, i64)>>,
    answers: BTreeMap<String, Vec<Answer>>,
}

impl Fold {
    fn observe(&mut self, seen: Seen<'_>) {
        let (at, host) = (seen.event.at, seen.event.host);
        match &seen.event.what {
            What::ElectionWon { term, .. } => self.won.push((*term, at)),
            What::Role { role: Role::Leader, term } => {
                let log = &seen.view.node(host).log;
                // The entries of its own term may already stand behind those it inherited.
                let own = |index: &u64| log.get(*index).is_some_and(|slot| slot.term >= *term);
                let last = log.last_index();
                let inherited = (1..=last).rev().find(|index| !own(index)).unwrap_or(0);
                self.inherited.insert(host, (*term, inherited));
            }
            What::Commit { .. } => {
                self.committed.observe(seen);
            }
            What::Clock { drift_ppm, .. } => {
                self.drifts.entry(host).or_default().push((at, *drift_ppm));
            }
            What::Paused => self.paused.entry(host).or_default().push((at, i64::MAX)),
            What::Resumed | What::Ended { .. } => {
                if let Some((_, end)) =
                    self.paused.get_mut(&host).and_then(|spans| spans.last_mut())
                {
                    *end = at.min(*end);
                }
            }
            What::Served { mode, key, index, applied, term, leads } if mode == "default" => {
                let window = leads.then(|| self.window(host, at, *term, *applied)).flatten();
                let answer = Answer { at, index: *index, window };
                self.answers.entry(key.clone()).or_default().push(answer);
            }
            _ => {}
        }
    }

    fn window(&self, host: Host, at: i64, term: u64, applied: u64) -> Option<ReadWindow> {
        let deposed_at = self.won.iter().find(|(newer, _)| *newer > term).map(|(_, at)| *at);
        let deposed = match deposed_at {
            Some(from) => {
                if self.awake_between(host, from, at)
                    > self.lease_ns.saturating_mul(2).saturating_add(SLACK_NS)
                {
                    return None;
                }
                true
            }
            None => false,
        };
        let inherited = self.inherited.get(&host).filter(|(of, _)| *of == term);
        let fresh = inherited.is_some_and(|(_, last)| applied < *last);
        if !deposed && !fresh {
            return None;
        }
        let current_from = self.committed.get(applied).map_or(i64::MIN, |entry| entry.at);
        Some(ReadWindow { deposed, not_older_than_index: applied, widen_from: current_from })
    }

    /// By the host's own clock, without the time in which it was paused, ns.
    fn awake_between(&self, host: Host, from: i64, to: i64) -> i64 {
        let spans = self.paused.get(&host).map_or(&[][..], Vec::as_slice);
        let paused = spans.iter().map(|(start, end)| {
            let (start, end) = ((*start).max(from), (*end).min(to));
            if start < end { self.shown_between(host, start, end) } else { 0 }
        });
        self.shown_between(host, from, to) - paused.sum::<i64>()
    }

    /// How far the host's clock went in this time, ns.
    fn shown_between(&self, host: Host, from: i64, to: i64) -> i64 {
        let changes = self.drifts.get(&host).map_or(&[][..], Vec::as_slice);
        let mut shown = i128::from(to - from);
        for (place, (start, drift_ppm)) in changes.iter().enumerate() {
            let end = changes.get(place + 1).map_or(to, |(next, _)| (*next).min(to));
            let span = (end - (*start).max(from)).max(0);
            shown += i128::from(span) * i128::from(*drift_ppm) / 1_000_000;
        }
        i64::try_from(shown).unwrap_or(i64::MAX)
    }
}
