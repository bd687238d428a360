//! `[[workload]]` (language section 8).

use proconsul::base::Duration;

use super::model::{EventWorkload, KvMix, KvWorkload, Modes, Target, Via, Workload, WorkloadKind};
use super::reader::Reader;
use super::target::Setting;
use super::tree::{Item, Kind, Table};
use super::words;
use super::workload_kinds;

/// A workload whose `between` may still be "the whole run".
#[derive(Clone, Debug)]
pub struct WorkloadDraft {
    /// Its `between` is filled in when the length of the run is known.
    pub workload: Workload,
    /// As written.
    pub between: Option<(Duration, Duration)>,
}

/// Reads one `[[workload]]`.
pub fn workload(reader: &mut Reader, table: &Table) -> Option<WorkloadDraft> {
    let Some(kind) = table.get("kind") else {
        reader.advise(table.place, "this workload has no `kind`", "write kind = \"kv\"");
        return None;
    };
    let kind = reader.word(kind, "`kind`", words::WORKLOAD_KINDS)?;
    reader.keys(table, "[[workload]]", workload_kinds::keys(&kind));
    let users = number(reader, table, "users", 1, 1000);
    let per_minute = table.get("rate").and_then(|item| reader.rate(item, "`rate`")).unwrap_or(600);
    let between = table.get("between").and_then(|item| reader.window(item, "`between`"));
    let timeout = table.get("timeout").and_then(|item| {
        let timeout = reader.duration(item, "`timeout`");
        if timeout == Some(Duration::ZERO) {
            reader.error(item.place, "`timeout` must be longer than nothing");
        }
        timeout
    });
    let workload = Workload {
        users: users as u32,
        per_minute,
        between: between.unwrap_or_default(),
        via: table
            .get("via")
            .and_then(|item| via(reader, item))
            .unwrap_or(Via::Target(Target::ServerAny)),
        timeout: timeout.unwrap_or(Duration::from_secs(5)),
        kind: match kind.as_str() {
            "event" => WorkloadKind::Event(event(reader, table)),
            "kv" => WorkloadKind::Kv(kv(reader, table)),
            other => workload_kinds::plan(reader, table, other)?,
        },
    };
    Some(WorkloadDraft { workload, between })
}

/// A number of things, at least one.
pub fn number(reader: &mut Reader, table: &Table, key: &str, default: u64, most: u64) -> u64 {
    let item = table.get(key);
    item.and_then(|item| reader.integer(item, &format!("`{key}`"), 1, most)).unwrap_or(default)
}

fn via(reader: &mut Reader, item: &Item) -> Option<Via> {
    match &item.kind {
        Kind::Text(text) if text.text == "sticky" => Some(Via::Sticky),
        _ => reader.target(item, "`via`", Setting::Plain).map(Via::Target),
    }
}

/// Serf lets name and payload together have 512 bytes; the name is short.
const MOST_EVENT_BYTES: u64 = 400;

fn event(reader: &mut Reader, table: &Table) -> EventWorkload {
    let mut event = EventWorkload { size_bytes: 16 };
    if let Some(item) = table.get("size") {
        match reader.size(item, "`size`") {
            Some(bytes) if bytes > MOST_EVENT_BYTES => {
                let message = format!("a user event carries at most {MOST_EVENT_BYTES} bytes");
                reader.error(item.place, message);
            }
            Some(bytes) => event.size_bytes = bytes as usize,
            None => {}
        }
    }
    event
}

fn kv(reader: &mut Reader, table: &Table) -> KvWorkload {
    let keys = number(reader, table, "keys", 5, 100_000) as u32;
    let mut kv = KvWorkload {
        keys,
        mix: KvMix { get: 5, put: 4, delete: 0, cas: 1, list: 0 },
        consistency: Modes { default: 1, consistent: 0, stale: 0 },
        value_bytes: 16,
    };
    if let Some(item) = table.get("mix") {
        let weights = reader.weights(item, "`mix`", words::KV_MIX);
        let of = |name| weight(&weights, name);
        kv.mix = KvMix {
            get: of("get"),
            put: of("put"),
            delete: of("delete"),
            cas: of("cas"),
            list: of("list"),
        };
    }
    if let Some(item) = table.get("consistency") {
        let weights = match item.kind {
            Kind::Table(_) => reader.weights(item, "`consistency`", words::CONSISTENCY),
            _ => {
                let mode = reader.word(item, "`consistency`", words::CONSISTENCY);
                mode.into_iter().map(|mode| (mode, 1)).collect()
            }
        };
        let of = |name| weight(&weights, name);
        kv.consistency =
            Modes { default: of("default"), consistent: of("consistent"), stale: of("stale") };
    }
    if let Some(item) = table.get("value") {
        match reader.size(item, "`value`") {
            Some(0) => {
                reader.error(item.place, "a value of zero bytes cannot be told from another")
            }
            Some(bytes) if bytes > 1 << 20 => {
                reader
                    .error(item.place, "a value is at most 1 MB (Consul refuses more than 512 KB)");
            }
            Some(bytes) => kv.value_bytes = bytes as usize,
            None => {}
        }
    }
    kv
}

fn weight(weights: &[(String, u64)], name: &str) -> u64 {
    weights.iter().find(|(word, _)| word == name).map_or(0, |(_, weight)| *weight)
}
