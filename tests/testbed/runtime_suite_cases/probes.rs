//! Probes of checks: what ships is what is simulated, so they find the same on both.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use proconsul::agent::{Health, Probe, ProbeResult};
use proconsul::base::Duration;
use proconsul::base::runtime::{ByteStream, Listener, Runtime, read, write_all};
use proconsul::driver::probes::look;
use proconsul::state::CheckDefinition;

use crate::runtime_suite::World;

fn probe(definition: CheckDefinition) -> Probe {
    let interval = Duration::from_secs(1);
    let timeout = Duration::from_millis(800);
    let definition = CheckDefinition { interval, timeout, ..definition };
    Probe { check_id: "c".to_owned(), definition, output_max_size: 100 }
}

fn http(url: String) -> Probe {
    probe(CheckDefinition { http: url, ..CheckDefinition::default() })
}

fn found(health: Health, output: impl Into<String>) -> ProbeResult {
    ProbeResult { health, output: output.into(), at_once: false }
}

/// Answers each connection with what `answer` makes of the request, and closes it; an empty answer is
/// never given. Where it listens, and what it was asked.
async fn serve<W: World>(
    world: &W,
    answer: fn(&str) -> Vec<u8>,
) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let host = world.host(1);
    let mut listener = host.listen(SocketAddr::new(world.ip(1), 0)).await.unwrap();
    let at = listener.local_addr();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let requests = asked.clone();
    host.spawn("target", async move {
        let mut silent = Vec::new();
        loop {
            let mut stream = listener.accept().await.unwrap();
            let mut text = String::new();
            let mut piece = [0; 1024];
            while !text.contains("\r\n\r\n") {
                match read(&mut stream, &mut piece).await {
                    Ok(len) if len > 0 => text.push_str(&String::from_utf8_lossy(&piece[..len])),
                    _ => break,
                }
            }
            let path = text.split(' ').nth(1).unwrap_or_default();
            let answer = answer(path);
            requests.lock().unwrap().push(text);
            if answer.is_empty() {
                silent.push(stream);
                continue;
            }
            let _ = write_all(&mut stream, &answer).await;
            let (_, writer) = stream.split();
            drop(writer);
        }
    });
    (at, asked)
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\n\r\n{body}").into_bytes()
}

fn by_path(path: &str) -> Vec<u8> {
    match path {
        "/ok" => answer("200 OK", "fine\n"),
        "/created" => answer("201 Created", "made"),
        "/own-words" => answer("200 Splendid", "fine"),
        "/warn" => answer("429 Too Many Requests", "too many"),
        "/fail" => answer("500 Internal Server Error", "broken"),
        "/long" => answer("200 OK", &format!("{}end", "x".repeat(60_000))),
        "/away" => b"HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/kept" => b"HTTP/1.1 307 \r\nLocation: ok\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/round" => b"HTTP/1.1 302 Found\r\nLocation: /round\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/nowhere" => b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/cut" => b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nonly this".to_vec(),
        "/garbage" => b"SSH-2.0-something\r\n\r\n".to_vec(),
        "/eof" => b"H".to_vec(),
        _ => Vec::new(),
    }
}

pub async fn http_statuses_decide<W: World>(world: W) {
    let (at, _) = serve(&world, by_path).await;
    for (path, health, said) in [
        ("ok", Health::Passing, "200 OK Output: fine\n".to_owned()),
        ("created", Health::Passing, "201 Created Output: made".to_owned()),
        ("own-words", Health::Passing, "200 Splendid Output: fine".to_owned()),
        ("warn", Health::Warning, "429 Too Many Requests Output: too many".to_owned()),
        ("fail", Health::Critical, "500 Internal Server Error Output: broken".to_owned()),
        ("away", Health::Passing, "200 OK Output: fine\n".to_owned()),
        ("cut", Health::Passing, "200 OK Output: only this".to_owned()),
        ("long", Health::Passing, format!("200 OK Output: {}end", "x".repeat(97))),
    ] {
        let url = format!("http://{at}/{path}");
        let result = look(&world.host(0), &http(url.clone())).await;
        assert_eq!(result, found(health, format!("HTTP GET {url}: {said}")));
    }
}

pub async fn http_failures_are_critical<W: World>(world: W) {
    let (at, _) = serve(&world, by_path).await;
    let late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
    for (path, why) in [
        ("silent", late),
        ("round", "stopped after 10 redirects"),
        ("nowhere", "302 response missing Location header"),
        ("eof", "EOF"),
        ("garbage", ""),
    ] {
        let url = format!("http://{at}/{path}");
        let result = look(&world.host(0), &http(url.clone())).await;
        assert_eq!(result.health, Health::Critical);
        let begin = format!("Get \"{url}\": {why}");
        assert!(result.output.starts_with(&begin), "{:?}", result.output);
    }
    for (url, why) in [
        ("://nope", "parse \"://nope\": missing protocol scheme"),
        ("nope", "Get \"nope\": unsupported protocol scheme \"\""),
        ("ftp://x/", "Get \"ftp://x/\": unsupported protocol scheme \"ftp\""),
        (
            "https://x/",
            "Get \"https://x/\": this agent does not speak TLS yet: HTTPS checks cannot be run",
        ),
    ] {
        let result = look(&world.host(0), &http(url.to_owned())).await;
        assert_eq!(result, found(Health::Critical, why));
    }
}

pub async fn http_requests_say_what_the_check_says<W: World>(world: W) {
    let (at, asked) = serve(&world, by_path).await;
    let mut asks = http(format!("http://{at}/kept"));
    asks.definition.method = "POST".to_owned();
    asks.definition.body = "ping".to_owned();
    let header = [("X-Probe", vec!["a", "b"]), ("Host", vec!["web.example"])];
    asks.definition.header = header
        .map(|(name, values)| (name.to_owned(), values.into_iter().map(str::to_owned).collect()))
        .into();
    let result = look(&world.host(0), &asks).await;
    assert_eq!(result.health, Health::Passing, "{result:?}");
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2);
    for (request, path) in asked.iter().zip(["/kept", "/ok"]) {
        assert!(request.starts_with(&format!("POST {path} HTTP/1.1\r\n")), "{request}");
        for line in [
            "Host: web.example",
            "X-Probe: a",
            "X-Probe: b",
            "User-Agent: Consul Health Check",
            "Accept: text/plain, text/*, */*",
            "Connection: close",
            "Content-Length: 4",
        ] {
            assert!(request.contains(&format!("\r\n{line}\r\n")), "{line} in {request}");
        }
    }
}

pub async fn tcp_probes_connect<W: World>(world: W) {
    let (at, _) = serve(&world, by_path).await;
    let tcp = |to: String| probe(CheckDefinition { tcp: to, ..CheckDefinition::default() });
    let result = look(&world.host(0), &tcp(at.to_string())).await;
    assert_eq!(result, found(Health::Passing, format!("TCP connect {at}: Success")));
    let listener = world.host(1).listen(SocketAddr::new(world.ip(1), 0)).await.unwrap();
    let closed = listener.local_addr();
    drop(listener);
    let refused = format!("dial tcp {closed}: connect: connection refused");
    let result = look(&world.host(0), &tcp(closed.to_string())).await;
    assert_eq!(result, found(Health::Critical, refused.clone()));
    let result = look(&world.host(0), &http(format!("http://{closed}/"))).await;
    assert_eq!(result, found(Health::Critical, format!("Get \"http://{closed}/\": {refused}")));
    for (address, why) in [
        ("web", "dial tcp: address web: missing port in address"),
        ("a:b:c", "dial tcp: address a:b:c: too many colons in address"),
        ("127.0.0.1:99999", "dial tcp: address 99999: invalid port"),
        ("127.0.0.1:http", "dial tcp: lookup tcp/http: unknown port"),
    ] {
        assert_eq!(look(&world.host(0), &tcp(address.to_owned())).await.output, why);
    }
}
