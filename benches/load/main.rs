//! What one agent bears: requests a second, memory, and how soon ten thousand waiting readers are answered.
//!
//! ```text
//! cargo bench -p proconsul --bench load [-- SECONDS] [--json]
//! cargo bench -p proconsul --bench load -- --writers [SECONDS]   # what a put costs each server
//! cargo test  -p proconsul --bench load             # everything once, small, in a few seconds
//! ```
//!
//! ```text
//!   this process ── 1, 32 and 64 keep-alive connections ──► the leader of three servers on loopback, data on disk
//!                ── 10,000 connections, one query each ───► a server by itself
//!                ── 10,000 services, 100,000 keys ────────► servers by themselves; RSS from /proc
//! ```
//!
//! Each connection asks one thing at a time and counts an answer when it has read all of it. Every answer
//! must be 200. The health rows read a service whose instances are on nodes of their own, with one check
//! each. Waiting readers are answered one by one, so the time until the last one counts the reading, too.
//!
//! Figures, not judgements: nothing here passes or fails by them.

mod client;
mod crowd;
mod servers;
mod writers;

use std::io;
use std::thread;
use std::time::Duration;

use client::Client;
use crowd::{Ask, ask_for};
use servers::{Servers, now, pause};

/// How much of everything.
struct Size {
    span: Duration,
    connections: &'static [usize],
    services: usize,
    keys: usize,
    waiting: usize,
}

const WHOLE: Size = Size {
    span: Duration::from_secs(3),
    connections: &[1, 32, 64],
    services: 10_000,
    keys: 100_000,
    waiting: 10_000,
};

const AS_TEST: Size = Size {
    span: Duration::from_millis(100),
    connections: &[1, 4],
    services: 100,
    keys: 500,
    waiting: 150,
};

/// One figure, ready to be printed.
struct Row {
    what: String,
    connections: usize,
    per_second: f64,
    p50_us: u64,
    p99_us: u64,
}

const ASKS: &[(&str, Ask)] = &[
    ("KV put", |who, turn| {
        ("PUT", format!("/v1/kv/bench/{who}/{}", turn % 100), "0123456789abcdef".to_owned())
    }),
    ("KV get", |who, turn| {
        ("GET", format!("/v1/kv/read/{}", (who * 7 + turn) % 100), String::new())
    }),
    ("KV get, consistent", |who, turn| {
        ("GET", format!("/v1/kv/read/{}?consistent", (who * 7 + turn) % 100), String::new())
    }),
    ("KV get, stale", |who, turn| {
        ("GET", format!("/v1/kv/read/{}?stale", (who * 7 + turn) % 100), String::new())
    }),
    ("health, 3 instances", |_, _| ("GET", "/v1/health/service/few".to_owned(), String::new())),
    ("health, 100 instances", |_, _| ("GET", "/v1/health/service/many".to_owned(), String::new())),
    // Last: what it leaves behind must not be in the way of the others.
    ("register a service", |who, turn| {
        ("PUT", "/v1/agent/service/register".to_owned(), service(&format!("load-{who}"), turn))
    }),
];

fn service(name: &str, number: usize) -> String {
    format!(
        "{{\"ID\":\"{name}-{number}\",\"Name\":\"{name}\",\"Port\":{},\"Tags\":[\"v1\"]}}",
        1 + number % 60_000
    )
}

fn throughput(size: &Size) -> io::Result<Vec<Row>> {
    let servers = Servers::start(3)?;
    let at = servers.leader();
    let mut client = Client::connect(at)?;
    for key in 0..100 {
        client.ok("PUT", &format!("/v1/kv/read/{key}"), "0123456789abcdef")?;
    }
    for (name, count) in [("few", 3), ("many", 100)] {
        for node in 0..count {
            let check = format!(
                "{{\"CheckID\":\"service:{name}\",\"Name\":\"alive\",\"Status\":\"passing\",\"ServiceID\":\"{name}\"}}"
            );
            let body = format!(
                "{{\"Node\":\"{name}-{node}\",\"Address\":\"10.0.0.{node}\",\
                 \"Service\":{{\"Service\":\"{name}\",\"Port\":80}},\"Check\":{check}}}"
            );
            client.ok("PUT", "/v1/catalog/register", &body)?;
        }
    }
    let mut rows = Vec::new();
    for (what, ask) in ASKS {
        let mut from = 0;
        for &connections in size.connections {
            // Every second of three is measured after one that warms up; ids go on where it ended.
            from += ask_for(at, connections, size.span / 6, from, *ask).each.len();
            let took = ask_for(at, connections, size.span, from, *ask);
            from += took.each.len();
            rows.push(Row {
                what: (*what).to_owned(),
                connections,
                per_second: took.per_second(),
                p50_us: took.percentile(50) / 1000,
                p99_us: took.percentile(99) / 1000,
            });
        }
    }
    Ok(rows)
}

/// Resident memory in kB before and after so many of these have been put.
fn memory(count: usize, ask: Ask) -> io::Result<(u64, u64)> {
    let servers = Servers::start(1)?;
    let at = servers.leader();
    let before = servers.resident_kb(0);
    let threads: Vec<_> = (0..8)
        .map(|who| {
            #[expect(clippy::disallowed_methods, reason = "filling one by one takes too long")]
            thread::spawn(move || {
                let mut client = Client::connect(at).expect("a connection");
                for number in (who..count).step_by(8) {
                    let (method, path, body) = ask(who, number);
                    client.ok(method, &path, &body).expect("an answer");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("a client"));
    Ok((before, servers.resident_kb(0)))
}

/// Time from one write until the last of so many blocking queries is answered; resident memory in kB
/// while all of them wait.
fn wake(count: usize) -> io::Result<(Duration, u64)> {
    let servers = Servers::start(1)?;
    let at = servers.leader();
    let mut writer = Client::connect(at)?;
    writer.ok("PUT", "/v1/kv/watched", "before")?;
    let index = writer.index("/v1/kv/watched")?;
    let path = format!("/v1/kv/watched?index={index}&wait=10m");
    let mut readers = Vec::new();
    for _ in 0..count {
        let mut reader = Client::connect(at)?;
        reader.send("GET", &path, "")?;
        readers.push(reader);
        // The kernel's queue of connections that are not accepted yet is short.
        if readers.len() % 64 == 0 {
            writer.ok("GET", "/v1/status/leader", "")?;
        }
    }
    // All of them are served by the time that one that came after them is, and a little later wait.
    pause(Duration::from_millis(500));
    let resident = servers.resident_kb(0);
    let begun = now();
    writer.ok("PUT", "/v1/kv/watched", "after")?;
    for reader in &mut readers {
        let body = reader.answer()?;
        assert!(body.contains("YWZ0ZXI="), "the value that was written: {body}");
    }
    Ok((begun.elapsed(), resident))
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    // `cargo bench` says so; without it, a test runs this to see that it runs.
    let mut size = if has("--bench") { WHOLE } else { AS_TEST };
    if let Some(seconds) = arguments.iter().find_map(|argument| argument.parse().ok()) {
        size.span = Duration::from_secs(seconds);
    }
    if has("--writers") || !has("--bench") {
        writers::measure(size.span)?;
    }
    if has("--writers") {
        return Ok(());
    }
    let as_json = has("--json");
    let rows = throughput(&size)?;
    let services = memory(size.services, |_, number| {
        ("PUT", "/v1/agent/service/register".to_owned(), service("kept", number))
    })?;
    let keys = memory(size.keys, |_, number| {
        ("PUT", format!("/v1/kv/kept/{number:06}"), "0123456789abcdef".to_owned())
    })?;
    let (woken, waiting_kb) = wake(size.waiting)?;
    if as_json {
        print_json(&rows);
        println!(
            "{{\"services\":{},\"services_kb\":[{},{}],\"keys\":{},\"keys_kb\":[{},{}],\
             \"waiting\":{},\"waiting_kb\":{waiting_kb},\"last_answered_us\":{}}}",
            size.services,
            services.0,
            services.1,
            size.keys,
            keys.0,
            keys.1,
            size.waiting,
            woken.as_micros()
        );
        return Ok(());
    }
    println!("what                    connections   requests/s    p50 ms    p99 ms");
    for row in &rows {
        println!(
            "{:<24}{:>11} {:>12.0} {:>9.2} {:>9.2}",
            row.what,
            row.connections,
            row.per_second,
            row.p50_us as f64 / 1000.0,
            row.p99_us as f64 / 1000.0
        );
    }
    let mb = |kb: u64| kb as f64 / 1024.0;
    for (what, count, (before, after)) in
        [("services", size.services, services), ("keys", size.keys, keys)]
    {
        println!("{count} {what}: {:.1} MB resident, {:.1} MB before", mb(after), mb(before));
    }
    println!(
        "{} blocking queries: {:.1} MB resident while they wait; one write, and the last is answered after {:.0} ms",
        size.waiting,
        mb(waiting_kb),
        woken.as_secs_f64() * 1000.0
    );
    Ok(())
}

/// One object a line.
fn print_json(rows: &[Row]) {
    for row in rows {
        println!(
            "{{\"what\":\"{}\",\"connections\":{},\"per_second\":{:.0},\"p50_us\":{},\"p99_us\":{}}}",
            row.what, row.connections, row.per_second, row.p50_us, row.p99_us
        );
    }
}
