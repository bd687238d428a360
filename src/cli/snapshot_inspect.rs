//! `snapshot inspect`: what an archive stands for, and what takes how much room in it (spec api 5.17).
//!
//! Needs no agent. `-kvdetails` counts keys by the beginning of their names.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::runtime::Runtime;
use crate::cli::command::{Command, Reach};
use crate::cli::snapshot::{file_argument, read_file};
use crate::cli::{Terminal, columns};
use crate::config::flags::{Flag, Takes};
use crate::wire::archive::{self, Archive};
use crate::wire::snapshot::RecordInfo;

pub(super) const COMMAND: Command = Command {
    path: "snapshot inspect",
    synopsis: "Displays information about a Consul snapshot file",
    usage: "Usage: consul snapshot inspect [options] FILE\n\n  \
        Displays information about a snapshot file on disk: what it stands for, and what takes how\n  \
        much room in it. Needs no agent.\n\n      \
        $ consul snapshot inspect backup.snap",
    flags: &[
        Flag {
            name: "format",
            takes: Takes::Text,
            help: "Output format: pretty or json. The default is pretty.",
        },
        Flag {
            name: "kvdepth",
            takes: Takes::Int,
            help: "How many parts of a key's name -kvdetails goes by. The default is 2.",
        },
        Flag {
            name: "kvdetails",
            takes: Takes::Bool,
            help: "Provides a detailed KV space usage breakdown for any KV data that's been stored.",
        },
        Flag {
            name: "kvfilter",
            takes: Takes::Text,
            help: "Filter KV keys using this prefix filter.",
        },
    ],
    reach: Reach::Nobody,
};

const DEFAULT_DEPTH: u64 = 2;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown<'a> {
    meta: MetaShown<'a>,
    stats: Vec<Share>,
    #[serde(rename = "StatsKV")]
    stats_kv: Option<Vec<Share>>,
    total_size: u64,
    #[serde(rename = "TotalSizeKV")]
    total_size_kv: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetaShown<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    size: u64,
    index: u64,
    term: u64,
    version: u64,
}

/// What one kind of record, or the keys of one prefix, take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Share {
    name: String,
    sum: u64,
    count: u64,
}

pub(super) async fn run<R: Runtime>(
    runtime: &R,
    args: &[String],
    terminal: &mut Terminal<'_>,
) -> Result<(), i32> {
    let flags = COMMAND.parse(args, terminal)?;
    let file = file_argument(&flags.rest, terminal)?;
    let format = flags.text("format").unwrap_or("pretty");
    let archive = read_file(runtime, file).await.map_err(|text| terminal.fail(text))?;
    let (archive, records) = archive::records(&archive)
        .map_err(|why| terminal.fail(format!("Error reading snapshot: {why}")))?;
    let stats_kv = (flags.switch("kvdetails") == Some(true)).then(|| {
        let depth = flags.number("kvdepth").unwrap_or(DEFAULT_DEPTH);
        shares_of_keys(&records, flags.text("kvfilter").unwrap_or_default(), depth)
    });
    let shown = shown(&archive, shares_of_kinds(&records), stats_kv);
    match format {
        "pretty" => terminal.line(pretty(&shown)),
        "json" => terminal.line(json(&shown)),
        other => {
            let text = format!("Unknown format: {other}");
            let text = format!("Error outputting enhanced snapshot data: {text}");
            return Err(terminal.fail(text));
        }
    }
    Ok(())
}

fn shown(archive: &Archive, stats: Vec<Share>, stats_kv: Option<Vec<Share>>) -> Shown<'_> {
    let total = |shares: &[Share]| shares.iter().map(|share| share.sum).sum();
    Shown {
        meta: MetaShown {
            id: &archive.id,
            size: archive.meta.size,
            index: archive.meta.index.0,
            term: archive.meta.term.0,
            version: archive.version,
        },
        total_size: total(&stats),
        total_size_kv: stats_kv.as_deref().map_or(0, total),
        stats,
        stats_kv,
    }
}

fn shares_of_kinds(records: &[RecordInfo]) -> Vec<Share> {
    counted(records.iter().map(|record| (record.kind.clone(), record.size)))
}

fn shares_of_keys(records: &[RecordInfo], filter: &str, depth: u64) -> Vec<Share> {
    let keys = records.iter().filter_map(|record| Some((record.key.as_deref()?, record.size)));
    let depth = usize::try_from(depth).unwrap_or(usize::MAX);
    let prefix = |key: &str| key.split('/').take(depth).collect::<Vec<_>>().join("/");
    counted(keys.filter(|(key, _)| key.starts_with(filter)).map(|(key, size)| (prefix(key), size)))
}

/// The largest first.
fn counted(sizes: impl Iterator<Item = (String, u64)>) -> Vec<Share> {
    let mut shares: BTreeMap<String, Share> = BTreeMap::new();
    for (name, size) in sizes {
        let share = shares.entry(name).or_insert_with_key(|name| Share {
            name: name.clone(),
            sum: 0,
            count: 0,
        });
        share.sum += size;
        share.count += 1;
    }
    let mut shares: Vec<Share> = shares.into_values().collect();
    shares.sort_by(|a, b| b.sum.cmp(&a.sum).then_with(|| a.name.cmp(&b.name)));
    shares
}

/// Go's `json.MarshalIndent` with three spaces.
fn json(shown: &Shown<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"   ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    shown.serialize(&mut serializer).expect("names are strings and memory takes all bytes");
    text
}

fn pretty(shown: &Shown<'_>) -> String {
    let meta = &shown.meta;
    let head = [
        ("ID", meta.id.to_owned()),
        ("Size", meta.size.to_string()),
        ("Index", meta.index.to_string()),
        ("Term", meta.term.to_string()),
        ("Version", meta.version.to_string()),
    ];
    let head: Vec<Vec<String>> = head.map(|(name, value)| vec![format!(" {name}"), value]).to_vec();
    let mut text = columns(&head);
    text.push_str("\n\n");
    text.push_str(&columns(&rows("Type", &shown.stats, shown.total_size)));
    if let Some(stats) = &shown.stats_kv {
        text.push_str("\n\n");
        text.push_str(&columns(&rows("Key Name", stats, shown.total_size_kv)));
    }
    text
}

fn rows(title: &str, shares: &[Share], total: u64) -> Vec<Vec<String>> {
    let row = |name: &str, count: &str, size: &str| {
        vec![format!(" {name}"), count.to_owned(), size.to_owned()]
    };
    let mut rows = vec![row(title, "Count", "Size"), row("----", "----", "----")];
    for share in shares {
        rows.push(row(&share.name, &share.count.to_string(), &byte_size(share.sum)));
    }
    rows.push(row("----", "----", "----"));
    rows.push(row("Total", "", &byte_size(total)));
    rows
}

/// `1.7KB`, `344B`, `0`: one decimal, unless it is zero.
fn byte_size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 5] = [("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10), ("B", 0)];
    let Some((unit, shift)) = UNITS.into_iter().find(|(_, shift)| bytes >> shift > 0) else {
        return "0".to_owned();
    };
    // Tenths of the unit, the exact half to the even one, as Go rounds.
    let scaled = u128::from(bytes) * 10;
    let (tenths, rest) = (scaled >> shift, scaled & ((1 << shift) - 1));
    let half = (1_u128 << shift) >> 1;
    let up = shift > 0 && (rest > half || rest == half && tenths % 2 == 1);
    let tenths = tenths + u128::from(up);
    match tenths % 10 {
        0 => format!("{}{unit}", tenths / 10),
        tenth => format!("{}.{tenth}{unit}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 1, 344, 1023, 1024, 1536, 1741, 1 << 20, 5 << 40];
        let texts = ["0", "1B", "344B", "1023B", "1KB", "1.5KB", "1.7KB", "1MB", "5TB"];
        assert_eq!(sizes.map(byte_size), texts);
    }

    #[test]
    fn keys_are_counted_by_the_beginning_of_their_names() {
        let record = |key: &str| RecordInfo {
            kind: "KVS".to_owned(),
            key: Some(key.to_owned()),
            size: key.len() as u64,
        };
        let mut records = ["a/b/c", "a/b/d", "a", "x/y"].map(record).to_vec();
        records.push(RecordInfo { kind: "Session".to_owned(), key: None, size: 100 });
        let names = |filter, depth| -> Vec<(String, u64)> {
            let shares = shares_of_keys(&records, filter, depth);
            shares.into_iter().map(|share| (share.name, share.count)).collect()
        };
        let owned = |name: &str, count| (name.to_owned(), count);
        assert_eq!(names("", 2), [owned("a/b", 2), owned("x/y", 1), owned("a", 1)]);
        assert_eq!(names("a/", 1), [owned("a", 2)]);
        assert_eq!(shares_of_kinds(&records)[0].name, "Session");
    }
}
