//! Configuration from flags and files: what wins, what is refused and where.

use std::path::PathBuf;
use std::time::Duration;

use proconsul::config::flags::parse;
use proconsul::config::{AGENT_FLAGS, AgentConfig, ConfigError};

use crate::http_pipe::World;

fn load(flags: &str, files: &[(&str, &str)]) -> Result<AgentConfig, ConfigError> {
    let args: Vec<String> = flags.split_whitespace().map(str::to_owned).collect();
    AgentConfig::from_parts(files, &parse(AGENT_FLAGS, &args).expect("valid flags"), "host1")
}

fn error(flags: &str, file: &str) -> String {
    load(flags, &[("a.json", file)]).expect_err("refused").to_string()
}

#[test]
fn dev_mode_has_consuls_defaults() {
    let config = load("-dev", &[]).expect("valid");
    assert!(config.server && config.dev && config.bootstrap && config.data_dir.is_none());
    assert_eq!((config.node_name.as_str(), config.datacenter.as_str()), ("host1", "dc1"));
    assert_eq!(config.raft.heartbeat_timeout, Duration::from_millis(35));
    assert_eq!(config.raft.election_timeout, Duration::from_millis(52));
    assert_eq!(config.raft.leader_lease_timeout, Duration::from_millis(20));
    assert_eq!(config.server_address().to_string(), "127.0.0.1:8300");
    assert_eq!(config.ports.http, Some(8500));
}

#[test]
fn later_sources_win_and_lists_are_joined() {
    let first =
        r#"{"node_name": "a", "server": true, "retry_join": ["10.0.0.2"], "ports": {"http": 1}}"#;
    let second = r#"{"node_name": "b", "retry_join": ["10.0.0.3"], "ports": {"server": 2}}"#;
    let flags = "-node=c -bind 10.0.0.1 -bootstrap-expect=3 -data-dir /d -retry-join 10.0.0.4";
    let config = load(flags, &[("1.json", first), ("2.json", second), ("3.json", " ")]);
    let config = config.expect("valid");
    assert_eq!(config.node_name, "c");
    assert_eq!(config.retry_join, ["10.0.0.4", "10.0.0.2", "10.0.0.3"]);
    assert_eq!((config.ports.http, config.ports.server), (Some(1), 2));
    assert_eq!(config.data_dir, Some(PathBuf::from("/d")));
    assert_eq!(config.raft.heartbeat_timeout, Duration::from_secs(5));
}

#[test]
fn errors_name_file_line_and_key() {
    for (file, text) in [
        ("{\n\"sever\": true}", "a.json:2: invalid config key sever, did you mean server?"),
        ("{\n\n\"acl\": {}}", "a.json:3: config key acl is not supported yet: remove it"),
        ("{\"server\":\n\"yes\"}", "a.json:2: server: expected a boolean, found a string"),
        ("[]", "a.json:1: a configuration is an object, not a list"),
        (
            "{\"server\": true",
            "a.json:1: not valid JSON: expected \",\" or \"}\", found the end of the file",
        ),
        (
            "{\"ports\": {\"htp\": 1}}",
            "a.json:1: invalid config key ports.htp, did you mean ports.http?",
        ),
        (
            "{\"performance\": {\"raft_multiplier\": 11}}",
            "performance.raft_multiplier cannot be 11. Must be between 1 and 10",
        ),
        ("{\"profile\": \"legacy\"}", "profile legacy is not built yet; use modern"),
        (
            "{\"datacenter\": \"a b\"}",
            "datacenter can only contain lowercase alphanumeric, - or _ characters: \"a b\"",
        ),
        (
            "{\"ports\": {\"http\": 70000}}",
            "ports.http: invalid port 70000: must be -1 or 1 to 65535",
        ),
    ] {
        assert_eq!(error("-dev", file), text);
    }
}

#[test]
fn contradictions_are_refused_in_consuls_words() {
    for (flags, text) in [
        ("-server -bootstrap", "data_dir cannot be empty"),
        ("-bootstrap -data-dir d", "'bootstrap = true' requires 'server = true'"),
        ("-bootstrap-expect=3 -data-dir d", "'bootstrap_expect > 0' requires 'server = true'"),
        ("-dev -bootstrap-expect=3", "'bootstrap_expect > 0' not allowed in dev mode"),
        (
            "-server -bootstrap -bootstrap-expect=3 -data-dir d",
            "'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive",
        ),
    ] {
        assert_eq!(error(flags, "{}"), text, "{flags}");
    }
}

#[test]
fn the_servers_are_the_joined_ones_and_itself() {
    let flags = "-server -data-dir d -bind 10.0.0.2 -bootstrap-expect";
    let servers = |expect: u32, join: &str| {
        let config = load(&format!("{flags}={expect} {join}"), &[]).expect("valid");
        World::default().run(async move { config.servers(&World::default()).await })
    };
    let all = "-retry-join 10.0.0.1 -retry-join 10.0.0.2:8300 -retry-join 10.0.0.3";
    let names: Vec<String> =
        servers(3, all).expect("three").iter().map(ToString::to_string).collect();
    assert_eq!(names, ["10.0.0.1:8300", "10.0.0.2:8300", "10.0.0.3:8300"]);
    let error = servers(5, all).expect_err("three of five").to_string();
    assert!(error.contains("name 3 servers") && error.contains("retry_join"), "{error}");
    assert!(servers(1, "-retry-join provider=aws").is_err());
    assert!(servers(1, "-retry-join nowhere").is_err());
}
