//! How real servers start: who they are, with what they begin, and what `peers.json` does, under both
//! profiles (spec cluster 3.6, 4.14, 4.15).

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::real_process::{
    Agent, Ports, Setup, call, check_all, command, eventually, free_port, loopback, put,
};

const PARSE: &str = "Error starting agent: Failed to start Consul server: Failed to start Raft: \
                     recovery failed to parse peers.json: ";

fn node_id(setup: &Setup) -> String {
    fs::read_to_string(setup.data().join("node-id")).expect("a node id")
}

fn refused(setup: &Setup) -> String {
    let (status, log) = setup.start().exit();
    assert_eq!(status.code(), Some(1), "{log}");
    log
}

fn logged(agent: &Agent, text: &str) {
    eventually(text, || agent.log().contains(text).then_some(()));
}

#[test]
fn a_server_is_known_by_its_node_id_and_keeps_it() {
    let setup = Setup::single();
    let agent = setup.serve();
    let id = node_id(&setup);
    assert_eq!(id.len(), 36);
    let server = format!("\"ID\":\"{id}\"");
    let listed = |agent: &Agent| {
        let answer = call(agent.at, "GET", "/v1/operator/raft/configuration", b"");
        answer.expect("an answer").text().replace(": ", ":")
    };
    assert!(listed(&agent).contains(&server), "{}", listed(&agent));
    assert!(agent.log().contains("initial configuration: index=0 servers=\"[]\""));
    agent.crash();
    let agent = setup.serve();
    assert!(listed(&agent).contains(&server) && node_id(&setup) == id);
    let text = format!("initial configuration: index=1 servers=\"[{{Suffrage:Voter ID:{id} ");
    assert!(agent.log().contains(&text), "{}", agent.log());
    agent.crash();
    fs::write(setup.data().join("node-id"), "nobody").expect("written");
    let (code, _, stderr) = command(
        &["agent", "-server", "-bind=127.0.0.1", "-data-dir", &setup.data().display().to_string()],
        "",
    );
    assert!(code == 1 && stderr.contains("Failed to setup node ID"), "{stderr}");
    assert!(stderr.contains("which is no UUID"), "{stderr}");
}

#[test]
fn a_server_that_nobody_has_told_anything_waits() {
    let members = ", \"performance\": { \"raft_multiplier\": 1 }";
    let setup = Setup::new(1, free_port(), members, &["-server"]).durable();
    let mut agent = setup.start();
    logged(&agent, "no known peers, aborting election");
    let answer = call(agent.at, "GET", "/v1/status/leader", b"").expect("an answer");
    assert_eq!(answer.text().trim(), "\"\"");
    let answer = call(agent.at, "GET", "/v1/status/peers", b"").expect("an answer");
    assert_eq!(answer.text().trim(), "[]");
    assert!(agent.is_running());
}

#[test]
fn a_recovery_keeps_the_data_and_happens_once() {
    let setup = Setup::single();
    let raft = setup.data().join("raft");
    fs::create_dir_all(&raft).expect("a folder");
    fs::write(raft.join("peers.json"), "left by an old version").expect("written");
    let agent = setup.serve();
    logged(&agent, "deleted peers.json file (see peers.info for details)");
    assert!(!raft.join("peers.json").exists());
    let info = fs::metadata(raft.join("peers.info")).expect("peers.info");
    assert_eq!(info.permissions().mode() & 0o777, 0o755);
    let written: Vec<_> = (0..5).map(|n| (format!("k{n}"), format!("v{n}"))).collect();
    assert!(written.iter().all(|(key, value)| put(agent.at, key, value)));
    agent.crash();

    let address = format!("{}:{}", loopback(1), setup.server);
    let id = node_id(&setup);
    let file = format!("[{{\"id\":\"{id}\",\"address\":\"{address}\",\"non_voter\":false}}]");
    fs::write(raft.join("peers.json"), file).expect("written");
    let agent = setup.serve();
    let log = agent.log();
    let lines = [
        "agent.server: found peers.json file, recovering Raft configuration...",
        "agent.server.snapshot: creating new snapshot: path=",
        "agent.server: deleted peers.json file after successful recovery",
        "agent.server.raft: restored from snapshot: id=",
        "agent.server.raft: initial configuration: index=1 servers=",
    ];
    let places: Vec<_> = lines.iter().map(|line| log.rfind(line)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{log}");
    assert!(!raft.join("peers.json").exists());
    check_all(agent.at, &written);
}

#[test]
fn a_file_that_cannot_be_used_stops_the_start_and_stays() {
    let setup = Setup::single();
    setup.serve().crash();
    let file = setup.data().join("raft/peers.json");
    let entry = format!("{{\"id\":\"{}\",\"address\":\"127.0.0.1:8300\"}}", node_id(&setup));
    for (text, why) in [
        (
            "[\"127.0.0.1:8300\"]".to_owned(),
            "json: cannot unmarshal string into Go value of type raft.configEntry",
        ),
        ("[]".to_owned(), "need at least one voter in configuration"),
        (format!("[{entry},{entry}]"), "found duplicate ID in configuration"),
    ] {
        fs::write(&file, &text).expect("written");
        let log = refused(&setup);
        assert!(log.contains(&format!("{PARSE}{why}")), "{log}");
        assert_eq!(fs::read_to_string(&file).expect("it stays"), text);
    }
    fs::remove_file(&file).expect("removed");
    setup.serve();
}

#[test]
fn what_is_not_supported_is_said() {
    let (code, _, stderr) = command(&["agent", "-dev", "-raft-protocol=2"], "");
    assert_eq!(
        (code, stderr.as_str()),
        (1, "==> raft_protocol version 2 is not supported by this version of Consul\n")
    );
}

/// The peers file of 0.5.2 is the live set: read at start, and all there is.
#[test]
fn legacy_servers_go_by_their_peers_files() {
    let ports = Ports::free();
    let port = ports.server;
    let (first, second) = (format!("{}:{port}", loopback(1)), format!("{}:{port}", loopback(2)));
    let members = format!(
        ", \"profile\": \"legacy\", \"server\": true, \"bootstrap_expect\": 2,\n\
         \"retry_join\": [\"{}\"], \"retry_interval\": \"1s\"",
        ports.lan_at(1)
    );
    let setups = [1, 2].map(|host| Setup::on(host, ports, &members, &[]).durable());
    let file = |at: usize| setups[at].data().join("raft/peers.json");
    let both = format!("[\"{first}\",\"{second}\"]\n");
    let agents = setups.each_ref().map(Setup::start);
    agents.iter().for_each(Agent::wait_until_ready);
    for (at, agent) in agents.iter().enumerate() {
        let found = fs::read_to_string(file(at)).expect("a file");
        assert!(found.contains(&first) && found.contains(&second) && found.ends_with("]\n"));
        let mode = fs::metadata(file(at)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        let text =
            format!("raft: Node at {}:{port} [Follower] entering Follower", loopback(at as u8 + 1));
        logged(agent, &text);
    }
    assert!(agents.iter().any(|agent| agent.log().contains("raft: Election won. Tally: 2")));
    assert!(agents.iter().any(|agent| agent.log().contains("consul: cluster leadership acquired")));
    assert!(!setups[0].data().join("raft/peers.info").exists());
    assert!(put(agents[0].at, "kept", "yes"));
    agents.into_iter().for_each(Agent::crash);

    // As a leave would have left them.
    fs::write(file(0), "null\n").expect("written");
    fs::write(file(1), format!("[\"{second}\"]\n")).expect("written");
    let agents = setups.each_ref().map(Setup::start);
    for agent in &agents {
        logged(agent, "raft: EnableSingleNode disabled, and no known peers. Aborting election.");
    }
    // Nobody is held for a leader: 0.5.2 answers at once.
    let answer = call(agents[0].at, "GET", "/v1/kv/kept", b"").expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (500, "No cluster leader"));
    assert_eq!(fs::read_to_string(file(0)).expect("a file"), "null\n");
    agents.into_iter().for_each(Agent::crash);

    for at in 0..2 {
        fs::write(file(at), &both).expect("written");
    }
    let agents = setups.each_ref().map(Setup::start);
    for agent in &agents {
        agent.wait_until_ready();
        check_all(agent.at, &[("kept".to_owned(), "yes".to_owned())]);
    }
}
