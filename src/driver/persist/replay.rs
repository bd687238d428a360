//! The groups of all segments, put together to a log.
//!
//! ```text
//!   group 1 … 6 │ damage │ group 8 … 20 │ torn
//!   └─ before ─┘          └── current ──┘              the state after group 20 is known in full,
//!                                                      the log from where group 8 ends
//! ```
//!
//! Nothing is decided here: damage splits the log into what came `before` the first and what can be
//! read after the last one (`current`); [`recovery`](super::recovery) looks which of them is enough.
//! A reset makes everything before it superfluous, damage too.

use super::error::{Damage, StorageError, at};
use super::extent::{Extent, Position};
use super::record::{Record, State};
use super::scan::{Expected, Next, ReadGroup, Segment};
use super::segment::{self, HEADER, Header};
use crate::base::runtime::Disk;
use crate::base::{Faults, LogIndex, Term};
use crate::raft::{Entry, EntryKind, HardState};

/// A log in memory.
#[derive(Debug)]
pub(super) struct Log {
    pub extent: Extent,
    pub entries: Vec<Entry>,
}

impl Log {
    pub fn after(base: Position) -> Self {
        Self { extent: Extent::after(base), entries: Vec::new() }
    }

    fn truncate(&mut self, from: LogIndex, term_before: Term) {
        let first = self.extent.base().0.0 + 1;
        self.entries.truncate(from.0.saturating_sub(first) as usize);
        self.extent.truncate(from, term_before);
    }

    /// Appends; the index that was expected, if it is another one.
    fn append(&mut self, entries: Vec<Entry>) -> Result<(), LogIndex> {
        let next = self.extent.last().0.next();
        if entries.first().is_some_and(|first| first.index != next) {
            return Err(next);
        }
        for entry in &entries {
            self.extent.push(entry.term);
        }
        self.entries.extend(entries);
        Ok(())
    }
}

/// The last segment, into which the next group would go.
pub(super) struct Tail {
    pub sequence: u64,
    /// Where its groups end; none when it has no header and has to be made again.
    pub end: Option<u64>,
    /// Of the file.
    pub length: u64,
    /// Bytes after the groups that are not zero: of a write that was interrupted.
    pub torn: u64,
}

/// All that the segments say.
pub(super) struct Replay {
    /// The log as far as it is known since the last damage, if at all.
    pub current: Option<Log>,
    /// The log up to the first damage; none when there is no damage.
    pub before: Option<Log>,
    pub hard_state: HardState,
    /// The damage after which no group can be read: term and vote may be gone with it.
    pub state_lost: Option<Damage>,
    /// The last group says that this snapshot is about to take the log's place.
    pub intent: Option<Position>,
    /// The newest entry of that kind that can be read, damage or not.
    pub configuration: Option<Entry>,
    /// Damage that no reset has made superfluous.
    pub damage: Vec<Damage>,
    /// Damage before a reset.
    pub superfluous: Vec<Damage>,
    /// The segments, with the last entry before each.
    pub segments: Vec<(u64, Position)>,
    pub tail: Option<Tail>,
    /// Where the last entry was before a new segment, when one is begun now.
    pub last: Position,
    pub next_group: u64,
    pub groups: u64,
    expected: Expected,
    /// Where the groups of the segment before end.
    ended: Option<(String, usize)>,
}

impl Replay {
    fn new() -> Self {
        Self {
            current: Some(Log::after((LogIndex(0), Term(0)))),
            before: None,
            hard_state: HardState::default(),
            state_lost: None,
            intent: None,
            configuration: None,
            damage: Vec::new(),
            superfluous: Vec::new(),
            segments: Vec::new(),
            tail: None,
            last: (LogIndex(0), Term(0)),
            next_group: 1,
            groups: 0,
            expected: Expected::Exactly(1),
            ended: None,
        }
    }

    /// Reads the segments of a folder, which stay as they are.
    pub async fn read<D: Disk>(
        disk: &D,
        folder: &str,
        sequences: &[u64],
        faults: &Faults,
    ) -> Result<Self, StorageError> {
        let mut replay = Self::new();
        let mut previous = None;
        for (position, &sequence) in sequences.iter().enumerate() {
            let path = segment::path(folder, sequence);
            let bytes = disk.read(&path).await.map_err(at("read", &path))?;
            let last = position + 1 == sequences.len();
            let segment = Segment::new(folder, sequence, bytes, last);
            if let Some(missing) = previous.map(|it| it + 1).filter(|it| *it < sequence) {
                replay.damaged(Damage {
                    file: segment::path(folder, missing),
                    offset: 0,
                    what: format!(
                        "expected this segment before segment {sequence}, found no such file"
                    ),
                    lost: false,
                });
            }
            previous = Some(sequence);
            replay.segment(&segment, faults);
        }
        Ok(replay)
    }

    /// The log is unknown from here to the next place that says where it ends.
    fn damaged(&mut self, damage: Damage) {
        let known = self.current.take();
        if self.before.is_none() {
            self.before = known.or_else(|| Some(Log::after((LogIndex(0), Term(0)))));
        }
        self.state_lost.get_or_insert_with(|| damage.clone());
        self.damage.push(damage);
        self.expected = Expected::AtLeast(self.expected.number());
    }

    fn segment(&mut self, segment: &Segment, faults: &Faults) {
        let mut tail =
            Tail { sequence: segment.sequence, end: None, length: segment.length, torn: 0 };
        match segment.header() {
            Ok(Some(header)) => self.header(segment, header),
            Ok(None) => {
                tail.torn = segment.bytes.len() as u64;
                self.tail = Some(tail);
                return;
            }
            Err(damage) => self.damaged(damage),
        }
        self.segments.push((segment.sequence, self.last));
        let mut at = HEADER;
        loop {
            match segment.next(at, self.expected, faults) {
                Next::Group(group) => {
                    at = group.end;
                    self.group(segment, group);
                }
                Next::Damaged { damage, resume } => {
                    self.damaged(damage);
                    let Some(resume) = resume else { break };
                    at = resume;
                }
                Next::End => break,
            }
        }
        tail.end = Some(at as u64);
        tail.torn = segment.bytes.len().saturating_sub(at) as u64;
        self.ended = Some((segment.path.clone(), at));
        self.tail = Some(tail);
    }

    fn header(&mut self, segment: &Segment, header: Header) {
        let Header { first_group, base, .. } = header;
        let known = self.current.as_ref().map(|log| log.extent.last());
        let first_of_all = self.segments.is_empty() && self.damage.is_empty();
        if first_of_all {
            self.expected = Expected::Exactly(first_group);
            self.current = Some(Log::after(base));
        } else if !self.expected.admits(first_group) {
            let expected = self.expected.number();
            let damage = match &self.ended {
                Some((file, end)) if first_group > expected => Damage {
                    file: file.clone(),
                    offset: *end as u64,
                    what: format!("expected group {expected}, found the end of the segment"),
                    lost: false,
                },
                _ => segment.damage(
                    0,
                    format!(
                        "expected a segment from group {expected}, found one from {first_group}"
                    ),
                ),
            };
            self.damaged(damage);
        } else if known.is_some_and(|known| known != base) {
            let what = format!(
                "expected a log that ends at entry {}, found one that ends at {}",
                known.unwrap_or_default().0,
                base.0
            );
            self.damaged(segment.damage(0, what));
        }
        if self.expected.admits(first_group) {
            self.expected = Expected::Exactly(first_group);
            self.last = base;
            self.current.get_or_insert_with(|| Log::after(base));
        }
    }

    fn group(&mut self, segment: &Segment, group: ReadGroup) {
        let ReadGroup { number, at, records, state, .. } = group;
        self.groups += 1;
        self.next_group = number + 1;
        self.expected = Expected::Exactly(number + 1);
        self.intent = None;
        let State { hard_state, last } = state;
        self.hard_state = hard_state;
        self.state_lost = None;
        let mut wrong = None;
        for (offset, record) in records {
            if let Err(what) = self.record(record) {
                wrong = wrong.or(Some((offset, what)));
            }
        }
        let found = self.current.as_ref().map(|log| log.extent.last());
        if let Some(found) = found.filter(|found| *found != last) {
            let what = format!("expected a log that ends at entry {}, found {}", last.0, found.0);
            wrong = wrong.or(Some((at, what)));
        }
        if let Some((offset, what)) = wrong {
            self.damaged(segment.damage(offset, what));
            self.state_lost = None;
            self.expected = Expected::Exactly(number + 1);
        }
        self.last = last;
        self.current.get_or_insert_with(|| Log::after(last));
    }

    fn record(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::Append(entries) => {
                let configuration =
                    entries.iter().rev().find(|entry| entry.kind == EntryKind::Configuration);
                self.configuration = configuration.cloned().or(self.configuration.take());
                let first = entries.first().map(|entry| entry.index).unwrap_or_default();
                let Some(log) = &mut self.current else { return Ok(()) };
                log.append(entries)
                    .map_err(|next| format!("expected entry {next}, found entry {first}"))?;
            }
            Record::Truncate { from, term_before } => {
                if let Some(log) = &mut self.current {
                    log.truncate(from, term_before);
                }
            }
            Record::Install(snapshot) => self.intent = Some(snapshot),
            Record::Reset(base) => {
                self.current = Some(Log::after(base));
                self.before = None;
                self.superfluous.append(&mut self.damage);
            }
            Record::State(_) => {
                return Err("expected one state, at the end of the group".to_owned());
            }
        }
        Ok(())
    }
}
