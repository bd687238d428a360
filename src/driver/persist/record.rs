//! Records: what a segment is made of after its header.
//!
//! ```text
//!   length u32 │ crc u32 │ kind u8 │ payload (length bytes)              little endian
//! ```
//!
//! The checksum (CRC-32C) covers the segment's sequence number and the record's offset, then length,
//! kind and payload: a record that stands at another place than it was written to does not match.
//!
//! | kind | payload |
//! |---|---|
//! | group | number u64, body length u32, zero sectors u32, [`MARK`] |
//! | state | term u64, last index u64, last term u64, has vote u8, then vote term u64 and candidate |
//! | truncate | first index to delete u64, term of the entry before u64 |
//! | append | first index u64, then per entry: term u64, type u8, length u32, data |
//! | install | index u64, term u64 of a snapshot that is about to take the log's place |
//! | reset | index u64, term u64: the log is empty and begins after this entry |
//!
//! Each group ends with one `state`: the hard state and the end of the log as they are after the
//! group. So any readable group says both, whatever became of those before it.

use bytes::Bytes;

use super::extent::Position;
use crate::base::{LogIndex, ServerAddress, Term};
use crate::raft::{Entry, HardState, Vote};
use crate::wire::raft::{entry_kind, entry_type};

/// Length, checksum and kind.
pub(super) const FRAME: usize = 9;
/// A whole group record.
pub(super) const GROUP_RECORD: usize = FRAME + GROUP_PAYLOAD;
const GROUP_PAYLOAD: usize = 17;
/// The last byte of a group record and of a whole group. Not zero, so that a lost write, which
/// leaves zeros, is told from a damaged one.
pub(super) const MARK: u8 = 0xa5;

const GROUP: u8 = 1;
const STATE: u8 = 2;
const TRUNCATE: u8 = 3;
const APPEND: u8 = 4;
const INSTALL: u8 = 5;
const RESET: u8 = 6;

/// No term, index or number of a group gets here.
pub(super) const MAX_NUMBER: u64 = u64::MAX / 2;

/// What a group record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Ascending by one, over all segments.
    pub number: u64,
    /// Bytes of the group after this record.
    pub body: u32,
    /// How many of the group's pieces of a disk sector are zeros by right.
    pub zero_sectors: u32,
}

/// What a record does.
#[derive(Debug)]
pub(super) enum Record {
    State(State),
    Truncate { from: LogIndex, term_before: Term },
    Append(Vec<Entry>),
    Install(Position),
    Reset(Position),
}

/// What a server knows after a group, whatever it knew before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub hard_state: HardState,
    /// Where the log ends.
    pub last: Position,
}

fn checksum(segment: u64, offset: u64, kind: u8, payload: &[u8]) -> u32 {
    let mut place = [0; 21];
    place[..8].copy_from_slice(&segment.to_le_bytes());
    place[8..16].copy_from_slice(&offset.to_le_bytes());
    place[16..20].copy_from_slice(&length(payload.len()).to_le_bytes());
    place[20] = kind;
    crc32c::crc32c_append(crc32c::crc32c(&place), payload)
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a group is bounded by what is proposed at once, far below 4 GiB")
}

/// Appends records to a buffer that begins at `base` of a segment.
pub(super) struct Encoder<'a> {
    pub buffer: &'a mut Vec<u8>,
    pub segment: u64,
    pub base: u64,
}

impl Encoder<'_> {
    fn record(&mut self, kind: u8, payload: impl FnOnce(&mut Vec<u8>)) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; FRAME]);
        payload(self.buffer);
        self.seal(start, self.buffer.len(), kind);
    }

    fn seal(&mut self, start: usize, end: usize, kind: u8) {
        let offset = self.base + start as u64;
        let crc = checksum(self.segment, offset, kind, &self.buffer[start + FRAME..end]);
        let size = length(end - start - FRAME);
        let frame = &mut self.buffer[start..start + FRAME];
        frame[..4].copy_from_slice(&size.to_le_bytes());
        frame[4..8].copy_from_slice(&crc.to_le_bytes());
        frame[8] = kind;
    }

    /// Leaves room for the group record, which can only be written last.
    pub fn begin_group(&mut self) {
        self.buffer.clear();
        self.buffer.resize(GROUP_RECORD, MARK);
    }

    /// Ends the group and writes its record in the room left for it.
    pub fn end_group(&mut self, number: u64) {
        self.buffer.push(MARK);
        let body = length(self.buffer.len() - GROUP_RECORD);
        let zero_sectors = length(zero_sectors(self.buffer, self.base));
        let payload = &mut self.buffer[FRAME..GROUP_RECORD];
        payload[..8].copy_from_slice(&number.to_le_bytes());
        payload[8..12].copy_from_slice(&body.to_le_bytes());
        payload[12..16].copy_from_slice(&zero_sectors.to_le_bytes());
        self.seal(0, GROUP_RECORD, GROUP);
    }

    pub fn state(&mut self, state: &HardState, last: Position) {
        self.record(STATE, |out| {
            out.extend(state.term.0.to_le_bytes());
            position(last, out);
            out.push(u8::from(state.vote.is_some()));
            if let Some(vote) = &state.vote {
                out.extend(vote.term.0.to_le_bytes());
                out.extend_from_slice(vote.candidate.as_str().as_bytes());
            }
        });
    }

    pub fn truncate(&mut self, from: LogIndex, term_before: Term) {
        self.record(TRUNCATE, |out| position((from, term_before), out));
    }

    pub fn install(&mut self, snapshot: Position) {
        self.record(INSTALL, |out| position(snapshot, out));
    }

    pub fn reset(&mut self, base: Position) {
        self.record(RESET, |out| position(base, out));
    }

    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        self.record(APPEND, |out| {
            out.extend(first.index.0.to_le_bytes());
            for entry in entries {
                out.extend(entry.term.0.to_le_bytes());
                out.push(entry_type(entry.kind));
                out.extend(length(entry.data.len()).to_le_bytes());
                out.extend_from_slice(&entry.data);
            }
        });
    }
}

fn position((index, term): Position, out: &mut Vec<u8>) {
    out.extend(index.0.to_le_bytes());
    out.extend(term.0.to_le_bytes());
}

/// The unit in which a disk loses or keeps a write.
pub(super) const SECTOR: u64 = 512;

/// How many pieces of these bytes, cut at the sector boundaries of the file in which they begin at
/// `base`, are zeros throughout.
pub(super) fn zero_sectors(bytes: &[u8], base: u64) -> usize {
    let first = (SECTOR - base % SECTOR) as usize;
    let (head, rest) = bytes.split_at(first.min(bytes.len()));
    std::iter::once(head)
        .chain(rest.chunks(SECTOR as usize))
        .filter(|piece| !piece.is_empty() && piece.iter().all(|byte| *byte == 0))
        .count()
}

/// A cursor over a payload whose checksum matched.
struct Payload<'a>(&'a [u8]);

impl<'a> Payload<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
    }

    /// A term, an index or a number: none when it is one that nothing here can have reached, so that
    /// whoever counts on from it need not fear the end of numbers.
    fn u64(&mut self) -> Option<u64> {
        let number = self.take(8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        number.filter(|number| *number <= MAX_NUMBER)
    }

    fn position(&mut self) -> Option<Position> {
        Some((LogIndex(self.u64()?), Term(self.u64()?)))
    }
}

/// A record's kind, payload and whole length, when one stands at `offset` of a segment's bytes and
/// its checksum matches.
fn frame(bytes: &[u8], (segment, offset): (u64, usize), check: bool) -> Option<(u8, &[u8], usize)> {
    let mut rest = Payload(bytes.get(offset..)?);
    let (size, crc, kind) = (rest.u32()? as usize, rest.u32()?, rest.u8()?);
    let payload = rest.take(size)?;
    let matches = !check || checksum(segment, offset as u64, kind, payload) == crc;
    matches.then_some((kind, payload, FRAME + size))
}

/// The group record at this offset, if there is a valid one.
pub(super) fn group_at(bytes: &[u8], segment: u64, offset: usize) -> Option<Group> {
    // Looked for at every byte in a search, so the cheap tests come first.
    let head = bytes.get(offset..offset + GROUP_RECORD)?;
    if head[..4] != (GROUP_PAYLOAD as u32).to_le_bytes() || head[8] != GROUP {
        return None;
    }
    let (_, payload, _) = frame(bytes, (segment, offset), true)?;
    let mut payload = Payload(payload);
    Some(Group { number: payload.u64()?, body: payload.u32()?, zero_sectors: payload.u32()? })
}

/// Why there is no record of a group's body.
pub(super) enum BadRecord {
    /// Its checksum does not match or it does not end inside its group.
    Damaged,
    /// It was written like this, by something else than this program.
    Nonsense(&'static str),
}

/// The record at this place (segment, offset) of a group's body and its whole length. Only a planted
/// bug does not `check` the checksum.
pub(super) fn record_at(
    bytes: &[u8],
    place: (u64, usize),
    check: bool,
) -> Result<(Record, usize), BadRecord> {
    let (kind, payload, size) = frame(bytes, place, check).ok_or(BadRecord::Damaged)?;
    let record = match kind {
        STATE => state(payload).map(Record::State),
        TRUNCATE => Payload(payload)
            .position()
            .map(|(from, term_before)| Record::Truncate { from, term_before }),
        INSTALL => Payload(payload).position().map(Record::Install),
        RESET => Payload(payload).position().map(Record::Reset),
        APPEND => append(payload).map(Record::Append),
        _ => return Err(BadRecord::Nonsense("a record of an unknown kind")),
    };
    record.map(|record| (record, size)).ok_or(BadRecord::Nonsense("a record of a wrong form"))
}

fn state(payload: &[u8]) -> Option<State> {
    let mut payload = Payload(payload);
    let term = Term(payload.u64()?);
    let last = payload.position()?;
    let vote = match payload.u8()? {
        0 => None,
        _ => {
            let term = Term(payload.u64()?);
            let candidate = ServerAddress::from(std::str::from_utf8(payload.0).ok()?);
            Some(Vote { term, candidate })
        }
    };
    Some(State { hard_state: HardState { term, vote }, last })
}

fn append(payload: &[u8]) -> Option<Vec<Entry>> {
    let mut payload = Payload(payload);
    let mut index = LogIndex(payload.u64()?);
    let mut entries = Vec::new();
    while !payload.0.is_empty() {
        let term = Term(payload.u64()?);
        let kind = entry_kind(u64::from(payload.u8()?))?;
        let size = payload.u32()? as usize;
        let data = Bytes::copy_from_slice(payload.take(size)?);
        entries.push(Entry { index, term, kind, data });
        index = index.next();
    }
    Some(entries)
}
