//! The recorder: events become bytes and a digest while the run goes on.
//!
//! ```text
//!  push(&event) ──postcard──► [ … bytes … | undigested tail ] ──blocks──► xxh3-128
//! ```
//!
//! Invariants: the digest is a function of the events alone, in order (xxh3 does not see where blocks
//! end), so one changed byte or nanosecond anywhere changes it. The header is not digested: a seed
//! written as `42` and as `0x2a` is one run.
//!
//! Deliberately not here: decoded events. A run of a minute makes some hundred thousand; they are
//! decoded once, when the run is over, by [`Trace::recording`].

use xxhash_rust::xxh3::Xxh3;

use super::event::{Header, TraceEvent};

/// Bytes gathered before they go to the hash: few calls, and still in the cache.
const BLOCK: usize = 4096;

/// A trace while it grows.
pub struct Trace {
    header: Header,
    bytes: Vec<u8>,
    count: u64,
    digested: usize,
    hash: Xxh3,
}

/// A finished trace, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The first line.
    pub header: Header,
    /// In the order they were recorded; times never decrease.
    pub events: Vec<TraceEvent>,
}

impl Trace {
    /// An empty trace.
    #[must_use]
    pub fn new(header: Header) -> Self {
        Self { header, bytes: Vec::new(), count: 0, digested: 0, hash: Xxh3::new() }
    }

    /// Adds one event.
    pub fn push(&mut self, event: &TraceEvent) {
        let buffer = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(event, buffer)
            .expect("events hold no sequence of unknown length, and a Vec takes every byte");
        self.count += 1;
        if self.bytes.len() - self.digested >= BLOCK {
            self.hash.update(&self.bytes[self.digested..]);
            self.digested = self.bytes.len();
        }
    }

    /// What was given at the start.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Says when `[time].run` really ended, which is known only then. The header is not digested.
    pub fn set_run_ns(&mut self, run_ns: i64) {
        self.header.run_ns = run_ns;
    }

    /// How many events.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The events as recorded.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// 32 hex digits over all events so far.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = self.hash.clone();
        hash.update(&self.bytes[self.digested..]);
        format!("{:032x}", hash.digest128())
    }

    /// The events, decoded one by one.
    pub fn events(&self) -> impl Iterator<Item = TraceEvent> + '_ {
        Events { rest: &self.bytes }.map(|event| event.expect("what `push` encoded decodes"))
    }

    /// The header and the decoded events.
    #[must_use]
    pub fn recording(&self) -> Recording {
        let mut events = Vec::with_capacity(usize::try_from(self.count).unwrap_or(0));
        events.extend(self.events());
        Recording { header: self.header.clone(), events }
    }
}

/// Decodes events until the bytes are used up or make no sense.
pub(super) struct Events<'a> {
    pub(super) rest: &'a [u8],
}

impl Iterator for Events<'_> {
    type Item = postcard::Result<TraceEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let decoded = postcard::take_from_bytes(self.rest);
        Some(match decoded {
            Ok((event, rest)) => {
                self.rest = rest;
                Ok(event)
            }
            Err(error) => {
                self.rest = &[];
                Err(error)
            }
        })
    }
}

impl Recording {
    /// The digest that recording these events gave.
    #[must_use]
    pub fn digest(&self) -> String {
        self.trace().digest()
    }

    /// The recorder that these events would have filled.
    #[must_use]
    pub fn trace(&self) -> Trace {
        let mut trace = Trace::new(self.header.clone());
        self.events.iter().for_each(|event| trace.push(event));
        trace
    }
}
