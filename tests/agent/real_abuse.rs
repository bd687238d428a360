//! Hostile and broken clients on real sockets: the agent stays, and serves everybody else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::real_process::{
    Setup, call, connect, eventually, free_port, loopback, put, read_answer,
};

fn dev() -> Setup {
    Setup::new(1, free_port(), "", &["-dev"])
}

/// Sends this and says that no more will come; the answer, or nothing when it is only hung up. A
/// side that shuts its writing half is taken for gone, so an answer is owed only to who stays.
fn send(at: SocketAddr, bytes: &[u8]) -> Option<u16> {
    let mut stream = connect(at).expect("it listens");
    // The agent may have refused and closed before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    read_answer(&mut stream).ok().map(|answer| answer.status)
}

#[test]
fn malformed_http_harms_nobody() {
    let mut agent = dev().serve();
    let at = agent.at;
    let garbage: Vec<u8> = (0..100_000u32).map(|n| ((n * 7919) >> 3) as u8).collect();
    assert!(send(at, &garbage).is_none_or(|status| status == 400));
    assert!(send(at, b"\r\n\r\n\r\n").is_none_or(|status| status == 400));
    let mut stays = connect(at).expect("it listens");
    stays.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").expect("it reads");
    assert_eq!(read_answer(&mut stays).expect("an answer").status, 400, "no Host");
    assert!(
        send(at, b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n") != Some(200)
    );
    assert!(
        send(at, b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc") != Some(200)
    );
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 << 20));
    assert!(send(at, long.as_bytes()).is_none_or(|status| status >= 400));

    // A body too large that did not announce its length.
    let mut unannounced =
        b"PUT /v1/kv/big HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..600 {
        unannounced.extend_from_slice(b"400\r\n");
        unannounced.extend_from_slice(&[b'x'; 0x400]);
        unannounced.extend_from_slice(b"\r\n");
    }
    unannounced.extend_from_slice(b"0\r\n\r\n");
    assert!(send(at, &unannounced).is_none_or(|status| status == 413));

    assert!(put(at, "a", "served"));
    assert!(agent.is_running());
}

#[test]
fn many_connections_leave_room_for_others() {
    let mut agent = dev().serve();
    let at = agent.at;
    // Each has been answered once, so the server has it and not only the kernel, and it stays open.
    let open: Vec<TcpStream> = (0..199).map(|_| seated(at)).collect();
    assert!(put(at, "a", "1"), "the two-hundredth is served");
    let mut last = Vec::new();
    let refused = eventually("one too many is told so", || {
        // The kernel may lose a connection while its queue is full, so every try is a new one.
        let mut one_more = connect(at).ok()?;
        one_more.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        let answer = read_answer(&mut one_more).ok();
        last.push(one_more);
        Some(answer?.status)
    });
    assert_eq!(refused, 429);
    drop((open, last));
    eventually("it serves again", || put(at, "a", "2").then_some(()));
    assert!(agent.is_running());
}

/// A connection that has been served and is kept open.
fn seated(at: SocketAddr) -> TcpStream {
    let mut stream = connect(at).expect("it listens");
    stream.write_all(b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n").expect("written");
    let mut first = [0];
    stream.read_exact(&mut first).expect("it is answered");
    stream
}

/// Endpoints that read a body as JSON, and what they answer to one that is too large.
const DECODERS: &[(&str, &str, u16)] = &[
    ("PUT", "/v1/txn", 413),
    ("PUT", "/v1/catalog/register", 400),
    ("PUT", "/v1/catalog/deregister", 400),
    ("PUT", "/v1/agent/service/register", 400),
    ("PUT", "/v1/agent/check/register", 400),
    ("PUT", "/v1/agent/check/update/x", 400),
    ("PUT", "/v1/session/create", 400),
    ("POST", "/v1/query", 400),
    ("PUT", "/v1/query/8f246b77-f3e1-ff88-5b48-8ec93abf3e05", 400),
    ("PUT", "/v1/coordinate/update", 400),
    ("PUT", "/v1/operator/autopilot/configuration", 400),
    ("POST", "/v1/operator/keyring", 400),
];

/// Most memory that the process has held so far, in MB.
fn peak_mb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kb: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kb / 1024
}

#[test]
fn bodies_that_are_no_json_or_far_too_large_are_refused_everywhere() {
    let mut agent = dev().serve();
    let deep = [b"[".repeat(100_000), b"{\"a\":".repeat(50_000)];
    let malformed: [&[u8]; 6] = [b"{", b"{\"a\":", b"nul", b"\xff\xfe\x00", &deep[0], &deep[1]];
    let huge = vec![b'x'; 20 << 20];
    let ask = |method: &str, path: &str, body: &[u8]| {
        call(agent.at, method, path, body).expect("an answer")
    };
    for (method, path, too_large) in DECODERS {
        for body in malformed {
            let answer = ask(method, path, body);
            let what = String::from_utf8_lossy(&body[..body.len().min(16)]);
            assert_eq!(answer.status, 400, "{path} {what}: {}", answer.text());
            assert!(!answer.body.is_empty(), "{path} {what}: no word of why");
        }
        // What is left of a body after its refusal is not read for ever, so it may be cut off.
        if let Ok(answer) = call(agent.at, method, path, &huge) {
            assert_eq!(answer.status, *too_large, "{path}: {}", answer.text());
        }
        assert!(put(agent.at, "others", "are served"));
    }
    assert!(agent.is_running());
    let peak = peak_mb(agent.pid());
    assert!(peak < 150, "{peak} MB for bodies of which none was kept");
    assert!(!agent.log().contains("panicked"));
}

#[test]
fn bodies_that_stop_halfway_hold_bounded_memory() {
    let unlimited = ", \"limits\": { \"http_max_conns_per_client\": 0 }";
    let mut agent = Setup::new(1, free_port(), unlimited, &["-dev"]).serve();
    let at = agent.at;
    // Together 300 MB; each of them is no larger than a value may be.
    let mut halves: Vec<TcpStream> = (0..600)
        .map(|number| {
            let mut stream = connect(at).expect("it listens");
            let head = format!("PUT /v1/kv/half/{number} HTTP/1.1\r\nHost: x\r\n");
            write!(stream, "{head}Content-Length: 524288\r\n\r\n").expect("written");
            stream.write_all(&[b'x'; 500_000]).expect("written");
            stream
        })
        .collect();
    let large = vec![b'x'; 300_000];
    let refused = eventually("there is no room for one more", || {
        // A little more of each, since a body that stays silent is given up.
        halves.iter_mut().for_each(|half| half.write_all(b"x").expect("written"));
        let answer = call(at, "PUT", "/v1/kv/large", &large).ok()?;
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("try again"), "{}", refused.text());
    assert!(put(at, "small", "is served"));
    let peak = peak_mb(agent.pid());
    assert!(peak < 260, "{peak} MB for bodies that never ended");
    drop(halves);
    eventually("there is room again", || {
        call(at, "PUT", "/v1/kv/large", &large).ok().filter(|answer| answer.status == 200)
    });
    assert!(agent.is_running());
    assert!(!agent.log().contains("panicked"));
}

#[test]
fn names_that_only_look_like_addresses_are_nobodys() {
    let agent = dev().serve();
    for name in ["1.2.3", "2130706433", "0x7f.1"] {
        let answer = call(agent.at, "PUT", &format!("/v1/agent/join/{name}"), b"");
        let answer = answer.expect("an answer");
        let text = format!(
            "1 error occurred:\n\t* Failed to resolve {name}: lookup {name}: no such host\n\n"
        );
        assert_eq!((answer.status, answer.text()), (500, text.as_str().into()), "{name}");
    }
}

#[test]
fn garbage_on_the_server_port_harms_nobody() {
    let setup = dev();
    let mut agent = setup.serve();
    let server = SocketAddr::new(loopback(1), setup.server);
    let hang_up = |bytes: &[u8]| {
        let mut stream = connect(server).expect("it listens");
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        rest
    };
    // Each protocol with nonsense, no protocol at all, and lengths that no memory can hold.
    for purpose in 0..=9 {
        hang_up(&[purpose, 0xff, 0xc1, 0, 1, 2, 3]);
    }
    hang_up(b"GET / HTTP/1.1\r\n\r\n");
    hang_up(&[1, 0, 0xdf, 0xff, 0xff, 0xff, 0xff, 0xc6, 0xff, 0xff, 0xff, 0xff]);
    hang_up(&[0, 0xdb, 0xff, 0xff, 0xff, 0xff]);
    hang_up(&[0, 0xdd, 0x7f, 0xff, 0xff, 0xff]);
    // A service that does not exist is answered, and the connection lives on.
    let mut unknown = vec![0];
    unknown.extend_from_slice(b"\x82\xa3Seq\x01\xadServiceMethod\xa6No.Way\x80");
    let answer = hang_up(&unknown);
    assert!(answer.windows(6).any(|window| window == b"No.Way"), "{answer:?}");
    // So is a Raft request of a version that is not spoken here; the next one is served.
    let vote = |version: u8| {
        let mut request = b"\x01\x82\xafProtocolVersion\x03\xa4Term\x00".to_vec();
        request[18] = version;
        request
    };
    let mut asking = connect(server).expect("it listens");
    asking.write_all(&[vec![1], vote(9), vote(3)].concat()).expect("written");
    let expected = [
        &b"\xda\x00\x35operation not supported with current protocol version\xc0"[..],
        b"\xa0\x84\xa7Granted\xc2",
    ]
    .concat();
    let mut answers = vec![0; expected.len()];
    asking.read_exact(&mut answers).expect("both are answered");
    assert_eq!(answers, expected);
    // A peer that asks and never reads, and one that is silent in the middle.
    let mut deaf = connect(server).expect("it listens");
    deaf.write_all(&unknown).expect("written");
    let mut silent = connect(server).expect("it listens");
    silent.write_all(&[1, 0, 0x87]).expect("written");

    assert!(put(agent.at, "a", "1"));
    assert!(agent.is_running());
    let log = agent.log();
    assert!(log.contains("bad RPC connection"), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn blocked_queries_of_vanished_clients_leave_nothing_behind() {
    let mut agent = dev().serve();
    let at = agent.at;
    assert!(put(at, "a", "1"));
    let index = call(at, "GET", "/v1/kv/a", b"").expect("an answer").index();
    // Ten times as many as may be open at once.
    for _ in 0..10 {
        let blocked: Vec<TcpStream> = (0..150)
            .filter_map(|_| {
                let mut stream = connect(at).ok()?;
                write!(stream, "GET /v1/kv/a?index={index}&wait=600s HTTP/1.1\r\nHost: x\r\n\r\n")
                    .ok()?;
                Some(stream)
            })
            .collect();
        drop(blocked);
    }
    eventually("others are served", || put(at, "a", "2").then_some(()));
    assert!(agent.is_running());
}
