//! One real agent: what the README promises of it, and that it keeps what it has acknowledged.

use crate::real_process::{PATIENCE, write_until_refused};
use crate::real_process::{
    Setup, call, check_all, command, eventually, free_port, get, meanwhile, now, put,
};

fn dev() -> Setup {
    Setup::new(1, free_port(), "", &["-dev"])
}

#[test]
fn dev_agent_serves_soon_and_ends_on_sigterm() {
    let began = now();
    let agent = dev().serve();
    // A second on a machine that has nothing else to do.
    assert!(began.elapsed() < PATIENCE / 4, "{:?} to the first write", began.elapsed());
    let at = agent.at;
    assert!(put(at, "a", "hello"));
    assert_eq!(get(at, "a", "").as_deref(), Some("hello"));
    let entry = call(at, "GET", "/v1/kv/a", b"").expect("an answer");
    assert_eq!(entry.header("X-Consul-KnownLeader"), Some("true"));
    assert_eq!(entry.header("X-Consul-LastContact"), Some("0"));
    assert_eq!(entry.header("Content-Type"), Some("application/json"));
    assert!(entry.index() > 0 && entry.text().contains("\"Value\": \"aGVsbG8=\""), "{entry:?}");

    let index = entry.index();
    let swap = |index: u64| {
        call(at, "PUT", &format!("/v1/kv/a?cas={index}"), b"new").expect("an answer").text()
    };
    assert_eq!(swap(index + 1).trim(), "false");
    assert_eq!(swap(index).trim(), "true");
    assert!(put(at, "dir/x", "1") && put(at, "dir/y", "2"));
    let names = call(at, "GET", "/v1/kv/dir/?keys", b"").expect("an answer");
    let names: Vec<String> = serde_json::from_slice(&names.body).expect("a list");
    assert_eq!(names, ["dir/x", "dir/y"]);
    let rows = call(at, "GET", "/v1/kv/dir/?recurse", b"").expect("an answer");
    let rows: serde_json::Value = serde_json::from_slice(&rows.body).expect("JSON");
    assert_eq!(rows.as_array().map(Vec::len), Some(2));
    assert_eq!(call(at, "DELETE", "/v1/kv/dir/?recurse", b"").expect("an answer").status, 200);
    assert_eq!(call(at, "GET", "/v1/kv/dir/x", b"").expect("an answer").status, 404);

    agent.signal("-TERM");
    let (status, log) = agent.exit();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("Caught: signal=terminated"), "{log}");
    assert!(log.contains("Graceful shutdown disabled. Exiting"), "{log}");
}

#[test]
fn blocking_queries_wake_and_end_with_the_agent() {
    let agent = dev().serve();
    let at = agent.at;
    assert!(put(at, "a", "1"));
    let index = call(at, "GET", "/v1/kv/a", b"").expect("an answer").index();
    let target = format!("/v1/kv/a?raw&index={index}&wait=50s");
    let waiting = meanwhile(move || call(at, "GET", &target, b""));
    // Not before there is something to tell; then at once.
    assert!(put(at, "other", "1") && !waiting.is_finished());
    assert!(put(at, "a", "2"));
    let woken = waiting.join().expect("no panic").expect("an answer");
    assert_eq!((woken.status, woken.text()), (200, "2".to_owned()));

    // One that nobody wakes is answered when the agent stops.
    let index = woken.index();
    let target = format!("/v1/kv/a?index={index}&wait=50s");
    let mut waiting = Some(meanwhile(move || call(at, "GET", &target, b"")));
    eventually("it blocks", || put(at, "other", "2").then_some(()));
    agent.signal("-HUP");
    eventually("a hangup stops nothing", || agent.log().contains("hangup").then_some(()));
    assert!(put(at, "other", "3"));
    agent.signal("-INT");
    let told = waiting.take().expect("once").join().expect("no panic").expect("an answer");
    assert_eq!((told.status, told.text().as_str()), (500, "raft is already shutdown"));
    assert_eq!(agent.exit().0.code(), Some(1));
}

#[test]
fn bad_requests_are_refused_in_consuls_words() {
    let agent = dev().serve();
    let refused = |method: &str, target: &str, body: &[u8]| {
        let answer = call(agent.at, method, target, body).expect("an answer");
        (answer.status, answer.text())
    };
    let (status, text) = refused("PUT", "/v1/kv/big", &vec![b'x'; 512 * 1024 + 1]);
    assert_eq!(status, 413, "{text}");
    assert!(text.contains("too large, max size: 524288 bytes"), "{text}");
    assert_eq!(refused("PUT", "/v1/kv/big", &vec![b'x'; 512 * 1024]).0, 200);
    for (method, target, status) in [
        ("PATCH", "/v1/kv/a", 405),
        ("PUT", "/v1/kv/", 400),
        ("GET", "/v1/kv/a?stale&consistent", 400),
        ("GET", "/v1/kv/a?index=x", 400),
        ("GET", "/v1/kv/a?wait=x", 400),
        ("GET", "/v1/kv/%zz", 400),
        ("GET", "/v1/nothing", 404),
    ] {
        let (found, text) = refused(method, target, b"");
        assert_eq!(found, status, "{method} {target}: {text}");
    }
}

#[test]
fn acknowledged_writes_survive_kill_9() {
    let setup = Setup::single();
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let agent = setup.serve();
        check_all(agent.at, &acknowledged);
        let at = agent.at;
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let name = format!("round{round}/writer{writer}");
                meanwhile(move || write_until_refused(at, &name, 10_000))
            })
            .collect();
        // In the middle of it.
        let middle = format!("round{round}/writer0/{}", 20 + round);
        eventually("some writes", || get(at, &middle, ""));
        agent.crash();
        for writer in writers {
            let written = writer.join().expect("no panic");
            assert!(!written.is_empty());
            acknowledged.extend(written);
        }
    }
    let agent = setup.serve();
    check_all(agent.at, &acknowledged);
}

#[test]
fn the_kv_commands_talk_to_a_running_agent() {
    let agent = dev().serve();
    let at = format!("-http-addr={}", agent.at);
    let ran = command(&["kv", "put", &at, "a", "hello"], "");
    assert_eq!(ran, (0, "Success! Data written to: a\n".to_owned(), String::new()));
    let ran = command(&["kv", "put", &at, "b", "-"], "from standard input");
    assert_eq!(ran.0, 0, "{ran:?}");
    assert_eq!(command(&["kv", "get", &at, "a"], "").1, "hello\n");
    assert_eq!(command(&["kv", "get", &at, "b"], "").1, "from standard input\n");
    assert_eq!(command(&["kv", "delete", &at, "a"], "").0, 0);
    let ran = command(&["kv", "get", &at, "a"], "");
    assert_eq!((ran.0, ran.1.as_str()), (1, ""));
    assert!(ran.2.contains("No key exists at: a"), "{ran:?}");
    drop(agent);
    let ran = command(&["kv", "get", &at, "b"], "");
    assert!(ran.0 == 1 && ran.2.contains("refused"), "{ran:?}");
    let ran = command(&["version"], "");
    assert!(ran.0 == 0 && ran.1.starts_with("Consul v1.9.8\nProtocol 2 "), "{ran:?}");
}
