//! A real agent that reads its configuration again: by signal, by command, over HTTP.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::real_members::{logs, tell};
use crate::real_process::{Agent, Setup, call, eventually, free_port};

/// An agent with a folder of configuration files.
struct Configured {
    folder: tempfile::TempDir,
    setup: Setup,
}

impl Configured {
    fn new(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = format!("-config-dir={}", folder.path().display());
        let members = ", \"performance\": { \"raft_multiplier\": 1 }";
        let setup = Setup::new(1, free_port(), members, &[&[dir.as_str()], flags].concat());
        Self { folder, setup }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a written file");
    }
}

fn get(agent: &Agent, target: &str) -> Value {
    let answer = call(agent.at, "GET", target, b"").expect("an answer");
    serde_json::from_str(&answer.text()).unwrap_or(Value::Null)
}

fn services(agent: &Agent) -> Vec<String> {
    let services = get(agent, "/v1/agent/services");
    services.as_object().expect("a map").keys().cloned().collect()
}

fn reload(agent: &Agent) -> (u16, String) {
    let answer = call(agent.at, "PUT", "/v1/agent/reload", b"").expect("an answer");
    (answer.status, answer.text())
}

fn put(agent: &Agent, target: &str, body: &str) {
    let answer = call(agent.at, "PUT", target, body.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn files_come_change_and_go() {
    let it = Configured::new(&["-server", "-bootstrap"]);
    it.write("web.json", r#"{"services": [{"name": "web", "port": 1, "check": {"ttl": "10m"}}]}"#);
    it.write("db.json", r#"{"service": {"name": "db"}, "check": {"name": "disk", "ttl": "10m"}}"#);
    let it = Configured { setup: it.setup.durable(), ..it };
    let agent = it.setup.serve();
    put(&agent, "/v1/agent/service/register", r#"{"Name": "by-hand"}"#);
    put(&agent, "/v1/agent/check/pass/service:web", "");
    put(&agent, "/v1/agent/check/warn/disk", "");
    assert_eq!(services(&agent), ["by-hand", "db", "web"]);

    // One changes, one goes with its check, one comes; what users registered stays.
    it.write("web.json", r#"{"services": [{"name": "web", "port": 2, "check": {"ttl": "10m"}}]}"#);
    fs::remove_file(it.path("db.json")).expect("it was there");
    it.write("new.json", r#"{"service": {"name": "new"}, "node_meta": {"rack": "7"}}"#);
    let (code, said, _) = tell(&agent, &["reload"]);
    assert_eq!((code, said.as_str()), (0, "Configuration reload triggered\n"));
    assert_eq!(services(&agent), ["by-hand", "new", "web"]);
    assert_eq!(get(&agent, "/v1/agent/services")["web"]["Port"], 2);
    let checks = get(&agent, "/v1/agent/checks");
    assert_eq!(checks["service:web"]["Status"], "passing", "it stands as it stood");
    assert_eq!(checks.as_object().map(serde_json::Map::len), Some(1), "{checks}");
    eventually("the catalog follows", || {
        let node = get(&agent, "/v1/catalog/node/n1");
        let names: Vec<&str> = node["Services"].as_object()?.keys().map(String::as_str).collect();
        (names == ["by-hand", "consul", "new", "web"] && node["Node"]["Meta"]["rack"] == "7")
            .then_some(())
    });

    // After a restart it is the same.
    agent.crash();
    let agent = it.setup.serve();
    assert_eq!(services(&agent), ["by-hand", "new", "web"]);
}

#[test]
fn a_bad_file_changes_nothing() {
    let it = Configured::new(&["-dev"]);
    it.write("web.json", r#"{"service": {"name": "web"}}"#);
    let agent = it.setup.serve();
    it.write("other.json", r#"{"service": {"name": "other"}, "log_level": "err"}"#);
    it.write("z.json", "{nope");
    let (status, why) = reload(&agent);
    assert!(status == 500 && why.contains("z.json:1"), "{status} {why}");
    let (code, _, said) = tell(&agent, &["reload"]);
    assert_eq!(code, 1);
    assert!(said.starts_with("Error reloading: Unexpected response code: 500 ("), "{said}");
    assert_eq!(services(&agent), ["web"]);

    // Likewise by signal, where only the log can say so; then it is put right.
    agent.signal("-HUP");
    logs(&agent, "Caught: signal=hangup");
    logs(&agent, "[ERROR] agent: Reload config failed: error=");
    assert_eq!(services(&agent), ["web"]);
    // What only the agent itself can refuse: a check of a service that is nowhere.
    it.write("z.json", r#"{"check": {"name": "lost", "service_id": "gone", "ttl": "9s"}}"#);
    let (status, why) = reload(&agent);
    let wanted = "Failed reloading checks: Failed to register check 'lost': ServiceID \"gone\" does \
                  not exist";
    assert_eq!((status, why.as_str()), (500, wanted));
    assert_eq!(services(&agent), ["web"]);
    fs::remove_file(it.path("z.json")).expect("it was there");
    agent.signal("-HUP");
    eventually("the other service", || (services(&agent) == ["other", "web"]).then_some(()));
}

#[test]
fn the_log_level_changes_and_a_port_does_not() {
    let it = Configured::new(&["-dev"]);
    it.write("log.json", r#"{"log_level": "info"}"#);
    let agent = it.setup.serve();
    let debug = || agent.log().lines().filter(|line| line.contains("[DEBUG]")).count();
    assert_eq!(debug(), 0);
    // A port of its own would not do: the file is read beside that of the agent.
    it.write("log.json", r#"{"log_level": "debug", "ports": {"dns": 1}}"#);
    assert_eq!(reload(&agent), (200, String::new()));
    logs(&agent, "[WARN]  agent: ports has changed: this takes effect when the agent is restarted");
    eventually("a debug line", || {
        put(&agent, "/v1/agent/service/register", r#"{"Name": "x", "Check": {"TTL": "1m"}}"#);
        put(&agent, "/v1/agent/check/pass/service:x", "");
        (debug() > 0).then_some(())
    });
    it.write("log.json", r#"{"log_level": "err"}"#);
    assert_eq!(reload(&agent), (200, String::new()));
    let shown = agent.log().len();
    assert_eq!(reload(&agent), (200, String::new()));
    let rest = agent.log().split_off(shown);
    assert!(!rest.contains("[INFO]") && !rest.contains("[WARN]"), "{rest}");
}

#[test]
fn an_agent_that_keeps_nothing_loses_what_was_registered() {
    let it = Configured::new(&["-dev"]);
    it.write("web.json", r#"{"service": {"name": "web"}}"#);
    let agent = it.setup.serve();
    put(&agent, "/v1/agent/service/register", r#"{"Name": "api"}"#);
    assert_eq!(reload(&agent), (200, String::new()));
    // As recorded of Consul 1.9.8: what is not on disk does not outlive a reload.
    assert_eq!(services(&agent), ["web"]);
}
