//! **watch-complete**: whoever watches keys, services, nodes or checks by long polls sees every change or a
//! later one, sees none that nobody made, and is woken by a change within a moment (spec cluster 11.5, 54
//! and 55; Consul's page on blocking queries).
//!
//! ```text
//!   poll, index 7  ├────────────────────────┤ index 7, k1 = "a"   ✗ it slept through the write
//!   put k1 = "b"          ├──┤ ok
//!   poll, index 9                              ├───┤ k1 = "a"     ✗ it misses the write
//! ```
//!
//! No stricter than the truth. A write is missed only where it was acknowledged before the poll was
//! sent, and what the poll shows in its place had surely been replaced by it: the write of the value
//! that it shows was complete before the missed one was called, or, where it shows none, so was every
//! delete. Users write unique values; a value that a script writes twice proves less. One that nobody wrote, that was surely not written, or that
//! nobody had yet asked to be written, is invented. Of a wake-up: a change that was called after the
//! index of the poll had been learnt is newer than it, so the poll is owed an answer once the write is
//! acknowledged; that is judged with a slack of a second, and only while nothing has been ill for a while. All of it,
//! but inventions, inside the time in which one server alone led: a deposed leader keeps its pollers
//! waiting and may show what is old (spec cluster 9.4), which is the excuse of `linearizable` too.
//! Watched services, nodes and checks are held against the catalog that the trace tells
//! (`watched_catalog.rs`).

use std::collections::BTreeMap;

use crate::history::operation::{Call, Operation, Outcome, Output};
use crate::history::request::{Listed, Reply, Request, Watched};
use crate::property::Judgement;
use crate::scenario::model::Plan;
use crate::trace::event::Header;
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::oracle::{Oracle, Seen, time};
use super::reigns::Reigns;
use super::sessions::returned;
use super::watched_catalog;

const PROPERTY: &str = "watch-complete";
/// For the ways of the change to the poller.
const SLACK_NS: i64 = 1_000_000_000;

pub struct WatchComplete {
    reigns: Reigns,
}

impl WatchComplete {
    pub fn new(plan: &Plan, header: &Header) -> Self {
        Self { reigns: Reigns::new(plan, header) }
    }
}

/// What was done to one key.
#[derive(Default)]
struct Changes<'a> {
    /// By value: whoever may have written it.
    written: BTreeMap<&'a str, Vec<&'a Operation>>,
    /// Writes that were acknowledged, in the order of their returns; each with the one that was called
    /// last among those up to it.
    acknowledged: Vec<(&'a Operation, &'a Operation)>,
    /// When the last delete that may have happened may have.
    deleted_until: Option<i64>,
}

/// The value that an operation writes if it writes.
fn value(operation: &Operation) -> Option<&str> {
    match &operation.call {
        Call::Put { value } | Call::CasIndex { value, .. } => Some(value),
        _ => None,
    }
}

/// Whether it surely wrote.
fn wrote(operation: &Operation) -> bool {
    operation.outcome == Outcome::Ok
        && value(operation).is_some()
        && operation.output != Some(Output::Swapped(false))
}

/// Whether it surely did not.
fn refused(operation: &Operation) -> bool {
    operation.outcome == Outcome::Fail || operation.output == Some(Output::Swapped(false))
}

/// When it had its effect at the latest.
fn done_by(operation: &Operation) -> i64 {
    match operation.outcome {
        Outcome::Unknown => i64::MAX,
        _ => returned(operation),
    }
}

impl<'a> Changes<'a> {
    fn of(history: &'a [Operation]) -> BTreeMap<&'a str, Self> {
        let mut keys: BTreeMap<&str, Self> = BTreeMap::new();
        for operation in history {
            let changes = keys.entry(&operation.key).or_default();
            if let Some(value) = value(operation) {
                changes.written.entry(value).or_default().push(operation);
            }
            if wrote(operation) {
                changes.acknowledged.push((operation, operation));
            }
            if operation.call == Call::Delete && operation.outcome != Outcome::Fail {
                changes.deleted_until = changes.deleted_until.max(Some(done_by(operation)));
            }
        }
        for changes in keys.values_mut() {
            changes.acknowledged.sort_by_key(|(write, _)| (returned(write), write.id));
            let mut last: Option<&Operation> = None;
            for (write, latest) in &mut changes.acknowledged {
                if last.is_none_or(|last| last.called_at < write.called_at) {
                    last = Some(write);
                }
                *latest = last.expect("it was just set");
            }
        }
        keys
    }

    /// Of the writes that were acknowledged before `at`, the one that was called last.
    fn latest(&self, at: i64) -> Option<&'a Operation> {
        let place = self.acknowledged.partition_point(|(write, _)| returned(write) < at);
        place.checked_sub(1).map(|place| self.acknowledged[place].1)
    }
}

/// A poll of keys that was answered.
struct Poll<'a> {
    operation: &'a Operation,
    /// The index it waited on.
    index: u64,
    rows: &'a [Listed],
}

fn poll(operation: &Operation) -> Option<Poll<'_>> {
    match operation.answered()? {
        (Request::Watch { on: Watched::Kv, index, .. }, Reply::Rows(rows)) => {
            Some(Poll { operation, index: *index, rows })
        }
        _ => None,
    }
}

impl Oracle for WatchComplete {
    fn observe(&mut self, seen: Seen<'_>) {
        self.reigns.observe(seen);
    }

    fn finish(self: Box<Self>, evidence: &Evidence, _: &View) -> Judgement {
        if self.reigns.restored() {
            return skipped(PROPERTY, "an operator's snapshot took the place of every key");
        }
        let polls: Vec<Poll<'_>> = evidence.history.iter().filter_map(poll).collect();
        let mut findings = Findings::new(PROPERTY);
        let of_catalog = watched_catalog::judge(evidence, &self.reigns, &mut findings);
        if polls.is_empty() && !of_catalog {
            return skipped(PROPERTY, "nobody watches keys, services, nodes or checks");
        }
        let changes = Changes::of(&evidence.history);
        for poll in &polls {
            findings.judge(1);
            invented(poll, &changes, &mut findings);
            self.missed(poll, &changes, &mut findings);
        }
        self.slept_through(&evidence.history, (&polls, &changes), &mut findings);
        findings.finish_or_skip("no poll was answered while somebody led")
    }
}

/// A value that nobody wrote, or not yet.
fn invented(poll: &Poll<'_>, changes: &BTreeMap<&str, Changes<'_>>, findings: &mut Findings) {
    let operation = poll.operation;
    let at = returned(operation);
    for row in poll.rows {
        let Some(value) = &row.value else { continue };
        let of_key = changes.get(row.key.as_str());
        let writers = of_key.and_then(|changes| changes.written.get(value.as_str()));
        let writers = writers.map_or(&[][..], Vec::as_slice);
        // The best excuse: one that may have written it by then, else one that may have later.
        let may = |writer: &&&Operation| !refused(writer);
        let by_then = writers.iter().find(|writer| may(writer) && writer.called_at <= at);
        let writer = by_then.or_else(|| writers.iter().find(may)).or(writers.first());
        let (fact, what) = match writer {
            None => ("a value that nobody wrote", "which nobody wrote".to_owned()),
            Some(writer) if refused(writer) => {
                let what = format!("which {} was refused to write", writer.user);
                ("a value whose write was refused", what)
            }
            Some(writer) if writer.called_at > at => {
                let what =
                    format!("which {} began to write at {}", writer.user, time(writer.called_at));
                ("a value before it was written", what)
            }
            Some(_) => continue,
        };
        let summary =
            format!("{} saw {} = {value:?} at {}, {what}", operation.user, row.key, time(at));
        let mut operations = vec![operation.id];
        operations.extend(writer.map(|writer| writer.id));
        findings.report(at, fact, summary, None, &operations);
    }
}

impl WatchComplete {
    /// An acknowledged write of which the poll shows neither the value nor a later one.
    fn missed(
        &self,
        poll: &Poll<'_>,
        changes: &BTreeMap<&str, Changes<'_>>,
        findings: &mut Findings,
    ) {
        let operation = poll.operation;
        let (called, at) = (operation.called_at, returned(operation));
        let prefix = operation.key.as_str();
        for (key, changes) in changes.range(prefix..).take_while(|(key, _)| key.starts_with(prefix))
        {
            let Some(write) = changes.latest(called) else { continue };
            let shown = poll.rows.iter().find(|row| row.key == *key);
            let explained = match shown.and_then(|row| row.value.as_deref()) {
                Some(value) => {
                    let writers = changes.written.get(value);
                    writers.is_none_or(|all| all.iter().any(|it| done_by(it) >= write.called_at))
                }
                None => changes.deleted_until.is_some_and(|until| until >= write.called_at),
            };
            if explained || self.reigns.sole(write.called_at, at).is_none() {
                continue;
            }
            let found = match shown.and_then(|row| row.value.as_deref()) {
                Some(value) => format!("{value:?}, which was replaced by"),
                None => "nothing after".to_owned(),
            };
            let summary = format!(
                "{} saw of {key} at {} {found} the write that {} was acknowledged at {}",
                operation.user,
                time(at),
                write.user,
                time(returned(write)),
            );
            findings.report(
                at,
                "a change that was missed",
                summary,
                None,
                &[write.id, operation.id],
            );
        }
    }

    /// A poll that was not woken by a change that came while it waited, or before it was sent.
    fn slept_through(
        &self,
        history: &[Operation],
        (polls, changes): (&[Poll<'_>], &BTreeMap<&str, Changes<'_>>),
        findings: &mut Findings,
    ) {
        let mut writes: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
        for poll in polls {
            writes.entry(&poll.operation.key).or_default();
        }
        // The same value again is no change.
        let unique = |write: &&Operation| {
            let same = |changes: &Changes<'_>| changes.written.get(value(write)?).map(Vec::len);
            changes.get(write.key.as_str()).and_then(same) == Some(1)
        };
        for (prefix, list) in &mut writes {
            let under = history.iter().filter(|it| wrote(it) && it.key.starts_with(prefix));
            list.extend(under.filter(unique));
        }
        // When a user learnt an index of a prefix.
        let mut learnt: BTreeMap<(&str, &str, u64), i64> = BTreeMap::new();
        for poll in polls {
            let operation = poll.operation;
            let known = (operation.user.as_str(), operation.key.as_str());
            if let Some(since) = learnt.get(&(known.0, known.1, poll.index)) {
                self.woken(poll, *since, &writes[known.1], findings);
            }
            if let Some(index) = operation.index {
                learnt.insert((known.0, known.1, index), returned(operation));
            }
        }
    }

    /// `since`: when the poll's index was learnt. `writes` in the order of their calls.
    fn woken(&self, poll: &Poll<'_>, since: i64, writes: &[&Operation], findings: &mut Findings) {
        let (called, at) = (poll.operation.called_at, returned(poll.operation));
        let newer = &writes[writes.partition_point(|write| write.called_at <= since)..];
        let newer = newer.iter().take_while(|write| write.called_at < at);
        let Some(write) = newer.min_by_key(|write| (returned(write), write.id)) else { return };
        let due = returned(write).max(called).saturating_add(SLACK_NS);
        let from = since.min(write.called_at);
        if at <= due || self.reigns.sole(from, at).is_none() || !self.reigns.well_calm(called, at) {
            return;
        }
        let summary = format!(
            "{} waited from {} to {} for {} to have another index than {}, though {} was acknowledged a \
             write of {} at {}",
            poll.operation.user,
            time(called),
            time(at),
            poll.operation.key,
            poll.index,
            write.user,
            write.key,
            time(returned(write)),
        );
        let operations = [write.id, poll.operation.id];
        findings.report(at, "a poll that slept through a change", summary, None, &operations);
    }
}
