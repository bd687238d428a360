//! A real agent's DNS on loopback: over datagrams and connections, against garbage and slowness, asked by
//! dig and drill, and with unbound and dnsmasq in front of it where they are installed.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};

use crate::dns_message::{question, shown};
use crate::real_process::{Agent, Setup, call, eventually, free_port};

/// One answer takes no longer, on any machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// An agent that answers DNS on this port, with three instances of `web`.
fn serve(members: &str) -> (Agent, SocketAddr) {
    let port = free_port();
    let setup = Setup::new(1, free_port(), members, &["-dev"]);
    let agent = setup.with_flag(&format!("-dns-port={port}")).serve();
    for number in 1..=3 {
        register(&agent, number, "passing");
    }
    let at = SocketAddr::new(agent.at.ip(), port);
    (agent, at)
}

fn register(agent: &Agent, number: u8, status: &str) {
    let body = format!(
        r#"{{"Node": "m{number}", "Address": "10.0.0.{number}",
            "Service": {{"Service": "web", "Port": 80}},
            "Check": {{"CheckID": "c", "Name": "c", "Status": "{status}", "ServiceID": "web"}}}}"#
    );
    let told = call(agent.at, "PUT", "/v1/catalog/register", body.as_bytes()).expect("an answer");
    assert_eq!(told.status, 200, "{told:?}");
}

fn ask(at: SocketAddr, message: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((at.ip(), 0)).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.send_to(message, at).expect("a datagram");
    let mut buffer = vec![0; 65_535];
    let len = socket.recv(&mut buffer).ok()?;
    buffer.truncate(len);
    Some(buffer)
}

fn read_framed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut message).ok().map(|()| message)
}

fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).expect("short");
    [&len.to_be_bytes()[..], message].concat()
}

fn addresses(answer: &[u8]) -> usize {
    Message::from_vec(answer).expect("a message").answers.len()
}

#[test]
fn datagrams_connections_and_health() {
    let (agent, at) = serve("");
    let asked = question("web.service.consul", "A", Some(1232), false);
    let answer = ask(at, &asked).expect("an answer");
    assert_eq!(addresses(&answer), 3, "{}", shown(&answer));
    let mut stream = TcpStream::connect(at).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    for _ in 0..3 {
        stream.write_all(&framed(&asked)).expect("it reads");
        let answer = read_framed(&mut stream).expect("an answer");
        assert_eq!(addresses(&answer), 3, "{}", shown(&answer));
    }
    register(&agent, 2, "critical");
    let answer = ask(at, &asked).expect("an answer");
    let text = shown(&answer);
    assert!(addresses(&answer) == 2 && !text.contains("10.0.0.2"), "{text}");
    let log = agent.log();
    for network in ["tcp", "udp"] {
        let line = format!("agent: Started DNS server: address={at} network={network}");
        assert!(log.contains(&line), "{log}");
    }
}

#[test]
fn garbage_and_slowness_harm_nobody_else() {
    let (mut agent, at) = serve("");
    let socket = UdpSocket::bind((at.ip(), 0)).expect("a socket");
    for length in 0..200_u8 {
        let garbage: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(length)).collect();
        socket.send_to(&garbage, at).expect("a datagram");
    }
    // Two questions in one message.
    let mut two = question("web.service.consul", "A", None, false);
    two[5] = 2;
    let refused = ask(at, &two).expect("an answer");
    let refused = Message::from_vec(&refused).expect("a message");
    assert_eq!(refused.metadata.response_code, ResponseCode::FormErr);
    // Connections that say nothing, or only the beginning of something, are closed.
    let asked = question("web.service.consul", "A", None, false);
    let mut slow: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(at).expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
            stream.write_all(&framed(&asked)[..9]).expect("it reads");
            stream
        })
        .collect();
    assert_eq!(addresses(&ask(at, &asked).expect("an answer")), 3);
    for stream in &mut slow {
        assert_eq!(read_framed(stream), None, "an answer to half a question");
    }
    assert!(agent.is_running());
}

#[test]
fn a_port_in_use_is_said() {
    let port = free_port();
    let _taken = UdpSocket::bind(("127.0.0.1", port)).expect("a socket");
    let flag = format!("-dns-port={port}");
    let (status, log) = Setup::new(1, free_port(), "", &["-dev", &flag]).start().exit();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("is another agent running here?"), "{log}");
}

/// A program of another make; says so when it is not here.
fn program(name: &str) -> Option<Command> {
    for path in [name.to_owned(), format!("/usr/sbin/{name}")] {
        let mut help = Command::new(&path);
        help.arg("-h").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if help.status().is_ok() {
            return Some(Command::new(path));
        }
    }
    println!("note: {name} is not installed, and asks nothing here");
    None
}

fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn dig_and_drill_understand_the_answers() {
    let (_agent, at) = serve("");
    let (host, port) = (format!("@{}", at.ip()), at.port().to_string());
    if let Some(mut dig) = program("dig") {
        let text = output(dig.args([&host, "-p", &port, "web.service.consul", "SRV"]));
        for part in [
            "status: NOERROR",
            "flags: qr aa rd; QUERY: 1, ANSWER: 3, AUTHORITY: 0, ADDITIONAL: 4",
            "recursion requested but not available",
            "web.service.consul.\t0\tIN\tSRV\t1 1 80 m1.node.dc1.consul.",
            "m1.node.dc1.consul.\t0\tIN\tA\t10.0.0.1",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    if let Some(mut drill) = program("drill") {
        let text = output(drill.args(["-p", &port, "m1.node.consul", &host]));
        assert!(text.contains("rcode: NOERROR") && text.contains("IN\tA\t10.0.0.1"), "{text}");
    }
}

/// A server of another make, stopped with its handle.
struct Forwarder(Child);

impl Drop for Forwarder {
    fn drop(&mut self) {
        // Gone already is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A thousand questions through it, of which none fails.
fn ask_through(at: SocketAddr) {
    let ready = question("web.service.consul", "A", Some(1232), false);
    eventually("the forwarder answers", || {
        let socket = UdpSocket::bind((at.ip(), 0)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        socket.connect(at).ok()?;
        socket.send(&ready).ok()?;
        let mut buffer = [0; 1500];
        let len = socket.recv(&mut buffer).ok()?;
        (addresses(&buffer[..len]) == 3).then_some(())
    });
    let names = [
        ("web.service.consul", "A", ResponseCode::NoError),
        ("web.service.consul", "SRV", ResponseCode::NoError),
        ("web.service.consul", "AAAA", ResponseCode::NoError),
        ("m1.node.consul", "A", ResponseCode::NoError),
        ("nobody.service.consul", "A", ResponseCode::NXDomain),
    ];
    for number in 0..1000 {
        let (name, kind, code) = names[number % names.len()];
        let answer = ask(at, &question(name, kind, Some(1232), false)).expect("an answer");
        let message = Message::from_vec(&answer).expect("a message");
        assert_eq!(message.metadata.response_code, code, "{name} {kind}: {}", shown(&answer));
    }
}

#[test]
fn a_thousand_questions_through_unbound() {
    let Some(mut unbound) = program("unbound") else { return };
    let (_agent, at) = serve("");
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let file = folder.path().join("unbound.conf");
    let text = format!(
        "server:\n  interface: 127.0.0.1\n  port: {port}\n  do-daemonize: no\n  chroot: \"\"\n  \
         username: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  do-not-query-localhost: no\n  \
         use-caps-for-id: yes\n  module-config: \"iterator\"\n  directory: \"{}\"\n\
         remote-control:\n  control-enable: no\n\
         forward-zone:\n  name: \"consul\"\n  forward-addr: {}@{}\n",
        folder.path().display(),
        at.ip(),
        at.port()
    );
    fs::write(&file, text).expect("a written file");
    let unbound = unbound.arg("-c").arg(&file).stdin(Stdio::null()).stderr(Stdio::null());
    let _running = Forwarder(unbound.spawn().expect("unbound"));
    ask_through(SocketAddr::from(([127, 0, 0, 1], port)));
}

#[test]
fn a_thousand_questions_through_dnsmasq() {
    let Some(mut dnsmasq) = program("dnsmasq") else { return };
    let (_agent, at) = serve("");
    let port = free_port();
    let dnsmasq = dnsmasq
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"])
        .args(["--bind-interfaces", "--listen-address=127.0.0.1", "--user=", "--pid-file="])
        .arg(format!("--port={port}"))
        .arg(format!("--server=/consul/{}#{}", at.ip(), at.port()))
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let _running = Forwarder(dnsmasq.spawn().expect("dnsmasq"));
    ask_through(SocketAddr::from(([127, 0, 0, 1], port)));
}
