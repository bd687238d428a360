//! One segment in memory, read group by group.
//!
//! The rules by which a torn last write is told from damage are in the essay of [`persist`](super);
//! here they are applied. What a group means for the log is [`replay`](super::replay)'s business.

use super::error::Damage;
use super::record::{self, BadRecord, GROUP_RECORD, Group, MARK, Record, SECTOR, State};
use super::segment::{self, HEADER, Header};
use crate::base::Faults;
use crate::planted;

/// A segment's bytes, without the zeros at the end.
pub(super) struct Segment {
    pub path: String,
    pub sequence: u64,
    pub bytes: Vec<u8>,
    /// Of the file.
    pub length: u64,
    /// Whether it is the last one.
    pub last: bool,
}

/// A group that can be read.
pub(super) struct ReadGroup {
    pub number: u64,
    pub at: usize,
    pub end: usize,
    pub records: Vec<(usize, Record)>,
    pub state: State,
}

/// Which number the next group should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// This one.
    Exactly(u64),
    /// This or a later one: what lies between is damaged.
    AtLeast(u64),
}

impl Expected {
    pub fn number(self) -> u64 {
        match self {
            Self::Exactly(number) | Self::AtLeast(number) => number,
        }
    }

    pub fn admits(self, number: u64) -> bool {
        match self {
            Self::Exactly(expected) => number == expected,
            Self::AtLeast(least) => number >= least,
        }
    }
}

/// What stands at a place of a segment.
pub(super) enum Next {
    Group(ReadGroup),
    /// Something that was durable and cannot be read; where to go on, if anywhere.
    Damaged {
        damage: Damage,
        resume: Option<usize>,
    },
    /// The end, or a last write that was interrupted.
    End,
}

impl Segment {
    pub fn new(folder: &str, sequence: u64, mut bytes: Vec<u8>, last: bool) -> Self {
        let length = bytes.len() as u64;
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        // A base of index 0 and term 0 ends the header in zeros.
        bytes.truncate(end.max(HEADER.min(bytes.len())));
        Self { path: segment::path(folder, sequence), sequence, bytes, length, last }
    }

    pub fn damage(&self, offset: usize, what: impl Into<String>) -> Damage {
        let file = self.path.clone();
        Damage { file, offset: offset as u64, what: what.into(), lost: false }
    }

    /// The header; none when the file is what a crash during its creation leaves.
    pub fn header(&self) -> Result<Option<Header>, Damage> {
        match Header::decode(&self.bytes) {
            Ok(header) if header.sequence == self.sequence => Ok(Some(header)),
            Ok(header) => Err(self.damage(
                0,
                format!("expected segment {}, found segment {}", self.sequence, header.sequence),
            )),
            // Groups go into a segment only after its header is durable.
            Err(_) if self.last && self.bytes.len() <= HEADER => Ok(None),
            Err(what) => Err(self.damage(0, what)),
        }
    }

    /// What stands at this offset.
    pub fn next(&self, at: usize, expected: Expected, faults: &Faults) -> Next {
        if at >= self.bytes.len() {
            return Next::End;
        }
        let Some(group) = record::group_at(&self.bytes, self.sequence, at) else {
            return self.without_group_record(at, expected);
        };
        if !expected.admits(group.number) {
            let (wanted, found) = (expected.number(), group.number);
            let damage = self.damage(at, format!("expected group {wanted}, found group {found}"));
            let resume = self.later_group(at, wanted);
            return Next::Damaged { damage, resume };
        }
        let end = at + GROUP_RECORD + group.body as usize;
        let mut records = self.records(at, end, true);
        // Oracle: storage-recovery. What did not arrive of a torn write is taken for zeros.
        if records.is_err() && planted!(faults, "recovery-skips-checksum") {
            records = self.records(at, end, false).or(records);
        }
        match records {
            // Oracle: durability. The last write is taken for torn, though it was acknowledged.
            Ok(_)
                if planted!(faults, "storage-drops-tail-record")
                    && self.last
                    && end == self.bytes.len() =>
            {
                Next::End
            }
            Ok((records, state)) => {
                Next::Group(ReadGroup { number: group.number, at, end, records, state })
            }
            Err(bad) => self.without_records(at, end, group, bad),
        }
    }

    /// All records of the group from `at` to `end`, or where and why there are not.
    #[expect(clippy::type_complexity, reason = "a group's parts, or the place of the fault")]
    fn records(
        &self,
        at: usize,
        end: usize,
        check: bool,
    ) -> Result<(Vec<(usize, Record)>, State), (usize, BadRecord)> {
        let mut records = Vec::new();
        let mut offset = at + GROUP_RECORD;
        let group = self.bytes.get(..end).ok_or((at, BadRecord::Damaged))?;
        while offset + 1 < end {
            let place = (self.sequence, offset);
            let (record, size) =
                record::record_at(group, place, check).map_err(|bad| (offset, bad))?;
            records.push((offset, record));
            offset += size;
        }
        if offset + 1 != end || group[offset] != MARK {
            return Err((offset, BadRecord::Damaged));
        }
        match records.pop() {
            Some((_, Record::State(state))) => Ok((records, state)),
            _ => Err((at, BadRecord::Nonsense("a group without the state at its end"))),
        }
    }

    /// Where the next group after `at` begins whose number is at least this.
    fn later_group(&self, at: usize, least: u64) -> Option<usize> {
        (at + 1..self.bytes.len()).find(|&offset| {
            record::group_at(&self.bytes, self.sequence, offset)
                .is_some_and(|group| group.number >= least)
        })
    }

    /// The record that should begin a group at `at` is unreadable.
    fn without_group_record(&self, at: usize, expected: Expected) -> Next {
        let number = expected.number();
        let what = format!("expected the record of group {number}, whose checksum matches");
        let later = self.later_group(at, number + 1);
        let follows = match later {
            Some(later) => format!("{what}; a later group follows at byte {later}"),
            None if !self.last => format!("{what}; a later segment follows"),
            None => match self.bytes.get(at..at + GROUP_RECORD) {
                Some(head) if !interrupted(head, at, 0) => what,
                _ => return Next::End,
            },
        };
        Next::Damaged { damage: self.damage(at, follows), resume: later }
    }

    /// The record of the group from `at` to `end` is good and something after it is not.
    fn without_records(
        &self,
        at: usize,
        end: usize,
        group: Group,
        (offset, bad): (usize, BadRecord),
    ) -> Next {
        let nonsense = matches!(bad, BadRecord::Nonsense(_));
        let what = match bad {
            BadRecord::Damaged => {
                format!("expected a record of group {}, whose checksum matches", group.number)
            }
            BadRecord::Nonsense(what) => format!("expected a record of format 2, found {what}"),
        };
        let later = Some(end).filter(|end| *end < self.bytes.len());
        let what = match (later, self.bytes.get(at..end)) {
            (Some(later), _) => format!("{what}; a later write follows at byte {later}"),
            (None, _) if !self.last => format!("{what}; a later segment follows"),
            (None, Some(bytes))
                if nonsense || !interrupted(bytes, at, group.zero_sectors as usize) =>
            {
                what
            }
            _ => return Next::End,
        };
        Next::Damaged { damage: self.damage(offset, what), resume: later }
    }
}

/// Whether bytes that end in a mark and begin at `at` of the file look like a write of which not
/// everything arrived: more zeroed pieces of a sector than `zero_by_right`, or zero for the mark.
fn interrupted(bytes: &[u8], at: usize, zero_by_right: usize) -> bool {
    let base = at as u64 % SECTOR;
    bytes.last() == Some(&0) || record::zero_sectors(bytes, base) > zero_by_right
}
