//! THE PLACE TO CONNECT: what HTTP, the command line and the snapshot stream between servers need of
//! a snapshot's archive. Everything else about its bytes is behind these five functions.
//!
//! ```text
//!   StateStore ── pack ──► archive ── unpack ──► Archive { meta, state }
//!                             └────── records ─► what `snapshot inspect` counts
//! ```
//!
//! The form in here is provisional: a magic and one messagepack map, so that the ways to it can be
//! built and tested. It is to be replaced by `wire::archive` (gzip of a tar of `meta.json`, `state.bin`
//! and `SHA256SUMS`) and `wire::snapshot` (Consul's records). It keeps keys, values, flags and the
//! indexes of the last change, not the indexes of creation.
//!
//! The texts of errors are Consul's up to the first colon: scripts and tests look for them.

use std::fmt;

use crate::base::{Faults, LogIndex, Term};
use crate::raft::{Configuration, SnapshotMeta};
use crate::state::{Command, KvCommand, KvEntry, Query, Rows, StateStore};

use super::kv;
use super::msgpack::{DecodeError, Reader, Writer};
use super::raft::{decode_configuration, encode_configuration};

const MAGIC: &[u8] = b"proconsul provisional archive\n";

/// What an archive says about itself (its `meta.json`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveMeta {
    /// `TERM-INDEX-UNIXMS`.
    pub id: String,
    /// What it stands for; with the size of the encoded state.
    pub snapshot: SnapshotMeta,
    /// Of the form: 1.
    pub version: u64,
}

/// An archive, read and verified.
#[derive(Clone, Debug)]
pub struct Archive {
    /// About it.
    pub meta: ArchiveMeta,
    /// What is in it.
    pub state: StateStore,
}

/// One record of the encoded state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Consul's name of its type: `KVS`, `Tombstone` …
    pub kind: &'static str,
    /// The key, of a record of type `KVS`.
    pub key: Option<String>,
    /// Bytes.
    pub size: u64,
}

/// Why bytes are no archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveError {
    /// Not compressed as an archive is.
    Decompress(String),
    /// Anything else.
    Read(String),
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArchiveError::Decompress(why) => write!(f, "failed to decompress snapshot: {why}"),
            ArchiveError::Read(why) => write!(f, "failed to read snapshot file: {why}"),
        }
    }
}

impl std::error::Error for ArchiveError {}

/// The archive of a state, in pieces; `unix_ms` is when it was taken.
pub fn pack(
    snapshot: &SnapshotMeta,
    unix_ms: i64,
    state: &StateStore,
) -> impl Iterator<Item = Vec<u8>> + Send + use<> {
    let mut out = MAGIC.to_vec();
    let mut writer = Writer::new(&mut out);
    writer.map(6);
    writer.key("Configuration").bytes(&encode_configuration(&snapshot.configuration));
    writer.key("ConfigurationIndex").uint(snapshot.configuration_index.0);
    writer.key("Entries");
    let entries = entries(state);
    writer.array(entries.len());
    for entry in &entries {
        kv::write_entry(entry, &mut writer);
    }
    writer.key("Index").uint(snapshot.index.0);
    writer.key("Term").uint(snapshot.term.0);
    writer.key("UnixMs").uint(u64::try_from(unix_ms).unwrap_or(0));
    std::iter::once(out)
}

/// How many bytes the encoded state has.
#[must_use]
pub fn encoded_size(state: &StateStore) -> u64 {
    entries(state).iter().map(entry_size).sum()
}

/// Reads and verifies an archive.
///
/// # Errors
/// What is wrong with it.
pub fn unpack(archive: &[u8]) -> Result<Archive, ArchiveError> {
    let (meta, mut entries) = read(archive)?;
    entries.sort_by_key(|entry| entry.modify_index);
    let mut state = StateStore::new();
    for KvEntry { key, value, flags, modify_index, .. } in entries {
        let index = LogIndex(modify_index);
        if index <= state.applied() || index > meta.snapshot.index {
            return Err(ArchiveError::Read(format!("an entry's index {index} is out of order")));
        }
        let set = Command::Kv(KvCommand::Set { key, value, flags });
        state.apply(index, &set, &Faults::none());
    }
    state.advance_to(meta.snapshot.index);
    Ok(Archive { meta, state })
}

/// Reads and verifies an archive, and lists its records.
///
/// # Errors
/// What is wrong with it.
pub fn records(archive: &[u8]) -> Result<(ArchiveMeta, Vec<Record>), ArchiveError> {
    let (meta, entries) = read(archive)?;
    let record = |entry: KvEntry| {
        let size = entry_size(&entry);
        Record { kind: "KVS", key: Some(entry.key), size }
    };
    Ok((meta, entries.into_iter().map(record).collect()))
}

fn entries(state: &StateStore) -> Vec<KvEntry> {
    match state.query(&Query::KvList { prefix: String::new() }).rows {
        Rows::Entries(entries) => entries,
        Rows::Keys(_) => Vec::new(),
    }
}

fn entry_size(entry: &KvEntry) -> u64 {
    let mut bytes = Vec::new();
    kv::write_entry(entry, &mut Writer::new(&mut bytes));
    bytes.len() as u64
}

fn read(archive: &[u8]) -> Result<(ArchiveMeta, Vec<KvEntry>), ArchiveError> {
    let body = archive
        .strip_prefix(MAGIC)
        .ok_or_else(|| ArchiveError::Decompress("invalid header".to_owned()))?;
    read_body(body).map_err(|error| ArchiveError::Read(error.to_string()))
}

fn read_body(body: &[u8]) -> Result<(ArchiveMeta, Vec<KvEntry>), DecodeError> {
    let mut reader = Reader::new(body);
    let mut snapshot = SnapshotMeta::default();
    let mut configuration = Configuration::default();
    let (mut entries, mut unix_ms) = (Vec::new(), 0);
    reader.map(|reader, key| {
        match key {
            b"Configuration" => configuration = decode_configuration(reader.bytes()?)?,
            b"ConfigurationIndex" => snapshot.configuration_index = LogIndex(reader.u64()?),
            b"Entries" => reader.array(|reader| {
                entries.push(kv::read_entry(reader)?);
                Ok(())
            })?,
            b"Index" => snapshot.index = LogIndex(reader.u64()?),
            b"Term" => snapshot.term = Term(reader.u64()?),
            b"UnixMs" => unix_ms = reader.u64()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    reader.finish()?;
    snapshot.configuration = configuration;
    snapshot.size = entries.iter().map(entry_size).sum();
    let id = format!("{}-{}-{unix_ms}", snapshot.term, snapshot.index);
    Ok((ArchiveMeta { id, snapshot, version: 1 }, entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_and_junk_is_named() {
        let mut state = StateStore::new();
        for (index, key) in [(3, "b"), (5, "a"), (9, "b")] {
            let value = bytes::Bytes::from(format!("{key}{index}"));
            let set = Command::Kv(KvCommand::Set { key: key.to_owned(), value, flags: index });
            state.apply(LogIndex(index), &set, &Faults::none());
        }
        let snapshot = SnapshotMeta { index: LogIndex(12), term: Term(2), ..Default::default() };
        let archive: Vec<u8> = pack(&snapshot, 77, &state).flatten().collect();
        let found = unpack(&archive).expect("whole");
        assert_eq!(found.meta.id, "2-12-77");
        assert_eq!(found.meta.snapshot.size, encoded_size(&state));
        assert_eq!(found.state.applied(), LogIndex(12));
        assert_eq!(entries(&found.state).len(), 2);
        assert_eq!(records(&archive).expect("whole").1[1].key.as_deref(), Some("b"));
        let junk = unpack(b"junk").expect_err("junk").to_string();
        assert!(junk.starts_with("failed to decompress snapshot: "), "{junk}");
        let cut = unpack(&archive[..archive.len() - 1]).expect_err("cut").to_string();
        assert!(cut.starts_with("failed to read snapshot file: "), "{cut}");
    }
}
