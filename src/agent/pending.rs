//! The requests that have no answer yet: what each waits for, and when it wants to be looked at.
//!
//! Three views of one thing, changed only together: the requests, the times at which some of them are
//! due (so that the next deadline costs O(log n) with thousands of blocked queries), and the calls to
//! the leader that some of them wait for. A request that waits for something else, or that is gone,
//! has no call: whatever such a call still brings is nobody's.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{CallId, Duration, Instant, Prng, RequestId, ServerAddress};

use super::hold::Hold;
use super::types::Request;

/// What a request that has no answer yet waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// To be routed: only while a step is going on.
    Route,
    /// For a leader; routed again at this time, or as soon as one is known.
    Leader { retry_at: Instant },
    /// For its entry to be committed.
    Commit,
    /// For a transfer of leadership to end.
    Transfer,
    /// For a quorum to confirm this leader, until this time.
    Quorum { until: Instant },
    /// For the answer of the server that was taken for leader.
    Forwarded { call: CallId, to: ServerAddress },
    /// For a change that touches its query, until this time.
    Change { until: Instant },
}

impl Waiting {
    fn due(&self) -> Option<Instant> {
        match self {
            Waiting::Leader { retry_at: at }
            | Waiting::Quorum { until: at }
            | Waiting::Change { until: at } => Some(*at),
            Waiting::Route | Waiting::Commit | Waiting::Transfer | Waiting::Forwarded { .. } => {
                None
            }
        }
    }
}

/// A request that has no answer yet.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub request: Request,
    since: Instant,
    /// When a blocking query gives up and answers with what there is.
    pub block_until: Option<Instant>,
    hold: Hold,
    pub waiting: Waiting,
}

impl Pending {
    /// A request that comes in now.
    pub fn new(now: Instant, request: Request) -> Self {
        let block_until = match &request {
            Request::Read { options, .. } if options.min_index > 0 => Some(now + options.max_wait),
            _ => None,
        };
        let (hold, waiting) = (Hold::default(), Waiting::Route);
        Self { request, since: now, block_until, hold, waiting }
    }

    /// The request as another server is asked it: a blocking query that is routed again waits for what
    /// is left of its time.
    pub fn remaining(&self, now: Instant) -> Request {
        let mut request = self.request.clone();
        if let (Request::Read { options, .. }, Some(until)) = (&mut request, self.block_until) {
            options.max_wait = until.since(now);
            if options.max_wait.is_zero() {
                options.min_index = 0;
            }
        }
        request
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct PendingTable {
    requests: BTreeMap<RequestId, Pending>,
    due: BTreeSet<(Instant, RequestId)>,
    calls: BTreeMap<CallId, RequestId>,
    next_call: CallId,
}

impl PendingTable {
    pub fn new() -> Self {
        Self {
            requests: BTreeMap::new(),
            due: BTreeSet::new(),
            calls: BTreeMap::new(),
            next_call: CallId(1),
        }
    }

    pub fn insert(&mut self, id: RequestId, pending: Pending) {
        crate::invariant!(!self.requests.contains_key(&id), "request {id} is asked twice");
        self.requests.insert(id, pending);
    }

    pub fn get(&self, id: RequestId) -> Option<&Pending> {
        self.requests.get(&id)
    }

    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Lets a request go; whether it was there.
    pub fn remove(&mut self, id: RequestId) -> bool {
        self.wait(id, Waiting::Route);
        self.requests.remove(&id).is_some()
    }

    /// Lets a request wait for something else than before.
    pub fn wait(&mut self, id: RequestId, waiting: Waiting) {
        let Some(pending) = self.requests.get_mut(&id) else { return };
        if let Some(at) = pending.waiting.due() {
            self.due.remove(&(at, id));
        }
        if let Waiting::Forwarded { call, .. } = pending.waiting {
            self.calls.remove(&call);
        }
        if let Some(at) = waiting.due() {
            self.due.insert((at, id));
        }
        if let Waiting::Forwarded { call, .. } = waiting {
            self.calls.insert(call, id);
        }
        pending.waiting = waiting;
    }

    /// A name for a call to another server.
    pub fn new_call(&mut self) -> CallId {
        let call = self.next_call;
        self.next_call = call.next();
        call
    }

    /// Lets a request wait for the answer of another server; the name of the call.
    pub fn forward(&mut self, id: RequestId, to: ServerAddress) -> CallId {
        let call = self.new_call();
        self.wait(id, Waiting::Forwarded { call, to });
        call
    }

    /// Lets a request wait for a leader; false when it has waited as long as it may: `limit`, and
    /// as a blocking query the time that it blocks (spec cluster 9.2).
    pub fn hold(&mut self, now: Instant, id: RequestId, limit: Duration, prng: &mut Prng) -> bool {
        let Some(pending) = self.requests.get_mut(&id) else { return false };
        let deadline = pending.block_until.unwrap_or(pending.since) + limit;
        let retry_at = pending.hold.next_try(now, deadline, limit, prng);
        retry_at.map(|retry_at| self.wait(id, Waiting::Leader { retry_at })).is_some()
    }

    /// A blocking query is to be answered with what there is, whatever its index.
    pub fn unblock(&mut self, now: Instant, id: RequestId) {
        if let Some(pending) = self.requests.get_mut(&id)
            && let Request::Read { options, .. } = &mut pending.request
        {
            options.min_index = 0;
            pending.block_until = Some(now);
        }
    }

    /// The request that waits for this call.
    pub fn of_call(&self, call: CallId) -> Option<RequestId> {
        self.calls.get(&call).copied()
    }

    /// When the next request is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The requests that are due, the oldest time first.
    pub fn due(&self, now: Instant) -> Vec<RequestId> {
        self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect()
    }

    /// The requests of which this is true, in the order in which they came.
    pub fn select(&self, wanted: impl Fn(&Pending) -> bool) -> Vec<RequestId> {
        let chosen = self.requests.iter().filter(|(_, pending)| wanted(pending));
        chosen.map(|(id, _)| *id).collect()
    }

    /// The views agree.
    pub fn check_invariants(&self) {
        let mut due = BTreeSet::new();
        let mut calls = BTreeMap::new();
        for (id, pending) in &self.requests {
            crate::invariant!(pending.waiting != Waiting::Route, "request {id} waits for nothing");
            due.extend(pending.waiting.due().map(|at| (at, *id)));
            if let Waiting::Forwarded { call, .. } = pending.waiting {
                calls.insert(call, *id);
            }
        }
        crate::invariant!(due == self.due, "due are {due:?}, noted are {:?}", self.due);
        crate::invariant!(calls == self.calls, "calls are {calls:?}, noted are {:?}", self.calls);
    }
}
