//! The autopilot: who is healthy, who gets a vote, and how many may be removed.

use std::collections::BTreeMap;

use proconsul::agent::autopilot::{Action, Autopilot, Input, KnownServer, Picture, ServerStats};
use proconsul::base::{Duration, Instant, LogIndex, NodeName, ServerAddress, ServerId, Term};
use proconsul::gossip::Status;
use proconsul::raft::{Configuration, Server, Suffrage};
use proconsul::state::AutopilotConfiguration;
use proptest::prelude::*;

fn name(at: usize) -> String {
    format!("n{at}")
}

fn id(at: usize) -> ServerId {
    name(at).as_str().into()
}

fn address(at: usize) -> ServerAddress {
    format!("10.0.0.{at}:8300").as_str().into()
}

/// A cluster that does what it is told at once. Server 1 leads.
struct World {
    now: Instant,
    autopilot: Autopilot,
    raft: Configuration,
    known: Vec<KnownServer>,
    stats: BTreeMap<ServerId, ServerStats>,
    configuration: AutopilotConfiguration,
}

impl World {
    fn new(voters: usize) -> Self {
        let mut world = Self {
            now: Instant::ZERO,
            autopilot: Autopilot::new(Instant::ZERO),
            raft: Configuration { servers: Vec::new() },
            known: Vec::new(),
            stats: BTreeMap::new(),
            configuration: AutopilotConfiguration::default(),
        };
        (1..=voters).for_each(|at| world.add(at, Suffrage::Voter));
        world
    }

    fn add(&mut self, at: usize, suffrage: Suffrage) {
        self.raft.servers.push(Server { suffrage, id: id(at), address: address(at) });
        self.known.push(KnownServer {
            id: id(at),
            name: NodeName::from(name(at).as_str()),
            address: address(at),
            status: Status::Alive,
            version: "1.9.8".to_owned(),
            read_replica: false,
        });
        self.says(at, 0);
    }

    /// What a server says of itself: so many entries behind.
    fn says(&mut self, at: usize, behind: u64) {
        let (last_contact, last_index) = (Some(Duration::ZERO), LogIndex(1000 - behind));
        self.stats.insert(id(at), ServerStats { last_contact, last_term: Term(2), last_index });
    }

    fn set(&mut self, at: usize, status: Status) {
        self.known.iter_mut().filter(|it| it.id == id(at)).for_each(|it| it.status = status);
    }

    fn step(&mut self, input: Input) -> Vec<Action> {
        let (mut out, leader) = (Vec::new(), id(1));
        let picture = Picture {
            raft: &self.raft,
            leader: &leader,
            known: &self.known,
            configuration: &self.configuration,
            heartbeat_pause: Duration::ZERO,
        };
        self.autopilot.step(self.now, input, &picture, &mut out);
        out
    }

    /// Sleeps until its deadline; what it wants then, without lines for the log and with questions
    /// answered.
    fn wake(&mut self) -> Vec<Action> {
        self.now = self.autopilot.deadline();
        let mut wanted = self.step(Input::Wake);
        if let Some(Action::FetchStats(asked)) = wanted.first() {
            let asked: Vec<ServerId> = asked.iter().map(|(id, _)| id.clone()).collect();
            let stats = self.stats.iter().filter(|(id, _)| asked.contains(id));
            let stats = stats.map(|(id, it)| (id.clone(), *it)).collect();
            assert!(self.step(Input::Stats(stats)).is_empty());
            wanted.remove(0);
        }
        without_lines(wanted)
    }

    fn until(&mut self, seconds: u64) -> Vec<Action> {
        let until = Instant::ZERO + Duration::from_secs(seconds);
        let mut wanted = Vec::new();
        while self.autopilot.deadline() <= until {
            wanted.extend(self.wake());
        }
        wanted
    }
}

fn without_lines(actions: Vec<Action>) -> Vec<Action> {
    actions.into_iter().filter(|action| !matches!(action, Action::Log(..))).collect()
}

fn promote(at: usize) -> Action {
    Action::Promote { id: id(at), address: address(at) }
}

fn force_leave(at: usize) -> Action {
    Action::ForceLeave(NodeName::from(name(at).as_str()))
}

#[test]
fn a_server_gets_its_vote_after_it_was_healthy_for_long_enough() {
    let mut world = World::new(3);
    assert_eq!(world.until(21), []);
    world.add(4, Suffrage::Nonvoter);
    // Seen healthy at 22 s; the reconcile at 30 s is too early.
    assert_eq!(world.until(39), []);
    assert_eq!(world.until(40), [promote(4)]);
}

#[test]
fn a_new_leader_has_no_memory_and_takes_the_healthy_at_once() {
    let mut world = World::new(1);
    world.add(2, Suffrage::Nonvoter);
    assert_eq!(world.until(10), [promote(2)]);
}

#[test]
fn who_is_behind_or_silent_is_not_healthy_and_gets_no_vote() {
    let mut world = World::new(3);
    world.add(4, Suffrage::Nonvoter);
    world.says(4, 251);
    assert_eq!(world.until(60), []);
    let health = world.autopilot.health();
    assert_eq!((health.healthy, health.failure_tolerance), (false, 1));
    world.says(4, 250);
    world.stats.remove(&id(2));
    // Healthy since 62 s, so not stable at 70 s.
    assert_eq!(world.until(79), []);
    assert_eq!(world.until(80), [promote(4)]);
    assert_eq!(world.autopilot.health().failure_tolerance, 0);
}

#[test]
fn a_crashed_server_is_forced_out_while_the_rest_is_a_majority() {
    let mut world = World::new(3);
    world.set(3, Status::Failed);
    assert_eq!(without_lines(world.step(Input::Prune)), [force_leave(3)]);
    world.set(2, Status::Failed);
    // Both at once would leave one of three: the first by id goes.
    assert_eq!(without_lines(world.step(Input::Prune)), [force_leave(2)]);
    world.configuration.min_quorum = 3;
    assert_eq!(without_lines(world.step(Input::Prune)), []);
    world.configuration.min_quorum = 0;
    world.configuration.cleanup_dead_servers = false;
    assert_eq!(without_lines(world.step(Input::Prune)), []);
}

#[test]
fn servers_that_gossip_does_not_know_leave_raft_and_nonvoters_go_first() {
    let mut world = World::new(5);
    world.add(9, Suffrage::Nonvoter);
    world.known.retain(|it| it.id != id(9) && it.id != id(5));
    world.set(4, Status::Left);
    assert_eq!(
        without_lines(world.step(Input::Prune)),
        [Action::RemoveServer(id(9)), Action::RemoveServer(id(5)), force_leave(4)]
    );
    // Leaving counts as alive.
    let mut world = World::new(3);
    world.set(3, Status::Leaving);
    assert_eq!(without_lines(world.step(Input::Prune)), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn never_removes_a_majority_and_promotes_only_the_stable(
        voters in 1usize..8,
        changes in prop::collection::vec((0u64..6, 2usize..10, 0u8..6), 0..40),
        min_quorum in 0u64..4,
    ) {
        let mut world = World::new(voters);
        world.configuration.min_quorum = min_quorum;
        (voters + 1..10).for_each(|at| world.add(at, Suffrage::Nonvoter));
        let mut well_since: BTreeMap<ServerId, Instant> = BTreeMap::new();
        for (wakes, at, change) in changes {
            match change {
                0 => world.set(at, Status::Failed),
                1 => world.set(at, Status::Left),
                2 => world.known.retain(|it| it.id != id(at)),
                3 => world.says(at, 300),
                4 => world.says(at, 0),
                _ => world.set(at, Status::Alive),
            }
            for _ in 0..wakes {
                let wanted = world.wake();
                let was = well_since.clone();
                for server in &world.autopilot.health().servers {
                    match server.healthy {
                        true => {
                            well_since.entry(server.id.clone()).or_insert(world.now);
                        }
                        false => {
                            well_since.remove(&server.id);
                        }
                    }
                }
                let votes = |id: &ServerId| {
                    let mut servers = world.raft.servers.iter();
                    servers.any(|it| it.id == *id && it.suffrage == Suffrage::Voter)
                };
                let mut removed = Vec::new();
                for action in &wanted {
                    match action {
                        Action::Promote { id, .. } => {
                            let since = was.get(id).or(well_since.get(id));
                            let young = world.now <= Instant::ZERO + Duration::from_secs(10);
                            let stable = since.is_some_and(|since| {
                                young || world.now.since(*since) >= Duration::from_secs(10)
                            });
                            prop_assert!(stable, "{} since {:?} at {:?}", id, since, world.now);
                        }
                        Action::RemoveServer(id) => removed.push(id.clone()),
                        Action::ForceLeave(name) => removed.push(name.to_string().as_str().into()),
                        Action::FetchStats(_) | Action::Log(..) => {}
                    }
                }
                let is_voter = |it: &&Server| it.suffrage == Suffrage::Voter;
                let all = world.raft.servers.iter().filter(is_voter).count();
                let lost = removed.iter().filter(|id| votes(id)).count();
                let potential = world.raft.servers.len();
                prop_assert!(lost <= potential.saturating_sub(1) / 2, "{} of {}", lost, potential);
                prop_assert!(lost < all && !removed.contains(&id(1)));
                let promoted = wanted.iter().any(|it| matches!(it, Action::Promote { .. }));
                prop_assert!(!promoted || removed.is_empty(), "both in one round");
                for action in wanted {
                    if let Action::Promote { id, .. } = action {
                        let mut servers = world.raft.servers.iter_mut();
                        if let Some(it) = servers.find(|it| it.id == id) {
                            it.suffrage = Suffrage::Voter;
                        }
                    }
                }
                world.raft.servers.retain(|it| !removed.contains(&it.id));
            }
        }
    }
}
