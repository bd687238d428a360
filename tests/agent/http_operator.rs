//! The endpoints of operators and snapshots, and the commands that use them, over an agent in memory:
//! statuses, texts and headers as recorded from Consul 1.9.8, where it has them.

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use proconsul::agent::Failure;
use proconsul::http::{Identity, router};
use tower_service::Service;

use crate::http_cli::shell;
use crate::http_pipe::World;
use crate::http_store::{StoreBackend, now, settle};

fn agent() -> (StoreBackend, Router) {
    let backend = StoreBackend::new(Identity::server("node1"));
    let router = router(&backend);
    (backend, router)
}

fn ask(router: &Router, line: &str, body: &[u8]) -> Response {
    let (method, target) = line.split_once(' ').expect("METHOD TARGET");
    let body = Body::from(Bytes::copy_from_slice(body));
    let request = Request::builder().method(method).uri(target).body(body).expect("valid");
    match now(Service::call(&mut router.clone(), request)) {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn body(response: Response) -> Bytes {
    now(response.into_body().collect()).expect("a body that does not fail").to_bytes()
}

/// Status and text.
pub fn answer(router: &Router, line: &str) -> (u16, String) {
    answer_to(router, line, "")
}

/// Likewise, of a request with a body.
pub fn answer_to(router: &Router, line: &str, sent: &str) -> (u16, String) {
    let response = ask(router, line, sent.as_bytes());
    let status = response.status().as_u16();
    (status, String::from_utf8_lossy(&body(response)).into_owned())
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().expect("text"))
}

#[test]
fn the_raft_endpoints_answer_as_consul() {
    let (_, router) = agent();
    for (line, status, text) in [
        (
            "GET /v1/operator/raft/configuration",
            200,
            r#"{"Servers":[{"ID":"id1","Node":"node1","Address":"127.0.0.1:8300","Leader":true,"ProtocolVersion":"3","Voter":true},{"ID":"id2","Node":"node1","Address":"127.0.0.2:8300","Leader":false,"ProtocolVersion":"3","Voter":true}],"Index":1}"#,
        ),
        (
            "GET /v1/operator/raft/configuration?stale&consistent",
            400,
            "Cannot specify ?stale with ?consistent, conflicting semantics.",
        ),
        ("GET /v1/operator/raft/configuration?dc=no", 500, "No path to datacenter"),
        ("PUT /v1/operator/raft/configuration", 405, "method PUT not allowed"),
        ("GET /v1/operator/raft/peer", 405, "method GET not allowed"),
        (
            "DELETE /v1/operator/raft/peer",
            400,
            "Bad request: Must specify either ?id with the server's ID or ?address with IP:port of \
             peer to remove",
        ),
        (
            "DELETE /v1/operator/raft/peer?id=x&address=127.0.0.1:1",
            400,
            "Bad request: Must specify only one of ?id or ?address",
        ),
        (
            "DELETE /v1/operator/raft/peer?address=x",
            500,
            "address \"x\" was not found in the Raft configuration",
        ),
        (
            "DELETE /v1/operator/raft/peer?id=",
            500,
            "id \"\" was not found in the Raft configuration",
        ),
        ("DELETE /v1/operator/raft/peer?id=id2", 200, ""),
        ("DELETE /v1/operator/raft/peer?address=127.0.0.2:8300", 200, ""),
        ("PUT /v1/operator/raft/transfer-leader", 405, "method PUT not allowed"),
        ("POST /v1/operator/raft/transfer-leader", 200, r#"{"Success":true}"#),
        (
            "POST /v1/operator/raft/transfer-leader?id=no",
            404,
            "Failed to transfer Leader: cannot find peer",
        ),
        ("DELETE /v1/snapshot", 405, "method DELETE not allowed"),
        ("GET /v1/snapshot?dc=no", 500, "No path to datacenter"),
    ] {
        assert_eq!(answer(&router, line), (status, text.to_owned()), "{line}");
    }
    let response = ask(&router, "OPTIONS /v1/operator/raft/transfer-leader", b"");
    assert_eq!(header(&response, "allow"), Some("OPTIONS,POST"));
}

#[test]
fn only_reads_carry_the_headers_of_consistency() {
    let (_, router) = agent();
    ask(&router, "PUT /v1/kv/a", b"1");
    let meta = ["x-consul-index", "x-consul-knownleader", "x-consul-lastcontact"];
    for (line, carries) in [
        ("GET /v1/kv/a", true),
        ("GET /v1/kv/none", true),
        ("GET /v1/kv/?keys", true),
        ("GET /v1/snapshot", true),
        ("PUT /v1/kv/a", false),
        ("DELETE /v1/kv/a", false),
        ("GET /v1/status/leader", false),
        ("GET /v1/status/peers", false),
        ("GET /v1/agent/self", false),
        ("GET /v1/operator/raft/configuration", false),
        ("DELETE /v1/operator/raft/peer?id=id2", false),
        ("POST /v1/operator/raft/transfer-leader", false),
        ("PUT /v1/snapshot", false),
    ] {
        let response = ask(&router, line, b"");
        for name in meta {
            assert_eq!(header(&response, name).is_some(), carries, "{line}: {name}");
        }
        assert_eq!(header(&response, "x-consul-default-acl-policy"), Some("allow"), "{line}");
    }
}

#[test]
fn a_restored_snapshot_brings_the_old_state_back_and_wakes_who_waits() {
    let (_, router) = agent();
    ask(&router, "PUT /v1/kv/a", b"old");
    let saved = ask(&router, "GET /v1/snapshot", b"");
    assert_eq!(saved.status(), 200);
    assert_eq!(header(&saved, "content-type"), Some("application/x-gzip"));
    assert_eq!(header(&saved, "x-consul-index"), Some("13"));
    assert_eq!(header(&saved, "x-consul-knownleader"), Some("true"));
    assert_eq!(header(&saved, "x-consul-lastcontact"), Some("0"));
    let archive = body(saved);
    ask(&router, "PUT /v1/kv/a", b"new");
    ask(&router, "PUT /v1/kv/b", b"extra");
    let target = "/v1/kv/a?index=14&wait=6s";
    let request = Request::builder().uri(target).body(Body::empty()).expect("valid");
    let mut waiting = Service::call(&mut router.clone(), request);
    assert!(settle(&mut waiting).is_pending());
    let restored = ask(&router, "PUT /v1/snapshot", &archive);
    assert_eq!((restored.status().as_u16(), header(&restored, "content-type")), (200, None));
    assert_eq!(body(restored), "");
    assert!(settle(&mut waiting).is_ready());
    assert_eq!(answer(&router, "GET /v1/kv/a?raw"), (200, "old".to_owned()));
    assert_eq!(answer(&router, "GET /v1/kv/b").0, 404);
}

#[test]
fn what_is_no_archive_is_refused_and_changes_nothing() {
    let (backend, router) = agent();
    ask(&router, "PUT /v1/kv/a", b"old");
    let archive = body(ask(&router, "GET /v1/snapshot", b""));
    for (junk, text) in [
        (&b"this is no snapshot"[..], "failed to decompress snapshot: "),
        (b"", "failed to decompress snapshot: "),
        (&archive[..archive.len() / 2 + 20], "failed to "),
    ] {
        let refused = ask(&router, "PUT /v1/snapshot", junk);
        assert_eq!(refused.status(), 500);
        assert_eq!(header(&refused, "content-type"), Some("text/plain; charset=utf-8"));
        let said = body(refused);
        assert!(said.starts_with(text.as_bytes()), "{said:?}");
    }
    let stale = ask(&router, "PUT /v1/snapshot?stale", &archive);
    assert_eq!(
        (stale.status().as_u16(), &body(stale)[..]),
        (500, &b"stale not allowed for restore"[..])
    );
    assert_eq!(answer(&router, "GET /v1/kv/a?raw"), (200, "old".to_owned()));
    backend.shared().failure = Some(Failure::NoLeader);
    for line in ["GET /v1/snapshot", "GET /v1/operator/raft/configuration"] {
        assert_eq!(answer(&router, line), (500, "No cluster leader".to_owned()), "{line}");
    }
}

#[test]
fn the_operator_commands_print_what_consul_prints() {
    let world = World::default();
    let (backend, router) = agent();
    world.serve(router);
    let table = "Node   ID   Address         State     Voter  RaftProtocol\n\
                 node1  id1  127.0.0.1:8300  leader    true   3\n\
                 node1  id2  127.0.0.2:8300  follower  true   3\n";
    for (line, code, out, err) in [
        (&["list-peers"][..], 0, table, ""),
        (&["list-peers", "-stale=true"], 0, table, ""),
        (
            &["remove-peer", "-address=127.0.0.9:8300"],
            1,
            "",
            "Error removing peer: Unexpected response code: 500 (address \"127.0.0.9:8300\" was not \
             found in the Raft configuration)\n",
        ),
        (
            &["remove-peer"],
            1,
            "",
            "Error removing peer: an address or id is required for the peer to remove\n",
        ),
        (
            &["remove-peer", "-id=x", "-address=y"],
            1,
            "",
            "Error removing peer: cannot give both an address and id\n",
        ),
        (&["remove-peer", "-id=id2"], 0, "Removed peer with id \"id2\"\n", ""),
        (
            &["remove-peer", "-address=127.0.0.2:8300"],
            0,
            "Removed peer with address \"127.0.0.2:8300\"\n",
            "",
        ),
        (&["transfer-leader"], 0, "Success\n", ""),
        (
            &["transfer-leader", "-id=no"],
            1,
            "",
            "Error transfering leadership: Failed to transfer leadership Unexpected response code: \
             404 (Failed to transfer Leader: cannot find peer)\n",
        ),
    ] {
        let whole = [&["operator", "raft"], line].concat();
        assert_eq!(shell(&world, &whole, ""), (code, out.to_owned(), err.to_owned()), "{line:?}");
    }
    backend.shared().failure = Some(Failure::NoLeader);
    let said = "Error getting peers: Failed to retrieve raft configuration: Unexpected response \
                code: 500 (No cluster leader)\n";
    let (code, _, err) = shell(&world, &["operator", "raft", "list-peers"], "");
    assert_eq!((code, err.as_str()), (1, said));
    let (code, _, err) = shell(&world, &["operator", "raft", "frobnicate"], "");
    assert_eq!(code, 1);
    assert!(err.starts_with("Usage: consul operator raft <subcommand> [options]\n"), "{err}");
}

#[test]
fn the_snapshot_commands_save_inspect_and_restore() {
    let world = World::default();
    let (backend, router) = agent();
    world.serve(router);
    let run = |line: &[&str]| shell(&world, &[&["snapshot"], line].concat(), "");
    shell(&world, &["kv", "put", "app/one", "old"], "");
    let (code, out, err) = run(&["save", "backup.snap"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, "Saved and verified snapshot to index 13\n");
    assert!(world.file("backup.snap").is_some() && world.file("backup.snap.unverified").is_none());
    shell(&world, &["kv", "put", "app/one", "new"], "");
    assert_eq!(run(&["restore", "backup.snap"]), (0, "Restored snapshot\n".to_owned(), err));
    assert_eq!(shell(&world, &["kv", "get", "app/one"], "").1, "old\n");

    let (code, out, _) = run(&["inspect", "-kvdetails", "backup.snap"]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], " ID           2-13-1600000000123");
    assert_eq!(
        (lines[2], lines[3], lines[4]),
        (" Index        13", " Term         2", " Version      1")
    );
    assert_eq!(lines[6], " Type       Count      Size");
    assert_eq!(lines[7], " ----       ----       ----");
    assert!(lines[8].starts_with(" KVS        1          "), "{out}");
    assert!(lines[9].starts_with(" Index      1          "), "{out}");
    assert!(lines[11].starts_with(" Total                 "), "{out}");
    assert_eq!(lines[13], " Key Name      Count      Size");
    assert!(lines[15].starts_with(" app/one       1          "), "{out}");
    let (code, out, _) = run(&["inspect", "-format=json", "backup.snap"]);
    let shown: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(
        (code, &shown["Meta"]["Index"], &shown["Stats"][0]["Name"]),
        (0, &13.into(), &"KVS".into())
    );

    let (code, out, _) = run(&["save", "-append-filename=version,dc,node,status", "s/a.snap"]);
    assert_eq!((code, out.as_str()), (0, "Saved and verified snapshot to index 15\n"));
    assert!(world.file("s/a-1.9.8-dc1-node1-leader.snap").is_some());
    backend.shared().failure = Some(Failure::NoLeader);
    assert_eq!(
        run(&["save", "backup.snap"]).2,
        "Error saving snapshot: Unexpected response code: 500 (No cluster leader)\n"
    );
}

#[test]
fn the_snapshot_commands_refuse_as_consul_does() {
    let world = World::default();
    world.serve(agent().1);
    world.put_file("junk.snap", "junk");
    let run = |line: &[&str]| shell(&world, &[&["snapshot"], line].concat(), "");
    for (line, text) in [
        (&["save"][..], "Missing FILE argument\n"),
        (&["restore"], "Missing FILE argument\n"),
        (&["inspect"], "Missing FILE argument\n"),
        (&["save", "a", "b"], "Too many arguments (expected 1, got 2)\n"),
        (
            &["inspect", "missing.snap"],
            "Error opening snapshot file: open missing.snap: no such file or directory\n",
        ),
        (
            &["restore", "missing.snap"],
            "Error opening snapshot file: open missing.snap: no such file or directory\n",
        ),
        (&["inspect", "junk.snap"], "Error reading snapshot: "),
        (&["restore", "junk.snap"], "Error restoring snapshot: Unexpected response code: 500 ("),
        (&[], "Usage: consul snapshot <subcommand> [options] [args]\n"),
        (&["-nope"], "Usage: consul snapshot <subcommand> [options] [args]\n"),
    ] {
        let (code, out, err) = run(line);
        assert_eq!((code, out.as_str()), (1, ""), "{line:?}");
        assert!(err.starts_with(text), "{line:?}: {err}");
    }
    assert_eq!(run(&["-help"]).0, 0);
}
