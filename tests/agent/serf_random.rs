//! Random schedules for Serf alone, beside a model that is a table: for each member a status and the time
//! of the last intent, one clock, the events that were heard. After every step both agree and the
//! invariants hold. And whole pools: kills, leaves, cuts and restarts at random; in the end everybody
//! who runs agrees on who does.
//!
//! `PROPTEST_CASES=10000 cargo test --test agent serf_random` runs longer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use bytes::Bytes;
use proconsul::base::{Duration, Instant, NodeName, Prng, RequestId};
use proconsul::gossip::Input as PoolInput;
use proconsul::gossip::serf::{Config, Input, Output, Previous, Serf};
use proconsul::gossip::swim::{Delegate, Node};
use proconsul::gossip::{
    Incarnation, LamportTime, MemberState, SerfMessage, SerfState, Status, Tags, UserEvent, pool_io,
};
use proptest::prelude::*;

use crate::gossip_codec::{CODEC, OneDatacenter};
use crate::pool_cluster::Network;

/// What happens next, to whom, and how far from now its time is.
type Choice = (u8, u8, u8);

/// n1 is the one under test.
const NAMES: [&str; 5] = ["n1", "n2", "n3", "n4", "n5"];

/// The table.
struct Model {
    clock: u64,
    event_clock: u64,
    members: BTreeMap<usize, (Status, u64)>,
    early: BTreeMap<usize, (bool, u64)>,
    heard: BTreeSet<(u64, u8)>,
    leaving: bool,
}

impl Model {
    fn witness(clock: &mut u64, time: u64) {
        *clock = (*clock).max(time + 1);
    }

    fn joined(&mut self, who: usize) {
        let early = self.early.get(&who).copied().unwrap_or_default();
        let fresh = (if early.0 { Status::Leaving } else { Status::Alive }, early.1);
        match self.members.get_mut(&who) {
            Some(member) => member.0 = Status::Alive,
            None => _ = self.members.insert(who, fresh),
        }
    }

    fn gone(&mut self, who: usize) {
        if let Some(member) = self.members.get_mut(&who) {
            member.0 = match member.0 {
                Status::Alive => Status::Failed,
                Status::Leaving => Status::Left,
                other => other,
            };
        }
    }

    /// Whether it is new.
    fn intent(&mut self, who: usize, leaves: bool, time: u64) -> bool {
        Self::witness(&mut self.clock, time);
        let Some((status, last)) = self.members.get_mut(&who) else {
            let newer = self.early.get(&who).is_none_or(|early| time > early.1);
            if newer {
                self.early.insert(who, (leaves, time));
            }
            return newer;
        };
        if time <= *last {
            return false;
        }
        if leaves && who == 0 && !self.leaving {
            let now = self.clock;
            self.intent(0, false, now);
            return false;
        }
        *last = time;
        *status = match (leaves, *status) {
            (true, Status::Alive) => Status::Leaving,
            (true, Status::Failed) => Status::Left,
            (false, Status::Leaving) => Status::Alive,
            (_, other) => other,
        };
        true
    }

    /// Whether it is delivered.
    fn event(&mut self, name: u8, time: u64) -> bool {
        Self::witness(&mut self.event_clock, time);
        let in_window = self.event_clock <= 512 || time >= self.event_clock - 512;
        in_window && self.heard.insert((time, name))
    }
}

fn addr(who: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, who as u8 + 1], 8301))
}

fn node(who: usize) -> Node {
    Node {
        name: NodeName::from(NAMES[who]),
        addr: addr(who),
        meta: Bytes::new(),
        versions: Some([1, 5, 2, 2, 5, 4]),
        incarnation: Incarnation(1),
        state: MemberState::Alive,
        changed: Instant::ZERO,
    }
}

struct Run {
    serf: Serf,
    model: Model,
    now: Instant,
}

impl Run {
    fn new() -> Self {
        let config = Config::consul_lan(NodeName::from("n1"), addr(0), Tags::default());
        let mut out = Vec::new();
        let (previous, prng) = (Previous::default(), Prng::new(1));
        let admission = Box::new(OneDatacenter);
        let serf = Serf::new(config, CODEC, admission, previous, &prng, Instant::ZERO, &mut out);
        let model = Model {
            clock: 1,
            event_clock: 1,
            members: BTreeMap::new(),
            early: BTreeMap::new(),
            heard: BTreeSet::new(),
            leaving: false,
        };
        let mut run = Self { serf, model, now: Instant::ZERO };
        run.model.joined(0);
        run.step(Input::NodeJoined(node(0)));
        run
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let before = self.serf.clocks();
        let mut out = Vec::new();
        self.serf.step(self.now, input, &mut out);
        self.serf.check_invariants();
        let after = self.serf.clocks();
        assert!(before.member <= after.member && before.event <= after.event, "a clock went back");
        out
    }

    fn act(&mut self, (what, who, how): Choice) {
        self.now += Duration::from_millis(u64::from(how));
        let who = usize::from(who) % NAMES.len();
        let other = who.max(1);
        let name = NodeName::from(NAMES[who]);
        let near = |clock: u64| (clock + u64::from(how % 8)).saturating_sub(4);
        match what % 16 {
            0..3 => {
                self.model.joined(other);
                self.step(Input::NodeJoined(node(other)));
            }
            3..5 => {
                self.model.gone(other);
                self.step(Input::NodeLeft(node(other)));
            }
            5..11 => {
                let (time, leaves) = (near(self.model.clock), what % 2 == 0);
                let is_new = self.model.intent(who, leaves, time);
                let time = LamportTime(time);
                let message = if leaves {
                    SerfMessage::Leave { time, node: name, prune: false }
                } else {
                    SerfMessage::Join { time, node: name }
                };
                self.drain();
                self.step(Input::Message(message.clone()));
                assert_eq!(self.drain().contains(&message), is_new, "passed on when new");
            }
            11..13 => self.merge(other, near(self.model.clock), what == 11),
            13..15 => {
                // Now and then so late that the window has moved on.
                let clock = self.model.event_clock;
                let time = if how > 250 { clock + 300 } else { near(clock) };
                let delivered = self.model.event(how % 3, time);
                let (name, time) = (format!("e{}", how % 3), LamportTime(time));
                let event = UserEvent { time, name, payload: None, coalesce: false };
                let out = self.step(Input::Message(SerfMessage::UserEvent(event)));
                let heard =
                    |output: &Output| matches!(output, Output::Out(pool_io::Output::UserEvent(_)));
                assert_eq!(out.iter().any(heard), delivered, "delivered once");
            }
            _ => {
                let time = self.model.clock;
                self.model.intent(other, true, time);
                let (request, node) = (RequestId(1), NodeName::from(NAMES[other]));
                let out = self.step(Input::ForceLeave { request, node, prune: false });
                // Nobody alive: done at once; else when it has been sent.
                drop(out);
                self.drain();
                self.step(Input::Wake);
            }
        }
        self.compare();
    }

    fn merge(&mut self, who: usize, time: u64, left: bool) {
        let name = NodeName::from(NAMES[who]);
        let mut state = SerfState { time: LamportTime(time), ..SerfState::default() };
        state.status_times.push((name.clone(), LamportTime(time)));
        if time > 0 {
            Model::witness(&mut self.model.clock, time - 1);
        }
        if left {
            state.left_members.push(name);
            self.model.intent(who, true, time + 1);
        } else {
            self.model.intent(who, false, time);
        }
        self.step(Input::State { state, join: false });
    }

    /// All broadcasts until none is left.
    fn drain(&mut self) -> Vec<SerfMessage> {
        let mut drawn = Vec::new();
        while self.serf.has_broadcasts() {
            drawn.extend(self.serf.broadcasts(2, 1400));
        }
        drawn
    }

    fn compare(&self) {
        let clocks = self.serf.clocks();
        assert_eq!((clocks.member.0, clocks.event.0), (self.model.clock, self.model.event_clock));
        for (who, name) in NAMES.iter().enumerate() {
            let name = NodeName::from(*name);
            let status = self.serf.member(&name).map(|view| view.status);
            let real = status.zip(self.serf.status_time(&name).map(|time| time.0));
            assert_eq!(real, self.model.members.get(&who).copied(), "{name}");
        }
    }
}

/// One thing that happens to a pool of four.
fn disturb(network: &mut Network, (what, who, how): Choice) {
    let at = usize::from(who) % network.seats.len();
    match what % 12 {
        0 => network.kill(at),
        1 | 2 if network.seats[at].pool.is_none() => network.start(at, false),
        3 if how < 64 => network.step(at, PoolInput::Leave),
        4 => network.cut(&[at]),
        5 => network.heal(),
        6 => {
            let node = network.seats[usize::from(how) % 4].name.clone();
            let request = RequestId(u64::from(how));
            network.step(at, PoolInput::ForceLeave { request, node, prune: how > 200 });
        }
        7 => {
            let (request, name) = (RequestId(7), format!("e{how}"));
            let payload = Bytes::new();
            network.step(at, PoolInput::UserEvent { request, name, payload, coalesce: false });
        }
        _ => {}
    }
    network.run(Duration::from_millis(u64::from(how) * 40));
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn serf_does_what_the_table_says(
        schedule in prop::collection::vec(any::<Choice>(), 20..200),
    ) {
        let mut run = Run::new();
        schedule.into_iter().for_each(|choice| run.act(choice));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12,
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    })]

    #[test]
    fn in_the_end_all_agree_on_who_is_there(
        seed in any::<u64>(),
        schedule in prop::collection::vec(any::<Choice>(), 5..40),
    ) {
        let mut network = Network::joined(4, seed);
        schedule.into_iter().for_each(|choice| disturb(&mut network, choice));
        network.heal();
        // Whoever is about to leave has left.
        network.run(Duration::from_secs(20));
        for at in 0..4 {
            if network.seats[at].has_left {
                network.kill(at);
            }
            if network.seats[at].pool.is_none() {
                network.start(at, true);
            }
        }
        // Those who have forgotten everybody need to be told.
        (1..4).for_each(|at| network.join(at, 0));
        network.run(Duration::from_secs(300));
        // "Leaving" is possible for one that was made to leave while it was away: see `serf/exchange.rs`.
        for (at, of) in (0..4).flat_map(|at| (0..4).map(move |of| (at, of))) {
            let status = network.status(at, of);
            let present = matches!(status, Some(Status::Alive | Status::Leaving));
            prop_assert!(present, "n{} of n{}: {status:?}", at + 1, of + 1);
        }
    }
}
