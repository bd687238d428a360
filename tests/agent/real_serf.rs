//! A real `serf agent` (the Debian package `serf`) in the LAN pool of two servers on loopback: each side
//! sees the other come, leave and die, user events pass both ways, in the clear and encrypted.
//!
//! Where there is no `serf`, the tests say so and pass.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::real_members::{QUICK, logs, sees, tell};
use crate::real_process::{Ports, Setup, eventually, free_port, loopback};

/// A running `serf agent`.
struct Serf {
    child: Child,
    name: String,
    rpc: SocketAddr,
    folder: tempfile::TempDir,
}

impl Drop for Serf {
    fn drop(&mut self) {
        // Gone already is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_installed() -> bool {
    let found = Command::new("serf").arg("version").output().is_ok();
    if !found {
        println!("skipped: there is no `serf` here (Debian: apt-get install serf)");
    }
    found
}

impl Serf {
    /// Starts one on this address, and joins it to somebody. It writes its user events down.
    fn join(name: &str, host: u8, to: SocketAddr, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let name = name.to_owned();
        let rpc = SocketAddr::new(loopback(host), free_port());
        let events = folder.path().join("events");
        let log = File::create(folder.path().join("log")).expect("a log file");
        let child = Command::new("serf")
            .args(["agent", "-profile=local"])
            .arg(format!("-node={name}"))
            .arg(format!("-bind={}:{}", rpc.ip(), free_port()))
            .arg(format!("-rpc-addr={rpc}"))
            .arg(format!(
                "-event-handler=user=read node; echo $SERF_USER_EVENT $node >>{}",
                events.display()
            ))
            .arg(format!("-join={to}"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("one more handle"))
            .stderr(log)
            .spawn()
            .expect("serf");
        let serf = Self { child, name, rpc, folder };
        eventually("serf has joined", || serf.log().contains("agent: joined: 1").then_some(()));
        serf
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn events(&self) -> String {
        let path: PathBuf = self.folder.path().join("events");
        fs::read_to_string(path).unwrap_or_default()
    }

    /// A command of `serf`: what it says.
    fn tell(&self, args: &[&str]) -> String {
        let (name, rest) = args.split_first().expect("a command");
        let at = format!("-rpc-addr={}", self.rpc);
        let output = Command::new("serf").args([*name, &at]).args(rest).output().expect("serf");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until it sees a node so.
    fn sees(&self, node: &str, status: &str) {
        eventually(&format!("{} sees {node} as {status}", self.name), || {
            let table = self.tell(&["members"]);
            let is_row = |line: &&str| line.split_whitespace().next() == Some(node);
            let row = table.lines().find(is_row)?.to_owned();
            row.split_whitespace().nth(2).filter(|found| *found == status).map(|_| ())
        });
    }
}

/// The whole of it, with these flags for all of them.
fn meets_serf(flags: &[&str]) {
    if !is_installed() {
        return;
    }
    let ports = Ports::free();
    let at = ports.lan_at(1);
    let join = format!("-retry-join={at}");
    let server = [&["-server", "-bootstrap-expect=2"], flags].concat();
    let first = Setup::on(1, ports, QUICK, &server).durable().start();
    eventually("the first server gossips", || {
        tell(&first, &["members"]).1.contains("n1").then_some(())
    });
    let leaver = Serf::join("leaver", 3, at, flags);
    let victim = Serf::join("victim", 4, at, flags);
    for name in [&leaver.name, &victim.name] {
        sees(&first, &[(name, "alive", "unknown")]);
    }

    // The second server makes it a cluster; its leader tells everybody.
    let second = Setup::on(2, ports, QUICK, &[&server[..], &[&join]].concat()).durable().serve();
    for serf in [&leaver, &victim] {
        serf.sees("n1", "alive");
        serf.sees("n2", "alive");
        eventually("serf hears of the leader", || {
            let said = serf.events();
            ["n1", "n2"]
                .iter()
                .any(|node| said.contains(&format!("consul:new-leader {node}\n")))
                .then_some(())
        });
    }
    leaver.tell(&["event", "consul:new-leader", "somebody-else"]);
    for agent in [&first, &second] {
        sees(agent, &[(&leaver.name, "alive", "unknown"), (&victim.name, "alive", "unknown")]);
        logs(agent, "New leader elected: payload=somebody-else");
    }

    // They go.
    leaver.tell(&["leave"]);
    let mut dead = victim;
    dead.child.kill().expect("a running process");
    for agent in [&first, &second] {
        sees(agent, &[(&leaver.name, "left", "unknown"), (&dead.name, "failed", "unknown")]);
    }
    // We go, one way and the other, before another one.
    let witness = Serf::join("witness", 4, at, flags);
    let client = [&["-node=client", &join], flags].concat();
    let client = Setup::on(2, Ports::free(), QUICK, &client).durable().start();
    witness.sees("client", "alive");
    client.crash();
    witness.sees("client", "failed");
    assert_eq!(tell(&second, &["leave"]).0, 0);
    witness.sees("n1", "alive");
    witness.sees("n2", "left");
}

#[test]
fn a_serf_agent_is_a_member() {
    meets_serf(&[]);
}

#[test]
fn a_serf_agent_is_a_member_of_an_encrypted_pool() {
    meets_serf(&["-encrypt=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]);
}
