//! Joining a pool by what people write: names, addresses, with or without a port (spec cluster 1.18,
//! 7.7).
//!
//! `start_join` is tried once, and the agent does not start when it brings nobody; `retry_join` is tried
//! until it brings somebody, or `retry_max` times. Both leave the join itself to the pool.

use crate::agent::{Failure, Reply, Request};
use crate::base::runtime::{Level, Runtime};
use crate::base::{Duration, go_duration};
use crate::config;
use crate::gossip::JoinReport;

use super::mailbox::Handle;

/// How a pool is joined at the start, and kept being tried.
#[derive(Clone, Debug)]
pub(super) struct RetryJoin {
    pub addresses: Vec<String>,
    pub wan: bool,
    /// For addresses that have none.
    pub port: u16,
    pub interval: Duration,
    /// 0: for ever.
    pub attempts_max: u64,
}

/// Joins a pool through these.
pub(super) async fn join<R: Runtime>(
    runtime: &R,
    handle: &Handle,
    addresses: &[String],
    wan: bool,
    port: u16,
) -> Result<JoinReport, Failure> {
    let mut resolved = Vec::new();
    let mut errors = Vec::new();
    for text in addresses {
        match config::resolve(runtime, text, port).await {
            Ok(found) => resolved.extend(found),
            Err(error) => errors.push(error.to_string()),
        }
    }
    if resolved.is_empty() {
        return Ok(JoinReport { contacted: 0, errors });
    }
    match handle.ask(Request::Join { addresses: resolved, wan }).await? {
        Reply::Joined(mut report) => {
            report.errors.extend(errors);
            Ok(report)
        }
        _ => Err(Failure::ShuttingDown),
    }
}

/// Joins until somebody is there. None: it gave up.
pub(super) async fn retry_join<R: Runtime>(
    runtime: &R,
    handle: &Handle,
    wanted: &RetryJoin,
) -> Option<()> {
    let (pool, wan) = if wanted.wan { ("WAN", true) } else { ("LAN", false) };
    say(runtime, Level::Info, &format!("Joining cluster...: cluster={pool}"));
    let mut attempt = 0;
    loop {
        let report = join(runtime, handle, &wanted.addresses, wan, wanted.port).await;
        let why = match report {
            Ok(report) if report.contacted > 0 => {
                let count = report.contacted;
                let text = "Join cluster completed. Synced with initial agents";
                say(runtime, Level::Info, &format!("{text}: cluster={pool} num_agents={count}"));
                return Some(());
            }
            Ok(report) => report.errors.join("; "),
            Err(Failure::ShuttingDown) => return Some(()),
            Err(failure) => failure.to_string(),
        };
        attempt += 1;
        if wanted.attempts_max > 0 && attempt >= wanted.attempts_max {
            let text = format!("max join retry exhausted, exiting: cluster={pool}");
            say(runtime, Level::Error, &text);
            return None;
        }
        let interval = go_duration::format(wanted.interval);
        let text = "Join cluster failed, will retry";
        let text = format!("{text}: cluster={pool} retry_interval={interval} error=\"{why}\"");
        say(runtime, Level::Warn, &text);
        runtime.sleep(wanted.interval).await;
    }
}

fn say<R: Runtime>(runtime: &R, level: Level, text: &str) {
    runtime.log(level, "agent", format_args!("{text}"));
}
