//! Stories of whole pools: what everybody makes of who joins, dies, leaves, is cut off and comes back.

use bytes::Bytes;
use proconsul::base::{Duration, RequestId};
use proconsul::gossip::{Input, MemberEventKind, Status, Tags};

use crate::pool_cluster::Network;

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn all_alive(network: &Network) {
    (0..network.seats.len()).for_each(|of| network.expect_everywhere(of, Some(Status::Alive)));
}

fn fire(network: &mut Network, at: usize, name: &str) {
    let (request, name, payload) = (RequestId(2), name.to_owned(), Bytes::new());
    network.step(at, Input::UserEvent { request, name, payload, coalesce: false });
}

#[test]
fn those_who_join_one_another_know_all() {
    for seed in 0..5 {
        let network = Network::joined(7, seed);
        all_alive(&network);
        let joins = |seat: &crate::pool_cluster::Seat| {
            seat.heard.iter().filter(|(kind, _)| *kind == MemberEventKind::Join).count()
        };
        assert!(network.seats.iter().all(|seat| joins(seat) == 7), "each once");
    }
}

#[test]
fn one_that_is_killed_fails_everywhere() {
    let mut network = Network::joined(5, 1);
    network.kill(3);
    network.run(secs(60));
    network.expect_everywhere(3, Some(Status::Failed));
    // It comes back by itself, from its snapshot.
    network.start(3, false);
    network.run(secs(15));
    all_alive(&network);
}

#[test]
fn one_that_leaves_has_left_everywhere() {
    for seed in 0..5 {
        let mut network = Network::joined(5, seed);
        network.step(2, Input::Leave);
        network.run(secs(15));
        assert!(network.seats[2].has_left);
        network.expect_everywhere(2, Some(Status::Left));
        network.kill(2);
        network.run(secs(60));
        network.expect_everywhere(2, Some(Status::Left));
        // It does not come back by itself.
        network.start(2, false);
        network.run(secs(60));
        assert_eq!(network.status(2, 0), None);
        assert_eq!(network.status(0, 2), Some(Status::Left));
        // But when it is told to.
        network.join(2, 0);
        network.run(secs(10));
        all_alive(&network);
    }
}

#[test]
fn one_that_left_goes_back_when_the_operator_wants_it() {
    let mut network = Network::joined(4, 1);
    network.step(2, Input::Leave);
    network.run(secs(15));
    network.kill(2);
    network.start(2, true);
    network.run(secs(20));
    all_alive(&network);
}

#[test]
fn a_partition_that_heals_is_one_pool_again() {
    for seed in 0..3 {
        let mut network = Network::joined(6, seed);
        network.cut(&[0, 1]);
        network.run(secs(120));
        assert_eq!(network.status(0, 5), Some(Status::Failed));
        assert_eq!(network.status(5, 0), Some(Status::Failed));
        assert_eq!(network.status(0, 1), Some(Status::Alive));
        network.heal();
        network.run(secs(180));
        all_alive(&network);
    }
}

#[test]
fn a_failed_member_can_be_made_to_leave_and_a_living_one_cannot() {
    let mut network = Network::joined(5, 2);
    network.kill(4);
    network.run(secs(60));
    for (of, prune) in [(4, false), (3, false)] {
        let node = network.seats[of].name.clone();
        network.step(0, Input::ForceLeave { request: RequestId(9), node, prune });
    }
    network.run(secs(10));
    network.expect_everywhere(4, Some(Status::Left));
    network.expect_everywhere(3, Some(Status::Alive));
    let node = network.seats[4].name.clone();
    network.step(1, Input::ForceLeave { request: RequestId(9), node, prune: true });
    network.run(secs(10));
    network.expect_everywhere(4, None);
}

#[test]
fn an_event_reaches_everybody_once() {
    let mut network = Network::joined(8, 3);
    fire(&mut network, 5, "deploy");
    network.run(secs(120));
    assert!(network.seats.iter().all(|seat| seat.events == ["deploy"]));
    // A late joiner that ignores old events is spared; when another joins it, it hears the old one.
    let mut network = Network::new(3, 3);
    network.join(1, 0);
    network.run(secs(5));
    fire(&mut network, 0, "old");
    network.run(secs(5));
    network.join(2, 0);
    network.run(secs(5));
    assert_eq!(network.seats[2].events, Vec::<String>::new());
    network.kill(2);
    network.seats[2].file.clear();
    network.start(2, false);
    network.join(0, 2);
    network.run(secs(5));
    assert_eq!(network.seats[2].events, ["old"]);
}

#[test]
fn a_query_is_acked_by_everybody() {
    let mut network = Network::joined(6, 4);
    network.step(
        1,
        Input::Query {
            request: RequestId(3),
            name: "_serf_ping".to_owned(),
            payload: Bytes::new(),
            filters: Vec::new(),
            acks: true,
            relay_factor: 2,
            timeout: None,
        },
    );
    network.run(secs(5));
    assert_eq!(network.seats[1].answers.len(), 6, "{:?}", network.seats[1].answers);
}

#[test]
fn new_tags_are_known_everywhere() {
    let mut network = Network::joined(4, 5);
    network.step(0, Input::SetTags(Tags(vec![("role".into(), "consul".into())])));
    network.run(secs(10));
    for seat in &network.seats {
        let view = seat.pool.as_ref().and_then(|pool| pool.member(&"n1".into()));
        assert_eq!(view.and_then(|view| view.tags.get("role")), Some("consul"), "{}", seat.name);
    }
}

#[test]
fn coordinates_show_the_distance() {
    let mut network = Network::joined(4, 6);
    network.run(secs(300));
    let pool = network.seats[0].pool.as_ref().expect("it runs");
    let other = pool.coordinate_of(&"n3".into()).expect("it was probed");
    let distance_s = pool.coordinate().distance_s(other);
    assert!((0.0015..0.0025).contains(&distance_s), "2 ms there and back: {distance_s}");
}

#[test]
fn the_strict_datacenter_lets_nobody_else_in() {
    let mut network = Network::new(3, 7);
    network.step(2, Input::SetTags(Tags(vec![("dc".into(), "dc2".into())])));
    network.join(1, 0);
    network.join(2, 0);
    network.run(secs(30));
    assert_eq!((network.status(0, 1), network.status(0, 2)), (Some(Status::Alive), None));
}

/// Not a measurement: a pool of this size has to be bearable in every test that wants one.
#[test]
fn a_hundred_members_are_one_pool() {
    let mut network = Network::joined(100, 8);
    all_alive(&network);
    network.kill(50);
    network.run(secs(60));
    network.expect_everywhere(50, Some(Status::Failed));
}
