//! **session-lifetime**: a session does not end before its TTL is over unless it is destroyed or its
//! node is held for gone; and once nobody renews it and nothing is ill, it is gone when twice its TTL
//! has passed (spec cluster 6.7; 11.3, 36 and 37; Consul's documentation: the TTL is a lower bound).
//!
//! ```text
//!   renew ├──┤ ok
//!         └──── must exist for TTL ────┤ may exist ├ gone: 2 TTL after the last renewal, the last
//!                                                    election, and the last thing that was ill
//! ```
//!
//! No stricter than the truth. That a session is gone counts where it is certain: a consistent read,
//! an acquisition that the log's application refused, or any answer while one server has led since
//! before the session was created. That it exists is judged by the same answers against the bound;
//! renewals whose outcome is unknown may come at any time, so such sessions are not judged for living
//! too long. A leader that has just been elected gives every session its time anew, and so the bound
//! counts from the beginning of the reign; a reign that ended meanwhile is another case of the same.

use std::collections::BTreeMap;

use crate::history::operation::{Mode, Operation, Outcome};
use crate::history::request::{Reply, Request, short};
use crate::property::Judgement;
use crate::scenario::model::Plan;
use crate::trace::event::Header;
use crate::trace::view::View;

use super::evidence::Evidence;
use super::findings::{Findings, skipped};
use super::oracle::{Oracle, Seen, time};
use super::reigns::Reigns;
use super::sessions::{Session, returned, sessions};

const PROPERTY: &str = "session-lifetime";
/// For the removal itself, and the way of the answer.
const SLACK_NS: i64 = 2_000_000_000;

pub struct SessionLifetime {
    reigns: Reigns,
}

impl SessionLifetime {
    pub fn new(plan: &Plan, header: &Header) -> Self {
        Self { reigns: Reigns::new(plan, header) }
    }

    /// The session that an operation speaks of, and whether it says that it exists.
    fn told<'a>(&self, operation: &'a Operation) -> Option<(&'a str, bool)> {
        match operation.answered()? {
            (Request::SessionInfo { .. } | Request::RenewSession, Reply::Exists(exists)) => {
                Some((&operation.key, *exists))
            }
            (Request::Acquire { session, .. }, Reply::NoSession) => Some((session, false)),
            (Request::Acquire { session, .. }, Reply::Granted(true)) => Some((session, true)),
            _ => None,
        }
    }

    /// Whether what it says is surely so at some moment between call and return.
    fn certain(&self, operation: &Operation, session: &Session<'_>) -> bool {
        match operation.request() {
            Some(Request::SessionInfo { mode: Mode::Consistent } | Request::Acquire { .. }) => true,
            Some(Request::SessionInfo { mode: Mode::Default } | Request::RenewSession) => {
                let from = session.created.called_at;
                self.reigns.sole(from, returned(operation)).is_some()
            }
            _ => false,
        }
    }

    fn early(&self, operation: &Operation, id: &str, session: &Session<'_>) -> Option<String> {
        let end = session.legal_end(&self.reigns);
        let gone = session.since() < operation.called_at && returned(operation) < end;
        gone.then(|| {
            format!(
                "{} learnt from {} at {} that session {} is gone, which nobody had ended and whose \
                 TTL of {} s lasts until {}",
                operation.user,
                operation.server,
                time(returned(operation)),
                short(id),
                session.ttl_ns / 1_000_000_000,
                if end == i64::MAX { "the end".to_owned() } else { time(end) },
            )
        })
    }

    fn late(&self, operation: &Operation, id: &str, session: &Session<'_>) -> Option<String> {
        if session.ttl_ns == 0 {
            return None;
        }
        let mut last = returned(session.created);
        for renewal in &session.renewals {
            // The one that is judged prolongs nothing for itself.
            if renewal.id == operation.id || renewal.called_at >= operation.called_at {
                continue;
            }
            if renewal.outcome == Outcome::Unknown {
                return None;
            }
            last = last.max(returned(renewal));
        }
        let at = operation.called_at;
        let reign = self.reigns.sole(at, returned(operation))?;
        let calm = self.reigns.calm(at, at)?;
        let since = last.max(reign).max(calm);
        let bound = self.reigns.at_most(2 * session.ttl_ns).saturating_add(SLACK_NS);
        (at > since.saturating_add(bound)).then(|| {
            format!(
                "{} finds session {} alive at {}, though its TTL is {} s and nobody has renewed it \
                 and nothing has been ill since {}",
                operation.user,
                short(id),
                time(at),
                session.ttl_ns / 1_000_000_000,
                time(since),
            )
        })
    }
}

impl Oracle for SessionLifetime {
    fn observe(&mut self, seen: Seen<'_>) {
        self.reigns.observe(seen);
    }

    fn finish(self: Box<Self>, evidence: &Evidence, _: &View) -> Judgement {
        if self.reigns.restored() {
            return skipped(PROPERTY, "an operator's snapshot took the place of every session");
        }
        let sessions: BTreeMap<&str, Session<'_>> = sessions(&evidence.history);
        if sessions.is_empty() {
            return skipped(PROPERTY, "nobody creates sessions");
        }
        let mut findings = Findings::new(PROPERTY);
        for operation in &evidence.history {
            let Some((id, exists)) = self.told(operation) else { continue };
            let Some(session) = sessions.get(id) else { continue };
            if !self.certain(operation, session) {
                continue;
            }
            findings.judge(1);
            let (fact, found) = match exists {
                true => ("a session that outlives its time", self.late(operation, id, session)),
                false => ("a session that ends too early", self.early(operation, id, session)),
            };
            if let Some(summary) = found {
                let operations = [session.created.id, operation.id];
                findings.report(returned(operation), fact, summary, None, &operations);
            }
        }
        findings.finish_or_skip("nothing certain was learnt of any session")
    }
}
