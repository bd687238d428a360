//! Reading a snapshot into a store.

use std::fmt;

use super::scan::{Record, Scan};
use super::{
    ALL_KEYS_ROW, AUTOPILOT, CHUNKING_STATE, COORDINATE_BATCH_UPDATE, INDEX, KVS, KindCount,
    PREPARED_QUERY, REGISTER, SESSION, TOMBSTONE, TREE_FLAG, kind_name,
};
use crate::base::LogIndex;
use crate::state::{Grave, Rebuild, RebuildError, StateStore};
use crate::wire::msgpack::{self, DecodeError};
use crate::wire::{autopilot, catalog, coordinate, kv, prepared_query, session};

/// Why bytes are no snapshot that can be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// They are no snapshot, or not all of one.
    Decode(DecodeError),
    /// A record of a kind that no release of Consul has.
    UnknownKind {
        /// Where its body begins.
        offset: usize,
        /// The message type.
        kind: u8,
    },
    /// A record that the store cannot hold.
    Row {
        /// Where its body begins.
        offset: usize,
        /// Why.
        error: RebuildError,
    },
    /// All records together make no store.
    Store(RebuildError),
    /// The store has no place for records of these kinds.
    Lost(Vec<KindCount>),
}

impl From<DecodeError> for SnapshotError {
    fn from(error: DecodeError) -> Self {
        SnapshotError::Decode(error)
    }
}

impl fmt::Display for SnapshotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotError::Decode(error) => write!(f, "the snapshot cannot be decoded: {error}"),
            SnapshotError::UnknownKind { offset, kind } => {
                write!(f, "unrecognized msg type {kind} in the snapshot (at byte {offset})")
            }
            SnapshotError::Row { offset, error } => {
                write!(f, "the snapshot contradicts itself: {error} (at byte {offset})")
            }
            SnapshotError::Store(error) => write!(f, "the snapshot contradicts itself: {error}"),
            SnapshotError::Lost(kinds) => {
                let shown: Vec<String> =
                    kinds.iter().map(|it| format!("{} {}", it.count, it.name())).collect();
                write!(
                    f,
                    "restoring would lose {} records, which this version does not store; \
                     restore the snapshot where they are known",
                    shown.join(", ")
                )
            }
        }
    }
}

impl std::error::Error for SnapshotError {}

/// Takes the bytes of a snapshot as they come.
#[derive(Debug, Default)]
pub struct Reader {
    scan: Scan,
    rows: Rows,
}

/// What the records say.
#[derive(Debug, Default)]
struct Rows {
    rebuild: Rebuild,
    /// Records that the store has no place for, in the order of their kinds.
    lost: Vec<KindCount>,
}

impl Reader {
    /// Nothing has come.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes more bytes.
    ///
    /// # Errors
    /// These are no records that the store can hold. Records that it has no place for are told at the
    /// end, when all are known.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let Self { scan, rows } = self;
        scan.push(bytes, |record| rows.add(&record))
    }

    /// The store.
    ///
    /// # Errors
    /// Bytes are missing, rows contradict each other, or records would be lost.
    pub fn finish(self) -> Result<StateStore, SnapshotError> {
        let census = self.scan.finish()?;
        if !self.rows.lost.is_empty() {
            return Err(SnapshotError::Lost(self.rows.lost));
        }
        self.rows.rebuild.finish(LogIndex(census.last_index)).map_err(SnapshotError::Store)
    }
}

impl Rows {
    fn add(&mut self, record: &Record<'_>) -> Result<(), SnapshotError> {
        let offset = record.offset;
        let placed = |error: DecodeError| DecodeError { offset: offset + error.offset, ..error };
        let row = |error| SnapshotError::Row { offset, error };
        let mut reader = msgpack::Reader::new(record.body);
        match record.kind {
            REGISTER => {
                let what = catalog::read_register(&mut reader).map_err(placed)?;
                self.rebuild.registration(what).map_err(row)?;
            }
            COORDINATE_BATCH_UPDATE => {
                for it in coordinate::read_batch(&mut reader).map_err(placed)? {
                    self.rebuild.coordinate(it).map_err(row)?;
                }
            }
            AUTOPILOT => {
                let it = autopilot::read_configuration(&mut reader).map_err(placed)?;
                self.rebuild.autopilot(it).map_err(row)?;
            }
            SESSION => {
                let it = session::read_session(&mut reader).map_err(placed)?;
                self.rebuild.session(it).map_err(row)?;
            }
            PREPARED_QUERY => {
                let it = prepared_query::read_query(&mut reader).map_err(placed)?;
                self.rebuild.prepared_query(it).map_err(row)?;
            }
            KVS => {
                let entry = kv::read_entry(&mut reader).map_err(placed)?;
                self.rebuild.entry(entry).map_err(row)?;
            }
            TOMBSTONE => {
                let stone = kv::read_entry(&mut reader).map_err(placed)?;
                let tree = stone.flags & TREE_FLAG != 0;
                let grave = if tree { Grave::Tree } else { Grave::Key };
                self.rebuild.tombstone(grave, &stone.key, stone.modify_index).map_err(row)?;
            }
            INDEX => {
                let (name, index) = read_index(&mut reader).map_err(placed)?;
                match name {
                    "kvs" | "tombstones" => self.rebuild.index(index),
                    ALL_KEYS_ROW => self.rebuild.tombstone(Grave::Tree, "", index).map_err(row)?,
                    name if self.rebuild.index_row(name, index) => {}
                    _ => self.lose(record),
                }
            }
            CHUNKING_STATE if is_empty_chunking(&mut reader).map_err(placed)? => {}
            kind if kind_name(kind).is_none() => {
                return Err(SnapshotError::UnknownKind { offset, kind });
            }
            _ => self.lose(record),
        }
        Ok(())
    }

    fn lose(&mut self, record: &Record<'_>) {
        let (kind, bytes) = (record.kind, 1 + record.body.len() as u64);
        match self.lost.binary_search_by_key(&kind, |it| it.kind) {
            Ok(at) => {
                self.lost[at].count += 1;
                self.lost[at].bytes += bytes;
            }
            Err(at) => self.lost.insert(at, KindCount { kind, count: 1, bytes }),
        }
    }
}

fn read_index<'a>(reader: &mut msgpack::Reader<'a>) -> Result<(&'a str, u64), DecodeError> {
    let (mut name, mut index) = ("", 0);
    reader.map(|reader, key| {
        match key {
            b"Key" => name = reader.str()?,
            b"Value" => index = reader.u64()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok((name, index))
}

/// Whether no command is left in pieces.
fn is_empty_chunking(reader: &mut msgpack::Reader<'_>) -> Result<bool, DecodeError> {
    let mut empty = true;
    reader.map(|reader, key| match key {
        b"ChunkMap" => reader.map(|reader, _| {
            empty = false;
            reader.skip()
        }),
        _ => reader.skip(),
    })?;
    Ok(empty)
}
