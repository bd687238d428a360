//! InstallSnapshot: the request says what the snapshot stands for; its bytes follow raw.
//!
//! ```text
//!   2 │ { Configuration, ConfigurationIndex, LastLogIndex, LastLogTerm, Leader, Peers,
//!         ProtocolVersion, Size, SnapshotVersion, Term } │ Size raw bytes │
//! ```
//!
//! `Configuration` is the set of servers encoded once more; `Peers` is the same in the old form, which
//! only counts in snapshots of version 0. Moving the bytes is the driver's: it writes them after
//! [`encode_request`](super::encode_request), and takes [`Received::following`](super::Received) of
//! them off the stream after [`decode_request`](super::decode_request).

use super::header::Header;
use super::request::Reading;
use super::{decode_configuration, decode_peers, encode_configuration, encode_peers};
use crate::base::{LogIndex, ServerAddress, Term};
use crate::raft::{Configuration, InstallSnapshot, SnapshotMeta};
use crate::wire::msgpack::{DecodeError, Reader, Writer};

/// The version of what this agent sends: with ids and suffrages. 0 knew addresses only.
const SNAPSHOT_VERSION: u64 = 1;

pub(super) fn write(install: &InstallSnapshot, header: &Header, writer: &mut Writer<'_>) {
    let SnapshotMeta { index, term, configuration, configuration_index, size } = &install.snapshot;
    header.begin(9, writer);
    writer.key("Configuration").bytes(&encode_configuration(configuration));
    writer.key("ConfigurationIndex").uint(configuration_index.0);
    header.id(writer);
    writer.key("LastLogIndex").uint(index.0);
    writer.key("LastLogTerm").uint(term.0);
    writer.key("Leader").str(install.leader.as_str());
    writer.key("Peers").bytes(&encode_peers(configuration));
    header.version(writer);
    header.signed("Size", *size, writer);
    header.signed("SnapshotVersion", SNAPSHOT_VERSION, writer);
    writer.key("Term").uint(install.term.0);
}

pub(super) fn read(
    reading: &mut Reading,
    reader: &mut Reader<'_>,
) -> Result<InstallSnapshot, DecodeError> {
    let mut install = InstallSnapshot {
        term: Term(0),
        leader: ServerAddress::from(""),
        snapshot: SnapshotMeta::default(),
    };
    let (mut version, mut configuration, mut peers): (_, &[u8], &[u8]) = (0, &[], &[]);
    reader.map(|reader, key| {
        let snapshot = &mut install.snapshot;
        match key {
            b"Term" => install.term = Term(reader.u64()?),
            b"Leader" => install.leader = ServerAddress::from(reader.str()?),
            b"LastLogIndex" => snapshot.index = LogIndex(reader.u64()?),
            b"LastLogTerm" => snapshot.term = Term(reader.u64()?),
            b"ConfigurationIndex" => snapshot.configuration_index = LogIndex(reader.u64()?),
            b"Size" => snapshot.size = reader.i64_not_negative()?,
            b"SnapshotVersion" => version = reader.i64_not_negative()?,
            b"Configuration" => configuration = reader.bytes()?,
            b"Peers" => peers = reader.bytes()?,
            _ => reading.header.read(key, reader)?,
        }
        Ok(())
    })?;
    install.leader = reading.named(install.leader);
    reading.following = install.snapshot.size;
    let servers = match version {
        0 => decode_peers(peers),
        SNAPSHOT_VERSION => decode_configuration(configuration),
        other => {
            reading.refuse(format!("unsupported snapshot version {other}"));
            return Ok(install);
        }
    };
    // These bytes are whole though what they hold may not be: more of the stream would not mend them.
    install.snapshot.configuration = servers.unwrap_or_else(|error| {
        reading.refuse(format!("the servers of a snapshot cannot be decoded: {error}"));
        Configuration::default()
    });
    Ok(install)
}
