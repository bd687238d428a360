//! Writing an archive.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{META, STATE, SUMS, checksum, meta};
use crate::base::WallTime;
use crate::raft::SnapshotMeta;

/// The archive of a snapshot whose state comes in these pieces, saved at `now`. The size in the meta
/// data is that of the pieces, whatever `meta` says.
///
/// The state is in memory at once: its size stands before it, twice.
///
/// # Errors
/// None in practice: what it writes to is memory.
pub fn write(
    meta: &SnapshotMeta,
    now: WallTime,
    state: impl IntoIterator<Item = Vec<u8>>,
) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for piece in state {
        bytes.extend_from_slice(&piece);
    }
    let id = format!("{}-{}-{}", meta.term, meta.index, now.0 / 1_000_000);
    let meta = SnapshotMeta { size: bytes.len() as u64, ..meta.clone() };
    let meta = meta::encode(&id, &meta);
    let sums = format!("{}  {META}\n{}  {STATE}\n", checksum(&meta), checksum(&bytes));

    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    append(&mut archive, META, &meta, now)?;
    append(&mut archive, STATE, &bytes, now)?;
    append(&mut archive, SUMS, sums.as_bytes(), now)?;
    archive.into_inner()?.finish()
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    content: &[u8],
    now: WallTime,
) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(content.len() as u64);
    header.set_mtime(u64::try_from(now.0 / 1_000_000_000).unwrap_or(0));
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    archive.append(&header, content)
}
