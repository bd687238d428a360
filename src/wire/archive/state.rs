//! A store into an archive and back.

use super::{Archive, ArchiveError, read, write};
use crate::base::WallTime;
use crate::raft::SnapshotMeta;
use crate::state::StateStore;
use crate::wire::snapshot;

/// The archive of this state, saved at `now`: one piece for all.
///
/// # Panics
/// When there is no memory for it.
pub fn pack(
    snapshot: &SnapshotMeta,
    now: WallTime,
    state: StateStore,
) -> impl Iterator<Item = Vec<u8>> + Send + use<> {
    let archive = write(snapshot, now, snapshot::encode(state));
    std::iter::once(archive.expect("memory takes all bytes"))
}

/// Reads and checks an archive, and the state in it. Its index is that of the snapshot.
///
/// # Errors
/// What is wrong with it, or what would be lost by restoring it.
pub fn unpack(bytes: &[u8]) -> Result<(Archive, StateStore), ArchiveError> {
    let archive = read(bytes)?;
    let mut reader = snapshot::Reader::new();
    let state = reader.push(&archive.state).and_then(|()| reader.finish());
    let mut state = state.map_err(|error| ArchiveError::State(error.to_string()))?;
    if state.applied() < archive.meta.index {
        state.advance_to(archive.meta.index);
    }
    Ok((archive, state))
}

/// Reads and checks an archive, and lists the records of the state in it.
///
/// # Errors
/// What is wrong with it.
pub fn records(bytes: &[u8]) -> Result<(Archive, Vec<snapshot::RecordInfo>), ArchiveError> {
    let archive = read(bytes)?;
    let records = snapshot::records(&archive.state);
    let records = records.map_err(|error| ArchiveError::State(error.to_string()))?;
    Ok((archive, records))
}
