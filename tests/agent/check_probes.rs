//! Probes of the kinds that a simulation does not have: programs, and gRPC over real sockets. HTTP and
//! TCP have their cases in the suite that runs on both systems.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use proconsul::agent::{Health, Probe, ProbeResult};
use proconsul::base::Duration;
use proconsul::base::runtime::{
    ByteStream, Level, Listener, Runtime, read_exact, shutdown, write_all,
};
use proconsul::driver::probes::look;
use proconsul::runtime::TokioRuntime;
use proconsul::state::CheckDefinition;

use crate::real_process::eventually;

fn probed(definition: CheckDefinition) -> ProbeResult {
    let definition = CheckDefinition { interval: Duration::from_secs(1), ..definition };
    let probe = Probe { check_id: "c".to_owned(), definition, output_max_size: 4096 };
    TokioRuntime::run(Level::Error, |runtime| async move { look(&runtime, &probe).await })
        .expect("an executor")
}

fn script(argv: &[&str], timeout_ms: u64) -> ProbeResult {
    probed(CheckDefinition {
        script_args: argv.iter().map(|&it| it.to_owned()).collect(),
        timeout: Duration::from_millis(timeout_ms),
        ..CheckDefinition::default()
    })
}

fn shell(text: &str) -> ProbeResult {
    script(&["/bin/sh", "-c", text], 0)
}

#[test]
fn the_code_of_a_script_decides() {
    for (code, health) in [(0, Health::Passing), (1, Health::Warning), (2, Health::Critical)] {
        let result = shell(&format!("echo out; echo err >&2; exit {code}"));
        let output = "out\nerr\n".to_owned();
        assert_eq!(result, ProbeResult { health, output, at_once: false });
    }
    assert_eq!(shell("kill -9 $$").health, Health::Critical);
    assert_eq!(script(&["/bin/echo", "$HOME; exit 1"], 0).output, "$HOME; exit 1\n");
}

#[test]
fn the_end_of_a_long_output_is_kept() {
    let result = shell("head -c 3000 /dev/zero | tr '\\0' a; head -c 3000 /dev/zero | tr '\\0' b");
    let (a, b) = ("a".repeat(1096), "b".repeat(3000));
    assert_eq!(result.output, format!("Captured 4096 of 6000 bytes\n...\n{a}{b}"));
    assert_eq!(result.health, Health::Passing);
}

#[test]
fn a_script_out_of_time_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let pids = folder.path().join("pid");
    let text = format!("sleep 600 & echo $! > {}; echo begun; wait", pids.display());
    let result = script(&["/bin/sh", "-c", &text], 700);
    let output = "Timed out (700ms) running check\n\nbegun\n".to_owned();
    assert_eq!(result, ProbeResult { health: Health::Critical, output, at_once: true });
    let pid = fs::read_to_string(pids).expect("it was written");
    let status = format!("/proc/{}/stat", pid.trim());
    eventually("the script's child is gone", || {
        let gone = match fs::read_to_string(Path::new(&status)) {
            Ok(line) => line.contains(") Z "),
            Err(_) => true,
        };
        gone.then_some(())
    });
}

#[test]
fn a_script_that_does_not_start_counts_at_once() {
    for (program, why) in [
        ("/no/such/program", "fork/exec /no/such/program: no such file or directory"),
        ("no-such-program", "exec: \"no-such-program\": executable file not found in $PATH"),
        ("/etc/passwd", "fork/exec /etc/passwd: permission denied"),
    ] {
        let result = script(&[program], 0);
        let output = why.to_owned();
        assert_eq!(result, ProbeResult { health: Health::Critical, output, at_once: true });
    }
}

#[test]
fn docker_is_refused() {
    let result = probed(CheckDefinition {
        docker_container_id: "abc".to_owned(),
        script_args: vec!["true".to_owned()],
        ..CheckDefinition::default()
    });
    assert_eq!(result.health, Health::Critical);
    assert!(result.output.starts_with("create exec failed for container abc: "), "{result:?}");
}

/// What a gRPC server answers with.
#[derive(Clone, Copy)]
enum Says {
    /// This status of `HealthCheckResponse`.
    Status(u8),
    /// This status of gRPC, and why.
    Refuses(&'static str, &'static str),
    /// More than anybody wants to know.
    Floods,
    /// No HTTP/2.
    Garbage,
    /// Nothing.
    Nothing,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = len[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// HPACK: a literal without indexing and without Huffman's code.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        bytes.push(u8::try_from(text.len()).expect("short"));
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// A server of one connection; the message that it was asked with.
async fn grpc_server<S: ByteStream>(mut stream: S, says: Says) -> Option<Vec<u8>> {
    const STATUS_200: u8 = 0x88;
    let mut preface = [0; 24];
    read_exact(&mut stream, &mut preface).await.ok()?;
    if let Says::Garbage = says {
        write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok()?;
        shutdown(&mut stream).await.ok()?;
        return None;
    }
    write_all(&mut stream, &frame(4, 0, 0, &[])).await.ok()?;
    let mut question = Vec::new();
    loop {
        let mut head = [0; 9];
        read_exact(&mut stream, &mut head).await.ok()?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(len).ok()?];
        read_exact(&mut stream, &mut payload).await.ok()?;
        match head[3] {
            // SETTINGS.
            4 if head[4] & 1 == 0 => write_all(&mut stream, &frame(4, 1, 0, &[])).await.ok()?,
            0 => question.extend_from_slice(&payload),
            _ => {}
        }
        if matches!(head[3], 0 | 1) && head[4] & 1 == 1 {
            break;
        }
    }
    let mut begin = vec![STATUS_200];
    begin.extend(literal("content-type", "application/grpc"));
    let mut answer = Vec::new();
    match says {
        Says::Refuses(code, why) => {
            begin.extend(literal("grpc-status", code));
            begin.extend(literal("grpc-message", why));
            answer.extend(frame(1, 5, 1, &begin));
        }
        Says::Status(status) => {
            answer.extend(frame(1, 4, 1, &begin));
            answer.extend(frame(0, 0, 1, &[0, 0, 0, 0, 2, 8, status]));
            answer.extend(frame(1, 5, 1, &literal("grpc-status", "0")));
        }
        Says::Floods => {
            answer.extend(frame(1, 4, 1, &begin));
            answer.extend(frame(0, 0, 1, &[0; 16_000]));
        }
        Says::Garbage | Says::Nothing => {}
    }
    write_all(&mut stream, &answer).await.ok()?;
    // Until the other side has what it wants.
    let _closed = read_exact(&mut stream, &mut [0; 1024]).await;
    Some(question)
}

/// What a probe of this service finds, and what the server was asked.
fn grpc(says: Says, service: &str) -> (ProbeResult, String, Option<Vec<u8>>) {
    let service = service.to_owned();
    TokioRuntime::run(Level::Error, |runtime| async move {
        let at: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let mut listener = runtime.listen(at).await.expect("a port");
        let target = format!("{}{service}", listener.local_addr());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        runtime.spawn("server", async move {
            let stream = listener.accept().await.expect("a connection");
            let _ = sender.send(grpc_server(stream, says).await);
        });
        let definition = CheckDefinition {
            grpc: target.clone(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(if let Says::Nothing = says { 300 } else { 20_000 }),
            ..CheckDefinition::default()
        };
        let probe = Probe { check_id: "g".to_owned(), definition, output_max_size: 4096 };
        let result = look(&runtime, &probe).await;
        (result, target, receiver.await.expect("it ends"))
    })
    .expect("an executor")
}

#[test]
fn grpc_asks_for_the_service() {
    let (result, target, question) = grpc(Says::Status(1), "/web");
    let output = format!("gRPC check {target}: success");
    assert_eq!(result, ProbeResult { health: Health::Passing, output, at_once: false });
    assert_eq!(question.as_deref(), Some(&[0, 0, 0, 0, 5, 0x0a, 3, b'w', b'e', b'b'][..]));
    let (result, _, question) = grpc(Says::Status(1), "");
    assert_eq!(result.health, Health::Passing);
    assert_eq!(question.as_deref(), Some(&[0; 5][..]));
}

#[test]
fn grpc_failures_are_critical() {
    for (says, why) in [
        (Says::Status(2), "gRPC application didn't report service healthy"),
        (Says::Status(0), "gRPC application didn't report service healthy"),
        (
            Says::Refuses("5", "unknown%20service"),
            "rpc error: code = NotFound desc = unknown service",
        ),
        (Says::Floods, "rpc error: code = ResourceExhausted desc = the answer is too large"),
        (Says::Garbage, "rpc error: code = Unavailable desc = "),
        (Says::Nothing, "rpc error: code = DeadlineExceeded desc = context deadline exceeded"),
    ] {
        let (result, ..) = grpc(says, "/web");
        assert_eq!(result.health, Health::Critical);
        assert!(result.output.starts_with(why), "{:?}", result.output);
    }
    let closed =
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let definition = CheckDefinition { grpc: closed.to_string(), ..CheckDefinition::default() };
    let refused = probed(definition.clone()).output;
    let end = format!("Error while dialing dial tcp {closed}: connect: connection refused\"");
    assert!(refused.ends_with(&end), "{refused}");
    let tls = probed(CheckDefinition { grpc_use_tls: true, ..definition }).output;
    assert!(tls.contains("does not speak TLS yet"), "{tls}");
}
