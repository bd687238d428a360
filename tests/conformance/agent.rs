//! One agent under test: the shipped binary on free ports of 127.0.0.1, in a folder of its own.
//!
//! It is ready when each of [`CONDITIONS`] holds. A condition that this build never meets is found out
//! once, before the first case, said, and not waited for. An agent is ended when its handle is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::cases::Spec;
use crate::dns::Question;
use crate::http::Request;
use crate::processes::{self, clean, exit_code, now, sleep};
use crate::variables::plain;

pub const BINARY: &str = env!("CARGO_BIN_EXE_proconsul");

/// What each port of a case is for; `web` and `rdns` are target servers', on `spare` nothing
/// listens.
const PORTS: [&str; 8] = ["http", "dns", "server", "serf_lan", "serf_wan", "web", "rdns", "spare"];
/// Five digits (widths of columns), below the ephemeral range, beside the other tests' range.
const RANGE: std::ops::Range<u16> = 30_000..32_700;

/// What makes an agent ready, and what a client sees as long as it is not.
pub const CONDITIONS: [(&str, &str); 5] = [
    ("leader", "/v1/status/leader names no leader"),
    ("serfHealth", "/v1/health/node/node1 shows no check"),
    ("node", "/v1/catalog/node/node1 does not show the node with its TaggedAddresses"),
    ("consul service", "/v1/catalog/node/node1 does not show the service consul"),
    ("DNS", "no answer to node1.node.consul by DNS"),
];

/// Why an agent cannot be used.
#[derive(Debug)]
pub struct Failure {
    pub why: String,
    /// The conditions that did not hold in the end; none if it did not even answer.
    pub unmet: Vec<&'static str>,
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self { why, unmet: Vec::new() }
    }
}

/// Ports that nobody else of this run has.
pub struct Ports(BTreeMap<&'static str, u16>);

static CLAIMED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

impl Ports {
    pub fn free() -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let start = std::process::id().wrapping_mul(61);
        let mut ports = Self(BTreeMap::new());
        for name in PORTS {
            let free = (0..2 * RANGE.len()).find_map(|_| {
                let step = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
                let port = RANGE.start + u16::try_from(step % RANGE.len() as u32).ok()?;
                let mut claimed = CLAIMED.lock().expect("no thread panics holding it");
                (is_free(port) && claimed.insert(port)).then_some(port)
            });
            ports.0.insert(name, free.ok_or("no free ports")?);
        }
        Ok(ports)
    }

    pub fn get(&self, name: &str) -> u16 {
        self.0[name]
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u16)> {
        self.0.iter().map(|(name, port)| (*name, *port))
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        let mut claimed = CLAIMED.lock().expect("no thread panics holding it");
        claimed.retain(|port| !self.0.values().any(|own| own == port));
    }
}

fn is_free(port: u16) -> bool {
    let at = (Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok()
}

pub struct Agent {
    spec: Spec,
    pub folder: PathBuf,
    pub ports: Ports,
    child: Option<Child>,
    /// A step told it to leave or to end.
    pub expected_end: bool,
}

impl Agent {
    /// Not started yet.
    pub fn new(spec: Spec, folder: &Path, ports: Ports) -> Self {
        Self { spec, folder: folder.to_owned(), ports, child: None, expected_end: false }
    }

    /// Starts it and waits until it is ready. With `grace`, gives up so long after its first answer.
    pub fn start(&mut self, waived: &[&str], grace: Option<Duration>) -> Result<(), Failure> {
        let config = self.prepare().map_err(|error| format!("its files: {error}"))?;
        let data = self.folder.join("data");
        let log = File::options().create(true).append(true).open(self.log());
        let log = log.map_err(|error| format!("its log: {error}"))?;
        let log_too = log.try_clone().map_err(|error| format!("its log: {error}"))?;
        let mut command = Command::new(BINARY);
        command.arg("agent");
        if self.spec.dev {
            command.arg("-dev");
        } else {
            let data = format!("-data-dir={}", data.display());
            command.args(["-server", "-bootstrap-expect=1", &data]);
        }
        command
            .args(["-node=node1", "-bind=127.0.0.1", "-client=127.0.0.1"])
            .arg(format!("-config-file={}", config.display()))
            .args(&self.spec.args)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too);
        clean(&mut command);
        command.envs(&self.spec.env);
        let child = command.spawn().map_err(|error| format!("{BINARY} does not start: {error}"))?;
        self.child = Some(child);
        self.wait_until_ready(waived, grace)
    }

    /// Writes the configuration and the group's files; where the configuration is.
    fn prepare(&self) -> std::io::Result<PathBuf> {
        let mut ports = Map::new();
        for name in ["http", "dns", "server", "serf_lan", "serf_wan"] {
            ports.insert(name.to_owned(), json!(self.ports.get(name)));
        }
        ports.insert("grpc".to_owned(), json!(-1));
        let mut config = self.spec.config.clone();
        if let Some(Value::Object(more)) = config.remove("ports") {
            ports.extend(more);
        }
        config.insert("ports".to_owned(), Value::Object(ports));
        config.entry("disable_update_check").or_insert(json!(true));
        let path = self.folder.join("agent.json");
        fs::write(&path, Value::Object(config).to_string())?;
        for (name, content) in &self.spec.files {
            write(&self.folder.join(name), &plain(content))?;
        }
        Ok(path)
    }

    fn wait_until_ready(
        &mut self,
        waived: &[&str],
        grace: Option<Duration>,
    ) -> Result<(), Failure> {
        let patience = Duration::from_secs(20);
        let mut end = now() + patience;
        let mut unmet: Option<Vec<&'static str>> = None;
        while now() < end {
            if let Some(how) = self.ended() {
                return Err(Failure::from(format!("the agent ended with {how}")));
            }
            let before = unmet.is_some();
            unmet = self.unmet(waived).or(unmet);
            match &unmet {
                Some(missing) if missing.is_empty() => return Ok(()),
                Some(_) if !before => end = grace.map_or(end, |grace| end.min(now() + grace)),
                _ => {}
            }
            sleep(Duration::from_millis(20));
        }
        let unmet = unmet.unwrap_or_default();
        let first =
            unmet.first().and_then(|name| CONDITIONS.iter().find(|(other, _)| other == name));
        let what = first.map_or("no answer by HTTP", |(_, what)| what);
        let why = format!("not ready: {what}; last line of its log: {}", self.last_line());
        Err(Failure { why, unmet })
    }

    /// The conditions that do not hold, or none if it does not answer yet.
    fn unmet(&self, waived: &[&str]) -> Option<Vec<&'static str>> {
        let leader = self.get("/v1/status/leader").ok()?;
        let ask = |name: &str, path: &str| {
            let wanted = !waived.contains(&name);
            if wanted { self.get(path).unwrap_or_default() } else { Value::Null }
        };
        let checks = ask("serfHealth", "/v1/health/node/node1");
        let node = ask("node", "/v1/catalog/node/node1");
        let holds = [
            leader.as_str().is_some_and(|leader| !leader.is_empty()),
            checks.as_array().is_some_and(|checks| !checks.is_empty()),
            node["Node"]["TaggedAddresses"].as_object().is_some_and(|all| !all.is_empty()),
            !node["Services"]["consul"].is_null(),
            !waived.contains(&"DNS") && self.answers_dns(),
        ];
        let names = CONDITIONS.iter().map(|(name, _)| *name).zip(holds);
        Some(
            names
                .filter(|(name, holds)| !holds && !waived.contains(name))
                .map(|(n, _)| n)
                .collect(),
        )
    }

    /// Whether it answers by DNS, whatever it says.
    fn answers_dns(&self) -> bool {
        let name = "node1.node.consul".to_owned();
        let (kind, class) = ("A".to_owned(), "IN".to_owned());
        let (over_tcp, edns, subnet) = (false, None, None);
        let (recursion_desired, opcode) = (true, 0);
        let question =
            Question { name, kind, class, over_tcp, edns, subnet, recursion_desired, opcode };
        question.ask(self.ports.get("dns"), Duration::from_millis(500)).is_ok_and(|it| it.is_ok())
    }

    /// The JSON at a path; null if the answer is another than 200.
    pub fn get(&self, path: &str) -> Result<Value, String> {
        let got = Request::get(self.ports.get("http"), path, Duration::from_secs(3)).send()?;
        let json = || serde_json::from_slice(&got.body).unwrap_or_default();
        Ok(if got.status == 200 { json() } else { Value::Null })
    }

    /// How it ended although no step asked for it.
    pub fn died(&mut self) -> Option<String> {
        if self.expected_end { None } else { self.ended() }
    }

    fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        Some(format!("{status}; last line of its log: {}", self.last_line()))
    }

    /// Waits for its end: its exit code.
    pub fn wait(&mut self, time: Duration) -> Option<Value> {
        processes::wait(self.child.as_mut()?, time).map(exit_code)
    }

    pub fn signal(&self, name: &str) {
        if let Some(child) = &self.child {
            processes::signal(child, name);
        }
    }

    /// Ends it by a signal; its exit code, or that it had to be killed.
    pub fn stop(&mut self, signal: &str) -> Value {
        let Some(mut child) = self.child.take() else { return Value::Null };
        processes::signal(&child, signal);
        let status = processes::wait(&mut child, Duration::from_secs(10));
        processes::kill(&mut child);
        status.map_or_else(|| json!("did not end within 10s"), exit_code)
    }

    fn log(&self) -> PathBuf {
        self.folder.join("agent.log")
    }

    /// The last line of its output that says something.
    pub fn last_line(&self) -> String {
        let bytes = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        last.unwrap_or("(no output)").chars().take(240).collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            processes::kill(&mut child);
        }
        processes::sweep(&self.folder);
    }
}

/// Writes a file and the folders above it.
pub fn write(path: &Path, content: &str) -> std::io::Result<()> {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    fs::write(path, content)
}

/// The version that the binary says it has.
pub fn version() -> Result<String, String> {
    let output = Command::new(BINARY).arg("version").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{BINARY} version: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = crate::variables::regex(r"\d+\.\d+\.\d+[\w.+-]*")
        .find(&text)
        .map(|m| m.as_str().to_owned());
    found.ok_or_else(|| format!("`version` names none: {text}"))
}

/// Starts one agent as most groups do: the conditions of readiness that this build never meets.
pub fn probe(root: &Path) -> Result<Vec<&'static str>, String> {
    let folder = root.join("probe");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let mut last = String::new();
    for _ in 0..3 {
        let spec: Spec = serde_json::from_value(json!({})).map_err(|error| error.to_string())?;
        let mut agent = Agent::new(spec, &folder, Ports::free()?);
        match agent.start(&[], Some(Duration::from_secs(6))) {
            Ok(()) => return Ok(Vec::new()),
            Err(failure) if !failure.unmet.is_empty() => return Ok(failure.unmet),
            Err(failure) => last = failure.why,
        }
    }
    Err(last)
}
