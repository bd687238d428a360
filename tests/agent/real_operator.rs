//! What operators do with three real servers on loopback: the peers, with the leader marked, and
//! snapshots, through any of them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};

use proconsul::wire::archive;
use proconsul::wire::rpc::snapshot::{
    SnapshotOp, SnapshotRequest, SnapshotResponse, decode_snapshot_response,
    encode_snapshot_request,
};

use crate::real_cluster::Cluster;
use crate::real_process::{Agent, Setup, call, command, connect, eventually, loopback, put};

/// Cells of the table that `list-peers` prints.
fn peers(agent: &Agent, flags: &[&str]) -> Option<Vec<Vec<String>>> {
    let at = format!("-http-addr={}", agent.at);
    let line = [&["operator", "raft", "list-peers", &at], flags].concat();
    let (code, out, _) = command(&line, "");
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    (code == 0).then(|| out.lines().map(cells).collect())
}

#[test]
fn every_server_lists_three_peers_and_the_same_leader() {
    let cluster = Cluster::start();
    for agent in cluster.running.iter().flatten() {
        agent.wait_until_ready();
    }
    let addresses: Vec<String> = cluster
        .setups
        .iter()
        .map(|setup| format!("127.0.0.{}:{}", setup.host, setup.server))
        .collect();
    eventually("all name the leader that they agree on", || {
        let leader = &addresses[cluster.leader()];
        for agent in cluster.running.iter().flatten() {
            for flags in [&[][..], &["-stale"]] {
                let table = peers(agent, flags)?;
                assert_eq!(table[0], ["Node", "ID", "Address", "State", "Voter", "RaftProtocol"]);
                let mut listed: Vec<&str> = table[1..].iter().map(|row| row[2].as_str()).collect();
                listed.sort_unstable();
                assert_eq!(listed, addresses);
                assert!(table[1..].iter().all(|row| row[4] == "true"));
                let leaders: Vec<&Vec<String>> =
                    table[1..].iter().filter(|row| row[3] == "leader").collect();
                let [one] = leaders.as_slice() else { return None };
                if one[2] != *leader {
                    return None;
                }
            }
        }
        Some(())
    });
}

#[test]
fn an_unknown_peer_is_refused_with_consuls_text_through_any_server() {
    let cluster = Cluster::start();
    for agent in cluster.running.iter().flatten() {
        agent.wait_until_ready();
    }
    let target = "/v1/operator/raft/peer?address=127.0.0.9:1";
    let text = "address \"127.0.0.9:1\" was not found in the Raft configuration";
    for agent in cluster.running.iter().flatten() {
        let answer = call(agent.at, "DELETE", target, b"").expect("an answer");
        assert_eq!(answer.status, 500);
        assert!(answer.text().ends_with(text), "{}", answer.text());
    }
}

#[test]
fn a_snapshot_can_be_saved_through_any_server() {
    let cluster = Cluster::start();
    for agent in cluster.running.iter().flatten() {
        agent.wait_until_ready();
    }
    let large = "x".repeat(400_000);
    assert!(put(cluster.setups[0].at(), "app/large", &large));
    let folder = tempfile::tempdir().expect("a temporary folder");
    for agent in cluster.running.iter().flatten() {
        let file = folder.path().join(format!("{}.snap", agent.at.port()));
        let (at, file) = (format!("-http-addr={}", agent.at), file.display().to_string());
        let (code, out, err) = command(&["snapshot", "save", &at, &file], "");
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.starts_with("Saved and verified snapshot to index "), "{out}");
        let (code, out, err) = command(&["snapshot", "inspect", "-kvdetails", &file], "");
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(out.contains("\n app/large "), "{out}");
        // A follower's own state may lag, but it is never behind what it has said.
        let stale = call(agent.at, "GET", "/v1/snapshot?stale", b"").expect("an answer");
        assert_eq!(stale.status, 200);
        assert_eq!(stale.header("X-Consul-KnownLeader"), Some("true"));
        let junk = call(agent.at, "PUT", "/v1/snapshot", b"junk").expect("an answer");
        assert_eq!(junk.status, 500);
        assert!(junk.text().starts_with("failed to decompress snapshot: "), "{}", junk.text());
    }
}

/// Speaks to the server port as another server does; the head of the answer, and what follows it.
fn stream(
    at: SocketAddr,
    request: &SnapshotRequest,
    archive: &[u8],
) -> (SnapshotResponse, Vec<u8>) {
    let mut bytes = vec![5];
    encode_snapshot_request(request, &mut bytes);
    bytes.extend_from_slice(archive);
    let mut connection = connect(at).expect("a connection");
    connection.write_all(&bytes).expect("it reads");
    connection.shutdown(Shutdown::Write).expect("an end of this direction");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).expect("an answer");
    let (head, used) = decode_snapshot_response(&answer).expect("valid").expect("whole");
    (head, answer.split_off(used))
}

#[test]
fn another_server_takes_a_snapshot_over_a_connection_of_its_own() {
    let setup = Setup::single();
    let agent = setup.serve();
    assert!(put(agent.at, "a", "1"));
    let at = SocketAddr::new(loopback(setup.host), setup.server);
    let op = SnapshotOp::Save;
    let request = SnapshotRequest { datacenter: "dc1".to_owned(), allow_stale: false, op };
    let (head, archive) = stream(at, &request, b"");
    assert_eq!((head.error.as_str(), head.meta.known_leader), ("", true));
    let (archive, state) = archive::unpack(&archive).expect("an archive");
    assert_eq!((head.meta.index, archive.meta.index), (state.applied().0, state.applied()));
    let restore = SnapshotRequest { op: SnapshotOp::Restore, ..request.clone() };
    for (request, text) in [
        (SnapshotRequest { datacenter: "dc9".to_owned(), ..request }, "No path to datacenter"),
        (SnapshotRequest { allow_stale: true, ..restore.clone() }, "stale not allowed for restore"),
        (restore, "failed to decompress snapshot: "),
    ] {
        let (head, rest) = stream(at, &request, b"this is no snapshot");
        assert!(head.error.starts_with(text) && rest.is_empty(), "{head:?}");
    }
    // What is no request ends the connection, and nothing else.
    let mut connection = connect(at).expect("a connection");
    connection.write_all(b"\x05\xc1junk").expect("it reads");
    let mut rest = Vec::new();
    // It may be reset, as there are bytes that nobody read.
    let _ = connection.read_to_end(&mut rest);
    assert!(rest.is_empty());
    assert!(put(agent.at, "a", "2"));
}
