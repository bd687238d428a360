//! The endpoints and commands of the autopilot, over an agent in memory: statuses, texts and shapes as
//! recorded from Consul 1.9.8.

use proconsul::http::{Identity, router};
use proconsul::state::{AutopilotCommand, AutopilotConfiguration, Command};

use crate::http_cli::shell;
use crate::http_operator::{answer, answer_to};
use crate::http_pipe::World;
use crate::http_store::StoreBackend;

const PATH: &str = "/v1/operator/autopilot/configuration";

/// An agent whose leader has written the default, as one does when it comes to power.
fn agent() -> StoreBackend {
    let backend = StoreBackend::new(Identity::server("node1"));
    let configuration = AutopilotConfiguration::default();
    backend.write(&Command::Autopilot(AutopilotCommand { configuration, cas: false }));
    backend
}

fn shown(json: &str) -> serde_json::Value {
    serde_json::from_str(json).expect("JSON")
}

#[test]
fn the_configuration_is_shown_and_changed_as_a_whole() {
    let router = router(&agent());
    let (status, text) = answer(&router, &format!("GET {PATH}"));
    let default = r#"{"CleanupDeadServers":true,"LastContactThreshold":"200ms","MaxTrailingLogs":250,"MinQuorum":0,"ServerStabilizationTime":"10s","RedundancyZoneTag":"","DisableUpgradeMigration":false,"UpgradeVersionTag":"","CreateIndex":13,"ModifyIndex":13}"#;
    assert_eq!((status, text.as_str()), (200, default));

    let put = answer_to(&router, &format!("PUT {PATH}"), r#"{"maxtrailinglogs":99,"x":1}"#);
    assert_eq!(put, (200, "true".to_owned()));
    let (_, text) = answer(&router, &format!("GET {PATH}"));
    let text = shown(&text);
    assert_eq!(
        (&text["CleanupDeadServers"], &text["LastContactThreshold"]),
        (&false.into(), &"0s".into())
    );
    assert_eq!((&text["MaxTrailingLogs"], &text["ModifyIndex"]), (&99.into(), &14.into()));

    for (cas, done) in [(13, "false"), (14, "true"), (14, "false")] {
        let put = answer_to(&router, &format!("PUT {PATH}?cas={cas}"), "{}");
        assert_eq!(put, (200, done.to_owned()), "cas={cas}");
    }
}

#[test]
fn bad_input_is_refused() {
    let router = router(&agent());
    let config = "Bad request: Error parsing autopilot config: ";
    for (target, body, text) in [
        ("", "", format!("{config}EOF")),
        ("", "nope", format!("{config}expected ident at line 1 column 2")),
        ("", "[]", format!("{config}json: cannot unmarshal array into Go value of type AutopilotConfiguration")),
        (
            "",
            r#"{"MinQuorum":"3"}"#,
            format!("{config}json: cannot unmarshal string into Go struct field AutopilotConfiguration.MinQuorum of type uint64"),
        ),
        ("", r#"{"LastContactThreshold":"long"}"#, format!("{config}time: invalid duration \"long\"")),
        (
            "?cas=abc",
            "{}",
            "Bad request: Error parsing cas value: strconv.ParseUint: parsing \"abc\": invalid syntax".to_owned(),
        ),
    ] {
        assert_eq!(answer_to(&router, &format!("PUT {PATH}{target}"), body), (400, text), "{body}");
    }
    let (status, text) = answer(&router, &format!("POST {PATH}"));
    assert_eq!((status, text.as_str()), (405, "method POST not allowed"));
    let (status, text) = answer(&router, "PUT /v1/operator/autopilot/health");
    assert_eq!((status, text.as_str()), (405, "method PUT not allowed"));
}

#[test]
fn health_says_429_while_a_server_is_not_well() {
    let backend = agent();
    let router = router(&backend);
    let (status, text) = answer(&router, "GET /v1/operator/autopilot/health");
    assert_eq!(
        (status, text.as_str()),
        (429, r#"{"Healthy":false,"FailureTolerance":0,"Servers":null}"#)
    );

    backend.shared().healthy = Some(true);
    let (status, text) = answer(&router, "GET /v1/operator/autopilot/health");
    let healthy = r#"{"Healthy":true,"FailureTolerance":0,"Servers":[{"ID":"id1","Name":"node1","Address":"127.0.0.1:8300","SerfStatus":"alive","Version":"1.9.8","Leader":true,"LastContact":"0s","LastTerm":2,"LastIndex":13,"Healthy":true,"Voter":true,"StableSince":"2020-09-13T12:26:41Z"}]}"#;
    assert_eq!((status, text.as_str()), (200, healthy));
    backend.shared().healthy = Some(false);
    assert_eq!(answer(&router, "GET /v1/operator/autopilot/health").0, 429);
}

#[test]
fn the_state_says_what_each_server_is_for() {
    let backend = agent();
    backend.shared().healthy = Some(false);
    let router = router(&backend);
    let register =
        r#"{"ID":"40e4a748-2192-161a-0510-9bf59fe950b5","Node":"other","Address":"10.0.0.1"}"#;
    answer_to(&router, "PUT /v1/catalog/register", register);
    let (status, text) = answer(&router, "GET /v1/operator/autopilot/state");
    let state = r#"{"Healthy":false,"FailureTolerance":0,"OptimisticFailureTolerance":0,"Servers":{"id1":{"ID":"id1","Name":"node1","Address":"127.0.0.1:8300","NodeStatus":"alive","Version":"1.9.8","LastContact":"0s","LastTerm":2,"LastIndex":14,"Healthy":false,"StableSince":"2020-09-13T12:26:40.500000Z","ReadReplica":false,"Status":"leader","Meta":null,"NodeType":"voter"}},"Leader":"id1","Voters":["id1"]}"#;
    assert_eq!((status, text.as_str()), (200, state));
    let (status, text) = answer(&router, "PUT /v1/operator/autopilot/state");
    assert_eq!((status, text.as_str()), (405, "method PUT not allowed"));
}

#[test]
fn the_commands_print_what_consul_prints() {
    let world = World::default();
    world.serve(router(&agent()));
    let get = &["operator", "autopilot", "get-config"];
    let (code, out, err) = shell(&world, get, "");
    let default = "CleanupDeadServers = true\nLastContactThreshold = 200ms\nMaxTrailingLogs = 250\n\
        MinQuorum = 0\nServerStabilizationTime = 10s\nRedundancyZoneTag = \"\"\n\
        DisableUpgradeMigration = false\nUpgradeVersionTag = \"\"\n";
    assert_eq!((code, out.as_str(), err.as_str()), (0, default, ""));
    let set = ["operator", "autopilot", "set-config"];
    let flags = ["-cleanup-dead-servers=false", "-min-quorum=3", "-server-stabilization-time=15s"];
    let (code, out, _) = shell(&world, &[&set[..], &flags[..]].concat(), "");
    assert_eq!((code, out.as_str()), (0, "Configuration updated!\n"));
    let changed = default
        .replace("Servers = true", "Servers = false")
        .replace("Quorum = 0", "Quorum = 3")
        .replace("10s", "15s");
    assert_eq!(shell(&world, get, "").1, changed);
    let (code, _, err) = shell(&world, &[&set[..], &["-last-contact-threshold=x"]].concat(), "");
    assert_eq!(code, 1);
    assert!(err.starts_with("invalid value \"x\" for flag -last-contact-threshold"), "{err}");
    let (_, _, err) = shell(&world, &[&set[..], &["-server-stabilization-time=5"]].concat(), "");
    let text = "invalid value \"5\" for flag -server-stabilization-time: time: missing unit in \
                duration \"5\"\nUsage: ";
    assert!(err.starts_with(text), "{err}");
    let (code, _, err) = shell(&world, &["operator", "autopilot", "frobnicate"], "");
    assert_eq!(code, 1);
    assert!(err.starts_with("Usage: consul operator autopilot <subcommand> [options]"), "{err}");
}
