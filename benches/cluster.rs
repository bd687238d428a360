//! Load on the real agent: three processes of this build on loopback, with their data on the disk of
//! the temporary folder, and writers that put small values through the leader's HTTP port.
//!
//! ```text
//! cargo bench -p proconsul --bench cluster [-- SECONDS]
//! ```
//!
//! Prints, for 1 and for 64 writers: acknowledged puts per second, latency, and per put of each server
//! the processor time and the bytes written (from `/proc`), so that one sees where the time goes; and what
//! one fsync of a small append costs on that disk, which no write can undercut. Every put is one
//! request on a keep-alive connection, and is counted when its answer `true` has been read.
//!
//! Figures, not judgements: nothing here passes or fails.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A running server; killed when dropped.
struct Server {
    child: Child,
    http: SocketAddr,
    raft: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "real processes live in real time")]
fn pause(span: Duration) {
    thread::sleep(span);
}

/// A port that is free on 127.0.0.1 to .3, below the ephemeral range.
fn free_port(from: u16) -> u16 {
    (from..30_000)
        .find(|port| {
            (1..=3)
                .all(|host| TcpListener::bind(SocketAddr::from(([127, 0, 0, host], *port))).is_ok())
        })
        .expect("a free port")
}

fn start(folder: &Path) -> io::Result<Vec<Server>> {
    let server = free_port(17_000);
    let http = free_port(server + 1);
    let join = (1..=3).map(|host| format!("\"127.0.0.{host}:{server}\""));
    let join = join.collect::<Vec<_>>().join(", ");
    let started = (1..=3u8).map(|host| {
        let at = |port| SocketAddr::from(([127, 0, 0, host], port));
        let data = folder.join(format!("n{host}"));
        let config = folder.join(format!("n{host}.json"));
        fs::write(
            &config,
            format!(
                "{{ \"node_name\": \"n{host}\", \"bind_addr\": \"127.0.0.{host}\",\n\
                 \"client_addr\": \"127.0.0.{host}\", \"server\": true, \"bootstrap_expect\": 3,\n\
                 \"retry_join\": [{join}], \"data_dir\": \"{}\",\n\
                 \"ports\": {{ \"http\": {http}, \"server\": {server} }},\n\
                 \"performance\": {{ \"raft_multiplier\": 1 }}, \"log_level\": \"WARN\" }}",
                data.display()
            ),
        )?;
        let child = Command::new(env!("CARGO_BIN_EXE_proconsul"))
            .arg("agent")
            .arg(format!("-config-file={}", config.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Server { child, http: at(http), raft: at(server) })
    });
    started.collect()
}

/// A keep-alive connection that sends one request at a time.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream, buffer: vec![0; 4096] })
    }

    /// The body of the answer; its end is known from `Content-Length`.
    fn call(&mut self, method: &str, path: &str, body: &str) -> io::Result<String> {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: l\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        loop {
            let count = self.stream.read(&mut self.buffer)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            answer.extend_from_slice(&self.buffer[..count]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Ok(body.to_owned());
            }
        }
    }
}

/// The server that leads, once a write gets through.
fn leader(servers: &[Server]) -> usize {
    for _ in 0..600 {
        pause(Duration::from_millis(50));
        let Ok(mut client) = Client::connect(servers[0].http) else { continue };
        let Ok(told) = client.call("GET", "/v1/status/leader", "") else { continue };
        let named = servers.iter().position(|it| told.trim() == format!("\"{}\"", it.raft));
        let Some(at) = named else { continue };
        let written = Client::connect(servers[at].http)
            .and_then(|mut client| client.call("PUT", "/v1/kv/ready", "1"));
        if written.is_ok_and(|text| text.trim() == "true") {
            return at;
        }
    }
    panic!("no leader within 30 s");
}

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

/// Latencies of all acknowledged puts, in ns, and how long it took.
fn load(to: SocketAddr, writers: usize, span: Duration) -> (Vec<u64>, Duration) {
    let stop = Arc::new(AtomicBool::new(false));
    let begun = now();
    let threads: Vec<_> = (0..writers)
        .map(|writer| {
            let stop = stop.clone();
            #[expect(clippy::disallowed_methods, reason = "real writers write at the same time")]
            thread::spawn(move || {
                let mut client = Client::connect(to).expect("a connection");
                let mut took = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let path = format!("/v1/kv/bench/{writer}/{}", took.len() % 100);
                    let asked = now();
                    let answer = client.call("PUT", &path, "0123456789abcdef").expect("an answer");
                    assert_eq!(answer.trim(), "true");
                    took.push(asked.elapsed().as_nanos() as u64);
                }
                took
            })
        })
        .collect();
    pause(span);
    stop.store(true, Ordering::Relaxed);
    let mut all: Vec<u64> =
        threads.into_iter().flat_map(|thread| thread.join().expect("a writer")).collect();
    let wall = begun.elapsed();
    all.sort_unstable();
    (all, wall)
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

fn main() -> io::Result<()> {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(5);
    let folder = tempfile::tempdir()?;
    println!("disk      one append and fsync {} µs (median)", fsync_cost(folder.path())? / 1000);
    let servers = start(folder.path())?;
    let leader = leader(&servers);
    for writers in [1, 64] {
        load(servers[leader].http, writers, Duration::from_secs(1));
        let before: Vec<_> = servers.iter().map(|server| used(server.child.id())).collect();
        let (took, wall) = load(servers[leader].http, writers, Duration::from_secs(seconds));
        let after: Vec<_> = servers.iter().map(|server| used(server.child.id())).collect();
        let puts = took.len() as f64;
        println!(
            "{writers:>2} writers {:>6.0} puts/s   latency ms: median {:.2}, p99 {:.2}",
            puts / wall.as_secs_f64(),
            took[took.len() / 2] as f64 / 1e6,
            took[took.len() * 99 / 100] as f64 / 1e6
        );
        for (at, (before, after)) in before.iter().zip(&after).enumerate() {
            let role = if at == leader { "leader  " } else { "follower" };
            println!(
                "           n{} {role} {:>4.0} µs of processor and {:>5.0} bytes written a put",
                at + 1,
                (after.0 - before.0) as f64 * 1000.0 / puts,
                (after.1 - before.1) as f64 / puts
            );
        }
    }
    Ok(())
}
