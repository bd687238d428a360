//! The keys of the workloads over sessions, locks, watches, transactions and the catalog (language
//! section 8), with their defaults.

use proconsul::base::Duration;

use crate::history::request::{Behavior, Watched};

use super::lookup;
use super::model::{
    CatalogWorkload, HealthWorkload, LockWorkload, SERVICES, SessionWorkload, Span, TxnWorkload,
    WatchWorkload, WorkloadKind,
};
use super::reader::Reader;
use super::tree::Table;
use super::words;
use super::workload::number;

/// Consul's bounds of a TTL, with its default `session_ttl_min`.
const TTL: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(86_400));
/// A transaction has at most so many operations.
const MOST_OPS: u64 = 64;

/// The keys that a kind has.
pub fn keys(kind: &str) -> words::Words {
    match kind {
        "event" => words::EVENT,
        "lock" => words::LOCK,
        "session" => words::SESSION,
        "catalog" => words::CATALOG,
        "health" => words::HEALTH,
        "watch" => words::WATCH,
        "txn" => words::TXN,
        "dns" => words::DNS,
        _ => words::KV,
    }
}

/// What users of that kind do; none for `kv` and `event`, which have readers of their own.
pub fn plan(reader: &mut Reader, table: &Table, kind: &str) -> Option<WorkloadKind> {
    let count = |reader: &mut Reader, key: &str, default, most| {
        number(reader, table, key, default, most) as u32
    };
    Some(match kind {
        "lock" => WorkloadKind::Lock(LockWorkload {
            keys: count(reader, "keys", 2, 1000),
            hold: hold(reader, table),
            ttl: ttl(reader, table),
        }),
        "session" => WorkloadKind::Session(SessionWorkload {
            ttl: ttl(reader, table),
            behavior: match word(reader, table, "behavior", words::BEHAVIORS).as_deref() {
                Some("delete") => Behavior::Delete,
                _ => Behavior::Release,
            },
        }),
        "catalog" => WorkloadKind::Catalog(CatalogWorkload {
            services: count(reader, "services", SERVICES, 1000),
            instances: count(reader, "instances", 2, 1000),
        }),
        "health" => WorkloadKind::Health(HealthWorkload {
            services: count(reader, "services", SERVICES, 1000),
            flap: flap(reader, table),
        }),
        "watch" => WorkloadKind::Watch(WatchWorkload {
            on: match word(reader, table, "on", words::WATCHED).as_deref() {
                Some("service") => Watched::Service,
                Some("nodes") => Watched::Nodes,
                Some("checks") => Watched::Checks,
                Some("event") => Watched::Event,
                _ => Watched::Kv,
            },
        }),
        "txn" => WorkloadKind::Txn(TxnWorkload {
            keys: count(reader, "keys", 5, 1000),
            ops: count(reader, "ops", 3, MOST_OPS),
        }),
        "dns" => WorkloadKind::Dns(lookup::workload(reader, table)),
        _ => return None,
    })
}

fn word(reader: &mut Reader, table: &Table, key: &str, known: words::Words) -> Option<String> {
    reader.word(table.get(key)?, &format!("`{key}`"), known)
}

fn hold(reader: &mut Reader, table: &Table) -> Span {
    let (low, high) = (Duration::from_secs(1), Duration::from_secs(3));
    let given = table.get("hold").and_then(|item| reader.span(item, "`hold`"));
    given.unwrap_or(Span { low, high })
}

fn ttl(reader: &mut Reader, table: &Table) -> Duration {
    let Some(item) = table.get("ttl") else { return TTL.0 };
    let Some(ttl) = reader.duration(item, "`ttl`") else { return TTL.0 };
    if ttl < TTL.0 || ttl > TTL.1 {
        reader.error(item.place, "`ttl` must be from 10s to 24h, which is what Consul accepts");
    }
    ttl
}

fn flap(reader: &mut Reader, table: &Table) -> Span {
    let (low, high) = (Duration::from_secs(5), Duration::from_secs(5));
    let default = Span { low, high };
    let Some(item) = table.get("flap") else { return default };
    let flap = reader.span(item, "`flap`").unwrap_or(default);
    if flap.low == Duration::ZERO {
        reader.error(item.place, "`flap` must be longer than nothing");
    }
    flap
}
