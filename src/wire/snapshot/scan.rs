//! Walking over a snapshot record by record, as its bytes come, and counting what is there.

use super::reader::SnapshotError;
use super::{KVS, kind_name};
use crate::wire::kv;
use crate::wire::msgpack::{DecodeError, Fault, Reader, streamed};

/// What a snapshot holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// The last entry that is in it.
    pub last_index: u64,
    /// All bytes.
    pub bytes: u64,
    /// Each kind of record that is there, in the order of their message types.
    pub kinds: Vec<KindCount>,
}

/// The records of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindCount {
    /// The message type.
    pub kind: u8,
    /// How many there are.
    pub count: u64,
    /// Their bytes, with that of the type. The header counts with the first record, as in Consul, so
    /// that the sum over all kinds is the whole.
    pub bytes: u64,
}

impl KindCount {
    /// The name of the kind.
    #[must_use]
    pub fn name(&self) -> String {
        kind_name(self.kind).map_or_else(|| format!("Unknown({})", self.kind), str::to_owned)
    }
}

impl Census {
    fn count(&mut self, kind: u8, bytes: u64) {
        let at = match self.kinds.binary_search_by_key(&kind, |it| it.kind) {
            Ok(at) => at,
            Err(at) => {
                self.kinds.insert(at, KindCount { kind, count: 0, bytes: 0 });
                at
            }
        };
        self.kinds[at].count += 1;
        self.kinds[at].bytes += bytes;
    }
}

/// What a snapshot holds, of kinds known and unknown.
///
/// # Errors
/// Bytes that are no snapshot.
pub fn inspect(bytes: &[u8]) -> Result<Census, SnapshotError> {
    let mut scan = Scan::default();
    scan.push(bytes, |_| Ok(()))?;
    scan.finish()
}

/// One record, for whoever lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordInfo {
    /// Consul's name of its kind: `KVS`, `Tombstone` …
    pub kind: String,
    /// The key, of a record of kind `KVS`.
    pub key: Option<String>,
    /// Bytes, with that of the type; the header counts with the first record, as in [`KindCount`].
    pub size: u64,
}

/// All records of a snapshot, of kinds known and unknown.
///
/// # Errors
/// Bytes that are no snapshot.
pub fn records(bytes: &[u8]) -> Result<Vec<RecordInfo>, SnapshotError> {
    let mut found: Vec<RecordInfo> = Vec::new();
    let mut scan = Scan::default();
    let mut counted = 0;
    scan.push(bytes, |record| {
        let end = (record.offset + record.body.len()) as u64;
        let key = match record.kind {
            KVS => Some(kv::read_entry(&mut Reader::new(record.body))?.key),
            _ => None,
        };
        let kind = KindCount { kind: record.kind, count: 1, bytes: 0 }.name();
        found.push(RecordInfo { kind, key, size: end - counted });
        counted = end;
        Ok(())
    })?;
    scan.finish()?;
    Ok(found)
}

/// One record.
pub(super) struct Record<'a> {
    /// Its message type.
    pub kind: u8,
    /// What follows the type.
    pub body: &'a [u8],
    /// Where that begins, in bytes from the start of the snapshot.
    pub offset: usize,
}

/// Takes bytes, gives records.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// What has come and is not yet a whole record.
    rest: Vec<u8>,
    /// Where that begins.
    offset: usize,
    has_header: bool,
    /// Bytes that are counted with the next record.
    uncounted: u64,
    census: Census,
}

impl Scan {
    /// Adds bytes, and hands over each record that is whole by now. After an error the rest stays
    /// where it is: whatever is tried then fails again.
    pub fn push(
        &mut self,
        bytes: &[u8],
        mut record: impl FnMut(Record<'_>) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        self.rest.extend_from_slice(bytes);
        let mut at = 0;
        let result = loop {
            match self.step(at, &mut record) {
                Ok(Some(used)) => at += used,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.rest.drain(..at);
        self.offset += at;
        result
    }

    /// One header or record from here on; how many bytes it has, none while it is not whole.
    fn step(
        &mut self,
        at: usize,
        record: &mut impl FnMut(Record<'_>) -> Result<(), SnapshotError>,
    ) -> Result<Option<usize>, SnapshotError> {
        let rest = &self.rest[at..];
        if rest.is_empty() {
            return Ok(None);
        }
        let offset = self.offset + at;
        let placed = |error: DecodeError| DecodeError { offset: offset + error.offset, ..error };
        let mut reader = Reader::new(rest);
        if !self.has_header {
            let mut last_index = 0;
            let read = reader.map(|reader, key| {
                match key {
                    b"LastIndex" => last_index = reader.u64()?,
                    _ => reader.skip()?,
                }
                Ok(())
            });
            if streamed(rest.len(), read).map_err(placed)?.is_none() {
                return Ok(None);
            }
            self.has_header = true;
            self.census.last_index = last_index;
            self.uncounted = reader.position() as u64;
            self.census.bytes = self.uncounted;
            return Ok(Some(reader.position()));
        }
        let read = reader.byte().and_then(|kind| Ok((kind, reader.value()?)));
        let Some((kind, body)) = streamed(rest.len(), read).map_err(placed)? else {
            return Ok(None);
        };
        record(Record { kind, body, offset: offset + 1 })?;
        let used = reader.position() as u64;
        self.census.bytes += used;
        self.census.count(kind, used + std::mem::take(&mut self.uncounted));
        Ok(Some(reader.position()))
    }

    /// What was there; there may be no more of a record than all of it.
    pub fn finish(self) -> Result<Census, SnapshotError> {
        if self.rest.is_empty() && self.has_header {
            return Ok(self.census);
        }
        let offset = self.offset + self.rest.len();
        Err(SnapshotError::Decode(DecodeError { offset, fault: Fault::Incomplete }))
    }
}
