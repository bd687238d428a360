//! The shipped binary, run as a process on loopback: start, ask, kill, start again.
//!
//! Ports are taken from below the system's ephemeral range, so that no outgoing connection of another
//! test sits on one. A process is killed when its handle is dropped, by a failed assertion too.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Far longer than anything here takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "real processes live in real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Does something at the same time.
#[expect(clippy::disallowed_methods, reason = "real clients of real processes need threads")]
pub fn meanwhile<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::spawn(work)
}

/// Tries until there is a result.
#[expect(clippy::disallowed_methods, reason = "real processes live in real time")]
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let end = now() + PATIENCE;
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        assert!(now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that nothing listens on at 127.0.0.1 to .6, for streams and for datagrams.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(61);
    for _ in 0..2000 {
        let step = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(12_000 + step % 18_000).expect("below 30,000");
        let is_free = |host| {
            let at = (loopback(host), port);
            TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok()
        };
        if (1..=6).all(is_free) {
            return port;
        }
    }
    panic!("no free port");
}

pub fn loopback(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, host))
}

/// What an agent listens on; the same on every address, so a cluster may share them.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub http: u16,
    pub server: u16,
    pub lan: u16,
    pub wan: u16,
}

impl Ports {
    pub fn free() -> Self {
        let [http, server, lan, wan] = [(); 4].map(|()| free_port());
        Self { http, server, lan, wan }
    }

    /// Where an agent on this address gossips.
    pub fn lan_at(&self, host: u8) -> SocketAddr {
        SocketAddr::new(loopback(host), self.lan)
    }
}

/// How to start an agent.
pub struct Setup {
    pub host: u8,
    pub http: u16,
    pub server: u16,
    folder: Arc<tempfile::TempDir>,
    flags: Vec<String>,
}

impl Setup {
    /// An agent on 127.0.0.`host` with a configuration file of these members and these flags.
    pub fn new(host: u8, server: u16, members: &str, flags: &[&str]) -> Self {
        Self::on(host, Ports { server, ..Ports::free() }, members, flags)
    }

    /// The same, on these ports.
    pub fn on(host: u8, ports: Ports, members: &str, flags: &[&str]) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let ip = loopback(host);
        let Ports { http, server, lan, wan } = ports;
        let file = format!(
            "{{ \"node_name\": \"n{host}\", \"bind_addr\": \"{ip}\", \"client_addr\": \"{ip}\",\n\
             \"ports\": {{ \"http\": {http}, \"server\": {server}, \"serf_lan\": {lan}, \
             \"serf_wan\": {wan}, \"dns\": -1 }}{members} }}"
        );
        fs::write(folder.path().join("agent.json"), file).expect("a written file");
        Self { host, http, server, folder, flags: flags.iter().map(|&f| f.to_owned()).collect() }
    }

    /// A server that is a cluster by itself.
    pub fn single() -> Self {
        let members = ", \"performance\": { \"raft_multiplier\": 1 }";
        Self::new(1, free_port(), members, &["-server", "-bootstrap"]).durable()
    }

    /// With its data in a folder that lasts as long as this.
    pub fn durable(mut self) -> Self {
        self.flags.push(format!("-data-dir={}", self.data().display()));
        self
    }

    /// With one more flag from the next start on.
    pub fn with_flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// From the next start on without the flags that begin so.
    pub fn without(mut self, flag: &str) -> Self {
        self.flags.retain(|given| !given.starts_with(flag));
        self
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The only segment of the log.
    pub fn log_file(&self) -> PathBuf {
        self.data().join("raft/0000000000000001.wal")
    }

    pub fn at(&self) -> SocketAddr {
        SocketAddr::new(loopback(self.host), self.http)
    }

    /// Starts the process; it may not be ready yet.
    pub fn start(&self) -> Agent {
        let path = self.folder.path().join("stderr");
        let stderr = File::options().create(true).append(true).open(&path).expect("a log file");
        let config = self.folder.path().join("agent.json");
        let child = Command::new(env!("CARGO_BIN_EXE_proconsul"))
            .arg("agent")
            .arg(format!("-config-file={}", config.display()))
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("the agent's binary");
        Agent { child, at: self.at(), folder: self.folder.clone() }
    }

    /// Starts it and waits until it takes writes.
    pub fn serve(&self) -> Agent {
        let agent = self.start();
        agent.wait_until_ready();
        agent
    }
}

/// A running agent.
pub struct Agent {
    child: Child,
    pub at: SocketAddr,
    /// Its files last at least as long as it does.
    folder: Arc<tempfile::TempDir>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Gone already is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Agent {
    pub fn wait_until_ready(&self) {
        eventually(&format!("{} takes writes", self.at), || {
            let put = call(self.at, "PUT", "/v1/kv/ready", b"1").ok()?;
            (put.status == 200).then_some(())
        });
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn crash(mut self) {
        self.child.kill().expect("a running process");
        self.child.wait().expect("a dead process");
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().expect("the kill command");
        assert!(sent.success(), "kill {signal} {pid}");
    }

    /// Waits for it to end by itself.
    pub fn exit(mut self) -> (ExitStatus, String) {
        let status = eventually("the agent ends", || self.child.try_wait().expect("a child"));
        (status, self.log())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }
}

/// How long a command may take; one that does not end is killed, and its test fails.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// Runs a command of the binary to its end.
pub fn command(args: &[&str], stdin: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_proconsul"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    child.stdin.take().expect("a pipe").write_all(stdin.as_bytes()).expect("it reads or ignores");
    let (ended, end) = mpsc::channel::<()>();
    let pid = child.id().to_string();
    let watch = meanwhile(move || {
        if end.recv_timeout(COMMAND_LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
        }
    });
    let output = child.wait_with_output().expect("an end");
    drop(ended);
    watch.join().expect("it only waits");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code();
    let code = code.unwrap_or_else(|| panic!("{args:?} did not end: {}", text(&output.stderr)));
    (code, text(&output.stdout), text(&output.stderr))
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn index(&self) -> u64 {
        let text = self.header("X-Consul-Index").expect("an index");
        text.parse().expect("a number")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub fn connect(at: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&at, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// One request on a connection of its own.
pub fn call(at: SocketAddr, method: &str, target: &str, body: &[u8]) -> io::Result<Answer> {
    let mut stream = connect(at)?;
    let length = body.len();
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n"
    )?;
    // A refused body is answered before it is read: the answer counts, not the broken pipe.
    let sent = stream.write_all(body);
    read_answer(&mut stream).or_else(|error| sent.and(Err(error)))
}

/// Reads an answer to the end of the connection.
pub fn read_answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes);
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "no whole answer");
    let head_ends = bytes.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(cut)?;
    let head = String::from_utf8_lossy(&bytes[..head_ends]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(cut)?;
    let answer = Answer { status, head, body: bytes[head_ends + 4..].to_vec() };
    let length = answer.header("Content-Length").and_then(|length| length.parse().ok());
    if length.is_some_and(|length: usize| answer.body.len() < length) {
        return Err(ended.err().unwrap_or_else(cut));
    }
    Ok(answer)
}

/// A write; whether it was acknowledged.
pub fn put(at: SocketAddr, key: &str, value: &str) -> bool {
    let answer = call(at, "PUT", &format!("/v1/kv/{key}"), value.as_bytes());
    answer.is_ok_and(|answer| answer.status == 200 && answer.body.starts_with(b"true"))
}

/// The value of a key, read as asked for.
pub fn get(at: SocketAddr, key: &str, mode: &str) -> Option<String> {
    let answer = call(at, "GET", &format!("/v1/kv/{key}?raw&{mode}"), b"").ok()?;
    (answer.status == 200).then(|| answer.text())
}

/// All acknowledged writes of a run: many writers, each with keys of its own.
pub fn write_until_refused(at: SocketAddr, writer: &str, limit: usize) -> Vec<(String, String)> {
    let mut acknowledged = Vec::new();
    for number in 0..limit {
        let (key, value) = (format!("{writer}/{number}"), format!("value {number} of {writer}"));
        if !put(at, &key, &value) {
            break;
        }
        acknowledged.push((key, value));
    }
    acknowledged
}

/// Every acknowledged write must be there.
pub fn check_all(at: SocketAddr, acknowledged: &[(String, String)]) {
    for (key, value) in acknowledged {
        let found = eventually(&format!("{at} answers a consistent read of {key}"), || {
            let target = format!("/v1/kv/{key}?raw&consistent");
            call(at, "GET", &target, b"").ok().filter(|answer| answer.status != 500)
        });
        assert_eq!((found.status, found.text()), (200, value.clone()), "{key} at {at}");
    }
}

pub fn copy_of(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
