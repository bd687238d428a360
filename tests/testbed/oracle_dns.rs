//! `dns-sound`: what a lookup may be told, on told runs.

use serde_json::json;
use sim_runner::history::lookup::{By, Question, Resolved};
use sim_runner::history::operation::{Call, Outcome, Output};
use sim_runner::history::request::{Reply, Request};
use sim_runner::property::Verdict;
use sim_runner::scenario::model::NodePlan;
use sim_runner::trace::catalog::{CatalogRow, SERF_HEALTH};
use sim_runner::trace::event::{Host, Role, What};

use crate::oracle_catalog::check;
use crate::oracle_story::{MS, N1, N2, N3, Story};

/// Who asks.
const U1: Host = Host(3);
const NAME: &str = "web.service.consul.";

fn node(name: &str, address: &str) -> CatalogRow {
    let (name, address) = (name.to_owned(), address.to_owned());
    CatalogRow::Node { node: name.clone(), name, id: String::new(), address }
}

fn web(node: &str, address: &str, tags: &[&str]) -> CatalogRow {
    CatalogRow::Service {
        node: node.to_owned(),
        id: "web".to_owned(),
        service: "web".to_owned(),
        address: address.to_owned(),
        port: 80,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        content: 1,
    }
}

/// Two instances: on a, at 10.0.2.1, tagged; on b, where its node is.
fn catalog() -> Vec<CatalogRow> {
    vec![
        node("a", "10.0.1.1"),
        node("b", "10.0.1.2"),
        check("a", SERF_HEALTH, "passing", ""),
        web("a", "10.0.2.1", &["Primary"]),
        web("b", "", &[]),
        check("a", "c", "passing", "web"),
    ]
}

/// All servers have that catalog.
fn served() -> Story {
    let mut story = Story::led();
    for (id, host) in [("n1", N1), ("n2", N2), ("n3", N3)] {
        let config = json!({});
        story.plan.cluster.nodes.push(NodePlan { name: id.to_owned(), server: true, config });
        story.push(host, What::Catalog { index: 2, rows: catalog() });
    }
    story
}

fn configured(config: serde_json::Value) -> Story {
    let mut story = served();
    for node in &mut story.plan.cluster.nodes {
        node.config = json!({ "dns_config": config });
    }
    story
}

fn becomes(story: &mut Story, host: Host, status: &str) {
    let rows = vec![check("a", "c", status, "web")];
    story.push(host, What::Catalog { index: 3, rows });
}

fn resolved(rcode: &str, by: By, answers: &[&str]) -> Resolved {
    Resolved {
        rcode: rcode.to_owned(),
        by,
        truncated: false,
        answers: answers.iter().map(|it| (*it).to_owned()).collect(),
        authority: Vec::new(),
        additional: Vec::new(),
    }
}

/// A lookup at n2 from one time to another, ms; what happens between them is told by `meanwhile`.
fn lookup(
    story: &mut Story,
    (name, kind): (&str, &str),
    found: Resolved,
    meanwhile: impl FnOnce(&mut Story),
) {
    let op = story.history.len() as u64;
    let question = Question { name: name.to_owned(), kind: kind.to_owned(), by: found.by };
    story.now += 1000 * MS;
    let called_at = story.now;
    story.push(U1, What::Invoke { op });
    story.now += 10 * MS;
    meanwhile(story);
    story.now += 10 * MS;
    story.push(U1, What::Return { op, outcome: "ok".to_owned() });
    let call = Call::Of(Request::Lookup(question));
    story.operation(call, Output::Of(Reply::Resolved(found)), (0, 0), None);
    let operation = story.history.last_mut().expect("it was added");
    (operation.called_at, operation.returned_at) = (called_at, Some(story.now));
    operation.server = "n2".to_owned();
}

fn ask(story: &mut Story, what: (&str, &str), rcode: &str, answers: &[&str]) {
    lookup(story, what, resolved(rcode, By::Edns, answers), |_| {});
}

fn a(ip: &str) -> String {
    format!("{NAME} 0 IN A {ip}")
}

fn assert_holds(story: &Story) {
    let judgement = story.judgement("dns-sound");
    assert_eq!(judgement.verdict, Verdict::Holds, "{:?}", judgement.violations);
    assert_eq!(judgement.judged, story.history.len() as u64);
}

#[test]
fn what_the_catalog_says_may_be_answered() {
    assert_eq!(served().judgement("dns-sound").verdict, Verdict::Skipped);
    let mut story = served();
    ask(&mut story, (NAME, "A"), "NOERROR", &[&a("10.0.2.1"), &a("10.0.1.2")]);
    ask(&mut story, (NAME, "A"), "NOERROR", &[&a("10.0.1.2")]);
    ask(&mut story, (NAME, "AAAA"), "NOERROR", &[]);
    ask(&mut story, ("primary.web.service.dc1.consul.", "A"), "NOERROR", &[&a("10.0.2.1")]);
    ask(&mut story, ("_web._primary.service.consul.", "A"), "NOERROR", &[&a("10.0.2.1")]);
    ask(&mut story, ("_web._tcp.service.consul.", "A"), "NOERROR", &[&a("10.0.1.2")]);
    ask(&mut story, ("canary.web.service.consul.", "A"), "NXDOMAIN", &[]);
    ask(&mut story, ("A.node.consul.", "A"), "NOERROR", &["A.node.consul. 0 IN A 10.0.1.1"]);
    ask(&mut story, ("c.node.consul.", "A"), "NXDOMAIN", &[]);
    let by_address = "web.service.consul. 0 IN SRV 1 1 80 0a000201.addr.dc1.consul.";
    let by_node = "web.service.consul. 0 IN SRV 1 1 80 b.node.dc1.consul.";
    ask(&mut story, (NAME, "SRV"), "NOERROR", &[by_address, by_node]);
    assert_holds(&story);
}

#[test]
fn what_it_does_not_say_is_caught() {
    for ((name, kind), rcode, answer, fact) in [
        ((NAME, "A"), "NOERROR", a("10.0.2.9"), "an instance that is not there"),
        ((NAME, "A"), "NOERROR", a("10.0.1.1"), "the node's address in the place of the service's"),
        (
            ("primary.web.service.consul.", "A"),
            "NOERROR",
            a("10.0.1.2"),
            "an instance without the tag",
        ),
        (
            (NAME, "SRV"),
            "NOERROR",
            "w. 0 IN SRV 1 1 80 a.node.dc1.consul.".to_owned(),
            "the node's address in the place of the service's",
        ),
        (
            (NAME, "SRV"),
            "NOERROR",
            "w. 0 IN SRV 1 1 81 0a000201.addr.dc1.consul.".to_owned(),
            "an instance that is not there",
        ),
        (
            ("a.node.consul.", "A"),
            "NOERROR",
            "a. 0 IN A 10.0.2.1".to_owned(),
            "an address that is not the node's",
        ),
        ((NAME, "A"), "NOERROR", "w. 7 IN A 10.0.2.1".to_owned(), "a TTL that nobody configured"),
    ] {
        let mut story = served();
        ask(&mut story, (name, kind), rcode, &[&answer]);
        story.assert_caught(&format!("dns-sound: {fact}"));
    }
    for (name, rcode, fact) in [
        (NAME, "NXDOMAIN", "nothing of a service with instances that pass"),
        (NAME, "NOERROR", "nothing of a service with instances that pass"),
        ("b.node.consul.", "NXDOMAIN", "nothing of a node that is there"),
    ] {
        let mut story = served();
        ask(&mut story, (name, "A"), rcode, &[]);
        story.assert_caught(&format!("dns-sound: {fact}"));
    }
}

#[test]
fn health_counts_as_the_asked_server_knows_it() {
    let caught = "dns-sound: an instance that does not pass";
    let mut story = served();
    becomes(&mut story, N1, "critical");
    // n2 has not heard of it yet.
    ask(&mut story, (NAME, "A"), "NOERROR", &[&a("10.0.2.1")]);
    lookup(&mut story, (NAME, "A"), resolved("NOERROR", By::Edns, &[&a("10.0.2.1")]), |story| {
        becomes(story, N2, "critical");
    });
    lookup(&mut story, (NAME, "A"), resolved("NOERROR", By::Edns, &[&a("10.0.2.1")]), |story| {
        becomes(story, N2, "passing");
    });
    assert_holds(&story);
    becomes(&mut story, N2, "critical");
    ask(&mut story, (NAME, "A"), "NOERROR", &[&a("10.0.2.1")]);
    story.assert_caught(caught);

    // No one state explains both parts.
    let mut story = served();
    becomes(&mut story, N2, "critical");
    let found = resolved("NOERROR", By::Edns, &[&a("10.0.2.1"), &a("10.0.1.2")]);
    lookup(&mut story, (NAME, "A"), found, |story| {
        let rows = vec![
            CatalogRow::NoService { node: "b".to_owned(), id: "web".to_owned() },
            check("a", "c", "passing", "web"),
        ];
        story.push(N2, What::Catalog { index: 4, rows });
    });
    assert_eq!(story.judgement("dns-sound").verdict, Verdict::Violated);

    // A warning is for `only_passing` alone.
    let mut story = configured(json!({ "only_passing": true }));
    becomes(&mut story, N2, "warning");
    let mut lax = served();
    becomes(&mut lax, N2, "warning");
    for story in [&mut story, &mut lax] {
        ask(story, (NAME, "A"), "NOERROR", &[&a("10.0.2.1")]);
    }
    story.assert_caught(caught);
    assert_holds(&lax);
}

#[test]
fn without_stale_reads_the_state_is_a_leaders() {
    let mut story = configured(json!({ "allow_stale": false }));
    becomes(&mut story, N1, "critical");
    ask(&mut story, (NAME, "A"), "NOERROR", &[&a("10.0.2.1")]);
    story.assert_caught("dns-sound: an instance that does not pass");
    // One that was deposed and does not know it is a leader, too.
    let mut story = configured(json!({ "allow_stale": false }));
    story.role(N3, Role::Leader, 2);
    becomes(&mut story, N3, "critical");
    ask(&mut story, (NAME, "A"), "NOERROR", &[&a("10.0.2.1"), &a("10.0.1.2")]);
    ask(&mut story, (NAME, "A"), "NOERROR", &[&a("10.0.1.2")]);
    assert_holds(&story);
}

#[test]
fn what_is_cut_short_says_so() {
    let part = |by, truncated| Resolved { truncated, ..resolved("NOERROR", by, &[&a("10.0.1.2")]) };
    let caught = "dns-sound: an answer that is cut short and does not say so";
    let mut silent = served();
    lookup(&mut silent, (NAME, "A"), part(By::Udp, false), |_| {});
    assert_holds(&silent);
    lookup(&mut silent, (NAME, "A"), part(By::Tcp, false), |_| {});
    silent.assert_caught(caught);
    let mut telling = configured(json!({ "enable_truncate": true }));
    lookup(&mut telling, (NAME, "A"), part(By::Udp, true), |_| {});
    assert_holds(&telling);
    lookup(&mut telling, (NAME, "A"), part(By::Udp, false), |_| {});
    telling.assert_caught(caught);
}

#[test]
fn records_have_the_ttl_that_is_configured() {
    let ttls = json!({ "service_ttl": { "*": "5s", "w*": "1m", "db": "9s" }, "node_ttl": "7s" });
    let mut story = configured(ttls);
    ask(&mut story, (NAME, "A"), "NOERROR", &["w. 60 IN A 10.0.2.1"]);
    ask(&mut story, ("a.node.consul.", "A"), "NOERROR", &["a. 7 IN A 10.0.1.1"]);
    assert_holds(&story);
    ask(&mut story, (NAME, "A"), "NOERROR", &["w. 5 IN A 10.0.2.1"]);
    story.assert_caught("dns-sound: a TTL that nobody configured");
}

#[test]
fn what_cannot_be_judged_is_not() {
    let mut story = served();
    for (name, kind) in [
        ("web.query.consul.", "A"),
        ("web.service.dc2.consul.", "A"),
        ("0a000201.addr.dc1.consul.", "A"),
        ("example.org.", "A"),
        ("service.consul.", "A"),
    ] {
        ask(&mut story, (name, kind), "NXDOMAIN", &[]);
    }
    // An address that is a name resolves to who knows what.
    let named = web("a", "db.example.org", &[]);
    story.push(N2, What::Catalog { index: 5, rows: vec![named] });
    ask(&mut story, (NAME, "A"), "NOERROR", &[&a("192.0.2.1")]);
    let mut failed = resolved("SERVFAIL", By::Udp, &[]);
    failed.rcode = "SERVFAIL".to_owned();
    lookup(&mut story, (NAME, "A"), failed, |_| {});
    story.history.last_mut().expect("it was added").outcome = Outcome::Fail;
    let judgement = story.judgement("dns-sound");
    assert_eq!((judgement.verdict, judgement.judged), (Verdict::Holds, 1));
    let mut kept = configured(json!({ "use_cache": true }));
    ask(&mut kept, (NAME, "A"), "NOERROR", &[&a("10.0.2.9")]);
    assert_eq!(kept.judgement("dns-sound").verdict, Verdict::Holds);
}
