//! Probes: one look at what a check is about, on the network or by a program (spec cluster 8.7, api 3.4).
//!
//! ```text
//!   Output::Probe ──► Probes ── one task each ──► look ─┬─ http    one request, redirects followed
//!   Output::CancelProbe ─► aborted                      ├─ tcp     connected, closed
//!                                                       ├─ grpc    one question over HTTP/2
//!   Input::Probed ◄── Message::Probed ◄── result ───────┴─ script  a program, its time, its output's end
//! ```
//!
//! When a probe is due, and what its result counts for, is the agent's to decide. Here: every probe ends,
//! by its own patience; its output is bounded whatever comes; a cancelled one is aborted, and what it
//! had found is dropped. At most [`MOST_AT_ONCE`] run at a time, the others wait their turn.
//!
//! The texts are those of Consul and of Go's libraries, as far as users meet them.
//!
//! Deliberately not here: TLS (HTTPS, gRPC over TLS) and docker, each refused with a text that says so;
//! HTTP proxies out of the environment.

mod dial;
mod grpc;
pub(super) mod http;
mod script;
pub(super) mod url;

use std::collections::BTreeMap;

use crate::agent::{Health, Input, Probe, ProbeId, ProbeResult};
use crate::base::Duration;
use crate::base::runtime::{Runtime, Task};

use super::mailbox::{Handle, Message};

/// Each may hold a socket or a process.
pub const MOST_AT_ONCE: usize = 1024;

/// For how long a probe on the network may take when its check does not say.
const NETWORK_PATIENCE: Duration = Duration::from_secs(10);

/// Does what a check asks for, once.
pub async fn look<R: Runtime>(runtime: &R, probe: &Probe) -> ProbeResult {
    let patience = Some(probe.definition.timeout).filter(|it| !it.is_zero());
    let on_network = patience.unwrap_or(NETWORK_PATIENCE);
    match probe.definition.kind() {
        "http" => http::look(runtime, probe, on_network).await,
        "tcp" => tcp(runtime, &probe.definition.tcp, on_network).await,
        "grpc" => grpc::look(runtime, probe, on_network).await,
        "docker" => {
            let container = &probe.definition.docker_container_id;
            let why = "this agent has no Docker client: use a script check instead";
            critical(format!("create exec failed for container {container}: {why}"))
        }
        _ if !probe.definition.script_args.is_empty() => script::look(runtime, probe).await,
        kind => critical(format!("a check of kind \"{kind}\" is not probed")),
    }
}

async fn tcp<R: Runtime>(runtime: &R, address: &str, patience: Duration) -> ProbeResult {
    match runtime.timeout(patience, dial::dial(runtime, address)).await {
        Ok(Ok(_connected)) => result(Health::Passing, format!("TCP connect {address}: Success")),
        Ok(Err(why)) => critical(why),
        Err(_) => critical(format!("dial tcp {address}: i/o timeout")),
    }
}

fn result(health: Health, output: String) -> ProbeResult {
    ProbeResult { health, output, at_once: false }
}

fn critical(output: String) -> ProbeResult {
    result(Health::Critical, output)
}

/// At most so much of an output is kept, bytes; never nothing.
fn output_limit(probe: &Probe) -> usize {
    usize::try_from(probe.output_max_size).unwrap_or(usize::MAX).max(1)
}

/// All probes of a node.
pub(super) struct Probes<R: Runtime> {
    runtime: R,
    handle: Handle,
    under_way: BTreeMap<ProbeId, R::Task>,
    /// In the order in which they were asked for: ids grow.
    waiting: BTreeMap<ProbeId, Box<Probe>>,
}

impl<R: Runtime> Probes<R> {
    pub fn new(runtime: R, handle: Handle) -> Self {
        Self { runtime, handle, under_way: BTreeMap::new(), waiting: BTreeMap::new() }
    }

    /// Begins, now or when there is room.
    pub fn begin(&mut self, id: ProbeId, probe: Box<Probe>) {
        self.waiting.insert(id, probe);
        self.fill();
    }

    /// Nobody waits for this one any more.
    pub fn cancel(&mut self, id: ProbeId) {
        self.waiting.remove(&id);
        if let Some(task) = self.under_way.remove(&id) {
            task.abort();
        }
        self.fill();
    }

    /// One has ended. What the agent is to hear of it: nothing, when it was cancelled meanwhile.
    pub fn ended(&mut self, id: ProbeId, result: ProbeResult) -> Option<Input> {
        let awaited = self.under_way.remove(&id).is_some();
        self.fill();
        awaited.then_some(Input::Probed(id, result))
    }

    fn fill(&mut self) {
        while self.under_way.len() < MOST_AT_ONCE {
            let Some((id, probe)) = self.waiting.pop_first() else { return };
            let (runtime, handle) = (self.runtime.clone(), self.handle.clone());
            let task = self.runtime.spawn("probe", async move {
                let result = look(&runtime, &probe).await;
                handle.post(Message::Probed(id, result));
            });
            self.under_way.insert(id, task);
        }
    }
}

impl<R: Runtime> Drop for Probes<R> {
    fn drop(&mut self) {
        self.under_way.values().for_each(Task::abort);
    }
}
