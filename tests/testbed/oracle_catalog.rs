//! The properties of the catalog, on told runs.

use sim_runner::property::Verdict;
use sim_runner::trace::catalog::{CatalogRow, SERF_HEALTH};
use sim_runner::trace::event::{Change, Host, Pool, What};

use crate::oracle_story::{N1, N2, Story, TESTBED};

const SECOND: i64 = 1_000;

pub fn node(name: &str, id: &str) -> CatalogRow {
    CatalogRow::Node {
        node: name.to_lowercase(),
        name: name.to_owned(),
        id: id.to_owned(),
        address: "10.0.1.1".to_owned(),
    }
}

pub fn service(node: &str, id: &str, content: u64) -> CatalogRow {
    let (node, id) = (node.to_owned(), id.to_owned());
    let (address, tags) = (String::new(), Vec::new());
    CatalogRow::Service { node, service: id.clone(), id, address, port: 80, tags, content }
}

pub fn check(node: &str, id: &str, status: &str, service_id: &str) -> CatalogRow {
    CatalogRow::Check {
        node: node.to_owned(),
        id: id.to_owned(),
        status: status.to_owned(),
        service_id: service_id.to_owned(),
        service: service_id.to_owned(),
        content: 1,
    }
}

fn gone(node: &str) -> CatalogRow {
    CatalogRow::NoNode { node: node.to_owned() }
}

fn tells(story: &mut Story, host: Host, index: u64, rows: Vec<CatalogRow>) {
    story.push(host, What::Catalog { index, rows });
}

fn judged(rows: &[Vec<CatalogRow>], property: &str) -> (Verdict, Option<String>) {
    let mut story = Story::led();
    for (index, rows) in (2..).zip(rows) {
        tells(&mut story, N1, index, rows.clone());
    }
    let judgement = story.judgement(property);
    (judgement.verdict, judgement.violations.first().map(|it| it.signature.clone()))
}

#[test]
fn without_a_catalog_nothing_is_judged() {
    for property in [
        "catalog-unique",
        "catalog-matches-agents",
        "no-resurrection",
        "serf-health",
        "no-orphan-checks",
    ] {
        assert_eq!(Story::led().judgement(property).verdict, Verdict::Skipped, "{property}");
    }
}

#[test]
fn names_and_ids_of_nodes_are_theirs_alone() {
    let unique = |rows: &[Vec<CatalogRow>]| judged(rows, "catalog-unique");
    let two = vec![node("a", "1"), node("b", "2"), node("c", ""), node("d", "")];
    assert_eq!(
        unique(&[two, vec![service("a", "web", 1), service("b", "web", 1)]]).0,
        Verdict::Holds
    );
    // A node that takes over an id takes the place of the one that had it.
    let over = [vec![node("a", "1")], vec![gone("a"), node("b", "1")]];
    assert_eq!(unique(&over).0, Verdict::Holds);

    let mut cased = node("a", "");
    if let CatalogRow::Node { node, name, .. } = &mut cased {
        (*node, *name) = ("A".to_owned(), "A".to_owned());
    }
    let cases = [
        (vec![vec![node("a", "1")], vec![cased]], "two nodes of one name"),
        (vec![vec![node("a", "1")], vec![node("b", "1")]], "two nodes of one id"),
        (
            vec![vec![node("a", ""), service("a", "web", 1)], vec![service("A", "web", 1)]],
            "one id twice on a node",
        ),
    ];
    for (rows, fact) in cases {
        assert_eq!(
            unique(&rows),
            (Verdict::Violated, Some(format!("catalog-unique: {fact}"))),
            "{rows:?}"
        );
    }
}

#[test]
fn what_is_on_a_node_or_about_an_instance_goes_with_it() {
    let orphans = |rows: &[Vec<CatalogRow>]| judged(rows, "no-orphan-checks");
    let there = vec![node("a", ""), service("a", "web", 1), check("a", "c", "passing", "web")];
    let no_check = CatalogRow::NoCheck { node: "a".to_owned(), id: "c".to_owned() };
    let no_service = CatalogRow::NoService { node: "a".to_owned(), id: "web".to_owned() };
    let whole = vec![gone("a"), no_service.clone(), no_check.clone()];
    assert_eq!(orphans(&[there.clone(), whole]).0, Verdict::Holds);
    assert_eq!(orphans(&[there.clone(), vec![no_service.clone(), no_check]]).0, Verdict::Holds);
    let on_node = vec![node("a", ""), check("a", SERF_HEALTH, "passing", "")];
    assert_eq!(orphans(&[on_node]).0, Verdict::Holds);

    let mut misnamed = check("a", "c", "passing", "web");
    if let CatalogRow::Check { service, .. } = &mut misnamed {
        *service = "db".to_owned();
    }
    let cases = [
        (vec![there.clone(), vec![no_service]], "a check of an instance that is gone"),
        (vec![there.clone(), vec![gone("a")]], "something on a node that is gone"),
        (vec![vec![service("a", "web", 1)]], "an instance without its node"),
        (vec![vec![check("a", "c", "passing", "")]], "a check without its node"),
        (
            vec![vec![node("a", "")], vec![check("a", "c", "passing", "web")]],
            "a check without its instance",
        ),
        (vec![there, vec![misnamed]], "a check with another service's name"),
    ];
    for (rows, fact) in cases {
        assert_eq!(
            orphans(&rows),
            (Verdict::Violated, Some(format!("no-orphan-checks: {fact}"))),
            "{rows:?}"
        );
    }
}

fn member(about: &str, change: Change) -> What {
    What::Member { pool: Pool::Lan, about: about.to_owned(), change, forced: false, ltime: 1 }
}

/// n1 leads, and lists itself, n2 and n3; its catalog says the same.
fn listed() -> Story {
    let mut story = Story::led();
    for name in ["n1", "n2", "n3"] {
        story.push(N1, member(name, Change::Joined));
    }
    let rows = ["n1", "n2", "n3"];
    let rows = rows.iter().flat_map(|it| [node(it, ""), check(it, SERF_HEALTH, "passing", "")]);
    tells(&mut story, N1, 2, rows.collect());
    story
}

fn tick(story: &mut Story, at: i64) {
    story.at(at * SECOND).push(TESTBED, What::Note { text: "tick".to_owned() });
}

fn health(story: &mut Story, at: i64, name: &str, status: &str) {
    story.at(at * SECOND);
    tells(story, N1, at as u64, vec![check(name, SERF_HEALTH, status, "")]);
}

#[test]
fn a_leader_has_a_minute_to_say_what_gossip_says() {
    let mut story = listed();
    tick(&mut story, 100);
    let judgement = story.judgement("serf-health");
    assert_eq!((judgement.verdict, judgement.judged), (Verdict::Holds, 3));

    story.at(110 * SECOND).push(N1, member("n3", Change::Failed));
    health(&mut story, 165, "n3", "critical");
    tick(&mut story, 300);
    assert_ne!(story.judgement("serf-health").verdict, Verdict::Violated);

    let mut late = listed();
    late.at(110 * SECOND).push(N1, member("n3", Change::Failed));
    tick(&mut late, 179);
    assert_ne!(late.judgement("serf-health").verdict, Verdict::Violated);
    tick(&mut late, 181);
    late.assert_caught("serf-health: a failed member that passes");
}

#[test]
fn the_living_pass_and_leavers_are_gone() {
    let mut story = listed();
    health(&mut story, 10, "n2", "critical");
    tick(&mut story, 90);
    story.assert_caught("serf-health: a member alive that is not passing");

    let mut story = listed();
    story.at(10 * SECOND).push(N1, member("n3", Change::Left));
    tick(&mut story, 90);
    story.assert_caught("serf-health: a member that has left");

    let mut story = listed();
    story.at(10 * SECOND).push(N1, member("n3", Change::Reaped));
    tick(&mut story, 90);
    story.assert_caught("serf-health: a node of somebody who is forgotten");

    // The leader does not remove itself, and an external node is nobody's.
    let mut story = listed();
    story.at(10 * SECOND).push(N1, member("n1", Change::Left));
    tells(
        &mut story,
        N1,
        10,
        vec![node("external", ""), check("external", "ping", "critical", "")],
    );
    tick(&mut story, 90);
    assert_eq!(story.judgement("serf-health").verdict, Verdict::Holds);
}

#[test]
fn while_leaders_change_or_something_is_wrong_nothing_is_owed() {
    let mut story = listed();
    story.at(10 * SECOND).push(N1, member("n3", Change::Failed));
    story.at(20 * SECOND).push(N1, What::Cut { to: N2 });
    tick(&mut story, 300);
    assert_ne!(story.judgement("serf-health").verdict, Verdict::Violated);
    story.at(300 * SECOND).push(N1, What::Healed { to: N2 });
    tick(&mut story, 360);
    assert_ne!(story.judgement("serf-health").verdict, Verdict::Violated);
    // Another leader begins anew.
    story.wins(N2, 2);
    tick(&mut story, 400);
    assert_ne!(story.judgement("serf-health").verdict, Verdict::Violated);
}

#[test]
fn a_settled_cluster_owes_it_at_once() {
    let mut story = listed();
    health(&mut story, 10, "n2", "critical");
    story.push(TESTBED, What::Settled);
    story.assert_caught("serf-health: a member alive that is not passing");
}

fn has(story: &mut Story, host: Host, rows: Vec<CatalogRow>) {
    story.push(host, What::Local { rows });
}

/// n2 has a service with a check, and the catalog of the leader and of n2 have it too.
fn registered() -> Story {
    let mut story = listed();
    story.push(N2, member("n1", Change::Joined));
    story.at(20 * SECOND);
    let rows = vec![service("n2", "web", 1), check("n2", "c", "passing", "web")];
    has(&mut story, N2, rows.clone());
    tells(&mut story, N1, 20, rows);
    story
}

#[test]
fn what_an_agent_has_is_in_the_catalog_in_time() {
    let mut story = registered();
    tick(&mut story, 300);
    let judgement = story.judgement("catalog-matches-agents");
    assert_eq!(judgement.verdict, Verdict::Holds, "{:?}", judgement.violations);
    assert!(judgement.judged > 3, "{}", judgement.judged);

    // Two minutes until the next full sync, a minute for retries, and slack.
    let cases: [(CatalogRow, &str); 4] = [
        (service("n2", "db", 1), "a service that is not in the catalog"),
        (service("n2", "web", 2), "a service that is otherwise in the catalog"),
        (check("n2", "ping", "passing", ""), "a check that is not in the catalog"),
        (check("n2", "c", "critical", "web"), "a check with another status in the catalog"),
    ];
    for (row, fact) in cases {
        let mut story = registered();
        story.at(100 * SECOND);
        has(&mut story, N2, vec![row]);
        tick(&mut story, 285);
        assert_eq!(story.judgement("catalog-matches-agents").verdict, Verdict::Holds, "{fact}");
        tick(&mut story, 295);
        story.assert_caught(&format!("catalog-matches-agents: {fact}"));
    }
}

#[test]
fn the_catalog_has_nothing_that_the_agent_has_not() {
    for (row, fact) in [
        (service("n2", "db", 1), "a service in the catalog that its agent has not"),
        (check("n2", "ping", "passing", ""), "a check in the catalog that its agent has not"),
    ] {
        let mut story = registered();
        story.at(100 * SECOND);
        tells(&mut story, N1, 30, vec![row]);
        tick(&mut story, 285);
        assert_eq!(story.judgement("catalog-matches-agents").verdict, Verdict::Holds, "{fact}");
        tick(&mut story, 295);
        story.assert_caught(&format!("catalog-matches-agents: {fact}"));
    }
    // A server's own instance of consul, and serfHealth, are the leader's; other nodes are nobody's.
    let mut story = registered();
    story.at(100 * SECOND);
    tells(
        &mut story,
        N1,
        30,
        vec![service("n2", "consul", 1), node("external", ""), service("external", "db", 1)],
    );
    tick(&mut story, 300);
    assert_eq!(story.judgement("catalog-matches-agents").verdict, Verdict::Holds);
}

#[test]
fn agents_that_are_down_or_in_trouble_owe_nothing() {
    let mut story = registered();
    story.at(100 * SECOND).kill(N2);
    tells(
        &mut story,
        N1,
        30,
        vec![CatalogRow::NoService { node: "n2".to_owned(), id: "web".to_owned() }],
    );
    tick(&mut story, 400);
    assert_ne!(story.judgement("catalog-matches-agents").verdict, Verdict::Violated);
    let mut story = registered();
    story.at(100 * SECOND).push(N1, What::Cut { to: N2 });
    has(&mut story, N2, vec![service("n2", "db", 1)]);
    tick(&mut story, 400);
    assert_ne!(story.judgement("catalog-matches-agents").verdict, Verdict::Violated);
}

fn deregisters(story: &mut Story, at: i64) {
    let gone = vec![
        CatalogRow::NoService { node: "n2".to_owned(), id: "web".to_owned() },
        CatalogRow::NoCheck { node: "n2".to_owned(), id: "c".to_owned() },
    ];
    story.at(at * SECOND);
    has(story, N2, gone.clone());
    tells(story, N1, at as u64, gone);
}

#[test]
fn what_was_deregistered_at_its_agent_stays_away() {
    let mut story = registered();
    deregisters(&mut story, 100);
    tick(&mut story, 300);
    assert_eq!(story.judgement("no-resurrection").verdict, Verdict::Holds);

    let mut back = story.clone();
    tells(&mut back, N1, 300, vec![service("n2", "web", 1)]);
    back.assert_caught("no-resurrection: a deregistered service is back in the catalog");

    let mut again = story.clone();
    has(&mut again, N2, vec![service("n2", "web", 1)]);
    tells(&mut again, N1, 300, vec![service("n2", "web", 1)]);
    assert_eq!(again.judgement("no-resurrection").verdict, Verdict::Holds);

    let mut restarted = story;
    restarted.at(310 * SECOND).kill(N2);
    restarted.at(320 * SECOND).start(N2, 1, None, &[]);
    has(&mut restarted, N2, vec![service("n2", "web", 1)]);
    restarted.assert_caught("no-resurrection: a deregistered service is back after a restart");
}

#[test]
fn what_else_an_agent_brings_back_and_who_asked_for_it() {
    let mut restarted = registered();
    deregisters(&mut restarted, 100);
    restarted.at(310 * SECOND).kill(N2);
    restarted.at(320 * SECOND).start(N2, 1, None, &[]);
    let asked = |story: &Story| {
        let mut story = story.clone();
        story.at(330 * SECOND).step(0, "register", &[N2]);
        has(&mut story, N2, vec![service("n2", "web", 1)]);
        story.judgement("no-resurrection").verdict
    };
    assert_eq!(asked(&restarted), Verdict::Holds, "a step registered it anew");
    // It need not be the first that the agent tells of.
    has(&mut restarted, N2, vec![service("n2", "db", 1)]);
    has(&mut restarted, N2, vec![service("n2", "web", 1)]);
    restarted.assert_caught("no-resurrection: a deregistered service is back after a restart");
    // The catalog names nodes in lower case, whatever their agents' names are.
    let mut cased = registered();
    cased.header.hosts[usize::from(N2.0)].name = "N2".to_owned();
    deregisters(&mut cased, 100);
    tick(&mut cased, 300);
    tells(&mut cased, N1, 300, vec![service("n2", "web", 1)]);
    cased.assert_caught("no-resurrection: a deregistered service is back in the catalog");
}

#[test]
fn what_may_have_been_on_its_way_is_not_judged() {
    // In trouble …
    let mut story = registered();
    story.at(90 * SECOND).push(N1, What::Cut { to: N2 });
    deregisters(&mut story, 100);
    story.at(150 * SECOND).push(N1, What::Healed { to: N2 });
    tells(&mut story, N1, 150, vec![service("n2", "web", 1)]);
    assert_eq!(story.judgement("no-resurrection").verdict, Verdict::Holds);
    // … and right after.
    let mut story = registered();
    deregisters(&mut story, 100);
    story.at(105 * SECOND);
    tells(&mut story, N1, 105, vec![service("n2", "web", 1)]);
    assert_eq!(story.judgement("no-resurrection").verdict, Verdict::Holds);
    let mut story = registered();
    deregisters(&mut story, 100);
    story.at(101 * SECOND).kill(N2);
    story.at(102 * SECOND).start(N2, 1, None, &[]);
    has(&mut story, N2, vec![service("n2", "web", 1)]);
    assert_eq!(story.judgement("no-resurrection").verdict, Verdict::Holds);
}
