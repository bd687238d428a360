//! `/v1/agent/host` (spec api 2.2): the machine, in the shape of the Go library gopsutil.

use std::collections::BTreeMap;

use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::base::machine::{DiskSpace, Machine};
use crate::http::Backend;
use crate::http::endpoint::Call;
use crate::http::reply::Refusal;

#[derive(Serialize)]
struct HostJson {
    #[serde(rename = "Memory")]
    memory: Map<String, Value>,
    #[serde(rename = "CPU")]
    cpu: Vec<Value>,
    #[serde(rename = "Host")]
    host: Value,
    #[serde(rename = "Disk")]
    disk: Value,
    #[serde(rename = "CollectionTime")]
    collection_time: i64,
    #[serde(rename = "Errors")]
    errors: Option<Vec<String>>,
}

/// GET.
pub(super) async fn handle<B: Backend>(call: Call<B>) -> Result<Response, Refusal> {
    let machine = call.backend.machine();
    Ok(call.json(&HostJson {
        memory: memory(&machine.memory),
        cpu: machine.processors.iter().map(processor).collect(),
        host: host(&machine),
        disk: disk(&machine.disk),
        collection_time: call.backend.wall_clock().0,
        errors: Some(machine.errors).filter(|errors| !errors.is_empty()),
    }))
}

/// The library's names for the kernel's.
const MEMORY: [(&str, &str); 20] = [
    ("total", "MemTotal"),
    ("available", "MemAvailable"),
    ("free", "MemFree"),
    ("active", "Active"),
    ("inactive", "Inactive"),
    ("buffers", "Buffers"),
    ("writeback", "Writeback"),
    ("dirty", "Dirty"),
    ("writebacktmp", "WritebackTmp"),
    ("shared", "Shmem"),
    ("slab", "Slab"),
    ("sreclaimable", "SReclaimable"),
    ("sunreclaim", "SUnreclaim"),
    ("pagetables", "PageTables"),
    ("swapcached", "SwapCached"),
    ("commitlimit", "CommitLimit"),
    ("committedas", "Committed_AS"),
    ("swaptotal", "SwapTotal"),
    ("swapfree", "SwapFree"),
    ("mapped", "Mapped"),
];

fn memory(kernel: &BTreeMap<String, u64>) -> Map<String, Value> {
    let get = |name: &str| kernel.get(name).copied().unwrap_or(0);
    let mut rows: Map<String, Value> =
        MEMORY.iter().map(|(name, of)| ((*name).to_owned(), get(of).into())).collect();
    let cached = get("Cached") + get("SReclaimable");
    let used = get("MemTotal").saturating_sub(get("MemFree") + get("Buffers") + cached);
    rows.insert("cached".to_owned(), cached.into());
    rows.insert("used".to_owned(), used.into());
    rows.insert("usedPercent".to_owned(), percent(used, get("MemTotal")).into());
    rows
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}

fn processor(kernel: &BTreeMap<String, String>) -> Value {
    let get = |name: &str| kernel.get(name).map_or("", String::as_str);
    let number = |name: &str| get(name).split(' ').next().and_then(|it| it.parse::<i64>().ok());
    json!({
        "cpu": number("processor").unwrap_or(0),
        "vendorId": get("vendor_id"),
        "family": get("cpu family"),
        "model": get("model"),
        "stepping": number("stepping").unwrap_or(0),
        "physicalId": get("physical id"),
        "coreId": get("core id"),
        "cores": 1,
        "modelName": get("model name"),
        "mhz": get("cpu MHz").parse::<f64>().unwrap_or(0.0),
        "cacheSize": number("cache size").unwrap_or(0),
        "flags": get("flags").split_whitespace().collect::<Vec<_>>(),
        "microcode": get("microcode"),
    })
}

fn host(machine: &Machine) -> Value {
    let [platform, family, version] = &machine.platform;
    json!({
        "hostname": machine.hostname,
        "uptime": machine.uptime_s,
        "bootTime": machine.booted_s,
        "procs": machine.processes,
        "os": std::env::consts::OS,
        "platform": platform,
        "platformFamily": family,
        "platformVersion": version,
        "kernelVersion": machine.kernel_version,
        "kernelArch": std::env::consts::ARCH,
        "virtualizationSystem": "",
        "virtualizationRole": "",
        "hostid": "",
    })
}

fn disk(disk: &DiskSpace) -> Value {
    let inodes_used = disk.inodes_total.saturating_sub(disk.inodes_free);
    json!({
        "path": "/",
        "fstype": disk.fstype,
        "total": disk.total,
        "free": disk.free,
        "used": disk.used,
        "usedPercent": percent(disk.used, disk.used.saturating_add(disk.free)),
        "inodesTotal": disk.inodes_total,
        "inodesUsed": inodes_used,
        "inodesFree": disk.inodes_free,
        "inodesUsedPercent": percent(inodes_used, disk.inodes_total),
    })
}
