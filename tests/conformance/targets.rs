//! The HTTP server that an agent's checks and handlers talk to, one for each case.
//!
//! `/ok` 200, `/created` 201, `/redirect` 302, `/notfound` 404, `/warn` 429, `/fail` 500, `/slow` after
//! 3 s, `/long` with a long body; `/ok-then-fail`, `/fail-then-ok`: the first answer against all later;
//! `/switch` as `/switch-on` and `/switch-off` said; `/method`, `/header`, `/body` tell what was sent.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::http;
use crate::processes::{meanwhile, sleep};

/// A request that came in.
#[derive(Clone)]
pub struct Call {
    path: String,
    pub method: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    calls: Vec<Call>,
    switched_off: bool,
    closing: bool,
}

/// Calls that are kept.
const CALLS_MAX: usize = 500;
/// Bytes of a body that are read.
const BODY_MAX: u64 = 1 << 20;

pub struct Targets {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Targets {
    pub fn open(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        meanwhile(move || {
            for stream in listener.incoming() {
                if lock(&shared).closing {
                    return;
                }
                let shared = shared.clone();
                // A client that goes away in the middle is no failure of the case.
                meanwhile(move || stream.and_then(|stream| serve(stream, &shared)));
            }
        });
        Ok(Self { port, seen })
    }

    /// What came in on this path.
    pub fn calls(&self, path: &str) -> Vec<Call> {
        lock(&self.seen).calls.iter().filter(|call| call.path == path).cloned().collect()
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        lock(&self.seen).closing = true;
        // Wakes the listener; if it is gone, so much the better.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().expect("no thread panics holding it")
}

/// Answers all requests of one connection.
fn serve(stream: TcpStream, seen: &Mutex<Seen>) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let first = http::line(&mut reader)?;
        let mut words = first.split(' ').map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(()) };
        let headers = http::headers(&mut reader)?;
        let length =
            headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = Vec::new();
        reader.by_ref().take(BODY_MAX.min(length)).read_to_end(&mut body)?;
        let path = target.split('?').next().unwrap_or_default().to_owned();
        let call = Call { path, method, headers, body };
        let (status, text) = answer(&call, seen);
        let location = if call.path == "/redirect" { "Location: /ok\r\n" } else { "" };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{location}\r\n", text.len());
        writer.write_all(head.as_bytes())?;
        if call.method != "HEAD" {
            writer.write_all(&text)?;
        }
    }
}

fn answer(call: &Call, seen: &Mutex<Seen>) -> (&'static str, Vec<u8>) {
    const OK: &str = "200 OK";
    const BROKEN: (&str, &str) = ("500 Internal Server Error", "broken\n");
    let (times, switched_off) = {
        let mut seen = lock(seen);
        if seen.calls.len() < CALLS_MAX {
            seen.calls.push(call.clone());
        }
        match call.path.as_str() {
            "/switch-on" => seen.switched_off = false,
            "/switch-off" => seen.switched_off = true,
            _ => {}
        }
        (seen.calls.iter().filter(|other| other.path == call.path).count(), seen.switched_off)
    };
    let header = |name: &str| call.headers.get(name).map_or("None", String::as_str);
    let (status, text) = match call.path.as_str() {
        "/warn" => ("429 Too Many Requests", "too many\n"),
        "/fail" => BROKEN,
        "/notfound" => ("404 Not Found", "nothing\n"),
        "/created" => ("201 Created", "created\n"),
        "/redirect" => ("302 Found", ""),
        "/ok-then-fail" if times > 1 => BROKEN,
        "/fail-then-ok" if times == 1 => BROKEN,
        "/switch" if switched_off => ("500 Internal Server Error", "off\n"),
        "/method" => (OK, call.method.as_str()),
        "/long" => return (OK, vec![b'x'; 6000]),
        "/body" => return (OK, call.body.clone()),
        "/header" => {
            let (probe, host) = (header("x-probe"), header("host"));
            let (user, accept) = (header("user-agent"), header("accept"));
            let text = format!("X-Probe={probe} Host={host} UA={user} Accept={accept}");
            return (OK, text.into_bytes());
        }
        "/slow" => {
            sleep(Duration::from_secs(3));
            (OK, "fine\n")
        }
        _ => (OK, "fine\n"),
    };
    (status, text.as_bytes().to_vec())
}
