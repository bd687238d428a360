//! What stands behind registered services: a small simulated program per instance, on the host of its
//! agent.
//!
//! ```text
//!   n1  ┌─ agent ─┐  HTTP or TCP check ──► ┌─ program of "web" ─┐  up: 200, accepts, reports every third
//!       └─────────┘ ◄── check/pass/… ───── └────────────────────┘      of the TTL
//!                                                                  down: 503, refuses, reports failure
//! ```
//!
//! It serves the ports that the checks of its definition speak to, whatever address they name, and
//! reports to its own agent where a check has a TTL. It outlives the agent's process, as programs do, and
//! ends with the machine's power; when the agent runs again, so does it. Checks of other kinds
//! (scripts, gRPC, aliases) have nothing behind them here.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use hyper::Method;
use proconsul::base::Duration;
use proconsul::base::go_duration::parse_span;
use proconsul::base::runtime::{ByteReader, ByteWriter, Listener, Runtime, Task};
use serde_json::Value;

use crate::fabric::{HostId, SimRuntime, SimStream};
use crate::scenario::service_verb::field;
use crate::trace::event::Host;
use crate::workload::user::User;

use super::Cluster;

/// What a check asks of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// An answer on this port: 200, or 503.
    Http(u16),
    /// To be listened to on this port.
    Tcp(u16),
    /// A report of this check, so often.
    Report(String, Duration),
}

/// One instance's program.
struct Backend {
    asked: Vec<Asked>,
    up: bool,
    process: Option<SimRuntime>,
    tasks: Vec<<SimRuntime as Runtime>::Task>,
}

impl Backend {
    /// Stops what it does. The process stays: its listeners are closed by their tasks, as it lives.
    fn stop(&mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
    }
}

/// All of them, by agent and service id.
#[derive(Clone, Default)]
pub struct Backends(Arc<Mutex<BTreeMap<(Host, String), Backend>>>);

impl Backends {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Host, String), Backend>> {
        self.0.lock().expect("a simulation has one thread")
    }

    /// The agents whose service of this id has a program.
    #[must_use]
    pub fn of(&self, id: &str) -> Vec<Host> {
        self.lock().keys().filter(|(_, of)| of == id).map(|(host, _)| *host).collect()
    }

    /// Starts the program of a service, as its definition has it.
    pub fn register(&self, cluster: &Cluster, host: Host, id: &str, service: &Value) {
        self.deregister(host, id);
        let backend =
            Backend { asked: asked(id, service), up: true, process: None, tasks: Vec::new() };
        self.lock().insert((host, id.to_owned()), backend);
        self.run(cluster, host, id);
    }

    /// Ends it.
    pub fn deregister(&self, host: Host, id: &str) {
        if let Some(mut gone) = self.lock().remove(&(host, id.to_owned())) {
            gone.stop();
        }
    }

    /// Makes it fail, or pass.
    pub fn set(&self, cluster: &Cluster, host: Host, id: &str, up: bool) {
        if let Some(backend) = self.lock().get_mut(&(host, id.to_owned())) {
            backend.up = up;
        }
        self.run(cluster, host, id);
    }

    /// The programs of a host are there again after its power was.
    pub fn back(&self, cluster: &Cluster, host: Host) {
        let dead = |backend: &Backend| backend.process.as_ref().is_none_or(|it| !it.is_alive());
        let ids: Vec<String> = {
            let backends = self.lock();
            let of_host = backends.iter().filter(|((at, _), it)| *at == host && dead(it));
            of_host.map(|((_, id), _)| id.clone()).collect()
        };
        ids.iter().for_each(|id| self.run(cluster, host, id));
    }

    /// Runs the program anew, in the state that it is to be in.
    fn run(&self, cluster: &Cluster, host: Host, id: &str) {
        let mut backends = self.lock();
        let Some(backend) = backends.get_mut(&(host, id.to_owned())) else { return };
        backend.stop();
        let living = backend.process.take().filter(SimRuntime::is_alive);
        let process = living.or_else(|| cluster.shared.fabric.visit(HostId(host.0)));
        let Some(process) = process else { return };
        for asked in backend.asked.clone() {
            let (own, up) = (process.clone(), backend.up);
            let agent = cluster.http_address(host);
            let task = process.spawn("backend", async move {
                let _ = match asked {
                    Asked::Http(port) => serve(own, port, Some(up)).await,
                    Asked::Tcp(port) if up => serve(own, port, None).await,
                    Asked::Tcp(_) => Ok(()),
                    Asked::Report(check, every) => report(own, agent, check, every, up).await,
                };
            });
            backend.tasks.push(task);
        }
        backend.process = Some(process);
    }
}

/// Before a port that is in use is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// Accepts on a port; `answer`: whether a request is answered with success.
async fn serve(runtime: SimRuntime, port: u16, answer: Option<bool>) -> io::Result<()> {
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    let mut listener = loop {
        match runtime.listen(any).await {
            Ok(listener) => break listener,
            // Its predecessor is about to close it, or something else has it for good.
            Err(_) => runtime.sleep(AGAIN).await,
        }
    };
    loop {
        let stream = listener.accept().await?;
        if let Some(passing) = answer {
            runtime.spawn("request", async move {
                let _ = respond(stream, passing).await;
            });
        }
    }
}

/// Longer requests than any check makes are not read to their ends.
const MOST_BYTES: usize = 16 * 1024;

async fn respond(mut stream: SimStream, passing: bool) -> io::Result<()> {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < MOST_BYTES {
        match poll_fn(|cx| stream.poll_read(cx, &mut part)).await? {
            0 => return Ok(()),
            read => head.extend_from_slice(&part[..read]),
        }
    }
    let status = if passing { "200 OK" } else { "503 Service Unavailable" };
    let body = if passing { "ok" } else { "down" };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut left = answer.as_bytes();
    while !left.is_empty() {
        let taken = poll_fn(|cx| stream.poll_write(cx, left)).await?;
        left = &left[taken..];
    }
    poll_fn(|cx| stream.poll_shutdown(cx)).await
}

/// Reports to the agent: again and again that it passes, or once that it fails.
async fn report(
    runtime: SimRuntime,
    agent: SocketAddr,
    check: String,
    every: Duration,
    up: bool,
) -> io::Result<()> {
    let mut user = User::new(runtime.clone());
    loop {
        let path = format!("/v1/agent/check/{}/{check}", if up { "pass" } else { "fail" });
        // An agent that is down hears nothing; the next report is soon.
        let answer = user.request(agent, Method::PUT, &path, Bytes::new(), every).await;
        if !up && answer.is_ok() {
            return Ok(());
        }
        runtime.sleep(every).await;
    }
}

/// What the checks of a definition ask.
fn asked(id: &str, service: &Value) -> Vec<Asked> {
    let one = field(service, "check").into_iter();
    let many = field(service, "checks").and_then(Value::as_array).into_iter().flatten();
    let checks: Vec<&Value> = one.chain(many).collect();
    let mut asked = Vec::new();
    for (number, check) in checks.iter().enumerate() {
        let text = |name: &str| field(check, name).and_then(Value::as_str);
        let default = match checks.len() {
            1 => format!("service:{id}"),
            _ => format!("service:{id}:{}", number + 1),
        };
        let own = text("checkid").or(text("id")).map_or(default, str::to_owned);
        if let Some(port) = text("http").and_then(port_of_url) {
            asked.push(Asked::Http(port));
        } else if let Some(port) = text("tcp").and_then(port_of) {
            asked.push(Asked::Tcp(port));
        } else if let Some(ttl) = text("ttl").and_then(parse_span) {
            asked.push(Asked::Report(own, ttl / 3));
        }
    }
    asked
}

fn port_of(address: &str) -> Option<u16> {
    address.rsplit_once(':')?.1.parse().ok()
}

fn port_of_url(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    port_of(authority).or(match scheme {
        "https" => Some(443),
        _ => Some(80),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn definitions_say_what_their_checks_ask() {
        let service = json!({ "Name": "web", "Checks": [
            { "HTTP": "http://10.0.0.1:8080/health", "Interval": "1s" },
            { "tcp": "localhost:81", "Interval": "1s" },
            { "TTL": "9s" },
            { "CheckID": "own", "ttl": "3s" },
            { "Args": ["true"], "Interval": "1s" },
        ] });
        let expected = [
            Asked::Http(8080),
            Asked::Tcp(81),
            Asked::Report("service:web:3".to_owned(), Duration::from_secs(3)),
            Asked::Report("own".to_owned(), Duration::from_secs(1)),
        ];
        assert_eq!(asked("web", &service), expected);
        let one = json!({ "name": "web", "check": { "ttl": "3s" } });
        let report = Asked::Report("service:w1".to_owned(), Duration::from_secs(1));
        assert_eq!(asked("w1", &one), [report]);
        assert_eq!(port_of_url("http://n1/x"), Some(80));
    }
}
