//! What only the simulated operating system can do: faults, and being the same twice.

mod clocks;
mod determinism;
mod disk_faults;
mod disks;
mod link_faults;
mod links;
mod machines;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use proconsul::base::runtime::{Listener, Runtime, read, write_all};
use proconsul::base::{Instant, Prng};
use sim_runner::fabric::{
    DiskPolicy, Ended, Fabric, HostId, LinkPolicy, Message, Observer, SimRuntime, SimStream, Why,
    simulate,
};

pub const PORT: u16 = 8300;

/// What the fabric told, as lines.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn note(&self, at: Instant, text: String) {
        self.0.lock().unwrap().push(format!("{at:?} {text}"));
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn contains(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }
}

impl Observer for Heard {
    fn delivered(&self, at: Instant, message: &Message) {
        self.note(at, format!("delivered {message:?}"));
    }

    fn dropped(&self, at: Instant, message: &Message, why: Why) {
        self.note(at, format!("dropped {message:?} {why:?}"));
    }

    fn lost_unsynced(&self, at: Instant, host: HostId, path: &str, bytes: u64) {
        self.note(at, format!("lost {} {path} {bytes}", host.0));
    }

    fn disk_struck(&self, at: Instant, host: HostId, kind: &str, path: &str, detail: &str) {
        self.note(at, format!("struck {} {kind} {path} {detail}", host.0));
    }

    fn process_ended(&self, at: Instant, host: HostId, how: Ended, detail: &str) {
        self.note(at, format!("ended {} {how:?} {detail}", host.0));
    }
}

/// Three hosts: `a` and `b` with a process each, `c` without power.
#[derive(Clone)]
pub struct Machines {
    pub fabric: Fabric,
    pub heard: Heard,
    pub a: HostId,
    pub b: HostId,
    pub c: HostId,
    pub on_a: SimRuntime,
    pub on_b: SimRuntime,
}

impl Machines {
    pub fn addr(&self, host: HostId) -> SocketAddr {
        SocketAddr::new(self.fabric.ip(host), PORT)
    }

    /// A connection from `a` to `b`.
    pub async fn connected(&self) -> (SimStream, SimStream) {
        let mut listener = self.on_b.listen(self.addr(self.b)).await.unwrap();
        let client = self.on_a.connect(self.addr(self.b)).await.unwrap();
        (client, listener.accept().await.unwrap())
    }

    pub fn cut_both_ways(&self, fault: u64) {
        self.fabric.cut(fault, self.a, self.b);
        self.fabric.cut(fault, self.b, self.a);
    }
}

/// Runs a case; whatever it heard.
pub fn run_with<F: Future<Output = ()>>(
    seed: u64,
    link: LinkPolicy,
    case: impl FnOnce(Machines) -> F + Send,
) -> Vec<String> {
    let heard = Heard::default();
    let observer = heard.clone();
    let outcome = simulate(seed, move || async move {
        let fabric = Fabric::new(&Prng::new(seed), link, Arc::new(observer.clone()));
        let add = |name, last| {
            fabric.add_host(name, Ipv4Addr::new(10, 0, 0, last).into(), DiskPolicy::default())
        };
        let (a, b, c) = (add("a", 1), add("b", 2), add("c", 3));
        let (on_a, on_b) = (fabric.start(a), fabric.start(b));
        let machines = Machines { fabric: fabric.clone(), heard: observer, a, b, c, on_a, on_b };
        case(machines).await;
        fabric.shut_down().await;
    });
    assert_eq!(outcome, Ok(()));
    heard.lines()
}

pub fn run<F: Future<Output = ()>>(case: impl FnOnce(Machines) -> F + Send) {
    run_with(1, LinkPolicy::default(), case);
}

/// Sends what comes back to where it came from, on every connection.
pub async fn echo_server(runtime: SimRuntime) {
    let mut listener = runtime.listen(SocketAddr::new([0, 0, 0, 0].into(), PORT)).await.unwrap();
    while let Ok(mut stream) = listener.accept().await {
        runtime.spawn("echo", async move {
            let mut bytes = [0; 1024];
            while let Ok(taken @ 1..) = read(&mut stream, &mut bytes).await {
                if write_all(&mut stream, &bytes[..taken]).await.is_err() {
                    return;
                }
            }
        });
    }
}
