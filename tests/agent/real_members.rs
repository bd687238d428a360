//! Membership among real agents on loopback: who is seen as what, after joins, crashes and leaves, and who
//! comes back by itself (spec cluster 2.8, 3.3 to 3.6, 7.1 to 7.4).
//!
//! Three servers and a client, with gossip quick enough that a dead member is noticed in a second or two.

use serde_json::Value;

use crate::real_process::{Agent, Ports, Setup, call, command, eventually, free_port, get, put};

/// Gossip in a hurry, and no wait for readers at the end of a leave.
pub const QUICK: &str = ", \"gossip_lan\": { \"probe_interval\": \"200ms\", \"probe_timeout\": \"100ms\",\n\
     \"gossip_interval\": \"50ms\", \"suspicion_mult\": 3 },\n\
     \"performance\": { \"raft_multiplier\": 1, \"leave_drain_time\": \"200ms\" },\n\
     \"retry_interval\": \"500ms\"";

/// A command of the binary for this agent: exit code, what it said.
pub fn tell(agent: &Agent, args: &[&str]) -> (i32, String, String) {
    let at = format!("-http-addr={}", agent.at);
    let names = if args[0] == "operator" { 3 } else { 1 };
    let (name, rest) = args.split_at(names);
    command(&[name, &[at.as_str()], rest].concat(), "")
}

/// What `members` says of a node: its status and its type.
pub fn seen(agent: &Agent, node: &str) -> Option<(String, String)> {
    let (_, table, _) = tell(agent, &["members"]);
    table.lines().skip(1).find_map(|line| {
        let cells: Vec<&str> = line.split_whitespace().collect();
        (cells[0] == node).then(|| (cells[2].to_owned(), cells[3].to_owned()))
    })
}

/// Waits until an agent sees these nodes so.
pub fn sees(agent: &Agent, wanted: &[(&str, &str, &str)]) {
    for (node, status, kind) in wanted {
        eventually(&format!("{} sees {node} as {status} {kind}", agent.at), || {
            seen(agent, node).filter(|(s, k)| (s.as_str(), k.as_str()) == (*status, *kind))
        });
    }
}

/// Waits for a line in the log.
pub fn logs(agent: &Agent, text: &str) {
    eventually(&format!("{} logs {text}", agent.at), || agent.log().contains(text).then_some(()));
}

fn raft_peers(agent: &Agent) -> Option<usize> {
    let (code, table, _) = tell(agent, &["operator", "raft", "list-peers"]);
    (code == 0).then(|| table.lines().count() - 1)
}

/// The three servers and the client, as they are started; nothing runs yet.
fn agents() -> Vec<Setup> {
    let ports = Ports::free();
    let join = format!("-retry-join={}", ports.lan_at(1));
    let server = ["-server", "-bootstrap-expect=3", &join];
    let setup = |host| match host {
        1 => Setup::on(1, ports, QUICK, &server[..2]),
        2 | 3 => Setup::on(host, ports, QUICK, &server),
        _ => Setup::on(host, ports, QUICK, &[&join]),
    };
    (1..=4).map(|host| setup(host).durable()).collect()
}

fn leader(agents: &[&Agent]) -> usize {
    eventually("a leader is known", || {
        let told = call(agents[0].at, "GET", "/v1/status/leader", b"").ok()?.text();
        agents.iter().position(|agent| told.contains(&format!("{}:", agent.at.ip())))
    })
}

#[test]
fn members_come_go_and_return() {
    let setups = agents();
    let mut running: Vec<Agent> = setups.iter().map(Setup::start).collect();
    let all = [
        ("n1", "alive", "server"),
        ("n2", "alive", "server"),
        ("n3", "alive", "server"),
        ("n4", "alive", "client"),
    ];
    running.iter().for_each(|agent| sees(agent, &all));
    // Through the client, which has no data of its own.
    running[3].wait_until_ready();
    assert!(put(running[3].at, "a", "through a client"));
    assert_eq!(get(running[3].at, "a", "consistent").as_deref(), Some("through a client"));
    assert_eq!(get(running[0].at, "a", "").as_deref(), Some("through a client"));
    assert_eq!(raft_peers(&running[3]), Some(3));

    // A client dies: failed for all, and gone when it is told so.
    running.pop().expect("the client").crash();
    running.iter().for_each(|agent| sees(agent, &[("n4", "failed", "client")]));
    assert_eq!(tell(&running[1], &["force-leave", "n4"]).0, 0);
    running.iter().for_each(|agent| sees(agent, &[("n4", "left", "client")]));
    // It comes back by itself: its own snapshot names the others, and it knows of no leave.
    let client = setups[3].start();
    sees(&client, &all);
    running.iter().for_each(|agent| sees(agent, &all));
    logs(&client, "serf: Re-joined to previously known node");

    // The leader leaves: another one leads, of a set of two.
    let first = leader(&running.iter().collect::<Vec<_>>());
    let gone = running.remove(first);
    let (code, said, _) = tell(&gone, &["leave"]);
    assert_eq!((code, said.as_str()), (0, "Graceful leave complete\n"));
    let (status, log) = gone.exit();
    assert!(status.success(), "{log}");
    let name = format!("n{}", first + 1);
    for agent in &running {
        sees(agent, &[(&name, "left", "server")]);
        agent.wait_until_ready();
        eventually("two servers are left", || raft_peers(agent).filter(|count| *count == 2));
        assert_eq!(get(agent.at, "a", "consistent").as_deref(), Some("through a client"));
    }

    come_back_after_a_leave(setups, client, &running[0]);
}

/// Who has left stays away, unless told otherwise.
fn come_back_after_a_leave(mut setups: Vec<Setup>, client: Agent, server: &Agent) {
    assert_eq!(tell(&client, &["leave"]).0, 0);
    assert!(client.exit().0.success());
    sees(server, &[("n4", "left", "client")]);
    let setup = setups.pop().expect("the client's").without("-retry-join");
    let alone = setup.start();
    eventually("the client answers", || seen(&alone, "n4"));
    assert_eq!(tell(&alone, &["members"]).1.lines().count(), 2, "itself only");
    assert_eq!(seen(server, "n4").map(|(status, _)| status).as_deref(), Some("left"));
    alone.crash();
    let back = setup.with_flag("-rejoin").start();
    logs(&back, "serf: Ignoring previous leave in snapshot");
    sees(server, &[("n4", "alive", "client")]);
    sees(&back, &[("n4", "alive", "client")]);
}

#[test]
fn a_join_to_nobody_fails() {
    let agent = Setup::new(1, free_port(), QUICK, &["-dev"]).serve();
    let nobody = format!("127.0.0.1:{}", free_port());
    let (code, out, err) = tell(&agent, &["join", &nobody]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with(&format!("Error joining address '{nobody}': ")), "{err}");
    assert!(err.ends_with("Failed to join any nodes.\n"), "{err}");
    logs(&agent, "(LAN) couldn't join");
    assert!(put(agent.at, "still", "here"));
}

#[test]
fn a_wrong_key_keeps_a_stranger_out_and_harms_nobody() {
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const OTHER: &str = "HxAREhMUFRYXGBkaGxwdHh8AAQIDBAUGBwgJCgsMDQ4=";
    let ports = Ports::free();
    let join = ports.lan_at(1).to_string();
    let first = Setup::on(1, ports, QUICK, &["-server", "-bootstrap", "-encrypt", KEY]).durable();
    let first = first.serve();
    let second = Setup::on(2, ports, QUICK, &["-encrypt", KEY, "-retry-join", &join]).durable();
    let second = second.start();
    sees(&first, &[("n2", "alive", "client")]);
    sees(&second, &[("n1", "alive", "server")]);
    let no_key = "No installed keys could decrypt the message";
    let in_the_clear = "Encryption is configured but remote state is not encrypted";
    for (host, flags, why) in [(3, &["-encrypt", OTHER][..], no_key), (4, &[], in_the_clear)] {
        let stranger = Setup::on(host, ports, QUICK, flags).durable().start();
        eventually("the stranger answers", || seen(&stranger, &format!("n{host}")));
        let (code, _, err) = tell(&stranger, &["join", &join]);
        assert_eq!(code, 1, "{err}");
        assert_eq!(tell(&stranger, &["members"]).1.lines().count(), 2, "itself only");
        logs(&first, &format!("memberlist: failed to receive: {why} from=127.0.0.1:"));
    }
    for agent in [&first, &second] {
        assert_eq!(tell(agent, &["members"]).1.lines().count(), 3, "nobody else");
        sees(agent, &[("n1", "alive", "server"), ("n2", "alive", "client")]);
        assert!(put(agent.at, "still", "here"));
    }
}

#[test]
fn two_datacenters_do_not_mix() {
    let ports = Ports::free();
    let one = Setup::on(1, ports, QUICK, &["-server", "-bootstrap"]).durable().serve();
    let flags = ["-server", "-bootstrap", "-datacenter=dc2"];
    let two = Setup::on(2, ports, QUICK, &flags).durable().serve();
    let (code, _, err) = tell(&two, &["join", &ports.lan_at(1).to_string()]);
    assert!(code == 1 && err.contains("part of wrong datacenter"), "{code} {err}");
    for (agent, other) in [(&one, "n2"), (&two, "n1")] {
        assert_eq!(seen(agent, other), None);
        let members = call(agent.at, "GET", "/v1/agent/members", b"").expect("an answer");
        let members: Value = serde_json::from_slice(&members.body).expect("JSON");
        assert_eq!(members.as_array().map(Vec::len), Some(1));
        let path = "/v1/agent/members?segment=alpha";
        let refused = call(agent.at, "GET", path, b"").expect("an answer");
        assert!(refused.status == 500 && refused.text().contains("segments are not supported"));
        assert!(put(agent.at, "own", "data"));
    }
    logs(&one, "part of wrong datacenter");
    // Servers meet in the other pool.
    let wan = format!("127.0.0.1:{}", ports.wan);
    assert_eq!(tell(&two, &["join", "-wan", &wan]).0, 0);
    eventually("both are in the WAN pool", || {
        let table = tell(&one, &["members", "-wan"]).1;
        (table.contains("n1.dc1") && table.contains("n2.dc2")).then_some(())
    });
}
