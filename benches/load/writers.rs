//! What a put costs, and whom: writers that put small values at the leader.
//!
//! Prints, for 1 and for 64 writers: acknowledged puts a second, latency, and per put of each server the
//! processor time and the bytes written (from `/proc`), so that one sees where the time goes; and what
//! one fsync of a small append costs on that disk, which no write can undercut.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use crate::crowd::{Ask, ask_for};
use crate::servers::{Servers, now};

const PUT: Ask = |who, turn| {
    ("PUT", format!("/v1/kv/bench/{who}/{}", turn % 100), "0123456789abcdef".to_owned())
};

/// Processor time in ms and bytes handed to the disk, of a process.
fn used(pid: u32) -> (u64, u64) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let bytes = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    // 100 ticks a second on every Linux that matters.
    ((ticks(11) + ticks(12)) * 10, bytes.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Median ns of one small append with an fsync in this folder.
fn fsync_cost(folder: &Path) -> io::Result<u64> {
    let file = File::create(folder.join("probe"))?;
    let mut took = Vec::new();
    for at in 0..200u64 {
        let begun = now();
        file.write_all_at(&[1; 100], at * 100)?;
        file.sync_data()?;
        took.push(begun.elapsed().as_nanos() as u64);
    }
    took.sort_unstable();
    Ok(took[took.len() / 2])
}

/// Measures each number of writers for so long.
pub fn measure(span: Duration) -> io::Result<()> {
    let servers = Servers::start(3)?;
    let probe = tempfile::tempdir()?;
    let mut out = io::stdout().lock();
    let cost = fsync_cost(probe.path())? / 1000;
    writeln!(out, "disk      one append and fsync {cost} µs (median)")?;
    let at = servers.leader();
    for writers in [1, 64] {
        ask_for(at, writers, span / 5, 0, PUT);
        let before = servers.pids().into_iter().map(used).collect::<Vec<_>>();
        let took = ask_for(at, writers, span, 0, PUT);
        let after = servers.pids().into_iter().map(used).collect::<Vec<_>>();
        let puts = took.each.len() as f64;
        writeln!(
            out,
            "{writers:>2} writers {:>6.0} puts/s   latency ms: median {:.2}, p99 {:.2}",
            took.per_second(),
            took.percentile(50) as f64 / 1e6,
            took.percentile(99) as f64 / 1e6
        )?;
        for (number, (before, after)) in before.iter().zip(&after).enumerate() {
            let role = if servers.http(number) == at { "leader  " } else { "follower" };
            writeln!(
                out,
                "           n{} {role} {:>4.0} µs of processor and {:>5.0} bytes written a put",
                number + 1,
                (after.0 - before.0) as f64 * 1000.0 / puts,
                (after.1 - before.1) as f64 / puts
            )?;
        }
    }
    Ok(())
}
