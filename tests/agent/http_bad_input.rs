//! Whole connections: what is well-formed works over bytes, and what is not is refused in place,
//! without a panic and without taking more memory than the limits say.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hyper::Method;
use proconsul::agent::{Failure, ReadMode};
use proconsul::base::Duration;
use proconsul::base::runtime::{ByteReader, ByteWriter};
use proconsul::http::client::{Client, ClientError};
use proconsul::http::{Identity, router};
use proptest::prelude::*;

use crate::http_pipe::{Pipe, World, pipe};
use crate::http_store::StoreBackend;

fn world() -> (World, StoreBackend) {
    let backend = StoreBackend::new(Identity::server("n1"));
    let world = World::default();
    world.serve(router(&backend));
    (world, backend)
}

/// Sends bytes, as far as they are taken, and reads all that comes back.
fn exchange(world: &World, pipe: &mut Pipe, mut bytes: &[u8]) -> String {
    let mut cx = Context::from_waker(Waker::noop());
    let mut answer = Vec::new();
    for _ in 0..20_000 {
        if let Poll::Ready(Ok(taken)) = pipe.poll_write(&mut cx, bytes) {
            bytes = &bytes[taken..];
        }
        world.turn();
        let mut chunk = [0; 4096];
        match pipe.poll_read(&mut cx, &mut chunk) {
            Poll::Ready(Ok(0)) => break,
            Poll::Ready(Ok(some)) => answer.extend_from_slice(&chunk[..some]),
            _ if bytes.is_empty() => break,
            _ => {}
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn ask(request: &str) -> String {
    let (world, _) = world();
    exchange(&world, &mut world.dial(), request.as_bytes())
}

#[test]
fn headers_are_spelt_as_go_spells_them() {
    let answer = ask("GET /v1/kv/none HTTP/1.1\r\nHost: x\r\n\r\n");
    for line in [
        "HTTP/1.1 404 Not Found\r\n",
        "X-Consul-Index: 1\r\n",
        "X-Consul-Knownleader: true\r\n",
        "X-Consul-Lastcontact: 0\r\n",
        "X-Consul-Default-Acl-Policy: allow\r\n",
        "Vary: Accept-Encoding\r\n",
        "Content-Length: 0\r\n",
        "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
    ] {
        assert!(answer.contains(line), "{line:?} in {answer}");
    }
}

#[test]
fn a_connection_is_kept_and_http_10_is_answered() {
    let (world, _) = world();
    let mut pipe = world.dial();
    let request = b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1";
    assert!(exchange(&world, &mut pipe, request).ends_with("\r\n\r\ntrue"));
    let request = b"GET /v1/kv/a?raw HTTP/1.1\r\nHost: x\r\n\r\n";
    assert!(exchange(&world, &mut pipe, request).ends_with("\r\n\r\n1"));
    let old = ask("GET /v1/status/leader HTTP/1.0\r\n\r\n");
    assert!(old.ends_with("\"127.0.0.1:8300\""), "{old}");
}

#[test]
fn malformed_requests_are_refused() {
    for (request, status) in [
        ("HELLO\r\n\r\n".to_owned(), 400),
        ("GET /v1/status/leader HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /v1/kv/%zz HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("GET /v1/kv/a%00b HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("GET /v1/kv/?keys&%zz HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 500),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(1 << 20)), 431),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(1000)), 431),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1 << 20)), 414),
        ("PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n".to_owned(), 400),
    ] {
        let answer = ask(&request);
        let got = answer.split(' ').nth(1).and_then(|text| text.parse::<u16>().ok());
        let is_refused = got == Some(status) || status == 414 && got == Some(431);
        assert!(is_refused, "{:.40}: {answer}", request);
    }
}

#[test]
fn what_is_no_http_is_told_so() {
    let answer = ask("HELLO\r\n\r\n");
    assert!(answer.contains("Content-Type: text/plain; charset=utf-8\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n400 Bad Request"), "{answer}");
}

#[test]
fn a_body_that_stops_coming_is_not_waited_for() {
    let (world, backend) = world();
    let head = b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1";
    let mut slow = world.dial();
    assert_eq!(exchange(&world, &mut slow, head), "");
    let mut cx = Context::from_waker(Waker::noop());
    // Each byte gives it time.
    for _ in 0..3 {
        world.advance(Duration::from_secs(50));
        assert_eq!(exchange(&world, &mut slow, b"2"), "");
    }
    world.advance(Duration::from_secs(61));
    world.turn();
    assert!(matches!(slow.poll_read(&mut cx, &mut [0; 16]), Poll::Ready(Ok(0))), "dropped");
    assert_eq!(backend.shared().index, 12, "nothing was written");
}

#[test]
fn a_text_tells_what_is_wrong() {
    for (request, text) in [
        ("GET /v1/kv/a?index=x", "Invalid index"),
        ("GET /v1/kv/a?index=-1", "Invalid index"),
        ("PUT /v1/kv/a?wait=5", "Invalid wait time"),
        ("GET /v1/kv/a?max_stale=x", "Invalid max_stale value \"x\""),
        (
            "GET /v1/kv/a?cached&consistent",
            "Cannot specify ?cached with ?consistent, conflicting semantics.",
        ),
        ("PUT /v1/kv/a?flags=0x10", "strconv.ParseUint: parsing \"0x10\": invalid syntax"),
        (
            "PUT /v1/kv/a?flags=18446744073709551616",
            "strconv.ParseUint: parsing \"18446744073709551616\": value out of range",
        ),
        (
            "PUT /v1/kv/a?acquire=abc",
            "failed session lookup: index error: UUID must be 36 characters",
        ),
        ("PUT /v1/kv/a?acquire=", "missing session"),
        ("PUT /v1/kv/a?release=abc", "false"),
        ("GET /", "Consul Agent"),
    ] {
        let answer = ask(&format!("{request} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"));
        assert!(answer.ends_with(&format!("\r\n\r\n{text}")), "{request}: {answer}");
    }
}

#[test]
fn values_above_the_limit_are_refused_announced_or_not() {
    let (world, backend) = world();
    let head = "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\n";
    let full = "a".repeat(524_288);
    let fits = format!("{head}Content-Length: 524288\r\n\r\n{full}");
    assert!(exchange(&world, &mut world.dial(), fits.as_bytes()).ends_with("true"));
    let announced = format!("{head}Content-Length: 524289\r\n\r\n{full}b");
    let answer = exchange(&world, &mut world.dial(), announced.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("Request body(524289 bytes) too large, max size: 524288 bytes. See "));
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(9));
    let answer = exchange(&world, &mut world.dial(), chunked.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(backend.shared().index, 13, "one write came through");
}

#[test]
fn an_endless_body_is_cut_off() {
    let (world, _) = world();
    let chunk = format!("100000\r\n{}\r\n", "a".repeat(0x100000));
    let head = "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer =
        exchange(&world, &mut world.dial(), format!("{head}{}", chunk.repeat(20)).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[test]
fn half_a_request_is_dropped_after_a_while_and_an_idle_connection_is_not() {
    let (world, _) = world();
    let mut slow = world.dial();
    let mut idle = world.dial();
    let whole = b"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n";
    assert!(exchange(&world, &mut idle, whole).starts_with("HTTP/1.1 404"));
    assert_eq!(exchange(&world, &mut slow, b"GET /v1/kv/a HT"), "");
    world.advance(Duration::from_secs(11));
    world.turn();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(slow.poll_read(&mut cx, &mut [0; 16]), Poll::Ready(Ok(0))), "dropped");
    assert!(exchange(&world, &mut idle, whole).starts_with("HTTP/1.1 404"), "kept");
}

#[test]
fn read_options_reach_the_agent() {
    let (world, backend) = world();
    let options = |target: &str| {
        let answer = ask_of(&world, target);
        assert_eq!(answer.status, 404, "{target}");
        backend.shared().last_read.clone().expect("a read")
    };
    let plain = options("/v1/kv/a");
    assert_eq!((plain.mode, plain.min_index), (ReadMode::Default, 0));
    assert_eq!(options("/v1/kv/a?consistent").mode, ReadMode::Consistent);
    assert_eq!(options("/v1/kv/a?stale=false").mode, ReadMode::Stale);
    assert_eq!(options("/v1/kv/a?max_stale=5s").mode, ReadMode::Stale);
    backend.shared().expired = true;
    // The wait, and half of a sixteenth for jitter.
    for (wait, expected_ms) in [("", 309_375), ("&wait=16s", 16_500), ("&wait=20m", 618_750)] {
        let blocking = options(&format!("/v1/kv/a?index=7{wait}"));
        assert_eq!(blocking.min_index, 7);
        assert_eq!(blocking.max_wait, Duration::from_millis(expected_ms), "{wait}");
    }
}

#[test]
fn failures_are_500_with_consuls_text() {
    let (world, backend) = world();
    for (failure, text) in [
        (Failure::NoLeader, "No cluster leader"),
        (
            Failure::Remote("No cluster leader".to_owned()),
            "rpc error making call: No cluster leader",
        ),
        (Failure::LeadershipLost, "leadership lost while committing log"),
    ] {
        backend.shared().failure = Some(failure);
        for target in ["/v1/kv/a", "/v1/status/leader", "/v1/agent/self"] {
            let answer = ask_of(&world, target);
            assert_eq!((answer.status, &answer.body[..]), (500, text.as_bytes()));
        }
    }
}

#[test]
fn agent_self_has_the_shape_that_clients_decode() {
    let (world, _) = world();
    let body = ask_of(&world, "/v1/agent/self").body;
    let info: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let top = info.as_object().expect("an object");
    assert!(top.values().all(|value| value.is_object() || value.is_null()));
    assert_eq!(info["Config"]["NodeName"], "n1");
    let sections = info["Stats"].as_object().expect("sections");
    let all_text = |section: &serde_json::Value| {
        section.as_object().is_some_and(|it| it.values().all(serde_json::Value::is_string))
    };
    assert!(sections.values().all(all_text));
    assert_eq!(info["Stats"]["raft"]["state"], "Leader");
}

fn ask_of(world: &World, target: &str) -> proconsul::http::client::Answer {
    let stream = world.dial();
    world.run(async {
        let mut client = Client::new(stream).await.expect("a connection");
        client.request(Method::GET, target, &[], Bytes::new()).await.expect("an answer")
    })
}

#[test]
fn one_client_connection_carries_many_requests() {
    let (world, _) = world();
    let stream = world.dial();
    world.run(async {
        let mut client = Client::new(stream).await.expect("a connection");
        for number in 0..100u32 {
            let body = Bytes::from(number.to_string().repeat(1000));
            let put = client.request(Method::PUT, "/v1/kv/n", &[], body.clone()).await;
            assert_eq!(put.expect("an answer").body, "true");
            let got = client.request(Method::GET, "/v1/kv/n?raw", &[], Bytes::new()).await;
            assert_eq!(got.expect("an answer").body, body);
        }
        assert!(client.is_open());
        let bad = client.request(Method::GET, "no path", &[], Bytes::new()).await;
        assert!(matches!(bad, Err(ClientError::NotSent(_))));
    });
}

#[test]
fn client_errors_tell_whether_anything_was_sent() {
    let (near, far) = pipe();
    let world = World::default();
    let mut client = world.run(Client::new(near)).expect("a connection");
    drop(far);
    let closed = world.run(client.request(Method::PUT, "/v1/kv/a", &[], Bytes::new()));
    assert!(matches!(closed, Err(ClientError::NotSent(_))), "{closed:?}");

    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"] {
        let (near, mut far) = pipe();
        let mut client = world.run(Client::new(near)).expect("a connection");
        let mut request = Box::pin(client.request(Method::PUT, "/v1/kv/a", &[], Bytes::new()));
        assert!(crate::http_store::settle(&mut request).is_pending());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(far.poll_write(&mut cx, answer.as_bytes()).is_ready());
        drop(far);
        let broken = world.run(request);
        assert!(matches!(broken, Err(ClientError::NoAnswer(_))), "{answer:?}: {broken:?}");
        assert!(!client.is_open());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_make_a_connection_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (world, _) = world();
        exchange(&world, &mut world.dial(), &bytes);
    }

    #[test]
    fn no_target_makes_the_router_panic(target in "[/?&=%a-z0-9.~;+]{0,60}") {
        for method in ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"] {
            let request = format!("{method} /v1/kv/{target} HTTP/1.1\r\nHost: x\r\n\r\n");
            let answer = ask(&request);
            prop_assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 "), "{}", answer);
        }
    }
}
