//! A two-server cluster of the `legacy` profile loses its leader to a graceful leave and never finds
//! another one, until somebody edits `peers.json`: the steps of Tony Bai's article on Consul 0.5.2, as they
//! were replayed with that version (spec cluster 4.15).
//!
//! | step | who | what is left |
//! |---|---|---|
//! | 1 to 5 | both start, `join`, one leads | both files name both, the leader first |
//! | 6 | the leader leaves | its file: `null`; the survivor's: itself |
//! | 7 to 9 | the survivor waits; the other restarts; `join` | no leader, and no election |
//! | 10, 11 | both files are edited, the other restarts with `-rejoin` | a leader, data kept |
//!
//! `SIDE_BY_SIDE=file` writes all that was seen there.

use std::env;
use std::fs;

use crate::real_members::{logs, seen, sees, tell};
use crate::real_process::{Agent, Ports, Setup, call, eventually, get, now, put};

const GOSSIP: &str = ", \"profile\": \"legacy\"";
/// How long nobody may come to lead: longer than an election takes.
const LEADERLESS_SECONDS: u64 = 3;

fn status(agent: &Agent, what: &str) -> String {
    let target = format!("/v1/status/{what}");
    call(agent.at, "GET", &target, b"").map(|it| it.text().trim().to_owned()).unwrap_or_default()
}

/// One value that `info` prints.
fn info(agent: &Agent, key: &str) -> String {
    let text = tell(agent, &["info"]).1;
    let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("{key} = ")));
    line.unwrap_or_default().to_owned()
}

fn peers_json(setup: &Setup) -> Option<String> {
    fs::read_to_string(setup.data().join("raft/peers.json")).ok()
}

/// What was seen, for whoever wants to lay it beside the recordings.
struct Transcript(String);

impl Transcript {
    fn step(&mut self, title: &str, running: &[(&Agent, &Setup)]) {
        self.0.push_str(&format!("=== {title}\n"));
        for (agent, setup) in running {
            self.0.push_str(&format!("--- n{}\n", setup.host));
            for command in ["members", "info"] {
                self.0.push_str(&format!("$ {command}\n{}", tell(agent, &[command]).1));
            }
            let file = peers_json(setup).unwrap_or_else(|| "(no such file)\n".to_owned());
            self.0.push_str(&format!("$ cat raft/peers.json\n{file}"));
            for what in ["leader", "peers"] {
                self.0.push_str(&format!("/v1/status/{what}: {}\n", status(agent, what)));
            }
        }
    }

    fn log(&mut self, host: u8, agent: &Agent) {
        self.0.push_str(&format!("=== log of n{host}\n{}", agent.log()));
    }
}

/// Watches that these have no leader for a while, and do not look for one.
fn stay_leaderless(agents: &[&Agent]) {
    let end = now() + std::time::Duration::from_secs(LEADERLESS_SECONDS);
    while now() < end {
        for agent in agents {
            assert_eq!(status(agent, "leader"), "\"\"");
            assert_eq!(info(agent, "state"), "Follower");
        }
    }
}

#[test]
fn the_last_but_one_server_that_leaves_as_leader_takes_the_cluster_with_it() {
    let ports = Ports::free();
    let flags = ["-server", "-bootstrap-expect=2"];
    let setups = [1, 2].map(|host| Setup::on(host, ports, GOSSIP, &flags).durable());
    let mut told = Transcript(String::new());

    // 1 to 3: two servers that do not know each other.
    let [n1, n2] = setups.each_ref().map(Setup::start);
    let aborted = "raft: EnableSingleNode disabled, and no known peers. Aborting election.";
    for (agent, setup) in [&n1, &n2].into_iter().zip(&setups) {
        logs(agent, aborted);
        assert_eq!((status(agent, "leader").as_str(), peers_json(setup)), ("\"\"", None));
        assert_eq!(tell(agent, &["members"]).1.lines().count(), 2, "itself only");
        for (key, value) in [("state", "Follower"), ("num_peers", "0"), ("leader", "false")] {
            assert_eq!(info(agent, key), value);
        }
    }
    let columns = tell(&n1, &["members"]).1.lines().next().map(str::to_owned).unwrap_or_default();
    let words: Vec<&str> = columns.split_whitespace().collect();
    assert_eq!(words, ["Node", "Address", "Status", "Type", "Build", "Protocol", "DC"]);
    assert_eq!(info(&n1, "version"), "0.5.2");
    assert_eq!(info(&n1, "latest_configuration"), "", "0.5.2 has no such key");
    told.step("before the join", &[(&n1, &setups[0]), (&n2, &setups[1])]);

    // 4, 5: they join, and one leads.
    let join = ports.lan_at(2).to_string();
    let said = tell(&n1, &["join", &join]).1;
    assert_eq!(said, "Successfully joined cluster by contacting 1 nodes.\n");
    for agent in [&n1, &n2] {
        agent.wait_until_ready();
        logs(agent, "consul: Attempting bootstrap with nodes: [");
        logs(agent, "consul: New leader elected: n");
        sees(agent, &[("n1", "alive", "server"), ("n2", "alive", "server")]);
    }
    assert!(put(n1.at, "kept", "yes"));
    let leader = eventually("both name one leader", || {
        let names = [status(&n1, "leader"), status(&n2, "leader")];
        (names[0] == names[1]).then(|| names[0].clone()).filter(|name| name != "\"\"")
    });
    let address = |host: usize| format!("127.0.0.{host}:{}", ports.server);
    let first = usize::from(leader != format!("\"{}\"", address(1)));
    let (lead, follow) = (&setups[first], &setups[1 - first]);
    let (leads, follows) = if first == 0 { (n1, n2) } else { (n2, n1) };
    let (lead_at, follow_at) = (address(first + 1), address(2 - first));
    let both = format!("[\"{lead_at}\",\"{follow_at}\"]\n");
    for setup in &setups {
        eventually("both files name both, the leader first", || {
            peers_json(setup).filter(|text| *text == both)
        });
    }
    told.step("after the join", &[(&leads, lead), (&follows, follow)]);

    // 6: the leader leaves.
    assert_eq!(tell(&leads, &["leave"]).1, "Graceful leave complete\n");
    told.log(lead.host, &leads);
    let (ended, log) = leads.exit();
    assert!(ended.success(), "{log}");
    in_order(
        &log,
        &[
            "consul: server starting leave",
            "raft: aborting pipeline replication to peer 127.0.0.",
            "raft: Removed ourself, transitioning to follower",
            "[Follower] entering Follower state",
            "consul: cluster leadership lost",
            "agent: requesting shutdown",
            "consul: shutting down server",
            "agent: shutdown complete",
        ],
    );
    assert_eq!(peers_json(lead).as_deref(), Some("null\n"));
    let alone = format!("[\"{follow_at}\"]\n");
    assert_eq!(peers_json(follow).as_deref(), Some(alone.as_str()));
    let gone = format!("n{}", lead.host);
    sees(&follows, &[(&gone, "left", "server")]);
    told.step("the leader has left", &[(&follows, follow)]);

    // 7 to 9: the survivor has nobody to ask, and the other one, back and joined, is nobody to it.
    eventually("the old leader is forgotten", || {
        (status(&follows, "leader") == "\"\"").then_some(())
    });
    stay_leaderless(&[&follows]);
    assert_eq!(info(&follows, "num_peers"), "0");
    let refused = call(follows.at, "PUT", "/v1/kv/a", b"1").expect("an answer");
    assert_eq!((refused.status, refused.text().as_str()), (500, "No cluster leader"));
    let back = lead.start();
    eventually("it answers", || seen(&back, &gone));
    assert_eq!(tell(&back, &["members"]).1.lines().count(), 2, "itself only");
    let said = tell(&follows, &["join", &ports.lan_at(lead.host).to_string()]);
    assert_eq!(said.0, 0, "{}", said.2);
    for agent in [&follows, &back] {
        sees(agent, &[("n1", "alive", "server"), ("n2", "alive", "server")]);
    }
    // The word of an old election goes round, and means nothing.
    logs(&back, &format!("consul: New leader elected: {gone}"));
    stay_leaderless(&[&follows, &back]);
    assert_eq!(peers_json(lead).as_deref(), Some("null\n"));
    assert_eq!(peers_json(follow).as_deref(), Some(alone.as_str()));
    told.step("joined again", &[(&follows, follow), (&back, lead)]);

    // 10, 11: by hand.
    back.signal("-INT");
    let (ended, log) = back.exit();
    assert!(ended.success(), "{log}");
    assert_eq!(peers_json(lead).as_deref(), Some("null\n"));
    for setup in &setups {
        fs::write(setup.data().join("raft/peers.json"), &both).expect("written");
    }
    let [n1, n2] = setups;
    let (lead, follow) = if first == 0 { (n1, n2) } else { (n2, n1) };
    let lead = lead.with_flag("-rejoin");
    let again = lead.start();
    logs(&again, "serf: Ignoring previous leave in snapshot");
    for agent in [&again, &follows] {
        agent.wait_until_ready();
        sees(agent, &[("n1", "alive", "server"), ("n2", "alive", "server")]);
        assert_eq!(get(agent.at, "kept", "").as_deref(), Some("yes"));
    }
    for setup in [&lead, &follow] {
        eventually("both files name both again", || {
            let text = peers_json(setup)?;
            (text.contains(&lead_at) && text.contains(&follow_at)).then_some(())
        });
    }
    told.step("with both files edited", &[(&follows, &follow), (&again, &lead)]);
    told.log(follow.host, &follows);
    told.log(lead.host, &again);
    if let Ok(path) = env::var("SIDE_BY_SIDE") {
        fs::write(path, told.0).expect("a written transcript");
    }
}

/// These stand in the log one after the other.
fn in_order(log: &str, lines: &[&str]) {
    let mut rest = log;
    for line in lines {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line:?} is missing:\n{log}"));
        rest = &rest[at + line.len()..];
    }
}
