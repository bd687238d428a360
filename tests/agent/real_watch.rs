//! Watches against real agents: on the command line, and in an agent's configuration with scripts and a
//! little HTTP server as handlers. The programs of the third article as watches.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::real_process::{Agent, Setup, call, command, eventually, free_port, meanwhile, put};

fn dev(members: &str) -> Agent {
    Setup::new(1, free_port(), members, &["-dev"]).serve()
}

/// A `watch` command that runs a script; killed when it is dropped.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        // Gone already is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Watching {
    fn begin(at: SocketAddr, args: &[&str], script: &str) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_proconsul"))
            .arg("watch")
            .arg(format!("-http-addr={at}"))
            .args(args)
            .arg(script)
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary");
        Self(child)
    }

    fn exit_code(&mut self) -> Option<i32> {
        eventually("the watch ends", || self.0.try_wait().expect("a child")).code()
    }
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until the file has so many lines.
fn line(path: &Path, count: usize) -> String {
    eventually(&format!("{count} lines in {}", path.display()), || {
        lines(path).get(count - 1).cloned()
    })
}

fn register(at: SocketAddr, json: &str) {
    let answer = call(at, "PUT", "/v1/agent/service/register", json.as_bytes());
    assert_eq!(answer.expect("an answer").status, 200);
}

#[test]
fn a_child_runs_for_each_state_until_one_fails() {
    let agent = dev("");
    let folder = tempfile::tempdir().expect("a folder");
    let seen = folder.path().join("seen");
    let script = format!(
        "cat >> {0}; echo index=$CONSUL_INDEX >> {0}; ! tail -n 2 {0} | grep -q c3RvcA==",
        seen.display()
    );
    let mut watching = Watching::begin(agent.at, &["-type=key", "-key=a"], &script);
    assert_eq!(line(&seen, 1), "null");
    assert!(put(agent.at, "a", "one"));
    let told = line(&seen, 3);
    assert!(told.starts_with("{\"Key\":\"a\",\"CreateIndex\":"), "{told}");
    assert!(told.ends_with("\"Flags\":0,\"Value\":\"b25l\",\"Session\":\"\"}"), "{told}");
    let index: u64 = line(&seen, 4).trim_start_matches("index=").parse().expect("a number");
    let answer = call(agent.at, "GET", "/v1/kv/a", b"").expect("an answer");
    assert_eq!(index, answer.index());
    // Another key, and the same value again, are no news.
    assert!(put(agent.at, "b", "x") && put(agent.at, "a", "one") && put(agent.at, "a", "stop"));
    assert_eq!(watching.exit_code(), Some(1));
    assert!(line(&seen, 5).contains("\"Value\":\"c3RvcA==\""));
    assert_eq!(lines(&seen).len(), 6);
}

#[test]
fn without_a_shell_and_told_to_end() {
    let agent = dev("");
    let folder = tempfile::tempdir().expect("a folder");
    let pid_file = folder.path().join("pid");
    let script = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600", pid_file.display());
    let args = ["-type=nodes", "-shell=false", "/bin/sh", "-c"];
    let mut watching = Watching::begin(agent.at, &args, &script);
    let pid = line(&pid_file, 1);
    // The signal reaches the child, too.
    let told = Command::new("kill").args(["-TERM", &watching.0.id().to_string()]).status();
    assert!(told.expect("kill").success());
    assert_eq!(watching.exit_code(), Some(0));
    eventually("the child ends", || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));

    let none = command(&["watch", &format!("-http-addr={}", agent.at), "-type=key", "-key=a"], "");
    assert_eq!(none, (0, "null\n".to_owned(), String::new()));
    let at = format!("-http-addr={}", agent.at);
    let (code, _, why) = command(&["watch", &at, "-type=nodes", "-shell=false", "/no/such"], "");
    assert_eq!(code, 1);
    assert!(why.contains("fork/exec /no/such: no such file or directory"), "{why}");
    let (code, _, why) = command(&["watch", "-http-addr=127.0.0.1:1", "-type=nodes"], "");
    assert_eq!(code, 1);
    assert!(
        why.starts_with("Error querying Consul agent: Get \"http://127.0.0.1:1/v1/status/leader\"")
    );
    let (code, _, why) = command(&["watch", &at, "-type=connect_roots"], "");
    assert_eq!((code, why.as_str()), (1, "Type connect_roots is not supported in the CLI tool\n"));
    let (code, _, why) = command(&["watch", &at, "-type=agent_service"], "");
    assert_eq!((code, why.as_str()), (1, "Type agent_service is not supported in the CLI tool\n"));
    let (code, _, why) = command(&["watch", &at, "-type=agent_service", "-service=a"], "");
    assert_eq!((code, why.as_str()), (1, "Invalid parameters: [service]\n"));
}

/// What the third article does in Go: a handler for the names of all services, which looks each up. It hears
/// of a new name, not of a second instance nor of a check that fails: that takes a watch of the service.
#[test]
fn the_watch_of_the_third_article_and_its_trap() {
    let agent = dev("");
    let folder = tempfile::tempdir().expect("a folder");
    let (names, instances) = (folder.path().join("names"), folder.path().join("instances"));
    let into = |path: &PathBuf| format!("cat >> {}", path.display());
    let _names = Watching::begin(agent.at, &["-type=services"], &into(&names));
    let args = ["-type=service", "-service=my-service", "-passingonly=true"];
    let _instances = Watching::begin(agent.at, &args, &into(&instances));
    assert_eq!(line(&names, 1), "{\"consul\":[]}");
    assert_eq!(line(&instances, 1), "[]");
    register(
        agent.at,
        r#"{"ID": "my-service-1", "Name": "my-service", "Port": 8081, "Tags": ["tag1"],
            "Check": {"TTL": "600s", "Status": "passing"}}"#,
    );
    assert_eq!(line(&names, 2), "{\"consul\":[],\"my-service\":[\"tag1\"]}");
    assert!(line(&instances, 2).contains("\"Port\":8081,\"Address\":\"\""));
    register(
        agent.at,
        r#"{"ID": "my-service-2", "Name": "my-service", "Port": 8082, "Tags": ["tag1"]}"#,
    );
    assert_eq!(line(&instances, 3).matches("\"Service\":\"my-service\"").count(), 2);
    let failed = call(agent.at, "PUT", "/v1/agent/check/fail/service:my-service-1", b"");
    assert_eq!(failed.expect("an answer").status, 200);
    let left = line(&instances, 4);
    assert!(left.contains("my-service-2") && !left.contains("my-service-1"), "{left}");
    // A new name comes behind all that the first watch did not hear of.
    register(agent.at, r#"{"Name": "other"}"#);
    assert_eq!(line(&names, 3), "{\"consul\":[],\"my-service\":[\"tag1\"],\"other\":[]}");
    assert_eq!(lines(&names).len(), 3);
}

#[test]
fn all_kinds_reach_scripts_of_the_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let kinds = [
        ("key", ", \"key\": \"w/a\""),
        ("keyprefix", ", \"prefix\": \"w/\""),
        ("services", ""),
        ("nodes", ""),
        ("service", ", \"service\": \"web\", \"tag\": [\"a\"]"),
        ("checks", ", \"state\": \"critical\""),
        ("event", ", \"name\": \"deploy\""),
    ];
    let watch = |(kind, params): (&str, &str)| {
        let file = folder.path().join(kind);
        format!(
            "{{\"type\": \"{kind}\"{params}, \"args\": [\"/bin/sh\", \"-c\", \"cat >> {}; echo said\"]}}",
            file.display()
        )
    };
    let old = folder.path().join("old");
    let watches = kinds.map(watch).join(",\n");
    let agent = dev(&format!(
        ", \"watches\": [{watches}, {{\"type\": \"nodes\", \"handler\": \"cat > {}; exit 3\"}}]",
        old.display()
    ));
    let told = |kind: &str, needle: &str| {
        let file = folder.path().join(kind);
        eventually(&format!("{needle} in {kind}"), || {
            fs::read_to_string(&file).unwrap_or_default().contains(needle).then_some(())
        });
    };
    assert!(put(agent.at, "w/a", "one"));
    register(agent.at, r#"{"Name": "web", "Tags": ["a"], "Check": {"Name": "c", "TTL": "600s"}}"#);
    call(agent.at, "PUT", "/v1/event/fire/deploy", b"x").expect("an answer");
    told("key", "\"Value\":\"b25l\"");
    told("keyprefix", "[{\"Key\":\"w/a\"");
    told("services", "\"web\":[\"a\"]");
    told("nodes", "\"Node\":\"n1\"");
    told("service", "\"Service\":\"web\"");
    told("checks", "\"Name\":\"c\",\"Status\":\"critical\"");
    told("event", "\"Name\":\"deploy\",\"Payload\":\"eA==\"");
    eventually("the log says how handlers ended", || {
        let log = agent.log();
        let failed = log.contains("Failed to run watch handler") && log.contains("exit status 3");
        (failed && log.contains("output=\"said\\n\"")).then_some(())
    });
    // An event comes once.
    call(agent.at, "PUT", "/v1/event/fire/deploy", b"y").expect("an answer");
    told("event", "\"Payload\":\"eQ==\"");
    let heard = fs::read_to_string(folder.path().join("event")).expect("a file");
    assert_eq!((heard.matches("eA==").count(), heard.matches("eQ==").count()), (1, 1), "{heard}");
}

/// Requests that came, as text.
type Heard = Arc<Mutex<Vec<String>>>;

/// Answers every request with this status line, until the process ends.
fn hook(status: &'static str) -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address");
    let heard = Heard::default();
    let into = heard.clone();
    drop(meanwhile(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut bytes = Vec::new();
            let mut chunk = [0; 4096];
            // A result is one line of JSON.
            while ![&b"}\n"[..], b"]\n", b"null\n"].iter().any(|end| bytes.ends_with(end)) {
                match stream.read(&mut chunk) {
                    Ok(0) | Err(_) => break,
                    Ok(more) => bytes.extend_from_slice(&chunk[..more]),
                }
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            into.lock().expect("no panic").push(text);
            // The agent may have gone.
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\nbody");
        }
    }));
    (at, heard)
}

#[test]
fn an_http_handler_is_called() {
    let ((good, heard), (bad, _)) = (hook("200 OK"), hook("503 Service Unavailable"));
    let agent = dev(&format!(
        ", \"watches\": [
        {{\"type\": \"key\", \"key\": \"a\", \"handler_type\": \"http\", \"http_handler_config\":
          {{\"path\": \"http://{good}/hook?x=1\", \"method\": \"PUT\", \"timeout\": \"20s\",
            \"header\": {{\"X-Mark\": [\"one\", \"two\"]}}}}}},
        {{\"type\": \"nodes\", \"handler_type\": \"http\",
          \"http_handler_config\": {{\"path\": \"http://{bad}/\"}}}},
        {{\"type\": \"services\", \"handler_type\": \"http\",
          \"http_handler_config\": {{\"path\": \"http://127.0.0.1:1/\"}}}}]"
    ));
    assert!(put(agent.at, "a", "one"));
    let request = eventually("the handler is called", || {
        heard.lock().expect("no panic").iter().find(|it| it.contains("b25l")).cloned()
    });
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("PUT /hook?x=1 HTTP/1.1\r\n"), "{head}");
    let head = head.to_ascii_lowercase();
    let index = call(agent.at, "GET", "/v1/kv/a", b"").expect("an answer").index();
    for line in [
        "content-type: application/json".to_owned(),
        format!("x-consul-index: {index}"),
        "x-mark: one".to_owned(),
        "x-mark: two".to_owned(),
        format!("host: {good}"),
    ] {
        assert!(head.contains(&line), "{line} in {head}");
    }
    assert!(body.ends_with("\"Value\":\"b25l\",\"Session\":\"\"}\n"), "{body}");
    eventually("the log tells of the others", || {
        let log = agent.log();
        let refused = "Failed to invoke http watch handler: watch=\"http://127.0.0.1:1/\"";
        let failed = "status=\"503 Service Unavailable\" output=\"body\"";
        (log.contains(refused) && log.contains(failed)).then_some(())
    });
}

#[test]
fn debug_saves_what_it_has_when_it_is_told_to_end() {
    let agent = dev("");
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("found");
    let log = fs::File::create(folder.path().join("out")).expect("a file");
    let mut child = Command::new(env!("CARGO_BIN_EXE_proconsul"))
        .args(["debug", &format!("-http-addr={}", agent.at), "-interval=5s", "-duration=10m"])
        .arg(format!("-output={}", output.display()))
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary");
    let said = || fs::read_to_string(folder.path().join("out")).unwrap_or_default();
    eventually("the first capture", || said().contains("(0)\n==> Capture").then_some(()));
    let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(told.expect("kill").success());
    let status = eventually("debug ends", || child.try_wait().expect("a child"));
    assert_eq!(status.code(), Some(0));
    let said = said();
    assert!(said.starts_with("==> Starting debugger and capturing static information...\n"));
    assert!(said.contains("     Agent Version: '1.9.8'\n"), "{said}");
    assert!(said.contains("           Capture: 'metrics, logs, host, agent, members'\n"), "{said}");
    assert!(said.ends_with(&format!("    Saved debug archive: {}.tar.gz\n", output.display())));
    let packed = fs::File::open(folder.path().join("found.tar.gz")).expect("an archive");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let mut names: Vec<String> = Vec::new();
    for entry in archive.entries().expect("an archive") {
        let path = entry.expect("an entry").path().expect("a path").into_owned();
        names.push(path.display().to_string());
    }
    let expected =
        ["agent.json", "consul.log", "host.json", "index.json", "members.json", "metrics.json"];
    assert_eq!(names, expected.map(|name| format!("found/{name}")));
    let again =
        ["debug", "-http-addr", &agent.at.to_string(), "-output", &output.display().to_string()];
    let (code, _, why) = command(&again, "");
    assert_eq!(code, 1);
    assert!(why.contains("output directory already exists"), "{why}");
}
