//! Reading and checking an archive.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::{Archive, ArchiveError, MAX_STATE_BYTES, META, STATE, SUMS, checksum, meta};

/// What an archive may have beside the state: the other members, headers, padding.
const MAX_OTHER_BYTES: u64 = 2 << 20;

/// The three members as they are there.
#[derive(Default)]
struct Members<'a> {
    meta: Option<&'a [u8]>,
    state: Option<&'a [u8]>,
    sums: Option<&'a [u8]>,
}

/// Reads an archive and checks all of it.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(bytes: &[u8]) -> Result<Archive, ArchiveError> {
    let plain = decompress(bytes)?;
    let members = members(&plain)?;
    let meta = members.meta.ok_or(ArchiveError::Missing(META))?;
    let state = members.state.ok_or(ArchiveError::Missing(STATE))?;
    verify(members.sums.ok_or(ArchiveError::Missing(SUMS))?, meta, state)?;
    let (version, id, meta) = meta::decode(meta)?;
    let found = state.len() as u64;
    if meta.size != found {
        return Err(ArchiveError::Size { announced: meta.size, found });
    }
    Ok(Archive { id, version, meta, state: state.to_vec() })
}

fn decompress(bytes: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    // As Go says it; the decoder takes nothing for the archive of nothing.
    if bytes.is_empty() {
        return Err(ArchiveError::Gzip("EOF".to_owned()));
    }
    let limit = MAX_STATE_BYTES + MAX_OTHER_BYTES;
    let mut plain = Vec::new();
    MultiGzDecoder::new(bytes)
        .take(limit + 1)
        .read_to_end(&mut plain)
        .map_err(|error| ArchiveError::Gzip(error.to_string()))?;
    if plain.len() as u64 > limit {
        return Err(ArchiveError::TooLarge { limit });
    }
    Ok(plain)
}

fn members(plain: &[u8]) -> Result<Members<'_>, ArchiveError> {
    let damaged = |error: std::io::Error| ArchiveError::Tar(error.to_string());
    let mut members = Members::default();
    let mut archive = tar::Archive::new(plain);
    for entry in archive.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let (slot, known) = match name.as_str() {
            META => (&mut members.meta, META),
            STATE => (&mut members.state, STATE),
            SUMS => (&mut members.sums, SUMS),
            _ => return Err(ArchiveError::Unexpected(name)),
        };
        let range = usize::try_from(entry.raw_file_position())
            .ok()
            .and_then(|start| Some(start..start.checked_add(usize::try_from(entry.size()).ok()?)?));
        let cut = || ArchiveError::Tar(format!("it ends inside {known:?}"));
        let content = range.and_then(|range| plain.get(range)).ok_or_else(cut)?;
        if slot.replace(content).is_some() {
            return Err(ArchiveError::Twice(known));
        }
    }
    Ok(members)
}

/// Compares every line of the list with what is there, and wants one for each of both members.
fn verify(sums: &[u8], meta: &[u8], state: &[u8]) -> Result<(), ArchiveError> {
    let mut unlisted = vec![(META, meta), (STATE, state)];
    for (number, line) in sums.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let parts = std::str::from_utf8(line).ok().and_then(|line| line.split_once("  "));
        let Some((sum, name)) = parts.filter(|(sum, _)| is_checksum(sum)) else {
            return Err(ArchiveError::BadList { line: number + 1 });
        };
        let Some(at) = unlisted.iter().position(|(listed, _)| *listed == name) else {
            return Err(ArchiveError::ListedButMissing(name.to_owned()));
        };
        let (known, content) = unlisted.remove(at);
        if !sum.eq_ignore_ascii_case(&checksum(content)) {
            return Err(ArchiveError::Checksum(known));
        }
    }
    unlisted.first().map_or(Ok(()), |(known, _)| Err(ArchiveError::Unlisted(known)))
}

fn is_checksum(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
