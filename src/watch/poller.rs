//! The polling loop as a sans-IO core (spec api 7.4).
//!
//! ```text
//!            ┌────────────── same index, or same result ◄──┐
//!            ▼                                             │
//!   begin ─► asking ── Answered ───────────────────────────┴─► handling ── Handled ─► asking
//!            │    ▲                                             (Output::Hand)
//!          Failed └── deadline ── pausing, 5 s × failures², 180 s at most
//!            └──────────────────────▲
//! ```
//!
//! * One question or one handler at a time, never both: who handles slowly is asked for less.
//! * The first result is handed over, and after that each one that differs from the last under another
//!   index. A result is its bytes: who makes them gives equal ones for what is equal.
//! * A failure forgets the index: the next answer comes at once, and is handed over whatever it is. That
//!   is how Consul's loop does it: after an outage a handler runs once more.
//! * An index that goes back is forgotten too, but not the result. That of events is no order but a
//!   name (two halves of a random id): there, going back means nothing.
//!
//! Departure: an answer without an index would make Consul's loop ask again at once, for ever; here
//! it is asked again after [`UNINDEXED_PAUSE`].

use bytes::Bytes;

use crate::base::{Duration, Instant};

/// Of the first retry.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// At most so long between two tries.
const MAX_BACKOFF: Duration = Duration::from_secs(180);
/// Before the next question when the answer bore no index to wait behind.
const UNINDEXED_PAUSE: Duration = Duration::from_secs(1);

/// Where an answer stands, so that the next question can wait for something newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// `X-Consul-Index`.
    Index(u64),
    /// The content hash of a thing that only its agent has.
    Hash(String),
}

impl Marker {
    /// What a handler is told: a hash is no index.
    #[must_use]
    pub fn index(&self) -> u64 {
        match self {
            Marker::Index(index) => *index,
            Marker::Hash(_) => 0,
        }
    }
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The question is answered: where the answer stands, and the result.
    Answered(Marker, Bytes),
    /// The question is not answered: why.
    Failed(String),
    /// The handler is done.
    Handled,
    /// Time has passed.
    Wake,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask for what is newer than this; none: for what there is. Answered by one `Answered` or `Failed`.
    Ask(Option<Marker>),
    /// Give this to the handler. Answered by one `Handled`.
    Hand(Marker, Bytes),
    /// A question has failed; it is asked again after so long.
    Errored(String, Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Asking,
    Handling,
    Pausing(Instant),
}

/// The loop of one watch.
#[derive(Clone, Debug)]
pub struct Poller {
    /// Indexes are ordered: one that is smaller means that the store went back.
    ordered: bool,
    phase: Phase,
    last: Option<Marker>,
    result: Option<Bytes>,
    failures: u32,
    /// The last answer bore no index.
    unindexed: bool,
}

impl Poller {
    /// Begins: the first question goes out. `ordered`: a smaller index is an older one.
    pub fn begin(ordered: bool, out: &mut Vec<Output>) -> Self {
        out.push(Output::Ask(None));
        let (last, result, failures, unindexed) = (None, None, 0, false);
        Self { ordered, phase: Phase::Asking, last, result, failures, unindexed }
    }

    /// When `Wake` is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Pausing(until) => Some(until),
            Phase::Asking | Phase::Handling => None,
        }
    }

    /// One thing has happened. What comes when it is not awaited changes nothing.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match (self.phase, input) {
            (Phase::Asking, Input::Answered(marker, data)) => {
                self.answered(now, marker, data, out);
            }
            (Phase::Asking, Input::Failed(why)) => {
                self.failures = self.failures.saturating_add(1);
                self.last = None;
                let factor = self.failures.saturating_mul(self.failures);
                let retry = RETRY_INTERVAL.saturating_mul(factor).min(MAX_BACKOFF);
                out.push(Output::Errored(why, retry));
                self.phase = Phase::Pausing(now + retry);
            }
            (Phase::Handling, Input::Handled) => self.ask(now, out),
            (Phase::Pausing(until), Input::Wake) if until <= now => {
                self.phase = Phase::Asking;
                out.push(Output::Ask(self.last.clone()));
            }
            _ => {}
        }
    }

    fn answered(&mut self, now: Instant, marker: Marker, data: Bytes, out: &mut Vec<Output>) {
        self.failures = 0;
        self.unindexed = marker == Marker::Index(0);
        if !self.unindexed && self.last.as_ref() == Some(&marker) {
            return self.ask(now, out);
        }
        let next = match (&self.last, &marker) {
            (Some(Marker::Index(last)), Marker::Index(next)) if self.ordered && next < last => {
                Marker::Index(0)
            }
            _ => marker.clone(),
        };
        let is_first = self.last.replace(next).is_none();
        if !is_first && self.result.as_ref() == Some(&data) {
            return self.ask(now, out);
        }
        self.result = Some(data.clone());
        self.phase = Phase::Handling;
        out.push(Output::Hand(marker, data));
    }

    /// The next question; later, when the last answer was one that cannot be waited behind.
    fn ask(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.unindexed {
            self.phase = Phase::Pausing(now + UNINDEXED_PAUSE);
        } else {
            self.phase = Phase::Asking;
            out.push(Output::Ask(self.last.clone()));
        }
    }
}
