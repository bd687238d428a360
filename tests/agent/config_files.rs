//! Configuration from flags and files: what wins, what is refused and where.

use std::path::PathBuf;
use std::time::Duration;

use proconsul::config::flags::parse;
use proconsul::config::{AGENT_FLAGS, AgentConfig, ConfigError, GossipTiming, resolve};
use proconsul::raft::Profile;

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
    assert_eq!(config.lan_join.retry, ["10.0.0.4", "10.0.0.2", "10.0.0.3"]);
    assert_eq!((config.ports.http, config.ports.server), (Some(1), 2));
    assert_eq!(config.data_dir, Some(PathBuf::from("/d")));
    assert_eq!(config.raft.heartbeat_timeout, Duration::from_secs(5));
}

#[test]
fn errors_name_file_line_and_key() {
    for (file, text) in [
        ("{\n\"sever\": true}", "a.json:2: invalid config key sever, did you mean server?"),
        (
            "{\n\n\"acl\": {\n\"enabled\": true}}",
            "a.json:4: acl.enabled: access control lists are not built: whoever reaches this agent may \
             do everything; remove it",
        ),
        (
            "{\"acl\": {\"enabeld\": true}}",
            "a.json:1: invalid config key acl.enabeld, did you mean acl.enabled?",
        ),
        (
            "{\"service\": {\"name\": \"a\", \"check\": {\"script\": \"x\"}}}",
            "a.json:1: config key script in service.check: scripts have no shell of their own any more; \
             write args = [\"/bin/sh\", \"-c\", …]",
        ),
        ("{\"server\":\n\"yes\"}", "a.json:2: server: expected a boolean, found a string"),
        ("[]", "a.json:1: a configuration is an object, not a list"),
        (
            "{\"server\": true",
            "a.json:1:16: not valid JSON: expected \",\" or \"}\", found the end of the file",
        ),
        (
            "//web.json\n{}",
            "a.json:1:1: not valid JSON: expected a value, found '/' (JSON has no comments; a .hcl file may \
             have them)",
        ),
        (
            "{\"ports\": {\"htp\": 1}}",
            "a.json:1: invalid config key ports.htp, did you mean ports.http?",
        ),
        (
            "{\"performance\": {\"raft_multiplier\": 11}}",
            "performance.raft_multiplier cannot be 11. Must be between 1 and 10",
        ),
        ("{\"profile\": \"old\"}", "unknown profile \"old\"; use modern or legacy"),
        (
            "{\"datacenter\": \"a b\"}",
            "datacenter can only contain lowercase alphanumeric, - or _ characters. received: \"a b\"",
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
fn addresses_to_join_have_many_forms() {
    let found = |text: &str| {
        let text = text.to_owned();
        World::default().run(async move { resolve(&World::default(), &text, 8301).await })
    };
    for (text, address) in [
        ("10.0.0.1", "10.0.0.1:8301"),
        ("10.0.0.1:9", "10.0.0.1:9"),
        ("[::1]:9", "[::1]:9"),
        ("::1", "[::1]:8301"),
    ] {
        let addresses = found(text).expect("an address");
        assert_eq!(addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), [address]);
    }
    for wrong in ["provider=aws", "nowhere", "host:port"] {
        assert!(found(wrong).expect_err(wrong).to_string().contains(wrong));
    }
}

#[test]
fn gossip_has_consuls_defaults_and_its_own_addresses() {
    let config = load("-server -data-dir d -bind 10.0.0.1 -join 10.0.0.2", &[]).expect("valid");
    let gossip = &config.gossip;
    assert_eq!(gossip.lan.bind.to_string(), "10.0.0.1:8301");
    assert_eq!(gossip.lan.timing, GossipTiming::LAN);
    assert_eq!(gossip.lan.reconnect_timeout, Duration::from_secs(72 * 3600));
    let wan = gossip.wan.expect("a server");
    assert_eq!((wan.advertise.to_string().as_str(), wan.timing.gossip_nodes), ("10.0.0.1:8302", 3));
    assert!(gossip.key.is_none() && gossip.verify_incoming && gossip.keyring_file);
    assert_eq!(config.lan_join.start, ["10.0.0.2"]);
    assert_eq!((config.lan_join.interval, config.lan_join.max), (Duration::from_secs(30), 0));
    assert_eq!(config.autopilot.server_stabilization_time, Duration::from_secs(10));

    let file = r#"{"serf_lan": "10.0.0.9", "serf_wan": "10.0.0.8", "advertise_addr_wan": "1.2.3.4",
        "ports": {"serf_lan": 1, "serf_wan": 2}, "encrypt": "MDEyMzQ1Njc4OWFiY2RlZg==",
        "encrypt_verify_incoming": false, "reconnect_timeout": "8h", "node_meta": {"rack": "7"},
        "gossip_lan": {"probe_interval": "2s", "suspicion_mult": 9}, "retry_max": 3,
        "autopilot": {"min_quorum": 3, "cleanup_dead_servers": false}}"#;
    let flags = "-server -data-dir d -bind 10.0.0.1 -retry-join a -node-meta zone:b:c -rejoin";
    let config = load(flags, &[("a.json", file)]).expect("valid");
    let gossip = &config.gossip;
    assert_eq!(gossip.lan.bind.to_string(), "10.0.0.9:1");
    assert_eq!(gossip.lan.advertise.to_string(), "10.0.0.1:1");
    let wan = gossip.wan.expect("a server");
    assert_eq!(
        (wan.bind.to_string(), wan.advertise.to_string()),
        ("10.0.0.8:2".into(), "1.2.3.4:2".into())
    );
    assert_eq!(gossip.key.as_deref(), Some(&b"0123456789abcdef"[..]));
    assert!(!gossip.verify_incoming && config.rejoin_after_leave);
    let timing = gossip.lan.timing;
    assert_eq!((timing.probe_interval, timing.suspicion_mult), (Duration::from_secs(2), 9));
    assert_eq!(
        (config.node_meta["rack"].as_str(), config.node_meta["zone"].as_str()),
        ("7", "b:c")
    );
    assert_eq!((config.autopilot.min_quorum, config.autopilot.cleanup_dead_servers), (3, false));
    assert_eq!(config.lan_join.max, 3);

    let dev = load("-dev", &[]).expect("valid");
    assert_eq!(dev.gossip.lan.timing.probe_interval, Duration::from_millis(100));
    assert!(!dev.gossip.keyring_file);
    let client = load("-data-dir d", &[]).expect("valid");
    assert!(!client.server && client.gossip.wan.is_none());
    assert!(client.leave_on_terminate && !client.skip_leave_on_interrupt);
}

#[test]
fn settings_of_a_clusters_life_are_checked() {
    for (file, text) in [
        (r#"{"reconnect_timeout": "4h"}"#, "ReconnectTimeoutLan must be >= 8h0m0s"),
        (r#"{"reconnect_timeout_wan": "4h"}"#, "ReconnectTimeoutWan must be >= 8h0m0s"),
        (
            r#"{"encrypt": "dG9vIHNob3J0"}"#,
            "encrypt has invalid key: key size must be 16, 24 or 32 bytes",
        ),
        (
            r#"{"bootstrap_expect": -1}"#,
            "bootstrap_expect cannot be -1. Must be greater than or equal to zero",
        ),
        (
            r#"{"autopilot": {"max_trailing_logs": -1}}"#,
            "autopilot.max_trailing_logs cannot be -1. Must be greater than or equal to zero",
        ),
        (
            r#"{"raft_protocol": 2}"#,
            "raft_protocol version 2 is not supported by this version of Consul",
        ),
        (
            r#"{"node_meta": {"consul-x": "y"}}"#,
            "node_meta invalid: Couldn't load metadata pair ('consul-x', 'y'): \
             Key prefix 'consul-' is reserved for internal use",
        ),
        (
            r#"{"advertise_addr_wan": "0.0.0.0"}"#,
            "Advertise WAN address cannot be 0.0.0.0, :: or [::]",
        ),
        (
            r#"{"gossip_lan": {"gossip_nodes": 0}}"#,
            "gossip_lan.gossip_nodes must be between 1 and 1000",
        ),
        (
            r#"{"gossip_lan": {"x": 0}}"#,
            "a.json:1: invalid config key gossip_lan.x, did you mean gossip_lan?",
        ),
        (r#"{"retry_max": -1}"#, "retry_max must be greater than or equal to zero"),
        (
            r#"{"read_replica": true}"#,
            "read_replica: servers that never vote are not built; remove it",
        ),
    ] {
        assert_eq!(error("-dev", file), text, "{file}");
    }
    assert_eq!(
        error("-dev", r#"{"encrypt": "no base64!"}"#),
        "encrypt has invalid key: illegal base64 data at input byte 2"
    );
}

#[test]
fn legacy_has_the_defaults_and_words_of_its_time() {
    let flags = "-server -profile=legacy -data-dir d -bind 10.0.0.1 -dc=dc1 -bootstrap-expect 2";
    let config = load(flags, &[]).expect("valid");
    assert_eq!(config.profile, Profile::Legacy);
    assert_eq!(config.raft.heartbeat_timeout, Duration::from_secs(1));
    assert_eq!(config.raft.leader_lease_timeout, Duration::from_millis(500));
    assert!(!config.leave_on_terminate && !config.skip_leave_on_interrupt);
    assert!(config.rpc_hold_timeout.is_zero() && config.leave_drain_time.is_zero());
    assert_eq!(config.warnings, ["WARNING: Expect Mode enabled, expecting 2 servers"]);
    let text = load("-server -profile=legacy", &[]).expect_err("refused").to_string();
    assert_eq!(text, "Must specify data directory using -data-dir");
    let one = load("-server -data-dir d -bind 10.0.0.1 -bootstrap-expect=1", &[]).expect("valid");
    assert!(one.bootstrap && one.bootstrap_expect == 0);
}

#[test]
fn services_and_checks_of_files_add_up() {
    let one = r#"{"service": {"name": "web3", "tags": ["master"], "address": "127.0.0.1",
        "port": 10000, "checks": [{"http": "http://127.0.0.1/ok", "interval": "1s"}]}}"#;
    let more = r#"{"services": [{"id": "red0", "name": "redis", "weights": {"passing": 5}},
        {"Name": "CamelCase", "Check": {"TTL": "60s", "DeregisterCriticalServiceAfter": "2m"}}],
        "checks": [{"id": "mem", "name": "Memory", "args": ["/bin/true"], "interval": "1s"}],
        "check": [{"name": "alone", "ttl": "1s", "service_id": "red0"}]}"#;
    let config = load("-dev -enable-local-script-checks", &[("1.json", one), ("2.json", more)]);
    let config = config.expect("valid");
    let names: Vec<(&str, &str, usize)> = (config.definitions.services.iter())
        .map(|it| (&*it.service.id, &*it.service.service, it.checks.len()))
        .collect();
    assert_eq!(names, [("web3", "web3", 1), ("red0", "redis", 0), ("CamelCase", "CamelCase", 1)]);
    assert_eq!(config.definitions.services[0].service.tagged_addresses.len(), 2);
    assert_eq!(config.definitions.services[1].service.weights.warning, 1);
    let checks: Vec<(&str, &str)> = (config.definitions.checks.iter())
        .map(|it| (&*it.check.check_id, &*it.service_id))
        .collect();
    assert_eq!(checks, [("mem", ""), ("alone", "red0")]);
    assert!(config.checks.local_scripts && !config.checks.remote_scripts);
    assert_eq!(config.checks.update_interval, Duration::from_secs(300));
}

#[test]
fn a_definition_in_a_file_is_that_of_the_api() {
    use proconsul::agent::{Origin, ServiceRegistration};
    for body in [
        r#"{"name": "web", "address": "::1", "port": 80, "check": {"ttl": "10s", "status": "warning"}}"#,
        r#"{"Name": "web", "Meta": {"a": "b"}, "EnableTagOverride": true, "Checks": [{"TTL": "1s"}]}"#,
        r#"{"ID": "x", "Name": "web", "Check": {"TCP": "a:1", "Interval": "5s", "OutputMaxSize": 7}}"#,
    ] {
        let of_file = load("-dev", &[("a.json", &format!("{{\"service\": {body}}}"))]);
        let of_file = of_file.expect("valid").definitions.services.swap_remove(0);
        let of_api = proconsul::http::agent::service_of_json(body.as_bytes()).expect("valid");
        assert_eq!(of_file, ServiceRegistration { origin: Origin::Config, ..of_api });
    }
}

#[test]
fn definitions_are_refused_with_their_place() {
    for (file, text) in [
        (
            "{\"service\": {\"name\": \"web\",\n\"prot\": 80}}",
            "a.json:2: invalid config key prot in service, did you mean port?",
        ),
        (
            "{\"services\": [{\"name\": \"a\"},\n{\"port\": 1}]}",
            "a.json:2: service \"\": Missing service name",
        ),
        (
            "{\"service\": {\"name\": \"web\", \"check\":\n{\"intervall\": \"1s\"}}}",
            "a.json:2: invalid config key intervall in service.check, did you mean interval?",
        ),
        (
            "{\"service\": {\"name\": \"web\", \"checks\": [{\"ttl\":\n\n10}]}}",
            "a.json:3: service.checks.ttl: expected a duration such as \"10s\", found a number",
        ),
        (
            "{\"check\":\n{\"name\": \"x\", \"http\": \"http://a/\"}}",
            "a.json:2: check \"x\": Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks",
        ),
        ("{\"checks\": 5}", "a.json:1: check: expected an object, found a number"),
        (
            "{\"check\": {\"name\": \"x\", \"args\": [\"a\"], \"interval\": \"1s\"}}",
            "Failed to register check 'x': Scripts are disabled on this agent; to enable, configure \
             'enable_script_checks' or 'enable_local_script_checks' to true",
        ),
        (
            "{\"check_output_max_size\": 0}",
            "check_output_max_size must be positive, to discard check output use the discard_check_output flag",
        ),
        (
            "{\"dns_config\": {\"udp_answer_limit\": -1}}",
            "dns_config.udp_answer_limit cannot be -1. Must be greater than or equal to zero",
        ),
        (
            "{\"alt_domain\": \"node.x\"}",
            "alt_domain cannot start with {service,connect,node,query,addr,dc1}",
        ),
        (
            "{\"alt_domain\": \"dc7.x\", \"datacenter\": \"DC7\"}",
            "alt_domain cannot start with {service,connect,node,query,addr,dc7}",
        ),
    ] {
        assert_eq!(error("-dev", file), text);
    }
}
