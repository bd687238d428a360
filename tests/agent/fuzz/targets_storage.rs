//! What is read from disks, users and whole files: snapshots, archives, log segments, configuration.

use std::collections::BTreeMap;
use std::io::Write;

use proconsul::base::WallTime;
use proconsul::config::flags::parse;
use proconsul::config::{AGENT_FLAGS, AgentConfig};
use proconsul::wire::{archive, snapshot};

use super::targets::way;
use super::{Target, corpus};
use crate::persist_disk::MemoryDisk;
use crate::persist_model::{FOLDER, open};
use crate::wire_snapshot::{restored, whole};

pub const ALL: &[Target] = &[
    Target { name: "snapshot", run: a_snapshot, corpus: corpus::snapshots },
    Target { name: "archive", run: an_archive, corpus: corpus::archives },
    Target { name: "archive_tar", run: a_tar, corpus: corpus::tars },
    Target { name: "archive_meta", run: meta, corpus: corpus::metas },
    Target { name: "log_segment", run: segment, corpus: corpus::segments },
    Target { name: "log_sealed", run: sealed_segment, corpus: corpus::segments },
    Target { name: "config", run: config, corpus: corpus::configs },
    Target { name: "config_hcl", run: config_hcl, corpus: corpus::configs_hcl },
    Target { name: "definition", run: crate::http_local::promises, corpus: corpus::definitions },
];

fn a_snapshot(bytes: &[u8]) -> String {
    let at_once = restored(bytes);
    let mut reader = snapshot::Reader::new();
    let pushed = bytes.chunks(1 + bytes.len() / 7).try_for_each(|piece| reader.push(piece));
    let in_pieces = pushed.and_then(|()| reader.finish());
    assert_eq!(at_once, in_pieces, "pieces do not matter");
    match at_once {
        Err(snapshot::SnapshotError::Lost(kinds)) => format!("{} kinds lost", kinds.len().min(4)),
        Err(error) => way(&error),
        Ok(store) => {
            assert!(store.entries_after(None).count() <= bytes.len());
            let again = whole(&store);
            assert_eq!(restored(&again).as_ref(), Ok(&store));
            let census = snapshot::inspect(bytes).expect("it was restored");
            assert_eq!(census.bytes, bytes.len() as u64);
            format!("{} kinds", census.kinds.len().min(4))
        }
    }
}

fn an_archive(bytes: &[u8]) -> String {
    match archive::read(bytes) {
        Err(error) => way(&error),
        Ok(read) => {
            // Gzip packs at most about a thousand to one.
            assert!(read.state.len() <= 1100 * bytes.len());
            assert_eq!(read.meta.size, read.state.len() as u64);
            let again = archive::write(&read.meta, WallTime(0), [read.state.clone()]);
            let back = archive::read(&again.expect("memory")).expect("ours");
            assert_eq!((back.state, back.meta), (read.state, read.meta));
            format!("version {}", read.version)
        }
    }
}

fn a_tar(bytes: &[u8]) -> String {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(bytes).expect("memory");
    an_archive(&gzip.finish().expect("memory"))
}

/// The input as `meta.json` of an archive whose checksums match.
fn meta(bytes: &[u8]) -> String {
    use sha2::Digest;
    let sum = |bytes: &[u8]| -> String {
        sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let sums = format!("{}  meta.json\n{}  state.bin\n", sum(bytes), sum(b""));
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in
        [("meta.json", bytes), ("state.bin", b""), ("SHA256SUMS", sums.as_bytes())]
    {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content).expect("memory");
    }
    a_tar(&tar.into_inner().expect("memory"))
}

fn segment(bytes: &[u8]) -> String {
    let name = format!("{FOLDER}/0000000000000001.wal");
    let disk = MemoryDisk::holding(&BTreeMap::from([(name, bytes.to_vec())]));
    match open(&disk, 1 << 20) {
        Err(error) => way(&error),
        Ok((store, first)) => {
            assert!(first.entries.len() <= bytes.len());
            let indexes = first.entries.iter().zip(first.entries.iter().skip(1));
            assert!({ indexes }.all(|(one, next)| next.index.0 == one.index.0 + 1));
            let torn = store.recovered().torn_bytes;
            let (store, second) = open(&disk, 1 << 20).expect("it was opened before");
            assert_eq!((first.hard_state, first.entries), (second.hard_state, second.entries));
            assert_eq!(store.recovered().torn_bytes, 0, "what was torn has been cut off");
            format!("{} groups, torn: {}", store.recovered().groups.min(20), torn > 0)
        }
    }
}

/// The same with checksums that match again, so that what is behind them is reached.
fn sealed_segment(bytes: &[u8]) -> String {
    const HEADER: usize = 40;
    const FRAME: usize = 9;
    let mut bytes = bytes.to_vec();
    let Some(header) = bytes.get_mut(..HEADER) else { return segment(&bytes) };
    header[12..16].fill(0);
    let sum = crc32c::crc32c(header);
    header[12..16].copy_from_slice(&sum.to_le_bytes());
    let segment_number: [u8; 8] = header[16..24].try_into().expect("eight bytes");
    let mut at = HEADER;
    while let Some(frame) = bytes.get(at..at + FRAME) {
        let length: [u8; 4] = frame[..4].try_into().expect("four bytes");
        let end = at + FRAME + u32::from_le_bytes(length) as usize;
        let Some(payload) = bytes.get(at + FRAME..end) else { break };
        let offset = (at as u64).to_le_bytes();
        let place = [&segment_number[..], &offset[..], &length[..], &frame[8..]].concat();
        let sum = crc32c::crc32c_append(crc32c::crc32c(&place), payload);
        bytes[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
        // A group ends with a mark, which is no record.
        at = end + usize::from(bytes.get(end) == Some(&0xa5));
    }
    segment(&bytes)
}

/// HCL, and the settings in it.
fn config_hcl(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let flags = parse(AGENT_FLAGS, &["-dev".to_owned()]).expect("valid flags");
    match AgentConfig::from_parts(&[("a.hcl", &text)], &flags, "host1") {
        Err(error) => {
            assert!(error.line.is_none_or(|line| line <= text.lines().count() + 1), "{error}");
            assert!(!error.text.contains("not valid HCL") || error.column.is_some(), "{error}");
            // Behind these words stand the user's.
            let words: String = error.text.split(' ').take(8).collect();
            words.chars().filter(|char| !char.is_ascii_digit()).collect()
        }
        Ok(_) => "valid".to_owned(),
    }
}

fn config(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let flags = parse(AGENT_FLAGS, &["-dev".to_owned()]).expect("valid flags");
    match AgentConfig::from_parts(&[("a.json", &text)], &flags, "host1") {
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty());
            // Behind these words stand the user's.
            let words: String = text.split(' ').take(4).collect();
            words.chars().filter(|char| !char.is_ascii_digit()).collect()
        }
        Ok(_) => {
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(&text);
            assert!(parsed.is_ok() || text.trim().is_empty(), "taken, but no JSON: {text:?}");
            "valid".to_owned()
        }
    }
}
