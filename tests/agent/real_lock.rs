//! `lock` against a real agent: mutual exclusion between processes, and how a lock ends.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::real_process::{Agent, Setup, call, command, eventually, free_port};

fn dev() -> Agent {
    Setup::new(1, free_port(), "", &["-dev"]).serve()
}

/// A `lock` command; killed when it is dropped, with its child.
struct Locking {
    child: Child,
    pid_file: Option<String>,
}

impl Drop for Locking {
    fn drop(&mut self) {
        // Gone already is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let pid = self.pid_file.as_ref().and_then(|file| fs::read_to_string(file).ok());
        if let Some(pid) = pid {
            let _ = Command::new("kill").args(["-KILL", pid.trim()]).stderr(Stdio::null()).status();
        }
    }
}

impl Locking {
    fn begin(at: SocketAddr, args: &[&str], output: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_proconsul"))
            .args(["lock", &format!("-http-addr={at}"), "-verbose"])
            .args(args)
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::null())
            .stdout(fs::File::create(output).expect("a file"))
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary");
        Self { child, pid_file: None }
    }

    /// One whose child sleeps, and does not end on SIGTERM if it is `deaf`.
    fn asleep(at: SocketAddr, folder: &Path, name: &str, deaf: bool) -> Self {
        let pid_file = folder.join(format!("{name}.pid")).display().to_string();
        let trap = if deaf { "trap '' TERM;" } else { "" };
        let script = format!(
            "{trap} echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; \
                              exec sleep 600"
        );
        let mut locking = Self::begin(at, &["p", &script], &folder.join(name));
        eventually("the child runs", || fs::read_to_string(&pid_file).ok());
        locking.pid_file = Some(pid_file);
        locking
    }

    fn signal(&self, signal: &str) {
        let told = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(told.expect("kill").success());
    }

    fn exit_code(&mut self) -> Option<i32> {
        eventually("the lock ends", || self.child.try_wait().expect("a child")).code()
    }
}

fn sessions(at: SocketAddr) -> Vec<String> {
    let answer = call(at, "GET", "/v1/session/list", b"").expect("an answer");
    let list: Vec<serde_json::Value> = serde_json::from_slice(&answer.body).expect("a list");
    list.iter().map(|it| it["ID"].as_str().expect("an id").to_owned()).collect()
}

fn is_free(at: SocketAddr) -> bool {
    call(at, "GET", "/v1/kv/p/.lock", b"").expect("an answer").status == 404
}

/// Nobody is inside when one comes in, whoever comes.
#[test]
fn two_locks_exclude_each_other() {
    let agent = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let (log, inside) = (folder.path().join("log"), folder.path().join("inside"));
    let script = format!(
        "mkdir {1} || echo broken >> {0}; echo $CONSUL_LOCK_HELD >> {0}; sleep 0.1; rmdir {1}",
        log.display(),
        inside.display()
    );
    let mut contenders: Vec<Locking> = (0..4)
        .map(|it| Locking::begin(agent.at, &["p", &script], &folder.path().join(format!("{it}"))))
        .collect();
    for contender in &mut contenders {
        assert_eq!(contender.exit_code(), Some(0));
    }
    assert_eq!(fs::read_to_string(&log).expect("a log"), "true\n".repeat(4));
    assert!(is_free(agent.at) && sessions(agent.at).is_empty());
    let said = fs::read_to_string(folder.path().join("0")).expect("an output");
    let begins =
        "Setting up lock at path: p/.lock\nAttempting lock acquisition\nStarting handler\n";
    assert!(
        said.starts_with(&format!("{begins}Child terminated, releasing lock\nCleanup ")),
        "{said}"
    );
}

/// Of three at most two are inside; places are told apart by which folder could be made.
#[test]
fn a_semaphore_lets_in_as_many_as_it_has_places() {
    let agent = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let place = folder.path().join("place").display().to_string();
    let script = format!(
        "if mkdir {place}1; then mine={place}1; elif mkdir {place}2; then mine={place}2; \
         else echo broken >> {0}; exit 1; fi; echo in >> {0}; sleep 0.2; rmdir $mine",
        log.display()
    );
    let mut contenders: Vec<Locking> = (0..5)
        .map(|it| {
            let args = ["-n=2", "-child-exit-code", "s", &script];
            Locking::begin(agent.at, &args, &folder.path().join(format!("{it}")))
        })
        .collect();
    for contender in &mut contenders {
        assert_eq!(contender.exit_code(), Some(0));
    }
    assert_eq!(fs::read_to_string(&log).expect("a log"), "in\n".repeat(5));
    let left = call(agent.at, "GET", "/v1/kv/s?recurse", b"").expect("an answer");
    assert_eq!((left.status, sessions(agent.at).len()), (404, 0), "{}", left.text());
    let other = ["lock", "-http-addr", &agent.at.to_string(), "-n=3", "p", "true"];
    assert_eq!(command(&other, "").0, 0);
}

#[test]
fn a_signal_ends_the_child_and_frees_the_lock() {
    let agent = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let mut holder = Locking::asleep(agent.at, folder.path(), "holder", false);
    let at = format!("-http-addr={}", agent.at);
    let late = command(&["lock", &at, "-timeout=300ms", "p", "true"], "");
    let text = "Shutdown triggered or timeout during lock acquisition\n";
    assert_eq!(late, (1, String::new(), text.to_owned()));
    // One that waits ends at once, and leaves nothing behind.
    let mut waiting = Locking::begin(agent.at, &["p", "true"], &folder.path().join("waiting"));
    eventually("it waits", || (sessions(agent.at).len() == 2).then_some(()));
    waiting.signal("-INT");
    assert_eq!(waiting.exit_code(), Some(1));
    assert_eq!(sessions(agent.at).len(), 1);
    holder.signal("-TERM");
    assert_eq!(holder.exit_code(), Some(0));
    let said = fs::read_to_string(folder.path().join("holder")).expect("an output");
    assert!(said.contains("Shutdown triggered, killing child\nTerminating child pid "), "{said}");
    assert!(said.ends_with("Child terminated\nCleanup succeeded\n"), "{said}");
    assert!(is_free(agent.at) && sessions(agent.at).is_empty());
}

/// A lock that is taken away: the child is told, then killed, although it does not listen.
#[test]
fn a_lost_lock_kills_the_child() {
    let agent = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let mut holder = Locking::asleep(agent.at, folder.path(), "holder", true);
    let session = sessions(agent.at).remove(0);
    let destroy = format!("/v1/session/destroy/{session}");
    assert_eq!(call(agent.at, "PUT", &destroy, b"").expect("an answer").status, 200);
    assert_eq!(holder.exit_code(), Some(0));
    let said = fs::read_to_string(folder.path().join("holder")).expect("an output");
    assert!(said.contains("Lock lost, killing child\n"), "{said}");
    assert!(
        said.contains("Child did not exit after grace period of 5s\nKilling child pid "),
        "{said}"
    );
    let pid = fs::read_to_string(folder.path().join("holder.pid")).expect("a number");
    assert!(!Path::new(&format!("/proc/{}", pid.trim())).exists());
}

/// A holder that was killed: its session is gone with its node's word or its time (here: destroyed), and the
/// next gets the lock once the lock delay is over.
#[test]
fn the_lock_of_a_killed_holder_passes_on() {
    let agent = dev();
    let folder = tempfile::tempdir().expect("a folder");
    let mut holder = Locking::asleep(agent.at, folder.path(), "holder", false);
    holder.child.kill().expect("a running process");
    holder.child.wait().expect("a dead process");
    let entry = call(agent.at, "GET", "/v1/kv/p/.lock", b"").expect("an answer").text();
    assert!(entry.contains("3304740253564472344"), "{entry}");
    let mut next = Locking::begin(agent.at, &["p", "true"], &folder.path().join("next"));
    eventually("the next waits", || (sessions(agent.at).len() == 2).then_some(()));
    assert!(next.child.try_wait().expect("a child").is_none(), "the lock is still held");
    let held: Vec<serde_json::Value> = serde_json::from_str(&entry).expect("a list");
    let destroy = format!("/v1/session/destroy/{}", held[0]["Session"].as_str().expect("a holder"));
    assert_eq!(call(agent.at, "PUT", &destroy, b"").expect("an answer").status, 200);
    assert_eq!(next.exit_code(), Some(0));
    assert!(is_free(agent.at));
}

#[test]
fn what_is_no_lock_is_left_alone() {
    let agent = dev();
    let at = format!("-http-addr={}", agent.at);
    let put = call(agent.at, "PUT", "/v1/kv/p/.lock?flags=1", b"mine").expect("an answer");
    assert_eq!(put.status, 200);
    let (code, _, why) = command(&["lock", &at, "p", "true"], "");
    let text = "Lock acquisition failed: Existing key does not match lock use\n";
    assert_eq!((code, why.as_str()), (1, text));
    let (code, _, why) = command(&["lock", &at, "-n=2", "p", "true"], "");
    let text = "Lock acquisition failed: Existing key does not match semaphore use\n";
    assert_eq!((code, why.as_str()), (1, text));
    assert!(sessions(agent.at).is_empty());
    for (args, text) in [
        (&["-n=0", "p", "true"][..], "Lock holder limit must be positive\n"),
        (&["-timeout=-1s", "p", "true"], "Timeout must be positive\n"),
        (&["-monitor-retry=-1", "p", "true"], "Number for 'monitor-retry' must be >= 0\n"),
        (&["-n=2", "/", "true"], "Lock setup failed: missing prefix\n"),
        (&["p"], "Key prefix and child command must be specified\n"),
    ] {
        let whole: Vec<&str> = ["lock", &at].into_iter().chain(args.iter().copied()).collect();
        assert_eq!(command(&whole, ""), (1, String::new(), text.to_owned()), "{args:?}");
    }
    let piped = ["lock", &at, "-pass-stdin", "-shell=false", "q", "/bin/cat"];
    assert_eq!(command(&piped, "from stdin\n"), (0, "from stdin\n".to_owned(), String::new()));
}
