//! What a leader does about sessions beside the log: ids, times to live, closed keys (spec cluster 6.7, 6.8,
//! 10.6).
//!
//! ```text
//!   Session.Apply create ──► checked, an id drawn ──► the log ──► applied: its time runs
//!   Session.Renew        ──► its time runs anew, without the log
//!   2 x TTL have passed  ──► Session.Apply destroy, by the leader itself ──► the log
//!                            refused: again after 10 s, 20 s … 320 s
//!   KVS.Apply lock       ──► closed by a lock delay: false, without the log
//! ```
//!
//! A session lives for its TTL at least and for twice that as a rule. The times are one leader's own and
//! run by its clock: whoever takes over counts all of them anew from the moment at which it has applied
//! what came before, so that a change of leader only ever gives more time.
//!
//! Invariants: while this server leads and has applied what came before, exactly the sessions with a TTL
//! have a time that runs, or are being ended; else none has.
//!
//! Deliberately not here: what ends with a session (`state::session`), how long keys are closed
//! (`lock_delays`). As in Consul, a lock that is in the log already when its key's holder ends is not
//! refused: the delay is no part of the state, and only the leader's clock counts before the log.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ids::uuid;
use crate::base::{Duration, Faults, Instant, LogIndex, Prng, RequestId, go_duration};
use crate::planted;
use crate::state::{
    Change, Command, CommandResult, DELETE, KvCommand, RELEASE, Session, SessionCommand,
    StateStore, check_session_id,
};

use super::core::Agent;
use super::duties::Duty;
use super::io::Output;
use super::membership::Membership;
use super::types::{Failure, Reply, Request};

/// The longest time to live.
const TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How many times its TTL a session may go without a renewal.
const TTL_MULTIPLIER: u32 = 2;
/// After the first attempt to end a session that failed; then twice as long each time.
const RETRY_BASE: Duration = Duration::from_secs(10);
/// How often the wait is doubled.
const DOUBLINGS_MAX: u32 = 5;

/// A session whose time runs.
#[derive(Clone, Copy, Debug)]
struct Timer {
    at: Instant,
    /// How often it was not possible to end it.
    failed: u32,
}

/// The times of all sessions, while this server leads.
#[derive(Debug)]
pub(super) struct SessionTimers {
    ids: Prng,
    running: BTreeMap<String, Timer>,
    due: BTreeSet<(Instant, String)>,
    /// By the number of the attempt.
    ending: BTreeMap<u64, (String, u32)>,
    attempts: u64,
    faults: Faults,
}

impl SessionTimers {
    pub fn new(prng: &Prng, faults: &Faults) -> Self {
        Self {
            ids: prng.fork("session ids"),
            running: BTreeMap::new(),
            due: BTreeSet::new(),
            ending: BTreeMap::new(),
            attempts: 0,
            faults: faults.clone(),
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Counts a session's time from now on; one without TTL has none.
    fn start(&mut self, now: Instant, session: &Session) {
        if let Some(ttl) = session.ttl() {
            // Oracle: session-lifetime.
            let hasty = planted!(self.faults, "session-expires-early");
            let at = now + if hasty { ttl / 2 } else { ttl * TTL_MULTIPLIER };
            self.set(session.id.clone(), Timer { at, failed: 0 });
        }
    }

    fn set(&mut self, id: String, timer: Timer) {
        self.stop(&id);
        self.due.insert((timer.at, id.clone()));
        self.running.insert(id, timer);
    }

    /// The session has ended, or is ending.
    fn stop(&mut self, id: &str) -> Option<Timer> {
        let timer = self.running.remove(id)?;
        self.due.remove(&(timer.at, id.to_owned()));
        Some(timer)
    }

    fn clear(&mut self) {
        (self.running, self.due, self.ending) = Default::default();
    }

    /// The sessions whose time is over, each with the number of the attempt to end it.
    pub fn take_due(&mut self, now: Instant) -> Vec<(u64, String)> {
        let mut over = Vec::new();
        while let Some((at, id)) = self.due.first().cloned()
            && at <= now
        {
            let failed = self.stop(&id).map_or(0, |timer| timer.failed);
            self.attempts += 1;
            self.ending.insert(self.attempts, (id.clone(), failed));
            over.push((self.attempts, id));
        }
        over
    }

    /// An attempt is over. One that failed is made again later, unless the session was renewed since.
    fn ended(&mut self, now: Instant, attempt: u64, done: impl Fn(&str) -> bool) -> Option<String> {
        let (id, failed) = self.ending.remove(&attempt)?;
        if !done(&id) && !self.running.contains_key(&id) {
            let at = now + RETRY_BASE * 2u32.pow(failed.min(DOUBLINGS_MAX));
            self.set(id.clone(), Timer { at, failed: failed + 1 });
        }
        Some(id)
    }

    /// Everything that must hold while this server leads; else nothing runs.
    fn check(&self, state: Option<&StateStore>) {
        let due: BTreeSet<(Instant, String)> =
            self.running.iter().map(|(id, timer)| (timer.at, id.clone())).collect();
        crate::invariant!(due == self.due, "due are {due:?}, noted are {:?}", self.due);
        let Some(state) = state else {
            crate::invariant!(due.is_empty() && self.ending.is_empty(), "times run: {due:?}");
            return;
        };
        for session in state.sessions_after(None).filter(|session| session.ttl().is_some()) {
            let ending = || self.ending.values().any(|(id, _)| *id == session.id);
            crate::invariant!(
                self.running.contains_key(&session.id) || ending(),
                "the time of session {} does not run",
                session.id
            );
        }
        for id in self.running.keys() {
            crate::invariant!(state.session(id).is_some(), "the time of {id} runs, which is gone");
        }
    }
}

/// Go's `time.ParseDuration`, with its text.
fn parse_ttl(text: &str) -> Result<i64, String> {
    go_duration::parse(text)
        .ok_or_else(|| format!("Session TTL '{text}' invalid: time: invalid duration {text:?}"))
}

impl Agent {
    /// Completes and checks what the leader is to put into the log; else what to answer with.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        command: &mut Command,
        out: &mut Vec<Output>,
    ) -> Result<(), CommandResult> {
        match command {
            Command::Session(change) => self.admit_session(change).map_err(CommandResult::Error),
            // Oracle of the plant: lock-exclusion.
            Command::Kv(KvCommand::Lock { key, .. })
                if self.lock_delays.is_closed(now, key)
                    && !planted!(self.faults, "lock-delay-forgotten") =>
            {
                out.push(Output::member(Membership::LockRefused { key: key.clone() }));
                Err(CommandResult::Flag(false))
            }
            Command::PreparedQuery(change) => {
                self.admit_prepared_query(change).map_err(CommandResult::Error)
            }
            Command::Txn(ops) => self.admit_txn(now, ops),
            other => other.admit(&self.config.datacenter).map_err(CommandResult::Error),
        }
    }

    fn admit_session(&mut self, change: &mut SessionCommand) -> Result<(), String> {
        let session = match change {
            SessionCommand::Destroy { id } if id.is_empty() => {
                return Err("Must provide ID".to_owned());
            }
            SessionCommand::Destroy { id } => return check_session_id(id),
            SessionCommand::Create(session) => session,
        };
        if session.node.is_empty() {
            return Err("Must provide Node".to_owned());
        }
        match session.behavior.as_str() {
            "" => RELEASE.clone_into(&mut session.behavior),
            RELEASE | DELETE => {}
            other => return Err(format!("Invalid Behavior setting '{other}'")),
        }
        let ttl = if session.ttl.is_empty() { 0 } else { parse_ttl(&session.ttl)? };
        let allowed = self.config.session_ttl_min..=TTL_MAX;
        let span = u64::try_from(ttl).map(Duration::from_nanos);
        if ttl != 0 && !span.is_ok_and(|span| allowed.contains(&span)) {
            let (min, max) = (go_duration::format(*allowed.start()), go_duration::format(TTL_MAX));
            return Err(format!("Invalid Session TTL '{ttl}', must be between [{min}={max}]"));
        }
        loop {
            let mut bytes = [0; 16];
            self.session_timers.ids.fill(&mut bytes);
            session.id = uuid(bytes);
            if self.state.session(&session.id).is_none() {
                return Ok(());
            }
        }
    }

    /// This server leads, and has applied all that came before: the time of every session begins anew,
    /// and that of tombstones.
    pub(super) fn begin_sessions(&mut self, now: Instant) {
        self.end_sessions();
        for session in self.state.sessions_after(None) {
            self.session_timers.start(now, session);
        }
        if self.state.oldest_tombstone().is_some() {
            self.tombstones.hint(now, self.state.tombstone_index());
        }
    }

    /// It no longer leads: the next leader counts.
    pub(super) fn end_sessions(&mut self) {
        self.session_timers.clear();
        self.tombstones.clear();
    }

    /// What an applied entry means for keys that are closed, for sessions and for tombstones.
    pub(super) fn follow_changes(&mut self, now: Instant, index: LogIndex, changes: &[Change]) {
        for change in changes {
            match change {
                Change::LockDelay { key, delay } => self.lock_delays.close(now, key, *delay),
                Change::Session(id) if self.established => match self.state.session(id) {
                    Some(session) => self.session_timers.start(now, session),
                    None => drop(self.session_timers.stop(id)),
                },
                _ => {}
            }
        }
        if self.established && self.state.tombstone_index() == index.0 {
            self.tombstones.hint(now, index.0);
        }
    }

    /// Counts a session's time anew.
    pub(super) fn renew_session(
        &mut self,
        now: Instant,
        id: RequestId,
        session: &str,
        out: &mut Vec<Output>,
    ) {
        if let Err(text) = check_session_id(session) {
            self.answer(id, Err(Failure::Refused(text)), out);
            return;
        }
        // What earlier leaders committed may not be here yet, and then nothing is known of a session.
        if !self.established {
            self.hold(now, id, Failure::NotReady, out);
            return;
        }
        let found = self.state.session(session).cloned();
        if let Some(session) = &found {
            self.session_timers.start(now, session);
        }
        self.answer(id, Ok(Reply::SessionRenewed(found.map(Box::new))), out);
    }

    /// Ends the sessions whose time is over, and has old tombstones reaped.
    pub(super) fn on_sessions_deadline(&mut self, now: Instant, out: &mut Vec<Output>) {
        for (attempt, session) in self.session_timers.take_due(now) {
            let id = self.begin(Duty::EndSession(attempt));
            let command = Command::Session(SessionCommand::Destroy { id: session });
            self.on_ask(now, id, Request::Write(command), out);
        }
        let Some(up_to) = self.tombstones.take_due(now) else { return };
        if self.state.oldest_tombstone().is_some_and(|oldest| oldest <= up_to) {
            let id = self.begin(Duty::ReapTombstones(up_to));
            self.on_ask(now, id, Request::Write(Command::ReapTombstones { up_to }), out);
        }
    }

    pub(super) fn on_session_ended(
        &mut self,
        now: Instant,
        attempt: u64,
        result: Result<Reply, Failure>,
        out: &mut Vec<Output>,
    ) {
        let gone = |session: &str| self.state.session(session).is_none();
        let done = |session: &str| result.is_ok() || gone(session);
        let Some(session) = self.session_timers.ended(now, attempt, done) else { return };
        out.push(Output::member(match result {
            Ok(_) => Membership::SessionExpired { session },
            Err(why) => Membership::SessionNotEnded { session, why: why.to_string() },
        }));
    }

    /// What could not be reaped becomes old once more.
    pub(super) fn on_reaped(
        &mut self,
        now: Instant,
        up_to: u64,
        result: Result<Reply, Failure>,
        out: &mut Vec<Output>,
    ) {
        let Err(why) = result else { return };
        if self.established {
            self.tombstones.hint(now, up_to);
        }
        out.push(Output::member(Membership::TombstonesNotReaped { up_to, why: why.to_string() }));
    }

    pub(super) fn check_sessions(&self) {
        self.session_timers.check(self.established.then_some(&self.state));
        self.lock_delays.check();
    }
}
