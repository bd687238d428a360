//! Three real servers on loopback: they elect a leader, survive its kill, and keep every acknowledged
//! write.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::real_process::{
    Agent, Ports, Setup, call, check_all, eventually, get, loopback, meanwhile, put,
};

/// The servers' setups, and those that run.
pub struct Cluster {
    pub setups: Vec<Setup>,
    pub running: Vec<Option<Agent>>,
}

impl Cluster {
    pub fn start() -> Self {
        let ports = Ports::free();
        let members = format!(
            ",\n\"server\": true, \"bootstrap_expect\": 3, \"retry_join\": [\"{}\"],\n\
             \"retry_interval\": \"1s\", \"performance\": {{ \"raft_multiplier\": 1 }}",
            ports.lan_at(1)
        );
        let setups: Vec<Setup> =
            (1..=3).map(|host| Setup::on(host, ports, &members, &[]).durable()).collect();
        let running = setups.iter().map(|setup| Some(setup.start())).collect();
        Self { setups, running }
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.setups.iter().map(Setup::at).collect()
    }

    /// The server that a majority of those that run takes for leader.
    pub fn leader(&self) -> usize {
        eventually("a leader is known", || {
            let told: Vec<String> = self
                .running
                .iter()
                .flatten()
                .filter_map(|agent| call(agent.at, "GET", "/v1/status/leader", b"").ok())
                .map(|answer| answer.text())
                .collect();
            (0..3).find(|&at| {
                let setup = &self.setups[at];
                let name = format!("\"{}:{}\"", loopback(setup.host), setup.server);
                let votes = told.iter().filter(|text| text.trim() == name).count();
                self.running[at].is_some() && votes >= 2
            })
        })
    }

    fn crash(&mut self, at: usize) {
        self.running[at].take().expect("it runs").crash();
    }

    fn restart(&mut self, at: usize) {
        self.running[at] = Some(self.setups[at].start());
    }
}

/// Somebody who writes one key after the other until told to stop; what was acknowledged.
fn writer(
    at: SocketAddr,
    name: String,
    stop: Arc<AtomicBool>,
) -> JoinHandle<Vec<(String, String)>> {
    meanwhile(move || {
        let mut acknowledged = Vec::new();
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            let (key, value) = (format!("{name}/{number}"), format!("{name} wrote {number}"));
            if put(at, &key, &value) {
                acknowledged.push((key, value));
            } else {
                // The server is down: look again soon.
                thread::yield_now();
            }
            number += 1;
        }
        acknowledged
    })
}

#[test]
fn three_servers_keep_every_acknowledged_write_through_kills_of_the_leader() {
    let mut cluster = Cluster::start();
    let addresses = cluster.addresses();
    for agent in cluster.running.iter().flatten() {
        agent.wait_until_ready();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = addresses
        .iter()
        .enumerate()
        .map(|(number, at)| writer(*at, format!("writer{number}"), stop.clone()))
        .collect();
    for round in 0..3 {
        let old = cluster.leader();
        let marker = format!("before/{round}");
        assert!(eventually("a write", || put(addresses[old], &marker, "x").then_some(true)));
        cluster.crash(old);
        let new = cluster.leader();
        assert_ne!(new, old);
        let after = format!("after/{round}");
        eventually("the others take writes", || put(addresses[new], &after, "y").then_some(()));
        assert_eq!(get(addresses[new], &marker, "consistent").as_deref(), Some("x"));
        cluster.restart(old);
        // It catches up: its own state has what was written while it was down.
        eventually("the old leader catches up", || {
            get(addresses[old], &after, "stale").filter(|value| value == "y")
        });
    }
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.join().expect("no panic"));
    }
    assert!(acknowledged.len() > 20, "{} acknowledged writes", acknowledged.len());
    check_listed(&addresses, &acknowledged);
    check_all(addresses[0], &acknowledged[acknowledged.len() - 20..]);

    for agent in cluster.running.iter_mut().filter_map(Option::take) {
        agent.signal("-TERM");
        let (status, log) = agent.exit();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// Every server has everything: the leader's answer, and in the end each one's own state.
fn check_listed(addresses: &[SocketAddr], acknowledged: &[(String, String)]) {
    for (at, mode) in addresses.iter().flat_map(|at| [(*at, "consistent"), (*at, "stale")]) {
        eventually(&format!("{at} has every acknowledged write ({mode})"), || {
            let answer = call(at, "GET", &format!("/v1/kv/writer?keys&{mode}"), b"").ok()?;
            let names: Vec<String> = serde_json::from_slice(&answer.body).ok()?;
            let missing = acknowledged.iter().find(|(key, _)| names.binary_search(key).is_err());
            assert!(missing.is_none() || mode == "stale", "{at} has lost {missing:?}");
            missing.is_none().then_some(())
        });
    }
}

#[test]
fn reads_and_writes_go_through_any_server() {
    let cluster = Cluster::start();
    let addresses = cluster.addresses();
    for agent in cluster.running.iter().flatten() {
        agent.wait_until_ready();
    }
    let leader = cluster.leader();
    for (number, at) in addresses.iter().enumerate() {
        let (key, value) = (format!("through/{number}"), format!("v{number}"));
        assert!(put(*at, &key, &value));
        for other in &addresses {
            assert_eq!(get(*other, &key, "consistent").as_ref(), Some(&value));
            assert_eq!(get(*other, &key, "").as_ref(), Some(&value));
            eventually("a stale read", || get(*other, &key, "stale").filter(|it| *it == value));
        }
    }
    // A large value goes to the leader and comes to the followers.
    let large = "x".repeat(512 * 1024);
    let follower = addresses[(leader + 1) % 3];
    assert!(put(follower, "large", &large));
    for at in &addresses {
        eventually("the large value", || get(*at, "large", "stale").filter(|it| *it == large));
    }
    // A blocking query through a follower, woken by a write through the other one.
    let index = call(follower, "GET", "/v1/kv/through/0", b"").expect("an answer").index();
    let target = format!("/v1/kv/through/0?raw&index={index}&wait=50s");
    let waiting = meanwhile(move || call(follower, "GET", &target, b""));
    assert!(put(addresses[(leader + 2) % 3], "through/0", "changed"));
    let woken = waiting.join().expect("no panic").expect("an answer");
    assert_eq!((woken.status, woken.text()), (200, "changed".to_owned()));
}
