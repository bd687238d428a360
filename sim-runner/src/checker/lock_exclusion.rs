//! **lock-exclusion**: a lock has at most one holder at a time; one whose holder's session was ended by
//! force is not taken within the lock delay; and no two holders have the same place in the order of
//! acquisitions (spec cluster 11.3, 31, 32, 38 and 40; Consul's documentation of sessions).
//!
//! ```text
//!   u1  acquire ├──┤ true                          release ├─
//!                  └───────── u1 surely holds ────────────┤
//!   u2                acquire ├───┤ true  ✗
//! ```
//!
//! No stricter than the truth. A hold is certain from the answer `true` of its acquisition to the
//! earliest moment at which it may end: the call of a release, of a delete of the key, or the earliest
//! legal end of the session (`sessions.rs`). An acquisition whose outcome is unknown may have
//! succeeded, so it is no hold; a release or delete whose outcome is unknown may take effect at any
//! time, so nothing is certain of a hold that was taken after it was called. The delay counts from the
//! call of a destruction, by the slowest clock that the run has, and only where one server led from
//! before the hold to after the second acquisition: it is the memory of that leader (spec cluster
//! 6.8). After a release there is no delay. The order of acquisitions is judged by consistent reads,
//! for keys that nobody deletes or writes plainly: then the count begins anew. An operator's snapshot ends all knowledge.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::operation::{Call, Mode, Operation, Outcome};
use crate::history::request::{Behavior, LockSeen, Reply, Request, short};
use crate::property::Judgement;
use crate::scenario::model::Plan;
use crate::trace::event::Header;
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::oracle::{Oracle, Seen, time};
use super::reigns::Reigns;
use super::sessions::{Session, returned, sessions};

const PROPERTY: &str = "lock-exclusion";

pub struct LockExclusion {
    reigns: Reigns,
}

impl LockExclusion {
    pub fn new(plan: &Plan, header: &Header) -> Self {
        Self { reigns: Reigns::new(plan, header) }
    }
}

impl Oracle for LockExclusion {
    fn observe(&mut self, seen: Seen<'_>) {
        self.reigns.observe(seen);
    }

    fn finish(self: Box<Self>, evidence: &Evidence, _: &View) -> Judgement {
        if self.reigns.restored() {
            return skipped(PROPERTY, "an operator's snapshot took the place of every lock");
        }
        let locks = Locks::of(&evidence.history);
        if locks.0.is_empty() {
            return skipped(PROPERTY, "nobody takes locks");
        }
        let sessions = sessions(&evidence.history);
        let mut findings = Findings::new(PROPERTY);
        for (key, lock) in &locks.0 {
            let holds = lock.holds(&sessions, &self.reigns);
            findings.judge(lock.acquired.len() as u64);
            at_once(key, &holds, &mut findings);
            read_by_others(key, lock, &holds, &mut findings);
            within_delay(key, lock, &sessions, &self.reigns, &mut findings);
            let deletes = |hold: &&Operation| {
                let session = acquired_for(hold).and_then(|id| sessions.get(id));
                session.is_none_or(|session| session.behavior == Behavior::Delete)
            };
            if lock.deleted.is_empty() && !lock.written && !lock.asked.iter().any(deletes) {
                one_order(key, lock, &mut findings);
            }
        }
        findings.finish_or_skip("nobody was surely given a lock")
    }
}

/// What was done to each lock.
struct Locks<'a>(BTreeMap<&'a str, Lock<'a>>);

#[derive(Default)]
struct Lock<'a> {
    /// Acquisitions that may have happened.
    asked: Vec<&'a Operation>,
    /// Those that surely did.
    acquired: Vec<&'a Operation>,
    /// That may have given it back.
    released: Vec<&'a Operation>,
    /// That may have removed the key.
    deleted: Vec<&'a Operation>,
    /// Whether a plain write may have happened: it begins the count anew (recorded of Consul 1.9.8).
    written: bool,
    /// Consistent reads.
    read: Vec<&'a Operation>,
}

impl<'a> Locks<'a> {
    fn of(history: &'a [Operation]) -> Self {
        let mut locks: BTreeMap<&str, Lock<'_>> = BTreeMap::new();
        for operation in history.iter().filter(|operation| operation.outcome != Outcome::Fail) {
            if let Some(Request::Acquire { .. }) = operation.request() {
                locks.entry(&operation.key).or_default();
            }
        }
        for operation in history.iter().filter(|operation| operation.outcome != Outcome::Fail) {
            let Some(lock) = locks.get_mut(operation.key.as_str()) else { continue };
            let answer = operation.answered().map(|(_, reply)| reply);
            match (&operation.call, answer) {
                (Call::Delete, _) => lock.deleted.push(operation),
                (Call::Put { .. } | Call::CasIndex { .. }, _) => lock.written = true,
                (Call::Of(Request::Acquire { .. }), Some(Reply::Granted(false))) => {}
                (Call::Of(Request::Acquire { .. }), Some(Reply::NoSession)) => {}
                (Call::Of(Request::Acquire { .. }), answer) => {
                    lock.asked.push(operation);
                    if answer.is_some() {
                        lock.acquired.push(operation);
                    }
                }
                (Call::Of(Request::Release { .. }), _) => lock.released.push(operation),
                (Call::Of(Request::Holder { mode: Mode::Consistent }), Some(_)) => {
                    lock.read.push(operation);
                }
                _ => {}
            }
        }
        Self(locks)
    }
}

/// A hold that is certain in all of `from..to`.
#[derive(Clone, Copy)]
struct Hold<'a> {
    acquired: &'a Operation,
    session: &'a str,
    from: i64,
    to: i64,
}

impl<'a> Lock<'a> {
    fn holds(&self, sessions: &BTreeMap<&str, Session<'_>>, reigns: &Reigns) -> Vec<Hold<'a>> {
        let hold = |acquired: &&'a Operation| {
            let id = acquired_for(acquired)?;
            let (from, to) = (returned(acquired), sessions.get(id)?.legal_end(reigns));
            let to = to.min(self.given_up(acquired, id));
            (from < to).then_some(Hold { acquired, session: id, from, to })
        };
        let mut holds: Vec<Hold<'_>> = self.acquired.iter().filter_map(hold).collect();
        holds.sort_by_key(|hold| (hold.from, hold.acquired.id));
        holds
    }

    /// The earliest moment at which a user may have ended that hold.
    fn given_up(&self, acquired: &Operation, session: &str) -> i64 {
        let own = |it: &&&Operation| matches!(it.request(), Some(Request::Release { session: of, .. }) if of == session);
        let enders = self.released.iter().filter(own).chain(&self.deleted);
        // One that had returned before the acquisition was called is of an earlier hold. One that has
        // not, or of which nothing is known, may come at any time.
        let late = enders.filter(|ender| {
            ender.outcome == Outcome::Unknown || returned(ender) >= acquired.called_at
        });
        late.map(|ender| ender.called_at).min().unwrap_or(i64::MAX)
    }
}

fn acquired_for(operation: &Operation) -> Option<&str> {
    match operation.request() {
        Some(Request::Acquire { session, .. }) => Some(session),
        _ => None,
    }
}

/// Two sessions that surely hold the lock at one moment.
fn at_once(key: &str, holds: &[Hold<'_>], findings: &mut Findings) {
    // The hold that lasts longest so far, and the longest of another session than that.
    let (mut longest, mut second): (Option<Hold<'_>>, Option<Hold<'_>>) = (None, None);
    for hold in holds {
        let others = [longest, second].into_iter().flatten();
        let mut others = others.filter(|other| other.session != hold.session);
        if let Some(other) = others.find(|other| other.to > hold.from) {
            let summary = format!(
                "{} holds {key} at {} by {}, which {} was granted at {} and cannot have lost before {}",
                hold.acquired.user,
                time(hold.from),
                short(hold.session),
                other.acquired.user,
                time(other.from),
                until(other.to),
            );
            let operations = [other.acquired.id, hold.acquired.id];
            findings.report(hold.from, "two holders at once", summary, None, &operations);
        }
        match longest {
            Some(best) if best.to >= hold.to => {
                if best.session != hold.session && second.is_none_or(|other| other.to < hold.to) {
                    second = Some(*hold);
                }
            }
            best => {
                if best.is_some_and(|best| best.session != hold.session) {
                    second = best;
                }
                longest = Some(*hold);
            }
        }
    }
}

fn until(at: i64) -> String {
    if at == i64::MAX { "the end".to_owned() } else { time(at) }
}

/// A consistent read, all of it inside a certain hold, that shows another holder or none.
fn read_by_others(key: &str, lock: &Lock<'_>, holds: &[Hold<'_>], findings: &mut Findings) {
    for read in &lock.read {
        findings.judge(1);
        let shown = seen(read).and_then(|seen| seen.session.as_deref());
        let inside = |hold: &&Hold<'_>| hold.from <= read.called_at && returned(read) < hold.to;
        let Some(hold) = holds.iter().find(inside).filter(|hold| shown != Some(hold.session))
        else {
            continue;
        };
        let summary = format!(
            "{} read at {} that {key} is held by {}, while {} of {} held it",
            read.user,
            time(returned(read)),
            shown.map_or("nobody", short),
            short(hold.session),
            hold.acquired.user
        );
        let operations = [hold.acquired.id, read.id];
        let fact = "a holder that a consistent read does not show";
        findings.report(returned(read), fact, summary, None, &operations);
    }
}

fn seen(read: &Operation) -> Option<&LockSeen> {
    match read.answered() {
        Some((_, Reply::Lock(seen))) => seen.as_ref(),
        _ => None,
    }
}

/// An acquisition inside the delay after the destruction of the holder's session.
fn within_delay(
    key: &str,
    lock: &Lock<'_>,
    sessions: &BTreeMap<&str, Session<'_>>,
    reigns: &Reigns,
    findings: &mut Findings,
) {
    for first in &lock.acquired {
        let Some(id) = acquired_for(first) else { continue };
        let Some(session) = sessions.get(id).filter(|session| session.lock_delay_ns > 0) else {
            continue;
        };
        let [destroyed] = session.destroyed[..] else { continue };
        // It surely held the lock when it was destroyed: nothing else may have ended it before.
        let alone = Session { destroyed: Vec::new(), ..session.clone() };
        let end = alone.legal_end(reigns).min(lock.given_up(first, id));
        let certain = destroyed.outcome == Outcome::Ok
            && returned(first) <= destroyed.called_at
            && returned(destroyed) < end;
        if !certain {
            continue;
        }
        let over = destroyed.called_at.saturating_add(reigns.at_least(session.lock_delay_ns));
        for next in &lock.acquired {
            let (called, granted) = (next.called_at, returned(next));
            let inside = called > returned(destroyed) && granted < over;
            if !inside || reigns.sole(first.called_at, granted).is_none() {
                continue;
            }
            let summary = format!(
                "{} was granted {key} at {}, though the session that held it was destroyed at {} and \
                 its lock delay lasts until {}",
                next.user,
                time(granted),
                time(destroyed.called_at),
                time(over)
            );
            let operations = [first.id, destroyed.id, next.id];
            findings.report(granted, "a lock within its delay", summary, None, &operations);
        }
    }
}

/// Two holders with the same number, or a number that goes back.
fn one_order(key: &str, lock: &Lock<'_>, findings: &mut Findings) {
    let mut holder: BTreeMap<u64, (&str, &Operation)> = BTreeMap::new();
    let mut told: BTreeSet<u64> = BTreeSet::new();
    for read in &lock.read {
        let Some(LockSeen { session: Some(session), lock_index, .. }) = seen(read) else {
            continue;
        };
        let (other, before) = *holder.entry(*lock_index).or_insert((session, read));
        if other != session && told.insert(*lock_index) {
            let summary = format!(
                "{key} was held by {} and by {} with the same lock index {lock_index}",
                short(other),
                short(session)
            );
            let fact = "two holders with one lock index";
            findings.report(returned(read), fact, summary, None, &[before.id, read.id]);
        }
    }
    let mut by_return: Vec<&&Operation> = lock.read.iter().collect();
    by_return.sort_by_key(|read| (returned(read), read.id));
    let mut by_return = by_return.into_iter().peekable();
    let mut highest: Option<(u64, &Operation)> = None;
    for read in &lock.read {
        while let Some(before) = by_return.next_if(|before| returned(before) < read.called_at) {
            let index = seen(before).map_or(0, |seen| seen.lock_index);
            if highest.is_none_or(|(most, _)| most < index) {
                highest = Some((index, before));
            }
        }
        let index = seen(read).map_or(0, |seen| seen.lock_index);
        if let Some((most, before)) = highest.filter(|(most, _)| *most > index) {
            let summary = format!(
                "{key} had lock index {most} at {} and {index} at {}",
                time(returned(before)),
                time(returned(read))
            );
            let operations = [before.id, read.id];
            findings.report(
                returned(read),
                "a lock index that goes back",
                summary,
                None,
                &operations,
            );
        }
    }
}
