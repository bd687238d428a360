//! The machine and this process, as `/proc` describes them.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use crate::base::machine::{DiskSpace, Machine};

/// What of the machine can be found out; the rest is an error in the answer.
pub(super) fn look() -> Machine {
    let mut errors = Vec::new();
    let mut read = |path: &str| {
        fs::read_to_string(path).unwrap_or_else(|error| {
            errors.push(format!("{path}: {error}"));
            String::new()
        })
    };
    let line = |text: String| text.trim_end().to_owned();
    let hostname = line(read("/proc/sys/kernel/hostname"));
    let kernel_version = line(read("/proc/sys/kernel/osrelease"));
    let uptime = read("/proc/uptime");
    let uptime_s = uptime.split('.').next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let booted = read("/proc/stat");
    let booted = booted.lines().find_map(|line| line.strip_prefix("btime "));
    let memory = memory(&read("/proc/meminfo"));
    let processors = processors(&read("/proc/cpuinfo"));
    let platform = platform(&read("/etc/os-release"));
    let mounts = read("/proc/self/mounts");
    let disk = disk(&mounts).unwrap_or_else(|error| {
        errors.push(format!("/: {error}"));
        DiskSpace::default()
    });
    Machine {
        hostname,
        platform,
        kernel_version,
        uptime_s,
        booted_s: booted.and_then(|text| text.parse().ok()).unwrap_or(0),
        processes: processes(),
        memory,
        processors,
        disk,
        errors,
    }
}

fn processes() -> u64 {
    let Ok(entries) = fs::read_dir("/proc") else { return 0 };
    let names = entries.flatten().map(|entry| entry.file_name());
    let is_process = |name: &std::ffi::OsString| {
        name.to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    };
    names.filter(is_process).count() as u64
}

/// `MemTotal:  8000 kB`, as bytes.
fn memory(text: &str) -> BTreeMap<String, u64> {
    let rows = text.lines().filter_map(|line| {
        let (name, rest) = line.split_once(':')?;
        let mut words = rest.split_whitespace();
        let number: u64 = words.next()?.parse().ok()?;
        let unit = if words.next() == Some("kB") { 1024 } else { 1 };
        Some((name.to_owned(), number.saturating_mul(unit)))
    });
    rows.collect()
}

fn processors(text: &str) -> Vec<BTreeMap<String, String>> {
    let rows = |block: &str| -> BTreeMap<String, String> {
        let pairs = block.lines().filter_map(|line| line.split_once(':'));
        pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
    };
    let blocks = text.split("\n\n").map(rows);
    blocks.filter(|block| block.contains_key("processor")).collect()
}

fn platform(text: &str) -> [String; 3] {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches('"').to_owned()
    };
    let (id, like) = (field("ID"), field("ID_LIKE"));
    let family = like.split(' ').next().filter(|like| !like.is_empty()).unwrap_or(&id).to_owned();
    [id, family, field("VERSION_ID")]
}

fn disk(mounts: &str) -> io::Result<DiskSpace> {
    // The last one mounted there is the one that is seen.
    let mut root = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        (words.next() == Some("/")).then(|| words.next()).flatten()
    });
    let found = rustix::fs::statvfs("/")?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(DiskSpace {
        fstype: root.next_back().unwrap_or_default().to_owned(),
        total: bytes(found.f_blocks),
        free: bytes(found.f_bavail),
        used: bytes(found.f_blocks.saturating_sub(found.f_bfree)),
        inodes_total: found.f_files,
        inodes_free: found.f_ffree,
    })
}

/// Memory that this process holds, bytes; 0 where that cannot be found out.
pub(super) fn memory_held() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    memory(&status).get("VmRSS").copied().unwrap_or(0)
}
