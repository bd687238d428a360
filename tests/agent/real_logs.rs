//! Log lines of a real agent: Consul's form, JSON, files that are put away. Its figures, as Prometheus and statsd
//! read them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::UdpSocket;

use serde_json::Value;

use crate::real_process::{Agent, PATIENCE, Setup, call, eventually, free_port, loopback, put};

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Has an agent log something.
fn chatter(agent: &Agent) {
    let body = br#"{"Name": "x", "Check": {"TTL": "1m"}}"#;
    for (target, body) in
        [("/v1/agent/service/register", &body[..]), ("/v1/agent/check/pass/service:x", b"")]
    {
        assert_eq!(call(agent.at, "PUT", target, body).expect("an answer").status, 200);
    }
}

#[test]
fn files_of_lines_are_put_away_and_bounded() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("consul-old.log"), b"not ours").expect("a written file");
    let members = format!(
        ", \"log_file\": \"{}/consul.log\", \"log_rotate_bytes\": 500, \"log_rotate_max_files\": 2",
        folder.path().display()
    );
    let agent = Setup::new(1, free_port(), &members, &["-dev"]).serve();
    let mut seen = BTreeSet::new();
    eventually("five files", || {
        chatter(&agent);
        let now = names(folder.path());
        assert!(now.len() <= 1 + 2 + 1, "{now:?}");
        seen.extend(now);
        (seen.len() > 5).then_some(())
    });
    agent.crash();
    assert_eq!(fs::read(folder.path().join("consul-old.log")).expect("a file"), b"not ours");
    for name in names(folder.path()).iter().filter(|name| *name != "consul-old.log") {
        let time = name.strip_prefix("consul-").and_then(|it| it.strip_suffix(".log"));
        assert!(time.is_some_and(|it| it.len() == 19 && it.parse::<u64>().is_ok()), "{name}");
        let text = fs::read_to_string(folder.path().join(name)).expect("text");
        for line in text.lines() {
            let (time, rest) = line.split_once(' ').expect("a time");
            assert!(time.len() == 24 && time.ends_with('Z'), "{line}");
            assert!(
                ["[TRACE] ", "[DEBUG] ", "[INFO]  ", "[WARN]  ", "[ERROR] "]
                    .iter()
                    .any(|level| rest.starts_with(level)),
                "{line}"
            );
        }
    }
}

#[test]
fn lines_as_json_are_all_that_is_written() {
    let agent = Setup::new(1, free_port(), "", &["-dev", "-log-json"]).serve();
    chatter(&agent);
    let lines = eventually("a line with a field", || {
        let lines: Vec<Value> = agent
            .log()
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).expect("JSON and nothing else"))
            .collect();
        let has_field =
            lines.iter().any(|it| it["@message"] == "Synced service" && it["service"] == "x");
        has_field.then_some(lines)
    });
    for line in &lines {
        for key in ["@level", "@message", "@module", "@timestamp"] {
            assert!(line[key].is_string(), "{line}");
        }
    }
}

/// What Prometheus makes of a text: each name's kind and values. Panics at what it would refuse.
fn scrape(text: &str) -> BTreeMap<String, (String, Vec<(String, f64)>)> {
    let mut families: BTreeMap<String, (String, Vec<(String, f64)>)> = BTreeMap::new();
    let is_name = |it: &str| {
        !it.starts_with(|first: char| first.is_ascii_digit())
            && it.chars().all(|it| it.is_ascii_alphanumeric() || it == '_' || it == ':')
    };
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("name and help");
            assert!(is_name(name) && !help.is_empty(), "{line}");
            name.clone_into(&mut current);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("name and kind");
            assert_eq!(name, current, "TYPE follows its HELP");
            assert!(["counter", "gauge", "summary"].contains(&kind), "{line}");
            let before = families.insert(name.to_owned(), (kind.to_owned(), Vec::new()));
            assert!(before.is_none(), "{name} is there twice");
        } else {
            let (series, value) = line.rsplit_once(' ').expect("series and value");
            let name = series.split('{').next().expect("a name");
            let (kind, values) = families.get_mut(&current).expect("its TYPE");
            let suffixes = if kind == "summary" { &["", "_sum", "_count"][..] } else { &[""] };
            assert!(suffixes.iter().any(|it| name == format!("{current}{it}")), "{line}");
            if let Some(labels) = series.strip_prefix(name).filter(|it| !it.is_empty()) {
                let labels = labels.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
                assert!(labels.is_some_and(|it| it.contains("=\"") && it.ends_with('"')), "{line}");
            }
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            assert!(values.iter().all(|it| it.0 != series), "{series} is there twice");
            values.push((series.to_owned(), value));
        }
    }
    families
}

#[test]
fn prometheus_reads_the_figures() {
    let members = ", \"telemetry\": { \"prometheus_retention_time\": \"10m\", \"disable_hostname\": true, \
                   \"prefix_filter\": [\"-consul.rpc\", \"+consul.rpc.query\"] }";
    let agent = Setup::new(1, free_port(), members, &["-dev"]).serve();
    assert!(put(agent.at, "a", "1"));
    let answer =
        call(agent.at, "GET", "/v1/agent/metrics?format=prometheus", b"").expect("an answer");
    assert_eq!(answer.status, 200);
    let kind = answer.header("Content-Type").expect("a type");
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let families = scrape(&answer.text());
    let value = |series: &str| {
        let all = families.values().flat_map(|(_, values)| values);
        all.filter(|it| it.0 == series).map(|it| it.1).next()
    };
    assert_eq!(families["consul_raft_apply"].0, "counter");
    assert!(value("consul_raft_apply").is_some_and(|it| it >= 1.0));
    assert!(value("consul_kvs_apply_count").is_some_and(|it| it >= 1.0));
    assert!(value("consul_runtime_sys_bytes").is_some_and(|it| it > 0.0));
    assert!(value("consul_serf_queue_Event_count").is_some_and(|it| it >= 1.0));
    assert!(
        families.contains_key("consul_rpc_query") && !families.contains_key("consul_rpc_request")
    );

    // Without a retention time it is refused; the JSON form is always there.
    let other = Setup::new(2, free_port(), "", &["-dev"]).serve();
    let answer =
        call(other.at, "GET", "/v1/agent/metrics?format=prometheus", b"").expect("an answer");
    let wanted = "Prometheus is not enabled since its retention time is not positive";
    assert_eq!((answer.status, answer.text().as_str()), (415, wanted));
    let answer = call(other.at, "GET", "/v1/agent/metrics", b"").expect("an answer");
    let json: Value = serde_json::from_str(&answer.text()).expect("JSON");
    assert_eq!(json["Gauges"][0]["Name"], "consul.runtime.num_goroutines");
}

#[test]
fn statsd_hears_the_figures() {
    let socket = UdpSocket::bind((loopback(1), 0)).expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let at = socket.local_addr().expect("an address");
    let members =
        format!(", \"telemetry\": {{ \"statsd_address\": \"{at}\", \"metrics_prefix\": \"own\" }}");
    let agent = Setup::new(1, free_port(), &members, &["-dev"]).serve();
    assert!(put(agent.at, "a", "1"));
    let mut heard = String::new();
    eventually("a count and a gauge", || {
        let mut bytes = [0; 2048];
        let length = socket.recv(&mut bytes).expect("a datagram");
        heard.push_str(std::str::from_utf8(&bytes[..length]).expect("text"));
        (heard.contains("own.raft.apply:1.000000|c\n") && heard.contains("sys_bytes:"))
            .then_some(())
    });
    for line in heard.lines() {
        let (name, rest) = line.split_once(':').expect("a name");
        let (value, kind) = rest.split_once('|').expect("a value");
        assert!(name.starts_with("own.") && value.parse::<f64>().is_ok(), "{line}");
        assert!(["c", "g", "ms"].contains(&kind), "{line}");
    }
}
