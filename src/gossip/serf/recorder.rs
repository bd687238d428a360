//! Writing the snapshot file: whom we know to be alive, and how far the clocks are (spec cluster 2.15).
//!
//! ```text
//!   alive: n2 10.0.0.2:8301        a line for each change, flushed every 500 ms at most
//!   not-alive: n3
//!   clock: 7                       the last time that was said: one less than the reading
//!   event-clock: 4
//!   leave                          at once and synced; nothing is recorded after it
//! ```
//!
//! A crash loses what was not flushed: a member that is tried in vain, or an event that is heard again.
//! When the file is longer than 128 KiB and 256 bytes a member it is replaced by what it means.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::base::{Duration, Instant, NodeName};
use crate::gossip::io::{MemberEventKind, MemberView};
use crate::gossip::message::LamportTime;
use crate::gossip::pool_io::{self, SnapshotWrite};
use crate::gossip::serf::reaper::tick_after;
use crate::gossip::serf::replay::Previous;
use crate::gossip::serf::{Output, Serf};

const FLUSH_INTERVAL: Duration = Duration::from_millis(500);
/// Room that a member is given before the file is rewritten, bytes.
const MEMBER_BYTES: u64 = 2 * 128;

#[derive(Debug)]
pub(super) struct Recorder {
    alive: BTreeMap<NodeName, SocketAddr>,
    clock: LamportTime,
    event_clock: LamportTime,
    query_clock: LamportTime,
    /// Not yet flushed.
    pending: String,
    /// What is in the file, bytes.
    written_bytes: u64,
    min_bytes: u64,
    started: Instant,
    flush_at: Option<Instant>,
    has_left: bool,
}

impl Recorder {
    /// Goes on where the last life of this member ended.
    pub(super) fn new(previous: &Previous, min_bytes: u64, now: Instant) -> Self {
        Self {
            alive: previous.alive.iter().cloned().collect(),
            clock: previous.clock.unwrap_or_default(),
            event_clock: previous.event_clock.unwrap_or_default(),
            query_clock: previous.query_clock.unwrap_or_default(),
            pending: String::new(),
            written_bytes: previous.bytes,
            min_bytes,
            started: now,
            flush_at: None,
            has_left: false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.flush_at
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        if !self.has_left {
            // Writing to a string cannot fail.
            let _ = writeln!(self.pending, "{line}");
        }
    }

    /// Something happened to a member.
    pub(super) fn member(&mut self, kind: MemberEventKind, view: &MemberView, clock: LamportTime) {
        let MemberView { name, addr, .. } = view;
        match kind {
            MemberEventKind::Join => {
                self.alive.insert(name.clone(), *addr);
                self.line(format_args!("alive: {name} {addr}"));
            }
            MemberEventKind::Leave | MemberEventKind::Failed => {
                self.alive.remove(name);
                self.line(format_args!("not-alive: {name}"));
            }
            MemberEventKind::Update | MemberEventKind::Reap => {}
        }
        self.note_clock(clock);
    }

    fn note_clock(&mut self, reading: LamportTime) {
        let said = LamportTime(reading.0.saturating_sub(1));
        if said > self.clock {
            self.clock = said;
            self.line(format_args!("clock: {said}"));
        }
    }

    /// A user event was delivered.
    pub(super) fn event(&mut self, time: LamportTime) {
        if time > self.event_clock {
            self.event_clock = time;
            self.line(format_args!("event-clock: {time}"));
        }
    }

    /// A query was delivered.
    pub(super) fn query(&mut self, time: LamportTime) {
        if time > self.query_clock {
            self.query_clock = time;
            self.line(format_args!("query-clock: {time}"));
        }
    }

    /// We leave on purpose: the next life does not go back to these members.
    pub(super) fn leave(&mut self, out: &mut Vec<Output>) {
        self.line(format_args!("leave"));
        self.has_left = true;
        self.flush(true, out);
    }

    fn flush(&mut self, sync: bool, out: &mut Vec<Output>) {
        self.flush_at = None;
        let lines = std::mem::take(&mut self.pending);
        if lines.is_empty() {
            return;
        }
        self.written_bytes += lines.len() as u64;
        let most = self.min_bytes.max(MEMBER_BYTES * self.alive.len() as u64);
        let write = if self.written_bytes > most && !self.has_left {
            let text = self.compact();
            self.written_bytes = text.len() as u64;
            SnapshotWrite::Replace(text)
        } else {
            SnapshotWrite::Append { lines, sync }
        };
        out.push(Output::Out(pool_io::Output::Snapshot(write)));
    }

    /// What the file means, without how it came to it.
    fn compact(&self) -> String {
        let mut text = String::new();
        for (name, addr) in &self.alive {
            let _ = writeln!(text, "alive: {name} {addr}");
        }
        let Self { clock, event_clock, query_clock, .. } = self;
        let _ = write!(
            text,
            "clock: {clock}\nevent-clock: {event_clock}\nquery-clock: {query_clock}\n"
        );
        text
    }
}

impl Serf {
    /// At the end of each step: what there is to write, when its time has come.
    pub(super) fn record(&mut self, now: Instant, out: &mut Vec<Output>) {
        let reading = self.clock.time();
        let Some(recorder) = self.recorder.as_mut().filter(|recorder| !recorder.has_left) else {
            return;
        };
        let dirty = !recorder.pending.is_empty() || reading.0 > recorder.clock.0.saturating_add(1);
        if recorder.flush_at.is_some_and(|at| at <= now) {
            recorder.note_clock(reading);
            recorder.flush(false, out);
        } else if dirty && recorder.flush_at.is_none() {
            recorder.flush_at = Some(tick_after(recorder.started, FLUSH_INTERVAL, now));
        }
    }
}
