//! Servers of this build as processes on loopback, with their data in a temporary folder.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "real processes live in real time")]
pub fn pause(span: Duration) {
    thread::sleep(span);
}

struct Server {
    child: Child,
    http: SocketAddr,
    raft: SocketAddr,
}

/// Running servers that are one cluster; killed when dropped.
pub struct Servers {
    all: Vec<Server>,
    _folder: tempfile::TempDir,
}

impl Drop for Servers {
    fn drop(&mut self) {
        for server in &mut self.all {
            let _ = server.child.kill();
            let _ = server.child.wait();
        }
    }
}

/// A port that is free on 127.0.0.1 to .3, below the ephemeral range.
fn free_port(from: u16) -> u16 {
    let is_free = |port: &u16| {
        (1..=3).all(|host| TcpListener::bind(SocketAddr::from(([127, 0, 0, host], *port))).is_ok())
    };
    (from..30_000).find(is_free).expect("a free port")
}

impl Servers {
    pub fn start(count: u8) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = free_port(17_500);
        let http = free_port(server + 1);
        let (lan, wan) = (free_port(http + 1), free_port(http + 2));
        let mut all = Vec::new();
        for host in 1..=count {
            let at = |port| SocketAddr::from(([127, 0, 0, host], port));
            let data = folder.path().join(format!("n{host}"));
            let config = folder.path().join(format!("n{host}.json"));
            let text = format!(
                "{{ \"node_name\": \"n{host}\", \"bind_addr\": \"127.0.0.{host}\",\n\
                 \"client_addr\": \"127.0.0.{host}\", \"server\": true,\n\
                 \"bootstrap_expect\": {count}, \"retry_join\": [\"127.0.0.1:{lan}\"],\n\
                 \"retry_interval\": \"1s\", \"data_dir\": \"{}\",\n\
                 \"ports\": {{ \"http\": {http}, \"server\": {server}, \"serf_lan\": {lan},\n\
                 \"serf_wan\": {wan}, \"dns\": -1 }}, \"limits\": {{ \"http_max_conns_per_client\": 0 }},\n\
                 \"performance\": {{ \"raft_multiplier\": 1 }}, \"log_level\": \"WARN\" }}",
                data.display()
            );
            fs::write(&config, text)?;
            let child = Command::new(env!("CARGO_BIN_EXE_proconsul"))
                .arg("agent")
                .arg(format!("-config-file={}", config.display()))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()?;
            all.push(Server { child, http: at(http), raft: at(server) });
        }
        Ok(Self { all, _folder: folder })
    }

    /// Where the leader takes requests, once a write gets through.
    pub fn leader(&self) -> SocketAddr {
        for _ in 0..600 {
            pause(Duration::from_millis(50));
            if let Some(leader) = self.look_for_leader() {
                return leader;
            }
        }
        panic!("no leader within 30 s");
    }

    fn look_for_leader(&self) -> Option<SocketAddr> {
        let told = Client::connect(self.all[0].http).ok()?.text("/v1/status/leader").ok()?;
        let leads = |server: &&Server| told.trim() == format!("\"{}\"", server.raft);
        let leader = self.all.iter().find(leads)?.http;
        Client::connect(leader).ok()?.ok("PUT", "/v1/kv/ready", "1").ok()?;
        Some(leader)
    }

    /// The processes, in the order of their names.
    pub fn pids(&self) -> Vec<u32> {
        self.all.iter().map(|server| server.child.id()).collect()
    }

    /// Where one takes requests.
    pub fn http(&self, at: usize) -> SocketAddr {
        self.all[at].http
    }

    /// Resident memory of one, in kB.
    pub fn resident_kb(&self, at: usize) -> u64 {
        let path = format!("/proc/{}/status", self.all[at].child.id());
        let status = fs::read_to_string(path).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}
