//! Random runs of a gossip pool: lossy, doubling, reordering and cut networks, crashes, restarts,
//! goodbyes; the judge of [`swim_cluster`](crate::swim_cluster) looks after every step, and once all
//! is well again, all agree within a bound.
//!
//! `SWIM_RUNS=1000 cargo test --test agent swim_random` runs longer.

use proconsul::base::prng::Ratio;
use proconsul::base::{Duration, Prng};
use proconsul::gossip::swim::{Config, Input};
use proconsul::gossip::{
    Accusation, Alive, Incarnation, IndirectPing, MemberState, Message, NodeState, Ping, PushPull,
    SequenceNumber, SerfMessage, Source, UserEvent,
};

use crate::swim_cluster::{Cluster, addr_of};

const SECOND: Duration = Duration::from_secs(1);

fn runs(default: u64) -> u64 {
    std::env::var("SWIM_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(default)
}

/// A pool in which all know all.
pub fn joined(count: usize, seed: u64, tune: fn(Config) -> Config) -> Cluster {
    let mut cluster = Cluster::new(count, seed, tune);
    for at in 0..count {
        cluster.start(at, |_| {});
        if at > 0 {
            cluster.join(at, &[addr_of(1)]);
        }
        cluster.run(Duration::from_millis(10));
    }
    assert!(cluster.run_until(60 * SECOND, Cluster::agrees), "they do not find one another");
    cluster
}

fn shake(cluster: &mut Cluster, prng: &mut Prng) {
    let count = cluster.hosts.len() as u64;
    let at = prng.below(count) as usize;
    let other = prng.below(count) as usize;
    match prng.below(12) {
        0 => cluster.crash(at),
        1..=3 if cluster.hosts[at].swim.is_none() => {
            cluster.start(at, |_| {});
            let to = cluster.hosts[other].addr;
            cluster.join(at, &[to]);
        }
        4 => {
            cluster.network.cut_datagrams.insert((at, other));
        }
        5 => {
            for there in [(at, other), (other, at)] {
                cluster.network.cut_datagrams.insert(there);
                cluster.network.cut_streams.insert(there);
            }
        }
        6 => {
            cluster.network.cut_datagrams.clear();
            cluster.network.cut_streams.clear();
        }
        7 => {
            let meta = format!("meta {}", prng.below(100));
            cluster.step(at, Input::SetMeta(meta.into()));
        }
        8 => cluster.step(at, Input::Leave),
        9 => {
            cluster.network.loss = Ratio::new(prng.below(40), 100);
            cluster.network.doubling = Ratio::new(prng.below(20), 100);
            cluster.network.latency.1 = Duration::from_millis(2 + prng.below(400));
        }
        10 => {
            let event = UserEvent {
                time: Default::default(),
                name: format!("e{}", prng.below(100)),
                payload: None,
                coalesce: false,
            };
            cluster.hosts[at].above.queue.push(None, 40, SerfMessage::UserEvent(event));
            cluster.step(at, Input::BroadcastsQueued);
        }
        _ => cluster.run(Duration::from_millis(prng.below(20_000))),
    }
    cluster.run(Duration::from_millis(prng.below(1000)));
}

/// The network works again; whoever said goodbye or is down starts anew and joins.
fn heal(cluster: &mut Cluster) {
    cluster.network.cut_datagrams.clear();
    cluster.network.cut_streams.clear();
    cluster.network.loss = Ratio::ZERO;
    cluster.network.doubling = Ratio::ZERO;
    cluster.network.latency.1 = Duration::from_millis(2);
    cluster.run(SECOND);
    for at in 0..cluster.hosts.len() {
        let host = &cluster.hosts[at];
        let own = host.swim.as_ref().and_then(|swim| swim.node(&host.name));
        if own.is_none_or(|own| own.state == MemberState::Left) {
            cluster.crash(at);
            cluster.start(at, |_| {});
        }
    }
    for at in 0..cluster.hosts.len() {
        // What Serf's reconnecting and Consul's retries do: SWIM alone never asks the dead.
        let to = cluster.hosts[(at + 1) % cluster.hosts.len()].addr;
        cluster.join(at, &[to]);
        cluster.run(Duration::from_millis(10));
    }
}

fn random_run(count: usize, seed: u64, tune: fn(Config) -> Config) {
    let mut prng = Prng::new(seed);
    let mut cluster = joined(count, seed, tune);
    for _ in 0..30 {
        shake(&mut cluster, &mut prng);
    }
    heal(&mut cluster);
    let agrees = cluster.run_until(300 * SECOND, Cluster::agrees);
    let tail = cluster.transcript.len().saturating_sub(60);
    assert!(agrees, "seed {seed}: no agreement\n{}", cluster.transcript[tail..].join("\n"));
    cluster.run(30 * SECOND);
    assert!(cluster.agrees(), "seed {seed}: it does not last");
}

#[test]
fn a_small_pool_keeps_its_promises() {
    for seed in 0..runs(60) {
        random_run(5, seed, Config::for_consul);
    }
}

#[test]
fn a_larger_pool_keeps_its_promises() {
    for seed in 0..runs(10) {
        random_run(13, seed, |config| config);
    }
}

#[test]
fn hasty_timers_keep_their_promises() {
    for seed in 0..runs(20) {
        random_run(4, seed, Config::for_consul_dev);
    }
}

#[test]
fn two_hundred_members_lose_nobody() {
    let mut cluster = Cluster::new(200, 1, |config| config);
    cluster.judge_every = 500;
    for at in 0..200 {
        cluster.start(at, |_| {});
        cluster.join(at, &[addr_of(1)]);
    }
    cluster.run(20 * SECOND);
    assert!(cluster.agrees(), "they do not find one another");
    cluster.run(SECOND * runs(20) as u32);
    let before = cluster.steps;
    cluster.run(10 * SECOND);
    assert!(cluster.agrees());
    // A probe each second: a wake, a ping and an ack, and now and then an exchange of states.
    let steps = cluster.steps - before;
    assert!(steps < 200 * 10 * 4, "an idle pool takes {steps} steps in ten seconds");
}

#[test]
fn a_member_alone_has_nothing_to_do() {
    let mut cluster = Cluster::new(1, 1, |config| config);
    cluster.start(0, |_| {});
    cluster.step(0, Input::BroadcastsQueued);
    assert_eq!(cluster.swim(0).deadline(), None);
}

/// Whatever arrives, nothing breaks: numbers at their ends, names of nobody and of ourselves.
#[test]
fn nothing_that_arrives_breaks_it() {
    let mut prng = Prng::new(7);
    for seed in 0..runs(40) {
        let mut cluster = joined(3, seed, |config| config);
        for _ in 0..60 {
            let count = if prng.below(40) == 0 { 3000 } else { prng.below(6) };
            let messages = (0..count).map(|_| garbage(&mut prng)).collect();
            let from = addr_of(1 + prng.below(5) as usize);
            cluster.step(0, Input::Packet { from, messages });
            if prng.below(4) == 0 {
                let nodes = (0..prng.below(4)).map(|_| garbage_state(&mut prng)).collect();
                let state = PushPull { join: prng.below(2) == 0, nodes, user: None };
                cluster.push_pull_from_nobody(0, state);
            }
            cluster.run(Duration::from_millis(prng.below(2000)));
        }
    }
}

fn number(prng: &mut Prng) -> u32 {
    match prng.below(8) {
        0 => u32::MAX,
        1 => u32::MAX - 1,
        2 => 0,
        _ => prng.below(5) as u32,
    }
}

fn name(prng: &mut Prng) -> String {
    ["", "n1", "n2", "n3", "n4"][prng.below(5) as usize].to_owned()
}

fn garbage_state(prng: &mut Prng) -> NodeState {
    let Message::Alive(alive) = garbage_alive(prng) else { unreachable!("made so") };
    let states = [MemberState::Alive, MemberState::Suspect, MemberState::Dead, MemberState::Left];
    NodeState {
        node: alive.node,
        addr: alive.addr,
        port: alive.port,
        meta: alive.meta,
        incarnation: alive.incarnation,
        state: states[prng.below(4) as usize],
        versions: alive.versions,
    }
}

fn garbage_alive(prng: &mut Prng) -> Message {
    let versions = [None, Some([0; 6]), Some([1, 5, 2, 2, 5, 4]), Some([5, 1, 9, 9, 0, 255])];
    Message::Alive(Alive {
        incarnation: Incarnation(number(prng)),
        node: name(prng).as_str().into(),
        addr: addr_of(1 + prng.below(4) as usize).ip(),
        port: [0, 8301, 8301, 1][prng.below(4) as usize],
        meta: if prng.below(2) == 0 { "x".into() } else { Default::default() },
        versions: versions[prng.below(4) as usize],
    })
}

fn garbage(prng: &mut Prng) -> Message {
    let sequence = SequenceNumber(number(prng));
    let accusation = Accusation {
        incarnation: Incarnation(number(prng)),
        node: name(prng).as_str().into(),
        from: name(prng).as_str().into(),
    };
    let node = name(prng).as_str().into();
    match prng.below(7) {
        0 => Message::Ping(Ping { sequence, node, source: Source::default() }),
        1 => Message::IndirectPing(IndirectPing {
            sequence,
            target: addr_of(2).ip(),
            port: 0,
            node,
            nack: true,
            source: Source { port: 0, ..Source::default() },
        }),
        2 => Message::Ack { sequence, payload: None },
        3 => Message::Nack(sequence),
        4 => Message::Suspect(accusation),
        5 => Message::Dead(accusation),
        _ => garbage_alive(prng),
    }
}
